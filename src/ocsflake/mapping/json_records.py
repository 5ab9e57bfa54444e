"""The parser of JSON records: out of whatever envelope they came in, and into columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
from attrs import frozen

from ocsflake.mapping import paths
from ocsflake.mapping.explode import explode
from ocsflake.mapping.records import plain_lines, split_records
from ocsflake.mapping.shapes import shapes_of
from ocsflake.mapping.shred import column_frame, paused_gc, shred_records, structs_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ocsflake.mapping.frame import Frame, Node
    from ocsflake.mapping.rejects import Reject
    from ocsflake.model import RawBatch

__all__ = ["JsonRecords"]

_CHUNK_ROWS = 1000
_CHUNK_BYTES = 4 << 20


@frozen
class JsonRecords:
    """A parser of JSON records.

    Attributes:
        unwrap: The key of an envelope that holds records, or several: ``Records``, ``records``, ``value`` ...
            JSON lines, arrays, concatenated documents, EventBridge, CloudWatch Logs and Pub/Sub envelopes and the
            answers of Log Analytics queries are always known.
        explode: A path that ends in ``[]``: every element of the list becomes a row of its own, beside the fields of
            its record. A record whose list is empty is skipped.
        skip: What is no record of this log type: a name and a key that only such a document has.
        csv: Whether the records may also come as CSV with a header.
    """

    unwrap: tuple[str, ...] = ()
    explode: str | None = None
    skip: tuple[tuple[str, str], ...] = ()
    csv: bool = False

    def whole_paths(self) -> list[paths.Path]:
        """Return the paths of the lists whose elements become rows."""
        steps = paths.parse(self.explode) if self.explode else ()
        return [steps[:place] for place, step in enumerate(steps) if step == paths.EACH]

    def __call__(self, raw: RawBatch, root: Node) -> Iterator[Frame]:
        """Yield the frames of some raw records."""
        if isinstance(raw.records, pa.RecordBatch):
            yield column_frame(raw.records, raw.origin, root)
            return
        given: Any = raw.records
        if self.csv and raw.head and isinstance(given, bytes) and given.lstrip()[:1] not in (b"{", b"["):
            given = raw.head + b"\n" + given
        if isinstance(given, bytes) and shapes_of(root).shape is not None:
            lines = plain_lines(given, self.unwrap, shapes_of(root).keys)
            for start, stop in _chunks(lines):
                structs = structs_of(lines[start:stop], root)
                if structs is None:
                    given = b"\n".join(lines[start:])
                    break
                with paused_gc():
                    frame = shred_records(lines[start:stop], [], raw.origin, root, self.skip, structs)
                yield explode(frame, paths.parse(self.explode), root) if self.explode else frame
            else:
                given = b"" if lines else given
        records, rejects = _records_of(given, self.unwrap, self.csv)
        for start, stop in _chunks(records):
            with paused_gc():
                frame = shred_records(records[start:stop], rejects, raw.origin, root, self.skip)
            rejects = []
            yield explode(frame, paths.parse(self.explode), root) if self.explode else frame
        if rejects:
            yield shred_records([], rejects, raw.origin, root, ())


def _records_of(records: Any, unwrap: tuple[str, ...], csv: bool) -> tuple[list[bytes], list[Reject]]:
    if isinstance(records, bytes | bytearray | memoryview):
        return split_records(bytes(records), unwrap, csv=csv)
    found: list[bytes] = []
    rejects: list[Reject] = []
    for record in records:
        inner, bad = split_records(bytes(record), unwrap)
        found += inner
        rejects += bad
    return found, rejects


def _chunks(records: Sequence[bytes]) -> Iterator[tuple[int, int]]:
    """Yield runs of records that fit into a processor's cache."""
    start, size = 0, 0
    for stop, length in enumerate(map(len, records)):
        if stop > start and (stop - start >= _CHUNK_ROWS or size + length > _CHUNK_BYTES):
            yield start, stop
            start, size = stop, 0
        size += length
    if start < len(records):
        yield start, len(records)
