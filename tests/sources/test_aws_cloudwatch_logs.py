"""Log groups of CloudWatch Logs: whatever is in them becomes what a subscription's delivery would."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from aws_api_cases import CASES, GROUP, NOW, log_event, run, sample, written

import ocsflake
from ocsflake import samples
from ocsflake.errors import ConfigError
from ocsflake.model import RawBatch

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ocsflake.testing.aws_apis import AwsApisServer
    from ocsflake.testing.servers import AwsServer

CASE = CASES[0]
HOUR = timedelta(hours=1)


def source(server: Any, log_type: str, groups: str = GROUP, **options: Any) -> Any:
    given = {"session": server.session(), "since": "30d", "log_groups": groups, **options}
    return ocsflake.source("aws.cloudwatch_logs", log_type=log_type, **given)


def raws(given: Any) -> list[RawBatch]:
    """What the windows with events give."""
    found = [raw for split in given.plan(None, NOW) for raw in given.read(split) if raw.records]
    assert found
    return found


def rows(log_type: str, batches: Iterable[RawBatch]) -> tuple[list[Any], list[Any]]:
    """Events and rejects."""
    parts = list(ocsflake.mapper(log_type).map_batches(batches))
    tables = [pa.Table.from_batches([batch.events]) for part in parts for batch in part.batches]
    rejects = [row["record"] for part in parts for row in part.rejects.to_pylist()]
    return sorted((row for table in tables for row in table.to_pylist()), key=repr), rejects


@pytest.mark.parametrize("log_type", ["aws.eks_audit", "aws.rds_audit", "aws.route53_resolver", "aws.waf"])
def test_every_kind_of_message(aws_apis: AwsApisServer, log_type: str) -> None:
    """Messages of JSON and of text, of one line and of several, become the events of the subscription's delivery."""
    delivered = next(path for path in samples.files(log_type) if path.name == "cloudwatch.json").read_bytes()
    for number, event in enumerate(json.loads(delivered)["logEvents"]):
        aws_apis.add("logs", log_event(f"e{number}", NOW - HOUR, event["message"]))

    found = raws(source(aws_apis, log_type, since="2h"))

    origin = {"uri": f"logs://111122223333/us-east-1/{GROUP}", "account": "111122223333", "region": "us-east-1"}
    assert {tuple(raw.origin.items()) for raw in found} == {(*origin.items(), ("log_group", GROUP))}
    assert rows(log_type, found) == rows(log_type, [RawBatch(delivered, found[0].origin)])


FLOW = "2 111122223333 eni-0a 192.0.2.{} 203.0.113.9 49152 443 6 10 840 1794820500 1794820560 ACCEPT OK"


def test_flow_logs(aws_apis: AwsApisServer) -> None:
    """Flow logs have no header there: a custom format is named by an option."""
    aws_apis.add("logs", *(log_event(f"e{n}", NOW - HOUR, FLOW.format(n), "flow") for n in range(5)))
    custom = [
        log_event(f"c{n}", NOW - HOUR, f"192.0.2.{n} 203.0.113.9 443 1794820500 ACCEPT", "custom") for n in range(5)
    ]
    aws_apis.add("logs", *custom)

    usual, _ = rows("aws.vpc_flow", raws(source(aws_apis, "aws.vpc_flow", "flow", since="2h")))
    own, bad = rows(
        "aws.vpc_flow",
        raws(source(aws_apis, "aws.vpc_flow", "custom", since="2h", header="srcaddr dstaddr srcport start action")),
    )

    assert [event["src_endpoint"]["ip"] for event in usual] == [f"192.0.2.{n}" for n in range(5)]
    assert sorted((event["src_endpoint"]["ip"], event["src_endpoint"]["port"]) for event in own) == [
        (f"192.0.2.{n}", 443) for n in range(5)
    ]
    assert bad == []


def test_hostile_messages(aws_apis: AwsApisServer) -> None:
    """A message cannot break out of its envelope, nor take others with it."""
    good = sample("aws.rds_audit", "cloudwatch.json", "logEvents")[0]["message"]
    for number, message in enumerate(['{"logEvents":[', '"}]}', good, '{"a":"\\ud800"}', "\x00\u2028", '["x"]']):
        aws_apis.add("logs", log_event(f"e{number}", NOW - HOUR, message))

    events, rejects = rows("aws.rds_audit", raws(source(aws_apis, "aws.rds_audit", since="2h")))

    assert len(events) == 1
    assert len(rejects) == 5


