"""Records that come as rows of a table: the answer of a Log Analytics query, and CSV with a header."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["csv_records", "query_records"]

csv.field_size_limit(1 << 20)

_ENCODE = msgspec.json.Encoder().encode


class _Column(msgspec.Struct):
    name: str


class _Table(msgspec.Struct):
    columns: list[_Column]
    rows: list[list[msgspec.Raw]]


class _Answer(msgspec.Struct):
    tables: list[_Table]


_ANSWER = msgspec.json.Decoder(_Answer)


def query_records(data: bytes) -> list[bytes]:
    """Return the rows of a query's answer, ``{"tables": [{"columns": [], "rows": []}]}``, as JSON objects.

    Raises:
        msgspec.DecodeError: If it is another document.
    """
    found = []
    for table in _ANSWER.decode(data).tables:
        keys = [_ENCODE(column.name) + b":" for column in table.columns]
        for row in table.rows:
            members = [key + bytes(value) for key, value in zip(keys, row, strict=False)]
            found.append(b"{" + b",".join(members) + b"}")
    return found


def csv_records(data: bytes) -> Iterator[tuple[bytes, str]]:
    """Yield the rows of CSV with a header as JSON objects of text, each with what is wrong with it or ``""``.

    Empty fields are left out. A header such as ``TimeGenerated [UTC]``, as portals export it, loses its zone: times
    without one are UTC.
    """
    rows = csv.reader(io.StringIO(data.decode(), newline=""), strict=True)
    names: list[str] = []
    while True:
        try:
            row = next(rows, None)
        except csv.Error as error:
            yield f"line {rows.line_num}".encode(), f"not CSV: {error}"
            continue
        if row is None:
            return
        if not names:
            names = [name.removesuffix(" [UTC]") for name in row]
        elif len(row) == len(names):
            yield _ENCODE({name: value for name, value in zip(names, row, strict=True) if value}), ""
        elif row:
            yield _ENCODE(row), f"{len(row)} fields, {len(names)} are due"
