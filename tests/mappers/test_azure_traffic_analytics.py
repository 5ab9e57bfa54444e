"""Traffic Analytics: what the sum of flows in a row means, and what becomes of rows for several addresses."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest
from azure_events import differences, event_of
from sample_events import events, lines, raw_batches

from ocsflake import mapper, samples
from ocsflake.model import RawBatch
from ocsflake.testing.raw_leaves import lost, read_json

LOG_TYPE = "azure.traffic_analytics"
SUBSCRIPTION = "3d5f7a90-1c2e-4b68-9a0c-5e7d9f1b2a34"
ROW = {
    "TimeGenerated": "2026-11-17T09:21:44.3712087Z",
    "SubType": "FlowLog",
    "FlowStartTime": "2026-11-17T08:00:01Z",
    "FlowEndTime": "2026-11-17T08:58:40Z",
    "FlowType": "IntraVNet",
    "SrcIp": "10.20.1.4",
    "DestIp": "10.20.2.4",
    "DestPort": 443,
    "L4Protocol": "T",
    "FlowDirection": "Inbound",
    "FlowStatus": "Allowed",
    "AllowedInFlows": 3,
    "DeniedInFlows": 0,
    "BytesSrcToDest": 500,
    "BytesDestToSrc": 7000,
    "DestSubscription": SUBSCRIPTION,
    "Type": "NTANetAnalytics",
}
TWO = "203.0.113.9|4|3|40|52|3100|88000 198.51.100.7|1|1|9|8|700|900"


def row_event(**columns: Any) -> dict[str, Any]:
    return event_of(LOG_TYPE, {**ROW, **columns})


def batch(*rows: dict[str, Any]) -> RawBatch:
    return RawBatch("\n".join(json.dumps({**ROW, **columns}) for columns in rows).encode())


def file_events(name: str) -> list[dict[str, Any]]:
    (path,) = (path for path in samples.files(LOG_TYPE) if path.name == name)
    return [*map(json.loads, lines(mapper(LOG_TYPE).map_batches(raw_batches([path])), "1.1.0"))]


@pytest.mark.parametrize(
    ("status", "activity", "action_id"),
    [("Allowed", "Traffic", 1), ("A", "Traffic", 1), ("Denied", "Refuse", 2), ("D", "Refuse", 2), ("", "Traffic", 0)],
)
def test_statuses(status: str, activity: str, action_id: int) -> None:
    """What was denied was refused; both tables' words are known, and none says nothing."""
    event = row_event(FlowStatus=status)

    assert (event["activity_name"], event["action_id"]) == (activity, action_id)


@pytest.mark.parametrize(("word", "direction", "end"), [("Inbound", 1, "dst"), ("O", 2, "src")])
def test_directions(word: str, direction: int, end: str) -> None:
    """The interface is the destination of what comes in; the subscription is the one at that end."""
    event = row_event(FlowDirection=word, MacAddress="00-0D-3A-0A-0B-01", SrcSubscription="OTHER")

    assert event["connection_info"]["direction_id"] == direction
    assert [name for name in ("src", "dst") if "mac" in event[f"{name}_endpoint"]] == [end]
    assert event["cloud"]["account"]["uid"] == (SUBSCRIPTION if end == "dst" else "other")


@pytest.mark.parametrize(
    ("flow_type", "regions", "boundary_id"),
    [
        ("IntraVNet", ("a", "a"), 4),
        ("InterVNet", ("a", "a"), 7),
        ("InterVNet", ("a", "b"), 8),
        ("InterVNet", ("a", None), 2),
        ("S2S", (None, "a"), 6),
        ("P2S", (None, "a"), 6),
        ("AzurePublic", (None, "a"), 3),
        ("ExternalPublic", (None, "a"), 3),
        ("MaliciousFlow", (None, "a"), 3),
        ("UnknownPrivate", (None, "a"), 2),
        ("Unknown", (None, None), 0),
    ],
)
def test_boundaries(flow_type: str, regions: tuple[Any, Any], boundary_id: int) -> None:
    """A flow type says what a flow crosses; the word itself is kept."""
    event = row_event(FlowType=flow_type, SrcRegion=regions[0], DestRegion=regions[1])

    assert event["connection_info"]["boundary_id"] == boundary_id
    assert event["unmapped"]["FlowType"] == flow_type


