"""Arrow kernels over single columns: JSON tokens to text, text to times, IP addresses.

A *token* column is binary: each value is the JSON text of one raw value, byte for byte; null where it is absent.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from ocsflake.mapping.lists import relist

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "MAX_TIME",
    "is_ip",
    "is_nested",
    "json_text",
    "none_longer",
    "parse_time",
    "scalar_text",
    "starts",
    "string_text",
    "token_column",
    "token_text",
    "whole_numbers",
    "with_nulls",
]

MAX_TIME = 253_402_300_800_000
"""Milliseconds from 1970 to the year 10000: no time in an event reaches it."""

_IPV4 = r"(?:(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])\.){3}(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_H = "[0-9A-Fa-f]{1,4}"
_IPV6 = "|".join(
    [
        f"(?:{_H}:){{7}}{_H}",
        *[f"(?:{_H}:){{1,{left}}}(?::{_H}){{1,{7 - left}}}" for left in range(1, 7)],
        f"(?:{_H}:){{1,7}}:",
        f":(?::{_H}){{1,7}}",
        "::",
        f"(?:{_H}:){{6}}{_IPV4}",
        *[f"(?:{_H}:){{1,{left}}}(?::{_H}){{0,{5 - left}}}:{_IPV4}" for left in range(1, 6)],
        f":(?::{_H}){{0,5}}:{_IPV4}",
    ]
)
_IPV4_PATTERN = f"^{_IPV4}$"
_IPV6_PATTERN = f"^(?:{_IPV6})$"

_STRIDE = 1_000

_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d)(?::(\d\d)(?::(\d\d)(?:[.,](\d+))?)?)?\s*([Zz]|UTC|[+-]\d\d(?::?\d\d)?)?)?",
    re.ASCII,
)
_WHOLE = re.compile(r"-?0*[0-9]{1,19}")
_STRINGS = msgspec.json.Decoder(list[str])
_ACCESS_LOG = re.compile(r"(\d{1,2})/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-]\d{4})")
_ABSENT = pa.array([b"", b"null"], pa.binary())
_ZERO = pa.array([0], pa.int32())
_CLOCK_WORDS = re.compile(r"([A-Z][a-z]{2}) (\d{1,2}), (\d{4}),? (\d{1,2}):(\d\d):(\d\d)\s([AP])M")
_PORTAL = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4}),? (\d{1,2}):(\d\d):(\d\d)(?:\.(\d+))?\s([AP])M")
_MONTH_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTHS = {m: i for i, m in enumerate(_MONTH_NAMES, 1)}
_ZONED = r"(?:[Zz]|[+-][0-9]{2}:?[0-9]{2})$"


def starts(token: bytes) -> bytes:
    """Return the first byte of a JSON token (bytes or a raw buffer), which tells its kind."""
    return token[:1] if type(token) is bytes else bytes(memoryview(token)[:1])


def is_nested(tokens: pa.Array) -> pa.Array:
    """Return which tokens are objects or lists; null is none."""
    return pc.fill_null(pc.or_(pc.starts_with(tokens, pattern=b"{"), pc.starts_with(tokens, pattern=b"[")), False)


def token_column(tokens: Sequence[bytes]) -> pa.Array:
    """Return JSON tokens as a binary column; see `with_nulls` for what is absent."""
    data = b"".join(tokens)
    lengths = list(map(len, tokens))
    try:
        sizes = pa.Array.from_buffers(pa.uint8(), len(lengths), [None, pa.py_buffer(bytes(lengths))]).cast(pa.int32())
    except ValueError:  # a token of more than 255 bytes
        sizes = pa.array(lengths, pa.int32())
    ends = pa.concat_arrays([_ZERO, pc.cumulative_sum(sizes)])
    return pa.Array.from_buffers(pa.binary(), len(lengths), [None, ends.buffers()[1], pa.py_buffer(data)])


def with_nulls(tokens: pa.Array) -> pa.Array:
    """Return a column of JSON tokens, or lists of them, with empty tokens and ``null`` made null."""
    if pa.types.is_list(tokens.type):
        inner = tokens.flatten()
        found = with_nulls(inner)
        return tokens if found is inner else relist(tokens, found)
    if not pa.types.is_binary(tokens.type):
        return tokens
    absent = pc.is_in(tokens, value_set=_ABSENT)
    if not pc.any(absent).as_py():
        return tokens
    if tokens.null_count or tokens.offset:
        return pc.if_else(absent, pa.scalar(None, pa.binary()), tokens)
    return pa.Array.from_buffers(pa.binary(), len(tokens), [pc.invert(absent).buffers()[1], *tokens.buffers()[1:]])


def string_text(tokens: pa.Array) -> pa.Array:
    """Return the text of JSON string tokens; null where the value is no string."""
    quoted = pc.starts_with(tokens, pattern=b'"')
    if not pc.all(quoted, skip_nulls=True).as_py():
        tokens = pc.if_else(quoted, tokens, pa.scalar(None, pa.binary()))
    inner = pc.binary_slice(tokens, 1, -1)
    escaped = pc.match_substring(inner, pattern=b"\\") if b"\\" in _data(tokens) else None
    if escaped is not None and pc.any(escaped, skip_nulls=True).as_py():
        escaped = pc.fill_null(escaped, False)
        quoted_list = b'["' + b'","'.join(inner.filter(escaped).to_pylist()) + b'"]'
        plain = pa.array(_STRINGS.decode(quoted_list), pa.string()).cast(pa.binary())
        inner = pc.replace_with_mask(inner, escaped, plain)
    return inner.cast(pa.string())


def token_text(tokens: pa.Array) -> pa.Array:
    """Return JSON tokens as text: strings without quotes, all others as they are spelt."""
    quoted = pc.starts_with(tokens, pattern=b'"')
    if pc.all(quoted, skip_nulls=True).as_py():
        return string_text(tokens)
    return pc.coalesce(string_text(tokens), tokens.cast(pa.string()))


def scalar_text(values: pa.Array) -> pa.Array:
    """Return any scalar column as text: JSON strings without quotes, other tokens and numbers as they are spelt."""
    kind = values.type
    if pa.types.is_string(kind):
        return values
    if pa.types.is_binary(kind):
        return token_text(values)
    if pa.types.is_timestamp(kind):
        return pc.strftime(values.cast(pa.timestamp("us", "UTC")), format="%Y-%m-%dT%H:%M:%SZ")
    if pa.types.is_null(kind):
        return pa.nulls(len(values), pa.string())
    return values.cast(pa.string())


def whole_numbers(text: pa.Array) -> pa.Array:
    """Return whole numbers (int64); null where a text is anything but decimal digits, or too large."""
    data = _data(text)
    if b"x" not in data and b"X" not in data:  # Arrow would take hexadecimal numbers
        try:
            return text.cast(pa.int64())
        except pa.ArrowInvalid:
            pass
    encoded = text.dictionary_encode()
    return pa.array([_whole_number(word) for word in encoded.dictionary.to_pylist()], pa.int64()).take(encoded.indices)


def none_longer(text: pa.Array, limit: int) -> bool:
    """Return whether no text has more bytes than a limit; mostly a look at every thousandth offset tells."""
    if not len(text):
        return True
    offsets = memoryview(text.buffers()[1]).cast("i")[text.offset : text.offset + len(text) + 1]
    if all(end - start <= limit for start, end in pairwise([*offsets[::_STRIDE], offsets[-1]])):
        return True
    return (pc.max(pc.binary_length(text)).as_py() or 0) <= limit


def _data(text: pa.Array) -> bytes:
    """Return the texts or tokens of a column, one after the other."""
    _, offsets, data = text.buffers()
    if data is None:
        return b""
    ends = pa.Array.from_buffers(pa.int32(), len(text) + 1, [None, offsets], offset=text.offset)
    texts: bytes = data.slice(ends[0].as_py(), ends[-1].as_py() - ends[0].as_py()).to_pybytes()
    return texts


def _whole_number(word: str | None) -> int | None:
    number = int(word) if word is not None and _WHOLE.fullmatch(word) else None
    return number if number is not None and -(2**63) <= number < 2**63 else None


def json_text(values: pa.Array) -> pa.Array:
    """Return a column as JSON text: tokens as they are, text as JSON strings, numbers and truth values by name."""
    kind = values.type
    if pa.types.is_binary(kind):
        return values.cast(pa.string())
    if pa.types.is_string(kind):
        encoded = values.dictionary_encode()
        words = [None if v is None else msgspec.json.encode(v).decode() for v in encoded.dictionary.to_pylist()]
        return pa.array(words, pa.string()).take(encoded.indices)
    if pa.types.is_nested(kind) or pa.types.is_timestamp(kind):
        return pa.array([None if v is None else json.dumps(v, default=str) for v in values.to_pylist()], pa.string())
    return scalar_text(values)


def is_ip(text: pa.Array) -> pa.Array:
    """Return which texts are IPv4 or IPv6 addresses (no port, no zone, no leading zeros); null is none."""
    if len(text) > 1000:
        encoded = text.dictionary_encode()
        return pc.fill_null(_are_ips(encoded.dictionary).take(encoded.indices), False)
    return _are_ips(text)


def _are_ips(words: pa.Array) -> pa.Array:
    found = pc.fill_null(pc.match_substring_regex(words, pattern=_IPV4_PATTERN), False)
    other = pc.and_(pc.invert(found), words.is_valid())
    if not pc.any(other).as_py():
        return found  # the pattern of IPv6 takes longer to compile than most batches to match
    rest = pc.match_substring_regex(words.filter(other), pattern=_IPV6_PATTERN)
    return pc.replace_with_mask(found, other, rest)


def parse_time(text: pa.Array) -> pa.Array:
    """Return milliseconds since 1970 (int64), null where a text is no time.

    RFC 3339 with any number of digits of a second (floored), ``T`` or a space, ``Z``, ``+01:00``, ``+0100`` or no zone
    (then UTC); the ``06/Feb/2019:00:00:38 +0000`` of access logs; the ``Mar 1, 2023 1:00:00 AM`` of AWS's older
    services; the ``4/28/2021, 2:43:14.000 PM`` (month first) of the Azure portal. Never through a float.
    """
    if text.null_count == len(text):
        return pa.nulls(len(text), pa.int64())
    try:
        return _milliseconds(text.cast(pa.timestamp("ns", "UTC")))
    except pa.ArrowInvalid:
        pass
    zoned = pc.fill_null(pc.match_substring_regex(text, pattern=_ZONED), False)
    null = pa.scalar(None, pa.string())
    with_zone = _cast_time(pc.if_else(zoned, text, null), "UTC")
    without = _cast_time(pc.if_else(zoned, null, text), None)
    return pc.coalesce(with_zone, without)


def _cast_time(text: pa.Array, zone: str | None) -> pa.Array:
    try:
        return _milliseconds(text.cast(pa.timestamp("ns", zone)))
    except pa.ArrowInvalid:
        encoded = text.dictionary_encode()
        parsed = [_parse_one(value) for value in encoded.dictionary.to_pylist()]
        return pa.array(parsed, pa.int64()).take(encoded.indices)


def _milliseconds(nanoseconds: pa.Array) -> pa.Array:
    count = nanoseconds.cast(pa.int64())
    floored = pc.divide(count, 1_000_000)
    behind = pc.greater(pc.multiply(floored, 1_000_000), count)  # integer division cuts towards zero
    return pc.subtract(floored, behind.cast(pa.int64()))


def _parse_one(text: str | None) -> int | None:
    if text is None or len(text) > 64:
        return None
    if match := _TIME.fullmatch(text.strip()):
        year, month, day, hour, minute, second, fraction, zone = match.groups()
        milliseconds = int(((fraction or "") + "000")[:3])
        numbers = [int(n or 0) for n in (year, month, day, hour, minute, second)]
        return _instant(numbers, milliseconds, _offset(zone))
    if match := _ACCESS_LOG.fullmatch(text.strip("[] ")):
        day, name, year, hour, minute, second, zone = match.groups()
        if name not in _MONTHS:
            return None
        return _instant([int(year), _MONTHS[name], int(day), int(hour), int(minute), int(second)], 0, _offset(zone))
    if match := _CLOCK_WORDS.fullmatch(text.replace("\u202f", " ").strip()):
        name, day, year, hour, minute, second, half = match.groups()
        if name not in _MONTHS or not 1 <= int(hour) <= 12:
            return None
        hours = int(hour) % 12 + (12 if half == "P" else 0)
        return _instant([int(year), _MONTHS[name], int(day), hours, int(minute), int(second)], 0, UTC)
    if match := _PORTAL.fullmatch(text.replace("\u202f", " ").strip()):
        month, day, year, hour, minute, second, fraction, half = match.groups()
        if not 1 <= int(hour) <= 12:
            return None
        hours = int(hour) % 12 + (12 if half == "P" else 0)
        milliseconds = int(((fraction or "") + "000")[:3])
        return _instant([int(year), int(month), int(day), hours, int(minute), int(second)], milliseconds, UTC)
    return None


def _offset(zone: str | None) -> timezone | None:
    if zone is None or zone in ("Z", "z", "UTC"):
        return UTC
    hours, minutes = int(zone[1:3]), int(zone[-2:]) if len(zone) > 3 else 0
    if hours > 23 or minutes > 59:
        return None
    delta = timedelta(hours=hours, minutes=minutes)
    return timezone(-delta if zone[0] == "-" else delta)


def _instant(numbers: list[int], milliseconds: int, zone: timezone | None) -> int | None:
    leap = numbers[5] == 60  # a leap second is the last moment of its minute
    try:
        year, month, day, hour, minute, second = numbers
        moment = datetime(year, month, day, hour, minute, 59 if leap else second, tzinfo=zone)
        delta = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC) if zone else None
    except (ValueError, OverflowError):
        return None
    if delta is None:
        return None
    return (delta.days * 86_400 + delta.seconds) * 1000 + (999 if leap else milliseconds)
