"""A source that takes its time, in processes too."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from ocsflake.model import RawBatch, Source, Split, State


@frozen
class Slow:
    """A source that takes half a second over each split."""

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
        time.sleep(0.5)
        return self.source.read(split)

    def advance(self, state: State | None, done: Sequence[Split]) -> State:
        return self.source.advance(state, done)
