"""The shredder agrees with a plain one on any JSON and any paths."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from hypothesis import example, given, settings
from hypothesis import strategies as st
from plain_shredder import Number, Shredder, read

from ocsflake.mapping import JsonRecords
from ocsflake.mapping.frame import Frame, Node, concat, tree
from ocsflake.mapping.paths import EACH
from ocsflake.mapping.shapes import shapes_of
from ocsflake.model import RawBatch

if TYPE_CHECKING:
    from collections.abc import Iterable

KEYS = ["a", "b", "c.d", 'q"x', "e[]", "é", "", "a b", "back\\slash", "nul\0"]

keys = st.sampled_from(KEYS)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    st.sampled_from(['{"a": 1.50}', "[1, 2]", '[{"b": "x"}]', "{broken", "[", "x,y", "-", " {}"]),
)
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=8
)
records = st.lists(st.dictionaries(keys, json_values, max_size=4), min_size=1, max_size=4)
path_sets = st.lists(
    st.lists(keys | st.just(EACH), min_size=1, max_size=4).filter(lambda steps: steps[0] != EACH).map(tuple), max_size=5
).filter(lambda paths: not any(clashes(node) for node in nodes(tree(paths))))


def nodes(node: Node) -> Iterable[Node]:
    yield node
    for child in (*node.children.values(), *node.each):
        yield from nodes(child)


def clashes(node: Node) -> bool:
    """Return whether a mapper takes the same value for an object and for a list: no log has both."""
    return bool(node.children and node.each)


def plain(value: Any) -> Any:
    """Return a cell as the plain shredder has it."""
    if isinstance(value, bytes):
        return read(value)
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return value


def blank(value: Any) -> Any:
    """Return a value without the difference between what is null, empty and absent."""
    inner = [blank(element) for element in value] if isinstance(value, list) else value
    return None if isinstance(value, list) and not any(element is not None for element in inner) else inner


def leftovers(frame: Frame) -> list[tuple[int, str, str]]:
    left = frame.leftovers
    return list(zip(left.rows.to_pylist(), left.keys.to_pylist(), left.values.to_pylist(), strict=True))


def grouped(frame: Frame, row: int) -> dict[str, list[str]]:
    """Return the leftovers of one row, in an order that does not depend on how they were found."""
    found: dict[str, list[str]] = {}
    for at, key, text in leftovers(frame):
        if at == row:
            found.setdefault(key, []).append(text)
    return {key: sorted(",".join(texts).split(",")) for key, texts in found.items()}


def shredded(batch: RawBatch, root: Node) -> Frame:
    return concat(list(JsonRecords()(batch, root)))


@given(objects=records, paths=path_sets)
@settings(max_examples=400, deadline=None)
@example(objects=[{"a": {"b": 1}}, {"a": [1, 2]}, {"a": None}], paths=[])
@example(objects=[{"a": [{"b": 1}, 2, None]}, {"a": {"b": [3]}}], paths=[("a", EACH, "b")])
@example(objects=[{"a": [[1, None], []]}, {"a": "[[2]]"}], paths=[("a", EACH, EACH)])
def test_agrees_with_the_plain_shredder(objects: list[dict[str, Any]], paths: list[tuple[str, ...]]) -> None:
    """The same columns and the same leftovers, whatever the records and the paths."""
    root = tree(paths)
    lines = [json.dumps(found).encode() for found in objects]
    frame = shredded(RawBatch(lines), root)

    assert (frame.rows, frame.read, frame.rejects) == (len(objects), len(objects), ())
    for row, line in enumerate(lines):
        shredder = Shredder()
        expected = shredder.record(read(line), root)
        found = {name: plain(column[row].as_py()) for name, column in frame.columns.items()}
        for name in expected.keys() | found.keys():
            assert blank(found.get(name)) == blank(expected.get(name)), name
        left = {key: sorted(",".join(texts).split(",")) for key, texts in shredder.leftovers.items()}
        assert grouped(frame, row) == left
    assert frame.records(list(range(frame.rows))) == lines


@given(before=records, objects=records, paths=path_sets, learned=st.booleans())
@settings(max_examples=400, deadline=None)
@example(before=[{}], objects=[{"a": [{"b": 1, "a": 2}, None]}, {"a": []}], paths=[("a", EACH, "b")], learned=True)
@example(before=[{"a": [{"b": 1}]}], objects=[{"a": {"b": 2}}], paths=[("a", EACH, "b")], learned=False)
@example(before=[{"a": {"b": 1}}], objects=[{"a": '{"b": 2}'}], paths=[("a", "b")], learned=False)
@example(before=[{"a": {"b": 1, "é": 2}}], objects=[{"a": {"é": 3}, "b": 4}], paths=[("a", "b")], learned=True)
def test_what_was_seen_before_changes_nothing(
    before: list[dict[str, Any]], objects: list[dict[str, Any]], paths: list[tuple[str, ...]], learned: bool
) -> None:
    """Records whose shape is known are taken apart as they are when it is not."""
    root = tree(paths)
    lines = [json.dumps(found).encode() for found in objects]
    shredded(RawBatch([json.dumps(found).encode() for found in [*before, *(objects if learned else [])]]), root)
    assert not learned or shapes_of(root).decode(lines) is not None or shapes_of(root).shape is None

    known, first = shredded(RawBatch(lines), root), shredded(RawBatch(lines), tree(paths))

    for name in known.columns.keys() | first.columns.keys():
        columns = [frame.columns.get(name, pa.nulls(len(lines))).to_pylist() for frame in (known, first)]
        assert blank(columns[0]) == blank(columns[1]), name
    for row in range(len(lines)):
        assert grouped(known, row) == grouped(first, row)


def test_a_shape_is_learned_and_holds_nothing_else() -> None:
    """Records like those that were seen fit, others do not until they are seen; what has no end is not learned."""
    shapes = shapes_of(tree([("a", "b"), ("c", EACH, "d")]))
    lines = [b'{"a": {"b": 1, "x": 2}, "c": [{"d": 3}], "y": null}']
    assert shapes.decode(lines) is None

    shapes.learn(lines)
    assert shapes.decode([*lines, b"{}", b'{"a": null, "c": [null]}']) is not None
    for other in (b'{"z": 1}', b'{"a": {"z": 1}}', b'{"a": "text"}', b'{"c": {"d": 3}}', b"[]", b"{", b'{"a": {"b"}}'):
        assert shapes.decode([other]) is None
    for number in range(1000):
        shapes.learn([b'{"key %d": 1}' % number])

    assert shapes.decode([b'{"key 1": 1}']) is not None
    assert shapes.decode([b'{"key 999": 1}']) is None


def test_numbers_stay_as_they_are_written() -> None:
    """No number passes through a float: ``1.10`` and a number of 400 digits stay what they are."""
    digits = b"9" * 400
    frame = shredded(RawBatch([b'{"a": 1.10, "b": ' + digits + b', "c": {"d": 1e999}}']), tree([("a",), ("b",)]))

    assert frame.columns["a"].to_pylist() == [b"1.10"]
    assert frame.columns["b"].to_pylist() == [digits]
    assert grouped(frame, 0) == {"c.d": ["1e999"]}


def test_the_last_of_equal_keys_counts() -> None:
    """A key that stands twice in an object has its last value, as everywhere in JSON."""
    frame = shredded(RawBatch([b'{"a": 1, "a": 2, "b": {"c": 1, "c": 2}}']), tree([("a",)]))

    assert frame.columns["a"].to_pylist() == [b"2"]
    assert grouped(frame, 0) == {"b.c": ["2"]}


def test_below_a_long_path_json_stays_whole() -> None:
    """What stands below a path of more than 256 characters is kept as JSON, so that no path fills the memory."""
    key = "k" * 300
    record = {key: {"a": {"b": 1}}, "x": {key: [1, {"a": 2}]}, "y": [{key: {"a": 1}}], "short": {"a": [1, {"b": 2}]}}
    frame = shredded(RawBatch([json.dumps(record, separators=(",", ":")).encode()]), tree([]))

    assert {key: text for _, key, text in leftovers(frame)} == {
        key: '{"a":{"b":1}}',
        f"x.{key}": '[1,{"a":2}]',
        f"y[].{key}": '{"a":1}',
        "short.a[]": "1",
        "short.a[].b": "2",
    }


def test_arrow_columns_are_a_frame() -> None:
    """Records that come as Arrow columns are taken as they are; their bytes are JSON without nulls."""
    batch = pa.record_batch(
        {
            "a": pa.array(["x", None, "y"]).dictionary_encode(),
            "b": pa.array([b"bin", b"\xff", None], pa.large_binary()),
            "c": pa.array([1, None, 3]),
            "d.e": pa.array(["l", "m", None], pa.large_string()),
        }
    )
    frame = shredded(RawBatch(batch, {"uri": "u"}), tree([("a",)]))

    assert frame.columns["a"].to_pylist() == ["x", None, "y"]
    assert frame.columns['"d.e"'].to_pylist() == ["l", "m", None]
    assert read(frame.records([0])[0]) == {"a": "x", "b": "bin", "c": Number("1"), "d.e": "l"}
    assert read(frame.records([2])[0]) == {"a": "y", "c": Number("3")}
