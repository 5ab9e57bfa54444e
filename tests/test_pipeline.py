"""Running sources into a lake: what is new is written once, and every record is accounted for."""

from __future__ import annotations

import json
import os
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from attrs import define

import ocsflake
from ocsflake import pipeline, registry
from ocsflake.checkpoints import FileCheckpoints, MemoryCheckpoints, S3Checkpoints
from ocsflake.commits import Outcome
from ocsflake.drift import Drift
from ocsflake.errors import ConfigError, NotRegisteredError
from ocsflake.model import CustomSource, ObjectWritten, RawBatch, Split
from ocsflake.report import Counts, Failure, SourceReport
from pipeline_logs import Overlapping, Parts, bad, events, objects, record, rows, save

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from ocsflake.commits import Job
    from ocsflake.model import Source, State
    from ocsflake.pipeline import Progress


def trail(folder: Path) -> Source:
    return ocsflake.source("files", log_type="aws.cloudtrail", uri=str(folder))


def flows(*numbers: int, day: int = 1) -> str:
    """Lines of a VPC flow log, without a header."""
    start = int(datetime(2026, 3, day, tzinfo=UTC).timestamp())
    return "".join(
        f"2 111122223333 eni-1 10.0.0.{n} 192.0.2.9 {1024 + n} 443 6 10 840 {start + n} {start + n + 60} ACCEPT OK\n"
        for n in numbers
    )


