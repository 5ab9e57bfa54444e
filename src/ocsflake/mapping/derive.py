"""What OCSF itself determines once an event's own values are known: captions, ``type_uid``, ``*_dt``, observables."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from attrs import frozen

from ocsflake.mapping.lists import each, fit, lengths, relist, row_numbers
from ocsflake.mapping.unmapped import by_row
from ocsflake.mapping.values import scalar_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["EnumRule", "ObservableRule", "datetimes", "enum_values", "observables"]

OTHER = 99


@frozen(eq=False)
class EnumRule:
    """How an enum and its text sibling go together.

    Attributes:
        allowed: The values of the target version.
        captions: Every value of the newest version with its caption.
    """

    allowed: frozenset[int]
    captions: Mapping[int, str]


@frozen(eq=False)
class ObservableRule:
    """An attribute whose values are observables.

    Attributes:
        path: The attribute, which becomes the ``name``.
        type_id: The kind of observable.
        caption: Its caption.
    """

    path: str
    type_id: int
    caption: str


def enum_values(rule: EnumRule, ids: pa.Array, words: pa.Array | None) -> tuple[pa.Array, pa.Array]:
    """Return ids that the target version knows, and their texts.

    An id that it does not know becomes 99 Other, with the caption that a newer version gives it, or with the number.
    Where the id is 99, the source's own word (`words`) is the text.
    """
    if pa.types.is_list(ids.type):
        found = enum_values(rule, ids.flatten(), None if words is None else fit(words, ids))
        return relist(ids, found[0]), relist(ids, found[1])
    encoded = ids.dictionary_encode()
    known = encoded.dictionary.to_pylist()
    captions = [rule.captions.get(value, str(value)) for value in known]
    texts = pa.array(captions, pa.string()).take(encoded.indices)
    given = words is not None and not pa.types.is_null(words.type) and not pa.types.is_list(words.type)
    if given and OTHER in known and OTHER in rule.allowed:
        other = pc.fill_null(pc.equal(ids, OTHER), False)
        texts = pc.if_else(other, pc.coalesce(scalar_text(words), texts), texts)
    if not rule.allowed.issuperset(known):
        instead = OTHER if OTHER in rule.allowed else 0
        ids = pa.array([value if value in rule.allowed else instead for value in known], ids.type).take(encoded.indices)
    return ids, texts


def datetimes(milliseconds: pa.Array) -> pa.Array:
    """Return the datetime twin of a timestamp."""
    return each(milliseconds, lambda column: column.cast(pa.timestamp("ms", "UTC")))


def observables(rules: Sequence[ObservableRule], columns: Sequence[pa.Array], rows: int, kind: pa.DataType) -> pa.Array:
    """Return the observables of each row in the order of `rules`; null where a row has none.

    Args:
        rules: What the columns are.
        columns: Text, other scalars, or lists of these.
        rows: How many rows.
        kind: The Arrow type of the attribute, a list of structs.
    """
    held = [place for place, column in enumerate(columns) if column.null_count < len(column)]
    rules, columns = [rules[place] for place in held], [columns[place] for place in held]
    if not held:
        return pa.nulls(rows, kind)
    if not any(pa.types.is_list(column.type) for column in columns):
        return _observed(rules, [scalar_text(column) for column in columns], rows, kind)
    at, which, values = [], [], []
    for number, column in enumerate(columns):
        rows_of, found = _pairs(column)
        at.append(rows_of)
        values.append(scalar_text(found))
        which.append(pa.repeat(pa.scalar(number, pa.int32()), len(found)))
    all_rows = pa.concat_arrays(at)
    order = pc.array_sort_indices(all_rows)  # stable: the order of the rules stays
    rule = pa.concat_arrays(which).take(order)
    offsets, empty = by_row(all_rows.take(order), rows)
    objects = _objects(rules, rule, pa.concat_arrays(values).take(order), kind.value_type)
    return pa.ListArray.from_arrays(offsets, objects, mask=empty).cast(kind)


def _observed(rules: Sequence[ObservableRule], columns: Sequence[pa.Array], rows: int, kind: pa.DataType) -> pa.Array:
    """Return the observables of columns that have at most one value a row: these interleave."""
    width = len(columns)
    valid = [column.is_valid() for column in columns]
    counts = functools.reduce(pc.add, [one.cast(pa.int32()) for one in valid])
    row, rule = _interleaved(width, 1 << (rows - 1).bit_length() if rows else 0)
    row, rule = row.slice(0, rows * width), rule.slice(0, rows * width)
    values = pa.concat_arrays(columns).take(pc.add(row, pc.multiply(rule, pa.scalar(rows, pa.int32()))))
    if values.null_count:
        present = values.is_valid()
        values, rule = values.filter(present), rule.filter(present)
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(counts)])
    empty = pc.equal(counts, 0) if pc.min(counts).as_py() == 0 else None
    return pa.ListArray.from_arrays(offsets, _objects(rules, rule, values, kind.value_type), type=kind, mask=empty)


@functools.lru_cache(maxsize=16)
def _interleaved(width: int, rows: int) -> tuple[pa.Array, pa.Array]:
    """Return row numbers, each so many times, and the places 0 to `width` - 1 within each row."""
    row = [number for number in range(rows) for _ in range(width)]
    return pa.array(row, pa.int32()), pa.array([*range(width)] * rows, pa.int32())


def _objects(rules: Sequence[ObservableRule], rule: pa.Array, values: pa.Array, kind: pa.StructType) -> pa.Array:
    """Return observables of values and the numbers of their rules."""
    members = {
        "name": pa.array([r.path for r in rules], pa.string()).take(rule),
        "type": pa.array([r.caption for r in rules], pa.string()).take(rule),
        "type_id": pa.array([r.type_id for r in rules], pa.int32()).take(rule),
        "value": values,
    }
    fields = list(kind)
    return pa.StructArray.from_arrays([members[f.name].cast(f.type) for f in fields], fields=fields)


def _pairs(column: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Return row numbers and values of what is not null."""
    if pa.types.is_list(column.type):
        rows, values = pc.list_parent_indices(column).cast(pa.int32()), column.flatten()
        while pa.types.is_list(values.type):
            counts = lengths(values)
            rows = rows.take(pc.list_parent_indices(values)) if pc.sum(counts).as_py() else rows[:0]
            values = values.flatten()
        valid = values.is_valid()
        return rows.filter(valid), values.filter(valid)
    if not column.null_count:
        return row_numbers(len(column)), column
    valid = column.is_valid()
    return pc.indices_nonzero(valid).cast(pa.int32()), column.filter(valid)
