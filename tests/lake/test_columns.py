"""Columns of views, made of what objects have: types, parts of structs, lists, and names that differ."""

from __future__ import annotations

from typing import Any

import duckdb
import pyarrow as pa
import pytest

from ocsflake.lake import columns
from ocsflake.lake.columns import Row, column, quoted_name


@pytest.fixture(scope="module")
def connection() -> Any:
    with duckdb.connect(":memory:") as connection:
        yield connection


def value(connection: Any, there: str, name: str, shape: columns.Shape, wanted: Any = ((),), **row: Any) -> Any:
    """Return a column of a view over one row of some columns, and its type."""
    rows = connection.sql(f"SELECT {there}")
    types = {each: columns.shape_of(kind) for each, kind in zip(rows.columns, rows.types, strict=True)}
    sql = column(Row(types, quoted_name, **row), (name,), shape, wanted)
    found = connection.sql(f"SELECT {sql} AS v FROM (SELECT {there})")
    return found.fetchall()[0][0], columns.shape_of(found.types[0])


A, B = "VARCHAR", "INTEGER"


@pytest.mark.parametrize(
    ("there", "shape", "expected"),
    [
        ("'x' AS a", A, "x"),
        ("'x' AS b", A, None),
        ("'x' AS a", B, "x"),  # a type is not changed
        ("['x'] AS a", A, None),
        ("'x' AS a", [A], None),
        ("['x'] AS a", [A], ["x"]),
        ("['x'] AS a", [B], ["x"]),
        ("'x' AS a", {"b": A}, None),
        ("'x' AS a", [{"b": A}], None),
        ("{'b': 'x'} AS a", {"b": A}, {"b": "x"}),
        ("{'b': 'x'} AS a", {"b": A, "c": B}, {"b": "x", "c": None}),
        ("{'b': 'x', 'c': 1} AS a", {"c": B}, {"c": 1}),
        ("{'d': 'x'} AS a", {"b": A}, None),
        ("NULL::STRUCT(b VARCHAR) AS a", {"b": A, "c": B}, None),
        ("{'b': NULL::VARCHAR} AS a", {"b": A, "c": B}, {"b": None, "c": None}),
        ("{'b': {'c': 'x'}} AS a", {"b": {"c": A, "d": B}}, {"b": {"c": "x", "d": None}}),
        ("{'b': NULL::STRUCT(c VARCHAR)} AS a", {"b": {"c": A, "d": B}}, {"b": None}),
        ("[{'b': 'x'}] AS a", [{"b": A}], [{"b": "x"}]),
        ("[{'b': 'x'}, {'b': 'y'}] AS a", [{"b": A, "c": B}], [{"b": "x", "c": None}, {"b": "y", "c": None}]),
        ("['x'] AS a", [{"b": A}], None),
        ("[{'d': 'x'}] AS a", [{"b": A}], None),
        ("[{'b': 'x'}, {'b': 'y'}] AS a", {"b": A}, {"b": "x"}),
        ("{'b': 'x'} AS a", [{"b": A}], [{"b": "x"}]),
        ("{'b': 'x'} AS a", [{"b": A, "c": B}], [{"b": "x", "c": None}]),
        ("NULL::STRUCT(b VARCHAR) AS a", [{"b": A, "c": B}], None),
        ("[{'b': [{'c': 'x'}]}] AS a", [{"b": [{"c": A, "d": B}]}], [{"b": [{"c": "x", "d": None}]}]),
    ],
)
def test_values(connection: Any, there: str, shape: columns.Shape, expected: Any) -> None:
    """What is there is as it was, what is not is NULL; a struct is the first of a list, and a list has one struct."""
    assert value(connection, there, "a", shape)[0] == expected


@pytest.mark.parametrize("shape", [A, [B], {"b": A}, [{"b": A, "c": {"d": [B]}}], "MAP(VARCHAR, VARCHAR)"])
def test_null_has_the_type(connection: Any, shape: columns.Shape) -> None:
    assert value(connection, "1 AS other", "a", shape) == (None, shape)


