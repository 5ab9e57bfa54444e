"""One Parquet object: zstd, sorted by time, its pages and row groups inside Security Lake's limits.

Security Lake asks for pages of at most 1 MB uncompressed, row groups of at most 256 MB compressed, and prefers zstd
(contract rule 19). pyarrow looks at the size of a page only between two chunks of a column, so its own
``data_page_size`` holds no bound. Here a chunk is cut until none of its leaves is large, and a row that is large by
itself gets a row group of its own; only one value above 1 MB makes a page above 1 MB.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from attrs import frozen

from ocsflake.lake.packed import encoded, joined, leaf_paths, unpack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ocsflake.lake.packed import Packed

__all__ = ["ObjectWriter", "leaves"]

_CHUNK_BYTES = 256 * 1024
_CHUNK_ROWS = 16_384
# A page ends at most one chunk after its limit; a data page also holds levels, up to 6 bits a value.
_DATA_PAGE_BYTES = 384 * 1024
_DICTIONARY_PAGE_BYTES = 640 * 1024

_ROW_GROUP_ROWS = 122_880
_ROW_GROUP_BYTES = 24 * 1024 * 1024
_ROW_GROUP_VALUES = 400_000
"""Of one leaf: bounds the levels of long lists, which pyarrow does not count when it ends a page."""

_SMALL_ROWS = 1_000
"""Below this, dictionaries cost a third of the time and make an object larger."""
_INDEX_ROWS = 20_000
"""From here on a column has several pages, and a page index or a bloom filter something to skip."""
_SAMPLE_ROWS = 256
_DISTINCT_RATIO = 0.9
_DISTINCT_NUMBERS = 0.25
"""Numbers are short: where more of them differ, they are smaller and written faster as they are."""
_BLOOM_NAMES = frozenset({"ip", "uid"})
_CAN_BLOOM = "bloom_filter_options" in inspect.signature(pq.ParquetWriter.__init__).parameters


class ObjectWriter:
    """Writes one object; rows come in the order that they are to have.

    A row group is held as Arrow until it is full (122,880 rows or 24 MiB), since pyarrow cannot append to one.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.rows = 0
        self._path = path
        self._schema = schema
        self._writer: pq.ParquetWriter | None = None
        self._chunks: list[Packed] = []
        self._size = _Size()

    def write(self, events: Packed) -> None:
        """Append events.

        Raises:
            OSError: If the file cannot be written.
        """
        for chunk, size in _chunks(events):
            if self._size.joined(size).fills_a_row_group() or size.largest > _CHUNK_BYTES:
                self._flush()
            self._chunks.append(chunk)
            self._size = self._size.joined(size)
            if size.largest > _CHUNK_BYTES:
                self._flush()
        self.rows += events.rows

    def close(self) -> None:
        """Write what is left and the footer.

        Raises:
            OSError: If the file cannot be written.
        """
        self._flush()
        if self._writer is not None:
            if self._schema.metadata:  # pyarrow leaves it out with `store_schema=False`
                self._writer.add_key_value_metadata(self._schema.metadata)
            self._writer.close()
            self._writer = None

    def _flush(self) -> None:
        if not self._chunks:
            return
        if self._writer is None:
            options = _options(self._chunks, self._schema)
            schema = encoded(self._schema, self._chunks) if options["use_dictionary"] else self._schema
            self._writer = pq.ParquetWriter(self._path, schema, **options)
        table = unpack(self._chunks, self._writer.schema)
        self._chunks, self._size = [], _Size()
        self._writer.write_table(table, row_group_size=table.num_rows)


@frozen
class _Size:
    rows: int = 0
    bytes: int = 0
    largest: int = 0
    """Bytes of the largest leaf."""
    values: int = 0
    """Values of the longest leaf."""

    def joined(self, other: _Size) -> _Size:
        return _Size(
            self.rows + other.rows,
            self.bytes + other.bytes,
            max(self.largest, other.largest),
            self.values + other.values,
        )

    def fills_a_row_group(self) -> bool:
        return self.rows > _ROW_GROUP_ROWS or self.bytes > _ROW_GROUP_BYTES or self.values > _ROW_GROUP_VALUES


def leaves(batch: pa.RecordBatch) -> Iterator[tuple[str, pa.Array]]:
    """Yield the leaf columns of a batch with their Parquet paths, in the order of the file's columns.

    Values under a null struct or list count if Arrow holds any.
    """
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        yield from _leaves(name, column)


