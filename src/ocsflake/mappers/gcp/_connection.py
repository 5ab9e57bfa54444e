"""Connections and the virtual machines at their ends, as VPC Flow Logs and Firewall Rules Logging write them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocsflake.mappers.gcp._countries import COUNTRIES
from ocsflake.mappers.gcp._entry import whole
from ocsflake.mapping import Fields, at

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocsflake.mapping import Expr

__all__ = ["CONNECTION", "instance", "location", "network"]

CONNECTION: Fields = {
    "src_endpoint.ip": at("jsonPayload.connection.src_ip"),
    "src_endpoint.port": whole(at("jsonPayload.connection.src_port")),
    "dst_endpoint.ip": at("jsonPayload.connection.dest_ip"),
    "dst_endpoint.port": whole(at("jsonPayload.connection.dest_port")),
    "connection_info.protocol_num": whole(at("jsonPayload.connection.protocol")),
}


def instance(endpoint: str, find: Callable[[str], Expr]) -> Fields:
    """Return the fields of an endpoint that a virtual machine gives.

    Args:
        endpoint: The endpoint of OCSF.
        find: Returns what is at a path of the machine, such as ``vm_name``.
    """
    return {
        f"{endpoint}.name": find("vm_name"),
        f"{endpoint}.zone": find("zone"),
        f"{endpoint}.owner.account.uid": find("project_id"),
    }


def network(endpoint: str, find: Callable[[str], Expr]) -> Fields:
    """Return the fields of an endpoint that its VPC network gives."""
    return {f"{endpoint}.vpc_uid": find("vpc_name"), f"{endpoint}.subnet_uid": find("subnetwork_name")}


def location(endpoint: str, find: Callable[[str], Expr]) -> Fields:
    """Return the fields of an endpoint that its place on earth gives; countries come as three letters."""
    return {
        f"{endpoint}.location.city": find("city"),
        f"{endpoint}.location.continent": find("continent"),
        f"{endpoint}.location.country": find("country").lower().lookup(COUNTRIES),
        f"{endpoint}.location.region": find("region"),
        f"{endpoint}.autonomous_system.number": whole(find("asn")),
    }
