"""Cutting a buffer into single JSON records, whatever envelope they came in.

Known envelopes: JSON lines, one document, a JSON array, concatenated or pretty-printed documents, an object that
holds a list (``{"Records": []}``, ``{"records": []}``, ``{"value": []}``), an EventBridge event (``detail``), a
CloudWatch Logs subscription (``logEvents[].message``), a Pub/Sub message (``message.data`` in base64), the answer of a
Log Analytics query (``tables[].columns``, ``rows``), each also within the other forms, with or without a byte order
mark; and CSV with a header, where a log type comes so.
"""

from __future__ import annotations

import contextlib
import functools
import json
import re
from base64 import b64decode
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import astuple

from ocsflake.mapping.rejects import Reject
from ocsflake.mapping.tables import csv_records, query_records
from ocsflake.mapping.values import starts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["MAX_RECORD", "members", "plain_lines", "problem", "repair_surrogates", "split_records"]

MAX_RECORD = 1 << 20
"""Bytes of the largest record. A Parquet page holds at most 1 MB in a custom source of Security Lake, and a value
that is longer than a page can never be stored in one."""

_BOM = b"\xef\xbb\xbf"
_BETWEEN = " \t\r\n,"
_MAX_ENVELOPES = 3
_SIGNS = ("detail-type", "logEvents", "tables", "messageId")
"""Keys of the envelopes that are always known."""

Object = dict[str, msgspec.Raw]
_OBJECT = msgspec.json.Decoder(Object)
_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_ANY = msgspec.json.Decoder(msgspec.Raw)
_TEXT = msgspec.json.Decoder(str)
_JSON_ERRORS = (msgspec.DecodeError, RecursionError)

