"""Moments as people give them: ``7d``, ``2026-11-01``, a datetime; and the events between two of them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from attrs import frozen

from ocsflake.errors import ConfigError
from ocsflake.model import Bounded

if TYPE_CHECKING:
    from ocsflake.model import EventBatch, Source

__all__ = ["Reach", "Window", "moment", "narrowed", "reach", "window", "within"]

_AGO = re.compile(r"(\d{1,6})\s*(s|m|h|d|w)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@frozen
class Window:
    """What events must lie in.

    Attributes:
        since: The first millisecond since 1970 that is in it, ``None`` for no bound.
        until: The first one after it.
    """

    since: int | None = None
    until: int | None = None


@frozen
class Reach:
    """How far from now the time of an event may be.

    Attributes:
        back: Milliseconds into the past, ``None`` for any.
        ahead: Milliseconds into the future, ``None`` for any.
    """

    back: int | None = None
    ahead: int | None = None

    def around(self, now: datetime) -> Window:
        """Return the window that a moment has around it."""
        middle = _milliseconds(now)
        assert middle is not None
        return Window(
            None if self.back is None else middle - self.back, None if self.ahead is None else middle + self.ahead + 1
        )


def reach(max_age: str | None, max_ahead: str | None) -> Reach:
    """Return how far from now events may be, of ages such as ``9125d``.

    Raises:
        ConfigError: If a text is no age.
    """
    return Reach(_age("max_age", max_age), _age("max_ahead", max_ahead))


def moment(value: str | datetime | None, now: datetime) -> datetime | None:
    """Return a moment in UTC.

    Args:
        value: An age such as ``7d``, ``12h`` or ``30m``, an ISO 8601 date or time (UTC unless it names a zone), a
            datetime (UTC unless it has a zone), or ``None``.
        now: What ages count from.

    Raises:
        ConfigError: If the text is none of these.
    """
    if value is None:
        return None
    try:
        if isinstance(value, str):
            if match := _AGO.fullmatch(value.strip()):
                return now - timedelta(**{_UNITS[match[2]]: int(match[1])})
            found = datetime.fromisoformat(value.strip())
        else:
            found = value
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        advice = "give an age such as 7d, 12h or 30m, or a date such as 2026-11-01T06:00Z"
        raise ConfigError(f"{str(value)!r} is no time: {advice}") from None


def window(since: str | datetime | None, until: str | datetime | None, now: datetime) -> Window:
    """Return what lies from one moment on and before another; see `moment`.

    Raises:
        ConfigError: If a text is no time, or nothing lies between the two.
    """
    first, last = moment(since, now), moment(until, now)
    if first is not None and last is not None and first >= last:
        raise ConfigError(f"since ({first:%Y-%m-%d %H:%M:%S} UTC) is not before until ({last:%Y-%m-%d %H:%M:%S} UTC)")
    return Window(_milliseconds(first), _milliseconds(last))


def within(batch: EventBatch, window: Window) -> EventBatch:
    """Return the events whose ``time`` lies in a window."""
    import pyarrow.compute as pc

    if window == Window():
        return batch
    times = batch.encoded["time"]
    kept = times.is_valid()
    if window.since is not None:
        kept = pc.and_(kept, pc.greater_equal(times, window.since))
    if window.until is not None:
        kept = pc.and_(kept, pc.less(times, window.until))
    return batch.within(kept)


def narrowed(source: Source, window: Window) -> Source:
    """Return a source that leaves out what lies outside a window, if it can do that without reading it."""
    if window == Window() or not isinstance(source, Bounded):
        return source
    return source.between(_datetime(window.since), _datetime(window.until))


def _age(name: str, value: str | None) -> int | None:
    if value is None:
        return None
    match = _AGO.fullmatch(value.strip())
    if match is None:
        raise ConfigError(f"{name} {value!r} is no age: give one such as 9125d, 48h or 30m, or None for any")
    return timedelta(**{_UNITS[match[2]]: int(match[1])}) // timedelta(milliseconds=1)


def _datetime(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else _EPOCH + timedelta(milliseconds=milliseconds)


def _milliseconds(when: datetime | None) -> int | None:
    """Return the first whole millisecond since 1970 that is not before a moment."""
    return None if when is None else -((_EPOCH - when) // timedelta(milliseconds=1))
