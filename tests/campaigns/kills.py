"""Runs that are killed, or told to end, at random moments, and run again: nothing is lost, nothing is there twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from subjects import RECORDS
from trials import Tally, finish, tally

if TYPE_CHECKING:
    from collections.abc import Iterator

    from subjects import Address, Subject

KILLED = ("aws.s3", "azure.monitor", "gcp.pubsub")
"""A source of each kind: objects, windows, a queue; and of each cloud."""
_CHILD = Path(__file__).with_name("kill_child.py")
_AT_A_TIME = 5


class _Runs:
    """Runs in processes of their own."""

    def __init__(self, log: Path) -> None:
        self._log = log.open("ab")
        path = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self._log}
        self._child = subprocess.Popen([sys.executable, str(_CHILD)], text=True, env=path, **pipes)

    def __enter__(self) -> _Runs:
        return self

    def __exit__(self, *exception: object) -> None:
        self._child.communicate()
        self._log.close()

    def killed(self, asked: dict[str, Any], how: int, seconds: float) -> tuple[int, float]:
        """Start a run, send a signal after some seconds; return the exit code, and how long the end took."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(json.dumps(asked) + "\n")
        self._child.stdin.flush()
        process = int(self._child.stdout.readline())
        time.sleep(seconds)
        began = time.monotonic()
        try:
            os.kill(process, how)
        except ProcessLookupError:  # it was faster
            began = time.monotonic()
        return int(self._child.stdout.readline()), time.monotonic() - began


def kills(
    subject: Subject, root: Path, how: signal.Signals, trials: int, seed: int = 2026
) -> Iterator[tuple[int, Tally, float]]:
    """Kill runs at random moments, some times in each trial; yield how often, what came of it, and the longest end.

    SIGKILL ends a process at once. SIGTERM tells a run that follows to end, as the command does.

    Args:
        subject: The source.
        root: A folder for lakes.
        how: The signal.
        trials: How many lakes.
        seed: Chooses the moments.
    """
    rng = Random(f"{seed}{subject.name}{how}")
    follow = how == signal.SIGTERM
    with subject.serve() as service, _Runs(root / "stderr") as runs:
        service.add(range(RECORDS))
        whole = {"name": subject.name, "address": dict(service.fresh()), "root": str(root / "whole"), "follow": False}
        _, seconds = runs.killed(whole, 0, 0)  # the signal that does nothing
        expected, _ = finish(subject, service, whole["address"], root / "whole")
        assert expected.total() == RECORDS
        for trial in range(trials):
            address: Address = service.fresh()
            where = root / f"{how.name}-{trial}"
            ended, longest = 0, 0.0
            for _ in range(_AT_A_TIME):
                asked = {"name": subject.name, "address": dict(address), "root": str(where), "follow": follow}
                code, took = runs.killed(asked, how, rng.uniform(0, 0.7 * seconds))
                assert code in {0, -how}, f"a run failed: see {root / 'stderr'}"
                ended += follow or code != 0
                longest = max(longest, took)
                service.rest()
            found, noticed = finish(subject, service, address, where)
            yield ended, tally(expected, found, noticed=noticed), longest
