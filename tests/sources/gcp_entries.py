"""Entries of Cloud Logging, runs into a lake, and crashes: what the tests of Google Cloud's sources share."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

import ocsflake
from ocsflake import samples
from ocsflake.checkpoints import MemoryCheckpoints

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ocsflake.model import Source
    from ocsflake.report import RunReport

NOW = datetime(2026, 11, 17, 12, 2, tzinfo=UTC)
"""When the runs are; with two minutes to settle, what was received until noon is read."""


def text(when: datetime) -> str:
    return f"{when:%Y-%m-%dT%H:%M:%S}.123456789Z"


def entry(number: int, project: str = "p", **changes: Any) -> dict[str, Any]:
    """Return an audit entry; the number is its ``insertId``, and how many seconds before noon it was."""
    when = datetime(2026, 11, 17, 12, tzinfo=UTC) - timedelta(seconds=number)
    return {
        "protoPayload": {
            "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
            "authenticationInfo": {"principalEmail": "ana@example.com"},
            "requestMetadata": {"callerIp": "192.0.2.7"},
            "serviceName": "storage.googleapis.com",
            "methodName": "storage.objects.get",
            "resourceName": f"projects/_/buckets/media/objects/clip-{number}",
        },
        "insertId": f"id-{number}",
        "resource": {"type": "gcs_bucket", "labels": {"project_id": project}},
        "timestamp": text(when),
        "severity": "INFO",
        "logName": f"projects/{project}/logs/cloudaudit.googleapis.com%2Fdata_access",
        "receiveTimestamp": text(when + timedelta(milliseconds=300)),
        **changes,
    }


def ids(numbers: Iterable[int]) -> Counter[str]:
    """Return the ids of the events that entries of these numbers become."""
    return Counter(f"id-{number}" for number in numbers)


def sample(log_type: str, name: str = "rest.jsonl") -> list[dict[str, Any]]:
    """Return the records of a sample."""
    path = next(path for path in samples.files(log_type) if path.name == name)
    return [json.loads(line) for line in path.read_text().splitlines()]


def rows(root: Path) -> Counter[str]:
    """Return the ``metadata.uid`` of all events of a lake."""
    found: Counter[str] = Counter()
    for path in Path(root, "ext").rglob("*.parquet"):
        found.update(pq.ParquetFile(path).read(["metadata.uid"])["metadata"].combine_chunks().field("uid").to_pylist())
    return found


def run(source: Source, root: Path, now: datetime = NOW, **options: Any) -> RunReport:
    """Run a source into a lake in a directory."""
    return ocsflake.run(source, ocsflake.Lake(root), rejects=root / "rejects", now=lambda: now, **options)


class CrashError(Exception):
    """The process is gone, for all that the pipeline can tell."""


class Crashing:
    """Checkpoints that are saved, one of which is the last thing that the process does.

    Args:
        saves: How many are saved before the end.
    """

    def __init__(self, saves: int) -> None:
        self.store = MemoryCheckpoints()
        self.left = saves

    def load(self, name: str) -> tuple[dict[str, Any] | None, str | None]:
        return self.store.load(name)

    def save(self, name: str, doc: Mapping[str, Any], revision: str | None) -> str:
        saved = self.store.save(name, doc, revision)
        self.left -= 1
        if not self.left:
            raise CrashError
        return saved
