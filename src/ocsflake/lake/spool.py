"""Sort more events than memory holds: sorted runs in a temporary file, merged in the end.

In memory are the rows that wait to become a run and, while merging, one chunk of each run.
"""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Rows", "Spool"]

_CHUNK_BYTES = 1024 * 1024
_CHUNK_ROWS = 4_096
_COLUMN_BYTES = 2_048
"""What a column of a batch takes beside its values; with few rows it is most of what a batch takes."""


@frozen(eq=False)
class Rows:
    """Rows and the key of each.

    Attributes:
        keys: int64, no nulls.
        batch: As many rows.
    """

    keys: pa.Array
    batch: pa.RecordBatch

    def slice(self, start: int, length: int | None = None) -> Rows:
        """Return `length` rows from `start` on, without copying."""
        return Rows(self.keys.slice(start, length), self.batch.slice(start, length))


class Spool:
    """Takes batches of one schema with an int64 key for each row, and gives the rows back in the order of the keys.

    Rows with equal keys stay in the order in which they came.

    Attributes:
        rows: How many rows it holds.
        pending_bytes: About the memory that `spill` would free.
        spilled_bytes: The size of the temporary file.
    """

    def __init__(self, folder: Path) -> None:
        self.rows = 0
        self.pending_bytes = 0
        self.spilled_bytes = 0
        self._folder = folder
        self._pending: list[Rows] = []
        self._runs: list[list[_Stored]] = []
        self._file: BinaryIO | None = None

    def append(self, rows: Rows) -> None:
        """Take rows; no column may be dictionary-encoded, at any depth."""
        self._pending.append(rows)
        self.rows += rows.batch.num_rows
        self.pending_bytes += rows.batch.nbytes + _COLUMN_BYTES * rows.batch.num_columns

    def spill(self) -> None:
        """Move what is in memory to the file, as one sorted run.

        Raises:
            OSError: If the file cannot be written.
        """
        if self._file is None:
            # Without a name from the start, so that not even a killed process leaves it behind.
            self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - `close` closes it
        run = []
        for chunk in self._take_pending():
            buffer = chunk.batch.serialize()
            self._file.write(buffer)
            run.append(_Stored(chunk.keys, chunk.batch.schema, self.spilled_bytes, buffer.size))
            self.spilled_bytes += buffer.size
        self._runs.append(run)

    def merge(self) -> Iterator[Rows]:
        """Yield all rows in order, some hundred to thousand at a time, and forget them.

        Raises:
            OSError: If the file cannot be read.
        """
        runs = [_Run(order, chunks[0].first, map(self._load, chunks)) for order, chunks in enumerate(self._runs)]
        if self._pending:
            chunks = self._take_pending()
            runs.append(_Run(len(runs), chunks[0].keys[0].as_py(), iter(chunks)))
        yield from _merged(runs)
        self.close()

    def close(self) -> None:
        """Forget all rows, and remove the file."""
        self._pending, self._runs = [], []
        self.rows = self.pending_bytes = self.spilled_bytes = 0
        if self._file is not None:
            self._file.close()
            self._file = None

    def _take_pending(self) -> list[Rows]:
        """Return the rows in memory as chunks in order, and forget them."""
        rows = _in_order(self._pending)
        self._pending, self.pending_bytes = [], 0
        size = _CHUNK_BYTES * rows.batch.num_rows // max(rows.batch.nbytes, 1)
        size = max(1, min(size, _CHUNK_ROWS))
        return [rows.slice(start, size) for start in range(0, rows.batch.num_rows, size)]

    def _load(self, stored: _Stored) -> Rows:
        assert self._file is not None
        self._file.seek(stored.offset)
        buffer = pa.py_buffer(self._file.read(stored.bytes))
        return Rows(stored.keys, pa.ipc.read_record_batch(buffer, stored.schema))


@frozen(eq=False)
class _Stored:
    """A chunk in the file; its keys stay in memory."""

    keys: pa.Array
    schema: pa.Schema
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
        self._rows = rows.slice(count)
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


def _in_order(parts: list[Rows]) -> Rows:
    """Join rows and sort them by key, equal keys staying as they are."""
    if len(parts) > 1:
        rows = Rows(
            pa.concat_arrays([part.keys for part in parts]),
            pa.concat_batches([part.batch for part in parts]),
        )
    else:
        rows = parts[0]
    keys = rows.keys
    if pc.all(pc.less_equal(keys.slice(0, len(keys) - 1), keys.slice(1))).as_py() is not False:
        return rows
    order = pc.sort_indices(keys)
    return Rows(keys.take(order), rows.batch.take(order))
