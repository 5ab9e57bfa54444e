"""The footers of a lake's objects: what they say of the rows, without the rows being read."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from attrs import frozen

from ocsflake.errors import LakeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ocsflake.lake.storage import Storage, StoredObject

__all__ = ["MERGED", "Footer", "footers", "read_footer"]

MERGED = b"ocsflake.merged"
"""In the metadata of an object that a compaction made: the names of those that it was made of, as a JSON list."""

_FOOTERS_AT_ONCE = 8
_GATHERED = 256


@frozen(eq=False)
class Footer:
    """What the footer of a Parquet object says.

    Attributes:
        rows: How many events the object holds.
        decoded_bytes: Their size before compression.
        schema: Its columns, as Arrow has them, without metadata.
        first: The earliest ``time``, milliseconds since the epoch; ``None`` if it is not told.
        last: The latest ``time``.
        class_uid: The class of all its events; ``None`` if it is not told or there are several.
        metadata: Texts by name that its writer put there.
    """

    rows: int
    decoded_bytes: int
    schema: pa.Schema
    first: int | None
    last: int | None
    class_uid: int | None
    metadata: dict[bytes, bytes]

    @property
    def made_of(self) -> frozenset[str]:
        """The names of the objects that a compaction made it of, and of those that these were made of.

        Raises:
            ValueError: If what another program wrote there is no list.
        """
        try:
            names = json.loads(self.metadata.get(MERGED, b"[]"))
        except RecursionError:
            names = None
        if not isinstance(names, list):
            raise ValueError(f"{MERGED.decode()} is no list")  # noqa: TRY004 - it is text that is wrong
        return frozenset(map(str, names))


def footers(storage: Storage, items: Iterable[StoredObject]) -> Iterator[tuple[StoredObject, Footer]]:
    """Yield objects with their footers, in the order given; some are read at once.

    Raises:
        LakeError: If an object cannot be read or is no Parquet.
    """
    with ThreadPoolExecutor(_FOOTERS_AT_ONCE, thread_name_prefix="ocsflake-footer") as pool:
        gathered: list[StoredObject] = []
        for item in items:
            gathered.append(item)
            if len(gathered) == _GATHERED:
                yield from zip(gathered, pool.map(lambda one: read_footer(storage, one.key), gathered), strict=True)
                gathered = []
        yield from zip(gathered, pool.map(lambda one: read_footer(storage, one.key), gathered), strict=True)


def read_footer(storage: Storage, key: str) -> Footer:
    """Read the footer of one object.

    Raises:
        LakeError: If it cannot be read or is no Parquet.
    """
    with storage.open(key) as file:
        try:
            about = pq.read_metadata(file)
            schema = about.schema.to_arrow_schema()
        except (pa.ArrowException, OSError) as error:
            raise LakeError(f"{key} is no Parquet that can be read: {error}", path=key) from error
    first, last = _bounds(about, "time")
    least, most = _bounds(about, "class_uid")
    return Footer(
        rows=about.num_rows,
        decoded_bytes=sum(about.row_group(group).total_byte_size for group in range(about.num_row_groups)),
        schema=schema.remove_metadata(),
        first=first,
        last=last,
        class_uid=least if least == most else None,
        metadata=dict(about.metadata or {}),
    )


def _bounds(about: pq.FileMetaData, column: str) -> tuple[int | None, int | None]:
    """Return the least and the greatest value of a column of integers, as far as all its row groups tell."""
    index = next((i for i in range(about.num_columns) if about.schema.column(i).path == column), None)
    if index is None or not about.num_row_groups:
        return None, None
    found: list[Any] = []
    for group in range(about.num_row_groups):
        told = about.row_group(group).column(index).statistics
        if told is None or not told.has_min_max or not isinstance(told.min, int):
            return None, None
        found += [told.min, told.max]
    return min(found), max(found)
