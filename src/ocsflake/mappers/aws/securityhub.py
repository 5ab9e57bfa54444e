"""AWS Security Hub to Vulnerability 2002, Compliance 2003, Detection 2004 and Data Security Finding 2006.

Findings in ASFF, as GetFindings returns them (``Findings``), as EventBridge delivers them (``detail.findings``), and
one by one. Security Hub's own findings and others that tell a compliance status are compliance findings, those with
vulnerabilities are vulnerability findings, all others detection findings.

Findings of the new Security Hub (GetFindingsV2, ``Findings Imported V2``) are OCSF already, and are passed on: their
attributes as they are, as far as the target version has them, all else in ``unmapped``. ``metadata.version`` of such a
finding stays there. Insight results are no findings, and are rejected.

A finding changes in place: its id stays, so the id and ``finding_info.modified_time`` together name one state of it.

The fields: https://docs.aws.amazon.com/securityhub/latest/userguide/securityhub-findings-format.html,
https://docs.aws.amazon.com/securityhub/latest/userguide/securityhub-ocsf.html
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from ocsflake.mappers.aws import _ocsf as passed
from ocsflake.mappers.aws._actions import action_evidence, process_evidence
from ocsflake.mappers.aws._arn import region_of
from ocsflake.mappers.aws._findings import banded, given, labels, lon_lat, only_resource, repeated, severity_id, times
from ocsflake.mappers.aws._ocsf import passed_or
from ocsflake.mapping import EventMap, Expr, Fields, JsonRecords, Mapper, apply, at, when
from ocsflake.mapping.lists import fit, relist

THREATS = ["aws/guardduty", "aws/macie", "aws/detective", "aws/access-analyzer"]
"""Products whose findings are detections, whatever else they hold."""

WORKFLOW = {"NEW": 1, "NOTIFIED": 2, "ASSIGNED": 2, "IN_PROGRESS": 2, "SUPPRESSED": 3, "RESOLVED": 4}
"""Statuses of the workflow, and its states in old findings."""


def flaw(ids: pa.Array, weaknesses: pa.Array) -> pa.Array:
    """Return the ids of vulnerabilities that are a weakness in code."""
    return _where(ids, weaknesses, in_code=True)


def cve(ids: pa.Array, weaknesses: pa.Array) -> pa.Array:
    """Return the ids of all other vulnerabilities."""
    return _where(ids, weaknesses, in_code=False)


def _where(ids: pa.Array, weaknesses: pa.Array, *, in_code: bool) -> pa.Array:
    if not pa.types.is_list(ids.type):
        return ids
    values, places = ids.flatten(), fit(weaknesses, ids)
    coded = places.is_valid() if pa.types.is_list(places.type) else pa.repeat(pa.scalar(False), len(values))
    return relist(ids, pc.if_else(coded if in_code else pc.invert(coded), values, pa.scalar(None, values.type)))


def product_field(path: str) -> Expr:
    """Return a product field of GuardDuty, by the names of today or those of 2019."""
    name = path.replace(".", "/")
    return at(f"ProductFields.aws/guardduty/service/{name}", f"ProductFields.{name}")


def action(path: str) -> Expr:
    """Return a value of the action, out of the product fields or the member ``Action``."""
    spelt = ".".join(step[0].upper() + step[1:] for step in f"action.{path}".split("."))
    return at(spelt) if "[]" in path else product_field(f"action.{path}").or_(at(spelt))


product = at("ProductArn").extract(r":product/(.+)$")
product_name = at("ProductName", "ProductFields.aws/securityhub/ProductName")
is_hub = product.is_in(["aws/securityhub"]) | (product.is_null() & (product_name == "Security Hub"))
is_threat = product.is_in(THREATS)
created = apply(times, at("CreatedAt"))
updated = apply(times, at("UpdatedAt"))
normalized = at("Severity.Normalized").text().extract(r"^([0-9]+)(?:\.[0-9]+)?$")
resource = at("Resources[].Id")
standards = at("Compliance.AssociatedStandards[].StandardsId").or_(
    at("ProductFields.StandardsArn", "ProductFields.StandardsGuideArn")
)
weakness = at("Vulnerabilities[].CodeVulnerabilities[].Cwes[]")
file = at("Vulnerabilities[].CodeVulnerabilities[].FilePath.FilePath")
longitude = action("awsApiCallAction.remoteIpDetails.geoLocation.lon")
latitude = action("awsApiCallAction.remoteIpDetails.geoLocation.lat")

COMMON: Fields = {
    "time": apply(times, at("UpdatedAt", "LastObservedAt", "ProcessedAt", "CreatedAt")),
    "activity_id": when(at("RecordState") == "ARCHIVED", 3, when((created == updated) | updated.is_null(), 1, 2)),
    "severity_id": severity_id(at("Severity.Label", "FindingProviderFields.Severity.Label")).or_(
        banded(
            normalized, (range(1), 1), (range(1, 40), 2), (range(40, 70), 3), (range(70, 90), 4), (range(90, 101), 5)
        )
    ),
    "status_id": at("Workflow.Status", "WorkflowState").lookup(WORKFLOW, default=99),
    "confidence_score": at("Confidence").text(),
    "message": at("Note.Text"),
    "cloud.provider": "AWS",
    "cloud.account.uid": at("AwsAccountId"),
    "cloud.account.name": at("AwsAccountName"),
    "cloud.region": at("Region").or_(region_of(at("ProductArn"))),
    "metadata.log_version": at("SchemaVersion"),
    "metadata.processed_time": apply(times, at("ProcessedAt")),
    "metadata.product.name": product_name,
    "metadata.product.uid": at("ProductArn"),
    "metadata.product.vendor_name": at("CompanyName", "ProductFields.aws/securityhub/CompanyName").or_("AWS"),
    "metadata.product.feature.uid": at("GeneratorId"),
    "metadata.product.feature.name": at("ProductFields.aws/guardduty/service/featureName"),
    "finding_info.uid": at("Id"),
    "finding_info.title": at("Title"),
    "finding_info.desc": at("Description"),
    "finding_info.types": at("Types[]"),
    "finding_info.src_url": at("SourceUrl"),
    "finding_info.created_time": created,
    "finding_info.modified_time": updated,
    "finding_info.first_seen_time": apply(times, at("FirstObservedAt")),
    "finding_info.last_seen_time": apply(times, at("LastObservedAt")),
    "finding_info.related_events[].uid": at("RelatedFindings[].Id"),
    "finding_info.related_events[].product_uid": at("RelatedFindings[].ProductArn"),
}

RESOURCES: Fields = {
    "resources[].uid": resource,
    "resources[].type": at("Resources[].Type"),
    "resources[].region": at("Resources[].Region"),
    "resources[].cloud_partition": at("Resources[].Partition"),
    "resources[].labels": apply(labels, at("Resources[].Tags")),
    "resources[].data": at("Resources[].Details"),
    "resources[].criticality": apply(repeated, at("Criticality"), resource),
    "resources[].role_id": at("Resources[].ResourceRole").lookup({"Target": 1, "Actor": 2}, default=99),
    "resources[].owner.account.uid": at("Resources[].Owner.Account.Id").or_(
        apply(repeated, at("ProductFields.ResourceOwnerAccount"), resource)
    ),
    "resources[].owner.org.uid": at("Resources[].Owner.Org.Id"),
}
RESOURCE = only_resource(RESOURCES)

COMPLIANCE: Fields = {
    "compliance.control": at("Compliance.SecurityControlId", "ProductFields.ControlId", "ProductFields.RuleId"),
    "compliance.status_id": at("Compliance.Status").lookup({"PASSED": 1, "WARNING": 2, "FAILED": 3}, default=99),
    "compliance.status_code": at("Compliance.StatusReasons[].ReasonCode"),
    "compliance.status_detail": at("Compliance.StatusReasons[].Description"),
    "compliance.status_details": at("Compliance.StatusReasons[].Description"),
    "compliance.requirements": at("Compliance.RelatedRequirements[]"),
    "compliance.standards": standards,
    "remediation.desc": at("Remediation.Recommendation.Text"),
    "remediation.references": at("Remediation.Recommendation.Url"),
}

VULNERABILITY: Fields = {
    # OCSF takes a CVE or a CWE, not both: a flaw in code is named by its weakness.
    "vulnerabilities[].cve.uid": apply(cve, at("Vulnerabilities[].Id"), weakness),
    "vulnerabilities[].cwe.uid": weakness,
    "vulnerabilities[].title": apply(flaw, at("Vulnerabilities[].Id"), weakness),
    "vulnerabilities[].cve.cvss[].base_score": at("Vulnerabilities[].Cvss[].BaseScore"),
    "vulnerabilities[].cve.cvss[].vector_string": at("Vulnerabilities[].Cvss[].BaseVector"),
    "vulnerabilities[].cve.cvss[].version": at("Vulnerabilities[].Cvss[].Version").text(),
    "vulnerabilities[].cve.cvss[].vendor_name": at("Vulnerabilities[].Cvss[].Source"),
    "vulnerabilities[].cve.epss.score": at("Vulnerabilities[].EpssScore").text(),
    "vulnerabilities[].cve.created_time": apply(times, at("Vulnerabilities[].Vendor.VendorCreatedAt")),
    "vulnerabilities[].cve.modified_time": apply(times, at("Vulnerabilities[].Vendor.VendorUpdatedAt")),
    "vulnerabilities[].vendor_name": at("Vulnerabilities[].Vendor.Name"),
    "vulnerabilities[].severity": at("Vulnerabilities[].Vendor.VendorSeverity"),
    "vulnerabilities[].references": at("Vulnerabilities[].ReferenceUrls[]"),
    "vulnerabilities[].related_vulnerabilities": at("Vulnerabilities[].RelatedVulnerabilities[]"),
    "vulnerabilities[].is_fix_available": at("Vulnerabilities[].FixAvailable").lookup(
        {"YES": True, "PARTIAL": True, "NO": False}
    ),
    "vulnerabilities[].fix_coverage_id": at("Vulnerabilities[].FixAvailable").lookup(
        {"YES": 1, "PARTIAL": 2, "NO": 3}, default=99
    ),
    "vulnerabilities[].is_exploit_available": at("Vulnerabilities[].ExploitAvailable").lookup(
        {"YES": True, "NO": False}
    ),
    "vulnerabilities[].exploit_last_seen_time": apply(times, at("Vulnerabilities[].LastKnownExploitAt")),
    "vulnerabilities[].remediation.desc": at("Remediation.Recommendation.Text"),
    "vulnerabilities[].remediation.references": at("Remediation.Recommendation.Url"),
    "vulnerabilities[].affected_packages[].name": at("Vulnerabilities[].VulnerablePackages[].Name"),
    "vulnerabilities[].affected_packages[].version": at("Vulnerabilities[].VulnerablePackages[].Version").text(),
    "vulnerabilities[].affected_packages[].epoch": at("Vulnerabilities[].VulnerablePackages[].Epoch"),
    "vulnerabilities[].affected_packages[].release": at("Vulnerabilities[].VulnerablePackages[].Release").text(),
    "vulnerabilities[].affected_packages[].architecture": at("Vulnerabilities[].VulnerablePackages[].Architecture"),
    "vulnerabilities[].affected_packages[].package_manager": at(
        "Vulnerabilities[].VulnerablePackages[].PackageManager"
    ),
    "vulnerabilities[].affected_packages[].path": at("Vulnerabilities[].VulnerablePackages[].FilePath"),
    "vulnerabilities[].affected_packages[].fixed_in_version": at(
        "Vulnerabilities[].VulnerablePackages[].FixedInVersion"
    ).text(),
    "vulnerabilities[].affected_packages[].remediation.desc": at("Vulnerabilities[].VulnerablePackages[].Remediation"),
    "vulnerabilities[].affected_code[].file.path": file,
    "vulnerabilities[].affected_code[].file.name": at("Vulnerabilities[].CodeVulnerabilities[].FilePath.FileName"),
    "vulnerabilities[].affected_code[].file.type_id": given(file, 1),
    "vulnerabilities[].affected_code[].start_line": at("Vulnerabilities[].CodeVulnerabilities[].FilePath.StartLine"),
    "vulnerabilities[].affected_code[].end_line": at("Vulnerabilities[].CodeVulnerabilities[].FilePath.EndLine"),
}

DETECTION: Fields = {
    **action_evidence(action),
    **process_evidence("evidences[].actor.process", lambda name: product_field(f"runtimeDetails.process.{name}")),
    **process_evidence(
        "evidences[].process", lambda name: product_field(f"runtimeDetails.context.targetProcess.{name}")
    ),
    "evidences[].src_endpoint.location.coordinates": apply(lon_lat, longitude, latitude),
    "evidences[].data": product_field("additionalInfo.value"),
    "remediation.desc": at("Remediation.Recommendation.Text"),
    "remediation.references": at("Remediation.Recommendation.Url"),
}

# Up to 1.4, OCSF has no compliance without a standard: where a finding names none, what generated it stands there.
NAMED: Fields = COMPLIANCE | {"compliance.standards": standards.or_(at("GeneratorId", "compliance.control"))}

# Findings of the new Security Hub are OCSF, and are passed on; the tables above are for those in ASFF.
ocsf = at("class_uid").text().only_if(~at("metadata.version").is_null())
asff = at("class_uid").is_null()
is_compliance = (ocsf == "2003") | (asff & (is_hub | (~at("Compliance.Status").is_null() & ~is_threat)))
is_vulnerability = (ocsf == "2002") | (asff & ~at("Vulnerabilities[].Id").is_null() & ~is_hub & ~is_threat)
is_detection = (ocsf == "2004") | (asff & ~at("Id").is_null())


def both(fields: Fields, attributes: tuple[str, ...]) -> Fields:
    """Return the table of a class for both kinds of findings."""
    return passed_or(COMMON | fields, passed.FINDING + attributes)


VULNERABLE_ONE = both(VULNERABILITY | RESOURCE, passed.VULNERABILITY)
VULNERABLE = both(VULNERABILITY | RESOURCES, passed.VULNERABILITY)
COMPLIANT_ONE = both(NAMED | RESOURCE, passed.COMPLIANCE)
COMPLIANT_NAMED = both(NAMED | RESOURCES, passed.COMPLIANCE)
COMPLIANT = both(COMPLIANCE | RESOURCES, passed.COMPLIANCE)
DETECTED = both(DETECTION | RESOURCES, passed.DETECTION)

MAPPER = Mapper(
    "aws.securityhub",
    title="AWS Security Hub",
    source_name="aws_securityhub",
    parse=JsonRecords(unwrap=("Findings", "findings")),
    events=[
        EventMap("vulnerability_finding", where=is_vulnerability, fields=VULNERABLE_ONE, until="1.2.0"),
        EventMap("vulnerability_finding", where=is_vulnerability, fields=VULNERABLE, since="1.3.0"),
        EventMap("compliance_finding", where=is_compliance, fields=COMPLIANT_ONE, until="1.2.0"),
        EventMap("compliance_finding", where=is_compliance, fields=COMPLIANT_NAMED, since="1.3.0", until="1.4.0"),
        EventMap("compliance_finding", where=is_compliance, fields=COMPLIANT, since="1.5.0"),
        EventMap("data_security_finding", where=ocsf == "2006", fields=both({}, passed.DATA)),
        EventMap("detection_finding", where=is_detection | (ocsf == "2006"), fields=DETECTED),
    ],
    unmapped=(
        "Action.*",
        "Compliance.*",
        "Criticality",
        "Detection.*",
        "FindingProviderFields.*",
        "GeneratorDetails.*",
        "Malware[].*",
        "Network.*",
        "NetworkPath[].*",
        "Note.*",
        "PatchSummary.*",
        "Process.*",
        "ProductFields.*",
        "RecordState",
        "Remediation.*",
        "Resources[].*",
        "Sample",
        "Severity.*",
        "ThreatIntelIndicators[].*",
        "Threats[].*",
        "UserDefinedFields.*",
        "VerificationState",
        "Vulnerabilities[].*",
        "WorkflowState",
        "activity_name",
        "approximateArrivalTimestamp",
        "category_name",
        "category_uid",
        "class_name",
        "cloud.*",
        "compliance.*",
        "data_security.*",
        "databucket.*",
        "evidences[].*",
        "finding_info.*",
        "impact",
        "metadata.*",
        "observables[].*",
        "remediation.*",
        "resources[].*",
        "risk_level",
        "severity",
        "status",
        "type_name",
        "type_uid",
        "updatedAt",
        "vendor_attributes.*",
        "vulnerabilities[].*",
    ),
)
