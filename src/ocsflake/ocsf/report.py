"""What a validation found."""

from __future__ import annotations

import html
from collections import Counter
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from attrs import evolve, field, frozen

from ocsflake.steering import clean_line

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Finding", "Report", "make_report"]

_SHOWN = 30


@frozen(eq=False)
class Finding:
    """One rule that some events break at one attribute.

    Attributes:
        rule: The rule's name, as the OCSF server's validator names it where it has one.
        attribute: The dotted path, lists as ``resources[].uid``; ``""`` for the event itself.
        level: ``error``, or ``warning`` for what leaves an event valid.
        rows: The numbers of the events in the input, int64, ascending.
        detail: What was expected and what was found, for people.
    """

    rule: str
    attribute: str
    level: str
    rows: pa.Array = field(repr=False)
    detail: str = ""

    def __str__(self) -> str:
        first = self.rows[0].as_py()
        at = self.attribute or "the event"
        return clean_line(
            f"{self.level} {self.rule} at {at} in {len(self.rows)} events (first: {first}): {self.detail}"
        )


@frozen(eq=False)
class Report:
    """The outcome of a validation; prints as text and renders in a notebook.

    Attributes:
        rows: How many events were looked at.
        valid: For each event, whether it has no finding of level ``error``.
        findings: One for each attribute, rule and level, errors first.
    """

    rows: int
    valid: pa.BooleanArray = field(repr=False)
    findings: tuple[Finding, ...]

    @property
    def invalid(self) -> int:
        """How many events have an error."""
        return self.rows - int(self.valid.true_count)

    def counts(self) -> dict[tuple[str, str], int]:
        """Return how many events break a rule, by (attribute, rule)."""
        counts: Counter[tuple[str, str]] = Counter()
        for finding in self.findings:
            counts[finding.attribute, finding.rule] += len(finding.rows)
        return dict(counts)

    def __repr__(self) -> str:
        return f"<Report: {self.rows:,} events, {self.invalid:,} invalid>"

    def __str__(self) -> str:
        more = len(self.findings) - _SHOWN
        lines = [f"{self.rows} events, {self.invalid} invalid"]
        lines += [f"  {finding}" for finding in self.findings[:_SHOWN]]
        return "\n".join(lines + ([f"  and {more} more findings"] if more > 0 else []))

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{name}</th>" for name in ("level", "rule", "attribute", "events", "detail"))
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in cells) + "</tr>"
            for cells in (
                (finding.level, finding.rule, finding.attribute, len(finding.rows), finding.detail)
                for finding in self.findings
            )
        )
        table = f"<table><tr>{head}</tr>{body}</table>" if self.findings else ""
        return f"<p>{self.rows} events, {self.invalid} invalid</p>{table}"


def make_report(rows: int, findings: Iterable[Finding]) -> Report:
    """Return the report on `rows` events; findings of one rule and attribute become one."""
    alike: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in findings:
        if len(finding.rows):
            alike.setdefault((finding.level, finding.attribute, finding.rule), []).append(finding)
    merged = tuple(_merge(alike[key]) for key in sorted(alike))
    bad = [finding.rows for finding in merged if finding.level == "error"]
    valid = pa.repeat(True, rows)
    if bad:
        valid = pc.invert(pc.is_in(_row_numbers(valid), value_set=pa.concat_arrays(bad)))
    return Report(rows, valid, merged)


def _merge(findings: list[Finding]) -> Finding:
    if len(findings) == 1:
        return findings[0]
    rows = pc.unique(pa.concat_arrays([finding.rows for finding in findings]))
    return evolve(findings[0], rows=rows.take(pc.sort_indices(rows)))


def _row_numbers(all_true: pa.BooleanArray) -> pa.Array:
    return pc.indices_nonzero(all_true).cast(pa.int64())
