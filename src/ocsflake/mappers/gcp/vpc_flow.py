"""Google Cloud VPC Flow Logs to Network Activity 4001.

Flows of subnetworks (``compute.googleapis.com/vpc_flows``) and of organizations, networks, VLAN attachments and VPN
tunnels (``networkmanagement.googleapis.com/vpc_flows``). Flows are sampled, and one whose ends are both in VPC networks
is reported at each: ``direction_id`` says at which. The log knows no verdict, so there is no action.

The time is that of the first packet, as with the flow logs of AWS.

The fields: https://docs.cloud.google.com/vpc/docs/about-flow-logs-records
"""

from __future__ import annotations

from ocsflake.mappers.gcp._connection import CONNECTION, instance, location, network
from ocsflake.mappers.gcp._entry import ENTRIES, ENTRY, UNMAPPED, whole
from ocsflake.mapping import EventMap, Fields, Mapper, at

reporter = at("jsonPayload.reporter")


def _end(endpoint: str, end: str) -> Fields:
    service = at(f"jsonPayload.{end}_google_service.service_name")
    gateway = at(f"jsonPayload.{end}_gateway.name")
    fields = (
        instance(endpoint, lambda name: at(f"jsonPayload.{end}_instance.{name}"))
        | network(endpoint, lambda name: at(f"jsonPayload.{end}_vpc.{name}", f"jsonPayload.{end}_gateway.vpc.{name}"))
        | location(endpoint, lambda name: at(f"jsonPayload.{end}_location.{name}"))
    )
    return fields | {
        f"{endpoint}.svc_name": service.or_(at(f"jsonPayload.{end}_google_service.type")),
        f"{endpoint}.interface_name": gateway,
    }


FIELDS: Fields = (
    ENTRY
    | CONNECTION
    | _end("src_endpoint", "src")
    | _end("dst_endpoint", "dest")
    | {
        "time": at("jsonPayload.start_time").or_(at("timestamp")),
        "start_time": at("jsonPayload.start_time"),
        "end_time": at("jsonPayload.end_time"),
        "activity_id": 6,
        "metadata.product.name": "VPC Flow Logs",
        "connection_info.direction_id": reporter.lookup({"SRC": 2, "DEST": 1}, default=99).or_(0),
        # One direction only, though the log calls it sent.
        "traffic.bytes": whole(at("jsonPayload.bytes_sent")),
        "traffic.packets": whole(at("jsonPayload.packets_sent")),
    }
)

MAPPER = Mapper(
    "gcp.vpc_flow",
    title="Google Cloud VPC Flow Logs",
    source_name="gcp_vpc_flow",
    parse=ENTRIES,
    events=[EventMap("network_activity", fields=FIELDS)],
    unmapped=(*UNMAPPED, "jsonPayload.*", "resource.type"),
)
