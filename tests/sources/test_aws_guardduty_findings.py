"""Findings of GuardDuty, and what all findings have in common: which change lies in a window."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from aws_api_cases import CASES, NOW, ago, iso, run, sample, written

import ocsflake
from ocsflake.sources.aws._apis import Span, changed, text_at

if TYPE_CHECKING:
    from pathlib import Path

    from ocsflake.testing.aws_apis import AwsApisServer

CASE = CASES[4]
SPAN = Span(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC))


def test_the_whole_sample(aws_apis: AwsApisServer) -> None:
    """Every finding of the export that GuardDuty writes comes from its API as well, and makes the same events."""
    aws_apis.add("guardduty", *sample("aws.guardduty", "export.jsonl"))

    events = ocsflake.read(CASE.make(aws_apis, since="2026-01-01"))
    files = ocsflake.read(
        ocsflake.source("files", log_type="aws.guardduty", uri=str(ocsflake.samples.files("aws.guardduty")[1]))
    )

    rows = [sorted(each["detection_finding"].to_pylist(), key=repr) for each in (events, files)]
    assert rows[0] == rows[1]
    assert len(rows[0]) > 10


def test_more_than_a_page(aws_apis: AwsApisServer, tmp_path: Path) -> None:
    """Ids come in pages, and the findings of a page in one call."""
    CASE.add(aws_apis, ago(7, hours=1))
    lake = ocsflake.Lake(tmp_path)

    run(CASE.make(aws_apis), lake)

    assert written(lake.root) == CASE.expected(ago(7, hours=1))
    assert aws_apis.calls["guardduty:GetFindings"] == 4


def test_gone_meanwhile(aws_apis: AwsApisServer) -> None:
    """What changed between two calls is left for the window of its change."""
    outside = iso(NOW + timedelta(minutes=1)).encode()
    found = changed([b'{"id":"a","updatedAt":"%b"}' % outside], ["id"], ["updatedAt"], Span(SPAN.start, NOW))

    assert found.records == []


@pytest.mark.parametrize(
    ("time", "inside"),
    [
        ('"2026-11-01T00:00:00Z"', True),
        ('"2026-11-01T23:59:59.999999999Z"', True),
        ('"2026-11-02T00:00:00.000Z"', False),
        ('"2026-11-02T01:00:00+02:00"', True),
        ('"2026-11-01T12:00:00"', True),
        ("1793491200", True),
        ("1.7934912E9", True),
        ("1793577600000", False),
        ("1793577599999", True),
        ("1793491199.999", False),
        ('"soon"', True),
        ("null", True),
        ('"nan"', True),
        ('"1e400"', True),
    ],
)
def test_times(time: str, inside: bool) -> None:
    """Times are text or counts; what tells no time is taken, rather than lost."""
    found = changed([b'{"id":"a","updatedAt":%b}' % time.encode()], ["id"], ["updatedAt"], SPAN)

    assert bool(found.records) == inside


def test_ids() -> None:
    """An id is of a finding and its change; paths may lead into objects."""
    record = b'{"a":{"b":"x\\u00e9"},"n":null,"t":"2026-11-01T00:00:00Z"}'

    assert changed([record], ["a.b", "a.c"], ["n", "t"], SPAN, "p ").ids == ["p x\u00e9 @2026-11-01T00:00:00Z"]
    assert text_at(record, "a.b.c") == text_at(record, "n") == ""
