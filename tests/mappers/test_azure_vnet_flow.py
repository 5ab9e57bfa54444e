"""Flow logs of Azure virtual networks: what a tuple of version 4 means."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sample_events import events, lines, raw_batches

from ocsflake import mapper, samples
from ocsflake.model import RawBatch

SUBSCRIPTION = "/SUBSCRIPTIONS/3D5F7A90-1C2E-4B68-9A0C-5E7D9F1B2A34"
NETWORK = f"{SUBSCRIPTION}/resourceGroups/shop/providers/Microsoft.Network/virtualNetworks/vnet-shop"


def event_of(flow: str, version: str = "1.8.0", acl: str = "/x/nsg", **more: Any) -> dict[str, Any]:
    record = {
        "time": "2026-11-17T08:01:00.1234567Z",
        "macAddress": "000D3A0A0B01",
        "category": "FlowLogFlowEvent",
        "flowLogResourceID": f"{SUBSCRIPTION}/RESOURCEGROUPS/NW/PROVIDERS/X/FLOWLOGS/Y",
        "targetResourceID": NETWORK,
        "flowLogVersion": 4,
        "flowRecords": {"flows": [{"aclID": acl, "flowGroups": [{"rule": "UserRule_a", "flowTuples": [flow]}]}]},
        **more,
    }
    (found,) = events(RawBatch(json.dumps(record).encode()), "azure.vnet_flow", version)
    return found


@pytest.mark.parametrize(
    ("state", "activity", "action"),
    [
        ("B", "Open", "Allowed"),
        ("C", "Traffic", "Allowed"),
        ("E", "Close", "Allowed"),
        ("D", "Refuse", "Denied"),
    ],
)
def test_states(state: str, activity: str, action: str) -> None:
    """A flow that ends was closed, not reset; one that is denied was refused."""
    event = event_of(f"1794902401250,192.0.2.1,10.0.0.4,1,443,6,I,{state},NX,0,0,0,0")

    assert (event["activity_name"], event["action"]) == (activity, action)


def test_milliseconds() -> None:
    """Tuples count milliseconds."""
    event = event_of("1794902401250,192.0.2.1,10.0.0.4,1,443,6,I,B,NX,0,0,0,0")

    assert event["time_dt"] == "2026-11-17T08:00:01.250Z"


@pytest.mark.parametrize(("number", "name"), [(6, "tcp"), (17, "udp"), (1, "icmp"), (58, "ipv6-icmp"), (132, None)])
def test_protocols(number: int, name: str | None) -> None:
    """Protocols are IANA's numbers; well-known ones get their names."""
    info = event_of(f"1794902401250,192.0.2.1,10.0.0.4,0,0,{number},I,B,NX,0,0,0,0")["connection_info"]

    assert (info["protocol_num"], info.get("protocol_name")) == (number, name)


@pytest.mark.parametrize(
    ("below", "attribute"),
    [
        ("", "vpc_uid"),
        ("/subnets/data", "subnet_uid"),
        ("/providers/Microsoft.Network/networkInterfaces/n", "interface_uid"),
    ],
)
def test_what_is_observed(below: str, attribute: str) -> None:
    """A network, a subnet and an interface are what their names say, on the inner side."""
    event = event_of("1794902401250,192.0.2.1,10.0.0.4,1,443,6,I,B,NX,0,0,0,0", targetResourceID=NETWORK + below)
    places = {"vpc_uid", "subnet_uid", "interface_uid"} & event["dst_endpoint"].keys()

    assert places == {attribute}
    assert event["dst_endpoint"][attribute] == NETWORK + below
    assert not {"vpc_uid", "subnet_uid", "interface_uid", "mac"} & event["src_endpoint"].keys()


def test_encryption_is_kept() -> None:
    """Why a flow is not encrypted is its status detail."""
    event = event_of("1794902401250,192.0.2.1,10.0.0.4,1,443,6,I,B,NX_HW_NOT_SUPPORTED,0,0,0,0")

    assert event["status_detail"] == "NX_HW_NOT_SUPPORTED"


def test_an_unspecified_list_is_no_list() -> None:
    """A rule without a network security group has no id; the word stays."""
    named = event_of("1794902401250,192.0.2.1,10.0.0.4,1,443,6,I,B,NX,0,0,0,0")
    event = event_of("1794902401250,192.0.2.1,10.0.0.4,1,443,6,I,B,NX,0,0,0,0", acl="unspecified")

    assert named["firewall_rule"] == {"name": "UserRule_a", "uid": "/x/nsg"}
    assert event["firewall_rule"] == {"name": "UserRule_a"}
    assert event["unmapped"] == {"flowRecords.flows[].aclID": "unspecified"}


def test_the_account_is_the_subscription() -> None:
    """The subscription of the flow log is the account; its type is named before OCSF 1.4."""
    account = event_of("1794902401250,192.0.2.1,10.0.0.4,1,443,6,I,B,NX,0,0,0,0", "1.3.0")["cloud"]["account"]

    assert account == {
        "uid": "3d5f7a90-1c2e-4b68-9a0c-5e7d9f1b2a34",
        "type": "Azure Subscription",
        "type_id": 99,
    }


def test_equal_events_in_both_shapes() -> None:
    """A blob and Event Hubs give the same events."""
    blob, hub = (
        lines(mapper("azure.vnet_flow").map_batches(raw_batches([path])), "1.1.0")
        for path in samples.files("azure.vnet_flow")
    )

    assert blob == hub
