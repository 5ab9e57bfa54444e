"""A commit: events of any mix of classes, accounts and days become one sorted object a partition.

Memory stays bounded whatever comes. The rows of a custom source go through a `Spool`; after 500,000 of them (a
*generation*) the spool is merged, and its partitions stream one after the other into Parquet files in a private
folder. `LakeCommit.publish` then puts the files under names that depend on the commit alone.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import operator
import shutil
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Self

import pyarrow as pa
import pyarrow.compute as pc
from attrs import frozen

from ocsflake.dictionaries import plain_column, plain_type
from ocsflake.errors import LakeError
from ocsflake.lake.layout import DAY_MS, account_partition, day_text, object_key
from ocsflake.lake.packed import pack
from ocsflake.lake.parquet import ObjectWriter, leaves
from ocsflake.lake.spool import Rows, Spool
from ocsflake.lake.storage import lake_errors
from ocsflake.model import ObjectWritten

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from ocsflake.lake.packed import Packed
    from ocsflake.lake.storage import Storage
    from ocsflake.model import CustomSource, EventBatch

__all__ = ["LakeCommit"]

_GENERATION_ROWS = 500_000
_GENERATION_BYTES = 1024 * 1024 * 1024
_FULL_ROWS = 100_000
"""A row group, nearly; an object of that size is worth its request and its place in a listing."""
_MEMORY_BYTES = 48 * 1024 * 1024
"""What the events in memory may take, and besides as much as `_MAPPED_ROWS` more of them would."""
_MAPPED_ROWS = 32_000
_FEW_ROWS = 1_000
"""Fewer do not tell how large events are."""
_PUTS_AT_ONCE = 8
_CLUSTER_ROWS = 256
"""Rows of one partition that follow one another, as they do where files have an account and a day each."""
_TIME_END = 253_402_300_800_000
"""The year 10000."""

# A sort key is the number of a partition and, in the low bits, the milliseconds since its day began.
_MS_BITS = 27
# While partitions are looked up they are the number of an account and, in the low bits, a day.
_DAY_BITS = 22


class LakeCommit:
    """Events on their way into a lake; a context manager that closes itself.

    Objects appear one by one while `publish` runs. Each is whole, and a repeat of the same commit, after a crash at
    any point, puts the same bytes under the same names; if its events come in batches of other sizes, still the same
    rows in the same order.
    """

    def __init__(
        self, storage: Storage, *, region: str, commit_id: str, source_of: Callable[[EventBatch], CustomSource]
    ) -> None:
        """Start a commit.

        Args:
            storage: Where the objects go.
            region: The AWS Region of the lake.
            commit_id: Names the content: equal ids, equal events.
            source_of: Returns the custom source of a batch.

        Raises:
            LakeError: If there is no place to build files in.
        """
        self._storage = storage
        self._region = region
        self._commit_id = commit_id
        self._source_of = source_of
        self._folder = storage.scratch()
        self._feeds: dict[tuple[str, str], _Feed] = {}
        self._published: dict[Path, ObjectWritten] = {}
        self._finished = False
        self._broken = False

    def write(self, batch: EventBatch) -> None:
        """Take events; nothing is visible yet.

        Raises:
            LakeError: If the columns differ from those of earlier batches, a ``time`` is missing or out of range, the
                commit was published, or the disk fails. The commit is of no use then; close it.
        """
        if self._finished:
            raise LakeError(f"commit {self._commit_id!r} was published; begin another one for more events")
        if not batch.rows:
            return
        with self._building():
            kind = (batch.source_name, batch.event_class)
            if kind not in self._feeds:
                prefix = self._folder / str(len(self._feeds))
                self._feeds[kind] = _Feed(prefix, self._source_of(batch), batch)
            self._feeds[kind].write(batch.encoded)
            spools = [feed.spool for feed in self._feeds.values()]
            while _too_many(spools):
                max(spools, key=lambda spool: spool.pending_bytes).spill()
                pa.default_memory_pool().release_unused()

    @property
    def full(self) -> bool:
        """Whether there is an object already that more events would not make larger."""
        return any(file.rows >= _FULL_ROWS for feed in self._feeds.values() for file in feed.staged)

    def publish(self) -> Sequence[ObjectWritten]:
        """Put all objects, durably; called again, it goes on where putting one failed.

        Raises:
            LakeError: If an object could not be built or put. What was put stays; the same commit begun again puts the
                same objects.
        """
        if not self._finished:
            with self._building():
                for feed in self._feeds.values():
                    feed.end_generation()
            self._finished = True
        files = [(feed, file) for feed in self._feeds.values() for file in feed.staged]
        pool = ThreadPoolExecutor(_PUTS_AT_ONCE, thread_name_prefix="ocsflake-put")
        try:
            for _ in pool.map(lambda pair: self._put(*pair), files):
                pass
        finally:
            pool.shutdown(cancel_futures=True)
        return tuple(self._published[file.path] for _, file in files)

    def close(self) -> None:
        """Remove the private folder; what was not published is gone."""
        for feed in self._feeds.values():
            feed.spool.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @contextlib.contextmanager
    def _building(self) -> Iterator[None]:
        """Let no commit go on from which a failure may have taken rows."""
        if self._broken:
            raise LakeError(f"commit {self._commit_id!r} failed before; close it and begin it again")
        self._broken = True
        with lake_errors(self._folder):
            yield
        self._broken = False

    def _put(self, feed: _Feed, file: _Staged) -> None:
        if file.path in self._published:
            return
        source = feed.source
        content = (self._commit_id, source.name, feed.source_name, file.account, file.day, str(file.part))
        name = hashlib.blake2b("\0".join(content).encode(), digest_size=16).hexdigest()
        key = object_key(source.location, self._region, file.account, file.day, f"{name}.parquet")
        self._storage.put(file.path, key)
        self._published[file.path] = ObjectWritten(
            key=key,
            source=source.name,
            event_class=feed.event_class,
            account=file.account,
            day=file.day,
            rows=file.rows,
            bytes=file.bytes,
        )


@frozen
class _Staged:
    """A finished file that waits to be put; `part` is the generation."""

    path: Path
    account: str
    day: str
    part: int
    rows: int
    bytes: int


class _Feed:
    """The events of one mapper and class within a commit."""

    def __init__(self, prefix: Path, source: CustomSource, batch: EventBatch) -> None:
        self.source = source
        self.source_name = batch.source_name
        self.event_class = batch.event_class
        self.spool = Spool(prefix.parent)
        self.staged: list[_Staged] = []
        self._prefix = prefix
        self._given = batch.encoded.schema
        self._schema = _plain(self._given, source.name)
        self._part = 0
        self._partitions: dict[tuple[str, int], int] = {}

    def write(self, events: pa.RecordBatch) -> None:
        """Take events; a generation ends at a count of rows that does not depend on how they are batched."""
        if not events.schema.equals(self._given):
            schema = _plain(events.schema, self.source.name)
            if not schema.equals(self._schema):
                raise LakeError(_difference(self.source.name, self._schema, schema), path=self.source.name)
            self._given = events.schema
        while events.num_rows:
            part = events.slice(0, _GENERATION_ROWS - self.spool.rows)
            events = events.slice(part.num_rows)
            for rows in _clustered(Rows(self._keys(part), pack(part))):
                self.spool.append(rows)
            if self.spool.rows == _GENERATION_ROWS or self.spool.spilled_bytes >= _GENERATION_BYTES:
                self.end_generation()

    def end_generation(self) -> None:
        """Write what is in the spool to one file for each partition."""
        if not self.spool.rows:
            return
        names = list(self._partitions)
        pieces = (piece for rows in self.spool.merge() for piece in _by_partition(rows))
        for partition, batches in itertools.groupby(pieces, operator.itemgetter(0)):
            path = self._prefix.with_name(f"{self._prefix.name}-{self._part}-{partition}.parquet")
            writer = ObjectWriter(path, self._schema)
            for _, events in batches:
                writer.write(events)
            writer.close()
            pa.default_memory_pool().release_unused()  # or it would keep what the largest object took
            account, day = names[partition]
            size = path.stat().st_size
            self.staged.append(_Staged(path, account, day_text(day), self._part, writer.rows, size))
        self._partitions.clear()
        self._part += 1

    def _keys(self, events: pa.RecordBatch) -> pa.Array:
        time = self._time(events)
        days = pc.divide(time, DAY_MS)
        accounts = account_partition(_text(events, "cloud", "account", "uid"), _text(events, "cloud", "provider"))
        numbers = pc.multiply(accounts.indices.cast(pa.int64()), 1 << _DAY_BITS)
        pairs = pc.add(numbers, days).dictionary_encode()
        names = accounts.dictionary.to_pylist()
        partitions = [
            self._partitions.setdefault(
                (names[pair >> _DAY_BITS], pair & ((1 << _DAY_BITS) - 1)), len(self._partitions)
            )
            for pair in pairs.dictionary.to_pylist()
        ]
        partition = pa.array(partitions, pa.int64()).take(pairs.indices)
        since = pc.subtract(time, pc.multiply(days, DAY_MS))
        return pc.add(pc.multiply(partition, 1 << _MS_BITS), since)

    def _time(self, events: pa.RecordBatch) -> pa.Array:
        index = events.schema.get_field_index("time")
        if index < 0 or events.schema.field(index).type != pa.int64():
            name = self.source.name
            raise LakeError(f"{name}: events need a column 'time' of int64 milliseconds", path=name)
        time = events.column(index)
        bounds = pc.min_max(time).as_py()
        if time.null_count or bounds["min"] < 0 or bounds["max"] >= _TIME_END:
            raise LakeError(
                f"{self.source.name}: 'time' must be milliseconds from 1970 to 9999 in each event"
                f" (nulls: {time.null_count}, least: {bounds['min']}, greatest: {bounds['max']})",
                path=self.source.name,
            )
        return time


def _too_many(spools: Sequence[Spool]) -> bool:
    """Return whether the events in memory leave too little of it to map more: large ones take more there, too."""
    rows = sum(spool.pending_rows for spool in spools)
    size = sum(spool.pending_bytes for spool in spools)
    return size + _MAPPED_ROWS * size // max(rows, _FEW_ROWS) > _MEMORY_BYTES


def _clustered(rows: Rows) -> list[Rows]:
    """Cut rows where their partition changes, if it does so seldom: each partition is then sorted by itself."""
    ends = _partition_ends(rows)
    if len(ends) > max(1, len(rows.keys) // _CLUSTER_ROWS):
        return [rows]
    return [rows.slice(start, end - start) for start, end in itertools.pairwise([0, *ends])]


def _by_partition(rows: Rows) -> Iterator[tuple[int, Packed]]:
    """Cut sorted rows where their partition changes."""
    for start, end in itertools.pairwise([0, *_partition_ends(rows)]):
        yield rows.keys[start].as_py() >> _MS_BITS, rows.events.slice(start, end - start)


def _partition_ends(rows: Rows) -> list[int]:
    """Return where each run of rows of one partition ends."""
    ends: list[int] = pc.run_end_encode(pc.shift_right(rows.keys, _MS_BITS)).run_ends.to_pylist()
    return ends


def _text(events: pa.RecordBatch, *path: str) -> pa.Array:
    """Return the text at a path, nulls if the class has no such attribute."""
    holder = pa.struct(list(events.schema))
    for name in path:
        index = holder.get_field_index(name) if pa.types.is_struct(holder) else -1
        if index < 0:
            return pa.nulls(events.num_rows, pa.string())
        holder = holder.field(index).type
    return plain_column(pc.struct_field(events.column(path[0]), list(path[1:])))


def _plain(schema: pa.Schema, where: str) -> pa.Schema:
    """Return a schema with the types of their values for dictionaries: which columns have them changes by batch."""
    for field in schema:
        _check_type(field.type, f"{where}.{field.name}")
    return pa.schema([field.with_type(plain_type(field.type)) for field in schema], schema.metadata)


def _check_type(kind: pa.DataType, path: str) -> None:
    if pa.types.is_null(kind):
        raise LakeError(f"{path}: the column has no type; a lake's columns are fixed by the mapper", path=path)
    for place in range(kind.num_fields):
        child = kind.field(place)
        _check_type(child.type, f"{path}.{child.name}")


def _difference(source: str, first: pa.Schema, other: pa.Schema) -> str:
    """Say in which columns two schemas differ."""
    had, has = (
        {path: str(array.type) for path, array in leaves(pa.RecordBatch.from_pylist([], schema=schema))}
        for schema in (first, other)
    )
    changed = [
        f"{path} was {had.get(path, 'absent')} and is {has.get(path, 'absent')}"
        for path in sorted(had.keys() | has.keys())
        if had.get(path) != has.get(path)
    ]
    what = "; ".join(changed[:5]) or "the order or the nullability of the columns differs"
    return f"{source}: the columns changed within a commit: {what}"
