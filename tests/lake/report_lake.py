"""A small lake of three clouds, with what a report tells of, and with names that an attacker chose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ocsflake.lake import Lake
from ocsflake.mapping.rejects import Reject, reject_batch
from ocsflake.model import EventBatch
from ocsflake.rejects import RejectsFile

if TYPE_CHECKING:
    from pathlib import Path

T0 = 1_772_323_200_000  # 2026-03-01
DAY = 86_400_000
HOSTILE = '"><script>document.title="owned"</script><img src="http://127.0.0.1:9/x" onerror="alert(1)">'

_CLOUD = pa.struct([("provider", pa.string()), ("account", pa.struct([("uid", pa.string())]))])
_USER = pa.struct([("name", pa.string()), ("uid", pa.string())])
_COMMON = [("class_uid", pa.int32()), ("time", pa.int64()), ("cloud", _CLOUD)]

CALLS = pa.schema(
    [
        *_COMMON,
        ("status_id", pa.int32()),
        ("actor", pa.struct([("user", _USER)])),
        ("unmapped", pa.map_(pa.string(), pa.string())),
    ]
)
SIGN_INS = pa.schema([*_COMMON, ("status_id", pa.int32()), ("user", _USER)])
FINDINGS = pa.schema(
    [
        *_COMMON,
        ("severity_id", pa.int32()),
        ("metadata", pa.struct([("uid", pa.string()), ("product", pa.struct([("name", pa.string())]))])),
        ("finding_info", pa.struct([("uid", pa.string()), ("title", pa.string())])),
    ]
)


def write(lake: Lake, stem: str, event_class: str, schema: pa.Schema, rows: list[dict[str, Any]]) -> None:
    batch = pa.RecordBatch.from_pylist(rows, schema=schema)
    with lake.begin(stem) as commit:
        commit.write(EventBatch("x.y", stem, event_class, batch))
        commit.publish()


def cloud(provider: str, account: str) -> dict[str, Any]:
    return {"provider": provider, "account": {"uid": account}}


def call(user: str | None, day: int = 0, status: int = 1, **unmapped: str) -> dict[str, Any]:
    return {
        "class_uid": 6003,
        "time": T0 + day * DAY,
        "status_id": status,
        "cloud": cloud("AWS", "111122223333"),
        "actor": {"user": {"name": user, "uid": "U1"}},
        "unmapped": list(unmapped.items()),
    }


def sign_in(user: str, day: int = 0, status: int = 1) -> dict[str, Any]:
    who = {"user": {"name": user}, "cloud": cloud("Azure", "tenant")}
    return {"class_uid": 3002, "time": T0 + day * DAY + 1, "status_id": status, **who}


def finding(uid: str | None, severity: int | None, title: str, day: int = 0) -> dict[str, Any]:
    return {
        "class_uid": 2004,
        "time": T0 + day * DAY + 2,
        "severity_id": severity,
        "cloud": cloud("GCP", "project"),
        "metadata": {"product": {"name": "SCC"}},
        "finding_info": {"uid": uid, "title": title},
    }


def report_lake(root: Path) -> Lake:
    """Return a lake of 12 events and 3 rejects."""
    lake = Lake(root)
    calls = [
        call("alice", old="1"),
        call("alice", 1, old="1", **{HOSTILE: "1"}),
        call("alice", 1, 2, **{HOSTILE: "1"}),
        call(HOSTILE, 2),
        call(None, 2),
    ]
    write(lake, "aws_cloudtrail", "api_activity", CALLS, calls)
    write(lake, "azure_signin", "authentication", SIGN_INS, [sign_in("alice", 1, 2), sign_in("bob", 2)])
    findings = [
        finding("F1", 5, "first told", 0),
        finding("F1", 3, HOSTILE, 1),
        finding("F2", 4, "open bucket", 1),
        finding(None, None, "no id", 0),
        finding(None, 99, "no id", 0),
    ]
    write(lake, "gcp_scc", "detection_finding", FINDINGS, findings)
    with RejectsFile(root / ".ocsflake" / "rejects", "aws.cloudtrail", "c") as file:
        origin = {"uri": "file:///x"}
        file.write(
            reject_batch(
                [
                    Reject(b"{}", "eventTime is missing", "time", origin),
                    Reject(b"[]", "eventTime is missing", "time", origin),
                    Reject(b"<", HOSTILE, "", origin),
                ]
            )
        )
        file.publish()
    return lake
