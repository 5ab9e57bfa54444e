"""`ocsflake demo`: the main job on the samples, start to end."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cli_help import Done, call, process
from ocsflake import samples
from ocsflake.cli._demo import STEPS
from ocsflake.lake import Lake

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the demo."""
    return tmp_path_factory.mktemp("demo") / "a lake"


@pytest.fixture(scope="module")
def done(folder: Path) -> Done:
    """Return what the demo did."""
    return process("demo", folder)


def parts(text: str) -> Iterator[str]:
    """Yield what each step wrote."""
    yield from re.split(r"^\d+\. .*\n", text, flags=re.MULTILINE)[1:]


def test_steps(done: Done) -> None:
    """Every step is shown with its number and its title, and all is as it must be."""
    titles = re.findall(r"^\d+\. .*$", done.out, flags=re.MULTILINE)

    assert (done.code, done.err) == (0, "")
    assert titles == [f"{number}. {title}" for number, (title, _) in enumerate(STEPS, 1)]


def test_it_reads_every_sample(done: Done) -> None:
    """Each log type that there is a sample of is read."""
    look = next(parts(done.out))

    assert [row.split()[0] for row in look.splitlines()[3:] if row] == samples.log_types()


def test_everything_is_valid(done: Done, folder: Path) -> None:
    """What is in the lake is what the demo says, and all of it is valid."""
    _, load, *_ = parts(done.out)
    lake = Lake(folder)
    counts = [lake.query(f"SELECT count(*) FROM {source.name}")[0][0].as_py() for source in lake.sources()]
    valid, events = re.findall(r"([\d,]+) of ([\d,]+) events are valid OCSF", load)[0]

    assert valid == events == f"{sum(counts):,}"
    assert sum(counts) > 50


def test_queries_find_something(done: Done) -> None:
    """All queries are shown with rows; some address was refused and calls the API, and was refused a sign-in."""
    _, _, callers, refused, failures, duplicates, *_ = parts(done.out)

    assert "alice" in callers
    assert re.search(r"\d+\.\d+\.\d+\.\d+ .*\[", refused)
    assert re.search(r'198\.51\.100\.77 .*"AWS".*"Azure"', failures)
    assert "queries.duplicate_findings(days=7, until=datetime.date(2026, 11, 18))" in duplicates


def test_nothing_doubles(done: Done) -> None:
    """The second run reads nothing."""
    again = list(parts(done.out))[6]
    before, after = re.findall(r"held ([\d,]+) events before, and holds ([\d,]+) now", again)[0]

    assert "0 records read, 0 events written" in again
    assert before == after


def test_a_report_page(done: Done, folder: Path) -> None:
    """The page is where the demo says, and has all events."""
    told = list(parts(done.out))[7]
    events = re.findall(r"([\d,]+) of [\d,]+ events are valid", done.out)[0]

    assert f"The page is {folder}/.ocsflake/report.html" in told
    assert f">{events}</dd>" in (folder / ".ocsflake" / "report.html").read_text()


def test_what_to_try_next(capsys: pytest.CaptureFixture[str], done: Done) -> None:
    """The commands that it ends with work."""
    commands = [shlex.split(line) for line in list(parts(done.out))[-1].splitlines() if line]

    assert len(commands) == 3
    for command, *arguments in commands:
        assert command == "ocsflake"
        assert call(capsys, *arguments).code == 0


def test_again_in_the_same_folder(capsys: pytest.CaptureFixture[str], done: Done, folder: Path) -> None:
    """In a folder that it filled before, the demo writes nothing, and shows the same."""
    again = call(capsys, "demo", folder)

    assert (done.code, again.code) == (0, 0)
    assert "Nothing is new" in again.out
    assert list(parts(again.out))[2:] == list(parts(done.out))[2:]


def test_a_folder_of_its_own() -> None:
    """Without a folder it makes one, and says where."""
    done = process("demo")
    root = Path(re.findall(r"The lake is (\S+),", done.out)[0])

    assert done.code == 0
    assert (root / "ext").is_dir()
