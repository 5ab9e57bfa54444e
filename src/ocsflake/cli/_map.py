"""``ocsflake map``: raw logs in, OCSF events out, as JSON lines."""

from __future__ import annotations

import os
from base64 import b64encode
from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from ocsflake import ocsf, registry
from ocsflake.cli._inputs import Inputs
from ocsflake.cli._output import put, tell
from ocsflake.ocsf.json_lines import json_lines

if TYPE_CHECKING:
    import argparse

    import pyarrow as pa

_SHOWN = 5


def main(arguments: argparse.Namespace) -> int:
    """Map files; 1 if records were rejected or a file could not be read."""
    mapper = registry.mapper(arguments.log_type)
    schema = ocsf.load(arguments.ocsf_version)
    inputs = Inputs(arguments.files)
    records = events = rejects = 0
    reasons = _Reasons()
    with ExitStack() as stack:
        place = None if arguments.rejects is None else stack.enter_context(_private(arguments.rejects))
        for mapped in mapper.map_batches(inputs.raws(), schema.version):
            for batch in mapped.batches:
                event_class = schema.event_class(batch.event_class, schema.profiles())
                for line in json_lines(batch.events, event_class):
                    put(line)
                events += batch.events.num_rows
            records += mapped.records
            rejects += mapped.rejects.num_rows
            if place is None:
                reasons.add(mapped.rejects)
            else:
                _write(place, mapper.log_type, mapped.rejects)
    reasons.show()
    tell(f"records={records} events={events} rejects={rejects}")
    return int(bool(rejects or inputs.failed))


class _Reasons:
    """Why records were rejected, as far as a person wants to read it."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.others = 0

    def add(self, rejects: pa.RecordBatch) -> None:
        """Count the reasons of some rejects."""
        for row in rejects.select(["reason", "attribute", "origin"]).to_pylist():
            attribute = f"{row['attribute']}: " if row["attribute"] else ""
            text = f"{dict(row['origin'])['uri']}: {attribute}{row['reason']}"
            if text in self.counts or len(self.counts) < _SHOWN:
                self.counts[text] += 1
            else:
                self.others += 1

    def show(self) -> None:
        """Tell the first few."""
        for text, count in self.counts.items():
            tell(f"rejected {count:,}: {text}")
        if self.others:
            tell(f"rejected {self.others:,} more; --rejects FILE keeps them all, with their reasons")


def _private(path: str) -> BinaryIO:
    """Open a new file that its owner alone may read: rejects are whatever somebody wrote into a log."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")


def _write(place: BinaryIO, log_type: str, rejects: pa.RecordBatch) -> None:
    """Write rejects in the format of `ocsflake.rejects`."""
    for row in rejects.to_pylist():
        record: bytes = row.pop("record")
        try:
            kept = {"record": record.decode()}
        except UnicodeDecodeError:
            kept = {"record_base64": b64encode(record).decode()}
        row["origin"] = dict(row["origin"])
        place.write(msgspec.json.encode({"log_type": log_type, **kept, **row}) + b"\n")
