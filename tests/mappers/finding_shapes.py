"""Findings of a sample by their id, so that the shapes that one finding comes in can be compared."""

from __future__ import annotations

import json
from typing import Any

from sample_events import lines, raw_batches

from ocsflake import mapper, samples


def records(log_type: str, part: str) -> list[dict[str, Any]]:
    """Return the records of the one file of a sample whose name holds `part`, out of whatever they are wrapped in."""
    [path] = [path for path in samples.files(log_type) if part in path.name]
    text = path.read_text()
    found = [json.loads(line) for line in text.splitlines()] if path.suffix == ".jsonl" else [json.loads(text)]
    return [inner for record in found for inner in _unwrapped(record)]


def shape(log_type: str, part: str, version: str) -> dict[str, dict[str, Any]]:
    """Return the events of a file by ``finding_info.uid``, without what stays behind under its raw name."""
    paths = [path for path in samples.files(log_type) if part in path.name]
    events = [json.loads(line) for line in lines(mapper(log_type).map_batches(raw_batches(paths), version), version)]
    return {
        event["finding_info"]["uid"]: {name: value for name, value in event.items() if name != "unmapped"}
        for event in events
        if "finding_info" in event
    }


def _unwrapped(record: dict[str, Any]) -> list[dict[str, Any]]:
    inner = record.get("detail", record)
    for key in ("Findings", "findings", "configurationItems", "EvaluationResults", "AggregateEvaluationResults"):
        if key in inner:
            return list(inner[key])
    return [json.loads(inner["Message"])] if "Message" in inner else [inner]
