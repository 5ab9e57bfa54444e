"""``ocsflake scaffold``: a first mapper from a sample of a log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocsflake.cli._inputs import Inputs
from ocsflake.cli._output import put, tell
from ocsflake.mapping.scaffold import mapper_text, read_sample

if TYPE_CHECKING:
    import argparse


def main(arguments: argparse.Namespace) -> int:
    """Write the module to stdout; 1 if a file could not be read."""
    inputs = Inputs(arguments.files)
    sample = read_sample(inputs.batches())
    put(mapper_text(arguments.log_type, arguments.event_class, sample).rstrip().encode())
    tell(f"records={sample.records} raw_paths={len(sample.fields)}")
    return int(bool(inputs.failed))
