"""Sort more events than memory holds: sorted runs in a temporary file, merged in the end.

In memory are the rows that wait to become a run and, while merging, one chunk of each run. What fits in memory never
sees the disk. Batches whose keys do not overlap, such as those of one account and day each, are sorted apart.
"""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
from attrs import frozen

from ocsflake.lake.packed import Packed, joined, packed, repeated

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["Rows", "Spool"]

_CHUNK_BYTES = 2 * 1024 * 1024
_CHUNK_ROWS = 16_384
_LEAF_BYTES = 1_024
"""What a leaf takes beside its values; with few rows it is most of what they take."""
_KEPT_BYTES = 1_024
"""Of a value that stands for all rows: one that is larger goes to the file."""
_SECOND = 1_000


@frozen(eq=False)
class Rows:
    """Rows and the key of each.

    Attributes:
        keys: int64, no nulls; at least one.
        events: As many rows.
    """

    keys: pa.Array
    events: Packed

    def slice(self, start: int, length: int) -> Rows:
        """Return `length` rows from `start` on, without copying."""
        return Rows(self.keys.slice(start, length), self.events.slice(start, length))


class Spool:
    """Takes batches of one schema with an int64 key for each row, and gives the rows back in the order of the keys.

    Rows with equal keys stay in the order in which they came.

    Attributes:
        rows: How many rows it holds.
        pending_rows: How many of them are in memory.
        pending_bytes: About the memory that those take, and that `spill` would free.
        spilled_bytes: The size of the temporary file.
    """

    def __init__(self, folder: Path) -> None:
        self.rows = 0
        self.pending_rows = 0
        self.pending_bytes = 0
        self.spilled_bytes = 0
        self._folder = folder
        self._pending: list[Rows] = []
        self._runs: list[list[_Stored]] = []
        self._file: BinaryIO | None = None

    def append(self, rows: Rows) -> None:
        """Take rows."""
        self.rows += rows.events.rows
        self._hold(rows)

    def spill(self) -> None:
        """Move at least half of what is in memory to the file, as one sorted run: what came first, if it is apart.

        Raises:
            OSError: If the file cannot be written.
        """
        if self._file is None:
            # Without a name from the start, so that not even a killed process leaves it behind.
            self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - `close` closes it
        groups = _groups(self._pending)
        enough, spilled = self.pending_bytes // 2, list[list[Rows]]()
        self._pending, self.pending_rows, self.pending_bytes = [], 0, 0
        while groups and enough > 0:
            enough -= sum(_bytes(rows) for rows in groups[-1])
            spilled.append(groups.pop())
        for rows in (rows for group in groups for rows in group):
            self._hold(rows)
        spilled.reverse()
        self._runs.append([self._store(chunk) for rows in _each_in_order(spilled) for chunk in _cut(rows)])

    def merge(self) -> Iterator[Rows]:
        """Yield all rows in order, and forget them; if any were spilled, some thousand at a time.

        Raises:
            OSError: If the file cannot be read.
        """
        if not self._runs:
            yield from self._take_pending()
        else:
            runs = [_Run(order, chunks[0].first, map(self._load, chunks)) for order, chunks in enumerate(self._runs)]
            if self._pending:
                first = min(pc.min(rows.keys).as_py() for rows in self._pending)
                runs.append(_Run(len(runs), first, self._take_pending()))
            yield from _merged(runs)
        self.close()

    def close(self) -> None:
        """Forget all rows, and remove the file."""
        self._pending, self._runs = [], []
        self.rows = self.pending_rows = self.pending_bytes = self.spilled_bytes = 0
        if self._file is not None:
            self._file.close()
            self._file = None

    def _hold(self, rows: Rows) -> None:
        self._pending.append(rows)
        self.pending_rows += rows.events.rows
        self.pending_bytes += _bytes(rows)

    def _take_pending(self) -> Iterator[Rows]:
        """Yield the rows in memory in order, and forget them."""
        groups = _groups(self._pending)
        self._pending, self.pending_rows, self.pending_bytes = [], 0, 0
        yield from _each_in_order(groups)

    def _store(self, chunk: Rows) -> _Stored:
        assert self._file is not None
        events = chunk.events
        kept = tuple(leaf if len(leaf) == 1 and leaf.nbytes <= _KEPT_BYTES else None for leaf in events.leaves)
        columns = [repeated(x, events.rows) for x, one in zip(events.leaves, kept, strict=True) if one is None]
        batch = pa.RecordBatch.from_arrays(columns, names=[str(place) for place in range(len(columns))])
        buffer = pa.BufferOutputStream()
        with pa.ipc.new_stream(buffer, batch.schema) as stream:  # with its dictionaries
            stream.write_batch(batch)
        written = buffer.getvalue()
        self._file.write(written)
        offset = self.spilled_bytes
        self.spilled_bytes += written.size
        return _Stored(chunk.keys, kept, offset, written.size)

    def _load(self, stored: _Stored) -> Rows:
        assert self._file is not None
        self._file.seek(stored.offset)
        buffer = pa.py_buffer(self._file.read(stored.bytes))
        columns = iter(pa.ipc.open_stream(buffer).read_next_batch().columns)
        leaves = tuple(next(columns) if leaf is None else leaf for leaf in stored.leaves)
        return Rows(stored.keys, packed(len(stored.keys), leaves))


