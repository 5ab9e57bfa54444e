"""``ocsflake demo``: the main job on the samples that come with the package, step by step."""

from __future__ import annotations

import shlex
import tempfile
import textwrap
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
from attrs import frozen

from ocsflake import pipeline, queries, registry, samples
from ocsflake.cli._output import BOLD, DIM, say, table, width
from ocsflake.cli._query import as_table
from ocsflake.lake import Lake
from ocsflake.ocsf import validate

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from ocsflake.model import Source
    from ocsflake.report import RunReport

CALLERS = """\
SELECT coalesce(actor.user.name, actor.user.uid, actor.invoked_by) AS who, src_endpoint.ip AS address,
       cloud.provider AS cloud, api.operation AS operation, status, count(*) AS calls
FROM api_activity
WHERE actor.user IS NOT NULL
GROUP BY ALL ORDER BY calls DESC, who, operation LIMIT 10"""

REFUSED = """\
WITH flows AS (
    SELECT src_endpoint.ip AS address, dst_endpoint.port AS port, count(*) AS refused,
           list_sort(list(DISTINCT cloud.provider)) AS clouds
    FROM network_activity WHERE activity_name = 'Refuse' GROUP BY ALL
), callers AS (
    SELECT src_endpoint.ip AS address, list_sort(list(DISTINCT actor.user.name)) AS calls_the_api_as
    FROM api_activity WHERE actor.user.name IS NOT NULL GROUP BY ALL
)
SELECT address, port, refused, clouds, calls_the_api_as FROM flows LEFT JOIN callers USING (address)
ORDER BY calls_the_api_as IS NULL, refused DESC, address, port LIMIT 10"""

LAST_DAY = date(2026, 11, 18)
"""The last day of the samples."""

_INDENT = "   "


@frozen
class Demo:
    """What the steps work on.

    Attributes:
        root: The folder of the lake.
        sources: The samples, a source for each log type.
    """

    root: Path
    sources: Sequence[Source]

    @property
    def lake(self) -> Lake:
        """The lake."""
        return Lake(self.root)

    def run(self) -> RunReport:
        """Bring what is new in the samples into the lake."""
        return pipeline.run(self.sources, self.lake, rejects=self.root / ".ocsflake" / "rejects")


def main(arguments: argparse.Namespace) -> int:
    """Run all steps; 1 if something is not as it must be."""
    root = Path(arguments.folder or tempfile.mkdtemp(prefix="ocsflake-demo-")).absolute()
    demo = Demo(root, [_source(log_type) for log_type in _log_types()])
    good = True
    for number, (title, step) in enumerate(STEPS, 1):
        say(f"\n{number}. {title}\n", style=BOLD)
        good = step(demo) and good
    return int(not good)


def look(demo: Demo) -> bool:
    """Show what there is to read."""
    splits = {source.log_type: list(source.plan(None, datetime.now(UTC))) for source in demo.sources}
    rows = [[name, len(parts), sum(part.bytes or 0 for part in parts)] for name, parts in splits.items()]
    _show_table(["log type", "files", "bytes"], rows)
    return all(splits.values())


def load(demo: Demo) -> bool:
    """Bring the samples into the lake, and judge what is there then."""
    report = demo.run()
    counts = report.counts
    _show(f"{counts.records:,} records became {counts.written:,} events, {counts.rejects:,} were rejected.")
    for reason, count in _reasons(report).items():
        _show(f"rejected {count:,}: {reason}")
    _show(f"\nThe lake is {demo.root}, in the layout of Amazon Security Lake:\n")
    if not report.objects:
        _show("Nothing is new: it was all written by an earlier run.")
        return not report.failures
    _show_table(["event class", "custom sources", "accounts", "events"], _classes(report))
    _show(f"\n{len(report.objects):,} objects, such as\n{report.objects[0].key}")
    judged = [validate(pq.read_table(demo.root / written.key, partitioning=None)) for written in report.objects]
    events, invalid = sum(each.rows for each in judged), sum(each.invalid for each in judged)
    _show(f"\n{events - invalid:,} of {events:,} events are valid OCSF {demo.lake.ocsf_version}.")
    return not invalid and not report.failures


def ask_who(demo: Demo) -> bool:
    """Ask who called which API."""
    return _ask(demo, CALLERS)


def ask_across(demo: Demo) -> bool:
    """Ask a question that takes two kinds of logs."""
    return _ask(demo, REFUSED)


