"""The parser of lines that a regular expression describes: access logs with quotes and brackets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from attrs import frozen

from ocsflake.mapping.frame import Frame
from ocsflake.mapping.json_records import JsonRecords
from ocsflake.mapping.leftovers import Leftovers
from ocsflake.mapping.records import MAX_RECORD, split_records
from ocsflake.mapping.rejects import Reject
from ocsflake.mapping.shred import column_frame
from ocsflake.model import RawBatch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ocsflake.mapping.frame import Node
    from ocsflake.mapping.paths import Path

__all__ = ["PatternText"]

_BLOCK_LINES = 20_000
_BOM = b"\xef\xbb\xbf"


@frozen
class PatternText:
    """A parser of text, one record a line, and of the same log type as JSON or Arrow columns.

    Where the records come one a buffer, or as messages of CloudWatch Logs, a record may have several lines.

    Attributes:
        patterns: Regular expressions (RE2) with named groups, each for a whole line; the first that matches counts.
            A group is a raw path of its name.
        null: The text that stands for no value.
        comment: What lines begin with that are no records.
    """

    patterns: tuple[str, ...]
    null: str = "-"
    comment: str = "#"

    def whole_paths(self) -> list[Path]:
        """Return no paths: every group is a value."""
        return []

    def __call__(self, raw: RawBatch, root: Node) -> Iterator[Frame]:
        """Yield the frames of some raw records."""
        if isinstance(raw.records, pa.RecordBatch):
            yield column_frame(raw.records, raw.origin)
            return
        data = raw.records if isinstance(raw.records, bytes) else b"".join(raw.records[:1])
        rejects: list[Reject] = []
        if data.removeprefix(_BOM).lstrip()[:1] in (b"{", b"["):
            lines: list[bytes] = []
            found: list[bytes] = []
            for record in [data] if isinstance(raw.records, bytes) else raw.records:
                inner, bad = split_records(record, (), texts=lines)
                found += inner
                rejects += [Reject(r.record, r.reason, "", raw.origin) for r in bad]
            yield from JsonRecords()(RawBatch(found, raw.origin), root)
        else:
            lines = data.removeprefix(_BOM).split(b"\n") if isinstance(raw.records, bytes) else [*raw.records]
        mark = self.comment.encode()
        lines = [line.rstrip(b"\r\n") for line in lines if line.strip() and not line.startswith(mark)]
        for start in range(0, len(lines), _BLOCK_LINES):
            yield self._frame(lines[start : start + _BLOCK_LINES], raw.origin, rejects)
            rejects = []
        if rejects:
            yield self._frame([], raw.origin, rejects)

    def _frame(self, lines: list[bytes], origin: Mapping[str, str], others: list[Reject]) -> Frame:
        rejects = others + [Reject(line, reason, "", origin) for line in lines if (reason := _problem(line))]
        good = [line for line in lines if not _problem(line)] if len(rejects) > len(others) else lines
        text = pa.array(good, pa.binary()).cast(pa.string())
        columns: dict[str, pa.Array] = {}
        open_rows = pa.repeat(pa.scalar(True), len(good))
        for pattern in self.patterns:
            if not pc.any(open_rows).as_py():
                break
            found = pc.extract_regex(text.filter(open_rows), pattern=f"^(?:{pattern})$")
            takes = pc.replace_with_mask(open_rows, open_rows, found.is_valid())
            found = found.filter(found.is_valid())
            for field, values in zip(found.type, found.flatten(), strict=True):
                values = pc.if_else(self._is_null(values), _NULL, values)  # noqa: PLW2901 - the same values, cleaned
                whole = columns.get(field.name, pa.nulls(len(good), pa.string()))
                columns[field.name] = pc.replace_with_mask(whole, takes, values)
            open_rows = pc.and_(open_rows, pc.invert(takes))
        if pc.any(open_rows).as_py():
            rejects += [
                Reject(good[row], "no line of this log type", "", origin)
                for row in pc.indices_nonzero(open_rows).to_pylist()
            ]
            kept = pc.invert(open_rows)
            good = [good[row] for row in pc.indices_nonzero(kept).to_pylist()]
            columns = {name: column.filter(kept) for name, column in columns.items()}
        return Frame(
            rows=len(good),
            columns=columns,
            leftovers=Leftovers.none(),
            records=lambda numbers: [good[number] for number in numbers],
            record_of=None,
            read=len(good),
            origins=((len(good), origin),) if good else (),
            rejects=tuple(rejects),
        )

    def _is_null(self, values: pa.Array) -> pa.Array:
        return pc.is_in(values, value_set=pa.array([self.null, ""], pa.string()))


_NULL = pa.scalar(None, pa.string())


def _problem(line: bytes) -> str:
    if len(line) > MAX_RECORD:
        return f"{len(line):,} bytes, at most {MAX_RECORD:,} are taken"
    try:
        line.decode()
    except UnicodeDecodeError as error:
        return f"not UTF-8 (byte {error.start + 1})"
    return ""
