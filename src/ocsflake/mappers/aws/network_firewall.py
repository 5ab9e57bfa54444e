"""AWS Network Firewall logs to Network Activity 4001.

Flow, alert and TLS logs, as JSON lines from S3 and Firehose or in CloudWatch Logs envelopes. A flow log counts each
direction of a connection by itself: two records with one ``flow_id``. The verdict, which newer alerts have, counts
before the alert's own action; a flow has neither, and its action is unknown.

A log has no account: it is that of the log's origin. The Region is that of the Availability Zone.

The fields: https://docs.aws.amazon.com/network-firewall/latest/developerguide/firewall-logging-contents.html, with
https://docs.suricata.io/en/latest/output/eve/eve-json-format.html for those of an event
"""

from __future__ import annotations

import re

import pyarrow as pa

from ocsflake.mappers._network import protocol_number
from ocsflake.mapping import EventMap, Fields, JsonRecords, Mapper, apply, at, origin

ACTIVITY = {"blocked": 5, "drop": 5, "reject": 5}
ACTION = {"alert": 1, "allowed": 1, "pass": 1, "blocked": 2, "drop": 2, "reject": 2}
DISPOSITION = {"alert": 19, "allowed": 19, "blocked": 2, "drop": 6, "pass": 1, "reject": 25}
SEVERITY = {"1": 4, "2": 3, "3": 2, "4": 1}

_HEX = re.compile(r"[0-9A-Fa-f]{1,4}")


def from_hex(texts: pa.Array) -> pa.Array:
    """Return numbers that are written in base 16."""
    encoded = texts.cast(pa.string()).dictionary_encode()
    numbers = [int(word, 16) if _HEX.fullmatch(word) else None for word in encoded.dictionary.to_pylist()]
    return pa.array(numbers, pa.int32()).take(encoded.indices)


zone = at("availability_zone")
verdict = at("event.verdict.action").or_(at("event.alert.action"), at("event.revocation_check.action")).lower()
app = at("event.app_proto")
sni = at("event.tls.sni", "event.sni")
ja3 = at("event.tls.ja3.hash")

FIELDS: Fields = {
    "time": at("event.timestamp"),
    "start_time": at("event.netflow.start", "event.flow.start"),
    "end_time": at("event.netflow.end"),
    "severity_id": at("event.alert.severity").lookup(SEVERITY, default=99).or_(1),
    "activity_id": verdict.lookup(ACTIVITY, default=6).or_(6),
    "action_id": verdict.lookup(ACTION).or_(0),
    "disposition_id": verdict.lookup(DISPOSITION, default=99).or_(0),
    "status_id": at("event.tls_error.error_message")
    .or_(at("event.revocation_check.status"))
    .lookup({}, default=2)
    .or_(0),
    "status_detail": at("event.tls_error.error_message").or_(at("event.revocation_check.status")),
    "app_name": app.only_if(app != "unknown"),
    "metadata.event_code": at("event.event_type"),
    "metadata.logged_time": at("event_timestamp").epoch("s"),
    "metadata.product.name": "AWS Network Firewall",
    "metadata.product.vendor_name": "AWS",
    "metadata.product.feature.name": at("firewall_name"),
    "cloud.provider": "AWS",
    "cloud.account.uid": origin("account"),
    "cloud.region": zone.extract(r"^([a-z]{2}-(?:[a-z]+-)+[0-9]+)").or_(origin("region")),
    "cloud.zone": zone,
    "src_endpoint.ip": at("event.src_ip"),
    "src_endpoint.port": at("event.src_port"),
    "dst_endpoint.ip": at("event.dest_ip"),
    "dst_endpoint.port": at("event.dest_port"),
    "dst_endpoint.domain": sni,
    "connection_info.uid": at("event.flow_id").text(),
    "connection_info.direction_id": 0,
    "connection_info.protocol_name": at("event.proto"),
    "connection_info.protocol_num": protocol_number(at("event.proto")),
    "connection_info.tcp_flags": apply(from_hex, at("event.tcp.tcp_flags")),
    "traffic.packets": at("event.netflow.pkts"),
    "traffic.bytes": at("event.netflow.bytes"),
    "traffic.packets_out": at("event.flow.pkts_toserver"),
    "traffic.packets_in": at("event.flow.pkts_toclient"),
    "traffic.bytes_out": at("event.flow.bytes_toserver"),
    "traffic.bytes_in": at("event.flow.bytes_toclient"),
    "firewall_rule.uid": at("event.alert.signature_id").text(),
    "firewall_rule.name": at("event.alert.signature"),
    "firewall_rule.category": at("event.alert.category"),
    "firewall_rule.version": at("event.alert.rev").text(),
    "url.hostname": at("event.http.hostname"),
    "url.path": at("event.http.url"),
    "tls.version": at("event.tls.version"),
    "tls.sni": sni,
    "tls.ja3_hash.algorithm_id": ja3.lookup({}, default=1),
    "tls.ja3_hash.value": ja3,
}

MAPPER = Mapper(
    "aws.network_firewall",
    title="AWS Network Firewall",
    source_name="aws_netfirewall",
    parse=JsonRecords(),
    events=[EventMap("network_activity", fields=FIELDS)],
    unmapped=("event.*",),
)
