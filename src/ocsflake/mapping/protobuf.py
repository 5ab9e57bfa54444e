"""The parser of JSON that protocol buffers were written as: one message, whichever way its names are spelt.

JSON of protocol buffers has lowerCamelCase names (REST, Pub/Sub, files in Cloud Storage) or those of the ``.proto``
file (gRPC, BigQuery); a parser takes both: https://protobuf.dev/programming-guides/json/. A mapper's table is written
with the first; columns and leftovers of a record in the other spelling get the same names here.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from attrs import evolve, field, frozen

from ocsflake.mapping import paths
from ocsflake.mapping.frame import Node
from ocsflake.mapping.leftovers import Leftovers, flatten_tokens
from ocsflake.mapping.lists import each
from ocsflake.mapping.shred import JsonRecords
from ocsflake.mapping.values import string_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ocsflake.mapping.frame import Frame
    from ocsflake.model import RawBatch

__all__ = ["ProtoJson"]

_JSON = msgspec.json.Decoder(msgspec.Raw)


@frozen
class ProtoJson:
    """A parser of JSON records that are protocol buffers.

    Attributes:
        records: The parser of the JSON itself.
        free: Paths of what has no fixed names (a Struct, a map): everything below them stands as it is.
        lower: Those of `free` whose names may have been put in lower case (BigQuery does so with a payload).
        aliases: A path that a service has made of another one, such as ``protopayload_auditlog``.
        texts: Paths of `aliases`, or of what is below them, where JSON stands as text.
    """

    records: JsonRecords = JsonRecords()  # noqa: RUF009  (frozen)
    free: tuple[str, ...] = ()
    lower: tuple[str, ...] = ()
    aliases: Mapping[str, str] = field(factory=dict)
    texts: Mapping[str, str] = field(factory=dict)

    def whole_paths(self) -> list[paths.Path]:
        """Return the paths that the parser needs as columns: none."""
        return self.records.whole_paths()

    def __call__(self, raw: RawBatch, root: Node) -> Iterator[Frame]:
        """Yield the frames of some raw records."""
        spelt, names = _spellings(self, root)
        for frame in self.records(raw, spelt):
            yield _renamed(frame, self, names) if _is_renamed(frame, names) else frame

    def __hash__(self) -> int:
        """Return a hash by identity: a parser is made once, with its mapper."""
        return id(self)
