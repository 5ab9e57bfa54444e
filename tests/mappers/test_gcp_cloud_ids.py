"""Google Cloud IDS logs."""

from __future__ import annotations

from typing import Any

import pytest
from gcp_shapes import entry, event

LOG_TYPE = "gcp.cloud_ids"
THREAT = entry(LOG_TYPE, "ids0000000002")


def threat(version: str = "1.1.0", **payload: Any) -> dict[str, Any]:
    """Return the event of a threat with some members of its payload changed; ``None`` takes one out."""
    merged = {key: value for key, value in (THREAT["jsonPayload"] | payload).items() if value is not None}
    return event(LOG_TYPE, THREAT | {"jsonPayload": merged}, version)


@pytest.mark.parametrize(
    ("word", "severity"),
    [("INFORMATIONAL", 1), ("LOW", 2), ("MEDIUM", 3), ("HIGH", 4), ("CRITICAL", 5), ("ODD", 99), (None, 0)],
)
def test_severity(word: str | None, severity: int) -> None:
    """The severity is that of the alert, not that of the entry."""
    assert threat(alert_severity=word)["severity_id"] == severity


def test_threat() -> None:
    """A threat is a Detection Finding of the signature that found it, at the time of the alert."""
    found = threat()

    assert (found["class_name"], found["activity_name"], found["status"]) == ("Detection Finding", "Create", "New")
    assert found["time"] == found["finding_info"]["created_time"] == 1794864061123
    assert found["finding_info"]["uid"] == "ids0000000002"
    assert found["finding_info"]["title"] == "Apache Log4j Remote Code Execution Vulnerability"
    assert found["finding_info"]["types"] == ["vulnerability", "code-execution"]
    assert found["finding_info"]["analytic"]["uid"] == "91991"
    assert [v["cve"]["uid"] for v in found["vulnerabilities"]] == ["CVE-2021-44228", "CVE-2021-45046"]
    assert found["count"] == 3
    assert "action_id" not in found


def test_connection() -> None:
    """The connection is the evidence; from client to server is neither in nor out."""
    [evidence] = threat()["evidences"]

    assert evidence == {
        "src_endpoint": {"ip": "198.51.100.77", "port": 40133},
        "dst_endpoint": {"ip": "10.40.1.7", "port": 8080},
        "connection_info": {
            "direction": "client-to-server",
            "direction_id": 99,
            "protocol_name": "tcp",
            "protocol_num": 6,
        },
    }


def test_without_direction() -> None:
    """A threat without a direction has none."""
    assert threat(direction=None)["evidences"][0]["connection_info"]["direction_id"] == 0


def test_types_without_a_category() -> None:
    """Empty kinds are left out."""
    found = event(LOG_TYPE, entry(LOG_TYPE, "ids0000000005"))

    assert found["finding_info"]["types"] == ["virus", "wildfire-virus"]
    assert "vulnerabilities" not in found
    assert "types" not in threat(type=None, category=None)["finding_info"]


@pytest.mark.parametrize("session", ["9007199254740993", 9007199254740993, "-42"])
def test_session(session: Any) -> None:
    """The id of a session keeps its 64 bits."""
    assert threat(session_id=session)["unmapped"]["jsonPayload.session_id"] == str(session)


@pytest.mark.parametrize("version", ["1.1.0", "1.3.0", "1.5.0", "1.8.0"])
def test_traffic(version: str) -> None:
    """Traffic is Network Activity, from the first packet on."""
    found = event(LOG_TYPE, entry(LOG_TYPE, "ids0000000102"), version)

    assert (found["class_name"], found["activity_name"], found["severity_id"]) == ("Network Activity", "Traffic", 1)
    assert found["traffic"] == {"bytes": 9876543210123, "packets": 7340032}
    assert (found["time"], found["duration"]) == (1794863911000, 27000)
    assert found["metadata"]["product"]["feature"] == {"name": "traffic", "uid": "shop-ids"}
