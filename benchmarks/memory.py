"""Measure the most memory that a run takes: once on some logs, once on ten times as many, and on mixed partitions.

    python benchmarks/memory.py [--events 150000]

Each run is a process of its own, and the figure is its largest resident set. Exits with 1 if one is over its limit, or
if ten times the input takes much more.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import generate

LIMIT = 350
MIXED_LIMIT = 400
FLAT = 1.15
"""How much more ten times the input may take: a peak is the largest of all moments, and there are ten times as many."""
DAYS = 3

_RUN = """
import sys, ocsflake
from ocsflake.checkpoints import MemoryCheckpoints
log_type, logs, lake = sys.argv[1:]
source = ocsflake.source("files", log_type=log_type, uri=logs)
report = ocsflake.run(source, ocsflake.Lake(lake), checkpoints=MemoryCheckpoints())
print(report.counts.written, sum(written.objects for written in report.written.values()))
"""


def peak(log_type: str, logs: Path, root: Path) -> tuple[int, int, int]:
    """Run `logs` into a lake in another process; return its peak in MB, the events and the objects."""
    lake = Path(tempfile.mkdtemp(dir=root))
    command = [sys.executable, "-c", _RUN, log_type, str(logs), str(lake)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        printed = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    shutil.rmtree(lake)
    if child.returncode:
        raise SystemExit(f"the run of {logs} failed")
    events, objects = map(int, printed.split())
    return usage.ru_maxrss // 1024, events, objects


def show(name: str, found: tuple[int, int, int], limit: int) -> bool:
    """Print one line; return whether the limit is held."""
    megabytes, events, objects = found
    held = megabytes <= limit
    verdict = "" if held else f", MISSED: at most {limit} MB"
    print(f"{name:34}{events:>12,}{objects:>9,}{megabytes:>8} MB{verdict}", flush=True)
    return held


def scaled(name: str, log_type: str, logs: Path, root: Path) -> bool:
    """Measure logs once, and ten copies of them; return whether both are within the limit, and about equal."""
    once = peak(log_type, logs, root)
    for number in range(9):
        shutil.copytree(logs / "AWSLogs", logs / f"copy-{number}")
    tenfold = peak(log_type, logs, root)
    held = [show(name, once, LIMIT), show(f"{name}, tenfold", tenfold, LIMIT)]
    if tenfold[0] > once[0] * FLAT:
        print(f"{name}: MISSED: memory grows with the input")
        return False
    return all(held)


def mixed(folder: Path, lines: int, accounts: int) -> None:
    """Write flow logs whose lines go over all accounts and days at random: the worst case for a partitioned lake."""
    rng = random.Random(7)
    owners = [generate.Account(rng, number) for number in range(accounts)]
    start = int(generate.FIRST_DAY.timestamp())
    folder.mkdir()
    for number in range(-(-lines // 20_000)):
        with (folder / f"{number}.log").open("w") as file:
            file.write(generate.V2 + "\n")
            for _ in range(min(20_000, lines - number * 20_000)):
                when = start + 86_400 * rng.randrange(DAYS) + rng.randrange(86_000)
                file.write(generate.flow(rng, rng.choice(owners), "us-east-1", when, 2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--events", type=int, default=150_000, help="CloudTrail events; 4 times as many lines of flow logs"
    )
    given = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="ocsflake-benchmark-"))
    try:
        print(f"{'':34}{'events':>12}{'objects':>9}{'peak':>8}")
        generate.cloudtrail(root / "cloudtrail", given.events, 1_000)
        held = [scaled("CloudTrail", "aws.cloudtrail", root / "cloudtrail", root)]
        generate.vpc_flow(root / "vpc", 4 * given.events, 20_000, version=5)
        held.append(scaled("VPC flow logs v5", "aws.vpc_flow", root / "vpc", root))
        mixed(root / "mixed", 400_000, 5_000)
        held.append(show("15,000 partitions, mixed", peak("aws.vpc_flow", root / "mixed", root), MIXED_LIMIT))
    finally:
        shutil.rmtree(root)
    sys.exit(0 if all(held) else 1)


if __name__ == "__main__":
    main()
