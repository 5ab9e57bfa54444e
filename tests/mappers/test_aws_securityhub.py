"""Findings of AWS Security Hub: in ASFF, and those of the new Security Hub, which are OCSF already."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest
from aws_logs import event, reasons
from finding_shapes import records, shape

LOG = "aws.securityhub"
CONTROL, PASSED, LEGACY, PACKAGE, CODE, CALL, RUNTIME, SECRETS, CUSTOM, IMAGE, DECOY, PROBES = records(
    LOG, "get_findings."
)
OCSF = {finding["finding_info"]["uid"]: finding for finding in records(LOG, "get_findings_v2")}
VERSIONS = ["1.1.0", "1.2.0", "1.3.0", "1.4.0", "1.5.0", "1.6.0", "1.7.0", "1.8.0"]
PRODUCT = "arn:aws:securityhub:us-east-1::product"


def changed(finding: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {name: value for name, value in (deepcopy(finding) | members).items() if value is not None}


def ocsf(uid: str) -> dict[str, Any]:
    [found] = [finding for finding_uid, finding in OCSF.items() if uid in finding_uid]
    return deepcopy(found)


@pytest.mark.parametrize("version", ["1.1.0", "1.3.0", "1.5.0", "1.8.0"])
@pytest.mark.parametrize(("part", "of"), [("eventbridge.", "get_findings."), ("eventbridge_v2", "get_findings_v2")])
def test_every_shape_gives_the_same_event(part: str, of: str, version: str) -> None:
    """Events of EventBridge, custom actions among them, are what the API returns."""
    answers = shape(LOG, of, version)
    found = shape(LOG, part, version)

    assert found == {uid: answers[uid] for uid in found}


@pytest.mark.parametrize(
    ("product", "members", "expected"),
    [
        (f"{PRODUCT}/aws/securityhub", {}, 2003),
        (f"{PRODUCT}/aws/inspector", {}, 2004),
        (f"{PRODUCT}/aws/inspector", {"Vulnerabilities": [{"Id": "CVE-2026-1"}]}, 2002),
        (f"{PRODUCT}/aws/guardduty", {}, 2004),
        (f"{PRODUCT}/aws/guardduty", {"Compliance": {"Status": "FAILED"}}, 2004),
        (f"{PRODUCT}/aws/macie", {}, 2004),
        (f"{PRODUCT}/prowler/prowler", {"Compliance": {"Status": "PASSED"}}, 2003),
        (f"{PRODUCT}/tenable/tenable-io", {"Vulnerabilities": [{"Id": "CVE-2026-1"}]}, 2002),
        ("arn:aws:securityhub:us-east-1:111122223333:product/111122223333/default", {}, 2004),
        (None, {}, 2004),
        (None, {"ProductName": "Security Hub"}, 2003),
    ],
)
def test_the_class_of_a_finding(product: str | None, members: dict[str, Any], expected: int) -> None:
    """Its product says what a finding is, and else what it holds: a status of compliance, or vulnerabilities."""
    bare = {name: value for name, value in DECOY.items() if name not in ("ProductArn", "Action")}

    found = event(LOG, changed(bare, ProductArn=product, **members))

    assert found["class_uid"] == expected


@pytest.mark.parametrize(
    ("severity", "expected"),
    [
        ({"Label": "INFORMATIONAL", "Normalized": 70}, 1),
        ({"Label": "LOW"}, 2),
        ({"Label": "MEDIUM"}, 3),
        ({"Label": "HIGH"}, 4),
        ({"Label": "CRITICAL"}, 5),
        ({"Normalized": 0}, 1),
        ({"Normalized": 1}, 2),
        ({"Normalized": 39}, 2),
        ({"Normalized": 40}, 3),
        ({"Normalized": 69.0}, 3),
        ({"Normalized": 70}, 4),
        ({"Normalized": 89}, 4),
        ({"Normalized": 90}, 5),
        ({"Normalized": 100}, 5),
        ({"Normalized": 101}, 0),
        ({"Product": 3.5}, 0),
        (None, 0),
    ],
)
def test_severity(severity: dict[str, Any] | None, expected: int) -> None:
    """The label counts, and without one the normalized number, which stays in unmapped."""
    found = event(LOG, changed(CONTROL, Severity=severity, FindingProviderFields=None))

    assert found["severity_id"] == expected
    if severity and "Normalized" in severity:
        assert found["unmapped"]["Severity.Normalized"] == str(severity["Normalized"])


def test_severity_of_the_provider() -> None:
    """Where a finding has no label of its own, that of its provider counts."""
    found = event(LOG, changed(CONTROL, Severity=None))

    assert found["severity_id"] == 4


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"CreatedAt": "2026-11-17T00:00:00Z", "UpdatedAt": "2026-11-17T00:00:00.000Z"}, 1),
        ({"CreatedAt": "2026-11-16T23:00:00-01:00", "UpdatedAt": "2026-11-17T00:00:00Z"}, 1),
        ({"CreatedAt": "2026-11-16T00:00:00Z", "UpdatedAt": "2026-11-17T00:00:00Z"}, 2),
        ({"CreatedAt": "2026-11-17T00:00:00Z", "UpdatedAt": None}, 1),
        ({"RecordState": "ARCHIVED"}, 3),
    ],
)
def test_activity(members: dict[str, Any], expected: int) -> None:
    """A finding that was never updated is new, one that is archived is closed."""
    assert event(LOG, changed(CONTROL, **members))["activity_id"] == expected


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-17T09:12:44.007Z",
        "2026-11-17T09:12:44.007123456Z",
        "2026-11-17T10:12:44.007+01:00",
        "2026-11-17T101244.007+0100".replace("T101244", "T10:12:44"),
        "2026-11-17 09:12:44.007000000",
        "1.794906764007E9",
        "1794906764.007",
        1794906764.007,
    ],
)
def test_forms_of_time(text: Any) -> None:
    """Text with and without a fraction, with offsets, and the numbers that Inspector's findings sometimes have."""
    found = event(LOG, changed(CONTROL, UpdatedAt=text))

    assert found["time"] == found["finding_info"]["modified_time"] == 1_794_906_764_007