def ask_failures(demo: Demo) -> bool:
    """Ask a question of all clouds that comes with the library."""
    return _ask_named(demo, "failed_sign_ins", ["address", "failures", "users", "clouds"])


def ask_duplicates(demo: Demo) -> bool:
    """Ask which findings came more than once."""
    return _ask_named(demo, "duplicate_findings", ["uid", "findings", "title", "severity"])


def load_again(demo: Demo) -> bool:
    """Run once more: nothing may be written twice."""
    before = _events(demo)
    report = demo.run()
    after = _events(demo)
    _show(f"{report.counts.records:,} records read, {report.counts.written:,} events written.")
    _show(f"The lake held {before:,} events before, and holds {after:,} now.")
    return before == after


def report(demo: Demo) -> bool:
    """Write a page that shows what is in the lake, for a browser."""
    path = demo.root / ".ocsflake" / "report.html"
    found = demo.lake.report()
    path.write_text(found.html, encoding="utf-8")
    _show(f"{found.usage.summary}; {sum(found.severities.values()):,} findings.")
    _show(f"The page is {path}: open it in a browser.")
    return bool(found.events)


def go_on(demo: Demo) -> bool:
    """Show what to try next."""
    sample = shlex.quote(str(min(samples.files("aws.cloudtrail"), key=lambda file: len(file.name))))
    lake = shlex.quote(str(demo.root))
    commands = [
        f'ocsflake query --lake {lake} "DESCRIBE api_activity"',
        f"ocsflake map aws.cloudtrail {sample}",
        f"ocsflake explain aws.cloudtrail {sample}",
    ]
    _show("\n".join(commands))
    return True


STEPS = [
    ("What there is to read", look),
    ("Run it into a lake: raw logs become OCSF", load),
    ("Who did what over the API?", ask_who),
    ("Whose connections were refused, and does anybody call the API from there?", ask_across),
    ("Where did sign-ins fail from, in any cloud?", ask_failures),
    ("Which findings came more than once?", ask_duplicates),
    ("Run again: nothing doubles", load_again),
    ("A report page", report),
    ("Go on", go_on),
]


def _log_types() -> list[str]:
    """Return the log types that there is a sample of, and a mapper that loads."""
    loaded = {offer.name for offer in registry.offers() if (offer.kind, offer.state) == ("mapper", "ok")}
    return [log_type for log_type in samples.log_types() if log_type in loaded]


def _source(log_type: str) -> Source:
    return registry.source("files", log_type=log_type, uri=str(samples.files(log_type)[0].parent))


def _ask(demo: Demo, sql: str) -> bool:
    _show(sql, style=DIM)
    found = demo.lake.query(sql)
    _show("\n" + as_table(found, _room()))
    return bool(found.num_rows)


def _ask_named(demo: Demo, name: str, columns: Sequence[str]) -> bool:
    _show(f"lake.query(queries.{name}(days=7, until={LAST_DAY!r}))", style=DIM)
    found = demo.lake.query(getattr(queries, name)(days=7, until=LAST_DAY)).select(columns).slice(0, 10)
    _show("\n" + as_table(found, _room()))
    return bool(found.num_rows)


def _events(demo: Demo) -> int:
    """Return how many events the lake holds."""
    counts = [demo.lake.query(f"SELECT count(*) FROM {source.name}") for source in demo.lake.sources()]  # noqa: S608 - our own names
    return sum(count[0][0].as_py() for count in counts)


def _classes(report: RunReport) -> list[list[object]]:
    """Return each event class with the sources and accounts that have events of it, and how many were written."""
    return [
        [
            name,
            len({written.source for written in report.objects if written.event_class == name}),
            len({written.account for written in report.objects if written.event_class == name}),
            rows,
        ]
        for (name,), rows in report.rows_by("event_class").items()
    ]


def _reasons(report: RunReport) -> Counter[str]:
    reasons: Counter[str] = Counter()
    for source in report.sources:
        for (attribute, reason), count in source.reasons.items():
            reasons[f"{attribute}: {reason}" if attribute else reason] += count
    return reasons


def _show_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    _show(table(head, rows, _room()))


def _room() -> int | None:
    columns = width()
    return None if columns is None else columns - len(_INDENT)


def _show(text: str, style: str = "") -> None:
    say(textwrap.indent(text, _INDENT), style=style)
