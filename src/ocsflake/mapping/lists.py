"""Shapes of list columns: the same lengths with other values, one value for every element, elements by row."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = [
    "constant",
    "each",
    "fit",
    "lengths",
    "pick",
    "relist",
    "relist_flat",
    "rows_with",
    "same_list",
    "singles",
    "without",
]


def pick(values: pa.Array, places: pa.Array) -> pa.Array:
    """Return the values at some places, which are known to be within; null for null."""
    return pc.take(values, places, boundscheck=False)


def each(column: pa.Array, function: Callable[[pa.Array], pa.Array]) -> pa.Array:
    """Apply a function to the values of a column, within lists too."""
    if pa.types.is_list(column.type):
        return relist(column, each(column.flatten(), function))
    return function(column)


def lengths(lists: pa.Array) -> pa.Array:
    """Return how many elements each row has (int32); none where the list is null."""
    return pc.fill_null(pc.list_value_length(lists), 0)


def relist(shape: pa.Array, values: pa.Array) -> pa.Array:
    """Return lists of the lengths of `shape` with other values."""
    return _lists(lengths(shape), values, shape.is_null() if shape.null_count else None)


def constant(value: str | float | bool, rows: int) -> pa.Array:
    """Return a value for each row; the columns of all batches share their memory."""
    scalar = pa.scalar(value)
    return _constant(scalar, str(scalar.type), max(1 << 14, 1 << (rows - 1).bit_length() if rows else 0)).slice(0, rows)


@functools.lru_cache(maxsize=64)
def _constant(scalar: pa.Scalar, kind: str, rows: int) -> pa.Array:  # noqa: ARG001 - 1 and 1.0 are equal
    return pa.repeat(scalar, rows)


def same_list(values: Sequence[str], rows: int) -> pa.Array:
    """Return the same list of texts in every row."""
    return _same_list(tuple(values), max(1 << 15, 1 << (rows - 1).bit_length() if rows else 0)).slice(0, rows)


@functools.lru_cache(maxsize=32)
def _same_list(values: tuple[str, ...], rows: int) -> pa.Array:
    width = len(values)
    places = pa.array([width * row for row in range(rows + 1)], pa.int32())
    numbers = pa.array([*range(width)] * rows, pa.int32())
    return pa.ListArray.from_arrays(places, pa.array(values, pa.string()).take(numbers))


def row_numbers(count: int) -> pa.Array:
    """Return 0, 1, 2 ... as int32."""
    return _row_numbers(max(1 << 15, 1 << (count - 1).bit_length() if count else 0)).slice(0, count)


@functools.lru_cache(maxsize=8)
def _row_numbers(count: int) -> pa.Array:
    return pa.array(range(count), pa.int32())


def singles(values: pa.Array) -> pa.Array:
    """Return a list of one for each value, and null for null."""
    if not values.null_count:
        return _lists(pa.repeat(pa.scalar(1, pa.int32()), len(values)), values, None)
    valid = values.is_valid()
    return _lists(valid.cast(pa.int32()), values.filter(valid), values.is_null())


def fit(column: pa.Array, shape: pa.Array) -> pa.Array:
    """Return one value for each element of `shape`: the elements of a list, or a row's one value repeated.

    A row whose list is null or absent in `column` gives nulls.
    """
    parents = pc.list_parent_indices(shape)
    if pa.types.is_null(column.type):
        return pa.nulls(len(parents))
    if not pa.types.is_list(column.type):
        return column.take(parents)
    own, wanted = lengths(column), lengths(shape)
    if own.equals(wanted):
        return column.flatten()
    place = pc.subtract(row_numbers(len(parents)).cast(pa.int64()), _starts(wanted).take(parents))
    there = pc.less(place, own.take(parents).cast(pa.int64()))
    source = pc.add(_starts(own).take(parents), place)
    return column.flatten().take(pc.if_else(there, source, pa.scalar(None, pa.int64())))


def rows_with(lists: pa.Array, marked: pa.Array) -> pa.Array:
    """Return the rows of which an element is marked, as truth values."""
    rows = pc.unique(pc.list_parent_indices(lists).filter(marked)).cast(pa.int64())
    return pc.is_in(row_numbers(len(lists)).cast(pa.int64()), value_set=rows)


def without(shape: pa.Array, kept: pa.Array) -> pa.Array:
    """Return lists with fewer elements."""
    rows = pc.list_parent_indices(shape).filter(kept).cast(pa.int64())
    counted = pc.value_counts(rows)
    place = pc.index_in(row_numbers(len(shape)).cast(pa.int64()), value_set=counted.field(0))
    counts = pc.fill_null(counted.field(1).take(place), 0)
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(counts).cast(pa.int32())])
    return pa.ListArray.from_arrays(offsets, pa.nulls(len(rows)))


def relist_flat(outer: pa.Array, inner: pa.Array) -> pa.Array:
    """Return lists of lists as lists: `inner` holds the elements of `outer`."""
    counts = lengths(inner).cast(pa.int64())
    ends = pa.concat_arrays([pa.array([0], pa.int64()), pc.cumulative_sum(counts)])
    rows = pa.concat_arrays([pa.array([0], pa.int64()), pc.cumulative_sum(lengths(outer).cast(pa.int64()))])
    return pa.ListArray.from_arrays(ends.take(rows).cast(pa.int32()), inner.flatten())


def _starts(counts: pa.Array) -> pa.Array:
    total = pc.cumulative_sum(counts.cast(pa.int64()))
    return pc.subtract(total, counts.cast(pa.int64()))


def _lists(counts: pa.Array, values: pa.Array, absent: pa.Array | None) -> pa.Array:
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(counts).cast(pa.int32())])
    return pa.ListArray.from_arrays(offsets, values, mask=absent)
