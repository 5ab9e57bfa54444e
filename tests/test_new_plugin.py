"""``ocsflake new-plugin`` writes a distribution that works at once, installed as a wheel of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from ocsflake.cli import main


@pytest.mark.parametrize(("name", "log_type"), [("acme-vpn", "acme.vpn"), ("umbrella", "umbrella.log")])
def test_it_passes_its_own_tests(tmp_path: Path, name: str, log_type: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The wheel is installed beside ocsflake, is found by its log type, and its tests pass."""
    folder, site = tmp_path / "plugin", tmp_path / "site"
    assert main(["new-plugin", name, str(folder)]) == 0
    assert "pip install -e '.[dev]'" in capsys.readouterr().err
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site), str(folder)]
    subprocess.run(pip, check=True, capture_output=True)
    environment = os.environ | {"PYTHONPATH": str(site), "COVERAGE_PROCESS_START": ""}

    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder / "tests")]
    done = subprocess.run(tests, capture_output=True, text=True, env=environment, cwd=folder)
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout
    command = [sys.executable, "-m", "ocsflake", "list", "--json"]
    listed = subprocess.run(command, capture_output=True, text=True, env=environment).stdout.splitlines()
    assert [each["state"] for each in map(json.loads, listed) if each["name"] == log_type] == ["ok"]


def test_example() -> None:
    """The example package passes its own tests, installed as a wheel of its own."""
    folder = Path(__file__).parents[1] / "examples" / "ocsflake-onprem"
    with TemporaryDirectory() as site:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", site, str(folder)]
        subprocess.run(pip, check=True, capture_output=True)
        environment = os.environ | {"PYTHONPATH": site, "COVERAGE_PROCESS_START": ""}
        tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder / "tests")]
        done = subprocess.run(tests, capture_output=True, text=True, env=environment, cwd=folder)

    assert done.returncode == 0, done.stdout
    assert "5 passed" in done.stdout


def test_every_word_is_filled_in(tmp_path: Path) -> None:
    """No placeholder of the template is left."""
    assert main(["new-plugin", "acme-door-controller", str(tmp_path / "plugin")]) == 0

    files = [path for path in (tmp_path / "plugin").rglob("*") if path.is_file()]
    assert "src/acme_door_controller/sign_ins.py" in {str(path.relative_to(tmp_path / "plugin")) for path in files}
    text = "".join(path.read_text() for path in files)
    assert "PACKAGE" not in text
    assert '"acme.door_controller"' in text
    assert 'source_name="acme_door_contr"' in text


@pytest.mark.parametrize("name", ["../x", "Acme", "acme_vpn", "acme--vpn", "1acme", "acme-", ""])
def test_names(name: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """What is no name of a distribution is refused, and writes nothing."""
    assert main(["new-plugin", name, str(tmp_path / "x")]) == 2
    assert "is no name for a plugin" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that holds something is left alone."""
    (tmp_path / "file").write_text("mine")

    assert main(["new-plugin", "acme", str(tmp_path)]) == 2
    assert "is there already" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
