"""What is installed: the wheel has what users need and nothing else, and errors go from process to process."""

from __future__ import annotations

import inspect
import pickle
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from zipfile import ZipFile

import pytest

from ocsflake import errors

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names of the files of the wheel."""
    folder = tmp_path_factory.mktemp("dist")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(pip, check=True, capture_output=True)
    [path] = folder.iterdir()
    with ZipFile(path) as archive:
        return set(archive.namelist())


def test_wheel(wheel: set[str]) -> None:
    """The wheel has the marker of types, every module, the samples, the template of plugins and the licence."""
    modules = {str(path.relative_to(ROOT / "src")) for path in (ROOT / "src").rglob("*.py")}

    assert {"ocsflake/py.typed", "ocsflake/plugin_template/pyproject.toml.txt"} | modules <= wheel
    assert any(name.startswith("ocsflake/samples/aws.cloudtrail/") for name in wheel)
    assert any(name.endswith("licenses/LICENSE") for name in wheel)
    assert {name.split("/")[0].partition("-")[0] for name in wheel} == {"ocsflake"}


def test_every_extra_is_tried() -> None:
    """CI installs each extra alone, and the extra `all` has them all but Spark."""
    extras = set(PROJECT["optional-dependencies"]) - {"dev"}
    [tried] = re.findall(r"^for extra in core (.*) all; do$", (ROOT / ".ci" / "extras").read_text(), flags=re.MULTILINE)
    [together] = PROJECT["optional-dependencies"]["all"]

    assert set(tried.split()) == extras - {"all", "spark"}
    assert set(re.findall(r"[a-z]+", together.partition("[")[2])) == extras - {"all", "spark"}


def test_two_type_checkers() -> None:
    """CI has mypy and pyright check the types of the public API as callers use it."""
    run = (ROOT / ".ci" / "run").read_text()

    assert ".venv/bin/mypy\n" in run
    assert ".venv/bin/pyright --pythonpath .venv/bin/python typing_tests\n" in run


@pytest.mark.parametrize(
    "kind", [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, Exception)]
)
def test_errors_are_picklable(kind: type[Exception]) -> None:
    """An error comes out of another process as it was, with its attributes."""
    options = {
        "source": "files:x",
        "split": "a/b#3",
        "retry_after": 2.5,
        "path": "s3://lake/ext",
    }
    takes = getattr(kind.__init__, "__kwdefaults__", None) or {}
    error = kind("what is wrong", **{name: options[name] for name in takes})
    error.add_note("in the second try")

    again = pickle.loads(pickle.dumps(error))

    assert type(again) is kind
    assert (str(again), vars(again)) == (str(error), vars(error))
