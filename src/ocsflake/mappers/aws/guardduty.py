"""Amazon GuardDuty findings to Detection Finding 2004.

As EventBridge delivers them (``detail``) and the export to S3 writes them (JSON lines), in camelCase, and as
GetFindings returns them through an SDK (``Findings``), in PascalCase. A finding changes in place: its id stays, so the
id and ``finding_info.modified_time`` together name one state of it. A severity below 4 is low, below 7 medium, below 9
high, the rest critical.

The fields: https://docs.aws.amazon.com/guardduty/latest/APIReference/API_Finding.html
"""

from __future__ import annotations

from ocsflake.mappers.aws._actions import action_evidence, process_evidence
from ocsflake.mappers.aws._findings import banded, labels, nested, repeated, severity_id, times
from ocsflake.mappers.aws.cloudtrail import USER_TYPE
from ocsflake.mapping import EventMap, Expr, Fields, JsonRecords, Mapper, apply, at, when

RESOURCES = (
    ("s3BucketDetails[]", "arn", "name"),
    ("eksClusterDetails", "arn", "name"),
    ("ecsClusterDetails", "arn", "name"),
    ("lambdaDetails", "functionArn", "functionName"),
    ("rdsDbInstanceDetails", "dbInstanceArn", "dbInstanceIdentifier"),
    ("rdsLimitlessDbDetails", "dbShardGroupArn", "dbShardGroupIdentifier"),
    ("bedrockGuardrailDetails", "guardrailArn", ""),
    ("recoveryPointDetails", "recoveryPointArn", "backupVaultName"),
    ("ec2ImageDetails", "imageArn", ""),
    ("ebsSnapshotDetails", "snapshotArn", ""),
    ("containerDetails", "id", "name"),
)
"""Details of resources, with the members that hold the id and, if any, the name; the first that is there counts."""


def pascal(path: str) -> str:
    """Return a path as the SDKs spell it."""
    return ".".join(step[0].upper() + step[1:] for step in path.split("."))


def field(*paths: str) -> Expr:
    """Return the value at the first path that has one, in the spelling of the events or in that of the SDKs."""
    return at(*(spelt for path in paths for spelt in (path, pascal(path))))


def action(path: str) -> Expr:
    """Return a value of the action."""
    return field(f"service.action.{path}")


def endpoint(path: str) -> Expr:
    """Return a value of the endpoints of an attack sequence."""
    return field(f"service.detection.sequence.endpoints[].{path}")


def signal(path: str) -> Expr:
    """Return a value of the signals that make an attack sequence."""
    return field(f"service.detection.sequence.signals[].{path}")


kind = field("resource.resourceType")
is_key = kind == "AccessKey"
is_instance = kind == "Instance"
# An instance may come with the cluster that it is a node of, a key with the bucket that it was used on.
is_other = ~(is_key | is_instance)
instance = field("resource.instanceDetails.instanceId")
resource = field("service.detection.sequence.resources[].uid").or_(
    instance.only_if(is_instance),
    field(*(f"resource.{details}.{uid}" for details, uid, _ in RESOURCES)).only_if(is_other),
    field("resource.accessKeyDetails.principalId"),
    instance,
)
severity = field("severity").text()
whole = severity.extract(r"^([0-9]+)(?:\.[0-9]+)?$")


def status(archived: int) -> Expr:
    """Return the status of a finding; the detector knows whether it is archived, no more."""
    return field("service.archived").lookup({"true": archived, "false": 1}).or_(1)


def with_endpoints(fields: dict[str, Expr], side: str, direction: str) -> dict[str, Expr]:
    """Return evidence with the endpoints of an attack sequence that are on one side."""
    here = endpoint("connection.direction") == direction
    listed = {
        "ip": "ip",
        "port": "port",
        "location.city": "location.city",
        "location.country": "location.country",
        "location.lat": "location.lat",
        "location.long": "location.lon",
        "autonomous_system.number": "autonomousSystem.number",
        "autonomous_system.name": "autonomousSystem.name",
    }
    return {
        f"{side}.domain": endpoint("domain").only_if(here),
        **{
            f"{side}.{name}": fields[f"{side}.{name}"].or_(endpoint(member).text().only_if(here))
            for name, member in listed.items()
        },
    }


