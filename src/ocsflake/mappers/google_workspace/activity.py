"""Google Workspace activity reports to six classes; one event for each of an activity's ``events``.

Sign-ins become Authentication 3002, changes of accounts Account Change 3001, of groups Group Management 3006, what
administrators do else Entity Management 3004, files of Drive File Hosting Activity 6006, alerts Detection Finding
2004, and all else API Activity 6003 (own rules: there are no published pairs).

Activities as the Reports API lists them (``{"items": []}``), as JSON lines, and split by event (``events`` is an
object). The parameters of an event are a list of names and values; those that no attribute takes stay in ``unmapped``.

The fields: https://developers.google.com/workspace/admin/reports/v1/reference/activities and the events of each
application behind it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from ocsflake.mappers._pairs import named
from ocsflake.mapping import EventMap, Fields, JsonRecords, Mapper, apply, at, is_ip

if TYPE_CHECKING:
    from ocsflake.mapping import Expr

PRODUCT = "Google Workspace"
SIGN_IN = {
    "login_challenge": 99,
    "login_failure": 1,
    "login_success": 1,
    "login_verification": 99,
    "logout": 2,
    "suspicious_login": 1,
    "suspicious_login_less_secure_app": 1,
    "suspicious_programmatic_login": 1,
}
ACCOUNT = {
    "2sv_disable": 11,
    "2sv_enroll": 10,
    "account_disabled_generic": 5,
    "account_disabled_hijacked": 5,
    "account_disabled_password_leak": 5,
    "account_disabled_spamming": 5,
    "account_disabled_spamming_through_relay": 5,
    "password_edit": 3,
    "recovery_email_edit": 99,
    "recovery_phone_edit": 99,
    "recovery_secret_qa_edit": 99,
    "titanium_enroll": 99,
    "titanium_unenroll": 99,
    "CHANGE_PASSWORD": 4,
    "CREATE_USER": 1,
    "DELETE_USER": 6,
    "SUSPEND_USER": 5,
    "TURN_OFF_2_STEP_VERIFICATION": 11,
    "UNDELETE_USER": 99,
    "UNSUSPEND_USER": 2,
}
GROUP = {
    "ADD_GROUP_MEMBER": 3,
    "CREATE_GROUP": 6,
    "DELETE_GROUP": 5,
    "REMOVE_GROUP_MEMBER": 4,
    "UPDATE_GROUP_MEMBER": 99,
    "add_member": 3,
    "add_user": 3,
    "ban_user_with_moderation": 99,
    "create_group": 6,
    "delete_group": 5,
    "remove_member": 4,
    "remove_user": 4,
}
FILE = {
    "change_document_access_scope": 12,
    "change_document_visibility": 12,
    "change_user_access": 12,
    "copy": 6,
    "create": 1,
    "delete": 4,
    "download": 2,
    "edit": 3,
    "move": 7,
    "preview": 9,
    "rename": 5,
    "trash": 4,
    "untrash": 8,
    "upload": 1,
    "view": 14,
}
OPERATION = {
    spelt: activity
    for word, activity in (
        *((word, 1) for word in ("add", "create", "assign", "authorize", "upload")),
        *((word, 2) for word in ("get", "list", "view", "download", "search")),
        *((word, 3) for word in ("change", "edit", "move", "rename", "toggle", "update")),
        *((word, 4) for word in ("delete", "remove", "revoke", "trash", "unassign")),
    )
    for spelt in (word, word.upper())
}
PROTOCOL = {"exchange": 6, "saml": 5}


def identity(qualifiers: pa.Array, names: pa.Array) -> pa.Array:
    """Return the ids of activities with the names of their events, which share them."""
    return pc.binary_join_element_wise(qualifiers.cast(pa.string()), names.cast(pa.string()), "/")


def parameter(*spellings: str) -> Expr:
    """Return the first parameter of an event that has one of these names, in lower case."""
    first, *others = (named(names, values, spelling) for spelling in spellings)
    return first.or_(*others) if others else first


names = at("events[].parameters[].name")
values = (
    at("events[].parameters[].value")
    .text()
    .or_(at("events[].parameters[].intValue").text(), at("events[].parameters[].boolValue").text())
)
app = at("id.applicationName")
name, kind = at("events[].name"), at("events[].type")
qualifier = at("id.uniqueQualifier").text()
customer = at("id.customerId")
email, profile = at("actor.email"), at("actor.profileId").text()
key = at("actor.key")
address = at("ipAddress")
affected = parameter("affected_email_address", "user_email", "member_id", "target_user")
group = parameter("group_email", "group_id")
title, document = parameter("doc_title"), parameter("doc_id")
setting = parameter("setting_name", "role_name", "application_name", "app_name", "domain_name", "org_unit_name")
administration = app == "admin"

COMMON: Fields = {
    "time": at("id.time"),
    "severity_id": 1,
    "message": name,
    "metadata.uid": apply(identity, qualifier, name).or_(qualifier),
    "metadata.event_code": kind,
    "metadata.log_name": app,
    "metadata.tenant_uid": customer,
    "metadata.product.name": PRODUCT,
    "metadata.product.vendor_name": "Google",
    "metadata.product.feature.name": app,
    "cloud.provider": "GCP",
    "cloud.org.uid": customer,
    "cloud.account.uid": customer,
    "cloud.account.type": PRODUCT,
    "cloud.account.type_id": 15,
    "actor.user.name": email.or_(key, profile),
    "actor.user.email_addr": email,
    "actor.user.uid": profile,
    "actor.user.type": at("actor.callerType"),
    "actor.user.type_id": at("actor.callerType").lookup({"USER": 1, "APPLICATION": 4}, default=99),
    # What Google does by itself has no actor, and comes from no address.
    "actor.invoked_by": email.or_(profile, key).is_null().lookup({"true": PRODUCT}),
}
SOURCE: Fields = {
    "src_endpoint.ip": address,
    "src_endpoint.svc_name": (~is_ip(address)).lookup({"true": PRODUCT}),
}
API_CALL: Fields = {
    "api.operation": name.or_(app, "unknown"),
    "api.service.name": app,
}
AUTHENTICATION: Fields = (
    COMMON
    | SOURCE
    | {
        "activity_id": name.lookup(SIGN_IN, default=99),
        "status_id": name.lookup({"login_failure": 2, "login_success": 1, "logout": 1}).or_(0),
        "status_detail": parameter("login_failure_type"),
        "user.uid": profile,
        "user.name": email.or_(affected, profile, key),
        "user.email_addr": email.or_(affected),
        "service.name": PRODUCT,
        "auth_protocol": parameter("login_type"),
        "auth_protocol_id": parameter("login_type").lookup(PROTOCOL, default=99),
        "is_mfa": parameter("is_second_factor").lookup({"true": True, "false": False}),
        "risk_level_id": parameter("is_suspicious").lookup({"true": 3, "false": 0}),
    }
)
CHANGE: Fields = COMMON | SOURCE | API_CALL
ACCOUNT_CHANGE: Fields = CHANGE | {
    "activity_id": name.lookup(ACCOUNT, default=99),
    "status_id": 1,
    "user.name": affected.or_(email, profile, key),
    "user.email_addr": affected.or_(email),
    "user.uid": profile.only_if(affected.is_null()),
}
GROUP_MANAGEMENT: Fields = CHANGE | {
    "activity_id": name.lookup(GROUP, default=99),
    "status_id": 1,
    "group.name": group,
    "user.name": affected,
    "user.email_addr": affected,
}
ENTITY: Fields = CHANGE | {
    "activity_id": name.lookup_prefix(OPERATION, default=99).or_(0),
    "status_id": 1,
    "entity.name": setting.or_(group, affected, kind, name, app),
    "entity.type": kind,
}
DRIVE: Fields = (
    COMMON
    | SOURCE
    | {
        "activity_id": name.lookup(FILE, default=99).or_(0),
        "status_id": 1,
        "file.name": title.or_(document),
        "file.uid": document,
        "file.type_id": parameter("doc_type").lookup({"folder": 2}, default=1).or_(1),
        "file.owner.name": parameter("owner"),
        "file.owner.email_addr": parameter("owner"),
    }
)
FINDING: Fields = COMMON | {
    "severity_id": 3,
    "activity_id": 1,
    "status_id": 1,
    "finding_info.uid": apply(identity, qualifier, name).or_(qualifier),
    "finding_info.title": parameter("rule_name").or_(name, app),
    "finding_info.types": kind,
    "resources[].name": parameter("resource_title").or_(parameter("resource_id"), affected),
}
API: Fields = (
    COMMON
    | SOURCE
    | API_CALL
    | {
        "activity_id": name.lookup_prefix(OPERATION, default=99).or_(0),
        "status_id": 0,
        "actor.app_name": parameter("app_name"),
        "actor.app_uid": parameter("client_id"),
        "resources[].name": setting.or_(title, group, affected),
    }
)
is_group = name.is_in(GROUP) & ~group.is_null()

MAPPER = Mapper(
    "google_workspace.activity",
    title="Google Workspace activity",
    source_name="gworkspace",
    parse=JsonRecords(unwrap=("items",), explode="events[]"),
    null_words=("-",),
    events=[
        EventMap(
            "detection_finding",
            where=app.is_in(["rules", "alert"]) | name.is_in(["gov_attack_warning"]),
            fields=FINDING,
        ),
        EventMap("account_change", where=name.is_in(ACCOUNT), fields=ACCOUNT_CHANGE),
        EventMap("authentication", where=app.is_in(["login", "saml"]) & name.is_in(SIGN_IN), fields=AUTHENTICATION),
        # OCSF before 1.4 requires a user or a privilege beside the group.
        EventMap("group_management", where=is_group & ~affected.is_null(), fields=GROUP_MANAGEMENT),
        EventMap("group_management", where=is_group, fields=GROUP_MANAGEMENT, since="1.4.0"),
        EventMap("entity_management", where=administration, fields=ENTITY),
        EventMap("file_hosting", where=(app == "drive") & ~title.or_(document).is_null(), fields=DRIVE),
        EventMap("api_activity", fields=API),
    ],
    unmapped=(
        "actor.*",
        "etag",
        "events[].*",
        "events[].parameters[].*",
        "events[].resourceIds",
        "kind",
        "networkInfo.*",
        "ownerDomain",
        "resourceDetails",
    ),
)
