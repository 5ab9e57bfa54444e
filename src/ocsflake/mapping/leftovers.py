"""Raw values that no path names: collected by key, flattened to leaves, on their way to ``unmapped``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from attrs import frozen

from ocsflake.mapping import paths
from ocsflake.mapping.values import starts, string_text, token_column, with_nulls

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

__all__ = ["Collector", "Leftovers", "flatten_tokens", "leaves_of"]

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LIST = msgspec.json.Decoder(list[msgspec.Raw])

_NATIVE = msgspec.json.Decoder(float_hook=str)
"""Whole numbers are spelt one way, but for minus nought; all others stay text."""
_MINUS_ZERO = re.compile(rb"-0(?![0-9.eE])")
_WORDS = {True: "true", False: "false"}

_LONGEST = 256
"""Characters of the longest path that is looked below: short values below a long path would fill the memory with it."""


@frozen(eq=False)
class Leftovers:
    """Raw leaves that no path names: row numbers (int32), keys and values (text), three columns of one length."""

    rows: pa.Array
    keys: pa.Array
    values: pa.Array

    @classmethod
    def none(cls) -> Leftovers:
        """Return no leftovers."""
        return cls(pa.array([], pa.int32()), pa.array([], pa.string()), pa.array([], pa.string()))

    @classmethod
    def joined(cls, parts: Iterable[Leftovers]) -> Leftovers:
        """Return leftovers of the same rows as one."""
        found = list(parts)
        if len(found) == 1:
            return found[0]
        names = ("rows", "keys", "values")
        return cls(*[pa.concat_arrays([getattr(part, name) for part in found]) for name in names])

    def repeated(self, parents: pa.Array) -> Leftovers:
        """Return them for rows that each came of one row here: `parents` (int32) names it, in ascending order."""
        order = pc.sort_indices(self.rows)
        rows, keys, values = (column.take(order) for column in (self.rows, self.keys, self.values))
        by_row: dict[int, list[int]] = {}
        for place, row in enumerate(rows.to_pylist()):
            by_row.setdefault(row, []).append(place)
        pairs = [(new, place) for new, old in enumerate(parents.to_pylist()) for place in by_row.get(old, ())]
        places = pa.array([place for _, place in pairs], pa.int32())
        return Leftovers(pa.array([new for new, _ in pairs], pa.int32()), keys.take(places), values.take(places))


class Collector:
    """Collects raw values by key and row while records are taken apart."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, tuple[list[int], list[bytes]]]] = {}
        self.rows: Sequence[int] | None = None
        """Within a list: element number to row number."""

    def take(self, objects: Sequence[Mapping[str, bytes]], prefix: str) -> None:
        """Take all members that are left in `objects`, which stand at `prefix` (with its dot)."""
        found, rows = self.found.setdefault(prefix, {}), self.rows
        for number, members in enumerate(objects):
            if members:
                row = number if rows is None else rows[number]
                for key, value in members.items():
                    try:
                        at, values = found[key]
                    except KeyError:
                        at, values = found[key] = ([], [])
                    at.append(row)
                    values.append(value)

    def take_column(self, values: Sequence[bytes], prefix: str, key: str) -> None:
        """Take the member `key` of all objects at `prefix`; an empty value is absent."""
        numbers = range(len(values)) if self.rows is None else self.rows
        rows = [row for row, value in zip(numbers, values, strict=True) if value]
        self.found.setdefault(prefix, {})[key] = (rows, [value for value in values if value])

    def add(self, number: int, path: str, value: bytes) -> None:
        """Take one value at `path` that is of another shape than the mapper expects."""
        at, values = self.found.setdefault(path, {}).setdefault("", ([], []))
        at.append(number if self.rows is None else self.rows[number])
        values.append(value)

    def leftovers(self) -> Leftovers:
        """Return everything as columns of flattened leaves."""
        names: list[str] = []
        numbers: list[int] = []
        rows: list[int] = []
        values: list[bytes] = []
        parts = [Leftovers.none()]
        pending = list(self._named())
        while pending:
            name, at, raw = pending.pop()
            if paths.EACH in name:
                parts.append(_joined_by_row(name, at, raw))
                continue
            if starts(raw[0]) == b"{" and len(name) <= _LONGEST:
                inner, at, raw = self._inside(name, at, raw)
                pending += inner
            numbers += [len(names)] * len(at)
            names.append(name)
            rows += at
            values += raw
        if names:
            keys = pa.array(names, pa.string()).take(pa.array(numbers, pa.int32()))
            parts.append(flatten_tokens(pa.array(rows, pa.int32()), keys, with_nulls(token_column(values))))
        return Leftovers.joined(parts)

    def _named(self) -> Iterator[tuple[str, list[int], list[bytes]]]:
        for prefix, members in self.found.items():
            for key, (at, values) in members.items():
                yield prefix + paths.quote(key) if prefix[-1:] in ("", ".") else prefix, at, values

    @staticmethod
    def _inside(
        name: str, at: list[int], raw: list[bytes]
    ) -> tuple[list[tuple[str, list[int], list[bytes]]], list[int], list[bytes]]:
        """Return what is in the objects of one name, and the rows and values that are no objects."""
        objects: list[Mapping[str, bytes]] = []
        rows: list[int] = []
        other_rows: list[int] = []
        others: list[bytes] = []
        for row, value in zip(at, raw, strict=True):
            try:
                objects.append(_OBJECT.decode(value))
                rows.append(row)
            except (msgspec.ValidationError, RecursionError):
                other_rows.append(row)
                others.append(value)
        inner = Collector()
        inner.rows = rows
        inner.take(objects, name + ".")
        return list(inner._named()), other_rows, others


