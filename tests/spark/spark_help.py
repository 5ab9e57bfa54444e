"""What the tests of Spark share, executors included, which find it on their path: sources and sinks that misbehave."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

from ocsflake.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from ocsflake.lake import Lake
    from ocsflake.model import Commit, EventBatch, ObjectWritten, RawBatch, Source, Split, State


def attempt() -> int:
    """Which attempt of its task this is."""
    from pyspark import TaskContext

    context = TaskContext.get()
    assert context is not None
    return context.attemptNumber()


@frozen
class Slow:
    """A source that takes a second over each split; the log has the number of each attempt, and where it runs."""

    source: Source
    log: Path

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def log_type(self) -> str:
        return self.source.log_type

    def plan(self, state: State | None, now: datetime) -> Iterator[Split]:
        return self.source.plan(state, now)

    def read(self, split: Split) -> Iterator[RawBatch]:
        with self.log.open("a") as log:
            log.write(f"{attempt()} {Path.cwd()}\n")
        time.sleep(1)
        return self.source.read(split)

    def advance(self, state: State | None, done: Sequence[Split]) -> State:
        return self.source.advance(state, done)


@frozen
class Fades:
    """A source of which nothing can be read after the first attempt."""

    source: Source

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def log_type(self) -> str:
        return self.source.log_type

    def plan(self, state: State | None, now: datetime) -> Iterator[Split]:
        return self.source.plan(state, now)

    def read(self, split: Split) -> Iterator[RawBatch]:
        if attempt() > 0:
            raise SourceError("it is gone", source=self.name, split=split.id)
        return self.source.read(split)

    def advance(self, state: State | None, done: Sequence[Split]) -> State:
        return self.source.advance(state, done)


@frozen
class Stumbles:
    """A lake that gets stuck after a commit was published; the log has the number of each attempt that came that far.

    Attributes:
        lake: What it is made of.
        log: The log.
        nap: How long the first attempt at the first commit stays; without it, all first attempts fail.
    """

    lake: Lake
    log: Path
    nap: float = 0

    @property
    def root(self) -> Path | str:
        return self.lake.root

    @property
    def ocsf_version(self) -> str:
        return self.lake.ocsf_version

    @property
    def region(self) -> str:
        return self.lake.region

    @property
    def naming(self) -> str:
        return self.lake.naming

    def begin(self, commit_id: str) -> Commit:
        return _StumblingCommit(self, self.lake.begin(commit_id))


@frozen
class _StumblingCommit:
    sink: Stumbles
    commit: Commit

    def write(self, batch: EventBatch) -> None:
        self.commit.write(batch)

    def publish(self) -> Sequence[ObjectWritten]:
        found = self.commit.publish()
        with self.sink.log.open("a") as log:
            first = log.tell() == 0
            log.write(f"{attempt()}\n")
        if first and self.sink.nap:
            time.sleep(self.sink.nap)
        elif attempt() == 0 and not self.sink.nap:
            raise OSError("the machine went away")
        return found

    def close(self) -> None:
        self.commit.close()
