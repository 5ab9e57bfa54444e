"""Delimited text: headers, odd lines, and the same log as JSON or Parquet."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from toy import events_of, reasons, toy

from ocsflake.mapping import DelimitedText, at
from ocsflake.mapping.records import MAX_RECORD
from ocsflake.model import RawBatch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocsflake.model import Mapped

NAMES = frozenset({"when", "user-name", "address", "note"})
PARSE = DelimitedText(columns=("when", "user-name", "address"), names=NAMES)
MAPPER = toy(
    {"time": at("when").epoch("s"), "message": at("user-name"), "comment": at("address")},
    parse=PARSE,
    unmapped=("note",),
)

Found = list[tuple[int, str | None, str | None, dict[str, str] | None]]


def rows(mapped: Mapped) -> Found:
    found = events_of(mapped)
    return [
        (event["time"] // 1000, event.get("message"), event.get("comment"), event.get("unmapped")) for event in found
    ]


def mapped(text: bytes | Sequence[bytes], **batch: Any) -> Mapped:
    return MAPPER.map(RawBatch(text, **batch))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"1 bob 192.0.2.1\n2 eve -\n", [(1, "bob", "192.0.2.1", None), (2, "eve", None, None)]),
        (b"1 bob 192.0.2.1", [(1, "bob", "192.0.2.1", None)]),
        (b"\n\n1 bob x\n\n\n2 eve y\n\n", [(1, "bob", "x", None), (2, "eve", "y", None)]),
        (b"\xef\xbb\xbf1 bob x\n", [(1, "bob", "x", None)]),
        (b"1 bob x\r\n2 eve y\r\n", [(1, "bob", "x", None), (2, "eve", "y", None)]),
        (b"when user-name address\n1 bob x\n", [(1, "bob", "x", None)]),
        (b"address when user-name\nx 1 bob\n", [(1, "bob", "x", None)]),
        (b"\xef\xbb\xbfaddress when user-name\r\nx 1 bob\r\n", [(1, "bob", "x", None)]),
        (b"${address} ${when} ${user-name}\nx 1 bob\n", [(1, "bob", "x", None)]),
        (b"Address WHEN user_name\nx 1 bob\n", [(1, "bob", "x", None)]),
        (b"when user-name\n1 bob\n", [(1, "bob", None, None)]),
        (b"when user-name note\n1 bob hi\n", [(1, "bob", None, {"note": "hi"})]),
        (b"when user-name new-field\n1 bob hi\n", [(1, "bob", None, {"new-field": "hi"})]),
        (b"1 b\xc3\xb6b \xf0\x9f\x9a\x80\n", [(1, "böb", "\U0001f680", None)]),
        (b"1 \"bob\" 'x'\n", [(1, '"bob"', "'x'", None)]),
        (b"1 bob,eve x\\n\n", [(1, "bob,eve", "x\\n", None)]),
        (b"1  x\n", [(1, None, "x", None)]),  # an empty field is no value
        (b"1 a\0b x\n", [(1, "a\0b", "x", None)]),
        (b"", []),
        (b" \n\t\n", []),
    ],
)
def test_lines(text: bytes, expected: Found) -> None:
    """Lines with or without a header, in any order, with any line ends, become events."""
    result = mapped(text)

    assert rows(result) == expected
    assert result.rejects.num_rows == 0
    assert result.records == len(expected)


@pytest.mark.parametrize(
    "header",
    [b"address when user-name", b"Address when UserName", b"${address} ${when} ${user-name}", b"when user_name"],
)
def test_a_header_in_the_middle(header: bytes) -> None:
    """Files that were put together have a header for each part, which counts from there on."""
    middle = b"x 2 eve\n" if header.lower().count(b"address") else b"2 eve\n"
    result = mapped(b"1 bob x\n" + header + b"\n" + middle + b"when user-name address\n3 mia y\n")

    assert [row[:2] for row in rows(result)] == [(1, "bob"), (2, "eve"), (3, "mia")]
    assert result.rejects.num_rows == 0


def test_a_header_of_unknown_names() -> None:
    """A field that nobody knows yet goes to ``unmapped`` and counts as drift; names that are known do not."""
    result = mapped(b"when user-name note new-field\n1 bob - -\n2 eve hi there\n")

    assert rows(result)[1] == (2, "eve", None, {"new-field": "there", "note": "hi"})
    assert result.drift.unknown == {"new-field": 1}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"1 bob", "2 fields, 3 are due"),
        (b"1 bob x y", "4 fields, 3 are due"),
        (b"when when when", "no count of s since 1970"),  # a name twice is no header
        (b"alpha beta gamma", "no count of s since 1970"),
        (b"1 b\xffb x", "not UTF-8 (byte 4)"),
        (b"1 b\rb x", "a carriage return within the line"),
        (b"x" * (MAX_RECORD + 1), "1,048,577 bytes, at most 1,048,576 are taken"),
        (b"one bob x", "no count of s since 1970"),
        (b"- bob x", "attribute_required_missing: a required attribute is missing"),
        (b"99999999999999999999 bob x", "no count of s since 1970"),
        (b"-1 bob x", "a time is due"),
    ],
)
def test_bad_lines(line: bytes, reason: str) -> None:
    """A line that is no record is a reject as it came, with the reason; its neighbours are not touched."""
    result = mapped(b"1 bob x\n" + line + b"\n2 eve y\n", origin={"uri": "u"})

    assert [row[:2] for row in rows(result)] == [(1, "bob"), (2, "eve")]
    assert (result.records, result.mapped) == (3, 2)
    (reject,) = result.rejects.to_pylist()
    assert (reject["record"], reject["reason"], reject["origin"]) == (line, reason, [("uri", "u")])


def test_a_batch_within_a_file() -> None:
    """The header of a file counts for every batch that is cut from it."""
    head = b"address when user-name"

    assert rows(mapped(b"x 1 bob\ny 2 eve\n", head=head))[0] == (1, "bob", "x", None)
    assert rows(mapped(b"x 1 bob\n", head=b"\xef\xbb\xbf" + head))[0] == (1, "bob", "x", None)
    assert rows(mapped(b"1 bob x\n", head=b"0 mia z"))[0] == (1, "bob", "x", None)  # a first line that is a record
    assert rows(mapped(b"when user-name address\n1 bob x\n", head=head))[0] == (1, "bob", "x", None)
    assert rows(mapped([b"x 1 bob", b"y 2 eve"], head=head))[1] == (2, "eve", "y", None)


def test_blocks() -> None:
    """Text is taken in blocks of whole lines; a header counts for the blocks behind it, rejects keep their bytes."""
    wide = "w" * 60_000
    lines = [f"{n} user{n} {wide}{n}" for n in range(1, 90)]
    lines[10] = "11 broken"
    lines[40:40] = ["address when user-name", f"{wide}100 100 user100", "when user-name address"]
    result = mapped("\n".join(lines).encode())

    assert sorted(row[0] for row in rows(result)) == sorted({*range(1, 90), 100} - {11})
    assert all(row[1:3] == (f"user{row[0]}", f"{wide}{row[0]}") for row in rows(result))
    assert [reject["record"] for reject in result.rejects.to_pylist()] == [b"11 broken"]


def test_json_lines() -> None:
    """The same log as JSON: keys in any spelling, numbers as they are, objects for what is nested."""
    text = b"\n".join(
        json.dumps(record).encode()
        for record in (
            {"when": 1, "user_name": "bob", "address": "-", "note": {"a": [1, 2]}},
            {"WHEN": "2", "userName": "eve", "user-name": "mia", "newField": "x"},
            {"when": 3},
        )
    )
    result = mapped(text + b"\nbroken\n", origin={"uri": "u"})

    assert rows(result) == [
        (1, "bob", None, {"note.a[]": "1,2"}),
        (2, "mia", None, {"newField": "x", "userName": "eve"}),
        (3, None, None, None),
    ]
    assert result.drift.unknown == {"newField": 1, "userName": 1}
    assert result.rejects.to_pylist()[0]["record"] == b"broken"
    assert result.rejects.to_pylist()[0]["origin"] == [("uri", "u")]
    assert (result.records, result.mapped) == (4, 3)


def test_json_that_is_no_object() -> None:
    """Among JSON objects, anything else is a reject."""
    result = mapped(b'{"when": 1, "user-name": "bob"}\n5\n[{"when": 2}, 6]\n')

    assert [row[:2] for row in rows(result)] == [(1, "bob"), (2, None)]
    assert sorted(reject["record"] for reject in result.rejects.to_pylist()) == [b"5", b"6"]


def test_only_broken_json() -> None:
    """What begins like JSON and is none is a reject, though no record came before it."""
    result = mapped(b'{"when": 1')

    assert (result.records, result.mapped, result.rejects.num_rows) == (1, 0, 1)


def test_cloudwatch_logs() -> None:
    """A subscription of CloudWatch Logs holds lines of the text as messages."""
    messages = [{"id": "1", "timestamp": 0, "message": "1 bob x"}, {"id": "2", "timestamp": 0, "message": "2 eve"}]
    document = {"messageType": "DATA_MESSAGE", "owner": "111122223333", "logEvents": messages}
    result = mapped(json.dumps(document).encode())

    assert rows(result) == [(1, "bob", "x", None)]
    assert reasons(result) == [("2 fields, 3 are due", "")]


def test_parquet() -> None:
    """A Parquet delivery has typed columns with ``_`` in their names; what it has beside is kept."""
    batch = pa.record_batch(
        {
            "when": pa.array([1, None, 3], pa.int64()),
            "user_name": ["bob", "eve", "-"],
            "address": pa.array(["x", "y", "z"]).dictionary_encode(),
            "new_field": pa.array([1.5, 2.5, None]),
        }
    )
    result = MAPPER.map(RawBatch(batch, {"uri": "u"}))

    assert rows(result) == [(1, "bob", "x", {"new_field": "1.5"}), (3, None, "z", None)]
    assert result.drift.unknown == {"new_field": 2}
    (reject,) = result.rejects.to_pylist()
    assert json.loads(reject["record"]) == {"user_name": "eve", "address": "y", "new_field": 2.5}
    assert reject["reason"] == "attribute_required_missing: a required attribute is missing"


def test_raw_data() -> None:
    """An event may keep its line as it came."""
    batch = RawBatch(b"when user-name address\r\n1 bob x\r\n2 eve y\r\n\r\n")
    result = MAPPER.map(batch, raw_data=True)

    assert [event["raw_data"] for event in events_of(result)] == ["1 bob x", "2 eve y"]


def test_another_separator() -> None:
    """Fields may stand between any one character, and ``#Fields:`` may begin the header."""
    parse = DelimitedText(columns=("when", "note"), names=NAMES, separator="\t", null="~", header="#Fields:")
    mapper = toy({"time": at("when").epoch("s"), "message": at("note")}, parse=parse)
    text = b"#Version: 1.0\n#Fields: note when extra\na b\t1\te\n~\t2\t~\n#Remark\nc\t3\tf\n#Fields: when note\n4\td\n"
    result = mapper.map(RawBatch(text))

    assert [(e["time"] // 1000, e.get("message"), e.get("unmapped")) for e in events_of(result)] == [
        (1, "a b", {"extra": "e"}),
        (2, None, None),
        (3, "c", {"extra": "f"}),
        (4, "d", None),
    ]
    assert result.rejects.num_rows == 0


def test_a_reject_says_what_its_columns_were() -> None:
    """A line in another column order is read rightly when it runs again, by the header that its origin keeps."""
    from ocsflake.mappers.aws.vpc_flow import MAPPER
    from ocsflake.model import RawBatch

    head = "start end srcaddr dstaddr interface-id version"
    bad = MAPPER.map(RawBatch(f"{head}\nnever 1700000060 192.0.2.1 192.0.2.2 eni-1 2\n".encode()))
    [reject] = bad.rejects.to_pylist()
    origin = dict(reject["origin"])
    mended = reject["record"].replace(b"never", b"1700000000")
    again = MAPPER.map(RawBatch([mended], head=origin["header"].encode()))

    assert origin["header"] == head
    assert again.batches[0].events["time"].to_pylist() == [1_700_000_000_000]
