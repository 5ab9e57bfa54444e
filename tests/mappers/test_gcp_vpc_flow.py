"""Google Cloud VPC Flow Logs."""

from __future__ import annotations

from typing import Any

import pytest
from gcp_shapes import entry, event

LOG_TYPE = "gcp.vpc_flow"
FLOW = entry(LOG_TYPE, "flw0000000001")


def flow(version: str = "1.1.0", **payload: Any) -> dict[str, Any]:
    """Return the event of a flow with some members of its payload changed; ``None`` takes one out."""
    merged = {key: value for key, value in (FLOW["jsonPayload"] | payload).items() if value is not None}
    return event(LOG_TYPE, FLOW | {"jsonPayload": merged}, version)


@pytest.mark.parametrize("version", ["1.1.0", "1.8.0"])
def test_no_verdict(version: str) -> None:
    """A flow is traffic; the log knows no verdict, so there is no action and no disposition."""
    found = flow(version)

    assert (found["class_name"], found["activity_name"]) == ("Network Activity", "Traffic")
    assert "security_control" not in found["metadata"]["profiles"]
    assert not {"action_id", "disposition_id"} & found.keys()


def test_times() -> None:
    """The time is that of the first packet, with nanoseconds floored to milliseconds."""
    found = flow(start_time="2026-11-16T09:05:01.000999999Z", end_time="2026-11-16T09:05:06.5Z")

    assert found["time"] == found["start_time"] == 1794819901000
    assert found["end_time"] == 1794819906500


def test_without_times() -> None:
    """A flow without times has that of its entry."""
    assert flow(start_time=None)["time"] == 1794819910123


@pytest.mark.parametrize("count", ["9876543210123", 9876543210123])
def test_counts(count: Any) -> None:
    """64-bit counts come as text or as numbers."""
    found = flow(bytes_sent=count, packets_sent=count)

    assert found["traffic"] == {"bytes": 9876543210123, "packets": 9876543210123}
    assert found["unmapped"]["jsonPayload.rtt_msec"] == "31"


@pytest.mark.parametrize(
    ("reporter", "direction"),
    [
        ("SRC", ("Outbound", 2)),
        ("DEST", ("Inbound", 1)),
        ("SRC_GATEWAY", ("SRC_GATEWAY", 99)),
        ("DEST_GATEWAY", ("DEST_GATEWAY", 99)),
        (None, ("Unknown", 0)),
    ],
)
def test_direction(reporter: str | None, direction: tuple[str, int]) -> None:
    """The end that reports a flow says which way it went; a gateway is neither."""
    info = flow(reporter=reporter)["connection_info"]

    assert (info["direction"], info["direction_id"]) == direction


def test_reported_twice() -> None:
    """A flow between two machines comes from both of them: the events differ in their direction."""
    first, second = (event(LOG_TYPE, entry(LOG_TYPE, name)) for name in ("flw0000000010", "flw0000000011"))

    assert first["traffic"] == second["traffic"]
    assert (first["connection_info"]["direction_id"], second["connection_info"]["direction_id"]) == (2, 1)
    for end in ("src_endpoint", "dst_endpoint"):
        assert first[end] == second[end]


@pytest.mark.parametrize("version", ["1.1.0", "1.8.0"])
def test_ends(version: str) -> None:
    """Both ends have their machine, network and place on earth, as far as the version knows of them."""
    found = event(LOG_TYPE, entry(LOG_TYPE, "flw0000000020"), version)
    machine = {"ip": "10.40.1.7", "port": 52710, "name": "web-7", "zone": "europe-west1-b"}
    network = {"vpc_uid": "shop", "subnet_uid": "shop-web"}
    place = {"city": "Ashburn", "continent": "America", "country": "US", "region": "Virginia"}
    owner = {"owner": {"account": {"uid": "example-shop-prod"}}} if version == "1.8.0" else {}
    system = {"autonomous_system": {"number": 64511}} if version == "1.8.0" else {}

    assert found["src_endpoint"] == machine | network | owner
    assert found["dst_endpoint"] == {"ip": "203.0.113.66", "port": 443, "location": place} | system
    if version == "1.1.0":
        assert found["unmapped"]["jsonPayload.dest_location.asn"] == "64511"


@pytest.mark.parametrize(("country", "expected"), [("usa", "US"), ("IRL", "IE"), ("xkx", None)])
def test_countries(country: str, expected: str | None) -> None:
    """Three letters become the two of OCSF; a code that ISO does not know stays in unmapped."""
    found = flow(src_location={"country": country, "city": "x"})

    assert found["src_endpoint"]["location"].get("country") == expected
    assert found["unmapped"].get("jsonPayload.src_location.country") == (None if expected else country)


@pytest.mark.parametrize(
    ("service", "name"),
    [
        ({"type": "GOOGLE_API", "service_name": "storage.googleapis.com"}, "storage.googleapis.com"),
        ({"type": "GOOGLE_HEALTH_CHECK"}, "GOOGLE_HEALTH_CHECK"),
    ],
)
def test_services_of_google(service: dict[str, str], name: str) -> None:
    """An end that is a service of Google has its name, or its kind."""
    assert flow(src_google_service=service)["src_endpoint"]["svc_name"] == name


def test_gateway() -> None:
    """The gateway that reports a flow is the interface of its end, and its network that of the end."""
    found = event(LOG_TYPE, entry(LOG_TYPE, "flw0000000027"))

    assert found["src_endpoint"]["interface_name"] == "office-tunnel-0"
    assert found["src_endpoint"]["vpc_uid"] == "shop"
    assert found["cloud"]["region"] == "europe-west1"


@pytest.mark.parametrize("version", ["1.1.0", "1.3.0", "1.5.0", "1.8.0"])
def test_without_metadata(version: str) -> None:
    """A subnetwork may leave all metadata out; a protocol without ports has none."""
    bare = event(LOG_TYPE, entry(LOG_TYPE, "flw0000000025"), version)
    ping = event(LOG_TYPE, entry(LOG_TYPE, "flw0000000021"), version)

    assert bare["src_endpoint"] == {"ip": "198.51.100.77", "port": 40112}
    assert bare["dst_endpoint"] == {"ip": "10.40.1.7", "port": 22}
    assert ping["connection_info"]["protocol_num"] == 58
    assert "port" not in ping["src_endpoint"]
