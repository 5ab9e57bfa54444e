"""What OCSF itself determines once an event's own values are known: captions, ``type_uid``, ``*_dt``, observables."""

from __future__ import annotations

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
    known = sorted(rule.captions)
    place = pc.index_in(ids, value_set=pa.array(known, pa.int32()))
    texts = pa.array([rule.captions[value] for value in known], pa.string()).take(place)
    allowed = pc.is_in(ids, value_set=pa.array(sorted(rule.allowed), pa.int32()))
    foreign = pc.and_(pc.invert(allowed), ids.is_valid())
    if pc.any(foreign).as_py():
        texts = pc.coalesce(texts, ids.cast(pa.string()))
        ids = pc.if_else(foreign, pa.scalar(OTHER if OTHER in rule.allowed else 0, pa.int32()), ids)
    if words is not None and not pa.types.is_null(words.type) and not pa.types.is_list(words.type):
        other = pc.fill_null(pc.and_(pc.equal(ids, OTHER), pc.invert(foreign)), False)
        if pc.any(other).as_py():
            texts = pc.if_else(other, pc.coalesce(scalar_text(words), texts), texts)
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
    at, which, values = [], [], []
    for number, column in enumerate(columns):
        rows_of, found = _pairs(column)
        at.append(rows_of)
        values.append(scalar_text(found))
        which.append(pa.repeat(pa.scalar(number, pa.int32()), len(found)))
    all_rows = pa.concat_arrays(at)
    order = pc.array_sort_indices(all_rows)  # stable: the order of the rules stays
    rule = pa.concat_arrays(which).take(order)
    members = {
        "name": pa.array([r.path for r in rules], pa.string()).take(rule),
        "type": pa.array([r.caption for r in rules], pa.string()).take(rule),
        "type_id": pa.array([r.type_id for r in rules], pa.int32()).take(rule),
        "value": pa.concat_arrays(values).take(order),
    }
    offsets, empty = by_row(all_rows.take(order), rows)
    fields = list(kind.value_type)
    objects = pa.StructArray.from_arrays([members[f.name].cast(f.type) for f in fields], fields=fields)
    return pa.ListArray.from_arrays(offsets, objects, mask=empty).cast(kind)


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
