"""The entry of Cloud Logging that every log comes in, and what all logs have in common.

Entries are taken as REST, Pub/Sub sinks and files in Cloud Storage have them (lowerCamelCase), as gRPC and Log
Analytics have them (the names of the ``.proto`` files: ``proto_payload``), and as sinks to BigQuery make rows of them
(``protopayload_auditlog``, with payloads in lower case and requests as JSON text). One entry gives one event, whichever
way it came.

The fields: https://docs.cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry,
rows of BigQuery: https://docs.cloud.google.com/logging/docs/export/bigquery
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from ocsflake.mapping import EventMap, Fields, JsonRecords, ProtoJson, at, when

__all__ = ["ENTRIES", "ENTRY", "OTHER_ENTRY", "UNMAPPED", "milliseconds", "project"]

ENTRIES = ProtoJson(
    records=JsonRecords(unwrap=("entries",)),
    free=(
        "jsonPayload",
        "labels",
        "protoPayload.authenticationInfo.serviceAccountDelegationInfo[].firstPartyPrincipal.serviceMetadata",
        "protoPayload.authenticationInfo.serviceAccountDelegationInfo[].thirdPartyPrincipal.thirdPartyClaims",
        "protoPayload.authenticationInfo.thirdPartyPrincipal",
        "protoPayload.authorizationInfo[].resourceAttributes.annotations",
        "protoPayload.authorizationInfo[].resourceAttributes.labels",
        "protoPayload.metadata",
        "protoPayload.policyViolationInfo.orgPolicyViolationInfo.payload",
        "protoPayload.policyViolationInfo.orgPolicyViolationInfo.resourceTags",
        "protoPayload.request",
        "protoPayload.requestMetadata.destinationAttributes.labels",
        "protoPayload.requestMetadata.requestAttributes.auth.claims",
        "protoPayload.requestMetadata.requestAttributes.headers",
        "protoPayload.response",
        "protoPayload.serviceData",
        "protoPayload.status.details",
        "resource.labels",
    ),
    lower=("jsonPayload",),
    aliases=(
        ("jsonpayload_type_loadbalancerlogentry", "jsonPayload"),
        ("proto_payload.audit_log", "protoPayload"),
        ("proto_payload.type", 'protoPayload."@type"'.replace('"', "")),
        ("protopayload_auditlog", "protoPayload"),
        ("protopayload_auditlog.metadataJson", "protoPayload.metadata"),
        ("protopayload_auditlog.requestJson", "protoPayload.request"),
        ("protopayload_auditlog.responseJson", "protoPayload.response"),
        ("protopayload_auditlog.servicedata_v1_bigquery", "protoPayload.serviceData"),
    ),
)

# Words as REST writes them; numbers as gRPC does.
SEVERITY = {
    "DEFAULT": 1,
    "DEBUG": 1,
    "INFO": 1,
    "NOTICE": 1,
    "WARNING": 3,
    "ERROR": 4,
    "CRITICAL": 5,
    "ALERT": 5,
    "EMERGENCY": 6,
    "0": 1,
    "100": 1,
    "200": 1,
    "300": 1,
    "400": 3,
    "500": 4,
    "600": 5,
    "700": 5,
    "800": 6,
}

UNMAPPED = (
    "errorGroups[].*",
    "httpRequest.*",
    "labels.*",
    "operation.*",
    "resource.labels.*",
    "resource.type",
    "sourceLocation.*",
    "spanId",
    "split.*",
    "trace",
    "traceSampled",
)
"""What any entry may hold beside its payload."""


def milliseconds(durations: pa.Array) -> pa.Array:
    """Return whole milliseconds of durations such as ``0.012345s`` (or seconds without the letter), floored."""
    parts = pc.extract_regex(durations, pattern=r"^(?P<seconds>[0-9]{1,9})(?:\.(?P<fraction>[0-9]*))?s?$")
    thousandths = pc.utf8_slice_codeunits(
        pc.binary_join_element_wise(pc.struct_field(parts, "fraction"), "000", ""), 0, 3
    )
    return pc.binary_join_element_wise(pc.struct_field(parts, "seconds"), thousandths, "").cast(pa.int64())


holder = at("logName").extract("^(projects|folders|organizations|billingAccounts)/")
project = at("resource.labels.project_id").or_(at("logName").extract("^projects/([^/]+)/"))
place = at("resource.labels.zone").or_(at("resource.labels.location"), at("resource.labels.region"))

ENTRY: Fields = {
    "time": at("timestamp").or_(at("receiveTimestamp")),
    "severity_id": at("severity").lookup(SEVERITY, default=99).or_(1),
    # unique among the entries of one log and one time
    "metadata.uid": at("insertId"),
    "metadata.log_name": at("logName"),
    "metadata.logged_time": at("receiveTimestamp"),
    # with its nanoseconds
    "metadata.original_time": at("timestamp").text(),
    "metadata.correlation_uid": at("operation.id"),
    "metadata.product.vendor_name": "Google Cloud",
    "cloud.provider": "GCP",
    "cloud.account.uid": project.or_(at("logName").extract("^(?:folders|organizations|billingAccounts)/([^/]+)/")),
    "cloud.account.type_id": when(project.is_null(), holder.lookup({"projects": 11}, default=99), 11),
    "cloud.org.uid": at("logName").extract("^organizations/([^/]+)/"),
    "cloud.project_uid": project,
    "cloud.region": place.extract(r"^([a-z]+-[a-z]+[0-9]+)(?:-[a-z0-9]+)?$").or_(place),
    "cloud.zone": place.extract(r"^([a-z]+-[a-z]+[0-9]+-[a-z0-9]+)$"),
}
