"""Google Cloud Load Balancing logs, with Cloud Armor."""

from __future__ import annotations

from typing import Any

import pytest
from gcp_shapes import entry, event

LOG_TYPE = "gcp.load_balancer"
REQUEST = entry(LOG_TYPE, "lb00000000001")


def request(version: str = "1.1.0", *, payload: dict[str, Any] | None = None, **http: Any) -> dict[str, Any]:
    """Return the event of a request with some members changed; ``None`` takes one out."""
    merged = {key: value for key, value in (REQUEST["httpRequest"] | http).items() if value is not None}
    changed = REQUEST | {"httpRequest": merged, "jsonPayload": REQUEST["jsonPayload"] | (payload or {})}
    return event(LOG_TYPE, changed, version)


def by_id(name: str, version: str = "1.1.0") -> dict[str, Any]:
    return event(LOG_TYPE, entry(LOG_TYPE, name), version)


@pytest.mark.parametrize(
    ("method", "version", "activity"),
    [
        ("GET", "1.1.0", (3, "Get")),
        ("POST", "1.1.0", (6, "Post")),
        ("PATCH", "1.1.0", (99, "Patch")),
        ("PATCH", "1.5.0", (99, "Patch")),
        ("PATCH", "1.6.0", (9, "Patch")),
        ("PROPFIND", "1.8.0", (99, "PROPFIND")),
        (None, "1.8.0", (0, "Unknown")),
    ],
)
def test_activity(method: str | None, version: str, activity: tuple[int, str]) -> None:
    """The method is the activity; PATCH is one from OCSF 1.6 on."""
    found = request(version, requestMethod=method)

    assert (found["activity_id"], found["activity_name"]) == activity


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("https://shop.example.com/", {"scheme": "https", "hostname": "shop.example.com", "path": "/"}),
        ("http://h.example:8080", {"scheme": "http", "hostname": "h.example", "port": 8080}),
        (
            "https://h.example:8443/a/b?x=1&y=2#z",
            {"scheme": "https", "hostname": "h.example", "port": 8443, "path": "/a/b", "query_string": "x=1&y=2"},
        ),
        ("https://h.example?x=1", {"scheme": "https", "hostname": "h.example", "query_string": "x=1"}),
        ("/only/a/path", {}),
    ],
)
def test_url(url: str, parts: dict[str, Any]) -> None:
    """A URL is kept whole, and taken apart."""
    assert request(requestUrl=url)["http_request"]["url"] == parts | {"url_string": url}


def test_host_that_the_pattern_forbids() -> None:
    """OCSF before 1.5 knows no host name with an underscore; the URL is kept."""
    older, newer = (by_id("lb00000000015", version)["http_request"]["url"] for version in ("1.1.0", "1.8.0"))

    assert "hostname" not in older
    assert newer["hostname"] == "shop_test.example.com"
    assert older["url_string"] == newer["url_string"]


@pytest.mark.parametrize(
    ("address", "endpoint"),
    [
        ("203.0.113.10", {"ip": "203.0.113.10"}),
        ("203.0.113.10:51544", {"ip": "203.0.113.10", "port": 51544}),
        ("2001:db8::1", {"ip": "2001:db8::1"}),
        ("[2001:db8::1]:443", {"ip": "2001:db8::1", "port": 443}),
    ],
)
def test_addresses(address: str, endpoint: dict[str, Any]) -> None:
    """An address may have its port behind it, at either end."""
    found = request(remoteIp=address, serverIp=address)

    assert found["src_endpoint"] == endpoint
    assert found["dst_endpoint"] == endpoint | {"name": "shop-web"}


@pytest.mark.parametrize(
    ("latency", "milliseconds"),
    [
        ("0.023117s", 23),
        ("0.000099s", 0),
        ("0.3s", 300),
        ("12s", 12000),
        (0.5, 500),
        ("30.000000001s", 30000),
        ("x", None),
    ],
)
def test_latency(latency: Any, milliseconds: int | None) -> None:
    """A latency is floored to milliseconds, without a float on the way; its text is a metric of the balancer."""
    found = request(latency=latency)

    assert found.get("duration") == milliseconds
    assert found["load_balancer"]["metrics"] == [{"name": "latency", "value": str(latency)}]


def test_sizes() -> None:
    """64-bit sizes come as text; what a field of 32 bits cannot hold stands in the traffic alone."""
    found = by_id("lb00000000014")

    assert found["traffic"] == {"bytes_in": 9876543210, "bytes_out": 412}
    assert "length" not in found["http_response"]


