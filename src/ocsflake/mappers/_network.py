"""Protocols and TCP flags, by name and by number."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ocsflake.mapping import Expr

__all__ = ["protocol_number"]

PROTOCOLS = {
    "ICMP": "1",
    "IGMP": "2",
    "TCP": "6",
    "UDP": "17",
    "IPV6": "41",
    "GRE": "47",
    "ESP": "50",
    "AH": "51",
    "IPV6-ICMP": "58",
    "ICMPV6": "58",
    "SCTP": "132",
}


def protocol_number(protocol: Expr) -> Expr:
    """Return the IANA number of a protocol that a log gives by its name in capitals, or as a number."""
    return protocol.lookup(PROTOCOLS).or_(protocol.extract(r"^([0-9]{1,3})$"))
