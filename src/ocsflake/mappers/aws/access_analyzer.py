"""IAM Access Analyzer findings to IAM Analysis Finding 2008; to Detection Finding 2004 before OCSF 1.6.

External, internal and unused access, as EventBridge delivers them (``detail``), and as ListFindings, ListFindingsV2
(``findings``) and GetFindingV2 (``findingDetails``) return them. A summary that does not say who has access, or what is
unused, is a detection finding in every version: OCSF has no analysis without a result.

The fields: https://docs.aws.amazon.com/IAM/latest/UserGuide/access-analyzer-eventbridge.html
"""

from __future__ import annotations

from ocsflake.mappers.aws._arn import region_of
from ocsflake.mappers.aws._findings import alone, flat, times
from ocsflake.mapping import EventMap, Expr, Fields, JsonRecords, Mapper, apply, at, origin, when

PRINCIPALS = ("AWS", "Federated", "Service", "CanonicalUser")
DETAILS = ("findingDetails[].externalAccessDetails", "findingDetails[].internalAccessDetails")


def access(*members: str) -> Expr:
    """Return the first of some members that an access has: at the top of a finding, or in its details."""
    return at(*members).or_(*(apply(alone, at(f"{place}.{member}")) for place in DETAILS for member in members))


def unused(kind: str, member: str) -> Expr:
    """Return a member of the details of what is unused."""
    return at(f"findingDetails[].unused{kind}Details.{member}")


created = apply(times, at("createdAt"))
updated = apply(times, at("updatedAt"))
principal = access(*(f"principal.{kind}" for kind in PRINCIPALS))
action = at("action[]").or_(*(apply(flat, at(f"{place}.action[]")) for place in DETAILS))
role_used = apply(times, unused("IamRole", "lastAccessed").or_(at("lastAccessed")))
password_used = apply(times, unused("IamUserPassword", "lastAccessed"))
key = unused("IamUserAccessKey", "accessKeyId")
services, actions = at("numberOfUnusedServices"), at("numberOfUnusedActions")

COMMON: Fields = {
    "time": apply(times, at("updatedAt", "analyzedAt", "createdAt")),
    "activity_id": when(at("status") == "RESOLVED", 3, when(created == updated, 1, 2)),
    "severity_id": 1,
    "cloud.provider": "AWS",
    "cloud.account.uid": at("accountId", "resourceOwnerAccount").or_(origin("account")),
    "cloud.region": at("region").or_(region_of(at("resource")), origin("region")),
    "metadata.log_version": at("version"),
    "metadata.product.name": "IAM Access Analyzer",
    "metadata.product.vendor_name": "AWS",
    "finding_info.uid": at("id"),
    # Events of external access are older than the other types, and name none.
    "finding_info.title": at("findingType").or_("ExternalAccess"),
    "finding_info.types": at("findingType").or_("ExternalAccess"),
    "finding_info.created_time": created,
    "finding_info.modified_time": updated,
    "finding_info.last_seen_time": apply(times, at("analyzedAt")),
    "status_detail": at("error"),
    "resources[].uid": at("resource"),
    "resources[].type": at("resourceType"),
    "resources[].owner.account.uid": at("resourceOwnerAccount"),
}

DETECTION: Fields = {
    "evidences[].actor.user.uid": principal,
    "evidences[].actor.user.account.uid": access("principalOwnerAccount"),
    "evidences[].api.operation": action,
    "evidences[].data": at("findingDetails[].unusedPermissionDetails"),
}

ANALYSIS: Fields = {
    "access_analysis_result.accessors[].uid": principal,
    "access_analysis_result.accessors[].account.uid": access("principalOwnerAccount"),
    "access_analysis_result.access_type": access("accessType"),
    "access_analysis_result.granted_privileges": action,
    "identity_activity_metrics.last_seen_time": role_used,
    "identity_activity_metrics.password_last_used_time": password_used,
    "identity_activity_metrics.programmatic_credentials[].uid": key,
    "identity_activity_metrics.programmatic_credentials[].last_used_time": apply(
        times, unused("IamUserAccessKey", "lastAccessed")
    ),
    "permission_analysis_results[].unused_services_count": services,
    "permission_analysis_results[].unused_privileges_count": actions,
}


def status(archived: int) -> Fields:
    """Return the status: OCSF has had Archived since 1.4, and takes it for Suppressed before."""
    return {"status_id": at("status").lookup({"ACTIVE": 1, "ARCHIVED": archived, "RESOLVED": 4}, default=99)}


is_analysis = ~(
    principal.is_null()
    & role_used.is_null()
    & password_used.is_null()
    & key.is_null()
    & services.is_null()
    & actions.is_null()
)
is_finding = ~at("id").is_null() & ~at("resourceType").is_null()

MAPPER = Mapper(
    "aws.access_analyzer",
    title="IAM Access Analyzer",
    source_name="aws_analyzer",
    parse=JsonRecords(unwrap=("findings",), skip=(("access preview", "accessPreviewId"),)),
    events=[
        EventMap("iam_analysis_finding", where=is_finding & is_analysis, fields=COMMON | ANALYSIS | status(5)),
        EventMap("detection_finding", where=is_finding, fields=COMMON | DETECTION | status(3), until="1.3.0"),
        EventMap("detection_finding", where=is_finding, fields=COMMON | DETECTION | status(5), since="1.4.0"),
    ],
    unmapped=(
        "accessType",
        "action[]",
        "condition.*",
        "findingDetails[].*",
        "isDeleted",
        "isPublic",
        "nextToken",
        "principal.*",
        "principalType",
        "resourceControlPolicyRestriction",
        "serviceControlPolicyRestriction",
        "sources[].*",
    ),
)
