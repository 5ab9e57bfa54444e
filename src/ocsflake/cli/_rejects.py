"""Rejected records at the command line: told of, or kept in a file."""

from __future__ import annotations

import os
from base64 import b64encode
from collections import Counter
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from ocsflake.cli._output import tell

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Reasons", "private_file", "write_rejects"]

_SHOWN = 5


class Reasons:
    """Why records were rejected, as far as a person wants to read it."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._others = 0

    def add(self, rejects: pa.RecordBatch) -> None:
        """Count the reasons of some rejects."""
        for row in rejects.select(["reason", "attribute", "origin"]).to_pylist():
            attribute = f"{row['attribute']}: " if row["attribute"] else ""
            text = f"{dict(row['origin'])['uri']}: {attribute}{row['reason']}"
            if text in self._counts or len(self._counts) < _SHOWN:
                self._counts[text] += 1
            else:
                self._others += 1

    def show(self) -> None:
        """Tell the first few."""
        for text, count in self._counts.items():
            tell(f"rejected {count:,}: {text}")
        if self._others:
            tell(f"rejected {self._others:,} more")


def private_file(path: str) -> BinaryIO:
    """Open a new file that its owner alone may read: rejects are whatever somebody wrote into a log."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")


def write_rejects(file: BinaryIO, log_type: str, rejects: pa.RecordBatch) -> None:
    """Write rejects in the format of `ocsflake.rejects`."""
    for row in rejects.to_pylist():
        record: bytes = row.pop("record")
        try:
            kept = {"record": record.decode()}
        except UnicodeDecodeError:
            kept = {"record_base64": b64encode(record).decode()}
        row["origin"] = dict(row["origin"])
        file.write(msgspec.json.encode({"log_type": log_type, **kept, **row}) + b"\n")
