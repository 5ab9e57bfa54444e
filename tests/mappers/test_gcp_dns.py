"""Google Cloud DNS query logs."""

from __future__ import annotations

from typing import Any

import pytest
from gcp_shapes import entry, event

LOG_TYPE = "gcp.dns"
QUERY = entry(LOG_TYPE, "dns0000000001")


def query(version: str = "1.1.0", **payload: Any) -> dict[str, Any]:
    """Return the event of a query with some members of its payload changed; ``None`` takes one out."""
    merged = {key: value for key, value in (QUERY["jsonPayload"] | payload).items() if value is not None}
    return event(LOG_TYPE, QUERY | {"jsonPayload": merged}, version)


def by_id(name: str, version: str = "1.1.0") -> dict[str, Any]:
    return event(LOG_TYPE, entry(LOG_TYPE, name), version)


@pytest.mark.parametrize(("version", "dot"), [("1.1.0", ""), ("1.4.0", ""), ("1.5.0", "."), ("1.8.0", ".")])
def test_dot_at_the_end(version: str, dot: str) -> None:
    """A name stands without its last dot where OCSF holds names to a pattern, and as it was logged from 1.5 on."""
    assert query(version)["query"]["hostname"] == f"orders-db.shop.internal.example.com{dot}"


def test_root() -> None:
    """The root has no name but its dot, which a pattern forbids."""
    assert by_id("dns0000000011", "1.8.0")["query"] == {"hostname": ".", "type": "NS"}
    assert by_id("dns0000000011", "1.1.0")["unmapped"]["jsonPayload.queryName"] == "."


def test_names_that_the_pattern_forbids() -> None:
    """A name with an underscore leaves the query in unmapped before OCSF 1.5."""
    older, newer = by_id("dns0000000005", "1.1.0"), by_id("dns0000000005", "1.8.0")

    assert "query" not in older
    assert older["unmapped"]["jsonPayload.queryName"] == "_ldap._tcp.dc._msdcs.corp.example.com."
    assert older["unmapped"]["jsonPayload.queryType"] == "SRV"
    assert newer["query"] == {"hostname": "_ldap._tcp.dc._msdcs.corp.example.com.", "type": "SRV"}


@pytest.mark.parametrize(
    ("code", "rcode", "status"),
    [
        ("NOERROR", 0, 1),
        ("NXDOMAIN", 3, 2),
        ("SERVFAIL", 2, 2),
        ("REFUSED", 5, 2),
        ("BADCOOKIE", 23, 2),
        ("ODD", 99, 2),
        (None, None, 0),
    ],
)
def test_response_code(code: str | None, rcode: int | None, status: int) -> None:
    """The code of the response is an enum, and says whether the query succeeded."""
    found = query(responseCode=code)

    assert (found.get("rcode_id"), found["status_id"]) == (rcode, status)
    assert found.get("rcode") == ("ODD" if code == "ODD" else found.get("rcode"))


def test_structured_answers() -> None:
    """Answers come as objects, whose times to live are text."""
    answers = by_id("dns0000000002")["answers"]

    assert answers == [
        {"class": "IN", "rdata": "shop.example.com.", "ttl": 60, "type": "CNAME"},
        {"class": "IN", "rdata": "2001:db8:40:1::7", "ttl": 30, "type": "AAAA"},
    ]


def test_answers_as_text() -> None:
    """Older answers are lines of text, with types in any case; the text is kept, for it names the owners too."""
    found = by_id("dns0000000007")
    flags = {"flag_ids": [1], "flags": ["Authoritative Answer"]}

    assert found["answers"] == [
        {"class": "IN", "rdata": "shop.example.com.", "ttl": 60, "type": "CNAME"} | flags,
        {"class": "IN", "rdata": "192.0.2.80", "ttl": 30, "type": "A"} | flags,
    ]
    assert found["message"].startswith("www.example.com.\t60\tIN\tCNAME\t")


@pytest.mark.parametrize("text", ["no record", "a.\tx\tIN\tA\t192.0.2.1", ""])
def test_text_that_is_no_answer(text: str) -> None:
    """A line that is no record is no answer, and stays in the message."""
    found = query(structuredRdata=None, rdata=text)

    assert "answers" not in found
    assert found.get("message", "") == text


@pytest.mark.parametrize(
    ("flag", "expected"), [(True, ["Authoritative Answer"]), ("true", ["Authoritative Answer"]), (False, None)]
)
def test_authoritative(flag: Any, expected: list[str] | None) -> None:
    """Every answer of an authoritative server says so; the flag may be text."""
    assert query(authAnswer=flag)["answers"][0].get("flags") == expected


@pytest.mark.parametrize(
    ("payload", "uid"),
    [
        ({"vmInstanceId": 8768673039379562539, "vmInstanceIdString": "8768673039379562539"}, "8768673039379562539"),
        ({"vmInstanceId": 8768673039379562539, "vmInstanceIdString": None}, "8768673039379562539"),
        ({"vmInstanceId": "8768673039379562539", "vmInstanceIdString": None}, "8768673039379562539"),
        ({"vmInstanceId": None, "vmInstanceIdString": None}, None),
        ({"vmInstanceId": 8768673039379562539.0, "vmInstanceIdString": None}, None),
    ],
)
def test_id_of_the_machine(payload: dict[str, Any], uid: str | None) -> None:
    """The 64-bit id of a machine keeps every digit, as a number or as text; a float is no id."""
    assert query(**payload)["src_endpoint"].get("instance_uid") == uid


@pytest.mark.parametrize(
    ("latency", "duration", "kept"), [(4, 4, None), (0.0, 0, None), ("12", 12, None), (88.5, None, "88.5")]
)
def test_latency(latency: Any, duration: int | None, kept: str | None) -> None:
    """The latency is whole milliseconds; a fraction is kept as it is."""
    found = query(serverLatency=latency)

    assert found.get("duration") == duration
    assert found["unmapped"].get("jsonPayload.serverLatency") == kept


@pytest.mark.parametrize("version", ["1.1.0", "1.3.0", "1.5.0", "1.8.0"])
def test_source(version: str) -> None:
    """A query that came from outside has the kind of its source for a name."""
    inside, outside = by_id("dns0000000001", version), by_id("dns0000000010", version)

    assert inside["src_endpoint"]["ip"] == "10.40.1.7"
    assert inside["src_endpoint"]["vpc_uid"] == "shop"
    assert outside["src_endpoint"] == {"name": "internet"}
    assert outside["dst_endpoint"] == {"ip": "2001:db8:53::36"}


def test_protocol() -> None:
    """The protocol has its number."""
    info = by_id("dns0000000011")["connection_info"]

    assert (info["protocol_name"], info["protocol_num"], info["direction_id"]) == ("TCP", 6, 0)
    assert query()["connection_info"]["protocol_num"] == 17
