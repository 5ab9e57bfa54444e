"""Microsoft 365 unified audit log to the OCSF class that fits each operation.

Sign-ins to Authentication 3002; changes in Entra ID to Account Change 3001, Group Management 3006 and Entity
Management 3004; files of SharePoint and OneDrive to File Hosting Activity 6006; alerts to Detection Finding 2004; data
loss prevention to Data Security Finding 2006 (OCSF 1.2 and later); everything else to API Activity 6003.

Records of the Management Activity API, of Microsoft Graph and of ``Search-UnifiedAuditLog`` (both hold the record in
``AuditData``), CSV exports of Purview with a column ``AuditData``, and rows of the table ``OfficeActivity``.

The fields: https://learn.microsoft.com/office/office-365-management-api/office-365-management-activity-api-schema and
https://learn.microsoft.com/azure/azure-monitor/reference/tables/officeactivity
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from ocsflake.mappers._address import host, port
from ocsflake.mappers._entra import ACCOUNT, GROUP, OPERATION, SYSTEM
from ocsflake.mappers._json import json_of
from ocsflake.mappers._pairs import first, named
from ocsflake.mappers._words import any_case
from ocsflake.mappers.microsoft365._operations import (
    FILE,
    LOGON,
    PREFIX,
    RECORD_TYPE,
    SUFFIX,
    UNMAPPED,
    USER_TYPE,
    USER_TYPE_ID,
)
from ocsflake.mapping import EventMap, Fields, JsonRecords, Mapper, apply, at, is_ip, when

if TYPE_CHECKING:
    from ocsflake.mapping import Expr

STATUS = any_case(
    dict.fromkeys(["Success", "Succeeded", "True", "PartiallySucceeded"], 1)
    | dict.fromkeys(["Failed", "Failure", "False"], 2)
)
SEVERITY = any_case({"Informational": 1, "Low": 2, "Medium": 3, "High": 4})
GUID = r"^[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$"


def log(name: str, *columns: str) -> Expr:
    """Return a field of a record, which may be wrapped in ``AuditData``.

    Args:
        name: Its name in the schema of the API.
        columns: Its columns in the table ``OfficeActivity`` and in exports, where they have other names.
    """
    return at(name, f"AuditData.{name}", f"auditData.{name}", *columns)


def known(*names: str) -> tuple[str, ...]:
    """Return the raw paths of fields in all shapes, with all that may be below them."""
    paths = [f"{place}{name}" for name in names for place in ("", "AuditData.", "auditData.")]
    return tuple(path for each in paths for path in (each, f"{each}.*"))


def each(name: str, path: str) -> Expr:
    """Return a member of every element of a list."""
    return at(f"{name}[].{path}").or_(at(f"AuditData.{name}[].{path}"), at(f"auditData.{name}[].{path}"))


def pair(name: str, key: str, value: str = "Value") -> Expr:
    """Return the value of one name in a list of names and values."""
    return named(each(name, "Name"), each(name, value), key)


def guid(ids: pa.Array) -> pa.Array:
    """Return the first id of each list that is a GUID."""
    if not pa.types.is_list(ids.type):
        return ids
    rows, texts = pc.list_parent_indices(ids), ids.flatten()
    fits = pc.fill_null(pc.match_substring_regex(texts, pattern=GUID), False)
    return texts.filter(fits).take(pc.index_in(pa.array(range(len(ids)), rows.type), value_set=rows.filter(fits)))


def worst(severities: pa.Array) -> pa.Array:
    """Return the highest severity of the rules of all policies, in lower case."""
    rows = severities.to_pylist()
    found = [{(word or "").lower() for rules in row or () for word in rules or ()} for row in rows]
    return pa.array([next((word for word in ("high", "medium", "low") if word in seen), None) for seen in found])


operation = log("Operation", "operation", "Operations")
activity = operation.extract(r"^(.*?)\.?$")  # names of Entra ID end with a full stop
workload = log("Workload", "OfficeWorkload", "service")
record_type = log("RecordType", "auditLogRecordType").text()
record_number = record_type.lookup(RECORD_TYPE).or_(record_type)
tenant = log("OrganizationId", "organizationId")
result = log("ResultStatus").text()
error = log("LogonError")
user = log("UserId", "userPrincipalName", "UserIds")
user_key = log("UserKey")
user_type = log("UserType", "userType").text()
user_kind = user_type.lookup(USER_TYPE).or_(user_type)
target = log("ObjectId", "OfficeObjectId", "objectId")
address = log("ClientIP", "clientIp").or_(log("ActorIpAddress"), log("ClientIPAddress", "Client_IPAddress"))
app = log("AppId").or_(log("ApplicationId"), log("ClientAppId"), log("AppAccessContext.ClientAppId"))
session = log("SessionId").or_(log("AppAccessContext.AADSessionId"), pair("DeviceProperties", "sessionid"))
agent = log("UserAgent").or_(pair("ExtendedProperties", "useragent"), log("ClientInfoString"))
record_uid = log("Id", "OfficeId", "id", "RecordId")
request_uid = log("CorrelationId").or_(log("InterSystemsId"), record_uid)
system = pair("DeviceProperties", "os")
directory = (workload == "AzureActiveDirectory") | record_number.is_in(["8"])
category = pair("ExtendedProperties", "extendedauditeventcategory")
about_group = activity.is_in(GROUP) | ~activity.extract(r"(?i)\b(group)\b").is_null()
about_user = (activity.is_in(ACCOUNT) | ~activity.extract(r"(?i)\b(user)\b").is_null()) & ~about_group
on_member = ~activity.extract(r"(?i)\b(member|owner)\b").is_null()
target_guid = apply(guid, each("Target", "ID"))
group_uid = pair("ModifiedProperties", "group.objectid", "NewValue").or_(
    pair("ModifiedProperties", "group.objectid", "OldValue"), target_guid.only_if(~on_member)
)
group_name = pair("ModifiedProperties", "group.displayname", "NewValue").or_(
    pair("ModifiedProperties", "group.displayname", "OldValue"), target.only_if(~on_member)
)
has_group = ~group_uid.is_null() | ~group_name.is_null()
status_id = when((operation == "UserLoginFailed") | ~error.is_null(), 2, result.lookup(STATUS, default=99).or_(0))
folder = (log("ItemType") == "Folder") | ~operation.extract("^(Folder)").is_null()
file_name = log("SourceFileName").or_(target.extract(r"([^/\\]+)[/\\]?$"))
new_name = log("DestinationFileName")

COMMON: Fields = {
    "time": log("CreationTime", "createdDateTime", "TimeGenerated", "Start_Time", "CreationDate"),
    "severity_id": 1,
    "status_id": status_id,
    "status_code": log("ErrorNumber").text().or_(result),
    "status_detail": error.or_(pair("ExtendedProperties", "resultstatusdetail"), log("ResultStatusDetail")),
    "metadata.uid": record_uid,
    "metadata.event_code": record_number,
    "metadata.correlation_uid": log("CorrelationId").or_(log("InterSystemsId"), log("AppAccessContext.CorrelationId")),
    "metadata.tenant_uid": tenant,
    "metadata.log_name": "Unified audit log",
    "metadata.product.name": "Microsoft 365",
    "metadata.product.vendor_name": "Microsoft",
    "metadata.log_version": log("Version").text(),
    "metadata.product.feature.name": workload,
    "cloud.provider": "Microsoft 365",
    "cloud.account.uid": tenant,
    "cloud.account.type_id": 17,
}
ACTOR: Fields = {
    "actor.user.name": user,
    "actor.user.email_addr": user,
    "actor.user.uid": user_key,
    "actor.user.type": user_kind,
    "actor.user.type_id": user_kind.lookup(USER_TYPE_ID, default=99),
    "actor.session.uid": session,
    "actor.app_uid": app,
    "actor.invoked_by": workload.or_("Microsoft 365").only_if(user.is_null() & user_key.is_null()),
}
ADDRESS: Fields = {"src_endpoint.ip": host(address), "src_endpoint.port": port(address)}
SOURCE: Fields = ADDRESS | {"http_request.user_agent": agent}
# Where OCSF wants a source and the record has no address, the service is all that is known of it.
ANY_SOURCE: Fields = SOURCE | {
    "src_endpoint.svc_name": workload.or_("Microsoft 365").only_if(~is_ip(host(address))),
}
AUTHENTICATION: Fields = (
    COMMON
    | SOURCE
    | {
        "activity_id": operation.lookup(LOGON, default=99),
        "user.name": user,
        "user.email_addr": user,
        "user.uid": user_key,
        "user.type": user_kind,
        "user.type_id": user_kind.lookup(USER_TYPE_ID, default=99),
        "service.uid": app,
        "service.name": workload.or_("AzureActiveDirectory"),
        "dst_endpoint.uid": target,
        "session.uid": session,
        "src_endpoint.os.name": system,
        "src_endpoint.os.type_id": system.lookup_prefix(SYSTEM, default=99),
    }
)
DIRECTORY: Fields = COMMON | ACTOR | SOURCE | {"message": operation}
USER: Fields = {"user.name": target, "user.email_addr": target, "user.type_id": 1}
ACCOUNT_CHANGE: Fields = (
    DIRECTORY | USER | {"activity_id": activity.lookup(ACCOUNT, default=99), "user.uid": target_guid}
)
GROUP_CHANGE: Fields = DIRECTORY | {
    "activity_id": activity.lookup(GROUP, default=99),
    "group.uid": group_uid,
    "group.name": group_name,
    "user.name": target.only_if(on_member),
    "user.email_addr": target.only_if(on_member),
    "user.uid": target_guid.only_if(on_member),
    "user.type_id": when(on_member, 1, 0).only_if(on_member),
}
ENTITY: Fields = DIRECTORY | {
    "activity_id": activity.lookup_prefix(OPERATION, default=99),
    "entity.name": target.or_(tenant),
    "entity.uid": target_guid,
    "entity.type": category,
}
FILES: Fields = (
    COMMON
    | ACTOR
    | ANY_SOURCE
    | {
        "activity_id": operation.lookup(FILE, default=99),
        "file.name": file_name,
        "file.path": target,
        "file.uid": log("ListItemUniqueId"),
        "file.ext": log("SourceFileExtension"),
        "file.type_id": when(folder, 2, 1),
        "file_result.name": new_name,
        "file_result.path": log("DestinationRelativeUrl").only_if(~new_name.is_null()),
        "file_result.type_id": when(folder, 2, 1).only_if(~new_name.is_null()),
        "share": log("SiteUrl", "Site_Url"),
    }
)
alert_uid = log("AlertId").or_(record_uid)
ALERT: Fields = COMMON | {
    "activity_id": operation.lookup({"AlertTriggered": 1, "AlertEntityGenerated": 1, "AlertUpdated": 2}, default=99),
    "severity_id": log("Severity").lookup(SEVERITY, default=99).or_(1),
    "status_id": log("Status").lookup({"Active": 1, "Investigating": 2, "Dismissed": 3, "Resolved": 4}, default=99),
    "is_alert": True,
    "message": log("Name").or_(operation),
    "finding_info.uid": alert_uid,
    "finding_info.title": log("Name").or_(operation),
    "finding_info.desc": log("Comments"),
    "finding_info.types": log("Category"),
    "resources[].name": log("AlertEntityId").or_(target),
    "resources[].type": log("EntityType"),
}
policy = each("PolicyDetails", "PolicyName")
LOSS: Fields = (
    COMMON
    | ACTOR
    | ADDRESS
    | {
        "activity_id": operation.lookup({"DlpRuleMatch": 1, "DlpInfo": 1, "DlpRuleUndo": 3}, default=99),
        "severity_id": apply(worst, each("PolicyDetails", "Rules[].Severity")).lookup(SEVERITY).or_(1),
        "message": operation,
        "finding_info.uid": log("IncidentId").or_(record_uid),
        "finding_info.title": apply(first, policy).or_(operation),
        "data_security.policy.name": policy,
        "data_security.policy.uid": each("PolicyDetails", "PolicyId"),
        "resources[].uid": target,
    }
)
API: Fields = (
    COMMON
    | ACTOR
    | ANY_SOURCE
    | {
        "activity_id": operation.lookup_prefix(PREFIX).or_(
            operation.extract(r"([A-Z][a-z]+)$").lookup(SUFFIX), operation.lookup({}, default=99), 99
        ),
        "api.operation": operation,
        "api.service.name": workload.or_("Microsoft 365"),
        "api.request.uid": request_uid,
        "api.request.data": apply(
            json_of, log("Parameters").or_(log("ModifiedProperties"), log("OperationProperties"))
        ),
        "resources[].uid": target.or_(log("MailboxOwnerUPN")),
    }
)
is_file = operation.is_in(FILE) & ~target.is_null()
is_alert = operation.is_in(["AlertEntityGenerated", "AlertTriggered", "AlertUpdated"]) | record_number.is_in(["40"])
is_loss = operation.is_in(["DlpInfo", "DlpRuleMatch", "DlpRuleUndo"]) | record_number.is_in(["11", "13", "63"])
is_group = directory & about_group & has_group

MAPPER = Mapper(
    "microsoft365.audit",
    title="Microsoft 365 unified audit log",
    source_name="m365_audit",
    parse=JsonRecords(unwrap=("records", "value"), csv=True),
    null_words=("-", "<null>", "None", "N/A", "Not Available"),
    events=[
        EventMap("authentication", where=operation.is_in(LOGON), fields=AUTHENTICATION),
        # OCSF before 1.4 wants a user, or privileges, beside the group.
        EventMap(
            "group_management", where=is_group & on_member & ~target.is_null(), fields=GROUP_CHANGE, until="1.3.0"
        ),
        EventMap("group_management", where=is_group, fields=GROUP_CHANGE, since="1.4.0"),
        EventMap("account_change", where=directory & about_user & ~target.is_null(), fields=ACCOUNT_CHANGE),
        EventMap("entity_management", where=directory, fields=ENTITY),
        EventMap("file_hosting", where=is_file, fields=FILES),
        EventMap("detection_finding", where=is_alert, fields=ALERT),
        EventMap("data_security_finding", where=is_loss, fields=LOSS),
        EventMap("api_activity", fields=API),
    ],
    unmapped=(
        *known(*UNMAPPED),
        # The command that exports records, and the table, add some of their own.
        "AssociatedAdminUnits",
        "AssociatedAdminUnitsNames",
        "Identity",
        "IsValid",
        "ObjectState",
        "ResultCount",
        "ResultIndex",
        "administrativeUnits.*",
        "userId",
        *(f"{name}_" for name in ("ClientIP", "OfficeTenantId", "OrganizationId", "Site", "UserId")),
        *("AADTarget", "Application", "AzureActiveDirectory_EventType", "Event_Data", "Logon_Type", "OfficeTenantId"),
        *("SourceRecordId", "SourceSystem", "TenantId", "Type", "UserDomain", "_ResourceId", "ElevationTime"),
    ),
)
