"""What the resource logs of Azure services have in common: when, of which resource, who called from where.

A record of a diagnostic setting has camelCase names; a row of a service's own table has PascalCase columns; a row of
the table ``AzureDiagnostics`` has the record's own names with a suffix for the type (``requestUri_s``).

The common fields: https://learn.microsoft.com/azure/azure-monitor/platform/resource-logs-schema
"""

from __future__ import annotations

from ocsflake.mappers.azure._shapes import LEVEL, subscription
from ocsflake.mapping import Expr, Fields, at

__all__ = ["NAMES", "detail", "milliseconds", "resource", "resource_fields", "time"]

NAMES = (
    "$table",
    "Category",
    "ResourceType",
    "SubscriptionId",
    "Type",
    "category",
    "properties.category",
    "tenantId",
)
"""Common fields that are left to ``unmapped``, besides those of every Azure log."""

resource = at("resourceId", "ResourceId", "_ResourceId", "ResourceId_s")
time = at("time", "TimeGenerated")


def detail(name: str, *others: str) -> Expr:
    """Return a property of a record in all shapes.

    Args:
        name: Its camelCase name.
        others: More paths, such as the column of a table that calls it otherwise.
    """
    column = name[0].upper() + name[1:]
    return at(f"properties.{name}", column, name, *(f"{name}{twin}" for twin in ("_s", "_d", "_g", "_b")), *others)


def milliseconds(duration: Expr) -> Expr:
    """Return whole milliseconds of a number or text; the fraction that some tables write is cut off."""
    return duration.text().extract(r"^([0-9]{1,18})(?:\.[0-9]*)?$")


def resource_fields(product: str, category: Expr) -> Fields:
    """Return the fields of any class that the common part of a resource log fills.

    Args:
        product: The name of the service.
        category: The category of the log.
    """
    return {
        "time": time,
        "severity_id": at("level", "Level").text().lookup(LEVEL, default=99).or_(1),
        "metadata.correlation_uid": at("correlationId", "CorrelationId"),
        "metadata.tenant_uid": at("tenantId"),
        "metadata.log_name": category,
        "metadata.product.name": product,
        "metadata.product.vendor_name": "Microsoft",
        "metadata.product.version": at("operationVersion", "OperationVersion").text(),
        "metadata.product.feature.name": category,
        "cloud.provider": "Azure",
        "cloud.account.uid": subscription(resource).or_(at("SubscriptionId", "_SubscriptionId").lower()),
        "cloud.account.type": "Azure Subscription",
        "cloud.account.type_id": 13,
        "cloud.region": at("location", "Location"),
    }
