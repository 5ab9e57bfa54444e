"""Corners of the engine that no log has shown yet."""

from __future__ import annotations

import gc
from typing import Any

import pyarrow as pa
import pytest
from toy import BASE, events_of, get, raw, reasons, toy

from ocsflake.errors import SchemaError
from ocsflake.mapping import DelimitedText, EventMap, Expr, JsonRecords, Mapper, at, is_ip
from ocsflake.mapping.leftovers import Leftovers
from ocsflake.mapping.unmapped import unmapped
from ocsflake.model import RawBatch
from ocsflake.ocsf import validate

V = "vulnerabilities[]."


def events(fields: dict[str, Any], *records: Any, version: str = "1.1.0") -> list[dict[str, Any]]:
    mapped = toy(fields).map(raw(*records), version)
    assert mapped.rejects.to_pylist() == []
    assert all(validate(batch.events).invalid == 0 for batch in mapped.batches)
    return events_of(mapped, version)


def test_just_one() -> None:
    """Of an object that may have just one of some attributes, one with two or none is left out."""
    fields = {V + "cve.uid": at("v[].cve"), V + "cwe.uid": at("v[].cwe"), V + "title": at("v[].t")}
    record = {"v": [{"cve": "CVE-1", "t": "a"}, {"cve": "CVE-2", "cwe": "CWE-2"}, {"t": "c"}, {"cwe": "CWE-4"}]}
    (event,) = events(fields, record, version="1.8.0")

    assert event["vulnerabilities"] == [{"cve": {"uid": "CVE-1"}, "title": "a"}, {"cwe": {"uid": "CWE-4"}}]
    assert set(event["unmapped"]) == {"v[].cve", "v[].cwe", "v[].t"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [(7.5, 7.5), ("7.5", 7.5), (7, 7.0), ("-1e2", -100.0), ("nan", None), ("1e999", None), (".5", None), ("0x1", None)],
)
def test_floats(value: Any, expected: float | None) -> None:
    """A float attribute takes numbers that JSON can write, as numbers or as text."""
    fields = {V + "cve.uid": "CVE-1", V + "cve.cvss[].version": "3.1", V + "cve.cvss[].base_score": at("s")}
    for event in events(fields, {"s": value}), events(fields, {"s": value}, {"s": 1}):
        found = event[0]["vulnerabilities"][0]["cve"].get("cvss", [{}])
        assert found[0].get("base_score") == expected
        assert (event[0].get("unmapped") is None) == (expected is not None)


def test_floats_of_arrow() -> None:
    """What no JSON can write is left out of an event, and kept."""
    fields = {V + "cve.uid": "CVE-1", V + "cve.cvss[].version": "3.1", V + "cve.cvss[].base_score": at("s")}
    mapped = toy(fields).map(RawBatch(pa.record_batch({"s": [1.5, float("nan"), float("inf")]})))

    assert [event.get("unmapped") for event in events_of(mapped)] == [None, {"s": "nan"}, {"s": "inf"}]


def test_truth_of_arrow() -> None:
    """A truth value of Arrow is one."""
    fields = {path: value for path, value in BASE.items() if not path.startswith("finding_info")}
    fields |= {"user.name": "x", "is_mfa": at("m"), "service.name": "s"}
    mapper = Mapper("toy.log", source_name="toy", parse=JsonRecords(), events=[EventMap("authentication", fields)])
    mapped = mapper.map(RawBatch(pa.record_batch({"m": [True, None, False]})))

    assert [event.get("is_mfa") for event in events_of(mapped)] == [True, None, False]


@pytest.mark.parametrize(
    ("attribute", "good", "bad"),
    [
        ("evidences[].src_endpoint.port", 65535, 65536),
        ("evidences[].src_endpoint.port", 0, -1),
        ("evidences[].src_endpoint.mac", "00:0a:95:9d:68:16", "not a mac"),
        ("finding_info.uid", "x", "x" * 70_000),
    ],
)
def test_what_types_allow(attribute: str, good: Any, bad: Any) -> None:
    """A value outside the range, the length or the pattern of its type is no value of the attribute."""
    fields = {"evidences[].src_endpoint.hostname": "h", attribute: at("a")}
    mapped = toy(fields).map(raw({"a": good}, {"a": bad}))
    found = events_of(mapped)

    assert get(found[0], attribute) in (good, [good])
    if attribute == "finding_info.uid":
        assert reasons(mapped) == [("text is due", attribute)]
    else:
        assert get(found[1], attribute) in (None, [None], [bad])
        assert mapped.rejects.num_rows or get(found[1], attribute) == [bad] or found[1]["unmapped"] == {"a": str(bad)}


