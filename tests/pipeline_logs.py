"""CloudTrail files, a source made by hand, and what a lake holds: what the tests of the pipeline share."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
from attrs import define, field

from ocsflake.model import RawBatch, Split

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from ocsflake.model import State

ACCOUNTS = ("111122223333", "444455556666")


def record(number: int, **changes: Any) -> dict[str, Any]:
    """A CloudTrail record; the account, the day and the class depend on the number, and ``None`` removes a member."""
    made: dict[str, Any] = {
        "eventVersion": "1.09",
        "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/ana", "userName": "ana"},
        "eventTime": f"2026-03-0{1 + number // 2 % 2}T06:{number // 60 % 60:02d}:{number % 60:02d}Z",
        "eventSource": "s3.amazonaws.com",
        "eventName": "ConsoleLogin" if number % 5 == 4 else "GetObject",
        "awsRegion": "eu-west-1",
        "sourceIPAddress": "192.0.2.7",
        "userAgent": "aws-cli/2.15.30",
        "requestParameters": {"bucketName": "media", "key": f"clip-{number}"},
        "requestID": f"request-{number}",
        "eventID": f"event-{number}",
        "eventType": "AwsApiCall",
        "recipientAccountId": ACCOUNTS[number % 2],
        **changes,
    }
    return {name: value for name, value in made.items() if value is not None}


def bad(number: int) -> dict[str, Any]:
    """A record that becomes no event: it has no time."""
    return record(number, eventTime=None)


def save(path: Path, records: Iterable[Mapping[str, Any]]) -> Path:
    """Write a gzip file as CloudTrail delivers them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(json.dumps({"Records": list(records)}).encode(), mtime=0))
    return path


def objects(root: Path | str) -> dict[str, str]:
    """The files of a lake: path below ``ext/`` to a digest of the bytes."""
    return {
        str(path.relative_to(Path(root, "ext"))): blake2b(path.read_bytes()).hexdigest()
        for path in sorted(Path(root, "ext").rglob("*"))
        if path.is_file()
    }


def rows(root: Path | str) -> Counter[str]:
    """The ``metadata.uid`` of all events of a lake."""
    found: Counter[str] = Counter()
    for path in Path(root, "ext").rglob("*.parquet"):
        found.update(pq.ParquetFile(path).read(["metadata.uid"])["metadata"].combine_chunks().field("uid").to_pylist())
    return found


def events(numbers: Iterable[int]) -> Counter[str]:
    """The ids of the events that the records of these numbers become."""
    return Counter(f"event-{number}" for number in numbers)


@define
class Parts:
    """A source of records that a test gives by hand; each part is a split, and an exception is one that fails."""

    parts: dict[str, Sequence[Mapping[str, Any]] | Exception]
    name: str = "parts"
    log_type: str = "aws.cloudtrail"
    reads: list[str] = field(factory=list)

    def plan(self, state: State | None, now: datetime) -> Iterator[Split]:
        done = (state or {}).get("done", ())
        return (Split(name, bytes=1) for name in self.parts if name not in done)

    def read(self, split: Split) -> Iterator[RawBatch]:
        self.reads.append(split.id)
        part = self.parts[split.id]
        if isinstance(part, Exception):
            raise part
        yield RawBatch([json.dumps(each).encode() for each in part], {"part": split.id})

    def advance(self, state: State | None, done: Sequence[Split]) -> State:
        return {"done": [*(state or {}).get("done", ()), *(split.id for split in done)]}


@define
class Overlapping(Parts):
    """A source whose splits may hold the same record; each has an id, and a split is forgotten after the next one."""

    def read(self, split: Split) -> Iterator[RawBatch]:
        for raw in Parts.read(self, split):
            assert isinstance(raw.records, list)
            yield RawBatch(raw.records, raw.origin, ids=[json.loads(each)["eventID"] for each in raw.records])

    def forgets(self, state: State, split: Split) -> bool:
        return split.id in state["done"][:-1]
