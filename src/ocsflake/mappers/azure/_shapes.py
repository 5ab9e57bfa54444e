"""The shapes that every Azure log comes in, and what they have in common.

A record of a diagnostic setting (Event Hubs, storage) holds camelCase names, most of them below ``properties``; a row
of a Log Analytics table has the same as PascalCase columns, with dynamic columns as JSON text; REST and Graph objects
have camelCase names at the top. ``TenantId`` of a Log Analytics row is the workspace, never the tenant.

The common fields: https://learn.microsoft.com/azure/azure-monitor/platform/resource-logs-schema
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from ocsflake.mapping import Expr, JsonRecords, apply, at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["LEVEL", "NULL_WORDS", "RECORDS", "first", "items", "member", "picked", "prop", "subscription", "tenant_of"]

RECORDS = JsonRecords(unwrap=("records", "value"), csv=True)
"""Diagnostic settings wrap records in ``records``, REST and Graph in ``value``; portals export CSV."""

NULL_WORDS = ("-", "<null>", "None", "N/A", "Not Available")

LEVEL = {
    "verbose": 1,
    "information": 1,
    "informational": 1,
    "warning": 3,
    "error": 4,
    "critical": 5,
    "4": 1,
    "3": 3,
    "2": 4,
    "1": 5,
}
"""Levels, in lower case, to ``severity_id``; logs write them as words or as 1 (critical) to 4 (informational)."""

TWINS = ("_dynamic", "_string", "_d", "_s")
"""What a union of tables, or an older workspace, hangs on the name of a column whose type differs."""


def prop(name: str, column: str = "", *others: str) -> Expr:
    """Return a property of a record in all shapes.

    Args:
        name: Its camelCase name: in ``properties`` of diagnostic records, at the top of Graph objects.
        column: The column of the Log Analytics table, where it is not the PascalCase of `name`.
        others: More paths.
    """
    return at(f"properties.{name}", column or _pascal(name), name, *others)


def member(name: str, path: str, column: str = "") -> Expr:
    """Return a member of a property that is an object, or JSON text in a column."""
    return at(*(f"{place}.{path}" for place in _places(name, column)))


def items(name: str, path: str = "", column: str = "") -> Expr:
    """Return the members of the elements of a property that is a list, or JSON text in a column."""
    found = [at(f"{place}[].{path}" if path else f"{place}[]") for place in _places(name, column)]
    return found[0].or_(*found[1:])


def first(lists: pa.Array) -> pa.Array:
    """Return the first element of each list."""
    return pc.list_element(lists, 0) if pa.types.is_list(lists.type) else lists


def picked(function: Callable[..., Any], *values: Expr) -> Expr:
    """Return what `function` picks of lists; where it picks nothing, they go to ``unmapped``."""
    found = apply(function, *values)
    return found.only_if(~found.is_null())


def subscription(resource: Expr) -> Expr:
    """Return the id of the subscription in a resource id, in lower case: resource ids are spelt in any case."""
    return resource.lower().extract(r"^/?subscriptions/([^/]+)")


def tenant_of(resource: Expr) -> Expr:
    """Return the id of the tenant in a resource id such as ``/tenants/<id>/providers/Microsoft.aadiam``."""
    return resource.lower().extract(r"^/?tenants/([^/]+)")


def _places(name: str, column: str) -> Iterator[str]:
    table = column or _pascal(name)
    yield from (f"properties.{name}", table, name, *(table + twin for twin in TWINS))


def _pascal(name: str) -> str:
    return name[0].upper() + name[1:]