ACTION = action_evidence(action)
EVIDENCE: Fields = {
    **ACTION,
    **with_endpoints(ACTION, "evidences[].src_endpoint", "INBOUND"),
    **with_endpoints(ACTION, "evidences[].dst_endpoint", "OUTBOUND"),
    **process_evidence("evidences[].actor.process", lambda name: field(f"service.runtimeDetails.process.{name}")),
    **process_evidence(
        "evidences[].process", lambda name: field(f"service.runtimeDetails.context.targetProcess.{name}")
    ),
    "evidences[].actor.user.name": field(
        "resource.accessKeyDetails.userName",
        "resource.kubernetesDetails.kubernetesUserDetails.username",
        "resource.rdsDbUserDetails.user",
    ),
    "evidences[].actor.user.uid": field(
        "resource.accessKeyDetails.principalId", "resource.kubernetesDetails.kubernetesUserDetails.uid"
    ),
    "evidences[].actor.user.credential_uid": field("resource.accessKeyDetails.accessKeyId"),
    "evidences[].actor.user.type": field("resource.accessKeyDetails.userType"),
    "evidences[].actor.user.type_id": field("resource.accessKeyDetails.userType").lookup(USER_TYPE, default=99),
    "evidences[].actor.user.groups[].name": apply(
        nested, field("resource.kubernetesDetails.kubernetesUserDetails.groups[]")
    ),
}

SIGNALS: Fields = {
    "uid": signal("uid"),
    "type": signal("type"),
    "title": signal("name"),
    "desc": signal("description"),
    "count": signal("count"),
    "created_time": apply(times, signal("createdAt")),
    "modified_time": apply(times, signal("updatedAt")),
    "first_seen_time": apply(times, signal("firstSeenAt")),
    "last_seen_time": apply(times, signal("lastSeenAt")),
}

FIELDS: Fields = {
    "time": field("updatedAt", "createdAt", "service.eventLastSeen"),
    "activity_id": when(apply(times, field("createdAt")) == apply(times, field("updatedAt")), 1, 2),
    "severity_id": when(
        whole.is_null(),
        severity_id(severity).or_(0),
        banded(whole, (range(4), 2), (range(4, 7), 3), (range(7, 9), 4), (range(9, 11), 5)),
    ),
    "count": field("service.count"),
    "cloud.provider": "AWS",
    "cloud.account.uid": field("accountId"),
    "cloud.region": field("region"),
    "cloud.cloud_partition": field("partition"),
    "metadata.log_version": field("schemaVersion").text(),
    "metadata.product.name": "GuardDuty",
    "metadata.product.vendor_name": "AWS",
    "metadata.product.feature.name": field("service.featureName"),
    "metadata.product.feature.uid": field("service.detectorId"),
    "finding_info.uid": field("id"),
    "finding_info.uid_alt": field("arn"),
    "finding_info.title": field("title", "type"),
    "finding_info.desc": field("description"),
    "finding_info.types": field("type"),
    "finding_info.created_time": field("createdAt"),
    "finding_info.modified_time": field("updatedAt"),
    "finding_info.first_seen_time": field("service.eventFirstSeen"),
    "finding_info.last_seen_time": field("service.eventLastSeen"),
    "resources[].uid": resource,
    "resources[].name": field("service.detection.sequence.resources[].name").or_(
        field(*(f"resource.{details}.{name}" for details, _, name in RESOURCES if name)).only_if(is_other),
        field("resource.accessKeyDetails.userName").only_if(is_key),
    ),
    "resources[].type": field("service.detection.sequence.resources[].resourceType").or_(
        apply(repeated, kind, resource)
    ),
    "resources[].region": field("service.detection.sequence.resources[].region").or_(
        apply(repeated, field("region"), resource)
    ),
    "resources[].cloud_partition": field("service.detection.sequence.resources[].cloudPartition").or_(
        apply(repeated, field("partition"), resource)
    ),
    "resources[].owner.account.uid": field("service.detection.sequence.resources[].accountId"),
    "resources[].labels": apply(
        labels,
        field("service.detection.sequence.resources[].tags").or_(
            field("resource.instanceDetails.tags").only_if(is_instance),
            field(*(f"resource.{details}.tags" for details, _, _ in RESOURCES)).only_if(is_other),
        ),
    ),
}
FIELDS |= {f"finding_info.related_events[].{name}": value for name, value in SIGNALS.items()} | EVIDENCE

KNOWN = ("associatedAttackSequenceArn", "confidence", "customDetectionRuleName", "resource.*", "service.*")

MAPPER = Mapper(
    "aws.guardduty",
    title="Amazon GuardDuty",
    source_name="aws_guardduty",
    parse=JsonRecords(unwrap=("Findings", "findings")),
    events=[
        # OCSF has had the status Archived since 1.4.
        EventMap("detection_finding", fields=FIELDS | {"status_id": status(archived=3)}, until="1.3.0"),
        EventMap("detection_finding", fields=FIELDS | {"status_id": status(archived=5)}, since="1.4.0"),
    ],
    unmapped=tuple(spelt for path in KNOWN for spelt in (path, pascal(path))),
)
