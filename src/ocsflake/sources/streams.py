"""Cutting a stream of bytes into batches of raw records: what every source of files and objects shares.

The first bytes say what a stream is, never its name: gzip, zstd, bzip2, xz, Parquet, else plain text. Memory is
bounded whatever comes: text goes out in pieces of about `BLOCK`, cut at a newline. Only a JSON document that spans
lines cannot be cut; it goes out whole, up to `LIMIT`, so that a decompression bomb ends in an error.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import io
import re
import shutil
import tempfile
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from ocsflake.errors import SourceError
from ocsflake.model import RawBatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["BLOCK", "HEAD", "LIMIT", "ROWS", "Readable", "cuts_at_lines", "first_line", "is_json", "read_batches"]

BLOCK = 8 << 20
"""Bytes of text in a batch, roughly: a batch ends at the first newline that is not short of it."""

HEAD = 64 << 10
"""Bytes of the longest header that later batches are given; a longer first line is no header."""

LIMIT = 512 << 20
"""Bytes of the longest line, and of the largest JSON document that spans lines, decompressed."""

ROWS = 20_000
"""Rows of a batch that is read from Parquet."""

_CHUNK = 256 << 10
_XZ_MEMORY = 256 << 20

_MAGIC = (
    ("gzip", re.compile(rb"\x1f\x8b")),
    ("zstd", re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18")),  # a frame, or one to skip
    ("bzip2", re.compile(rb"BZh[1-9](?:\x31\x41\x59\x26\x53\x59|\x17\x72\x45\x38\x50\x90)")),
    ("xz", re.compile(rb"\xfd7zXZ\x00")),
    ("Parquet", re.compile(rb"PAR1")),
)

_BOM = b"\xef\xbb\xbf"
_JSON = re.compile(rb'\{\s*["}]|\[\s*[\[{"\]]')
_CSV_HEADER = re.compile(rb'(?:\xef\xbb\xbf)?"?[\w$. \[\]()-]+"?(?:,"?[\w$. \[\]()-]+"?){2,}\r?\n')
_HEAD = re.compile(rb"(?:#[^\n]*\n)+|[^\n]*\n")


class Readable(Protocol):
    """A stream of bytes: an open file, the body of a response."""

    def read(self, size: int = ..., /) -> bytes:
        """Return at most `size` bytes; ``b""`` at the end."""
        ...


def read_batches(
    file: Readable,
    uri: str,
    *,
    origin: Mapping[str, str] | None = None,
    head: bytes = b"",
    size: int | None = None,
    source: str = "",
    split: str | None = None,
    limit: int = LIMIT,
) -> Iterator[RawBatch]:
    """Yield the records of a stream in batches of bounded size.

    Text and JSON lines are cut at newlines; every batch after the first is given the first line of the text as its
    `head` (all the lines at the top that begin with ``#``, if the first one does). A JSON document that spans lines
    is one batch. Parquet goes out as Arrow columns. A stream of no bytes, or of white space, yields nothing.

    Args:
        file: Where to read; closing it is up to the caller. Parquet is read in place when the file can seek, from a
            temporary copy otherwise.
        uri: Names the stream in messages.
        origin: What every batch says of where it came from.
        head: The header of the text, when the stream does not begin with it; given to all the batches.
        size: Read this many bytes of the file and no more.
        source: The name of the source, for errors.
        split: The id of the split, for errors.
        limit: Bytes of the longest line and of the largest document that spans lines, decompressed.

    Raises:
        SourceError: If the stream is truncated or corrupt, cannot be read, or holds more in one piece than `limit`.
            What was yielded before is then but a part of the stream, and must not be kept.
    """
    origin = {} if origin is None else origin
    kind = ""
    try:
        stream = io.BufferedReader(_Part(file, size), _CHUNK)
        kind = _kind(stream.peek(16))
        if kind == "Parquet":
            yield from (RawBatch(rows, origin) for rows in _read_parquet(file, stream))
            return
        given = head
        for text in _cut(_DECODERS[kind](stream), limit):
            if not text.isspace():
                yield RawBatch(text, origin, head)
            head = head or given or first_line(text)
    except (OSError, EOFError, ImportError, pa.ArrowException) as error:
        what = f"cannot be read as {kind}: " if kind else ""
        raise SourceError(f"{uri}: {what}{error}", source=source, split=split) from error


def cuts_at_lines(start: bytes) -> bool:
    """Return whether a file that begins with `start` is plain text of a record a line, or of JSON lines.

    Such a file keeps its meaning when lines are added at its end; a document or a compressed file does not.
    """
    return _kind(start) == "" and not _is_document(start)


def first_line(text: bytes) -> bytes:
    """Return the header that `text` may begin with, without its newline; ``b""`` if it is longer than `HEAD`."""
    match = _HEAD.match(text[:HEAD].removeprefix(_BOM))
    return match[0].rstrip(b"\r\n") if match else b""


def is_json(text: bytes) -> bool:
    """Return whether `text` is one complete JSON value."""
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except msgspec.DecodeError:
        return False
    except RecursionError:
        return True  # only a value on one line nests deep enough for that
    return True


class _Part(io.RawIOBase):
    """The first bytes of a stream, as Python's own buffers want it."""

    def __init__(self, file: Readable, size: int | None) -> None:
        self._file = file
        self._left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        wanted = len(buffer) if self._left is None else min(len(buffer), self._left)
        data = self._file.read(wanted) if wanted else b""
        buffer[: len(data)] = data
        if self._left is not None:
            self._left -= len(data)
        return len(data)


def _kind(start: bytes) -> str:
    return next((name for name, magic in _MAGIC if magic.match(start)), "")


def _plain(stream: Readable) -> Iterator[bytes]:
    while block := stream.read(BLOCK):
        yield block


def _gzip(stream: Readable) -> Iterator[bytes]:
    zlib = _zlib()
    return _inflate(stream, lambda: zlib.decompressobj(wbits=31))


@functools.cache
def _zlib() -> Any:
    return importlib.import_module("isal.isal_zlib" if importlib.util.find_spec("isal") else "zlib")


def _bzip2(stream: Readable) -> Iterator[bytes]:
    import bz2  # some builds of Python lack it; so too lzma

    return _inflate(stream, bz2.BZ2Decompressor)


def _xz(stream: Readable) -> Iterator[bytes]:
    import lzma

    return _inflate(stream, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY))