def _leaves(path: str, array: pa.Array) -> Iterator[tuple[str, pa.Array]]:
    if pa.types.is_struct(array.type):
        for index, child in enumerate(array.type):
            yield from _leaves(f"{path}.{child.name}", array.field(index))
    elif pa.types.is_map(array.type):
        yield from _leaves(f"{path}.key_value.key", _within(array, array.keys))
        yield from _leaves(f"{path}.key_value.value", _within(array, array.items))
    elif pa.types.is_list(array.type):
        yield from _leaves(f"{path}.list.element", _within(array, array.values))
    else:
        yield path, array


def _within(lists: pa.ListArray | pa.MapArray, values: pa.Array) -> pa.Array:
    """Return the part of `values` that `lists`, which may be a slice, refers to."""
    first, last = lists.offsets[0].as_py(), lists.offsets[-1].as_py()
    return values.slice(first, last - first)


def _chunks(events: Packed) -> Iterator[tuple[Packed, _Size]]:
    """Cut events until no leaf of a chunk is large, or one row is left."""
    size = _size(events)
    count = min(max(-(-size.largest // _CHUNK_BYTES), -(-size.rows // _CHUNK_ROWS)), size.rows)
    if count <= 1:
        yield events, size
        return
    for number in range(count):
        start, end = (size.rows * place // count for place in (number, number + 1))
        yield from _chunks(events.slice(start, end - start))


def _size(events: Packed) -> _Size:
    total = largest = values = 0
    for leaf in events.leaves:
        times = 1 if len(leaf) == events.rows else events.rows
        for _, array in _leaves("", leaf) if leaf.type.num_fields else (("", leaf),):
            nbytes = array.nbytes
            total += nbytes
            largest = max(largest, nbytes * times)
            values = max(values, len(array) * times)
    return _Size(events.rows, total, largest, values)


def _options(chunks: list[Packed], schema: pa.Schema) -> dict[str, object]:
    """Choose how to write an object from its first row group, so that equal events give equal bytes."""
    rows = sum(chunk.rows for chunk in chunks)
    names = [path for path, _ in leaves(pa.RecordBatch.from_pylist([], schema))]
    options: dict[str, object] = {
        "compression": "zstd",
        "compression_level": 1,
        "data_page_size": _DATA_PAGE_BYTES,
        "dictionary_pagesize_limit": _DICTIONARY_PAGE_BYTES,
        "store_schema": False,
        "use_dictionary": [] if rows < _SMALL_ROWS else _repetitive(chunks, schema),
        "write_statistics": _telling(chunks, schema),
        "write_batch_size": _CHUNK_ROWS,
        "write_page_index": rows >= _INDEX_ROWS,
        "sorting_columns": [pq.SortingColumn(names.index("time"))],
    }
    if _CAN_BLOOM and rows >= _INDEX_ROWS:
        looked_up = [name for name in names if name.rpartition(".")[2] in _BLOOM_NAMES and ".list." not in name]
        options["bloom_filter_options"] = {name: {"ndv": rows} for name in looked_up}
    return options


def _repetitive(chunks: list[Packed], schema: pa.Schema) -> list[str]:
    """Return the leaves whose values repeat so often that a dictionary pays."""
    found = []
    sample = _first(chunks, _SAMPLE_ROWS)
    for (path, kind), leaf in zip(leaf_paths(schema), sample.leaves, strict=True):
        for name, array in () if kind is None else _leaves(path, leaf):
            ratio = _DISTINCT_RATIO if pa.types.is_string(array.type) else _DISTINCT_NUMBERS
            few = len(leaf) == 1 or pa.types.is_dictionary(array.type)
            if few or pc.count_distinct(array).as_py() <= ratio * (len(array) - array.null_count):
                found.append(name)
    return found


def _telling(chunks: list[Packed], schema: pa.Schema) -> list[str]:
    """Return the leaves whose least and greatest value let a reader skip rows: numbers, times, the same text in all.

    Rows stand in the order of time, so that other text differs as much in any part of them, as do the elements of
    lists; the uids and addresses among it have bloom filters.
    """
    once = zip(*([len(leaf) == 1 for leaf in chunk.leaves] for chunk in chunks), strict=True)
    return [
        path
        for (path, kind), same in zip(leaf_paths(schema), once, strict=True)
        if kind is not None and not kind.num_fields and (all(same) or not pa.types.is_string(kind))
    ]


def _first(chunks: list[Packed], rows: int) -> Packed:
    """Return the first rows of some chunks."""
    parts = []
    for chunk in chunks:
        parts.append(chunk.slice(0, min(rows, chunk.rows)))
        rows -= chunk.rows
        if rows <= 0:
            break
    return joined(parts)
