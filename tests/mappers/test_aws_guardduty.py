"""Findings of Amazon GuardDuty."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from aws_logs import event, reasons
from finding_shapes import records, shape

LOG = "aws.guardduty"
FINDINGS = records(LOG, "export")
CALL, PROBE, DNS, SSH, COINS, UNKNOWN, BUCKETS, CLUSTER, PROCESS, DATABASE, SEQUENCE, SAMPLE, DOMAIN, FILE = FINDINGS


def changed(finding: dict[str, Any], **members: Any) -> dict[str, Any]:
    return deepcopy(finding) | members


@pytest.mark.parametrize("version", ["1.1.0", "1.3.0", "1.5.0", "1.8.0"])
@pytest.mark.parametrize("part", ["eventbridge", "get_findings"])
def test_every_shape_gives_the_same_event(part: str, version: str) -> None:
    """Events in camelCase, exports and answers of the API in PascalCase make equal events of one finding."""
    exported = shape(LOG, "export", version)
    found = shape(LOG, part, version)

    assert len(found) == 5
    assert found == {uid: exported[uid] for uid in found}


@pytest.mark.parametrize(
    ("severity", "expected"),
    [
        (0.1, 2),
        (1.0, 2),
        (3.9, 2),
        (4, 3),
        (6.9, 3),
        (7.0, 4),
        (8.9, 4),
        (9.0, 5),
        (10, 5),
        ("5.3", 3),
        ("8", 4),
        ("High", 4),
        ("LOW", 2),
        ("odd", 99),
        (None, 0),
    ],
)
def test_severity(severity: Any, expected: int) -> None:
    """The number is banded, whether it comes as a number or as text; a word counts as such."""
    found = event(LOG, changed(CALL, severity=severity))

    assert found["severity_id"] == expected


def test_the_number_of_a_severity_is_kept() -> None:
    """A band is less than the number it stands for: the number stays in unmapped."""
    assert event(LOG, changed(CALL, severity=8.5))["unmapped"]["severity"] == "8.5"


def test_a_finding_changes_in_place() -> None:
    """The id stays, the time and the count move; the first state of a finding is its creation."""
    first = event(LOG, PROBE)
    later = event(LOG, changed(PROBE, updatedAt="2026-11-17T09:00:00.000Z", service=PROBE["service"] | {"count": 9}))

    assert first["finding_info"]["uid"] == later["finding_info"]["uid"] == PROBE["id"]
    assert (first["activity_id"], first["count"]) == (1, 2)
    assert (later["activity_id"], later["count"]) == (2, 9)
    assert later["time"] - first["time"] == later["finding_info"]["modified_time"] - first["time"] == 2_399_880
    assert "uid" not in first["metadata"]


def test_equal_times_in_other_words() -> None:
    """Whether a finding is new does not depend on how its times are written."""
    found = event(LOG, changed(CALL, createdAt="2025-02-25 20:40:06.721", updatedAt="2025-02-25T20:40:06.721Z"))

    assert (found["activity_id"], found["time"]) == (1, 1_740_516_006_721)


@pytest.mark.parametrize(
    ("archived", "version", "expected"),
    [
        (True, "1.1.0", (3, "Suppressed")),
        (True, "1.3.0", (3, "Suppressed")),
        (True, "1.4.0", (5, "Archived")),
        (True, "1.8.0", (5, "Archived")),
        (False, "1.1.0", (1, "New")),
        (None, "1.8.0", (1, "New")),
    ],
)
def test_archived_findings(archived: bool | None, version: str, expected: tuple[int, str]) -> None:
    """OCSF has a status for them since 1.4; before, they are suppressed."""
    found = event(LOG, changed(CALL, service=CALL["service"] | {"archived": archived}), version)

    assert (found["status_id"], found["status"]) == expected


def test_an_api_call() -> None:
    """Who called what from where."""
    [evidence] = event(LOG, CALL, "1.8.0")["evidences"]

    assert evidence["api"] == {
        "operation": "ListUsers",
        "service": {"name": "iam.amazonaws.com"},
        "response": {"error": "AccessDenied"},
    }
    assert evidence["actor"]["user"] == {
        "name": "ci-legacy",
        "uid": "AIDAEXAMPLECILEGACY01",
        "credential_uid": "AKIAEXAMPLECILEGACY03",
        "type": "IAMUser",
        "type_id": 1,
    }
    assert evidence["src_endpoint"] == {
        "ip": "198.51.100.77",
        "autonomous_system": {"number": 64500, "name": "Example Transit"},
        "isp": "Example Transit Access",
        "isp_org": "Example Transit",
        "location": {"city": "Exampledam", "country": "NL", "lat": 52.37, "long": 4.89},
    }


def test_a_call_by_a_service() -> None:
    """A service that called for somebody has a name, not an address; its account is another one."""
    [evidence] = event(LOG, DOMAIN, "1.8.0")["evidences"]

    assert evidence["src_endpoint"] == {
        "svc_name": "cloudformation.amazonaws.com",
        "owner": {"account": {"uid": "444455556666"}},
    }


def test_a_connection_inwards() -> None:
    """The remote address is the source."""
    [evidence] = event(LOG, SSH)["evidences"]

    assert (evidence["src_endpoint"]["ip"], evidence["src_endpoint"]["port"]) == ("198.51.100.77", 41200)
    assert (evidence["dst_endpoint"]["ip"], evidence["dst_endpoint"]["port"]) == ("10.20.1.107", 22)
    assert evidence["connection_info"]["direction_id"] == 1
    assert evidence["connection_info"]["protocol_num"] == 6


def test_a_connection_outwards() -> None:
    """The remote address is the destination."""
    [evidence] = event(LOG, COINS)["evidences"]

    assert (evidence["src_endpoint"]["ip"], evidence["src_endpoint"]["port"]) == ("10.20.1.107", 52344)
    assert (evidence["dst_endpoint"]["ip"], evidence["dst_endpoint"]["port"]) == ("203.0.113.200", 8333)
    assert evidence["connection_info"]["direction_id"] == 2


def test_a_connection_of_unknown_direction() -> None:
    """No side is claimed, and a port of -1 is none: both stay under their raw names."""
    found = event(LOG, UNKNOWN)

    assert found["evidences"] == [
        {
            "connection_info": {
                "direction": "Unknown",
                "direction_id": 0,
                "protocol_name": "UDP",
                "protocol_num": 17,
            }
        }
    ]
    connection = "service.action.networkConnectionAction"
    assert found["unmapped"][f"{connection}.remoteIpDetails.ipAddressV4"] == "198.51.100.130"
    assert found["unmapped"][f"{connection}.localPortDetails.port"] == "-1"


def test_a_refused_port() -> None:
    """A port that no port can be is left out, and kept."""
    finding = deepcopy(SSH)
    finding["service"]["action"]["networkConnectionAction"]["remotePortDetails"]["port"] = -1

    found = event(LOG, finding)

    assert "port" not in found["evidences"][0]["src_endpoint"]
    assert found["unmapped"]["service.action.networkConnectionAction.remotePortDetails.port"] == "-1"


def test_every_probe_is_an_evidence() -> None:
    """A port probe lists whoever probed, each with the port."""
    evidences = event(LOG, PROBE)["evidences"]

    assert [(found["src_endpoint"]["ip"], found["dst_endpoint"]["port"]) for found in evidences] == [
        ("198.51.100.77", 22),
        ("198.51.100.130", 8080),
    ]


def test_a_dns_request() -> None:
    """The name that was asked for."""
    [evidence] = event(LOG, DNS)["evidences"]

    assert evidence["query"] == {"hostname": "beacon.example.net"}


def test_a_kubernetes_call() -> None:
    """The verb is the operation; two groups of one user make one evidence."""
    finding = deepcopy(CLUSTER)
    finding["resource"]["kubernetesDetails"]["kubernetesUserDetails"]["groups"] = ["system:nodes", "system:masters"]

    found = event(LOG, finding)

    [evidence] = found["evidences"]
    assert evidence["api"] == {"operation": "list", "response": {"code": 403}}
    assert evidence["actor"]["user"] == {
        "name": "system:anonymous",
        "groups": [{"name": "system:nodes"}, {"name": "system:masters"}],
    }
    assert found["resources"][0]["uid"] == "arn:aws:eks:us-east-1:111122223333:cluster/shop"


def test_a_login_to_a_database_over_ipv6() -> None:
    """An empty IPv4 address is none; the address of version 6 counts."""
    found = event(LOG, DATABASE)

    assert found["evidences"][0]["src_endpoint"]["ip"] == "2001:db8:20:1::c4"
    assert found["evidences"][0]["actor"]["user"]["name"] == "orders_ro"
    assert found["resources"][0]["name"] == "orders-db"


def test_a_process() -> None:
    """What ran, as whom, from which file, and what it touched."""
    [evidence] = event(LOG, PROCESS)["evidences"]

    process = evidence["actor"]["process"]
    assert (process["name"], process["pid"], process["user"]) == ("miner", 4211, {"name": "www-data", "uid": "33"})
    assert process["created_time"] == 1_794_908_938_400
    assert process["file"]["name"] == "miner"
    assert process["file"]["path"] == "/tmp/.cache/miner"
    assert process["file"]["hashes"][0]["algorithm"] == "SHA-256"
    assert process["parent_process"] == {"uid": "7c0b1f86-0000-4000-8000-00000000a000"}
    assert evidence["process"]["name"] == "nginx"


def test_an_attack_sequence() -> None:
    """Its signals are related events, its endpoints evidences by their direction, its resources resources."""
    found = event(LOG, SEQUENCE, "1.8.0")

    assert found["severity"] == "Critical"
    assert [related["title"] for related in found["finding_info"]["related_events"]] == ["ListUsers", "StopLogging"]
    assert found["finding_info"]["related_events"][0]["first_seen_time"] == 1_794_863_645_000
    assert found["evidences"][0]["src_endpoint"]["ip"] == "198.51.100.77"
    assert "dst_endpoint" not in found["evidences"][0]
    assert found["evidences"][1]["dst_endpoint"]["domain"] == "beacon.example.net"
    assert [(resource["type"], resource["name"]) for resource in found["resources"]] == [
        ("ACCESS_KEY", "ci-legacy"),
        ("S3_BUCKET", "example-corp-orders"),
    ]
    assert found["resources"][1]["labels"] == ["team=shop"]
    assert found["unmapped"]["resource.resourceType"] == "AttackSequence"


def test_times_of_signals_as_the_api_writes_them() -> None:
    """Seconds since 1970 are times too, with a fraction or as a power of ten."""
    finding = deepcopy(SEQUENCE)
    signal = finding["service"]["detection"]["sequence"]["signals"][0]
    signal |= {
        "createdAt": 1794864310.412,
        "updatedAt": 1794865255,
        "firstSeenAt": "1.794863645E9",
        "lastSeenAt": "odd",
    }

    found = event(LOG, finding, "1.8.0")

    related = found["finding_info"]["related_events"][0]
    assert related["created_time"] == 1_794_864_310_412
    assert related["modified_time"] == 1_794_865_255_000
    assert related["first_seen_time"] == 1_794_863_645_000
    assert "last_seen_time" not in related


def test_every_bucket_is_a_resource() -> None:
    """A finding may be about several buckets; type and Region are those of each."""
    resources = event(LOG, BUCKETS)["resources"]

    assert [(found["uid"], found["type"], found["region"]) for found in resources] == [
        ("arn:aws:s3:::example-corp-orders", "S3Bucket", "us-east-1"),
        ("arn:aws:s3:::example-corp-exports", "S3Bucket", "us-east-1"),
    ]
    assert [found.get("labels") for found in resources] == [["team=shop"], None]


def test_the_resource_is_what_the_type_says() -> None:
    """A key that was used on an instance is the resource, though the instance is described too; and the other way."""
    instance = deepcopy(PROCESS)
    instance["resource"]["containerDetails"] = {"id": "c0ffee", "name": "web"}

    assert event(LOG, DOMAIN)["resources"][0]["uid"] == "AROAEXAMPLEDEPLOY0001:gitlab-48211"
    assert event(LOG, instance)["resources"][0] == {
        "uid": "i-0examp1e0000000a7",
        "type": "Instance",
        "region": "us-east-1",
        "cloud_partition": "aws",
        "labels": ["Name=web-1", "team=shop"],
    }


def test_a_finding_without_a_resource() -> None:
    """It is an event like any other."""
    finding = {name: value for name, value in DOMAIN.items() if name != "resource"}

    assert "resources" not in event(LOG, finding)


def test_sample_findings_can_be_told_apart() -> None:
    """What marks a sample finding is kept: a query can leave them out."""
    found = event(LOG, SAMPLE)

    assert found["unmapped"]["service.additionalInfo.sample"] == "true"
    assert found["finding_info"]["title"].startswith("[SAMPLE]")


def test_the_account_of_a_finding() -> None:
    """It is the finding's own, and that of a member of an organisation may be another than the detector's."""
    assert event(LOG, SAMPLE)["cloud"]["account"]["uid"] == "444455556666"
    assert event(LOG, CALL)["cloud"] == {"provider": "AWS", "region": "us-east-1", "account": {"uid": "111122223333"}}


def test_what_a_version_lacks_stays_in_unmapped() -> None:
    """The ARN of a finding and what scanned malware has no attribute before, or at all."""
    old, new = event(LOG, FILE), event(LOG, FILE, "1.8.0")

    assert old["unmapped"]["arn"] == new["finding_info"]["uid_alt"] == FILE["arn"]
    threats = "service.ebsVolumeScanDetails.scanDetections.threatDetectedByName.threatNames[]"
    assert new["unmapped"][f"{threats}.filePaths[].filePath"] == "/tmp/.cache/miner"


@pytest.mark.parametrize(
    ("record", "attribute"),
    [
        (b'{"id": "1", "title": "A"}', "time"),
        (b'{"title": "A", "updatedAt": "2026-11-17T00:00:00Z"}', "finding_info.uid"),
    ],
)
def test_what_is_no_finding(record: bytes, attribute: str) -> None:
    """A record without a time or without an id and a title is rejected."""
    assert [found[1] for found in reasons(LOG, record)] == [attribute]