def test_malicious() -> None:
    """A flow with an address that is known as malicious is an alert."""
    assert (row_event()["severity"], row_event().get("is_alert")) == ("Informational", None)

    event = row_event(FlowType="MaliciousFlow")

    assert (event["severity"], event["is_alert"]) == ("Medium", True)


def test_counts() -> None:
    """Counts are of the row: what its source sent goes out, what it got comes in."""
    event = row_event(FlowStatus="Denied", DeniedInFlows=12)

    assert event["traffic"] == {"bytes": 7500, "bytes_in": 7000, "bytes_out": 500}
    assert event["count"] == 12
    assert event["unmapped"]["AllowedInFlows"] == "3"


@pytest.mark.parametrize(("side", "end"), [("Src", "src_endpoint"), ("Dest", "dst_endpoint")])
def test_several_addresses(side: str, end: str) -> None:
    """Each public address has its event, with its own counts; how many of its flows ended is kept."""
    other = {"SrcIp": "", "DestIp": "10.20.1.4"} if side == "Src" else {"SrcIp": "10.20.1.4", "DestIp": ""}
    found = events(batch({**other, f"{side}PublicIps": TWO, "Country": "PT"}), LOG_TYPE, "1.1.0")

    assert [(event[end]["ip"], event[end]["location"]["country"], event["count"]) for event in found] == [
        ("203.0.113.9", "PT", 4),
        ("198.51.100.7", "PT", 1),
    ]
    assert found[0]["traffic"] == {
        "bytes": 91100,
        "bytes_in": 88000,
        "bytes_out": 3100,
        "packets": 92,
        "packets_in": 52,
        "packets_out": 40,
    }
    assert [event["unmapped"][f"{side}PublicIps"] for event in found] == TWO.split()
    assert {event["unmapped"]["BytesDestToSrc"] for event in found} == {"7000"}


def test_rows_of_all_kinds_together() -> None:
    """Rows for several sources, for several destinations and for one address keep their order."""
    several = " ".join(f"192.0.2.{n}|1|1|1|1|1|1" for n in (1, 2))
    found = events(
        batch({"DestIp": "", "DestPublicIps": several}, {}, {"SrcIp": "", "SrcPublicIps": f" {TWO}  "}, {}),
        LOG_TYPE,
        "1.1.0",
    )

    assert [(event["src_endpoint"]["ip"], event["dst_endpoint"]["ip"]) for event in found] == [
        ("10.20.1.4", "192.0.2.1"),
        ("10.20.1.4", "192.0.2.2"),
        ("10.20.1.4", "10.20.2.4"),
        ("203.0.113.9", "10.20.2.4"),
        ("198.51.100.7", "10.20.2.4"),
        ("10.20.1.4", "10.20.2.4"),
    ]


def test_columns() -> None:
    """Rows that come as columns give the same events; an address that is not there leaves nothing."""
    rows: list[dict[str, Any]] = [{**ROW, "SrcPublicIps": None}, {**ROW, "SrcIp": "", "SrcPublicIps": TWO}]
    as_json = events(batch({}, rows[1]), LOG_TYPE, "1.1.0")

    assert events(RawBatch(pa.RecordBatch.from_pylist(rows)), LOG_TYPE, "1.1.0") == as_json
    assert ["SrcPublicIps" in event["unmapped"] for event in as_json] == [False, True, True]


def test_both_ends_public() -> None:
    """Of a row with several addresses at both ends there are no pairs to be told: the second ones stay together."""
    many = " ".join(f"192.0.2.{n}|1|1|1|1|1|1" for n in range(1, 100))
    found = events(batch({"SrcIp": "", "SrcPublicIps": TWO, "DestPublicIps": many}), LOG_TYPE, "1.1.0")

    assert [event["unmapped"]["DestPublicIps"] for event in found] == [many, many]


def test_what_is_no_list_of_addresses() -> None:
    """A column of another kind than text is kept as it is, beside rows for several addresses."""
    odd, *others = events(batch({"SrcPublicIps": ["a b"]}, {"SrcIp": "", "SrcPublicIps": TWO}), LOG_TYPE, "1.1.0")

    assert odd["unmapped"]["SrcPublicIps[]"] == "a b"
    assert len(others) == 2


