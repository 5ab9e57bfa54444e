"""The shapes that every Azure log comes in, and what they have in common.

A record of a diagnostic setting (Event Hubs, storage) holds camelCase names, most of them below ``properties``; a row
of a Log Analytics table has the same as PascalCase columns, with dynamic columns as JSON text; REST and Graph objects
have camelCase names at the top. ``TenantId`` of a Log Analytics row is the workspace, never the tenant.

The common fields: https://learn.microsoft.com/azure/azure-monitor/platform/resource-logs-schema
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from ocsflake.mappers._words import any_case
from ocsflake.mapping import Expr, JsonRecords, at

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "ENVELOPE",
    "LEVEL",
    "NULL_WORDS",
    "RECORDS",
    "digest",
    "first",
    "items",
    "known",
    "member",
    "prop",
    "subscription",
    "tenant_of",
]

RECORDS = JsonRecords(unwrap=("records", "value"), csv=True)
"""Diagnostic settings wrap records in ``records``, REST and Graph in ``value``; portals export CSV."""

NULL_WORDS = ("-", "<null>", "None", "N/A", "Not Available")

LEVEL = any_case({"Verbose": 1, "Information": 1, "Informational": 1, "Warning": 3, "Error": 4, "Critical": 5}) | {
    "4": 1,
    "3": 3,
    "2": 4,
    "1": 5,
}
"""Levels to ``severity_id``; logs write them as words or as 1 (critical) to 4 (informational)."""

ENVELOPE = (
    "Level",
    "level",
    "Location",
    "location",
    "OperationName",
    "operationName",
    "OperationVersion",
    "Resource",
    "ResourceGroup",
    "ResourceProvider",
    "ResultDescription",
    "ResultSignature",
    "resultSignature",
    "ResultType",
    "SourceSystem",
    "TenantId",
    "Type",
    "_ResourceId",
    "_SubscriptionId",
)
"""Common fields that say nothing new of an event and are left to ``unmapped``."""

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


def known(*names: str) -> tuple[str, ...]:
    """Return the raw paths of properties in all shapes, with all that may be below them."""
    places = [place for name in names for place in _places(name, "")]
    return tuple(path for place in places for path in (place, f"{place}.*"))


def first(lists: pa.Array) -> pa.Array:
    """Return the first element of each list."""
    return pc.list_element(lists, 0) if pa.types.is_list(lists.type) else lists


def digest(*parts: pa.Array) -> pa.Array:
    """Return a digest of the parts of each row, for records that have no id of their own."""
    rows = zip(*(part.to_pylist() for part in parts), strict=True)
    return pa.array([sha256("\x1f".join(part or "" for part in row).encode()).hexdigest()[:32] for row in rows])


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
