"""Google Cloud IDS logs: threats to Detection Finding 2004, traffic to Network Activity 4001.

Cloud IDS watches and blocks nothing, so there is no action.

The fields: https://docs.cloud.google.com/intrusion-detection-system/docs/logging
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from ocsflake.mappers._network import protocol_number
from ocsflake.mappers.gcp._entry import ENTRIES, ENTRY, UNMAPPED, milliseconds, whole
from ocsflake.mapping import EventMap, Fields, Mapper, apply, at

SEVERITY = {"INFORMATIONAL": 1, "LOW": 2, "MEDIUM": 3, "HIGH": 4, "CRITICAL": 5}


def listed(*columns: pa.Array) -> pa.Array:
    """Return the texts of each row as a list, without what is missing."""
    rows = zip(*(column.to_pylist() for column in columns), strict=True)
    return pa.array([[text for text in row if text] or None for row in rows], pa.list_(pa.string()))


protocol = at("jsonPayload.ip_protocol")
direction = at("jsonPayload.direction")

COMMON: Fields = ENTRY | {
    "count": whole(at("jsonPayload.repeat_count")),
    "metadata.product.name": "Cloud IDS",
    "metadata.product.feature.name": at("logName").extract(r"ids\.googleapis\.com(?:%2F|/)([a-z]+)$"),
    "metadata.product.feature.uid": at("resource.labels.id").or_(at("labels.id")),
}

CONNECTION: Fields = {
    "src_endpoint.ip": at("jsonPayload.source_ip_address"),
    "src_endpoint.port": whole(at("jsonPayload.source_port")),
    "dst_endpoint.ip": at("jsonPayload.destination_ip_address"),
    "dst_endpoint.port": whole(at("jsonPayload.destination_port")),
    # Client to server is neither in nor out.
    "connection_info.direction_id": direction.lookup({}, default=99).or_(0),
    "connection_info.protocol_name": protocol,
    "connection_info.protocol_num": protocol_number(apply(pc.utf8_upper, protocol)),
}

THREAT: Fields = {f"evidences[].{path}": value for path, value in CONNECTION.items()} | {
    "time": at("jsonPayload.alert_time").or_(at("timestamp")),
    "severity_id": at("jsonPayload.alert_severity").lookup(SEVERITY, default=99).or_(0),
    "activity_id": 1,
    "status_id": 1,
    "finding_info.uid": at("insertId").or_(at("jsonPayload.session_id").text()),
    "finding_info.title": at("jsonPayload.name"),
    "finding_info.desc": at("jsonPayload.details"),
    "finding_info.types": apply(listed, at("jsonPayload.type"), at("jsonPayload.category"), at("jsonPayload.subtype")),
    "finding_info.created_time": at("jsonPayload.alert_time"),
    "finding_info.analytic.uid": whole(at("jsonPayload.threat_id")).or_(at("jsonPayload.threat_id")),
    "finding_info.analytic.name": at("jsonPayload.name"),
    "finding_info.analytic.type_id": 1,
    "vulnerabilities[].cve.uid": at("jsonPayload.cves[]"),
    "resources[].name": at("jsonPayload.network"),
}

TRAFFIC: Fields = CONNECTION | {
    "time": at("jsonPayload.start_time").or_(at("timestamp")),
    "start_time": at("jsonPayload.start_time"),
    "activity_id": 6,
    "duration": apply(milliseconds, at("jsonPayload.elapsed_time").text()),
    "traffic.bytes": whole(at("jsonPayload.total_bytes")),
    "traffic.packets": whole(at("jsonPayload.total_packets")),
}

MAPPER = Mapper(
    "gcp.cloud_ids",
    title="Google Cloud IDS",
    source_name="gcp_cloud_ids",
    parse=ENTRIES,
    events=[
        EventMap("detection_finding", where=~at("jsonPayload.name").is_null(), fields=COMMON | THREAT),
        EventMap("network_activity", fields=COMMON | TRAFFIC),
    ],
    unmapped=(*UNMAPPED, "jsonPayload.*", "resource.type"),
)
