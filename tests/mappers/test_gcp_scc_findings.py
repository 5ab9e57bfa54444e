"""Security Command Center findings."""

from __future__ import annotations

import json
from typing import Any

import pytest
from gcp_shapes import entry, event
from sample_events import events

from ocsflake import mapper, samples
from ocsflake.model import RawBatch

LOG_TYPE = "gcp.scc"
THREAT = entry(LOG_TYPE, "c1")


def finding(version: str = "1.1.0", name: str = "c1", **changes: Any) -> dict[str, Any]:
    """Return the event of a finding with some members changed; ``None`` takes one out."""
    notification = entry(LOG_TYPE, name)
    merged = {key: value for key, value in (notification["finding"] | changes).items() if value is not None}
    return event(LOG_TYPE, notification | {"finding": merged}, version)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("THREAT", "Detection Finding"),
        ("MISCONFIGURATION", "Compliance Finding"),
        ("POSTURE_VIOLATION", "Compliance Finding"),
        ("VULNERABILITY", "Detection Finding"),
        ("OBSERVATION", "Detection Finding"),
        ("TOXIC_COMBINATION", "Detection Finding"),
        ("SCC_ERROR", "Detection Finding"),
        ("NEW_CLASS", "Detection Finding"),
        (None, "Detection Finding"),
        (1, "Detection Finding"),
        (3, "Compliance Finding"),
    ],
)
def test_class(kind: Any, name: str) -> None:
    """The class of the finding decides; a vulnerability without a CVE is a Detection Finding."""
    assert finding(findingClass=kind)["class_name"] == name


@pytest.mark.parametrize(
    ("word", "severity"),
    [
        ("CRITICAL", 5),
        ("HIGH", 4),
        ("MEDIUM", 3),
        ("LOW", 2),
        ("SEVERITY_UNSPECIFIED", 0),
        (1, 5),
        (4, 2),
        (None, 0),
        ("ODD", 99),
    ],
)
def test_severity(word: Any, severity: int) -> None:
    """Severities come as words or numbers."""
    assert finding(severity=word)["severity_id"] == severity


@pytest.mark.parametrize(
    ("properties", "severity"), [({"SeverityLevel": "High"}, 4), ({"detectionPriority": "HIGH"}, 4), ({}, 0)]
)
def test_severity_of_version_1(properties: dict[str, str], severity: int) -> None:
    """Old findings have their severity among their properties."""
    assert finding(severity=None, sourceProperties=properties)["severity_id"] == severity


@pytest.mark.parametrize("version", ["1.1.0", "1.8.0"])
@pytest.mark.parametrize(
    ("state", "mute", "status"),
    [
        ("ACTIVE", "UNDEFINED", "New"),
        ("ACTIVE", "UNMUTED", "New"),
        ("ACTIVE", "MUTED", "Suppressed"),
        ("INACTIVE", None, "Resolved"),
        (2, 1, "Suppressed"),
        (1, 4, "New"),
        ("ODD", None, "ODD"),
        (None, None, "Unknown"),
    ],
)
def test_status(state: Any, mute: Any, status: str, version: str) -> None:
    """What is inactive is resolved; what is muted is suppressed, whatever its state."""
    assert finding(version, state=state, mute=mute)["status"] == status


@pytest.mark.parametrize(
    ("changes", "activity"),
    [
        ({}, "Create"),
        ({"createTime": "2026-11-15T00:00:00Z"}, "Update"),
        ({"createTime": None}, "Update"),
        ({"state": "INACTIVE"}, "Close"),
    ],
)
def test_activity(changes: dict[str, Any], activity: str) -> None:
    """A finding is new if it was made when it was seen, or just after; an inactive one is closed."""
    assert finding(**changes)["activity_name"] == activity


@pytest.mark.parametrize(("change", "activity"), [("ADDED", 1), ("CHANGED", 2), ("REMOVED", 3), ("UNUSED", 1)])
def test_change_between_two_times(change: str, activity: int) -> None:
    """ListFindings may say what changed."""
    assert event(LOG_TYPE, THREAT | {"stateChange": change})["activity_id"] == activity


def test_states_of_one_finding() -> None:
    """A finding that changed is one finding, at another time."""
    lines = [line for line in _rest() if '"0a0000000000000000000000000000c4"' in line.replace("/", '"')]
    first, second = events(RawBatch("\n".join(lines).encode()), LOG_TYPE)

    assert first["finding_info"]["uid"] == second["finding_info"]["uid"]
    assert first["time"] < second["time"] == second["finding_info"]["modified_time"]
    assert (first["status"], second["status"]) == ("New", "Resolved")


