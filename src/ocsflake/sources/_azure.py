"""Options that the sources of Azure share."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ocsflake.times import moment

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["earlier", "later", "words"]


def words(value: str | Iterable[str] | None) -> tuple[str, ...]:
    """Return a list, or text with commas, without blanks and repetitions."""
    given = value.split(",") if isinstance(value, str) else value or ()
    return tuple(dict.fromkeys(word.strip() for word in given if word.strip()))


def later(own: str | datetime | None, since: datetime | None) -> str | datetime | None:
    """Return the bound of a source that has one of its own and is narrowed by another."""
    return own if since is None else max(since, moment(own, datetime.now(UTC)) or since)


def earlier(own: str | datetime | None, until: datetime | None) -> str | datetime | None:
    """Return the same for the bound at the end."""
    return own if until is None else min(until, moment(own, datetime.now(UTC)) or until)
