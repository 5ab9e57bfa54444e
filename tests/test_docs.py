"""What the documentation says is so: its code runs, its pages are fresh, and nothing is missing from it."""

from __future__ import annotations

import importlib.util
import inspect
import re
import shutil
import subprocess
import sys
from contextlib import chdir
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import ocsflake
from ocsflake import registry, samples
from ocsflake.cli._arguments import parsers

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def code(text: str, language: str) -> list[str]:
    """Return the blocks of code in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """Return a folder that has the samples of CloudTrail in logs/, and a file that is none."""
    shutil.copytree(samples.files("aws.cloudtrail")[0].parent, tmp_path / "logs")
    (tmp_path / "logs" / "notes.txt").write_text("no log\n")
    return tmp_path


def test_what_the_first_ten_lines_do(logs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every record of the folder is an event of the lake then, and they show something."""
    [block] = code(README, "python")
    names: dict[str, Any] = {}
    with chdir(logs):
        exec(compile(block, "README.md", "exec"), names)

    assert names["report"].counts.written == names["report"].counts.events > 0
    assert "aws.cloudtrail" in capsys.readouterr().out


def test_plugins_page(logs: Path, tmp_path: Path) -> None:
    """The source of the page about plugins is found by its name, and a run takes its records."""
    names: dict[str, Any] = {}
    for block in code((ROOT / "docs" / "plugins.md").read_text(), "python"):
        exec(compile(block, "plugins.md", "exec"), names)

    source = ocsflake.source("acme.spool", log_type="aws.cloudtrail", folder=str(logs / "logs"))
    lake = ocsflake.Lake(tmp_path / "spooled")
    assert ocsflake.run(source, lake, rejects=tmp_path / "rejects").counts.written > 0
    assert ocsflake.run(source, lake, rejects=tmp_path / "rejects").counts.records == 0
    assert {"check_mapper", "SourceSuite"} <= names.keys()


def test_the_first_ten_lines() -> None:
    """They are at most ten."""
    [block] = code(README, "python")

    assert len([line for line in block.splitlines() if line]) <= 10


def test_two_commands() -> None:
    """The README has one line that shows the demo and one that passes the tests, and CI takes the second from it."""
    demo, tests, *_ = code(README, "sh")

    assert len(demo.splitlines()) == len(tests.splitlines()) == 1
    assert demo.endswith(".venv/bin/ocsflake demo\n")
    assert ".venv/bin/pytest" in tests
    assert README.count(".venv/bin/pytest") == 1
    assert "grep -F '.venv/bin/pytest' README.md" in (ROOT / ".ci" / "run").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links(page: Path) -> None:
    """Every link to a file of ours leads somewhere."""
    text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(), flags=re.DOTALL)
    links = re.findall(r"\]\((?!https?://)([^)#\s]+)[^)]*\)", text)

    assert [link for link in links if not (page.parent / link).exists()] == []


def test_log_types_are_fresh() -> None:
    """The pages of the log types are what the mappers say now."""
    wanted = mapping_pages().pages()
    there = {path.name: path.read_text() for path in (ROOT / "docs" / "mapping").glob("*.md")}
    stale = sorted(name for name in {*wanted, *there} if wanted.get(name) != there.get(name))

    assert stale == [], "write them anew: make pages, or python docs/mapping_pages.py"


def test_every_verb_and_option() -> None:
    """The page on the command line has every verb, with every argument and option."""
    text = (ROOT / "docs" / "command-line.md").read_text()
    sections = dict(re.findall(r"^## ocsflake ([\w-]+)\n(.*?)(?=^## |\Z)", text, flags=re.DOTALL | re.MULTILINE))
    _, verbs = parsers()

    assert list(sections) == list(verbs)
    for name, parser in verbs.items():
        for action in parser._actions[1:]:
            wanted = action.option_strings[0] if action.option_strings else str(action.metavar)
            assert wanted in sections[name], f"{name}: {wanted}"


FACES = [
    "ocsflake",
    "ocsflake.alerts",
    "ocsflake.checkpoints",
    "ocsflake.consumers",
    "ocsflake.errors",
    "ocsflake.mapping",
    "ocsflake.model",
    "ocsflake.ocsf",
    "ocsflake.pipeline",
    "ocsflake.queries",
    "ocsflake.registry",
    "ocsflake.samples",
    "ocsflake.security_lake",
    "ocsflake.testing.fixtures",
    "ocsflake.testing.mappers",
    "ocsflake.testing.servers",
    "ocsflake.testing.strategies",
    "ocsflake.testing.suites",
]
"""The modules that others import from, all of whose names are documented."""


@pytest.mark.parametrize("face", FACES)
def test_every_public_name(face: str) -> None:
    """The documentation shows every name that a public module exports, by itself or with its module."""
    shown = {name for page in PAGES for name in re.findall(r"^::: (\S+)", page.read_text(), flags=re.MULTILINE)}
    module = importlib.import_module(face)
    names = [name for name in module.__all__ if name != "__version__"]
    homes = {name: getattr(getattr(module, name), "__module__", face) for name in names}

    assert [
        name
        for name in names
        if not {face, homes[name]} & shown and not any(each.endswith(f".{name}") for each in shown)
    ] == []


@pytest.mark.parametrize("name", [offer.name for offer in registry.offers() if offer.kind == "source"])
def test_every_source_and_option(name: str) -> None:
    """A page has each source, and each of its options in a table."""
    pages = [page.read_text() for page in (ROOT / "docs" / "sources").glob("*.md")]
    [text] = [page for page in pages if f"`{name}`" in page or f'"{name}"' in page]
    options = inspect.signature(registry._load("source", registry._find("source", name))).parameters.keys()
    not_for_users = {"log_type", "sleep"}  # every source has the first, the tests of ours the second

    assert [option for option in sorted(options - not_for_users) if f"`{option}`" not in text] == []


def test_every_mapper() -> None:
    """Each mapper of ours has a page, and is in the list of pages."""
    listed = (ROOT / "docs" / "mapping" / "index.md").read_text()
    ours = [offer.name for offer in registry.offers() if (offer.kind, offer.distribution) == ("mapper", "ocsflake")]

    assert [name for name in ours if f"({name}.md)" not in listed] == []


def test_changelog() -> None:
    """The changes that are not released yet have a place."""
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.name)
def test_examples(example: Path, logs: Path) -> None:
    """Each example runs."""
    arguments = {"in_memory.py": [str(logs / "logs")]}.get(example.name, [])
    done = subprocess.run([sys.executable, str(example), *arguments], cwd=logs, capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


def mapping_pages() -> ModuleType:
    """Return the module that writes the pages of the log types."""
    spec = importlib.util.spec_from_file_location("mapping_pages", ROOT / "docs" / "mapping_pages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
