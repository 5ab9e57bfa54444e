"""Kernels over single columns: times, addresses, numbers, text."""

from __future__ import annotations

import ipaddress
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from toy import events_of, raw, reasons, toy, values

from ocsflake.mapping import at
from ocsflake.mapping.values import is_ip, json_text, parse_time, scalar_text, string_text, token_column, whole_numbers
from ocsflake.model import RawBatch

NOON = 1_767_268_800_000  # 2026-01-01T12:00:00Z
LAST = 253_402_300_799_999


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-01T12:00:00Z", NOON),
        ("2026-01-01T12:00:00z", NOON),
        ("2026-01-01t12:00:00Z", NOON),
        ("2026-01-01 12:00:00", NOON),
        ("2026-01-01 12:00:00 UTC", NOON),
        ("2026-01-01T12:00", NOON),
        ("2026-01-01T12", NOON),
        ("2026-01-01T12+00", NOON),
        ("2026-01-01", NOON - 12 * 3_600_000),
        ("2026-01-01T13:00:00+01:00", NOON),
        ("2026-01-01T13:30:00+0130", NOON),
        ("2026-01-01T07:00:00-05", NOON),
        ("2026-01-01T12:00:00.1Z", NOON + 100),
        ("2026-01-01T12:00:00.12Z", NOON + 120),
        ("2026-01-01T12:00:00.123Z", NOON + 123),
        ("2026-01-01T12:00:00.1239Z", NOON + 123),
        ("2026-01-01T12:00:00.1234567Z", NOON + 123),
        ("2026-01-01T12:00:00.123456789Z", NOON + 123),
        ("2026-01-01T12:00:00.999999999Z", NOON + 999),
        ("2026-01-01T12:00:00.1234567891Z", NOON + 123),
        ("2026-01-01T12:00:00,5", NOON + 500),
        ("2016-12-31T23:59:60Z", 1_483_228_799_999),  # a leap second is the last moment of its minute
        ("Jan 1, 2026 12:00:00 PM", NOON),
        ("Jan 1, 2026, 12:00:00\u202fPM", NOON),
        ("Jan 1, 2026 12:00:00 AM", NOON - 12 * 3_600_000),
        ("Jan 01, 2026 1:00:00 PM", NOON + 3_600_000),
        ("01/Jan/2026:12:00:00 +0000", NOON),
        ("[01/Jan/2026:13:00:00 +0100]", NOON),
        ("1/1/2026, 12:00:00.500 PM", NOON + 500),
        ("1970-01-01T00:00:00Z", 0),
        ("1969-12-31T23:59:59.999Z", -1),
        ("9999-12-31T23:59:59.999Z", LAST),
        ("0001-01-01T00:00:00Z", -62_135_596_800_000),
        # none
        ("10000-01-01T00:00:00Z", None),
        ("2026-13-01T00:00:00Z", None),
        ("2026-02-30", None),
        ("2026-01-01T24:00:00Z", None),
        ("2026-01-01T12:60:00Z", None),
        ("2026-01-01T12:00:61Z", None),
        ("2026-01-01T12:00:00+24:00", None),
        ("2026-01-01T12:00:00+01:60", None),
        ("2026-01-01T12:00:00.Z", None),
        ("2026-01-01T12:00:00 CET", None),
        ("0001-01-01T00:00:00+01:00", None),
        ("Foo 1, 2026 12:00:00 PM", None),
        ("Jan 1, 2026 13:00:00 PM", None),
        ("Jan 32, 2026 12:00:00 PM", None),
        ("1/1/2026, 13:00:00 PM", None),
        ("13/1/2026, 12:00:00 PM", None),
        ("01/Foo/2026:12:00:00 +0000", None),
        ("1767268800", None),
        ("٢٠٢٦-01-01", None),
        ("", None),
        ("now", None),
        ("2026-01-01T12:00:00Z" + " " * 60, None),
    ],
)
def test_times(text: str, expected: int | None) -> None:
    """A time is milliseconds since 1970, floored, whatever stands beside it in its column; what is no time is null."""
    for neighbours in ([], ["2026-01-01T00:00:00Z"], ["2026-01-01T00:00:00"], ["garbage"], [None, "2026-01-01"]):
        assert parse_time(pa.array([text, *neighbours], pa.string()))[0].as_py() == expected


