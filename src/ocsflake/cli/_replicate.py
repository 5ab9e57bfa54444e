"""``ocsflake replicate``: from a lake to a roll-up lake."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocsflake.cli._output import say, tell
from ocsflake.lake import Lake

if TYPE_CHECKING:
    import argparse


def main(arguments: argparse.Namespace) -> int:
    """Copy what is missing; 1 if a partition was held back."""
    done = Lake(arguments.root).replicate(Lake(arguments.target))
    say(str(done))
    for folder in done.held:
        tell(f"{folder}: it was compacted after it was copied; remove it from {arguments.target} to copy it anew")
    return int(bool(done.held))
