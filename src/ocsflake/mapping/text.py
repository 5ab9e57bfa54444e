"""The parser of delimited text: one record a line, fields between single separators."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
from attrs import evolve, frozen

from ocsflake.mapping import paths
from ocsflake.mapping.frame import Frame, tree
from ocsflake.mapping.leftovers import Leftovers
from ocsflake.mapping.records import MAX_RECORD, members, split_records
from ocsflake.mapping.rejects import Reject
from ocsflake.mapping.shred import JsonRecords, column_frame

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ocsflake.mapping.frame import Node
    from ocsflake.model import RawBatch

__all__ = ["DelimitedText"]

_BLOCK = 4 << 20
_BOM = b"\xef\xbb\xbf"


@frozen
class DelimitedText:
    """A parser of delimited text, and of the same log type delivered as Parquet or as JSON lines.

    Attributes:
        columns: The names of the columns where no header says otherwise.
        names: All names that a header may hold. A line of nothing but these is a header, wherever it stands;
            capitals, ``-`` and ``_`` do not count.
        separator: One character between fields.
        null: The field that stands for no value.
        header: What a header line begins with (``#Fields:``); lines that begin with ``#`` are no records then.
    """

    columns: tuple[str, ...]
    names: frozenset[str]
    separator: str = " "
    null: str = "-"
    header: str = ""

    def whole_paths(self) -> list[paths.Path]:
        """Return no paths: every column is a value."""
        return []

    def __call__(self, raw: RawBatch, root: Node) -> Iterator[Frame]:  # noqa: ARG002
        """Yield the frames of some raw records."""
        if isinstance(raw.records, pa.RecordBatch):
            yield self._named(column_frame(raw.records, raw.origin))
            return
        data = raw.records if isinstance(raw.records, bytes) else b"\n".join(raw.records)
        data = data.removeprefix(_BOM)
        if data.lstrip()[:1] == b"{":
            keys = {key for record in split_records(data, ())[0][:1000] for key in members(record) or ()}
            for frame in JsonRecords()(raw, tree((key,) for key in sorted(keys))):
                yield self._named(frame)
            return
        columns = self._header(raw.head.removeprefix(_BOM)) or self.columns
        first, _, rest = data.partition(b"\n")
        if header := self._header(first):
            columns, data = header, rest
        for block in _blocks(data):
            whole = None if b"#" in block and self.header else self._whole(block, columns, raw.origin)
            if whole is not None:
                yield whole
                continue
            for header, lines in self._sections(block):
                columns = header or columns
                if lines.strip():
                    yield self._frame(lines, columns, raw.origin)

    def _whole(self, block: bytes, columns: tuple[str, ...], origin: Mapping[str, str]) -> Frame | None:
        """Return a block of good lines as a frame; ``None`` where a line is bad, or may be a header."""
        if b"\r" in block or _longest_line(block) > MAX_RECORD:
            return None
        table = self._parse(block, columns)
        if table is None:
            return None
        names = pa.array(sorted(self.names), pa.string())
        if pc.any(pc.is_in(table.column(0), value_set=names)).as_py():
            return None
        return _frame_of(table, block, columns, origin, ())

    def _header(self, line: bytes) -> tuple[str, ...]:
        """Return the columns that a line names, or nothing where it is no header."""
        known = {_fold(name): name for name in self.names}
        text = line.decode(errors="replace").strip()
        if not text.startswith(self.header):
            return ()
        words = [_fold(word.strip("${}")) for word in text[len(self.header) :].split()]
        return tuple(known[word] for word in words) if words and all(word in known for word in words) else ()

    def _sections(self, data: bytes) -> Iterator[tuple[tuple[str, ...], bytes]]:
        """Yield runs of lines with the header above them; a concatenated file has several."""
        start = 0
        header: tuple[str, ...] = ()
        for match in re.finditer(rb"^#[^\n]*$" if self.header else rb"^[^\d\s]*[A-Za-z]{3}[^\n]*$", data, re.MULTILINE):
            found = self._header(match.group())
            if found or self.header:
                if data[start : match.start()].strip():
                    yield header, data[start : match.start()]
                start, header = match.end(), found or header
        yield header, data[start:]

    def _frame(self, block: bytes, columns: tuple[str, ...], origin: Mapping[str, str]) -> Frame:
        """Return the good lines of a block as a frame, the others as rejects."""
        block, rejects = self._good_lines(block, len(columns), origin)
        table = self._parse(block, columns)
        if table is None:
            table = pa.table({name: pa.array([], pa.string()) for name in columns})
        return _frame_of(table, block, columns, origin, tuple(rejects))

    def _parse(self, block: bytes, columns: tuple[str, ...]) -> pa.Table | None:
        """Return the fields of lines that are all good, ``None`` where one is not."""
        if not block.strip():
            return None
        try:
            return pacsv.read_csv(
                pa.BufferReader(block),
                read_options=pacsv.ReadOptions(
                    column_names=list(columns), use_threads=False, block_size=len(block) + 1
                ),
                parse_options=pacsv.ParseOptions(delimiter=self.separator, quote_char=False, double_quote=False),
                convert_options=pacsv.ConvertOptions(
                    column_types=dict.fromkeys(columns, pa.string()),
                    null_values=[self.null, ""],
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=True,
                ),
            )
        except pa.ArrowInvalid:
            return None

    def _good_lines(self, block: bytes, width: int, origin: Mapping[str, str]) -> tuple[bytes, list[Reject]]:
        """Return the lines that parse, and a reject for every other."""
        good, rejects = [], []
        for raw in block.split(b"\n"):
            line = raw.rstrip(b"\r")
            if not line.strip():
                continue
            reason = self._problem(line, width)
            if reason:
                rejects.append(Reject(line, reason, "", origin))
            else:
                good.append(line)
        return b"\n".join(good), rejects

    def _problem(self, line: bytes, width: int) -> str:
        if len(line) > MAX_RECORD:
            return f"{len(line):,} bytes, at most {MAX_RECORD:,} are taken"
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            return f"not UTF-8 (byte {error.start + 1})"
        if "\r" in text:
            return "a carriage return within the line"
        count = text.count(self.separator) + 1
        return "" if count == width else f"{count} fields, {width} are due"

    def _named(self, frame: Frame) -> Frame:
        """Return a frame whose columns have the log type's own names, whatever their spelling."""
        known = {_fold(name): paths.quote(name) for name in self.names}
        return evolve(frame, columns={known.get(_fold(name.strip('"')), name): c for name, c in frame.columns.items()})


def _frame_of(
    table: pa.Table, block: bytes, columns: tuple[str, ...], origin: Mapping[str, str], rejects: tuple[Reject, ...]
) -> Frame:
    return Frame(
        rows=table.num_rows,
        columns={paths.quote(name): _one(table[name]) for name in columns},
        leftovers=Leftovers.none(),
        records=lambda numbers: _lines(block, numbers),
        record_of=None,
        read=table.num_rows,
        origins=((table.num_rows, origin),),
        rejects=rejects,
    )


def _fold(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")


def _blocks(lines: bytes) -> Iterator[bytes]:
    """Yield blocks of whole lines."""
    start = 0
    while start < len(lines):
        stop = len(lines)
        if stop - start > _BLOCK:
            stop = lines.rfind(b"\n", start, start + _BLOCK) + 1 or lines.find(b"\n", start) + 1 or stop
        if lines[start:stop].strip():
            yield lines[start:stop]
        start = stop


def _longest_line(block: bytes) -> int:
    return len(block) if len(block) <= MAX_RECORD else max(map(len, block.split(b"\n")))


def _lines(block: bytes, numbers: Sequence[int]) -> list[bytes]:
    lines = [line for line in block.split(b"\n") if line]
    return [lines[number] for number in numbers]


def _one(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
