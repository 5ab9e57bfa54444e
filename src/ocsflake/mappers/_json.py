"""JSON that stands within JSON, as text."""

from __future__ import annotations

import msgspec
import pyarrow as pa

__all__ = ["json_of"]

_RAW = msgspec.json.Decoder(msgspec.Raw)


def json_of(texts: pa.Array) -> pa.Array:
    """Return JSON of texts: the object or list that a text holds, or the text itself as a JSON string."""
    return pa.array([None if text is None else _json(text) for text in texts.to_pylist()], pa.binary())


def _json(text: str) -> bytes:
    if text.lstrip()[:1] in ("{", "["):
        try:
            return bytes(_RAW.decode(text))
        except (msgspec.DecodeError, RecursionError):
            pass
    return msgspec.json.encode(text)
