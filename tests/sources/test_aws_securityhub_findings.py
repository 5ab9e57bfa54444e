"""Findings of Security Hub, in ASFF and in OCSF."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from aws_api_cases import CASES, NOW, run, sample, written

import ocsflake
from ocsflake.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from ocsflake.testing.aws_apis import AwsApisServer

ASFF, OCSF = CASES[2:4]


def test_ocsf_is_passed_on(aws_apis: AwsApisServer) -> None:
    """Findings that are OCSF already keep their class and ids, and hold in the version of the lake."""
    findings = sample("aws.securityhub", "get_findings_v2.json", "Findings")
    aws_apis.add("securityhub ocsf", *findings)

    events = ocsflake.read(OCSF.make(aws_apis, since="2026-01-01"), ocsf_version="1.6.0")

    found = {row["finding_info"]["uid"]: row["class_uid"] for table in events.values() for row in table.to_pylist()}
    assert found == {finding["finding_info"]["uid"]: finding["class_uid"] for finding in findings}
    assert not list(ocsflake.validate(events).findings)
    assert events.rejects.num_rows == 0


def test_names() -> None:
    """Both kinds have the log type of one mapper, and states of their own."""
    names = [
        ocsflake.source("aws.securityhub", log_type="aws.securityhub", findings=kind).name for kind in ("asff", "ocsf")
    ]

    assert names == ["aws:securityhub:aws.securityhub", "aws:securityhub:aws.securityhub:ocsf"]
    with pytest.raises(ConfigError, match="findings='v2': give asff or ocsf"):
        ocsflake.source("aws.securityhub", log_type="aws.securityhub", findings="v2")


@pytest.mark.parametrize("case", [ASFF, OCSF], ids=["asff", "ocsf"])
def test_edges_of_windows(aws_apis: AwsApisServer, tmp_path: Path, case: Any) -> None:
    """The service includes both ends of a span; a finding of the very end is left for the next window."""
    source = case.make(aws_apis, since=NOW - timedelta(hours=1), until=NOW)
    case.add(aws_apis, {"first": NOW - timedelta(hours=1), "end": NOW})
    lake = ocsflake.Lake(tmp_path)

    run(source, lake)
    before = written(lake.root)
    run(case.make(aws_apis, since=NOW - timedelta(hours=1)), lake, NOW + timedelta(hours=1))

    assert before == case.expected({"first": NOW - timedelta(hours=1)})
    assert written(lake.root) == case.expected({"first": NOW - timedelta(hours=1), "end": NOW})


def test_administrator_and_member(aws_apis: AwsApisServer, tmp_path: Path) -> None:
    """A finding that two Regions hold, one of them as aggregator, is one event."""
    times = {"f": NOW - timedelta(hours=1)}
    for region in ("us-east-1", "eu-west-1"):
        ASFF.add(aws_apis, times, region=region)
    lake = ocsflake.Lake(tmp_path)

    report = run(ASFF.make(aws_apis, regions="us-east-1,eu-west-1"), lake)

    assert (report.counts.written, report.counts.duplicates) == (1, 1)
