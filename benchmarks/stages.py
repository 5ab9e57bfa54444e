"""Where a run's time goes: microseconds of CPU an event by stage, and the lines that take most.

    python benchmarks/stages.py aws.cloudtrail FOLDER [--top 25]
    python benchmarks/stages.py [--events 20000] [--write]

Without a folder it makes logs of each kind and prints one table of all, which ``--write`` puts into
docs/benchmarks.md. The first run of each does not count. A run is looked at once a millisecond of CPU time, which does
not slow it down as a tracing profiler would.
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

import generate
import pyarrow as pa
import tables

import ocsflake
from ocsflake.checkpoints import MemoryCheckpoints

if TYPE_CHECKING:
    from types import FrameType

STAGES = {
    ("sources/files.py", "read"): "read and gunzip",
    ("mapping/json_records.py", "_records_of"): "parse: split into records",
    ("mapping/records.py", "plain_lines"): "parse: split into records",
    ("mapping/shred.py", "structs_of"): "parse: shred to columns",
    ("mapping/shred.py", "shred_records"): "parse: shred to columns",
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

ROWS = {
    "read and gunzip": ("read and gunzip",),
    "split into records, shred to columns": (
        *("parse: split into records", "parse: shred to columns", "parse: text to columns", "join frames"),
    ),
    "redact": ("redact",),
    "map and cast, assemble, observables": ("choose classes", "map and cast", "assemble structs", "observables"),
    "`unmapped`": (
        *("parse: collect leftovers", "parse: flatten leftovers", "unmapped: leaves of columns", "unmapped: rows"),
    ),
    "validate": ("validate",),
    "sort, spool": ("lake: keys", "lake: spool, write", "lake: spool, merge"),
    "Parquet": ("lake: Parquet",),
    "all else": ("lake: other", "other"),
}
"""The rows of the table of all logs, and the stages that each takes together."""

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


def table(events: int, rounds: int) -> list[str]:
    """Return the table of all logs: microseconds of CPU an event, stage by stage."""
    columns: list[list[str]] = []
    for name, (log_type, make) in generate.LOGS.items():
        with tempfile.TemporaryDirectory(prefix="ocsflake-stages-") as folder:
            make(Path(folder), events)
            samples, count, seconds = sampled(log_type, Path(folder), rounds)
        scale = seconds / count * 1e6 / sum(samples.stages.values())
        shares = [scale * sum(samples.stages[stage] for stage in stages) for stages in ROWS.values()]
        columns.append([name, *(f"{share:.1f}" for share in shares), f"{seconds / count * 1e6:.1f}"])
        print(columns[-1], flush=True)
    names = ["stage", *ROWS, "all"]
    lines = [f"| {' | '.join(cells)} |" for cells in zip(names, *columns, strict=True)]
    lines.insert(1, "|---" * (len(columns) + 1) + "|")
    return [*lines, "", f"The load of the machine was {tables.load()} when the last of them ended."]


def details(log_type: str, folder: Path, rounds: int, top: int) -> None:
    """Print the stages of one folder of logs, and its lines."""
    samples, events, seconds = sampled(log_type, folder, rounds)
    total = sum(samples.stages.values())
    each = seconds / events * 1e6
    print(f"{events // rounds:,} events, {each:.1f} us of CPU an event, {events / seconds:,.0f} events/s\n")
    for title, counts, most in (("stage", samples.stages, 99), ("line", samples.lines, top)):
        print(f"{'us/event':>9}{'share':>8}  {title}")
        for name, count in counts.most_common(most):
            print(f"{each * count / total:>9.2f}{count / total:>8.1%}  {name}")
        print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log_type", nargs="?")
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--top", type=int, default=25, help="how many lines to list")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--events", type=int, default=20_000, help="of each log; four times as many lines of flow logs")
    parser.add_argument("--write", action="store_true", help="put the table of all logs into docs/benchmarks.md")
    given = parser.parse_args()
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    if given.folder:
        details(given.log_type, given.folder, given.rounds, given.top)
        return
    lines = table(given.events, given.rounds)
    print("\n".join(lines))
    if given.write:
        tables.put("stages", lines)


if __name__ == "__main__":
    main()
