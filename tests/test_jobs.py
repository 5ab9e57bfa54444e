"""Jobs that workers do, with workers that a test can look into: what they are asked, and what is left of it."""

from __future__ import annotations

import multiprocessing
import signal
import stat
import threading
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from attrs import define, field

import ocsflake
from ocsflake import jobs
from ocsflake.checkpoints import MemoryCheckpoints
from ocsflake.errors import ConfigError, DriftError, LakeError, RejectedRecordsError, SourceError
from ocsflake.jobs import new_commits, processes, why_not, without_credentials
from ocsflake.model import CustomSource, Split
from pipeline_logs import Overlapping, Parts, bad, events, objects, record, rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ocsflake.model import RawBatch
    from ocsflake.report import RunReport

NOW = datetime(2026, 3, 4, tzinfo=UTC)
MS = 1_000


@define
class Here:
    """Workers in this process; before each turn they call `before` with how many turns there were."""

    most: int = 2
    before: Callable[[int], object] = bool
    asked: list[list[list[str]]] = field(factory=list)

    def each(self, function: Callable[[list[Split]], Any], commits: Sequence[list[Split]]) -> Iterator[Any]:
        self.asked.append([[split.id for split in splits] for splits in commits])
        self.before(len(self.asked))
        return map(function, commits)


def run(source: Any, lake: Any, workers: Here | None, **settings: Any) -> RunReport:
    """Run a source with commits of one split."""
    settings = {"commit_bytes": 1, "now": lambda: NOW, **settings}
    return ocsflake.run(source, lake, commits=partial(new_commits, workers=workers), **settings)


def fail(turn: int, error: Exception | None = None) -> Callable[[int], None]:
    """Fail in a turn: turns are readings and commits, one after the other."""

    def before(now: int) -> None:
        if now == turn:
            raise error or ZeroDivisionError

    return before


def five() -> Parts:
    """Five splits of one record."""
    return Parts({name: [record(number)] for number, name in enumerate("abcde")})