class TestRun:
    def test_balance(self, tmp_path: Path) -> None:
        """Every record read is an event, a reject, or counted as what it is."""
        save(tmp_path / "logs" / "a.json.gz", [*map(record, range(20)), bad(90)])
        save(tmp_path / "logs" / "b.json.gz", [bad(91), *map(record, range(20, 30))])

        report = ocsflake.run(trail(tmp_path / "logs"), ocsflake.Lake(tmp_path / "lake"), rejects=tmp_path / "rejects")

        assert report.counts == Counts(records=32, mapped=30, rejects=2, events=30, written=30)
        assert report.counts.balanced
        assert events(range(30)) == rows(tmp_path / "lake")
        assert len((next((tmp_path / "rejects" / "aws.cloudtrail").iterdir())).read_text().splitlines()) == 2
        assert sum(report.sources[0].reasons.values()) == 2
        assert {attribute for attribute, _ in report.sources[0].reasons} == {"time"}

    def test_report(self, tmp_path: Path) -> None:
        """The report says which objects there are, for whom, when, and what the mapper does not know."""
        save(tmp_path / "logs" / "a.json.gz", [*map(record, range(10)), record(10, somethingNew={"a": 1})])
        lake = ocsflake.Lake(tmp_path / "lake")

        report = ocsflake.run(trail(tmp_path / "logs"), lake)

        assert report.rows_by("event_class") == {("api_activity",): 9, ("authentication",): 2}
        assert report.rows_by("account") == {("111122223333",): 6, ("444455556666",): 5}
        assert report.rows_by("day") == {("20260301",): 6, ("20260302",): 5}
        assert {item.key.removeprefix("ext/") for item in report.objects} == objects(lake.root).keys()
        assert all((tmp_path / "lake" / item.key).stat().st_size == item.bytes for item in report.objects)
        assert report.earliest == datetime(2026, 3, 1, 6, 0, 0, tzinfo=UTC)
        assert report.latest == datetime(2026, 3, 2, 6, 0, 10, tzinfo=UTC)
        assert report.sources[0].drift.unknown == {"somethingNew.a": 1}
        assert report.sources[0].splits == 1
        assert 0 < report.seconds < 600

    def test_second_run(self, tmp_path: Path) -> None:
        """A second run finds nothing new and writes nothing."""
        save(tmp_path / "logs" / "a.json.gz", map(record, range(10)))
        lake = ocsflake.Lake(tmp_path / "lake")
        ocsflake.run(trail(tmp_path / "logs"), lake)
        before = objects(lake.root)

        report = ocsflake.run(trail(tmp_path / "logs"), lake)

        assert report.counts == Counts()
        assert report.objects == ()
        assert before == objects(lake.root)

    def test_new_file(self, tmp_path: Path) -> None:
        """What came since is written, and no object of before is touched."""
        save(tmp_path / "logs" / "a.json.gz", map(record, range(10)))
        lake = ocsflake.Lake(tmp_path / "lake")
        ocsflake.run(trail(tmp_path / "logs"), lake)
        before = objects(lake.root)
        save(tmp_path / "logs" / "b.json.gz", map(record, range(10, 15)))

        report = ocsflake.run(trail(tmp_path / "logs"), lake)

        assert report.counts.written == 5
        assert events(range(15)) == rows(lake.root)
        assert before.items() <= objects(lake.root).items()

    def test_grown_file(self, tmp_path: Path) -> None:
        """Of text that grew, the new lines are read alone."""
        log = tmp_path / "flow.log"
        log.write_text(flows(1, 2))
        lake = ocsflake.Lake(tmp_path / "lake")
        source = ocsflake.source("files", log_type="aws.vpc_flow", uri=str(log))
        ocsflake.run(source, lake)
        log.write_text(flows(1, 2, 3))

        report = ocsflake.run(source, lake)

        assert report.counts.written == 1
        found = lake.query("SELECT src_endpoint.ip, count(*) FROM network_activity GROUP BY 1 ORDER BY 1")
        assert [tuple(row.values()) for row in found.to_pylist()] == [("10.0.0.1", 1), ("10.0.0.2", 1), ("10.0.0.3", 1)]

    def test_several_sources(self, tmp_path: Path) -> None:
        """Each source has its own log type, state and report."""
        save(tmp_path / "trail" / "a.json.gz", map(record, range(4)))
        (tmp_path / "flow.log").write_text(flows(1, 2, 3))
        lake = ocsflake.Lake(tmp_path / "lake")
        flow = ocsflake.source("files", log_type="aws.vpc_flow", uri=str(tmp_path / "flow.log"))

        report = ocsflake.run([trail(tmp_path / "trail"), flow], lake)

        assert [(r.log_type, r.counts.written) for r in report.sources] == [("aws.cloudtrail", 4), ("aws.vpc_flow", 3)]
        assert report.rows_by("source") == {("aws_cloudtrail_6003",): 4, ("aws_vpc_flow_4001",): 3}
        assert ocsflake.run(flow, lake).counts == Counts()

    def test_name_taken(self, tmp_path: Path) -> None:
        """Two sources of one name would share their state: that is a mistake."""
        with pytest.raises(ConfigError, match="two sources are called 'parts': give each a name="):
            ocsflake.run([Parts({}), Parts({}, "z"), Parts({}), Parts({}, "z")], ocsflake.Lake(tmp_path))

    @pytest.mark.parametrize("settings", [{"max_drift": -0.01}, {"max_drift": 1.01}, {"workers": 0}])
    def test_settings(self, tmp_path: Path, settings: dict[str, Any]) -> None:
        """A share is from 0 to 1, both included, and somebody must do the work; the error says what was given."""
        ((name, value),) = settings.items()

        with pytest.raises(ConfigError) as caught:
            ocsflake.run([], ocsflake.Lake(tmp_path), **settings)
        assert str(caught.value).startswith(f"{name} {value}: give ")
        for share in (0, 1):
            assert ocsflake.run([], ocsflake.Lake(tmp_path), max_drift=share, workers=1).counts == Counts()

    def test_asks_the_sink_before(self, tmp_path: Path) -> None:
        """A sink hears which classes may come, of its version, before anything is read; it may refuse them."""
        asked: list[tuple[str, list[str]]] = []

        class Picky(ocsflake.Lake):
            def check(self, stem: str, event_classes: Iterable[str]) -> None:
                asked.append((stem, sorted(event_classes)))
                if stem == "aws_vpc_flow":
                    raise ConfigError("no")

        sources = [Parts({"a": [record(1)]}, "one"), Parts({"b": []}, "two", "aws.vpc_flow")]

        with pytest.raises(ConfigError, match=r"^no$"):
            ocsflake.run(sources, Picky(tmp_path))

        classes = {event.event_class for event in registry.mapper("aws.cloudtrail").events if event.holds_in("1.1.0")}
        assert asked == [("aws_cloudtrail", sorted(classes)), ("aws_vpc_flow", ["network_activity"])]
        assert sources[0].reads == []

    @pytest.mark.parametrize(("naming", "waited"), [("class", [300.0]), ("log_type", [])])
    def test_who_shares_custom_sources(self, tmp_path: Path, naming: Any, waited: list[float]) -> None:
        """Commits to the same custom sources are apart: of one log type, or of all if they are named by class."""
        found: list[float | None] = []

        class Apart(ocsflake.Lake):
            min_commit_seconds = 300.0

        class Noting(threading.Event):
            def wait(self, timeout: float | None = None) -> bool:
                found.append(timeout)
                return False

        (tmp_path / "flow.log").write_text(flows(1))
        flow = ocsflake.source("files", log_type="aws.vpc_flow", uri=str(tmp_path / "flow.log"))
        now = datetime(2026, 3, 4, tzinfo=UTC)

        lake = Apart(tmp_path / "lake", naming=naming)
        ocsflake.run([Parts({"a": [record(1)]}), flow], lake, stop=Noting(), now=lambda: now)

        assert found == waited

    def test_secrets(self, tmp_path: Path) -> None:
        """What gives access is redacted, unless it is to be kept; what the caller names is so in any case."""
        answer = {"credentials": {"sessionToken": "hunter2"}}
        source = Parts({"a": [record(1, responseElements=answer)]})

        def found(name: str, **settings: Any) -> list[bool]:
            lake = ocsflake.Lake(tmp_path / name)
            ocsflake.run(source, lake, **settings)
            (text,) = (str(row) for row in lake.query("SELECT * FROM api_activity").to_pylist())
            return ["hunter2" in text, "clip-1" in text]

        assert found("a") == [False, True]
        assert found("b", keep_secrets=True, redact=["requestParameters.key"]) == [True, False]

    def test_unknown_log_type(self, tmp_path: Path) -> None:
        """A log type that nobody maps is an error before anything is read."""
        source = Parts({"a": [record(1)]}, log_type="aws.cloudtrial")

        with pytest.raises(NotRegisteredError, match=r"did you mean 'aws\.cloudtrail'"):
            ocsflake.run(source, ocsflake.Lake(tmp_path))

        assert source.reads == []

    def test_small_commits(self, tmp_path: Path) -> None:
        """However splits are gathered into commits, the same events are written."""
        for number in range(6):
            save(tmp_path / "logs" / f"{number}.json.gz", map(record, range(number * 10, number * 10 + 10)))
        lake = ocsflake.Lake(tmp_path / "lake")

        report = ocsflake.run(trail(tmp_path / "logs"), lake, commit_bytes=1)

        assert report.sources[0].splits == 6
        assert len(report.objects) == len(objects(lake.root))
        assert events(range(60)) == rows(lake.root)

    def test_many_rows(self, tmp_path: Path) -> None:
        """A batch of events that is larger than what is mapped at a time is whole in the lake."""
        log = tmp_path / "flow.log"
        log.write_text("".join(flows(*range(200)) for _ in range(225)))

        report = ocsflake.run(
            ocsflake.source("files", log_type="aws.vpc_flow", uri=str(log)), ocsflake.Lake(tmp_path / "lake")
        )

        assert report.counts == Counts(records=45_000, mapped=45_000, events=45_000, written=45_000)

    def test_nothing(self, tmp_path: Path) -> None:
        """No files, or files without records, are nothing to write."""
        save(tmp_path / "logs" / "a.json.gz", [])
        lake = ocsflake.Lake(tmp_path / "lake")

        assert ocsflake.run(trail(tmp_path / "logs"), lake).counts == Counts()
        assert ocsflake.run([], lake).counts == Counts()
        assert objects(lake.root) == {}


