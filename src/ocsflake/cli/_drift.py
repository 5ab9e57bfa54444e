"""``ocsflake drift``: the raw paths that mappers left in ``unmapped``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from attrs import asdict

from ocsflake.cli._output import put, say, table, tell, width
from ocsflake.lake import Lake

if TYPE_CHECKING:
    import argparse


def main(arguments: argparse.Namespace) -> int:
    """Show the paths, the most frequent first."""
    found = Lake(arguments.root).drift(since=arguments.since)
    if arguments.json:
        for path in found:
            put(msgspec.json.encode(asdict(path)))
    elif found:
        head = ["source", "class", "raw path", "events", "first day", "last day"]
        say(table(head, [list(asdict(path).values()) for path in found], width()))
    tell(f"paths={len(found)}")
    return 0
