"""The package: what it exports, and that importing it is cheap."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import ocsflake

HEAVY = {
    "attrs",
    "attr",
    "azure",
    "boto3",
    "botocore",
    "duckdb",
    "google",
    "importlib.metadata",
    "msgspec",
    "numpy",
    "obstore",
    "ocsf_json_schema",
    "pandas",
    "pyarrow",
    "pyspark",
    "rich",
    "sqlglot",
    "sqlite3",
}


def loaded_by(code: str) -> set[str]:
    """Return the modules that a fresh Python has loaded after some code."""
    command = [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules, sep='\\n')"]
    return set(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())


def test_import_is_light() -> None:
    """`import ocsflake` loads no library that is not Python's, and none of Python's own that take long."""
    before = loaded_by("")  # an editable installation, or coverage, may load some by itself

    assert HEAVY & (loaded_by("import ocsflake") - before) == set()


def test_errors_are_light() -> None:
    """Catching an error of ours needs nothing else of ours."""
    new = {name for name in loaded_by("from ocsflake import SourceError") if name.startswith("ocsflake")}

    assert new == {"ocsflake", "ocsflake.errors"}


def test_registry_is_light() -> None:
    """Asking for a source loads no mapper, no lake and no database."""
    new = loaded_by("import ocsflake; ocsflake.source; ocsflake.mapper")

    assert {"pyarrow", "duckdb", "ocsflake.sources", "ocsflake.lake"} & new == set()


@pytest.mark.parametrize("name", ocsflake.__all__)
def test_every_public_name_is_there(name: str) -> None:
    """Each exported name can be had, and is the same object each time."""
    assert getattr(ocsflake, name) is getattr(ocsflake, name)


def test_public_names() -> None:
    """The exported names are sorted, are what `dir` shows, and are what type checkers are told of."""
    tree = ast.parse(Path(ocsflake.__file__).read_text())
    [block] = [node for node in tree.body if isinstance(node, ast.If)]
    typed = {alias.name for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}

    assert ocsflake.__all__ == sorted(ocsflake.__all__)
    assert set(ocsflake.__all__) == typed | {"__version__"}
    assert set(ocsflake.__all__) <= set(dir(ocsflake))


def test_unknown_name() -> None:
    """A name that is not exported is an `AttributeError`, as with any module."""
    with pytest.raises(AttributeError, match="module 'ocsflake' has no attribute 'Lakes'"):
        ocsflake.Lakes  # type: ignore[attr-defined]  # noqa: B018
    assert not hasattr(ocsflake, "metadata")
