"""Cutting buffers into records, whatever they came in."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest
from toy import events_of, raw, reasons, toy

from ocsflake.mapping import JsonRecords, at
from ocsflake.mapping.records import MAX_RECORD, repair_surrogates, split_records
from ocsflake.model import RawBatch

A, B = {"a": 1}, {"b": "é"}


def text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def split(data: str | bytes, unwrap: tuple[str, ...] = ("Records", "records"), **options: Any) -> tuple[list[Any], Any]:
    """Return the records, and the bytes and reasons of what is none."""
    records, rejects = split_records(data if isinstance(data, bytes) else data.encode(), unwrap, **options)
    return [json.loads(bytes(record)) for record in records], [(bad.record, bad.reason) for bad in rejects]


def event(detail: Any) -> dict[str, Any]:
    return {"version": "0", "detail-type": "a kind", "source": "a.source", "resources": [], "detail": detail}


def logs(*messages: Any) -> dict[str, Any]:
    found = [{"id": "1", "timestamp": 1, "message": message} for message in messages]
    return {"messageType": "DATA_MESSAGE", "owner": "111122223333", "logEvents": found}


def published(data: bytes) -> dict[str, Any]:
    return {"data": b64encode(data).decode(), "messageId": "7", "attributes": {}}


@pytest.mark.parametrize(
    "data",
    [
        text(A) + "\n" + text(B) + "\n",
        text(A) + "\r\n\r\n  " + text(B) + "\r\n",
        "\ufeff" + text(A) + "\n" + text(B),
        text(A) + text(B),
        text(A) + ", \n" + text(B) + ",",
        text(A) + text(B) + "\n",
        json.dumps(A, indent=2) + "\n" + json.dumps(B, indent=2),
        text([A, B]),
        json.dumps([A, B], indent=2),
        text([A]) + "\n" + text([B]),
        text({"Records": [A, B]}),
        json.dumps({"records": [A, B]}, indent=1),
        text({"Records": [A]}) + text({"records": [B]}),
        text({"Records": A}) + "\n" + text({"Records": text(B)}),
        text([{"Records": [A, B]}]),
        text([A, {"records": [B]}]),
        text(event(A)) + "\n" + text(event(B)),
        text([event(A), event(B)]),
        text(event({"Records": [A, B]})),
        text(logs(text(A), text(B))),
        text(logs(text({"Records": [A, B]}))),
        text(logs(text(event(A)))) + text(logs(text(B))),
        text(published(text(A).encode())) + "\n" + text({"message": published(text(B).encode())}),
        text({"subscription": "s", "message": published(text({"records": [A, B]}).encode())}),
        text({"tables": [{"name": "t", "columns": [{"name": "a", "type": "int"}], "rows": [[1]]}]}) + text(B),
    ],
)
def test_forms(data: str) -> None:
    """Lines, documents, lists and envelopes, alone, mixed and within one another, hold the same two records."""
    assert split(data) == ([A, B], [])


def test_buffers_one_a_record() -> None:
    """Records that come one a buffer are cut the same way, each for itself."""
    mapper = toy({"message": at("a").text()}, parse=JsonRecords(unwrap=("Records",)))
    batch = RawBatch([text(A).encode(), text({"Records": [A, A]}).encode(), b"x", text(event(A)).encode()])
    mapped = mapper.map(batch)

    assert len(events_of(mapped)) == 4
    assert [reject["record"] for reject in mapped.rejects.to_pylist()] == [b"x"]


def test_nothing() -> None:
    """Envelopes that hold nothing, and white space, are no records."""
    for data in ("", "\n \t\r\n", "[]", "{}[]"[2:], text({"Records": []}), text({"Records": None}), text(logs())):
        assert split(data) == ([], [])


def test_an_empty_object_is_a_record() -> None:
    """An object without members is a record for the mapper to judge."""
    assert split("{}") == ([{}], [])


def test_keys_of_envelopes_within_records() -> None:
    """What looks like an envelope within a record is none."""
    record = {"a": {"Records": [1], "detail-type": "x", "detail": {}, "logEvents": [], "messageType": ""}, "data": "x"}

    assert split(text([record, record]) + "\n" + text(record)) == ([record] * 3, [])


@pytest.mark.parametrize(
    ("data", "good", "reason"),
    [
        (b"x", [], "not JSON: JSON is malformed: invalid character (byte 0)"),
        (b"null", [], "not JSON: Expected `object`, got `null`"),
        (b"5", [], "not JSON: Expected `object`, got `int`"),
        (b'"text"', [], "not JSON: Expected `object`, got `str`"),
        (b'{"a": 1', [], "not JSON: Input data was truncated"),
        (b'{"a": tru}\n{"a": 1}', [A], "not JSON: JSON is malformed: invalid character (byte "),
        (b'{"a": 1}\nx\n{"a": 1}', [A, A], "not JSON: JSON is malformed: invalid character (byte 0)"),
        (b'{"a": 1}{"a": NaN}{"a": 1}', [A, A], "not JSON: JSON is malformed: invalid character (byte 6)"),
        (b'{"a": 1}{"a": {"b": 1}', [A], "not JSON: Input data was truncated"),
        (b'{"a": 1}\n{"a": 1}{"b"', [A, A], "not JSON: Input data was truncated"),
        (b'{"a": 1}{"a": [' + b"[" * 5000 + b"]" * 5001 + b'}{"a": 1}', [A, A], "JSON is nested too deeply"),
        (b'{"a": 1}{"x": ' + b"9" * 5000 + b'}{"a": 1}', [A, {"x": int("9" * 4000)}, A], ""),
        (b'{"a": 1}\n{"b": "\xff"}\n{"a": 1}', [A, A], "not UTF-8 (byte 8)"),
        (b'{"Records": 5}', [], "Records is a number, a list of records is due"),
        (b'{"Records": "x"}', [], "Records is text, a list of records is due"),
        (b'{"Records": true}', [], "Records is true, a list of records is due"),
        (b'{"detail-type": "x", "detail": 5}', [], "not JSON: Expected `object`, got `int`"),
        (b'{"logEvents": {}, "messageType": "x"}', [], "not JSON: Expected `array`, got `object`"),
        (b'{"logEvents": [{"id": 1}], "messageType": "x"}', [], "a log event has no message"),
        (b'{"logEvents": [5], "messageType": "x"}', [], "a log event has no message"),
        (
            b'{"logEvents": [{"message": "x"}], "messageType": "x"}',
            [],
            "not JSON: JSON is malformed: invalid character",
        ),
        (b'{"data": "!", "messageId": "1"}', [], "a Pub/Sub message has no data in base64"),
        (b'{"data": "eA==", "messageId": "1"}', [], "not JSON: JSON is malformed: invalid character (byte 0)"),
        (b'{"message": {"messageId": "1"}}', [], "a Pub/Sub message has no data in base64"),
        (b'{"tables": [5]}', [], "not JSON: Expected `object`, got `int`"),
    ],
)
def test_broken(data: bytes, good: list[Any], reason: str) -> None:
    """What is broken is kept with its reason, and what stands around it is read."""
    if b"9" * 5000 in data:
        records, rejects = split_records(data, ())
        assert ([len(bytes(record)) for record in records], rejects) == ([8, 5007, 8], [])
        return
    records, rejects = split(data)

    assert records == good
    (reject,) = rejects
    assert reject[1].startswith(reason)
    assert reject[0] in data or reject[0] == b"x"


def test_lines_behind_a_document() -> None:
    """Behind a document that spans lines a broken line is one reject, and the lines after it are records."""
    mapped = toy({"message": at("a").text()}).map(RawBatch(b'{\n"a": 1}\n{"a": [\n{"a": 2}\n'))

    assert [event["message"] for event in events_of(mapped)] == ["1", "2"]
    assert [row["record"] for row in mapped.rejects.to_pylist()] == [b'{"a": [']
    assert reasons(mapped) == [("not JSON: Input data was truncated", "")]


def test_elements_that_are_no_records() -> None:
    """An element of a list that is no object is a reject of its own."""
    mapper = toy({"message": at("a").text()}, parse=JsonRecords(unwrap=("Records",)))

    for data in (b'[{"a": 1}, 5, null, "x", [1]]', b'{"Records": [{"a": 1}, 5, null, "x", [1]]}'):
        mapped = mapper.map(RawBatch(data))
        assert len(events_of(mapped)) == 1
        assert [reject["record"] for reject in mapped.rejects.to_pylist()] == [b"5", b"null", b'"x"', b"[1]"]
        assert {reason.split(":")[0] for reason, _ in reasons(mapped)} == {"a JSON object is due"}
    for data in (b'["Records", 5]', b'[{"a": 1, "x": {"Records": 1}}, 5]'):  # may be wrapped, and is not
        assert mapper.map(RawBatch(data)).rejects.to_pylist()[-1]["record"] == b"5"


def test_envelopes_within_envelopes() -> None:
    """Envelopes are taken off to a bounded depth."""
    nested: Any = A
    for _ in range(10):
        nested = event(nested)

    records, rejects = split(text(nested))

    assert records == []
    assert [reason for _, reason in rejects] == ["envelopes within envelopes"]


def test_texts_of_cloudwatch_logs() -> None:
    """Messages that are no JSON may be asked for."""
    texts: list[bytes] = []

    records, rejects = split(text(logs("a line", text(A), "[x] y")), texts=texts)

    assert (records, [record for record, _ in rejects], texts) == ([A], [b"[x] y"], [b"a line"])


def test_csv() -> None:
    """CSV with a header has a record a row; empty fields are left out, and portals' time zones in names."""
    data = 'a,"b c",Time [UTC]\r\n1,"x ""y""\nz",2026-01-01\r\n,,\r\n1,2\r\n\r\n3,,4\r\n'

    records, rejects = split(data, csv=True)

    assert records == [{"a": "1", "b c": 'x "y"\nz', "Time": "2026-01-01"}, {}, {"a": "3", "Time": "4"}]
    assert rejects == [(b'["1","2"]', "2 fields, 3 are due")]
    assert split(text(A), csv=True) == ([A], [])
    assert split('a\n"x', csv=True)[1][0][1].startswith("not CSV: ")
    mapper = toy({"message": at("b c")}, parse=JsonRecords(csv=True))
    assert [e.get("message") for e in events_of(mapper.map(RawBatch(data.encode())))] == ['x "y"\nz', None, None]


