"""Arrow columns of text as dictionaries: each word once, and for each row which of them it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = [
    "WORDS",
    "dictionaries",
    "dictionary_paths",
    "fitting",
    "has_dictionary",
    "plain",
    "plain_column",
    "plain_type",
]

WORDS = pa.dictionary(pa.int8(), pa.string())
"""The type of columns of set words."""


def has_dictionary(kind: pa.DataType) -> bool:
    """Return whether a type is a dictionary, or holds one at any depth."""
    if pa.types.is_dictionary(kind):
        return True
    return any(has_dictionary(kind.field(place).type) for place in range(kind.num_fields))


def plain_type(kind: pa.DataType) -> pa.DataType:
    """Return a type with the types of their values for dictionaries, at any depth."""
    if pa.types.is_dictionary(kind):
        return plain_type(kind.value_type)
    if not has_dictionary(kind):
        return kind
    if pa.types.is_struct(kind):
        return pa.struct([child.with_type(plain_type(child.type)) for child in kind])
    if pa.types.is_map(kind):
        return pa.map_(plain_type(kind.key_type), plain_type(kind.item_type))
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(plain_type(kind.value_type)))
    return kind


def plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return a batch with a value for each row where it has dictionaries."""
    schema = batch.schema
    for place, column in enumerate(schema):
        if has_dictionary(column.type):
            schema = schema.set(place, column.with_type(plain_type(column.type)))
    return batch if schema is batch.schema else batch.cast(schema)


def plain_column(column: pa.Array) -> pa.Array:
    """Return a column with a value for each row where it has dictionaries."""
    return column.cast(plain_type(column.type)) if has_dictionary(column.type) else column


def fitting(fields: Iterable[pa.Field], columns: Iterable[pa.Array]) -> pa.Schema:
    """Return fields with the types that columns have: dictionaries where they are."""
    return pa.schema([field.with_type(column.type) for field, column in zip(fields, columns, strict=True)])


def dictionaries(column: pa.Array) -> Iterator[pa.Array]:
    """Yield the dictionaries of a column, at any depth."""
    if pa.types.is_dictionary(column.type):
        yield column.dictionary
    elif pa.types.is_struct(column.type):
        for place in range(column.type.num_fields):
            yield from dictionaries(column.field(place))
    elif pa.types.is_list(column.type) or pa.types.is_map(column.type):
        yield from dictionaries(column.values)


def dictionary_paths(fields: Iterable[pa.Field], prefix: str = "") -> Iterator[str]:
    """Yield the paths of dictionaries in structs and lists of structs, as ``observables[].name``."""
    for field in fields:
        kind, path = field.type, f"{prefix}{field.name}"
        while pa.types.is_list(kind):
            kind, path = kind.value_type, f"{path}[]"
        if pa.types.is_dictionary(kind):
            yield path
        elif pa.types.is_struct(kind):
            yield from dictionary_paths(kind, f"{path}.")
