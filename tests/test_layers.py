"""Imports go downwards only: each part of the package knows the parts below it, and none beside or above."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

SRC = Path(__file__).parents[1] / "src"

LAYERS = [
    {"__main__"},
    {"cli", "spark", "testing"},
    {""},  # the package itself, which names the public API
    {"pipeline"},
    {"jobs"},
    {"commits"},
    {"ahead", "alerts", "consumers", "events", "pace", "queries", "replaying", "seen"},
    {"registry"},
    {"mappers", "sources", "security_lake", "lake", "checkpoints"},
    {"mapping"},
    {"ocsf"},
    {"aws", "azure", "gcp", "notifications", "rejects", "report", "samples", "times"},
    {"charts", "marks", "memory", "model", "retry", "telemetry"},
    {"dictionaries", "drift", "errors"},
    {"steering"},
]
"""Parts from the top to the bottom; a part imports from the layers below its own."""

EXCEPTIONS = {("security_lake", "lake")}
"""Who may import from beside itself."""


def modules(src: Path) -> dict[str, Path]:
    """Return the modules below a folder, by their dotted names."""
    found = {}
    for path in sorted((src / "ocsflake").rglob("*.py")):
        parts = path.relative_to(src).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(name: str, path: Path, known: dict[str, Path]) -> Iterator[tuple[str, int, bool]]:
    """Yield the modules of ours that a module imports, with the line, and whether only for type checkers."""
    tree = ast.parse(path.read_text())
    typing_only = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(tree):
        targets: list[str] = []
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join([*package.split(".")[: len(package.split(".")) + 1 - node.level], *base.split(".")])
            base = base.strip(".")
            targets = [f"{base}.{alias.name}" if f"{base}.{alias.name}" in known else base for alias in node.names]
        for target in targets:
            if target.split(".")[0] == "ocsflake":
                yield target, node.lineno, node in typing_only


def part(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def layer(module: str) -> int:
    for number, parts in enumerate(LAYERS):
        if part(module) in parts:
            return number
    raise AssertionError(f"{module} has no layer: give {part(module)!r} one in LAYERS")


def upward(src: Path) -> list[str]:
    """Return the imports that break the rule."""
    known = modules(src)
    wrong = []
    for name, path in known.items():
        for target, line, _ in imports(name, path, known):
            ours, theirs = part(name), part(target)
            if ours != theirs and layer(target) <= layer(name) and (ours, theirs) not in EXCEPTIONS:
                wrong.append(f"{path.relative_to(src)}:{line} imports {target}")
    return wrong


def cycle(src: Path) -> list[str]:
    """Return the modules of one cycle of imports, if there is one; imports for type checkers alone do not count."""
    known = modules(src)
    graph = {
        name: sorted({target for target, _, typing in imports(name, path, known) if not typing})
        for name, path in known.items()
    }
    done: set[str] = set()

    def visit(name: str, path: list[str]) -> list[str]:
        if name in path:
            return [*path[path.index(name) :], name]
        if name not in done:
            for target in graph.get(name, ()):
                if found := visit(target, [*path, name]):
                    return found
            done.add(name)
        return []

    return next((found for name in graph if (found := visit(name, []))), [])


def test_imports_go_downwards() -> None:
    """No part imports from beside or above itself."""
    assert upward(SRC) == []


def test_no_cycles() -> None:
    """No module imports itself by way of others."""
    assert cycle(SRC) == []


@pytest.mark.parametrize(
    ("module", "code", "wrong"),
    [
        ("mapping/expr", "from ocsflake.lake import Lake", ["ocsflake/mapping/expr.py:1 imports ocsflake.lake"]),
        ("sources/a", "import ocsflake.mappers", ["ocsflake/sources/a.py:1 imports ocsflake.mappers"]),
        ("sources/a", "from ocsflake.lake import x", ["ocsflake/sources/a.py:1 imports ocsflake.lake"]),
        ("lake/a", "from ..checkpoints import x", ["ocsflake/lake/a.py:1 imports ocsflake.checkpoints"]),
        ("errors", "from ocsflake import run", ["ocsflake/errors.py:1 imports ocsflake"]),
        ("model", "def f():\n    from . import cli", ["ocsflake/model.py:2 imports ocsflake.cli"]),
        ("lake/a", "import ocsflake.security_lake", ["ocsflake/lake/a.py:1 imports ocsflake.security_lake"]),
        ("security_lake/a", "from ocsflake.lake import x", []),
        ("pipeline", "from ocsflake import registry", []),
        ("sources/a", "from ocsflake.sources import b\nfrom . import b\nimport os", []),
    ],
)
def test_the_test(tmp_path: Path, module: str, code: str, wrong: list[str]) -> None:
    """The rule finds what breaks it, and nothing else."""
    for name in (module, "lake/__init__", "cli", "registry", "sources/b", "checkpoints"):
        path = tmp_path / "ocsflake" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code if name == module else "")

    assert upward(tmp_path) == wrong


def test_a_part_without_a_layer(tmp_path: Path) -> None:
    """A new part must be given its place."""
    (tmp_path / "ocsflake").mkdir()
    (tmp_path / "ocsflake" / "novel.py").write_text("import ocsflake.errors")

    with pytest.raises(AssertionError, match="give 'novel' one"):
        upward(tmp_path)


def test_the_test_for_cycles(tmp_path: Path) -> None:
    """A cycle is found, and shown."""
    (tmp_path / "ocsflake").mkdir()
    (tmp_path / "ocsflake" / "a.py").write_text("from ocsflake import b")
    (tmp_path / "ocsflake" / "b.py").write_text("def f():\n    from ocsflake.c import x")
    (tmp_path / "ocsflake" / "c.py").write_text("import ocsflake.a")

    assert cycle(tmp_path) == ["ocsflake.a", "ocsflake.b", "ocsflake.c", "ocsflake.a"]
