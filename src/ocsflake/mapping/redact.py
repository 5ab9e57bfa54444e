r"""Redaction: what stands at some raw paths is gone from a frame before events or rejects are made of it.

A rule is a raw path as `ocsflake.mapping.paths` writes it. ``*`` stands for any characters of one key, a step ``**``
for any number of keys; ``[]`` may be left out, and capitals, ``_`` and ``-`` do not count, since one service spells a
name in several ways. The value at the path goes with all that is below it: text becomes `REDACTED`, numbers and truth
values become null, so that a value keeps its kind. JSON within text is looked into.

Columns are searched in Arrow for the last key of a rule; Python sees the values that hold it, and no others.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from attrs import evolve, frozen

from ocsflake.errors import SchemaError
from ocsflake.mapping import paths
from ocsflake.mapping.json_records import JsonRecords
from ocsflake.mapping.leftovers import Leftovers
from ocsflake.mapping.lists import relist
from ocsflake.mapping.records import repair_surrogates
from ocsflake.mapping.values import starts, with_nulls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ocsflake.mapping.frame import Frame, Parse

__all__ = ["REDACTED", "redacted", "rules_of"]

REDACTED = "REDACTED"

_GONE = REDACTED.encode()
_GONE_TOKEN = b'"' + _GONE + b'"'
_END = "\0"
"""Ends each step of a folded path."""

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_TEXT = msgspec.json.Decoder(str)
_BROKEN = (msgspec.DecodeError, RecursionError, UnicodeError)
_ANY_KEYS = f"(?:[^{_END}]*{_END})*"
_ESCAPED = r"\\u00[2-7]"
"""A letter of a key may be written as an escape."""


@frozen
class _Rule:
    """One path, as regular expressions over folded paths.

    Attributes:
        within: What it takes.
        above: What that may be below.
        sign: What JSON contains that holds it, over bytes; ``None`` if that cannot be told.
        anywhere: The paths below which it takes every key of its name; empty if there are none.
        name: The last key.
    """

    within: str
    above: str
    sign: str | None
    anywhere: str
    name: str


@frozen(eq=False)
class Rules:
    """All paths of a mapper; `rules_of` makes them."""

    rules: tuple[_Rule, ...]
    within: Callable[[str], object]
    above: Callable[[str], object]
    sign: re.Pattern[bytes] | None

    def sign_below(self, path: str) -> bytes | None:
        """Return what JSON at a path contains, as a regular expression, where there is something to redact."""
        return _any_sign(rule for rule in self.rules if re.fullmatch(rule.above, path))

    def token(self, token: bytes, path: str, *, gone: bool = False) -> bytes:
        """Return a JSON value without what is to be redacted; `gone` if that is all of it."""
        start = starts(token)
        if start == b"{":
            found = {key: self._member(value, path + _folded(key), gone) for key, value in _members(token).items()}
            return msgspec.json.encode(found)
        if start == b"[":
            elements = [msgspec.Raw(self.token(element, path, gone=gone)) for element in _LIST.decode(token)]
            return msgspec.json.encode(elements)
        if gone:
            return _GONE_TOKEN if start == b'"' else b"null"
        if start == b'"' and self._signed(token):
            text = _TEXT.decode(repair_surrogates(bytes(token)))
            return msgspec.json.encode(self.text(text, path))
        return bytes(token)

    def text(self, text: str, path: str) -> str:
        """Return text that may hold JSON without what is to be redacted there."""
        if text.lstrip()[:1] not in ("{", "["):
            return text
        try:
            return self.token(text.strip().encode(), path).decode()
        except _BROKEN:
            return REDACTED

    def record(self, record: bytes) -> bytes:
        """Return a JSON record without what is to be redacted; of one that is broken, what is before it."""
        if not self._signed(record):
            return record
        try:
            return self.token(record.strip(), "")
        except _BROKEN:
            found = None if self.sign is None else self.sign.search(record)
            return (b"" if found is None else record[: found.end()] + b" ") + _GONE

    def column(self, column: pa.Array, path: str) -> pa.Array:
        """Return a raw column without what is to be redacted."""
        if not self.within(path) and not self.above(path):
            return column
        return self._gone(column, path) if self.within(path) else self._without(column, path)

    def _member(self, value: bytes, path: str, gone: bool) -> msgspec.Raw:
        gone = gone or self.within(path) is not None
        if gone or self.above(path):
            return msgspec.Raw(self.token(value, path, gone=gone))
        return msgspec.Raw(value)

    def _signed(self, token: bytes) -> bool:
        return self.sign is None or self.sign.search(token) is not None

    def _gone(self, column: pa.Array, path: str) -> pa.Array:
        if pa.types.is_list(column.type):
            return relist(column, self._gone(column.flatten(), path))
        if pa.types.is_string(column.type):
            return pc.if_else(column.is_valid(), REDACTED, column)
        if not pa.types.is_binary(column.type):
            return pa.nulls(len(column), column.type)
        plain = pc.starts_with(column, pattern=b'"')
        column = pc.if_else(plain, pa.scalar(_GONE_TOKEN), column)
        return with_nulls(self._each(column, pc.invert(plain), lambda token: self._safe(token, path, gone=True)))

    def _without(self, column: pa.Array, path: str) -> pa.Array:
        if pa.types.is_list(column.type):
            inner = column.flatten()
            found = self._without(inner, path)
            return column if found is inner else relist(column, found)
        if not (pa.types.is_string(column.type) or pa.types.is_binary(column.type)):
            return column
        sign = self.sign_below(path)
        if sign is not None and not _any_match(column, sign):
            return column
        signed = column.is_valid() if sign is None else pc.match_substring_regex(column, pattern=sign)
        if pa.types.is_string(column.type):
            return self._each(column, signed, lambda text: self.text(text, path))
        names = None if sign is None else self._names_anywhere(path)
        if names is None:
            return self._each(column, signed, lambda token: self._safe(token, path))
        signs = iter(pc.count_substring_regex(column.filter(signed), pattern=sign).to_pylist())
        return self._each(
            column, signed, lambda token: _without_names(token, names, next(signs)) or self._safe(token, path)
        )

    def _names_anywhere(self, path: str) -> list[bytes] | None:
        """Return the keys that go wherever they stand below a path, ``None`` if there are other rules for it."""
        rules = [rule for rule in self.rules if re.fullmatch(rule.above, path)]
        if not all(rule.anywhere and re.match(rule.anywhere, path) for rule in rules):
            return None
        return [f'"{rule.name}":"'.encode() for rule in rules]

    def _safe(self, token: bytes, path: str, *, gone: bool = False) -> bytes:
        try:
            return self.token(token, path, gone=gone)
        except _BROKEN:
            return _GONE_TOKEN

    @staticmethod
    def _each(column: pa.Array, rows: pa.Array, change: Callable[..., object]) -> pa.Array:
        """Return a column with some rows (truth values) changed in Python."""
        if not pc.any(rows).as_py():
            return column
        rows = pc.fill_null(rows, False)
        return pc.replace_with_mask(
            column, rows, pa.array([change(value) for value in column.filter(rows).to_pylist()], column.type)
        )


@functools.lru_cache(maxsize=64)
def rules_of(raw_paths: tuple[str, ...]) -> Rules:
    """Return the rules that some raw paths are.

    Raises:
        SchemaError: If a text is no path.
    """
    rules = tuple(map(_rule, raw_paths))
    sign = _any_sign(rules)
    within, above = re.compile(_either(rule.within for rule in rules)), re.compile(_either(r.above for r in rules))
    return Rules(
        rules,
        functools.lru_cache(maxsize=1 << 14)(within.match),
        functools.lru_cache(maxsize=1 << 14)(above.fullmatch),
        None if sign is None else re.compile(sign),
    )


def redacted(frame: Frame, raw_paths: tuple[str, ...], parse: Parse) -> Frame:
    """Return a frame without what stands at some raw paths.

    A record of text, in which no names stand, loses what its columns lose; one that cannot be taken apart is gone as a
    whole.

    Args:
        frame: Raw records.
        raw_paths: What goes.
        parse: The parser that the frame came of.
    """
    rules = rules_of(raw_paths)
    named = isinstance(getattr(parse, "records", parse), JsonRecords)
    ways = {name: _fold(_steps(name)) for name in frame.columns}
    columns = {name: rules.column(column, ways[name]) for name, column in frame.columns.items()}
    lost = {name: frame.columns[name] for name, way in ways.items() if rules.within(way)}
    records = _JsonRecords(frame.records, rules) if named else _TextRecords(frame.records, lost, frame.record_of)
    rejects = [evolve(reject, record=rules.record(reject.record) if named else _GONE) for reject in frame.rejects]
    left = _leftovers(frame.leftovers, rules)
    return evolve(frame, columns=columns, leftovers=left, records=records, rejects=tuple(rejects))


@frozen(eq=False)
class _JsonRecords:
    """The raw bytes of JSON records, redacted."""

    records: Callable[[Sequence[int]], list[bytes]]
    rules: Rules

    def __call__(self, numbers: Sequence[int]) -> list[bytes]:
        return [self.rules.record(record) for record in self.records(numbers)]


@frozen(eq=False)
class _TextRecords:
    """The raw bytes of records of text, without the values that some columns had."""

    records: Callable[[Sequence[int]], list[bytes]]
    lost: Mapping[str, pa.Array]
    record_of: pa.Array | None

    def __call__(self, numbers: Sequence[int]) -> list[bytes]:
        return [self._one(number, record) for number, record in zip(numbers, self.records(numbers), strict=True)]

    def _one(self, number: int, record: bytes) -> bytes:
        same = None if self.record_of is None else pc.equal(self.record_of, number)
        for column in self.lost.values():
            values = column.slice(number, 1) if same is None else column.filter(same)
            for value in values.drop_null().to_pylist():
                text = value.encode() if isinstance(value, str) else value
                if not isinstance(text, bytes) or text not in record:
                    return _GONE  # the record spells it otherwise
                record = record.replace(text, _GONE_TOKEN if text.startswith(b'"') else _GONE)
        return record


def _leftovers(left: Leftovers, rules: Rules) -> Leftovers:
    ways = {name: _fold(_steps(name)) for name in pc.unique(left.keys).to_pylist()}
    values = left.values
    gone = [name for name, way in ways.items() if rules.within(way)]
    if gone:
        values = pc.if_else(pc.is_in(left.keys, value_set=pa.array(gone, pa.string())), REDACTED, values)
    for name, way in ways.items():
        if not rules.within(way) and rules.above(way):
            there = pc.equal(left.keys, name)
            values = pc.replace_with_mask(values, there, rules.column(values.filter(there), way))
    return left if values is left.values else Leftovers(left.rows, left.keys, values)


def _steps(name: str) -> paths.Path:
    try:
        return paths.parse(name)
    except SchemaError:  # a column of a file may have any name
        return tuple(name.split("."))


def _members(token: bytes) -> Mapping[str, bytes]:
    try:
        return _OBJECT.decode(token)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        return _OBJECT.decode(repair_surrogates(bytes(token)))


def _folded(key: str) -> str:
    return key.lower().replace("_", "").replace("-", "").replace(_END, "") + _END


def _fold(path: paths.Path) -> str:
    return "".join(_folded(step) for step in path if step != paths.EACH)


def _rule(raw_path: str) -> _Rule:
    steps = [step for step in paths.parse(raw_path) if step != paths.EACH]
    pieces = [_ANY_KEYS if step == "**" else _piece(step) for step in steps]
    above = "|".join("".join(pieces[:length]) for length in range(len(pieces)))
    last = steps[-1].replace("_", "").replace("-", "")
    sign = "[_-]*".join(last) if re.fullmatch(r"[A-Za-z0-9]+", last) else None
    anywhere = "".join(pieces[:-2]) if sign is not None and steps[-2:-1] == ["**"] else ""
    return _Rule("".join(pieces), above, sign, anywhere, steps[-1])


def _piece(step: str) -> str:
    first, *others = [re.escape(_folded(part)[: -len(_END)]) for part in step.split("*")]
    if not others:
        return first + _END
    # Whatever comes later, the first place of a part will do: a key is gone through once, however many stars there are.
    middle = "".join(f"(?>[^{_END}]*?{part})" for part in others[:-1])
    return f"{first}{middle}[^{_END}]*{others[-1]}{_END}"


def _any_match(column: pa.Array, sign: bytes) -> bool:
    """Return whether any value may match, by one search through the bytes of all."""
    _, offsets, data = column.buffers()
    if data is None or not len(column):
        return False
    ends = pa.Array.from_buffers(pa.int32(), len(column) + 1, [None, offsets], offset=column.offset)
    first, last = ends[0].as_py(), ends[-1].as_py()
    only = pa.array([0, last - first], pa.int32()).buffers()[1]
    whole = pa.Array.from_buffers(pa.binary(), 1, [None, only, data.slice(first, last - first)])
    return bool(pc.match_substring_regex(whole, pattern=sign)[0].as_py())


def _without_names(token: bytes, names: Sequence[bytes], signs: int) -> bytes | None:
    """Return JSON without the plain texts of some members, ``None`` if it holds other signs of them than these."""
    for name in names:
        if not signs:
            break
        at = token.find(name)
        while at >= 0 and signs:
            start = at + len(name)
            end = token.find(b'"', start)
            if end < 0 or token[end - 1 : end] == b"\\":
                return None
            token = token[:start] + _GONE + token[end:]
            signs -= 1
            at = token.find(name, start)
    return None if signs else token


def _either(texts: Iterable[str]) -> str:
    return "|".join(f"(?:{text})" for text in texts)


def _any_sign(rules: Iterable[_Rule]) -> bytes | None:
    """Return what JSON contains that one of some rules is about; ``None`` if that cannot be told."""
    signs = dict.fromkeys(rule.sign for rule in rules)
    if None in signs:
        return None
    return ("(?i)" + "|".join([*filter(None, signs), _ESCAPED])).encode()