_BRACKETS = re.compile(r'[{}\[\]]|"(?:[^"\\]|\\.)*"?')  # text without an end is looked through once
_SURROGATES = re.compile(
    rb"\\\\|\\u[dD][89aAbB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)


def split_records(
    data: bytes, unwrap: tuple[str, ...], *, csv: bool = False, texts: list[bytes] | None = None
) -> tuple[list[bytes], list[Reject]]:
    """Return the records of a buffer, as buffers of one JSON object each, and what is no record.

    Args:
        data: JSON in any of the forms that the module names.
        unwrap: Keys of an envelope whose value is a list of records, or a record.
        csv: Whether what does not begin like JSON is CSV with a header.
        texts: Takes the messages of CloudWatch Logs that do not begin like JSON; without it they are rejects.

    Returns:
        Records (not yet decoded: msgspec's raw buffers, or bytes), and a reject for each value that is no JSON
        object or no JSON at all.
    """
    splitter = _Splitter(unwrap, texts)
    if data.startswith(_BOM):
        data = data[len(_BOM) :]
    if _invalid_utf8(data) is not None:
        data = splitter.without_invalid_lines(data)
    if csv and data.lstrip()[:1] not in (b"{", b"[", b""):
        splitter.rows(data)
    else:
        splitter.document(data)
    return splitter.records, splitter.rejects


def plain_lines(data: bytes, unwrap: tuple[str, ...], keys: frozenset[str]) -> list[bytes]:
    """Return the lines of a buffer as records, if none of them can be an envelope; else nothing.

    Args:
        data: JSON lines, perhaps.
        unwrap: As for `split_records`.
        keys: What the objects hold that are looked for; whoever takes a line sees to it that it holds nothing else.
    """
    if data[:1] != b"{" or not keys.isdisjoint((*unwrap, *_SIGNS, "message")) or _invalid_utf8(data) is not None:
        return []
    return data.removesuffix(b"\n").split(b"\n")


def members(data: bytes) -> Object | None:
    """Return the members of a JSON object as raw JSON, ``None`` for anything else."""
    try:
        return _OBJECT.decode(data)
    except _JSON_ERRORS:
        return None


def repair_surrogates(record: bytes) -> bytes:
    """Return JSON with every lone surrogate escape replaced by U+FFFD: no text can hold half a character."""
    if b"\\ud" not in record and b"\\uD" not in record:  # the search is fast, the substitution is not
        return record
    return _SURROGATES.sub(lambda m: b"\\ufffd" if m.group(1) else m.group(0), record)


def problem(error: Exception) -> str:
    """Return what a JSON decoder had to say, in one line."""
    if isinstance(error, RecursionError):
        return "JSON is nested too deeply"
    return f"not JSON: {str(error)[:200]}"


class _Splitter:
    """Collects records and rejects while envelopes are taken off, to a bounded depth."""

    def __init__(self, unwrap: tuple[str, ...], texts: list[bytes] | None) -> None:
        self.unwrap = unwrap
        self.texts = texts
        self.signs = [json.dumps(key).encode() for key in (*unwrap, *_SIGNS)]
        names = b"|".join(map(re.escape, self.signs[: len(unwrap)]))
        self.opening = re.compile(rb"\s*\{\s*(?:" + (names or b"(?!)") + rb")\s*:\s*\[")
        self.records: list[bytes] = []
        self.rejects: list[Reject] = []

    def document(self, data: bytes) -> None:
        """Take one document, or several in a row."""
        try:
            self.value(data)
        except _JSON_ERRORS as error:
            first = next((line for line in data.split(b"\n", 64) if not line.isspace() and line), b"")
            if _is_document(first):
                self.lines(data)
            elif rest := self.concatenated(data):
                if any(line[:1] in b"{[" and _is_document(line) for line in rest.split(b"\n") if line):
                    self.lines(rest)
                else:
                    self.reject(rest, _why_not(rest) or problem(error))

    def value(self, data: bytes) -> None:
        """Take one JSON document: a record, an envelope, or a list of either."""
        start = data.lstrip()[:1]
        if start == b"[":
            elements = _LIST.decode(data)
            if self.may_be_wrapped(data):
                for element in elements:
                    self.element(element)
            else:
                self.records += elements
        elif start:
            self.envelope(data, 0)

    def lines(self, data: bytes) -> None:
        """Take JSON lines; a line that needs no unwrapping is not decoded here."""
        for line in data.split(b"\n"):
            if line and not line.isspace():
                if line[:1] == b"{" and b"}{" not in line and not self.may_be_wrapped(line):
                    self.records.append(line)
                else:
                    self.line(line)

    def line(self, line: bytes) -> None:
        """Take one line that is more, or less, than a record."""
        try:
            self.value(line)
        except _JSON_ERRORS as error:
            if rest := self.concatenated(line):
                self.reject(rest, _why_not(rest) or problem(error))

    def concatenated(self, data: bytes) -> bytes:
        """Take documents that follow one another; return what is left from the first that does not parse."""
        text = data.decode()
        position = 0
        for start, end in _documents(text):
            document = text[start:end].encode()
            try:
                self.value(document)
            except _JSON_ERRORS as error:
                self.reject(document, problem(error))
            position = end
        return text[position:].strip(_BETWEEN).encode()

    def envelope(self, data: bytes, depth: int) -> None:
        """Take one JSON object: a record, or an envelope of records."""
        if depth <= _MAX_ENVELOPES and (records := self.all_of(data)) is not None:
            self.records += records
            return
        found = _decode_object(data)
        key = next((key for key in self.unwrap if key in found), None)
        if depth > _MAX_ENVELOPES:
            self.reject(data, "envelopes within envelopes")
        elif key is not None:
            self.inner(found[key], data, key, depth)
        elif "detail-type" in found and "detail" in found:
            self.envelope(found["detail"], depth + 1)
        elif "tables" in found and starts(found["tables"]) == b"[":
            self.records += query_records(data)
        elif "message" in found and (message := members(found["message"])) and "messageId" in message:
            self.message(message, data, depth)
        elif "data" in found and "messageId" in found:
            self.message(found, data, depth)
        elif "logEvents" in found and "messageType" in found:
            for event in _LIST.decode(found["logEvents"]):
                self.log_event(event, depth)
        else:
            self.records.append(data)

    def all_of(self, data: bytes) -> list[msgspec.Raw] | None:
        """Return the records of an envelope that holds nothing else, in one pass; ``None`` for anything else."""
        if self.opening.match(memoryview(data)):
            with contextlib.suppress(*_JSON_ERRORS):
                return next(filter(None, astuple(_envelope(self.unwrap).decode(data))), None)
        return None

    def message(self, message: Object, data: bytes, depth: int) -> None:
        """Take what a Pub/Sub message carries."""
        try:
            text = b64decode(_TEXT.decode(message["data"]), validate=True)
        except (*_JSON_ERRORS, KeyError, ValueError):
            self.reject(data, "a Pub/Sub message has no data in base64")
            return
        try:
            self.envelope(text, depth + 1)
        except _JSON_ERRORS as error:
            self.reject(text, problem(error))

    def rows(self, data: bytes) -> None:
        """Take the rows of CSV."""
        for record, reason in csv_records(data):
            if reason:
                self.reject(record, reason)
            else:
                self.records.append(record)

    def inner(self, value: bytes, data: bytes, key: str, depth: int) -> None:
        """Take what an envelope holds."""
        start = starts(value)
        if start == b"[":
            self.records += _LIST.decode(value)
        elif start == b"{":
            self.envelope(value, depth + 1)
        elif start == b'"' and (text := _TEXT.decode(value).encode()).lstrip()[:1] == b"{":
            self.envelope(text, depth + 1)  # an SNS notification, LookupEvents: the record as text
        elif start != b"n":
            self.reject(data, f"{key} is {_kind(value)}, a list of records is due")

    def element(self, element: bytes) -> None:
        """Take an element of a list that may be an envelope."""
        try:
            self.envelope(element, 1)
        except _JSON_ERRORS:
            self.records.append(element)  # the parser says what is wrong with it

    def log_event(self, event: bytes, depth: int) -> None:
        """Take one message of a CloudWatch Logs subscription."""
        try:
            text = _TEXT.decode(_decode_object(event)["message"]).encode()
        except (*_JSON_ERRORS, KeyError):
            self.reject(event, "a log event has no message")
            return
        if self.texts is not None and text.lstrip()[:1] not in (b"{", b"["):
            self.texts.append(text)
            return
        try:
            self.envelope(text, depth + 1)
        except _JSON_ERRORS as error:
            self.reject(text, problem(error))

    def may_be_wrapped(self, data: bytes) -> bool:
        """Return whether a text holds the key of an envelope anywhere."""
        return any(sign in data for sign in self.signs)

    def without_invalid_lines(self, data: bytes) -> bytes:
        """Reject the lines that are no UTF-8, and return the others."""
        good = []
        for line in data.split(b"\n"):
            at = _invalid_utf8(line)
            if at is None:
                good.append(line)
            else:
                self.reject(line, f"not UTF-8 (byte {at + 1})")
        return b"\n".join(good)

    def reject(self, record: bytes, reason: str) -> None:
        """Keep what is no record."""
        self.rejects.append(Reject(bytes(record), reason))


@functools.lru_cache(maxsize=64)
def _envelope(keys: tuple[str, ...]) -> msgspec.json.Decoder[msgspec.Struct]:
    """Return a decoder of objects that hold lists of records by these keys, and nothing else."""
    fields: list[Any] = [
        (f"list_{number}", list[msgspec.Raw] | None, msgspec.field(name=key, default=None))
        for number, key in enumerate(keys)
    ]
    return msgspec.json.Decoder(msgspec.defstruct("Envelope", fields, forbid_unknown_fields=True))


def _decode_object(data: bytes) -> Object:
    try:
        return _OBJECT.decode(data)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        repaired = repair_surrogates(data)
        if repaired == data:
            raise
        return _OBJECT.decode(repaired)


def _is_document(line: bytes) -> bool:
    return not _why_not(line)


def _why_not(text: bytes) -> str:
    """Return what is wrong with JSON, ``""`` where nothing is."""
    try:
        _ANY.decode(text)
    except _JSON_ERRORS as error:
        return problem(error)
    return ""


def _documents(text: str) -> Iterator[tuple[int, int]]:
    """Yield where the documents of a text begin and end, up to one without an end; not all of them need parse."""
    scan: Callable[[str, int], tuple[object, int]] = json.JSONDecoder(parse_int=str, parse_float=str).raw_decode
    position = 0
    parses = True
    while True:
        while position < len(text) and text[position] in _BETWEEN:
            position += 1
        if position >= len(text) or text[position] not in "{[":
            return
        end = 0
        if parses:
            try:
                _, end = scan(text, position)
            except (ValueError, RecursionError):
                parses = False  # each error counts the lines before it: a text of errors would take forever
        end = end or _end_by_brackets(text, position)
        if not end:
            return
        yield position, end
        position = end


def _end_by_brackets(text: str, start: int) -> int:
    """Return where a document ends that does not parse, by its brackets alone; 0 if they do not close."""
    depth = 0
    for match in _BRACKETS.finditer(text, start):
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(match[0], 0)
        if not depth:
            return match.end()
    return 0


def _invalid_utf8(data: bytes) -> int | None:
    """Return the place of the first byte that is no UTF-8."""
    try:
        str(data, "utf-8")
    except UnicodeDecodeError as error:
        return error.start
    return None


def _kind(token: bytes) -> str:
    kinds = {b"{": "an object", b"[": "a list", b'"': "text", b"t": "true", b"f": "false", b"n": "null"}
    return kinds.get(starts(token), "a number")