@given(
    moment=st.datetimes(datetime(1970, 1, 2), datetime(9999, 12, 30)),  # noqa: DTZ001
    digits=st.integers(0, 9),
    minutes=st.integers(-23 * 60 - 59, 23 * 60 + 59),
)
@settings(max_examples=200)
def test_any_time(moment: datetime, digits: int, minutes: int) -> None:
    """Times with any fraction and any zone agree with Python's own."""
    zoned = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    fraction = f".{moment.microsecond:06d}000"[: digits + 1] if digits else ""
    text = moment.strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0") + fraction + zoned.isoformat()[-6:]
    exact = (
        zoned - timedelta(microseconds=moment.microsecond) + timedelta(microseconds=int((fraction[1:] + "0" * 6)[:6]))
    )
    delta = exact - datetime(1970, 1, 1, tzinfo=UTC)

    assert parse_time(pa.array([text]))[0].as_py() == delta // timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (1767268800, "s", NOON),
        ("1767268800", "s", NOON),
        (1767268800000, "ms", NOON),
        (1767268800000999, "us", NOON),
        ("1767268800000999999", "ns", NOON),
        ("1767268800.5", "s", NOON + 500),
        (1767268800.1239, "s", NOON + 123),
        ("1767268800.", "s", NOON),
        ("1767268800000.9", "ms", NOON),
        ("1767268800000000.9", "us", NOON),
        (0, "s", 0),
        ("253402300799", "s", LAST - 999),
    ],
)
def test_epochs(value: Any, unit: Any, expected: int) -> None:
    """Counts since 1970 in any unit, as numbers or text, with a fraction or without."""
    assert values("start_time", at("t").epoch(unit), {"t": value}) == [expected]
    assert values("start_time", at("t").epoch(unit), {"t": 1}, {"t": value}, {"t": "1.5"}, {})[1] == expected


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize(
    "value",
    ["x", "-1", "1e9", "0x10", "1 ", "\u0661", "9" * 19, "9" * 25, "-9223372036854775808", "9" * 18 + ".5", True, [1]],
)
def test_no_epoch(value: Any, unit: Any) -> None:
    """What is no count, or no time between 1970 and the year 10000, is left out and kept; where it is due, a reject."""
    if value in ("9" * 19, "9" * 18 + ".5") and unit == "ns":
        return
    mapped = toy({"start_time": at("t").epoch(unit)}).map(raw({"t": value}, {"t": 1}))
    found = events_of(mapped)

    assert "start_time" not in found[0]
    assert list(found[0]["unmapped"].values()) == [
        {True: "true", "[1]": "1"}.get(value if value is True else str(value), value)
    ]
    needed = toy({"time": at("t").epoch(unit)}).map(raw({"t": value}, {"t": 1}))
    assert [attribute for _, attribute in reasons(needed)] == ["time"]
    assert needed.mapped == 1


def test_epochs_in_lists() -> None:
    """A list of counts is a list of times; one that is none leaves its object without a time."""
    expression = at("a[].t").epoch("s")
    mapped = toy({"vulnerabilities[].cve.uid": at("a[].d"), "vulnerabilities[].first_seen_time": expression}).map(
        raw({"a": [{"d": "1", "t": 5}, {"d": "2", "t": "x"}]}, {"a": [{"d": "1", "t": 6}]})
    )

    found = [[each.get("first_seen_time") for each in event["vulnerabilities"]] for event in events_of(mapped)]
    assert found == [[5000, None], [6000]]
    assert events_of(mapped)[0]["unmapped"] == {"a[].t": "5,x"}


