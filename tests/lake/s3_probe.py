"""Runs logs into a lake in S3: ``s3_probe.py URL BUCKET LOGS CHECKPOINTS``."""

from __future__ import annotations

import sys

import ocsflake
from ocsflake.testing.servers import AwsServer


def main(url: str, bucket: str, logs: str, checkpoints: str) -> None:
    lake = ocsflake.Lake(f"s3://{bucket}", session=AwsServer(url).session(timeout=60))
    source = ocsflake.source("files", log_type="aws.cloudtrail", uri=logs)
    ocsflake.run(source, lake, checkpoints=checkpoints, commit_bytes=1)


if __name__ == "__main__":
    main(*sys.argv[1:])
