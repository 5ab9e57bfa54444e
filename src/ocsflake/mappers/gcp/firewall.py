"""Google Cloud firewall logs to Network Activity 4001.

VPC firewall rules and the rules of firewall policies: a connection that was allowed, denied, or intercepted for a
closer look by Cloud NGFW. ``instance`` is the virtual machine that the rule holds for: the destination of what comes
in, the source of what goes out.

The fields: https://docs.cloud.google.com/firewall/docs/firewall-rules-logging and
https://docs.cloud.google.com/firewall/docs/firewall-policy-log-format
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocsflake.mappers.gcp._connection import CONNECTION, instance, location, network
from ocsflake.mappers.gcp._entry import ENTRIES, ENTRY, UNMAPPED
from ocsflake.mapping import EventMap, Fields, Mapper, at

if TYPE_CHECKING:
    from ocsflake.mapping import Expr

direction = at("jsonPayload.rule_details.direction")
outbound = direction == "EGRESS"
disposition = at("jsonPayload.disposition")
reference = at("jsonPayload.rule_details.reference")


def _end(endpoint: str, local: Expr) -> Fields:
    """Return the fields of an endpoint, which is the rule's own machine where `local` holds, else the other end."""

    def side(what: str, name: str) -> Expr:
        own, other = at(f"jsonPayload.{what}.{name}"), at(f"jsonPayload.remote_{what}.{name}")
        return own.only_if(local).or_(other.only_if(~local))

    def place(name: str) -> Expr:
        return at(f"jsonPayload.remote_location.{name}").only_if(~local)

    return (
        instance(endpoint, lambda name: side("instance", name))
        | network(endpoint, lambda name: side("vpc", name))
        | location(endpoint, place)
    )


FIELDS: Fields = (
    ENTRY
    | CONNECTION
    | _end("src_endpoint", outbound)
    | _end("dst_endpoint", ~outbound)
    | {
        "activity_id": disposition.lookup({"ALLOWED": 1, "DENIED": 5, "INTERCEPTED": 1}, default=99).or_(0),
        "action_id": disposition.lookup({"ALLOWED": 1, "DENIED": 2, "INTERCEPTED": 1}, default=99).or_(0),
        "disposition_id": disposition.lookup({"ALLOWED": 1, "DENIED": 2}, default=99).or_(0),
        "metadata.product.name": "Cloud Next Generation Firewall",
        "connection_info.direction_id": direction.lookup({"INGRESS": 1, "EGRESS": 2}, default=99).or_(0),
        "firewall_rule.uid": reference,
        "firewall_rule.name": reference.extract(r"(?:firewall|firewallPolicy):([^/]+)$"),
        "firewall_rule.type": at("jsonPayload.rule_details.action"),
        "load_balancer.name": at("jsonPayload.load_balancer_details.forwarding_rule_name"),
    }
)

MAPPER = Mapper(
    "gcp.firewall",
    title="Google Cloud firewall rules",
    source_name="gcp_firewall",
    parse=ENTRIES,
    events=[EventMap("network_activity", fields=FIELDS)],
    unmapped=(*UNMAPPED, "jsonPayload.*", "resource.type"),
)
