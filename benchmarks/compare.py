"""Measure ocsflake against the plain way, end to end, on the same files in the same run.

    python benchmarks/compare.py [--events 40000] [--rounds 3] [--guard]

Both gunzip, parse, map, derive captions, ``*_dt`` twins and observables, keep all that is left in ``unmapped``, sort,
partition, and write Parquet with zstd level 1; ocsflake validates every event as well. Rounds alternate, the figures
are CPU time of one thread, and a ratio is the median of those of the rounds. The plain way is measured as it is, which
is what the gates count against, and with the garbage collector off. Exits with 1 if an event differs or a gate is
missed. CI looks at the guards instead: a ratio within one run needs no quiet machine, but some room.
"""

from __future__ import annotations

import argparse
import gc
import json
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import baseline
import generate
import pyarrow as pa
import pyarrow.parquet as pq
from attrs import frozen

import ocsflake
from ocsflake.checkpoints import MemoryCheckpoints

if TYPE_CHECKING:
    from collections.abc import Callable

SAMPLED_OBJECTS = 6
GATED = "plain"
"""The way that the gates count against: Python as it comes, with its garbage collector."""


@frozen
class Case:
    """Some logs, and how many times as fast as the plain way ocsflake must be on them, on any machine at any time."""

    name: str
    log_type: str
    gate: float
    guard: float
    make: Callable[[Path, int], int]


CASES = (
    Case(
        "CloudTrail, 20,000 events a file", "aws.cloudtrail", 3.5, 2.2, lambda f, n: generate.cloudtrail(f, n, 20_000)
    ),
    Case("CloudTrail, 1,000 events a file", "aws.cloudtrail", 3.5, 1.5, lambda f, n: generate.cloudtrail(f, n, 1_000)),
    Case("VPC flow logs v2", "aws.vpc_flow", 10, 6, lambda f, n: generate.vpc_flow(f, 4 * n, 20_000, version=2)),
    Case("VPC flow logs v5", "aws.vpc_flow", 10, 6, lambda f, n: generate.vpc_flow(f, 4 * n, 20_000, version=5)),
)


def plain(case: Case, files: list[Path], root: Path) -> int:
    return baseline.write(case.log_type, files, root)


def plain_without_gc(case: Case, files: list[Path], root: Path) -> int:
    gc.disable()
    try:
        return baseline.write(case.log_type, files, root)
    finally:
        gc.enable()


def ours(case: Case, files: list[Path], root: Path) -> int:
    source = ocsflake.source("files", log_type=case.log_type, uri=str(files[0].parents[6]))
    report = ocsflake.run(source, ocsflake.Lake(root), checkpoints=MemoryCheckpoints())
    return report.counts.written


WAYS = {"plain": plain, "plain, no gc": plain_without_gc, "ocsflake": ours}


def measured(case: Case, files: list[Path], rounds: int, root: Path) -> tuple[int, dict[str, list[float]]]:
    """Return how many events there are, and the seconds of CPU of every round of every way."""
    seconds: dict[str, list[float]] = {name: [] for name in WAYS}
    counts = set()
    for number in range(rounds + 1):  # the first round warms up
        for name, way in WAYS.items():
            folder = root / f"{name}-{number}"
            gc.collect()
            before = time.process_time()
            counts.add(way(case, files, folder))
            spent = time.process_time() - before
            if number:
                seconds[name].append(spent)
                shutil.rmtree(folder)
    if len(counts) != 1:
        raise SystemExit(f"{case.name}: the ways do not agree on the number of events: {sorted(counts)}")
    return counts.pop(), seconds


def check_same(case: Case, one: Path, other: Path) -> None:
    """Exit unless both lakes hold the same partitions, of as many rows, the rows of a sample being equal."""
    first, second = (
        {path.parent.relative_to(root): path for path in sorted((root / "ext").rglob("*.parquet"))}
        for root in (one, other)
    )
    if first.keys() != second.keys():
        raise SystemExit(f"{case.name}: the partitions differ: {sorted(first.keys() ^ second.keys())[:3]}")
    for place, partition in enumerate(first):
        files = [pq.ParquetFile(first[partition]), pq.ParquetFile(second[partition])]
        schemas = [file.schema_arrow.remove_metadata() for file in files]
        if files[0].metadata.num_rows != files[1].metadata.num_rows or schemas[0] != schemas[1]:
            raise SystemExit(f"{case.name}: {partition} differs in its rows or columns")
        if place < SAMPLED_OBJECTS:
            for pair in zip(_rows(files[0]), _rows(files[1]), strict=True):
                if pair[0] != pair[1]:
                    one_row, other_row = map(json.loads, pair)
                    members = {
                        name: (one_row[name], other_row[name]) for name in one_row if one_row[name] != other_row[name]
                    }
                    raise SystemExit(f"{case.name}: rows of {partition} differ: {members}")


def _rows(file: pq.ParquetFile) -> list[str]:
    return sorted(json.dumps(row, default=str, sort_keys=True) for row in file.read().to_pylist())


def compare(case: Case, due: float, events: int, rounds: int) -> bool:
    """Print the figures of one case; return whether it is as many times as fast as is due."""
    root = Path(tempfile.mkdtemp(prefix="ocsflake-benchmark-"))
    try:
        size = case.make(root / "logs", events)
        files = sorted((root / "logs").rglob("*.gz"))
        count, seconds = measured(case, files, rounds, root)
        check_same(case, root / "plain-0", root / "ocsflake-0")
        stored = sum(path.stat().st_size for path in (root / "ocsflake-0" / "ext").rglob("*.parquet"))
    finally:
        shutil.rmtree(root)
    print(f"\n{case.name}: {count:,} events, {size / count:,.0f} bytes each, {stored / count:,.0f} as Parquet")
    print(f"{'':14}{'events/s':>10}{'us/event':>10}{'best':>8}")
    for name, found in seconds.items():
        middle = statistics.median(found)
        print(f"{name:14}{count / middle:>10,.0f}{middle / count * 1e6:>10.1f}{min(found) / count * 1e6:>8.1f}")
    held = True
    for rival in ("plain", "plain, no gc"):
        ratio = statistics.median(a / b for a, b in zip(seconds[rival], seconds["ocsflake"], strict=True))
        gate = due if rival == GATED else 0.0
        held = held and ratio >= gate
        verdict = f", {'held' if ratio >= gate else 'MISSED'}: at least {gate:g} is due" if gate else ""
        print(f"{ratio:.1f} times as fast as {rival}{verdict}", flush=True)
    return held


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--events", type=int, default=40_000, help="CloudTrail events; 4 times as many lines of flow logs"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="only cases whose name holds this")
    parser.add_argument("--guard", action="store_true", help="what CI asks for, instead of the gates")
    given = parser.parse_args()
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    chosen = [case for case in CASES if given.only in case.name]
    dues = [case.guard if given.guard else case.gate for case in chosen]
    held = [compare(case, due, given.events, given.rounds) for case, due in zip(chosen, dues, strict=True)]
    sys.exit(0 if all(held) else 1)


if __name__ == "__main__":
    main()
