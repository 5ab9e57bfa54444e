"""Logs are written by attackers: whatever they write ends in an event or a reject, soon, and never in an exception."""

from __future__ import annotations

import json
import sys
import tracemalloc
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc
import pytest
from toy import events_of, raw, reasons, toy

from ocsflake import mapper as registered
from ocsflake.mapping import JsonRecords, at, is_ip
from ocsflake.model import RawBatch
from ocsflake.ocsf import validate

if TYPE_CHECKING:
    from ocsflake.model import Mapped

FIELDS: dict[str, Any] = {
    "message": at("a"),
    "comment": at("o.x"),
    "resources[].uid": at("l[].x"),
    "resources[].data": at("l[]"),
    "evidences[].data": at("j"),
    "evidences[].src_endpoint.ip": at("ip").only_if(is_ip(at("ip"))),
    "count": at("n"),
    "start_time": at("t"),
    "cloud.account.uid": at("account"),
    "cloud.provider": "AWS",
}
MAPPER = toy(FIELDS)


def outcome(record: bytes, mapper: Any = MAPPER) -> Mapped:
    """Return what becomes of a record among good ones, which must all become events."""
    good = b'{"a": "good"}'
    mapped = mapper.map(RawBatch([good, record, good]))
    assert mapped.records == 3
    assert mapped.mapped == 3 - mapped.rejects.num_rows >= 2
    assert all(validate(batch.events).invalid == 0 for batch in mapped.batches)
    for event in events_of(mapped):
        json.dumps(event).encode()
    assert [row["record"] for row in mapped.rejects.to_pylist()] in ([], [record])
    assert all(row["reason"] for row in mapped.rejects.to_pylist())
    return mapped


PLACES = [
    b'"a"',
    b'"o"',
    b'"l"',
    b'"j"',
    b'"n"',
    b'"t"',
    b'"ip"',
    b'"account"',
    b'"other"',
    b'"o": {"x"',
    b'"l": [{"x"',
]
VALUES = [
    rb'"\ud800"',
    rb'"\u0000"',
    rb'"\udfff\ud800x"',
    b'"\x7f\xc2\x80"',
    rb'"\u202e\ufeff\uffff"',
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"1e999",
    b"-1e999",
    b"1e-999",
    b"-0",
    b"9" * 400,
    b"9" * 5000,
    b"0.1e" + b"9" * 30,
    b"1." + b"3" * 5000,
    b"[" * 10_000 + b"]" * 10_000,
    b'{"x":' * 10_000 + b"1" + b"}" * 10_000,
    b'[{"x":' * 5_000 + b"1" + b"}]" * 5_000,
    b'"' + b"[" * 10_000 + b'"',
    rb'"{\"x\": [}"',
    rb'"[1, 2"',
    b'"%s %n {0} {a.__class__} ${jndi:ldap://x} $(id) `id`"',
    b'"\'; DROP TABLE events; --"',
    b'"<script>alert(1)</script><img src=x onerror=alert(1)>"',
    b'"../../x"',
    b'"/etc/passwd"',
    b"\"=cmd|'/c calc'!A0\"",
    b'{"__proto__": {"x": 1}, "$ref": "#", "constructor": "x"}',
    b'{"": {"": {"": 1}}, ".": 1, "[]": {"[]": 1}, "\\"": 1, "a.b[].c": 1}',
    b"true",
    b"null",
    b"{}",
    b"[]",
    b"[null, [], {}, [null]]",
    b'"' + b"x" * 70_000 + b'"',
    b'"' + b"1" * 70_000 + b'"',
    b"x",
    b"'x'",
    b"",
    b"0x10",
    b"01",
    b"[1,]",
    b'{"x" 1}',
    b'"\n"',
    b'"\\x41"',
    b'"\xff"',
    b'"\xed\xa0\x80"',
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: value[:24].decode("latin-1"))
def test_any_value_anywhere(value: bytes) -> None:
    """A value of any kind at any place of a record, whether a table names the place or not."""
    for place in PLACES:
        record = b"{" + place + b": " + value + (b"}]}" if b"[" in place else b"}}" if b"{" in place else b"}")
        outcome(record)


