"""Tables that go from the benchmarks into docs/benchmarks.md, between two marks that bear a name."""

from __future__ import annotations

import os
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def put(name: str, lines: list[str]) -> None:
    """Put lines of Markdown between the two marks of a name.

    Raises:
        SystemExit: The marks are not there.
    """
    page, (start, end) = DOCS / "benchmarks.md", (f"<!-- {name}: {place} -->" for place in ("begin", "end"))
    text = page.read_text()
    if start not in text or end not in text:
        raise SystemExit(f"{page} lacks {start} or {end}")
    before, _, rest = text.partition(start)
    page.write_text("\n".join([before + start, "", *lines, end]) + rest.partition(end)[2])


def load() -> str:
    """Return how busy the machine was in the last minute: 0 is a machine at rest."""
    return f"{os.getloadavg()[0]:.1f}"
