"""One commit, step by step: what is saved before and after it, what it tells, and what a repeat of it takes."""

from __future__ import annotations

import json
import logging
import threading
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import pytest
from attrs import define

import ocsflake
from ocsflake import registry
from ocsflake.checkpoints import MemoryCheckpoints
from ocsflake.commits import Job, new_commits
from ocsflake.errors import ConfigError, DriftError, RejectedRecordsError, SourceError
from ocsflake.marks import mark_of, pack
from ocsflake.model import RawBatch, Split
from ocsflake.pace import Pace
from ocsflake.times import Window
from pipeline_logs import Overlapping, Parts, bad, events, objects, record, rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from ocsflake.commits import Outcome
    from ocsflake.model import State

NOW = datetime(2026, 3, 4, tzinfo=UTC)


def ms(moment: datetime) -> int:
    """Milliseconds since 1970."""
    return int(moment.timestamp()) * 1_000


def at(number: int) -> int:
    """The time of the record of this number."""
    return ms(datetime(2026, 3, 1 + number // 2 % 2, 6, 0, number, tzinfo=UTC))


class Noted(MemoryCheckpoints):
    """Checkpoints that note each save: the document, the revision that it names, and the new one."""

    SAVES: list[tuple[Any, str | None, str]]

    def save(self, name: str, doc: Mapping[str, Any], revision: str | None) -> str:
        assert name == "parts"
        new = super().save(name, doc, revision)
        self.SAVES.append((json.loads(json.dumps(doc)), revision, new))
        return new


def noted() -> tuple[Noted, list[tuple[Any, str | None, str]]]:
    """Return checkpoints, and where they note what is saved."""
    saves: list[tuple[Any, str | None, str]] = []
    return type("Noted", (Noted,), {"SAVES": saves})(), saves


def commit(source: Any, lake: Any, **settings: Any) -> list[Outcome]:
    """Run a source, and return what its commits did."""
    found: list[Outcome] = []

    def commits(job: Job) -> Iterator[Outcome]:
        for outcome in new_commits(job):
            found.append(outcome)
            yield outcome

    ocsflake.run(source, lake, commits=commits, **{"now": lambda: NOW, **settings})
    return found


@define
class Windows(Overlapping):
    """Splits that have a detail, the first of them a size as well."""

    def plan(self, state: State | None, now: datetime) -> Iterator[Split]:
        done = (state or {}).get("done", ())
        for place, name in enumerate(name for name in self.parts if name not in done):
            yield Split(name, {"name": name}, None if place else 5)


class TestOneCommit:
    @pytest.fixture
    def source(self) -> Windows:
        odd = record(2, token="x")
        return Windows({"a": [record(1), odd, record(1)], "b": [odd, bad(3), record(6)]})

    def test_what_it_did(self, tmp_path: Path, source: Windows) -> None:
        """The outcome has all numbers, the objects, and the times of what was written."""
        lake = ocsflake.Lake(tmp_path / "lake")

        (found,) = commit(source, lake, rejects=tmp_path / "rejects", since="2026-03-02")

        report = found.report
        assert (report.source, report.log_type, report.splits, report.failures) == ("parts", "aws.cloudtrail", 2, ())
        assert report.counts == ocsflake.report.Counts(
            records=6, mapped=3, rejects=1, duplicates=2, events=3, written=2, filtered=1
        )
        assert [(attribute, number) for (attribute, _), number in report.reasons.items()] == [("time", 1)]
        assert (report.drift.records, dict(report.drift.unknown)) == (1, {"token": 1})
        assert (found.span, found.bytes) == ((at(2), at(6)), 5)
        assert {item.key.removeprefix("ext/") for item in found.objects} == objects(lake.root).keys()

    def test_what_is_saved(self, tmp_path: Path, source: Windows) -> None:
        """First all that a repeat of it needs, beside the state of before; then the state of after."""
        store, saves = noted()
        lake = ocsflake.Lake(tmp_path / "lake", region="eu-west-1")
        settings = {"since": "2026-03-02", "until": "2026-03-03", "max_age": "30d", "max_ahead": "2d"}

        commit(source, lake, checkpoints=store, rejects=tmp_path / "rejects", **settings)

        (before, no_revision, first), (after, second, _) = saves
        assert (no_revision, second) == (None, first)
        assert (before["format"], before.get("state")) == (1, None)
        assert before["intent"] == {
            "splits": [["a", {"name": "a"}, 5], ["b", {"name": "b"}, None]],
            "records": 4,
            "ids": {
                name: pack(mark_of(f"event-{number}") for number in numbers)
                for name, numbers in {"a": (1, 2), "b": (3, 6)}.items()
            },
            "bounds": [ms(NOW - timedelta(days=30)), ms(NOW + timedelta(days=2)) + 1],
            "since": ms(datetime(2026, 3, 2, tzinfo=UTC)),
            "until": ms(datetime(2026, 3, 3, tzinfo=UTC)),
            "places": {
                "root": str(tmp_path / "lake"),
                "region": "eu-west-1",
                "naming": "log_type",
                "ocsf_version": "1.1.0",
                "rejects": str(tmp_path / "rejects"),
            },
        }
        seen = after.pop("seen")
        assert [entry[:2] for entry in seen] == [["b", {"name": "b"}]]
        assert after == {"format": 1, "state": {"done": ["a", "b"]}, "intent": None, "published": ms(NOW)}

    def test_without_rejects(self, tmp_path: Path) -> None:
        """A commit that has no rejects does not keep to their place, and a sink need not have any of its own."""
        store, saves = noted()

        @define
        class Elsewhere:
            lake: ocsflake.Lake
            ocsf_version: str = "1.1.0"

            def begin(self, commit_id: str) -> Any:
                return self.lake.begin(commit_id)

        sink = Elsewhere(ocsflake.Lake(tmp_path / "lake"))
        commit(Parts({"a": [record(1)]}), sink, checkpoints=store, rejects=tmp_path / "rejects", max_age=None)

        intent = saves[0][0]["intent"]
        assert intent["places"] == {**dict.fromkeys(("root", "region", "naming", "rejects")), "ocsf_version": "1.1.0"}
        assert (intent["bounds"][0], intent["since"], intent["until"]) == (None, None, None)

    def test_its_name(self, tmp_path: Path) -> None:
        """It depends on the source and its splits alone, in every version, so that a repeat replaces objects."""
        asked = []

        class Asked(ocsflake.Lake):
            def begin(self, commit_id: str) -> Any:
                asked.append(commit_id)
                return super().begin(commit_id)

        commit(Parts({"a": [record(1)], "b": [record(2)]}), Asked(tmp_path))

        assert asked == [blake2b(b"parts\0a\0b", digest_size=16).hexdigest()]

    def test_of_nothing(self, tmp_path: Path) -> None:
        """Where nothing can be read the outcome has the failures alone."""
        broken = {name: SourceError(f"no {name}", source="parts", split=name) for name in "abc"}

        (found,) = commit(Parts({**broken}), ocsflake.Lake(tmp_path))

        assert (found.objects, found.span, found.bytes, found.report.splits) == ((), None, 0, 0)
        assert (found.report.source, found.report.log_type) == ("parts", "aws.cloudtrail")
        assert [(each.split, each.error) for each in found.report.failures] == [
            ("a", "no a"),
            ("b", "no b"),
            ("c", "no c"),
        ]

    def test_several_batches(self, tmp_path: Path) -> None:
        """What is mapped in several pieces is added up, and the times are those of all."""

        class Many(Parts):
            def read(self, split: Split) -> Iterator[RawBatch]:
                yield from super().read(split)
                if split.id == "b":  # 16,000 records are mapped at a time
                    line = json.dumps(record(2, requestParameters=None)).encode() + b"\n"
                    yield RawBatch(line * 16_000)

        parts: dict[str, Any] = {
            "a": [record(3, token="x"), bad(1)],
            "b": [record(9, token="x")],
            "c": [record(4, token="x"), bad(2)],
        }

        (found,) = commit(Many(parts), ocsflake.Lake(tmp_path / "lake"), rejects=tmp_path / "rejects")

        counts = found.report.counts
        assert (counts.records, counts.mapped, counts.rejects, counts.written) == (16_005, 16_003, 2, 16_003)
        assert list(found.report.reasons.values()) == [2]
        assert found.report.drift.records == 3
        assert found.span == (at(4), at(3))

    def test_defaults(self, tmp_path: Path) -> None:
        """A job that is given no more than it needs has no bounds."""
        source, stop = Parts({"a": [record(1), record(2, token="x")]}), threading.Event()
        pace = Pace(commit_bytes=None, commit_seconds=0, apart=0, follow=False, stop=stop)
        mapper = registry.mapper("aws.cloudtrail")

        job = Job(source, mapper, ocsflake.Lake(tmp_path), MemoryCheckpoints(), None, Window(), pace)

        assert [outcome.report.counts.written for outcome in new_commits(job)] == [2]


class TestRefused:
    def test_nowhere_to_go(self, tmp_path: Path) -> None:
        """The message has the number of rejects, and of the first of them the place and the reason."""
        source = Parts({"a": [bad(1), record(2, eventTime="soon"), *[bad(3)] * 999]})

        with pytest.raises(RejectedRecordsError) as caught:
            commit(source, ocsflake.Lake(tmp_path))

        text = str(caught.value)
        assert text.startswith(
            "parts: 1,001 records were rejected and have nowhere to go; the first, from parts: time: "
        )
        assert "soon" not in text
        assert text.endswith(". Give a folder for them (rejects=, --rejects)")

    def test_drift(self, tmp_path: Path) -> None:
        """The share is that of the records that are no duplicates; the very share that is allowed is allowed."""
        source = Overlapping({"a": [record(1, token="x"), record(2), record(2), record(2)]})

        with pytest.raises(
            DriftError, match=r"parts: 1 of 2 records .* mapper of aws\.cloudtrail .* max_drift=0\.4 allows"
        ):
            commit(source, ocsflake.Lake(tmp_path), max_drift=0.4)

        (found,) = commit(source, ocsflake.Lake(tmp_path), max_drift=0.5)
        assert found.report.counts.written == 2


class Breaking(Parts):
    """A source at whose commit the run ends, after it was published."""

    def advance(self, state: State | None, done: Sequence[Split]) -> State:
        raise ZeroDivisionError


class TestRepeated:
    def interrupted(self, lake: Any, parts: dict[str, Any], **settings: Any) -> MemoryCheckpoints:
        """Return what an interrupted commit left."""
        store = MemoryCheckpoints()
        with pytest.raises(ZeroDivisionError):
            commit(Breaking(parts), lake, checkpoints=store, **settings)
        return store

    def test_with_its_own_times(self, tmp_path: Path) -> None:
        """It has the bounds that it had, however late it is; what comes after it has those of now."""
        lake = ocsflake.Lake(tmp_path / "lake")
        parts: dict[str, Any] = {"a": [*map(record, range(8))]}
        between = {"since": "2026-03-01T06:00:01Z", "until": "2026-03-02T06:00:06Z"}
        store = self.interrupted(lake, parts, max_age="10d", **between)
        before = objects(lake.root)
        parts["b"] = [record(9)]

        later = {"now": lambda: NOW + timedelta(days=90), "max_age": "10d", "rejects": tmp_path / "rejects"}
        first, second = commit(Parts(parts), lake, checkpoints=store, **later)

        counts = first.report.counts
        assert (counts.written, counts.filtered, counts.rejects) == (5, 3, 0)
        assert second.report.counts.rejects == 1
        assert objects(lake.root) == before
        assert events(range(1, 6)) == rows(lake.root)

    def test_of_an_earlier_version(self, tmp_path: Path) -> None:
        """An intent without bounds has none."""
        lake = ocsflake.Lake(tmp_path)
        parts: dict[str, Any] = {"a": [record(1)]}
        store = self.interrupted(lake, parts)
        doc, revision = store.load("parts")
        assert doc is not None
        del doc["intent"]["bounds"]
        store.save("parts", doc, revision)

        (found,) = commit(Parts(parts), lake, checkpoints=store, now=lambda: NOW + timedelta(days=9999))

        assert (found.report.counts.written, found.report.counts.rejects) == (1, 0)

    def test_elsewhere(self, tmp_path: Path) -> None:
        """All that changed is named."""
        parts: dict[str, Any] = {"a": [record(1)]}
        store = self.interrupted(ocsflake.Lake(tmp_path), parts)
        other = ocsflake.Lake(tmp_path, region="eu-west-1", naming="class")

        words = r"^parts: .* writes elsewhere: region was 'us-east-1' and is 'eu-west-1', naming was 'log_type' and is"
        with pytest.raises(ConfigError, match=words):
            commit(Parts(parts), other, checkpoints=store)

    @pytest.mark.parametrize(
        ("mutable", "records", "words"),
        [
            (True, [1], None),
            (False, [1], "there were 2 of them, and now there are 1"),
            (None, [1], "there were 2 of them, and now there are 1"),
            (True, [1, 2], None),
            (False, [1, 2], None),
            (None, [1, 2], None),
            (True, [1, 2, 3], "there were 2 of them, and now there are 3"),
        ],
    )
    def test_other_records(self, tmp_path: Path, mutable: bool | None, records: list[int], words: str | None) -> None:
        """A source whose records change may have fewer of them, any other as many as it had, and none may have more."""
        store = self.interrupted(ocsflake.Lake(tmp_path), {"a": [record(1), record(2)]})
        kind = Parts if mutable is None else type("Changing", (Parts,), {"mutable": mutable})
        source = kind({"a": [*map(record, records)]})

        if words is None:
            (found,) = commit(source, ocsflake.Lake(tmp_path), checkpoints=store)
            assert found.report.counts.written == len(records)
        else:
            with pytest.raises(SourceError, match=f"^parts: an earlier run was interrupted .* but {words}. Put back"):
                commit(source, ocsflake.Lake(tmp_path), checkpoints=store)

    def test_what_cannot_be_read(self, tmp_path: Path) -> None:
        """A split of it that is gone is an error with its name, and is not left out."""
        store = self.interrupted(ocsflake.Lake(tmp_path), {"a": [record(1)], "b": [record(2)]})
        source = Parts({"a": [record(1)], "b": SourceError("b is gone", source="parts", split="b")})

        with pytest.raises(SourceError, match=r"^parts: .* but b is gone\. Put back") as caught:
            commit(source, ocsflake.Lake(tmp_path), checkpoints=store)

        assert (caught.value.source, caught.value.split) == ("parts", "b")


class TestWaiting:
    def test_for_the_one_before(self, tmp_path: Path) -> None:
        """A commit waits for that of an earlier run, if it has events; one that is stopped meanwhile saves nothing."""
        waited: list[float | None] = []

        class Apart(ocsflake.Lake):
            min_commit_seconds = 300.0

        class Waits(threading.Event):
            def wait(self, timeout: float | None = None) -> bool:
                waited.append(timeout)
                return len(waited) > 1

        lake, source = Apart(tmp_path), Parts({"a": [record(1)]})
        store, saves = noted()
        for number, since in ((1, None), (2, "2030-01-01"), (3, None), (4, None)):
            source.parts[f"n{number}"] = [record(number)]
            found = commit(source, lake, checkpoints=store, since=since, stop=Waits())

        assert waited == [300.0, 300.0]
        assert found == []
        assert len(saves) == 6
        assert events([1, 1, 3]) == rows(tmp_path)


class TestTold:
    def test_fields(self, caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
        """A line for each commit and each failure, with the numbers as fields."""
        caplog.set_level(logging.INFO, logger="ocsflake.commits")
        broken = SourceError("no b", source="parts", split="b")
        source = Parts({"a": [record(1), record(2, token="x"), bad(3)], "b": broken})

        (found,) = commit(source, ocsflake.Lake(tmp_path / "lake"), rejects=tmp_path / "rejects")

        failure, done = caplog.records
        assert failure.getMessage() == "parts: left for the next run: no b"
        told = failure.__dict__
        assert (told["source"], told["log_type"], told["split"], told["error"]) == (
            "parts",
            "aws.cloudtrail",
            "b",
            "no b",
        )
        told = done.__dict__
        fields = {
            "source": "parts",
            "log_type": "aws.cloudtrail",
            "records": 3,
            "events": 2,
            "rejects": 1,
            "duplicates": 0,
            "drifted": 1,
            "read": 1,
            "written": sum(item.bytes for item in found.objects),
            "commits": 1,
            "failures": 1,
            "splits": 1,
            "lag": (ms(NOW) - at(2)) / 1_000,
        }
        assert {name: told.get(name) for name in fields} == fields
        assert 0 < told["seconds"] < 60
        assert told["seconds"] == round(told["seconds"], 3)
        words = "parts: 3 records of 1 splits are 2 events and 1 rejects, after "
        assert done.getMessage() == f"{words}{told['seconds']:.1f} s"

    @pytest.mark.parametrize(("since", "number", "lag"), [("2030-01-01", 1, None), (None, 2, 0.0)])
    def test_lag(self, caplog: pytest.LogCaptureFixture, tmp_path: Path, since: Any, number: int, lag: Any) -> None:
        """Without events there is no lag, and none is negative."""
        caplog.set_level(logging.INFO, logger="ocsflake.commits")
        now = datetime(2026, 3, 2, 5, tzinfo=UTC)

        commit(Parts({"a": [record(number)]}), ocsflake.Lake(tmp_path), since=since, now=lambda: now)

        (done,) = caplog.records
        assert done.__dict__["lag"] == lag

    def test_nothing(self, caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
        """Where nothing could be read there is no commit to tell of."""
        caplog.set_level(logging.INFO, logger="ocsflake.commits")

        commit(Parts({"a": SourceError("no", source="parts", split="a")}), ocsflake.Lake(tmp_path))

        assert [entry.levelname for entry in caplog.records] == ["WARNING"]
