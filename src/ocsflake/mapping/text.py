"""The parser of delimited text: one record a line, fields between single separators."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
from attrs import evolve, frozen

from ocsflake.mapping import paths
from ocsflake.mapping.frame import Frame, tree
from ocsflake.mapping.json_records import JsonRecords
from ocsflake.mapping.leftovers import Leftovers
from ocsflake.mapping.records import MAX_RECORD, members, split_records
from ocsflake.mapping.rejects import Reject
from ocsflake.mapping.shred import column_frame
from ocsflake.mapping.values import with_nulls
from ocsflake.model import RawBatch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ocsflake.mapping.frame import Node

__all__ = ["DelimitedText"]

_BLOCK = 6 << 20
_BOM = b"\xef\xbb\xbf"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


@frozen
class DelimitedText:
    """A parser of delimited text, and of the same log type delivered as Parquet or as JSON lines.

    Attributes:
        columns: The names of the columns where no header says otherwise.
        names: The names that a header may hold. A line of names, most of them these, is a header wherever it stands;
            capitals, ``-`` and ``_`` do not count. The others are columns that nobody knows yet.
        separator: One character between fields.
        null: The field that stands for no value.
        header: What a header line begins with (``#Fields:``); lines that begin with ``#`` are no records then, and
            a header may hold other names too.
        layouts: Columns of text without a header, each with a regular expression that its lines begin with. Lines may
            end before any of the columns; what follows the last is ``column 34`` and so on.
    """

    columns: tuple[str, ...]
    names: frozenset[str]
    separator: str = " "
    null: str = "-"
    header: str = ""
    layouts: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def whole_paths(self) -> list[paths.Path]:
        """Return no paths: every column is a value."""
        return []

    def __call__(self, raw: RawBatch, root: Node) -> Iterator[Frame]:
        """Yield the frames of some raw records."""
        if isinstance(raw.records, pa.RecordBatch):
            yield self._named(column_frame(raw.records, raw.origin))
            return
        data = raw.records if isinstance(raw.records, bytes) else b"\n".join(raw.records)
        data = data.removeprefix(_BOM)
        head = self._head(raw.head.removeprefix(_BOM))
        if not head and data.lstrip()[:1] == b"{":
            yield from self._json(data, raw.origin, root)
            return
        end = data.find(b"\n")
        first, start = data if end < 0 else data[:end], 0
        columns = head or self._layout(first)
        if header := self._header(first):
            columns, start = header, len(first) + 1
        for block in _blocks(data, start):
            whole = (
                None
                if b"#" in block and self.header
                else self._whole(block, columns, self._origin(raw.origin, columns))
            )
            if whole is not None:
                yield whole
                continue
            for header, lines in self._sections(block):
                columns = header or columns
                if not _is_blank(lines):
                    yield self._frame(lines, columns, self._origin(raw.origin, columns))

    def _origin(self, origin: Mapping[str, str], columns: tuple[str, ...]) -> Mapping[str, str]:
        """Return the origin with the header of the lines: a rejected line alone does not tell its columns."""
        if columns == self.columns:
            return origin
        return {**origin, "header": f"{self.header} {' '.join(columns)}".strip()}

    def _json(self, data: bytes, origin: Mapping[str, str], root: Node) -> Iterator[Frame]:
        """Yield the frames of records that came as JSON objects, or as the messages of CloudWatch Logs."""
        texts: list[bytes] = []
        records, rejects = split_records(data, (), texts=texts)
        keys = {key for record in records for key in members(record) or ()}
        for frame in JsonRecords()(RawBatch(records, origin), tree((key,) for key in sorted(keys))):
            yield self._named(frame)
        if rejects:
            found = tuple(Reject(reject.record, reject.reason, reject.attribute, origin) for reject in rejects)
            yield evolve(self._frame(b"", self.columns, origin), rejects=found)
        if texts:
            yield from self(RawBatch(b"\n".join(texts), origin), root)

    def _whole(self, block: bytes, columns: tuple[str, ...], origin: Mapping[str, str]) -> Frame | None:
        """Return a block of good lines as a frame; ``None`` where a line is bad, or may be a header."""
        if b"\r" in block or _longest_line(block) > MAX_RECORD:
            return None
        table = self._parse(block, columns)
        if table is None:
            return None
        words = pc.replace_substring_regex(
            pc.utf8_lower(pc.unique(table.column(0))), pattern=r"[-_${}]", replacement=""
        )
        if pc.any(pc.is_in(words, value_set=pa.array(sorted(map(_fold, self.names)), pa.string()))).as_py():
            return None
        return _frame_of(table, block, columns, origin, (), self.null)

    def _header(self, line: bytes) -> tuple[str, ...]:
        """Return the columns that a line names, or nothing where it is no header."""
        known = {_fold(name): name for name in self.names}
        text = line.decode(errors="replace").strip()
        if not text.startswith(self.header):
            return ()
        words = [word.strip("${}") for word in text[len(self.header) :].split()]
        found = tuple(known.get(_fold(word), word) for word in words)
        most = 2 * sum(_fold(word) in known for word in words) > len(words) and all(map(_NAME.fullmatch, words))
        return found if (self.header or most) and len(set(found)) == len(found) else ()

    def _head(self, lines: bytes) -> tuple[str, ...]:
        """Return the columns that the last header of some lines names."""
        return next((found for line in reversed(lines.split(b"\n")) if (found := self._header(line))), ())

    def _layout(self, line: bytes) -> tuple[str, ...]:
        """Return the columns of text that begins with a line and has no header."""
        text = line.decode(errors="replace")
        for beginning, columns in self.layouts:
            if re.match(beginning, text):
                count = text.rstrip(f"\r{self.separator}").count(self.separator) + 1
                return (*columns[:count], *(f"column {n}" for n in range(len(columns) + 1, count + 1)))
        return self.columns

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
        return _frame_of(table, block, columns, origin, tuple(rejects), self.null)

    def _parse(self, block: bytes, columns: tuple[str, ...]) -> pa.Table | None:
        """Return the fields of lines that are all good, ``None`` where one is not."""
        if _is_blank(block):
            return None
        try:
            return pacsv.read_csv(
                pa.BufferReader(block),
                read_options=pacsv.ReadOptions(
                    column_names=list(columns), use_threads=False, block_size=len(block) + 1
                ),
                parse_options=pacsv.ParseOptions(delimiter=self.separator, quote_char=False, double_quote=False),
                convert_options=pacsv.ConvertOptions(
                    check_utf8=not block.isascii(),  # which is told much faster
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
        separator = self.separator.encode()
        for raw in block.split(b"\n"):
            line = raw.rstrip(b"\r")
            if line.endswith(separator) and line.count(separator) == width:
                line = line[: -len(separator)]  # a separator behind the last field, not another field
            reason = self._problem(line, width)
            if not reason:
                good.append(line)
            elif line.strip():
                rejects.append(Reject(line, reason, "", origin))
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
        columns: dict[str, pa.Array] = {}
        for name in sorted(frame.columns, key=lambda name: name not in known.values()):
            spelt = known.get(_fold(name.strip('"')), name)
            found = self._valued(with_nulls(frame.columns[name]))
            if spelt in columns and columns[spelt].type == found.type:  # a record may have two spellings of a name
                first = columns[spelt]
                columns[spelt] = pc.coalesce(first, found)
                found = pc.if_else(first.is_valid(), found, pa.scalar(None, found.type))
            columns[name if spelt in columns else spelt] = found
        return evolve(frame, columns=columns)

    def _valued(self, column: pa.Array) -> pa.Array:
        """Return a column of JSON or Parquet without the texts that stand for no value."""
        if not (pa.types.is_string(column.type) or pa.types.is_binary(column.type)):
            return column
        word = self.null if pa.types.is_string(column.type) else msgspec.json.encode(self.null)
        absent = pc.is_in(column, value_set=pa.array([word], column.type))
        return pc.if_else(absent, pa.scalar(None, column.type), column) if pc.any(absent).as_py() else column


def _frame_of(
    table: pa.Table,
    block: bytes,
    columns: tuple[str, ...],
    origin: Mapping[str, str],
    rejects: tuple[Reject, ...],
    null: str,
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
        nulled=frozenset({null, ""}),
    )


def _fold(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")


def _blocks(lines: bytes, start: int) -> Iterator[bytes]:
    """Yield blocks of whole lines from `start` on, about equal ones."""
    while start < len(lines):
        stop = len(lines)
        if stop - start > _BLOCK:
            end = start + (stop - start) // -(-(stop - start) // _BLOCK)
            stop = lines.rfind(b"\n", start, end) + 1 or lines.find(b"\n", start) + 1 or stop
        block = lines[start:stop]
        if not _is_blank(block):
            yield block
        start = stop


def _is_blank(text: bytes) -> bool:
    """Return whether there is nothing but white space, without the copy that `strip` would make."""
    return not text or text.isspace()


def _longest_line(block: bytes) -> int:
    """Return a length that is over `MAX_RECORD` if a line is."""
    start = 0
    while len(block) - start > MAX_RECORD:
        end = block.rfind(b"\n", start, start + MAX_RECORD + 1)
        if end < 0:
            return MAX_RECORD + 1
        start = end + 1
    return len(block) - start


def _lines(block: bytes, numbers: Sequence[int]) -> list[bytes]:
    if not numbers:
        return []
    lines = [line for line in block.split(b"\n") if line]
    return [lines[number] for number in numbers]


def _one(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
