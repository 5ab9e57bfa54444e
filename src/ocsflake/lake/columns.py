"""Columns of a view: trees of names and types, and the SQL that makes a row of one out of a row of objects.

DuckDB reads only those parts of a struct that a statement takes out of it, as long as it takes them out of the object
itself and not out of a struct that was put together or cast before. So a view puts together what the statement names,
and no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from attrs import evolve, field, frozen

from ocsflake import ocsf
from ocsflake.errors import SchemaError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    import pyarrow as pa

    from ocsflake.lake.reading import Path

__all__ = [
    "Row",
    "Shape",
    "column",
    "lookup",
    "merged",
    "ocsf_shape",
    "pruned",
    "quoted",
    "quoted_name",
    "same",
    "shape_of",
    "type_text",
]

Shape: TypeAlias = "str | Mapping[str, Shape] | list[Shape]"
"""A type: a name of DuckDB's, a struct, or a list of one type of elements."""

_SCALARS = {
    "bool": "BOOLEAN",
    "int32": "INTEGER",
    "int64": "BIGINT",
    "double": "DOUBLE",
    "string": "VARCHAR",
    "timestamp[ms, tz=UTC]": "TIMESTAMP WITH TIME ZONE",
}


def quoted_name(name: str) -> str:
    """Return an identifier of SQL."""
    return '"' + name.replace('"', '""') + '"'


