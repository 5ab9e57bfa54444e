"""``ocsflake new-plugin``: a distribution of one's own, which works at once."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from ocsflake.cli._output import say, tell
from ocsflake.errors import ConfigError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from importlib.resources.abc import Traversable

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_TEMPLATE = ".txt"  # so that no tool takes the template's files for code of ours
_MAX_SOURCE_NAME = 15


def main(arguments: argparse.Namespace) -> int:
    """Write the files.

    Raises:
        ConfigError: If the name is none of a distribution, or there is something at its place.
    """
    name: str = arguments.name
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{name!r} is no name for a plugin: give small letters, digits and single '-', as acme-vpn")
    folder = Path(arguments.folder or name)
    if folder.exists() and any(folder.iterdir() if folder.is_dir() else [folder]):
        raise ConfigError(f"{folder} is there already: give another folder, or remove it")
    package = name.replace("-", "_")
    vendor, _, log = name.partition("-")
    words = {
        "NAME": name,
        "PACKAGE": package,
        "LOG_TYPE": f"{vendor}.{log.replace('-', '_') or 'log'}",
        "SOURCE": package[:_MAX_SOURCE_NAME].rstrip("_"),
    }
    for path, text in _files(resources.files("ocsflake") / "plugin_template"):
        target = folder / path.replace("PACKAGE", package).removesuffix(_TEMPLATE)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(re.sub("@([A-Z_]+)@", lambda match: words[match[1]], text))
        say(str(target))
    tell(f"now: cd {folder} && python3 -m venv .venv && .venv/bin/pip install -e '.[dev]' && .venv/bin/pytest")
    return 0


def _files(folder: Traversable, above: str = "") -> Iterator[tuple[str, str]]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _files(entry, f"{above}{entry.name}/")
        elif entry.name.endswith(_TEMPLATE):
            yield above + entry.name, entry.read_text(encoding="utf-8")
