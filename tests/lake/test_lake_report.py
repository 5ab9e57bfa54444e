"""What a report says of a lake."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lake_events import api_activity, events
from report_lake import DAY, HOSTILE, T0, report_lake

from cli_help import call
from ocsflake.charts import size_text
from ocsflake.errors import LakeError
from ocsflake.lake import Lake
from ocsflake.lake.report import Finding, Identity, LakeReport, LeftOver
from ocsflake.lake.usage import Amount, Usage

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return report_lake(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def report(lake: Lake) -> LakeReport:
    return lake.report()


class TestFacts:
    def test_events_by_class_cloud_and_day(self, report: LakeReport) -> None:
        assert report.events == {
            ("api_activity", "AWS", "20260301"): 1,
            ("api_activity", "AWS", "20260302"): 2,
            ("api_activity", "AWS", "20260303"): 2,
            ("authentication", "Azure", "20260302"): 1,
            ("authentication", "Azure", "20260303"): 1,
            ("detection_finding", "GCP", "20260301"): 3,
            ("detection_finding", "GCP", "20260302"): 2,
        }

    def test_usage(self, lake: Lake, report: LakeReport) -> None:
        assert report.usage == lake.usage()

    def test_findings_count_once_as_they_were_told_last(self, report: LakeReport) -> None:
        assert report.severities == {0: 1, 3: 1, 4: 1, 99: 1}

    def test_the_worst_findings_come_first(self, report: LakeReport) -> None:
        assert report.findings[:2] == [
            Finding(4, "open bucket", "SCC", "GCP", "project", T0 + DAY + 2),
            Finding(3, HOSTILE, "SCC", "GCP", "project", T0 + DAY + 2),
        ]
        assert {finding.severity_id for finding in report.findings[2:]} == {None, 99}

    def test_identities(self, report: LakeReport) -> None:
        """A user without a name goes by the id, and the same name in two clouds is one."""
        assert report.identities == [
            Identity("alice", 4, 2, ["AWS", "Azure"], T0 + DAY + 1),
            Identity(HOSTILE, 1, 0, ["AWS"], T0 + 2 * DAY),
            Identity("U1", 1, 0, ["AWS"], T0 + 2 * DAY),
            Identity("bob", 1, 0, ["Azure"], T0 + 2 * DAY + 1),
        ]

    def test_what_is_left_over(self, report: LakeReport) -> None:
        """A path is new if its source was seen on an earlier day without it."""
        assert report.left_over == [
            LeftOver("aws_cloudtrail_6003", HOSTILE, 2, "20260302", new=True),
            LeftOver("aws_cloudtrail_6003", "old", 2, "20260301", new=False),
        ]

    def test_rejects(self, report: LakeReport) -> None:
        assert report.rejects == {
            ("aws.cloudtrail", "time", "eventTime is missing"): 2,
            ("aws.cloudtrail", "", HOSTILE): 1,
        }

    def test_since(self, lake: Lake) -> None:
        """What was before is not told of."""
        report = lake.report(since="2026-03-03")

        assert {day for *_, day in report.events} == {"20260303"}
        assert report.usage.total.rows == 3
        assert [identity.who for identity in report.identities] == [HOSTILE, "U1", "bob"]
        assert report.severities == {}
        assert "Events from 2026-03-03 on: 2026-03-03 00:00 to" in report.html

    def test_rejects_elsewhere(self, lake: Lake, tmp_path: Path) -> None:
        (tmp_path / "x.jsonl").write_text("no")

        assert lake.report(rejects=tmp_path / "missing").rejects == {}
        with pytest.raises(LakeError, match="is no reject"):
            lake.report(rejects=tmp_path)

    def test_in_a_notebook(self, lake: Lake, report: LakeReport) -> None:
        """The same sections, as a part of a page."""
        html = report._repr_html_()

        assert html.startswith('<div class="ocsflake"><style>')
        assert str(lake.root) in html
        assert html.count("<section ") == report.html.count("<section ") == 9
        assert "<html" not in html


class Words(HTMLParser):
    """The texts of a page by the section that they are in; what belongs to no section is under ``""``."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.anchor, self.silent = "", False
        self.found: dict[str, list[str]] = {}
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.anchor = dict(attrs)["id"] or "" if tag == "section" else self.anchor
        self.silent = tag in {"style", "svg"} or (self.silent and tag not in {"h1", "ul", "table"})

    def handle_endtag(self, tag: str) -> None:
        self.anchor = "" if tag == "section" else self.anchor

    def handle_data(self, data: str) -> None:
        if data.strip() and not self.silent:
            self.found.setdefault(self.anchor, []).append(data.strip())


