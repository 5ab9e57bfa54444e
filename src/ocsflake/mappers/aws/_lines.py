"""Patterns of log lines whose columns stand between single spaces, some of them in quotes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["line", "plain", "quoted"]

_ANY = ".*?"
_NO_QUOTE = '[^"]*'


def plain(*names: str) -> list[str]:
    """Return the patterns of columns without spaces."""
    return [rf"(?P<{name}>\S+)" for name in names]


def quoted(*names: str) -> list[str]:
    """Return the patterns of columns in quotes, or ``-`` without; quotes within are not escaped."""
    return [rf'(?:"(?P<{name}>{_ANY})"|-)' for name in names]


def line(columns: Sequence[str], later: Sequence[str] = ()) -> tuple[str, str]:
    """Return two patterns of a line: a fast one for lines without quotes within quotes, and one for any.

    Args:
        columns: The patterns of the columns that every line has.
        later: Those of columns that were added over time: a line may end before any of them. What follows the last
            is the column ``more``.
    """
    tail = r"(?: (?P<more>.+))?"
    for column in reversed(later):
        tail = f"(?: {column}{tail})?"
    pattern = " ".join(columns) + tail
    return pattern.replace(_ANY, _NO_QUOTE), pattern