def test_a_time_that_is_none() -> None:
    """Where no event is without it, the record is rejected; elsewhere the text stays in unmapped."""
    found = event(LOG, changed(CONTROL, FirstObservedAt="yesterday"))

    assert "first_seen_time" not in found["finding_info"]
    assert found["unmapped"]["FirstObservedAt"] == "yesterday"
    assert [why[1] for why in reasons(LOG, json.dumps(changed(CONTROL, UpdatedAt="soon")).encode())] == ["time"]


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"Workflow": {"Status": "NEW"}}, (1, "New")),
        ({"Workflow": {"Status": "NOTIFIED"}, "WorkflowState": "NEW"}, (2, "In Progress")),
        ({"Workflow": {"Status": "SUPPRESSED"}}, (3, "Suppressed")),
        ({"Workflow": {"Status": "RESOLVED"}}, (4, "Resolved")),
        ({"Workflow": None, "WorkflowState": "ASSIGNED"}, (2, "In Progress")),
        ({"Workflow": None, "WorkflowState": "DEFERRED"}, (99, "DEFERRED")),
        ({"Workflow": None, "WorkflowState": None}, (None, None)),
    ],
)
def test_status(members: dict[str, Any], expected: tuple[int | None, str | None]) -> None:
    """The workflow's status, and for old findings its state."""
    found = event(LOG, changed(CONTROL, **members))

    assert (found.get("status_id"), found.get("status")) == expected


def test_a_control() -> None:
    """The control, the requirements that it is for, and the standards that it is of."""
    found = event(LOG, CONTROL)

    assert found["compliance"] == {
        "control": "S3.8",
        "status": "Fail",
        "status_id": 3,
        "requirements": ["NIST.800-53.r5 AC-3", "NIST.800-53.r5 AC-4"],
        "standards": ["standards/aws-foundational-security-best-practices/v/1.0.0", "standards/nist-800-53/v/5.0.0"],
    }
    assert found["message"] == "Ticket SHOP-42 is open."
    assert found["remediation"]["references"] == ["https://docs.aws.amazon.com/console/securityhub/S3.8/remediation"]
    assert found["metadata"]["product"]["feature"] == {"uid": "security-control/S3.8"}


@pytest.mark.parametrize(
    ("status", "expected"),
    [("PASSED", (1, "Pass")), ("WARNING", (2, "Warning")), ("NOT_AVAILABLE", (99, "NOT_AVAILABLE"))],
)
def test_compliance_status(status: str, expected: tuple[int, str]) -> None:
    """What OCSF has no word for is 99 with the service's own."""
    compliance = event(LOG, changed(CONTROL, Compliance=CONTROL["Compliance"] | {"Status": status}))["compliance"]

    assert (compliance["status_id"], compliance["status"]) == expected


