"""An entry of Google Cloud gives one event, whichever way it came."""

from __future__ import annotations

import json
import pickle
from typing import TYPE_CHECKING, Any

import gcp_shapes as shapes
import pytest
from sample_events import events, lines

from ocsflake import mapper, samples
from ocsflake.model import RawBatch
from ocsflake.testing.raw_leaves import lost, read_json

if TYPE_CHECKING:
    from pathlib import Path

LOG_TYPES = [log_type for log_type in samples.log_types() if log_type.startswith("gcp.")]
ONLY_A_NUMBER = "dns0000000007"
"""The entry whose machine has its id as a number alone, which a float does not hold."""
LOGS = [log_type for log_type in LOG_TYPES if log_type != "gcp.scc"]
HELD_OTHERWISE = {
    "direction",  # the text of an enum in a list
    "end_time",  # cut to milliseconds
    "event",  # a list of lists
    "project",  # in parts
    "queryName",  # without the dot at its end, before OCSF 1.5
    "receiveTimestamp",
    "remoteIp",
    "reporter",
    "requestMethod",
    "serverIp",
}
"""Keys of values that an event holds in a form which `lost` does not know."""


def by_id(found: list[dict[str, Any]]) -> dict[Any, dict[str, Any]]:
    return {(event["metadata"]["uid"], event["time"]): event for event in found}


def mapped(log_type: str, records: list[dict[str, Any]], version: str) -> dict[Any, dict[str, Any]]:
    return by_id(events(RawBatch("\n".join(map(json.dumps, records)).encode()), log_type, version))


def without_spelling(event: dict[str, Any]) -> dict[str, Any]:
    """Return an event without what a row of BigQuery spells otherwise: its times, and names that no table has."""
    metadata = {key: value for key, value in event["metadata"].items() if key != "original_time"}
    return {key: value for key, value in event.items() if key != "unmapped"} | {"metadata": metadata}


@pytest.mark.parametrize("version", ["1.1.0", "1.8.0"])
@pytest.mark.parametrize("shape", [shapes.grpc, shapes.numbers, shapes.log_analytics, shapes.pubsub])
@pytest.mark.parametrize("log_type", LOGS)
def test_entries_in_every_spelling(log_type: str, shape: Any, version: str) -> None:
    """gRPC, enums as numbers, rows of Log Analytics and Pub/Sub give the very events that REST gives."""
    entries = shapes.entries(log_type)

    assert mapped(log_type, [shape(entry) for entry in entries], version) == mapped(log_type, entries, version)


@pytest.mark.parametrize("version", ["1.1.0", "1.8.0"])
@pytest.mark.parametrize("log_type", LOGS)
def test_rows_of_bigquery(log_type: str, version: str) -> None:
    """A row of BigQuery gives the event that REST gives, but for the spelling of times and of what no table names."""
    entries = shapes.entries(log_type)
    expected = mapped(log_type, entries, version)
    found = mapped(log_type, [shapes.bigquery(entry) for entry in entries], version)

    assert found.keys() == expected.keys()
    for key, event in found.items():
        assert without_spelling(event) == without_spelling(expected[key])
        assert len(event.get("unmapped", {})) >= len([k for k in expected[key].get("unmapped", {}) if "@type" not in k])


@pytest.mark.parametrize("log_type", ["gcp.vpc_flow", "gcp.firewall", "gcp.dns", "gcp.load_balancer", "gcp.cloud_ids"])
def test_numbers_of_structs(log_type: str) -> None:
    """A payload that went through gRPC has floats for whole numbers; every attribute is the same."""
    entries = [entry for entry in shapes.entries(log_type) if entry["insertId"] != ONLY_A_NUMBER]
    expected = mapped(log_type, entries, "1.8.0")

    for key, event in mapped(log_type, [shapes.floats(entry) for entry in entries], "1.8.0").items():
        assert without_spelling(event) == without_spelling(expected[key])


