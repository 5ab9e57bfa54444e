"""``ocsflake list``: what is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ocsflake.cli._output import put, say, table, width
from ocsflake.registry import offers

if TYPE_CHECKING:
    import argparse

_COLUMNS = ("kind", "name", "state", "distribution", "version", "error")


def main(arguments: argparse.Namespace) -> int:
    """Show sources and mappers."""
    found = [{name: getattr(offer, name) for name in _COLUMNS} for offer in offers()]
    if arguments.json:
        for offer in found:
            put(msgspec.json.encode(offer))
    else:
        shown = [name for name in _COLUMNS if name != "error" or any(offer["error"] for offer in found)]
        say(table(shown, [[offer[name] for name in shown] for offer in found], width()))
    return 0
