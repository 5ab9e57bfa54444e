"""Charts and tables as HTML that needs nothing else: for the report page, and for values in a notebook.

Texts come out of logs, so attackers write them: all are escaped here, cut, and what would turn or hide text is shown.
Colours stand out from a white page and from a dark one by 3 to 1 or more (WCAG 1.4.11), and no chart tells by colour
alone: each is a table, or has one.
"""

from __future__ import annotations

import html
from collections import defaultdict
from datetime import date, timedelta
from typing import TYPE_CHECKING

from attrs import frozen

from ocsflake.steering import clean_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

__all__ = [
    "OTHERS",
    "STYLE",
    "Bar",
    "bars",
    "colours",
    "count_text",
    "days",
    "legend",
    "rendering",
    "size_text",
    "table",
    "text",
]

OTHERS = "others"
"""What the small series of a chart are together."""

_COLOURS = ("#4477aa", "#d1495b", "#228833", "#a67c00", "#1a8fb0", "#a24fa0", "#c2601c")
_REST = "#888888"
_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 600, 220, 56, 12, 24
_DAYS_MAX = 92
_LINES = 4
_LABEL = 40
_TEXT_MAX = 160
_SHORT = 20
"""Texts of so many characters stay on one line: times, and names of custom sources."""

STYLE = f"""\
.ocsflake table{{border-collapse:collapse;font-variant-numeric:tabular-nums;margin:.4em 0}}
.ocsflake th,.ocsflake td{{text-align:left;padding:.22em .7em .22em 0;border-bottom:1px solid #8883;
vertical-align:top;overflow-wrap:anywhere;background:none}}
.ocsflake .short{{white-space:nowrap;overflow-wrap:normal}}
.ocsflake thead th{{font-weight:600;white-space:nowrap;overflow-wrap:normal}}
.ocsflake tbody th{{font-weight:400}}
.ocsflake td.number,.ocsflake thead th.number{{text-align:right;white-space:nowrap}}
.ocsflake table.bars{{width:100%}}
.ocsflake table.bars tbody th{{width:34%;min-width:9em}}
.ocsflake table.bars tbody th,.ocsflake table.bars td{{vertical-align:middle}}
.ocsflake td.bar{{width:30%;min-width:4em}}
.ocsflake td.bar span{{display:block;height:.8em;min-width:2px;border-radius:2px;background:{_COLOURS[0]}}}
.ocsflake .wide{{overflow-x:auto}}
.ocsflake svg{{display:block;width:100%;max-width:{_WIDTH}px;height:auto;overflow:visible}}
.ocsflake ul.legend{{list-style:none;display:flex;flex-wrap:wrap;gap:.2em 1.1em;margin:.4em 0;padding:0}}
.ocsflake ul.legend i{{display:inline-block;width:.8em;height:.8em;border-radius:2px;margin-right:.4em}}
.ocsflake summary{{cursor:pointer}}
"""
"""How the pieces look; they stand in an element of the class ``ocsflake``."""


@frozen
class Bar:
    """A row of a chart of bars.

    Attributes:
        label: What it stands for.
        value: How long it is.
        cells: What else the row tells, in the columns after the value.
        colour: As CSS takes it; ``""`` for that of all bars.
    """

    label: str
    value: int
    cells: tuple[str | int, ...] = ()
    colour: str = ""


def text(value: object) -> str:
    """Return a value as text of a page, escaped; what is long is cut, and what would steer the page is shown."""
    shown = str(value)
    if len(shown) > _TEXT_MAX:
        shown = f"{shown[: _TEXT_MAX - 1]}…"
    return html.escape(clean_line(shown))


def count_text(count: float) -> str:
    """Return a number of things for people, such as ``1,234``."""
    return f"{count:,.0f}"