def _zstd(stream: Readable) -> Iterator[bytes]:
    # Arrow's own read() never frees what it was to fill when it fails; readinto(), which Python's buffer calls, does.
    with (
        pa.CompressedInputStream(pa.PythonFile(stream, mode="r"), "zstd") as member,
        io.BufferedReader(member, _CHUNK) as text,
    ):
        while block := text.read(BLOCK):
            yield block


_DECODERS: dict[str, Callable[[Readable], Iterator[bytes]]] = {
    "": _plain,
    "gzip": _gzip,
    "zstd": _zstd,
    "bzip2": _bzip2,
    "xz": _xz,
}


def _inflate(stream: Readable, decoder: Callable[[], Any]) -> Iterator[bytes]:
    """Yield what a compressed stream of one or more members holds, in blocks of at most `BLOCK`."""
    data = b""
    while data := (data or stream.read(_CHUNK)).lstrip(b"\0"):  # members may be padded with zeros
        member = decoder()
        while not member.eof:
            try:
                block = member.decompress(data, BLOCK)
            except Exception as error:  # each library has its own; all of them mean the file is at fault
                raise OSError(f"corrupt: {error}") from error
            data = getattr(member, "unconsumed_tail", b"")  # zlib hands back what it did not take, others keep it
            if block:
                yield block
            if not member.eof and not data and len(block) < BLOCK:
                data = stream.read(_CHUNK)
                if not data:
                    raise EOFError("truncated: the end mark is missing")
        data = member.unused_data


def _cut(blocks: Iterator[bytes], limit: int) -> Iterator[bytes]:
    """Yield text in pieces of about `BLOCK` that end at a newline, or whole if it is a document that spans lines."""
    held = io.BytesIO()
    cut = 0  # where the last whole line that is held ends
    document: bool | None = None
    quoted = False  # whether it is CSV, whose fields may hold newlines within quotes
    for block in blocks:
        newline = block.rfind(b"\n")
        if newline >= 0:
            cut = held.tell() + newline + 1
        held.write(block)
        if cut and held.tell() >= BLOCK and not document:
            text = held.getvalue()
            if document is None:
                document = _is_document(text[:cut])
                quoted = _CSV_HEADER.match(text) is not None
            if quoted:
                cut = _outside_quotes(text, cut)
            if cut and not document:
                yield text[:cut]
                held = io.BytesIO()
                held.write(text[cut:])
                cut = 0
        if held.tell() > limit:
            what = "a JSON document" if document else "a line"
            raise OSError(f"{what} is longer than {limit} bytes decompressed, which is the most that is held at once")
    if held.tell():
        yield held.getvalue()


def _outside_quotes(text: bytes, cut: int) -> int:
    """Return where the last whole line before `cut` ends that ends outside quotes; 0 if there is none."""
    inside = text.count(b'"', 0, cut) % 2
    while inside and cut:
        line = text.rfind(b"\n", 0, cut - 1) + 1
        inside ^= text.count(b'"', line, cut) % 2
        cut = line
    return cut


def _is_document(text: bytes) -> bool:
    """Return whether text is JSON that spans lines: cutting it at a newline would tear it."""
    text = text.removeprefix(_BOM).lstrip()
    if not _JSON.match(text):
        return False
    first, _, rest = text.partition(b"\n")
    if is_json(first):
        return False
    if first.rstrip().endswith((b"[", b"{", b",", b":")):
        return True
    return not rest.lstrip().startswith(b"{")  # else it is JSON lines, and the first one is broken


def _read_parquet(file: Any, stream: Readable) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a Parquet file; one that cannot seek is copied first, since its index is at the end."""
    seeks = callable(getattr(file, "seekable", None)) and file.seekable()
    with nullcontext(file) if seeks else tempfile.TemporaryFile() as whole:
        if seeks:
            whole.seek(0)
        else:
            shutil.copyfileobj(stream, whole, _CHUNK)
        with pq.ParquetFile(whole, buffer_size=_CHUNK) as parquet:
            yield from parquet.iter_batches(batch_size=ROWS)