@frozen(eq=False)
class _Stored:
    """A chunk in the file; its keys stay in memory, and the `leaves` of one value."""

    keys: pa.Array
    leaves: tuple[pa.Array | None, ...]
    offset: int
    bytes: int

    @property
    def first(self) -> int:
        return int(self.keys[0].as_py())


class _Run:
    """Sorted rows, chunk after chunk; the first chunk is read when it is first looked at."""

    def __init__(self, order: int, first: int, chunks: Iterator[Rows]) -> None:
        self.order = order
        self.first = first
        self._chunks = chunks
        self._rows: Rows | None = None
        self.last: tuple[int, int]

    def open(self) -> bool:
        """Go to the next chunk; False if there is none."""
        self._rows = next(self._chunks, None)
        if self._rows is not None:
            self.last = (self._rows.keys[-1].as_py(), self.order)
        return self._rows is not None

    def take_until(self, last: tuple[int, int]) -> Rows:
        """Take the rows of the chunk that come before the position `last`, or at it."""
        key, order = last
        rows = self._rows
        assert rows is not None
        within = pc.less_equal if self.order <= order else pc.less
        count = pc.sum(within(rows.keys, key)).as_py()
        self._rows = rows.slice(count, len(rows.keys) - count)
        return rows.slice(0, count)

    @property
    def empty(self) -> bool:
        return self._rows is None or len(self._rows.keys) == 0


def _merged(runs: list[_Run]) -> Iterator[Rows]:
    """Merge runs: what lies before the nearest end of a chunk is complete, and can go."""
    waiting = sorted(runs, key=lambda run: (run.first, run.order), reverse=True)
    active: list[_Run] = []
    while active or waiting:
        active = [run for run in active if not run.empty or run.open()]
        last = min((run.last for run in active), default=None)
        while waiting and (last is None or waiting[-1].first <= last[0]):
            run = waiting.pop()
            run.open()
            active.append(run)
            last = min(run.last, last or run.last)
        if last is None:
            return
        active.sort(key=lambda run: run.order)
        yield _in_order([part for run in active if len((part := run.take_until(last)).keys)])


def _groups(parts: Sequence[Rows]) -> list[list[Rows]]:
    """Group rows so that all keys of one group come before those of another; the first group is the last.

    Within a group they stay as they came.
    """
    spans = [pc.min_max(part.keys) for part in parts]
    ranges = sorted((span["min"].as_py(), span["max"].as_py(), place) for place, span in enumerate(spans))
    groups: list[list[int]] = []
    end = -1
    for least, greatest, place in ranges:
        if least > end:
            groups.append([])
        groups[-1].append(place)
        end = max(end, greatest)
    return [[parts[place] for place in sorted(group)] for group in reversed(groups)]


def _bytes(rows: Rows) -> int:
    """Return about what rows take in memory."""
    differ = sum(len(leaf) == rows.events.rows for leaf in rows.events.leaves)
    return int(rows.events.nbytes + rows.keys.nbytes + _LEAF_BYTES * differ)


def _each_in_order(groups: list[list[Rows]]) -> Iterator[Rows]:
    """Yield the rows of each group, from the last group to the first, and forget them."""
    while groups:
        yield _in_order(groups.pop())


def _in_order(parts: list[Rows]) -> Rows:
    """Join rows and sort them by key, equal keys staying as they are."""
    keys = pa.concat_arrays([part.keys for part in parts])
    events = [part.events for part in parts]
    parts.clear()
    if pc.all(pc.less_equal(keys.slice(0, len(keys) - 1), keys.slice(1))).as_py() is not False:
        return Rows(keys, joined(events))
    order = _order(keys).cast(pa.uint32())
    return Rows(keys.take(order), joined(events, order))


def _order(keys: pa.Array) -> pa.Array:
    """Return the stable order of keys; many logs tell whole seconds only, and small numbers are sorted faster."""
    seconds = pc.divide(keys, _SECOND)
    return pc.array_sort_indices(seconds if pc.multiply(seconds, _SECOND).equals(keys) else keys)


def _cut(rows: Rows) -> Iterator[Rows]:
    """Cut rows into chunks for the file."""
    count = len(rows.keys)
    size = max(1, min(_CHUNK_BYTES * count // max(rows.events.nbytes, 1), _CHUNK_ROWS))
    for start in range(0, count, size):
        yield rows.slice(start, min(size, count - start))