@pytest.mark.parametrize(("status", "outcome"), [(200, 1), (304, 1), (403, 2), (502, 2), ("502", 2), (0, 0), (None, 0)])
def test_outcome(status: Any, outcome: int) -> None:
    """A request failed from 400 on; without a status nobody knows."""
    found = request(status=status)

    assert found["status_id"] == outcome
    assert found.get("http_status") == (None if status is None else int(status))


@pytest.mark.parametrize(("version", "response"), [("1.1.0", {"code": 0}), ("1.4.0", {"code": 0}), ("1.5.0", None)])
def test_request_without_a_response(version: str, response: dict[str, int] | None) -> None:
    """A client may leave before it has an answer; OCSF before 1.5 wants one all the same, which is no HTTP status."""
    found = by_id("lb00000000009", version)

    assert found.get("http_response") == response
    assert found["status_detail"] == "client_disconnected_before_any_response"


@pytest.mark.parametrize(
    ("version", "endpoint"),
    [("1.1.0", {"svc_name": "shop-http"}), ("1.4.0", {"svc_name": "shop-http"}), ("1.5.0", None)],
)
def test_request_without_a_backend(version: str, endpoint: dict[str, str] | None) -> None:
    """Where no backend was asked, the balancer is the destination that OCSF before 1.5 wants."""
    assert by_id("lb00000000008", version).get("dst_endpoint") == endpoint


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("lb00000000001", (1, 1)),
        ("lb00000000003", (2, 2)),
        ("lb00000000004", (2, 2)),
        ("lb00000000005", (2, 99)),
        ("lb00000000007", (2, 2)),
        ("lb00000000012", (0, 0)),
    ],
)
def test_verdict(name: str, ids: tuple[int, int]) -> None:
    """The verdict is that of the enforced policy, of the backend or of the edge; without one there is none."""
    found = by_id(name)

    assert (found["action_id"], found["disposition_id"]) == ids
    assert found["disposition"] == ("REDIRECT" if ids[1] == 99 else found["disposition"])


def test_policy_in_preview() -> None:
    """A policy in preview decides nothing; what it would have done is kept."""
    found = by_id("lb00000000006")

    assert (found["action"], found["firewall_rule"]["name"]) == ("Allowed", "shop-armor")
    assert found["unmapped"]["jsonPayload.previewSecurityPolicy.outcome"] == "DENY"


def test_rule() -> None:
    """The rule of the policy is named by its priority, and says what it matched."""
    found = by_id("lb00000000003")

    assert found["firewall_rule"] == {
        "match_details": ["owasp-crs-v030301-id942100-sqli", "owasp-crs-v030301-id942110-sqli"],
        "match_location": "ARG_VALUES",
        "name": "shop-armor",
        "type": "DENY",
        "uid": "1000",
    }
    assert found["unmapped"]["jsonPayload.enforcedSecurityPolicy.matchedFieldValue"] == "' OR 1=1--"
    assert "policy" not in found
    assert by_id("lb00000000003", "1.4.0")["policy"] == {"name": "shop-armor"}


@pytest.mark.parametrize(("version", "known"), [("1.1.0", False), ("1.2.0", False), ("1.3.0", True), ("1.8.0", True)])
def test_fingerprints(version: str, known: bool) -> None:
    """Fingerprints of the client are attributes where the version knows JA4; before, they are kept."""
    found = by_id("lb00000000003", version)
    path = "jsonPayload.securityPolicyRequestData.tlsJa3Fingerprint"

    assert found["src_endpoint"]["location"]["country"] == "NL"
    assert found.get("tls", {}).get("version") == ("TLSv1.3" if known else None)
    assert (path in found["unmapped"]) is not known


def test_internal_load_balancer() -> None:
    """An internal balancer has other labels, and a region."""
    found = by_id("lb00000000013")

    assert found["metadata"]["product"]["feature"]["name"] == "internal_http_lb_rule"
    assert found["dst_endpoint"]["name"] == "shop-neg"
    assert found["load_balancer"]["uid"] == "internal-shop"
    assert found["cloud"]["region"] == "europe-west1"


def test_trace() -> None:
    """The trace is one from OCSF 1.4 on."""
    trace = "projects/example-shop-prod/traces/0af7651916cd43dd8448eb211c80319c"

    assert request("1.4.0")["trace"] == {"uid": trace}
    assert request("1.1.0")["unmapped"]["trace"] == trace
    assert request("1.4.0")["unmapped"]["spanId"] == "0123456789abcdef"