def quoted(text: str) -> str:
    """Return text as a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


def type_text(shape: Shape) -> str:
    """Return a type as SQL has it."""
    if isinstance(shape, str):
        return shape
    if isinstance(shape, list):
        return f"{type_text(shape[0])}[]"
    return f"STRUCT({', '.join(f'{quoted_name(name)} {type_text(inner)}' for name, inner in shape.items())})"


def shape_of(kind: Any) -> Shape:
    """Return the shape of a type that DuckDB tells (a ``DuckDBPyType``)."""
    name = kind.id
    if name == "struct":
        return {field: shape_of(inner) for field, inner in kind.children}
    if name == "list":
        return [shape_of(kind.children[0][1])]
    return str(kind)


def merged(shapes: Iterable[Shape]) -> Shape:
    """Return a shape with all parts of several; where two disagree, the first holds."""
    result: Shape | None = None
    for shape in shapes:
        result = shape if result is None else _both(result, shape)
    assert result is not None
    return result


def _both(one: Shape, other: Shape) -> Shape:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        either = {**one, **other}
        return {
            name: _both(one[name], other[name]) if name in one and name in other else part
            for name, part in either.items()
        }
    if isinstance(one, list) and isinstance(other, list):
        return [_both(one[0], other[0])]
    return one


def lookup(shape: Shape, path: Path) -> Shape | None:
    """Return the shape at a path in lower case, ``None`` if there is nothing; what follows a list is not looked at."""
    for name in path:
        if not isinstance(shape, Mapping):
            return shape
        inner = next((inner for key, inner in shape.items() if key.lower() == name), None)
        if inner is None:
            return None
        shape = inner
    return shape


def pruned(shape: Shape, wanted: Collection[Path]) -> Shape:
    """Return a shape with those parts only that are wanted; all of it if it has none of them."""
    if () in wanted or not isinstance(shape, Mapping):
        return shape
    kept = {name: pruned(inner, below) for name, inner in shape.items() if (below := _below(wanted, name))}
    return kept or shape


def _below(wanted: Collection[Path], name: str) -> list[Path]:
    return [path[1:] for path in wanted if path and path[0] == name.lower()]


def ocsf_shape(version: str, event_class: str, path: Path) -> Shape | None:
    """Return the shape of the column that an attribute of OCSF is in, with no more than this attribute.

    Args:
        version: Of OCSF.
        event_class: Its name.
        path: In lower case, such as ``actor``, ``user``, ``name``.
    """
    schema = ocsf.load(version)
    try:
        found = ocsf.arrow_schema(schema.event_class(event_class, schema.profiles()), [".".join(path)])
    except SchemaError:
        return None
    return _arrow_shape(found.field(0).type)


def _arrow_shape(kind: pa.DataType) -> Shape:
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return {field.name: _arrow_shape(field.type) for field in kind}
    if pa.types.is_list(kind):
        return [_arrow_shape(kind.value_type)]
    return "MAP(VARCHAR, VARCHAR)" if pa.types.is_map(kind) else _SCALARS[str(kind)]


def same(path: Path) -> Iterable[Path]:
    """Return where the value of a path is in objects that have it at the same path."""
    return (path,)


@frozen
class Row:
    """What a column is made of: a row of objects, or an element of a list in one.

    Attributes:
        shape: What it has.
        sql: Returns the SQL of one of its names.
        made: SQL for what is computed, by the path in the view.
        places: Returns where the value of a path in the view may be in the objects, the likeliest first.
        changed: The paths in the view that have a part which the objects have elsewhere, or not at all.
        above: The path of the list that this is an element of.
    """

    shape: Mapping[str, Shape]
    sql: Callable[[str], str]
    made: Mapping[Path, str] = field(factory=dict)
    places: Callable[[Path], Iterable[Path]] = same
    changed: Collection[Path] = ()
    above: Path = ()

    def find(self, path: Path) -> tuple[str, Shape, Path] | None:
        """Return SQL, shape and place of what is there for a path in the view."""
        for place in self.places(path):
            if place[: len(self.above)] != self.above or place == self.above:
                continue
            first, *others = place[len(self.above) :]
            shape, sql = self.shape.get(first), self.sql(first)
            for name in others:
                shape = shape.get(name) if isinstance(shape, Mapping) else None
                sql = f"struct_extract({sql}, {quoted(name)})"
            if shape is not None:
                return sql, shape, place
        return None


def column(row: Row, path: Path, shape: Shape, wanted: Collection[Path] = ((),)) -> str:
    """Return the SQL of a column of a view.

    Args:
        row: What it is made of.
        path: Its name.
        shape: What it is to be.
        wanted: What of it is read, as for `pruned`; where all of a struct is, it is NULL where the object has NULL.
    """
    return _value(row, path, pruned(shape, wanted), wanted) or f"CAST(NULL AS {type_text(shape)})"


def _value(row: Row, path: Path, shape: Shape, wanted: Collection[Path]) -> str | None:
    """Return the SQL of a value, ``None`` if there is nothing for it."""
    if path in row.made:
        return row.made[path]
    found = row.find(path)
    if found and found[1] == shape and path not in row.changed:
        return found[0]
    if isinstance(shape, Mapping):
        return _struct(row, path, shape, wanted, found)
    if isinstance(shape, list) and isinstance(shape[0], Mapping):
        return _list(row, path, shape, found)
    fits = found and (isinstance(found[1], str) if isinstance(shape, str) else isinstance(found[1], list))
    return found[0] if found and fits else None


def _struct(
    row: Row,
    path: Path,
    shape: Mapping[str, Shape],
    wanted: Collection[Path],
    found: tuple[str, Shape, Path] | None,
) -> str | None:
    if found and isinstance(found[1], list):  # where the view has one, the first of several
        made = _list(row, path, [shape], found)
        return made and f"({made})[1]"
    whole = () in wanted
    parts = {}
    for name, inner in shape.items():
        below = [()] if whole else _below(wanted, name)
        parts[name] = _value(row, (*path, name), inner, below), inner
    if not any(made for made, _ in parts.values()):
        return None
    fields = (
        f"{quoted_name(name)} := {made or f'CAST(NULL AS {type_text(inner)})'}" for name, (made, inner) in parts.items()
    )
    made = f"struct_pack({', '.join(fields)})"
    return f"CASE WHEN {found[0]} IS NOT NULL THEN {made} END" if whole and found else made


def _list(row: Row, path: Path, shape: list[Shape], found: tuple[str, Shape, Path] | None) -> str | None:
    if not found or isinstance(found[1], str):
        return None
    sql, there, place = found
    if isinstance(there, Mapping):  # where the view has several, a list of one
        sql, there = f"CASE WHEN {sql} IS NOT NULL THEN [{sql}] END", [there]
    inside, element = there[0], f"e{len(place)}"
    if not isinstance(inside, Mapping):
        return None
    below = evolve(row, shape=inside, sql=lambda name: f"struct_extract({element}, {quoted(name)})", above=place)
    made = _value(below, path, shape[0], [()]) if shape[0] != inside or path in row.changed else element
    return made and (sql if made == element else f"list_transform({sql}, lambda {element}: {made})")
