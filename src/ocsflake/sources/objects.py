"""The object cursor: what every source shares that lists objects of a bucket or a container.

A listing says what is there, not what came last, and objects come late: so what was read is remembered as a set, for
each prefix and day, and the youngest days are listed again each time. A day is closed, and is listed no more, when it
is `LATE` days old and everything that a listing found in it was read; an object that could not be read keeps its day
open. Closed days are kept as spans, so that a run that goes further back than those before it lists what they left
out. Objects whose key names no day are remembered for good.
"""

from __future__ import annotations

from base64 import b64decode
from datetime import date, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from ocsflake.marks import is_in, mark_of, pack, unpack
from ocsflake.model import Split

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from ocsflake.model import State

__all__ = ["LATE", "Listed", "advance", "first_day", "forget", "gaps", "is_end_of_day", "new", "read_before"]

LATE = 2
"""Days after which no more objects of a day are waited for."""


@frozen
class Listed:
    """An object as a listing shows it.

    Attributes:
        uri: Its address.
        version: What changes when its content does: an ETag, a generation.
        size: Bytes as stored.
        day: The day that its key names, ``YYYY-MM-DD``; ``""`` if it names none.
        detail: What the reading of it needs besides; JSON values.
    """

    uri: str
    version: str
    size: int
    day: str = ""
    detail: Mapping[str, Any] = field(factory=dict)


def first_day(state: State | None, prefix: str) -> str:
    """Return the first day of a prefix that is still to be listed, ``""`` for all."""
    return gaps(state, prefix)[0][0]


def gaps(state: State | None, prefix: str, first: str = "", last: str = "") -> list[tuple[str, str]]:
    """Return the spans of days of a prefix that are still to be listed, oldest first; of each its first and last day.

    Args:
        state: What `advance` returned last.
        prefix: The prefix.
        first: The first day that is wanted; ``""`` is no bound, in the answer as well.
        last: The last one; the same.
    """
    found = []
    for start, end in _closed(state, prefix):
        if first < start:
            found.append((first, _before(start)))
        first = max(first, _after(end))
    found.append((first, last))
    if last:
        found = [(start, min(end or last, last)) for start, end in found if start <= last]
    return found


def new(
    state: State | None, now: datetime, prefix: str, listed: Iterable[Listed], *, first: str | None = None
) -> Iterator[Split]:
    """Yield the objects that were not read yet, and the ends of days that can be closed once they are read.

    The detail of a split has ``uri``, ``version``, ``prefix`` and ``day``, and what the object's own detail has. The
    end of a day is a split of no bytes and no records; see `is_end_of_day`.

    Args:
        state: What `advance` returned last.
        now: What time it is.
        prefix: The prefix that was listed; the state of each is its own.
        listed: Its objects, ordered by day; only one day's marks are in memory at a time.
        first: The first day that was listed, ``""`` for all; `first_day` if it is not given.
    """
    first = first_day(state, prefix) if first is None else first
    days = (state or {}).get("seen", {}).get(prefix, {})
    closed = _closed(state, prefix)
    oldest_open = str((now - timedelta(days=LATE)).date())
    for day, group in groupby(listed, key=lambda found: found.day):
        if _is_within(day, closed):
            continue
        seen = unpack(days.get(day, ""))
        for found in group:
            mark = mark_of(found.uri, found.version)
            if mark in seen:
                continue
            seen.add(mark)
            named = {"uri": found.uri, "version": found.version, "prefix": prefix, "day": day}
            yield Split(f"{found.uri}#{found.version}", {**found.detail, **named}, found.size)
        if day and day < oldest_open:
            end = {"prefix": prefix, "ends": day, "from": first, "due": len(seen)}
            yield Split(f"{prefix}#{day}:{len(seen)}", end, 0)
            first = _after(day)


def is_end_of_day(split: Split) -> bool:
    """Return whether a split stands for the end of a day, and has nothing to read."""
    return "ends" in split.detail


def advance(state: State | None, done: Sequence[Split]) -> State:
    """Return the state once the records of `done` are durable."""
    closed = dict((state or {}).get("closed", {}))
    seen = {prefix: dict(days) for prefix, days in (state or {}).get("seen", {}).items()}
    read: dict[tuple[str, str], set[bytes]] = {}
    for split in done:
        if not is_end_of_day(split):
            detail = split.detail
            read.setdefault((detail["prefix"], detail["day"]), set()).add(mark_of(detail["uri"], detail["version"]))
    for (prefix, day), marks in read.items():
        days = seen.setdefault(prefix, {})
        days[day] = pack(unpack(days.get(day, "")) | marks)
    for split in filter(is_end_of_day, done):
        prefix, day = split.detail["prefix"], split.detail["ends"]
        days = seen.get(prefix, {})
        if len(unpack(days.get(day, ""))) >= split.detail["due"]:
            closed[prefix] = _merged([*closed.get(prefix, ()), (split.detail["from"], day)])
            seen[prefix] = {name: packed for name, packed in days.items() if not _is_within(name, closed[prefix])}
    return {"closed": closed, "seen": {prefix: days for prefix, days in seen.items() if days}}


def read_before(state: State | None, prefix: str) -> Callable[[str, str], bool]:
    """Return what tells whether an object of this URI and version was read, under whatever day."""
    packed = [b64decode(marks) for marks in (state or {}).get("seen", {}).get(prefix, {}).values()]

    def was_read(uri: str, version: str) -> bool:
        mark = mark_of(uri, version)
        return any(is_in(mark, data) for data in packed)

    return was_read


def forget(state: State, prefix: str, before: str) -> State:
    """Return the state without what was remembered under the days before one."""
    seen = dict(state["seen"])
    seen[prefix] = {day: marks for day, marks in seen.get(prefix, {}).items() if day >= before}
    return {**state, "seen": {name: days for name, days in seen.items() if days}}


def _closed(state: State | None, prefix: str) -> Sequence[Sequence[str]]:
    found: Sequence[Sequence[str]] = (state or {}).get("closed", {}).get(prefix, ())
    return found


def _is_within(day: str, spans: Iterable[Sequence[str]]) -> bool:
    return day != "" and any(start <= day <= end for start, end in spans)


def _merged(spans: Iterable[Sequence[str]]) -> list[list[str]]:
    found: list[list[str]] = []
    for start, end in sorted(map(tuple, spans)):
        if found and start <= _after(found[-1][1]):
            found[-1][1] = max(found[-1][1], end)
        else:
            found.append([start, end])
    return found


def _after(day: str) -> str:
    return str(date.fromisoformat(day) + timedelta(days=1))


def _before(day: str) -> str:
    return str(date.fromisoformat(day) - timedelta(days=1))
