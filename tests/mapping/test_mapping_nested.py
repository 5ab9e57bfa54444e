"""Leaves of nested JSON: many values at once give what each of them gives alone."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocsflake.mapping.leftovers import Leftovers, flatten_tokens
from ocsflake.mapping.values import with_nulls

KEYS = st.sampled_from(["a", "b", "c.d", 'e"f', ""])
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=3)
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8
)
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=3) | st.lists(VALUES, max_size=3)


def flattened(path: str, rows: list[int], tokens: list[bytes]) -> Leftovers:
    """Return the leaves of some values at one path."""
    values = with_nulls(pa.array(tokens, pa.binary()))
    return flatten_tokens(pa.array(rows, pa.int32()), pa.array([path] * len(rows)), values)


def together(path: str, rows: list[int], tokens: list[bytes]) -> dict[tuple[int, str], str]:
    """Return the leaves of values that are taken apart together."""
    left = flattened(path, rows, tokens)
    triples = list(zip(left.rows.to_pylist(), left.keys.to_pylist(), left.values.to_pylist(), strict=True))
    found = {(row, key): text for row, key, text in triples}
    assert len(found) == len(triples)
    return found


def alone(path: str, rows: list[int], tokens: list[bytes]) -> dict[tuple[int, str], str]:
    """Return the leaves of values that are taken apart one by one."""
    found: dict[tuple[int, str], list[str]] = {}
    for row, token in zip(rows, tokens, strict=True):
        left = flattened(path, [row], [token])
        for key, text in zip(left.keys.to_pylist(), left.values.to_pylist(), strict=True):
            found.setdefault((row, key), []).append(text)
    return {place: ",".join(texts) for place, texts in found.items()}


def encoded(*values: object) -> list[bytes]:
    """Return values as JSON tokens."""
    return [json.dumps(value, separators=(",", ":")).encode() for value in values]


@given(st.lists(OBJECTS, min_size=1, max_size=4), st.integers(17, 20))
def test_values_of_a_few_forms(values, count):
    """Whatever the values are, each gives its own leaves, and nothing of its neighbours'."""
    tokens = encoded(*(values * count))
    rows = list(range(len(tokens)))
    assert together("x", rows, tokens) == alone("x", rows, tokens)


@given(st.lists(VALUES, min_size=1, max_size=4), st.integers(17, 20), st.integers(1, 5))
def test_elements_of_lists(values, count, each):
    """The elements of one row are joined in their order, scalars among objects too."""
    tokens = encoded(*(values * count))
    rows = [number // each for number in range(len(tokens))]
    assert together("x[]", rows, tokens) == alone("x[]", rows, tokens)


@pytest.mark.parametrize(
    "odd",
    [
        b'{"a":1,"new":[{"deep":true}]}',
        b'{"a":{"b":1}}',
        b'{"a":[1,null,2]}',
        b'{"a":null,"b":{}}',
        b'{"a":-0,"b":1e400,"c":18446744073709551617}',
        b'{"a":"caf\\u00e9 \\/ \\n"}',
        b'{ "a" : [ ] , "b" : { } }',
        b'{"a":1,"a":2}',
        b'{"a":' + b"[" * 2000 + b"]" * 2000 + b"}",
        b'{"' + b"k" * 300 + b'":{"b":1}}',
        b'{"back\\\\slash":1}',
        b"[1,2]",
    ],
)
def test_one_value_of_another_form(odd):
    """A value that is unlike all others, late in the batch, costs none of them a leaf."""
    tokens = encoded(*({"a": f"v{number}", "b": [{"c": number}]} for number in range(3000)))
    tokens[2500] = odd
    rows = list(range(len(tokens)))
    assert together("x", rows, tokens) == alone("x", rows, tokens)


def test_a_row_of_more_elements_than_are_taken_apart_together():
    """The values of one row stay one text, however many there are."""
    tokens = encoded(*({"a": number} for number in range(5000)))
    found = together("x[]", [7] * 5000, tokens)
    assert found == {(7, "x[].a"): ",".join(map(str, range(5000)))}


def test_keys_that_are_data():
    """Maps with keys of their own have no form, and all their leaves."""
    tokens = encoded(*({f"k{number}": {"v": number}} for number in range(500)))
    found = together("x", list(range(500)), tokens)
    assert found == {(number, f"x.k{number}.v"): str(number) for number in range(500)}