@pytest.mark.usefixtures("elsewhere")
class TestPage:
    """What the page says, section by section."""

    def test_all_of_a_lake(self, lake: Lake, report: LakeReport) -> None:
        found = Words(report.html).found
        sizes = [size_text(amount.bytes) for amount in report.usage.by("source").values()]
        day = [f"2026-03-0{number}" for number in (1, 2, 3)]
        midnight = [f"{each} 00:00" for each in day]

        assert found.pop("")[-15:] == [
            *("events", "12", "stored", size_text(report.usage.total.bytes), "objects", "7", "custom sources", "3"),
            *("accounts", "3", "serious findings", "1", "rejects", "3"),
            f"Made by ocsflake at {report.made:%Y-%m-%d %H:%M} UTC. Days and times are in UTC.",
        ]
        worst = found["worst"]
        assert {worst[-6], worst[-12]} == {"Other", "Unknown"}  # as bad as each other
        assert worst[-5:] == worst[-11:-6] == ["no id", "SCC", "GCP", "project", midnight[0]]
        del worst[-12:]
        assert found == {
            "events-by-class": [
                *("Events by day and class", "class", "events"),
                *("api_activity", "5", "detection_finding", "5", "authentication", "2"),
                *("Every day", "day", "class", "cloud", "events"),
                *(day[2], "authentication", "Azure", "1", day[2], "api_activity", "AWS", "2"),
                *(day[1], "detection_finding", "GCP", "2", day[1], "authentication", "Azure", "1"),
                *(day[1], "api_activity", "AWS", "2"),
                *(day[0], "detection_finding", "GCP", "3", day[0], "api_activity", "AWS", "1"),
            ],
            "events-by-cloud": ["Events by day and cloud", "cloud", "events", "AWS", "5", "GCP", "5", "Azure", "2"],
            "usage-by-source": [
                *("Usage by custom source", "custom source", "events", "stored", "last event"),
                *("aws_cloudtrail_6003", "5", sizes[0], midnight[2], "gcp_scc_2004", "5", sizes[2], midnight[1]),
                *("azure_signin_3002", "2", sizes[1], midnight[2]),
            ],
            "usage-by-account": [
                *("Usage by account", "account", "events", "stored", "last event"),
                *("111122223333", "5", sizes[0], midnight[2], "external_project", "5", sizes[2], midnight[1]),
                *("external_tenant", "2", sizes[1], midnight[2]),
            ],
            "findings": [
                *("Findings by severity", "severity", "findings", "High", "1", "Medium", "1", "Other", "1"),
                *("Unknown", "1", "Each finding is counted once, as it was told last."),
            ],
            "rejects": [
                *("Rejects", "reason", "records", "log type", "time: eventTime is missing", "2", "aws.cloudtrail"),
                *(HOSTILE, "1", "aws.cloudtrail"),
            ],
            "worst": [
                *("The worst findings", "severity", "title", "product", "cloud", "account", "time"),
                *("High", "open bucket", "SCC", "GCP", "project", midnight[1]),
                *("Medium", HOSTILE, "SCC", "GCP", "project", midnight[1]),
            ],
            "identities": [
                *("Top identities", "user", "events", "failed", "clouds", "last event"),
                *("alice", "4", "2", "AWS, Azure", midnight[1], HOSTILE, "1", "0", "AWS", midnight[2]),
                *("U1", "1", "0", "AWS", midnight[2], "bob", "1", "0", "Azure", midnight[2]),
            ],
            "drift": [
                *("Drift, and what no attribute takes", "raw path", "events", "custom source", "drift", "first day"),
                *(HOSTILE, "2", "aws_cloudtrail_6003", "new", day[1], "old", "2", "aws_cloudtrail_6003", day[0]),
                "All of it is kept in unmapped. New is what was not there on the first day of its source.",
            ],
        }

    def test_nothing(self, tmp_path: Path) -> None:
        """Each section of an empty lake says so."""
        found = Words(Lake(tmp_path).report().html).found

        assert found.pop("")[-3:-1] == ["rejects", "n/a"]
        assert {anchor: words[1:] for anchor, words in found.items()} == {
            **{
                anchor: ["There are no events."]
                for anchor in ("events-by-class", "events-by-cloud", "usage-by-source", "usage-by-account")
            },
            "findings": ["There are no findings."],
            "worst": ["There are no findings."],
            "rejects": ["Where rejected records are kept was not said, and the lake has no folder of them."],
            "identities": ["No event names a user."],
            "drift": ["Attributes take all that the logs hold."],
        }

    def test_more_than_a_page_shows(self) -> None:
        """The rest is folded, summed as others, or left out of a list of the most."""
        amounts = {(f"s{n:02}", "", "1", "r", "20260301"): Amount(1, 1, n, 0, 0) for n in range(11)}
        report = LakeReport(
            "lake",
            datetime(2026, 3, 2, tzinfo=UTC),
            "20260301",
            Usage(amounts),
            events={(f"c{n}", "", "20260301"): 9 - n for n in range(9)},
            severities={6: 1, 5: 2, 4: 4, 3: 8, 7: 16, 99: 32},
            findings=[Finding(7, None, None, None, None, None)],
            rejects={("x.y", "", f"r{n:02}"): 1 + n % 2 for n in range(12)},
        )

        found = Words(report.html).found

        assert "Events from 2026-03-01 on: 1970-01-01 00:00 to 1970-01-01 00:00 UTC" in found[""]
        assert found[""][-4:-3] == ["7"]
        classes = [word for n in range(7) for word in (f"c{n}", str(9 - n))]
        assert found["events-by-class"][1:19] == ["class", "events", *classes, "others", "3"]
        usage, rest = found["usage-by-source"][5:45], found["usage-by-source"][45:]
        assert (usage[::4], rest[0], rest[5::4]) == (
            [f"s{n:02}" for n in range(10, 0, -1)],
            "All 11",
            [f"s{n:02}" for n in range(10, -1, -1)],
        )
        assert found["findings"][3:13] == ["Fatal", "1", "Critical", "2", "High", "4", "Medium", "8", "Other", "48"]
        assert found["worst"][7:] == ["Other"]
        shown = [(word, "2") for word in ("r01", "r03", "r05", "r07", "r09", "r11")]
        shown += [(word, "1") for word in ("r00", "r02", "r04", "r06")]
        assert found["rejects"][4:] == [word for pair in shown for word in (*pair, "x.y")]

    def test_bad_news_stands_out(self, report: LakeReport, tmp_path: Path) -> None:
        """Serious findings are marked, if there are any."""
        assert report.html.count("<dd class=bad>1</dd>") == report.html.count("class=bad") == 1
        assert "class=bad" not in Lake(tmp_path).report().html

    def test_what_can_be_moved_by_key_has_a_name(self, report: LakeReport) -> None:
        """Tables that may be wider than the page, and pictures, for who does not see them."""
        labels = re.findall(r'<div class="wide" tabindex="0" role="group" aria-label="([^"]+)">', report.html)
        pictures = re.findall(
            r'<svg[^>]* aria-label="([^"]+)"|<title>([^<]+)</title>', report.html.partition("</head>")[2]
        )

        assert labels == [
            "Events of every day",
            "Usage by custom source",
            "Usage by account",
            "Reasons of rejects",
            "The worst findings",
            "Top identities",
            "Raw paths that no attribute takes",
        ]
        told = "".join(text for pair in pictures for text in pair)
        assert "Events by day, stacked by class" in told
        assert "Events by day, stacked by cloud" in told

    def test_sections_are_linked_and_named(self, report: LakeReport) -> None:
        """Each by its heading; wide tables take all of the width."""
        sections = re.findall(r'<section id="([^"]+)" aria-labelledby="([^"]+)"( class=all)?>', report.html)
        links = re.findall(r'<li><a href="#([^"]+)">', report.html)

        assert [anchor for anchor, _, _ in sections] == links
        assert all(f'<h2 id="{heading}">' in report.html for _, heading, _ in sections)
        assert [anchor for anchor, _, wide in sections if wide] == ["worst", "identities", "drift"]

    def test_severities_have_colours(self) -> None:
        """Each its own, but for what says nothing."""
        usage = Usage({("s", "", "1", "r", "20260301"): Amount(1, 1, 1, 0, 0)})
        report = LakeReport(
            "lake", datetime(2026, 3, 2, tzinfo=UTC), "", usage, severities=dict.fromkeys((0, 1, 2, 3, 4, 5, 6, 99), 1)
        )
        section = report.html.partition('id="findings-title"')[2].partition("</section>")[0]
        colours = re.findall(r';background:(#[0-9a-f]{6})"', section)

        assert (len(colours), len(set(colours)), colours[6]) == (8, 7, colours[7])


