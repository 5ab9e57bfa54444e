"""The columns that a parser makes of raw records, before any mapping."""

from __future__ import annotations

import bisect
from itertools import accumulate, groupby
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa
import pyarrow.compute as pc
from attrs import evolve, field, frozen

from ocsflake.mapping import paths
from ocsflake.mapping.leftovers import Leftovers
from ocsflake.mapping.lists import row_numbers
from ocsflake.mapping.values import scalar_text, with_nulls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from ocsflake.mapping.rejects import Reject
    from ocsflake.model import RawBatch

__all__ = ["Frame", "Node", "Parse", "concat", "row_numbers", "tree"]


@frozen(eq=False)
class Node:
    """A place in a raw record, as far as a mapper names it.

    Attributes:
        children: What is named below an object.
        each: What is named below the elements of a list.
        whole: Whether the value itself is named, not only what is below it.
    """

    children: dict[str, Node] = field(factory=dict)
    each: list[Node] = field(factory=list)
    whole: list[bool] = field(factory=list)


def tree(raw_paths: Iterable[paths.Path]) -> Node:
    """Return the tree of all paths that a mapper names."""
    root = Node()
    for path in sorted(set(raw_paths)):
        node = root
        for step in path:
            if step == paths.EACH:
                if not node.each:
                    node.each.append(Node())
                node = node.each[0]
            else:
                node = node.children.setdefault(step, Node())
        if not node.whole:
            node.whole.append(True)
    return root


class Parse(Protocol):
    """Turns raw records of one format into a frame; a frozen value, so that a mapper can be pickled."""

    def whole_paths(self) -> list[paths.Path]:
        """Return the raw paths that the parser itself needs as columns."""
        ...

    def __call__(self, raw: RawBatch, root: Node) -> Iterator[Frame]:
        """Yield frames of at most some thousand records; `root` names the paths that are wanted as columns."""
        ...


@frozen(eq=False)
class Frame:
    """Raw records as columns.

    Attributes:
        rows: The length of every column.
        columns: Path text to column: JSON tokens (binary), text, native Arrow values, or lists of these.
            A path that is missing here is null in every row.
        leftovers: What no path names.
        records: Returns the raw bytes of the given records.
        record_of: The number of the record that each row came of, or ``None`` when rows are records.
        read: How many records these rows came of.
        origins: Runs of (number of records, where they came from).
        rejects: Records that could not be parsed, and are not among `read`.
        skipped: What is no record by the vendor's own design, counted by name.
        refused: The number of a record without rows, and why it has none.
        nulled: Texts that the parser made null already.
    """

    rows: int
    columns: Mapping[str, pa.Array]
    leftovers: Leftovers
    records: Callable[[Sequence[int]], list[bytes]]
    record_of: pa.Array | None
    read: int
    origins: tuple[tuple[int, Mapping[str, str]], ...]
    rejects: tuple[Reject, ...] = ()
    skipped: Mapping[str, int] = field(factory=dict)
    refused: Mapping[int, str] = field(factory=dict)
    nulled: frozenset[str] = frozenset()

    def origins_of(self, records: Sequence[int]) -> list[Mapping[str, str]]:
        """Return where records came from."""
        ends = list(accumulate(count for count, _ in self.origins))
        return [self.origins[bisect.bisect_right(ends, record)][1] for record in records]

    def origin_column(self, key: str) -> pa.Array:
        """Return one fact about the origin of every row, as text."""
        counts = [count for count, _ in self.origins]
        words = pa.array([origin.get(key) for _, origin in self.origins], pa.string())
        column = pa.concat_arrays([pa.repeat(words[i], n) for i, n in enumerate(counts)]) if counts else words
        return column if self.record_of is None else column.take(self.record_of)


def concat(frames: Sequence[Frame]) -> Frame:
    """Return frames as one: columns joined, what is absent made null, row and record numbers moved."""
    if len(frames) == 1:
        return evolve(frames[0], columns={name: with_nulls(c) for name, c in frames[0].columns.items()})
    total = sum(frame.rows for frame in frames)
    names = dict.fromkeys(name for frame in frames for name in frame.columns)
    columns = {}
    for name in names:
        found = [(frame, frame.columns.get(name)) for frame in frames]
        kind = _common_type([column.type for _, column in found if column is not None])
        parts = [pa.nulls(f.rows, kind) if c is None else _as(c, kind) for f, c in found]
        columns[name] = with_nulls(pa.concat_arrays(parts))
    row_starts, record_starts = _starts(f.rows for f in frames), _starts(f.read for f in frames)
    shift = zip(frames, row_starts, strict=True)
    leftovers = Leftovers(
        pa.concat_arrays([pc.add(f.leftovers.rows, pa.scalar(s, pa.int32())) for f, s in shift]),
        pa.concat_arrays([f.leftovers.keys for f in frames]),
        pa.concat_arrays([f.leftovers.values for f in frames]),
    )
    return Frame(
        rows=total,
        columns=columns,
        leftovers=leftovers,
        records=_Records(tuple(f.records for f in frames), tuple(record_starts)),
        record_of=_record_of(frames, record_starts),
        read=sum(f.read for f in frames),
        origins=tuple(run for f in frames for run in f.origins),
        rejects=tuple(reject for f in frames for reject in f.rejects),
        skipped=_sum_counts(f.skipped for f in frames),
        refused={s + n: why for f, s in zip(frames, record_starts, strict=True) for n, why in f.refused.items()},
        nulled=frozenset.intersection(*(f.nulled for f in frames)),
    )


@frozen(eq=False)
class _Records:
    """The records of several frames under one numbering; their columns may go."""

    parts: tuple[Callable[[Sequence[int]], list[bytes]], ...]
    starts: tuple[int, ...]

    def __call__(self, numbers: Sequence[int]) -> list[bytes]:
        found = []
        for place, run in groupby(numbers, lambda number: bisect.bisect_right(self.starts, number) - 1):
            found += self.parts[place]([number - self.starts[place] for number in run])
        return found


def _record_of(frames: Sequence[Frame], starts: Sequence[int]) -> pa.Array | None:
    if all(frame.record_of is None for frame in frames):
        return None
    parts = [row_numbers(f.rows) if f.record_of is None else f.record_of for f in frames]
    moved = [pc.add(part, pa.scalar(s, pa.int32())) for part, s in zip(parts, starts, strict=True)]
    return pa.concat_arrays(moved)


def _starts(counts: Iterable[int]) -> list[int]:
    starts, total = [], 0
    for count in counts:
        starts.append(total)
        total += count
    return starts


def _sum_counts(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for each in counts:
        for name, count in each.items():
            total[name] = total.get(name, 0) + count
    return total


def _common_type(kinds: Sequence[pa.DataType]) -> pa.DataType:
    """Return the type that columns of one path share; tokens win, since any scalar can be written as one."""
    first = next((kind for kind in kinds if not pa.types.is_null(kind)), kinds[0])
    if all(kind == first or pa.types.is_null(kind) for kind in kinds):
        return first
    return pa.string()


def _as(column: pa.Array, kind: pa.DataType) -> pa.Array:
    if column.type == kind:
        return column
    if pa.types.is_null(column.type):
        return pa.nulls(len(column), kind)
    return scalar_text(with_nulls(column))
