"""``ocsflake map``: raw logs in, OCSF events out, as JSON lines."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from ocsflake import ocsf, registry
from ocsflake.cli._inputs import Inputs
from ocsflake.cli._output import put, tell
from ocsflake.cli._rejects import Reasons, private_file, write_rejects
from ocsflake.ocsf.json_lines import json_lines

if TYPE_CHECKING:
    import argparse


def main(arguments: argparse.Namespace) -> int:
    """Map files; 1 if records were rejected or a file could not be read."""
    mapper = registry.mapper(arguments.log_type).redacting(arguments.redact, keep_secrets=arguments.keep_secrets)
    schema = ocsf.load(arguments.ocsf_version)
    inputs = Inputs(arguments.files)
    records = events = rejects = 0
    reasons = Reasons()
    with nullcontext() if arguments.rejects is None else private_file(arguments.rejects) as kept:
        for mapped in mapper.map_batches(inputs.batches(), schema.version):
            for batch in mapped.batches:
                event_class = schema.event_class(batch.event_class, schema.profiles())
                for line in json_lines(batch.events, event_class):
                    put(line)
                events += batch.rows
            records += mapped.records
            rejects += mapped.rejects.num_rows
            if kept is None:
                reasons.add(mapped.rejects)
            else:
                write_rejects(kept, mapper.log_type, mapped.rejects)
    reasons.show()
    tell(f"records={records} events={events} rejects={rejects}")
    return int(bool(rejects or inputs.failed))