class TestRun:
    def test_cut_into_jobs(self, tmp_path: Path) -> None:
        """Each job has as many commits as the workers take; they are read once, and then done."""
        workers, store = Here(), MemoryCheckpoints()
        heard: list[Any] = []
        source = five()

        report = run(source, ocsflake.Lake(tmp_path / "a"), workers, checkpoints=store, progress=heard.append)
        run(five(), ocsflake.Lake(tmp_path / "b"), None)

        groups = [[["a"], ["b"]], [["c"], ["d"]], [["e"]]]
        assert workers.asked == [group for group in groups for _ in range(2)]
        assert objects(tmp_path / "a") == objects(tmp_path / "b")
        assert [(p.splits, p.bytes, p.counts.written) for p in heard] == [(n, n, n) for n in range(1, 6)]
        assert report.sources[0].splits == 5
        doc, _ = store.load("parts")
        assert doc == {
            "format": 1,
            "state": {"done": [*"abcde"]},
            "intent": None,
            "seen": [],
            "published": int(NOW.timestamp()) * MS,
            "job": None,
        }
        assert run(source, ocsflake.Lake(tmp_path / "a"), workers, checkpoints=store).counts.records == 0

    def test_splits_of_a_job(self) -> None:
        """A job has 100,000 splits at most, whatever number of commits that is, and no commit is cut."""
        many = [Split("x")] * 60_000

        cut = [[len(commit) for commit in job] for job in jobs._jobs([many, many[:40_000], many[:1], many * 2], 9)]

        assert cut == [[60_000, 40_000], [1], [120_000]]
        assert list(jobs._jobs([], 9)) == []

    def test_what_cannot_be_read(self, tmp_path: Path) -> None:
        """It is reported with its split and left out; a commit, or a run, of nothing else is none."""
        broken = {name: SourceError(f"no {name}", source="parts", split=name) for name in "bd"}
        workers, store = Here(), MemoryCheckpoints()
        source = Parts({"a": [record(1)], **broken, "e": [record(2)]})

        report = run(source, ocsflake.Lake(tmp_path), workers, checkpoints=store, commit_bytes=2)

        assert workers.asked == [[["a", "b"], ["d", "e"]], [["a"], ["e"]]]
        (found,) = report.sources
        assert (found.source, found.log_type, found.splits) == ("parts", "aws.cloudtrail", 2)
        assert [(each.split, each.error) for each in found.failures] == [("b", "no b"), ("d", "no d")]
        assert events([1, 2]) == rows(tmp_path)
        again = run(source, ocsflake.Lake(tmp_path), workers, checkpoints=store)
        assert (len(again.failures), workers.asked[2:]) == (2, [[["b"], ["d"]]])

    def test_what_is_saved_before(self, tmp_path: Path) -> None:
        """The checkpoint has the whole job, and where it writes, beside the state of before."""
        store = MemoryCheckpoints()
        seen: list[Any] = []
        lake = ocsflake.Lake(tmp_path / "lake", region="eu-west-1")
        source = Parts({"a": [record(1)]})
        run(source, lake, Here(), checkpoints=store)
        source.parts |= {"b": [record(2)], "c": [record(3)]}

        workers = Here(before=lambda _: seen.append(store.load("parts")[0]))
        settings = {"since": "2026-03-01", "until": "2026-03-03", "max_age": "30d", "max_ahead": "2d"}
        run(source, lake, workers, checkpoints=store, rejects=tmp_path / "rejects", **settings)

        (before, doc) = seen
        pending = doc.pop("job")
        assert {**before, "job": pending} == {**doc, "job": pending}
        assert doc["state"] == {"done": ["a"]}
        assert doc["published"] == int(NOW.timestamp()) * MS
        days = [datetime(2026, 3, day, tzinfo=UTC) for day in (1, 3)]
        bounds = [NOW - timedelta(days=30), NOW + timedelta(days=2, milliseconds=1)]
        assert pending == {
            "commits": [[["b", {}, 1]], [["c", {}, 1]]],
            "bounds": [int(moment.timestamp() * MS) for moment in bounds],
            "since": int(days[0].timestamp()) * MS,
            "until": int(days[1].timestamp()) * MS,
            "places": {
                "root": str(tmp_path / "lake"),
                "region": "eu-west-1",
                "naming": "log_type",
                "ocsf_version": "1.1.0",
                "rejects": str(tmp_path / "rejects"),
            },
        }

    def test_times(self, tmp_path: Path) -> None:
        """What lies outside of the ages that are allowed is a reject, as it is without workers."""
        source = Parts({"a": [record(0), record(2)]})

        report = run(
            source,
            ocsflake.Lake(tmp_path / "lake"),
            Here(),
            rejects=tmp_path / "rejects",
            max_age="2d",
            since="2026-01-01",
        )

        assert (report.counts.written, report.counts.rejects) == (1, 1)

    def test_stopped(self, tmp_path: Path) -> None:
        """A run that is stopped finishes the job under way, and begins no other."""
        stop, store, lake = threading.Event(), MemoryCheckpoints(), ocsflake.Lake(tmp_path)

        report = run(five(), lake, Here(), checkpoints=store, stop=stop, progress=lambda _: stop.set())

        assert report.counts.written == 2
        assert events([0, 1]) == rows(tmp_path)
        assert run(five(), lake, Here(), checkpoints=store).counts.written == 3

    def test_apart(self, tmp_path: Path) -> None:
        """Jobs wait for one another where the sink wants that, and for the one of an earlier run; or for the end."""

        class Apart(ocsflake.Lake):
            min_commit_seconds = 300.0

        class Waits(threading.Event):
            def wait(self, timeout: float | None = None) -> bool:
                waited.append(timeout)
                return len(waited) > 3

        waited: list[float | None] = []
        store, lake = MemoryCheckpoints(), Apart(tmp_path)

        run(Parts({"a": [record(1)], "b": [record(2)]}), lake, Here(most=1), checkpoints=store, stop=Waits())
        run(five(), lake, Here(most=1), checkpoints=store, stop=Waits())

        assert waited == [300.0] * 4
        assert store.load("parts")[0]["state"]["done"] == [*"abcd"]  # type: ignore[index]


