"""Azure virtual network flow logs to Network Activity 4001; one event for each flow tuple.

Version 4, as Network Watcher writes it to storage (``PT1H.json``) or as it passes through Event Hubs; flow logs of
virtual networks, of subnets and of single interfaces. Why a flow is not encrypted, which the tuple says too, is its
status detail.

The fields: https://learn.microsoft.com/azure/network-watcher/vnet-flow-logs-overview
"""

from __future__ import annotations

from ocsflake.mappers.azure._flows import flow_fields, part
from ocsflake.mappers.azure._shapes import NULL_WORDS
from ocsflake.mapping import EventMap, Fields, JsonRecords, Mapper, at

TUPLES = "flowRecords.flows[].flowGroups[].flowTuples[]"

state = part(TUPLES, 7)
acl = at("flowRecords.flows[].aclID")

FIELDS: Fields = flow_fields(
    TUPLES,
    state=state,
    denied=state == "D",
    hardware=at("macAddress"),
    observed=at("targetResourceID"),
    resource=at("flowLogResourceID"),
) | {
    "status_detail": part(TUPLES, 8),
    "metadata.log_name": at("flowLogGUID"),
    "metadata.log_version": at("flowLogVersion").text(),
    "firewall_rule.name": at("flowRecords.flows[].flowGroups[].rule"),
    "firewall_rule.uid": acl.only_if(acl != "unspecified"),
}

MAPPER = Mapper(
    "azure.vnet_flow",
    title="Azure virtual network flow logs",
    source_name="azure_vnet_flow",
    parse=JsonRecords(unwrap=("records",), explode=TUPLES),
    null_words=NULL_WORDS,
    events=[EventMap("network_activity", fields=FIELDS, consumes=(TUPLES,))],
)
