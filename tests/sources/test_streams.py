"""Streams of bytes become batches of bounded size, by what they hold and not by what they are called."""

from __future__ import annotations

import bz2
import gzip
import importlib
import io
import json
import lzma
import pickle
import subprocess
import sys
import textwrap
import zlib
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ocsflake.errors import SourceError
from ocsflake.sources import streams
from ocsflake.sources.streams import BLOCK, HEAD, cuts_at_lines, first_line, is_json, read_batches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ocsflake.model import RawBatch

BOM = b"\xef\xbb\xbf"
LINE = b'{"eventName": "GetObject", "n": "%08d"}\n'
HEADER = b"version account-id interface-id\n"


def zstd(data: bytes) -> bytes:
    return pa.Codec("zstd").compress(data, asbytes=True)


def members(data: bytes) -> bytes:
    half = len(data) // 2
    return gzip.compress(data[:half], mtime=0) + gzip.compress(data[half:], mtime=0)


COMPRESSED: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "gzip members": members,
    "gzip padded": lambda data: gzip.compress(data, mtime=0) + bytes(512),
    "zstd": zstd,
    "zstd frames": lambda data: zstd(data[:1000]) + zstd(data[1000:]),
    "zstd behind a frame to skip": lambda data: b"\x50\x2a\x4d\x18\x04\0\0\0abcd" + zstd(data),
    "bzip2": bz2.compress,
    "bzip2 streams": lambda data: bz2.compress(data[:1000]) + bz2.compress(data[1000:]),
    "xz": lzma.compress,
    "xz streams": lambda data: lzma.compress(data[:1000]) + lzma.compress(data[1000:]),
}


