"""When commits are made: by bytes, by age, and as far apart as the sink wants; on a clock of the tests' own."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from attrs import define, field

import ocsflake
from ocsflake.checkpoints import MemoryCheckpoints
from ocsflake.model import RawBatch, Split
from ocsflake.pace import Pace
from pipeline_logs import Parts, bad, events, record, rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from ocsflake.model import EventBatch, ObjectWritten, State

START = datetime(2027, 3, 1, tzinfo=UTC)


class Clock(threading.Event):
    """A stop event that tells the time: waiting moves it on, to what happens at a moment and then to the end."""

    def __init__(self, happenings: Mapping[float, Callable[[], object]] | None = None, *, end: float = 1e9) -> None:
        super().__init__()
        self.seconds = 0.0
        self.end = end
        self.happenings = dict(happenings or {})

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout
        until = min(self.seconds + timeout, self.end)
        for moment in sorted(moment for moment in self.happenings if moment <= until):
            self.seconds = max(moment, self.seconds)
            self.happenings.pop(moment)()
        self.seconds = max(until, self.seconds)
        if self.seconds >= self.end:
            self.set()
        return self.is_set()


@define
class Apart:
    """A lake in a directory whose commits must be apart; notes when each was published."""

    lake: ocsflake.Lake
    clock: Clock
    min_commit_seconds: float = 300.0
    full: bool = False
    published: list[float] = field(factory=list)

    @property
    def ocsf_version(self) -> str:
        return self.lake.ocsf_version

    def begin(self, commit_id: str) -> Any:
        return _Noted(self, self.lake.begin(commit_id))


@define
class _Noted:
    sink: Apart
    commit: Any

    @property
    def full(self) -> bool:
        return self.sink.full

    def write(self, batch: EventBatch) -> None:
        self.commit.write(batch)

    def publish(self) -> Sequence[ObjectWritten]:
        self.sink.published.append(self.sink.clock.seconds)
        return self.commit.publish()

    def close(self) -> None:
        self.commit.close()


@define
class Queue:
    """A source that gives each message once, until it is acknowledged; a message is a split of one record."""

    waiting: list[int] = field(factory=list)
    acknowledged: list[str] = field(factory=list)
    name: str = "queue"
    log_type: str = "aws.cloudtrail"

    def plan(self, state: State | None, now: datetime) -> Iterator[Split]:
        given, self.waiting = self.waiting, []
        return (Split(str(number), bytes=1) for number in given)

    def read(self, split: Split) -> Iterator[RawBatch]:
        import json

        yield RawBatch([json.dumps(record(int(split.id))).encode()])

    def advance(self, state: State | None, done: Sequence[Split]) -> State:
        return {}

    def acknowledge(self, splits: Sequence[Split]) -> None:
        self.acknowledged += [split.id for split in splits]


def arrivals(source: Parts, moments: Mapping[float, int]) -> dict[float, Callable[[], object]]:
    """Let a part of one record come at each moment."""
    return {
        moment: lambda number=number: source.parts.update({f"p{number}": [record(number)]})
        for moment, number in moments.items()
    }


class TestFollow:
    def test_what_is_new_is_taken_at_each_look(self, tmp_path: Path) -> None:
        """A sink that asks for nothing gets what came, every 15 seconds."""
        source = Parts({"p0": [record(0)]})
        clock = Clock(arrivals(source, {20: 1, 21: 2, 50: 3}), end=100)
        sink = Apart(ocsflake.Lake(tmp_path), clock, min_commit_seconds=0)

        report = ocsflake.run(source, sink, follow=True, stop=clock, now=clock.now)

        assert sink.published == [0, 30, 60]
        assert report.counts.written == 4

    def test_age(self, tmp_path: Path) -> None:
        """What is too little for a commit waits until the last one is old enough, and then goes together."""
        source = Parts({"p0": [record(0)]})
        clock = Clock(arrivals(source, {20: 1, 40: 2, 50: 3, 200: 4}), end=400)
        sink = Apart(ocsflake.Lake(tmp_path), clock, min_commit_seconds=0)

        ocsflake.run(source, sink, follow=True, stop=clock, now=clock.now, commit_seconds=60)

        assert sink.published == [0, 60, 210]
        assert rows(tmp_path) == events(range(5))

    def test_bytes(self, tmp_path: Path) -> None:
        """What is enough for a commit does not wait for the age of the last one."""
        source = Parts({"p0": [record(0)]})
        clock = Clock(arrivals(source, {20: 1, 40: 2, 50: 3, 80: 4, 85: 5}), end=100)
        sink = Apart(ocsflake.Lake(tmp_path), clock, min_commit_seconds=0)

        ocsflake.run(source, sink, follow=True, stop=clock, now=clock.now, commit_seconds=1_000, commit_bytes=3)

        assert sink.published == [0, 60]
        assert rows(tmp_path) == events(range(4))

    def test_the_sink_s_own_distance(self, tmp_path: Path) -> None:
        """On Security Lake a source is published every five minutes at most, whatever comes."""
        source = Parts({})
        clock = Clock(arrivals(source, {10.0 + 30 * n: n for n in range(60)}), end=2_400)
        sink = Apart(ocsflake.Lake(tmp_path), clock)

        ocsflake.run(source, sink, follow=True, stop=clock, now=clock.now, commit_seconds=60)

        gaps = [later - earlier for earlier, later in zip(sink.published, sink.published[1:], strict=False)]
        assert min(gaps) >= 300
        assert max(gaps) < 320
        assert rows(tmp_path) == events(range(60))

    def test_a_backlog(self, tmp_path: Path) -> None:
        """Commits that are full of bytes keep the distance as well."""
        source = Parts({f"p{n}": [record(n)] for n in range(4)})
        clock = Clock(end=2_000)
        sink = Apart(ocsflake.Lake(tmp_path), clock)

        ocsflake.run(source, sink, follow=True, stop=clock, now=clock.now, commit_bytes=1)

        assert sink.published == [0, 300, 600, 900]

    def test_full_objects(self, tmp_path: Path) -> None:
        """An object that is full goes at once."""
        source = Parts({f"p{n}": [record(n)] for n in range(4)})
        clock = Clock(end=2_000)
        sink = Apart(ocsflake.Lake(tmp_path), clock, full=True)

        ocsflake.run(source, sink, follow=True, stop=clock, now=clock.now, commit_bytes=1)

        assert sink.published == [0, 0, 0, 0]

    def test_stopped_while_it_gathers(self, tmp_path: Path) -> None:
        """What was gathered and not published is left for the next run, and nothing of it was saved."""
        source, store = Parts({"p0": [record(0)]}), MemoryCheckpoints()
        clock = Clock(arrivals(source, {20: 1}), end=200)
        sink = Apart(ocsflake.Lake(tmp_path), clock)

        ocsflake.run(source, sink, checkpoints=store, follow=True, stop=clock, now=clock.now)
        assert rows(tmp_path) == events([0])

        later = Clock()
        later.seconds = 1_000
        ocsflake.run(source, sink, checkpoints=store, now=later.now)
        assert rows(tmp_path) == events([0, 1])

    def test_stopped_while_it_waits_to_publish(self, tmp_path: Path) -> None:
        """A commit that waits for its moment is dropped; its records are read again by the next run."""
        source, store = Parts({"p0": [record(0)], "p1": [record(1)]}), MemoryCheckpoints()
        clock = Clock(end=200)
        sink = Apart(ocsflake.Lake(tmp_path), clock)

        report = ocsflake.run(source, sink, checkpoints=store, follow=True, stop=clock, now=clock.now, commit_bytes=1)

        assert report.counts.written == 1
        doc, _ = store.load("parts")
        assert doc is not None
        assert (doc["state"], doc["intent"]) == ({"done": ["p0"]}, None)
        later = Clock()
        later.seconds = 300
        assert ocsflake.run(source, sink, checkpoints=store, now=later.now).counts.written == 1
        assert rows(tmp_path) == events([0, 1])

    def test_queues(self, tmp_path: Path) -> None:
        """A queue gives a message once: what is held is not asked for again, and is acknowledged when it is durable."""
        source = Queue([0])
        happenings = {20.0 + n * 20: lambda n=n: source.waiting.append(n + 1) for n in range(4)}
        clock = Clock(happenings, end=400)
        sink = Apart(ocsflake.Lake(tmp_path), clock)

        ocsflake.run(source, sink, follow=True, stop=clock, now=clock.now)

        assert sink.published == [0, 300]
        assert source.acknowledged == ["0", "1", "2", "3", "4"]
        assert rows(tmp_path) == events(range(5))


class TestOneRun:
    def test_all_that_is_there(self, tmp_path: Path) -> None:
        """A run that does not follow takes everything, a little as well."""
        source, clock = Parts({"p0": [record(0)]}), Clock()
        sink = Apart(ocsflake.Lake(tmp_path), clock)

        ocsflake.run(source, sink, stop=clock, now=clock.now, commit_bytes=1_000_000, commit_seconds=1_000)

        assert sink.published == [0]

    @pytest.mark.parametrize(("before", "waited"), [(100, 200), (299.5, 0.5), (300, 0), (1_000, 0), (-5_000, 300)])
    def test_the_run_before_counts(self, tmp_path: Path, before: float, waited: float) -> None:
        """The distance is kept between runs, and a clock that was set back does not stop it for longer than that."""
        store, source = MemoryCheckpoints(), Parts({"p0": [record(0)]})
        clock = Clock()
        sink = Apart(ocsflake.Lake(tmp_path), clock)
        ocsflake.run(source, sink, checkpoints=store, stop=clock, now=clock.now)
        source.parts["p1"] = [record(1)]
        clock.seconds = before

        ocsflake.run(source, sink, checkpoints=store, stop=clock, now=clock.now)

        assert sink.published == [0, before + waited]

    def test_nothing_to_publish(self, tmp_path: Path) -> None:
        """Rejects alone, and events that the caller filters out, wait for nothing and count for nothing."""
        parts: dict[str, Any] = {"p0": [record(0)], "p1": [bad(1)], "p2": [record(42)], "p3": [record(3)]}
        clock = Clock()
        sink = Apart(ocsflake.Lake(tmp_path / "lake"), clock)

        report = ocsflake.run(
            Parts(parts),
            sink,
            rejects=tmp_path / "rejects",
            until="2026-03-02T06:00:30Z",
            stop=clock,
            now=clock.now,
            commit_bytes=1,
        )

        assert (report.counts.written, report.counts.rejects, report.counts.filtered) == (2, 1, 1)
        assert clock.seconds == 300

    def test_an_interrupted_commit(self, tmp_path: Path) -> None:
        """A commit that was interrupted while it published is completed at once."""
        store, clock = MemoryCheckpoints(), Clock()
        lake = ocsflake.Lake(tmp_path)
        source = Parts({"p0": [record(0)], "p1": [record(1)]})

        @define
        class Broken(Apart):
            def begin(self, commit_id: str) -> Any:
                if self.published:
                    raise ocsflake.LakeError("gone")
                return super().begin(commit_id)

        with pytest.raises(ocsflake.LakeError, match="gone"):
            ocsflake.run(source, Broken(lake, clock), checkpoints=store, stop=clock, now=clock.now, commit_bytes=1)
        doc, revision = store.load("parts")
        assert doc is not None
        intent = {"splits": [["p1", {}, 1]], "records": 1, "since": None, "until": None}
        places = {"root": None, "region": None, "naming": None, "ocsf_version": "1.1.0", "rejects": None}
        store.save("parts", {**doc, "intent": {**intent, "places": places}}, revision)
        sink = Apart(lake, clock)

        ocsflake.run(source, sink, checkpoints=store, stop=clock, now=clock.now)

        assert sink.published == [0]
        assert rows(tmp_path) == events([0, 1])


class TestTogether:
    def test_sources_of_one_custom_source(self, tmp_path: Path) -> None:
        """Sources that write to the same custom sources keep the distance together, and take turns."""
        first, second = Parts({}, name="first"), Parts({}, name="second")
        moments = range(0, 2_000, 50)
        clock = Clock(
            {
                **arrivals(first, {moment: moment for moment in moments}),
                **{moment + 1: call for moment, call in arrivals(second, {m: 10_000 + m for m in moments}).items()},
            },
            end=2_400,
        )
        sink = Apart(ocsflake.Lake(tmp_path), clock)

        report = ocsflake.run([first, second], sink, follow=True, stop=clock, now=clock.now)

        assert all(later - earlier >= 300 for earlier, later in pairwise(sink.published))
        assert len(sink.published) >= 6
        taken = [each.splits for each in report.sources]
        assert min(taken) >= 20, taken

    def test_sources_of_two_custom_sources(self, tmp_path: Path) -> None:
        """What goes to another custom source needs no distance: Security Lake counts the objects of each."""
        query = {
            "version": "1.1",
            "account_id": "111122223333",
            "region": "eu-west-1",
            "query_timestamp": "2026-03-01T06:00:00Z",
            "query_name": "example.com.",
            "query_type": "A",
            "srcaddr": "192.0.2.7",
        }
        sources = [
            Parts({"a": [record(1)]}, name="first"),
            Parts({"b": [query]}, name="second", log_type="aws.route53_resolver"),
        ]
        clock = Clock(end=10)
        sink = Apart(ocsflake.Lake(tmp_path), clock)

        ocsflake.run(sources, sink, follow=True, stop=clock, now=clock.now, commit_seconds=1_000, commit_bytes=1)

        assert sink.published == [0, 0]

    def test_where_no_distance_is_asked_for(self, tmp_path: Path) -> None:
        """In a lake of one's own each source has its own pace."""
        sources = [Parts({"a": [record(1)]}, name="first"), Parts({"b": [record(2)]}, name="second")]
        clock = Clock(end=10)
        sink = Apart(ocsflake.Lake(tmp_path), clock, min_commit_seconds=0)

        ocsflake.run(sources, sink, follow=True, stop=clock, now=clock.now, commit_seconds=1_000)

        assert sink.published == [0, 0]


