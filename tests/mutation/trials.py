"""One mutant at a time: the tests that run its line, in a process that is forked with the heavy libraries loaded.

The mutant is written into a copy of the repository, so that the programs that tests start have it as well.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from mutants import Mutant

_LONGEST = 15.0
"""A test that takes more seconds is not run."""
_HEAVY = (
    *("pyarrow.parquet", "pyarrow.dataset", "pyarrow.compute", "msgspec", "ocsf_json_schema", "hypothesis", "sqlglot"),
    *("duckdb", "boto3", "botocore.session", "moto.server", "moto.backends", "obstore", "isal.igzip", "orjson"),
    *("jsonschema_rs", "polars", "pandas", "werkzeug.serving", "trustme"),
)


@frozen
class Trial:
    """How a mutant fared: ``killed``, ``late`` (killed by the clock), ``alive`` or ``unseen`` (no test runs it)."""

    outcome: str
    by: str
    seconds: float


def load() -> None:
    """Load what most tests need, but nothing of ours."""
    for name in _HEAVY:
        with suppress(ImportError):
            importlib.import_module(name)


def choose(
    mutant: Mutant,
    lines: Mapping[int, set[str]],
    costs: Mapping[str, tuple[float, int]],
    near: Callable[[str], int],
    budget: float,
) -> list[str]:
    """Return tests that run a line, until the budget is spent.

    They are taken from two lists in turn: those of the nearest files, the fastest first, one of each file at a time;
    and those that run the fewest lines in all, which are about few things and perhaps about this one.

    A line that runs when the module is imported is tried by all tests of the module; a line without a note of its own
    (one of several of a statement) and the default of a parameter by those of its function. What is left of the budget
    goes to the other tests of the nearest files: a fixture that several share is noted for the first of them, and some
    only look at values.

    Args:
        mutant: What is tried.
        lines: The tests that run each line of its module.
        costs: How long each test takes, and how many lines it runs.
        near: How far a file of tests is from the module.
        budget: The seconds that the tests may take, with one for each file, which is loaded first.
    """
    first, last = mutant.body or (1, max(lines, default=0))
    names = lines.get(mutant.line, set()) if mutant.body and mutant.line >= first else set()
    names = names or {name for line in range(first, last + 1) for name in lines.get(line, ())}
    beside = {name for name in costs if near(name.partition("::")[0]) == 0} - names
    chosen: dict[str, set[str]] = {}
    for group in (names, beside) if mutant.body else (names | beside,):
        for name in _turns({name for name in group if costs.get(name, (_LONGEST, 0))[0] < _LONGEST}, costs, near):
            path = name.partition("::")[0]
            cost = costs[name][0] + (path not in chosen)
            if cost <= budget and name not in chosen.get(path, ()):
                budget -= cost
                chosen.setdefault(path, set()).add(name)
    return [name for path in chosen for name in sorted(chosen[path], key=lambda name: costs[name])]


def _turns(names: set[str], costs: Mapping[str, tuple[float, int]], near: Callable[[str], int]) -> Iterator[str]:
    """Yield the nearest of some tests and those that run the fewest lines in turn, each twice."""
    files: dict[str, list[str]] = {}
    for name in sorted(names, key=lambda name: (costs[name][0], name)):
        files.setdefault(name.partition("::")[0], []).append(name)
    turns = sorted((near(path), turn, costs[name], name) for path in files for turn, name in enumerate(files[path]))
    focused = sorted((costs[name][1], name) for name in names)
    for (*_, one), (_, other) in zip(turns, focused, strict=True):
        yield from (one, other)


def run(tree: Path, tests: Sequence[str], limit: float) -> Trial:
    """Run tests of a tree in a process of their own until one fails."""
    began = time.monotonic()
    said = tree / ".said"
    said.write_text("")
    child = os.fork()
    if child == 0:
        _child(tree, tests, limit, said)
    ended = None
    try:
        while ended is None and time.monotonic() - began < limit:
            time.sleep(0.02)
            ended = os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    outcome = ("alive" if status == 0 else "killed") if ended else "late"
    return Trial(outcome, said.read_text(), round(time.monotonic() - began, 1))


def _child(tree: Path, tests: Iterable[str], limit: float, said: Path) -> None:
    status = 70
    try:
        os.setsid()
        os.chdir(tree)
        quiet = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(quiet, number)
        os.environ["PYTHONPATH"] = os.pathsep.join([str(tree / "src"), os.environ.get("PYTHONPATH", "")])
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        sys.dont_write_bytecode = True
        sys.path.insert(0, str(tree / "src"))
        loaded = "ignore::pytest.PytestAssertRewriteWarning"  # of plugins that were loaded before the fork
        options = ["-x", "-q", "-p", "no:cacheprovider", "-W", loaded, f"--timeout={limit / 2:.0f}"]
        status = int(pytest.main([*options, f"--basetemp={tree}/.temp", *tests], plugins=[_Killer(said)]))
    finally:
        os._exit(status)


class _Killer:
    """Notes the test that failed."""

    def __init__(self, said: Path) -> None:
        self.said = said

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.said.write_text(report.nodeid)
