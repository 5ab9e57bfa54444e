"""Flow logs of Azure network security groups: what a tuple means, in both versions."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sample_events import events, lines, raw_batches

from ocsflake import mapper, samples
from ocsflake.model import RawBatch

NSG = "/SUBSCRIPTIONS/3D5F7A90-1C2E-4B68-9A0C-5E7D9F1B2A34/RESOURCEGROUPS/SHOP/PROVIDERS/MICROSOFT.NETWORK/X/NSG"


def record(*tuples: str, **more: Any) -> dict[str, Any]:
    flows = [{"rule": "DefaultRule_X", "flows": [{"mac": "000D3A0A0B01", "flowTuples": list(tuples)}]}]
    return {
        "time": "2026-11-17T08:01:00.1234567Z",
        "macAddress": "000D3A0A0B01",
        "category": "NetworkSecurityGroupFlowEvent",
        "resourceId": NSG,
        "properties": {"Version": 2, "flows": flows},
        **more,
    }


def event_of(flow: str, version: str = "1.8.0", **more: Any) -> dict[str, Any]:
    (found,) = events(RawBatch(json.dumps(record(flow, **more)).encode()), "azure.nsg_flow", version)
    return found


@pytest.mark.parametrize(
    ("decision", "activity", "action", "disposition"),
    [
        ("A,B,,,,", "Open", "Allowed", "Allowed"),
        ("A,C,1,74,2,148", "Traffic", "Allowed", "Allowed"),
        ("A,E,1,74,2,148", "Close", "Allowed", "Allowed"),
        ("D,B,,,,", "Refuse", "Denied", "Blocked"),
        ("D,E,0,0,0,0", "Refuse", "Denied", "Blocked"),
        ("A", "Traffic", "Allowed", "Allowed"),
        ("D", "Refuse", "Denied", "Blocked"),
        ("A,Q,,,,", "Q", "Allowed", "Allowed"),
    ],
)
def test_decision_and_state(decision: str, activity: str, action: str, disposition: str) -> None:
    """A state says what happens to a flow; a denied flow is refused whatever its state; version 1 has no states."""
    event = event_of(f"1794902401,192.0.2.1,10.0.0.4,1,443,T,I,{decision}")

    assert (event["activity_name"], event["action"], event["disposition"]) == (activity, action, disposition)


def test_seconds() -> None:
    """Tuples count seconds; the time of the record is when it was logged."""
    event = event_of("1794902401,192.0.2.1,10.0.0.4,1,443,T,I,A,B,,,,")

    assert event["time_dt"] == "2026-11-17T08:00:01.000Z"
    assert event["metadata"]["logged_time_dt"] == "2026-11-17T08:01:00.123Z"


def test_counters() -> None:
    """Counters of both directions and their sums; none where the tuple has none."""
    event = event_of("1794902401,192.0.2.1,10.0.0.4,1,443,T,I,A,C,1,74,2,148")
    opened = event_of("1794902401,192.0.2.1,10.0.0.4,1,443,T,I,A,B,,,,")

    assert event["traffic"] == {
        "packets_out": 1,
        "bytes_out": 74,
        "packets_in": 2,
        "bytes_in": 148,
        "packets": 3,
        "bytes": 222,
    }
    assert "traffic" not in opened


@pytest.mark.parametrize(("direction", "inside", "outside"), [("I", "dst", "src"), ("O", "src", "dst")])
def test_the_interface_is_on_the_inner_side(direction: str, inside: str, outside: str) -> None:
    """The hardware address is that of the destination of what comes in, of the source of what goes out."""
    event = event_of(f"1794902401,192.0.2.1,192.0.2.2,1,443,T,{direction},A,B,,,,")

    assert event[f"{inside}_endpoint"]["mac"] == "00:0D:3A:0A:0B:01"
    assert "mac" not in event[f"{outside}_endpoint"]
    assert event["connection_info"]["direction_id"] == "IO".index(direction) + 1


@pytest.mark.parametrize(("letter", "number"), [("T", 6), ("U", 17), ("47", 47)])
def test_protocols(letter: str, number: int) -> None:
    """T is TCP, U is UDP, a number is one of IANA's."""
    assert event_of(f"1794902401,192.0.2.1,192.0.2.2,1,443,{letter},I,A")["connection_info"]["protocol_num"] == number