def test_several_reasons() -> None:
    """OCSF has had a list of them since 1.4; before, the first stands for all, which are kept."""
    old, new = event(LOG, LEGACY), event(LOG, LEGACY, "1.8.0")

    both = ["AWS Config may not be read.", "The custom rule is not available."]
    assert old["compliance"]["status_detail"] == both[0]
    assert old["unmapped"]["Compliance.StatusReasons[].Description"] == ",".join(both)
    assert new["compliance"]["status_details"] == both


@pytest.mark.parametrize(
    ("version", "expected"), [("1.1.0", ["lambda-runtime"]), ("1.4.0", ["lambda-runtime"]), ("1.5.0", None)]
)
def test_compliance_without_a_standard(version: str, expected: list[str] | None) -> None:
    """Up to 1.4 OCSF requires one: what generated the finding stands there."""
    assert event(LOG, CUSTOM, version)["compliance"].get("standards") == expected


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("finding", [CONTROL, PACKAGE, IMAGE], ids=["control", "package", "image"])
def test_one_resource_or_a_list(finding: dict[str, Any], version: str) -> None:
    """These classes have one resource up to 1.2, the first; all others are kept. Since 1.3 they have a list."""
    found = event(LOG, finding, version)
    ids = [resource["Id"] for resource in finding["Resources"]]

    if version in ("1.1.0", "1.2.0"):
        assert "resources" not in found
        assert found["resource"]["uid"] == ids[0]
        assert found["unmapped"].get("Resources[].Id") == (",".join(ids) if len(ids) > 1 else None)
    else:
        assert "resource" not in found
        assert [resource["uid"] for resource in found["resources"]] == ids


def test_tags_of_resources() -> None:
    """They are labels; where only one of two resources has a place, the other's tags are kept."""
    assert event(LOG, CONTROL)["resource"]["labels"] == ["team=shop", "env=prod"]
    assert event(LOG, IMAGE)["unmapped"]["Resources[].Tags.team"] == "shop"
    assert event(LOG, IMAGE, "1.3.0")["resources"][1]["labels"] == ["team=shop"]
    odd = event(
        LOG,
        changed(
            CONTROL, Resources=[{"Type": "Other", "Id": "x", "Tags": ["a", {"Key": "k", "Value": "v"}, {"a": 1}, 7]}]
        ),
    )
    assert odd["resource"]["labels"] == ["a", "k=v", '{"a": 1}', "7"]
    text = event(LOG, changed(CONTROL, Resources=[{"Type": "Other", "Id": "x", "Tags": "a tag"}]))
    assert text["resource"]["labels"] == ["a tag"]


def test_what_belongs_to_all_resources() -> None:
    """The criticality is the finding's, the owner may be: every resource has it."""
    secrets, runtime = event(LOG, SECRETS), event(LOG, RUNTIME)

    assert [resource["criticality"] for resource in secrets["resources"]] == ["80", "80"]
    assert runtime["resources"][0]["owner"] == {"account": {"uid": "111122223333"}}
    assert secrets["finding_info"]["related_events"][0]["product_uid"] == f"{PRODUCT}/aws/guardduty"
    assert secrets["confidence_score"] == 90


def test_roles_of_resources() -> None:
    """OCSF has had them since 1.6."""
    assert [resource["role_id"] for resource in event(LOG, DECOY, "1.8.0")["resources"]] == [1, 2]
    assert event(LOG, DECOY)["unmapped"]["Resources[].ResourceRole"] == "Target,Actor"


