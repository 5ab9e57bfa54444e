"""Addresses as logs write them: ``192.0.2.1:443``, ``[2001:db8::1]:443``, ``[2001:db8::1]``, ``fe80::1%eth0``, bare."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ocsflake.mapping import Expr

__all__ = ["host", "port"]


def host(address: Expr) -> Expr:
    """Return the address without brackets, port and zone; what is no address stays as it is."""
    return address.extract(r"^\[([0-9A-Fa-f:.]+)(?:%[^\]]*)?\](?::[0-9]+)?$").or_(
        address.extract(r"^([0-9]+\.[0-9]+\.[0-9]+\.[0-9]+):[0-9]+$"),
        address.extract(r"^([0-9A-Fa-f:.]+)%"),
        address,
    )


def port(address: Expr) -> Expr:
    """Return the port behind an address; null where there is none."""
    return address.extract(r"^(?:\[[^\]]+\]|[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+):([0-9]{1,5})$")
