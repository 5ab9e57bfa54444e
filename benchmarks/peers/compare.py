"""Measure ocsflake against its peers: the same files, in rounds that alternate, each run in a process of its own.

    python benchmarks/peers/compare.py [--events 40000] [--rounds 3] [--write]

A peer makes the columns that it can make: those that it fills are compared with those of ocsflake, value for value,
and those that it leaves out are counted. CPU is that of one core, the process being bound to it; wall is that of a run
on all cores. With ``--write`` the figures go into docs/benchmarks.md, between its two marks, and its chart.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from attrs import field, frozen

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import generate  # noqa: E402
import tables  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

OURS = "ocsflake"
NAMES = {
    OURS: OURS,
    "plain": "per event, Python",
    "duckdb": "DuckDB SQL",
    "polars": "Polars",
    "tenzir": "Tenzir",
    "pyvrl": "pyVRL",
    "ocsf-mapper": "ocsf-mapper",
    "ocsfkit": "ocsfkit",
}
REWRITTEN = ("api.request.data", "api.response.data")
"""JSON in text, which peers write in other ways, so that only their number is compared."""

LEGEND = (
    "- *us of CPU an event*: user and system, of the process and its children, bound to one core; the median of the",
    "  rounds, which alternate. Each run has mapped 500 events before the clock starts: imports and compilers do",
    "  not count; Tenzir, a program of its own, starts anew.",
    "- *events/s a core*: the same, turned round. *ocsflake is*: how many times as fast ocsflake is, the median of the",
    "  ratios of each round; below 1 the peer is faster. *gate*: what this project wants to hold.",
    "- *wall, all cores*: seconds of one run that may use every core, scaled to all events. *memory*: the largest",
    "  resident set of the rounds on one core, of the process or its largest child.",
    "- *columns*: leaves that hold a value in some row, of those that ocsflake fills. Their values are compared with",
    "  ocsflake's, however often each is there; *other values in* names those that differ.",
)

Leaves = dict[str, Counter[Any]]


@frozen
class Case:
    """Some logs, and who maps them."""

    name: str
    peers: Sequence[str]
    gates: dict[str, float] = field(factory=dict)

    @property
    def log_type(self) -> str:
        """Its log type."""
        return generate.LOGS[self.name][0]

    @property
    def make(self) -> Callable[[Path, int], int]:
        """What writes so many events of it below a folder."""
        return generate.LOGS[self.name][1]


IN_JSON = ("plain", "duckdb", "polars", "tenzir", "pyvrl", "ocsf-mapper")
TRAIL = {"plain": 4, "duckdb": 1.8, "polars": 2, "tenzir": 3, "ocsf-mapper": 7}
FLOWS = {"plain": 10, "duckdb": 2.5, "tenzir": 6}
CASES = (
    Case("CloudTrail, 20,000 events a file", tuple(TRAIL), TRAIL),
    Case("CloudTrail, 1,000 events a file", tuple(TRAIL), TRAIL),
    Case("CloudTrail, 40 accounts mixed in each file", tuple(TRAIL)),
    Case("VPC flow logs, version 2", ("plain", "duckdb", "polars", "tenzir", "pyvrl", "ocsfkit"), FLOWS),
    Case("VPC flow logs, version 5", ("plain", "duckdb", "polars", "tenzir", "pyvrl"), FLOWS),
    Case("Google Cloud audit logs", IN_JSON, {"plain": 4}),
    Case("Azure sign-ins", IN_JSON, {"plain": 3.5}),
)


@frozen
class Figures:
    """What one way did in a case.

    Attributes:
        way: Its name.
        count: How many events it wrote.
        cpu: Seconds of CPU, round by round, on one core.
        wall: Seconds on all cores.
        peak: Bytes of memory at most.
        differs: Columns whose values are not those of ocsflake.
        fills: How many columns it fills.
        lacks: Columns that ocsflake fills and it does not.
    """

    way: str
    count: int
    cpu: list[float]
    wall: float
    peak: int
    differs: list[str]
    fills: int
    lacks: list[str]

    @property
    def microseconds(self) -> float:
        """CPU of an event, the median of the rounds."""
        return statistics.median(self.cpu) / self.count * 1e6


def ran(way: str, case: Case, root: Path, out: Path, cores: set[int]) -> dict[str, Any]:
    """Run one way once, on some cores."""
    threads = {"POLARS_MAX_THREADS": str(len(cores)), "OMP_NUM_THREADS": str(len(cores))}
    done = subprocess.run(
        [sys.executable, HERE / "ways.py", way, case.log_type, root, out],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **threads},
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )
    if done.returncode:
        raise SystemExit(f"{case.name}, {way}: {done.stderr[-2000:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def leaves(root: Path) -> tuple[int, Leaves]:
    """Return how many events there are below a folder, and of each column how often it has each value."""
    found: Leaves = {}
    rows = 0
    for path in root.rglob("*.parquet"):
        read = pq.ParquetFile(path).read()
        rows += read.num_rows
        for name in read.schema.names:
            for place, values in _leaves(name, read[name].combine_chunks()):
                found.setdefault(place, Counter()).update(values)
    return rows, {place: values for place, values in found.items() if values}


def _leaves(place: str, column: pa.Array) -> Iterator[tuple[str, list[Any]]]:
    kind = column.type
    if pa.types.is_struct(kind):
        for number in range(kind.num_fields):
            yield from _leaves(f"{place}.{kind.field(number).name}", column.flatten()[number])
    elif pa.types.is_map(kind):
        yield f"{place}{{}}", [str(sorted(each)) for each in column.to_pylist() if each]
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        yield from _leaves(f"{place}[]", column.flatten())
    elif pa.types.is_timestamp(kind):
        yield place, column.cast(pa.timestamp("ms", kind.tz)).cast(pa.int64()).drop_null().to_pylist()
    else:
        yield place, [str(value).removesuffix(".0") for value in column.drop_null().to_pylist()]


def compared(case: Case, way: str, ours: tuple[int, Leaves], theirs: tuple[int, Leaves]) -> tuple[list[str], int]:
    """Return the columns in which a peer differs, and how many it fills; exit if it has other rows.

    The plain way has all columns, so that one which it lacks is one in which it differs.
    """
    if theirs[0] != ours[0] and way != "ocsfkit":
        raise SystemExit(f"{case.name}: {way} made {theirs[0]:,} events of {ours[0]:,}")
    columns = {place: values for place, values in theirs[1].items() if place in ours[1]}
    if way == "ocsfkit":
        return [], len(columns)
    differs = [
        place
        for place, values in sorted(columns.items())
        if (values.total() != ours[1][place].total() if place in REWRITTEN else values != ours[1][place])
    ]
    if way == "plain":
        differs += sorted(theirs[1].keys() ^ ours[1].keys())
    return differs, len(columns)


def measured(case: Case, events: int, rounds: int) -> tuple[int, int, list[Figures]]:
    """Return how many events a case has, how many columns ocsflake fills, and the figures of all."""
    cores = os.sched_getaffinity(0)
    with tempfile.TemporaryDirectory(prefix="ocsflake-peers-") as folder:
        root = Path(folder)
        case.make(root / "logs", events)
        case.make(root / "warm", 500)
        ways = (OURS, *case.peers)
        cpu: dict[str, list[float]] = {way: [] for way in ways}
        wall, peak, found = {}, dict.fromkeys(ways, 0), {}
        for number in range(rounds + 1):
            for way in ways:
                out = root / "out"
                # The last round is the one on all cores.
                did = ran(way, case, root, out, cores if number == rounds else {min(cores)})
                if number == rounds:
                    wall[way] = did["wall"]
                    found[way] = leaves(out)
                else:
                    cpu[way].append(did["cpu"])
                    peak[way] = max(peak[way], did["peak"])
                shutil.rmtree(out)
    figures = []
    for way in ways:
        differs, fills = compared(case, way, found[OURS], found[way])
        lacks = sorted(found[OURS][1].keys() - found[way][1].keys())
        figures.append(Figures(way, found[way][0], cpu[way], wall[way], peak[way], differs, fills, lacks))
        print(f"  {way:12} {figures[-1].microseconds:8.1f} us {fills:3} columns {differs}", flush=True)
    return found[OURS][0], len(found[OURS][1]), figures


def ratio(ours: Figures, theirs: Figures) -> float:
    """Return how many times as fast ocsflake is: the median of the rounds."""
    pairs = zip(ours.cpu, theirs.cpu, strict=True)
    return statistics.median(b / theirs.count / (a / ours.count) for a, b in pairs)


def page(case: Case, count: int, columns: int, figures: list[Figures]) -> Iterator[str]:
    """Yield the lines of a table of one case."""
    ours = figures[0]
    yield f"### {case.name}\n"
    rounds = len(figures[0].cpu)
    yield (
        f"{count:,} events, {rounds} round{'s' * (rounds > 1)}; ocsflake fills {columns} columns. The load of the "
        f"machine was {tables.load()} at the end.\n"
    )
    yield (
        "| | us of CPU an event | events/s a core | ocsflake is | gate | wall, all cores | memory | columns "
        "| other values in |"
    )
    yield "|---|---|---|---|---|---|---|---|---|"
    for each in figures:
        times = ratio(ours, each)
        gate = case.gates.get(each.way)
        verdict = "" if gate is None else f"{gate:g}x: {'held' if times >= gate else 'missed'}"
        wall = count / each.count * each.wall
        yield (
            f"| {NAMES[each.way]} | {each.microseconds:.1f} | {1e6 / each.microseconds:,.0f} "
            f"| {'' if each is ours else f'{times:.1f}x'} | {verdict} | {wall:.1f} s | {each.peak / 2**20:.0f} MB "
            f"| {each.fills} | {', '.join(f'`{place}`' for place in each.differs)} |"
        )
    yield from left_out(figures)
    yield ""


def left_out(figures: list[Figures]) -> Iterator[str]:
    """Yield what peers leave out, those together that leave out the same; of later ones only what is more."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for each in figures:
        if each.lacks:
            alike.setdefault(tuple(each.lacks), []).append(NAMES[each.way])
    common: set[str] = set()
    for lacks, names in sorted(alike.items(), key=lambda item: len(item[0])):
        said = "all of these and " if common and common <= set(lacks) else ""
        shown = [place for place in lacks if not said or place not in common]
        common = common or set(lacks)
        yield f"\n{', '.join(names)}: {len(lacks)} columns left out: {said}{', '.join(f'`{each}`' for each in shown)}."


