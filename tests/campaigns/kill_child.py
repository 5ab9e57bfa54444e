"""Starts runs that are to be killed: a line of JSON on stdin for each, its process and then its end on stdout.

It has imported all that a run needs, and each run is a copy of it: hundreds of them take no longer than their work.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path

import boto3  # noqa: F401 - it takes longer than a run
import duckdb  # noqa: F401
import google.cloud.pubsub_v1  # noqa: F401
from subjects import SUBJECTS
from trials import run

import ocsflake.lake.commit  # noqa: F401


def work(name: str, address: dict[str, str], root: str, *, follow: bool) -> None:
    stop = threading.Event()
    if follow:
        signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=stop.set).start())
    run(SUBJECTS[name], address, Path(root), follow=follow, stop=stop)


def main() -> None:
    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if not child:
            try:
                work(asked["name"], asked["address"], asked["root"], follow=asked["follow"])
            except BaseException as error:
                print(repr(error), file=sys.stderr, flush=True)
                os._exit(1)
            os._exit(0)
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
