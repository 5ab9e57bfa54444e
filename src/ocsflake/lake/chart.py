"""Bars of bytes by day, stacked by source, as SVG that needs nothing else."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["chart", "size_text"]

_COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377")
"""Tol's bright palette, which colour-blind people can tell apart."""
_OTHERS = "#888888"
_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 720, 220, 64, 12, 24
_DAYS_MAX = 92
_LINES = 4
_LABEL = 40


def chart(by_day: Mapping[tuple[str, str], int], table: Sequence[Sequence[str | int]], summary: str) -> str:
    """Return a chart with its legend and a table, as HTML.

    Args:
        by_day: Bytes by source and ``YYYYMMDD``.
        table: What to show below: the head and the rows.
        summary: What to say above.
    """
    totals: dict[str, int] = defaultdict(int)
    for (source, _), size in by_day.items():
        totals[source] += size
    ranked = sorted(totals, key=lambda source: (-totals[source], source))
    colours = dict(zip(ranked, _COLOURS, strict=False))
    picture = _svg(by_day, ranked, colours) if by_day else ""
    shown = [*colours.items(), *([("others", _OTHERS)] if len(ranked) > len(colours) else [])]
    legend = " ".join(f'<span style="color:{colour}">&#9632;</span> {escape(name)}&ensp;' for name, colour in shown)
    head, *rows = table
    cells = "".join("<tr>" + "".join(_cell(cell) for cell in row) + "</tr>" for row in rows)
    top = "".join(f"<th>{escape(str(name))}</th>" for name in head)
    return (
        f"<p>{escape(summary)}</p>{picture}<p>{legend}</p>"
        f"<table><thead><tr>{top}</tr></thead><tbody>{cells}</tbody></table>"
    )


def size_text(size: float) -> str:
    """Return a number of bytes for people, such as ``1.2 MB``."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 1000 or unit == "TB":
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"


def _cell(cell: str | int) -> str:
    if isinstance(cell, int):
        return f'<td style="text-align:right">{cell:,}</td>'
    return f"<td>{escape(cell)}</td>"


def _svg(by_day: Mapping[tuple[str, str], int], ranked: Sequence[str], colours: Mapping[str, str]) -> str:
    stacks, labels = _stacks(by_day)
    most = _round_up(max(sum(stack.values()) for stack in stacks.values()))
    high = _HEIGHT - _TOP - _BOTTOM
    step = (_WIDTH - _LEFT) / len(labels)
    parts = []
    for line in range(_LINES + 1):
        y = _TOP + high - high * line / _LINES
        parts.append(f'<line x1="{_LEFT}" x2="{_WIDTH}" y1="{y:.1f}" y2="{y:.1f}" stroke="#8884"/>')
        parts.append(
            f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{size_text(most * line / _LINES)}</text>'
        )
    every = -(-len(labels) // 10)
    for place, label in enumerate(labels):
        x, y = _LEFT + place * step, float(_TOP + high)
        stack = stacks.get(label, {})
        for source in ranked:
            if size := stack.get(source, 0):
                tall = max(high * size / most, 0.5)
                y -= tall
                tip = escape(f"{label}: {source}, {size_text(size)}")
                parts.append(
                    f'<rect x="{x + step * 0.1:.1f}" y="{y:.1f}" width="{min(step * 0.8, 48):.1f}" height="{tall:.1f}"'
                    f' fill="{colours.get(source, _OTHERS)}"><title>{tip}</title></rect>'
                )
        if place % every == 0 and x + _LABEL < _WIDTH:
            parts.append(f'<text x="{x + step * 0.1:.1f}" y="{_HEIGHT - 6}">{label}</text>')
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}" role="img"'
        f' aria-label="Bytes by day" font-family="sans-serif" font-size="11" fill="currentColor">{"".join(parts)}</svg>'
    )


def _stacks(by_day: Mapping[tuple[str, str], int]) -> tuple[dict[str, dict[str, int]], list[str]]:
    """Return the bytes by label and source, and all labels: days without a gap, or months if they are many."""
    days = sorted({_day(day) for _, day in by_day})
    months = (days[-1] - days[0]).days >= _DAYS_MAX
    shape = "%Y-%m" if months else "%m-%d"
    stacks: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for (source, day), size in by_day.items():
        stacks[_day(day).strftime(shape)][source] += size
    if months:
        return stacks, sorted(stacks)
    return stacks, [(days[0] + timedelta(n)).strftime(shape) for n in range((days[-1] - days[0]).days + 1)]


def _day(text: str) -> date:
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:  # another program's day
        return date(1970, 1, 1)


def _round_up(size: int) -> float:
    """Return a round number that is not below `size`."""
    scale = 1.0
    while scale * 10 < size:
        scale *= 10
    return next(scale * step for step in (1, 2, 4, 6, 8, 10) if scale * step >= size)