def size_text(size: float) -> str:
    """Return a number of bytes for people, such as ``1.2 MB``."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 1000 or unit == "TB":
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"


def rendering(*parts: str) -> str:
    """Return pieces with their style, for a notebook."""
    return f'<div class="ocsflake"><style>{STYLE}</style>{"".join(parts)}</div>'


def table(head: Sequence[str | int], rows: Iterable[Sequence[str | int]]) -> str:
    """Return a table; numbers stand to the right."""
    lines = list(rows)
    right = [any(isinstance(cell, int) for cell in cells) for cells in zip(*lines, strict=True)] or [False] * len(head)
    top = "".join(
        f'<th scope="col"{_number_class(number)}>{text(name)}</th>' for name, number in zip(head, right, strict=True)
    )
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in lines)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def bars(head: Sequence[str], rows: Sequence[Bar], *, value_text: Callable[[float], str] = count_text) -> str:
    """Return a chart of horizontal bars, which is a table with a bar in each row.

    Args:
        head: The names of the columns: of the labels, of the values, of the cells.
        rows: From top to bottom.
        value_text: Writes a value.
    """
    most = max((row.value for row in rows), default=0) or 1
    label, value, *others = head
    top = f'<th scope="col">{text(label)}</th><td></td><th scope="col" class="number">{text(value)}</th>'
    top += "".join(
        f'<th scope="col"{_number_class(any(isinstance(row.cells[place], int) for row in rows))}>{text(name)}</th>'
        for place, name in enumerate(others)
    )
    lines = [
        f'<tr><th scope="row"{_short_class(row.label)}>{text(row.label)}</th>'
        f'<td class="bar" aria-hidden="true">'
        f'<span style="width:{100 * row.value / most:.1f}%{_background(row)}"></span></td>'
        f'<td class="number">{text(value_text(row.value))}</td>{"".join(map(_cell, row.cells))}</tr>'
        for row in rows
    ]
    return f'<table class="bars"><thead><tr>{top}</tr></thead><tbody>{"".join(lines)}</tbody></table>'


def colours(values: Mapping[tuple[str, str], int]) -> dict[str, str]:
    """Return the series, the largest first, each with its colour; the small ones share one."""
    totals: dict[str, int] = defaultdict(int)
    for (series, _), value in values.items():
        totals[series] += value
    ranked = sorted(totals, key=lambda series: (series == OTHERS, -totals[series], series))
    rest = dict.fromkeys(ranked, _REST)
    return rest | {series: colour for series, colour in zip(ranked, _COLOURS, strict=False) if series != OTHERS}


def legend(values: Mapping[tuple[str, str], int]) -> str:
    """Return which colour is whose, in a chart of `days`."""
    shown = {OTHERS if colour == _REST else series: colour for series, colour in colours(values).items()}
    items = "".join(f'<li><i style="background:{colour}"></i>{text(series)}</li>' for series, colour in shown.items())
    return f'<ul class="legend">{items}</ul>'


def days(values: Mapping[tuple[str, str], int], *, title: str, value_text: Callable[[float], str] = count_text) -> str:
    """Return a chart of bars by day, stacked by series; `legend` says which is which.

    Args:
        values: By series and ``YYYYMMDD``; ``""`` if there are none.
        title: What the chart shows, for those who do not see it.
        value_text: Writes a value.
    """
    if not values:
        return ""
    coloured = colours(values)
    stacks, labels = _stacks(values)
    most = _round_up(max(sum(stack.values()) for stack in stacks.values()))
    high = _HEIGHT - _TOP - _BOTTOM
    step = (_WIDTH - _LEFT) / len(labels)
    parts = []
    for line in range(_LINES + 1):
        y = _TOP + high - high * line / _LINES
        parts.append(f'<line x1="{_LEFT}" x2="{_WIDTH}" y1="{y:.1f}" y2="{y:.1f}" stroke="#8884"/>')
        parts.append(
            f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value_text(most * line / _LINES)}</text>'
        )
    every = -(-len(labels) // 10)
    for place, label in enumerate(labels):
        x, y = _LEFT + place * step, float(_TOP + high)
        stack = stacks.get(label, {})
        for series, colour in coloured.items():
            if value := stack.get(series, 0):
                tall = max(high * value / most, 0.5)
                y -= tall
                tip = text(f"{label}: {series}, {value_text(value)}")
                parts.append(
                    f'<rect x="{x + step * 0.1:.1f}" y="{y:.1f}" width="{min(step * 0.8, 48):.1f}" height="{tall:.1f}"'
                    f' fill="{colour}"><title>{tip}</title></rect>'
                )
        if place % every == 0 and x + _LABEL < _WIDTH:
            parts.append(f'<text x="{x + step * 0.1:.1f}" y="{_HEIGHT - 6}">{label}</text>')
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{text(title)}" font-family="sans-serif"'
        f' font-size="12" fill="currentColor">{"".join(parts)}</svg>'
    )


def _stacks(values: Mapping[tuple[str, str], int]) -> tuple[dict[str, dict[str, int]], list[str]]:
    """Return the values by label and series, and all labels: days without a gap, or months if they are many."""
    known = sorted({_day(day) for _, day in values})
    months = (known[-1] - known[0]).days >= _DAYS_MAX
    shape = "%Y-%m" if months else "%m-%d"
    stacks: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for (series, day), value in values.items():
        stacks[_day(day).strftime(shape)][series] += value
    if months:
        return stacks, sorted(stacks)
    return stacks, [(known[0] + timedelta(n)).strftime(shape) for n in range((known[-1] - known[0]).days + 1)]


def _day(day: str) -> date:
    try:
        return date(int(day[:4]), int(day[4:6]), int(day[6:]))
    except ValueError:  # another program's day
        return date(1970, 1, 1)


def _round_up(value: int) -> int:
    """Return a round number that is not below `value`, whose quarters are whole."""
    scale = 1
    while scale * 10 < value:
        scale *= 10
    steps = (scale * step for step in (1, 2, 4, 6, 8, 10, 12))
    return next(step for step in steps if step >= value and step % _LINES == 0)


def _cell(cell: str | int) -> str:
    if isinstance(cell, int):
        return f'<td class="number">{cell:,}</td>'
    return f"<td{_short_class(cell)}>{text(cell)}</td>"


def _number_class(number: bool) -> str:
    return ' class="number"' if number else ""


def _short_class(shown: str) -> str:
    return ' class="short"' if len(shown) <= _SHORT else ""


def _background(row: Bar) -> str:
    return f";background:{row.colour}" if row.colour else ""
