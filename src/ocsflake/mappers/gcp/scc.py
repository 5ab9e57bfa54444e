"""Security Command Center findings to Detection Finding 2004, Vulnerability Finding 2002 and Compliance Finding 2003.

Notifications (``{"notificationConfigName", "finding", "resource"}``), the results of ListFindings, rows of BigQuery
exports, and findings alone, of versions 1 and 2 of the API. A finding changes: one record is its state at its
``eventTime``, and what is no longer ``ACTIVE`` is resolved.

The class follows ``findingClass``: vulnerabilities that name a CVE, misconfigurations and violations of a posture, and
all else, old findings without a class among it. OCSF before 1.5 requires the standards of a Compliance Finding: there
Security Command Center itself stands for findings that name none.

The fields: https://docs.cloud.google.com/security-command-center/docs/reference/rest/v2/organizations.sources.findings
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow.compute as pc

from ocsflake.mappers._network import protocol_number
from ocsflake.mapping import EventMap, Fields, JsonRecords, Mapper, ProtoJson, apply, at, when
from ocsflake.mapping.lists import singles
from ocsflake.mapping.values import parse_time

if TYPE_CHECKING:
    import pyarrow as pa

    from ocsflake.mapping import Expr

# Numbers are those of gRPC.
SEVERITIES = {"0": "SEVERITY_UNSPECIFIED", "1": "CRITICAL", "2": "HIGH", "3": "MEDIUM", "4": "LOW"}
WORDS = {"Low": 2, "Medium": 3, "High": 4, "Critical": 5}
SEVERITY = WORDS | {word.upper(): severity for word, severity in WORDS.items()} | {"SEVERITY_UNSPECIFIED": 0}
PROTOCOLS = {"1": "ICMP", "6": "TCP", "17": "UDP", "47": "GRE", "50": "ESP"}
STATES = {"1": "ACTIVE", "2": "INACTIVE"}
CLASSES = {
    "1": "THREAT",
    "2": "VULNERABILITY",
    "3": "MISCONFIGURATION",
    "4": "OBSERVATION",
    "5": "SCC_ERROR",
    "6": "POSTURE_VIOLATION",
    "7": "TOXIC_COMBINATION",
    "8": "SENSITIVE_DATA_RISK",
    "9": "CHOKEPOINT",
}


def finding(*names: str) -> Expr:
    """Return what is at a path of the finding, of a notification or alone; the first path that has a value."""
    return at(*[path for name in names for path in (f"finding.{name}", name)])


def resource(*names: str) -> Expr:
    """Return what is at a path of the resource; it stands beside the finding, in old versions within it."""
    return at(*[path for name in names for path in (f"resource.{name}", f"finding.resource.{name}")])


def word(value: Expr, words: dict[str, str]) -> Expr:
    """Return the word of an enum that may have come as a number."""
    return value.text().lookup(words).or_(value.text())


def is_first(event_times: pa.Array, create_times: pa.Array) -> pa.Array:
    """Return whether findings are in the state that they were made in: made when it was seen, or just after."""
    return pc.fill_null(pc.less_equal(parse_time(event_times), parse_time(create_times)), False)


state = word(finding("state"), STATES)
finding_class = word(finding("findingClass"), CLASSES)
event_time, create_time = finding("eventTime"), finding("createTime")
name, category = finding("name"), finding("category")
resource_name = finding("resourceName").or_(resource("name"))
severity = word(finding("severity"), SEVERITIES).or_(
    finding("sourceProperties.SeverityLevel", "sourceProperties.detectionPriority")
)
display_name = resource("gcpMetadata.projectDisplayName", "projectDisplayName")
project_name = resource("gcpMetadata.project", "project", "projectName")
PROJECT = "^(?://cloudresourcemanager\\.googleapis\\.com/)?projects/([^/]+)"
project = finding("sourceProperties.ProjectId", "sourceProperties.projectId").or_(
    resource_name.extract("/projects/([a-z][^/]*)"),
    display_name.extract("^([a-z][a-z0-9-]{4,28}[a-z0-9])$"),
    project_name.extract(PROJECT),
    resource_name.extract("/projects/([0-9]+)"),
    finding("canonicalName").extract(PROJECT),
)
organization = name.extract("^organizations/([^/]+)/").or_(finding("parent").extract("^organizations/([^/]+)/"))

COMMON: Fields = {
    "time": event_time,
    "severity_id": severity.lookup(SEVERITY, default=99).or_(0),
    "activity_id": at("stateChange")
    .lookup({"ADDED": 1, "CHANGED": 2, "REMOVED": 3})
    .or_(when(state == "INACTIVE", 3, when(apply(is_first, event_time, create_time), 1, 2))),
    "status_id": when(
        finding("mute").text().is_in(["MUTED", "1"]),
        3,
        state.lookup({"ACTIVE": 1, "INACTIVE": 4}, default=99).or_(0),
    ),
    "metadata.uid": name,
    "metadata.log_name": at("notificationConfigName"),
    "metadata.product.name": "Security Command Center",
    "metadata.product.vendor_name": "Google Cloud",
    "metadata.product.feature.name": finding("parentDisplayName", "sourceDisplayName"),
    "metadata.product.feature.uid": finding("parent"),
    "cloud.provider": "GCP",
    "cloud.account.uid": project.or_(organization),
    "cloud.account.name": display_name,
    "cloud.account.type_id": when(project.is_null(), organization.lookup({}, default=99), 11),
    "cloud.account.type": when(project.is_null(), organization.lookup({}, default="GCP Organization"), "GCP Project"),
    "cloud.org.uid": organization,
    "cloud.project_uid": project,
    "cloud.region": resource("location"),
    "finding_info.uid": name,
    "finding_info.title": category,
    "finding_info.types": category,
    "finding_info.desc": finding("description", "sourceProperties.Explanation", "sourceProperties.explanation"),
    "finding_info.created_time": create_time,
    "finding_info.modified_time": event_time,
    "finding_info.src_url": finding("externalUri"),
    "finding_info.attacks[].tactic.name": finding("mitreAttack.primaryTactic"),
    "finding_info.attacks[].technique.name": finding("mitreAttack.primaryTechniques[]"),
    "finding_info.attacks[].version": finding("mitreAttack.version"),
}


def _resource(attribute: str) -> Fields:
    return {
        f"{attribute}.uid": resource_name,
        f"{attribute}.name": resource("displayName"),
        f"{attribute}.type": resource("type", "gcpMetadata.resourceType"),
    }


remediation = finding("nextSteps", "sourceProperties.Recommendation", "sourceProperties.recommendation")
protocol = word(finding("connections[].protocol"), PROTOCOLS)
binary = finding("processes[].binary.path")
digest = finding("processes[].binary.sha256")

DETECTION: Fields = {
    "remediation.desc": remediation,
    "evidences[].actor.user.email_addr": apply(singles, finding("access.principalEmail")),
    "evidences[].actor.user.name": apply(singles, finding("access.principalEmail", "access.principalSubject")),
    "evidences[].actor.user.uid": apply(singles, finding("access.principalSubject")),
    "evidences[].actor.user.credential_uid": apply(singles, finding("access.serviceAccountKeyName")),
    "evidences[].api.operation": apply(singles, finding("access.methodName")),
    "evidences[].api.service.name": apply(singles, finding("access.serviceName")),
    "evidences[].src_endpoint.ip": finding("connections[].sourceIp").or_(apply(singles, finding("access.callerIp"))),
    "evidences[].src_endpoint.port": finding("connections[].sourcePort"),
    "evidences[].dst_endpoint.ip": finding("connections[].destinationIp"),
    "evidences[].dst_endpoint.port": finding("connections[].destinationPort"),
    "evidences[].connection_info.direction_id": finding("connections[].destinationIp").lookup({}, default=0),
    "evidences[].connection_info.protocol_name": protocol,
    "evidences[].connection_info.protocol_num": protocol_number(protocol),
    "evidences[].process.name": finding("processes[].name"),
    "evidences[].process.pid": finding("processes[].pid"),
    "evidences[].process.parent_process.pid": finding("processes[].parentPid"),
    "evidences[].process.file.path": binary,
    "evidences[].process.file.name": binary.extract("([^/]+)$"),
    "evidences[].process.file.type_id": binary.lookup({}, default=1),
    "evidences[].process.file.size": finding("processes[].binary.size"),
    "evidences[].process.file.hashes[].algorithm_id": digest.lookup({}, default=3),
    "evidences[].process.file.hashes[].value": digest,
}

cve = finding("vulnerability.cve.id")
score = finding("vulnerability.cve.cvssv3.baseScore")

VULNERABILITY: Fields = {
    "vulnerabilities[].cve.uid": cve,
    "vulnerabilities[].cve.cvss[].base_score": score,
    "vulnerabilities[].cve.cvss[].version": score.text().lookup({}, default="3"),
    # All of them are of the one vulnerability.
    "vulnerabilities[].references": apply(singles, finding("vulnerability.cve.references[].uri")),
    "vulnerabilities[].is_fix_available": finding("vulnerability.cve.upstreamFixAvailable"),
    "vulnerabilities[].remediation.desc": remediation,
    "vulnerabilities[].affected_packages[].name": finding("vulnerability.offendingPackage.packageName"),
    "vulnerabilities[].affected_packages[].version": finding("vulnerability.offendingPackage.packageVersion"),
    "vulnerabilities[].affected_packages[].type": finding("vulnerability.offendingPackage.packageType"),
    "vulnerabilities[].affected_packages[].cpe_name": finding("vulnerability.offendingPackage.cpeUri"),
    "vulnerabilities[].affected_packages[].fixed_in_version": finding("vulnerability.fixedPackage.packageVersion"),
}

standards = finding("compliances[].standard")

COMPLIANCE: Fields = {
    "remediation.desc": remediation,
    "compliance.control": category,
    "compliance.standards": standards,
    "compliance.requirements": finding("compliances[].ids[]"),
    "compliance.status_id": state.lookup({"ACTIVE": 3, "INACTIVE": 1}, default=99).or_(0),
}
STANDARDS_REQUIRED: Fields = {"compliance.standards": standards.or_("Security Command Center")}

is_vulnerability = finding_class.is_in(["VULNERABILITY"]) & ~cve.is_null()
is_compliance = finding_class.is_in(["MISCONFIGURATION", "POSTURE_VIOLATION"])

MAPPER = Mapper(
    "gcp.scc",
    title="Google Cloud Security Command Center",
    source_name="gcp_scc",
    parse=ProtoJson(
        records=JsonRecords(unwrap=("listFindingsResults", "list_findings_results")),
        free=(
            "finding.contacts",
            "finding.externalSystems",
            "finding.propertyDataTypes",
            "finding.securityMarks.marks",
            "finding.sourceProperties",
            "propertyDataTypes",
            "securityMarks.marks",
            "sourceProperties",
        ),
        aliases=(("findings", "finding"),),
    ),
    events=[
        EventMap(
            "vulnerability_finding",
            where=is_vulnerability,
            fields=COMMON | VULNERABILITY | _resource("resource"),
            until="1.2.0",
        ),
        EventMap(
            "vulnerability_finding",
            where=is_vulnerability,
            fields=COMMON | VULNERABILITY | _resource("resources[]"),
            since="1.3.0",
        ),
        EventMap(
            "compliance_finding",
            where=is_compliance,
            fields=COMMON | COMPLIANCE | STANDARDS_REQUIRED | _resource("resource"),
            until="1.2.0",
        ),
        EventMap(
            "compliance_finding",
            where=is_compliance,
            fields=COMMON | COMPLIANCE | STANDARDS_REQUIRED | _resource("resources[]"),
            since="1.3.0",
            until="1.4.0",
        ),
        EventMap(
            "compliance_finding",
            where=is_compliance,
            fields=COMMON | COMPLIANCE | _resource("resources[]"),
            since="1.5.0",
        ),
        EventMap("detection_finding", fields=COMMON | DETECTION | _resource("resources[]")),
    ],
    unmapped=("finding.*", "resource.*", "stateChange"),
)
