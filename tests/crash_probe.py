"""Runs files into a lake and is killed on the way, for the tests of crashes.

``crash_probe.py run LOGS ROOT BYTES`` runs to the end, and prints a line after each commit. ``crash_probe.py steps LOGS
ROOT BYTES [LATER]`` runs again and again in new places, killed one step later each time, and compares what another run
makes of that with an undisturbed run. A step is whatever changes a disk: a file that is made, renamed or removed, a
folder, a database. With LATER, a folder, its files come after the crash.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import ocsflake
from ocsflake import pipeline
from pipeline_logs import rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocsflake.pipeline import Progress

STEPS = {"os.mkdir", "os.remove", "os.rename", "shutil.rmtree", "sqlite3.connect"}


def work(logs: Path, root: Path, commit_bytes: int, progress: Callable[[Progress], None] | None = None) -> None:
    """Run the files, and then what was rejected of them."""
    source = ocsflake.source("files", log_type="aws.cloudtrail", uri=str(logs))
    lake = ocsflake.Lake(root / "lake")
    ocsflake.run(source, lake, rejects=root / "rejects", commit_bytes=commit_bytes, progress=progress)
    pipeline.replay(root / "rejects", lake)


def content(root: Path) -> dict[str, object]:
    """Return all that readers see: the objects of the lake by name, and the lines of all rejects."""
    lake = root / "lake" / "ext"
    found: dict[str, object] = {str(path.relative_to(lake)): path.read_bytes() for path in lake.rglob("*.*")}
    lines = [line for path in (root / "rejects").rglob("*.jsonl") for line in path.read_bytes().splitlines()]
    return {**found, "rejects": sorted(lines)}


def in_child(do: Callable[[], object]) -> bool:
    """Do something in a copy of this process; return whether it was killed, and exit if it failed."""
    child = os.fork()
    if not child:
        try:
            do()
        except BaseException as error:
            print(repr(error), file=sys.stderr)
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        sys.exit(1)
    return os.WIFSIGNALED(status)


def killed_at(last: int, root: Path, do: Callable[[], object]) -> None:
    """Do something, and be killed at a step below `root`."""
    steps = 0

    def count(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal steps
        makes = event == "open" and isinstance(arguments[2], int) and arguments[2] & os.O_CREAT
        if (makes or event in STEPS) and any(str(root) in str(argument) for argument in arguments):
            steps += 1
            if steps == last:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    do()


def check(place: Path, do: Callable[[], object], undisturbed: dict[str, object]) -> None:
    """Go on after a crash, and raise unless readers see what they see of an undisturbed run, for good."""
    do()
    after = content(place)
    do()
    found = {"rows": rows(place / "lake"), "rejects": len(after["rejects"])} if "rows" in undisturbed else after  # type: ignore[arg-type]
    if after != content(place) or found != undisturbed:
        raise AssertionError(f"a crash at step {place.name} left {found}")


def crash_at_each_step(logs: Path, root: Path, commit_bytes: int, later: Path | None) -> None:
    """Print how many steps there are; exit with 1 if a crash at any of them changes what readers see in the end."""
    whole = root / "whole"
    shutil.copytree(logs, whole)
    if later is not None:
        shutil.copytree(later, whole, dirs_exist_ok=True)
    work(logs if later is None else whole, root / "0", commit_bytes)  # and what is imported late is there before copies
    undisturbed = content(root / "0")
    if later is not None:
        undisturbed = {"rows": rows(root / "0" / "lake"), "rejects": len(undisturbed["rejects"])}  # type: ignore[arg-type]
    step, crashed = 0, True
    while crashed:
        step += 1
        place = root / str(step)
        given = logs
        if later is not None:
            given = Path(shutil.copytree(logs, root / f"logs-{step}"))
        do = partial(work, given, place, commit_bytes)
        crashed = in_child(partial(killed_at, step, place, do))
        if later is not None:
            shutil.copytree(later, given, dirs_exist_ok=True)
        in_child(partial(check, place, do, undisturbed))
    print(step - 1)


def main(how: str, logs: str, root: str, commit_bytes: str, *later: str) -> None:
    if how == "run":
        work(Path(logs), Path(root), int(commit_bytes), lambda _: print("commit", flush=True))
    else:
        crash_at_each_step(Path(logs), Path(root), int(commit_bytes), Path(*later) if later else None)


if __name__ == "__main__":
    main(*sys.argv[1:])
