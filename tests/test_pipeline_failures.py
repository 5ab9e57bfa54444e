"""Runs that meet trouble: nothing is lost, nothing is doubled, and the message says what to do."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from attrs import define, evolve

import ocsflake
from ocsflake.checkpoints import MemoryCheckpoints
from ocsflake.errors import CheckpointConflictError, ConfigError, LakeError, RejectedRecordsError, SourceError
from ocsflake.report import Counts
from pipeline_logs import Overlapping, Parts, bad, events, objects, record, rows, save

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from ocsflake.model import Commit, EventBatch, ObjectWritten, RawBatch, Source, Split, State


def trail(folder: Path) -> Source:
    return ocsflake.source("files", log_type="aws.cloudtrail", uri=str(folder))


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


class TestBrokenSplits:
    def test_truncated_file(self, tmp_path: Path) -> None:
        """A file that breaks off is reported, leaves no event behind, and does not stop the others."""
        logs, lake = tmp_path / "logs", ocsflake.Lake(tmp_path / "lake")
        for number in range(3):
            save(logs / f"{number}.json.gz", map(record, range(number * 10, number * 10 + 10)))
        truncate(logs / "1.json.gz")

        report = ocsflake.run(trail(logs), lake)

        assert [failure.split.split("#")[0] for failure in report.failures] == [(logs / "1.json.gz").as_uri()]
        assert f"{(logs / '1.json.gz').as_uri()}: cannot be read as gzip" in report.failures[0].error
        assert "not read: file:///" in str(report)
        assert report.sources[0].splits == 2
        assert events([*range(10), *range(20, 30)]) == rows(lake.root)

    def test_mended_file(self, tmp_path: Path) -> None:
        """A broken file is tried again by each run, and read once when it is whole."""
        logs, lake = tmp_path / "logs", ocsflake.Lake(tmp_path / "lake")
        save(logs / "a.json.gz", map(record, range(10)))
        truncate(logs / "a.json.gz")

        reports = [ocsflake.run(trail(logs), lake) for _ in range(2)]
        save(logs / "a.json.gz", map(record, range(10)))
        reports += [ocsflake.run(trail(logs), lake) for _ in range(2)]

        assert [len(report.failures) for report in reports] == [1, 1, 0, 0]
        assert [report.counts.written for report in reports] == [0, 0, 10, 0]
        assert events(range(10)) == rows(lake.root)

    def test_many(self, tmp_path: Path) -> None:
        """Many broken splits cost two more readings of the others, not one each."""
        broken = {f"b{n}": SourceError("no", source="parts", split=f"b{n}") for n in range(50)}
        source = Parts({"a": [record(1)], **broken, "c": [record(2)]})

        report = ocsflake.run(source, ocsflake.Lake(tmp_path))

        assert [failure.split for failure in report.failures] == list(broken)
        assert events([1, 2]) == rows(tmp_path)
        assert max(Counter(source.reads).values()) <= 3

    def test_one(self, tmp_path: Path) -> None:
        """One broken split costs no reading of those after it."""
        source = Parts({"a": SourceError("no", source="parts", split="a"), "b": [record(1)], "c": [record(2)]})

        ocsflake.run(source, ocsflake.Lake(tmp_path))

        assert Counter(source.reads) == Counter("abc")

    def test_all(self, tmp_path: Path) -> None:
        """Where no split can be read there is no commit, and no state."""
        store = MemoryCheckpoints()
        source = Parts({"a": SourceError("no", source="parts", split="a")})

        report = ocsflake.run(source, ocsflake.Lake(tmp_path), checkpoints=store)

        assert (report.counts, len(report.failures)) == (Counts(), 1)
        assert [(each.source, each.log_type) for each in report.sources] == [("parts", "aws.cloudtrail")]
        assert store.load("parts") == (None, None)
        assert rows(tmp_path) == Counter()

    def test_breaks_midway(self, tmp_path: Path) -> None:
        """What a split gave before it broke is not written, nor kept as a reject."""

        class Midway(Parts):
            def read(self, split: Split) -> Iterator[RawBatch]:
                yield from super().read(split)
                if split.id == "a":
                    raise SourceError("it broke", source="parts", split="a")

        lake = ocsflake.Lake(tmp_path / "lake")

        report = ocsflake.run(
            Midway({"a": [record(1), bad(2)], "b": [record(3), bad(4)]}), lake, rejects=tmp_path / "rejects"
        )

        assert report.counts == Counts(records=2, mapped=1, rejects=1, events=1, written=1)
        assert events([3]) == rows(lake.root)
        assert len(list((tmp_path / "rejects").rglob("*.jsonl"))) == 1

    @pytest.mark.parametrize("split", [None, "of another source"])
    def test_source_is_down(self, tmp_path: Path, split: str | None) -> None:
        """An error that names no split of the commit is about the source itself, and ends the run."""
        source = Parts({"a": SourceError("down for maintenance", source="parts", split=split)})

        with pytest.raises(SourceError, match="down for maintenance"):
            ocsflake.run(source, ocsflake.Lake(tmp_path))

    def test_read_into_memory(self, tmp_path: Path) -> None:
        """Reading into memory is for looking at all there is: a broken file is an error."""
        save(tmp_path / "a.json.gz", map(record, range(10)))
        truncate(tmp_path / "a.json.gz")

        with pytest.raises(SourceError, match="cannot be read as gzip"):
            ocsflake.read(trail(tmp_path))


class TestRejects:
    def test_nowhere_to_go(self, tmp_path: Path) -> None:
        """Rejects without a place for them stop the run: nothing is visible, and the state stays as it was."""
        save(tmp_path / "logs" / "a.json.gz", [record(1), bad(2)])
        source, lake, store = trail(tmp_path / "logs"), ocsflake.Lake(tmp_path / "lake"), MemoryCheckpoints()

        words = r"1 records were rejected .* the first, from file:///.*a\.json\.gz: time: .*rejects="
        with pytest.raises(RejectedRecordsError, match=words):
            ocsflake.run(source, lake, checkpoints=store)

        assert objects(lake.root) == {}
        assert store.load(source.name) == (None, None)
        assert ocsflake.run(source, lake, checkpoints=store, rejects=tmp_path / "rejects").counts.written == 1

    def test_not_json(self, tmp_path: Path) -> None:
        """A record of which no attribute can be named is named by its reason alone."""
        path = tmp_path / "logs" / "a.json.gz"
        path.parent.mkdir()
        path.write_bytes(gzip.compress(b'{"eventID": "1", \n', mtime=0))

        with pytest.raises(RejectedRecordsError, match=r"a\.json\.gz: not JSON"):
            ocsflake.run(trail(path.parent), ocsflake.Lake(tmp_path / "lake"))

    def test_commits_before(self, tmp_path: Path) -> None:
        """The commits before the one with rejects stay, and are not done again."""
        lake, store = ocsflake.Lake(tmp_path / "lake"), MemoryCheckpoints()
        source = Parts({"a": [record(1)], "b": [record(2), bad(3)]})

        with pytest.raises(RejectedRecordsError):
            ocsflake.run(source, lake, checkpoints=store, commit_bytes=1)
        report = ocsflake.run(source, lake, checkpoints=store, commit_bytes=1, rejects=tmp_path / "rejects")

        assert report.counts == Counts(records=2, mapped=1, rejects=1, events=1, written=1)
        assert events([1, 2]) == rows(lake.root)


@define
class Trouble:
    """A lake whose commits go wrong as a test says: `fail` is called with the step before it is taken."""

    lake: ocsflake.Lake
    fail: Callable[[str], None]
    lost: int = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.lake, name)

    @property
    def ocsf_version(self) -> str:
        return self.lake.ocsf_version

    def begin(self, commit_id: str) -> Commit:
        return _TroubledCommit(self, self.lake.begin(commit_id))


@define
class _TroubledCommit:
    sink: Trouble
    commit: Commit

    def write(self, batch: EventBatch) -> None:
        self.sink.fail("write")
        self.commit.write(batch)

    def publish(self) -> Sequence[ObjectWritten]:
        self.sink.fail("publish")
        found = [*self.commit.publish()]
        self.sink.fail("published")
        return [evolve(item, rows=item.rows - self.sink.lost) for item in found]

    def close(self) -> None:
        self.commit.close()


def failing_at(step: str) -> Callable[[str], None]:
    def fail(now: str) -> None:
        if now == step:
            raise LakeError(f"no space left to {step}")

    return fail


class TestTroubledLake:
    @pytest.mark.parametrize("step", ["write", "publish", "published"])
    def test_repeated(self, tmp_path: Path, step: str) -> None:
        """A commit that failed at any step is done by the next run, once."""
        lake = ocsflake.Lake(tmp_path)
        source = Parts({"a": [record(1)], "b": [record(2)]})

        with pytest.raises(LakeError, match="no space left"):
            ocsflake.run(source, Trouble(lake, failing_at(step)))
        left = objects(lake.root)
        report = ocsflake.run(source, lake)

        assert bool(left) == (step == "published")
        assert left.items() <= objects(lake.root).items()
        assert events([1, 2]) == rows(lake.root)
        assert report.counts == Counts(records=2, mapped=2, events=2, written=2)
        assert ocsflake.run(source, lake).counts == Counts()

    def test_with_what_came_since(self, tmp_path: Path) -> None:
        """An interrupted commit is repeated as it was; what came since is a commit of its own."""
        lake = ocsflake.Lake(tmp_path)
        source = Parts({"a": [record(1)]})
        with pytest.raises(LakeError):
            ocsflake.run(source, Trouble(lake, failing_at("published")))
        before = objects(lake.root)
        source.parts["b"] = [record(3)]

        report = ocsflake.run(source, lake)

        assert report.counts.written == 2
        assert before.items() <= objects(lake.root).items()
        assert events([1, 3]) == rows(lake.root)

    def test_with_its_own_times(self, tmp_path: Path) -> None:
        """An interrupted commit is repeated with the bounds that it had."""
        lake = ocsflake.Lake(tmp_path)
        source = Parts({"a": [record(1), record(2)]})
        with pytest.raises(LakeError):
            ocsflake.run(source, Trouble(lake, failing_at("published")), since="2026-03-02")

        report = ocsflake.run(source, lake)

        assert report.counts == Counts(records=2, mapped=2, events=2, written=1, filtered=1)
        assert events([2]) == rows(lake.root)

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"ocsf_version": "1.3.0"}, r"ocsf_version was '1\.1\.0' and is '1\.3\.0'"),
            ({"region": "eu-west-1"}, "region was 'us-east-1' and is 'eu-west-1'"),
            ({"naming": "class"}, "naming was 'log_type' and is 'class'"),
            ({"root": "other"}, "root was '.*/lake' and is '.*/other'"),
        ],
    )
    def test_with_other_settings(self, tmp_path: Path, change: dict[str, Any], words: str) -> None:
        """An interrupted commit is not repeated elsewhere, where it would double what the first place has."""
        lake, store = ocsflake.Lake(tmp_path / "lake"), MemoryCheckpoints()
        source = Parts({"a": [record(1)]})
        with pytest.raises(LakeError):
            ocsflake.run(source, Trouble(lake, failing_at("published")), checkpoints=store)
        root = tmp_path / change.pop("root", "lake")

        with pytest.raises(
            ConfigError, match=f"^parts: .* interrupted .* {words}. Run once more with the old settings"
        ):
            ocsflake.run(source, ocsflake.Lake(root, **change), checkpoints=store)

        assert ocsflake.run(source, lake, checkpoints=store).counts.written == 1
        assert events([1]) == rows(tmp_path / "lake")

    def test_with_rejects_elsewhere(self, tmp_path: Path) -> None:
        """The rejects of an interrupted commit do not go to two places."""
        lake = ocsflake.Lake(tmp_path / "lake")
        source = Parts({"a": [record(1), bad(2)]})
        with pytest.raises(LakeError):
            ocsflake.run(source, Trouble(lake, failing_at("published")), rejects=tmp_path / "rejects")

        with pytest.raises(ConfigError, match=r"rejects was '.*/rejects' and is '.*/other'"):
            ocsflake.run(source, lake, rejects=tmp_path / "other")
        with pytest.raises(RejectedRecordsError):
            ocsflake.run(source, lake)

        assert ocsflake.run(source, lake, rejects=tmp_path / "rejects").counts.rejects == 1
        assert list((tmp_path / "other").rglob("*.jsonl")) == []

    def test_place_of_rejects_is_free(self, tmp_path: Path) -> None:
        """Where a commit has no rejects, their place may change."""
        lake = ocsflake.Lake(tmp_path / "lake")
        source = Parts({"a": [record(1)]})
        with pytest.raises(LakeError):
            ocsflake.run(source, Trouble(lake, failing_at("published")))

        assert ocsflake.run(source, lake, rejects=tmp_path / "rejects").counts.written == 1

    def test_unbalanced(self, tmp_path: Path) -> None:
        """A lake that does not have all rows that it was given fails the run; the state stays."""
        store, source = MemoryCheckpoints(), Parts({"a": [record(1), record(2)]})

        with pytest.raises(LakeError, match=r"parts: the numbers of commit [0-9a-f]{32} do not balance: .*written=0"):
            ocsflake.run(source, Trouble(ocsflake.Lake(tmp_path), failing_at(""), lost=1), checkpoints=store)

        assert ocsflake.run(source, ocsflake.Lake(tmp_path), checkpoints=store).counts.written == 2


@define
class Late:
    """A source that is read late: something happens between planning and reading."""

    source: Source
    meanwhile: Callable[[], object]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.source, name)

    def plan(self, state: State | None, now: datetime) -> Iterator[Split]:
        planned = list(self.source.plan(state, now))
        self.meanwhile()
        return iter(planned)


class TestChangedRecords:
    def test_more_in_a_window(self, tmp_path: Path) -> None:
        """A commit that is repeated takes the records that it had; what came meanwhile is left for the next window."""
        store, lake = MemoryCheckpoints(), ocsflake.Lake(tmp_path)
        source = Overlapping({"a": [record(1), record(2)]})
        with pytest.raises(LakeError):
            ocsflake.run(source, Trouble(lake, failing_at("published")), checkpoints=store)
        source.parts = {"a": [record(1), record(7), record(2)], "b": [record(2), record(7)]}

        report = ocsflake.run(source, lake, checkpoints=store)

        assert report.counts == Counts(records=4, mapped=3, duplicates=1, events=3, written=3)
        assert events([1, 2, 7]) == rows(tmp_path)

    def test_less_in_a_window(self, tmp_path: Path) -> None:
        """A commit that can no longer be repeated, since the service forgot a record, is an error that says so."""
        store, lake = MemoryCheckpoints(), ocsflake.Lake(tmp_path)
        source = Overlapping({"a": [record(1), record(2)]})
        with pytest.raises(LakeError):
            ocsflake.run(source, Trouble(lake, failing_at("published")), checkpoints=store)
        source.parts = {"a": [record(1), record(3)]}

        with pytest.raises(SourceError, match="there were 2 of them, and now there are 1"):
            ocsflake.run(source, lake, checkpoints=store)

    def test_between_plan_and_read(self, tmp_path: Path) -> None:
        """A file that changes after it was planned is reported, and read by the next run as it then is."""
        logs, lake = tmp_path / "logs", ocsflake.Lake(tmp_path / "lake")
        save(logs / "a.json.gz", [record(1)])
        save(logs / "b.json.gz", [record(2)])

        report = ocsflake.run(Late(trail(logs), lambda: save(logs / "b.json.gz", [record(2), record(3)])), lake)

        assert ["changed since it was planned" in failure.error for failure in report.failures] == [True]
        assert events([1]) == rows(lake.root)
        assert ocsflake.run(trail(logs), lake).counts.written == 2
        assert events([1, 2, 3]) == rows(lake.root)

    def test_after_an_interruption(self, tmp_path: Path) -> None:
        """An interrupted commit whose file changed cannot be repeated; put back, it can."""
        logs, lake = tmp_path / "logs", ocsflake.Lake(tmp_path / "lake")
        save(logs / "a.json.gz", [record(1)])
        with pytest.raises(LakeError):
            ocsflake.run(trail(logs), Trouble(lake, failing_at("published")))
        save(logs / "a.json.gz", [record(1), record(2)])

        for _ in range(2):
            with pytest.raises(
                SourceError, match=r"interrupted while it published.*a\.json\.gz changed.*Put back"
            ) as caught:
                ocsflake.run(trail(logs), lake)
        save(logs / "a.json.gz", [record(1)])

        assert caught.value.split is not None
        assert ocsflake.run(trail(logs), lake).counts.written == 1
        assert events([1]) == rows(lake.root)

    def test_source_that_breaks_its_word(self, tmp_path: Path) -> None:
        """A source that gives other records for a split than before does not double what is in the lake."""
        lake, source = ocsflake.Lake(tmp_path), Parts({"a": [record(1)]})
        with pytest.raises(LakeError):
            ocsflake.run(source, Trouble(lake, failing_at("published")))
        source.parts["a"] = [record(1), record(2)]

        with pytest.raises(SourceError, match="there were 1 of them, and now there are 2"):
            ocsflake.run(source, lake)

        assert events([1]) == rows(lake.root)


class TestOtherRuns:
    def test_newer_checkpoint(self, tmp_path: Path) -> None:
        """State of a newer version is not understood by halves."""
        store = MemoryCheckpoints()
        store.save("parts", {"format": 2, "state": {}}, None)

        with pytest.raises(
            LakeError, match="'parts' has format 2, this version of ocsflake reads format 1: use the version"
        ):
            ocsflake.run(Parts({"a": [record(1)]}), ocsflake.Lake(tmp_path), checkpoints=store)

        assert rows(tmp_path) == Counter()

    def test_faster_run(self, tmp_path: Path) -> None:
        """If another run of the source commits meanwhile, this one fails before anything of it is visible."""
        lake, store = ocsflake.Lake(tmp_path), MemoryCheckpoints()

        class Overtaken(Parts):
            def read(self, split: Split) -> Iterator[RawBatch]:
                ocsflake.run(Parts(self.parts), lake, checkpoints=store)
                yield from super().read(split)

        with pytest.raises(CheckpointConflictError, match="another run saved the checkpoint of 'parts'"):
            ocsflake.run(Overtaken({"a": [record(1)], "b": [record(2)]}), lake, checkpoints=store, commit_bytes=1)

        assert events([1, 2]) == rows(tmp_path)

    def test_two_processes(self, tmp_path: Path) -> None:
        """Two processes run one source at the same time: whichever comes through, every row is there once."""
        logs, root = tmp_path / "logs", tmp_path / "lake"
        for number in range(30):
            save(logs / f"{number}.json.gz", map(record, range(number * 10, number * 10 + 10)))
        code = (
            "import ocsflake, sys\n"
            "source = ocsflake.source('files', log_type='aws.cloudtrail', uri=sys.argv[1])\n"
            "ocsflake.run(source, ocsflake.Lake(sys.argv[2]), commit_bytes=1)\n"
        )
        command = [sys.executable, "-c", code, str(logs), str(root)]
        pair = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
        said = [process.communicate()[1] for process in pair]

        assert all(
            process.returncode == 0 or "CheckpointConflictError" in text
            for process, text in zip(pair, said, strict=True)
        )
        assert max(rows(root).values(), default=1) == 1
        ocsflake.run(trail(logs), ocsflake.Lake(root))
        assert events(range(300)) == rows(root)


@define
class Queue(Parts):
    """A queue: it is told what is durable."""

    told: list[tuple[list[str], Counter[str], Any]] | None = None
    look: Callable[[], tuple[Counter[str], Any]] | None = None

    def acknowledge(self, splits: Sequence[Split]) -> None:
        assert self.told is not None
        assert self.look is not None
        self.told.append(([split.id for split in splits], *self.look()))


class TestQueues:
    def test_acknowledged_after_the_commit(self, tmp_path: Path) -> None:
        """A queue hears of a split when its events are in the lake and the state is saved, and not before."""
        store = MemoryCheckpoints()

        def look() -> tuple[Counter[str], Any]:
            doc, _ = store.load("parts")
            assert doc is not None
            return rows(tmp_path), (doc["intent"], doc["state"]["done"])

        source = Queue({"a": [record(1)], "b": [record(2)]}, told=[], look=look)

        ocsflake.run(source, ocsflake.Lake(tmp_path), checkpoints=store, commit_bytes=1)

        assert source.told == [
            (["a"], events([1]), (None, ["a"])),
            (["b"], events([1, 2]), (None, ["a", "b"])),
        ]

    def test_not_acknowledged(self, tmp_path: Path) -> None:
        """A queue does not hear of a commit that failed, nor of a split that could not be read."""
        broken = SourceError("no", source="parts", split="b")
        source = Queue({"a": [record(1)], "b": broken}, told=[], look=lambda: (Counter(), None))

        with pytest.raises(LakeError):
            ocsflake.run(source, Trouble(ocsflake.Lake(tmp_path), failing_at("published")))
        assert source.told == []
        ocsflake.run(source, ocsflake.Lake(tmp_path))

        assert source.told == [(["a"], Counter(), None)]

    def test_acknowledging_fails(self, tmp_path: Path) -> None:
        """An error while acknowledging is not taken for a split that cannot be read: the commit is done."""

        class Forgetful(Queue):
            def acknowledge(self, splits: Sequence[Split]) -> None:
                raise SourceError("the lease ran out", source="parts", split=splits[0].id)

        source, store = Forgetful({"a": [record(1)]}), MemoryCheckpoints()

        with pytest.raises(SourceError, match="the lease ran out"):
            ocsflake.run(source, ocsflake.Lake(tmp_path), checkpoints=store)

        assert events([1]) == rows(tmp_path)
        assert ocsflake.run(Parts(source.parts), ocsflake.Lake(tmp_path), checkpoints=store).counts == Counts()
