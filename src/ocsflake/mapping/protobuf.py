"""The parser of JSON that protocol buffers were written as: one message, whichever way its names are spelt.

JSON of protocol buffers has lowerCamelCase names (REST, Pub/Sub, files in Cloud Storage) or those of the ``.proto``
file (gRPC, BigQuery), and a reader takes both: https://protobuf.dev/programming-guides/json/. A mapper's table is
written with the first; the columns and the leftovers of a record in another spelling get the same names here, so that
its event is the same.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from attrs import evolve, frozen

from ocsflake.mapping import paths
from ocsflake.mapping.frame import Node
from ocsflake.mapping.leftovers import Leftovers, flatten_tokens
from ocsflake.mapping.lists import each
from ocsflake.mapping.shred import JsonRecords
from ocsflake.mapping.values import string_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocsflake.mapping.frame import Frame
    from ocsflake.model import RawBatch

__all__ = ["ProtoJson"]

_PLAIN = JsonRecords()
_JSON = msgspec.json.Decoder(msgspec.Raw)
_CAPITAL = re.compile(r"[A-Z]")
_WORD = re.compile(r"_([a-z0-9])")

Names = dict[paths.Path, paths.Path]


@frozen
class ProtoJson:
    """A parser of JSON records that are protocol buffers.

    Attributes:
        records: The parser of the JSON itself.
        free: Paths of what has no fixed names (a Struct, a map): what is below them stands as it is. JSON in text
            there counts as JSON.
        lower: Those of `free` whose names may have been put in lower case, as BigQuery does.
        aliases: Pairs of a path that a service writes and the path that it stands for.
    """

    records: JsonRecords = _PLAIN
    free: tuple[str, ...] = ()
    lower: tuple[str, ...] = ()
    aliases: tuple[tuple[str, str], ...] = ()

    def whole_paths(self) -> list[paths.Path]:
        """Return the paths that the parser itself needs as columns."""
        return self.records.whole_paths()

    def __call__(self, raw: RawBatch, root: Node) -> Iterator[Frame]:
        """Yield the frames of some raw records."""
        spelt, names = _spellings(self, root)
        free = frozenset(map(paths.parse, self.free))
        for frame in self.records(raw, spelt):
            if any(paths.parse(name) in names for name in frame.columns):
                yield _renamed(frame, names, free)
            else:
                yield frame


@functools.lru_cache(maxsize=64)
def _spellings(parser: ProtoJson, root: Node) -> tuple[Node, Names]:
    """Return `root` with every name in each of its spellings, and the paths that those stand for."""
    free, lower = frozenset(map(paths.parse, parser.free)), frozenset(map(paths.parse, parser.lower))
    names: Names = {}

    def spelt(node: Node, stands_for: paths.Path, path: paths.Path, style: str) -> Node:
        found = Node(whole=node.whole)
        if path != stands_for:
            names[path] = stands_for
        if node.each:
            found.each.append(spelt(node.each[0], (*stands_for, paths.EACH), (*path, paths.EACH), style))
        for key, child in node.children.items():
            for spelling, inner in _of_key(key, stands_for, style, free, lower):
                found.children[spelling] = spelt(child, (*stands_for, key), (*path, spelling), inner)
        return found

    tree = spelt(root, (), (), "")
    for other, text in parser.aliases:
        path, stands_for = paths.parse(other), paths.parse(text)
        names[path] = stands_for
        named, place = _find(root, stands_for), tree
        for step in path[:-1]:
            place = place.children.setdefault(step, Node())
        if named is not None:
            grown = spelt(named, stands_for, path, "")
            grown.children |= place.children[path[-1]].children if path[-1] in place.children else {}
            place.children[path[-1]] = grown
    return tree, names


def _of_key(
    key: str, holder: paths.Path, style: str, free: frozenset[paths.Path], lower: frozenset[paths.Path]
) -> Iterator[tuple[str, str]]:
    """Yield the spellings of a key in `holder`, and the style that each decides on for what is below it.

    A message is written in one style throughout, so the first name that differs between them settles it.
    """
    if _within(holder, lower):
        styles = {"camel": key, "lower": key.lower()}
    elif _within(holder, free):
        styles = {"camel": key}
    else:
        styles = {"camel": key, "snake": _CAPITAL.sub(lambda m: f"_{m[0].lower()}", key)}
    if len(set(styles.values())) == 1:
        yield key, style
    elif style in styles:
        yield styles[style], style
    else:
        for name, spelling in styles.items():
            yield spelling, name


def _within(path: paths.Path, places: frozenset[paths.Path]) -> bool:
    return any(path[:length] in places for length in range(1, len(path) + 1))


def _find(node: Node | None, path: paths.Path) -> Node | None:
    for step in path:
        node = None if node is None else node.children.get(step)
    return node


def _renamed(frame: Frame, names: Names, free: frozenset[paths.Path]) -> Frame:
    """Return a frame with the names of the table."""
    columns: dict[str, pa.Array] = {}
    for name, column in frame.columns.items():
        path = paths.parse(name)
        path = names.get(path, path)
        found = each(column, _json_of_text) if path in free else column
        known = paths.join(path)
        columns[known] = pc.if_else(columns[known].is_valid(), columns[known], found) if known in columns else found
    return evolve(frame, columns=columns, leftovers=_renamed_leftovers(frame.leftovers, names, free))


def _renamed_leftovers(left: Leftovers, names: Names, free: frozenset[paths.Path]) -> Leftovers:
    encoded = left.keys.dictionary_encode()
    found = [_known_path(paths.parse(key), names, free) for key in encoded.dictionary.to_pylist()]
    keys = pa.array([paths.join(path) for path in found], pa.string()).take(encoded.indices)
    json = pa.array([path in free for path in found], pa.bool_()).take(encoded.indices)
    if not pc.any(json).as_py():
        return Leftovers(left.rows, keys, left.values)
    values = left.values.to_pylist()
    json = pa.array([here and _is_json(text.encode()) for here, text in zip(json.to_pylist(), values, strict=True)])
    plain, texts = pc.invert(json), left.values.filter(json).cast(pa.binary())
    return Leftovers.joined(
        [
            Leftovers(left.rows.filter(plain), keys.filter(plain), left.values.filter(plain)),
            flatten_tokens(left.rows.filter(json), keys.filter(json), texts),
        ]
    )


def _known_path(path: paths.Path, names: Names, free: frozenset[paths.Path]) -> paths.Path:
    known: paths.Path = ()
    for place, step in enumerate(path):
        if path[: place + 1] in names:
            known = names[path[: place + 1]]
        elif _within(known, free):
            known = (*known, step)
        else:
            known = (*known, _WORD.sub(lambda m: m[1].upper(), step))
    return known


def _json_of_text(tokens: pa.Array) -> pa.Array:
    """Return JSON tokens where text that holds JSON is that JSON."""
    text = string_text(tokens)
    if text.null_count == len(text):
        return tokens
    inner = [None if value is None else value.encode() for value in text.to_pylist()]
    parsed = pa.array([value if value is not None and _is_json(value) else None for value in inner], pa.binary())
    return pc.coalesce(parsed, tokens)


def _is_json(text: bytes) -> bool:
    if text.lstrip()[:1] not in (b"{", b"["):
        return False
    try:
        _JSON.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True