class Body:
    """The body of a response: it can only be read, and gives less than asked for."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    def read(self, size: int = -1, /) -> bytes:
        return self._file.read(min(size, 10_000))


def lines(count: int) -> bytes:
    return b"".join(LINE % n for n in range(count))


def batches(data: bytes, **options: object) -> list[RawBatch]:
    return list(read_batches(io.BytesIO(data), "file:///a", **options))  # type: ignore[arg-type]


def joined(found: list[RawBatch]) -> bytes:
    return b"".join(batch.records for batch in found)  # type: ignore[misc]


class TestCompression:
    @pytest.mark.parametrize("compress", COMPRESSED.values(), ids=COMPRESSED.keys())
    @pytest.mark.parametrize("opened", [io.BytesIO, Body])
    def test_first_bytes_tell_the_compression(self, compress: Callable, opened: Callable) -> None:
        """Whatever a stream is compressed with, and whatever it is read from, its text comes out."""
        text = lines(5_000)

        assert text == joined(list(read_batches(opened(compress(text)), "s3://bucket/no-suffix")))

    @pytest.mark.parametrize("compress", COMPRESSED.values(), ids=COMPRESSED.keys())
    def test_large_streams_come_in_blocks(self, compress: Callable) -> None:
        """A stream that is larger than a block is cut at newlines, and nothing is lost."""
        text = lines(500_000)
        found = batches(compress(text))

        assert len(found) > 1
        assert text == joined(found)
        for batch in found[:-1]:
            assert batch.records.endswith(b"\n")
            assert BLOCK - len(LINE) <= len(batch.records) < 2 * BLOCK

    def test_without_isal(self) -> None:
        """The standard library takes the place of isal where that is not installed."""
        code = """
            import sys, io, gzip
            sys.modules["isal"] = None
            from ocsflake.sources import streams
            assert streams._zlib().__name__ == "zlib"
            [batch] = streams.read_batches(io.BytesIO(gzip.compress(b"x\\n", mtime=0)), "u")
            assert batch.records == b"x\\n"
        """
        subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)

    @pytest.mark.parametrize("name", ["zlib", "isal.isal_zlib"])
    def test_both_inflate_alike(self, name: str) -> None:
        """What isal does is what zlib does."""
        module = importlib.import_module(name)
        text = lines(300_000)
        stream = io.BufferedReader(io.BytesIO(gzip.compress(text, mtime=0)))
        found = list(streams._inflate(stream, lambda: module.decompressobj(wbits=31)))

        assert text == b"".join(found)
        assert max(map(len, found)) <= BLOCK

    @pytest.mark.parametrize("name", ["gzip", "zstd", "bzip2", "xz"])
    @pytest.mark.parametrize("damage", ["cut off", "header only", "turned over", "no stream behind"])
    def test_damaged_stream(self, name: str, damage: str) -> None:
        """A stream that is truncated or corrupt is an error that names it, and never an end."""
        data = bytearray(COMPRESSED[name](lines(50_000)))
        if damage == "cut off":
            del data[-9:]
        elif damage == "header only":
            del data[10:]
        elif damage == "turned over":
            data[4 if name == "zstd" else len(data) // 2] ^= 0xFF  # a frame of zstd need not have a checksum
        else:
            data += b"rubbish that is long enough to be looked at"

        with pytest.raises(SourceError, match=rf"^s3://b/k: cannot be read as {name}: ") as caught:
            list(read_batches(io.BytesIO(data), "s3://b/k", source="mine", split="s3://b/k#1"))
        assert (caught.value.source, caught.value.split) == ("mine", "s3://b/k#1")
        assert pickle.loads(pickle.dumps(caught.value)).split == "s3://b/k#1"

    def test_wrong_checksum(self) -> None:
        """A stream that inflates well and has another checksum is corrupt."""
        data = bytearray(gzip.compress(b"line\n", mtime=0))
        data[-6] ^= 1

        with pytest.raises(SourceError, match="corrupt"):
            batches(bytes(data))

    def test_xz_that_wants_too_much_memory(self) -> None:
        """A dictionary of more than 256 MiB is refused."""
        filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 30}]
        encoder = lzma.LZMACompressor(lzma.FORMAT_XZ, filters=[{**filters[0], "dict_size": 1 << 16}])
        data = bytearray(encoder.compress(b"x\n") + encoder.flush())
        data[16] = 36  # 1 GiB, in the header of the block
        data[20:24] = zlib.crc32(bytes(data[12:20])).to_bytes(4, "little")

        with pytest.raises(SourceError, match="Memory usage limit"):
            batches(bytes(data))


class TestBounds:
    def test_empty(self) -> None:
        """No bytes, and white space alone, are no batch."""
        assert batches(b"") == []
        assert batches(b"\n \r\n") == []
        assert batches(gzip.compress(b"", mtime=0)) == []

    def test_bomb(self) -> None:
        """A small stream that inflates to a huge document or line ends in an error that names the limit."""
        bomb = gzip.compress(b'{"a": "' + bytes(40 << 20), mtime=0)

        with pytest.raises(SourceError, match=r"^file:///a: .*a line is longer than 20000000 bytes decompressed"):
            batches(bomb, limit=20_000_000)

    def test_large_document(self) -> None:
        """A document that spans lines is held whole, up to the limit."""
        text = json.dumps([{"n": n, "text": "x" * 100} for n in range(80_000)], indent=1).encode()

        assert [text] == [batch.records for batch in batches(text)]
        with pytest.raises(SourceError, match="a JSON document is longer than 9000000 bytes"):
            batches(text, limit=9_000_000)

    def test_long_line_among_others(self) -> None:
        """A line of 20 MB stops nothing: it comes through with the lines around it."""
        long = b'{"a": "' + b"x" * (20 << 20) + b'"}\n'
        for text in (lines(10) + long + lines(300_000), long + lines(300_000)):
            found = batches(text)

            assert text == joined(found)
            assert len(found) > 1
            assert all(batch.records.endswith(b"\n") for batch in found)

    def test_limit(self) -> None:
        """A line of just as many bytes as are allowed comes through."""
        assert [batch.records for batch in batches(b"x" * 100, limit=100)] == [b"x" * 100]
        with pytest.raises(SourceError, match="a line is longer than 99 bytes"):
            batches(b"x" * 100, limit=99)

    def test_what_is_held_by_default(self) -> None:
        """What one stream takes of memory: 8 MiB of lines, a header of 64 KiB, a document of 512 MiB."""
        assert (BLOCK, HEAD, streams.LIMIT, streams.ROWS) == (8 << 20, 64 << 10, 512 << 20, 20_000)

    @pytest.mark.parametrize("compress", [bytes, gzip.compress, zstd, bz2.compress, lzma.compress])
    def test_ends_with_a_block(self, compress: Callable) -> None:
        """A stream that ends where a block does is whole, and not truncated."""
        text = (b"x" * 1023 + b"\n") * (BLOCK >> 10)

        assert [text] == [batch.records for batch in batches(compress(text))]

    def test_newline_at_the_start_of_a_block(self) -> None:
        """It ends the line that the block before it left open."""
        found = streams._cut(iter([b"x" * BLOCK, b"\n" + b"y" * 10]), streams.LIMIT)

        assert [len(text) for text in found] == [BLOCK + 1, 10]

    def test_size(self) -> None:
        """Only so many bytes are read as are asked for."""
        assert [batch.records for batch in batches(b"ab\ncd\n", size=3)] == [b"ab\n"]

    @pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of memory from /proc")
    @pytest.mark.parametrize("kind", ["lines", "bomb"])
    def test_memory_is_bounded(self, kind: str) -> None:
        """Neither 300 MB of lines nor a bomb of 2 GB takes memory beyond a few blocks, or the limit."""
        code = f"""
            import gzip, io
            from ocsflake.errors import SourceError
            from ocsflake.sources.streams import read_batches

            def peak():
                return next(int(line.split()[1]) >> 10 for line in open("/proc/self/status") if "VmHWM" in line)

            out = io.BytesIO()
            with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=1) as file:
                piece = b'{{"eventName": "GetObject"}}\\n' * 40_000 if {kind!r} == "lines" else bytes(1 << 20)
                for _ in range(300 if {kind!r} == "lines" else 2000):
                    file.write(piece)
            out.seek(0)
            before, total = peak(), 0
            try:
                for batch in read_batches(out, "u", limit=64 << 20):
                    total += len(batch.records)
            except SourceError:
                assert {kind!r} == "bomb"
            else:
                assert total == 300 * len(piece)
            print(peak() - before)
        """
        done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, capture_output=True)

        assert int(done.stdout) < 160


class TestModes:
    @pytest.mark.parametrize(
        "start",
        [
            b'{"a": 1}\n{"a": 2}\n',
            BOM + b'{"a": 1}\n{"a": 2}\n',
            b"\n\n" + b'  {"a": 1}\r\n{"a": 2}\r\n',
            b'[1, "x"]\n[2, "y"]\n',
            b'{"a": "torn\n{"a": 2}\n',
            b'{"a": "\xff\n{"a": 2}\n',
            b'{"a":' * 5_000 + b"1" + b"}" * 5_000 + b"\n{}\n",
            b"not JSON\n",
            b"{not JSON\n",
            b'{"a": "torn\n  {"a": 2}\n',
            b"[Wed Oct 11] [error] text\n",
            b"2 123456789010 eni-1 - -\n",
            HEADER,
            b'"2024-01-01","x"\n',
        ],
    )
    def test_lines(self, start: bytes) -> None:
        """Text and JSON lines are cut, a broken first line or a mark of byte order notwithstanding."""
        assert cuts_at_lines(start)
        assert len(batches(start + (LINE % 0) * 300_000)) > 1

    @pytest.mark.parametrize(
        "start",
        [
            b'{\n "Records": [\n',
            BOM + b"[\n{},\n",
            b"[\r\n" + LINE % 0 + b",",
            b'{"Records": [{"a": 1},\n{"a": 2},\n',
            b'{"Records": [{"a": 1}\n,{"a": 2}\n,',
            b'{"a": 1}{"b": 2}{\n',
            b'{"Records":\n[',
            b'{"Records":\n{"a": [',
        ],
    )
    def test_documents(self, start: bytes) -> None:
        """JSON that spans lines stays whole."""
        assert not cuts_at_lines(start)
        assert len(batches(start + (LINE % 0) * 300_000)) == 1

    @pytest.mark.parametrize("start", [gzip.compress(b"x", mtime=0), zstd(b"x"), b"PAR1", b'{"Records": ['])
    def test_what_does_not_grow_by_lines(self, start: bytes) -> None:
        """Neither a compressed stream nor a document on one line can be gone on with."""
        assert not cuts_at_lines(start)

    def test_document_with_a_long_first_line(self) -> None:
        """A document whose first line is longer than a block is one all the same."""
        text = b'{"text": "' + b"x" * (9 << 20) + b'",\n' + b'"more": 1,\n' * 1_000_000

        assert len(batches(text)) == 1

    def test_one_line_document(self) -> None:
        """A document on one line is one batch, however large."""
        text = b'{"Records": [' + b",".join([LINE % 0] * 300_000).replace(b"\n", b"") + b"]}"

        assert [text] == [batch.records for batch in batches(text)]

    def test_is_json(self) -> None:
        """One complete value, and nothing else."""
        texts = (b' {"a": [1, 2]} ', b'{"a":' * 5_000 + b"1" + b"}" * 5_000, b'{"a": [1, 2}', b"{} {}")
        assert [is_json(text) for text in texts] == [True, True, False, False]


class TestHead:
    def test_later_batches_have_the_first_line(self) -> None:
        """The first batch begins with the header; those after it are given it."""
        found = batches(HEADER.replace(b"\n", b"\r\n") + b"2 1 eni-1\n" * 2_000_000)

        assert len(found) > 2
        assert {HEADER.strip()} == {batch.head for batch in found[1:]}
        assert found[0].head == b""

    def test_given_head(self) -> None:
        """A head from the caller goes to every batch, the first one too."""
        found = batches(b"2 1 eni-1\n" * 2_000_000, head=b"a b c")

        assert {b"a b c"} == {batch.head for batch in found}

    @pytest.mark.parametrize(
        ("text", "head"),
        [
            (b"", b""),
            (b"no newline", b""),
            (BOM + b"a b\r\n1 2\n", b"a b"),
            (b"X Y X\n1 2 3\n", b"X Y X"),
            (b"#Version: 1.0\r\n#Fields: date time\r\n1 2\r\n", b"#Version: 1.0\r\n#Fields: date time"),
            (b"x" * HEAD + b"\n", b""),
        ],
    )
    def test_first_line(self, text: bytes, head: bytes) -> None:
        """The header is the first line, or all the lines with ``#`` at the top, if it is not too long."""
        assert head == first_line(text)

    def test_origin(self) -> None:
        """Every batch says where it came from."""
        assert batches(b"x\n", origin={"uri": "file:///a"})[0].origin == {"uri": "file:///a"}
        assert batches(b"x\n")[0].origin == {}


