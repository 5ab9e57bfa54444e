"""Findings of Amazon Inspector."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest
from aws_logs import event, reasons
from finding_shapes import records, shape

from ocsflake import mapper
from ocsflake.model import RawBatch

LOG = "aws.inspector"
PACKAGE, CODE, PORT, IMAGE, MACHINE = records(LOG, "findings_report")
VERSIONS = ["1.1.0", "1.2.0", "1.3.0", "1.4.0", "1.5.0", "1.6.0", "1.7.0", "1.8.0"]


def changed(finding: dict[str, Any], **members: Any) -> dict[str, Any]:
    return deepcopy(finding) | members


def without_fractions(value: Any) -> Any:
    """Return an event with its times cut to seconds, and without the details of resources."""
    if isinstance(value, dict):
        kept = {name: inner for name, inner in value.items() if name != "data" and not name.endswith("_dt")}
        return {
            name: inner // 1000 if name == "time" or name.endswith("_time") else without_fractions(inner)
            for name, inner in kept.items()
        }
    return [without_fractions(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize("version", ["1.1.0", "1.3.0", "1.5.0", "1.8.0"])
@pytest.mark.parametrize("part", ["eventbridge", "list_findings"])
def test_every_shape_gives_the_same_event(part: str, version: str) -> None:
    """Times in words, as seconds since 1970 and as powers of ten are those of the report; words have no fraction."""
    report = shape(LOG, "findings_report", version)

    assert without_fractions(shape(LOG, part, version)) == without_fractions(report)


@pytest.mark.parametrize(
    ("severity", "expected"),
    [("INFORMATIONAL", 1), ("LOW", 2), ("MEDIUM", 3), ("HIGH", 4), ("CRITICAL", 5), ("UNTRIAGED", 0), (None, 0)],
)
def test_severity(severity: str | None, expected: int) -> None:
    """What is not rated yet has none."""
    assert event(LOG, changed(PACKAGE, severity=severity))["severity_id"] == expected


@pytest.mark.parametrize(
    ("status", "expected"), [("ACTIVE", (1, 2)), ("SUPPRESSED", (3, 2)), ("CLOSED", (4, 3)), ("ODD", (99, 2))]
)
def test_status(status: str, expected: tuple[int, int]) -> None:
    """A closed finding is resolved, and its event closes it."""
    found = event(LOG, changed(PACKAGE, status=status))

    assert (found["status_id"], found["activity_id"]) == expected


def test_a_new_finding() -> None:
    """It was seen once, however its times are written."""
    first = changed(PACKAGE, firstObservedAt=1794898800, updatedAt="Nov 17, 2026, 7:00:00 AM")

    assert event(LOG, first)["activity_id"] == 1
    del first["updatedAt"]
    assert event(LOG, first)["time"] == 1_794_898_800_000


def test_a_vulnerable_package() -> None:
    """Scores of several sources stand beside each other, each with its source."""
    found = event(LOG, PACKAGE, "1.8.0")

    [vulnerability] = found["vulnerabilities"]
    assert found["finding_info"]["uid"] == PACKAGE["findingArn"]
    assert vulnerability["cve"]["uid"] == "CVE-2026-10001"
    assert [(score["vendor_name"], score["base_score"]) for score in vulnerability["cve"]["cvss"]] == [
        ("NVD", 7.5),
        ("AMAZON_CVE", 7.4),
    ]
    assert vulnerability["cve"]["epss"] == {"score": "0.02154"}
    assert [package["name"] for package in vulnerability["affected_packages"]] == ["openssl", "openssl-libs"]
    assert vulnerability["references"] == PACKAGE["packageVulnerabilityDetails"]["referenceUrls"]
    assert vulnerability["related_vulnerabilities"] == ["ALAS2023-2026-0001"]
    assert vulnerability["remediation"]["references"] == ["https://example.com/advisories/2026-10001"]


@pytest.mark.parametrize(
    ("fix", "expected"),
    [("YES", (True, "Complete")), ("PARTIAL", (True, "Partial")), ("NO", (False, "None")), ("ODD", (None, "ODD"))],
)
def test_fixes(fix: str, expected: tuple[bool | None, str]) -> None:
    """A partial fix is one; OCSF has had its coverage since 1.5."""
    [vulnerability] = event(LOG, changed(PACKAGE, fixAvailable=fix), "1.5.0")["vulnerabilities"]

    assert vulnerability.get("is_fix_available") is expected[0]
    if expected[0] is not None:
        assert vulnerability["fix_coverage"] == expected[1]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_weakness_in_code(version: str) -> None:
    """OCSF names a vulnerability by one CWE: a finding with two has two, of the same place and references."""
    found = event(LOG, CODE, version)["vulnerabilities"]

    assert [vulnerability["cwe"]["uid"] for vulnerability in found] == ["CWE-22", "CWE-23"]
    for vulnerability in found:
        assert "cve" not in vulnerability
        assert vulnerability["affected_code"][0]["file"]["path"] == "src/intake.py"
        assert vulnerability["references"] == ["https://example.com/cwe/22"]
        assert vulnerability["is_fix_available"] is False


def test_both_kinds_in_one_batch() -> None:
    """Packages and code make the same events together and alone."""
    data = b"\n".join(json.dumps(finding).encode() for finding in (CODE, PACKAGE))

    [batch] = mapper(LOG).map(RawBatch(data)).batches

    assert [len(row["vulnerabilities"]) for row in batch.events.to_pylist()] == [2, 1]


def test_network_reachability() -> None:
    """It is no vulnerability: the path is the evidence."""
    found = event(LOG, PORT)

    assert found["class_uid"] == 2004
    assert found["evidences"] == [{"data": PORT["networkReachabilityDetails"]}]
    assert found["remediation"]["desc"].startswith("Restrict")
    assert found["resources"][0]["uid"] == "i-0examp1e0000000a7"


@pytest.mark.parametrize("version", VERSIONS)
def test_one_resource_or_a_list(version: str) -> None:
    """OCSF has had a list of resources in this class since 1.3."""
    found = event(LOG, PACKAGE, version)
    resource = found["resource"] if version in ("1.1.0", "1.2.0") else found["resources"][0]

    assert (resource["uid"], resource["type"]) == ("i-0examp1e0000000a7", "AWS_EC2_INSTANCE")
    assert resource["labels"] == ["Name=web-1", "team=shop"]
    assert resource["data"]["awsEc2Instance"]["vpcId"] == "vpc-0examp1e0000000a1"


def test_a_resource_of_another_cloud() -> None:
    """The finding is of the AWS account, the resource of its own."""
    found = event(LOG, MACHINE, "1.8.0")

    assert found["cloud"] == {"provider": "AWS", "region": "us-east-1", "account": {"uid": "111122223333"}}
    assert found["resources"][0]["owner"]["account"]["uid"] == "00000000-0000-4000-8000-0000000000aa"
    assert found["resources"][0]["provider"] == "AZURE"
    assert event(LOG, IMAGE, "1.8.0")["vulnerabilities"][0]["exploit_last_seen_time"] == 1_794_182_400_000


def test_events_that_are_no_findings() -> None:
    """Scans and coverage are skipped, anything else is rejected."""
    scan = {"detail-type": "Inspector2 Scan", "source": "aws.inspector2", "detail": {"scan-status": "COMPLETE"}}
    coverage = {"detail-type": "Inspector2 Coverage", "detail": {"scanStatus": {"reason": "SUCCESSFUL"}}}

    mapped = mapper(LOG).map(RawBatch(json.dumps([scan, coverage]).encode()))

    assert mapped.skipped == {"Inspector scan": 1, "Inspector coverage": 1}
    assert mapped.records == 0
    assert reasons(LOG, b'{"title": "A"}') == [("no event class of aws.inspector takes it", "")]