def test_a_vulnerable_package() -> None:
    """Lists in lists: packages and scores of one vulnerability."""
    [found] = event(LOG, PACKAGE, "1.8.0")["vulnerabilities"]

    assert found["cve"]["uid"] == "CVE-2026-10001"
    assert [score["vendor_name"] for score in found["cve"]["cvss"]] == ["NVD", "VENDOR"]
    assert found["cve"]["epss"] == {"score": "0.02154"}
    assert found["cve"]["created_time"] == 1_790_856_000_000
    assert [package["name"] for package in found["affected_packages"]] == ["openssl", "openssl-libs"]
    assert found["affected_packages"][0]["epoch"] == 1
    assert found["affected_packages"][0]["remediation"] == {"desc": "dnf update openssl"}
    assert (found["is_fix_available"], found["fix_coverage"], found["is_exploit_available"]) == (
        True,
        "Complete",
        False,
    )
    assert found["remediation"]["references"] == ["https://example.com/advisories/2026-10001"]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_weakness_in_code(version: str) -> None:
    """OCSF takes a CVE or a CWE: a flaw in code is named by its weakness; more of them are kept."""
    found = event(LOG, CODE, version)

    [flaw] = found["vulnerabilities"]
    assert "cve" not in flaw
    assert flaw["cwe"] == {"uid": "CWE-22"}
    assert flaw["title"] == "python/path-traversal@v1.0"
    assert flaw["affected_code"][0]["start_line"] == 41
    assert found["unmapped"]["Vulnerabilities[].CodeVulnerabilities[].Cwes[]"] == "CWE-22,CWE-23"


def test_both_kinds_of_vulnerabilities() -> None:
    """Each element is judged alone, in one finding and in one batch."""
    mixed = changed(IMAGE, Vulnerabilities=[*IMAGE["Vulnerabilities"], *CODE["Vulnerabilities"]])

    found = event(LOG, mixed)["vulnerabilities"]

    assert [(flaw.get("cve", {}).get("uid"), flaw.get("cwe", {}).get("uid")) for flaw in found] == [
        ("GHSA-xxxx-example-0001", None),
        ("CVE-2026-10077", None),
        (None, "CWE-22"),
    ]
    assert [flaw["is_fix_available"] for flaw in found] == [True, False, False]


def test_a_package_without_a_version() -> None:
    """OCSF requires one: such a package is left out and kept, the others stay."""
    finding = deepcopy(PACKAGE)
    del finding["Vulnerabilities"][0]["VulnerablePackages"][0]["Version"]

    found = event(LOG, finding)

    assert [package["name"] for package in found["vulnerabilities"][0]["affected_packages"]] == ["openssl-libs"]
    assert found["unmapped"]["Vulnerabilities[].VulnerablePackages[].Name"] == "openssl,openssl-libs"


def test_a_call_in_product_fields() -> None:
    """GuardDuty's facts come as a flat map with slashes; longitude comes first."""
    [evidence] = event(LOG, CALL)["evidences"]

    assert evidence == {
        "api": {
            "operation": "ListUsers",
            "service": {"name": "iam.amazonaws.com"},
            "response": {"error": "AccessDenied"},
        },
        "src_endpoint": {
            "ip": "198.51.100.77",
            "location": {"city": "Exampledam", "country": "Netherlands", "coordinates": [4.89, 52.37]},
        },
        "data": '{"threatListName":"corp-blocklist"}',
    }


def test_old_names_of_product_fields() -> None:
    """In 2019 they had no prefix; odd coordinates are none."""
    fields = {name.removeprefix("aws/guardduty/service/"): value for name, value in CALL["ProductFields"].items()} | {
        "action/awsApiCallAction/remoteIpDetails/geoLocation/lat": "north"
    }

    found = event(LOG, changed(CALL, ProductFields=fields), "1.8.0")

    assert found["evidences"][0]["src_endpoint"]["autonomous_system"] == {"name": "Example Transit", "number": 64500}
    assert found["evidences"][0]["src_endpoint"]["location"] == {
        "city": "Exampledam",
        "country": "Netherlands",
        "long": 4.89,
    }


def test_a_process_in_product_fields() -> None:
    """Numbers are text there."""
    [evidence] = event(LOG, RUNTIME)["evidences"]

    assert evidence["actor"]["process"]["pid"] == 4211
    assert evidence["actor"]["process"]["user"] == {"name": "www-data", "uid": "33"}
    assert evidence["process"]["file"]["path"] == "/usr/sbin/nginx"


def test_an_action() -> None:
    """Where the member Action has the facts, empty objects in it are nothing."""
    [evidence] = event(LOG, DECOY)["evidences"]

    assert evidence["api"] == {"operation": "Scan", "service": {"name": "dynamodb.amazonaws.com"}}
    assert evidence["src_endpoint"]["ip"] == "198.51.100.77"
    assert [found["dst_endpoint"]["port"] for found in event(LOG, PROBES)["evidences"]] == [22, 8080]


