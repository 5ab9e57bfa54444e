"""``ocsflake doctor``: what is wrong with the objects of a lake."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from attrs import asdict

from ocsflake.cli._output import put, say, tell
from ocsflake.lake import Lake

if TYPE_CHECKING:
    import argparse


def main(arguments: argparse.Namespace) -> int:
    """Look a lake over; 1 if there is an error, or nothing to look at."""
    diagnosis = Lake(arguments.root).doctor(region=arguments.region or "")
    for finding in diagnosis.findings:
        if arguments.json:
            put(msgspec.json.encode(asdict(finding)))
        else:
            say(str(finding).replace("\n", " "))
    if not diagnosis.objects and not diagnosis.native:
        tell(f"{arguments.root} holds no objects: give the directory or the s3:// URI that they are below")
        return 1
    tell(diagnosis.summary)
    return int(bool(diagnosis.errors))
