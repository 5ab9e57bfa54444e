"""Rows of (key, value) pairs out of columns: ``unmapped`` and ``observables``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from ocsflake.mapping import paths
from ocsflake.mapping.leftovers import Leftovers, flatten_tokens
from ocsflake.mapping.lists import lengths, relist, relist_flat, row_numbers, without
from ocsflake.mapping.nested import joined
from ocsflake.mapping.values import is_nested, json_text, scalar_text

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["MAP", "by_row", "column_leaves", "unmapped"]

MAP = pa.map_(pa.string(), pa.string())


def unmapped(parts: Sequence[Leftovers], rows: int) -> pa.Array:
    """Return the leftovers of `rows` rows as one map each, keys in order; null where a row has none."""
    left = Leftovers.joined([Leftovers.none(), *parts])
    if not len(left.rows):
        return pa.nulls(rows, MAP)
    names = pa.array(sorted(pc.unique(left.keys).to_pylist()), pa.string())
    rank = pc.index_in(left.keys, value_set=names)
    order = pc.array_sort_indices(rank)
    order = order.take(pc.array_sort_indices(left.rows.take(order)))
    at, rank = left.rows.take(order), rank.take(order)
    keys, values = names.take(rank), left.values.take(order)
    if _repeats(at, rank):
        at, keys, values = joined(at, keys, values)  # a map holds a key once
    offsets, empty = by_row(at, rows)
    found = pa.MapArray.from_arrays(offsets, keys, values)
    return found if empty is None else pc.if_else(empty, pa.scalar(None, MAP), found)


def by_row(at: pa.Array, rows: int) -> tuple[pa.Array, pa.Array | None]:
    """Return the list offsets of sorted row numbers, and which rows have nothing (``None``: all have)."""
    counted = pc.value_counts(at)
    numbers = row_numbers(rows)
    place = pc.index_in(numbers, value_set=counted.field(0))
    counts = pc.fill_null(counted.field(1).take(place), 0)
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(counts).cast(pa.int32())])
    return offsets, place.is_null() if place.null_count else None


def column_leaves(path: str, column: pa.Array, wanted: pa.Array | None) -> Leftovers:
    """Return the values of a raw column as leaves.

    Args:
        path: Its raw path.
        column: Tokens, text, native values or lists of these.
        wanted: The rows that are wanted; ``None`` for all.
    """
    valid = column.is_valid()
    if wanted is not None:
        valid = pc.and_(valid, wanted)
    at = pc.indices_nonzero(valid).cast(pa.int32())
    column = column.filter(valid)
    if pa.types.is_list(column.type):
        return _list_leaves(path, at, column)
    keys = pa.repeat(pa.scalar(path), len(at))
    if pa.types.is_binary(column.type):
        return flatten_tokens(at, keys, column)
    return Leftovers(at, keys, scalar_text(column))


def _list_leaves(path: str, at: pa.Array, column: pa.Array) -> Leftovers:
    """Return one leaf a row: the values of its list, joined by ``,``."""
    name = path if paths.EACH in path else path + paths.EACH
    values = column.flatten()
    while pa.types.is_list(values.type):
        column = relist_flat(column, values)
        values = column.flatten()
    if pa.types.is_binary(values.type) and pc.any(is_nested(values)).as_py():
        rows = at.take(pc.list_parent_indices(column))
        return flatten_tokens(rows, pa.repeat(pa.scalar(name), len(values)), values)
    text = json_text(values) if pa.types.is_nested(values.type) else scalar_text(values)
    kept = text.is_valid()
    lists = relist(without(column, kept), text.filter(kept))
    some = pc.greater(lengths(lists), 0)
    joined = pc.binary_join(lists.filter(some), ",")
    return Leftovers(at.filter(some), pa.repeat(pa.scalar(name), len(joined)), joined)


def _repeats(at: pa.Array, rank: pa.Array) -> bool:
    if len(at) < 2:
        return False
    same_row = pc.equal(at[1:], at[:-1])
    return bool(pc.any(pc.and_(same_row, pc.equal(rank[1:], rank[:-1]))).as_py())
