"""Strategies for hypothesis: raw records that a mapper may meet, and events.

They need ``pip install hypothesis``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from ocsflake.mapping.paths import EACH
from ocsflake.ocsf import DEFAULT_VERSION, load
from ocsflake.testing.events import make_event

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hypothesis.strategies import SearchStrategy

    from ocsflake.mapping import Mapper
    from ocsflake.mapping.paths import Path

__all__ = ["events", "json_values", "raw_records"]

_ODD = [
    "",
    "-",
    "null",
    "0",
    "-1",
    "1e999",
    "2026-02-30T00:00:00Z",
    "2026-11-17T08:00:00Z",
    "1794902400",
    "198.51.100.7",
    "::1",
    "../../x",
    "a=b%2F\n",
    "\0",
    "\u2028",
    "x" * 300,
]


def json_values() -> SearchStrategy[Any]:
    """Return any JSON value: odd texts, large and broken numbers, lists and objects in one another."""
    numbers = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
    texts = st.sampled_from(_ODD) | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    return st.recursive(
        st.none() | st.booleans() | numbers | texts,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
        max_leaves=6,
    )


def raw_records(mapper: Mapper) -> SearchStrategy[bytes]:
    """Return JSON records that hold some of the raw paths which a mapper reads, with any values, and some others.

    A mapper makes an event of such a record, or rejects it with a reason; never anything else.
    """
    paths = sorted({path for table in mapper.events for x in table.fields.values() for path in x.raw_paths() if path})
    pairs = st.tuples(st.sampled_from(paths), json_values()) if paths else st.nothing()
    some = st.lists(pairs, max_size=8)
    return st.tuples(some, st.dictionaries(st.text(max_size=8), json_values(), max_size=2)).map(_written)


def events(event_class: str, ocsf_version: str = DEFAULT_VERSION) -> SearchStrategy[dict[str, Any]]:
    """Return valid events of a class: all that is required, some of the rest.

    Args:
        event_class: The OCSF name of the class.
        ocsf_version: The version.

    Raises:
        SchemaError: If there is no such class; says what is near.
    """
    found = load(ocsf_version).event_class(event_class)
    return st.randoms(use_true_random=False).map(lambda luck: make_event(luck, found))


def _written(made: tuple[list[tuple[Path, Any]], Mapping[str, Any]]) -> bytes:
    pairs, record = made
    document: dict[str, Any] = dict(record)
    for path, value in pairs:
        _put(document, path, value)
    return json.dumps(document).encode(errors="surrogatepass")


def _put(holder: dict[str, Any], path: Path, value: Any) -> None:
    """Put a value at a path; what is in its way goes."""
    name, rest = path[0], path[1:]
    lists = 0
    while rest and rest[0] == EACH:
        lists, rest = lists + 1, rest[1:]
    if rest:
        inner = holder.get(name)
        while isinstance(inner, list) and inner:
            inner = inner[0]
        inner = inner if isinstance(inner, dict) else {}
        _put(inner, rest, value)
        value = inner
    for _ in range(lists):
        value = [value]
    holder[name] = value
