r"""Azure Firewall logs to Network 4001, HTTP 4002 and DNS Activity 4003, and to Detection Finding 2004.

Structured logs (``AZFWNetworkRule`` and its siblings) as records of diagnostic settings and as rows of their tables,
and the text of the older categories (``properties.msg``, ``msg_s`` in ``AzureDiagnostics``), which stays whole in
``message``. Matches of intrusion detection and of threat intelligence are findings (own rule).

OCSF before 1.5 requires a response of HTTP Activity, which a firewall does not see: there application rules are Network
Activity. It also holds host names to a pattern, so a name stands without its trailing dot.

The fields: https://learn.microsoft.com/azure/firewall/monitor-firewall-reference
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocsflake.mappers._address import host, port
from ocsflake.mappers._network import protocol_number
from ocsflake.mappers._words import any_case
from ocsflake.mappers.azure._resource_logs import NAMES, resource, resource_fields, time
from ocsflake.mappers.azure._shapes import ENVELOPE, NULL_WORDS, RECORDS, digest
from ocsflake.mapping import EventMap, Fields, Mapper, apply, at, is_ip, when

if TYPE_CHECKING:
    from ocsflake.mapping import Expr

ACTIVITY = any_case({"Deny": 5, "Drop": 5, "Reset": 3})
FLAG = {"FIN": 2, "FIN-ACK": 2, "RST": 3, "SYN": 1, "SYN-ACK": 1}
ACTION = any_case({"Alert": 1, "Allow": 1, "DNAT": 1, "Deny": 2, "Drop": 2, "Reset": 2})
DISPOSITION = any_case({"Alert": 19, "Allow": 1, "DNAT": 1, "Deny": 2, "Drop": 6, "Reset": 25})
SEVERITY = {"1": 4, "2": 3, "3": 2}
RCODE = {
    "NOERROR": 0,
    "FORMERR": 1,
    "SERVFAIL": 2,
    "NXDOMAIN": 3,
    "NOTIMP": 4,
    "REFUSED": 5,
    "YXDOMAIN": 6,
    "YXRRSET": 7,
    "NXRRSET": 8,
    "NOTAUTH": 9,
    "NOTZONE": 10,
}
APPLICATION = ("AZFWApplicationRule", "AzureFirewallApplicationRule")
DNS = ("AZFWDnsQuery", "AZFWFqdnResolveFailure", "AZFWInternalFqdnResolutionFailure", "AzureFirewallDnsProxy")
FINDINGS = ("AZFWIdpsSignature", "AZFWThreatIntel")
PROPERTIES = (
    "Action",
    "ActionReason",
    "DnssecOkBit",
    "EDNS0BufferSize",
    "ErrorMessage",
    "ErrorNumber",
    "Flag",
    "FlowRate",
    "IsExplicitProxyRequest",
    "IsTlsInspected",
    "Protocol",
    "RequestDurationSecs",
    "RequestSize",
    "ResponseFlags",
    "ResponseSize",
    "RuleCollectionGroup",
    "Severity",
    "WebCategory",
)


def given(name: str) -> Expr:
    """Return a property of a structured log."""
    return at(f"properties.{name}", name)


def asked(place: int) -> Expr:
    """Return a word of the text on a DNS request, counted from the id of the query."""
    return message.extract(rf"^\s*DNS Request: \S+ - (?:\S+ ){{{place}}}(\S+)")


category = at("category").or_(at("Type").only_if(~at("Type").extract("^(AZFW)").is_null()), at("Category"), at("Type"))
message = at("properties.msg", "msg_s", "Msg")
source = given("SourceIp").or_(
    message.extract(r"request from (\S+?)\.?(?:\s|$)"), message.extract(r"^\s*DNS Request: (\S+) - ")
)
asked_for = message.extract(r"request from \S+ to (\S+?)\.?(?:\s|$)")
target = given("DestinationIp").or_(asked_for)
translated = given("TranslatedIp").or_(message.extract(r"was DNAT'ed to (\S+?)\.?(?:\s|$)"))
target_port = given("DestinationPort").or_(asked_for.extract(":([0-9]{1,5})$"))
named = given("Fqdn").or_(asked_for.only_if(~is_ip(host(asked_for))).extract(r"^([^:\[\]]+)(?::[0-9]+)?$"))
url = given("TargetUrl").or_(message.extract(r" Url: (\S+?)\.?(?:\s|$)"))
address = url.or_(named)  # OCSF requires more of a URL than the name of its host
protocol = given("Protocol").or_(message.extract("^([A-Za-z]+)(?: Type=[0-9]+)? request "), asked(4))
action = given("Action").or_(message.extract(r"\. Action: ([A-Za-z]+)"), translated.is_null().lookup({"false": "DNAT"}))
rule = given("Rule").or_(message.extract(r"\. Rule: (.+?)(?:\. [A-Z]|\.?$)"))
signature = given("SignatureId").text().or_(message.extract(r"\. (?:Rule|Signature): ([0-9]+)\. IDS: "))
kind = at("properties.Category").or_(
    at("Category").only_if(at("Type") == "AZFWIdpsSignature"), message.extract(r" Classification: (.+?)\.?$")
)
threat = given("ThreatDescription").or_(message.extract(r"\. ThreatIntel: (.+?)\.?$"))
matched = given("Description").or_(message.extract(r"\. IDS: (.+?)(?:\. Priority|\.?$)"))
priority = given("Severity").text().or_(message.extract(r"\. Priority: ([0-9]+)"))
query = given("QueryName").or_(asked(3), message.extract(r"^\s*Error: [0-9]+ (\S+) "), given("Fqdn"))
rcode = given("ResponseCode").text().or_(asked(8))
error = given("ErrorMessage").or_(given("Error"), message.extract(r"^\s*Error: [0-9]+ \S+ [A-Z0-9]+: (.+)$"))
firewall = resource.extract("/([^/]+)/?$")

CONTROL: Fields = resource_fields("Azure Firewall", category) | {
    "message": message,
    "metadata.event_code": at("operationName", "OperationName"),
    "action_id": action.lookup(ACTION, default=99).or_(0),
    "disposition_id": action.lookup(DISPOSITION, default=99).or_(0),
    "firewall_rule.name": rule,
    "firewall_rule.uid": signature,
    "firewall_rule.category": given("RuleCollection").or_(kind, message.extract(r"\. Rule Collection: (.+?)\. Rule: ")),
    "firewall_rule.type": given("RuleCollectionGroup").or_(
        message.extract(r"\. Rule Collection Group: (.+?)\. Rule Collection: ")
    ),
    "policy.name": given("Policy").or_(message.extract(r"\. Policy: (.+?)\. Rule Collection Group: ")),
}
ENDS: Fields = {
    "src_endpoint.ip": host(source),
    "src_endpoint.port": given("SourcePort").or_(port(source)),
    "dst_endpoint.ip": host(translated).or_(host(target).only_if(is_ip(host(target)))),
    "dst_endpoint.port": given("TranslatedPort").or_(port(translated), target_port),
    "dst_endpoint.hostname": named,
    "connection_info.direction_id": 0,
    "connection_info.protocol_name": protocol,
    "connection_info.protocol_num": protocol_number(protocol.extract("^([A-Za-z0-9-]+)")),
}
CONNECTION: Fields = (
    CONTROL
    | ENDS
    | {
        "status_detail": given("ActionReason").or_(
            message.extract(r"\. Reason: (.+?)\.?$"), message.extract(r"\. (No rule matched.*?)\.?$")
        ),
        # OCSF before 1.5 requires both ends: one of them may not have been seen.
        "src_endpoint.svc_name": source.is_null().lookup({"true": "Azure Firewall"}),
        "dst_endpoint.svc_name": target.or_(named).is_null().lookup({"true": "Azure Firewall"}),
    }
)
NETWORK: Fields = CONNECTION | {
    "activity_id": given("Flag").lookup(FLAG).or_(action.lookup(ACTIVITY), 6),
    # What the outside called is the firewall's own address.
    "proxy_endpoint.ip": host(target).only_if(~translated.is_null()),
    "proxy_endpoint.port": target_port.only_if(~translated.is_null()),
    "url.hostname": named,
    "url.url_string": address,
}
HTTP: Fields = CONNECTION | {
    "activity_id": 0,
    "http_request.url.hostname": named,
    "http_request.url.url_string": address,
}
QUERY: Fields = CONTROL | {
    "activity_id": 6,
    "status_id": rcode.lookup({"NOERROR": 1}, default=2).or_(error.lookup({}, default=2), 0),
    "status_detail": error,
    "query.hostname": query,
    "query.type": given("QueryType").or_(asked(1), message.extract(r"^\s*Error: [0-9]+ \S+ ([A-Z0-9]+): ")),
    "query.class": given("QueryClass").or_(asked(2)),
    "query.packet_uid": given("QueryId").or_(asked(0)),
    "rcode_id": rcode.lookup(RCODE, default=99),
    "src_endpoint.ip": host(source),
    "src_endpoint.port": given("SourcePort").or_(port(source)),
    # A name in a rule is asked for by the firewall itself.
    "src_endpoint.svc_name": source.is_null().lookup({"true": "Azure Firewall"}),
    "dst_endpoint.ip": given("ServerIp"),
    "dst_endpoint.port": given("ServerPort"),
    "dst_endpoint.name": firewall.only_if(given("ServerIp").is_null()),
    "connection_info.direction_id": 0,
    "connection_info.protocol_name": protocol,
    "connection_info.protocol_num": protocol_number(protocol.extract("^([A-Za-z0-9-]+)")),
}
HELD_TO_PATTERN: Fields = {"query.hostname": query.extract(r"^(.+?)\.?$")}
FINDING: Fields = (
    CONTROL
    | {f"evidences[].{path}": value for path, value in ENDS.items()}
    | {
        "activity_id": 1,
        "status_id": 1,
        "severity_id": priority.lookup(SEVERITY, default=99).or_(4),
        "is_alert": True,
        "finding_info.uid": apply(digest, time.text(), source, target, signature, threat, message),
        "finding_info.title": matched.or_(threat, signature, category),
        "finding_info.desc": threat,
        "finding_info.types": kind,
        "finding_info.analytic.uid": signature,
        "finding_info.analytic.name": matched,
        "finding_info.analytic.type_id": when(signature.is_null(), 0, 1),
        "evidences[].url.hostname": named,
        "evidences[].url.url_string": address,
    }
)
application = category.is_in(APPLICATION)
alarm = message.extract(r"\. (IDS|ThreatIntel): ")

MAPPER = Mapper(
    "azure.firewall",
    title="Azure Firewall",
    source_name="azure_firewall",
    parse=RECORDS,
    null_words=NULL_WORDS,
    events=[
        EventMap("detection_finding", where=category.is_in(FINDINGS) | ~alarm.is_null(), fields=FINDING),
        EventMap("dns_activity", where=category.is_in(DNS), fields=QUERY | HELD_TO_PATTERN, until="1.4.0"),
        EventMap("dns_activity", where=category.is_in(DNS), fields=QUERY),
        EventMap("http_activity", where=application & ~address.is_null(), fields=HTTP, since="1.5.0"),
        EventMap("network_activity", fields=NETWORK),
    ],
    unmapped=(
        *ENVELOPE,
        *NAMES,
        *PROPERTIES,
        *(f"properties.{name}" for name in PROPERTIES),
        "properties.*",
    ),
)
