"""What pyarrow does not tell of a Parquet object: the sizes of its pages, and how its lists are encoded.

A small reader of Thrift's compact protocol, as far as page headers and the schema in the footer use it. It reads what
others wrote, so nothing in it is trusted: what does not parse is a `ValueError`.
"""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, Any, BinaryIO

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow.parquet as pq

__all__ = ["Page", "odd_lists", "pages"]

_HEAD_BYTES = 8 * 1024
_HEAD_BYTES_MAX = 8 * 1024 * 1024
_DEPTH = 64
_REPEATED = 2
_LIST_OR_MAP = frozenset({1, 2, 3})
"""Converted types MAP, MAP_KEY_VALUE, LIST; the logical types 2 and 3 are MAP and LIST."""


@frozen
class Page:
    """The header of a page.

    Attributes:
        column: The path of its column, such as ``resources.list.element.uid``.
        kind: Parquet's ``PageType``: 0 and 3 for data, 2 for a dictionary.
        bytes: Its size uncompressed.
        row_group: The row group that it is in, from 0.
        body: Where the body begins in the file.
        stored: How many bytes the body takes there.
    """

    column: str
    kind: int
    bytes: int
    row_group: int
    body: int
    stored: int


def pages(file: BinaryIO, metadata: pq.FileMetaData) -> Iterator[Page]:
    """Yield the pages of a Parquet object, column chunk after column chunk; only their headers are read.

    Raises:
        ValueError: If what lies there is no page header.
    """
    for group in range(metadata.num_row_groups):
        for index in range(metadata.num_columns):
            column = metadata.row_group(group).column(index)
            start = column.dictionary_page_offset or column.data_page_offset
            end = start + column.total_compressed_size
            while start < end:
                header, length = _header(file, start)
                kind, size, stored = (_number(header, field, -1) for field in (1, 2, 3))
                if min(kind, size, stored) < 0:
                    raise ValueError(f"{column.path_in_schema}: no page header at byte {start}")
                start += length
                yield Page(column.path_in_schema, kind, size, group, start, stored)
                start += stored


def odd_lists(file: BinaryIO) -> Iterator[tuple[str, str]]:
    """Yield the repeated columns that are no three-level lists: their path, and ``two-level`` or ``repeated``.

    ``repeated`` is a column that repeats outside of any list or map, which Athena refuses.

    Raises:
        ValueError: If the footer cannot be read.
    """
    elements = iter(_schema(file))
    root = next(elements, {})
    yield from _below(elements, "", _number(root, 5), 0, annotated=False)
    if next(elements, None) is not None:
        raise ValueError("the schema has more elements than its groups take")


def _below(
    elements: Iterator[dict[int, Any]], path: str, count: int, depth: int, *, annotated: bool
) -> Iterator[tuple[str, str]]:
    """Yield the odd lists below a group, which has so many children."""
    if depth > _DEPTH:
        raise ValueError("the schema nests too deep")
    for _ in range(count):
        element = next(elements, None)
        if element is None:
            raise ValueError("the schema ends within a group")
        name = element.get(4, b"").decode(errors="replace")
        below, children = f"{path}.{name}" if path else name, _number(element, 5)
        logical = element.get(10)
        collection = element.get(6) in _LIST_OR_MAP or (isinstance(logical, dict) and bool({2, 3} & logical.keys()))
        if element.get(3) == _REPEATED:
            if not annotated:
                yield below, "repeated"
            elif children == 0 or name == "array" or name.endswith("_tuple"):
                yield path, "two-level"
        inside = collection and element.get(3) != _REPEATED
        yield from _below(elements, below, children, depth + 1, annotated=inside)


def _number(element: dict[int, Any], field: int, absent: int = 0) -> int:
    value = element.get(field, absent)
    return value if isinstance(value, int) else absent


def _header(file: BinaryIO, start: int) -> tuple[dict[int, Any], int]:
    size = _HEAD_BYTES
    while True:
        file.seek(start)
        data = file.read(size)
        reader = _Compact(data)
        try:
            return reader.struct(), reader.position
        except IndexError:
            if len(data) < size or size >= _HEAD_BYTES_MAX:
                raise ValueError(f"no page header at byte {start}") from None
            size *= 16


def _schema(file: BinaryIO) -> list[dict[int, Any]]:
    file.seek(-8, io.SEEK_END)
    (length,) = struct.unpack("<I", file.read(8)[:4])
    file.seek(-8 - length, io.SEEK_END)
    try:
        elements = _Compact(file.read(length)).struct(last=2).get(2)
    except IndexError:
        raise ValueError("the footer ends too early") from None
    if not isinstance(elements, list) or not all(isinstance(element, dict) for element in elements):
        raise ValueError("the footer has no schema")
    return elements


class _Compact:
    """Thrift's compact protocol."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def byte(self) -> int:
        self.position += 1
        return self.data[self.position - 1]

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value
            if shift > _DEPTH:
                raise ValueError("a number is too long")

    def zigzag(self) -> int:
        value = self.varint()
        return (value >> 1) ^ -(value & 1)

    def value(self, kind: int, depth: int) -> Any:
        if kind in (1, 2):  # a boolean lies in the kind itself
            return kind == 1
        if kind == 3:
            return self.byte()
        if kind in (4, 5, 6):
            return self.zigzag()
        if kind == 7:
            return self.take(8)
        if kind == 8:
            return self.take(self.varint())
        if kind in (9, 10):
            return self.list(depth + 1)
        if kind == 12:
            return self.struct(depth=depth)
        raise ValueError(f"compact type {kind}")

    def take(self, length: int) -> bytes:
        start, self.position = self.position, self.position + length
        if self.position > len(self.data):
            raise IndexError
        return self.data[start : self.position]

    def list(self, depth: int) -> list[Any]:
        if depth > _DEPTH:
            raise ValueError("lists nest too deep")
        head = self.byte()
        size, kind = head >> 4, head & 0x0F
        if size == 15:
            size = self.varint()
        if kind in (1, 2):  # in a list each boolean has a byte
            kind = 3
        return [self.value(kind, depth) for _ in range(size)]

    def struct(self, *, last: int | None = None, depth: int = 0) -> dict[int, Any]:
        """Return the fields of a struct by number; only those up to the field `last`, if it is given."""
        if depth > _DEPTH:
            raise ValueError("structs nest too deep")
        fields: dict[int, Any] = {}
        number = 0
        while (head := self.byte()) != 0:
            number = number + (head >> 4) if head >> 4 else self.zigzag()
            fields[number] = self.value(head & 0x0F, depth + 1)
            if number == last:
                break
        return fields
