"""Where a run's time goes: microseconds of CPU an event by stage, and the lines that take most.

    python benchmarks/stages.py aws.cloudtrail FOLDER [--top 25]

The run is looked at once a millisecond of CPU time, which does not slow it down as a tracing profiler would.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

import ocsflake
from ocsflake.checkpoints import MemoryCheckpoints

if TYPE_CHECKING:
    from types import FrameType

STAGES = {
    ("sources/files.py", "read"): "read and gunzip",
    ("mapping/shred.py", "_records_of"): "parse: split into records",
    ("mapping/records.py", "plain_lines"): "parse: split into records",
    ("mapping/shred.py", "_structs"): "parse: shred to columns",
    ("mapping/shred.py", "_shred"): "parse: shred to columns",
    ("mapping/redact.py", "redacted"): "redact",
    ("mapping/leftovers.py", "take"): "parse: collect leftovers",
    ("mapping/leftovers.py", "leftovers"): "parse: flatten leftovers",
    ("mapping/text.py", "__call__"): "parse: text to columns",
    ("mapping/frame.py", "concat"): "join frames",
    ("mapping/engine.py", "_selections"): "choose classes",
    ("mapping/engine.py", "_leaves"): "map and cast",
    ("mapping/assemble.py", "assemble"): "assemble structs",
    ("mapping/derive.py", "observables"): "observables",
    ("mapping/engine.py", "_leftovers"): "unmapped: leaves of columns",
    ("mapping/unmapped.py", "unmapped"): "unmapped: rows",
    ("ocsf/columnar.py", "validate_batch"): "validate",
    ("lake/commit.py", "write"): "lake: keys",
    ("lake/spool.py", "spill"): "lake: spool, write",
    ("lake/spool.py", "merge"): "lake: spool, merge",
    ("lake/parquet.py", "write"): "lake: Parquet",
    ("lake/parquet.py", "close"): "lake: Parquet",
    ("lake/commit.py", "publish"): "lake: other",
}
"""The innermost of these functions on the stack names the stage."""

_SECOND = 0.001


class Samples:
    """Notes where the program is, about once a millisecond of CPU time, while it is entered.

    A call into Arrow is seen once, when it is over; so each look counts as the CPU time since the last one.
    """

    def __init__(self) -> None:
        self.stages: Counter[str] = Counter()
        self.lines: Counter[str] = Counter()
        self._last = 0

    def __enter__(self) -> Samples:
        self._last = time.process_time_ns()
        signal.signal(signal.SIGPROF, self._take)
        signal.setitimer(signal.ITIMER_PROF, _SECOND, _SECOND)
        return self

    def __exit__(self, *exception: object) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)

    def _take(self, _signal: int, frame: FrameType | None) -> None:
        now = time.process_time_ns()
        spent, self._last = now - self._last, now
        stage = line = ""
        while frame is not None and not (stage and line):
            path = "/".join(Path(frame.f_code.co_filename).parts[-2:])
            if not line and "ocsflake" in frame.f_code.co_filename:
                line = f"{path}:{frame.f_lineno} {frame.f_code.co_name}"
            stage = stage or STAGES.get((path, frame.f_code.co_name), "")
            frame = frame.f_back
        self.stages[stage or "other"] += spent
        self.lines[line or "other"] += spent


def sampled(log_type: str, folder: Path, rounds: int) -> tuple[Samples, int, float]:
    """Run `folder` into a lake under sampling; return the samples, events, and seconds of CPU."""
    source = ocsflake.source("files", log_type=log_type, uri=str(folder))
    root = Path(tempfile.mkdtemp())
    samples, events, seconds = Samples(), 0, 0.0
    try:
        for number in range(rounds + 1):
            lake = ocsflake.Lake(root / str(number))
            if not number:
                ocsflake.run(source, lake, checkpoints=MemoryCheckpoints())
                continue
            before = time.process_time()
            with samples:
                events += ocsflake.run(source, lake, checkpoints=MemoryCheckpoints()).counts.written
            seconds += time.process_time() - before
    finally:
        shutil.rmtree(root)
    return samples, events, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log_type")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--top", type=int, default=25, help="how many lines to list")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    samples, events, seconds = sampled(given.log_type, given.folder, given.rounds)
    total = sum(samples.stages.values())
    each = seconds / events * 1e6
    print(f"{events // given.rounds:,} events, {each:.1f} us of CPU an event, {events / seconds:,.0f} events/s\n")
    for title, counts, top in (("stage", samples.stages, 99), ("line", samples.lines, given.top)):
        print(f"{'us/event':>9}{'share':>8}  {title}")
        for name, count in counts.most_common(top):
            print(f"{each * count / total:>9.2f}{count / total:>8.1%}  {name}")
        print()


if __name__ == "__main__":
    main()