@pytest.mark.parametrize("depth", [100, 600, *range(930, 1030, 3), 1100])
@pytest.mark.parametrize("opening", [b"[", b'{"x":'])
def test_any_depth(depth: int, opening: bytes) -> None:
    """However deep a value nests, whatever is left of the interpreter's stack."""
    closing = b"]" if opening == b"[" else b"}"
    value = opening * depth + b"1" + closing * depth
    for place in (b"a", b"o", b"l", b"j", b"other"):
        outcome(b'{"' + place + b'": ' + value + b"}")

    def deeper(frames: int) -> Mapped:
        return deeper(frames - 1) if frames else outcome(b'{"other": ' + value + b', "j": ' + value + b"}")

    deeper(60)
    exploding = toy({"message": at("f[].a")}, parse=JsonRecords(explode="f[]"))
    mapped = exploding.map(RawBatch([b'{"f": [{"a": "x", "b": ' + value + b"}]}"]))
    assert mapped.records == mapped.mapped + mapped.rejects.num_rows == 1


@pytest.mark.parametrize("beside", ["b", "other"])
def test_a_long_text_beside_many_elements_is_not_repeated(beside: str) -> None:
    """A record whose elements would be rows of much more than its own bytes is a reject, whatever is long in it."""
    exploding = toy({"message": at("f[].a"), "comment": at("b")}, parse=JsonRecords(explode="f[]"))
    hostile = json.dumps({"f": [{"a": "x"}] * 20_000, beside: "y" * 500_000}).encode()

    mapped = outcome_of_rows(exploding, hostile)

    assert mapped.rejects["record"].to_pylist() == [hostile]
    assert "more than 32 times its own" in reasons(mapped)[0][0]


def test_many_elements_are_no_reason_to_refuse_a_record() -> None:
    """It is what stands beside them that would be repeated."""
    exploding = toy({"message": at("f[].a"), "comment": at("b")}, parse=JsonRecords(explode="f[]"))

    mapped = outcome_of_rows(exploding, json.dumps({"f": [{"a": "x"}] * 20_000, "b": "y" * 20}).encode())

    assert mapped.rejects.num_rows == 0
    assert sum(batch.events.num_rows for batch in mapped.batches) == 20_004


def outcome_of_rows(exploding: Any, record: bytes) -> Mapped:
    """Return what becomes of a record between two of two elements each."""
    good = b'{"f": [{"a": "x"}, {"a": "y"}], "b": "z"}'
    mapped: Mapped = exploding.map(RawBatch([good, record, good]))
    assert mapped.records == mapped.mapped + mapped.rejects.num_rows == 3
    return mapped


def test_deep_records_have_a_reason() -> None:
    """What is nested too deeply says so."""
    mapped = outcome(b'{"other": ' + b"[" * 10_000 + b"]" * 10_000 + b"}")

    assert reasons(mapped) == [("JSON is nested too deeply", "")]


def test_a_path_is_never_chosen() -> None:
    """An account id that could choose where an object lies is a reject."""
    for account in ("../../x", "..", "a/../b", "x/y", "C:\\x", "a\x00b", "."):
        mapped = outcome(json.dumps({"account": account}).encode())
        assert (mapped.rejects.num_rows == 1) == (account != ".")


def test_text_is_text() -> None:
    """What looks like markup, SQL or a format stays the text that it is."""
    for text in ("'; DROP TABLE x; --", "<script>", "{0} %s ${x}", "\u202etxt", "a\nb\tc\0"):
        mapped = outcome(json.dumps({"a": text}).encode())
        assert events_of(mapped)[1]["message"] == text


def test_equal_keys() -> None:
    """Of equal keys the last counts, at any level, and nothing fails."""
    mapped = outcome(b'{"a": 1, "a": "x", "o": {"x": 5}, "o": {"x": "y"}, "other": {"k": 1, "k": 2}}')

    assert (events_of(mapped)[1]["message"], events_of(mapped)[1]["comment"]) == ("x", "y")
    assert events_of(mapped)[1]["unmapped"] == {"other.k": "2"}


