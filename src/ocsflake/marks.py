"""Sets of what was seen, small enough for a checkpoint: digests of 12 bytes, kept as one text in their order."""

from __future__ import annotations

from base64 import b64decode, b64encode
from bisect import bisect_left
from hashlib import blake2b
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

__all__ = ["among", "is_in", "mark_of", "pack", "unpack"]

_SIZE = 12


def mark_of(*texts: str) -> bytes:
    """Return the digest of some texts."""
    return blake2b("\0".join(texts).encode(errors="surrogatepass"), digest_size=_SIZE).digest()


def pack(marks: Iterable[bytes]) -> str:
    """Return marks as text, in their order."""
    return b64encode(b"".join(sorted(marks))).decode()


def unpack(text: str) -> set[bytes]:
    """Return the marks of a text."""
    data = b64decode(text)
    return {data[start : start + _SIZE] for start in range(0, len(data), _SIZE)}


def is_in(found: bytes, data: bytes) -> bool:
    """Return whether a mark is among those of a text that was decoded from base 64.

    A set of them would take eight times the memory.
    """
    place = bisect_left(range(len(data) // _SIZE), found, key=lambda n: data[n * _SIZE : (n + 1) * _SIZE])
    return data[place * _SIZE : (place + 1) * _SIZE] == found


def among(marks: Collection[bytes], data: Sequence[bytes]) -> set[bytes]:
    """Return which of some marks are among those of texts that were decoded from base 64, however many these are."""
    kind = pa.binary(_SIZE)
    known = [pa.Array.from_buffers(kind, len(each) // _SIZE, [None, pa.py_buffer(each)]) for each in data]
    chunks = pa.chunked_array(known, kind)
    return set(chunks.filter(pc.is_in(chunks, value_set=pa.array(marks, kind))).to_pylist())
