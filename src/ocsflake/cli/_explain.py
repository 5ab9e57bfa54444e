"""``ocsflake explain``: a mapper's table, and how far it fills with real logs."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ocsflake import registry
from ocsflake.cli._inputs import Inputs
from ocsflake.cli._output import say, table, tell, width
from ocsflake.cli._rejects import Reasons
from ocsflake.drift import Drift
from ocsflake.mapping.coverage import coverage, filled, unmapped_keys

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from ocsflake.mapping import Lineage, Mapper
    from ocsflake.mapping.coverage import ClassCoverage
    from ocsflake.model import RawBatch


def main(arguments: argparse.Namespace) -> int:
    """Show the table of a mapper; 1 if a file could not be read."""
    mapper = registry.mapper(arguments.log_type)
    inputs = Inputs(arguments.files)
    counts = _Counts(mapper, inputs.batches()) if arguments.files else None
    missing = {each.event_class: each for each in coverage(mapper).classes}
    say(f"{mapper.title or mapper.log_type} ({mapper.log_type})")
    for event_class in dict.fromkeys(event.event_class for event in mapper.events):
        lines = [line for line in mapper.lineage() if line.event_class == event_class]
        if counts is None:
            say(f"\n{event_class}\n")
            say(table(["attribute", "expression", "raw paths"], [_row(line) for line in lines], width()))
            _show_missing(missing.get(event_class))
        elif total := counts.events[event_class]:
            say(f"\n{event_class}, {total:,} events\n")
            rows = [
                [line.attribute, _share(counts.filled[event_class, line.attribute], total), *_row(line)[1:]]
                for line in lines
            ]
            say(table(["attribute", "filled", "expression", "raw paths"], rows, width()))
            _show_missing(missing.get(event_class))
    if counts is not None:
        counts.show_rest()
    return int(bool(inputs.failed))


def _show_missing(found: ClassCoverage | None) -> None:
    """Show what a class requires or recommends and nothing fills; a class that the version lacks has nothing."""
    for requirement in ("required", "recommended"):
        if found is not None and (paths := found.missing(requirement)):
            say(f"\n{requirement} and missing: {', '.join(paths)}")


class _Counts:
    """What a mapper makes of some files, counted."""

    def __init__(self, mapper: Mapper, raws: Iterable[RawBatch]) -> None:
        self.events: Counter[str] = Counter()
        self.filled: Counter[tuple[str, str]] = Counter()
        self.unmapped: Counter[str] = Counter()
        self.drift = Drift()
        self.records = self.rejects = 0
        self.reasons = Reasons()
        lineage = mapper.lineage()
        for mapped in mapper.map_batches(raws):
            self.records += mapped.records
            self.rejects += mapped.rejects.num_rows
            self.reasons.add(mapped.rejects)
            self.drift += mapped.drift
            for batch in mapped.batches:
                self.events[batch.event_class] += batch.events.num_rows
                self.unmapped.update(unmapped_keys(batch.events["unmapped"]))
                for line in lineage:
                    if line.event_class == batch.event_class:
                        self.filled[line.event_class, line.attribute] += filled(batch.events, line.attribute)

    def show_rest(self) -> None:
        """Show what no attribute took, and the totals."""
        if self.unmapped:
            rows = [
                [path, count, "new to the mapper" if path in self.drift.unknown else ""]
                for path, count in sorted(self.unmapped.items(), key=lambda item: (-item[1], item[0]))
            ]
            say("\nunmapped\n")
            say(table(["raw path", "events", ""], rows, width()))
        changed = [row for row in self.drift.rows() if row[1] not in self.drift.unknown]
        if changed:
            say("\nthe mapper does not know\n")
            say(table(["", "where", "sample", "records"], changed, width()))
        self.reasons.show()
        tell(f"records={self.records} events={self.events.total()} rejects={self.rejects}")


def _row(line: Lineage) -> list[str]:
    return [line.attribute, line.expression, ", ".join(line.raw_paths)]


def _share(count: int, total: int) -> str:
    return f"{100 * count / total:5.1f} %"
