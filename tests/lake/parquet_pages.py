"""Reads the headers and the bodies of all pages of a Parquet file, with a small reader of Thrift's compact protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DICTIONARY_PAGE = 2


class Page(NamedTuple):
    """A page: its column, kind (Parquet's ``PageType``), uncompressed size and uncompressed body."""

    column: str
    kind: int
    bytes: int
    body: bytes


class _Compact:
    """Thrift's compact protocol, as far as page headers use it."""

    def __init__(self, data: bytes, position: int) -> None:
        self.data = data
        self.position = position

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

    def zigzag(self) -> int:
        value = self.varint()
        return (value >> 1) ^ -(value & 1)

    def value(self, kind: int) -> Any:
        if kind in (1, 2):  # a boolean lies in the kind itself
            return kind == 1
        if kind == 3:
            return self.byte()
        if kind in (4, 5, 6):
            return self.zigzag()
        if kind == 8:
            length = self.varint()
            self.position += length
            return self.data[self.position - length : self.position]
        assert kind == 12, f"compact type {kind} in a page header"
        return self.struct()

    def struct(self) -> dict[int, Any]:
        fields: dict[int, Any] = {}
        number = 0
        while (head := self.byte()) != 0:
            number = number + (head >> 4) if head >> 4 else self.zigzag()
            fields[number] = self.value(head & 0x0F)
        return fields


def pages(path: Path) -> Iterator[Page]:
    """Yield the pages of a file, column chunk after column chunk."""
    data = path.read_bytes()
    metadata = pq.read_metadata(path)
    for group in range(metadata.num_row_groups):
        for index in range(metadata.num_columns):
            column = metadata.row_group(group).column(index)
            assert column.compression == "ZSTD"
            start = column.dictionary_page_offset or column.data_page_offset
            end = start + column.total_compressed_size
            while start < end:
                reader = _Compact(data, start)
                header = reader.struct()
                kind, size, stored = header[1], header[2], header[3]
                start = reader.position + stored
                body = pa.decompress(data[reader.position : start], decompressed_size=size, codec="zstd")
                yield Page(column.path_in_schema, kind, size, body.to_pybytes())
