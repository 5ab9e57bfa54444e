"""Moments as people give them: ``7d``, ``2026-11-01``, a datetime."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from ocsflake.errors import ConfigError

__all__ = ["moment"]

_AGO = re.compile(r"(\d{1,6})\s*(s|m|h|d|w)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


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
    if isinstance(value, str):
        if match := _AGO.fullmatch(value.strip()):
            return now - timedelta(**{_UNITS[match[2]]: int(match[1])})
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            raise ConfigError(
                f"{value!r} is no time: give an age such as 7d, 12h or 30m, or a date such as 2026-11-01T06:00Z"
            ) from None
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
