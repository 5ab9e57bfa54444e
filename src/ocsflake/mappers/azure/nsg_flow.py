"""Azure network security group flow logs to Network Activity 4001; one event for each flow tuple.

Versions 1 and 2, as Network Watcher writes them to storage (``PT1H.json``, one record for each network interface and
minute) or as they pass through Event Hubs. Version 1 only says what was allowed or denied; version 2 says when a flow
begins, goes on and ends, and counts. A denied flow is one that was refused, whatever its state.

The fields: https://learn.microsoft.com/azure/network-watcher/nsg-flow-logs-overview
"""

from __future__ import annotations

from ocsflake.mappers.azure._flows import flow_fields, part
from ocsflake.mappers.azure._shapes import NULL_WORDS
from ocsflake.mapping import EventMap, Fields, JsonRecords, Mapper, at, when

TUPLES = "properties.flows[].flows[].flowTuples[]"

decision, state = part(TUPLES, 7), part(TUPLES, 8)
resource = at("resourceId")

FIELDS: Fields = flow_fields(
    TUPLES,
    state=state.or_(when(decision.is_in(["A"]), "C", decision)),
    denied=decision == "D",
    hardware=at("properties.flows[].flows[].mac", "macAddress"),
    observed=at("targetResourceID"),
    resource=resource,
) | {
    "action_id": decision.lookup({"A": 1, "D": 2}, default=99).or_(0),
    "disposition_id": decision.lookup({"A": 1, "D": 2}, default=99).or_(0),
    "metadata.log_name": at("systemId"),
    "metadata.log_version": at("properties.Version").text(),
    "firewall_rule.name": at("properties.flows[].rule"),
}

MAPPER = Mapper(
    "azure.nsg_flow",
    title="Azure NSG flow logs",
    source_name="azure_nsg_flow",
    parse=JsonRecords(unwrap=("records",), explode=TUPLES),
    null_words=NULL_WORDS,
    # The interface of a record is that of each of its flows.
    events=[EventMap("network_activity", fields=FIELDS, consumes=(TUPLES, "macAddress"))],
)
