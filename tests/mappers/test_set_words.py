"""Columns of set words: a dictionary holds captions and texts of the table, whatever is in the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sample_events import raw_batches

import ocsflake
from ocsflake.dictionaries import WORDS, has_dictionary
from ocsflake.model import RawBatch
from ocsflake.samples import files, log_types

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa


def words_of(column: pa.Array, path: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    kind = column.type
    if kind == WORDS and len(column.dictionary):  # nulls alone have an empty one
        yield path, tuple(column.dictionary.to_pylist())
    elif str(kind).startswith("list<"):
        yield from words_of(column.values, f"{path}[]")
    elif str(kind).startswith("struct<"):
        for place, child in enumerate(kind):
            yield from words_of(column.field(place), f"{path}.{child.name}")


def found(log_type: str, raws: Iterable[RawBatch], rows: int) -> dict[str, set[tuple[str, ...]]]:
    """Return the dictionaries of each class and path."""
    dictionaries: dict[str, set[tuple[str, ...]]] = {}
    for mapped in ocsflake.mapper(log_type).map_batches(raws, rows=rows):
        for batch in mapped.batches:
            assert not any(has_dictionary(kind) for kind in batch.events.schema.types)
            assert batch.events.to_pylist() == batch.encoded.to_pylist()
            for name, column in zip(batch.encoded.schema.names, batch.encoded.columns, strict=True):
                for path, words in words_of(column, f"{batch.event_class}: {name}"):
                    dictionaries.setdefault(path, set()).add(words)
    return dictionaries


@pytest.mark.parametrize("log_type", log_types())
def test_dictionaries_are_of_the_table(log_type: str) -> None:
    """Whatever the records are, the dictionary of an attribute is the same: nothing of them is in it."""
    all_at_once = found(log_type, raw_batches(files(log_type)), 10_000)
    few_at_once = found(log_type, raw_batches(files(log_type)), 1)

    both = {path: words | few_at_once.get(path, set()) for path, words in all_at_once.items()}
    assert {path: words for path, words in both.items() if len(words) > 1} == {}
    assert any(path.endswith(": type_name") for path in all_at_once)


def test_a_word_of_the_log_is_in_no_dictionary() -> None:
    """The source's own word for 99 stands in a plain column."""
    line = "2 123456789012 eni-1 10.0.0.1 10.0.0.2 1 2 6 1 1 1700000000 1700000060 {} OK"
    for word, plain in (("ACCEPT", False), ("PERHAPS", True)):
        [mapped] = ocsflake.mapper("aws.vpc_flow").map_batches([RawBatch(line.format(word).encode())])
        [batch] = mapped.batches
        assert (batch.encoded["action"].type != WORDS) == plain
        assert batch.events["action"].to_pylist() == ["PERHAPS" if plain else "Allowed"]
