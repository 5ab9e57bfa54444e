"""What each verb gives an attribute."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from toy import events_of, get, raw, reasons, toy, values

from ocsflake.errors import SchemaError
from ocsflake.mapping import JsonRecords, apply, at, is_ip, origin, when
from ocsflake.model import RawBatch

if TYPE_CHECKING:
    from ocsflake.mapping import Expr

UIDS = "resources[].uid"


def backwards(text: pa.Array) -> pa.Array:
    return pc.utf8_reverse(text)


def joined(first: pa.Array, second: pa.Array) -> pa.ChunkedArray:
    return pa.chunked_array([pc.binary_join_element_wise(first, second, "/")])


def unchanged(text: pa.Array) -> pa.Array:
    return text


def too_few(text: pa.Array) -> pa.Array:
    return text[:1]


@pytest.mark.parametrize(
    ("expression", "record", "expected"),
    [
        # at: text as it is; null, empty text and nothing are no value
        (at("a"), {"a": "x"}, "x"),
        (at("a"), {"a": ""}, None),
        (at("a"), {"a": None}, None),
        (at("a"), {}, None),
        (at("a"), {"a": '\u00e9\n"\\\U0001f680\x00'}, '\u00e9\n"\\\U0001f680\x00'),
        (at("a.b"), {"a": {"b": "x"}}, "x"),
        (at("a.b"), {"a": "x"}, None),
        (at("a.b"), {"a": ["x"]}, None),
        (at("a.b"), {"a": '{"b": "x"}'}, "x"),  # text that holds JSON
        (at('labels."example.com/a.b"'), {"labels": {"example.com/a.b": "x"}}, "x"),
        (at("a", "b"), {"b": "y"}, "y"),
        (at("a", "b"), {"a": "x", "b": "y"}, "x"),
        # or_
        (at("a").or_(at("b")), {"a": "", "b": "y"}, "y"),
        (at("a").or_(at("b"), "z"), {}, "z"),
        (at("a").or_("z"), {"a": "x"}, "x"),
        # only_if and conditions
        (at("a").only_if(at("b") == "y"), {"a": "x", "b": "y"}, "x"),
        (at("a").only_if(at("b") == "y"), {"a": "x", "b": "z"}, None),
        (at("a").only_if(at("b") == "y"), {"a": "x"}, None),
        (at("a").only_if(at("b") != "y"), {"a": "x"}, "x"),
        (at("a").only_if(at("b") == at("c")), {"a": "x", "b": "1", "c": 1}, "x"),
        (at("a").only_if(at("b") == at("c")), {"a": "x"}, None),
        (at("a").only_if(at("b") != at("c")), {"a": "x", "b": 1, "c": 2}, "x"),
        (at("a").only_if(at("b") == 4), {"a": "x", "b": "4"}, "x"),
        (at("a").only_if(at("b") == True), {"a": "x", "b": "TRUE"}, "x"),  # noqa: E712
        (at("a").only_if(at("b") == False), {"a": "x", "b": False}, "x"),  # noqa: E712
        (at("a").only_if(at("b").is_null()), {"a": "x", "b": ""}, "x"),
        (at("a").only_if(at("b").is_null()), {"a": "x", "b": {}}, None),
        (at("a").only_if(~at("b").is_null()), {"a": "x", "b": 0}, "x"),
        (at("a").only_if(at("b").is_in(["1", "y"])), {"a": "x", "b": 1}, "x"),
        (at("a").only_if(at("b").is_in(["1", "y"])), {"a": "x"}, None),
        (at("a").only_if((at("b") == "1") & (at("c") == "2")), {"a": "x", "b": "1", "c": "2"}, "x"),
        (at("a").only_if((at("b") == "1") & (at("c") == "2")), {"a": "x", "b": "1"}, None),
        (at("a").only_if((at("b") == "1") | (at("c") == "2")), {"a": "x", "c": "2"}, "x"),
        (at("a").only_if(~((at("b") == "1") | (at("c") == "2"))), {"a": "x"}, "x"),
        (at("a").only_if(at("flag")), {"a": "x", "flag": True}, None),
        # when
        (when(at("a").is_null(), "none", at("a")), {}, "none"),
        (when(at("a").is_null(), "none", at("a")), {"a": "x"}, "x"),
        (when(at("a").is_null(), "none", at("a").text()), {"a": 1.50}, "1.5"),
        (when(at("b") == "y", 1, "text"), {"b": "y"}, "1"),
        (when(at("b") == "y", 1, "text"), {}, "text"),
        (at("a").only_if(at("b").only_if(at("c") == "z") == "y"), {"a": "x", "b": "y", "c": "z"}, "x"),
        # lookup, lookup_prefix
        (at("a").lookup({"x": "one"}), {"a": "x"}, "one"),
        (at("a").lookup({"x": "one"}), {"a": "y"}, None),
        (at("a").lookup({"x": "one"}, default="other"), {"a": "y"}, "other"),
        (at("a").lookup({"x": "one"}, default="other"), {}, None),
        (at("a").lookup({"4": "four"}), {"a": 4}, "four"),
        (at("a").lookup({}), {"a": "x"}, None),
        (at("a").lookup_prefix({"Get": "read", "GetIn": "in"}), {"a": "GetObject"}, "read"),
        (at("a").lookup_prefix({"Get": "read", "GetIn": "in"}), {"a": "Get"}, "read"),
        (at("a").lookup_prefix({"Get": "read", "GetIn": "in"}), {"a": "GetIn2"}, "in"),
        (at("a").lookup_prefix({"Get": "read", "GetIn": "in"}), {"a": "GetInto"}, "read"),
        (at("a").lookup_prefix({"Get": "read"}, default="other"), {"a": "Getaway"}, "other"),
        (at("a").lookup_prefix({"Get": "read"}, default="other"), {"a": "BudgetGet"}, "other"),
        (at("a").lookup_prefix({"Get": "read"}, default="other"), {}, None),
        # text, lower, split, extract
        (at("a").text(), {"a": 4}, "4"),
        (at("a").text(), {"a": True}, "true"),
        (at("a").text(), {"a": "x"}, "x"),
        (at("a").lower(), {"a": "ÄBc"}, "äbc"),
        (at("a").lower(), {}, None),
        (at("a").split("/", 0), {"a": "x/y/z"}, "x"),
        (at("a").split("/", -1), {"a": "x/y/z"}, "z"),
        (at("a").split("/", 3), {"a": "x/y/z"}, None),
        (at("a").split("/", -4), {"a": "x/y/z"}, None),
        (at("a").split("/", 0), {}, None),
        (at("a").extract(r"zone/([^/]+)"), {"a": "p/zone/b/x"}, "b"),
        (at("a").extract(r"zone/([^/]+)"), {"a": "nothing"}, None),
        (at("a").extract(r"(?:x|y)([0-9]*)"), {"a": "y"}, None),
        (at("a").extract(r"\(([a-z]+)\)"), {"a": "f(x) (abc)"}, "x"),
        # apply
        (apply(backwards, at("a")), {"a": "abc"}, "cba"),
        (apply(joined, at("a"), at("b")), {"a": "x", "b": 1}, "x/1"),
        (apply(joined, at("a"), at("b")), {"a": "x"}, None),
        # origin, constants
        (origin("region"), {}, None),
        ("always", {}, "always"),
    ],
)
def test_verb(expression: Expr | str, record: dict[str, Any], expected: str | None) -> None:
    """The value of an expression, in a record alone and beside others."""
    if expression is not None and record.get("flag") is True:
        with pytest.raises(SchemaError, match="flag is used as a condition and yields binary"):
            values("message", expression, record)
        return

    assert values("message", expression, record) == [expected]
    assert values("message", expression, {"a": "other", "b": 9}, record, {})[1] == expected


@pytest.mark.parametrize(
    ("expression", "record", "expected"),
    [
        (at("a[].x"), {"a": [{"x": "1"}, {"x": "2"}]}, ["1", "2"]),
        (at("a[].x"), {"a": {"x": "1"}}, ["1"]),  # an object is a list of one
        (at("a[]"), {"a": ["1", None, "2"]}, ["1", "2"]),
        (at("a[]"), {"a": []}, None),
        (at("a[]"), {"a": "x"}, None),
        (at("a"), {"a": "1"}, ["1"]),
        (at("a[].x").or_(at("a[].y")), {"a": [{"x": "1"}, {"y": "2"}]}, ["1", "2"]),
        (at("a[].x").or_(at("b[].y")), {"a": [{"x": "1"}, {}], "b": [{"y": "8"}]}, ["1"]),
        (at("a[].x").or_(at("b[].y")), {"b": [{"y": "8"}, {"y": "9"}]}, ["8", "9"]),
        (at("a[].x").or_(at("c")), {"c": "9"}, ["9"]),
        (at("a[].x").or_("z"), {"a": [{"x": "1"}, {"y": 2}]}, ["1", "z"]),
        (
            at("a[].x").lookup({"1": "one"}).or_(at("a[].y")),
            {"a": [{"x": "1"}, {"x": "2", "y": "two"}]},
            ["one", "two"],
        ),
        (at("b[].x").lookup({"1": "one"}).or_(at("a[].x")), {"a": [{"x": "8"}]}, ["8"]),
        (at("a[].x").only_if(at("b") == "y"), {"a": [{"x": "1"}], "b": "y"}, ["1"]),
        (at("a[].x").only_if(at("b") == "y"), {"a": [{"x": "1"}], "b": "n"}, None),
        (at("a[].x").only_if(at("a[].k") == "y"), {"a": [{"x": "1", "k": "y"}, {"x": "2"}]}, ["1"]),
        (at("a[].x").only_if(at("a[].k") != "y"), {"a": [{"x": "1", "k": "y"}, {"x": "2"}]}, ["2"]),
        (
            at("a[].x").only_if(at("a[].k") == at("a[].l")),
            {"a": [{"x": "1", "k": 1, "l": 1}, {"x": "2", "k": 1}]},
            ["1"],
        ),
        (at("a[].x").only_if(is_ip(at("a[].x"))), {"a": [{"x": "192.0.2.1"}, {"x": "host"}]}, ["192.0.2.1"]),
        (at("a[].x").only_if(~is_ip(at("a[].x"))), {"a": [{"x": "192.0.2.1"}, {"x": "host"}]}, ["host"]),
        (
            at("a[].x").only_if(at("a[].k").is_in(["y"]) & ~is_ip(at("a[].x"))),
            {"a": [{"x": "192.0.2.1", "k": "y"}, {"x": "host", "k": "y"}, {"x": "other"}]},
            ["host"],
        ),
        (
            at("a[].x").only_if((at("a[].k") == "y") | (at("b") == "all")),
            {"a": [{"x": "1"}, {"x": "2", "k": "y"}], "b": "all"},
            ["1", "2"],
        ),
        (when(at("b") == "y", at("a[].x"), at("c[]")), {"a": [{"x": "1"}], "b": "y", "c": ["8"]}, ["1"]),
        (when(at("b") == "y", at("a[].x"), at("c[]")), {"a": [{"x": "1"}], "c": ["8", "9"]}, ["8", "9"]),
        (when(at("b") == "y", at("a[].x"), "z"), {"a": [{"x": "1"}]}, ["z"]),
        (at("a[].x").lookup({"1": "one"}, default="?"), {"a": [{"x": 1}, {"x": 2}]}, ["one", "?"]),
        (at("a[].x").lookup_prefix({"Get": "read"}), {"a": [{"x": "GetIt"}]}, ["read"]),
        (at("a[].x").text(), {"a": [{"x": 1.0}, {"x": "b"}]}, ["1.0", "b"]),
        (at("a[].x").lower(), {"a": [{"x": "B"}]}, ["b"]),
        (at("a[].x").split("/", 0), {"a": [{"x": "p/q"}]}, ["p"]),
        (at("a[].x").extract("([0-9]+)"), {"a": [{"x": "n7"}]}, ["7"]),
        (at("a[].b[].x"), {"a": [{"b": [{"x": "1"}, {"x": "2"}]}, {"b": [{"x": "3"}]}]}, ["1", "3"]),
    ],
)
def test_verb_on_lists(expression: Expr, record: dict[str, Any], expected: list[str] | None) -> None:
    """Verbs work on every element of a list; an element without a value is left out of the event."""
    other = {"a": [{"x": "zz", "k": "zz"}]} if ".x" in repr(expression) else {"b": "zz"}

    assert values(UIDS, expression, record, other, {})[0] == expected


def test_a_list_for_one_value() -> None:
    """An attribute that takes one value is given the first of a list, and the whole list is in ``unmapped``."""
    mapped = toy({"message": at("a[].x")}).map(raw({"a": [{"y": 0}, {"x": "1"}, {"x": "2"}]}, {"a": [{"x": "1"}]}))

    assert [(event["message"], event.get("unmapped")) for event in events_of(mapped)] == [
        ("1", {"a[].x": "1,2", "a[].y": "0"}),
        ("1", None),
    ]


@pytest.mark.parametrize(
    ("record", "expected", "unmapped"),
    [
        ({"a": [{"x": "1"}, {"x": "2"}], "c": "9"}, ["1", "2"], {"c": "9"}),
        ({"a": [{"x": "1"}, {"y": 0}], "c": "9"}, ["1", "9"], {"a[].y": "0"}),
        ({"a": [{"y": 0}, {"y": 0}], "c": "9"}, ["9"], {"a[].y": "0,0"}),
        ({"a": [], "c": "9"}, ["9"], None),
        ({"c": "9"}, ["9"], None),
    ],
)
def test_one_value_for_the_elements_that_have_none(
    record: dict[str, Any], expected: list[str], unmapped: dict[str, str] | None
) -> None:
    """A value of the record stands in for elements without one, and once for a list that holds none."""
    mapper = toy({UIDS: at("a[].x").or_(at("c"))})

    for batch in (raw(record), raw(record, {"a": [{"x": "another"}]}, {"c": "another"})):
        event = events_of(mapper.map(batch))[0]
        assert get(event, UIDS) == expected
        assert event.get("unmapped") == unmapped


def test_null_words() -> None:
    """Texts that stand for nothing in a log are no values to any verb, and no leaves of ``unmapped``."""
    mapper = toy({"message": at("a").or_("none")}, null_words=("-", "N/A"))

    assert [event["message"] for event in events_of(mapper.map(raw({"a": "-"}, {"a": "N/A"}, {"a": "x"})))] == [
        "none",
        "none",
        "x",
    ]


def test_origin() -> None:
    """An event may tell where its record came from."""
    batches = [
        RawBatch([b"{}"], {"region": "r1"}),
        RawBatch([b"{}", b"{}"], {"uri": "u"}),
        RawBatch([b"{}"], {"region": "r2"}),
    ]
    (mapped,) = toy({"message": origin("region")}).map_batches(batches)

    assert [event.get("message") for event in events_of(mapped)] == ["r1", None, None, "r2"]


def test_no_truth_value() -> None:
    """``and``, ``or`` and ``not`` do not work on expressions, and say what does."""
    with pytest.raises(TypeError, match="write & for and"):
        _ = at("a") == "x" or at("b")
    with pytest.raises(TypeError, match="no truth value"):
        _ = not at("a")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: at("a").only_if("x"), "'x' is no condition"),
        (lambda: at("a") & True, "True is no condition"),
        (lambda: at("a") == None, "None is no constant"),  # noqa: E711
        (lambda: at("a").or_([1]), r"\[1\] is no constant"),
        (lambda: when(True, 1, 2), "True is no condition"),
        (lambda: at("a").lookup({"x": 1, "y": "z"}), "values of one kind.*here are int, str"),
        (lambda: at("a").lookup_prefix({"x": 1}, default="z"), "values of one kind.*here are int, str"),
        (lambda: at("a").extract("x"), "has 0 groups; one is due"),
        (lambda: at("a").extract("(x)(y)"), "has 2 groups; one is due"),
        (lambda: at("a").extract("(x"), "is no regular expression"),
    ],
)
def test_wrong_calls(make: Any, message: str) -> None:
    """What cannot work fails where it is written."""
    with pytest.raises(SchemaError, match=message):
        make()


def test_a_function_that_returns_too_few() -> None:
    """A function of a mapper that gives other rows than it was given is found out."""
    with pytest.raises(SchemaError, match="too_few returned 1 values for 2 rows"):
        toy({"message": apply(too_few, at("a"))}).map(raw({"a": "x"}, {"a": "y"}))


@pytest.mark.parametrize(
    "fields",
    [
        {"message": at("b").only_if(at("a[].x") == "1")},
        {"message": at("c").or_(at("b").only_if(~is_ip(at("a[].x"))))},
        {"message": when(at("a[].x") == at("b"), "x", "y")},
        {"message": when(when(at("b") == "1", at("a[].x"), at("b")) == "x", "x", "y")},
        {"message": when(apply(backwards, at("b")) == at("a[].x"), "x", "y")},
        {"message": at("a[].x").only_if(at("a[].b[].x") == "x")},
    ],
)
def test_a_condition_on_elements_where_one_on_records_is_due(fields: dict[str, Expr]) -> None:
    """What holds for elements of lists says nothing about a record: the table fails before the first one."""
    with pytest.raises(SchemaError, match=r"toy\.log: 'message': .* holds for elements of lists, and what it dec"):
        toy(fields).check()


def test_a_table_for_elements_of_lists() -> None:
    """Records are chosen by what holds for them, not by what holds for an element."""
    with pytest.raises(SchemaError, match=r"'where': a\[\]\.x is 'x' holds for elements"):
        toy({}, where=at("a[].x") == "x").check()

    toy({}, where=~at("a[].x").is_null()).check()


def test_what_only_a_function_knows() -> None:
    """Whether a function makes lists is its own affair: its result is tried when there are records."""
    mapper = toy({"message": at("b").only_if(apply(pc.list_value_length, at("a[].x")) == "2")})

    assert [event.get("message") for event in events_of(mapper.map(raw({"a": [{}, {}], "b": "x"}, {"b": "x"})))] == [
        "x",
        None,
    ]
    with pytest.raises(SchemaError, match="holds for elements of lists"):
        toy({"message": at("b").only_if(apply(unchanged, at("a[].x")) == "2")}).map(raw({"a": [{"x": "2"}], "b": "x"}))


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (at('a."b.c"[].d'), 'a."b.c"[].d'),
        (origin("region"), "origin(region)"),
        (at("a").or_("x", 1), "a or 'x' or 1"),
        (at("a").only_if(at("b").is_null()), "a if b is null"),
        (when(at("b") == "x", 1, at("c")), "1 if b is 'x' else c"),
        (at("a").lookup({}), "lookup(a)"),
        (at("a").lookup_prefix({}), "lookup by prefix(a)"),
        (at("a").is_in("abcd"), "a in ('a', 'b', 'c', ...)"),
        (is_ip(at("a")), "a is an IP address"),
        (~(is_ip(at("a")) & (at("b") != "x")), "not ((a is an IP address) and (not (b is 'x')))"),
        ((at("a") == "x") | (at("b") == "y"), "(a is 'x') or (b is 'y')"),
        (at("a").epoch("ms"), "a (ms since 1970)"),
        (at("a").text(), "a as text"),
        (at("a").lower(), "a in lower case"),
        (at("a").extract("(x)"), "a, the part in '(x)'"),
        (at("a").split("/", 1), "a, part 1 by '/'"),
        (apply(joined, at("a"), at("b")), "joined(a, b)"),
    ],
)
def test_in_words(expression: Expr, text: str) -> None:
    """An expression can be read: lineage and messages show it so."""
    assert repr(expression) == text


def test_wrong_kinds_are_rejects() -> None:
    """A number where text is due makes its record a reject, and no other."""
    mapped = toy({"message": at("a")}).map(raw({"a": 1}, {"a": "x"}, {"a": {"b": 1}}, {"a": [1]}, {"a": True}))

    assert [event["message"] for event in events_of(mapped)] == ["x"]
    assert reasons(mapped) == [("text is due", "message")] * 4


def test_elements_of_exploded_lists() -> None:
    """Where every element of a list becomes a record, a condition on elements is one on records."""
    parse = JsonRecords(explode="f[]")
    fields = {"message": when(at("f[].k") == "x", at("f[].m"), "none"), "comment": at("c").only_if(at("f[].k") == "x")}
    mapped = toy(fields, parse=parse, where=at("f[].k") != "no").map(
        raw({"c": "1", "f": [{"k": "x", "m": "a"}, {"k": "y"}]})
    )

    assert [(e["message"], e.get("comment")) for e in events_of(mapped)] == [("a", "1"), ("none", None)]


def test_extract_knows_a_bracket_from_a_group() -> None:
    """A parenthesis that is escaped, or one of a class of characters, begins no group."""
    found = _extracted("a(b)c:7", r"[(]b[)]c:([0-9])")

    assert found == "7"


def _extracted(text: str, pattern: str) -> object:
    import pyarrow as pa

    from ocsflake.mapping import at
    from ocsflake.mapping.evaluate import Columns
    from ocsflake.mapping.frame import Frame, tree
    from ocsflake.mapping.leftovers import Leftovers

    frame = Frame(1, {"x": pa.array([text])}, Leftovers.none(), lambda _: [], None, 1, ())
    return Columns(frame, tree([("x",)]), ()).value(at("x").extract(pattern))[0].as_py()
