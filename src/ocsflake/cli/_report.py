"""``ocsflake report``: a page on a lake."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ocsflake.cli._output import put, tell
from ocsflake.lake import Lake

if TYPE_CHECKING:
    import argparse


def main(arguments: argparse.Namespace) -> int:
    """Write the page."""
    page = Lake(arguments.root).report(since=arguments.since, rejects=arguments.rejects).html
    if arguments.output is None:
        put(page.encode().rstrip(b"\n"))
    else:
        Path(arguments.output).write_text(page, encoding="utf-8")
        tell(f"the report is {arguments.output}")
    return 0
