"""Amazon Inspector findings to Vulnerability Finding 2002; network reachability to Detection Finding 2004.

As ListFindings and the reports in S3 give them (``findings``, times as seconds since 1970), and as EventBridge delivers
them (``detail``, times in words). The same finding also arrives through Security Hub: its ARN is ``finding_info.uid``
in both. A finding in code becomes a vulnerability for each of its weaknesses: OCSF names a vulnerability by one CVE or
one CWE.

The fields: https://docs.aws.amazon.com/inspector/v2/APIReference/API_Finding.html
"""

from __future__ import annotations

from ocsflake.mappers.aws._arn import region_of
from ocsflake.mappers.aws._findings import given, labels, nested, only_resource, severity_id, times
from ocsflake.mapping import EventMap, Expr, Fields, JsonRecords, Mapper, apply, at, when

STATUS = {"ACTIVE": 1, "SUPPRESSED": 3, "CLOSED": 4}

updated = at("updatedAt", "lastObservedAt")
weakness = at("codeVulnerabilityDetails.cwes[]")
file = at("codeVulnerabilityDetails.filePath.filePath")


def package(member: str) -> Expr:
    """Return a member of the packages that have the flaw."""
    return apply(nested, at(f"packageVulnerabilityDetails.vulnerablePackages[].{member}"))


def score(member: str) -> Expr:
    """Return a member of the scores: the NVD's and the vendor's may both be there."""
    return apply(nested, at(f"packageVulnerabilityDetails.cvss[].{member}"))


RESOURCES: Fields = {
    "resources[].uid": at("resources[].id"),
    "resources[].type": at("resources[].type"),
    "resources[].region": at("resources[].region"),
    "resources[].cloud_partition": at("resources[].partition"),
    "resources[].provider": at("resources[].provider"),
    "resources[].labels": apply(labels, at("resources[].tags")),
    "resources[].data": at("resources[].details"),
    "resources[].owner.account.uid": at("resources[].providerAccountId"),
    "resources[].owner.org.uid": at("resources[].providerOrgId"),
}

COMMON: Fields = {
    "time": apply(times, updated),
    "activity_id": when(
        at("status") == "CLOSED", 3, when(apply(times, at("firstObservedAt")) == apply(times, updated), 1, 2)
    ),
    "severity_id": severity_id(at("severity")).or_(0),
    "status_id": at("status").lookup(STATUS, default=99),
    "cloud.provider": "AWS",
    "cloud.account.uid": at("awsAccountId"),
    "cloud.region": region_of(at("findingArn")),
    "metadata.product.name": "Inspector",
    "metadata.product.vendor_name": "AWS",
    "finding_info.uid": at("findingArn"),
    "finding_info.title": at("title", "type"),
    "finding_info.desc": at("description"),
    "finding_info.types": at("type"),
    "finding_info.first_seen_time": apply(times, at("firstObservedAt")),
    "finding_info.last_seen_time": apply(times, at("lastObservedAt")),
    "finding_info.modified_time": apply(times, at("updatedAt")),
}