class TestTimes:
    def test_since_and_until(self, tmp_path: Path) -> None:
        """Events outside the bounds are counted as filtered; the first moment is in and the last is out."""
        save(tmp_path / "logs" / "a.json.gz", map(record, range(12)))
        lake = ocsflake.Lake(tmp_path / "lake")

        until = datetime(2026, 3, 2, 6, 0, 10, tzinfo=UTC)
        report = ocsflake.run(trail(tmp_path / "logs"), lake, since="2026-03-01T06:00:04Z", until=until)

        assert report.counts == Counts(records=12, mapped=12, events=12, written=8, filtered=4)
        assert events([2, 3, 4, 5, 6, 7, 8, 9]) == rows(lake.root)
        assert report.earliest == datetime(2026, 3, 1, 6, 0, 4, tzinfo=UTC)

    def test_age(self, tmp_path: Path) -> None:
        """An age counts back from the start of the run."""
        now = datetime.now(UTC)
        young, old = (f"{now - timedelta(hours=h):%Y-%m-%dT%H:%M:%SZ}" for h in (1, 3))
        save(tmp_path / "logs" / "a.json.gz", [record(1, eventTime=young), record(2, eventTime=old)])
        lake = ocsflake.Lake(tmp_path / "lake")

        report = ocsflake.run(trail(tmp_path / "logs"), lake, since="2h")

        assert (report.counts.written, report.counts.filtered) == (1, 1)
        assert events([1]) == rows(lake.root)

    def test_age_by_the_clock_of_the_run(self, tmp_path: Path) -> None:
        """Ages count from what the run is told the time is: those of `since`, and those that an event may have."""
        now = datetime(2026, 3, 2, 6, 0, 4, tzinfo=UTC)
        source = Parts({"a": [*map(record, range(4))]})

        settings: dict[str, Any] = {"now": lambda: now, "since": "1d", "max_age": "86403s", "max_ahead": "0s"}
        report = ocsflake.run(source, ocsflake.Lake(tmp_path / "lake"), rejects=tmp_path / "rejects", **settings)

        # Numbers 0 and 1 are of the day before, one more than 24 hours and 3 seconds ago.
        assert (report.counts.rejects, report.counts.filtered, report.counts.written) == (1, 1, 2)

    def test_what_no_clock_says(self, tmp_path: Path) -> None:
        """Unless it is told otherwise a run takes no event of more than 25 years ago, nor of more than a day ahead."""
        now = datetime(2026, 3, 4, tzinfo=UTC)
        times = [now + timedelta(hours=hours) for hours in (23, 25, -9124 * 24, -9126 * 24)]
        source = Parts({"a": [record(1, eventTime=f"{time:%Y-%m-%dT%H:%M:%SZ}") for time in times]})

        report = ocsflake.run(source, ocsflake.Lake(tmp_path / "lake"), rejects=tmp_path / "rejects", now=lambda: now)

        assert (report.counts.written, report.counts.rejects) == (2, 2)
        assert [report.earliest, report.latest] == [times[2], times[0]]

    def test_narrowed(self, tmp_path: Path) -> None:
        """A source that can leave out what is outside is told the bounds."""
        told: list[Any] = []

        class Narrow(Parts):
            def between(self, since: datetime | None, until: datetime | None) -> Source:
                told.append((since, until))
                return Parts({"b": [record(2)]})

        since, until = (datetime(2026, 3, day, tzinfo=UTC) for day in (1, 3))

        report = ocsflake.run(Narrow({"a": [record(1)]}), ocsflake.Lake(tmp_path), since=since, until=until)
        found = ocsflake.read(Narrow({"a": [record(1)]}), since=since, until=until)

        assert told == [(since, until)] * 2
        assert report.counts.written == 1
        assert events([2]) == rows(tmp_path)
        assert [row["uid"] for row in found["api_activity"]["metadata"].to_pylist()] == ["event-2"]

    def test_nothing_left(self, tmp_path: Path) -> None:
        """Where all events are outside there are no objects, and no times in the report."""
        save(tmp_path / "logs" / "a.json.gz", map(record, range(12)))
        lake = ocsflake.Lake(tmp_path / "lake")

        report = ocsflake.run(trail(tmp_path / "logs"), lake, since="2030-01-01")

        assert report.counts == Counts(records=12, mapped=12, events=12, filtered=12)
        assert (report.objects, report.earliest, report.latest) == ((), None, None)


