"""What raw records hold that their mapper does not know: new keys, other kinds of values, new words of enums."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, TypeVar

from attrs import field, frozen

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["LONGEST", "Drift", "shape"]

K = TypeVar("K")

LONGEST = 80
"""Characters of a sample."""
_KEPT = 10_000
"""How many paths and words are told apart: log content has a say in how many there are."""
_TOLD = 5


@frozen(repr=False)
class Drift:
    """What records held that a mapper does not know.

    Attributes:
        records: How many records held any of it.
        unknown: Raw paths that no table names and the mapper does not list, to the number of records that held each.
        shapes: The shape of one value at each of these paths. Never the value: it may be a secret. See `shape`.
        kinds: (raw path, JSON kind) to the number of records: the value is of a kind that its attribute does not take.
        values: (OCSF attribute, word) to the number of records: an enum's table lacks the word, so it became 99 Other.
            Words have at most 80 characters.
    """

    records: int = 0
    unknown: Mapping[str, int] = field(factory=dict)
    shapes: Mapping[str, str] = field(factory=dict)
    kinds: Mapping[tuple[str, str], int] = field(factory=dict)
    values: Mapping[tuple[str, str], int] = field(factory=dict)

    def __repr__(self) -> str:
        found = (
            f"{len(self.unknown):,} unknown keys, {len(self.kinds):,} changed kinds, {len(self.values):,} new values"
        )
        return f"<Drift in {self.records:,} records: {found}>"

    def __add__(self, other: Drift) -> Drift:
        if not other.records:
            return self
        unknown = _sum(self.unknown, other.unknown)
        shapes = {**other.shapes, **self.shapes}
        return Drift(
            self.records + other.records,
            unknown,
            {path: shapes[path] for path in unknown if path in shapes},
            _sum(self.kinds, other.kinds),
            _sum(self.values, other.values),
        )

    def rows(self) -> list[tuple[str, str, str, int]]:
        """Return all of it, most frequent first: what it is, where, a sample, and the number of records."""
        rows = [("unknown key", path, self.shapes.get(path, ""), count) for path, count in self.unknown.items()]
        rows += [("changed kind", path, kind, count) for (path, kind), count in self.kinds.items()]
        rows += [("new value", attribute, word, count) for (attribute, word), count in self.values.items()]
        return sorted(rows, key=lambda row: (-row[3], *row[:3]))

    def told(self) -> Iterator[str]:
        """Yield a line for each of the most frequent ones."""
        for what, where, sample, count in self.rows()[:_TOLD]:
            yield f"{what} {where[:LONGEST]} ({sample}) in {count:,} records"


def shape(text: str) -> str:
    """Return what a value looks like, and not what it is.

    Letters become ``a`` and digits ``9``; of other characters those stay that ids, times and paths are cut with. At
    most 80 characters are shown.
    """
    shown = re.sub(r"[^\W\d_]", "a", text[:LONGEST])
    shown = re.sub(r"\d", "9", shown)
    return re.sub(r"[^a9 ./:@_-]", "?", shown)


def _sum(old: Mapping[K, int], new: Mapping[K, int]) -> dict[K, int]:
    found = Counter(old) + Counter(new)
    return dict(found if len(found) <= _KEPT else found.most_common(_KEPT))
