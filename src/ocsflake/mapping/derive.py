"""What OCSF itself determines once an event's own values are known: captions, ``type_uid``, ``*_dt``, observables."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
from attrs import evolve, frozen

from ocsflake.mapping.lists import each, fit, lengths, pick, relist, row_numbers
from ocsflake.mapping.unmapped import by_row
from ocsflake.mapping.values import scalar_text

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

__all__ = [
    "EnumRule",
    "ObservableRule",
    "Words",
    "datetimes",
    "enum_values",
    "observables",
    "one_word",
    "words_of",
]

K = TypeVar("K")

OTHER = 99
_MOST_WORDS = 127


@frozen(eq=False)
class Words:
    """Words that a column may have, which do not come from the log: a dictionary of them.

    Attributes:
        places: Whatever stands for a word, such as an id, to its place in the dictionary.
        dictionary: The words, each once.
    """

    places: Mapping[Hashable, int]
    dictionary: pa.Array

    def take(self, places: pa.Array) -> pa.DictionaryArray:
        """Return the words at some places (int8); null for null."""
        return pa.DictionaryArray.from_arrays(places, self.dictionary, safe=False)


def words_of(captions: Mapping[K, str]) -> Words | None:
    """Return a dictionary of captions, ``None`` if there are too many for one byte."""
    distinct = list(dict.fromkeys(captions.values()))
    if len(distinct) > _MOST_WORDS:
        return None
    places = {word: place for place, word in enumerate(distinct)}
    return Words({key: places[word] for key, word in captions.items()}, pa.array(distinct, pa.string()))


def one_word(word: str, rows: int) -> pa.DictionaryArray:
    """Return the same word for each row, as a dictionary."""
    return pa.DictionaryArray.from_arrays(_zeros(1 << (rows - 1).bit_length() if rows else 0).slice(0, rows), [word])


@functools.lru_cache(maxsize=8)
def _zeros(rows: int) -> pa.Array:
    return pa.repeat(pa.scalar(0, pa.int8()), rows)


@frozen(eq=False)
class EnumRule:
    """How an enum and its text sibling go together.

    Attributes:
        allowed: The values of the target version.
        captions: Every value of the newest version with its caption.
        words: The captions as a dictionary, or ``None`` where the sibling may not have all of them.
    """

    allowed: frozenset[int]
    captions: Mapping[int, str]
    words: Words | None = None


@frozen(eq=False)
class ObservableRule:
    """An attribute whose values are observables.

    Attributes:
        path: The attribute, which becomes the ``name``.
        type_id: The kind of observable.
        caption: Its caption.
    """

    path: str
    type_id: int
    caption: str


def enum_values(rule: EnumRule, ids: pa.Array, words: pa.Array | None) -> tuple[pa.Array, pa.Array]:
    """Return ids that the target version knows, and their texts.

    An id that it does not know becomes 99 Other, with the caption that a newer version gives it, or with the number.
    Where the id is 99, the source's own word (`words`) is the text. The texts are a dictionary where all are captions.
    """
    if pa.types.is_list(ids.type):
        plain = evolve(rule, words=None)
        found = enum_values(plain, ids.flatten(), None if words is None else fit(words, ids))
        return relist(ids, found[0]), relist(ids, found[1])
    encoded = ids.dictionary_encode()
    known = encoded.dictionary.to_pylist()
    given = words is not None and not pa.types.is_null(words.type) and not pa.types.is_list(words.type)
    given = given and OTHER in known and OTHER in rule.allowed
    if rule.words is not None and not given and rule.words.places.keys() >= set(known):
        places = pa.array([rule.words.places[value] for value in known], pa.int8())
        texts = rule.words.take(pick(places, encoded.indices))
    else:
        captions = [rule.captions.get(value, str(value)) for value in known]
        texts = pick(pa.array(captions, pa.string()), encoded.indices)
    if given:
        other = pc.fill_null(pc.equal(ids, OTHER), False)
        texts = pc.if_else(other, pc.coalesce(scalar_text(words), texts), texts)
    if not rule.allowed.issuperset(known):
        instead = OTHER if OTHER in rule.allowed else 0
        known = [value if value in rule.allowed else instead for value in known]
        ids = pick(pa.array(known, ids.type), encoded.indices)
    return ids, texts


def datetimes(milliseconds: pa.Array) -> pa.Array:
    """Return the datetime twin of a timestamp."""
    return each(milliseconds, lambda column: column.cast(pa.timestamp("ms", "UTC")))


def observables(rules: Sequence[ObservableRule], columns: Sequence[pa.Array], rows: int, kind: pa.DataType) -> pa.Array:
    """Return the observables of each row in the order of `rules`; null where a row has none.

    Args:
        rules: What the columns are.
        columns: Text, other scalars, or lists of these.
        rows: How many rows.
        kind: The Arrow type of the attribute, a list of structs.
    """
    held = [place for place, column in enumerate(columns) if column.null_count < len(column)]
    objects = functools.partial(_objects, tuple(rules), pa.array(held, pa.int32()), kind.value_type)
    columns = [columns[place] for place in held]
    if not held:
        return pa.nulls(rows, kind)
    if not any(pa.types.is_list(column.type) for column in columns):
        return _observed([scalar_text(column) for column in columns], rows, kind, objects)
    at, which, values = [], [], []
    for number, column in enumerate(columns):
        rows_of, found = _pairs(column)
        at.append(rows_of)
        values.append(scalar_text(found))
        which.append(pa.repeat(pa.scalar(number, pa.int32()), len(found)))
    all_rows = pa.concat_arrays(at)
    order = pc.array_sort_indices(all_rows)  # stable: the order of the rules stays
    rule = pa.concat_arrays(which).take(order)
    offsets, empty = by_row(all_rows.take(order), rows)
    made = objects(rule, pa.concat_arrays(values).take(order))
    return pa.ListArray.from_arrays(offsets, made, type=kind, mask=empty)


def _observed(
    columns: Sequence[pa.Array], rows: int, kind: pa.DataType, objects: Callable[[pa.Array, pa.Array], pa.Array]
) -> pa.Array:
    """Return the observables of columns that have at most one value a row: these interleave."""
    width = len(columns)
    valid = [column.is_valid() for column in columns]
    counts = functools.reduce(pc.add, [one.cast(pa.int32()) for one in valid])
    row, rule = _interleaved(width, 1 << (rows - 1).bit_length() if rows else 0)
    row, rule = row.slice(0, rows * width), rule.slice(0, rows * width)
    values = pick(pa.concat_arrays(columns), pc.add(row, pc.multiply(rule, pa.scalar(rows, pa.int32()))))
    if values.null_count:
        present = values.is_valid()
        values, rule = values.filter(present), rule.filter(present)
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(counts)])
    empty = pc.equal(counts, 0) if pc.min(counts).as_py() == 0 else None
    return pa.ListArray.from_arrays(offsets, objects(rule, values), type=kind, mask=empty)


@functools.lru_cache(maxsize=16)
def _interleaved(width: int, rows: int) -> tuple[pa.Array, pa.Array]:
    """Return row numbers, each so many times, and the places 0 to `width` - 1 within each row."""
    row = [number for number in range(rows) for _ in range(width)]
    return pa.array(row, pa.int32()), pa.array([*range(width)] * rows, pa.int32())


def _objects(
    rules: tuple[ObservableRule, ...], held: pa.Array, kind: pa.StructType, which: pa.Array, values: pa.Array
) -> pa.Array:
    """Return observables of values and the numbers of their rules among those that are held."""
    members = {
        "name": _told(tuple(rule.path for rule in rules), held, which, kind.field("name").type),
        "type": _told(tuple(rule.caption for rule in rules), held, which, kind.field("type").type),
        "type_id": pick(pa.array([rule.type_id for rule in rules], pa.int32()).take(held), which),
        "value": values,
    }
    fields = list(kind)
    return pa.StructArray.from_arrays([members[f.name].cast(f.type) for f in fields], fields=fields)


def _told(texts: tuple[str, ...], held: pa.Array, which: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return the text of each rule; as a dictionary, if that is the type, which is the same for all batches."""
    if not pa.types.is_dictionary(kind):
        return pick(pa.array(texts, pa.string()).take(held), which)
    words = _vocabulary(texts)
    places = pa.array([words.places[text] for text in texts], pa.int8())
    return words.take(pick(places.take(held), which))


@functools.lru_cache(maxsize=256)
def _vocabulary(texts: tuple[str, ...]) -> Words:
    words = words_of(dict(zip(texts, texts, strict=True)))
    assert words is not None, "the type of a column was made for words that are too many"
    return words


def _pairs(column: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Return row numbers and values of what is not null."""
    if pa.types.is_list(column.type):
        rows, values = pc.list_parent_indices(column).cast(pa.int32()), column.flatten()
        while pa.types.is_list(values.type):
            counts = lengths(values)
            rows = rows.take(pc.list_parent_indices(values)) if pc.sum(counts).as_py() else rows[:0]
            values = values.flatten()
        valid = values.is_valid()
        return rows.filter(valid), values.filter(valid)
    if not column.null_count:
        return row_numbers(len(column)), column
    valid = column.is_valid()
    return pc.indices_nonzero(valid).cast(pa.int32()), column.filter(valid)