class TestCheckpoints:
    def test_default(self, tmp_path: Path) -> None:
        """A lake in a directory keeps the state inside, outside of the tree that readers see."""
        save(tmp_path / "logs" / "a.json.gz", [record(1)])
        source, lake = trail(tmp_path / "logs"), ocsflake.Lake(tmp_path / "lake")

        ocsflake.run(source, lake)

        doc, _ = FileCheckpoints(tmp_path / "lake" / ".ocsflake" / "checkpoints.db").load(source.name)
        assert doc is not None
        assert (doc["format"], doc["intent"], len(doc["state"]["files"])) == (1, None, 1)

    @pytest.mark.parametrize("kind", [str, os.fspath, FileCheckpoints, lambda path: path])
    def test_given(self, tmp_path: Path, kind: Any) -> None:
        """Checkpoints are given as a path or as a store."""
        save(tmp_path / "logs" / "a.json.gz", [record(1)])
        store = kind(tmp_path / "state.db")
        ocsflake.run(trail(tmp_path / "logs"), ocsflake.Lake(tmp_path / "lake"), checkpoints=store)

        report = ocsflake.run(trail(tmp_path / "logs"), ocsflake.Lake(tmp_path / "other"), checkpoints=store)

        assert report.counts == Counts()
        assert (tmp_path / "state.db").exists()
        assert not (tmp_path / "lake" / ".ocsflake" / "checkpoints.db").exists()

    def test_in_s3(self) -> None:
        """A lake in a bucket keeps them below its root, with its own client; Security Lake has no place for them."""
        lake = ocsflake.Lake("s3://bucket/lake", client=object())
        other = ocsflake.Lake("s3://bucket/lake", session=boto3.Session(region_name="us-east-1"))
        registered = (CustomSource("ocsf_6003", "api_activity", "s3://bucket/lake/ext/ocsf_6003/"),)

        for given, uri in ((None, "s3://bucket/lake/.ocsflake/checkpoints/"), ("s3://mine/state", "s3://mine/state/")):
            for each in (lake, other):
                store = pipeline._store(given, each)
                assert isinstance(store, S3Checkpoints)
                assert (store.uri, store.client, store.session) == (uri, each.client, each.session)
        with pytest.raises(ConfigError, match=r"^s3://bucket/lake/ belongs to Security Lake .*\(checkpoints=\)"):
            ocsflake.run([], ocsflake.Lake("s3://bucket/lake", custom_sources=registered))

    def test_other_sink(self, tmp_path: Path) -> None:
        """A sink that is no directory has no place for state: every run starts anew."""

        @define
        class Elsewhere:
            lake: ocsflake.Lake
            ocsf_version: str = "1.1.0"

            def begin(self, commit_id: str) -> Any:
                return self.lake.begin(commit_id)

        sink = Elsewhere(ocsflake.Lake(tmp_path / "lake"))
        source = Parts({"a": [record(1)]})

        assert [ocsflake.run(source, sink).counts.written for _ in range(2)] == [1, 1]
        assert events([1]) == rows(tmp_path / "lake")
        assert isinstance(pipeline._store(f"{tmp_path}/state.db", sink), FileCheckpoints)
        assert pipeline._store("s3://mine/state", sink) == S3Checkpoints("s3://mine/state")


