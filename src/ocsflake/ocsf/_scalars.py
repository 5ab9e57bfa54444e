"""Checks of one column of scalars, all of them Arrow kernels.

Each check first asks a question about the whole column that a good column answers at once (its least and greatest
value, its longest text), and looks for rows only when the answer is bad.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from attrs import field, frozen

from ocsflake.ocsf.report import Finding

if TYPE_CHECKING:
    from ocsflake.ocsf.schema import Attribute

__all__ = ["Check", "Found", "Place", "as_int64", "sample", "scalar_check", "wrong_type"]

_INT32 = (-(2**31), 2**31 - 1)
_INT64 = (-(2**63), 2**63 - 1)
_FITTING = (pa.int8(), pa.int16(), pa.int32(), pa.uint8(), pa.uint16())  # integers of at most 32 bits, signed
_FLOAT_LIMIT = 2.0**63


@frozen(eq=False)
class Place:
    """Where the values of an array stand: one a row, or the elements of `lists`, which stand at `up`."""

    up: Place | None = None
    lists: pa.Array | None = None

    def rows(self, mask: pa.BooleanArray) -> pa.Array:
        """Return the numbers of the rows that hold a value for which `mask` is true; int64, ascending."""
        chosen = pc.indices_nonzero(mask)
        place = self
        while place.up is not None:
            chosen = _parents(place.lists).take(chosen)
            place = place.up
        return pc.unique(chosen).cast(pa.int64())


@frozen(eq=False)
class Found:
    """Gathers findings."""

    findings: list[Finding] = field(factory=list)

    def error(self, rule: str, path: str, rows: pa.Array, detail: str) -> None:
        """Add an error."""
        self.findings.append(Finding(rule, path, "error", rows, detail))

    def warning(self, rule: str, path: str, rows: pa.Array, detail: str) -> None:
        """Add a warning."""
        self.findings.append(Finding(rule, path, "warning", rows, detail))


Check = Callable[[pa.Array, Place, Found], None]


def wrong_type(attribute: Attribute, kind: pa.DataType, path: str) -> Check:
    """Return a check that no value is there, for a column whose type cannot hold the attribute."""
    wanted = f"a list of {attribute.type}" if attribute.is_array else attribute.object_type or attribute.type

    def check(array: pa.Array, place: Place, found: Found) -> None:
        if array.null_count < len(array):
            rows = place.rows(array.is_valid())
            found.error("attribute_wrong_type", path, rows, f"expected {wanted}, the column is {_short(str(kind))}")

    return check


def scalar_check(attribute: Attribute, kind: pa.DataType, path: str, *, warnings: bool) -> Check | None:
    """Return the check of a column of scalars, or ``None`` if nothing can be wrong."""
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    if attribute.base == "string_t":
        if attribute.type == "datetime_t" and pa.types.is_timestamp(kind):
            return None
        return _text_check(attribute, path, warnings=warnings) if is_text else wrong_type(attribute, kind, path)
    if attribute.base == "boolean_t":
        return None if pa.types.is_boolean(kind) else wrong_type(attribute, kind, path)
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        return wrong_type(attribute, kind, path)
    if attribute.base == "float_t":
        return _range_check(attribute, path) if attribute.range else None
    if pa.types.is_floating(kind):
        return _integral_check(attribute, path, _integer_check(attribute, path))
    fits = kind in _FITTING if attribute.base == "integer_t" else kind != pa.uint64()
    return None if fits and not attribute.enum and not attribute.range else _integer_check(attribute, path)


def as_int64(array: pa.Array) -> pa.Array | None:
    """Return numbers as int64, or ``None`` if the array holds no numbers."""
    kind = array.type
    if pa.types.is_dictionary(kind):
        return as_int64(array.dictionary_decode())
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return array.cast(pa.int64(), safe=False)
    return None


def sample(array: pa.Array, wrong: pa.BooleanArray) -> str:
    """Return up to three distinct values that are wrong, cut and quoted: they come from logs."""
    try:
        values = array.filter(wrong).slice(0, 50).unique().slice(0, 3).to_pylist()
    except UnicodeDecodeError:
        return "text that is not UTF-8"
    return ", ".join(_short(repr(value)) for value in values)


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."


def _integer_check(attribute: Attribute, path: str) -> Check:
    bounds = _INT32 if attribute.base == "integer_t" else _INT64
    ranged = _range_check(attribute, path) if attribute.range else None
    allowed = pa.array(sorted(attribute.enum), pa.int64()) if attribute.enum else None
    dense = _dense(attribute)

    def check(array: pa.Array, place: Place, found: Found) -> None:
        extremes = pc.min_max(array)
        least, greatest = extremes["min"].as_py(), extremes["max"].as_py()
        if least is None:
            return
        if least < bounds[0] or greatest > bounds[1]:
            wrong = _outside(array, bounds)
            detail = f"{sample(array, wrong)} does not fit {attribute.base}, {bounds[0]} to {bounds[1]}"
            found.error("attribute_wrong_type", path, place.rows(wrong), detail)
        if ranged is not None:
            ranged(array, place, found)
        if allowed is not None and not (dense[0] <= least and greatest <= dense[1]):
            _report_unknown(attribute, array, array.cast(pa.int64(), safe=False), allowed, path, place, found)

    return check


def _dense(attribute: Attribute) -> tuple[int, int]:
    """Return the least value of an enum and the end of the run of consecutive values that it begins."""
    values = sorted(int(value) for value in attribute.enum or (0,))
    end = values[0]
    while end + 1 in values:
        end += 1
    return values[0], end


def _integral_check(attribute: Attribute, path: str, then: Check) -> Check:
    """Return a check that floats hold whole numbers (3.0 is an integer to JSON Schema), which checks them further."""

    def check(array: pa.Array, place: Place, found: Found) -> None:
        array = array.cast(pa.float64())
        fits = pc.and_(pc.equal(pc.floor(array), array), pc.less(pc.abs(array), _FLOAT_LIMIT))
        wrong = pc.invert(fits)
        if wrong.true_count:
            detail = f"expected {attribute.type}, got {sample(array, wrong)}"
            found.error("attribute_wrong_type", path, place.rows(wrong), detail)
        then(pc.if_else(wrong, None, array).cast(pa.int64()), place, found)

    return check


def _range_check(attribute: Attribute, path: str) -> Check:
    bounds = attribute.range or (0, 0)

    def check(array: pa.Array, place: Place, found: Found) -> None:
        if pa.types.is_float16(array.type):
            array = array.cast(pa.float64())
        extremes = pc.min_max(array)
        least, greatest = extremes["min"].as_py(), extremes["max"].as_py()
        if least is not None and (least < bounds[0] or greatest > bounds[1]):
            wrong = _outside(array, bounds)
            detail = f"{sample(array, wrong)} is not from {bounds[0]} to {bounds[1]}"
            found.error("attribute_value_exceeds_range", path, place.rows(wrong), detail)

    return check


def _text_check(attribute: Attribute, path: str, *, warnings: bool) -> Check | None:
    regex = attribute.regex if warnings and attribute.regex and _compiles(attribute.regex) else None
    allowed = pa.array(sorted(map(str, attribute.enum)), pa.large_string()) if attribute.enum else None
    max_len = attribute.max_len
    if regex is None and allowed is None and max_len is None:
        return None

    def check(array: pa.Array, place: Place, found: Found) -> None:
        if max_len is not None and (pc.max(pc.binary_length(array)).as_py() or 0) > max_len:
            wrong = pc.greater(pc.utf8_length(array), max_len)
            if wrong.true_count:
                detail = f"longer than the {max_len} characters of {attribute.type}: {sample(array, wrong)}"
                found.error("attribute_value_exceeds_max_len", path, place.rows(wrong), detail)
        if allowed is not None:
            _report_unknown(attribute, array, array.cast(pa.large_string()), allowed, path, place, found)
        if regex is not None:
            encoded = array.dictionary_encode()
            bad = pc.invert(pc.match_substring_regex(encoded.dictionary, regex))
            if bad.true_count:
                wrong = bad.take(encoded.indices)
                detail = f"not the pattern of {attribute.type}: {sample(array, wrong)}"
                found.warning("attribute_value_regex_not_matched", path, place.rows(wrong), detail)

    return check


def _report_unknown(
    attribute: Attribute,
    array: pa.Array,
    comparable: pa.Array,
    allowed: pa.Array,
    path: str,
    place: Place,
    found: Found,
) -> None:
    known = pc.is_in(comparable, value_set=allowed)
    if known.true_count + array.null_count == len(array):
        return
    wrong = pc.and_not(array.is_valid(), known)
    rule = "attribute_enum_array_value_unknown" if attribute.is_array else "attribute_enum_value_unknown"
    some = ", ".join(map(str, list(attribute.enum or ())[:12]))
    more = ", ..." if len(attribute.enum or ()) > 12 else ""
    detail = f"{sample(array, wrong)} is none of {some}{more}"
    found.error(rule, path, place.rows(wrong), detail)


@functools.lru_cache(maxsize=256)
def _compiles(regex: str) -> bool:
    """Tell if RE2 takes a pattern; some of OCSF 1.0.0 use what it lacks, and are not checked."""
    try:
        pc.match_substring_regex(pa.array([""]), regex)
    except pa.ArrowInvalid:
        return False
    return True


def _outside(array: pa.Array, bounds: tuple[int, int]) -> pa.BooleanArray:
    # Decimals hold every integer that a column can hold, where a bound may not fit the column's own type.
    exact = array if pa.types.is_floating(array.type) else array.cast(pa.decimal128(38))
    least, greatest = (pa.scalar(bound, exact.type) for bound in bounds)
    return pc.or_(pc.less(exact, least), pc.greater(exact, greatest))


def _parents(lists: pa.Array) -> pa.Array:
    """Return, for each element of `lists.flatten()`, the position of its list."""
    parents = pc.list_parent_indices(lists)
    if lists.null_count:
        parents = parents.filter(lists.is_valid().take(parents))  # a null list may have elements behind it
    return parents
