"""The package: what it exports, and that importing it is cheap."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import ocsflake


def loaded_by(code: str) -> set[str]:
    """Return the modules that a fresh Python has loaded after some code."""
    command = [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules, sep='\\n')"]
    return set(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())


def test_import_is_light() -> None:
    """`import ocsflake` loads itself, and of Python no more than `typing`; so it costs milliseconds on any machine."""
    before = loaded_by("from __future__ import annotations\nimport typing")  # and what any start of Python loads here

    assert loaded_by("import ocsflake") - before == {"ocsflake"}


def test_a_name_loads_its_own_part() -> None:
    """What a name needs is loaded when it is used: no SDK and no database for running files."""
    elsewhere = {"azure", "boto3", "botocore", "duckdb", "google", "obstore", "pyspark", "rich", "sqlglot"}
    code = "import ocsflake; ocsflake.run, ocsflake.Lake, ocsflake.source('files', log_type='aws.cloudtrail', uri='.')"
    new = loaded_by(code) - loaded_by("")

    assert "pyarrow" in new
    assert elsewhere & {name.partition(".")[0] for name in new} == set()


def test_errors_are_light() -> None:
    """Catching an error of ours needs only what cleans messages, and none of Python's own that takes long."""
    new = loaded_by("from ocsflake import SourceError") - loaded_by("")

    ours = {name for name in new if name.startswith("ocsflake")}
    assert ours == {"ocsflake", "ocsflake.errors", "ocsflake.steering"}
    assert {"importlib.metadata", "email"} & new == set()


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
