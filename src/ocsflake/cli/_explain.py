"""``ocsflake explain``: a mapper's table, and how far it fills with real logs."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from ocsflake import registry
from ocsflake.cli._inputs import Inputs
from ocsflake.cli._output import say, table, tell, width
from ocsflake.cli._rejects import Reasons

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from ocsflake.mapping import Lineage, Mapper
    from ocsflake.model import RawBatch


def main(arguments: argparse.Namespace) -> int:
    """Show the table of a mapper; 1 if a file could not be read."""
    mapper = registry.mapper(arguments.log_type)
    inputs = Inputs(arguments.files)
    counts = _Counts(mapper, inputs.batches()) if arguments.files else None
    say(f"{mapper.title or mapper.log_type} ({mapper.log_type})")
    for event_class in dict.fromkeys(event.event_class for event in mapper.events):
        lines = [line for line in mapper.lineage() if line.event_class == event_class]
        if counts is None:
            say(f"\n{event_class}\n")
            say(table(["attribute", "expression", "raw paths"], [_row(line) for line in lines], width()))
        elif total := counts.events[event_class]:
            say(f"\n{event_class}, {total:,} events\n")
            rows = [
                [line.attribute, _share(counts.filled[event_class, line.attribute], total), *_row(line)[1:]]
                for line in lines
            ]
            say(table(["attribute", "filled", "expression", "raw paths"], rows, width()))
    if counts is not None:
        counts.show_rest()
    return int(bool(inputs.failed))


class _Counts:
    """What a mapper makes of some files, counted."""

    def __init__(self, mapper: Mapper, raws: Iterable[RawBatch]) -> None:
        self.events: Counter[str] = Counter()
        self.filled: Counter[tuple[str, str]] = Counter()
        self.unmapped: Counter[str] = Counter()
        self.unknown: Counter[str] = Counter()
        self.records = self.rejects = 0
        self.reasons = Reasons()
        lineage = mapper.lineage()
        for mapped in mapper.map_batches(raws):
            self.records += mapped.records
            self.rejects += mapped.rejects.num_rows
            self.reasons.add(mapped.rejects)
            self.unknown.update(mapped.unknown)
            for batch in mapped.batches:
                self.events[batch.event_class] += batch.events.num_rows
                self.unmapped.update(_keys(batch.events["unmapped"]))
                for line in lineage:
                    if line.event_class == batch.event_class:
                        self.filled[line.event_class, line.attribute] += _filled(batch.events, line.attribute)

    def show_rest(self) -> None:
        """Show what no attribute took, and the totals."""
        if self.unmapped:
            rows = [
                [path, count, "new to the mapper" if path in self.unknown else ""]
                for path, count in sorted(self.unmapped.items(), key=lambda item: (-item[1], item[0]))
            ]
            say("\nunmapped\n")
            say(table(["raw path", "events", ""], rows, width()))
        self.reasons.show()
        tell(f"records={self.records} events={self.events.total()} rejects={self.rejects}")


def _row(line: Lineage) -> list[str]:
    return [line.attribute, line.expression, ", ".join(line.raw_paths)]


def _share(count: int, total: int) -> str:
    return f"{100 * count / total:5.1f} %"


def _keys(unmapped: pa.Array) -> dict[str, int]:
    """Return how many events hold each key of a map."""
    pairs = unmapped.cast(pa.list_(pa.struct([("key", pa.string()), ("value", pa.string())])))
    counts = pc.value_counts(pc.struct_field(pairs.flatten(), "key"))
    return dict(zip(counts.field("values").to_pylist(), counts.field("counts").to_pylist(), strict=True))


def _filled(events: pa.RecordBatch, attribute: str) -> int:
    """Return in how many events an attribute has a value, in any element of a list."""
    rows = pa.array(range(events.num_rows), pa.int32())
    column: pa.Array = events.to_struct_array()
    for name in [*attribute.replace("[]", "").split("."), None]:
        if pa.types.is_list(column.type):
            rows = rows.take(pc.list_parent_indices(column))
            column = column.flatten()
        if name is not None:
            if column.type.get_field_index(name) < 0:
                return 0  # the version has no such attribute
            column = pc.struct_field(column, name)
    return len(pc.unique(rows.filter(column.is_valid())))
