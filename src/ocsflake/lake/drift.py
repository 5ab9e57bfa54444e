"""What mappers left in ``unmapped``, over all days of a lake: which raw paths, how often, and since when.

The objects are read one after the other, of each the keys of that column alone.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from attrs import evolve, frozen

from ocsflake import ocsf
from ocsflake.errors import LakeError
from ocsflake.lake.footer import footers
from ocsflake.lake.layout import parse_key
from ocsflake.times import moment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocsflake.lake.storage import Storage, StoredObject

__all__ = ["UnmappedPath", "unmapped_paths"]

_KEPT = 100_000
"""How many paths are told apart: log content has a say in how many there are."""
_KEYS = "unmapped.key_value.key"


@frozen
class UnmappedPath:
    """A raw path that no attribute took, in one class of a custom source.

    Attributes:
        source: The custom source.
        event_class: The OCSF name of the class, ``""`` if an object does not tell.
        path: The raw path; ``""`` for all that came after the first 100,000.
        events: How many events hold it.
        first_day: The first day that has it, ``YYYYMMDD`` in UTC.
        last_day: The last one.
    """

    source: str
    event_class: str
    path: str
    events: int
    first_day: str
    last_day: str


def unmapped_paths(storage: Storage, *, since: str | datetime | None = None) -> list[UnmappedPath]:
    """Return the raw paths in ``unmapped``, those that most events hold first.

    Args:
        storage: Where the objects are kept.
        since: Only paths that no day before this one has: an age such as ``7d``, a date, or a datetime.

    Raises:
        ConfigError: If `since` is no time.
        LakeError: If the storage cannot be listed, or an object cannot be read.
    """
    begin = moment(since, datetime.now(UTC))
    classes = {uid: name for name, uid in ocsf.load(ocsf.versions()[-1]).classes.items()}
    found: dict[tuple[str, str, str], UnmappedPath] = {}
    for item, footer in footers(storage, _of_the_layout(storage)):
        parts = parse_key(item.key)
        kind = footer.schema.field("unmapped").type if "unmapped" in footer.schema.names else None
        if parts is None or kind is None or not pa.types.is_map(kind):
            continue
        source = parts.location.removeprefix("ext/").rstrip("/") or "."
        event_class = "" if footer.class_uid is None else classes.get(footer.class_uid, str(footer.class_uid))
        for path, events in _counts(storage, item.key):
            key = (source, event_class, path)
            if key not in found and len(found) >= _KEPT:
                key = (source, event_class, "")
            had = found.get(key) or UnmappedPath(*key, 0, parts.day, parts.day)
            found[key] = evolve(
                had,
                events=had.events + events,
                first_day=min(had.first_day, parts.day),
                last_day=max(had.last_day, parts.day),
            )
    first = "" if begin is None else f"{begin:%Y%m%d}"
    new = [path for path in found.values() if path.first_day >= first]
    return sorted(new, key=lambda path: (-path.events, path.source, path.event_class, path.path))


def _of_the_layout(storage: Storage) -> Iterator[StoredObject]:
    return (item for item in storage.objects("") if parse_key(item.key))


def _counts(storage: Storage, key: str) -> Iterator[tuple[str, int]]:
    """Yield how many events of an object hold each path, row group by row group."""
    with storage.open(key) as file:
        try:
            parquet = pq.ParquetFile(file)
            for group in range(parquet.num_row_groups):
                keys = parquet.read_row_group(group, columns=[_KEYS]).column(0).combine_chunks().flatten().field(0)
                for pair in pc.value_counts(keys.cast(pa.string())).to_pylist():
                    yield pair["values"], pair["counts"]
        except (pa.ArrowException, OSError) as error:
            raise LakeError(f"{key} is no Parquet that can be read: {error}", path=key) from error
