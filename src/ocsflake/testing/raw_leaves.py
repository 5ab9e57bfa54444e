"""Is every value of a raw record in its events? The question that every mapper has to answer.

A value counts as kept if an attribute that reads its path holds it (as it stands, as a time, a truth value, as what a
table of the mapper gives for it, or within what a function makes of it), if attributes hold parts of it that the mapper
extracts, if an attribute holds the JSON around it, or if ``unmapped`` has it under its own path. A text that holds JSON
is kept if all the values in it are. Numbers are compared as they are written: ``1.10`` is not ``1.1``.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ocsflake.mapping import expr as e
from ocsflake.mapping.paths import EACH, quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ocsflake.mapping import Expr, Mapper
    from ocsflake.mapping.paths import Path

Leaf = tuple["Path", str]


def read_json(text: str | bytes) -> Any:
    """Return JSON with every number as the text that it is written as."""
    return json.loads(text, parse_float=str, parse_int=str)


def leaves(value: Any, path: Path = ()) -> Iterator[Leaf]:
    """Yield the scalar values of a record with their paths; null and empty text are no values."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner, (*path, EACH))
    elif value not in (None, ""):
        yield path, _text(value)


def lost(mapper: Mapper, record: Any, event_lines: Iterable[bytes]) -> list[Leaf]:
    """Return the values of a raw record that none of its events holds.

    Args:
        mapper: Made the events.
        record: The record, from `read_json`, or its columns by name.
        event_lines: Its events as JSON lines.
    """
    events = [read_json(line) for line in event_lines]
    readers = _readers(mapper)
    null_words = set(mapper.null_words)
    return [
        leaf
        for leaf in leaves(record)
        if leaf[1] not in null_words and not any(_keeps(event, leaf, readers) for event in events)
    ]


def _keeps(event: dict[str, Any], leaf: Leaf, readers: dict[Path, list[tuple[str, Expr]]]) -> bool:
    """Return whether an event has a value, or all the values in a text that is JSON."""
    path, text = leaf
    if _holds(event, leaf, readers):
        return True
    if path[-1] == "$ref":  # what it refers to stands in its place
        return _holds(event, ((*path[:-1], "$id"), text), readers)
    try:
        inner = read_json(text)
    except ValueError:
        return False
    return isinstance(inner, dict | list) and all(_keeps(event, each, readers) for each in leaves(inner, path))


def _readers(mapper: Mapper) -> dict[Path, list[tuple[str, Expr]]]:
    """Return raw path to the attributes that read it, with their expressions."""
    found: dict[Path, list[tuple[str, Expr]]] = {}
    for event in mapper.events:
        for attribute, expression in event.fields.items():
            for path in expression.raw_paths():
                found.setdefault(path, []).append((attribute, expression))
    return found


def _holds(event: dict[str, Any], leaf: Leaf, readers: dict[Path, list[tuple[str, Expr]]]) -> bool:
    path, text = leaf
    kept = event.get("unmapped", {}).get(_written(path))
    if kept is not None and f",{text}," in f",{kept},":
        return True
    for attribute, expression in readers.get(path, ()):
        held = list(_at(event, attribute))
        enum = attribute.removesuffix("_id")
        words = [*_at(event, enum), *_at(event, f"{enum}_name")]  # the text beside an enum
        if any(_same(text, value) for value in held + words) or (held and text.lower() in _table(expression)):
            return True
        if _is_made(expression) and any(
            text in _text(value) or _text(value) in text or _is_hex(text, value) or _is_mac(text, value)
            for value in held
        ):
            return True
        if _is_part(expression) and any(_text(value).lower() in text.lower() for value in held):
            return True
    for length in range(1, len(path)):
        inside = path[length:]
        for attribute, expression in readers.get(path[:length], ()):
            for value in _at(event, attribute):
                found = set(leaves(value))
                if (inside, text) in found or (inside[0] == EACH and (inside[1:], text) in found):
                    return True
                if _is_made(expression) and text in _text(value):
                    return True
    return False


def _written(path: Path) -> str:
    return re.sub(r"\.\[\]", EACH, ".".join(step if step == EACH else quote(step) for step in path))


def _at(value: Any, attribute: str) -> Iterator[Any]:
    """Yield what stands at an attribute path, in every element of lists."""
    name, _, rest = attribute.partition(".")
    found = value.get(name.removesuffix("[]")) if isinstance(value, dict) else None
    for inner in found if isinstance(found, list) else [found]:
        if rest and inner is not None:
            yield from _at(inner, rest)
        elif inner is not None:
            yield inner


def _table(expression: Expr) -> set[str]:
    """Return the texts that the tables of an expression turn into ids."""
    words = {str(key).lower() for key in expression.table} if isinstance(expression, e.Lookup) else set()
    return words.union(*map(_table, expression.children())) if expression.operands else words


def _is_made(expression: Expr) -> bool:
    """Return whether a function makes the value, perhaps of several."""
    return isinstance(expression, e.Apply) or any(map(_is_made, expression.children()))


def _is_part(expression: Expr) -> bool:
    """Return whether the value is a part of a text."""
    return isinstance(expression, e.Extract | e.Split) or any(map(_is_part, expression.children()))


def _is_hex(text: str, value: Any) -> bool:
    """Return whether a text is a number in base 16."""
    return re.fullmatch("[0-9a-f]{2,4}|0x[0-9a-fA-F]{1,16}", text) is not None and str(int(text, 16)) == _text(value)


def _is_mac(text: str, value: Any) -> bool:
    """Return whether a text is a hardware address, its octets parted or not."""
    return re.fullmatch("[0-9A-Fa-f]{12}", text) is not None and text == _text(value).replace(":", "")


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _same(text: str, value: Any) -> bool:
    held = _text(value)
    return held in (text, text.lower()) or held in _times(text)


def _times(text: str) -> Iterator[str]:
    """Yield the milliseconds since 1970 that a text may stand for."""
    if re.fullmatch(r"\d{9,11}\.\d+|\d\.\d+E9", text):
        yield str(int(Decimal(text) * 1000))
    if re.fullmatch(r"\d{9,19}", text):
        yield from (str(int(text) * 1000), str(int(text) // 1000), str(int(text) // 1_000_000))
    try:
        moment = datetime.fromisoformat(text)
        moment = moment.replace(tzinfo=moment.tzinfo or UTC)
        yield str((moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1))
    except ValueError:
        pass
    words = text.replace("\u202f", " ")
    for form in ("%b %d, %Y, %I:%M:%S %p", "%b %d, %Y %I:%M:%S %p", "%m/%d/%Y, %I:%M:%S.%f %p"):
        try:
            yield str(round(datetime.strptime(words, form).replace(tzinfo=UTC).timestamp() * 1000))
        except ValueError:
            continue