def test_methods_of_http() -> None:
    """A text that must be one of some is one of them, or left out."""
    fields = {path: value for path, value in BASE.items() if not path.startswith("finding_info")}
    fields |= {"user.name": "x", "http_request.http_method": at("m"), "http_request.user_agent": "ua"}
    mapper = Mapper("toy.log", source_name="toy", parse=JsonRecords(), events=[EventMap("account_change", fields)])
    found = events_of(mapper.map(raw({"m": "GET"}, {"m": "BREW"})))

    assert [event["http_request"].get("http_method") for event in found] == ["GET", None]
    assert found[1]["unmapped"] == {"m": "BREW"}


def test_lists_within_lists() -> None:
    """Objects in lists of objects have their own values; observables are found at any depth."""
    fields = {
        "evidences[].process.pid": at("e[].n"),
        "evidences[].process.file.name": at("e[].f"),
        "evidences[].process.file.type_id": 1,
        "evidences[].process.file.hashes[].algorithm_id": at("e[].h[].a").lookup({"md5": 1, "sha1": 2}, default=99),
        "evidences[].process.file.hashes[].value": at("e[].h[].v"),
    }
    record = {
        "e": [
            {
                "n": 1,
                "f": "x",
                "h": [{"a": "md5", "v": "d41d8cd98f00b204e9800998ecf8427e"}, {"a": "zz", "v": "00"}, {"v": "11"}],
            },
            {"n": 2, "f": "y"},
            {"n": 3, "f": "z", "h": {"a": "sha1", "v": "22"}},
        ]
    }
    (event,) = events(fields, record)

    assert get(event, "evidences[].process.file.hashes[].value") == [
        ["d41d8cd98f00b204e9800998ecf8427e", "00"],
        None,
        ["22"],
    ]
    assert get(event, "evidences[].process.file.hashes[].algorithm") == [["MD5", "zz"], None, ["SHA-1"]]
    assert "11" in event["unmapped"]["e[].h[].v"]
    (event,) = events(
        fields, {"e": [{"n": 1, "f": "x", "h": [{"a": "md5", "v": "00"}, {"a": "md5", "v": "11"}]}, {"n": 2}]}
    )
    assert [o["value"] for o in event["observables"] if "hashes" in o["name"]] == ["00", "11"]


def test_conditions_within_lists_within_lists() -> None:
    """A condition may hold for elements of lists in lists; a value that it leaves out is kept."""
    fields = {"resources[].labels": at("a[].b[]").only_if(is_ip(at("a[].b[]"))), "resources[].uid": at("a[].u")}
    found = events(
        fields, {"a": [{"u": "1", "b": ["192.0.2.1", "x"]}, {"u": "2"}]}, {"a": [{"u": "3", "b": ["192.0.2.2"]}]}
    )

    assert [event["resources"] for event in found] == [
        [{"uid": "1", "labels": ["192.0.2.1"]}, {"uid": "2"}],
        [{"uid": "3", "labels": ["192.0.2.2"]}],
    ]
    assert [event.get("unmapped") for event in found] == [{"a[].b[]": "192.0.2.1,x"}, None]
    fields = {"resources[].uid": at("a[].u").only_if(at("c[].k").is_null() | (at("a[].u") == at("a[].v")))}
    assert get(events(fields, {"a": [{"u": "1", "v": "1"}, {"u": "2"}], "c": [{"k": 1}]})[0], "resources[].uid") == [
        "1"
    ]


def test_texts_and_tokens_together() -> None:
    """Values of different kinds stand in for one another, in lists too."""
    number = at("n").text()
    fields = {"message": number.or_(at("m")), "resources[].data": at("l[]").or_(number), "resources[].uid": "u"}
    found = events(fields, {"n": 1, "m": "x"}, {"m": "x", "l": [{"a": 1}, "b"]}, {"l": [None, 2], "n": 3})

    assert [event["message"] for event in found] == ["1", "x", "3"]
    assert [get(event, "resources[].data") for event in found] == [["1"], [{"a": 1}, "b"], ["3", 2]]


