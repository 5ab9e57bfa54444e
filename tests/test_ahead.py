"""Reading splits ahead: their order, how many at a time, and what happens when one fails."""

from __future__ import annotations

import threading
from itertools import islice
from typing import TYPE_CHECKING

import pytest
from attrs import define, field

from ocsflake.ahead import read_ahead
from ocsflake.errors import SourceError
from ocsflake.model import RawBatch, Split

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from ocsflake.model import State


@define
class Remote:
    """A source whose reading waits until as many splits are being read as it allows, or are left."""

    total: int
    readers: int = 3
    name: str = "remote"
    log_type: str = "aws.cloudtrail"
    broken: str = ""
    meeting: threading.Barrier | None = None
    begun: list[str] = field(factory=list)
    batches: int = 0

    def plan(self, state: State | None, now: datetime) -> Iterator[Split]:
        return (Split(str(number)) for number in range(self.total))

    def read(self, split: Split) -> Iterator[RawBatch]:
        self.begun.append(split.id)
        if self.meeting is not None:
            self.meeting.wait(20)
        if split.id == self.broken:
            raise SourceError("gone", split=split.id)
        for number in range(3):
            self.batches += 1
            yield RawBatch(f"{split.id}.{number}".encode())

    def advance(self, state: State | None, done: Sequence[Split]) -> State:
        return {}


def splits(count: int) -> list[Split]:
    return [Split(str(number)) for number in range(count)]


def test_order() -> None:
    """Splits and their batches come in their order, whichever was read first."""
    source = Remote(6, meeting=threading.Barrier(3))  # would break if fewer than three were read at a time

    found = [(split.id, raw.records) for split, raws in read_ahead(source, splits(6)) for raw in raws]

    assert found == [(str(split), f"{split}.{number}".encode()) for split in range(6) for number in range(3)]


def test_two() -> None:
    """Already of two splits the second is read while the first one is."""
    source = Remote(2, meeting=threading.Barrier(2))

    assert [split.id for split, raws in read_ahead(source, splits(2)) for _ in raws] == ["0"] * 3 + ["1"] * 3


def test_closed_early() -> None:
    """Whoever needs no more does not wait for what is still being read."""
    gate = threading.Event()

    class Slow(Remote):
        def read(self, split: Split) -> Iterator[RawBatch]:
            if split.id != "0":
                gate.wait(20)
            yield from super().read(split)

    source = Slow(3)
    reading = read_ahead(source, splits(3))
    next(reading)
    reading.close()
    begun = list(source.begun)
    gate.set()

    assert begun == ["0"]


def test_bounded() -> None:
    """No more splits are begun than the source allows, and of each no more than one batch is taken."""
    source = Remote(20)
    reading = read_ahead(source, splits(20))

    _, raws = next(reading)
    next(iter(raws))
    reading.close()

    assert len(source.begun) <= 3
    assert source.batches <= 3


def test_one_more_for_each_that_is_done() -> None:
    """However many splits there are, those that are begun keep their distance."""
    source = Remote(200)

    for done, _ in enumerate(read_ahead(source, splits(200))):
        assert len(source.begun) <= done + 3


def test_broken() -> None:
    """A split that cannot be read raises in its turn, after those before it were given out."""
    records = (raw.records for _, raws in read_ahead(Remote(5, broken="2"), splits(5)) for raw in raws)

    assert list(islice(records, 6)) == [f"{split}.{number}".encode() for split in range(2) for number in range(3)]
    with pytest.raises(SourceError, match="gone"):
        next(records)
