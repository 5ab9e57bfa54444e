"""The code of a page of documentation: what there is, running it, and looking at what cannot be run.

- ``python`` runs in the names that the blocks above it made; a ``text`` block that follows is what it prints;
- ``sh`` runs as a script, and ``console`` as commands (``$ ``, further lines ``> ``) with what they print;
- any block with ``title="a/file"`` is that file.

Printed text is compared as doctest does, with ``...`` for what differs from run to run, and any space for any other.
"""

from __future__ import annotations

import ast
import doctest
import inspect
import io
import json
import os
import pkgutil
import re
import shlex
import subprocess
import tomllib
from contextlib import chdir, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlglot
from attrs import frozen

from ocsflake import registry
from ocsflake.cli._arguments import parsers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parents[1]

_FENCE = re.compile(r'^```(\w*)(?: +title="([^"]+)")?\n(.*?)^```$', re.DOTALL | re.MULTILINE)
_MARK = "--8<--"
_PATIENCE = 240  # seconds that a block of commands may take: installing takes the longest


@frozen
class Block:
    """A block of code of a page; shown by where it is."""

    page: str
    line: int
    language: str
    title: str
    code: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: str) -> list[Block]:
    """Return the blocks of code of a page, in their order."""
    text = (ROOT / page).read_text()
    assert len(re.findall(r"^ *```", text, flags=re.MULTILINE)) == 2 * len(_FENCE.findall(text)), f"{page}: odd fences"
    return [
        Block(page, text.count("\n", 0, found.start()) + 1, found[1], found[2] or "", found[3])
        for found in _FENCE.finditer(text)
    ]


def run(page: list[Block], folder: Path, names: dict[str, Any], environment: Mapping[str, str]) -> None:
    """Run the blocks of a page, one after the other."""
    here, environment = folder, dict(environment)
    for number, block in enumerate(page):
        if block.title:
            (here / block.title).parent.mkdir(parents=True, exist_ok=True)
            (here / block.title).write_text(block.code)
        elif block.language == "python":
            printed = _python(block, here, names)
            after = page[number + 1] if number + 1 < len(page) else None
            if after and after.language == "text":
                _compare(block, after.code, printed)
        elif block.language in ("sh", "console"):
            here, environment["PATH"] = _commands(block, here, environment)
        else:
            parse(block)


def parse(block: Block) -> None:
    """Look at a block that is not run: it is of its language, and what it calls of ours takes what it is given."""
    if block.language == "python":
        _check_calls(block)
    elif block.language == "":
        _check_synopsis(block)
    elif block.language in ("sh", "console"):
        for command in _ours(block):
            _check_command(command)
    elif block.language == "json":
        json.loads(block.code)
    elif block.language == "toml":
        tomllib.loads(block.code)
    elif block.language == "sql":
        sqlglot.parse(block.code, read="athena")
    else:
        assert block.language in ("text", "jsonl"), f"{block}: no test knows {block.language!r}"


def without_cloud(block: Block) -> str:
    """Return the Python of a block without the statements that run a source; these are looked at."""
    parse(block)
    statements = [ast.unparse(node) for node in ast.parse(block.code).body]
    return "\n".join(code for code in statements if "ocsflake.run(" not in code and "follow=True" not in code) + "\n"


def _python(block: Block, here: Path, names: dict[str, Any]) -> str:
    printed = io.StringIO()
    code = "\n" * block.line + block.code
    with chdir(here), redirect_stdout(printed):
        exec(compile(code, block.page, "exec"), names)
    return printed.getvalue()


def _commands(block: Block, here: Path, environment: Mapping[str, str]) -> tuple[Path, str]:
    """Run the commands of a block, compare what they print, and return the folder and the PATH that they end with."""
    if block.language == "sh":
        expected, script = [], block.code
    else:
        parts = re.findall(r"^\$ (.*(?:\n> .*)*)\n?((?:(?!\$ ).*\n?)*)", block.code, flags=re.MULTILINE)
        expected = [said for _, said in parts]
        script = "\n".join(command.replace("\n> ", "\n") + f"\nprintf '%s\\n' '{_MARK}'" for command, _ in parts)
    done = subprocess.run(
        ["bash", "-c", f"set -e\nexec 2>&1\n{script}\nprintf '\\n%s%s\\n%s' '{_MARK}' \"$PWD\" \"$PATH\""],
        cwd=here,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
    )
    assert done.returncode == 0, f"{block} ends with {done.returncode}:\n{done.stdout}{done.stderr}"
    *printed, end = done.stdout.split(_MARK)
    for wanted, got in zip(expected, printed, strict=False):
        _compare(block, wanted, got.removeprefix("\n"))
    folder, path = end.splitlines()
    return Path(folder), path


def _compare(block: Block, wanted: str, got: str) -> None:
    checker, flags = doctest.OutputChecker(), doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    if not checker.check_output(wanted, got, flags):
        raise AssertionError(f"{block}: " + checker.output_difference(doctest.Example("", wanted), got, flags))


def _ours(block: Block) -> Iterator[list[str]]:
    """Yield the calls of ``ocsflake`` in a block of commands, as words."""
    for line in block.code.replace("\\\n", " ").splitlines():
        words = shlex.split(line.removeprefix("$ "), comments=True)
        if words and words[0].rpartition("/")[2] == "ocsflake":
            yield words[1 : min([words.index(word) for word in words if word in ("|", ">", "&&")], default=None)]


def _check_synopsis(block: Block) -> None:
    """Fail if a synopsis of a verb names an option that the verb has not."""
    program, verb, *_ = block.code.split()
    assert program == "ocsflake", f"{block}: say of what language it is"
    known = {option for action in parsers()[1][verb]._actions for option in action.option_strings}
    given = set(re.findall(r"--[a-z][a-z-]*", block.code))
    assert given <= known, f"{block}: {verb} has no {sorted(given - known)}"


def _check_command(words: list[str]) -> None:
    """Fail if the command line would not take these words."""
    verb, *rest = words
    arguments = parsers()[1][verb].parse_args(rest)
    if verb == "run":
        options = dict(option.split("=", 1) for option in arguments.option)
        _check_source(arguments.source, {"log_type": arguments.log_type, **options})


def _check_source(name: str, options: Mapping[str, Any]) -> None:
    registry._check_options(name, registry._load("source", registry._find("source", name)), set(options))


def _check_calls(block: Block) -> None:
    """Fail if a call of ours in Python does not fit the function's signature."""
    for call in ast.walk(compile(block.code, str(block), "exec", ast.PyCF_ONLY_AST)):
        if isinstance(call, ast.Call) and ast.unparse(call.func).startswith("ocsflake."):
            keywords = {keyword.arg: None for keyword in call.keywords if keyword.arg}
            name = ast.unparse(call.func).removeprefix("ocsflake.")
            if name == "source":
                _check_source(ast.literal_eval(call.args[0]), keywords)
            else:
                inspect.signature(pkgutil.resolve_name(f"ocsflake.{name}")).bind(*call.args, **keywords)
