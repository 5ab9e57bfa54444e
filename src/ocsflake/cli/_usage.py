"""``ocsflake usage``: how much a lake holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ocsflake.cli._output import put, say, table, tell, width
from ocsflake.lake import Lake

if TYPE_CHECKING:
    import argparse


def main(arguments: argparse.Namespace) -> int:
    """Show the usage by what was asked for."""
    usage = Lake(arguments.root).usage()
    head, *rows = usage.table(*arguments.by.split(","))
    if arguments.json:
        for row in rows:
            put(msgspec.json.encode(dict(zip(map(str, head), row, strict=True))))
    else:
        say(table([str(name) for name in head], rows, width()))
    tell(usage.summary)
    return 0