@pytest.mark.parametrize(
    ("record", "repaired"),
    [
        (rb'{"a": "\ud800"}', rb'{"a": "\ufffd"}'),
        (rb'{"a": "\uDFFFx"}', rb'{"a": "\ufffdx"}'),
        (rb'{"a": "\ud83d\ude80"}', rb'{"a": "\ud83d\ude80"}'),
        (rb'{"a": "\\ud800"}', rb'{"a": "\\ud800"}'),
        (rb'{"a": "\\\ud800"}', rb'{"a": "\\\ufffd"}'),
        (rb'{"a": "\ud800\ud800\udc00"}', rb'{"a": "\ufffd\ud800\udc00"}'),
    ],
)
def test_lone_surrogates(record: bytes, repaired: bytes) -> None:
    """Half a character becomes the replacement character; whole ones and what only looks like it stay."""
    assert repair_surrogates(record) == repaired


def test_lone_surrogates_in_records() -> None:
    """A record with half a character is mapped; its neighbours are not touched."""
    mapper = toy({"message": at("a")}, parse=JsonRecords(unwrap=("Records",)))
    bad = rb'{"a": "x\ud800", "b": {"\udfff": 1}}'
    found = [{"message": "x\ufffd", "unmapped": {"b.\ufffd": "1"}}, {"message": "y", "unmapped": None}]

    for data in ([bad, b'{"a": "y"}'], bad + b'\n{"a": "y"}', b'{"Records": [' + bad + b', {"a": "y"}]}'):
        events = events_of(mapper.map(RawBatch(data)))
        assert [{key: event.get(key) for key in ("message", "unmapped")} for event in events] == found


