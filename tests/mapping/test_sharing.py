"""Equal expressions become one, others stay apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ocsflake.mapping import apply, at, when
from ocsflake.mapping.expr import Constant, Expr
from ocsflake.mapping.sharing import shared

if TYPE_CHECKING:
    import pyarrow as pa


def first(text: pa.Array) -> pa.Array:
    return text


def second(text: pa.Array) -> pa.Array:
    return text


EQUAL: dict[str, Any] = {
    "path": lambda: at("a.b"),
    "default": lambda: at("a").or_(at("b"), "none"),
    "lookup": lambda: at("a").lookup({"x": 1, "y": 2}, default=99),
    "condition": lambda: at("a").only_if(~at("b").is_null() & (at("b") != at("a"))),
    "words": lambda: at("a").is_in(["x", "y"]),
    "function": lambda: apply(first, at("a"), at("b")),
    "both": lambda: when(at("a") == "x", at("b"), 0),
    "time": lambda: at("a").epoch("s"),
}
OTHERS: dict[str, tuple[Expr, Expr]] = {
    "path": (at("a"), at("b")),
    "number and truth": (Constant(1), Constant(True)),
    "number and fraction": (Constant(1), Constant(1.0)),
    "value of a table": (at("a").lookup({"x": 1}), at("a").lookup({"x": True})),
    "word of a table": (at("a").lookup({"x": 1}), at("a").lookup({"y": 1})),
    "default": (at("a").lookup({"x": 1}), at("a").lookup({"x": 1}, default=99)),
    "order": (at("a").or_(at("b")), at("b").or_(at("a"))),
    "kind": (at("a").text(), at("a").lower()),
    "unit": (at("a").epoch("s"), at("a").epoch("ms")),
    "function": (apply(first, at("a")), apply(second, at("a"))),
}


@pytest.mark.parametrize("name", EQUAL)
def test_equal_expressions(name: str) -> None:
    """Of two that are written alike, the first stands for both; so do their parts."""
    known: dict[Any, Expr] = {}
    one, other = (shared(EQUAL[name](), known) for _ in range(2))

    assert one is other
    assert {id(part) for part in shared(EQUAL[name]().text(), known).children()} == {id(one)}


@pytest.mark.parametrize("name", OTHERS)
def test_other_expressions(name: str) -> None:
    """Those that differ in anything stay two."""
    known: dict[Any, Expr] = {}
    one, other = (shared(each, known) for each in OTHERS[name])

    assert one is not other
    assert repr(one) == repr(OTHERS[name][0])
    assert repr(other) == repr(OTHERS[name][1])