def test_ipv6() -> None:
    """An IPv6 flow has its version."""
    event = event_of("1794902401,2001:db8::1,2001:db8::2,1,443,T,O,A,B,,,,")

    assert event["src_endpoint"]["ip"] == "2001:db8::1"
    assert event["connection_info"]["protocol_ver_id"] == 6


def test_the_account_is_the_subscription() -> None:
    """The subscription in the resource id, in lower case, is the account; it has a type of its own from 1.4 on."""
    flow = "1794902401,192.0.2.1,10.0.0.4,1,443,T,I,A"
    new, old = event_of(flow), event_of(flow, "1.1.0")

    assert new["cloud"]["account"]["uid"] == "3d5f7a90-1c2e-4b68-9a0c-5e7d9f1b2a34"
    assert (new["cloud"]["account"]["type_id"], old["cloud"]["account"]["type_id"]) == (13, 99)
    assert old["cloud"]["account"]["type"] == "Azure Subscription"


def test_one_record_many_events() -> None:
    """Every tuple is an event; the record is counted once."""
    raw = record("1794902401,192.0.2.1,10.0.0.4,1,443,T,I,A", "1794902402,192.0.2.1,10.0.0.4,2,443,T,I,A")
    mapped = mapper("azure.nsg_flow").map(RawBatch(json.dumps({"records": [raw]}).encode()))

    assert (mapped.records, mapped.mapped, sum(batch.events.num_rows for batch in mapped.batches)) == (1, 1, 2)


@pytest.mark.parametrize(
    "flows", [[], [{"rule": "r", "flows": []}], [{"rule": "r", "flows": [{"mac": "000D3A0A0B01", "flowTuples": []}]}]]
)
def test_a_record_of_a_minute_without_flows(flows: list[Any]) -> None:
    """A record whose lists are empty saw no flow: it is skipped, and what lies beside it is mapped."""
    seen, empty = record("1794902401,192.0.2.1,10.0.0.4,1,443,T,I,A"), record()
    empty["properties"]["flows"] = flows
    mapped = mapper("azure.nsg_flow").map(RawBatch(json.dumps({"records": [empty, seen, empty]}).encode()))

    assert (mapped.records, mapped.mapped, mapped.rejects.num_rows) == (1, 1, 0)
    assert mapped.skipped == {"record without events": 2}


@pytest.mark.parametrize("properties", [{}, {"flows": None}, {"flows": [{"rule": "r"}]}, {"flows": [7]}])
def test_a_record_without_a_list_of_flows(properties: dict[str, Any]) -> None:
    """A record that has no list where flows are due is another record, and a reject."""
    mapped = mapper("azure.nsg_flow").map(RawBatch(json.dumps(record() | {"properties": properties}).encode()))

    assert (mapped.records, mapped.mapped, mapped.rejects.num_rows, mapped.skipped) == (1, 0, 1, {})


def test_a_tuple_without_a_time_rejects_its_record() -> None:
    """A record that holds what is no tuple is kept whole, as a reject that names the attribute."""
    raw = record("1794902401,192.0.2.1,10.0.0.4,1,443,T,I,A", "yesterday,192.0.2.1,10.0.0.4,2,443,T,I,A")
    mapped = mapper("azure.nsg_flow").map(RawBatch(json.dumps(raw).encode()))
    (reject,) = mapped.rejects.to_pylist()

    assert (mapped.records, mapped.mapped) == (1, 0)
    assert reject["attribute"] == "time"


def test_equal_events_in_both_shapes() -> None:
    """A blob and Event Hubs give the same events."""
    found = [
        lines(mapper("azure.nsg_flow").map_batches(raw_batches([path])), "1.1.0")
        for path in samples.files("azure.nsg_flow")
        if not path.name.startswith("v1")
    ]

    assert len(found) == 2
    assert found[0] == found[1]
