"""Parquet files as other writers make them: their schema is rewritten in the bytes of the footer."""

from __future__ import annotations

import struct

_LIST = b"\x15\x06\x4c\x3c\x00\x00\x00"
"""The end of a schema element that is annotated as LIST, by converted and by logical type."""


def two_levels(data: bytes) -> bytes:
    """Return a file whose lists have two levels, as parquet-avro writes them: their element is called array."""
    return _rewritten(data, b"\x35\x04\x18\x04list\x15\x02\x00", b"\x35\x04\x18\x05array\x15\x02\x00")


def without_annotations(data: bytes) -> bytes:
    """Return a file whose lists are not annotated as such, so that columns repeat outside of any LIST."""
    return _rewritten(data, _LIST, b"\x00")


def _rewritten(data: bytes, old: bytes, new: bytes) -> bytes:
    (length,) = struct.unpack("<I", data[-8:-4])
    body, footer = data[: -8 - length], data[-8 - length : -8]
    assert old in footer
    footer = footer.replace(old, new)
    return body + footer + struct.pack("<I", len(footer)) + b"PAR1"
