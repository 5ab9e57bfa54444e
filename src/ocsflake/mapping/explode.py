"""The elements of a list within a record as rows of their own, beside what their record says of all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from ocsflake.mapping import paths
from ocsflake.mapping.frame import Frame
from ocsflake.mapping.leftovers import Collector, Leftovers
from ocsflake.mapping.lists import row_numbers
from ocsflake.mapping.records import repair_surrogates
from ocsflake.mapping.shred import below, decode_lists
from ocsflake.mapping.values import token_column

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ocsflake.mapping.frame import Node

__all__ = ["explode", "is_empty", "swollen"]

_MOST_TIMES = 32
"""What a record may grow to when its elements become rows; flow logs grow to some six times their bytes."""
_SURELY_BYTES = 64 * 1024
"""Of one record: less is no matter, whatever its own bytes are."""
_LEFT_OVER_BYTES = 64
"""What a leftover takes beside its key and value."""


def explode(frame: Frame, steps: paths.Path, root: Node) -> Frame:
    """Return a frame with one row for each element of a list; rows without elements are left out."""
    node = root
    for place, step in enumerate(steps):
        if step != paths.EACH:
            node = node.children[step]
            continue
        path = paths.join(steps[:place])
        columns = dict(frame.columns)
        tokens = columns.pop(path, None)
        values: list[Any] = [] if tokens is None else [b"" if t is None else t for t in tokens.to_pylist()]
        left, no_lists = Collector(), Collector()
        lists = decode_lists(values, path, no_lists)
        refused = swollen(frame, columns, [len(found or ()) for found in lists])
        if refused:
            of = range(frame.rows) if frame.record_of is None else frame.record_of.to_pylist()
            lists = [None if record in refused else found for record, found in zip(of, lists, strict=True)]
        owners = [number for number, found in enumerate(lists) for _ in found or ()]
        node = node.each[0]
        elements = [element for found in lists if found for element in found]
        inner = {path + paths.EACH: token_column(elements)} if node.whole else below(elements, node, path + "[]", left)
        parents = pa.array(owners, pa.int32())
        record_of = parents if frame.record_of is None else frame.record_of.take(parents)
        parts = (frame.leftovers.repeated(parents), left.leftovers())
        frame = Frame(
            rows=len(owners),
            columns={name: column.take(parents) for name, column in columns.items()} | inner,
            leftovers=Leftovers.joined([*parts, _moved(no_lists.leftovers(), frame.record_of, record_of)]),
            records=frame.records,
            record_of=record_of,
            read=frame.read,
            origins=frame.origins,
            rejects=frame.rejects,
            skipped=frame.skipped,
            refused={**frame.refused, **refused},
        )
    return frame


def swollen(frame: Frame, columns: Mapping[str, pa.Array], counts: Sequence[int]) -> dict[int, str]:
    """Return the records that would take too much memory, and why, if each row came so many times.

    What stands beside a list is repeated for each of its elements: a long text beside many short ones would make
    gigabytes of one record.
    """
    if max(counts, default=0) <= _MOST_TIMES:
        return {}
    times, beside = pa.array(counts, pa.int64()), pa.repeat(pa.scalar(0, pa.int64()), frame.rows)
    for column in columns.values():
        if pa.types.is_binary(column.type) or pa.types.is_string(column.type):
            beside = pc.add(beside, pc.fill_null(pc.binary_length(column), 0))
    left = frame.leftovers
    rows = pa.concat_arrays([row_numbers(frame.rows), left.rows])
    sizes = pc.add(pc.add(pc.binary_length(left.keys), pc.binary_length(left.values)), _LEFT_OVER_BYTES)
    sizes = pc.multiply(pa.concat_arrays([beside, sizes.cast(pa.int64())]), times.take(rows))
    of = rows if frame.record_of is None else frame.record_of.take(rows)
    by_record = pa.table({"record": of, "bytes": sizes}).group_by("record", use_threads=False)
    totals = by_record.aggregate([("bytes", "sum")])
    large = totals.filter(pc.greater(totals["bytes_sum"], _SURELY_BYTES))
    numbers, total = large["record"].to_pylist(), large["bytes_sum"].to_pylist()
    return {
        number: f"its elements would take {found:,} bytes, more than {_MOST_TIMES} times its own"
        for number, found, record in zip(numbers, total, frame.records(numbers), strict=True)
        if found > _MOST_TIMES * len(record)
    }


def is_empty(record: bytes, explode: str) -> bool:
    """Return whether a record has the lists of a path that ends in ``[]``, and not one element at its end."""
    found: list[Any] = [msgspec.json.decode(repair_surrogates(record))]
    for step in paths.parse(explode):
        if step != paths.EACH:
            found = [value.get(step) if isinstance(value, dict) else None for value in found]
        elif not all(isinstance(value, list) for value in found):
            return False
        else:
            found = [element for value in found for element in value]
    return not found


def _moved(left: Leftovers, before: pa.Array | None, after: pa.Array) -> Leftovers:
    """Return leftovers of rows that are gone for the first row that their record has now; if none, it is a reject."""
    records = left.rows if before is None else before.take(left.rows)
    rows = pc.index_in(records, value_set=after)
    kept = rows.is_valid()
    return Leftovers(rows.filter(kept), left.keys.filter(kept), left.values.filter(kept))
