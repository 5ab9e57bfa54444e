"""HTTP: methods are the activities of HTTP Activity; headers are found by name; addresses stand behind one another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from ocsflake.mapping import apply

if TYPE_CHECKING:
    from ocsflake.mapping import Expr

__all__ = ["addresses", "header", "http_activity"]

METHODS = {
    "CONNECT": 1,
    "DELETE": 2,
    "GET": 3,
    "HEAD": 4,
    "OPTIONS": 5,
    "POST": 6,
    "PUT": 7,
    "TRACE": 8,
    "PATCH": 9,
}


def http_activity(method: Expr) -> Expr:
    """Return the ``activity_id`` of an HTTP method: 99 for one that OCSF does not know, 0 where there is none."""
    return method.lookup(METHODS, default=99).or_(0)


def header(names: Expr, values: Expr, name: str) -> Expr:
    """Return the first header of a name (in lower case), whatever the case that the request has."""
    return apply(first, values.only_if(names.lower() == name))


def addresses(text: Expr) -> Expr:
    """Return the addresses of an ``X-Forwarded-For`` header, one behind the other, as a list."""
    return apply(parts, text)


def first(lists: pa.Array) -> pa.Array:
    """Return the first text of each list, null where it has none."""
    if not pa.types.is_list(lists.type):
        return lists
    texts, rows = lists.flatten(), pc.list_parent_indices(lists)
    valid = texts.is_valid()
    numbers = pa.array(range(len(lists)), rows.type)
    return texts.filter(valid).take(pc.index_in(numbers, value_set=rows.filter(valid)))


def parts(texts: pa.Array) -> pa.Array:
    """Return the parts of each text between commas."""
    return pc.split_pattern_regex(texts.cast(pa.string()), pattern=r"\s*,\s*")