VULNERABILITY: Fields = {
    "vulnerabilities[].cve.uid": at("packageVulnerabilityDetails.vulnerabilityId"),
    "vulnerabilities[].cve.created_time": apply(times, at("packageVulnerabilityDetails.vendorCreatedAt")),
    "vulnerabilities[].cve.modified_time": apply(times, at("packageVulnerabilityDetails.vendorUpdatedAt")),
    "vulnerabilities[].cve.references": at("packageVulnerabilityDetails.sourceUrl"),
    "vulnerabilities[].cve.epss.score": at("epss.score").text(),
    "vulnerabilities[].cve.cvss[].base_score": score("baseScore"),
    "vulnerabilities[].cve.cvss[].vector_string": score("scoringVector"),
    "vulnerabilities[].cve.cvss[].version": score("version"),
    "vulnerabilities[].cve.cvss[].vendor_name": score("source"),
    "vulnerabilities[].cwe.uid": weakness,
    "vulnerabilities[].title": at("codeVulnerabilityDetails.detectorName"),
    "vulnerabilities[].vendor_name": at("packageVulnerabilityDetails.source"),
    "vulnerabilities[].severity": at("packageVulnerabilityDetails.vendorSeverity"),
    "vulnerabilities[].references": apply(
        nested,
        at("packageVulnerabilityDetails.referenceUrls[]").or_(at("codeVulnerabilityDetails.referenceUrls[]")),
        weakness,
    ),
    "vulnerabilities[].related_vulnerabilities": apply(
        nested, at("packageVulnerabilityDetails.relatedVulnerabilities[]")
    ),
    "vulnerabilities[].is_fix_available": at("fixAvailable").lookup({"YES": True, "PARTIAL": True, "NO": False}),
    "vulnerabilities[].fix_coverage_id": at("fixAvailable").lookup({"YES": 1, "PARTIAL": 2, "NO": 3}, default=99),
    "vulnerabilities[].is_exploit_available": at("exploitAvailable").lookup({"YES": True, "NO": False}),
    "vulnerabilities[].exploit_last_seen_time": apply(times, at("exploitabilityDetails.lastKnownExploitAt")),
    "vulnerabilities[].remediation.desc": at("remediation.recommendation.text"),
    "vulnerabilities[].remediation.references": at("remediation.recommendation.Url", "remediation.recommendation.url"),
    "vulnerabilities[].affected_packages[].name": package("name"),
    "vulnerabilities[].affected_packages[].version": package("version"),
    "vulnerabilities[].affected_packages[].epoch": package("epoch"),
    "vulnerabilities[].affected_packages[].release": package("release"),
    "vulnerabilities[].affected_packages[].architecture": package("arch"),
    "vulnerabilities[].affected_packages[].package_manager": package("packageManager"),
    "vulnerabilities[].affected_packages[].path": package("filePath"),
    "vulnerabilities[].affected_packages[].fixed_in_version": package("fixedInVersion"),
    "vulnerabilities[].affected_packages[].remediation.desc": package("remediation"),
    "vulnerabilities[].affected_code[].file.path": file,
    "vulnerabilities[].affected_code[].file.name": at("codeVulnerabilityDetails.filePath.fileName"),
    "vulnerabilities[].affected_code[].file.type_id": given(file, 1),
    "vulnerabilities[].affected_code[].start_line": at("codeVulnerabilityDetails.filePath.startLine"),
    "vulnerabilities[].affected_code[].end_line": at("codeVulnerabilityDetails.filePath.endLine"),
}

REACHABILITY: Fields = {
    "evidences[].data": at("networkReachabilityDetails"),
    "remediation.desc": at("remediation.recommendation.text"),
    "remediation.references": at("remediation.recommendation.Url", "remediation.recommendation.url"),
}

is_vulnerability = ~at("packageVulnerabilityDetails.vulnerabilityId").is_null() | ~weakness.is_null()

MAPPER = Mapper(
    "aws.inspector",
    title="Amazon Inspector",
    source_name="aws_inspector",
    parse=JsonRecords(
        unwrap=("findings",),
        skip=(
            ("Inspector scan", "scan-status"),
            ("Inspector coverage", "scanStatus"),
        ),
    ),
    events=[
        EventMap(
            "vulnerability_finding",
            where=is_vulnerability,
            fields=COMMON | VULNERABILITY | only_resource(RESOURCES),
            until="1.2.0",
        ),
        EventMap(
            "vulnerability_finding", where=is_vulnerability, fields=COMMON | VULNERABILITY | RESOURCES, since="1.3.0"
        ),
        EventMap("detection_finding", where=~at("findingArn").is_null(), fields=COMMON | REACHABILITY | RESOURCES),
    ],
    unmapped=(
        "codeVulnerabilityDetails.*",
        "inspectorScore",
        "inspectorScoreDetails.*",
        "packageVulnerabilityDetails.*",
        "resources[].*",
    ),
)
