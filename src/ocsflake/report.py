"""What a run did, in numbers that must balance."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from attrs import Factory, field, frozen

from ocsflake.charts import days, legend, rendering, table, text
from ocsflake.drift import Drift
from ocsflake.steering import clean_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from ocsflake.model import ObjectWritten

__all__ = ["KEPT", "Counts", "Failure", "RunReport", "SourceReport", "Written", "add_written"]

KEPT = 10_000
"""How many objects, partitions, failures, reasons and raw paths a report tells apart: a run may go on for months."""


@frozen
class Counts:
    """Numbers of records and events.

    ``records == mapped + rejects + duplicates`` and ``events == written + filtered``, always.

    Attributes:
        records: Records read.
        mapped: Records that became events, each counted once however many events it holds.
        rejects: Records that became no event; each is kept with its reason.
        duplicates: Records that were taken before: windows overlap, and queues deliver at least once.
        skipped: What is no record by the vendor's own design, such as a digest file.
        events: Events made.
        written: Events in the lake.
        filtered: Events outside ``since`` and ``until``.
    """

    records: int = 0
    mapped: int = 0
    rejects: int = 0
    duplicates: int = 0
    skipped: int = 0
    events: int = 0
    written: int = 0
    filtered: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(*[getattr(self, name) + getattr(other, name) for name in _NAMES])

    @property
    def balanced(self) -> bool:
        """Whether every record and every event is accounted for."""
        taken = self.mapped + self.rejects + self.duplicates
        return self.records == taken and self.events == self.written + self.filtered


_COLUMNS = ("records", "events", "written", "rejects", "filtered", "duplicates")
_NAMES = ("records", "mapped", "rejects", "duplicates", "skipped", "events", "written", "filtered")


@frozen
class Failure:
    """A part of a source that could not be read; it is tried again by the next run.

    Attributes:
        split: The id of the split.
        error: What went wrong.
    """

    split: str
    error: str


@frozen
class SourceReport:
    """What a run did with one source.

    Attributes:
        source: Its name.
        log_type: Its log type.
        counts: Records and events.
        splits: How many splits were committed.
        reasons: Why records were rejected: (attribute, reason) to their number.
        drift: What the records held that the mapper does not know.
        failures: What could not be read.
    """

    source: str
    log_type: str
    counts: Counts = field(factory=Counts)
    splits: int = 0
    reasons: Mapping[tuple[str, str], int] = field(factory=dict)
    drift: Drift = field(factory=Drift)
    failures: tuple[Failure, ...] = ()


@frozen
class Written:
    """What was written of one custom source, class, account and day.

    Attributes:
        objects: How many objects.
        rows: How many events they hold.
        bytes: Their size.
    """

    objects: int = 0
    rows: int = 0
    bytes: int = 0


_Partition = tuple[str, str, str, str]
_PARTITION = ("source", "event_class", "account", "day")


def add_written(totals: dict[_Partition, Written], objects: Iterable[ObjectWritten]) -> None:
    """Add objects to what was written by (source, class, account, day).

    Beyond `KEPT`, the partitions that were not written to for the longest are added up, with no account and no day.
    """
    for item in objects:
        key = (item.source, item.event_class, item.account, item.day)
        _add(totals, key, Written(1, item.rows, item.bytes))
        while len(totals) > KEPT:
            oldest = next(key for key in totals if key[2:] != ("", ""))
            _add(totals, (*oldest[:2], "", ""), totals.pop(oldest))


def _add(totals: dict[_Partition, Written], key: _Partition, more: Written) -> None:
    had = totals.pop(key, Written())  # and so the last one is at the end
    totals[key] = Written(had.objects + more.objects, had.rows + more.rows, had.bytes + more.bytes)


def _written(report: RunReport) -> Mapping[_Partition, Written]:
    totals: dict[_Partition, Written] = {}
    add_written(totals, report.objects)
    return totals


@frozen(repr=False)
class RunReport:
    """What a run did; prints as a table, and renders in a notebook.

    Attributes:
        sources: One report a source, in the order they were given.
        objects: The objects written, the last `KEPT` of them.
        earliest: The time of the earliest event written, or ``None``.
        latest: The time of the latest event written, or ``None``.
        seconds: How long the run took.
        written: All that was written, by (source, class, account, day); see `add_written`.
    """

    sources: Sequence[SourceReport]
    objects: Sequence[ObjectWritten]
    earliest: datetime | None = None
    latest: datetime | None = None
    seconds: float = 0.0
    written: Mapping[_Partition, Written] = field(default=Factory(_written, takes_self=True), kw_only=True)

    @property
    def counts(self) -> Counts:
        """The numbers of all sources together."""
        return sum((source.counts for source in self.sources), Counts())

    @property
    def failures(self) -> list[Failure]:
        """What could not be read, in all sources."""
        return [failure for source in self.sources for failure in source.failures]

    def rows_by(self, *names: str) -> dict[tuple[str, ...], int]:
        """Return the rows written by ``source``, ``event_class``, ``account``, ``day`` or several of these."""
        places = [_PARTITION.index(name) for name in names]
        found: Counter[tuple[str, ...]] = Counter()
        for partition, written in self.written.items():
            found[tuple(partition[place] for place in places)] += written.rows
        return dict(sorted(found.items()))

    @property
    def _object_count(self) -> int:
        return sum(written.objects for written in self.written.values())

    def __repr__(self) -> str:
        counts = self.counts
        return (
            f"<RunReport: {counts.records:,} records, {counts.written:,} events in {self._object_count:,} objects, "
            f"{counts.rejects:,} rejects, {len(self.failures):,} failures>"
        )

    def __str__(self) -> str:
        widths = [max(map(len, column)) for column in zip(*self._table(), strict=True)]
        lines = []
        for row in self._table():
            cells = [c.ljust(w) if i < 2 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))]
            lines.append("  ".join(cells).rstrip())
        return "\n".join([*lines, *map(clean_line, self._notes())])

    def _repr_html_(self) -> str:
        head, *rows = self._rows()
        by_day = {(name, day): count for (name, day), count in self.rows_by("event_class", "day").items()}
        notes = "".join(f"<li>{text(note)}</li>" for note in self._notes())
        drift: list[list[str | int]] = [[source.source, *row] for source in self.sources for row in source.drift.rows()]
        return rendering(
            table(head, rows),
            days(by_day, title="Events written by day, stacked by class"),
            legend(by_day),
            f"<ul>{notes}</ul>",
            f"<details><summary>{len(drift):,} things in the records that the mappers do not know</summary>"
            f"{table(['source', 'drift', 'where', 'sample', 'records'], drift)}</details>"
            if drift
            else "",
        )

    def _table(self) -> list[list[str]]:
        return [[f"{cell:,}" if isinstance(cell, int) else clean_line(cell) for cell in row] for row in self._rows()]

    def _rows(self) -> list[list[str | int]]:
        head: list[str | int] = ["source", "log type", *_COLUMNS]
        rows: list[list[str | int]] = [[s.source, s.log_type, *_numbers(s.counts)] for s in self.sources]
        total: list[list[str | int]] = [["all", "", *_numbers(self.counts)]] if len(self.sources) > 1 else []
        return [head, *rows, *total]

    def _notes(self) -> Iterable[str]:
        yield f"{self._object_count:,} objects in {self.seconds:.1f} s"
        if self.earliest and self.latest:
            yield f"events from {self.earliest:%Y-%m-%d %H:%M:%S} to {self.latest:%Y-%m-%d %H:%M:%S} UTC"
        for source in self.sources:
            if source.counts.skipped:
                yield f"{source.source}: {source.counts.skipped:,} documents that hold no records"
            for (attribute, reason), count in sorted(source.reasons.items(), key=lambda item: -item[1])[:5]:
                where = f"{attribute}: " if attribute else ""
                yield f"{source.source}: {count:,} rejected: {where}{reason}"
            if source.drift.records:
                share = 100 * source.drift.records / max(1, source.counts.records)
                yield f"{source.source}: drift in {source.drift.records:,} records ({share:.1f} %)"
            for line in source.drift.told():
                yield f"{source.source}: {line}"
            for failure in source.failures:
                yield f"{source.source}: not read: {failure.error}"


def _numbers(counts: Counts) -> list[int]:
    return [getattr(counts, name) for name in _COLUMNS]
