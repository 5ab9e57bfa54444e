"""The commit protocol against random histories: arrivals, crashes between any two steps, runs of two at once.

Each seed is a history. Whatever happened in it, no record is ever twice in the lake, and once runs are left in peace
every record is there. Sources of all three kinds: objects, overlapping windows, and a queue that delivers again.
"""

from __future__ import annotations

import json
from collections import Counter
from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from attrs import Factory, define, field

import ocsflake
from ocsflake.checkpoints import MemoryCheckpoints
from ocsflake.errors import CheckpointConflictError, DuplicateNameError
from ocsflake.mapping.rejects import REJECT_SCHEMA
from ocsflake.model import EventBatch, Mapped, ObjectWritten, RawBatch, Split

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from ocsflake.model import State
    from ocsflake.times import Window

HISTORIES, BLOCKS = 10_000, 20
LOG_TYPE = "model.log"
NO_REJECTS = pa.RecordBatch.from_pylist([], REJECT_SCHEMA)


class CrashError(BaseException):
    """The process is gone; nothing of the library may catch it."""


@define
class Fate:
    """What happens between two steps: nothing, a crash, or another run that comes and goes."""

    left: int = -1
    what: Callable[[], None] = lambda: None

    def step(self) -> None:
        self.left -= 1
        if self.left == 0:
            self.what()

    def set(self, left: int, what: Callable[[], None]) -> None:
        self.left, self.what = left, what


@define
class Store:
    """Checkpoints, with a step before and after each call."""

    fate: Fate
    inner: MemoryCheckpoints = Factory(MemoryCheckpoints)

    def load(self, name: str) -> tuple[dict[str, Any] | None, str | None]:
        self.fate.step()
        return self.inner.load(name)

    def save(self, name: str, doc: Mapping[str, Any], revision: str | None) -> str:
        self.fate.step()
        saved = self.inner.save(name, json.loads(json.dumps(doc)), revision)
        self.fate.step()
        return saved


@define
class Sink:
    """A lake in memory: objects by name, put one after the other."""

    fate: Fate
    objects: dict[str, list[int]] = field(factory=dict)
    ocsf_version: str = "1.1.0"

    def begin(self, commit_id: str) -> Commit:
        return Commit(self, commit_id)

    def rows(self) -> Counter[int]:
        return Counter(row for rows in self.objects.values() for row in rows)


@define
class Commit:
    sink: Sink
    commit_id: str
    parts: dict[int, list[int]] = field(factory=dict)

    def write(self, batch: EventBatch) -> None:
        self.sink.fate.step()
        for row in batch.events["time"].to_pylist():
            self.parts.setdefault(row % 3, []).append(row)

    def publish(self) -> Sequence[ObjectWritten]:
        written = []
        for part, rows in sorted(self.parts.items()):
            self.sink.fate.step()
            name = f"{self.commit_id}-{part}"
            self.sink.objects[name] = rows
            written.append(ObjectWritten(name, "s", "base_event", "a", "20260101", len(rows), len(rows)))
        self.sink.fate.step()
        return written

    def close(self) -> None:
        self.parts = {}


@define
class Mapper:
    """One event a record; the record is its number."""

    log_type: str = LOG_TYPE
    source_name: str = "model"
    events: tuple[()] = ()

    def map(self, raw: RawBatch, ocsf_version: str = "1.1.0") -> Mapped:
        rows = [int(record) for record in raw.records]
        events = pa.RecordBatch.from_pydict({"time": pa.array(rows, pa.int64())})
        return Mapped([EventBatch(LOG_TYPE, "model", "base_event", events)], NO_REJECTS, len(rows), len(rows))

    def map_batches(
        self, raws: Iterable[RawBatch], ocsf_version: str, *, rows: int, bounds: Window
    ) -> Iterator[Mapped]:
        yield from map(self.map, raws)

    def redacting(self, raw_paths: Sequence[str], *, keep_secrets: bool) -> Mapper:
        return self


def batch(rows: Iterable[int], *, ids: bool = False) -> RawBatch:
    records = [str(row).encode() for row in rows]
    return RawBatch(records, ids=[f"id-{row.decode()}" for row in records] if ids else None)


@define
class Objects:
    """A bucket: objects appear, and stay as they are."""

    fate: Fate
    name: str = "objects"
    log_type: str = LOG_TYPE
    there: dict[str, list[int]] = field(factory=dict)

    def arrive(self, rows: list[int], luck: Random) -> None:
        self.there[f"object-{rows[0]}"] = rows

    def plan(self, state: State | None, now: datetime) -> Iterator[Split]:
        self.fate.step()
        done = (state or {}).get("done", ())
        yield from (Split(name, bytes=1) for name in list(self.there) if name not in done)

    def read(self, split: Split) -> Iterator[RawBatch]:
        self.fate.step()
        yield batch(self.there[split.id])

    def advance(self, state: State | None, done: Sequence[Split]) -> State:
        return {"done": [*(state or {}).get("done", ()), *(split.id for split in done)]}


