"""A lake of a few API calls, for the tests of its consumers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ocsflake.lake import Lake
from ocsflake.lake.subscribe import from_listing
from ocsflake.model import EventBatch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ocsflake.lake.subscribe import Delivery

T0 = 1_772_348_148_000

SCHEMA = pa.schema(
    [
        ("class_uid", pa.int32()),
        ("time", pa.int64()),
        ("time_dt", pa.timestamp("ms", "UTC")),
        ("actor", pa.struct([("user", pa.struct([("name", pa.string())]))])),
        ("status", pa.string()),
        ("resources", pa.list_(pa.struct([("uid", pa.string())]))),
        ("cloud", pa.struct([("provider", pa.string()), ("account", pa.struct([("uid", pa.string())]))])),
        ("unmapped", pa.map_(pa.string(), pa.string())),
    ]
)


def call(user: str, *, time: int = T0, account: str = "111122223333", **more: Any) -> dict[str, Any]:
    return {
        "class_uid": 6003,
        "time": time,
        "time_dt": time,
        "actor": {"user": {"name": user}},
        "resources": [{"uid": "r1"}],
        "cloud": {"provider": "AWS", "account": {"uid": account}},
        "unmapped": [("a.b", "1")],
    } | more


def write(lake: Lake, commit: str, *calls: dict[str, Any]) -> None:
    batch = pa.RecordBatch.from_pylist(list(calls), schema=SCHEMA)
    with lake.begin(commit) as begun:
        begun.write(EventBatch("aws.cloudtrail", "aws_cloudtrail", "api_activity", batch))
        begun.publish()


def lake_of(folder: Path, *users: str) -> Lake:
    lake = Lake(folder)
    write(lake, "first", *(call(user, time=T0 + place) for place, user in enumerate(users)))
    return lake


def deliveries(lake: Lake, seen: set[str] | None = None) -> Iterator[Delivery]:
    return from_listing(lake.storage, set() if seen is None else seen)
