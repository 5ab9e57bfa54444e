"""The window cursor: what every source shares whose service is asked for a span of time.

Time is cut into half-open windows on a fixed grid, frozen in the split, so that a page token never outlives the call
that made it and a window reads the same whenever it is read. What is new are the gaps between what was covered: a
window that failed is a gap, and is planned again.

Services show records late. Two bounds take care of that:

- `settle`: nothing younger than this is asked for yet;
- `overlap`: the first window after a covered span reads that much of the span's end again, and the records' ids
  (`RawBatch.ids`) tell what came late from what was taken before.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from heapq import merge
from typing import TYPE_CHECKING

from attrs import frozen

from ocsflake.model import Split
from ocsflake.sources.options import is_age
from ocsflake.times import moment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ocsflake.model import State

__all__ = ["Windows"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_Span = tuple[int, int]


@frozen
class Windows:
    """How the time of one source is cut.

    Times are milliseconds since 1970 in splits and in the state. A source may have several *scopes* (an account and
    Region, a log group, a workspace), each with windows of its own.

    Attributes:
        step: How long a window is at most; windows begin and end at its multiples, the first and the last excepted.
        settle: How old a record must be to be read.
        overlap: How much of what was covered is read again.
    """

    step: timedelta = timedelta(hours=1)
    settle: timedelta = timedelta(minutes=2)
    overlap: timedelta = timedelta(minutes=5)

    def plan(
        self,
        state: State | None,
        now: datetime,
        *,
        since: str | datetime,
        until: datetime | None = None,
        scopes: Iterable[str] = ("",),
    ) -> Iterator[Split]:
        """Yield the windows that are not covered yet, oldest first over all scopes.

        The detail of a split has ``scope``, ``start`` and ``end`` (what it covers), and ``read_from``, which is before
        `start` where the window overlaps: read the records from `read_from` on and before `end`.

        Args:
            state: What `advance` returned last.
            now: What time it is.
            since: Where to begin; what was covered before is not read again. An age (``7d``) counts from when the scope
                was first read, so that nothing is passed over when runs are further apart than that.
            until: Where to end.
            scopes: The names of the scopes.
        """
        # Whole seconds: some services know no finer bound.
        end = (now - self.settle).replace(microsecond=0)
        last = _milliseconds(end if until is None else min(until, end))
        covered = (state or {}).get("covered", {})
        yield from merge(
            *(
                self._windows(scope, spans, _begin(since, now, spans), last)
                for scope in dict.fromkeys(scopes)
                for spans in [covered.get(scope, [])]
            ),
            key=lambda split: (split.detail["end"], split.detail["scope"]),
        )

    def advance(self, state: State | None, done: Sequence[Split]) -> State:
        """Return the state once the records of `done` are durable."""
        covered = dict((state or {}).get("covered", {}))
        for split in done:
            scope, span = split.detail["scope"], [split.detail["start"], split.detail["end"]]
            covered[scope] = _merged([*covered.get(scope, []), span])
        return {"covered": covered}

    def forgets(self, state: State, split: Split) -> bool:
        """Return whether no window from `state` on can read a record of `split` again; see `Overlaps`."""
        overlap = _length(self.overlap)
        spans = state["covered"].get(split.detail["scope"], [])
        return not any(split.detail["read_from"] < end and split.detail["end"] > end - overlap for _, end in spans)

    def _windows(self, scope: str, covered: Sequence[Sequence[int]], first: int, last: int) -> Iterator[Split]:
        step, overlap = _length(self.step), _length(self.overlap)
        ends = {end for _, end in covered}
        for gap_start, gap_end in _gaps(covered, first, last):
            start = gap_start
            while start < gap_end:
                end = min(gap_end, (start // step + 1) * step)
                read_from = start - overlap if start in ends else start
                detail = {"scope": scope, "start": start, "end": end, "read_from": read_from}
                yield Split(f"{scope}[{_text(read_from)}/{_text(end)})", detail)
                start = end


def _begin(since: str | datetime, now: datetime, covered: Sequence[Sequence[int]]) -> int:
    begin = moment(since, now)
    assert begin is not None
    first = _milliseconds(begin)
    return min(first, covered[0][0]) if covered and is_age(since, now) else first


def _gaps(covered: Sequence[Sequence[int]], first: int, last: int) -> Iterator[_Span]:
    for start, end in covered:
        if first < min(start, last):
            yield first, min(start, last)
        first = max(first, end)
    if first < last:
        yield first, last


def _merged(spans: Sequence[Sequence[int]]) -> list[list[int]]:
    found: list[list[int]] = []
    for start, end in sorted((start, end) for start, end in spans):
        if found and start <= found[-1][1]:
            found[-1][1] = max(found[-1][1], end)
        else:
            found.append([start, end])
    return found


def _length(span: timedelta) -> int:
    return span // timedelta(milliseconds=1)


def _milliseconds(when: datetime) -> int:
    return (when - _EPOCH) // timedelta(milliseconds=1)


def _text(milliseconds: int) -> str:
    return (_EPOCH + timedelta(milliseconds=milliseconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
