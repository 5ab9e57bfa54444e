"""Flows of Azure networks as Traffic Analytics sums them up, to Network Activity 4001.

Rows of the table ``NTANetAnalytics`` (of virtual network flow logs) and of its forerunner ``AzureNetworkAnalytics_CL``
(of flow logs of network security groups, schema version 2). A row counts the flows of ten minutes or an hour that have
the ends, the destination port, the protocol, the direction and the rule in common; there is no source port. A row that
stands for several public addresses becomes one event for each of them, with its own counts, so that each address is
found; what the row says of all of them together stays in ``unmapped``.

Flows with an address that Microsoft knows as malicious are alerts of medium severity (own rule). Flow types become
boundaries: ``S2S`` and ``P2S`` go through a gateway, the public ones are external.

The fields: https://learn.microsoft.com/azure/network-watcher/traffic-analytics-schema
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocsflake.mappers._network import protocol_number
from ocsflake.mappers.azure._flow_rows import ADDRESSES, FlowRows
from ocsflake.mappers.azure._flows import PROTOCOL, colons, ip_version, total
from ocsflake.mappers.azure._shapes import ENVELOPE, NULL_WORDS
from ocsflake.mapping import EventMap, Fields, Mapper, apply, at, when

if TYPE_CHECKING:
    from ocsflake.mapping import Expr

DIRECTION = {"Inbound": 1, "I": 1, "Outbound": 2, "O": 2}
STATUS = {"Allowed": 1, "A": 1, "Denied": 2, "D": 2}
ENTRY = ("address", "started", "ended", "packets_out", "packets_in", "bytes_out", "bytes_in")
"""The parts of what stands for one public address."""


def count(column: str, older: str) -> Expr:
    """Return a whole number; all numbers of the older table are reals."""
    return at(column, older).text().extract(r"^(-?[0-9]+)(?:\.0*)?$")


def public(part: str) -> Expr:
    """Return a part of what stands for the public address of a row."""
    place = ENTRY.index(part)
    return source.split("|", place).or_(destination.split("|", place))


source = at("SrcPublicIps", "SrcPublicIPs_s")
destination = at("DestPublicIps", "DestPublicIPs_s")
source_ip = at("SrcIp", "SrcIP_s").or_(source.split("|", 0))
destination_ip = at("DestIp", "DestIP_s").or_(destination.split("|", 0))
direction = at("FlowDirection", "FlowDirection_s")
inbound = direction.is_in(["Inbound", "I"])
status = at("FlowStatus", "FlowStatus_s")
denied = status.is_in(["Denied", "D"])
flow_type = at("FlowType", "FlowType_s")
malicious = flow_type.is_in(["MaliciousFlow"])
protocol = at("L4Protocol", "L4Protocol_s")
acl = at("AclGroup", "NsgList", "NSGList_s")
resource = at("FlowLogResourceId", "NSGList_s")
country = at("Country", "Country_s")
hardware = apply(colons, at("MacAddress", "MACAddress_s"))
source_region = at("SrcRegion", "Region1_s")
destination_region = at("DestRegion", "Region2_s")
source_account = at("SrcSubscription", "Subscription1_g")
destination_account = at("DestSubscription", "Subscription2_g")
boundary = when(
    flow_type.is_in(["InterVNet"]) & ~source_region.is_null() & ~destination_region.is_null(),
    when(source_region == destination_region, 7, 8),
    when(
        flow_type.is_in(["AzurePublic", "ExternalPublic", "MaliciousFlow"]),
        3,
        when(
            flow_type.is_in(["S2S", "P2S"]),
            6,
            when(
                flow_type.is_in(["InterVNet", "UnknownPrivate", "Unknown Private"]),
                2,
                when(flow_type.is_in(["IntraVNet"]), 4, 0),
            ),
        ),
    ),
)
packets_out = public("packets_out").or_(count("PacketsSrcToDest", "OutboundPackets_d"))
bytes_out = public("bytes_out").or_(count("BytesSrcToDest", "OutboundBytes_d"))
packets_in = public("packets_in").or_(count("PacketsDestToSrc", "InboundPackets_d"))
bytes_in = public("bytes_in").or_(count("BytesDestToSrc", "InboundBytes_d"))
begun = public("started").or_(
    when(
        denied,
        when(inbound, count("DeniedInFlows", "DeniedInFlows_d"), count("DeniedOutFlows", "DeniedOutFlows_d")),
        when(inbound, count("AllowedInFlows", "AllowedInFlows_d"), count("AllowedOutFlows", "AllowedOutFlows_d")),
    )
)


def end(endpoint: str, side: str, number: int) -> Fields:
    """Return what a row says of one end of a flow.

    Args:
        endpoint: The attribute.
        side: How the columns of this end begin.
        number: How those of the older table end.
    """
    machine = at(f"{side}Vm", f"VM{number}_s")
    subnet = at(f"{side}Subnet", f"Subnet{number}_s")
    return {
        f"{endpoint}.name": machine.extract("([^/]+)$"),
        f"{endpoint}.instance_uid": machine,
        f"{endpoint}.interface_uid": at(f"{side}Nic", f"NIC{number}_s"),
        f"{endpoint}.subnet_uid": subnet,
        f"{endpoint}.vpc_uid": subnet.extract("^(.+)/[^/]+$"),
    }


FIELDS: Fields = (
    end("src_endpoint", "Src", 1)
    | end("dst_endpoint", "Dest", 2)
    | {
        "time": at("FlowStartTime", "FlowStartTime_t", "FlowIntervalStartTime", "FlowIntervalStartTime_t"),
        "start_time": at("FlowStartTime", "FlowStartTime_t"),
        "end_time": at("FlowEndTime", "FlowEndTime_t"),
        "count": begun.only_if(begun != "0"),
        "severity_id": when(malicious, 3, 1),
        "is_alert": malicious.lookup({"true": True}),
        "activity_id": when(denied, 5, 6),
        "action_id": status.lookup(STATUS, default=99).or_(0),
        "disposition_id": status.lookup(STATUS, default=99).or_(0),
        "status_detail": at("FlowEncryption"),
        "app_name": at("L7Protocol", "L7Protocol_s"),
        "metadata.product.name": "Azure Network Watcher",
        "metadata.product.vendor_name": "Microsoft",
        "metadata.product.feature.name": "Traffic Analytics",
        "metadata.product.feature.uid": at("FlowLogResourceId"),
        "metadata.event_code": at("SubType", "SubType_s"),
        "metadata.log_name": at("Type"),
        "metadata.log_version": at("FaSchemaVersion", "FASchemaVersion_s").text(),
        "metadata.logged_time": at("TimeGenerated"),
        "metadata.processed_time": at("TimeProcessed", "TimeProcessed_t"),
        "cloud.provider": "Azure",
        "cloud.region": when(
            inbound, destination_region.or_(source_region), source_region.or_(destination_region)
        ).lower(),
        "cloud.account.uid": when(
            inbound, destination_account.or_(source_account), source_account.or_(destination_account)
        )
        .or_(resource.extract("^([^/]+)/"))
        .lower(),
        "cloud.account.type": "Azure Subscription",
        "cloud.account.type_id": 13,
        "src_endpoint.ip": source_ip,
        "src_endpoint.mac": hardware.only_if(~inbound),
        "src_endpoint.location.country": country.only_if(~source.is_null()),
        "dst_endpoint.ip": destination_ip,
        "dst_endpoint.port": count("DestPort", "DestPort_d"),
        "dst_endpoint.mac": hardware.only_if(inbound),
        "dst_endpoint.location.country": country.only_if(~destination.is_null()),
        "connection_info.direction_id": direction.lookup(DIRECTION, default=99).or_(0),
        "connection_info.boundary_id": boundary,
        "connection_info.protocol_num": protocol_number(protocol.lookup(PROTOCOL).or_(protocol)),
        "connection_info.protocol_name": protocol.lookup(PROTOCOL).or_(protocol.lower()),
        "connection_info.protocol_ver_id": apply(ip_version, source_ip.or_(destination_ip)),
        "traffic.packets_out": packets_out,
        "traffic.bytes_out": bytes_out,
        "traffic.packets_in": packets_in,
        "traffic.bytes_in": bytes_in,
        "traffic.packets": apply(total, packets_out, packets_in),
        "traffic.bytes": apply(total, bytes_out, bytes_in),
        "firewall_rule.name": at("AclRule", "NsgRule", "NSGRule_s"),
        "firewall_rule.uid": acl.only_if(acl.lower() != "unspecified"),
        "firewall_rule.type": at("NsgRuleType", "NSGRuleType_s"),
    }
)

MAPPER = Mapper(
    "azure.traffic_analytics",
    title="Azure Traffic Analytics",
    source_name="azure_traffic",
    parse=FlowRows(),
    null_words=NULL_WORDS,
    events=[EventMap("network_activity", fields=FIELDS, consumes=ADDRESSES)],
    unmapped=(
        *ENVELOPE,
        *ADDRESSES,
        "ApplicationGateway1_s",
        "ApplicationGateway2_s",
        "AzureRegion",
        "AzureRegion_s",
        "CompletedFlows",
        "CompletedFlows_d",
        "ConnectingVnets",
        "ConnectingVNets_s",
        "ConnectionName",
        "ConnectionName_s",
        "ConnectionType",
        "ConnectionType_s",
        "DestApplicationGateway",
        "DestExpressRouteCircuit",
        "DestLoadBalancer",
        "DestLocalNetworkGateway",
        "ExpressRouteCircuit1_s",
        "ExpressRouteCircuit2_s",
        "ExpressRouteCircuitPeeringType",
        "ExpressRouteCircuitPeeringType_s",
        "FlowCount_d",
        "FlowIntervalEndTime",
        "FlowIntervalEndTime_t",
        "IsFlowCapturedAtUdrHop",
        "IsFlowCapturedAtUDRHop_b",
        "LoadBalancer1_s",
        "LoadBalancer2_s",
        "LocalNetworkGateway1_s",
        "LocalNetworkGateway2_s",
        "PrivateEndpointResourceId",
        "PrivateLinkResourceId",
        "PrivateLinkResourceName",
        "SrcApplicationGateway",
        "SrcExpressRouteCircuit",
        "SrcLoadBalancer",
        "SrcLocalNetworkGateway",
        "SrcPorts",
        "Status",
        "TargetResourceId",
        "TargetResourceType",
        "_BilledSize",
        "_IsBillable",
        "_ItemId",
    ),
)