class TestInterrupted:
    @pytest.mark.parametrize("workers", [None, Here()], ids=["here", "workers"])
    @pytest.mark.parametrize("until", [2, 4])
    def test_repeated(self, tmp_path: Path, workers: Here | None, until: int) -> None:
        """A job that was interrupted is done first, as it was; then what came since."""
        store, lake = MemoryCheckpoints(), ocsflake.Lake(tmp_path)
        source = five()
        with pytest.raises(ZeroDivisionError):
            run(source, lake, Here(before=fail(until)), checkpoints=store, since="2026-03-02", max_age="10d")
        source.parts["f"] = [record(5)]

        report = run(source, lake, workers, checkpoints=store, now=lambda: NOW + timedelta(days=90), max_age=None)

        done = set(range(until - 2, until))
        early = {number for number in range(until) if number // 2 % 2 == 0}
        assert report.counts.written == 6 - (until - 2) - len(early & done)
        assert events(set(range(6)) - early) == rows(tmp_path)
        assert store.load("parts")[0].get("job") is None  # type: ignore[union-attr]

    def test_with_its_own_times(self, tmp_path: Path) -> None:
        """A job that was interrupted is repeated with the bounds that it had."""
        store, lake, source = MemoryCheckpoints(), ocsflake.Lake(tmp_path), Parts({"a": [*map(record, range(8))]})
        with pytest.raises(ZeroDivisionError):
            run(
                source,
                lake,
                Here(before=fail(2)),
                checkpoints=store,
                since="2026-03-01T06:00:01Z",
                until="2026-03-02T06:00:06Z",
                max_age="10d",
            )

        report = run(source, lake, Here(), checkpoints=store, now=lambda: NOW + timedelta(days=90), max_age="10d")

        assert (report.counts.written, report.counts.filtered) == (5, 3)
        assert events(range(1, 6)) == rows(tmp_path)

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"ocsf_version": "1.3.0"}, r"ocsf_version was '1\.1\.0' and is '1\.3\.0'\. Run once more"),
            ({"region": "eu-west-1"}, r"region was 'us-east-1' and is 'eu-west-1'\."),
            ({"region": "eu-west-1", "naming": "class"}, r"is 'eu-west-1', naming was 'log_type' and is 'class'\."),
            ({"root": "other"}, "root was '.*/lake' and is '.*/other'"),
            ({"rejects": "other"}, "rejects was '.*/rejects' and is '.*/other'"),
            ({"rejects": None}, "rejects was '.*/rejects' and is None"),
        ],
    )
    def test_elsewhere(self, tmp_path: Path, change: dict[str, Any], words: str) -> None:
        """A job that was interrupted is not repeated in another place, where it would double what is in the first."""
        change = {**change}
        store, lake, rejects = MemoryCheckpoints(), ocsflake.Lake(tmp_path / "lake"), tmp_path / "rejects"
        with pytest.raises(ZeroDivisionError):
            run(five(), lake, Here(before=fail(2)), checkpoints=store, rejects=rejects)
        other = change.pop("rejects", "rejects")
        elsewhere = ocsflake.Lake(tmp_path / change.pop("root", "lake"), **change)

        with pytest.raises(ConfigError, match=f"^parts: an earlier job was interrupted .* elsewhere: .*{words}"):
            run(five(), elsewhere, Here(), checkpoints=store, rejects=other and tmp_path / other)

        assert run(five(), lake, Here(), checkpoints=store, rejects=rejects).counts.written == 5

    def test_of_an_earlier_version(self, tmp_path: Path) -> None:
        """A job whose checkpoint has no bounds has none."""
        store, source = MemoryCheckpoints(), Parts({"a": [record(0)], "b": [record(1)]})
        with pytest.raises(ZeroDivisionError):
            run(source, ocsflake.Lake(tmp_path), Here(before=fail(2)), checkpoints=store)
        doc, revision = store.load("parts")
        assert doc is not None
        del doc["job"]["bounds"]
        store.save("parts", doc, revision)

        report = run(source, ocsflake.Lake(tmp_path), Here(), checkpoints=store, now=lambda: NOW + timedelta(days=9999))

        assert (report.counts.written, report.counts.rejects) == (2, 0)

    def test_by_one_process(self, tmp_path: Path) -> None:
        """A commit that one process left is finished by one, and workers go on from there."""
        (tmp_path / "ext").touch()
        store, lake, workers = MemoryCheckpoints(), ocsflake.Lake(tmp_path), Here(most=9)
        with pytest.raises(LakeError):
            run(five(), lake, None, checkpoints=store)
        (tmp_path / "ext").unlink()

        report = run(five(), lake, workers, checkpoints=store)

        assert (report.counts.written, workers.asked[1:]) == (5, [[["b"], ["c"], ["d"], ["e"]]])
        assert events(range(5)) == rows(tmp_path)