class TestProgress:
    def test_calls(self, tmp_path: Path) -> None:
        """After each commit the caller hears how far the run is."""
        sources = [Parts({"a": [record(1), record(2)], "b": [record(3)]}, "one"), Parts({"c": [record(4)]}, "two")]
        heard: list[Progress] = []

        ocsflake.run(sources, ocsflake.Lake(tmp_path), progress=heard.append, commit_bytes=1)

        assert [(p.source, p.splits, p.bytes, p.counts.written) for p in heard] == [
            ("one", 1, 1, 2),
            ("one", 2, 2, 3),
            ("two", 1, 1, 4),
        ]
        moments = [datetime(2026, 3, day, 6, 0, second, tzinfo=UTC) for day, second in ((2, 2), (2, 3), (2, 3))]
        assert [p.latest for p in heard] == moments


class TestReport:
    """What a run says of commits, which are those of the test."""

    @staticmethod
    def outcome(first: int, count: int, **more: Any) -> Outcome:
        """A commit with so many objects, failures and reasons, numbered from the first on."""
        numbers = range(first, first + count)
        report = SourceReport(
            "parts",
            "aws.cloudtrail",
            Counts(records=count, rejects=count),
            splits=2,
            reasons={("time", "often"): 5, **{("time", str(number)): 1 for number in numbers}},
            drift=Drift(count, {"token": count}),
            failures=tuple(Failure(str(number), "no") for number in numbers),
        )
        objects = [ObjectWritten(str(number), "s", "c", "a", "20260301", 1, 3) for number in numbers]
        return Outcome(report, objects, **more)

    def test_added_up(self, tmp_path: Path) -> None:
        """Numbers are added up; of objects, reasons and failures as many are kept as a report may hold."""
        heard: list[Progress] = []
        outcomes = [
            self.outcome(0, 6_000),
            self.outcome(6_000, 5_000, span=(5_000, 9_000), bytes=7),
            self.outcome(10_999, 1, span=(2_000, 8_000), bytes=2),
        ]

        report = ocsflake.run(
            Parts({}), ocsflake.Lake(tmp_path), commits=lambda _: iter(outcomes), progress=heard.append
        )

        (found,) = report.sources
        assert report.counts == Counts(records=11_001, rejects=11_001)
        assert 0 < report.seconds < 600
        assert (found.splits, found.drift.records, found.drift.unknown) == (6, 11_001, {"token": 11_001})
        assert [item.key for item in report.objects] == [str(number) for number in [*range(1_001, 11_000), 10_999]]
        assert report.rows_by("source") == {("s",): 11_001}
        assert (len(found.reasons), found.reasons["time", "often"]) == (10_000, 15)
        assert [failure.split for failure in found.failures] == [str(number) for number in range(1_000, 11_000)]
        moments = [datetime(1970, 1, 1, 0, 0, second, tzinfo=UTC) for second in (2, 9)]
        assert [report.earliest, report.latest] == moments
        assert [(p.splits, p.bytes, p.latest) for p in heard] == [(2, 0, None), (4, 7, moments[1]), (6, 9, moments[1])]

    def test_turns(self, tmp_path: Path) -> None:
        """Who has committed lets the others go first; where nobody has, the run waits a quarter of a minute."""
        stop, asked = Waits(lambda: None), []

        def commits(job: Job) -> Iterator[Outcome]:
            asked.append(job.source.name)
            if len(asked) == 1:
                yield self.outcome(0, 1)
                yield Outcome(SourceReport("a", "aws.cloudtrail"))

        sources = [Parts({}, name) for name in "abc"]
        ocsflake.run(sources, ocsflake.Lake(tmp_path), commits=commits, follow=True, stop=stop)

        assert "".join(asked) == "abc" + "bca" * 2
        assert stop.waited == [15.0, 15.0]

    def test_stopped_between_sources(self, tmp_path: Path) -> None:
        """A run that is stopped in one source does not begin the next one."""
        stop, asked = threading.Event(), []

        def commits(job: Job) -> Iterator[Outcome]:
            asked.append(job.source.name)
            stop.set()
            yield self.outcome(0, 1)

        sources = [Parts({}, name) for name in "ab"]
        report = ocsflake.run(sources, ocsflake.Lake(tmp_path), commits=commits, stop=stop)

        assert asked == ["a"]
        assert [each.counts.records for each in report.sources] == [1, 0]


