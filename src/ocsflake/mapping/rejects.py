"""The shape of rejected records: every one keeps its bytes and says why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
from attrs import field, frozen

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["REJECT_SCHEMA", "Reject", "reject_batch"]

REJECT_SCHEMA = pa.schema(
    [
        pa.field("record", pa.binary(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("attribute", pa.string(), nullable=False),
        pa.field("origin", pa.map_(pa.string(), pa.string()), nullable=False),
    ]
)
"""One row a rejected record; `attribute` is the OCSF attribute that could not be filled, or ``""``."""


@frozen
class Reject:
    """A record that became no event.

    Attributes:
        record: Its bytes, as they came.
        reason: What is wrong with it.
        attribute: The OCSF attribute that could not be filled, or ``""``.
        origin: Where it came from.
    """

    record: bytes
    reason: str
    attribute: str = ""
    origin: Mapping[str, str] = field(factory=dict)


def reject_batch(rejects: Iterable[Reject]) -> pa.RecordBatch:
    """Return rejects as one record batch of `REJECT_SCHEMA`."""
    rows = list(rejects)
    columns = [
        [row.record for row in rows],
        [row.reason for row in rows],
        [row.attribute for row in rows],
        [list(row.origin.items()) for row in rows],
    ]
    arrays = [pa.array(column, type=f.type) for column, f in zip(columns, REJECT_SCHEMA, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=REJECT_SCHEMA)