def test_what_is_no_flow() -> None:
    """Rows on anything else are skipped and counted; what is wrong with a row after them is told of that row."""
    raw = batch({"SubType": "Topology"}, {}, {"SubType": "StatusMessage"}, {"FlowStartTime": "soon", "DestPort": 80})
    mapped = mapper(LOG_TYPE).map(raw)

    assert mapped.skipped == {"row of Traffic Analytics that is no flow": 2}
    assert (mapped.records, mapped.mapped) == (2, 1)
    assert [json.loads(reject["record"])["DestPort"] for reject in mapped.rejects.to_pylist()] == [80]


def test_older_table() -> None:
    """The forerunner's columns mean the same, though its numbers are reals."""

    def by_flow(name: str) -> dict[tuple[Any, ...], dict[str, Any]]:
        return {
            (event["time"], event["connection_info"]["direction"], event["dst_endpoint"]["ip"]): event
            for event in file_events(name)
        }

    older, newer = by_flow("nsg_log_analytics.jsonl"), by_flow("log_analytics.jsonl")
    of_its_own = {"firewall_rule.type", "metadata.product.feature.uid", "status_detail"}
    of_the_table = {"metadata.log_name", "metadata.log_version", "metadata.logged_time", "metadata.logged_time_dt"}

    assert len(older) >= 6
    for flow, event in older.items():
        assert differences(event, newer[flow]).keys() <= of_its_own | of_the_table


def test_equal_events_in_all_shapes() -> None:
    """Rows, the answer of a query and an export of the portal give the same events."""
    row, query, export = map(file_events, ("log_analytics.jsonl", "log_analytics_query.json", "portal_export.csv"))

    assert len(row) == len(query) == len(export)
    assert [differences(one, other) for one, other in zip(row, query, strict=True) if differences(one, other)] == []
    assert [differences(one, other) for one, other in zip(row, export, strict=True) if differences(one, other)] == []


def test_nothing_is_lost() -> None:
    """Every value of a row is in its event: a hardware address has colons there."""
    (path,) = (path for path in samples.files(LOG_TYPE) if path.name == "log_analytics.jsonl")
    flows = [line for line in path.read_bytes().splitlines() if b'"FlowLog"' in line]
    gone = []
    for line in flows:
        mapped = mapper(LOG_TYPE).map(RawBatch(line), "1.8.0")
        gone += [place for place, value in lost(mapper(LOG_TYPE), read_json(line), lines([mapped], "1.8.0"))]

    assert len(flows) > 15
    assert set(gone) == {("MacAddress",)}


def test_redacted_addresses() -> None:
    """Addresses that are redacted are nowhere, in no event and not in the record that it keeps."""
    raw = batch({"SrcPublicIps": TWO}, {"FlowStartTime": "soon", "SrcPublicIps": TWO})
    mapped = mapper(LOG_TYPE).redacting(["SrcPublicIps"]).map(raw, raw_data=True)
    (reject,) = mapped.rejects.to_pylist()

    assert mapped.mapped == 1
    assert not any(address in str(lines([mapped], "1.1.0")) for address in ("203.0.113.9", "198.51.100.7"))
    assert json.loads(reject["record"])["SrcPublicIps"] == "REDACTED"


def test_a_long_text_beside_many_addresses_is_not_repeated() -> None:
    """A row whose addresses would take much more than its own bytes is a reject, and the rows around it are events."""
    hostile = {**ROW, "SrcPublicIps": " ".join(["203.0.113.9|1|1|1|1|1|1"] * 9000), "NsgList": "x" * 400_000}

    mapped = mapper(LOG_TYPE).map(RawBatch([json.dumps(row).encode() for row in (ROW, hostile, ROW)]))

    assert (mapped.records, mapped.mapped) == (3, 2)
    assert sum(batch.events.num_rows for batch in mapped.batches) == 2
    assert mapped.rejects["record"].to_pylist() == [json.dumps(hostile).encode()]
    assert "more than 32 times its own" in mapped.rejects["reason"][0].as_py()
