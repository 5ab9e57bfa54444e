"""The samples of Google Cloud, and one entry in the shapes that its services write, made from that of REST."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from copy import deepcopy
from typing import Any

from sample_events import events

from ocsflake import samples
from ocsflake.model import RawBatch

STRUCTS = {
    "jsonPayload",
    "labels",
    "resource.labels",
    "protoPayload.metadata",
    "protoPayload.request",
    "protoPayload.response",
    "protoPayload.serviceData",
    "protoPayload.status.details",
    "protoPayload.authenticationInfo.thirdPartyPrincipal",
    "protoPayload.authorizationInfo.resourceAttributes.labels",
    "finding.sourceProperties",
    "finding.securityMarks.marks",
    "finding.contacts",
}
"""What has names of its own: gRPC leaves them alone."""

LEVELS = {"DEBUG": 100, "INFO": 200, "NOTICE": 300, "WARNING": 400, "ERROR": 500, "CRITICAL": 600}
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.(\d+))?Z")


def entries(log_type: str) -> list[dict[str, Any]]:
    """Return the entries of a sample, as REST has them."""
    path = next(path for path in samples.files(log_type) if path.name == "rest.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


def entry(log_type: str, name: str) -> dict[str, Any]:
    """Return the first entry of a sample whose ``insertId``, or ``name`` of a finding, ends so; a copy to change."""
    found = (e for e in entries(log_type) if (e.get("insertId") or e["finding"]["name"]).endswith(name))
    return deepcopy(next(found))


def event(log_type: str, entry: dict[str, Any], version: str = "1.1.0") -> dict[str, Any]:
    """Return the one event of an entry."""
    [found] = events(RawBatch(json.dumps(entry).encode()), log_type, version)
    return found


def grpc(entry: Any) -> Any:
    """Return an entry with the names of the ``.proto`` files, as gRPC's ``MessageToDict`` keeps them."""
    return _snake(entry, ())


def numbers(entry: dict[str, Any]) -> dict[str, Any]:
    """Return an entry as proto-plus's ``to_dict`` makes it: enums are numbers."""
    return grpc(entry) | ({"severity": LEVELS[entry["severity"]]} if "severity" in entry else {})


def floats(entry: dict[str, Any]) -> dict[str, Any]:
    """Return an entry whose payload went through a Struct of gRPC, which knows no whole numbers."""
    return entry | {"jsonPayload": _floats(entry["jsonPayload"])}


def log_analytics(entry: dict[str, Any]) -> dict[str, Any]:
    """Return an entry as a row of ``_AllLogs``: the audit log is one of several payloads."""
    row = grpc(entry)
    if "proto_payload" in row:
        payload = dict(row["proto_payload"])
        row["proto_payload"] = {"type": payload.pop("@type"), "audit_log": payload}
    return row | {"json_payload": row.get("json_payload"), "text_payload": row.get("text_payload")}


def bigquery(entry: dict[str, Any]) -> dict[str, Any]:
    """Return an entry as a row of the table that a sink fills: own names for payloads, times of its own."""
    row = {key: value for key, value in entry.items() if key not in ("protoPayload", "jsonPayload")}
    if "protoPayload" in entry:
        payload = {key: value for key, value in entry["protoPayload"].items() if key != "@type"}
        for key in ("metadata", "request", "response"):
            if key in payload:
                payload[f"{key}Json"] = json.dumps(payload.pop(key))
        if "serviceData" in payload:
            payload["servicedata_v1_iam"] = payload.pop("serviceData")
        row["protopayload_auditlog"] = payload
    if "jsonPayload" in entry:
        payload = entry["jsonPayload"]
        kind = payload.get("@type", "").rpartition(".")[2].lower()
        name = f"jsonpayload_type_{kind}" if kind else "jsonPayload"
        row[name] = _lower({key: value for key, value in payload.items() if key != "@type"})
    return _times(row) | {"textPayload": entry.get("textPayload")}


def pubsub(entry: dict[str, Any], number: int = 0) -> dict[str, Any]:
    """Return an entry as a sink to Pub/Sub pushes it."""
    data = b64encode(json.dumps(entry).encode()).decode()
    attributes = {"logging.googleapis.com/timestamp": entry.get("timestamp", "")}
    message = {"data": data, "attributes": attributes, "messageId": str(number), "publishTime": "2026-11-17T00:00:00Z"}
    return {"message": message, "subscription": "projects/example-shop-prod/subscriptions/siem"}


def _floats(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _floats(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_floats(inner) for inner in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _snake(value: Any, path: tuple[str, ...]) -> Any:
    if ".".join(path) in STRUCTS:
        return value
    if isinstance(value, dict):
        return {_snake_name(key): _snake(inner, (*path, key)) for key, inner in value.items()}
    return [_snake(inner, path) for inner in value] if isinstance(value, list) else value


def _snake_name(name: str) -> str:
    return re.sub(r"[A-Z]", lambda capital: f"_{capital[0].lower()}", name)


def _lower(value: Any) -> Any:
    if isinstance(value, dict):
        return {key.lower(): _lower(inner) for key, inner in value.items()}
    return [_lower(inner) for inner in value] if isinstance(value, list) else value


def _times(value: Any) -> Any:
    """Write times as BigQuery does, with microseconds at most."""
    if isinstance(value, dict):
        return {key: _times(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_times(inner) for inner in value]
    found = _TIME.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return value
    day, clock, fraction = found.groups()
    return f"{day} {clock}{'.' + fraction[:6] if fraction else ''} UTC"
