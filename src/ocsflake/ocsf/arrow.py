"""Arrow types for OCSF attributes, as Amazon Security Lake writes them to Parquet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ocsflake.errors import SchemaError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ocsflake.ocsf.schema import Attribute, EventClass

__all__ = ["arrow_schema", "arrow_type"]

_SCALARS = {
    "boolean_t": pa.bool_(),
    "integer_t": pa.int32(),
    "long_t": pa.int64(),
    "float_t": pa.float64(),
    "string_t": pa.string(),
    "json_t": pa.string(),
}


def arrow_type(attribute: Attribute, children: Iterable[pa.Field] = ()) -> pa.DataType:
    """Return the Arrow type of an attribute.

    ``integer_t`` is int32, ``long_t`` int64, ``float_t`` float64, ``boolean_t`` bool, text of any kind utf8,
    ``timestamp_t`` int64 (milliseconds since the epoch), ``datetime_t`` timestamp[ms, UTC], ``json_t`` utf8
    (JSON text), a free object map<utf8, utf8>, an object the struct of `children`; arrays are lists.

    Args:
        attribute: The attribute.
        children: The fields of its struct, if it is an object with attributes.
    """
    if attribute.type == "datetime_t":
        kind = pa.timestamp("ms", tz="UTC")
    elif attribute.base != "object_t":
        kind = _SCALARS[attribute.base]
    elif attribute.attributes:
        kind = pa.struct(list(children))
    else:
        kind = pa.map_(pa.string(), pa.string())
    return pa.list_(kind) if attribute.is_array else kind


def arrow_schema(event_class: EventClass, paths: Iterable[str]) -> pa.Schema:
    """Return the Arrow schema that holds the attributes at `paths` and no other.

    Fields are in alphabetical order at every level. A path that names an object stands for all its scalar
    attributes, lists of scalars and free objects too. Required attributes of the class are not nullable.

    Args:
        event_class: The class.
        paths: Dotted paths, as `EventClass.attribute` takes them.

    Raises:
        SchemaError: If a path is not in the class; if an object type comes more than twice on a path, since
            Parquet has no recursive types (``process.parent_process`` is allowed, its parent is not); or if a
            path names an object without scalar attributes.
    """
    tree: dict[str, Any] = {}  # an object holds its attributes, a scalar nothing
    for path in paths:
        along = event_class.attributes_along(path)
        _check_recursion(event_class, path, along)
        level = tree
        for attribute in along:
            level = level.setdefault(attribute.name, {})
        if along[-1].attributes:
            scalars = [a.name for a in along[-1].attributes.values() if not a.attributes]
            if not scalars:
                below = ", ".join(f"{path}.{name}" for name in along[-1].attributes)
                raise SchemaError(
                    f"{event_class.name} (OCSF {event_class.version}): {path!r} has no scalar attributes;"
                    f" name what it is to hold: {below}"
                )
            level.update((name, {}) for name in scalars)
    return pa.schema(_fields(tree, event_class.attributes, top=True))


def _fields(tree: Mapping[str, Any], attributes: Mapping[str, Attribute], *, top: bool) -> list[pa.Field]:
    fields = []
    for name in sorted(tree):
        attribute = attributes[name]
        children = _fields(tree[name], attribute.attributes, top=False)
        nullable = not (top and attribute.requirement == "required")
        fields.append(pa.field(name, arrow_type(attribute, children), nullable))
    return fields


def _check_recursion(event_class: EventClass, path: str, along: tuple[Attribute, ...]) -> None:
    passed = [attribute.object_type for attribute in along if attribute.object_type]
    for kind in passed:
        if passed.count(kind) > 2:
            raise SchemaError(
                f"{event_class.name} (OCSF {event_class.version}): {path!r} holds the object {kind!r}"
                f" {passed.count(kind)} times, a column holds it twice at most; put the rest into 'unmapped'"
            )
