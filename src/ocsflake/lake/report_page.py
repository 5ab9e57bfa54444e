"""A report on a lake as a page: one file, no script, nothing from a network."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from ocsflake.charts import OTHERS, STYLE, Bar, bars, colours, count_text, days, rendering, size_text, table, text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ocsflake.lake.report import LakeReport

__all__ = ["fragment", "page"]

K = TypeVar("K", str, tuple[str, str, str])

_TOP = 10
_SERIES = 7
_ROWS = 1_000
"""Of a table that is folded."""
_SEVERITIES = {
    6: ("Fatal", "#a24fa0"),
    5: ("Critical", "#d1495b"),
    4: ("High", "#c2601c"),
    3: ("Medium", "#a67c00"),
    2: ("Low", "#4477aa"),
    1: ("Informational", "#1a8fb0"),
    99: ("Other", "#888888"),
    0: ("Unknown", "#888888"),
}
"""OCSF's severities, the worst first, each with a colour."""
_BAD = (6, 5, 4)

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""Nothing is loaded, and no script runs."""

_STYLE = """\
:root{color-scheme:light dark;--page:#fff;--panel:#f6f7f9;--text:#1b1f24;--dim:#57606a;--line:#d5dae0;--link:#0b5cad}
@media(prefers-color-scheme:dark){
:root{--page:#15181e;--panel:#1d2129;--text:#e6e9ee;--dim:#a3adba;--line:#363d49;--link:#7db4f0}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--text);font:15px/1.45 system-ui,sans-serif}
header,main,footer{max-width:1180px;margin:0 auto;padding:0 20px}
header{padding-top:24px}
h1{font-size:1.5em;margin:0}
h2{font-size:1.1em;margin:0 0 .5em}
h3{font-size:1em;margin:1.2em 0 .2em}
p{margin:.3em 0}
header p,.dim,footer{color:var(--dim);overflow-wrap:anywhere}
a{color:var(--link)}
a:focus-visible,summary:focus-visible,.wide:focus-visible{outline:3px solid var(--link);outline-offset:2px}
nav ul{display:flex;flex-wrap:wrap;gap:.2em 1.2em;list-style:none;margin:12px 0 0;padding:0}
.skip{position:absolute;left:-9999px}
.skip:focus{left:20px;top:4px;background:var(--page);padding:4px 8px}
dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(130px,1fr));gap:12px;margin:20px 0}
dl div{background:var(--panel);border:1px solid var(--line);border-radius:8px;padding:10px 14px}
dt{color:var(--dim);font-size:.85em}
dd{margin:0;font-size:1.5em;font-weight:600;font-variant-numeric:tabular-nums;white-space:nowrap}
dd.bad{color:#d1495b}
main{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,480px),1fr));gap:16px;padding-bottom:20px}
main dl,section.all{grid-column:1/-1}
section{background:var(--panel);border:1px solid var(--line);border-radius:8px;padding:16px 18px;min-width:0}
footer{padding-bottom:30px;font-size:.85em}
@media print{body{font-size:11px}section{break-inside:avoid}nav,.skip{display:none}}
"""


def page(report: LakeReport) -> str:
    """Return the page."""
    title = f"Security lake {report.root}"
    links = "".join(f'<li><a href="#{anchor}">{text(name)}</a></li>' for anchor, name, _, _ in _sections(report))
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f'<meta name="referrer" content="no-referrer"><link rel="icon" href="data:,"><title>{text(title)}</title>'
        f'<style>{_STYLE}{STYLE}</style></head><body class="ocsflake"><a class="skip" href="#main">To the report</a>'
        f"<header><h1>{text(title)}</h1><p>{_period(report)}</p>"
        f'<nav aria-label="Sections"><ul>{links}</ul></nav></header>'
        f'<main id="main">{_tiles(report)}{_body(report)}</main>'
        f"<footer>Made by ocsflake at {report.made:%Y-%m-%d %H:%M} UTC. Days and times are in UTC.</footer>"
        "</body></html>\n"
    )


def fragment(report: LakeReport) -> str:
    """Return the same for a notebook."""
    numbers = table([name for name, _, _ in _numbers(report)], [[value for _, value, _ in _numbers(report)]])
    return rendering(f"<p>{text(report.root)}: {_period(report)}</p>{numbers}", _body(report))


def _body(report: LakeReport) -> str:
    return "".join(
        f'<section id="{anchor}" aria-labelledby="{anchor}-title"{" class=all" if wide else ""}>'
        f'<h2 id="{anchor}-title">{text(name)}</h2>{content}</section>'
        for anchor, name, wide, content in _sections(report)
    )


def _sections(report: LakeReport) -> list[tuple[str, str, bool, str]]:
    """Return the anchor, the title, whether it takes all of the width, and the content of each section."""
    return [
        ("events-by-class", "Events by day and class", False, _timeline(report, 0, "class") + _every_day(report)),
        ("events-by-cloud", "Events by day and cloud", False, _timeline(report, 1, "cloud")),
        ("usage-by-source", "Usage by custom source", False, _usage(report, "source", "custom source")),
        ("usage-by-account", "Usage by account", False, _usage(report, "account", "account")),
        ("findings", "Findings by severity", False, _severities(report)),
        ("rejects", "Rejects", False, _rejects(report)),
        ("worst", "The worst findings", True, _findings(report)),
        ("identities", "Top identities", True, _identities(report)),
        ("drift", "Drift, and what no attribute takes", True, _left_over(report)),
    ]


def _period(report: LakeReport) -> str:
    total = report.usage.total
    since = f" from {_day(report.since)} on" if report.since else ""
    if total.first is None or total.last is None:
        return f"No events{since}."
    return f"Events{since}: {_time(total.first)} to {_time(total.last)} UTC"


def _numbers(report: LakeReport) -> list[tuple[str, str, bool]]:
    """Return the name and the value of each number, and whether it is bad news."""
    total, usage = report.usage.total, report.usage
    bad = sum(report.severities.get(severity, 0) for severity in _BAD)
    rejects = "n/a" if report.rejects is None else count_text(sum(report.rejects.values()))
    return [
        ("events", count_text(total.rows), False),
        ("stored", size_text(total.bytes), False),
        ("objects", count_text(total.objects), False),
        ("custom sources", count_text(len(usage.by("source"))), False),
        ("accounts", count_text(len(usage.by("account"))), False),
        ("serious findings", count_text(bad), bad > 0),
        ("rejects", rejects, False),
    ]


def _tiles(report: LakeReport) -> str:
    return "<dl>{}</dl>".format(
        "".join(
            f"<div><dt>{text(name)}</dt><dd{' class=bad' if bad else ''}>{text(value)}</dd></div>"
            for name, value, bad in _numbers(report)
        )
    )


def _timeline(report: LakeReport, place: int, name: str) -> str:
    if not report.events:
        return _note("There are no events.")
    totals: Counter[str] = Counter()
    for key, count in report.events.items():
        totals[key[place]] += count
    large = {series for series, _ in totals.most_common(_SERIES)}
    found: Counter[tuple[str, str]] = Counter()
    for key, count in report.events.items():
        found[key[place] if key[place] in large else OTHERS, key[2]] += count
    rows = [
        Bar(series, sum(count for (each, _), count in found.items() if each == series), (), colour)
        for series, colour in colours(found).items()
    ]
    picture = days(found, title=f"Events by day, stacked by {name}")
    return picture + bars([name, "events"], rows)


def _every_day(report: LakeReport) -> str:
    newest = sorted(report.events.items(), key=lambda item: item[0][::-1], reverse=True)[:_ROWS]
    if not newest:
        return ""
    rows: list[list[str | int]] = [[_day(day), kind, cloud, count] for (kind, cloud, day), count in newest]
    return _details("Every day", _wide(table(["day", "class", "cloud", "events"], rows), "Events of every day"))


def _usage(report: LakeReport, by: str, name: str) -> str:
    found = {group[0]: amount for group, amount in report.usage.by(by).items()}
    if not found:
        return _note("There are no events.")
    ranked = sorted(found, key=lambda each: (-found[each].rows, each))
    head = [name, "events", "stored", "last event"]
    rows = [
        Bar(each or ".", found[each].rows, (size_text(found[each].bytes), _time(found[each].last))) for each in ranked
    ]
    more = (
        _details(f"All {len(rows):,}", _wide(bars(head, rows[:_ROWS]), f"All usage by {name}"))
        if len(rows) > _TOP
        else ""
    )
    return _wide(bars(head, rows[:_TOP]), f"Usage by {name}") + more


def _severities(report: LakeReport) -> str:
    if not report.severities:
        return _note("There are no findings.")
    known = Counter({severity: count for severity, count in report.severities.items() if severity in _SEVERITIES})
    known[99] += sum(report.severities.values()) - sum(known.values())
    rows = [
        Bar(name, known[severity], (), colour) for severity, (name, colour) in _SEVERITIES.items() if known[severity]
    ]
    return bars(["severity", "findings"], rows) + _note("Each finding is counted once, as it was told last.")


def _findings(report: LakeReport) -> str:
    if not report.findings:
        return _note("There are no findings.")
    rows = [
        [
            _SEVERITIES.get(each.severity_id or 0, _SEVERITIES[99])[0],
            each.title or "",
            each.product or "",
            each.cloud or "",
            each.account or "",
            _time(each.time),
        ]
        for each in report.findings
    ]
    head = ["severity", "title", "product", "cloud", "account", "time"]
    return _wide(table(head, rows), "The worst findings")


def _identities(report: LakeReport) -> str:
    if not report.identities:
        return _note("No event names a user.")
    head = ["user", "events", "failed", "clouds", "last event"]
    rows = [
        Bar(each.who, each.events, (each.failed, ", ".join(each.clouds), _time(each.last)))
        for each in report.identities
    ]
    return _wide(bars(head, rows), "Top identities")


def _rejects(report: LakeReport) -> str:
    if report.rejects is None:
        return _note("Where rejected records are kept was not said, and the lake has no folder of them.")
    if not report.rejects:
        return _note("No record was rejected.")
    rows = [
        Bar(f"{attribute}: {reason}" if attribute else reason, count, (log_type,))
        for (log_type, attribute, reason), count in _most(report.rejects)
    ]
    return _wide(bars(["reason", "records", "log type"], rows), "Reasons of rejects")


def _left_over(report: LakeReport) -> str:
    if not report.left_over:
        return _note("Attributes take all that the logs hold.")
    rows = [
        Bar(each.path, each.events, (each.source, "new" if each.new else "", _day(each.first_day)))
        for each in report.left_over
    ]
    head = ["raw path", "events", "custom source", "drift", "first day"]
    return _wide(bars(head, rows), "Raw paths that no attribute takes") + _note(
        "All of it is kept in unmapped. New is what was not there on the first day of its source."
    )


def _most(counts: Mapping[K, int]) -> Sequence[tuple[K, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_TOP]


def _details(summary: str, content: str) -> str:
    return f"<details><summary>{text(summary)}</summary>{content}</details>"


def _wide(content: str, label: str) -> str:
    """Return what may be wider than the page, so that a keyboard can move it."""
    return f'<div class="wide" tabindex="0" role="group" aria-label="{text(label)}">{content}</div>'


def _note(sentence: str) -> str:
    return f'<p class="dim">{text(sentence)}</p>'


def _day(day: str) -> str:
    return f"{day[:4]}-{day[4:6]}-{day[6:]}" if len(day) == 8 and day.isdecimal() else day


def _time(milliseconds: int | None) -> str:
    if milliseconds is None:
        return ""
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M")
    except (OverflowError, ValueError, OSError):  # what another program wrote need not be a time
        return str(milliseconds)