def test_the_number_of_a_large_autonomous_system() -> None:
    """It may not fit into OCSF's integers, and is no reason to lose a finding."""
    finding = deepcopy(DECOY)
    finding["Action"]["AwsApiCallAction"]["RemoteIpDetails"]["Organization"]["Asn"] = 4_200_000_001

    found = event(LOG, finding, "1.8.0")

    assert found["evidences"][0]["src_endpoint"]["autonomous_system"] == {"name": "Example Transit"}
    assert found["unmapped"]["Action.AwsApiCallAction.RemoteIpDetails.Organization.Asn"] == "4200000001"


def test_insights_are_no_findings() -> None:
    """What Security Hub says of an insight is rejected."""
    insight = {
        "version": "0",
        "id": "eb000399-1111-4222-8333-444444444444",
        "detail-type": "Security Hub Insight Results",
        "source": "aws.securityhub",
        "detail": {"insightName": "Busy users", "resultType": "Resource", "insightResults": [{"ci-legacy": 2}]},
    }

    assert reasons(LOG, json.dumps(insight).encode()) == [("no event class of aws.securityhub takes it", "")]


def test_a_region_out_of_the_product() -> None:
    """Findings of 2019 do not name their Region, the ARN of the product does."""
    assert event(LOG, changed(CONTROL, Region=None))["cloud"]["region"] == "us-east-1"
    assert event(LOG, CONTROL)["cloud"]["account"] == {"uid": "111122223333", "name": "example-shop"}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("uid", OCSF, ids=["control", "package", "exposure", "call", "data"])
def test_ocsf_is_passed_on(uid: str, version: str) -> None:
    """The attributes that the version has are what they were; the class too, but for Data Security before 1.2."""
    finding = OCSF[uid]

    found = event(LOG, finding, version)

    expected = 2004 if (version, finding["class_uid"]) == ("1.1.0", 2006) else finding["class_uid"]
    assert found["class_uid"] == expected
    assert found["activity_id"] == finding["activity_id"]
    assert found["time"] == finding["time"]
    assert found["metadata"]["uid"] == finding["metadata"]["uid"]
    assert found["metadata"]["product"] == finding["metadata"]["product"]
    assert found["unmapped"]["metadata.version"] == "1.6.0"
    info = {
        name: value for name, value in finding["finding_info"].items() if name in ("title", "desc", "types", "analytic")
    }
    assert {name: found["finding_info"].get(name) for name in info} == info


def test_ocsf_of_the_same_version() -> None:
    """At its own version a finding comes out as it went in."""
    finding = ocsf("exposure")

    found = event(LOG, finding, "1.6.0")

    same = ("cloud", "finding_info", "resources", "severity", "status", "vendor_attributes", "type_uid", "class_name")
    info = found["finding_info"] | {
        name: value for name, value in finding["finding_info"].items() if name.endswith("_dt")
    }
    assert {name: (found | {"finding_info": info})[name] for name in same} == {name: finding[name] for name in same}


def test_ocsf_for_an_older_version() -> None:
    """What it lacks stays under its name in unmapped, ids that it lacks become 99 with their caption."""
    finding = ocsf("inspector2") | {"status_id": 5, "status": "Archived"}

    found = event(LOG, finding)

    assert (found["status_id"], found["status"]) == (99, "Archived")
    assert found["resource"]["uid"] == "i-0examp1e0000000a7"
    assert found["unmapped"]["resources[].uid_alt"] == "arn:aws:ec2:us-east-1:111122223333:instance/i-0examp1e0000000a7"
    assert found["unmapped"]["vulnerabilities[].fix_coverage_id"] == "1"
    assert found["vulnerabilities"][0]["cve"]["cvss"][0]["base_score"] == 7.5


def test_ocsf_times_in_words() -> None:
    """A finding may have only the datetime of a time."""
    finding = ocsf("exposure")
    del finding["finding_info"]["created_time"]

    assert event(LOG, finding)["finding_info"]["created_time"] == 1_794_904_200_000


def test_other_classes_of_ocsf() -> None:
    """What Security Hub does not make is rejected, never taken for ASFF."""
    finding = ocsf("exposure") | {"class_uid": 6003, "Id": "1"}

    assert reasons(LOG, json.dumps(finding).encode()) == [("no event class of aws.securityhub takes it", "")]
