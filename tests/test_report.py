"""Reports: numbers that balance, as a table on a terminal and in a notebook."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ocsflake.drift import Drift
from ocsflake.model import ObjectWritten
from ocsflake.report import KEPT, Counts, Failure, RunReport, SourceReport, Written, add_written


def written(source: str, account: str, day: str, count: int) -> ObjectWritten:
    return ObjectWritten(f"{source}/{account}/{day}", source, "api_activity", account, day, count, 100)


TRAIL = SourceReport(
    "trail",
    "aws.cloudtrail",
    Counts(records=1234, mapped=1200, rejects=30, duplicates=4, skipped=2, events=1300, written=1290, filtered=10),
    splits=3,
    drift=Drift(7, {"drift <i>": 7}, {"drift <i>": "aa"}, {("a", "object"): 2}, {("activity_id", "<b>"): 1}),
    reasons={("time", "eventTime is missing"): 10, ("", "not JSON <b>"): 20},
    failures=(Failure("file:///a", "file:///a: cannot be read as gzip"),),
)
REPORT = RunReport(
    (TRAIL, SourceReport("flows", "aws.vpc_flow", Counts(records=6, mapped=6, events=6, written=6), splits=1)),
    (
        written("aws_cloudtrail_6003", "1", "20260301", 1000),
        written("aws_cloudtrail_6003", "2", "20260301", 200),
        written("aws_cloudtrail_6003", "1", "20260302", 90),
        written("aws_vpc_flow_4001", "1", "20260301", 6),
    ),
    datetime(2026, 3, 1, 6, tzinfo=UTC),
    datetime(2026, 3, 2, 7, 8, 9, tzinfo=UTC),
    12.34,
)


class TestCounts:
    def test_sum(self) -> None:
        """Counts add up member by member."""
        assert Counts(1, 2, 3, 4, 5, 6, 7, 8) + Counts(10, 20, 30, 40, 50, 60, 70, 80) == Counts(
            11, 22, 33, 44, 55, 66, 77, 88
        )

    @pytest.mark.parametrize(
        ("counts", "balanced"),
        [
            (Counts(), True),
            (Counts(records=6, mapped=3, rejects=2, duplicates=1, events=9, written=5, filtered=4), True),
            (Counts(records=6, mapped=3, rejects=2), False),
            (Counts(records=6, mapped=6, events=7, written=6), False),
            (Counts(records=6, mapped=6, events=6, written=6, filtered=1), False),
        ],
    )
    def test_balanced(self, counts: Counts, balanced: bool) -> None:
        """Every record and every event is accounted for, or the counts do not balance."""
        assert balanced == counts.balanced


class TestRunReport:
    def test_counts(self) -> None:
        """The counts and the failures of all sources together."""
        assert REPORT.counts == TRAIL.counts + Counts(records=6, mapped=6, events=6, written=6)
        assert REPORT.failures == [*TRAIL.failures]

    def test_rows_by(self) -> None:
        """Rows by one member of the objects or by several, in order."""
        assert REPORT.rows_by("source") == {("aws_cloudtrail_6003",): 1290, ("aws_vpc_flow_4001",): 6}
        assert REPORT.rows_by("account", "day") == {
            ("1", "20260301"): 1006,
            ("1", "20260302"): 90,
            ("2", "20260301"): 200,
        }
        assert list(REPORT.rows_by("day", "account")) == [("20260301", "1"), ("20260301", "2"), ("20260302", "1")]
        assert REPORT.rows_by("event_class") == {("api_activity",): 1296}

    def test_text(self) -> None:
        """A table of the sources with their sum, then what else there is to know."""
        assert str(REPORT).splitlines() == [
            "source  log type        records  events  written  rejects  filtered  duplicates",
            "trail   aws.cloudtrail    1,234   1,300    1,290       30        10           4",
            "flows   aws.vpc_flow          6       6        6        0         0           0",
            "all                       1,240   1,306    1,296       30        10           4",
            "4 objects in 12.3 s",
            "events from 2026-03-01 06:00:00 to 2026-03-02 07:08:09 UTC",
            "trail: 2 documents that hold no records",
            "trail: 20 rejected: not JSON <b>",
            "trail: 10 rejected: time: eventTime is missing",
            "trail: drift in 7 records (0.6 %)",
            "trail: unknown key drift <i> (aa) in 7 records",
            "trail: changed kind a (object) in 2 records",
            "trail: new value activity_id (<b>) in 1 records",
            "trail: not read: file:///a: cannot be read as gzip",
        ]

    def test_text_of_nothing(self) -> None:
        """A run of one source has no sum, and one without events no times."""
        assert str(RunReport((SourceReport("trail", "aws.cloudtrail"),), ())).splitlines() == [
            "source  log type        records  events  written  rejects  filtered  duplicates",
            "trail   aws.cloudtrail        0       0        0        0         0           0",
            "0 objects in 0.0 s",
        ]

    def test_repr(self) -> None:
        """One line for a shell."""
        assert repr(REPORT) == "<RunReport: 1,240 records, 1,296 events in 4 objects, 30 rejects, 1 failures>"

    def test_html(self) -> None:
        """The same table in a notebook, and a chart; what came out of a log is text there, whatever it looks like."""
        html = REPORT._repr_html_()

        assert '<td class="short">aws.cloudtrail</td><td class="number">1,234</td>' in html
        assert "<title>03-01: api_activity, 1,206</title>" in html
        assert "drift &lt;i&gt;" in html
        assert "3 things in the records that the mappers do not know" in html
        assert "<i>" not in html
        assert "<li>trail: 20 rejected: not JSON &lt;b&gt;</li>" in html
        assert "<b>" not in html


def test_a_run_that_goes_on_for_months() -> None:
    """Beyond some thousand partitions the sums stay right, and the oldest ones are told apart no more."""
    totals: dict[tuple[str, str, str, str], Written] = {}
    for number in range(KEPT + 100):
        add_written(totals, [written("a", str(number), "20260301", 2), written("b", "1", "20260301", 1)])

    report = RunReport((), (), written=totals)

    assert len(totals) == KEPT
    assert report.rows_by("source") == {("a",): 2 * (KEPT + 100), ("b",): KEPT + 100}
    assert totals["b", "api_activity", "1", "20260301"].objects == KEPT + 100
    assert f"in {2 * (KEPT + 100):,} objects" in repr(report)
