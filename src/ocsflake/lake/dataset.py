"""Objects of a storage as Arrow datasets, so that DuckDB can query what lies where it cannot read itself."""

from __future__ import annotations

import io
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from attrs import frozen
from pyarrow.fs import FSSpecHandler, PyFileSystem

from ocsflake.errors import LakeError, OcsflakeError
from ocsflake.lake.layout import parse_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from _typeshed import WriteableBuffer

    from ocsflake.lake.reading import Path, Reading
    from ocsflake.lake.storage import Storage, StoredObject

__all__ = ["PARTITIONS", "datasets", "scanner"]

PARTITIONS = ("region", "accountid", "eventday")
"""The partition columns, called as Athena shows them."""

_FOOTERS_AT_ONCE = 8
_BATCH_ROWS = 1 << 24
"""More rows than a row group has: DuckDB 2.0.0 refuses structs in a batch that is cut out of a larger one."""


def datasets(storage: Storage, objects: Sequence[StoredObject], errors: list[OcsflakeError]) -> Sequence[ds.Dataset]:
    """Return objects of the layout as datasets, one for each schema that they have.

    The footer of each is read. The datasets have the partitions as columns of text, and read no object that a filter on
    these excludes.

    Args:
        storage: Where the objects are kept.
        objects: Those of a custom source.
        errors: Takes what goes wrong while the datasets are read; Arrow then says that an object ends too early. An
            exception must not pass through Arrow's threads: they would wait for the interpreter with a lock in hand
            that whoever holds the interpreter waits for.

    Raises:
        LakeError: If the footer of an object cannot be read.
    """
    with ThreadPoolExecutor(_FOOTERS_AT_ONCE, thread_name_prefix="ocsflake-footer") as pool:
        schemas = list(pool.map(lambda item: _schema(storage, item.key), objects))
    groups: dict[pa.Schema, list[StoredObject]] = defaultdict(list)
    for item, schema in zip(objects, schemas, strict=True):
        groups[schema].append(item)
    files = PyFileSystem(FSSpecHandler(_Files(storage, errors)))
    return [_dataset(files, schema, items) for schema, items in groups.items()]


def scanner(dataset: ds.Dataset, read: Reading) -> ds.Scanner:
    """Return what scans a dataset for a statement: partitions, and of the columns those parts that it names."""
    columns = {name: pc.field(name) for name in PARTITIONS}
    for field in dataset.schema:
        if field.name not in columns and (wanted := read.of(field.name)):
            columns[field.name] = _part((field.name,), field.type, wanted)
    return dataset.scanner(columns=columns, batch_size=_BATCH_ROWS)


def _part(path: Path, kind: pa.DataType, wanted: Sequence[Path]) -> pc.Expression:
    """Return what takes the wanted parts out of a column, as a struct of the same names."""
    parts = {}
    if pa.types.is_struct(kind) and () not in wanted:
        for field in kind:
            below = [each[1:] for each in wanted if each[0] == field.name.lower()]
            if below:
                parts[field.name] = _part((*path, field.name), field.type, below)
    return pc.make_struct(*parts.values(), field_names=list(parts)) if parts else pc.field(*path)


@frozen
class _Files:
    """As much of an fsspec file system as it takes to read files whose sizes are known."""

    storage: Storage
    errors: list[OcsflakeError]
    protocol: str = "ocsflake"

    def isfile(self, _path: str) -> bool:
        return True

    def open(self, path: str, mode: str) -> BinaryIO:  # noqa: ARG002 - it is always read
        try:
            return cast("BinaryIO", _Quiet(self.storage.open(path), self.errors))
        except OcsflakeError as error:
            self.errors.append(error)
            return io.BytesIO()


class _Quiet(io.RawIOBase):
    """A file that ends where it cannot be read, and notes why."""

    def __init__(self, file: BinaryIO, errors: list[OcsflakeError]) -> None:
        self._file = file
        self._errors = errors

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        try:
            found = self._file.read(len(view))
        except OcsflakeError as error:
            self._errors.append(error)
            return 0
        view[: len(found)] = found
        return len(found)

    def close(self) -> None:
        self._file.close()
        super().close()


def _schema(storage: Storage, key: str) -> pa.Schema:
    with storage.open(key) as file:
        try:
            return pq.read_schema(file).remove_metadata()
        except pa.ArrowInvalid as error:
            raise LakeError(f"{key} is no Parquet: {error}", path=key) from error


def _dataset(files: Any, schema: pa.Schema, items: Sequence[StoredObject]) -> ds.Dataset:
    kind = ds.ParquetFileFormat()
    fragments = [
        kind.make_fragment(item.key, files, partition_expression=_partition(item.key), file_size=item.bytes)
        for item in items
    ]
    return ds.FileSystemDataset(
        fragments, pa.schema([*schema, *((name, pa.string()) for name in PARTITIONS)]), kind, files
    )


def _partition(key: str) -> pc.Expression:
    parts = parse_key(key)
    assert parts is not None
    values = zip(PARTITIONS, (parts.region, parts.account, parts.day), strict=True)
    first, *others = (pc.field(name) == value for name, value in values)
    for other in others:
        first = first & other
    return first
