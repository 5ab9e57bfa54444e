"""Mutation testing, opt-in: ``make mutants``, or ``python tests/mutation COMMAND``.

    cover [TESTS]                 copy the repository, and note which tests run which lines; TESTS adds those of a few
    check                         whether the tests pass in the copy, as they must without a mutant
    run [--each N] [--seed N]     try mutants: all that were not tried yet, or N of each module, drawn by lot
    again [--ids ID ...]          try those again that stayed alive
    table                         what came out: a table for docs/reliability.md
    alive                         those that stayed alive, one line each

``--state`` names the folder of the copy and of the results (``ocsflake-mutants`` in the folder for temporary files if
not given); a run goes on where the last one ended. ``--only`` names modules as they are in the table (``lake/sink``).
It needs ``pip install mutmut``, whose operators make the mutants. Its runner cannot be used here: it forks a process in
which servers of tests have run, leaves decorated functions out, and knows the texts of errors as mutants.
"""

from __future__ import annotations

import argparse
import fcntl
import functools
import hashlib
import itertools
import json
import math
import random
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import covering
import mutants
import trials

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
_CORE = (
    *("sink", "commit", "spool", "packed", "parquet", "layout", "storage", "s3", "dataset", "columns", "reading"),
    *("compact", "replicate", "footer", "_deletes", "_exchange", "_obstore"),
)
_RUNS = ("pipeline", "commits", "jobs", "checkpoints", "rejects", "replaying", "seen", "marks", "ahead")
_CURSORS = ("windows", "objects", "files", "streams", "_listing")
CORE = [*(f"lake/{name}" for name in _CORE), *_RUNS, *(f"sources/{name}" for name in _CURSORS)]
"""What events pass through; the rest of lake/ reads what is there."""


def _modules() -> list[str]:
    lake = sorted(f"lake/{path.stem}" for path in (ROOT / "src/ocsflake/lake").glob("*.py"))
    return [*CORE, *(name for name in lake if name not in CORE and name != "lake/__init__")]


def _copy(tree: Path, *folders: str) -> None:
    """Copy what git would commit."""
    names = ["git", "ls-files", "-co", "--exclude-standard", "--", *folders]
    for name in subprocess.run(names, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines():
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name)


def _put_back(tree: Path) -> None:
    """Put back what a run that was killed has left changed."""
    for kept in tree.rglob("*.kept"):
        kept.replace(kept.with_suffix(".py"))


def _source(tree: Path, module: str) -> Path:
    return tree / "src/ocsflake" / f"{module}.py"


def _near(tree: Path, module: str) -> Callable[[str], int]:
    """Tell tests that are named after a module or import it from those of the same folder and all others."""
    folder, _, stem = module.rpartition("/")
    dotted = f"ocsflake.{module.replace('/', '.')} "

    @functools.cache
    def near(path: str) -> int:
        if stem.strip("_") in path.rpartition("/")[2] or dotted in (tree / path).read_text():
            return 0
        return 1 if path.startswith(f"tests/{folder}/test_" if folder else "tests/test_") else 2

    return near


def _text(tree: Path, module: str) -> str:
    """Return the source of a module without the mutant that is being tried."""
    source = _source(tree, module)
    kept = source.with_suffix(".kept")
    return (kept if kept.exists() else source).read_text()


def _results(state: Path, tree: Path) -> dict[str, dict[str, Any]]:
    """Return the last result of each mutant of the modules as they are in the copy."""
    path = state / "results.jsonl"
    found = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        entry = json.loads(line)
        if entry["of"] == _digest(_text(tree, entry["module"])):
            found[entry["id"]] = entry
    return found


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _wanted(tree: Path, only: list[str], each: int | None, seed: int) -> Iterator[tuple[str, mutants.Mutant]]:
    """Yield the mutants to try, one of each module in turn, so that a run that is stopped is a fair sample too."""
    drawn = []
    for module in only:
        _, found = mutants.find(_source(tree, module).read_text())
        random.Random(f"{seed} {module}").shuffle(found)
        drawn.append([(module, mutant) for mutant in found[:each]])
    yield from (entry for turn in itertools.zip_longest(*drawn) for entry in turn if entry)


def _try(state: Path, tree: Path, module: str, number: int, draw: str, budget: float) -> dict[str, Any] | None:
    source = _source(tree, module)
    text = source.read_text()
    parsed, found = mutants.find(text)
    mutant = found[number]
    code = mutants.write(parsed, mutant)
    if code is None:
        return None
    costs = covering.costs_of(state)
    tests = trials.choose(mutant, covering.tests_of(state, source), costs, _near(tree, module), budget)
    if tests:
        kept = source.with_suffix(".kept")
        source.replace(kept)
        try:
            source.write_text(code)
            trial = trials.run(tree, tests, 30 + 3 * sum(costs[name][0] for name in tests))
        finally:
            kept.replace(source)
    else:
        trial = trials.Trial("unseen", "", 0.0)
    entry = {
        "id": f"{module}:{number}",
        "module": module,
        "of": _digest(text),
        "line": mutant.line,
        "kind": mutant.kind,
        "before": mutant.before,
        "after": mutant.after,
        "draw": draw,
        "tests": len(tests),
        "outcome": trial.outcome,
        "by": trial.by,
        "seconds": trial.seconds,
    }
    with (state / "results.jsonl").open("a") as file:
        file.write(json.dumps(entry) + "\n")
    return entry


