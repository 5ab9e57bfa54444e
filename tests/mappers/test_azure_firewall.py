"""Azure Firewall: which class a log belongs to, what it says of a connection, and the grammars of the older texts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from azure_events import event_of
from sample_events import lines, raw_batches

from ocsflake import mapper, samples

FIREWALL = "/SUBSCRIPTIONS/3D5F7A90-1C2E-4B68-9A0C-5E7D9F1B2A34/RESOURCEGROUPS/H/PROVIDERS/X/AZUREFIREWALLS/AFW"
ENDS = {"SourceIp": "10.0.0.4", "SourcePort": 51234, "DestinationIp": "192.0.2.80", "DestinationPort": 443}
RULE = "Policy: p. Rule Collection Group: g. Rule Collection: c.v1. Rule: allow 1.2"


def structured(category: str, version: str = "1.8.0", **properties: Any) -> dict[str, Any]:
    record = {"time": "2026-11-17T08:00:03.1234567Z", "resourceId": FIREWALL, "category": category}
    return event_of("azure.firewall", {**record, "properties": {**ENDS, "Protocol": "TCP", **properties}}, version)


def text(message: str, category: str = "AzureFirewallNetworkRule", version: str = "1.8.0") -> dict[str, Any]:
    record = {"time": "2026-11-17T08:00:03Z", "resourceId": FIREWALL, "category": category}
    event = event_of("azure.firewall", {**record, "properties": {"msg": message}}, version)
    assert event["message"] == message
    return event


def file_events(name: str, version: str = "1.8.0") -> list[dict[str, Any]]:
    (path,) = (path for path in samples.files("azure.firewall") if path.name == name)
    return [*map(json.loads, lines(mapper("azure.firewall").map_batches(raw_batches([path]), version), version))]


@pytest.mark.parametrize(
    ("action", "activity", "action_id", "disposition_id"),
    [
        ("Allow", "Traffic", 1, 1),
        ("Deny", "Refuse", 2, 2),
        ("deny", "Refuse", 2, 2),
        ("Alert", "Traffic", 1, 19),
        ("Log", "Traffic", 99, 99),
        (None, "Traffic", 0, 0),
    ],
)
def test_actions(action: Any, activity: str, action_id: int, disposition_id: int) -> None:
    """What is denied was refused; an alert lets through."""
    event = structured("AZFWNetworkRule", Action=action)

    assert event["activity_name"] == activity
    assert (event["action_id"], event["disposition_id"]) == (action_id, disposition_id)


@pytest.mark.parametrize(
    ("category", "version", "class_uid"),
    [
        ("AZFWNetworkRule", "1.8.0", 4001),
        ("AZFWNatRule", "1.8.0", 4001),
        ("AZFWFlowTrace", "1.8.0", 4001),
        ("AZFWApplicationRule", "1.8.0", 4002),
        ("AZFWApplicationRule", "1.5.0", 4002),
        ("AZFWApplicationRule", "1.3.0", 4001),
        ("AZFWApplicationRule", "1.1.0", 4001),
        ("AZFWDnsQuery", "1.8.0", 4003),
        ("AZFWFqdnResolveFailure", "1.8.0", 4003),
        ("AZFWIdpsSignature", "1.1.0", 2004),
        ("AZFWThreatIntel", "1.1.0", 2004),
    ],
)
def test_classes(category: str, version: str, class_uid: int) -> None:
    """The category picks the class; HTTP Activity holds no request without a response before OCSF 1.5."""
    event = structured(category, version, Fqdn="www.example.com", QueryName="www.example.com.", Description="d")

    assert event["class_uid"] == class_uid


def test_translated_destinations() -> None:
    """The destination is where the connection ends; what the outside called stands in between."""
    found = structured("AZFWNatRule", TranslatedIp="10.0.1.4", TranslatedPort=8443)
    read = text("TCP request from 10.0.0.4:51234 to 192.0.2.80:443 was DNAT'ed to 10.0.1.4:8443. " + RULE)

    for event in (found, read):
        assert event["dst_endpoint"] == {"ip": "10.0.1.4", "port": 8443}
        assert event["proxy_endpoint"] == {"ip": "192.0.2.80", "port": 443}
        assert event["action_id"] == 1


def test_flow_traces() -> None:
    """The flag of a trace says what happened to the flow."""
    assert structured("AZFWFlowTrace", Flag="RST", Action="Log")["activity_name"] == "Reset"


@pytest.mark.parametrize(("severity", "expected"), [(1, "High"), (2, "Medium"), ("3", "Low"), (None, "High")])
def test_signatures(severity: Any, expected: str) -> None:
    """A signature is an analytic; its priority 1 is high."""
    event = structured("AZFWIdpsSignature", SignatureId="2032081", Description="d", Category="c", Severity=severity)

    assert event["severity"] == expected
    assert event["finding_info"]["analytic"] == {"uid": "2032081", "name": "d", "type": "Rule", "type_id": 1}
    assert event["finding_info"]["types"] == ["c"]
    assert event["evidences"][0]["src_endpoint"] == {"ip": "10.0.0.4", "port": 51234}


def test_a_category_of_a_table_is_the_signature_s() -> None:
    """A row of a table has its log in Type; Category is that of the signature."""
    row = {
        "TimeGenerated": "2026-11-17T08:00:03Z",
        "Type": "AZFWIdpsSignature",
        "_ResourceId": FIREWALL,
        "Category": "c",
    }
    event = event_of("azure.firewall", {**row, **ENDS})

    assert event["metadata"]["log_name"] == "AZFWIdpsSignature"
    assert event["finding_info"]["types"] == ["c"]


def test_trailing_dots() -> None:
    """A name stands as it was asked for where OCSF allows it, without its dot where a pattern holds it."""
    new, old = (
        structured("AZFWDnsQuery", v, QueryName="a.example.com.", ResponseCode="NXDOMAIN") for v in ("1.5.0", "1.1.0")
    )

    assert new["query"]["hostname"] == "a.example.com."
    assert old["query"]["hostname"] == "a.example.com"
    assert (new["rcode"], new["status"]) == ("NXDomain", "Failure")


def test_text_of_network_rules() -> None:
    """Ends, protocol, action and the parts of the rule, whose names may have dots."""
    event = text("TCP request from 10.0.0.4:51234 to 192.0.2.80:443. Action: Allow. " + RULE)

    assert event["src_endpoint"] == {"ip": "10.0.0.4", "port": 51234}
    assert event["dst_endpoint"] == {"ip": "192.0.2.80", "port": 443}
    assert event["connection_info"]["protocol_num"] == 6
    assert event["firewall_rule"] == {"name": "allow 1.2", "category": "c.v1", "type": "g"}
    assert event["policy"] == {"name": "p"}


def test_text_of_denials() -> None:
    """A request that no rule matched, one with a reason and no target, and one of a protocol without ports."""
    nothing = text(
        "HTTP request from 10.0.0.4:1 to a.example.com:80. Url: a.example.com/x. Action: Deny. "
        "No rule matched. Proceeding with default action",
        "AzureFirewallApplicationRule",
    )
    reason = text(
        "HTTPS request from 10.0.0.4:1. Action: Deny. Reason: SNI was missing.", "AzureFirewallApplicationRule"
    )
    ping = text("ICMP Type=8 request from 10.0.0.4 to 10.0.0.5. Action: Deny. ", version="1.1.0")

    assert nothing["http_request"]["url"] == {"hostname": "a.example.com", "url_string": "a.example.com/x"}
    assert nothing["status_detail"] == "No rule matched. Proceeding with default action"
    assert (reason["class_uid"], reason["status_detail"]) == (4001, "SNI was missing")
    assert (ping["src_endpoint"], ping["dst_endpoint"]) == ({"ip": "10.0.0.4"}, {"ip": "10.0.0.5"})
    assert ping["connection_info"]["protocol_num"] == 1


def test_text_of_findings() -> None:
    """Threat intelligence and signatures are findings in the older texts too."""
    threat = text("TCP request from 10.0.0.4:1 to 192.0.2.1:443. Action: Alert. ThreatIntel: Bot Networks")
    match = text(
        "TCP request from 10.0.0.4:1 to 192.0.2.1:80. Action: Deny. Signature: 2032081. IDS: USER_AGENTS x (y). "
        "Priority: 2. Classification: A Network Trojan"
    )

    assert (threat["class_uid"], threat["finding_info"]["title"]) == (2004, "Bot Networks")
    assert (match["finding_info"]["title"], match["severity"]) == ("USER_AGENTS x (y)", "Medium")
    assert match["firewall_rule"] == {"uid": "2032081", "category": "A Network Trojan"}


def test_text_of_dns() -> None:
    """Requests and errors of the DNS proxy."""
    event = text(
        "DNS Request: 10.0.0.4:50511 - 15 AAAA IN host.example.com. udp 41 false 512 NXDOMAIN qr,rd,ra 116 0.005s",
        "AzureFirewallDnsProxy",
    )
    error = text(" Error: 2 host.example.com. A: read udp: i/o timeout", "AzureFirewallDnsProxy", "1.1.0")

    assert event["query"] == {"hostname": "host.example.com.", "type": "AAAA", "class": "IN", "packet_uid": 15}
    assert (event["rcode_id"], event["connection_info"]["protocol_num"]) == (3, 17)
    assert event["src_endpoint"] == {"ip": "10.0.0.4", "port": 50511}
    assert (error["status"], error["status_detail"]) == ("Failure", "read udp: i/o timeout")
    assert error["query"] == {"hostname": "host.example.com", "type": "A"}


def test_the_account_is_the_subscription() -> None:
    """The firewall's subscription is the account."""
    assert structured("AZFWFatFlow")["cloud"]["account"]["uid"] == "3d5f7a90-1c2e-4b68-9a0c-5e7d9f1b2a34"


@pytest.mark.parametrize("version", ["1.1.0", "1.8.0"])
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("structured_PT1H.json", "structured_eventhub.json"),
        ("structured_PT1H.json", "structured_log_analytics.jsonl"),
        ("legacy_PT1H.json", "legacy_portal_export.csv"),
    ],
)
def test_equal_events_in_every_shape(first: str, second: str, version: str) -> None:
    """A record is the same event as a blob's line, from Event Hubs, from its table, and from the portal."""
    found = [file_events(name, version) for name in (first, second)]
    for event in found[0] + found[1]:
        event.pop("unmapped", None)

    assert found[0] == found[1]
