"""Findings of Inspector."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from aws_api_cases import CASES, sample

import ocsflake

if TYPE_CHECKING:
    from pathlib import Path

    from ocsflake.testing.aws_apis import AwsApisServer

CASE = CASES[5]


def test_the_whole_sample(aws_apis: AwsApisServer, tmp_path: Path) -> None:
    """Every finding makes the events that the same answer in a file makes; numbers are as they came."""
    findings = sample("aws.inspector", "list_findings.json", "findings")
    aws_apis.add("inspector2", *findings)
    (tmp_path / "list_findings.json").write_text(json.dumps({"findings": findings}))

    events = ocsflake.read(CASE.make(aws_apis, since="2026-01-01"))
    files = ocsflake.read(ocsflake.source("files", log_type="aws.inspector", uri=str(tmp_path)))

    assert list(events) == list(files) == ["detection_finding", "vulnerability_finding"]
    for name in events:
        assert sorted(events[name].to_pylist(), key=repr) == sorted(files[name].to_pylist(), key=repr)
