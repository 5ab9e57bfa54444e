"""What a report says of a lake."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lake_events import api_activity, events
from report_lake import DAY, HOSTILE, T0, report_lake

from cli_help import call
from ocsflake.errors import LakeError
from ocsflake.lake import Lake
from ocsflake.lake.report import Finding, Identity, LakeReport, LeftOver

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