def test_groups_and_streams(aws_apis: AwsApisServer, tmp_path: Path) -> None:
    """Several groups are read, by name or by pattern, and of each the streams that are asked for."""
    for number, (group, stream) in enumerate(
        [("/aws/eks/a/cluster", "audit-1"), ("/aws/eks/b/cluster", "audit-2"), ("/aws/eks/b/cluster", "api-1")]
    ):
        event = CASE.made(f"r{number}", NOW - HOUR) | {"group": group, "logStreamName": stream}
        aws_apis.add("logs", event, CASE.made("other", NOW - HOUR) | {"group": "/aws/eks/other"})
    lake = ocsflake.Lake(tmp_path)

    run(source(aws_apis, "aws.eks_audit", "/aws/eks/*/cluster", log_stream_prefix="audit", since="2h"), lake)

    assert written(lake.root) == CASE.expected({"r0": NOW - HOUR, "r1": NOW - HOUR})


def test_filter_pattern(aws_apis: AwsApisServer) -> None:
    """What does not match a pattern does not come; a source with a pattern has a state of its own."""
    aws_apis.add("logs", CASE.made("wanted", NOW - HOUR), CASE.made("other", NOW - HOUR))
    given = source(aws_apis, "aws.eks_audit", filter_pattern='"wanted"', since="2h")

    assert [raw.ids for raw in raws(given)] == [["wanted"]]
    assert given.name == 'aws:logs:aws.eks_audit:"wanted"'


def test_a_group_that_is_missing(aws_apis: AwsApisServer, tmp_path: Path) -> None:
    """A name that no group has is reported, and others go on; a pattern that matches none is not."""
    aws_apis.add("logs", CASE.made("r", NOW - HOUR))
    lake = ocsflake.Lake(tmp_path)

    missing = run(source(aws_apis, "aws.eks_audit", f"/aws/eks/gone,{GROUP}", since="2h"), lake)
    none = run(source(aws_apis, "aws.eks_audit", "/aws/rds/*"), lake)

    [failure] = missing.failures
    assert failure.split == "111122223333/us-east-1//aws/eks/gone#unread"
    assert written(lake.root) == CASE.expected({"r": NOW - HOUR})
    assert (
        "FilterLogEvents failed (ResourceNotFoundException: The specified log group does not exist.)" in failure.error
    )
    assert not none.failures


def test_edges_of_windows(aws_apis: AwsApisServer, tmp_path: Path) -> None:
    """An event on the edge between two windows is in one of them."""
    edges = {f"e{n}": NOW - HOUR * n for n in range(1, 5)}
    CASE.add(aws_apis, edges)
    given = source(aws_apis, "aws.eks_audit", since=NOW - 4 * HOUR)

    report = run(given, ocsflake.Lake(tmp_path))

    assert (report.counts.written, report.counts.duplicates) == (4, 0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"groups": " ,"}, "log_groups is empty"),
        ({"overlap": "long"}, "overlap='long' is no length of time"),
        ({"overlap": "2030-01-01"}, "is no length of time"),
    ],
)
def test_wrong_options(aws_apis: AwsApisServer, options: dict[str, str], words: str) -> None:
    """Options are checked when the source is made."""
    with pytest.raises(ConfigError, match=words):
        source(aws_apis, "aws.eks_audit", **options)


def test_on_moto(moto: AwsServer, tmp_path: Path) -> None:
    """Another server that speaks the API gives the same."""
    logs = moto.client("logs")
    logs.create_log_group(logGroupName=GROUP)
    for stream in ("a", "b"):
        logs.create_log_stream(logGroupName=GROUP, logStreamName=stream)
        made = [CASE.made(f"{stream}{n}", NOW - timedelta(minutes=5 + n)) for n in range(3)]
        events = [{"timestamp": each["timestamp"], "message": each["message"]} for each in reversed(made)]
        logs.put_log_events(logGroupName=GROUP, logStreamName=stream, logEvents=events)
    lake = ocsflake.Lake(tmp_path)

    reports = [run(source(moto, "aws.eks_audit", since="2h"), lake, NOW + n * HOUR) for n in range(2)]

    assert [report.counts.written for report in reports] == [6, 0]
    assert written(lake.root) == CASE.expected(
        {f"{stream}{n}": NOW - timedelta(minutes=5 + n) for stream in "ab" for n in range(3)}
    )
