"""Publishes a commit and kills itself at the n-th step that the operating system sees: ``kill_probe.py ROOT N``."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from lake_events import api_activity, events

from ocsflake.lake.commit import LakeCommit
from ocsflake.lake.storage import DirectoryStorage
from ocsflake.model import CustomSource

STEPS = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree"}


def main(root: str, last: int) -> None:
    steps = 0
    armed = False

    def count(event: str, _arguments: object) -> None:
        nonlocal steps
        if armed and event in STEPS:
            steps += 1
            if steps == last:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    source = CustomSource("aws_cloudtrail_6003", "api_activity", "ext/aws_cloudtrail_6003/")
    commit = LakeCommit(DirectoryStorage(Path(root)), region="us-east-1", commit_id="c", source_of=lambda _: source)
    commit.write(api_activity(events(60, days=2)))
    armed = True
    commit.publish()
    commit.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
