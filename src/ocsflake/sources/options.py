"""Options that sources share: lists that may be text, and the moments that a source is bounded by."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ocsflake.times import moment

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["bounds", "is_age", "words"]

_Moment = str | datetime | None


def words(value: str | Iterable[str] | None) -> tuple[str, ...]:
    """Return a list, or text with commas, without blanks and repetitions."""
    given = value.split(",") if isinstance(value, str) else map(str, value or ())
    return tuple(dict.fromkeys(word.strip() for word in given if word.strip()))


def bounds(
    own: tuple[_Moment, _Moment], since: datetime | None, until: datetime | None, now: datetime | None = None
) -> tuple[_Moment, _Moment]:
    """Return `since` and `until` of a source that is narrowed by two moments.

    A bound of its own that is narrower stays as it was written: an age is still one.

    Args:
        own: Those of the source itself.
        since: Where to begin at the earliest, in UTC.
        until: Where to end at the latest, in UTC.
        now: What an age counts from; the present if it is not given.
    """
    now = now or datetime.now(UTC)
    first, last = (moment(when, now) for when in own)
    return (
        own[0] if since is None or (first is not None and first >= since) else since,
        own[1] if until is None or (last is not None and last <= until) else until,
    )


def is_age(since: str | datetime, now: datetime) -> bool:
    """Return whether a moment depends on when it is looked at, such as ``7d``."""
    return moment(since, now) != moment(since, datetime(2000, 1, 1, tzinfo=UTC))