class TestParquet:
    @pytest.mark.parametrize("opened", [io.BytesIO, Body])
    def test_columns(self, opened: Callable) -> None:
        """Parquet goes out as columns, 20,000 rows a batch, whether the stream can seek or not."""
        table = pa.table({"srcaddr": [f"10.0.{n // 256}.{n % 256}" for n in range(50_000)]})
        out = io.BytesIO()
        pq.write_table(table, out)
        found = list(read_batches(opened(out.getvalue()), "u", origin={"uri": "u"}))

        assert [batch.records.num_rows for batch in found] == [20_000, 20_000, 10_000]
        assert table == pa.Table.from_batches([batch.records for batch in found])
        assert found[0].origin == {"uri": "u"}

    def test_in_place(self) -> None:
        """A file that can seek is read where it is, from its beginning; one that says it cannot is copied."""
        table = pa.table({"a": [1, 2]})
        out = io.BytesIO()
        pq.write_table(table, out)

        class File(io.BytesIO):
            sought = 0

            def seek(self, offset: int, whence: int = 0, /) -> int:
                self.sought += 1
                return super().seek(offset, whence)

        class Pipe(File):
            def seekable(self) -> bool:
                return False

        file, pipe = File(out.getvalue()), Pipe(out.getvalue())
        for opened in (file, pipe):
            assert [batch.records.to_pydict() for batch in read_batches(opened, "u")] == [{"a": [1, 2]}]

        assert (file.sought > 0, pipe.sought) == (True, 0)

    @pytest.mark.parametrize("data", [b"PAR1", b"PAR1 is how this text begins\n" * 10, b"PAR1" + bytes(60) + b"PAR1"])
    def test_unreadable(self, data: bytes) -> None:
        """What begins like Parquet and is none is an error that names it."""
        with pytest.raises(SourceError, match=r"^file:///a: cannot be read as Parquet: "):
            batches(data)


