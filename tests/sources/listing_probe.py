"""Plans an archive of CloudTrail: ``listing_probe.py URL STATE``; prints objects, and the MB that planning took.

STATE is a file for what `advance` returns; what is there is where the plan begins.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from ocsflake.sources.aws.s3 import S3Source
from ocsflake.testing.servers import AwsServer

NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)


def peak() -> int:
    """Return the most memory that this process had so far, in MB."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def main(url: str, file: str) -> None:
    path = Path(file)
    state = json.loads(path.read_text()) if path.exists() else None
    source = S3Source(log_type="aws.cloudtrail", uri="s3://logs", session=AwsServer(url).session(timeout=60))
    for _ in source.plan(state, NOW):  # boto3 and the rest are loaded, before it counts
        break
    before, count = peak(), 0
    splits = source.plan(state, NOW)
    while group := list(islice(splits, 10_000)):  # as many as a commit has
        count += sum("uri" in split.detail for split in group)
        state = source.advance(state, group)
    path.write_text(json.dumps(state))
    print(count, peak() - before)


if __name__ == "__main__":
    main(*sys.argv[1:])