class TestRefused:
    def test_drift(self, tmp_path: Path) -> None:
        """A commit that drifts too far is left, the others of its job are done, and no job is pending."""
        store, lake, source = MemoryCheckpoints(), ocsflake.Lake(tmp_path), five()
        source.parts["a"] = [record(0, token="x")]

        with pytest.raises(DriftError, match="unknown key token"):
            run(source, lake, Here(), checkpoints=store, max_drift=0.1)

        doc, _ = store.load("parts")
        assert doc is not None
        assert (doc["state"], doc["job"]) == ({"done": ["b"]}, None)
        assert run(source, lake, Here(), checkpoints=store).counts.written == 4
        assert events(range(5)) == rows(tmp_path)

    def test_all(self, tmp_path: Path) -> None:
        """Where all are refused the first error is told, and neither state nor time of publishing moves."""
        store, lake = MemoryCheckpoints(), ocsflake.Lake(tmp_path)
        source = Parts({"a": [bad(1)], "b": [record(2, token="x"), bad(3)]})

        with pytest.raises(RejectedRecordsError, match="1 records were rejected"):
            run(source, lake, Here(), checkpoints=store, max_drift=0)

        doc, _ = store.load("parts")
        assert doc is not None
        assert (doc["state"], doc["published"], doc["job"]) == (None, None, None)

    def test_when_repeated(self, tmp_path: Path) -> None:
        """Of a repeated job what is refused stays pending, for an earlier attempt may have published it."""
        store, lake = MemoryCheckpoints(), ocsflake.Lake(tmp_path / "lake")
        source = Parts({"a": [record(1)], "b": [record(2), bad(3)]})
        with pytest.raises(ZeroDivisionError):
            run(source, lake, Here(before=fail(2)), checkpoints=store)

        with pytest.raises(RejectedRecordsError):
            run(source, lake, Here(), checkpoints=store)

        doc, _ = store.load("parts")
        assert doc is not None
        assert (doc["state"], doc["job"]["commits"]) == ({"done": ["a"]}, [[["b", {}, 1]]])
        report = run(source, lake, None, checkpoints=store, rejects=tmp_path / "rejects")
        assert (report.counts.records, report.counts.written, report.counts.rejects) == (2, 1, 1)
        assert events([1, 2]) == rows(lake.root)

    def test_what_may_pass(self, tmp_path: Path) -> None:
        """An error that another attempt may not meet is raised at once, and the job stays."""
        store, source = MemoryCheckpoints(), Parts({"a": [record(1)]})

        class Gone(Parts):
            def read(self, split: Split) -> Iterator[RawBatch]:
                if self.reads:
                    raise SourceError("gone meanwhile", source="parts", split=split.id)
                return super().read(split)

        with pytest.raises(SourceError, match="gone meanwhile"):
            run(Gone(source.parts), ocsflake.Lake(tmp_path), Here(), checkpoints=store)

        assert store.load("parts")[0]["job"]["commits"] == [[["a", {}, 1]]]  # type: ignore[index]
        assert run(source, ocsflake.Lake(tmp_path), Here(), checkpoints=store).counts.written == 1


class TestRejects:
    def test_kept(self, tmp_path: Path) -> None:
        """The files are those that one process writes, their owner's alone, and replace those of an attempt before."""
        source, places = Parts({"a": [record(1), bad(2)], "b": [bad(3)]}), [tmp_path / "x" / "a", tmp_path / "b"]
        run(source, ocsflake.Lake(tmp_path / "1"), Here(), rejects=places[0])
        run(source, ocsflake.Lake(tmp_path / "2"), None, rejects=places[1])

        found = [
            {path.relative_to(place): path.read_bytes() for path in place.rglob("*") if path.is_file()}
            for place in places
        ]
        assert len(found[0]) == 2
        assert found[0] == found[1]
        assert {stat.S_IMODE(path.stat().st_mode) for path in places[0].rglob("*.jsonl")} == {0o600}
        assert {stat.S_IMODE(path.stat().st_mode) for path in (places[0], places[0] / "aws.cloudtrail")} == {0o700}
        for path in places[0].rglob("*.jsonl"):
            path.write_text("of an attempt that ended midway")
        run(source, ocsflake.Lake(tmp_path / "3"), Here(), rejects=places[0])
        assert found[1] == {path.relative_to(places[0]): path.read_bytes() for path in places[0].rglob("*.jsonl")}

    def test_no_place(self, tmp_path: Path) -> None:
        """Where they cannot be written the error names the file, and the job stays."""
        store, taken = MemoryCheckpoints(), tmp_path / "rejects"
        taken.touch()

        with pytest.raises(LakeError, match=r"rejects/aws\.cloudtrail/") as caught:
            run(Parts({"a": [bad(1)]}), ocsflake.Lake(tmp_path), Here(), checkpoints=store, rejects=taken)

        assert Path(caught.value.path).parent == taken / "aws.cloudtrail"
        assert store.load("parts")[0]["job"] is not None  # type: ignore[index]


