"""When a commit of a source begins, and when it may be published: by bytes, by the number of splits, and by age."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import chain, takewhile
from typing import TYPE_CHECKING

from attrs import define

from ocsflake.model import Acknowledges, Split

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Iterator

    from ocsflake.model import Source, State

__all__ = ["COMMIT_BYTES", "Pace", "Published", "now_in_utc"]

COMMIT_BYTES = 64 << 20
"""Bytes of splits, as stored, that one commit gathers: some 200,000 CloudTrail events in gzip."""
_COMMIT_BYTES_APART = 1 << 30
"""The same where commits must be minutes apart, so that a backlog does not take days."""
_COMMIT_SPLITS = 10_000
_UNKNOWN_BYTES = 1 << 20
"""What a split counts for whose size nobody knows before it is read: a window of an API."""


def now_in_utc() -> datetime:
    """Return what time it is."""
    return datetime.now(UTC)


@define
class Published:
    """When custom sources were last published, which several sources of a run may write to.

    Attributes:
        at: Milliseconds since 1970; ``None`` if they never were.
    """

    at: int | None = None


class Pace:
    """The commits of one source in one run.

    Args:
        commit_bytes: How many bytes of splits, as stored, one commit gathers; a default that suits `apart` if ``None``.
        commit_seconds: How long a run that follows gathers less than that, counted from the commit before.
        apart: How many seconds commits must be apart, unless an object is full.
        follow: Whether the run goes on, so that a part of a commit can wait for more.
        now: Tells what time it is.
        stop: Ends each wait.
        last: When its custom sources were last published; shared by the sources of a run that write to the same ones.
    """

    def __init__(
        self,
        *,
        commit_bytes: int | None,
        commit_seconds: float,
        apart: float,
        follow: bool,
        now: Callable[[], datetime] = now_in_utc,
        stop: threading.Event,
        last: Published | None = None,
    ) -> None:
        self._last = last or Published()
        self._bytes = commit_bytes or (_COMMIT_BYTES_APART if apart else COMMIT_BYTES)
        self._seconds = max(commit_seconds, apart)
        self._apart = apart
        self._follow = follow
        self._now = now
        self._stop = stop
        self._held: list[Split] = []

    def commits(self, source: Source, state: State | None) -> Iterator[list[Split]]:
        """Yield what is new in a source, commit by commit, until the run is stopped or the rest can wait.

        What can wait is planned again the next time, so that it is up to date. A queue would not give it again before
        long: its splits are held.
        """
        held = {split.id for split in self._held}  # a queue may give again what it waits to be told of
        new = (split for split in source.plan(state, self._now()) if split.id not in held)
        planned = takewhile(lambda _: not self.stopped, chain(self._held, new))  # to list an archive may take long
        self._held = []
        for splits, full in _cut(planned, self._bytes):
            if full or not self._follow or self._left(self._seconds) <= 0:
                if self.stopped:
                    return
                yield splits
            elif isinstance(source, Acknowledges):
                self._held = splits

    def wait(self) -> bool:
        """Wait until the next commit is far enough from the last one; ``False`` if the run was stopped meanwhile."""
        left = self._left(self._apart)
        return left <= 0 or not self._stop.wait(left)

    @property
    def stopped(self) -> bool:
        """Whether the run was told to end."""
        return self._stop.is_set()

    @property
    def published(self) -> int | None:
        """When its custom sources were last published, in milliseconds since 1970."""
        return self._last.at

    def resume(self, published: int | None) -> None:
        """Take up when an earlier run published, unless that is known better."""
        self._last.at = max(filter(None, (published, self._last.at)), default=None)

    def publish(self) -> None:
        """Note that the source is published now."""
        self._last.at = int(self._now().timestamp() * 1000)

    def _left(self, seconds: float) -> float:
        """Return how many of some seconds are left since the last commit."""
        if self.published is None:
            return 0.0
        age = self._now().timestamp() - self.published / 1000
        return min(seconds, seconds - age)  # a clock that was set back must not make it wait for longer


def _cut(splits: Iterable[Split], commit_bytes: int) -> Iterator[tuple[list[Split], bool]]:
    """Cut splits into commits; the last one may be less than full."""
    group: list[Split] = []
    size = 0
    for split in splits:
        group.append(split)
        size += _UNKNOWN_BYTES if split.bytes is None else split.bytes
        if size >= commit_bytes or len(group) >= _COMMIT_SPLITS:
            yield group, True
            group, size = [], 0
    if group:
        yield group, False
