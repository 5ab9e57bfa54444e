"""Casting a column to an attribute: bad cells are named, never raised, and never spoil their neighbours.

Two kinds of trouble are kept apart. A cell of the *wrong kind* (a number where text is due) makes its record a reject:
the log is not what the mapper knows. A value that its attribute cannot hold (a time that does not parse, an ``ip`` that
is no address, a text that is too long) is left out and goes to ``unmapped``; where no event is valid without the
attribute, that makes the record a reject too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from attrs import frozen

from ocsflake.mapping.lists import relist, rows_with
from ocsflake.mapping.values import (
    MAX_TIME,
    is_ip,
    json_text,
    none_longer,
    parse_time,
    scalar_text,
    string_text,
    whole_numbers,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocsflake.ocsf import Attribute

__all__ = ["Cell", "cast"]

_INT32 = 2**31
_NUMBER = r"^-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]{1,3})?$"


@frozen(eq=False)
class Cell:
    """A column of an attribute's type.

    Attributes:
        values: The column: a scalar type, or lists of it where the attribute or its object is a list.
        bad: Rows that are rejects, or ``None``.
        reason: What was due in those.
        refused: Rows whose value the attribute cannot hold, now null, or ``None``.
    """

    values: pa.Array
    bad: pa.Array | None = None
    reason: str = ""
    refused: pa.Array | None = None


def cast(column: pa.Array, attribute: Attribute, *, needed: bool) -> Cell:
    """Return a column as the type of `attribute`; lists stay lists, and their cells count for their rows.

    Args:
        column: JSON tokens, text, native values or lists of these.
        attribute: The attribute.
        needed: Whether no event is valid without it.
    """
    if pa.types.is_list(column.type):
        cell = cast(column.flatten(), attribute, needed=needed)
        bad = None if cell.bad is None else rows_with(column, cell.bad)
        refused = None if cell.refused is None else rows_with(column, cell.refused)
        return Cell(relist(column, cell.values), bad, cell.reason, refused)
    target, convert, due = _conversion(attribute)
    if pa.types.is_null(column.type):
        return Cell(pa.nulls(len(column), target))
    values = convert(column)
    bad, reason = None, f"{due} is due"
    refused = _refused(values, attribute)
    if refused is not None:
        values = pc.if_else(refused, pa.scalar(None, values.type), values)
    if values.null_count > column.null_count:
        failed = pc.and_(values.is_null(), column.is_valid())
        if needed:
            bad, refused = failed, None
        else:
            wrong = pc.and_(failed, _no_text(column))
            if refused is not None:
                wrong = pc.and_(wrong, pc.invert(refused))  # it is of the right kind
            bad = wrong if pc.any(wrong).as_py() else None
            refused = pc.and_(failed, pc.invert(wrong))
    return Cell(values, bad, reason, refused)


def _no_text(column: pa.Array) -> pa.Array:
    """Return which values are JSON, and no JSON string."""
    if pa.types.is_binary(column.type):
        return pc.fill_null(pc.invert(pc.starts_with(column, pattern=b'"')), False)
    return pa.repeat(pa.scalar(False), len(column))


def _conversion(attribute: Attribute) -> tuple[pa.DataType, Callable[[pa.Array], pa.Array], str]:
    if attribute.type == "timestamp_t":
        return pa.int64(), _time, "a time"
    conversions: dict[str, tuple[pa.DataType, Callable[[pa.Array], pa.Array], str]] = {
        "string_t": (pa.string(), _text, "text"),
        "integer_t": (pa.int32(), _int32, "a whole number of 32 bits"),
        "long_t": (pa.int64(), _int64, "a whole number of 64 bits"),
        "float_t": (pa.float64(), _float, "a number"),
        "boolean_t": (pa.bool_(), _boolean, "true or false"),
        "json_t": (pa.string(), json_text, "JSON"),
    }
    return conversions[attribute.base]


def _text(column: pa.Array) -> pa.Array:
    return string_text(column) if pa.types.is_binary(column.type) else scalar_text(column)


def _int64(column: pa.Array) -> pa.Array:
    if pa.types.is_integer(column.type) and column.type != pa.uint64():
        return column.cast(pa.int64())
    return whole_numbers(scalar_text(column))


def _int32(column: pa.Array) -> pa.Array:
    wide = _int64(column)
    try:
        return wide.cast(pa.int32())
    except pa.ArrowInvalid:
        fits = pc.and_(pc.less(wide, _INT32), pc.greater_equal(wide, -_INT32))
        return pc.if_else(fits, wide, pa.scalar(None, pa.int64())).cast(pa.int32())


def _float(column: pa.Array) -> pa.Array:
    if not pa.types.is_floating(column.type) and not pa.types.is_integer(column.type):
        text = scalar_text(column)
        number = pc.fill_null(pc.match_substring_regex(text, pattern=_NUMBER), False)
        column = pc.if_else(number, text, pa.scalar(None, pa.string()))
    found = column.cast(pa.float64(), safe=False)
    return pc.if_else(pc.is_finite(found), found, pa.scalar(None, pa.float64()))  # JSON knows no others


def _boolean(column: pa.Array) -> pa.Array:
    if pa.types.is_boolean(column.type):
        return column
    found = pc.index_in(pc.utf8_lower(scalar_text(column)), value_set=pa.array(["true", "false"]))
    return pa.array([True, False]).take(found)


def _time(column: pa.Array) -> pa.Array:
    if pa.types.is_timestamp(column.type):
        column = pc.floor_temporal(column, unit="millisecond").cast(pa.timestamp("ms", "UTC"), safe=False)
        found = column.cast(pa.int64())
    elif pa.types.is_integer(column.type):
        found = column.cast(pa.int64())
    else:
        found = parse_time(_text(column))
    sane = pc.and_(pc.greater_equal(found, 0), pc.less(found, MAX_TIME))
    if pc.all(sane, skip_nulls=True).as_py():
        return found
    return pc.if_else(sane, found, pa.scalar(None, pa.int64()))


def _refused(values: pa.Array, attribute: Attribute) -> pa.Array | None:
    """Return where a value breaks the rules of its OCSF type, ``None`` where none does."""
    if values.null_count == len(values):
        return None
    allowed = None
    if attribute.base == "string_t":
        allowed = _allowed_text(values, attribute)
    elif attribute.range is not None and attribute.base in ("integer_t", "long_t"):
        low, high = attribute.range
        least = pc.min_max(values).as_py()
        if least["min"] < low or least["max"] > high:
            allowed = pc.and_(pc.greater_equal(values, low), pc.less_equal(values, high))
    if allowed is None:
        return None
    refused = pc.fill_null(pc.invert(allowed), False)
    return refused if pc.any(refused).as_py() else None


def _allowed_text(values: pa.Array, attribute: Attribute) -> pa.Array | None:
    allowed = None
    if attribute.max_len is not None and not none_longer(values, attribute.max_len):
        allowed = pc.less_equal(pc.utf8_length(values), attribute.max_len)
    if attribute.type == "ip_t":
        matches = is_ip(values)
    elif attribute.enum:
        matches = pc.is_in(values, value_set=pa.array(list(attribute.enum), pa.string()))
    elif attribute.regex is not None:
        encoded = values.dictionary_encode()
        matches = pc.match_substring_regex(encoded.dictionary, pattern=attribute.regex).take(encoded.indices)
    else:
        return allowed
    matches = pc.or_(pc.fill_null(matches, False), values.is_null())
    return matches if allowed is None else pc.and_(allowed, matches)