def test_many_keys() -> None:
    """A megabyte of keys is kept, key for key."""
    record = json.dumps({f"k{n}": n for n in range(60_000)}).encode()
    mapped = outcome(record)

    assert len(record) < 1 << 20
    assert len(events_of(mapped)[1]["unmapped"]) == 60_000
    assert len(mapped.drift.unknown) == 60_000


@pytest.mark.parametrize(
    "record",
    [
        {"k" * 300_000: {f"{n:x}": 1 for n in range(50_000)}},
        {"x": {"k" * 300_000: [{f"{n:x}": 1} for n in range(40_000)]}},
        {"l": [{"k" * 300_000: {f"{n:x}": 1 for n in range(50_000)}}]},
        {f"{n:03}" + "k" * 250: {f"{m:x}": 1 for m in range(100)} for n in range(300)},
    ],
    ids=["object", "list", "in a list", "many"],
)
def test_long_keys_over_many_values(record: dict[str, Any]) -> None:
    """Short values below a long key do not each bring a copy of it: memory stays within reach of the record's size."""
    data = json.dumps(record).encode()
    assert len(data) < 1 << 20
    tracemalloc.start()
    mapped = MAPPER.map(RawBatch([data]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert mapped.mapped == 1
    assert peak < 200 << 20
    assert mapped.batches[0].events.nbytes < 100 << 20


def test_a_long_list() -> None:
    """A list of some hundred thousand elements is a list."""
    record = b'{"l": [' + b",".join([b"{}"] * 150_000) + b'], "other": [' + b",".join([b"1"] * 100_000) + b"]}"
    mapped = outcome(record)

    assert events_of(mapped)[1]["unmapped"]["other[]"] == ",".join(["1"] * 100_000)


def test_many_rejects() -> None:
    """Rejecting every record of a large batch takes no longer than mapping it, and keeps each with its origin."""
    batches = [RawBatch([b'{"a": 5, "n": %d}' % n], {"n": str(n)}) for n in range(3000)]
    (mapped,) = MAPPER.map_batches(batches)
    rows = mapped.rejects.to_pylist()

    assert [row["record"] for row in rows] == [b'{"a": 5, "n": %d}' % n for n in range(3000)]
    assert [dict(row["origin"])["n"] for row in rows] == [str(n) for n in range(3000)]
    flows = registered("aws.vpc_flow").map(RawBatch(b"2 1 eni x y 1 1 6 1 1 s e ACCEPT OK\n" * 30_000))
    assert flows.rejects.num_rows == 30_000


def test_one_bad_record_among_many() -> None:
    """A bad record does not take its neighbours with it, wherever it stands."""
    for place in (0, 999, 1000, 2499):
        records = [b'{"a": "x"}'] * 2500
        records[place] = b'{"a": 5}'
        (mapped,) = MAPPER.map_batches([RawBatch(records)])
        assert (mapped.records, mapped.mapped, mapped.rejects.num_rows) == (2500, 2499, 1)


def test_the_stack_of_the_interpreter_is_left_alone() -> None:
    """Nothing changes the limit of the interpreter's stack."""
    before = sys.getrecursionlimit()
    outcome(b'{"a": ' + b"[" * 10_000 + b"]" * 10_000 + b"}")

    assert sys.getrecursionlimit() == before


def test_times_out_of_range() -> None:
    """Times before 1970 or after 9999 are none that an event can have."""
    mapped = MAPPER.map(
        raw({"t": "1969-12-31T23:59:59Z"}, {"t": "10000-01-01T00:00:00Z"}, {"t": "9999-12-31T23:59:59Z"})
    )

    assert [event.get("start_time") for event in events_of(mapped)] == [None, None, 253_402_300_799_000]
    assert pc.max(mapped.batches[0].events.column("time")).as_py() < 1 << 62
