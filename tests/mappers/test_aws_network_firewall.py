"""AWS Network Firewall logs."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest
from aws_logs import all_events, event, records, sample

LOG = "aws.network_firewall"
RECORDS: list[dict[str, Any]] = [json.loads(line) for line in records(LOG, "network-firewall_log")]
FLOW, ALERT = RECORDS[0], RECORDS[6]


def changed(record: dict[str, Any], **inner: Any) -> dict[str, Any]:
    """Return a record with another event."""
    found = deepcopy(record)
    found["event"] |= inner
    return found


@pytest.mark.parametrize("shape", ["cloudwatch", "firehose"])
def test_every_shape_gives_the_same_events(shape: str) -> None:
    """Lines, messages of CloudWatch Logs and documents without newlines between them are the same records."""
    lines = b"\n".join(json.dumps(record).encode() for record in RECORDS[6:9])

    assert all_events(LOG, sample(LOG, shape).read_bytes()) == all_events(LOG, lines)


def test_two_halves_of_a_connection() -> None:
    """Each direction is a record of its own, and both have the flow's id, too large for a double, as text."""
    there, back = event(LOG, RECORDS[0]), event(LOG, RECORDS[1])

    assert there["connection_info"]["uid"] == back["connection_info"]["uid"] == "1582438383425873901"
    assert there["src_endpoint"] == back["dst_endpoint"]
    assert (there["traffic"], back["traffic"]) == ({"bytes": 3120, "packets": 14}, {"bytes": 20480, "packets": 19})


def test_the_time_has_an_offset_without_a_colon() -> None:
    """The event's own time counts; when it was logged is kept, as text or as a number of seconds."""
    found = event(LOG, changed(FLOW, timestamp="2026-11-17T09:00:00.123999+0100") | {"event_timestamp": 1794902409})

    assert (found["time"], found["metadata"]["logged_time"]) == (1794902400123, 1794902409000)


@pytest.mark.parametrize(("flags", "expected"), [("1b", 27), ("02", 2), ("C2", 194), ("xyz", None)])
def test_tcp_flags_are_hexadecimal(flags: str, expected: int | None) -> None:
    """What is no number in base 16 goes to ``unmapped``."""
    found = event(LOG, changed(FLOW, tcp={"tcp_flags": flags}))

    assert found["connection_info"].get("tcp_flags") == expected
    assert expected is not None or found["unmapped"]["event.tcp.tcp_flags"] == flags


@pytest.mark.parametrize(
    ("alert", "verdict", "expected"),
    [
        ("allowed", None, (6, 1, 19)),
        ("blocked", None, (5, 2, 2)),
        ("allowed", "pass", (6, 1, 1)),
        ("blocked", "alert", (6, 1, 19)),
        ("allowed", "drop", (5, 2, 6)),
        ("blocked", "reject", (5, 2, 25)),
    ],
)
def test_a_verdict_counts_before_the_alert(alert: str, verdict: str | None, expected: tuple[int, int, int]) -> None:
    """What the firewall did in the end is the action; an alert alone lets traffic pass."""
    record = changed(ALERT, verdict={"action": verdict} if verdict else None)
    record["event"]["alert"]["action"] = alert
    found = event(LOG, record)

    assert (found["activity_id"], found["action_id"], found["disposition_id"]) == expected


def test_a_flow_has_no_action() -> None:
    """A flow log says what passed by, not what was decided."""
    found = event(LOG, FLOW)

    assert (found["activity_id"], found["action_id"], found["disposition_id"]) == (6, 0, 0)


@pytest.mark.parametrize(("severity", "expected"), [(1, 4), (2, 3), (3, 2), (4, 1), (200, 99)])
def test_severities_count_down(severity: int, expected: int) -> None:
    """Suricata's 1 is the gravest."""
    record = deepcopy(ALERT)
    record["event"]["alert"]["severity"] = severity

    assert event(LOG, record)["severity_id"] == expected


@pytest.mark.parametrize(("proto", "expected"), [("TCP", 6), ("ICMP", 1), ("IPv6-ICMP", 58), ("047", 47), ("X", None)])
def test_protocols(proto: str, expected: int | None) -> None:
    """By name in any case, or by number."""
    assert event(LOG, changed(FLOW, proto=proto))["connection_info"].get("protocol_num") == expected


def test_icmp_has_no_ports() -> None:
    """Its type and code are kept."""
    found = event(LOG, RECORDS[3])

    assert found["src_endpoint"] == {"ip": "10.20.1.107"}
    assert found["unmapped"]["event.icmp_type"] == "8"


def test_an_application_that_is_not_known() -> None:
    """``unknown`` is no application."""
    assert "app_name" not in event(LOG, RECORDS[3])


def test_a_revoked_certificate() -> None:
    """TLS logs have no event type, ports as text and a check that decides."""
    found = event(LOG, RECORDS[13])

    assert found["dst_endpoint"] == {"domain": "revoked.example.org", "ip": "203.0.113.70", "port": 443}
    assert (found["activity_id"], found["action_id"], found["status_id"], found["status_detail"]) == (
        5,
        2,
        2,
        "REVOKED",
    )


def test_a_tls_error() -> None:
    """It is a failure with its message."""
    found = event(LOG, RECORDS[14])

    assert found["status_id"] == 2
    assert found["status_detail"].startswith("SNI: mismatch.example.org")


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ("us-east-1a", "us-east-1"),
        ("us-gov-west-1b", "us-gov-west-1"),
        ("us-west-2-lax-1a", "us-west-2"),
        ("odd", "eu-central-1"),
    ],
)
def test_the_region_is_that_of_the_zone(zone: str, expected: str) -> None:
    """Local Zones too; the account is that of the origin, for the log has none."""
    found = event(LOG, FLOW | {"availability_zone": zone}, account="111122223333", region="eu-central-1")

    assert found["cloud"] == {
        "provider": "AWS",
        "region": expected,
        "zone": zone,
        "account": {"uid": "111122223333"},
    }
