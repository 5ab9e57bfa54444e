"""Protocols, by name and by number."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ocsflake.mapping import Expr

__all__ = ["protocol_number"]

PROTOCOLS = {
    "icmp": "1",
    "igmp": "2",
    "tcp": "6",
    "udp": "17",
    "ipv6": "41",
    "gre": "47",
    "esp": "50",
    "ah": "51",
    "icmpv6": "58",
    "ipv6-icmp": "58",
    "sctp": "132",
}


def protocol_number(protocol: Expr) -> Expr:
    """Return the IANA number of a protocol that a log gives by its name, in any case, or as a number."""
    return protocol.lower().lookup(PROTOCOLS).or_(protocol.extract(r"^([0-9]{1,3})$"))
