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
from attrs import evolve, field, frozen

from ocsflake.mapping import paths
from ocsflake.mapping.frame import Node
from ocsflake.mapping.json_records import JsonRecords
from ocsflake.mapping.leftovers import Leftovers, flatten_tokens
from ocsflake.mapping.lists import each, lengths, relist
from ocsflake.mapping.values import string_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocsflake.mapping.frame import Frame
    from ocsflake.model import RawBatch

__all__ = ["ProtoJson"]

_PLAIN = JsonRecords()
_JSON = msgspec.json.Decoder(msgspec.Raw)
_ABSENT = pa.array([b"", b"null"], pa.binary())
_CAPITAL = re.compile(r"[A-Z]")
_WORD = re.compile(r"_([a-z0-9])")


@frozen
class _Names:
    """The other spellings of the paths that a mapper names.

    Attributes:
        stands_for: Path as it may come to path of the table.
        snake: Those that are spelt as in the ``.proto`` file.
    """

    stands_for: dict[paths.Path, paths.Path] = field(factory=dict)
    snake: set[paths.Path] = field(factory=set)


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
            other = _other_spellings(frame, names)
            yield _renamed(frame, names, free, camel=bool(other & names.snake)) if other else frame


@functools.lru_cache(maxsize=64)
def _spellings(parser: ProtoJson, root: Node) -> tuple[Node, _Names]:
    """Return `root` with every name in each of its spellings, and the paths that those stand for."""
    free, lower = frozenset(map(paths.parse, parser.free)), frozenset(map(paths.parse, parser.lower))
    names = _Names()

    def spelt(node: Node, stands_for: paths.Path, path: paths.Path, style: str) -> Node:
        found = Node(whole=node.whole)
        if path != stands_for:
            names.stands_for[path] = stands_for
        if style == "snake":
            names.snake.add(path)
        if node.each:
            found.each.append(spelt(node.each[0], (*stands_for, paths.EACH), (*path, paths.EACH), style))
        for key, child in node.children.items():
            for spelling, inner in _of_key(key, stands_for, style, free, lower):
                if spelling != key and spelling in node.children:
                    continue  # another name of the table
                found.children[spelling] = spelt(child, (*stands_for, key), (*path, spelling), inner)
        return found

    tree = spelt(root, (), (), "")
    for path, stands_for in sorted(map(_pair, parser.aliases), key=lambda pair: len(pair[0])):
        names.stands_for[path] = stands_for
        named, place = _find(root, stands_for), tree
        for step in path[:-1]:
            place = place.children.setdefault(step, Node())
        if named is not None:
            place.children[path[-1]] = spelt(named, stands_for, path, "")
    return tree, names


def _pair(alias: tuple[str, str]) -> tuple[paths.Path, paths.Path]:
    return paths.parse(alias[0]), paths.parse(alias[1])


def _of_key(
    key: str, holder: paths.Path, style: str, free: frozenset[paths.Path], lower: frozenset[paths.Path]
) -> Iterator[tuple[str, str]]:
    """Yield the spellings of a key in `holder`, and the style that each decides on for what is below it.

    A message is written in one style throughout, so the first name that differs between them settles it.
    """
    if _within(holder, lower):
        styles = {"as it is": key, "lower": key.lower()}
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


def _other_spellings(frame: Frame, names: _Names) -> set[paths.Path]:
    """Return the paths in another spelling that have values."""
    columns = {paths.parse(name): column for name, column in frame.columns.items()}
    found = {path for path, column in columns.items() if path in names.stands_for and _has_values(column)}
    for path in map(paths.parse, pc.unique(frame.leftovers.keys).to_pylist()):
        found |= {path[:length] for length in range(1, len(path)) if path[:length] in names.stands_for}
    return found


def _has_values(column: pa.Array) -> bool:
    while pa.types.is_list(column.type):
        column = column.flatten()
    return bool(pc.any(_present(column)).as_py())


def _present(tokens: pa.Array) -> pa.Array:
    if not pa.types.is_binary(tokens.type):
        return tokens.is_valid()
    return pc.and_(tokens.is_valid(), pc.invert(pc.is_in(tokens, value_set=_ABSENT)))


def _renamed(frame: Frame, names: _Names, free: frozenset[paths.Path], *, camel: bool) -> Frame:
    """Return a frame with the names of the table; `camel` says that names which it lacks are to be respelt too."""
    columns: dict[str, pa.Array] = {}
    for name, column in frame.columns.items():
        path = paths.parse(name)
        path = names.stands_for.get(path, path)
        found = each(column, _json_of_text) if path in free else column
        known = paths.join(path)
        columns[known] = _either(columns[known], found) if known in columns else found
    return evolve(frame, columns=columns, leftovers=_leftovers(frame.leftovers, names, free, camel))


def _either(first: pa.Array, second: pa.Array) -> pa.Array:
    """Return the values of two spellings of one name, within lists too."""
    if pa.types.is_list(first.type) and lengths(first).equals(lengths(second)):
        return relist(first, _either(first.flatten(), second.flatten()))
    if pa.types.is_list(first.type):
        return pc.if_else(first.is_valid(), first, second)
    return pc.if_else(_present(first), first, second)


def _leftovers(left: Leftovers, names: _Names, free: frozenset[paths.Path], camel: bool) -> Leftovers:
    encoded = left.keys.dictionary_encode()
    found = [_known_path(paths.parse(key), names, free, camel) for key in encoded.dictionary.to_pylist()]
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


def _known_path(path: paths.Path, names: _Names, free: frozenset[paths.Path], camel: bool) -> paths.Path:
    known: paths.Path = ()
    for place, step in enumerate(path):
        if path[: place + 1] in names.stands_for:
            known = names.stands_for[path[: place + 1]]
        elif camel and not _within(known, free):
            known = (*known, _WORD.sub(lambda m: m[1].upper(), step))
        else:
            known = (*known, step)
    return known


def _json_of_text(tokens: pa.Array) -> pa.Array:
    """Return JSON tokens where text that holds JSON is that JSON."""
    if not pa.types.is_binary(tokens.type):
        return tokens
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
