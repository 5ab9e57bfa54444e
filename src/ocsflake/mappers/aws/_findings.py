"""What the findings of AWS's services have in common: severities, tags, times, coordinates."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from ocsflake.mappers._words import any_case
from ocsflake.mapping import apply, when
from ocsflake.mapping.expr import lift
from ocsflake.mapping.lists import each, fit, lengths, relist, relist_flat, singles
from ocsflake.mapping.values import parse_time

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocsflake.mapping import Expr, Fields

__all__ = [
    "alone",
    "banded",
    "flat",
    "given",
    "labels",
    "lon_lat",
    "nested",
    "only_resource",
    "repeated",
    "severity_id",
    "times",
]

SEVERITY = any_case({"Informational": 1, "Low": 2, "Medium": 3, "High": 4, "Critical": 5, "Untriaged": 0})

_NUMBER = re.compile(r"[0-9]{9,14}(?:\.[0-9]*)?|[0-9]\.[0-9]*[eE]\+?(?:9|1[0-2])")
_LATEST_SECOND = 10**11
_TAG_KEYS = (("key", "value"), ("Key", "Value"))


def severity_id(word: Expr) -> Expr:
    """Return the ``severity_id`` of a word, however it is capitalised; 99 for one that no service documents."""
    return word.lookup(SEVERITY, default=99)


def banded(score: Expr, *bands: tuple[range, int]) -> Expr:
    """Return the id of the band that a whole number is in; 0 where there is none. The number itself is not kept."""
    found = lift(0)
    for numbers, band in reversed(bands):
        found = when(score.is_in(map(str, numbers)), band, found)
    return found


def given(value: Expr, constant: int) -> Expr:
    """Return a constant wherever there is a value: an id that goes with it."""
    return value.lookup({}, default=constant)


def times(column: pa.Array) -> pa.Array:
    """Return times in milliseconds since 1970.

    AWS's events write text; its JSON APIs write seconds since 1970 as a number, also as ``1.663703546405E9``; OCSF
    itself has milliseconds.
    """
    return each(column, _milliseconds)


def labels(column: pa.Array) -> pa.Array:
    """Return the tags of each resource as ``key=value``, from a JSON object or a list of keys and values."""
    found = _for_words(column, _labels, pa.list_(pa.string()))
    return found if pa.types.is_list(column.type) else singles(found)


def nested(column: pa.Array, elements: pa.Array | None = None) -> pa.Array:
    """Return the list of each row as that of its only element: what the one actor, vulnerability ... of a row has.

    Args:
        column: The lists.
        elements: The lists whose elements share it, where there may be several.
    """
    found = singles(column)
    if elements is None or not pa.types.is_list(elements.type):
        return found
    shared = relist(elements, column.take(pc.list_parent_indices(elements)))
    return pc.if_else(elements.is_valid(), shared, found)


def flat(column: pa.Array) -> pa.Array:
    """Return lists of lists as lists; null where there is no value."""
    inner = column.flatten() if pa.types.is_list(column.type) else column
    found = relist_flat(column, inner) if pa.types.is_list(inner.type) else column
    if not pa.types.is_list(found.type):
        return found
    return pc.if_else(pc.greater(lengths(found), 0), found, pa.scalar(None, found.type))


def alone(column: pa.Array) -> pa.Array:
    """Return the only element of each list; null where it has none, or several."""
    if not pa.types.is_list(column.type):
        return column
    return pc.if_else(_single(column), _first(column), pa.scalar(None, column.type.value_type))


def only_resource(fields: Fields) -> Fields:
    """Return the attributes of resources for the classes that have one: it is the first of the list.

    OCSF has had a list of resources in Vulnerability and Compliance Finding since 1.3.

    Args:
        fields: The attributes of ``resources[]``.
    """
    only: Fields = {path.replace("resources[]", "resource"): value for path, value in fields.items()}
    if "resource.labels" in only:
        one = apply(_single, lift(only["resource.uid"]))
        only["resource.labels"] = apply(_first, lift(only["resource.labels"])).only_if(one)
    return only


def lon_lat(longitude: pa.Array, latitude: pa.Array) -> pa.Array:
    """Return longitude and latitude, in this order, for the only element of each row; null where one is no number."""
    pairs = [_pair(x, y) for x, y in zip(longitude.to_pylist(), latitude.to_pylist(), strict=True)]
    return singles(pa.array(pairs, pa.list_(pa.float64())))


def repeated(column: pa.Array, lists: pa.Array) -> pa.Array:
    """Return the value of each row for every element that its list has."""
    return relist(lists, fit(column, lists)) if pa.types.is_list(lists.type) else column


def _single(lists: pa.Array) -> pa.Array:
    return pc.equal(lengths(lists), 1) if pa.types.is_list(lists.type) else lists.is_valid()


def _first(lists: pa.Array) -> pa.Array:
    return lists.flatten().take(pc.index_in(pa.array(range(len(lists))), value_set=pc.list_parent_indices(lists)))


def _for_words(column: pa.Array, function: Callable[[str], object], kind: pa.DataType) -> pa.Array:
    """Apply a function to each distinct text of a column, within lists too."""

    def convert(texts: pa.Array) -> pa.Array:
        encoded = texts.dictionary_encode()
        return pa.array([function(word) for word in encoded.dictionary.to_pylist()], kind).take(encoded.indices)

    return each(column, convert)


def _milliseconds(texts: pa.Array) -> pa.Array:
    found = parse_time(texts)
    return found if found.null_count == texts.null_count else pc.coalesce(found, _for_words(texts, _count, pa.int64()))


def _count(text: str) -> int | None:
    if not _NUMBER.fullmatch(text):
        return None
    number = Decimal(text)
    return int(number if number >= _LATEST_SECOND else number * 1000)


def _labels(text: str) -> list[str]:
    try:
        tags = json.loads(text)
    except ValueError:
        return [text]
    if isinstance(tags, dict):
        return [f"{key}={_word(value)}" for key, value in tags.items()]
    return [_label(tag) for tag in tags] if isinstance(tags, list) else [text]


def _label(tag: object) -> str:
    if isinstance(tag, dict):
        for key, value in _TAG_KEYS:
            if set(tag) <= {key, value, "tag"} and key in tag:  # some say both once more, as ``tag``
                return f"{tag[key]}={_word(tag.get(value, ''))}"
    return _word(tag)


def _word(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _pair(longitude: str | None, latitude: str | None) -> list[float] | None:
    try:
        return [float(longitude or ""), float(latitude or "")]
    except ValueError:
        return None
