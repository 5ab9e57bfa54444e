"""``ocsflake replay``: rejected records, once more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocsflake import pipeline
from ocsflake.cli._run import lake_of, progress_bar, show

if TYPE_CHECKING:
    import argparse


def main(arguments: argparse.Namespace) -> int:
    """Map rejects again; 1 if a file of them could not be read."""
    lake = lake_of(arguments)
    with progress_bar() as progress:
        report = pipeline.replay(
            arguments.rejects,
            lake,
            checkpoints=arguments.checkpoints,
            redact=arguments.redact,
            keep_secrets=arguments.keep_secrets,
            max_age=arguments.max_age,
            max_ahead=arguments.max_ahead,
            progress=progress,
        )
    return show(report, json=arguments.json)