def test_a_table_that_takes_nothing() -> None:
    """A table that takes no record of a batch yields no batch."""
    events = [
        EventMap("detection_finding", BASE, where=at("a") == "x"),
        EventMap("compliance_finding", BASE | {"compliance.standards": "s"}),
    ]
    mapper = Mapper("toy.log", source_name="toy", parse=JsonRecords(), events=events)

    assert [batch.event_class for batch in mapper.map(raw({"a": "y"}, {})).batches] == ["compliance_finding"]


def test_two_bad_times_in_one_attribute() -> None:
    """Each of the values that an attribute is made of may be no time."""
    mapped = toy({"start_time": at("a").epoch("s").or_(at("b").epoch("ms"))}).map(
        raw({"a": "x", "b": "y"}, {"a": 1}, {"b": 2000}, {"a": "x", "b": 3000})
    )

    assert [event.get("start_time") for event in events_of(mapped)] == [None, 1000, 2000, None] or [
        event.get("start_time") for event in events_of(mapped)
    ] == [None, 1000, 2000, 3000]
    assert events_of(mapped)[0]["unmapped"] == {"a": "x", "b": "y"}
    assert events_of(mapped)[3]["unmapped"]["a"] == "x"


def test_an_expression_of_ones_own() -> None:
    """A kind of expression that the engine does not know is refused by its name."""

    class Novel(Expr):
        pass

    with pytest.raises(SchemaError, match="Novel is no expression that can be evaluated"):
        toy({"message": Novel()}).map(raw({}))
    assert {at("a"): 1}


def test_files_of_several_kinds() -> None:
    """Text, JSON and Parquet of one log are mapped together."""
    parse = DelimitedText(columns=("when", "user"), names=frozenset({"when", "user"}))
    mapper = toy({"time": at("when").epoch("s"), "message": at("user")}, parse=parse)
    typed = pa.record_batch({"when": pa.array([3, 4]), "user": pa.nulls(2)})
    batches = [RawBatch(b"1 bob\n"), RawBatch(b'{"when": 2, "user": "eve"}'), RawBatch(typed)]
    (mapped,) = mapper.map_batches(batches, raw_data=True)

    assert [(e["time"], e.get("message")) for e in events_of(mapped)] == [
        (1000, "bob"),
        (2000, "eve"),
        (3000, None),
        (4000, None),
    ]
    assert [e["raw_data"] for e in events_of(mapped)] == [
        "1 bob",
        '{"when": 2, "user": "eve"}',
        '{"when":3}',
        '{"when":4}',
    ]


def test_one_key_twice() -> None:
    """Leftovers of one record and path that come from two places are one value."""
    first = Leftovers(pa.array([0, 1], pa.int32()), pa.array(["a", "a"]), pa.array(["1", "2"]))
    second = Leftovers(pa.array([1, 1], pa.int32()), pa.array(["a", "b"]), pa.array(["3", "4"]))

    assert unmapped([first, second], 3).to_pylist() == [[("a", "1")], [("a", "2,3"), ("b", "4")], None]


def test_the_garbage_collector_stays_as_it_was() -> None:
    """Taking records apart leaves the collector on if it was on, and off if it was off."""
    toy({"message": at("a")}).map(raw({"a": "x"}))
    assert gc.isenabled()
    gc.disable()
    try:
        toy({"message": at("a")}).map(raw({"a": "x"}))
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_tables_by_version() -> None:
    """A table may be for some versions alone; one from a file counts as the newest."""
    old = EventMap("detection_finding", BASE | {"message": "old"}, until="1.2.0")
    new = EventMap("detection_finding", BASE | {"message": "new"}, since="1.3.0")
    mapper = Mapper("toy.log", source_name="toy", parse=JsonRecords(), events=[old, new])

    assert events_of(mapper.map(raw({})))[0]["message"] == "old"
    assert events_of(mapper.map(raw({}), "1.8.0"), "1.8.0")[0]["message"] == "new"
    assert [event.holds_in("mine.json") for event in (old, new)] == [False, True]