class Waits(threading.Event):
    """A stop event that does something each time the run waits for more, and is set when there is no more to do."""

    def __init__(self, *doings: Any) -> None:
        super().__init__()
        self.doings = list(doings)
        self.waited: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waited.append(timeout)
        if self.doings:
            self.doings.pop(0)()
        else:
            self.set()
        return self.is_set()


class TestFollow:
    def test_follow(self, tmp_path: Path) -> None:
        """A run that follows writes what comes while it waits, and ends when it is told to."""
        logs = tmp_path / "logs"
        save(logs / "a.json.gz", [record(1)])
        stop = Waits(
            lambda: save(logs / "b.json.gz", [record(2)]), lambda: None, lambda: save(logs / "c.json.gz", [record(3)])
        )

        report = ocsflake.run(trail(logs), ocsflake.Lake(tmp_path / "lake"), follow=True, stop=stop)

        assert (report.sources[0].splits, report.counts.written) == (3, 3)
        assert events([1, 2, 3]) == rows(tmp_path / "lake")

    def test_gathers(self, tmp_path: Path) -> None:
        """What comes soon after a commit waits for more, unless it is large; a run that does not follow takes it."""
        now = datetime(2026, 3, 4, tzinfo=UTC)
        source = Parts({"a": [record(1)]})
        settings: dict[str, Any] = {"checkpoints": MemoryCheckpoints(), "now": lambda: now, "commit_seconds": 60}

        def come(number: int) -> None:
            source.parts[f"p{number}"] = [record(number)]

        stop, lake = Waits(lambda: come(2), lambda: come(3)), ocsflake.Lake(tmp_path)
        assert ocsflake.run(source, lake, follow=True, stop=stop, **settings).counts.written == 1
        assert ocsflake.run(source, lake, **settings).counts.written == 2
        source.parts["c"] = [record(4)]
        assert ocsflake.run(source, lake, follow=True, stop=Waits(), commit_bytes=1, **settings).counts.written == 1

    def test_stop(self, tmp_path: Path) -> None:
        """A run that is stopped ends after the commit under way; the rest is left for the next run."""
        lake, store, stop = ocsflake.Lake(tmp_path), MemoryCheckpoints(), threading.Event()
        source = Parts({"a": [record(1)], "b": [record(2)], "c": [record(3)]})

        def heard(_: Progress) -> None:
            stop.set()

        report = ocsflake.run(source, lake, checkpoints=store, stop=stop, progress=heard, commit_bytes=1)

        assert report.counts.written == 1
        assert events([1]) == rows(lake.root)
        assert ocsflake.run(source, lake, checkpoints=store).counts.written == 2
        assert events([1, 2, 3]) == rows(lake.root)

    def test_stop_while_it_reads(self, tmp_path: Path) -> None:
        """A run that is told to stop while it reads a commit drops what it has read, and saves nothing of it."""
        lake, store, stop = ocsflake.Lake(tmp_path), MemoryCheckpoints(), threading.Event()

        class Endless(Parts):
            def read(self, split: Split) -> Iterator[RawBatch]:
                for number in count():
                    stop.set()
                    yield RawBatch([json.dumps(record(number)).encode()] * 1_000)

        report = ocsflake.run(Endless({"a": []}), lake, checkpoints=store, stop=stop)

        assert (report.counts, report.failures) == (Counts(), [])
        assert store.load("parts") == (None, None)
        assert ocsflake.run(Parts({"a": [record(1)]}), lake, checkpoints=store).counts.written == 1

    def test_stop_while_it_lists(self, tmp_path: Path) -> None:
        """A listing that goes on and on ends as well."""
        stop = threading.Event()

        class Endless(Parts):
            def plan(self, state: State | None, now: datetime) -> Iterator[Split]:
                for number in count():
                    stop.set()
                    yield Split(str(number), bytes=0)

        report = ocsflake.run(Endless({}), ocsflake.Lake(tmp_path), stop=stop)

        assert report.counts == Counts()


