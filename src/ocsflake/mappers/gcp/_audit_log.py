"""What the entries of Cloud Audit Logs have in common: who called which method of which service, and how it ended.

The fields: https://docs.cloud.google.com/logging/docs/reference/audit/auditlog/rest/Shared.Types/AuditLog
"""

from __future__ import annotations

from ocsflake.mappers.gcp._entry import ENTRY, matches
from ocsflake.mappers.gcp._entry import UNMAPPED as ENTRY_UNMAPPED
from ocsflake.mapping import Fields, at, is_ip, when

__all__ = ["ACTOR", "CALL", "UNMAPPED", "email", "method", "operation", "service", "subject"]

# google.rpc.Code
CODES = {
    "1": "CANCELLED",
    "2": "UNKNOWN",
    "3": "INVALID_ARGUMENT",
    "4": "DEADLINE_EXCEEDED",
    "5": "NOT_FOUND",
    "6": "ALREADY_EXISTS",
    "7": "PERMISSION_DENIED",
    "8": "RESOURCE_EXHAUSTED",
    "9": "FAILED_PRECONDITION",
    "10": "ABORTED",
    "11": "OUT_OF_RANGE",
    "12": "UNIMPLEMENTED",
    "13": "INTERNAL",
    "14": "UNAVAILABLE",
    "15": "DATA_LOSS",
    "16": "UNAUTHENTICATED",
}
SERVICE_ACCOUNT = r"(\.gserviceaccount\.com$|^serviceAccount:|^system:serviceaccount:|/workloadIdentityPools/)"
SYSTEM = "^(system(?::.*|@google\\.com))$"
POOL = "^principal(?:Set)?://iam\\.googleapis\\.com/(.+/work(?:load|force)(?:Identity)?Pools/[^/]+)/"

method = at("protoPayload.methodName")
operation = method.extract(r"([^./]+)$")
"""The last word of the method, such as ``CreateServiceAccount`` or ``setIamPolicy``."""
service = at("protoPayload.serviceName")
code = at("protoPayload.status.code").text()
email = at("protoPayload.authenticationInfo.principalEmail")
subject = at("protoPayload.authenticationInfo.principalSubject")
address = at("protoPayload.requestMetadata.callerIp", "protoPayload.requestMetadata.callerIP")
agent = at("protoPayload.requestMetadata.callerSuppliedUserAgent")
network = at("protoPayload.requestMetadata.callerNetwork")
delegation = "protoPayload.authenticationInfo.serviceAccountDelegationInfo[]"

ACTOR: Fields = {
    "actor.user.name": email.or_(subject),
    "actor.user.email_addr": email.only_if(matches(email, "^[^@ ]+(@)[^@ ]+$")),
    "actor.user.uid": subject,
    "actor.user.type_id": when(
        matches(email, SERVICE_ACCOUNT) | matches(subject, SERVICE_ACCOUNT),
        4,
        when(matches(email, SYSTEM), 3, 1),
    ).only_if(~email.is_null() | ~subject.is_null()),
    "actor.user.credential_uid": at("protoPayload.authenticationInfo.serviceAccountKeyName"),
    # Who acts as the service account, where it is one other; a chain of several stays in `unmapped`, whole.
    "actor.session.issuer": at(f"{delegation}.firstPartyPrincipal.principalEmail").or_(
        at(f"{delegation}.principalSubject")
    ),
    "actor.idp.uid": subject.extract(POOL),
    "actor.idp.name": subject.extract(POOL).split("/", -1),
    "actor.app_uid": at("protoPayload.authenticationInfo.oauthInfo.oauthClientId"),
    # An entry without an identity was made by the service itself.
    "actor.invoked_by": service.only_if(email.is_null() & subject.is_null()),
    # `granted` is left out where it is false.
    "actor.authorizations[].decision": at("protoPayload.authorizationInfo[].granted")
    .or_(at("protoPayload.authorizationInfo[].permission"))
    .lookup({"true": "allowed", "false": "denied"}, default="denied"),
    "actor.authorizations[].policy.name": at("protoPayload.authorizationInfo[].permission"),
}

CALL: Fields = (
    ENTRY
    | ACTOR
    | {
        # Success has no code, an empty status, or code 0.
        "status_id": when(code.or_("0") == "0", 1, 2),
        "status_code": code,
        "status_detail": at("protoPayload.status.message"),
        "metadata.product.name": "Cloud Audit Logs",
        "metadata.product.feature.name": at("logName").extract("cloudaudit\\.googleapis\\.com(?:%2F|/)([a-z_]+)$"),
        "api.operation": method,
        "api.service.name": service,
        # A call has no id of its own: a long-running operation has one, else the entry.
        "api.request.uid": at("operation.id").or_(at("insertId")),
        "api.request.data": at("protoPayload.request"),
        "api.response.data": at("protoPayload.response"),
        "api.response.code": code,
        "api.response.error": code.lookup(CODES),
        "api.response.message": at("protoPayload.status.message"),
        "src_endpoint.ip": address.only_if(is_ip(address)),
        # Calls from within Google Cloud have `private` or `gce-internal-ip` for an address.
        "src_endpoint.name": address.only_if(~is_ip(address)),
        "src_endpoint.svc_name": service.only_if(address.is_null()),
        "src_endpoint.vpc_uid": network,
        "http_request.user_agent": agent,
    }
)

UNMAPPED = (
    *ENTRY_UNMAPPED,
    "protoPayload.@type",
    "protoPayload.authenticationInfo.*",
    "protoPayload.authorizationInfo[].*",
    "protoPayload.metadata.*",
    "protoPayload.numResponseItems",
    "protoPayload.policyViolationInfo.*",
    "protoPayload.redactions[].*",
    "protoPayload.requestMetadata.*",
    "protoPayload.resourceLocation.*",
    "protoPayload.resourceOriginalState.*",
    "protoPayload.serviceData.*",
    "protoPayload.status.*",
)
"""What any entry of an audit log may hold beside the fields that the tables name."""
