"""The run of a soak, in a process of its own: ``soak_child.py ADDRESSES ROOT`` follows three sources until SIGTERM.

A line of JSON after each commit tells how far it is, and what the process takes.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import asdict
from subjects import SUBJECTS

import ocsflake

if TYPE_CHECKING:
    from ocsflake.pipeline import Progress

EVERY = 5.0
"""Seconds that a source gathers for a commit."""


class Sooner(threading.Event):
    """A stop event that is looked at, and lets the run look for news, every second."""

    def wait(self, timeout: float | None = None) -> bool:
        return super().wait(1.0 if timeout is None else min(timeout, 1.0))


def resident() -> int:
    """Return the memory of this process, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main(addresses: str, root: str) -> None:
    stop = Sooner()
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=stop.set).start())

    def told(progress: Progress) -> None:
        line = {"at": time.time(), "resident": resident(), "open": len(os.listdir("/proc/self/fd"))}  # noqa: PTH208
        print(json.dumps(line | asdict(progress.counts)), flush=True)

    sources = [SUBJECTS[name].source(address) for name, address in json.loads(addresses).items()]
    report = ocsflake.run(
        sources,
        ocsflake.Lake(Path(root, "lake")),
        rejects=Path(root, "rejects"),
        follow=True,
        stop=stop,
        progress=told,
        commit_seconds=EVERY,
    )
    days = {"/".join(key): rows for key, rows in report.rows_by("source", "day").items()}
    print(json.dumps({"failures": [each.error for each in report.failures], "days": days}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