@pytest.mark.parametrize(
    ("changes", "account"),
    [
        ({}, "example-shop-prod"),
        ({"sourceProperties": {"ProjectId": "of-the-source"}}, "of-the-source"),
        ({"resourceName": "//storage.googleapis.com/bucket"}, "example-shop-prod"),
    ],
)
def test_account(changes: dict[str, Any], account: str) -> None:
    """The project is named by the source, by the resource, or by the names beside it."""
    cloud = finding("1.8.0", "e1", **changes)["cloud"]

    assert (cloud["account"]["uid"], cloud["project_uid"]) == (account, account)
    assert (cloud["account"]["type"], cloud["account"]["type_id"]) == ("GCP Project", 11)
    assert cloud["org"]["uid"] == "271828182845"


def test_account_by_number() -> None:
    """A project whose name is none that an id may have is known by its number."""
    second = [json.loads(line) for line in _file("v1.jsonl").splitlines()][1]
    cloud = event(LOG_TYPE, second)["cloud"]

    assert cloud["account"] == {
        "name": "Shop (production)",
        "type": "GCP Project",
        "type_id": 99,
        "uid": "314159265358",
    }


def test_account_of_an_organization() -> None:
    """A finding about an organization belongs to it."""
    cloud = finding("1.8.0", "f2")["cloud"]

    assert cloud["account"] == {"type": "GCP Organization", "type_id": 99, "uid": "271828182845"}
    assert "project_uid" not in cloud


def test_attacks() -> None:
    """Tactics and techniques of MITRE ATT&CK come by name; a tactic without techniques is one too."""
    assert finding()["finding_info"]["attacks"] == [
        {"tactic": {"name": "EXFILTRATION"}, "technique": {"name": "EXFILTRATION_OVER_WEB_SERVICE"}},
        {"tactic": {"name": "EXFILTRATION"}, "technique": {"name": "EXFILTRATION_TO_CLOUD_STORAGE"}},
    ]
    assert finding(name="c2")["finding_info"]["attacks"] == [{"tactic": {"name": "COMMAND_AND_CONTROL"}}]
    assert finding()["unmapped"]["finding.mitreAttack.additionalTactics[]"] == "COLLECTION"


def test_access() -> None:
    """Who did what from where is evidence."""
    [evidence] = finding()["evidences"]

    assert evidence["src_endpoint"] == {"ip": "198.51.100.77"}
    assert evidence["api"]["operation"] == "google.cloud.bigquery.v2.JobService.InsertJob"
    assert evidence["actor"]["user"]["name"] == "ci-legacy@example-shop-prod.iam.gserviceaccount.com"
    assert evidence["actor"]["user"]["credential_uid"].endswith("/keys/0123456789abcdef0123456789abcdef01234567")


def test_access_by_subject() -> None:
    """An identity without an email is known by its subject; a service without a method is kept."""
    found = finding(name="f3")

    assert found["evidences"][0]["actor"]["user"]["uid"].startswith("serviceAccount:ci-legacy@")
    assert found["unmapped"]["finding.access.serviceName"] == "iam.googleapis.com"


def test_connections() -> None:
    """Every connection is evidence, with its protocol by name and number."""
    evidences = finding(name="c2")["evidences"]

    assert [e["dst_endpoint"] for e in evidences] == [
        {"ip": "203.0.113.66", "port": 443},
        {"ip": "192.0.2.153", "port": 53},
    ]
    assert [e["connection_info"]["protocol_num"] for e in evidences] == [6, 17]


def test_protocol_as_a_number() -> None:
    """gRPC gives the protocol by its number."""
    connections = [{"sourceIp": "192.0.2.1", "destinationIp": "192.0.2.2", "protocol": 17}]
    [evidence] = finding(name="c2", connections=connections)["evidences"]

    assert evidence["connection_info"] == {
        "direction": "Unknown",
        "direction_id": 0,
        "protocol_name": "UDP",
        "protocol_num": 17,
    }


def test_access_and_connections() -> None:
    """What was done is said once, beside the first of the connections."""
    connections = [{"sourceIp": "192.0.2.1", "destinationIp": "192.0.2.2"}] * 2
    evidences = finding(connections=connections)["evidences"]

    assert ["api" in evidence for evidence in evidences] == [True, False]


def test_processes() -> None:
    """Processes are evidence, with the file that they run."""
    first, second = (evidence["process"] for evidence in finding(name="c3")["evidences"])

    assert (first["name"], first["pid"], first["file"]["path"]) == ("xmrig", 4711, "/tmp/.x/xmrig")
    assert (second["file"]["name"], second["file"]["type_id"]) == ("sh", 1)
    assert (first["file"]["size"], first["file"]["hashes"][0]["algorithm"]) == (4194304, "SHA-256")
    assert "hashes" not in second["file"]
    assert finding(name="c3")["unmapped"]["finding.processes[].args[]"].startswith("/tmp/.x/xmrig,-o,")