class TestWhoReads:
    def test_this_process_alone(self) -> None:
        """Queues and windows are read by this process, and a source with credentials of its own, which are named."""

        class Queue(Parts):
            def acknowledge(self, splits: Sequence[Split]) -> None:
                """Hear of what is durable."""

        class Own(Parts):
            session = client = credential = None

        assert why_not(Own({})) == ""
        assert why_not(Queue({})).startswith("is a queue")
        assert why_not(Overlapping({})).startswith("may give a record in more than one split")
        for name in ("session", "client", "credential"):
            own = type("Owner", (Own,), {name: "secret"})({})
            assert why_not(own).startswith(f"has a {name} of its own")
            assert why_not(own).endswith("from their environment")

    def test_by_one_process(self, tmp_path: Path) -> None:
        """What workers may not read they are not asked for."""
        workers = Here()

        report = run(Overlapping({"a": [record(1)], "b": [record(1)]}), ocsflake.Lake(tmp_path), workers)

        assert (report.counts.written, report.counts.duplicates, workers.asked) == (1, 1, [])


class TestWithoutCredentials:
    @pytest.mark.parametrize("name", ["session", "client"])
    def test_a_lake_in_s3(self, name: str) -> None:
        """Its settings go to others, and what it has of credentials stays."""
        session = boto3.Session("AKIA", "secret", region_name="eu-west-1")
        settings: dict[str, Any] = {
            "region": "eu-west-1",
            "ocsf_version": "1.3.0",
            "naming": "class",
            "custom_sources": (CustomSource("ocsf_6003", "api_activity", "s3://bucket/ext/ocsf_6003/"),),
            "role_arn": "arn:aws:iam::111122223333:role/writer",
            "external_id": "e",
            "transport": "obstore",
        }
        lake = ocsflake.Lake("s3://bucket/", **settings, **{name: session if name == "session" else object()})  # type: ignore[arg-type]

        found = without_credentials(lake)

        assert isinstance(found, ocsflake.Lake)
        assert (found.root, found.session, found.client) == ("s3://bucket/", None, None)
        assert {each: getattr(found, each) for each in settings} == settings

    def test_as_it_is(self, tmp_path: Path) -> None:
        """A lake without credentials, or a sink of another kind, goes as it is."""
        for sink in (ocsflake.Lake(tmp_path), object()):
            assert without_credentials(sink) is sink  # type: ignore[arg-type]


def _about(_: list[Split]) -> tuple[bool, str | None, list[bool]]:
    threads = [thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread()]
    start = multiprocessing.get_start_method(allow_none=True)
    return signal.getsignal(signal.SIGINT) is signal.SIG_IGN, start, threads


def _touch(splits: list[Split]) -> None:
    time.sleep(0.02)
    Path(splits[0].id).touch()


def test_processes(tmp_path: Path) -> None:
    """They are new processes that leave Ctrl-C to this one; an error here ends what they have not begun."""
    commits = [[Split(str(tmp_path / str(number)))] for number in range(60)]

    found: list[Any] = []

    def work() -> None:
        with processes(1) as workers:
            found.extend([*workers.each(_about, [[Split("a")]]), workers.most])
            reading = iter(workers.each(_touch, commits))  # is held, and with it what it has not come to
            next(reading)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()

    (ignores, start, daemons), most = found
    assert (ignores, start, most) == (True, "spawn", 8)
    assert all(daemons)
    assert len(list(tmp_path.iterdir())) < 60
