"""Management events that CloudTrail is asked for."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from aws_api_cases import CASES, NOW, ago, run, sample, written

import ocsflake

if TYPE_CHECKING:
    from pathlib import Path

    from ocsflake.testing.aws_apis import AwsApisServer

CASE = CASES[1]
FILE = "111122223333_CloudTrail_us-east-1_20261117T1405Z_Yb7nQw2RtKz5LpXc.json"


def test_same_as_from_a_trail(aws_apis: AwsApisServer, tmp_path: Path) -> None:
    """Events of all kinds are what a trail would have put into a bucket."""
    records = sample("aws.cloudtrail", FILE, "Records")
    aws_apis.add("cloudtrail", *records)
    (tmp_path / "trail.json").write_text(json.dumps({"Records": records}))

    events = ocsflake.read(CASE.make(aws_apis, since="2026-11-01", until="2026-11-19"))
    files = ocsflake.read(ocsflake.source("files", log_type="aws.cloudtrail", uri=str(tmp_path)))

    assert list(events) == list(files)
    for name in events:
        assert sorted(events[name].to_pylist(), key=repr) == sorted(files[name].to_pylist(), key=repr)
    assert sum(table.num_rows for table in events.values()) == len(records)


def test_throttled_all_the_time(aws_apis: AwsApisServer, tmp_path: Path) -> None:
    """Where every third call is turned away, all pages come, of the same window."""
    aws_apis.burst = 2
    CASE.add(aws_apis, ago(12, hours=1))
    lake = ocsflake.Lake(tmp_path)

    report = run(CASE.make(aws_apis, since="3h"), lake)

    assert not report.failures
    assert (report.counts.written, report.counts.duplicates) == (12, 0)
    assert aws_apis.calls["cloudtrail:LookupEvents"] >= 9


def test_edges_of_windows(aws_apis: AwsApisServer, tmp_path: Path) -> None:
    """The service matches whole seconds, both ends included; an event on an edge is in one window all the same."""
    edges = {f"e{n}": NOW - timedelta(hours=6 * n) for n in range(4)}
    CASE.add(aws_apis, edges)
    since = NOW - timedelta(hours=18, milliseconds=500)

    report = run(CASE.make(aws_apis, since=since), ocsflake.Lake(tmp_path), NOW + timedelta(hours=1))

    assert (report.counts.written, report.counts.duplicates) == (4, 0)


def test_rate() -> None:
    """It keeps to two calls a second in an account and Region."""
    source: Any = ocsflake.source("aws.cloudtrail_lookup", log_type="aws.cloudtrail")

    assert source.api.per_second == 2
    assert source.name == "aws:cloudtrail:aws.cloudtrail:lookup"


def test_a_second_account(aws_apis: AwsApisServer, tmp_path: Path) -> None:
    """One event that two Regions tell is one event."""
    times = {"a": NOW - timedelta(hours=1)}
    for region in ("us-east-1", "eu-west-1"):
        CASE.add(aws_apis, times, region=region)
    lake = ocsflake.Lake(tmp_path)

    report = run(CASE.make(aws_apis, regions="us-east-1,eu-west-1"), lake)

    assert (report.counts.written, report.counts.duplicates) == (1, 1)
    assert written(lake.root) == CASE.expected(times)
