"""``ocsflake compact``: small objects of closed days become full ones."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from ocsflake.cli._output import say
from ocsflake.errors import ConfigError
from ocsflake.lake import Lake

if TYPE_CHECKING:
    import argparse
    from datetime import date


def main(arguments: argparse.Namespace) -> int:
    """Compact a lake, and say what became of it."""
    before = None if arguments.before is None else _day(arguments.before)
    say(str(Lake(arguments.root).compact(before=before)))
    return 0


def _day(text: str) -> date:
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007 - a day has no zone
    except ValueError:
        raise ConfigError(f"--before {text!r} is no day: write it as 2026-11-01") from None