def chart(found: list[tuple[Case, list[Figures]]]) -> str:
    """Return bars of CPU an event, case by case, as SVG: shorter is better."""
    lines, y = [], 20
    for case, figures in found:
        lines.append(f'<text x="10" y="{y}" font-weight="bold">{case.name}</text>')
        y += 8
        shown = [each for each in figures if each.way != "ocsfkit"]
        widest = max(each.microseconds for each in shown)
        for each in shown:
            width = max(2.0, 430 * each.microseconds / widest)
            colour = "#2a6f97" if each.way == OURS else "#b8c4cc"
            lines.append(f'<text x="130" y="{y + 13}" text-anchor="end">{NAMES[each.way]}</text>')
            lines.append(f'<rect x="138" y="{y + 1}" width="{width:.0f}" height="15" fill="{colour}"/>')
            lines.append(f'<text x="{144 + width:.0f}" y="{y + 13}">{each.microseconds:.1f} us</text>')
            y += 19
        y += 24
    style = 'font-family="sans-serif" font-size="12" fill="#555"'
    body = "\n".join(lines)
    title = "<title>CPU of an event, in microseconds: ocsflake and its peers</title>"
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 660 {y}" {style}>\n{title}\n{body}\n</svg>\n'


def machine() -> str:
    """Return what the figures were measured on, and with."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    names = ("pyarrow", "msgspec", "orjson", "isal", "duckdb", "polars", "tenzir", "pyVRL", "ocsf-mapper", "ocsfkit")
    packages = ", ".join(f"{name} {version(name)}" for name in names)
    return f"{len(os.sched_getaffinity(0))} cores of {model}, Python {platform.python_version()}, {packages}."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=40_000, help="of each log; four times as many lines of flow logs")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="only cases whose name holds this")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/benchmarks.md")
    given = parser.parse_args()
    found: list[tuple[Case, list[Figures]]] = []
    lines: list[str] = []
    for case in CASES:
        if given.only in case.name:
            print(case.name, flush=True)
            count, columns, figures = measured(case, given.events, given.rounds)
            found.append((case, figures))
            lines += page(case, count, columns, figures)
            if given.write:
                write(lines, chart(found))
    print("\n".join(lines))
    wrong = [case.name for case, figures in found for each in figures if each.way == "plain" and each.differs]
    sys.exit(f"the plain way makes other events of {', '.join(wrong)}" if wrong else 0)


def write(lines: list[str], bars: str) -> None:
    """Put the tables into docs/benchmarks.md, and the chart beside it."""
    tables.put("peers", [machine(), "", *LEGEND, "", *lines])
    (tables.DOCS / "assets").mkdir(exist_ok=True)
    (tables.DOCS / "assets" / "peers.svg").write_text(bars)


if __name__ == "__main__":
    main()
