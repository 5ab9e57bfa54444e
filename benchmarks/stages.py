"""Where a run's time goes: microseconds of CPU an event by stage, and the functions that take most.

    python benchmarks/stages.py aws.cloudtrail FOLDER [--top 25]
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow as pa

import ocsflake
from ocsflake.checkpoints import MemoryCheckpoints

STAGES = (
    ("read and gunzip", "sources/files.py", "read"),
    ("parse: split into records", "mapping/shred.py", "_records_of"),
    ("parse: shred to columns", "mapping/shred.py", "_shred"),
    ("parse: text to columns", "mapping/text.py", "_frame"),
    ("join frames", "mapping/frame.py", "concat"),
    ("choose classes", "mapping/engine.py", "_selections"),
    ("map and cast", "mapping/engine.py", "_leaves"),
    ("assemble structs", "mapping/assemble.py", "assemble"),
    ("observables", "mapping/derive.py", "observables"),
    ("leftover leaves", "mapping/engine.py", "_leftovers"),
    ("unmapped map", "mapping/unmapped.py", "unmapped"),
    ("validate", "mapping/engine.py", "_judge"),
    ("lake: keys, spool", "lake/commit.py", "write"),
    ("lake: sort, Parquet, put", "lake/commit.py", "publish"),
)


def profiled(log_type: str, folder: Path) -> tuple[pstats.Stats, int]:
    """Run `folder` into a lake under the profiler; return its numbers and how many events there were."""
    source = ocsflake.source("files", log_type=log_type, uri=str(folder))
    root = Path(tempfile.mkdtemp())
    profile = cProfile.Profile(time.process_time)
    try:
        ocsflake.run(source, ocsflake.Lake(root / "warm"), checkpoints=MemoryCheckpoints())
        profile.enable()
        report = ocsflake.run(source, ocsflake.Lake(root / "lake"), checkpoints=MemoryCheckpoints())
        profile.disable()
    finally:
        shutil.rmtree(root)
    return pstats.Stats(profile), report.counts.written


def _row(stats: Any, place: str, name: str) -> tuple[float, float] | None:
    """Return own and cumulative seconds of a function."""
    for (path, _, function), (_, _, own, cumulative, _) in stats.stats.items():
        if function == name and path.endswith(place):
            return own, cumulative
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log_type")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--top", type=int, default=25, help="how many functions to list by their own time")
    given = parser.parse_args()
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    stats, events = profiled(given.log_type, given.folder)
    total = stats.total_tt  # type: ignore[attr-defined]
    print(f"{events:,} events, {total / events * 1e6:.1f} us of CPU an event, profiler included\n")
    print(f"{'stage':28}{'us/event':>10}{'share':>8}")
    for stage, place, name in STAGES:
        if (found := _row(stats, place, name)) is not None:
            print(f"{stage:28}{found[1] / events * 1e6:>10.2f}{found[1] / total:>8.1%}")
    print(f"\n{'own us/event':>12}{'all us/event':>14}{'calls':>10}  function")
    rows = sorted(stats.stats.items(), key=lambda item: -item[1][2])[: given.top]  # type: ignore[attr-defined]
    for (path, line, function), (_, calls, own, cumulative, _) in rows:
        where = f"{'/'.join(Path(path).parts[-2:])}:{line} " if line else ""
        print(f"{own / events * 1e6:>12.2f}{cumulative / events * 1e6:>14.2f}{calls:>10}  {where}{function}")


if __name__ == "__main__":
    main()
