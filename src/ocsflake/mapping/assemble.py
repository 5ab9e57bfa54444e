"""Putting attribute columns together into nested events.

An object that its event does not need, and that lacks what OCSF requires of it, is left out: its values go to
``unmapped`` and the event stays valid. The same holds for elements of lists.
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from ocsflake.dictionaries import fitting
from ocsflake.mapping.lists import fit, lengths, relist, relist_flat, rows_with, singles, without

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocsflake.ocsf import Attribute, EventClass

__all__ = ["assemble"]

Leaves = dict[str, pa.Array]
Left = dict[str, pa.Array]


def assemble(
    event_class: EventClass, schema: pa.Schema, leaves: Mapping[str, pa.Array], rows: int
) -> tuple[list[pa.Array], Left]:
    """Return the top-level columns of `schema`, and what was left out.

    Args:
        event_class: Says what is required where.
        schema: The Arrow schema of the events, made of the paths of `leaves`.
        leaves: Attribute path (lists of objects spelt ``resources[].uid``) to column.
        rows: How many events.

    Returns:
        The columns in the order of the schema, dictionaries where `leaves` has them, and attribute path to the rows
        where an object at that path, or an element of it, was left out.
    """
    left: Left = {}
    columns = []
    for field in schema:
        attribute = event_class.attributes[field.name]
        columns.append(_build(field.type, field.name, attribute, dict(leaves), rows, left))
    return columns, left


def _build(kind: pa.DataType, path: str, attribute: Attribute, leaves: Leaves, rows: int, left: Left) -> pa.Array:
    if path in leaves:
        return _leaf(leaves[path], kind)
    if pa.types.is_struct(kind):
        return _object(kind, path, attribute, leaves, rows, left)
    if pa.types.is_list(kind):
        return _objects(kind, path, attribute, leaves, rows, left)
    return pa.nulls(rows, kind)


def _leaf(column: pa.Array, kind: pa.DataType) -> pa.Array:
    if column.null_count == len(column):
        return pa.nulls(len(column), kind)
    while pa.types.is_list(column.type) and pa.types.is_list(column.type.value_type):
        column = relist_flat(column, column.flatten())
    if pa.types.is_list(kind):
        column = column if pa.types.is_list(column.type) else singles(column)
        column = _without_empty(column)
    elif pa.types.is_list(column.type):
        column = _first(column)
    same = column.type == kind or (pa.types.is_dictionary(column.type) and column.type.value_type == kind)
    return column if same else column.cast(kind)


def _object(kind: pa.DataType, path: str, attribute: Attribute, leaves: Leaves, rows: int, left: Left) -> pa.Array:
    found, present, complete = _struct(kind, path, attribute, leaves, rows, left)
    if attribute.requirement != "required":
        broken = pc.and_(present, pc.invert(complete))
        if pc.any(broken).as_py():
            left[path] = broken
            present = pc.and_(present, complete)
    return pa.StructArray.from_arrays(found, fields=list(fitting(kind, found)), mask=pc.invert(present))


def _objects(kind: pa.DataType, path: str, attribute: Attribute, leaves: Leaves, rows: int, left: Left) -> pa.Array:
    inside = {name: column for name, column in leaves.items() if name.startswith(path + "[].")}
    shape = _shape(inside, rows)
    elements = {name: fit(column, shape) for name, column in inside.items()}
    inner: Left = {}
    count = len(shape.flatten())
    found, present, complete = _struct(kind.value_type, path + "[]", attribute, elements, count, inner)
    for name, marked in inner.items():
        left[name] = rows_with(shape, marked)
    kept = pc.and_(present, complete)
    if not pc.all(kept).as_py():
        broken = pc.and_(present, pc.invert(complete))
        if pc.any(broken).as_py():
            left[path] = rows_with(shape, broken)
        shape = without(shape, kept)
        found = [column.filter(kept) for column in found]
    objects = pa.StructArray.from_arrays(found, fields=list(kind.value_type))
    return relist(_null_for_none(shape), objects).cast(kind)


def _struct(
    kind: pa.DataType, path: str, attribute: Attribute, leaves: Leaves, rows: int, left: Left
) -> tuple[list[pa.Array], pa.Array, pa.Array]:
    """Return the members of an object, where it is present, and where it has all that OCSF requires."""
    children = attribute.attributes
    members = {f.name: _build(f.type, f"{path}.{f.name}", children[f.name], leaves, rows, left) for f in kind}
    valid = {name: column.is_valid() for name, column in members.items()}
    present = reduce(pc.or_, valid.values())
    complete = pa.repeat(pa.scalar(True), rows)
    for name, child in children.items():
        if child.requirement == "required":
            complete = pc.and_(complete, valid[name]) if name in valid else pa.repeat(pa.scalar(False), rows)
    for rule, names in attribute.constraints.items():
        held = [valid[name] for name in names if name in valid]
        if rule == "at_least_one" and not any("." in name for name in names):
            complete = pc.and_(complete, reduce(pc.or_, held, pa.repeat(pa.scalar(False), rows)))
        elif rule == "just_one" and not any("." in name for name in names):
            counted = reduce(pc.add, [h.cast(pa.int8()) for h in held], pa.repeat(pa.scalar(0, pa.int8()), rows))
            complete = pc.and_(complete, pc.equal(counted, 1))
    return list(members.values()), present, complete


def _shape(columns: Leaves, rows: int) -> pa.Array:
    """Return a list column of as many elements a row as the longest of the columns has; a single value is one."""
    lists = [column for column in columns.values() if pa.types.is_list(column.type)]
    single = [column.is_valid() for column in columns.values() if not pa.types.is_list(column.type)]
    longest = reduce(pc.or_, single, pa.repeat(pa.scalar(False), rows)).cast(pa.int32())
    longest = reduce(pc.max_element_wise, map(lengths, lists), longest)
    total = pc.sum(longest).as_py() or 0
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(longest).cast(pa.int32())])
    return pa.ListArray.from_arrays(offsets, pa.nulls(total))


def _without_empty(column: pa.Array) -> pa.Array:
    """Return lists without null elements, and null for a list without elements."""
    values = column.flatten()
    if values.null_count:
        kept = values.is_valid()
        column = relist(without(column, kept), values.filter(kept))
    return relist(_null_for_none(column), column.flatten())


def _null_for_none(column: pa.Array) -> pa.Array:
    empty = pc.equal(lengths(column), 0)
    if not pc.any(empty).as_py():
        return column
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(lengths(column)).cast(pa.int32())])
    return pa.ListArray.from_arrays(offsets, column.flatten(), mask=empty)


def _first(column: pa.Array) -> pa.Array:
    """Return the first value of each list, null where it has none."""
    values, rows = column.flatten(), pc.list_parent_indices(column)
    if values.null_count:
        valid = values.is_valid()
        values, rows = values.filter(valid), rows.filter(valid)
    return values.take(pc.index_in(pa.array(range(len(column)), rows.type), value_set=rows))
