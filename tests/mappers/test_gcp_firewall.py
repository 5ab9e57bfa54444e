"""Google Cloud firewall logs."""

from __future__ import annotations

from typing import Any

import pytest
from gcp_shapes import entry, event

LOG_TYPE = "gcp.firewall"
ALLOWED = entry(LOG_TYPE, "fw00000000001")


def verdict(version: str = "1.1.0", **payload: Any) -> dict[str, Any]:
    """Return the event of a connection with some members of its payload changed."""
    return event(LOG_TYPE, ALLOWED | {"jsonPayload": ALLOWED["jsonPayload"] | payload}, version)


def by_id(name: str, version: str = "1.1.0") -> dict[str, Any]:
    return event(LOG_TYPE, entry(LOG_TYPE, name), version)


@pytest.mark.parametrize("version", ["1.1.0", "1.8.0"])
@pytest.mark.parametrize(
    ("disposition", "ids", "word"),
    [
        ("ALLOWED", (1, 1, 1), "Allowed"),
        ("DENIED", (5, 2, 2), "Blocked"),
        ("INTERCEPTED", (1, 1, 99), "INTERCEPTED"),
        ("NEW_WORD", (99, 99, 99), "NEW_WORD"),
        (None, (0, 0, 0), "Unknown"),
    ],
)
def test_verdict(disposition: str | None, ids: tuple[int, int, int], word: str, version: str) -> None:
    """The verdict is activity, action and disposition; an intercepted connection was let through to be looked at."""
    found = verdict(version, disposition=disposition)

    assert (found["activity_id"], found["action_id"], found["disposition_id"]) == ids
    assert found["disposition"] == word
    assert "security_control" in found["metadata"]["profiles"]


def test_what_comes_in() -> None:
    """What comes in has the rule's machine for a destination, and the other end for a source."""
    found = by_id("fw00000000202")

    assert found["connection_info"]["direction"] == "Inbound"
    assert (found["src_endpoint"]["name"], found["dst_endpoint"]["name"]) == ("web-7", "orders-db")


def test_what_goes_out() -> None:
    """What goes out has the rule's machine for a source."""
    found = by_id("fw00000000203")

    assert found["connection_info"]["direction"] == "Outbound"
    assert (found["src_endpoint"]["name"], found["dst_endpoint"]["name"]) == ("web-7", "orders-db")
    assert (found["src_endpoint"]["subnet_uid"], found["dst_endpoint"]["subnet_uid"]) == ("shop-web", "shop-data")


@pytest.mark.parametrize(
    ("name", "end", "country"), [("fw00000000001", "src_endpoint", "IE"), ("fw00000000201", "dst_endpoint", "US")]
)
def test_place_of_the_other_end(name: str, end: str, country: str) -> None:
    """The place on earth is that of the other end."""
    found = by_id(name)

    assert found[end]["location"]["country"] == country
    assert "location" not in found["dst_endpoint" if end == "src_endpoint" else "src_endpoint"]


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("network:shop/firewall:allow-https", "allow-https"),
        ("network:shop/firewallPolicy:web-inspection", "web-inspection"),
        ("0/firewallPolicy:161803398874", "161803398874"),
        ("odd", None),
    ],
)
def test_rule(reference: str, name: str | None) -> None:
    """The reference names the rule, or the policy that it is of."""
    rule = verdict(rule_details={"reference": reference, "action": "ALLOW", "priority": 1000})["firewall_rule"]

    assert (rule["uid"], rule.get("name"), rule["type"]) == (reference, name, "ALLOW")


def test_details_of_the_rule() -> None:
    """What OCSF has no place for of a rule is kept."""
    unmapped = by_id("fw00000000001")["unmapped"]

    assert unmapped["jsonPayload.rule_details.source_range[]"] == "0.0.0.0/0"
    assert unmapped["jsonPayload.rule_details.ip_port_info[].port_range[]"] == "443"
    assert unmapped["jsonPayload.rule_details.priority"] == "1000"


@pytest.mark.parametrize("version", ["1.1.0", "1.3.0", "1.5.0", "1.8.0"])
def test_without_metadata(version: str) -> None:
    """A rule may leave the metadata of its logs out: connection, verdict and rule are there all the same."""
    found = by_id("fw00000000206", version)

    assert (found["connection_info"]["direction_id"], found["action_id"]) == (0, 2)
    assert found["dst_endpoint"] == {"ip": "10.40.1.7", "port": 8443}
    assert found["firewall_rule"]["name"] == "deny-all-ingress"


def test_load_balancer() -> None:
    """A rule for an internal load balancer names it, and no machine."""
    found = by_id("fw00000000208")

    assert found["load_balancer"]["name"] == "internal-shop"
    assert found["dst_endpoint"]["vpc_uid"] == "shop"
