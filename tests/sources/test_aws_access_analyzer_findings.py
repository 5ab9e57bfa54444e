"""Findings of Access Analyzer, which have their details apart."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

from attrs import evolve
from aws_api_cases import CASES, NOW, ago, run, sample, written

import ocsflake

if TYPE_CHECKING:
    from pathlib import Path

    from ocsflake.testing.aws_apis import AwsApisServer

CASE = CASES[6]


def test_details_on_several_pages(aws_apis: AwsApisServer) -> None:
    """A finding has all its details, however many pages they come on."""
    first, second, third = ({"unusedPermissionDetails": {"serviceNamespace": name}} for name in ("s3", "ec2", "sqs"))
    record = CASE.made("f", NOW - timedelta(hours=1)) | {"findingDetails": [first, second, third]}
    aws_apis.add("accessanalyzer", record)
    source = CASE.make(aws_apis)

    [raw] = [raw for split in source.plan(None, NOW) for raw in source.read(split)]

    [found] = [json.loads(each) for each in raw.records]
    assert found == record


def test_gone_meanwhile(aws_apis: AwsApisServer, tmp_path: Path) -> None:
    """A finding that is gone before its details are asked for is kept as it was listed."""
    CASE.add(aws_apis, ago(2, hours=1))
    aws_apis.fail("accessanalyzer:GetFindingV2", "ResourceNotFoundException", status=404)
    lake = ocsflake.Lake(tmp_path)

    report = run(CASE.make(aws_apis), lake)

    assert not report.failures
    assert written(lake.root) == CASE.expected(ago(2, hours=1))


def test_only_what_changed_is_fetched(aws_apis: AwsApisServer, tmp_path: Path) -> None:
    """All findings are listed, and details asked for of those that changed; no sooner than after half an hour."""
    source = CASE.make(aws_apis)
    source = evolve(source, api=evolve(source.api, every=timedelta(minutes=30)))
    lake = ocsflake.Lake(tmp_path)
    CASE.add(aws_apis, ago(5, hours=2))
    run(source, lake)
    CASE.add(aws_apis, {"r4": NOW + timedelta(minutes=1)})
    before = aws_apis.calls.copy()

    early = run(source, lake, NOW + timedelta(minutes=29))
    report = run(source, lake, NOW + timedelta(minutes=31))

    assert (early.counts.records, report.counts.written) == (0, 1)
    assert aws_apis.calls["accessanalyzer:GetFindingV2"] == before["accessanalyzer:GetFindingV2"] + 1


def test_the_sample(aws_apis: AwsApisServer) -> None:
    """Findings of all types become events."""
    aws_apis.add("accessanalyzer", *sample("aws.access_analyzer", "get_finding_v2.jsonl"))

    events = ocsflake.read(CASE.make(aws_apis, since="2026-01-01"), ocsf_version="1.6.0")

    assert sum(table.num_rows for table in events.values()) == 7
    assert events.rejects.num_rows == 0
