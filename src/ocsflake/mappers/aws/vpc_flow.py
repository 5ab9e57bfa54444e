"""AWS VPC Flow Logs to Network Activity 4001.

Versions 2 to 8, the default format and custom ones in any order, text with or without its header line, Parquet
deliveries, JSON lines, and the flow logs of transit gateways.

The fields: https://docs.aws.amazon.com/vpc/latest/userguide/flow-log-records.html
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from ocsflake.mapping import DelimitedText, EventMap, Fields, Mapper, apply, at, when

DEFAULT = (
    "version",
    "account-id",
    "interface-id",
    "srcaddr",
    "dstaddr",
    "srcport",
    "dstport",
    "protocol",
    "packets",
    "bytes",
    "start",
    "end",
    "action",
    "log-status",
)
LATER = (
    "vpc-id",
    "subnet-id",
    "instance-id",
    "tcp-flags",
    "type",
    "pkt-srcaddr",
    "pkt-dstaddr",
    "region",
    "az-id",
    "sublocation-type",
    "sublocation-id",
    "pkt-src-aws-service",
    "pkt-dst-aws-service",
    "flow-direction",
    "traffic-path",
    "ecs-cluster-arn",
    "ecs-cluster-name",
    "ecs-container-instance-arn",
    "ecs-container-instance-id",
    "ecs-container-id",
    "ecs-second-container-id",
    "ecs-service-name",
    "ecs-task-definition-arn",
    "ecs-task-arn",
    "ecs-task-id",
    "reject-reason",
    "resource-id",
    "encryption-status",
    "resource-type",
    "tgw-id",
    "tgw-attachment-id",
    "tgw-src-vpc-account-id",
    "tgw-dst-vpc-account-id",
    "tgw-src-vpc-id",
    "tgw-dst-vpc-id",
    "tgw-src-subnet-id",
    "tgw-dst-subnet-id",
    "tgw-src-eni",
    "tgw-dst-eni",
    "tgw-src-az-id",
    "tgw-dst-az-id",
    "tgw-pair-attachment-id",
    "packets-lost-no-route",
    "packets-lost-blackhole",
    "packets-lost-mtu-exceeded",
    "packets-lost-ttl-expired",
    "destination-port",
    "next-hop",
)
NAMES = frozenset({*DEFAULT, *LATER})

PATH = {str(number): number + 3 for number in range(1, 9)}
PROTOCOL = {"1": "icmp", "6": "tcp", "17": "udp", "41": "ipv6", "47": "gre", "50": "esp", "58": "ipv6-icmp"}


def ip_version(addresses: pa.Array) -> pa.Array:
    """Return 4 or 6, by the way addresses are written."""
    return pc.if_else(pc.match_substring(addresses, pattern=":"), 6, 4)


source = at("pkt-srcaddr").or_(at("srcaddr"))
destination = at("pkt-dstaddr").or_(at("dstaddr"))
inbound = at("flow-direction") == "ingress"
action = at("action")
transit = ~at("tgw-id").is_null()
seen_source = ~at("pkt-srcaddr").is_null() & (at("pkt-srcaddr") != at("srcaddr"))
seen_destination = ~at("pkt-dstaddr").is_null() & (at("pkt-dstaddr") != at("dstaddr"))
version = at("type").lookup({"IPv4": 4, "IPv6": 6}, default=99).or_(apply(ip_version, source))
# The interface is the destination of what comes in. A side without an address (NODATA, SKIPDATA) has no other name.
as_source = ~inbound | source.is_null()
as_destination = inbound | destination.is_null()

FIELDS: Fields = {
    "time": at("start").epoch("s"),
    "start_time": at("start").epoch("s"),
    "end_time": at("end").epoch("s"),
    "severity_id": 1,
    # A record of a transit gateway has no action: it says what was forwarded.
    "activity_id": action.lookup({"ACCEPT": 6, "REJECT": 5}, default=99).or_(
        when(transit & at("log-status").is_in(["OK"]), 6, 0)
    ),
    "action_id": action.lookup({"ACCEPT": 1, "REJECT": 2}, default=99).or_(0),
    "disposition_id": action.lookup({"ACCEPT": 1, "REJECT": 2}, default=99).or_(0),
    "status_code": at("log-status"),
    "status_detail": at("reject-reason"),
    "metadata.product.version": at("version"),
    "metadata.product.name": "Amazon VPC",
    "metadata.product.vendor_name": "AWS",
    "metadata.product.feature.name": "Flowlogs",
    "cloud.provider": "AWS",
    "cloud.account.uid": at("account-id").only_if(~at("account-id").is_in(["unknown"])),
    "cloud.region": at("region"),
    "cloud.zone": at("az-id"),
    "src_endpoint.ip": source,
    "src_endpoint.intermediate_ips": at("srcaddr").only_if(
        ~at("pkt-srcaddr").is_null() & (at("pkt-srcaddr") != at("srcaddr"))
    ),
    "src_endpoint.port": at("srcport"),
    "src_endpoint.svc_name": at("pkt-src-aws-service"),
    "src_endpoint.uid": at("tgw-attachment-id").only_if(source.is_null()),
    "src_endpoint.interface_uid": at("interface-id").only_if(as_source).or_(at("tgw-src-eni")),
    "src_endpoint.vpc_uid": at("vpc-id").only_if(as_source).or_(at("tgw-src-vpc-id")),
    "src_endpoint.subnet_uid": at("subnet-id").only_if(as_source).or_(at("tgw-src-subnet-id")),
    "src_endpoint.instance_uid": at("instance-id").only_if(as_source),
    "dst_endpoint.ip": destination,
    "dst_endpoint.intermediate_ips": at("dstaddr").only_if(
        ~at("pkt-dstaddr").is_null() & (at("pkt-dstaddr") != at("dstaddr"))
    ),
    "dst_endpoint.port": at("dstport"),
    "dst_endpoint.svc_name": at("pkt-dst-aws-service"),
    "dst_endpoint.uid": at("tgw-attachment-id").only_if(destination.is_null()),
    "dst_endpoint.interface_uid": at("interface-id").only_if(as_destination).or_(at("tgw-dst-eni")),
    "dst_endpoint.vpc_uid": at("vpc-id").only_if(as_destination).or_(at("tgw-dst-vpc-id")),
    "dst_endpoint.subnet_uid": at("subnet-id").only_if(as_destination).or_(at("tgw-dst-subnet-id")),
    "dst_endpoint.instance_uid": at("instance-id").only_if(as_destination),
    "connection_info.protocol_num": at("protocol"),
    "connection_info.protocol_name": at("protocol").lookup(PROTOCOL),
    "connection_info.protocol_ver": at("type"),
    "connection_info.protocol_ver_id": at("type")
    .lookup({"IPv4": 4, "IPv6": 6}, default=99)
    .or_(apply(ip_version, source)),
    "connection_info.tcp_flags": at("tcp-flags"),
    "connection_info.direction_id": at("flow-direction").lookup({"ingress": 1, "egress": 2}, default=99).or_(0),
    "connection_info.boundary_id": at("traffic-path").lookup(PATH, default=99),
    "traffic.packets": at("packets"),
    "traffic.bytes": at("bytes"),
}

MAPPER = Mapper(
    "aws.vpc_flow",
    title="AWS VPC Flow Logs",
    source_name="aws_vpc_flow",
    parse=DelimitedText(columns=DEFAULT, names=NAMES),
    null_words=("-",),
    # Equal addresses are kept once.
    events=[EventMap("network_activity", fields=FIELDS, consumes=("srcaddr", "dstaddr", "interface-id"))],
    unmapped=tuple(sorted(NAMES)),
)