class TestLakes:
    def test_an_empty_lake(self, tmp_path: Path) -> None:
        report = Lake(tmp_path).report()

        assert repr(report) == f"<LakeReport of {tmp_path}: 0 objects, 0 B, 0 events>"
        assert "There are no events." in report.html
        assert "<svg" not in report.html

    def test_objects_of_another_program(self, tmp_path: Path) -> None:
        """Columns that are missing, or of another type, are as good as none; so is a class that is not known."""
        folder = tmp_path / "ext" / "o\"ther's" / "region=us-east-1" / "accountId=1" / "eventDay=20260301"
        folder.mkdir(parents=True)
        pq.write_table(
            pa.table({"time": ["soon"], "cloud": ["AWS"], "actor": [{"user": "x"}], "unmapped": ["y"]}),
            folder / "a.parquet",
        )

        report = Lake(tmp_path).report()

        assert report.events == {("o\"ther's", "unknown", "20260301"): 1}
        assert (report.findings, report.identities, report.left_over) == ([], [], [])

    def test_numbers_and_names_of_another_type(self, tmp_path: Path) -> None:
        """They count as none: times and states that are text, a title that is a number, maps of other keys."""
        user = {"name": 5, "email_addr": "", "uid": "U1"}
        columns: dict[str, dict[str, Any]] = {
            "a_3002": {"user": [user] * 2, "actor": [{"user": {"name": "root"}}, None], "status_id": ["2"] * 2},
            "b_2004": {"severity_id": ["5"], "finding_info": [{"title": 7, "uid": 7}], "message": ["m"]},
            "c_6003": {"user": [{"name": "victim"}], "unmapped": pa.array([[(1, 1)]], pa.map_(pa.int64(), pa.int64()))},
        }
        for name, values in columns.items():
            folder = tmp_path / "ext" / name / "region=us-east-1" / "accountId=1" / "eventDay=20260301"
            folder.mkdir(parents=True)
            count = len(next(iter(values.values())))
            pq.write_table(pa.table({"time": ["soon"] * count, **values}), folder / "a.parquet")

        report = Lake(tmp_path).report()

        assert report.identities == [Identity("U1", 1, 0, [], None), Identity("root", 1, 0, [], None)]
        assert report.findings == [Finding(None, "m", None, None, None, None)]
        assert report.severities == {0: 1}
        assert report.left_over == []

    def test_security_lake_s_own_sources(self, tmp_path: Path) -> None:
        """They are in no view, and count as usage alone."""
        folder = tmp_path / "aws" / "ROUTE53" / "2.0" / "region=us-east-1" / "accountId=1" / "eventDay=20260301"
        folder.mkdir(parents=True)
        pq.write_table(pa.table({"time": [T0], "class_uid": [4003]}), folder / "a.parquet")

        report = Lake(tmp_path).report()

        assert (report.usage.total.rows, report.events) == (1, {})
        assert "aws/ROUTE53/2.0" in report.html

    def test_times_that_are_none(self, tmp_path: Path) -> None:
        """A time that no calendar has is told as the number that it is."""
        folder = tmp_path / "ext" / "x_6003" / "region=us-east-1" / "accountId=1" / "eventDay=20260301"
        folder.mkdir(parents=True)
        pq.write_table(pa.table({"time": [1 << 62], "class_uid": [6003]}), folder / "a.parquet")

        assert str(1 << 62) in Lake(tmp_path).report().html

    def test_on_s3(self, moto: Any) -> None:
        lake = Lake(f"s3://{moto.make_bucket()}", client=moto.client())
        with lake.begin("c") as commit:
            commit.write(api_activity(events(30)))
            commit.publish()

        report = lake.report()

        assert sum(report.events.values()) == 30
        assert report.rejects is None


class TestCommand:
    def test_on_stdout(self, lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
        done = call(capsys, "report", lake.root)

        assert (done.code, done.err) == (0, "")
        assert done.out.startswith("<!DOCTYPE html>")

    def test_into_a_file(self, lake: Lake, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = tmp_path / "report.html"

        done = call(capsys, "report", lake.root, "--output", path, "--since", "2026-03-02")

        assert (done.code, done.out) == (0, "")
        assert done.last == f"the report is {path}"
        assert "Events from 2026-03-02 on" in path.read_text()

    def test_a_day_that_is_none(self, lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
        done = call(capsys, "report", lake.root, "--since", "yesterday")

        assert (done.code, "is no time: give an age such as 7d" in done.err) == (2, True)

    def test_a_folder_of_rejects(self, lake: Lake, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        done = call(capsys, "report", lake.root, "--rejects", tmp_path)

        assert "No record was rejected." in done.out
