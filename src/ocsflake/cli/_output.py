"""Writing to a terminal, a pipe or a file: messages, lines of data, tables."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from typing import TYPE_CHECKING, Any

from ocsflake.steering import clean, clean_line

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["BOLD", "DIM", "put", "say", "table", "tell", "width"]

_LEAST = 8

BOLD, DIM = "1;36", "2"
"""Styles of text, as ECMA-48 numbers them."""


def tell(text: str) -> None:
    """Write a message to stderr, behind the data that came before it: both may go to one place."""
    with contextlib.suppress(OSError):  # whoever writes the data finds out
        sys.stdout.flush()
    print(clean(text), file=sys.stderr, flush=True)


def say(text: str, style: str = "") -> None:
    """Write lines of text to stdout, as UTF-8 whatever the locale; in a style, if stdout is a terminal."""
    text = clean(text)
    if style and sys.stdout.isatty() and not os.environ.get("NO_COLOR"):
        text = f"\x1b[{style}m{text}\x1b[0m"
    sys.stdout.buffer.write(text.encode(errors="backslashreplace") + b"\n")


def put(line: bytes) -> None:
    """Write a line of data to stdout as it is; a terminal gets it with what would steer it made visible."""
    if sys.stdout.isatty():
        line = clean(line.decode(errors="backslashreplace")).encode()
    sys.stdout.buffer.write(line + b"\n")


def width() -> int | None:
    """Return how many columns stdout has, ``None`` if it is no terminal."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def table(head: Sequence[str], rows: Sequence[Sequence[Any]], width: int | None = None) -> str:
    """Return rows as a table: numbers to the right, everything else to the left.

    Args:
        head: The names of the columns.
        rows: Cells of any kind; ``None`` is left empty.
        width: How wide the table may be; the widest cells are cut. ``None`` for as wide as it is.
    """
    right = [any(map(_is_number, cells)) for cells in zip(*rows, strict=True)] or [False] * len(head)
    texts = [list(head), *([_cell(cell) for cell in row] for row in rows)]
    widths = [max(map(len, cells)) for cells in zip(*texts, strict=True)]
    if width is not None:
        widths = _fitted(widths, width - 2 * (len(widths) - 1))
    lines = [_line(cells, widths, right) for cells in texts]
    lines.insert(1, "  ".join("─" * size for size in widths))
    return "\n".join(lines)


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    cut = (text if len(text) <= size else f"{text[: size - 1]}…" for text, size in zip(cells, widths, strict=True))
    padded = (
        text.rjust(size) if to_right else text.ljust(size)
        for text, size, to_right in zip(cut, widths, right, strict=True)
    )
    return "  ".join(padded).rstrip()


def _fitted(widths: Sequence[int], space: int) -> list[int]:
    """Return widths that fit into a space, the widest ones cut to one size, none to less than a few characters."""
    limit = max(widths)
    while limit > _LEAST and sum(min(size, limit) for size in widths) > space:
        limit -= 1
    return [min(size, limit) for size in widths]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return clean_line(str(value))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
