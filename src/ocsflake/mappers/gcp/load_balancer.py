"""Google Cloud Application Load Balancer logs to HTTP Activity 4002, with the verdict of Cloud Armor.

Requests to external and internal load balancers. The verdict is that of the security policy that was enforced, of a
backend or at the edge; a policy in preview decides nothing and stays in ``unmapped``.

OCSF before 1.5 requires a response and a destination of every HTTP Activity. There the code is 0, which is no HTTP
status, where the client left before it had an answer; and where no backend was asked, the destination is the load
balancer, by the name of its forwarding rule.

The fields: https://docs.cloud.google.com/load-balancing/docs/https/https-logging-monitoring and
https://docs.cloud.google.com/armor/docs/request-logging
"""

from __future__ import annotations

from ocsflake.mappers._address import host, port
from ocsflake.mappers._http import http_activity, http_outcome
from ocsflake.mappers.gcp._entry import ENTRIES, ENTRY, UNMAPPED, milliseconds, whole
from ocsflake.mapping import EventMap, Fields, Mapper, apply, at

ACTION = {"ACCEPT": 1, "EXEMPT": 1, "DENY": 2, "REDIRECT": 2}
DISPOSITION = {"ACCEPT": 1, "EXEMPT": 1, "DENY": 2}
POLICIES = ("jsonPayload.enforcedSecurityPolicy", "jsonPayload.enforcedEdgeSecurityPolicy")
TLS = {"10": "TLSv1", "11": "TLSv1.1", "12": "TLSv1.2", "13": "TLSv1.3"}

address = at("httpRequest.remoteIp", "jsonPayload.remoteIp")
server = at("httpRequest.serverIp")
url = at("httpRequest.requestUrl")
code = at("httpRequest.status").text()
latency = at("httpRequest.latency").text()
outcome = at(*[f"{policy}.outcome" for policy in POLICIES])
policy = at(*[f"{policy}.name" for policy in POLICIES])
client = "jsonPayload.securityPolicyRequestData"
ja3, ja4 = at(f"{client}.tlsJa3Fingerprint"), at(f"{client}.tlsJa4Fingerprint")
backend = at("resource.labels.backend_service_name").or_(at("resource.labels.backend_name"))
forwarding_rule = at("resource.labels.forwarding_rule_name")

FIELDS: Fields = ENTRY | {
    "activity_id": http_activity(at("httpRequest.requestMethod")),
    "action_id": outcome.lookup(ACTION, default=99).or_(0),
    "disposition_id": outcome.lookup(DISPOSITION, default=99).or_(0),
    "status_id": http_outcome(code),
    "status_detail": at("jsonPayload.statusDetails"),
    "duration": apply(milliseconds, latency),
    "metadata.product.name": "Cloud Load Balancing",
    "metadata.product.feature.name": at("resource.type"),
    "trace.uid": at("trace"),
    "src_endpoint.ip": host(address),
    "src_endpoint.port": at("httpRequest.remotePort").or_(port(address)),
    "src_endpoint.location.country": at(f"{client}.remoteIpInfo.regionCode"),
    "src_endpoint.autonomous_system.number": whole(at(f"{client}.remoteIpInfo.asn")),
    "dst_endpoint.ip": host(server),
    "dst_endpoint.name": backend,
    "dst_endpoint.port": port(server),
    "load_balancer.name": at("resource.labels.url_map_name").or_(forwarding_rule),
    "load_balancer.uid": forwarding_rule,
    # The latency to the microsecond, which `duration` has no room for.
    "load_balancer.metrics[].name": latency.lookup({}, default="latency"),
    "load_balancer.metrics[].value": latency,
    "http_request.http_method": at("httpRequest.requestMethod"),
    "http_request.length": at("httpRequest.requestSize"),
    "http_request.referrer": at("httpRequest.referer"),
    "http_request.url.hostname": url.extract("^[a-z]+://([^/:?#]+)"),
    "http_request.url.path": url.extract("^[a-z]+://[^/?#]*(/[^?#]*)"),
    "http_request.url.port": url.extract("^[a-z]+://[^/?#]*:([0-9]{1,5})(?:[/?#]|$)"),
    "http_request.url.query_string": url.extract(r"^[^?#]*\?([^#]*)"),
    "http_request.url.scheme": url.extract("^([a-z]+)://"),
    "http_request.url.url_string": url,
    "http_request.user_agent": at("httpRequest.userAgent"),
    "http_request.version": at("httpRequest.protocol"),
    "http_response.code": code,
    "http_response.length": at("httpRequest.responseSize"),
    "http_status": code,
    # OCSF counts from the client: out is what it sent.
    "traffic.bytes_out": at("httpRequest.requestSize"),
    "traffic.bytes_in": at("httpRequest.responseSize"),
    "firewall_rule.name": policy,
    "firewall_rule.uid": whole(at(*[f"{policy}.priority" for policy in POLICIES])),
    "firewall_rule.type": at(*[f"{policy}.configuredAction" for policy in POLICIES]),
    "firewall_rule.match_details": at(*[f"{policy}.preconfiguredExprIds[]" for policy in POLICIES]),
    "firewall_rule.match_location": at(*[f"{policy}.matchedFieldType" for policy in POLICIES]),
    "policy.name": policy,
}

FINGERPRINTS: Fields = {
    # JA4 begins with the transport and the highest TLS version that the client offers.
    "tls.version": ja4.extract("^[tqd]([0-9]{2})").lookup(TLS),
    "tls.ja3_hash.algorithm_id": ja3.lookup({}, default=1),
    "tls.ja3_hash.value": ja3,
    "ja4_fingerprint_list[].type_id": ja4.lookup({}, default=1),
    "ja4_fingerprint_list[].value": ja4,
}

RESPONSE_REQUIRED: Fields = {
    "dst_endpoint.svc_name": forwarding_rule.or_(at("resource.type")).only_if(backend.is_null() & server.is_null()),
    "http_response.code": code.or_(0),
}

MAPPER = Mapper(
    "gcp.load_balancer",
    title="Google Cloud Load Balancing and Cloud Armor",
    source_name="gcp_lb",
    parse=ENTRIES,
    events=[
        # OCSF before 1.3 has no JA4, of which the TLS version is made that JA3 cannot do without.
        EventMap("http_activity", fields=FIELDS | RESPONSE_REQUIRED, until="1.2.0"),
        EventMap("http_activity", fields=FIELDS | FINGERPRINTS | RESPONSE_REQUIRED, since="1.3.0", until="1.4.0"),
        EventMap("http_activity", fields=FIELDS | FINGERPRINTS, since="1.5.0"),
    ],
    unmapped=(*UNMAPPED, "jsonPayload.*"),
)