def test_records_that_are_too_long() -> None:
    """A record of more than 1 MB is a reject: no Parquet page of a custom source could hold it."""
    mapper = toy({"message": at("a")})
    fits = b'{"a": "' + b"x" * (60_000) + b'", "pad": "' + b"y" * (MAX_RECORD - 60_020) + b'"}'
    mapped = mapper.map(RawBatch(fits + b"\n" + fits.replace(b'"pad"', b'"pads"')))

    assert len(fits) == MAX_RECORD
    assert mapped.mapped == 1
    assert reasons(mapped) == [("1,048,577 bytes, at most 1,048,576 are taken", "")]


def test_what_is_skipped() -> None:
    """Documents that are no records by the vendor's own design are counted by name, and are nothing else."""
    mapper = toy({"message": at("a")}, parse=JsonRecords(skip=(("digest", "digestId"), ("summary", "sum"))))
    mapped = mapper.map(raw({"a": "x"}, {"digestId": 1}, {"sum": None}, {"digestId": 2, "sum": 3}, {"a": {"sum": 1}}))

    assert mapped.skipped == {"digest": 2, "summary": 1}
    assert (mapped.records, mapped.mapped, mapped.rejects.num_rows) == (2, 1, 1)
    parts = list(mapper.map_batches([raw({"sum": 1}), raw({"digestId": 1}), raw({"sum": 1})]))
    assert parts[0].skipped == {"summary": 2, "digest": 1}


def test_drift() -> None:
    """Paths that no table and no list of a mapper names are counted, with the records that held each."""
    mapper = toy({"message": at("a"), "resources[].uid": at("r[].x")}, unmapped=("known", "all.*"))
    records = [
        {"a": "x", "known": 1, "all": {"b": 1, "c": [{"d": 1}]}},
        {"a": "x", "new": {"b": 1}, "known": {"b": 2}, "r": [{"x": "1", "y": 2}, {"y": 3}]},
        {"new": {"b": [1, 2]}, "all": 5},
    ]

    assert mapper.map(raw(*records)).drift.unknown == {"all": 1, "new.b": 1, "new.b[]": 1, "r[].y": 1}