def test_reader_that_fails() -> None:
    """A stream that breaks off is a `SourceError` with the reason."""

    class Broken:
        def read(self, size: int = -1, /) -> bytes:
            raise OSError("the network is gone")

    with pytest.raises(SourceError, match=r"^u: the network is gone$") as caught:
        list(read_batches(Broken(), "u"))
    assert (caught.value.source, caught.value.split) == ("", None)


def test_missing_decoder() -> None:
    """A Python that was built without a decompressor says so."""
    code = """
        import sys, io, lzma
        data = lzma.compress(b"x")
        sys.modules["lzma"] = None
        from ocsflake.errors import SourceError
        from ocsflake.sources.streams import read_batches
        try:
            list(read_batches(io.BytesIO(data), "u"))
        except SourceError as error:
            print(error)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, capture_output=True, text=True)

    assert done.stdout.startswith("u: cannot be read as xz: import of lzma halted")


def test_laziness() -> None:
    """A batch goes out before the next one is read."""
    endless = (LINE % n for n in iter(int, 1))

    class Endless:
        def read(self, size: int = -1, /) -> bytes:
            return b"".join(next(endless) for _ in range(size // len(LINE) + 1))[:size]

    found: Iterator[RawBatch] = read_batches(Endless(), "u")

    assert next(found).records.startswith(b"{")


@pytest.mark.parametrize("header", [b"A,B [UTC],C\r\n", b'"A","B [UTC]",C\r\n'], ids=["plain", "quoted"])
def test_csv_is_cut_outside_quotes(header: bytes) -> None:
    """CSV whose fields hold newlines is cut between rows; every piece after the first has the header as its head."""
    row = b'abc,"one\ntwo, ""x"" \nthree",%d\r\n'
    data = header + b"".join(row % number for number in range(400_000))

    batches = list(read_batches(io.BytesIO(data), "a.csv"))

    assert len(batches) > 1
    assert b"".join(batch.records for batch in batches) == data
    assert all(batch.records.startswith(b"abc,") and batch.head == header.strip() for batch in batches[1:])


def test_csv_without_a_safe_place_is_held() -> None:
    """A quote that stays open holds the text together."""
    data = b'A,B,C\n1,"' + b"x\n" * 6_000_000

    assert [batch.records for batch in read_batches(io.BytesIO(data), "a.csv")] == [b"A,B,C\n", data[6:]]