def flatten_tokens(rows: pa.Array, keys: pa.Array, tokens: pa.Array) -> Leftovers:
    """Return raw values as flattened leaves.

    Objects become dotted keys; lists ``a[].b``, with the values of one row joined by ``,``; JSON null is no leaf.
    """
    nested = pc.or_(pc.starts_with(tokens, pattern=b"{"), pc.starts_with(tokens, pattern=b"["))
    nested = pc.fill_null(nested, False)
    if not pc.any(nested).as_py():
        return _scalars(rows, keys, tokens)
    flat = pc.invert(nested)
    deep = zip(*(column.filter(nested).to_pylist() for column in (rows, keys, tokens)), strict=True)
    seen: dict[tuple[str, bytes], dict[str, str]] = {}
    at: list[int] = []
    names: list[str] = []
    texts: list[str] = []
    for row, key, token in deep:
        leaves = seen.get((key, token))
        if leaves is None:
            leaves = seen[key, token] = leaves_of(token, key)
        at += [row] * len(leaves)
        names += leaves.keys()
        texts += leaves.values()
    found = Leftovers(pa.array(at, pa.int32()), pa.array(names, pa.string()), pa.array(texts, pa.string()))
    return Leftovers.joined([_scalars(rows.filter(flat), keys.filter(flat), tokens.filter(flat)), found])


def leaves_of(token: bytes, path: str) -> dict[str, str]:
    """Return the leaves below one raw value: path to text, the values of a list joined by ``,``.

    An object or a list that stands too deep is a leaf of its own, and its JSON the text.
    """
    found: dict[str, list[str]] = {}
    try:
        if not _MINUS_ZERO.search(token):
            _gather(_NATIVE.decode(token), path, found)
            return {where: ",".join(values) for where, values in found.items()}
    except (msgspec.DecodeError, RecursionError):
        found.clear()
    pending: list[tuple[str, bytes]] = [(path, token)]
    while pending:
        where, value = pending.pop()
        start = starts(value)
        inner = _inner(where, value, start) if start in (b"{", b"[") else None
        if inner is not None:
            pending += reversed(inner)
        elif start == b'"':
            found.setdefault(where, []).append(msgspec.json.decode(value, type=str))
        elif start != b"n":
            found.setdefault(where, []).append(bytes(value).decode())
    return {where: ",".join(values) for where, values in found.items()}


def _gather(value: Any, where: str, found: dict[str, list[str]]) -> None:
    """Gather the leaves of a decoded value, each as it is spelt."""
    if isinstance(value, str):
        found.setdefault(where, []).append(value)
    elif isinstance(value, dict):
        if len(where) > _LONGEST:
            raise RecursionError
        for key, inner in value.items():
            _gather(inner, f"{where}.{paths.quote(key)}", found)
    elif isinstance(value, list):
        if len(where) > _LONGEST:
            raise RecursionError
        for inner in value:
            _gather(inner, where + paths.EACH, found)
    elif value is not None:
        found.setdefault(where, []).append(_WORDS[value] if isinstance(value, bool) else str(value))


def _inner(where: str, value: bytes, start: bytes) -> list[tuple[str, bytes]] | None:
    """Return what an object or a list holds, with paths; ``None`` where that is too deep to look at."""
    if len(where) > _LONGEST:
        return None
    try:
        if start == b"{":
            return [(f"{where}.{paths.quote(key)}", inner) for key, inner in _OBJECT.decode(value).items()]
        return [(where + paths.EACH, element) for element in _LIST.decode(value)]
    except RecursionError:
        return None


def _joined_by_row(name: str, at: Sequence[int], raw: Sequence[bytes]) -> Leftovers:
    """Return leaves within a list: one value a row and path, joined by ``,``."""
    found: dict[tuple[int, str], list[str]] = {}
    for row, token in zip(at, raw, strict=True):
        for leaf, text in leaves_of(token, name).items():
            found.setdefault((row, leaf), []).append(text)
    return Leftovers(
        pa.array([row for row, _ in found], pa.int32()),
        pa.array([leaf for _, leaf in found], pa.string()),
        pa.array([",".join(texts) for texts in found.values()], pa.string()),
    )


def _scalars(rows: pa.Array, keys: pa.Array, tokens: pa.Array) -> Leftovers:
    text = pc.coalesce(string_text(tokens), tokens.cast(pa.string()))
    if not text.null_count:
        return Leftovers(rows, keys, text)
    kept = text.is_valid()
    return Leftovers(rows.filter(kept), keys.filter(kept), text.filter(kept))
