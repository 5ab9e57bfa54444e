"""Dictionaries of set words: what they are is told from types, and plain rows come of them."""

from __future__ import annotations

import pyarrow as pa
import pytest
from attrs import evolve

from ocsflake.dictionaries import WORDS, dictionaries, dictionary_paths, fitting, has_dictionary, plain, plain_type
from ocsflake.model import EventBatch

TEXT = pa.string()
OBJECT = pa.struct([pa.field("name", WORDS, nullable=False), pa.field("value", TEXT)])
PLAIN_OBJECT = pa.struct([pa.field("name", TEXT, nullable=False), pa.field("value", TEXT)])
WORD = pa.DictionaryArray.from_arrays(pa.array([1, None, 0], pa.int8()), ["a", "b", "c"])


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (TEXT, TEXT),
        (WORDS, TEXT),
        (OBJECT, PLAIN_OBJECT),
        (pa.list_(OBJECT), pa.list_(PLAIN_OBJECT)),
        (pa.map_(TEXT, WORDS), pa.map_(TEXT, TEXT)),
        (pa.dictionary(pa.int32(), WORDS), TEXT),
        (pa.list_(pa.int32()), pa.list_(pa.int32())),
    ],
)
def test_plain_type(kind: pa.DataType, expected: pa.DataType) -> None:
    """The type of the values stands for a dictionary wherever it is; what may not be null stays so."""
    assert plain_type(kind) == expected
    assert str(plain_type(kind)) == str(expected)
    assert has_dictionary(kind) == (kind != expected)


def test_plain() -> None:
    """A batch has the same rows without its dictionaries, and is the same batch where it has none."""
    names = pa.StructArray.from_arrays([WORD.fill_null("c"), pa.array(["x", None, "z"])], fields=list(OBJECT))
    lists = pa.ListArray.from_arrays(pa.array([0, 2, 2, 3], pa.int32()), names)
    batch = pa.RecordBatch.from_arrays([WORD, names, lists, pa.array([1, 2, 3])], ["word", "object", "list", "number"])

    found = plain(batch)

    assert found.schema.types == [TEXT, PLAIN_OBJECT, pa.list_(PLAIN_OBJECT), pa.int64()]
    assert found.to_pylist() == batch.to_pylist()
    assert plain(found) is found


def test_paths_and_dictionaries() -> None:
    """Paths are spelt as those of tables, and the dictionaries of a column come in the order of its members."""
    schema = pa.schema([("word", WORDS), ("list", pa.list_(OBJECT)), ("in", pa.struct([("at", OBJECT)])), ("n", TEXT)])
    two = pa.StructArray.from_arrays([WORD, WORD.dictionary.dictionary_encode()], ["one", "other"])

    assert list(dictionary_paths(schema)) == ["word", "list[].name", "in.at.name"]
    assert [words.to_pylist() for words in dictionaries(two)] == [["a", "b", "c"], ["a", "b", "c"]]
    assert list(dictionaries(pa.array([1]))) == []


def test_fitting() -> None:
    """A schema takes the types of columns, and keeps what else it says."""
    schema = pa.schema([pa.field("word", TEXT, nullable=False), pa.field("n", pa.int32())])

    found = fitting(schema, [WORD, pa.array([1, 2, 3], pa.int32())])

    assert found == pa.schema([pa.field("word", WORDS, nullable=False), pa.field("n", pa.int32())])


class TestEventBatch:
    """What may stay a dictionary on its way into a lake: set words alone, since a slice shows all of them."""

    batch = pa.RecordBatch.from_arrays([WORD], ["word"])

    def test_of_words(self) -> None:
        """Set words stay as they are for a lake, and everybody else sees plain columns."""
        events = EventBatch.of_words("a.b", "a_b", "base_event", self.batch)

        assert (events.encoded, events.rows) == (self.batch, 3)
        assert events.events == pa.RecordBatch.from_pydict({"word": ["b", None, "a"]})
        assert events.within(pa.array([True, False, False])).encoded.column(0).dictionary.to_pylist() == ["a", "b", "c"]

    def test_of_others(self) -> None:
        """A dictionary that somebody else made may hold values of a log."""
        events = EventBatch("a.b", "a_b", "base_event", self.batch)

        assert events.events is self.batch
        assert events.encoded.column(0).type == TEXT
        assert events.within(pa.array([True, False, False])).encoded.column(0).type == TEXT

    def test_changed(self) -> None:
        """What is put in the place of events is somebody else's."""
        events = evolve(EventBatch.of_words("a.b", "a_b", "base_event", self.batch), events=self.batch)

        assert events.encoded.column(0).type == TEXT
