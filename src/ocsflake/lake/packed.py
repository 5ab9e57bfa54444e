"""Rows without what is the same in all of them.

Most columns of a log's events hold one value: the class and its name, the product, the profiles, what no log of that
kind has. Such a column is kept as that one value, so that events which are held, sorted or spilled take the time and
the memory of what differs.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from attrs import frozen

from ocsflake.dictionaries import dictionaries, has_dictionary, plain_column

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["Packed", "encoded", "joined", "leaf_paths", "pack", "packed", "repeated", "unpack"]

_FIRST = pa.array([0], pa.int8())
_ZERO = pa.scalar(0, pa.int8())
_TEXT = pa.dictionary(pa.int32(), pa.string())


@frozen(eq=False)
class Packed:
    """Rows of a schema.

    Attributes:
        rows: How many.
        leaves: The columns, each struct as where it is present (truth values) and then its members, at any depth. One
            of length 1 stands for all rows. Text may be a dictionary of set words, within lists too.
        nbytes: The bytes of what differs; a slice has its part of them.
    """

    rows: int
    leaves: tuple[pa.Array, ...]
    nbytes: int

    def slice(self, start: int, length: int) -> Packed:
        """Return some rows, without copying."""
        leaves = list(self.leaves)
        for place, leaf in enumerate(leaves):
            if len(leaf) > 1:
                leaves[place] = leaf.slice(start, length)
        return Packed(length, tuple(leaves), self.nbytes * length // max(self.rows, 1))


def packed(rows: int, leaves: Iterable[pa.Array]) -> Packed:
    """Return leaves as rows."""
    held = tuple(leaves)
    differ = [leaf for leaf in held if len(leaf) > 1]
    shared = {_values(leaf): leaf.nbytes for leaf in differ if not leaf.type.num_fields}  # a time and its datetime are
    return Packed(rows, held, sum(shared.values()) + sum(leaf.nbytes for leaf in differ if leaf.type.num_fields))


def _values(leaf: pa.Array) -> tuple[int, int]:
    """Return where the values of a leaf lie in memory."""
    buffer = leaf.buffers()[-1]
    return (0, 0) if buffer is None else (buffer.address, leaf.offset)


def pack(batch: pa.RecordBatch) -> Packed:
    """Return the rows of a batch; at least one."""
    return packed(batch.num_rows, (leaf for column in batch.columns for leaf in _packed(column)))


def unpack(parts: Sequence[Packed], schema: pa.Schema) -> pa.Table:
    """Return packed rows as a table of their schema, a chunk for each part."""
    counts = [part.rows for part in parts]
    columns = zip(*(part.leaves for part in parts), strict=True)
    chunks = [_unpacked(field.type, columns, counts) for field in schema]
    return pa.table([pa.chunked_array(each, field.type) for each, field in zip(chunks, schema, strict=True)], schema)


def joined(parts: list[Packed], order: pa.Array | None = None) -> Packed:
    """Return the rows of several parts as one, one part after the other, or in another order (row numbers).

    Text stays a dictionary where all parts have the same one. `order` is taken at its word. The list is emptied, so
    that each column can go as soon as its copy is made: there may be much of them.
    """
    counts = [part.rows for part in parts]
    columns = list(zip(*(part.leaves for part in parts), strict=True))
    parts.clear()
    columns.reverse()
    leaves = []
    while columns:
        leaf = _join(columns.pop(), counts)
        leaves.append(leaf if order is None or len(leaf) == 1 else pc.take(leaf, order, boundscheck=False))
    return packed(sum(counts), leaves)


def leaf_paths(schema: pa.Schema) -> Iterator[tuple[str, pa.DataType | None]]:
    """Yield path and type of each leaf of packed rows; ``None`` for where a struct is present."""
    for field in schema:
        yield from _paths(field.name, field.type)


def encoded(schema: pa.Schema, parts: Sequence[Packed]) -> pa.Schema:
    """Return a schema with dictionaries for text that is the same in all rows, or is one in every part.

    A dictionary of one value holds nothing that is not in the rows.
    """
    columns = zip(*(part.leaves for part in parts), strict=True)
    return pa.schema([field.with_type(_encoded(field.type, columns)) for field in schema])


def _encoded(kind: pa.DataType, columns: Iterator[Sequence[pa.Array]]) -> pa.DataType:
    leaves = next(columns)
    if pa.types.is_struct(kind):
        return pa.struct([child.with_type(_encoded(child.type, columns)) for child in kind])
    same = _same(leaves)
    if same and pa.types.is_list(kind) and pa.types.is_string(kind.value_type):
        return pa.list_(kind.value_field.with_type(_TEXT))
    if pa.types.is_string(kind):
        return _TEXT if same or _model(leaves) is not None else kind
    model = _model(leaves)
    return kind if model is None else model.type


def _paths(path: str, kind: pa.DataType) -> Iterator[tuple[str, pa.DataType | None]]:
    if pa.types.is_struct(kind):
        yield path, None
        for child in kind:
            yield from _paths(f"{path}.{child.name}", child.type)
    else:
        yield path, kind


def _packed(column: pa.Array) -> Iterator[pa.Array]:
    if pa.types.is_struct(column.type):
        yield _once(column.is_valid()) if column.null_count else pa.array([True])
        for place in range(column.type.num_fields):
            yield from _packed(column.field(place))
    else:
        yield _once(column)


def _once(column: pa.Array) -> pa.Array:
    """Return one value if all are the same, else the column."""
    count = len(column)
    if not column.slice(0, 1).equals(column.slice(count - 1)):
        return column
    if _has_floats(column.type) and column.null_count < count:
        return column
    if _of_one_word(column) or count == 1 or column.slice(1).equals(column.slice(0, count - 1)):
        return plain_column(column.take(_FIRST))  # a slice would keep all of it in memory
    return column


def _of_one_word(column: pa.Array) -> bool:
    return pa.types.is_dictionary(column.type) and len(column.dictionary) == 1 and not column.null_count


def _has_floats(kind: pa.DataType) -> bool:
    """Return whether a type holds floats: 0.0 equals -0.0 and is another value."""
    return pa.types.is_floating(kind) or any(_has_floats(kind.field(place).type) for place in range(kind.num_fields))


def _same(leaves: Sequence[pa.Array]) -> bool:
    """Return whether parts of a leaf have one value, and the same."""
    first = leaves[0]
    return all(len(leaf) == 1 and leaf.equals(first) for leaf in leaves) and not _has_floats(first.type)


def _join(leaves: Sequence[pa.Array], counts: Sequence[int]) -> pa.Array:
    if len(leaves) == 1 or _same(leaves):
        return leaves[0]
    return pa.concat_arrays(_alike(leaves, counts))


def _alike(leaves: Sequence[pa.Array], counts: Sequence[int]) -> list[pa.Array]:
    """Return leaves with a value for each row, all of one type: dictionaries where they can have the same ones."""
    model = _model(leaves)
    if model is not None:
        return [_like(leaf, count, model) for leaf, count in zip(leaves, counts, strict=True)]
    return [plain_column(repeated(leaf, count)) for leaf, count in zip(leaves, counts, strict=True)]


def _model(leaves: Sequence[pa.Array]) -> pa.Array | None:
    """Return the leaf whose dictionaries all others have or can have, ``None`` if there is none."""
    model = next((leaf for leaf in leaves if has_dictionary(leaf.type)), None)
    if model is None:
        return None
    known = list(dictionaries(model))
    for leaf in leaves:
        if leaf.type == model.type:
            if not all(map(pa.Array.equals, dictionaries(leaf), known)):
                return None
        elif len(leaf) > 1 or not (leaf.null_count or _place(leaf, model) is not None):
            return None
    return model


def _place(leaf: pa.Array, model: pa.Array) -> pa.Scalar | None:
    """Return the place of the one value of a leaf in the dictionary of another, ``None`` if it is not there."""
    if not pa.types.is_dictionary(model.type) or model.type.value_type != leaf.type:
        return None
    place = pc.index(model.dictionary, leaf[0])
    return None if place.as_py() < 0 else place.cast(model.type.index_type)


def _like(leaf: pa.Array, rows: int, model: pa.Array) -> pa.Array:
    """Return a leaf with a value for each row and the dictionaries of another."""
    if leaf.type == model.type:
        return repeated(leaf, rows)
    place = None if leaf.null_count else _place(leaf, model)
    if place is None:
        return model.take(pa.nulls(rows, pa.int8()))
    return pa.DictionaryArray.from_arrays(pa.repeat(place, rows), model.dictionary, safe=False)


def repeated(leaf: pa.Array, rows: int) -> pa.Array:
    """Return a leaf with a value for each row."""
    if len(leaf) == rows:
        return leaf
    if pa.types.is_nested(leaf.type) or pa.types.is_dictionary(leaf.type):
        return leaf.take(pa.repeat(_ZERO, rows))
    return pa.nulls(rows, leaf.type) if leaf.null_count else pa.repeat(leaf[0], rows)


def _unpacked(kind: pa.DataType, columns: Iterator[Sequence[pa.Array]], counts: Sequence[int]) -> list[pa.Array]:
    leaves = next(columns)
    if pa.types.is_struct(kind):
        children = zip(*[_unpacked(child.type, columns, counts) for child in kind], strict=True)
        absent = [
            None if len(leaf) == 1 and leaf[0].as_py() else pc.invert(repeated(leaf, count))
            for leaf, count in zip(leaves, counts, strict=True)
        ]
        return [
            pa.StructArray.from_arrays(members, fields=list(kind), mask=mask)
            for members, mask in zip(children, absent, strict=True)
        ]
    if pa.types.is_list(kind) and kind.value_type == _TEXT:
        return [_listed(leaf, count, kind) for leaf, count in zip(leaves, counts, strict=True)]
    if kind == _TEXT:
        if _model(leaves) is not None:
            return [_wide(leaf) for leaf in _alike(leaves, counts)]
        return [
            repeated(plain_column(leaf).dictionary_encode(), count) for leaf, count in zip(leaves, counts, strict=True)
        ]
    return [leaf if leaf.type == kind else leaf.cast(kind) for leaf in _alike(leaves, counts)]


def _wide(leaf: pa.DictionaryArray) -> pa.Array:
    """Return a dictionary with the places that a schema for Parquet has."""
    return pa.DictionaryArray.from_arrays(leaf.indices.cast(_TEXT.index_type), leaf.dictionary, safe=False)


def _listed(leaf: pa.Array, rows: int, kind: pa.DataType) -> pa.Array:
    """Return a leaf of lists of text as lists of dictionaries."""
    if len(leaf) == rows or leaf.null_count:
        return repeated(leaf, rows).cast(kind)
    values = leaf.flatten().dictionary_encode()
    offsets, places = _tiles(len(values), 1 << (rows - 1).bit_length())
    values = pa.DictionaryArray.from_arrays(values.indices.take(places.slice(0, rows * len(values))), values.dictionary)
    return pa.ListArray.from_arrays(offsets.slice(0, rows + 1), values, type=kind)


@functools.lru_cache(maxsize=16)
def _tiles(width: int, rows: int) -> tuple[pa.Array, pa.Array]:
    """Return the offsets of lists of one length, and the places within each list, again and again."""
    offsets = pa.array(range(0, (rows + 1) * width, width) if width else [0] * (rows + 1), pa.int32())
    return offsets, pa.array([*range(width)] * rows, pa.int32())
