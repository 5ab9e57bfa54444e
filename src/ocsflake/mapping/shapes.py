"""Records of a known shape, decoded at once.

Logs repeat themselves: some records show every member that the others will have, named by the mapper or not. msgspec
then decodes a record to a struct of exactly these members, in half the time that an object of any shape takes. A
record that holds anything else does not fit; it is taken apart in the general way, and learned from.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

import msgspec
from attrs import frozen

from ocsflake.mapping import paths
from ocsflake.mapping.values import starts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ocsflake.mapping.frame import Node

__all__ = ["Member", "Shape", "Shapes", "shapes_of"]

_LESSONS = 32
"""How often a shape grows: records that never repeat themselves are not worth it."""
_MOST_MEMBERS = 128
"""What holds more members at one place is a map, whose keys are data."""

_NO_FIELD = re.compile(r'[\\"\x00-\x1f]')
"""What msgspec takes in no name of a struct's field."""

_ABSENT = msgspec.Raw(b"")
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_ERRORS = (msgspec.DecodeError, RecursionError)


@frozen(eq=False)
class Member:
    """A member of an object.

    Attributes:
        key: Its name.
        node: What the mapper names there, ``None`` for nothing: then it is left over.
        shape: The shape of the object that it is, or of the elements of the list that it is; ``None`` where it stays
            a JSON token, empty if it is absent.
        listed: Whether it is a list.
    """

    key: str
    node: Node | None
    shape: Shape | None
    listed: bool


@frozen(eq=False)
class Shape:
    """What objects at one place hold.

    Attributes:
        node: What the mapper names there.
        kind: The msgspec struct with a field for each of the members, in their order.
        members: All of them.
        empty: A struct without any.
    """

    node: Node
    kind: type[msgspec.Struct]
    members: tuple[Member, ...]
    empty: msgspec.Struct


@frozen(eq=False)
class _Seen:
    """What records held so far: the keys at each prefix, in order, and the places that hold other than an object."""

    keys: Mapping[str, tuple[str, ...]]
    other: frozenset[str]


class Shapes:
    """The shape of the records that one mapper takes, as far as it was seen."""

    def __init__(self, root: Node) -> None:
        self.shape: Shape | None = None
        self.keys: frozenset[str] = frozenset()
        self._root = root
        self._seen = _Seen({}, frozenset())
        self._lessons = 0
        self._decode: Any = None

    def decode(self, records: Sequence[bytes]) -> list[msgspec.Struct] | None:
        """Return records as structs of `shape`; ``None`` if one of them does not fit."""
        if self._decode is None:
            return None
        try:
            return list(map(self._decode, records))
        except _ERRORS:
            return None

    def learn(self, records: Iterable[bytes]) -> None:
        """Let records like these fit from now on."""
        if self._lessons >= _LESSONS:
            return
        keys = {prefix: dict.fromkeys(found) for prefix, found in self._seen.keys.items()}
        other = set(self._seen.other)
        _look(list(records), self._root, "", keys, other)
        seen = _Seen({prefix: tuple(found) for prefix, found in keys.items()}, frozenset(other))
        if seen.keys == self._seen.keys and seen.other == self._seen.other:
            return
        self._lessons += 1
        self._seen = seen
        self.shape = _shape(self._root, "", seen)
        self.keys = frozenset(seen.keys.get("", ()))
        self._decode = None if self.shape is None else msgspec.json.Decoder(self.shape.kind).decode


@functools.lru_cache(maxsize=128)
def shapes_of(root: Node) -> Shapes:
    """Return the shapes that were seen of what a compiled mapper names; cached as those are."""
    return Shapes(root)


def _look(tokens: Iterable[bytes], node: Node, prefix: str, keys: dict[str, dict[str, None]], other: set[str]) -> None:
    """Note the keys of objects, and of those below them that a mapper takes apart."""
    objects = list(_decoded(_OBJECT, tokens, prefix, other))
    held = keys.setdefault(prefix, {})
    for found in objects:
        held.update(dict.fromkeys(found))
    if any(_NO_FIELD.search(key) for key in held):
        other.add(prefix)
    for key, child, below in _apart(node, prefix):
        inner: Iterable[bytes] = [found[key] for found in objects if key in found]
        if child is not node.children[key]:
            inner = [element for found in _decoded(_LIST, inner, below, other) for element in found]
        if inner:
            _look(inner, child, below, keys, other)


def _decoded(decoder: Any, tokens: Iterable[bytes], prefix: str, other: set[str]) -> Iterator[Any]:
    """Yield what tokens hold that are no null; what is of another kind is noted."""
    for token in tokens:
        try:
            yield decoder.decode(token)
        except _ERRORS:
            if starts(token) != b"n":
                other.add(prefix)


def _shape(node: Node, prefix: str, seen: _Seen) -> Shape | None:
    keys = seen.keys.get(prefix, ())
    if prefix in seen.other or len(keys) > _MOST_MEMBERS:
        return None
    if paths.EACH in prefix:  # what an element has is a column if it is named, whether it was seen or not
        keys = tuple(dict.fromkeys([*keys, *node.children]))
    apart = {key: (child, below) for key, child, below in _apart(node, prefix) if below in seen.keys}
    members, fields = [], []
    for number, key in enumerate(keys):
        child, below = apart.get(key, (node, ""))
        shape = _shape(child, below, seen) if below else None
        named = node.children.get(key)
        listed = child is not named
        kind: Any = msgspec.Raw
        if shape is not None:
            kind = list[shape.kind | None] | None if listed else shape.kind | None  # type: ignore[name-defined]
        default = _ABSENT if shape is None else None
        fields.append((f"member_{number}", kind, msgspec.field(name=key, default=default)))
        members.append(Member(key, named, shape, listed))
    kind = msgspec.defstruct("Seen", fields, forbid_unknown_fields=True, gc=False)
    return Shape(node, kind, tuple(members), kind())


def _apart(node: Node, prefix: str) -> Iterator[tuple[str, Node, str]]:
    """Yield the members of which a mapper names parts, and not all: their keys, what is named below, its prefix."""
    for key, child in node.children.items():
        place = prefix + paths.quote(key)
        if child.whole:
            continue
        if not child.each:
            yield key, child, place + "."
        elif not child.each[0].whole and not child.each[0].each:
            yield key, child.each[0], place + paths.EACH + "."
