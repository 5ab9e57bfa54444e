"""Route 53 Resolver query logs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aws_logs import all_events, event, records, sample

LOG = "aws.route53_resolver"
QUERIES: list[dict[str, Any]] = [json.loads(line) for line in records(LOG, "vpcdnsquerylogs")]
QUERY = QUERIES[0]


@pytest.mark.parametrize("shape", ["cloudwatch", "firehose"])
def test_every_shape_gives_the_same_events(shape: str) -> None:
    """Lines, messages of CloudWatch Logs and documents without newlines between them are the same records."""
    lines = b"\n".join(json.dumps(query).encode() for query in QUERIES[11:14])

    assert all_events(LOG, sample(LOG, shape).read_bytes()) == all_events(LOG, lines)


def test_a_port_is_text_in_the_log() -> None:
    """The source port is a number in the event."""
    assert event(LOG, QUERY)["src_endpoint"]["port"] == 41022


@pytest.mark.parametrize(
    ("action", "expected"),
    [("ALLOW", (1, 1)), ("ALERT", (1, 19)), ("BLOCK", (2, 2)), (None, (0, None))],
)
def test_a_dns_firewall_rule_decides(action: str | None, expected: tuple[int, int | None]) -> None:
    """An alert is traffic that was allowed; without a rule there is no decision."""
    found = event(LOG, QUERY | ({"firewall_rule_action": action} if action else {}))

    assert (found["action_id"], found.get("disposition_id")) == expected


def test_the_rule_group_and_its_domain_list() -> None:
    """Both are kept, and nothing of the rule where no rule took effect."""
    assert event(LOG, QUERIES[11])["firewall_rule"] == {
        "uid": "rslvr-frg-0examp1e00000001",
        "match_details": ["rslvr-fdl-0examp1e00000001"],
    }
    assert "firewall_rule" not in event(LOG, QUERY)


def test_no_answers() -> None:
    """A name that does not exist has none, and the query failed."""
    found = event(LOG, QUERIES[6])

    assert "answers" not in found
    assert (found["rcode_id"], found["rcode"], found["status_id"]) == (3, "NXDomain", 2)


@pytest.mark.parametrize(("rcode", "expected"), [("SERVFAIL", 2), ("BADVERS", 16), ("NEWCODE", 99)])
def test_response_codes(rcode: str, expected: int) -> None:
    """One that OCSF does not know is Other under its own name."""
    found = event(LOG, QUERY | {"rcode": rcode})

    assert found["rcode_id"] == expected
    assert expected != 99 or found["rcode"] == "NEWCODE"


def test_answers_keep_their_spaces() -> None:
    """Mail exchangers and texts hold spaces and quotes."""
    assert event(LOG, QUERIES[3])["answers"][0] == {"class": "IN", "rdata": "10 mail.example.com.", "type": "MX"}
    assert event(LOG, QUERIES[4])["answers"][0]["rdata"] == '"v=spf1 ip4:192.0.2.0/24 -all"'


def test_one_answer_that_is_no_list() -> None:
    """An export that writes a single answer as an object gives a list of one."""
    found = event(LOG, QUERY | {"answers": {"Rdata": "192.0.2.10", "Type": "A", "Class": "IN"}})

    assert found["answers"] == [{"class": "IN", "rdata": "192.0.2.10", "type": "A"}]


@pytest.mark.parametrize("ids", [{}, None, []])
def test_no_source_ids(ids: Any) -> None:
    """Neither an instance nor an endpoint is made up."""
    found = event(LOG, QUERY | {"srcids": ids})

    assert "instance_uid" not in found["src_endpoint"]
    assert "dst_endpoint" not in found


def test_a_resolver_endpoint_is_the_destination() -> None:
    """A query that came through an inbound endpoint names it and its interface."""
    assert event(LOG, QUERIES[14])["dst_endpoint"] == {
        "instance_uid": "rslvr-in-0examp1e0000000001",
        "interface_uid": "rni-0examp1e0000000001",
    }


def test_a_trailing_dot() -> None:
    """OCSF 1.1 allows none in a host name; from 1.5 on the name stands as it was logged."""
    assert event(LOG, QUERY)["query"]["hostname"] == "api.example.com"
    assert event(LOG, QUERY, "1.8.0")["query"]["hostname"] == "api.example.com."


@pytest.mark.parametrize("name", ["_ldap._tcp.example.com.", r"\052.example.com.", "."])
def test_a_name_that_is_no_host_name(name: str) -> None:
    """OCSF 1.1 has no place for it: the query goes to ``unmapped`` and the event stays valid."""
    found = event(LOG, QUERY | {"query_name": name})

    assert "query" not in found
    assert found["unmapped"]["query_name"] == name
    assert event(LOG, QUERY | {"query_name": name}, "1.8.0")["query"]["hostname"] == name


def test_protocols() -> None:
    """UDP and TCP have their numbers, DNS over HTTPS has its name."""
    assert event(LOG, QUERY)["connection_info"]["protocol_num"] == 17
    assert event(LOG, QUERIES[15])["connection_info"] == {
        "direction": "Unknown",
        "direction_id": 0,
        "protocol_name": "DoH",
    }


def test_the_account_is_the_records() -> None:
    """Text as it stands, whatever the origin says; a time with a space is one too."""
    found = event(LOG, QUERY | {"account_id": "012345678901", "query_timestamp": "2026-11-17 08:00:01"}, account="9")

    assert found["cloud"]["account"]["uid"] == "012345678901"
    assert found["time"] == found["query_time"] == 1794902401000