def _show(entry: dict[str, Any]) -> str:
    change = f"{entry['before'][:90]} -> {entry['after'][:90]}"
    return f"{entry['outcome']:6} {entry['seconds']:5} s  {entry['id']} line {entry['line']} {entry['kind']}: {change}"


def _run(args: argparse.Namespace, state: Path, tree: Path) -> None:
    trials.load()
    known = _results(state, tree)
    for module, mutant in _wanted(tree, args.only or _modules(), args.each, args.seed):
        if f"{module}:{mutant.number}" not in known:
            if args.until and time.strftime("%H:%M") >= args.until:
                break
            if entry := _try(state, tree, module, mutant.number, f"seed {args.seed}", args.budget):
                print(_show(entry), flush=True)


def _again(args: argparse.Namespace, state: Path, tree: Path) -> None:
    trials.load()
    known = _results(state, tree)
    alive = [name for name, entry in known.items() if entry["outcome"] in {"alive", "unseen"}]
    for name in args.ids or alive:
        module, _, number = name.partition(":")
        if entry := _try(state, tree, module, int(number), known[name]["draw"], args.budget):
            print(_show(entry), flush=True)


def _check(args: argparse.Namespace, state: Path, tree: Path) -> None:
    """Give the tests of mutants the source as it is, and say which fail: they would kill anything."""
    trials.load()
    for module in args.only or _modules():
        source = _source(tree, module)
        near = _near(tree, module)
        costs, lines = covering.costs_of(state), covering.tests_of(state, source)
        names: set[str] = set()
        for mutant in mutants.find(source.read_text())[1]:
            names.update(trials.choose(mutant, lines, costs, near, args.budget))
        if names:
            trial = trials.run(tree, sorted(names), 60 + 3 * sum(costs[name][0] for name in names))
            print(f"{module}: {len(names)} tests, {trial.outcome} {trial.by}", flush=True)


def _table(args: argparse.Namespace, state: Path, tree: Path) -> None:
    """Print the table; the share of all is weighted by how many mutants each module has."""
    known = [entry for entry in _results(state, tree).values() if args.draw in {None, entry["draw"]}]
    print("| module | mutants | tried | killed | alive | killed % |\n| --- | ---: | ---: | ---: | ---: | ---: |")
    for title, names in (("core", CORE), ("the rest of `lake/`", [n for n in _modules() if n not in CORE])):
        rows = []
        for module in names:
            made = len(mutants.find(_text(tree, module))[1])
            mine = [entry for entry in known if entry["module"] == module]
            killed = sum(entry["outcome"] in {"killed", "late"} for entry in mine)
            if mine:
                rows.append((made, len(mine), killed))
                print(_row(f"`{module}.py`", rows[-1:]))
        if rows:
            print(_row(f"**{title}**", rows))


def _row(name: str, rows: list[tuple[int, int, int]]) -> str:
    made, tried, killed = (sum(row[place] for row in rows) for place in range(3))
    share = sum(m * k / t for m, t, k in rows) / made
    spread = sum((m / made) ** 2 * (1 - t / m) * (k / t) * (1 - k / t) / max(t - 1, 1) for m, t, k in rows)
    more = f" ± {196 * math.sqrt(spread):.1f}" if len(rows) > 1 else ""
    return f"| {name} | {made:,} | {tried:,} | {killed:,} | {tried - killed:,} | {100 * share:.1f}{more} |"


def _alive(args: argparse.Namespace, state: Path, tree: Path) -> None:
    for entry in sorted(_results(state, tree).values(), key=lambda entry: (entry["module"], entry["line"])):
        if entry["outcome"] in {"alive", "unseen"} and args.draw in {None, entry["draw"]}:
            print(_show(entry))


def _cover(args: argparse.Namespace, state: Path, tree: Path) -> None:
    if args.tests:
        _copy(tree, *args.tests)
    else:
        shutil.rmtree(tree, ignore_errors=True)
        for name in ("seconds.json", ".coverage"):
            (state / name).unlink(missing_ok=True)
        _copy(tree)
    covering.cover(tree, state, args.tests)


def main() -> None:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["cover", "check", "run", "again", "table", "alive"])
    parser.add_argument("tests", nargs="*", help="with cover: test files that were added")
    parser.add_argument("--state", type=Path, default=Path(tempfile.gettempdir()) / "ocsflake-mutants")
    parser.add_argument("--each", type=int, help="mutants of a module; all if not given")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="+")
    parser.add_argument("--ids", nargs="+")
    parser.add_argument("--budget", type=float, default=40.0, help="seconds of tests for one mutant")
    parser.add_argument("--draw", help="results of one draw alone, as in 'seed 1'")
    parser.add_argument("--until", help="the time at which to stop, as in 17:00")
    args = parser.parse_intermixed_args()
    state = args.state.resolve()
    state.mkdir(parents=True, exist_ok=True)
    commands = {"cover": _cover, "check": _check, "run": _run, "again": _again, "table": _table, "alive": _alive}
    with (state / "lock").open("w") as lock:
        if args.command not in {"table", "alive"}:
            fcntl.flock(lock, fcntl.LOCK_EX)  # another run may have changed the copy: wait until it is over
            _put_back(state / "tree")
        commands[args.command](args, state, state / "tree")


if __name__ == "__main__":
    main()