class TestOverlaps:
    @pytest.mark.parametrize("commit_bytes", [1, 100])
    def test_duplicates(self, tmp_path: Path, commit_bytes: int) -> None:
        """A record that comes twice is written once, within a commit as across commits, and counted."""
        source = Overlapping({"a": [record(1), record(2)], "b": [record(2), record(3)]})

        report = ocsflake.run(source, ocsflake.Lake(tmp_path), commit_bytes=commit_bytes)

        assert report.counts == Counts(records=4, mapped=3, duplicates=1, events=3, written=3)
        assert events([1, 2, 3]) == rows(tmp_path)

    def test_forgotten(self, tmp_path: Path) -> None:
        """The checkpoint keeps the ids of a split until the source says that they cannot come again."""
        store = MemoryCheckpoints()
        source = Overlapping({"a": [record(1)], "b": [record(2)]})

        ocsflake.run(source, ocsflake.Lake(tmp_path), checkpoints=store, commit_bytes=1)

        doc, _ = store.load("parts")
        assert doc is not None
        assert [entry[0] for entry in doc["seen"]] == ["b"]

    def test_all_duplicates(self, tmp_path: Path) -> None:
        """A split of nothing but known records moves the state on and writes nothing."""
        store, lake = MemoryCheckpoints(), ocsflake.Lake(tmp_path)
        source = Overlapping({"a": [record(1)]})
        ocsflake.run(source, lake, checkpoints=store)
        source.parts["b"] = [record(1)]

        report = ocsflake.run(source, lake, checkpoints=store)

        assert report.counts == Counts(records=1, duplicates=1)
        assert events([1]) == rows(tmp_path)
        assert ocsflake.run(source, lake, checkpoints=store).counts == Counts()


