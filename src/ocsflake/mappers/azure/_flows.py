"""Flow tuples, such as ``1794902401,10.1.0.4,192.0.2.7,35620,443,T,O,A,B,,,,``: one connection, seen once."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from ocsflake.mappers._network import protocol_number
from ocsflake.mappers.azure._shapes import subscription
from ocsflake.mapping import Expr, Fields, apply, at, when
from ocsflake.mapping.values import whole_numbers

__all__ = ["PROTOCOL", "colons", "flow_fields", "ip_version", "part", "total"]

PROTOCOL = {"T": "tcp", "U": "udp", "1": "icmp", "6": "tcp", "17": "udp", "47": "gre", "50": "esp", "58": "ipv6-icmp"}
_OCTET = "([0-9A-Fa-f]{2})[:-]?"


def colons(addresses: pa.Array) -> pa.Array:
    r"""Return hardware addresses with a colon between octets, which logs write without."""
    pattern, parted = f"^{_OCTET * 6}$", ":".join(rf"\{place}" for place in range(1, 7))
    return pc.replace_substring_regex(addresses.cast(pa.string()), pattern=pattern, replacement=parted)


def ip_version(addresses: pa.Array) -> pa.Array:
    """Return 4 or 6, by the way addresses are written."""
    return pc.if_else(pc.match_substring(addresses.cast(pa.string()), pattern=":"), 6, 4)


def total(sent: pa.Array, received: pa.Array) -> pa.Array:
    """Return the sums of counts; null where neither is known."""
    sent, received = whole_numbers(sent.cast(pa.string())), whole_numbers(received.cast(pa.string()))
    return pc.if_else(
        pc.and_(sent.is_null(), received.is_null()),
        pa.scalar(None, pa.int64()),
        pc.add(pc.fill_null(sent, 0), pc.fill_null(received, 0)),
    )


def part(tuples: str, place: int) -> Expr:
    """Return one part of the tuples at a raw path; null where it is empty or absent."""
    return at(tuples).extract(rf"^(?:[^,]*,){{{place}}}([^,]+)")


def flow_fields(tuples: str, *, state: Expr, denied: Expr, hardware: Expr, observed: Expr, resource: Expr) -> Fields:
    """Return the fields of Network Activity 4001 that a flow tuple and its record fill.

    Versions 1 and 2 count seconds since 1970, version 4 milliseconds, which have three digits more. The four counters
    are the last parts: packets and bytes from the source, then to it. They count since the tuple before: sum them.

    Args:
        tuples: The raw path of the tuples.
        state: ``B`` for a flow that begins, ``C`` for one that goes on, ``E`` for one that ends.
        denied: Whether the flow was denied.
        hardware: The address of the network interface that saw the flow: the destination of what comes in.
        observed: The virtual network, subnet or interface that the log is of, on the same side.
        resource: The resource whose subscription the flow belongs to.
    """
    stamp, protocol, inbound = part(tuples, 0), part(tuples, 5), part(tuples, 6) == "I"
    packets_out, bytes_out, packets_in, bytes_in = (part(tuples, place) for place in range(9, 13))
    time = stamp.extract("^([0-9]{12,14})$").epoch("ms").or_(stamp.extract("^([0-9]{1,11})$").epoch("s"))
    kind = observed.lower().extract("/(virtualnetworks|subnets)/[^/]+$")
    place = {
        "vpc_uid": observed.only_if(kind == "virtualnetworks"),
        "subnet_uid": observed.only_if(kind == "subnets"),
        "interface_uid": observed.only_if(kind.is_null()),
        "mac": apply(colons, hardware),
    }
    return {
        "time": time,
        "severity_id": 1,
        "activity_id": when(denied, 5, state.lookup({"B": 1, "C": 6, "E": 2}, default=99)).or_(0),
        "action_id": when(denied, 2, 1),
        "disposition_id": when(denied, 2, 1),
        "metadata.product.name": "Azure Network Watcher",
        "metadata.product.vendor_name": "Microsoft",
        "metadata.product.feature.name": at("category"),
        "metadata.product.feature.uid": resource,
        "metadata.event_code": at("operationName"),
        "metadata.logged_time": at("time"),
        "cloud.provider": "Azure",
        "cloud.account.uid": subscription(resource),
        "cloud.account.type": "Azure Subscription",
        "cloud.account.type_id": 13,
        "src_endpoint.ip": part(tuples, 1),
        "src_endpoint.port": part(tuples, 3),
        **{f"src_endpoint.{name}": value.only_if(~inbound) for name, value in place.items()},
        "dst_endpoint.ip": part(tuples, 2),
        "dst_endpoint.port": part(tuples, 4),
        **{f"dst_endpoint.{name}": value.only_if(inbound) for name, value in place.items()},
        "connection_info.direction_id": part(tuples, 6).lookup({"I": 1, "O": 2}, default=99).or_(0),
        "connection_info.protocol_num": protocol_number(protocol.lookup(PROTOCOL).or_(protocol)),
        "connection_info.protocol_name": protocol.lookup(PROTOCOL),
        "connection_info.protocol_ver_id": apply(ip_version, part(tuples, 1)),
        "traffic.packets_out": packets_out,
        "traffic.bytes_out": bytes_out,
        "traffic.packets_in": packets_in,
        "traffic.bytes_in": bytes_in,
        "traffic.packets": apply(total, packets_out, packets_in),
        "traffic.bytes": apply(total, bytes_out, bytes_in),
    }
