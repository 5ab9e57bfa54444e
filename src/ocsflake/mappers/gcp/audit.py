"""Google Cloud Audit Logs to API Activity 6003, Authentication 3002, Account Change 3001 and Group Management 3006.

Admin Activity, Data Access, System Event and Policy Denied entries, of projects, folders, organizations and billing
accounts, and what Google Workspace writes there (``login.googleapis.com``, ``admin.googleapis.com``). Entries of other
logs that come along in a stream become Base Events, those of Access Transparency too.

Sign-ins are Authentication. What is done to service accounts, their keys and Workspace users is Account Change where
the entry names the account, and what is done to Workspace groups is Group Management; all else is API Activity,
setting an IAM policy included. OCSF before 1.4 has no Group Management without a user: there a group that is created
or deleted is API Activity.

The fields: https://docs.cloud.google.com/logging/docs/audit/understanding-audit-logs
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from ocsflake.mappers.gcp._audit_log import ACTOR, CALL, UNMAPPED, email, operation, service, subject
from ocsflake.mappers.gcp._entry import ENTRIES, OTHER, is_other
from ocsflake.mapping import EventMap, Fields, Mapper, apply, at, when

CREATE = ("add", "create", "generate", "import", "insert", "issue", "upload")
READ = ("aggregatedList", "batchGet", "check", "describe", "export", "fetch", "get", "getqueryresults", "list")
READ_MORE = ("lookup", "query", "read", "search", "test", "validate", "view", "watch")
UPDATE = ("attach", "batchUpdate", "change", "detach", "disable", "enable", "modify", "move", "patch", "rename")
UPDATE_MORE = ("replace", "resize", "set", "suspend", "undelete", "unsuspend", "update")
DELETE = ("batchDelete", "delete", "destroy", "purge", "remove", "revoke")
VERBS = (
    dict.fromkeys(CREATE, 1)
    | dict.fromkeys(READ + READ_MORE, 2)
    | dict.fromkeys(UPDATE + UPDATE_MORE, 3)
    | dict.fromkeys(DELETE, 4)
)
ACTIVITY = VERBS | {verb[0].upper() + verb[1:]: activity for verb, activity in VERBS.items()}

# login.googleapis.com
SIGN_IN = {
    "loginSuccess": 1,
    "loginFailure": 1,
    "logout": 2,
    "loginChallenge": 99,
    "loginVerification": 99,
    "suspiciousLogin": 1,
    "suspiciousLoginLessSecureApp": 1,
    "suspiciousProgrammaticLogin": 1,
}
OWN_ACCOUNT = {
    "2svDisable": 11,
    "2svEnroll": 10,
    "accountDisabledGeneric": 5,
    "accountDisabledHijacked": 5,
    "accountDisabledPasswordLeak": 5,
    "accountDisabledSpamming": 5,
    "accountDisabledSpammingThroughRelay": 5,
    "passwordEdit": 3,
    "recoveryEmailEdit": 99,
    "recoveryPhoneEdit": 99,
    "recoverySecretQaEdit": 99,
    "titaniumEnroll": 99,
    "titaniumUnenroll": 99,
}
# iam.googleapis.com
SERVICE_ACCOUNT = {
    "CreateServiceAccount": 1,
    "CreateServiceAccountKey": 1,
    "DeleteServiceAccount": 6,
    "DeleteServiceAccountKey": 6,
    "DisableServiceAccount": 5,
    "DisableServiceAccountKey": 99,
    "EnableServiceAccount": 2,
    "EnableServiceAccountKey": 99,
    "PatchServiceAccount": 99,
    "UndeleteServiceAccount": 99,
    "UpdateServiceAccount": 99,
    "UploadServiceAccountKey": 1,
}
# admin.googleapis.com
WORKSPACE_USER = {
    "assignRole": 7,
    "changePassword": 4,
    "changePasswordOnNextLogin": 99,
    "createUser": 1,
    "deleteUser": 6,
    "grantAdminPrivilege": 7,
    "moveUserToOrgUnit": 99,
    "renameUser": 99,
    "revokeAdminPrivilege": 8,
    "suspendUser": 5,
    "turnOff2StepVerification": 11,
    "unassignRole": 8,
    "undeleteUser": 99,
    "unsuspendUser": 2,
}
MEMBERS = {"addGroupMember": 3, "removeGroupMember": 4, "updateGroupMember": 99}
GROUPS = MEMBERS | {"createGroup": 6, "deleteGroup": 5}


def _parameter(names: pa.Array, values: pa.Array, wanted: str) -> pa.Array:
    """Return the value of one parameter of a Workspace event; lists of lists of names and of values in."""
    if not (pa.types.is_list(names.type) and pa.types.is_list(values.type)):
        return pa.nulls(len(names), pa.string())
    events, parameters = pc.list_parent_indices(names), pc.list_parent_indices(names.flatten())
    found = pc.fill_null(pc.equal(names.flatten().flatten(), wanted), False)
    rows = events.take(parameters).filter(found)
    return values.flatten().flatten().filter(found).take(pc.index_in(pa.array(range(len(names)), rows.type), rows))


def user_email(names: pa.Array, values: pa.Array) -> pa.Array:
    """Return the user that an event of the Workspace Admin console is about."""
    return _parameter(names, values, "USER_EMAIL")


def group_email(names: pa.Array, values: pa.Array) -> pa.Array:
    """Return the group that an event of the Workspace Admin console is about."""
    return _parameter(names, values, "GROUP_EMAIL")


def role_name(names: pa.Array, values: pa.Array) -> pa.Array:
    """Return the role that an event of the Workspace Admin console is about."""
    return _parameter(names, values, "ROLE_NAME")


workspace = at("protoPayload.metadata.event")
parameters = (
    at("protoPayload.metadata.event[].parameter[].name"),
    at("protoPayload.metadata.event[].parameter[].value"),
)
login = service == "login.googleapis.com"
admin = service == "admin.googleapis.com"
signing_in = login & operation.is_in(SIGN_IN) & ~email.is_null()
service_account = (
    at("resource.labels.email_id")
    .or_(
        at("protoPayload.response.email"),
        at("protoPayload.resourceName").extract("serviceAccounts/([^/]*@[^/]*)"),
        at("protoPayload.request.account_id"),
    )
    .only_if((service == "iam.googleapis.com") & operation.is_in(SERVICE_ACCOUNT))
)
account = service_account.or_(
    apply(user_email, *parameters).only_if(admin & operation.is_in(WORKSPACE_USER)),
    email.only_if(login & operation.is_in(OWN_ACCOUNT)),
)
member = apply(user_email, *parameters).only_if(admin & operation.is_in(MEMBERS))
group = apply(group_email, *parameters).only_if(admin & operation.is_in(GROUPS))

# The Admin console has no requests; what was asked for stands in its events.
WORKSPACE: Fields = {"api.request.data": at("protoPayload.request").or_(workspace)}

AUTHENTICATION: Fields = {
    "activity_id": operation.lookup(SIGN_IN, default=99),
    "status_id": when(operation == "loginFailure", 2, CALL["status_id"]),
    "user.name": email,
    "user.email_addr": ACTOR["actor.user.email_addr"],
    "user.uid": subject,
    "user.type_id": ACTOR["actor.user.type_id"],
    "service.name": service,
}

ACCOUNT: Fields = {
    "activity_id": operation.lookup(OWN_ACCOUNT | SERVICE_ACCOUNT | WORKSPACE_USER, default=99),
    "user.name": account,
    "user.email_addr": account.only_if(~account.extract("(@)").is_null()),
    "user.uid": at("resource.labels.unique_id").or_(at("protoPayload.response.unique_id")),
    "user.type_id": when(service_account.is_null(), 1, 4),
    "policy.name": apply(role_name, *parameters),
}

GROUP: Fields = {
    "activity_id": operation.lookup(GROUPS, default=99),
    "group.name": group,
    "user.name": member,
    "user.email_addr": member,
}

API: Fields = {
    "activity_id": operation.lookup_prefix(ACTIVITY, default=99).or_(0),
    "resources[].uid": at("protoPayload.resourceName"),
    "resources[].type": at("resource.type"),
}

MAPPER = Mapper(
    "gcp.audit",
    title="Google Cloud Audit Logs",
    source_name="gcp_audit",
    parse=ENTRIES,
    events=[
        EventMap("authentication", where=signing_in, fields=CALL | WORKSPACE | AUTHENTICATION),
        EventMap("account_change", where=~account.is_null(), fields=CALL | WORKSPACE | ACCOUNT),
        EventMap(
            "group_management",
            where=~group.is_null() & ~member.is_null(),
            fields=CALL | WORKSPACE | GROUP,
            until="1.3.0",
        ),
        EventMap("group_management", where=~group.is_null(), fields=CALL | WORKSPACE | GROUP, since="1.4.0"),
        EventMap("base_event", where=is_other, fields=OTHER),
        EventMap("api_activity", fields=CALL | WORKSPACE | API),
    ],
    unmapped=(*UNMAPPED, "protoPayload.resourceName", "resource.type", "jsonPayload.*"),
)
