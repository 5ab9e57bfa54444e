"""Merge the small objects of closed days into full ones.

Rows that come late, and sources that give little, leave many small objects, and a query pays for each. `compact` merges
those of one partition, schema and class, proves that the new object holds the same rows, and puts it in place of them.

In a directory this happens at one moment: a reader that lists a partition sees the old objects or the new one, never
both and never neither. One that had listed the old ones and opens them later finds them gone and has to ask again.

S3 has no such moment. The merged object is put first, read back and compared, and only then the old ones are deleted:
for that time a reader sees their rows twice, and never not at all. After a crash in between, the next `compact` deletes
what is left, since each merged object names those that it was made of. Nothing keeps two compactions apart there: let
one end before the next begins. The role that Security Lake gives a custom source may not delete (contract rule 27); a
lake that is written by one is refused.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections import defaultdict
from contextlib import nullcontext
from datetime import UTC, date, datetime, timedelta
from itertools import combinations, groupby
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from attrs import evolve, field, frozen

from ocsflake.errors import ConfigError, LakeError
from ocsflake.lake import _exchange
from ocsflake.lake._deletes import S3Deletes
from ocsflake.lake.footer import MERGED, footers
from ocsflake.lake.layout import parse_key
from ocsflake.lake.packed import pack
from ocsflake.lake.parquet import ObjectWriter
from ocsflake.lake.s3 import S3Storage
from ocsflake.lake.storage import DirectoryStorage, lake_errors

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from ocsflake.lake.footer import Footer
    from ocsflake.lake.storage import Storage, StoredObject

__all__ = ["Compacted", "compact"]

_SMALL_ROWS = 100_000
_MERGED_ROWS = 500_000
_MERGED_BYTES = 256 * 1024 * 1024
"""Before compression; the rows of one merged object are in memory while it is made."""
_CHUNK_ROWS = 16_384
_STRANGE = re.compile(r"dictionary<|extension<|fixed_size_list<|large_|_view|null|duration\[|keys_sorted|tz=(?!UTC\])")
"""Types that only the Arrow schema in a file of another program has."""


@frozen
class Compacted:
    """What was merged.

    Attributes:
        partitions: How many partitions changed.
        merged: How many objects there were.
        made: How many there are in their place.
        rows: How many events they hold.
        bytes_merged: The size of the old objects.
        bytes_made: The size of the new ones.
        repeats: Objects that an interrupted run or compaction had put again or left, and that are gone now.
    """

    partitions: int = 0
    merged: int = 0
    made: int = 0
    rows: int = 0
    bytes_merged: int = 0
    bytes_made: int = 0
    repeats: int = 0

    def __str__(self) -> str:
        repeats = f"; {self.repeats:,} repeated objects removed" if self.repeats else ""
        return (
            f"{self.merged:,} objects of {self.partitions:,} partitions became {self.made:,}"
            f" ({self.rows:,} events, {self.bytes_merged:,} bytes became {self.bytes_made:,}){repeats}"
        )


@frozen
class _Member:
    """An object of a partition."""

    item: StoredObject
    footer: Footer = field(eq=False)

    @property
    def name(self) -> str:
        return self.item.key.rpartition("/")[2]

    @property
    def made_of(self) -> frozenset[str]:
        """The names of the objects that it was made of."""
        try:
            return self.footer.made_of
        except ValueError as error:
            raise LakeError(f"{self.item.key}: what it was made of cannot be read", path=self.item.key) from error


def compact(storage: Storage, *, before: date | None = None, prefix: str = "ext/") -> Compacted:
    """Merge the small objects of closed days; a repeat, also after a crash at any point, changes nothing more.

    Runs that were interrupted should have been finished first: they put their objects again, which doubles their rows
    until `compact` is called once more.

    Args:
        storage: A directory, or a bucket whose objects the own credentials may delete.
        before: Only days before this one, in UTC; by default those that ended a day ago or more.
        prefix: Only what is below it.

    Raises:
        ConfigError: If objects are put by a role, which may not delete, or the storage is of neither kind.
        LakeError: If objects cannot be read, written, deleted, or exchanged, or another process compacts the lake.
    """
    end = (before or datetime.now(UTC).date() - timedelta(days=1)).strftime("%Y%m%d")
    if isinstance(storage, S3Storage):
        deletes: S3Deletes | None = S3Deletes(storage)
    elif isinstance(storage, DirectoryStorage):
        deletes = None
    else:
        raise ConfigError(f"{type(storage).__name__} cannot be compacted: a directory and S3 can")
    done = Compacted()
    if isinstance(storage, DirectoryStorage) and not storage.root.is_dir():
        raise LakeError(f"{storage.root} is no lake: there is no such directory", path=str(storage.root))
    with _exchange.alone(storage.root) if isinstance(storage, DirectoryStorage) else nullcontext():
        for folder, members in _partitions(storage, prefix, end):
            repeated = _repeated(members)
            groups = list(_groups([member for member in members if member.name not in repeated]))
            if (groups or repeated) and not storage.folders(f"{folder}/"):
                done = _sum(
                    done, _replace(storage, deletes, folder, groups, [m for m in members if m.name in repeated])
                )
    return done


def _partitions(storage: Storage, prefix: str, end: str) -> Iterator[tuple[str, list[_Member]]]:
    """Yield the partitions of days before `end` that have more than one object."""
    listed = ((item.key.rpartition("/")[0], item) for item in storage.objects(prefix))
    for folder, items in groupby(listed, lambda pair: pair[0]):
        parts = [(item, parse_key(item.key)) for _, item in items]
        known = [item for item, part in parts if part is not None and part.day < end]
        if len(known) > 1 and len(known) == len(parts):
            yield folder, [_Member(item, footer) for item, footer in footers(storage, known)]


def _repeated(members: Sequence[_Member]) -> set[str]:
    """Return the names of objects whose rows are in a merged one.

    Raises:
        LakeError: If two merged objects have some rows in common, as two compactions at one time may leave them.
    """
    merged = [member for member in members if member.made_of]
    found = {name for member in merged for name in member.made_of} & {member.name for member in members}
    for one, other in combinations([member for member in merged if member.name not in found], 2):
        common = one.made_of & other.made_of
        if common and common != one.made_of and common != other.made_of:
            raise LakeError(
                f"{one.item.key} and {other.name} beside it have rows in common, since two compactions ran at one time:"
                " remove both, and what is left of this day, and read it again",
                path=one.item.key,
            )
        if common:
            found.add(one.name if common == one.made_of else other.name)
    return found


def _groups(members: Sequence[_Member]) -> Iterator[list[_Member]]:
    """Yield what is to become one object: small ones of one class and schema, not more than memory should hold.

    Objects whose footer tells no class or no time are another program's, and stay.
    """
    alike: dict[tuple[pa.Schema, int | None], list[_Member]] = defaultdict(list)
    for member in members:
        footer = member.footer
        strange = any(_STRANGE.search(str(each.type)) for each in footer.schema)
        told = footer.class_uid is not None and footer.first is not None
        if footer.rows < _SMALL_ROWS and told and not strange:
            alike[footer.schema, footer.class_uid].append(member)
    for group in alike.values():
        part: list[_Member] = []
        rows = size = 0
        for member in group:
            rows, size = rows + member.footer.rows, size + member.footer.decoded_bytes
            if part and (rows > _MERGED_ROWS or size > _MERGED_BYTES):
                yield from [part] if len(part) > 1 else []
                part, rows, size = [], member.footer.rows, member.footer.decoded_bytes
            part.append(member)
        yield from [part] if len(part) > 1 else []


def _replace(
    storage: Storage,
    deletes: S3Deletes | None,
    folder: str,
    groups: Sequence[Sequence[_Member]],
    repeats: Sequence[_Member],
) -> Compacted:
    """Put merged objects in place of the members of one partition."""
    old = [*repeats, *(member for group in groups for member in group)]
    scratch = storage.scratch()
    try:
        made = [_merge(storage, group, scratch) for group in groups]
        done = Compacted(
            partitions=1,
            merged=len(old) - len(repeats),
            made=len(made),
            rows=sum(member.footer.rows for group in groups for member in group),
            bytes_merged=sum(member.item.bytes for group in groups for member in group),
            bytes_made=sum(file.stat().st_size for file, _ in made),
            repeats=len(repeats),
        )
        if isinstance(storage, DirectoryStorage):
            _exchange.exchange(storage.root, folder, made, [member.name for member in old])
            return done
        assert deletes is not None
        deletes.check(folder)
        for (file, name), group in zip(made, groups, strict=True):
            key = f"{folder}/{name}"
            storage.put(file, key)
            _prove(storage, key, group)
        deletes.delete([member.item.key for member in old])
        return done
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _merge(storage: Storage, group: Sequence[_Member], scratch: Path) -> tuple[Path, str]:
    """Make one object of several, prove that it holds their rows, and return the file and its name."""
    table = _rows(storage, group)
    names = sorted(member.name for member in group)
    name = f"{hashlib.blake2b('/'.join(names).encode(), digest_size=16).hexdigest()}.parquet"
    behind = sorted({*names, *(one for member in group for one in member.made_of)})
    file = scratch / name
    with lake_errors(file):
        writer = ObjectWriter(file, table.schema.with_metadata({MERGED: json.dumps(behind).encode()}))
        for batch in table.combine_chunks().to_batches(_CHUNK_ROWS):
            writer.write(pack(batch))
        writer.close()
        _compare(table, pq.ParquetFile(file).read(), name)
    return file, name


def _rows(storage: Storage, group: Sequence[_Member]) -> pa.Table:
    """Return the rows of some objects in the order of their time; as many as their footers say."""
    tables = []
    for member in group:
        with storage.open(member.item.key) as file:
            try:
                tables.append(pq.ParquetFile(file).read().replace_schema_metadata())
            except (pa.ArrowException, OSError) as error:
                raise LakeError(f"{member.item.key} cannot be read: {error}", path=member.item.key) from error
    table = pa.concat_tables(tables)
    wanted = sum(member.footer.rows for member in group)
    if table.num_rows != wanted:
        raise LakeError(f"{group[0].item.key} and others have {table.num_rows} rows, and their footers say {wanted}")
    return table.take(pc.sort_indices(table["time"]))


def _prove(storage: Storage, key: str, group: Sequence[_Member]) -> None:
    """Raise if an object that was put does not hold the rows of those that it was made of."""
    with storage.open(key) as file:
        _compare(_rows(storage, group), pq.ParquetFile(file).read(), key)


def _compare(table: pa.Table, made: pa.Table, name: str) -> None:
    if made.num_rows != table.num_rows or not made.replace_schema_metadata().equals(table):
        raise LakeError(
            f"{name}: the merged object does not hold the rows of those that it was made of; nothing was changed",
            path=name,
        )


def _sum(one: Compacted, other: Compacted) -> Compacted:
    names = ("partitions", "merged", "made", "rows", "bytes_merged", "bytes_made", "repeats")
    return evolve(one, **{name: getattr(one, name) + getattr(other, name) for name in names})