class TestSizes:
    def pace(self, commit_bytes: int | None = None, apart: float = 0.0) -> Pace:
        return Pace(commit_bytes=commit_bytes, commit_seconds=0, apart=apart, follow=False, stop=threading.Event())

    def commits(self, pace: Pace, sizes: Sequence[int | None]) -> list[int]:
        @define
        class Sized(Parts):
            def plan(self, state: State | None, now: datetime) -> Iterator[Split]:
                return (Split(str(n), bytes=size) for n, size in enumerate(sizes))

        return [len(splits) for splits in pace.commits(Sized({}), None)]

    @pytest.mark.parametrize(
        ("commit_bytes", "apart", "sizes", "expected"),
        [
            (10, 0, [4, 4, 4, 4], [3, 1]),
            (10, 0, [100, 1, 0, 9], [1, 3]),
            (10, 0, [1, None, 9], [2, 1]),
            (None, 0, [None] * 65, [64, 1]),
            (10, 0, [], []),
            (None, 0, [16 << 20] * 9, [4, 4, 1]),
            (None, 300, [256 << 20] * 5, [4, 1]),
            (10, 0, [0] * 10_001, [10_000, 1]),
        ],
    )
    def test_cuts(
        self, commit_bytes: int | None, apart: float, sizes: Sequence[int | None], expected: Sequence[int]
    ) -> None:
        """A commit ends with the split that fills it, by bytes or by number."""
        assert self.commits(self.pace(commit_bytes, apart), sizes) == expected