@pytest.mark.parametrize("version", ["1.1.0", "1.8.0"])
@pytest.mark.parametrize("shape", [shapes.grpc, shapes.pubsub])
def test_findings_in_every_spelling(shape: Any, version: str) -> None:
    """Findings over gRPC and Pub/Sub give the very events that REST gives."""
    findings = shapes.entries("gcp.scc")
    expected = mapped("gcp.scc", findings, version)

    assert mapped("gcp.scc", [shape(finding) for finding in findings], version) == expected


@pytest.mark.parametrize("log_type", LOG_TYPES)
def test_files_of_other_shapes(log_type: str) -> None:
    """The files of the sample that have another shape hold entries that the first file holds too."""
    first = mapped(log_type, shapes.entries(log_type), "1.1.0")
    others = [path for path in samples.files(log_type) if path.stem in ("grpc", "pubsub", "log_analytics")]

    assert len(others) >= 2
    for path in others:
        found = by_id(events(RawBatch(path.read_bytes()), log_type))

        assert len(found) >= 3
        assert {key: first[key] for key in found} == found


@pytest.mark.parametrize("log_type", LOGS)
def test_names_in_lower_case(log_type: str) -> None:
    """Catalogues that know no capitals fold the names of columns; the events are the same."""
    entries = shapes.entries(log_type)
    folded = [{key.lower(): value for key, value in entry.items()} for entry in entries]

    assert {key: without_spelling(event) for key, event in mapped(log_type, folded, "1.1.0").items()} == {
        key: without_spelling(event) | ({"trace": event["trace"]} if "trace" in event else {})
        for key, event in mapped(log_type, entries, "1.1.0").items()
    }


@pytest.mark.parametrize("log_type", LOGS)
def test_answer_of_entries_list(log_type: str) -> None:
    """The answer of ``entries.list`` holds entries."""
    entries = shapes.entries(log_type)
    answer = {"entries": entries, "nextPageToken": "example"}

    assert mapped(log_type, [answer], "1.1.0") == mapped(log_type, entries, "1.1.0")


def records(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines()


@pytest.mark.parametrize("version", ["1.1.0", "1.8.0"])
@pytest.mark.parametrize("log_type", LOG_TYPES)
def test_no_leaf_is_lost(log_type: str, version: str) -> None:
    """Every value of an entry of REST is in its event."""
    for path in samples.files(log_type):
        if path.stem in ("rest", "v1"):
            for record in records(path):
                event_lines = lines([mapper(log_type).map(RawBatch(record), version)], version)
                gone = lost(mapper(log_type), read_json(record), event_lines)

                assert [leaf for leaf in gone if not HELD_OTHERWISE & set(leaf[0])] == []


@pytest.mark.parametrize("log_type", LOG_TYPES)
def test_account_is_the_partition(log_type: str) -> None:
    """Every event has the id of its project for an account, else that of its folder, organization, billing account."""
    found = [event["cloud"] for event in mapped(log_type, shapes.entries(log_type), "1.8.0").values()]

    assert {cloud["provider"] for cloud in found} == {"GCP"}
    for cloud in found:
        if "project_uid" in cloud:
            assert (cloud["account"]["uid"], cloud["account"]["type_id"]) == (cloud["project_uid"], 11)
        else:
            assert cloud["account"]["type_id"] == 99
            assert cloud["account"]["uid"]


@pytest.mark.parametrize("log_type", LOG_TYPES)
def test_mapper_can_be_pickled(log_type: str) -> None:
    """A mapper goes to another process, and maps there what it maps here."""
    entries = shapes.entries(log_type)[:2]
    raw = RawBatch("\n".join(map(json.dumps, entries)).encode())

    assert lines([pickle.loads(pickle.dumps(mapper(log_type))).map(raw)], "1.1.0") == lines(
        [mapper(log_type).map(raw)], "1.1.0"
    )