@define
class Overlapping:
    """An API: each window reads what came since one window before the last, so late records come twice or once."""

    fate: Fate
    name: str = "windows"
    log_type: str = LOG_TYPE
    there: list[list[int]] = field(factory=list)
    late: list[tuple[int, int]] = field(factory=list)

    def arrive(self, rows: list[int], luck: Random) -> None:
        """Some of them are shown late: within the overlap, one window after their own."""
        kept = [row for row in rows if luck.random() < 0.7]
        self.there.append(kept)
        self.late += [(len(self.there), row) for row in rows if row not in kept]

    def settle(self) -> None:
        """Let a window begin that shows what is late."""
        self.there.append([])

    def plan(self, state: State | None, now: datetime) -> Iterator[Split]:
        self.fate.step()
        for place in range((state or {}).get("next", 0), len(self.there)):
            yield Split(f"window-{place}", {"place": place}, 1)

    def read(self, split: Split) -> Iterator[RawBatch]:
        self.fate.step()
        place = split.detail["place"]
        for window in range(max(0, place - 1), place + 1):
            rows = self.there[window] + [row for of, row in self.late if of - 1 == window and len(self.there) > of]
            yield batch(rows, ids=True)

    def advance(self, state: State | None, done: Sequence[Split]) -> State:
        return {"next": max(split.detail["place"] for split in done) + 1}

    def forgets(self, state: State, split: Split) -> bool:
        return split.detail["place"] < state["next"] - 1


@define
class Queue:
    """A queue whose messages are the records: delivered at least once, until they are acknowledged."""

    fate: Fate
    name: str = "queue"
    log_type: str = LOG_TYPE
    there: dict[int, int] = field(factory=dict)
    luck: Random = field(factory=Random)

    def arrive(self, rows: list[int], luck: Random) -> None:
        self.luck = luck
        self.there |= {row: row for row in rows}

    def plan(self, state: State | None, now: datetime) -> Iterator[Split]:
        self.fate.step()
        rows = list(self.there)
        self.luck.shuffle(rows)
        while rows:
            taken, rows = rows[:3], rows[3:]
            yield Split("-".join(map(str, taken)), {"messages": taken}, 1)

    def read(self, split: Split) -> Iterator[RawBatch]:
        self.fate.step()
        yield batch(split.detail["messages"], ids=True)

    def advance(self, state: State | None, done: Sequence[Split]) -> State:
        return {}

    def forgets(self, state: State, split: Split) -> bool:
        return False

    def acknowledge(self, splits: Sequence[Split]) -> None:
        for split in splits:
            self.fate.step()
            for row in split.detail["messages"]:
                if self.luck.random() < 0.8:  # else it is delivered once more
                    self.there.pop(row, None)


def play(seed: int, kind: type[Store] = Store) -> int:
    """Live through one history; return how many records it had."""
    luck = Random(seed)
    fate = Fate()
    sink, store = Sink(fate), kind(fate)
    source: Any = luck.choice([Objects, Overlapping, Queue])(fate)
    commit_bytes = luck.choice([1, 2, 100])
    sent = 0

    def run() -> None:
        ocsflake.run(source, sink, checkpoints=store, commit_bytes=commit_bytes)

    def crash() -> None:
        raise CrashError

    def other_run() -> None:
        with suppress(CheckpointConflictError):
            run()

    for _ in range(luck.randrange(3, 9)):
        count = luck.randrange(1, 7)
        source.arrive(list(range(sent, sent + count)), luck)
        sent += count
        what = luck.choice([crash, crash, other_run, lambda: None])
        fate.set(luck.randrange(1, 25), what)
        with suppress(CrashError, CheckpointConflictError):
            run()
        assert max(sink.rows().values(), default=1) == 1, f"seed {seed}: a record is twice in the lake"
    fate.set(-1, crash)
    if isinstance(source, Overlapping):
        source.settle()
    for _ in range(2):
        run()
    assert sink.rows() == Counter(range(sent)), f"seed {seed}: the lake does not hold what was sent"
    return sent


@pytest.fixture(scope="module", autouse=True)
def mapper() -> None:
    with suppress(DuplicateNameError):
        ocsflake.register_mapper(Mapper())  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("block", range(BLOCKS))
def test_histories(block: int) -> None:
    """Nothing is lost and nothing is doubled, whatever happens when."""
    size = HISTORIES // BLOCKS
    assert sum(map(play, range(block * size, (block + 1) * size))) > size


def test_some_histories() -> None:
    """A few of them in every run of the tests."""
    assert sum(map(play, range(HISTORIES, HISTORIES + 200))) > 200


@define
class Forgetful(Store):
    """A store that loses the intent."""

    def save(self, name: str, doc: Mapping[str, Any], revision: str | None) -> str:
        return Store.save(self, name, {**doc, "intent": None}, revision)


def test_the_model_can_fail() -> None:
    """A protocol without an intent doubles something, and the model sees it."""

    def fails(seed: int) -> bool:
        try:
            play(seed, Forgetful)
        except AssertionError:
            return True
        return False

    assert any(map(fails, range(300)))