class TestRead:
    def test_same_as_run(self, tmp_path: Path) -> None:
        """What is read into memory is what a run writes."""
        save(tmp_path / "logs" / "a.json.gz", [*map(record, range(40)), bad(99)])
        lake = ocsflake.Lake(tmp_path / "lake")
        ocsflake.run(trail(tmp_path / "logs"), lake, rejects=tmp_path / "rejects")

        found = ocsflake.read(trail(tmp_path / "logs"))

        assert list(found) == ["api_activity", "authentication"]
        assert found.rejects.num_rows == 1
        for event_class, uid in (("api_activity", 6003), ("authentication", 3002)):
            written = pa.concat_tables(
                pq.ParquetFile(path).read()
                for path in (tmp_path / "lake" / "ext" / f"aws_cloudtrail_{uid}").rglob("*.parquet")
            )
            assert _by_id(written) == _by_id(found[event_class])
            assert written.schema.names == found[event_class].schema.names

    def test_bounds(self, tmp_path: Path) -> None:
        """Events outside of the bounds are left out."""
        save(tmp_path / "logs" / "a.json.gz", map(record, range(8)))

        found = ocsflake.read(trail(tmp_path / "logs"), since="2026-03-02", until="2026-03-02T06:00:06Z")

        assert sorted(row["uid"] for row in found["api_activity"]["metadata"].to_pylist()) == ["event-2", "event-3"]

    def test_as_if_for_the_first_time(self) -> None:
        """All there is is read, up to now, and an age counts from now."""
        planned: list[Any] = []

        class Asked(Parts):
            def plan(self, state: State | None, now: datetime) -> Iterator[Split]:
                planned.append((state, now))
                return super().plan(state, now)

        before = datetime.now(UTC)
        young, old = (f"{before - timedelta(hours=h):%Y-%m-%dT%H:%M:%SZ}" for h in (1, 3))
        source = Asked({"a": [record(1, eventTime=young), record(2, eventTime=old)]})

        found = ocsflake.read(source, since="2h")

        assert [row["uid"] for row in found["api_activity"]["metadata"].to_pylist()] == ["event-1"]
        ((state, now),) = planned
        assert state is None
        assert before <= now <= datetime.now(UTC)

    def test_version(self, tmp_path: Path) -> None:
        """The OCSF version is the caller's choice."""
        save(tmp_path / "logs" / "a.json.gz", [record(1)])

        found = ocsflake.read(trail(tmp_path / "logs"), ocsf_version="1.3.0")

        assert [row["version"] for row in found["api_activity"]["metadata"].to_pylist()] == ["1.3.0"]

    def test_duplicates(self) -> None:
        """A record that comes twice is read once."""
        found = ocsflake.read(Overlapping({"a": [record(1), record(2)], "b": [record(2), record(3)]}))

        assert Counter({"api_activity": 3}) == Counter({name: table.num_rows for name, table in found.items()})


def _by_id(table: pa.Table) -> list[dict[str, Any]]:
    return sorted(table.to_pylist(), key=lambda row: row["metadata"]["uid"])
