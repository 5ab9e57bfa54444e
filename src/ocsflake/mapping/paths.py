r"""Paths into raw records: ``userIdentity.arn``, ``resources[].ARN``, ``labels."compute.googleapis.com/x"``.

A path is a tuple of steps. A step is a key, or `EACH` for every element of a list. Keys that hold a dot, a quote
or a bracket are written in double quotes, with ``\"`` and ``\\`` inside.
"""

from __future__ import annotations

import functools
import re

from ocsflake.errors import SchemaError

__all__ = ["EACH", "Path", "join", "parse"]

EACH = "[]"
"""The step into every element of a list."""

Path = tuple[str, ...]

_STEP = re.compile(r'(?:"((?:[^"\\]|\\.)*)"|([^."\[\]]+))((?:\[\])*)(\.|$)')
_PLAIN = re.compile(r'[^."\[\]]+')


@functools.lru_cache(maxsize=4096)
def parse(text: str) -> Path:
    """Return the steps of a path.

    Args:
        text: The path as written, such as ``resources[].ARN``.

    Raises:
        SchemaError: If the text is not a path; says where it breaks off.
    """
    steps: list[str] = []
    position = 0
    while True:
        match = _STEP.match(text, position)
        if match is None:
            raise SchemaError(
                f"{text!r} is not a path (at character {position}): write keys joined by dots, [] for the elements "
                'of a list, and keys that hold a dot in double quotes, like labels."a.b"'
            )
        quoted, plain, lists, end = match.groups()
        steps.append(re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain)
        steps.extend([EACH] * (len(lists) // 2))
        position = match.end()
        if not end:
            return tuple(steps)


def join(steps: Path) -> str:
    """Return the text of a path; the inverse of `parse`."""
    text = ""
    for step in steps:
        if step == EACH:
            text += EACH
        else:
            text += ("." if text else "") + quote(step)
    return text


def quote(key: str) -> str:
    """Return a key as it stands in a path: in double quotes where it must be."""
    return _quoted_often(key) if len(key) <= _SHORT else _quoted(key)


def _quoted(key: str) -> str:
    if _PLAIN.fullmatch(key):
        return key
    escaped = key.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


_SHORT = 64
"""Characters of a key that is worth remembering."""
_quoted_often = functools.lru_cache(maxsize=1 << 13)(_quoted)
