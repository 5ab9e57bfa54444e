"""The reader of page headers and schemas: it agrees with pyarrow, and refuses what is none."""

from __future__ import annotations

import contextlib
import io
import itertools
import struct
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lake_events import events
from old_parquet import two_levels, without_annotations
from parquet_pages import pages as all_pages

from ocsflake.lake._pages import _Compact, odd_lists, pages

if TYPE_CHECKING:
    from pathlib import Path


def file_of(table: pa.Table, **options: object) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **{"compression": "zstd", "store_schema": False} | options)
    return sink.getvalue()


TABLE = pa.Table.from_batches([events(50)])
FILE = file_of(TABLE)


@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_the_pages_of_a_file(version: str, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(file_of(TABLE, data_page_version=version, row_group_size=20))

    with path.open("rb") as file:
        found = [(page.column, page.kind, page.bytes) for page in pages(file, pq.read_metadata(path))]

    if version == "1.0":
        assert found == [(page.column, page.kind, page.bytes) for page in all_pages(path)]
    assert {kind for _, kind, _ in found} == ({0, 2} if version == "1.0" else {2, 3})


def test_a_header_that_is_longer_than_most(tmp_path: Path) -> None:
    """Statistics hold whole values."""
    table = pa.table({"a": ["x" * 20_000]})
    data = file_of(table)

    assert [page.kind for page in pages(io.BytesIO(data), pq.read_metadata(io.BytesIO(data)))] == [2, 0]


def test_lists() -> None:
    maps = file_of(pa.table({"m": pa.array([[("a", "b")]], pa.map_(pa.string(), pa.string())), "l": [[[1], []]]}))

    assert list(odd_lists(io.BytesIO(FILE))) == []
    assert list(odd_lists(io.BytesIO(maps))) == []
    assert ("resources", "two-level") in list(odd_lists(io.BytesIO(two_levels(FILE))))
    assert ("resources.list", "repeated") in list(odd_lists(io.BytesIO(without_annotations(FILE))))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_struct_or_refused(data: bytes) -> None:
    with contextlib.suppress(ValueError, IndexError):
        _Compact(data).struct()


@given(st.integers(min_value=0), st.binary(min_size=1, max_size=8))
def test_a_file_with_other_bytes_in_it(place: int, other: bytes) -> None:
    """Whatever is broken, it is a `ValueError`."""
    data = bytearray(FILE)
    at = len(data) - 8 - place % 3000
    data[at : at + len(other)] = other[: len(data) - 8 - at]
    with contextlib.suppress(ValueError):
        list(odd_lists(io.BytesIO(bytes(data))))


def test_broken_headers() -> None:
    metadata = pq.read_metadata(io.BytesIO(FILE))
    nothing = b"PAR1" + bytes(len(FILE))

    with pytest.raises(ValueError, match="no page header at byte"):
        list(pages(io.BytesIO(nothing), metadata))
    with pytest.raises(ValueError, match="no page header at byte"):
        list(pages(io.BytesIO(b"PAR1\x15"), metadata))


@pytest.mark.parametrize(
    ("footer", "message"),
    [
        (b"\x15\x02", "ends too early"),
        (b"\x15\x02\x00", "has no schema"),
        (b"\x29\x15\x02\x00", "has no schema"),
        (b"\x29\x1c\x15\x04\x00\x00", None),
        (b"\x29\x1c\x55\x04\x00\x00", "ends within a group"),
        (b"\x29\x3c\x55\x02\x00\x00\x00", "more elements"),
        (b"\x29\x1c" + b"\x1c" * 70 + b"\x00" * 80, "nest too deep"),
        (b"\x29" + b"\x19" * 2000, "lists nest too deep"),
        (b"\x29\x1c\x55" + b"\xff" * 12 + b"\x00", "a number is too long"),
        (b"\x29\x1c\x1d\x00\x00", "compact type 13"),
    ],
)
def test_broken_footers(footer: bytes, message: str | None) -> None:
    file = io.BytesIO(footer + struct.pack("<I", len(footer)) + b"PAR1")
    if message is None:
        assert list(odd_lists(file)) == []
        return
    with pytest.raises(ValueError, match=message):
        list(odd_lists(file))


@pytest.mark.parametrize("name", [b"\x01a", b"\x00"], ids=["a", "no name"])
def test_a_schema_that_nests_too_deep(name: bytes) -> None:
    group = b"\x48" + name + b"\x15\x02\x00"  # a name and one child
    footer = b"\x29\xfc\x64" + b"\x55\x02\x00" + group * 99
    file = io.BytesIO(footer + struct.pack("<I", len(footer)) + b"PAR1")

    with pytest.raises(ValueError, match="the schema nests too deep"):
        list(odd_lists(file))


def test_all_types_of_the_protocol() -> None:
    """Booleans, bytes, doubles, long lists and sets, as statistics and encodings have them."""
    data = b"\x11\x12\x13\x05\x17" + bytes(8) + b"\x18\x02hi" + b"\x19\xf5\x10" + b"\x02" * 16
    data += b"\x1a\x21\x01\x02" + b"\x00"

    assert _Compact(data).struct() == {
        1: True,
        2: False,
        3: 5,
        4: bytes(8),
        5: b"hi",
        6: [1] * 16,
        7: [1, 2],
    }


@pytest.mark.parametrize("codec", ["none", "zstd"])
def test_where_pages_lie(codec: str) -> None:
    """Their bodies are where they say, and unpack to the size that they say; row groups are told apart."""
    data = file_of(TABLE, compression=codec, row_group_size=20)
    metadata = pq.read_metadata(io.BytesIO(data))

    found = list(pages(io.BytesIO(data), metadata))

    for page in found:
        body = data[page.body : page.body + page.stored]
        assert len(body if codec == "none" else pa.decompress(body, page.bytes, codec, asbytes=True)) == page.bytes
    assert [group for group, _ in itertools.groupby(page.row_group for page in found)] == [0, 1, 2]
    chunks = [metadata.row_group(group).column(at) for group in range(3) for at in range(metadata.num_columns)]
    assert [name for name, _ in itertools.groupby(page.column for page in found)] == [
        name for name, _ in itertools.groupby(chunk.path_in_schema for chunk in chunks)
    ]


def element(name: str, children: int = 0, repetition: int = 1, converted: int = -1, logical: int = 0) -> bytes:
    """Return an element of a schema as the footer has it; numbers are twice what they say."""
    data = bytes([0x35, 2 * repetition, 0x18, len(name)]) + name.encode() + bytes([0x15, 2 * children])
    data += bytes([0x15, 2 * converted]) if converted >= 0 else b""
    if logical:
        data += bytes([0x5C if converted < 0 else 0x4C, (logical << 4) | 0x0C, 0, 0])
    return data + b"\0"


ROOT = element("root", 1)
LEAF, REPEATED = element("x"), element("x", repetition=2)


@pytest.mark.parametrize(
    ("elements", "odd"),
    [
        *(([element("l", 1, converted=kind), element("list", 1, 2), LEAF], []) for kind in (1, 2, 3)),
        *(([element("l", 1, logical=kind), element("list", 1, 2), LEAF], []) for kind in (2, 3)),
        ([element("l", 1, converted=3, logical=3), element("list", 1, 2), LEAF], []),
        ([element("l", 1, converted=0), element("list", 1, 2), LEAF], [("l.list", "repeated")]),
        ([element("l", 1, converted=4), element("list", 1, 2), LEAF], [("l.list", "repeated")]),
        ([element("l", 1, logical=1), element("list", 1, 2), LEAF], [("l.list", "repeated")]),
        ([element("l", 1, logical=4), element("list", 1, 2), LEAF], [("l.list", "repeated")]),
        ([REPEATED], [("x", "repeated")]),
        ([element("s", 2), LEAF, REPEATED], [("s.x", "repeated")]),
        ([element("l", 1, converted=3), REPEATED], [("l", "two-level")]),
        ([element("l", 1, converted=3), element("array", 1, 2), LEAF], [("l", "two-level")]),
        ([element("l", 1, converted=3), element("l_tuple", 1, 2), LEAF], [("l", "two-level")]),
        ([element("l", 1, converted=3), element("arrays", 1, 2), LEAF], []),
        ([element("l", 1, converted=3), element("list", 1, 2), REPEATED], [("l.list.x", "repeated")]),
        ([element("l", 1, converted=3), element("list", 1, 2, converted=3), REPEATED], [("l.list.x", "repeated")]),
        ([element("l", 1, converted=3), element("list", 1, 0), REPEATED], [("l.list.x", "repeated")]),
    ],
)
def test_what_is_a_list(elements: list[bytes], odd: list[tuple[str, str]]) -> None:
    """By its own annotation, of either kind; only the group right below may repeat."""
    footer = bytes([0x15, 2, 0x19, (len(elements) + 1) << 4 | 0x0C]) + ROOT + b"".join(elements) + b"\0"

    assert list(odd_lists(io.BytesIO(footer + struct.pack("<I", len(footer)) + b"PAR1"))) == odd


@pytest.mark.parametrize(
    ("data", "fields"),
    [
        (b"\x00", {}),
        (b"\x15\x02\x25\x01\x00", {1: 1, 3: -1}),
        (b"\x05\x14\x02\x15\x04\x00", {10: 1, 11: 2}),
        (b"\x15\x80\x01\x00", {1: 64}),
        (b"\x14" + b"\xfe" + b"\xff" * 8 + b"\x01\x00", {1: (1 << 63) - 1}),
        (b"\x1c\x11\x00\x12\x00", {1: {1: True}, 2: False}),
        (b"\x19\x05\x00", {1: []}),
        (b"\x19\xe3" + bytes(range(14)) + b"\x00", {1: list(range(14))}),
        (b"\x18\x00\x00", {1: b""}),
    ],
)
def test_fields(data: bytes, fields: dict[int, object]) -> None:
    """Numbered from the one before or by themselves, with numbers of either sign."""
    reader = _Compact(data + b"more")

    assert (reader.struct(), reader.position) == (fields, len(data))


def test_only_the_first_fields() -> None:
    reader = _Compact(b"\x15\x02\x15\x04\x15\x06\x00")

    assert (reader.struct(last=2), reader.position) == ({1: 1, 2: 2}, 4)


@pytest.mark.parametrize(
    ("data", "refused"),
    [
        *((b"\x1c" * depth + b"\0" * (depth + 1), depth > 64) for depth in (64, 65)),
        *((b"\x19" * depth + b"\x13\x05\x00", depth > 63) for depth in (63, 64)),
        *((b"\x15" + b"\xff" * more + b"\x01\x00", more > 9) for more in (9, 10)),
    ],
    ids=[f"{kind} {much}" for kind in ("structs", "lists", "digits") for much in ("fit", "are too many")],
)
def test_how_deep_and_how_long(data: bytes, refused: bool) -> None:
    with pytest.raises(ValueError, match=r"too deep|too long") if refused else contextlib.nullcontext():
        _Compact(data).struct()


@pytest.mark.parametrize("data", [b"", b"\x15", b"\x15\xff", b"\x18\x02a", b"\x17" + bytes(7), b"\x19\x25\x02"])
def test_what_ends_too_early(data: bytes) -> None:
    with pytest.raises(IndexError):
        _Compact(data).struct()
