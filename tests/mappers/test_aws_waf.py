"""AWS WAF logs."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest
from aws_logs import all_events, event, records, sample

LOG = "aws.waf"
REQUESTS: list[dict[str, Any]] = [json.loads(line) for line in records(LOG, "waflogs")]
REQUEST = REQUESTS[0]


def changed(**request: Any) -> dict[str, Any]:
    """Return the first record with another request."""
    found = deepcopy(REQUEST)
    found["httpRequest"] |= request
    return found


@pytest.mark.parametrize("shape", ["cloudwatch", "firehose"])
def test_every_shape_gives_the_same_events(shape: str) -> None:
    """Lines, messages of CloudWatch Logs and documents without newlines between them are the same records."""
    lines = b"\n".join(json.dumps(request).encode() for request in REQUESTS[2:5])

    assert all_events(LOG, sample(LOG, shape).read_bytes()) == all_events(LOG, lines)


@pytest.mark.parametrize(
    ("action", "version", "expected"),
    [
        ("ALLOW", "1.1.0", (1, 1)),
        ("BLOCK", "1.1.0", (2, 2)),
        ("CAPTCHA", "1.1.0", (2, 22)),
        ("CHALLENGE", "1.1.0", (2, 23)),
        ("COUNT", "1.1.0", (1, 20)),
        ("COUNT", "1.8.0", (3, 20)),
    ],
)
def test_actions(action: str, version: str, expected: tuple[int, int]) -> None:
    """A block is no permission; counting is observing where OCSF has the word."""
    found = event(LOG, REQUEST | {"action": action}, version)

    assert (found["action_id"], found["disposition_id"]) == expected


@pytest.mark.parametrize(
    ("method", "version", "expected"),
    [
        ("GET", "1.1.0", (3, "Get", "GET")),
        ("PATCH", "1.1.0", (99, "Patch", None)),
        ("PATCH", "1.8.0", (9, "Patch", "PATCH")),
        ("PROPFIND", "1.8.0", (99, "PROPFIND", None)),
        (None, "1.1.0", (0, "Unknown", None)),
    ],
)
def test_methods(method: str | None, version: str, expected: tuple[int, str, str | None]) -> None:
    """A method that the version does not know is Other under its own name, and no ``http_method``."""
    found = event(LOG, changed(httpMethod=method), version)

    assert (found["activity_id"], found["activity_name"], found["http_request"].get("http_method")) == expected


@pytest.mark.parametrize(
    ("record", "old", "new"),
    [
        pytest.param(REQUESTS[0], 0, None, id="allowed"),
        pytest.param(REQUESTS[2], 403, 403, id="blocked"),
        pytest.param(REQUESTS[3], 429, 429, id="custom"),
        pytest.param(REQUESTS[5], 405, 405, id="captcha"),
        pytest.param(REQUESTS[6], 202, 202, id="challenge"),
        pytest.param(REQUESTS[7], 0, None, id="solved"),
    ],
)
def test_the_response(record: dict[str, Any], old: int, new: int | None) -> None:
    """What WAF answers itself has its code; before OCSF 1.5 the code of any other response is 0."""
    assert event(LOG, record)["http_response"] == {"code": old}
    assert event(LOG, record).get("http_status") == new
    assert event(LOG, record, "1.8.0").get("http_response", {}).get("code") == new


def test_header_names_in_any_case() -> None:
    """Headers are found whatever their case, the first of several counts, and all are kept."""
    request = event(LOG, REQUESTS[11])["http_request"]

    assert request["url"]["hostname"] == "shop.example.com"
    assert request["user_agent"] == "curl/8.11.0"
    assert request["referrer"] == "https://www.example.com/"
    assert request["x_forwarded_for"] == ["203.0.113.99", "10.20.1.5"]
    assert [h["name"] for h in request["http_headers"]] == [
        "HOST",
        "x-forwarded-for",
        "X-Forwarded-For",
        "referer",
        "user-agent",
    ]


def test_no_headers() -> None:
    """A request without headers still names what it asked for."""
    assert event(LOG, REQUESTS[16])["http_request"] == {
        "http_method": "OPTIONS",
        "uid": REQUESTS[16]["httpRequest"]["requestId"],
        "url": {"path": "/none"},
        "version": "HTTP/2.0",
    }


def test_a_host_with_a_port() -> None:
    """The host header is taken apart."""
    assert event(LOG, REQUESTS[3])["http_request"]["url"] == {
        "hostname": "shop.example.com",
        "path": "/",
        "port": 8443,
    }


def test_a_host_that_is_none() -> None:
    """What an attacker writes there makes no event invalid, and stays in the headers."""
    request = event(LOG, changed(headers=[{"name": "Host", "value": "a_b!"}]))["http_request"]

    assert "hostname" not in request["url"]
    assert request["http_headers"] == [{"name": "Host", "value": "a_b!"}]


def test_addresses_that_are_none() -> None:
    """A forged X-Forwarded-For makes no event invalid."""
    request = event(LOG, changed(headers=[{"name": "X-Forwarded-For", "value": "unknown,192.0.2.7"}]))["http_request"]

    assert request["x_forwarded_for"] == ["192.0.2.7"]
    assert request["http_headers"][0]["value"] == "unknown,192.0.2.7"


def test_match_details() -> None:
    """What a rule matched is kept; there may be none of it."""
    assert event(LOG, REQUESTS[2])["firewall_rule"] == {
        "uid": "block-sqli",
        "type": "REGULAR",
        "condition": "SQL_INJECTION",
        "match_location": "QUERY_STRING",
        "match_details": ["1", "OR", "1"],
    }
    assert event(LOG, REQUESTS[3])["firewall_rule"] == {
        "uid": "AWS-AWSManagedRulesCommonRuleSet",
        "type": "MANAGED_RULE_GROUP",
    }


def test_a_rate_limit() -> None:
    """A rate-based rule has its name and its limit."""
    rule = event(LOG, REQUESTS[4])["firewall_rule"]

    assert (rule["name"], rule["rate_limit"]) == ("limit-logins", 100)


def test_a_country_that_is_not_known() -> None:
    """A hyphen is no country."""
    assert "location" not in event(LOG, REQUESTS[5])["src_endpoint"]


def test_accounts_and_regions() -> None:
    """Both are those of the web ACL; that of CloudFront is global, and one of WAF Classic has only an id."""
    regional, edge, classic = (
        event(LOG, REQUESTS[n], account="444455556666", region="eu-central-1") for n in (0, 12, 15)
    )

    assert regional["cloud"] == {"provider": "AWS", "region": "us-east-1", "account": {"uid": "111122223333"}}
    assert edge["cloud"] == {"provider": "AWS", "region": "global", "account": {"uid": "111122223333"}}
    assert classic["cloud"] == {"provider": "AWS", "region": "eu-central-1", "account": {"uid": "444455556666"}}
    assert classic["metadata"]["product"]["feature"]["uid"] == "0examp1e-9999-8888-7777-666666666666"


def test_fingerprints() -> None:
    """JA4 tells the TLS version that JA3 needs beside it; a version without JA4 keeps it in ``unmapped``."""
    old, new = event(LOG, REQUESTS[1]), event(LOG, REQUESTS[1], "1.8.0")

    assert new["ja4_fingerprint_list"][0]["value"] == "t13d1516h2_8daaf6152771_02713d6af862"
    assert old["unmapped"]["ja4Fingerprint"] == "t13d1516h2_8daaf6152771_02713d6af862"
    assert (
        new["tls"]
        == old["tls"]
        == {
            "version": "TLSv1.3",
            "ja3_hash": {"algorithm": "MD5", "algorithm_id": 1, "value": "0123456789abcdef0123456789abcdef"},
        }
    )
    assert event(LOG, REQUEST | {"ja3Fingerprint": "00"})["unmapped"]["ja3Fingerprint"] == "00"


def test_the_newer_host_key() -> None:
    """A host of its own counts before the header."""
    assert event(LOG, changed(host="new.example.com", scheme="https"))["http_request"]["url"] == {
        "hostname": "new.example.com",
        "path": "/",
        "scheme": "https",
    }
