"""``ocsflake query``: SQL over a lake."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from ocsflake.cli._output import put, say, table, width
from ocsflake.lake import Lake

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    import pyarrow as pa

__all__ = ["as_table", "main"]


def main(arguments: argparse.Namespace) -> int:
    """Run one statement."""
    found = Lake(arguments.lake).query(arguments.sql, dialect=arguments.dialect)
    if arguments.json:
        names = _distinct(found.schema.names)
        for row in _rows(found):
            put(msgspec.json.encode(dict(zip(names, row, strict=True))))
    else:
        say(as_table(found, width()))
        say(f"({found.num_rows:,} {'row' if found.num_rows == 1 else 'rows'})")
    return 0


def as_table(found: pa.Table, width: int | None = None) -> str:
    """Return the rows of a result as a table, with lists and objects as JSON."""
    rows = [[_plain(value) for value in row] for row in _rows(found)]
    return table(found.schema.names, rows, width)


def _rows(found: pa.Table) -> Iterator[tuple[Any, ...]]:
    for batch in found.to_batches():
        yield from zip(*(column.to_pylist(maps_as_pydicts="lossy") for column in batch.columns), strict=True)


def _plain(value: Any) -> Any:
    return msgspec.json.encode(value).decode() if isinstance(value, list | dict) else value


def _distinct(names: list[str]) -> list[str]:
    """Return names that a JSON object can hold: ``a``, ``a_2`` for two columns ``a``."""
    distinct: list[str] = []
    for name in names:
        number, free = 1, name
        while free in distinct:
            number += 1
            free = f"{name}_{number}"
        distinct.append(free)
    return distinct
