"""Which tests run which lines, and how long each takes: one measured run of the suite.

As a plugin of pytest it names a context of coverage after each test, also in the programs that the test starts.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING

import coverage
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_SETTINGS = """[run]
source = {tree}/src/ocsflake
parallel = true
data_file = {state}/.coverage
context = ${{OCSFLAKE_TEST-}}
"""
_LEFT_OUT = (
    *("mappers", "mapping", "ocsf", "campaigns", "spark", "mutation", "lake/test_lake_memory.py"),
    *("lake/test_lake_kill.py", "test_pipeline_crash.py", "test_isolation.py", "test_demo.py", "test_docs.py"),
    *("test_docs_code.py", "test_notebooks.py", "test_packaging.py", "test_layers.py", "test_fuzz_seeds.py"),
    *("test_new_plugin.py", "test_charts.py", "test_import.py", "test_reprs.py"),
)
"""Tests that take minutes, or have nothing to do with the modules that are mutated."""


class Watch:
    """Tells coverage which test runs, and notes what each took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.failed: set[str] = set()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        os.environ["OCSFLAKE_TEST"] = item.nodeid
        coverage.Coverage.current().switch_context(item.nodeid)
        return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0.0) + report.duration
        if report.outcome != "passed":
            self.failed.add(report.nodeid)


def cover(tree: Path, state: Path, paths: Sequence[str]) -> None:
    """Run the tests of a tree, all or those of some paths, and add to what is known."""
    settings = state / "coverage.ini"
    settings.write_text(_SETTINGS.format(tree=tree, state=state))
    asked = paths or ["tests", *(f"--ignore=tests/{name}" for name in _LEFT_OUT)]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(tree / "src"), os.environ.get("PYTHONPATH", "")]),
        "COVERAGE_PROCESS_START": str(settings),
    }
    command = [sys.executable, "-m", "coverage"]
    run = [*command, "run", f"--rcfile={settings}", __file__, str(state), *asked]
    subprocess.run(run, cwd=tree, env=environment, check=True)
    subprocess.run([*command, "combine", f"--rcfile={settings}", "--append", "-q"], cwd=tree, check=True)
    lines, seconds = _breadths(state), json.loads((state / "seconds.json").read_text())
    (state / "costs.json").write_text(json.dumps({name: (took, lines[name]) for name, took in seconds.items()}))


def tests_of(state: Path, source: Path) -> dict[int, set[str]]:
    """Return the tests that run each line of a file."""
    data = coverage.CoverageData(str(state / ".coverage"))
    data.read()
    lines = data.contexts_by_lineno(str(source))
    return {line: set(texts) - {""} for line, texts in lines.items()}


def costs_of(state: Path) -> dict[str, tuple[float, int]]:
    """Return the seconds of each test that passed, and how many lines it runs."""
    return {name: (seconds, lines) for name, (seconds, lines) in json.loads((state / "costs.json").read_text()).items()}


def _breadths(state: Path) -> Counter[str]:
    data = coverage.CoverageData(str(state / ".coverage"))
    data.read()
    return Counter(
        name for path in data.measured_files() for names in data.contexts_by_lineno(path).values() for name in names
    )


def _main(state: str, *arguments: str) -> None:
    watch = Watch()
    pytest.main(["-q", "-m", "not slow", "-p", "no:cacheprovider", *arguments], plugins=[watch])
    path = Path(state) / "seconds.json"
    before = json.loads(path.read_text()) if path.exists() else {}
    # A test that went from its file must go from the list: to ask for it fails, which looks like a mutant killed.
    known = {name: took for name, took in before.items() if name.partition("::")[0] not in arguments}
    found = {name: took for name, took in watch.seconds.items() if name not in watch.failed}
    path.write_text(json.dumps({name: took for name, took in known.items() if name not in watch.failed} | found))


if __name__ == "__main__":
    from pathlib import Path

    _main(*sys.argv[1:])
