"""HTTP: methods are the activities of HTTP Activity, statuses its outcome; addresses stand behind one another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from ocsflake.mapping import apply

if TYPE_CHECKING:
    from ocsflake.mapping import Expr

__all__ = ["addresses", "http_activity", "http_outcome"]

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


def http_outcome(code: Expr) -> Expr:
    """Return the ``status_id`` of an HTTP status: 1 from 100 to 399, 2 for any other, 0 where there is none."""
    return code.extract(r"^([0-9])[0-9]{2}$").lookup({"1": 1, "2": 1, "3": 1}, default=2).or_(0)


def addresses(text: Expr) -> Expr:
    """Return the addresses of an ``X-Forwarded-For`` header, one behind the other, as a list."""
    return apply(parts, text)


def parts(texts: pa.Array) -> pa.Array:
    """Return the parts of each text between commas."""
    return pc.split_pattern_regex(texts.cast(pa.string()), pattern=r"\s*,\s*")
