"""The object cursor: what every source shares that lists objects of a bucket or a container.

A listing says what is there, not what came last, and objects come late: so what was read is remembered as a set, for
each prefix and day, and the youngest days are listed again each time. A day is closed, and is listed no more, when it
is `LATE` days old, all before it is closed, and everything that a listing found in it was read; an object that could
not be read keeps its day open. Objects whose key names no day are remembered for good.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from datetime import date, timedelta
from hashlib import blake2b
from itertools import groupby
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from ocsflake.model import Split

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from ocsflake.model import State

__all__ = ["LATE", "Listed", "advance", "first_day", "is_end_of_day", "new"]

LATE = 2
"""Days after which no more objects of a day are waited for."""

_SIZE = 12


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
    closed = (state or {}).get("closed", {}).get(prefix, "")
    return str(date.fromisoformat(closed) + timedelta(days=1)) if closed else ""


def new(state: State | None, now: datetime, prefix: str, listed: Iterable[Listed]) -> Iterator[Split]:
    """Yield the objects that were not read yet, and the ends of days that can be closed once they are read.

    The detail of a split has ``uri``, ``version``, ``prefix`` and ``day``, and what the object's own detail has. The
    end of a day is a split of no bytes and no records; see `is_end_of_day`.

    Args:
        state: What `advance` returned last.
        now: What time it is.
        prefix: The prefix that was listed; the state of each is its own.
        listed: Its objects, ordered by day; only one day's marks are in memory at a time.
    """
    days = (state or {}).get("seen", {}).get(prefix, {})
    oldest_open = str((now - timedelta(days=LATE)).date())
    after = ""
    for day, group in groupby(listed, key=lambda found: found.day):
        seen = _unpacked(days.get(day, ""))
        for found in group:
            mark = _mark(found.uri, found.version)
            if mark in seen:
                continue
            seen.add(mark)
            named = {"uri": found.uri, "version": found.version, "prefix": prefix, "day": day}
            yield Split(f"{found.uri}#{found.version}", {**found.detail, **named}, found.size)
        if day and day < oldest_open:
            end = {"prefix": prefix, "ends": day, "after": after, "due": len(seen)}
            yield Split(f"{prefix}#{day}:{len(seen)}", end, 0)
            after = day


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
            read.setdefault((detail["prefix"], detail["day"]), set()).add(_mark(detail["uri"], detail["version"]))
    for (prefix, day), marks in read.items():
        days = seen.setdefault(prefix, {})
        days[day] = _packed(_unpacked(days.get(day, "")) | marks)
    for split in filter(is_end_of_day, done):
        prefix, day = split.detail["prefix"], split.detail["ends"]
        days, last = seen.get(prefix, {}), closed.get(prefix, "")
        if last >= split.detail["after"] and len(_unpacked(days.get(day, ""))) >= split.detail["due"]:
            closed[prefix] = max(day, last)
            seen[prefix] = {name: packed for name, packed in days.items() if not name or name > day}
    return {"closed": closed, "seen": {prefix: days for prefix, days in seen.items() if days}}


def _mark(uri: str, version: str) -> bytes:
    return blake2b(f"{uri}\0{version}".encode(errors="surrogatepass"), digest_size=_SIZE).digest()


def _packed(marks: set[bytes]) -> str:
    return b64encode(b"".join(sorted(marks))).decode()


def _unpacked(packed: str) -> set[bytes]:
    data = b64decode(packed)
    return {data[start : start + _SIZE] for start in range(0, len(data), _SIZE)}