def python_says(text: str) -> bool:
    """Return whether a text is an address to Python, one with a zone not counted."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text


TRICKY = [
    "0.0.0.0",
    "255.255.255.255",
    "256.1.1.1",
    "1.2.3",
    "1.2.3.4.5",
    "01.2.3.4",
    "1.2.3.04",
    "1.2.3.4 ",
    " 1.2.3.4",
    "1.2.3.4\n",
    "1.2.3.4:80",
    "[::1]",
    "[::1]:80",
    "::",
    "::1",
    "1::",
    ":::",
    "1:::2",
    ":1",
    "1:",
    "1:2:3:4:5:6:7:8",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7::",
    "::2:3:4:5:6:7:8",
    "1::3:4:5:6:7:8",
    "1::2::3",
    "12345::",
    "g::",
    "::ffff:1.2.3.4",
    "::FFFF:1.2.3.4",
    "::ffff:0:1.2.3.4",
    "::1.2.3.4",
    "64:ff9b::1.2.3.4",
    "1:2:3:4:5:6:1.2.3.4",
    "1:2:3:4:5:6:7:1.2.3.4",
    "1:2:3:4:5::1.2.3.4",
    "::2:3:4:5:6:1.2.3.4",
    "1::5:6:1.2.3.4",
    "::1:2:3:4:5:1.2.3.4",
    "1.2.3.4::",
    "::1.2.3.256",
    "::1.2.3",
    "fe80::1%eth0",
    "2001:DB8::Ab",
    "1.2.3.4/8",
    "\u0661.2.3.4",
    "",
    "localhost",
]

numbers = st.integers(0, 300).map(str) | st.sampled_from(["", "00", "01", "1e1"])
groups = st.sampled_from(["", "0", "1", "ab", "ABCD", "12345", "g", "0001"])
addresses = st.one_of(
    st.lists(numbers, min_size=3, max_size=5).map(".".join),
    st.ip_addresses().map(str),
    st.ip_addresses(v=6).map(lambda address: address.exploded),
    st.lists(groups, min_size=1, max_size=10).map(":".join),
    st.tuples(st.lists(groups, max_size=7).map(":".join), st.lists(numbers, min_size=4, max_size=4).map(".".join)).map(
        ":".join
    ),
)


@given(text=addresses)
@settings(max_examples=500)
def test_any_address(text: str) -> None:
    """Whether a text is an address is what Python says."""
    assert is_ip(pa.array([text]))[0].as_py() == python_says(text)


@pytest.mark.parametrize("text", TRICKY)
def test_tricky_addresses(text: str) -> None:
    """Ports, zones, brackets, leading zeros and too many colons make no address; each is judged alone."""
    many = pa.array([text] + ["192.0.2.1", None] * 600)

    assert is_ip(pa.array([text]))[0].as_py() == python_says(text)
    assert is_ip(many).to_pylist() == [python_says(text)] + [True, False] * 600


@given(
    words=st.lists(
        st.none() | st.text("0123456789-x+. ", max_size=22) | st.integers(-(2**64), 2**64).map(str), max_size=4
    )
)
@example(words=["0x1f"])
@example(words=["0X1f", "5"])
@example(words=["9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809"])
@example(words=["007", "-0", "-", ""])
def test_whole_numbers(words: list[str | None]) -> None:
    """Decimal digits that fit into 64 bits are numbers, whatever else is in the column."""

    def number(word: str | None) -> int | None:
        digits = (word or "").removeprefix("-")
        return int(word or 0) if digits.isdigit() and digits.isascii() and -(2**63) <= int(word or 0) < 2**63 else None

    assert whole_numbers(pa.array(words, pa.string())).to_pylist() == [number(word) for word in words]


def test_text_of_columns() -> None:
    """Any column can be read as text and as JSON."""
    tokens = token_column([b'"a\\n\\u00e9"', b"1.10", b"true", b'{"a":1}', b"null", b""])
    moments = pa.array([datetime(2026, 1, 1, 12, tzinfo=UTC), None], pa.timestamp("ms", "UTC"))

    assert string_text(tokens).to_pylist()[:4] == ["a\né", None, None, None]
    assert scalar_text(tokens).to_pylist()[:4] == ["a\né", "1.10", "true", '{"a":1}']
    assert scalar_text(pa.array([1, None])).to_pylist() == ["1", None]
    assert scalar_text(moments)[0].as_py().startswith("2026-01-01T12:00:00")
    assert scalar_text(pa.nulls(2)).type == pa.string()
    assert json_text(tokens).to_pylist()[:4] == ['"a\\n\\u00e9"', "1.10", "true", '{"a":1}']
    assert json_text(pa.array(['x"', None])).to_pylist() == ['"x\\""', None]
    assert json_text(pa.array([1, None])).to_pylist() == ["1", None]
    assert json_text(pa.array([{"a": 1}, None])).to_pylist() == ['{"a": 1}', None]
    assert json_text(moments).to_pylist()[1] is None


@pytest.mark.parametrize(
    ("attribute", "value", "expected", "reason"),  # "" for what is kept in unmapped, either for that or a reject
    [
        ("message", "x", "x", None),
        ("message", 1, None, "text is due"),
        ("message", True, None, "text is due"),
        ("message", {}, None, "text is due"),
        ("message", "x" * 65536, None, ""),
        ("count", 5, 5, None),
        ("count", "5", 5, None),
        ("count", "-5", -5, None),
        ("count", 2**31 - 1, 2**31 - 1, None),
        ("count", -(2**31), -(2**31), None),
        ("count", 2**31, None, "either"),
        ("count", str(2**31), None, ""),
        ("count", -(2**31) - 1, None, "either"),
        ("count", 1.5, None, "either"),
        ("count", 10**400, None, "either"),
        ("count", True, None, "a whole number of 32 bits is due"),
        ("count", "five", None, ""),
        ("count", "0x10", None, ""),
        ("count", [1], None, "a whole number of 32 bits is due"),
        ("traffic.bytes", 2**63 - 1, 2**63 - 1, None),
        ("traffic.bytes", str(2**63 - 1), 2**63 - 1, None),
        ("traffic.bytes", 2**63, None, "either"),
        ("resources[].criticality", "x", ["x"], None),
        ("actor.session.is_mfa", True, True, None),
        ("actor.session.is_mfa", "True", True, None),
        ("actor.session.is_mfa", "false", False, None),
        ("actor.session.is_mfa", "yes", None, ""),
        ("actor.session.is_mfa", 1, None, "true or false is due"),
        ("start_time", "2026-01-01T12:00:00Z", NOON, None),
        ("start_time", "1960-01-01T12:00:00Z", None, ""),
        ("start_time", "soon", None, ""),
        ("start_time", 5, None, "either"),
        ("start_time", False, None, "a time is due"),
        ("evidences[].src_endpoint.ip", "192.0.2.1", ["192.0.2.1"], None),
        ("evidences[].src_endpoint.ip", "host", None, ""),
        ("resources[].data", {"a": [1.10, None]}, [{"a": [1.1, None]}], None),
        ("resources[].data", "x", ["x"], None),
        ("resources[].data", None, [None], None),
    ],
)
def test_casts(attribute: str, value: Any, expected: Any, reason: str | None) -> None:
    """A value is cast to its attribute; one of another kind rejects its record, one that does not fit is kept aside."""
    event_class = {"traffic.bytes": "network_activity", "actor.session.is_mfa": "account_change"}
    mapper = toy({"resources[].uid": "u", attribute: at("a")})
    if attribute in event_class:
        mapper = registered_fields(event_class[attribute], attribute)
    mapped = mapper.map(raw({"b": 1}, {"a": value}, {"b": 2}), "1.1.0")
    found = events_of(mapped)

    if reason == "either":
        reason = reasons(mapped)[0][0] if mapped.rejects.num_rows else ""
    assert mapped.mapped == 2 + (not reason)
    if reason:
        assert reasons(mapped) == [(reason, attribute)]
        return
    held: Any = found[1]
    for name in attribute.split("."):
        held = (
            [h.get(name.removesuffix("[]")) for h in held]
            if isinstance(held, list)
            else (held or {}).get(name.removesuffix("[]"))
        )
    assert held == expected
    assert (found[1].get("unmapped") is not None) == (reason == "")
    assert reason != "" or found[1]["unmapped"] == {"a": str(value)}


def registered_fields(event_class: str, attribute: str) -> Any:
    """Return a mapper to another class that has the attribute."""
    from ocsflake.mapping import EventMap, JsonRecords, Mapper

    common = {
        "time": "2026-01-01T00:00:00Z",
        "severity_id": 1,
        "activity_id": 1,
        "metadata.product.name": "Toy",
        "metadata.product.vendor_name": "Example",
        "src_endpoint.ip": "192.0.2.1",
        "dst_endpoint.ip": "192.0.2.2",
    }
    more = {"user.name": "x"} if event_class == "account_change" else {}
    if event_class == "account_change":
        del common["dst_endpoint.ip"]
    fields = common | more | {attribute: at("a")}
    return Mapper("toy.log", source_name="toy", parse=JsonRecords(), events=[EventMap(event_class, fields)])


def test_casts_of_arrow_columns() -> None:
    """Typed columns are cast from their own types; what does not fit is kept as text."""
    batch = pa.record_batch(
        {
            "u": pa.array([1, 2**64 - 1], pa.uint64()),
            "d": pa.array([date(2026, 1, 1), None]),
            "t": pa.array([datetime(2026, 1, 1, 12, 0, 0, 999, tzinfo=UTC), None], pa.timestamp("us", "UTC")),
            "i": pa.array([NOON, -1], pa.int64()),
            "m": pa.array([Decimal("1.50"), None]),
            "s": pa.array([{"x": "y", "n": [1, 2], "b": b"\xff"}, None]),
            "k": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())),
            "f": pa.array([1.0, 1.5]),
            "b": pa.array([True, None]),
        }
    )
    fields = {
        "message": at("s.x"),
        "count": at("u"),
        "start_time": at("t"),
        "end_time": at("i"),
        "comment": at("m").text(),
        "resources[].data": at("k"),
        "resources[].uid": "u",
        "duration": at("f"),
        "status_code": at("d").text(),
        "status_detail": at("b").text(),
    }
    mapped = toy(fields).map(RawBatch(batch))
    first, second = events_of(mapped)

    assert {name: first[name] for name in ("message", "count", "start_time", "end_time", "comment", "duration")} == {
        "message": "y",
        "count": 1,
        "start_time": NOON,
        "end_time": NOON,
        "comment": "1.50",
        "duration": 1,
    }
    assert (first["status_code"], first["status_detail"], first["resources"]) == (
        "2026-01-01",
        "true",
        [{"uid": "u", "data": {"k": 1}}],
    )
    assert first["unmapped"] == {"s.n[]": "1,2", "s.b": "\ufffd"}
    assert second["unmapped"] == {"u": str(2**64 - 1), "i": "-1", "f": "1.5"}