def test_indicators() -> None:
    """Indicators are kept."""
    assert finding(name="c2")["unmapped"]["finding.indicator.domains[]"] == "files.exfil.example"


@pytest.mark.parametrize("version", ["1.1.0", "1.2.0", "1.3.0", "1.8.0"])
def test_vulnerability(version: str) -> None:
    """A vulnerability has its CVE, score and packages; its resource is one of several from OCSF 1.3 on."""
    found = finding(version, "d1")
    [vulnerability] = found["vulnerabilities"]
    resource = found["resource"] if version < "1.3" else found["resources"][0]

    assert found["class_name"] == "Vulnerability Finding"
    assert vulnerability["cve"] == {"cvss": [{"base_score": 10.0, "version": "3"}], "uid": "CVE-2021-44228"}
    assert vulnerability["is_fix_available"] is True
    assert vulnerability["remediation"]["desc"] == "Update the package."
    assert len(vulnerability["references"]) == 2
    assert vulnerability["affected_packages"][0]["fixed_in_version"] == "2.17.1-1"
    assert resource["name"] == "web-7"
    assert ("resource" in found) is (version < "1.3")


def test_vulnerability_without_a_score() -> None:
    """A CVE without a score has none."""
    vulnerability = {"cve": {"id": "CVE-2026-0001"}}

    assert finding(name="d1", vulnerability=vulnerability)["vulnerabilities"] == [
        {"cve": {"uid": "CVE-2026-0001"}, "remediation": {"desc": "Update the package."}}
    ]


@pytest.mark.parametrize(
    ("version", "standards"),
    [("1.1.0", ["Security Command Center"]), ("1.4.0", ["Security Command Center"]), ("1.5.0", None)],
)
def test_compliance_without_standards(version: str, standards: list[str] | None) -> None:
    """OCSF before 1.5 wants a standard of a Compliance Finding; the service itself stands for none."""
    assert finding(version, "e2")["compliance"].get("standards") == standards


@pytest.mark.parametrize("version", ["1.1.0", "1.3.0", "1.5.0", "1.8.0"])
def test_compliance(version: str) -> None:
    """A misconfiguration fails the control that it is called after; the requirements are those of its standards."""
    found = finding(version, "e1")

    assert found["compliance"] == {
        "control": "PUBLIC_BUCKET_ACL",
        "requirements": ["5.1", "7.1", "AC-2", "AC-3"],
        "standards": ["cis", "pci", "nist"],
        "status": "Fail",
        "status_id": 3,
    }
    assert found["remediation"]["desc"].startswith("Remove allUsers")
    assert finding(version, "e2")["compliance"]["status"] == "Pass"


def test_version_1() -> None:
    """A notification of 2019 has no class; its words for things are among its properties."""
    first = event(LOG_TYPE, json.loads(_file("v1.jsonl").splitlines()[0]))

    assert (first["class_name"], first["severity"]) == ("Detection Finding", "High")
    assert first["finding_info"]["desc"].startswith("Someone outside")
    assert first["cloud"]["account"]["uid"] == "example-shop-prod"
    assert first["unmapped"]["finding.securityMarks.marks.team"] == "shop"


def test_list_of_findings() -> None:
    """The answer of ListFindings holds findings, each with its resource."""
    found = events(RawBatch(_file("list_findings.json").encode()), LOG_TYPE)

    assert [e["activity_name"] for e in found] == ["Create", "Update", "Update"]
    assert [e["resources"][0]["name"] for e in found] == ["shop", "web-7", "shop"]


@pytest.mark.parametrize("key", ["finding", "findings", None])
def test_envelopes(key: str | None) -> None:
    """A finding comes within a notification, under another name in some documents, or alone."""
    expected = event(LOG_TYPE, {"finding": THREAT["finding"]})
    found = event(LOG_TYPE, THREAT["finding"] if key is None else {key: THREAT["finding"]})

    assert found["finding_info"] == expected["finding_info"]
    assert found["evidences"] == expected["evidences"]


def test_finding_without_a_name() -> None:
    """A finding that has no name is rejected: nothing tells it from others."""
    mapped = mapper(LOG_TYPE).map(RawBatch(b'{"category": "X", "eventTime": "2026-11-16T00:00:00Z"}'))

    assert mapped.rejects["attribute"].to_pylist() == ["finding_info.uid"]


def _file(name: str) -> str:
    return next(path for path in samples.files(LOG_TYPE) if path.name == name).read_text()


def _rest() -> list[str]:
    return _file("rest.jsonl").splitlines()
