"""Raw values that no path names: collected by key, flattened to leaves, on their way to ``unmapped``."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from attrs import frozen

from ocsflake.mapping import paths
from ocsflake.mapping.lists import row_numbers
from ocsflake.mapping.nested import joined, leaves
from ocsflake.mapping.values import is_nested, token_column, token_text, with_nulls

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["Collector", "Leftovers", "flatten_tokens"]


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
        self.found: dict[str, tuple[list[int], list[bytes]]] = {}
        self.columns: list[tuple[str, pa.Array, pa.Array]] = []
        self.rows: Sequence[int] | None = None
        """Within a list: element number to row number."""

    def take(self, objects: Sequence[Mapping[str, bytes]], prefix: str) -> None:
        """Take all members that are left in `objects`, which stand at `prefix` (with its dot)."""
        found: dict[str, tuple[list[int], list[bytes]]] = {}
        rows = self.rows
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
        for key, (at, values) in found.items():
            known = self.found.setdefault(prefix + paths.quote(key), ([], []))
            known[0].extend(at)
            known[1].extend(values)

    def take_column(self, values: Sequence[bytes], path: str) -> None:
        """Take the values at `path` of all objects; an empty value is absent."""
        rows = row_numbers(len(values)) if self.rows is None else pa.array(self.rows, pa.int32())
        self.columns.append((path, rows, token_column(values)))

    def add(self, number: int, path: str, value: bytes) -> None:
        """Take one value at `path` that is of another shape than the mapper expects."""
        at, values = self.found.setdefault(path, ([], []))
        at.append(number if self.rows is None else self.rows[number])
        values.append(value)

    def leftovers(self) -> Leftovers:
        """Return everything as columns of flattened leaves."""
        columns = [*self.columns]
        columns += ((name, pa.array(at, pa.int32()), token_column(raw)) for name, (at, raw) in self.found.items())
        if not columns:
            return Leftovers.none()
        names, rows, tokens = zip(*columns, strict=True)
        ends = pa.array(itertools.accumulate(map(len, rows)), pa.int32())
        keys = pc.run_end_decode(pa.RunEndEncodedArray.from_arrays(ends, pa.array(names, pa.string())))
        return flatten_tokens(pa.concat_arrays(rows), keys, with_nulls(pa.concat_arrays(tokens)))


def flatten_tokens(rows: pa.Array, keys: pa.Array, tokens: pa.Array) -> Leftovers:
    """Return raw values as flattened leaves.

    Objects become dotted keys; lists ``a[].b``, with the values of one row joined by ``,``; JSON null is no leaf.
    """
    deep = is_nested(tokens)
    if not pc.any(deep).as_py():
        return _scalars(rows, keys, tokens)
    names = pc.unique(keys.filter(deep))
    lists = names.filter(pc.match_substring(names, paths.EACH))
    deep = pc.and_(pc.or_(deep, pc.is_in(keys, value_set=lists)), tokens.is_valid())  # elements stay in their order
    flat = pc.invert(deep)
    parts = [_scalars(rows.filter(flat), keys.filter(flat), tokens.filter(flat))]
    parts += (Leftovers(*part) for part in leaves(rows.filter(deep), keys.filter(deep), tokens.filter(deep)))
    return Leftovers.joined(parts)


def _scalars(rows: pa.Array, keys: pa.Array, tokens: pa.Array) -> Leftovers:
    text = token_text(tokens)
    if text.null_count:
        kept = text.is_valid()
        rows, keys, text = rows.filter(kept), keys.filter(kept), text.filter(kept)
    return Leftovers(*joined(rows, keys, text))
