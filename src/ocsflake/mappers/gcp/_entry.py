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

from ocsflake.mapping import Expr, Fields, JsonRecords, ProtoJson, at, when

__all__ = ["ENTRIES", "ENTRY", "OTHER", "UNMAPPED", "is_other", "matches", "milliseconds", "whole"]

# Catalogues that know no capitals (Hive, Glue) fold the names of columns.
NAMES = (
    "httpRequest",
    "insertId",
    "jsonPayload",
    "logName",
    "protoPayload",
    "receiveTimestamp",
    "spanId",
    "textPayload",
)

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
        *((name.lower(), name) for name in NAMES),
        ("jsonpayload_type_loadbalancerlogentry", "jsonPayload"),
        ("proto_payload.audit_log", "protoPayload"),
        ("proto_payload.type", "protoPayload.@type"),
        ("protopayload_auditlog", "protoPayload"),
        ("protopayload_auditlog.metadataJson", "protoPayload.metadata"),
        ("protopayload_auditlog.requestJson", "protoPayload.request"),
        ("protopayload_auditlog.responseJson", "protoPayload.response"),
        ("protopayload_auditlog.servicedata_v1_bigquery", "protoPayload.serviceData"),
        ("protopayload_auditlog.servicedata_v1_iam", "protoPayload.serviceData"),
    ),
)

# Numbers are those of gRPC.
LEVEL = {
    "0": "DEFAULT",
    "100": "DEBUG",
    "200": "INFO",
    "300": "NOTICE",
    "400": "WARNING",
    "500": "ERROR",
    "600": "CRITICAL",
    "700": "ALERT",
    "800": "EMERGENCY",
}
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
}

HOLDERS = {
    "billingAccounts": "GCP Billing Account",
    "folders": "GCP Folder",
    "organizations": "GCP Organization",
    "projects": "GCP Project",
}

UNMAPPED = (
    "apphub.*",
    "apphubDestination.*",
    "apphubSource.*",
    "errorGroups[].*",
    "httpRequest.*",
    "labels.*",
    "operation.*",
    "resource.labels.*",
    "resource.metadata.*",
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
    fraction = pc.binary_join_element_wise(pc.struct_field(parts, "fraction"), "000", "")
    digits = [pc.struct_field(parts, "seconds"), pc.utf8_slice_codeunits(fraction, 0, 3)]
    return pc.binary_join_element_wise(*digits, "").cast(pa.int64())


def matches(text: Expr, pattern: str) -> Expr:
    """Return whether the one group of a regular expression is in a text."""
    return ~text.extract(pattern).is_null()


def whole(number: Expr) -> Expr:
    """Return a whole number of a payload, however it is written: all numbers of a Struct are floats to gRPC."""
    return number.text().extract(r"^(-?[0-9]+)(?:\.0*)?$")


level = at("severity").text().lookup(LEVEL).or_(at("severity").text())
holder = at("logName").extract("^(projects|folders|organizations|billingAccounts)/")
project = at("resource.labels.project_id").or_(at("logName").extract("^projects/([^/]+)/"))
place = at("resource.labels.zone").or_(at("resource.labels.location"), at("resource.labels.region"))

ENTRY: Fields = {
    "time": at("timestamp").or_(at("receiveTimestamp")),
    "severity_id": level.lookup(SEVERITY, default=99).or_(1),
    # Unique among the entries of one log and one time.
    "metadata.uid": at("insertId"),
    "metadata.log_name": at("logName"),
    "metadata.log_level": level,
    "metadata.logged_time": at("receiveTimestamp"),
    # With its nanoseconds, which `time` has no room for.
    "metadata.original_time": at("timestamp"),
    "metadata.correlation_uid": at("operation.id"),
    "metadata.product.vendor_name": "Google Cloud",
    "cloud.provider": "GCP",
    "cloud.account.uid": project.or_(at("logName").extract("^(?:folders|organizations|billingAccounts)/([^/]+)/")),
    "cloud.account.type": when(project.is_null(), holder.lookup(HOLDERS), HOLDERS["projects"]),
    "cloud.account.type_id": when(project.is_null(), holder.lookup({}, default=99), 11),
    "cloud.org.uid": at("logName").extract("^organizations/([^/]+)/"),
    "cloud.project_uid": project,
    "cloud.region": place.extract(r"^([a-z]+-[a-z]+[0-9]+)(?:-[a-z0-9]+)?$").or_(place),
    "cloud.zone": place.extract(r"^([a-z]+-[a-z]+[0-9]+-[a-z0-9]+)$"),
}

is_other = at("protoPayload.methodName").is_null() & at("protoPayload.serviceName").is_null() & ~at("logName").is_null()
"""Whether an entry is of no audit log."""

OTHER: Fields = ENTRY | {
    "activity_id": 0,
    "message": at("textPayload").or_(at("jsonPayload.message"), at("jsonPayload.MESSAGE")),
    "metadata.product.name": "Cloud Logging",
}
"""An entry of a log that has no class of its own."""
