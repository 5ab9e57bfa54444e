"""Rows of flows that stand for several public addresses: one row for each of them.

Traffic Analytics sums up what one end had to do with many public addresses, such as
``203.0.113.9|4|4|40|52|3100|88000 198.51.100.7|1|1|9|8|700|900`` in ``SrcPublicIps``: an address, how many flows began
and ended, packets and bytes from the source and to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from attrs import evolve, frozen

from ocsflake.mappers.azure._shapes import RECORDS
from ocsflake.mapping.explode import swollen
from ocsflake.mapping.leftovers import Leftovers
from ocsflake.mapping.lists import row_numbers
from ocsflake.mapping.unmapped import column_leaves
from ocsflake.mapping.values import string_text, with_nulls

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ocsflake.mapping import JsonRecords, paths
    from ocsflake.mapping.frame import Frame, Node
    from ocsflake.model import RawBatch

__all__ = ["ADDRESSES", "FlowRows"]

KINDS = ("SubType", "SubType_s")
ADDRESSES = ("SrcPublicIps", "DestPublicIps", "SrcPublicIPs_s", "DestPublicIPs_s")


@frozen
class FlowRows:
    """A parser of rows of Traffic Analytics.

    Only one end of a flow is public: of a row that names several addresses for both, the second ones stay together.
    Rows that tell of no flow (the topology of networks, messages on the processing) are skipped.

    Attributes:
        records: The parser of the rows themselves.
    """

    records: JsonRecords = RECORDS

    def whole_paths(self) -> list[paths.Path]:
        """Return the columns that say what a row is, and which addresses it is about."""
        return [*self.records.whole_paths(), *((name,) for name in (*KINDS, *ADDRESSES))]

    def __call__(self, raw: RawBatch, root: Node) -> Iterator[Frame]:
        """Yield the frames of some raw records."""
        for frame in self.records(raw, root):
            yield _left_over(_spread(_flows(frame)))


def _flows(frame: Frame) -> Frame:
    """Return a frame without the rows that tell of no flow, which are counted."""
    kind = pc.coalesce(*(_text(frame, name) for name in KINDS))
    is_flow = pc.is_in(pc.utf8_lower(kind), value_set=pa.array(["flowlog", "", None], pa.string()))
    if pc.all(is_flow, min_count=0).as_py():
        return frame
    kept = pc.indices_nonzero(is_flow).cast(pa.int32())
    numbers = kept.to_pylist()
    return evolve(
        _taken(frame, kept, {}),
        records=lambda wanted: frame.records([numbers[number] for number in wanted]),
        record_of=None,
        read=len(kept),
        origins=tuple((len(kept), origin) for _, origin in frame.origins if len(kept)),  # one batch has one
        skipped={**frame.skipped, "row of Traffic Analytics that is no flow": frame.rows - len(kept)},
    )


def _spread(frame: Frame) -> Frame:
    """Return a frame with a row for each public address."""
    whole = pc.is_null(pa.nulls(frame.rows))
    for name in ADDRESSES:
        entries = _entries(frame, name, whole)
        if refused := swollen(frame, frame.columns, pc.list_value_length(entries).to_pylist()):
            of = row_numbers(frame.rows) if frame.record_of is None else frame.record_of
            kept = pc.indices_nonzero(pc.invert(pc.is_in(of, value_set=pa.array(refused, pa.int32())))).cast(pa.int32())
            frame, whole = _taken(frame, kept, {}), whole.take(kept)
            frame = evolve(frame, record_of=of.take(kept), refused={**frame.refused, **refused})
            entries = _entries(frame, name, whole)
        if len(entries.flatten()) > frame.rows:
            column, rows = frame.columns[name], pc.list_parent_indices(entries).cast(pa.int32())
            spelt = msgspec.json.encode if pa.types.is_binary(column.type) else str
            several = pc.greater(pc.list_value_length(entries), 1)
            values = [
                spelt(entry) if apart else given
                for apart, given, entry in zip(
                    several.take(rows).to_pylist(),
                    column.take(rows).to_pylist(),
                    entries.flatten().to_pylist(),
                    strict=True,
                )
            ]
            whole = pc.and_not(whole, several).take(rows)
            frame = _taken(frame, rows, {name: pa.array(values, column.type)})
    return frame


def _entries(frame: Frame, name: str, whole: pa.Array) -> pa.Array:
    """Return the entries of a column in the rows that are `whole`; one, which is empty, in all others."""
    text = pc.if_else(whole, pc.fill_null(_text(frame, name), ""), "")
    return pc.utf8_split_whitespace(pc.utf8_trim_whitespace(text))


def _left_over(frame: Frame) -> Frame:
    """Return a frame that leaves over what stands for public addresses: no attribute takes how many flows ended."""
    found = [column_leaves(name, with_nulls(frame.columns[name]), None) for name in ADDRESSES if name in frame.columns]
    return evolve(frame, leftovers=Leftovers.joined([frame.leftovers, *found]))


def _text(frame: Frame, name: str) -> pa.Array:
    """Return a column as text, null where it holds anything else."""
    column = frame.columns.get(name)
    if column is not None and pa.types.is_binary(column.type):
        return string_text(column)
    return column if column is not None and pa.types.is_string(column.type) else pa.nulls(frame.rows, pa.string())


def _taken(frame: Frame, rows: pa.Array, instead: Mapping[str, pa.Array]) -> Frame:
    """Return a frame of some rows of another, in their order, with other columns `instead`."""
    return evolve(
        frame,
        rows=len(rows),
        columns={name: instead.get(name, column.take(rows)) for name, column in frame.columns.items()},
        leftovers=frame.leftovers.repeated(rows),
        record_of=rows if frame.record_of is None else frame.record_of.take(rows),
    )
