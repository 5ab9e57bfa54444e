"""An archive of CloudTrail in a bucket, and runs over it: what the tests of sources in S3 share."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import ocsflake
from ocsflake.checkpoints import FileCheckpoints
from pipeline_logs import record

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ocsflake.model import Source, Split
    from ocsflake.report import RunReport

NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)
ACCOUNT = "111122223333"
OTHER = "444455556666"


def trail(name: str, *, day: str = "2026/03/05", account: str = ACCOUNT, region: str = "eu-west-1") -> str:
    """Return a key as CloudTrail makes it."""
    return f"AWSLogs/{account}/CloudTrail/{region}/{day}/{account}_CloudTrail_{region}_{name}.json.gz"


def packed(numbers: Iterable[int]) -> bytes:
    """Return a file of CloudTrail with the records of these numbers."""
    return gzip.compress(json.dumps({"Records": [record(number) for number in numbers]}).encode(), mtime=0)


def put(server: Any, bucket: str, key: str, numbers: Iterable[int]) -> None:
    """Put an object of CloudTrail."""
    server.client().put_object(Bucket=bucket, Key=key, Body=packed(numbers))


def run(source: Source, root: Path, *, now: datetime = NOW, **options: Any) -> RunReport:
    """Run a source into a lake in a directory, with checkpoints beside it."""
    lake = ocsflake.Lake(root / "lake")
    return ocsflake.run(source, lake, checkpoints=FileCheckpoints(root / "state.db"), now=lambda: now, **options)


def no_wait(_seconds: float) -> None:
    """Wait no time at all."""


def uris(splits: Iterable[Split]) -> list[str]:
    """Return the objects among splits."""
    return [split.detail["uri"] for split in splits if "uri" in split.detail]
