"""Microsoft Entra ID audit logs to Account Change 3001, Group Management 3006, Entity Management 3004.

Records of the category ``AuditLogs`` of diagnostic settings, rows of the table ``AuditLogs``, ``directoryAudit``
objects of Microsoft Graph; and risk detections (``UserRiskEvents``, ``AADUserRiskEvents``, ``riskDetection``) to
Detection Finding 2004.

The fields: https://learn.microsoft.com/azure/azure-monitor/reference/tables/auditlogs and
https://learn.microsoft.com/graph/api/resources/directoryaudit
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pyarrow as pa

from ocsflake.mappers._address import host, port
from ocsflake.mappers._entra import ACCOUNT, GROUP, OPERATION
from ocsflake.mappers._pairs import named
from ocsflake.mappers.azure._shapes import (
    ENVELOPE,
    NULL_WORDS,
    RECORDS,
    first,
    items,
    known,
    member,
    prop,
    tenant_of,
)
from ocsflake.mapping import EventMap, Fields, Mapper, apply, at, origin, when

if TYPE_CHECKING:
    from collections.abc import Iterator

RISK_LEVEL = {"none": 0, "low": 1, "medium": 2, "high": 3}
RISK_SEVERITY = {"none": 1, "low": 2, "medium": 3, "high": 4}
RISK_STATE = {"atRisk": 1, "confirmedCompromised": 1, "confirmedSafe": 3, "dismissed": 3, "none": 4, "remediated": 4}


def of_user(values: pa.Array, types: pa.Array) -> pa.Array:
    """Return the value of the first target that is a user."""
    return pa.array(_of_type(values, types, "user"), pa.string())


def of_group(values: pa.Array, types: pa.Array) -> pa.Array:
    """Return the value of the first target that is a group."""
    return pa.array(_of_type(values, types, "group"), pa.string())


def group_name(names: pa.Array, new: pa.Array, old: pa.Array) -> pa.Array:
    """Return the property ``Group.DisplayName`` that a target was given, or lost; its value is JSON in a text."""
    rows = zip(names.to_pylist(), new.to_pylist(), old.to_pylist(), strict=True)
    return pa.array([next(_property("Group.DisplayName", *row), None) for row in rows], pa.string())


def _of_type(values: pa.Array, types: pa.Array, wanted: str) -> Iterator[str | None]:
    for row, kinds in zip(values.to_pylist(), types.to_pylist(), strict=True):
        pairs = zip(row or (), kinds or (), strict=False)
        yield next((value for value, kind in pairs if kind is not None and kind.lower() == wanted), None)


def _property(
    name: str,
    names: list[list[str | None] | None] | None,
    new: list[list[str | None] | None] | None,
    old: list[list[str | None] | None] | None,
) -> Iterator[str]:
    for columns in zip(names or (), new or (), old or (), strict=False):
        for found, *values in zip(*(column or () for column in columns), strict=False):
            for value in values:
                if found == name and (text := _unquoted(value)):
                    yield text


def _unquoted(value: str | None) -> str | None:
    """Return the text in JSON text; what is no JSON is taken as it is, JSON of another kind is no text."""
    try:
        return msgspec.json.decode(value or "null", type=str | None)
    except msgspec.ValidationError:
        return None
    except msgspec.DecodeError:
        return value


activity = prop("activityDisplayName").or_(prop("operationName"))
word = at("properties.category", "Category", "category")
category = word.only_if(~word.is_in(["AuditLogs", "Audit"]))
types = items("targetResources", "type").or_(items("targetResources", "Type"))
ids = items("targetResources", "id")
principals = items("targetResources", "userPrincipalName")
names = items("targetResources", "displayName")
user_uid, user_name = apply(of_user, ids, types), apply(of_user, principals, types)
group_uid, group_title = apply(of_group, ids, types), apply(of_group, names, types)
has_user = ~user_uid.is_null() | ~user_name.is_null()
has_group = ~group_uid.is_null() | ~group_title.is_null()
is_group = has_group & ((category == "GroupManagement") | activity.is_in(GROUP))
is_account = has_user & ((category == "UserManagement") | activity.is_in(ACCOUNT)) & ~activity.is_in(GROUP)

resource = at("resourceId", "ResourceId")
tenant = at("tenantId", "AADTenantId").or_(tenant_of(resource), origin("account"))
result = prop("result").or_(at("resultType", "ResultType"))
operator = member("initiatedBy", "user.userPrincipalName")
application = member("initiatedBy", "app.displayName")
by_app = member("initiatedBy", "user.id").is_null() & operator.is_null() & ~application.is_null()
address = member("initiatedBy", "user.ipAddress").or_(at("callerIpAddress", "CallerIpAddress"))

PRODUCT: Fields = {
    "metadata.uid": prop("id"),
    "metadata.correlation_uid": prop("correlationId"),
    "metadata.tenant_uid": tenant,
    "metadata.logged_time": at("time", "TimeGenerated"),
    "metadata.product.name": "Microsoft Entra ID",
    "metadata.product.vendor_name": "Microsoft",
    "metadata.product.version": at("operationVersion", "OperationVersion").text(),
    "cloud.provider": "Azure",
    "cloud.account.uid": tenant,
    "cloud.account.type": "Entra Tenant",
    "cloud.account.type_id": 99,
}
COMMON: Fields = PRODUCT | {
    "time": prop("activityDateTime", "", "time", "TimeGenerated"),
    "severity_id": 1,
    "message": activity,
    "status_id": when(result.is_null(), 0, when(result.lower() == "success", 1, 2)),
    "status_code": result,
    "status_detail": prop("resultReason").or_(at("resultDescription", "ResultDescription")),
    "metadata.log_name": "AuditLogs",
    "metadata.log_provider": prop("loggedByService"),
    "metadata.product.feature.name": category.or_("AuditLogs"),
    "actor.user.uid": member("initiatedBy", "user.id").or_(member("initiatedBy", "app.servicePrincipalId")),
    "actor.user.name": operator.or_(application, member("initiatedBy", "app.servicePrincipalName")),
    "actor.user.email_addr": operator,
    "actor.user.full_name": member("initiatedBy", "user.displayName"),
    "actor.user.type": when(by_app, "ServicePrincipal", "User"),
    "actor.user.type_id": when(by_app, 4, 1),
    "actor.app_name": application,
    "actor.app_uid": member("initiatedBy", "app.appId"),
    "src_endpoint.ip": host(address),
    "src_endpoint.port": port(address),
    "http_request.user_agent": prop("userAgent").or_(
        named(items("additionalDetails", "key"), items("additionalDetails", "value"), "user-agent")
    ),
}
USER: Fields = {
    "user.uid": user_uid,
    "user.name": user_name,
    "user.email_addr": user_name,
    "user.full_name": apply(of_user, names, types),
    "user.type": apply(of_user, types, types),
    "user.type_id": 1,
}
ACCOUNT_CHANGE: Fields = COMMON | USER | {"activity_id": activity.lookup(ACCOUNT, default=99)}
properties = [
    items("targetResources", f"modifiedProperties[].{key}") for key in ("displayName", "newValue", "oldValue")
]
GROUP_CHANGE: Fields = (
    COMMON
    | USER
    | {
        "activity_id": activity.lookup(GROUP, default=99),
        "group.uid": group_uid,
        "group.name": group_title.or_(apply(group_name, *properties)),
        "group.type": apply(of_group, items("targetResources", "groupType"), types),
    }
)
target_name = apply(first, names).or_(apply(first, principals))
no_target = target_name.is_null() & apply(first, ids).is_null()
ENTITY: Fields = COMMON | {
    "activity_id": prop("operationType", "AADOperationType")
    .lookup({"Add": 1, "Assign": 1, "Create": 1, "Read": 2, "Update": 3, "Delete": 4, "Unassign": 4})
    .or_(activity.lookup_prefix(OPERATION, default=99), 99),
    # What has no target of its own acts on the tenant.
    "entity.uid": apply(first, ids).or_(tenant.only_if(no_target)),
    "entity.name": target_name.or_(no_target.lookup({"true": "Entra tenant"})),
    "entity.type": apply(first, types).or_(when(no_target, "Tenant", "Other")),
}

risk = prop("riskEventType")
state = prop("riskState")
updated = prop("lastUpdatedDateTime")
RISK: Fields = PRODUCT | {
    "time": prop("lastUpdatedDateTime", "", "properties.detectedDateTime", "DetectedDateTime", "detectedDateTime"),
    "severity_id": prop("riskLevel").lookup(RISK_SEVERITY, default=99).or_(0),
    "activity_id": when(state.is_in(["confirmedSafe", "dismissed", "remediated"]), 3, 1),
    "status_id": state.lookup(RISK_STATE, default=99),
    "risk_level_id": prop("riskLevel").lookup(RISK_LEVEL, default=99),
    "risk_details": prop("riskDetail"),
    "is_alert": True,
    "metadata.log_name": "UserRiskEvents",
    "metadata.log_provider": prop("source"),
    "metadata.product.feature.name": "Identity Protection",
    "finding_info.uid": prop("id"),
    "finding_info.title": risk,
    "finding_info.types": risk,
    "finding_info.created_time": prop("detectedDateTime"),
    "finding_info.modified_time": updated,
    "finding_info.first_seen_time": prop("activityDateTime"),
    "evidences[].actor.user.uid": prop("userId"),
    "evidences[].actor.user.name": prop("userPrincipalName"),
    "evidences[].actor.user.full_name": prop("userDisplayName"),
    "evidences[].src_endpoint.ip": host(prop("ipAddress")),
    "evidences[].src_endpoint.location.city": member("location", "city"),
    "evidences[].src_endpoint.location.region": member("location", "state"),
    "evidences[].src_endpoint.location.country": member("location", "countryOrRegion"),
    "resources[].uid": prop("userId"),
    "resources[].name": prop("userPrincipalName"),
    "resources[].type": "User",
}

MAPPER = Mapper(
    "azure.audit",
    title="Microsoft Entra ID audit logs",
    source_name="azure_audit",
    parse=RECORDS,
    null_words=NULL_WORDS,
    events=[
        EventMap("detection_finding", where=~risk.is_null(), fields=RISK),
        # OCSF before 1.4 wants a user, or privileges, beside the group.
        EventMap("group_management", where=is_group & has_user, fields=GROUP_CHANGE, until="1.3.0"),
        EventMap("group_management", where=is_group, fields=GROUP_CHANGE, since="1.4.0"),
        EventMap("account_change", where=is_account, fields=ACCOUNT_CHANGE),
        EventMap("entity_management", where=~activity.is_null(), fields=ENTITY),
    ],
    unmapped=(
        *ENVELOPE,
        "durationMs",
        "DurationMs",
        "identity",
        "Identity",
        *known(
            "activity",
            "additionalDetails",
            "additionalInfo",
            "detectionTimingType",
            "identity",
            "initiatedBy",
            "location",
            "operationType",
            "requestId",
            "resultDescription",
            "resultType",
            "riskType",
            "targetResources",
            "tenantGeo",
            "tenantId",
            "tokenIssuerType",
            "userType",
        ),
    ),
)
