"""The shapes that every Azure log comes in, and what they have in common.

A record of a diagnostic setting (Event Hubs, storage) holds camelCase names, most of them below ``properties``; a row
of a Log Analytics table has the same as PascalCase columns, with dynamic columns as JSON text; REST and Graph objects
have camelCase names at the top. ``TenantId`` of a Log Analytics row is the workspace, never the tenant.

The common fields: https://learn.microsoft.com/azure/azure-monitor/platform/resource-logs-schema
"""

from __future__ import annotations

from ocsflake.mapping import Expr, Fields, JsonRecords, at

__all__ = ["COMMON", "LEVEL", "NULL_WORDS", "RECORDS", "member", "prop", "subscription", "tenant_of"]

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
"""Levels, lower-cased, to ``severity_id``; logs write them as words or as 1 (critical) to 4 (informational)."""

COMMON: Fields = {
    "cloud.provider": "Azure",
    "metadata.product.vendor_name": "Microsoft",
    "metadata.product.version": at("operationVersion", "OperationVersion").text(),
    "metadata.correlation_uid": at(
        "properties.correlationId", "correlationId", "CorrelationId", "correlation_id", "OriginalCorrelationId"
    ),
}


def prop(name: str, column: str = "", *others: str) -> Expr:
    """Return a property of a record in all shapes.

    Args:
        name: Its camelCase name, in ``properties`` of diagnostic records and at the top of Graph objects.
        column: The column of the Log Analytics table, where it is not the PascalCase of `name`.
        others: More paths.
    """
    return at(f"properties.{name}", column or name[0].upper() + name[1:], name, *others)


def member(name: str, path: str, column: str = "") -> Expr:
    """Return a member of a property that is an object; its column may be JSON text, or a twin made by a union."""
    table = column or name[0].upper() + name[1:]
    twins = (f"{table}_dynamic", f"{table}_string", f"{table}_d", f"{table}_s")
    return at(f"properties.{name}.{path}", *(f"{each}.{path}" for each in (table, name, *twins)))


def subscription(resource: Expr) -> Expr:
    """Return the id of the subscription in a resource id, in lower case: resource ids are spelt in any case."""
    return resource.lower().extract(r"^/?subscriptions/([^/]+)")


def tenant_of(resource: Expr) -> Expr:
    """Return the id of the tenant in a resource id such as ``/tenants/<id>/providers/Microsoft.aadiam``."""
    return resource.lower().extract(r"^/?tenants/([^/]+)")