def test_only_what_is_wanted_of_a_struct_is_read(connection: Any) -> None:
    """It is then no longer NULL where the object has NULL, since what would tell is not read."""
    shape = {"b": A, "c": B, "d": {"e": A, "f": A}}
    there = "{'b': 'x', 'c': 1, 'd': {'e': 'y', 'f': 'z'}} AS a"

    assert value(connection, there, "a", shape, [("b",)])[0] == {"b": "x"}
    assert value(connection, there, "a", shape, [("d", "e"), ("c",)])[0] == {"c": 1, "d": {"e": "y"}}
    assert value(connection, there, "a", shape, [("none",)])[0] == value(connection, there, "a", shape)[0]
    nothing = "NULL::STRUCT(b VARCHAR, c INTEGER, d STRUCT(e VARCHAR, f VARCHAR)) AS a"
    assert value(connection, nothing, "a", {**shape, "g": A}, [("b",), ("g",)])[0] == {"b": None, "g": None}
    more = {**shape, "d": {"e": A, "g": A}}
    assert value(connection, nothing, "a", more, [("d", "e"), ("d", "g")])[0] == {"d": {"e": None, "g": None}}
    assert value(connection, nothing, "a", more, [("d",)])[0] == {"d": None}


def test_names_that_differ(connection: Any) -> None:
    """Values are looked for in each place in turn, and computed where a path is so; names may be any text."""
    moved = {("a", "b"): [("x", "y"), ("a", "z")], ("l", "n"): [("l", "o")]}
    changed = {("a",), ("a", "b"), ("l",), ("l", "n"), ("m",)}
    row = {"places": lambda path: moved.get(path, (path,)), "changed": changed, "made": {("a", "m"): "1 + 1"}}
    shape = {"b": A, "m": B, "it's": A}

    found = value(connection, "{'z': 'z', 'it''s': 'q'} AS a", "a", shape, **row)
    assert found == ({"b": "z", "m": 2, "it's": "q"}, shape)
    first = value(connection, "{'y': 'y'} AS x, {'z': 'z', 'it''s': 'q'} AS a", "a", shape, **row)
    assert first[0]["b"] == "y"
    assert value(connection, "[{'n': 'old', 'o': 'new'}] AS l", "l", [{"n": A}], **row)[0] == [{"n": "new"}]
    assert value(connection, "1 AS one", "a", shape, **row)[0] == {"b": None, "m": 2, "it's": None}


def test_shapes_of_several_sources() -> None:
    """The first of two that disagree holds, part by part."""
    one = {"a": A, "s": {"x": A, "y": [{"p": A}]}, "l": [A], "t": {"x": A}}
    other = {"a": B, "s": {"y": [{"p": B, "q": B}], "z": B}, "l": A, "t": A, "u": B}

    assert columns.merged([one, other, {"v": A}]) == {
        "a": A,
        "s": {"x": A, "y": [{"p": A, "q": B}], "z": B},
        "l": [A],
        "t": {"x": A},
        "u": B,
        "v": A,
    }


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ((), {"A": {"b": [{"c": A}]}, "d": B}),
        (("a",), {"b": [{"c": A}]}),
        (("a", "b"), [{"c": A}]),
        (("a", "b", "c", "more"), [{"c": A}]),
        (("d", "more"), B),
        (("a", "c"), None),
        (("e",), None),
    ],
)
def test_a_path_is_looked_up(path: tuple[str, ...], found: Any) -> None:
    """In any case of letters, as far as a list or a value."""
    assert columns.lookup({"A": {"b": [{"c": A}]}, "d": B}, path) == found


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        ("severity_id", B),
        ("time", "BIGINT"),
        ("time_dt", "TIMESTAMP WITH TIME ZONE"),
        ("unmapped", "MAP(VARCHAR, VARCHAR)"),
        ("actor.user.name", {"user": {"name": A}}),
        ("actor.session.is_mfa", {"session": {"is_mfa": "BOOLEAN"}}),
        ("resources.labels", [{"labels": [A]}]),
        ("src_endpoint.location.lat", {"location": {"lat": "DOUBLE"}}),
        ("nothing", None),
        ("actor.nothing", None),
    ],
)
def test_attributes_of_ocsf(path: str, shape: Any) -> None:
    """Those of profiles too; a column has no more than what was asked for."""
    assert columns.ocsf_shape("1.5.0", "api_activity", tuple(path.split("."))) == shape


def test_types_of_duckdb_are_those_of_the_columns(connection: Any) -> None:
    """There and back, with names that need quotes."""
    shape: columns.Shape = {'a "b"': [{"c": "BIGINT"}], "d": {"e": "MAP(VARCHAR, VARCHAR)"}, "f": ["VARCHAR"]}

    found = connection.sql(f"SELECT CAST(NULL AS {columns.type_text(shape)}) AS v")

    assert columns.shape_of(found.types[0]) == shape
    assert pa.types.is_struct(found.to_arrow_table().schema.field("v").type)
