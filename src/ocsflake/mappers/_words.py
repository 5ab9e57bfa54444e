"""Words that logs spell in more than one way."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["any_case"]


def any_case(table: Mapping[str, int]) -> dict[str, int]:
    """Return a table whose words count in lower case and in capitals too."""
    return {spelt: value for word, value in table.items() for spelt in (word.lower(), word.upper(), word)}
