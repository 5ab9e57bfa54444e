"""Redaction: what stands at a named raw path is in no event and in no reject, whatever the record is."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy import events_of, raw, toy

from ocsflake import mapper as registered
from ocsflake.errors import ConfigError
from ocsflake.mapping import DelimitedText, JsonRecords, PatternText, at
from ocsflake.mapping.redact import rules_of
from ocsflake.model import RawBatch
from ocsflake.ocsf import validate

if TYPE_CHECKING:
    from ocsflake.model import Mapped

SECRET = "s3cr3t-marker"
FIELDS: dict[str, Any] = {
    "message": at("a"),
    "comment": at("o.x"),
    "count": at("n"),
    "resources[].uid": at("l[].x"),
    "resources[].data": at("l[]"),
    "evidences[].data": at("whole"),
    "start_time": at("t"),
}
RULES = ["a", "o.x", "n", "l.x", "whole.**.password", "other.*.key", "deep.x", "t"]
MAPPER = toy(FIELDS).redacting(RULES)


def written(mapped: Mapped) -> str:
    """Return all that becomes of records, as text."""
    drift = [mapped.drift.rows(), mapped.drift.told()]
    rejects = [{**row, "record": row["record"].decode("latin-1")} for row in mapped.rejects.to_pylist()]
    return repr([[batch.events.to_pylist() for batch in mapped.batches], rejects, drift, dict(mapped.skipped)])


@pytest.mark.parametrize(
    "record",
    [
        {"a": SECRET},
        {"a": [SECRET]},
        {"a": {"y": {"z": [SECRET]}}},
        {"o": {"x": SECRET}},
        {"o": {"x": {"y": SECRET}}},
        {"o": [{"x": SECRET}]},
        {"l": [{"x": SECRET}, {"x": SECRET, "y": 1}]},
        {"l": {"x": SECRET}},
        {"whole": {"password": SECRET}},
        {"whole": [{"b": {"PassWord": SECRET}}]},
        {"whole": {"pass_word": {"x": SECRET}}},
        {"whole": json.dumps({"b": [{"password": SECRET}]})},
        {"whole": json.dumps({"b": json.dumps({"password": SECRET})})},
        {"whole": '{"b": {"password": "' + SECRET},
        {"other": {"any": {"key": SECRET}}},
        {"other": {"a.b": {"key": [SECRET, {"x": SECRET}]}}},
        {"other": [{"any": {"key": SECRET}}]},
        {"deep": {"x": json.loads("[" * 400 + f'"{SECRET}"' + "]" * 400)}},
        {"deep": json.dumps({"x": SECRET})},
        {"deep": {"x": {"k" * 300: SECRET}}},
        {"t": SECRET},
        {"n": SECRET},
    ],
    ids=lambda record: json.dumps(record)[:40],
)
@pytest.mark.parametrize("bad", [False, True])
def test_wherever_it_stands(record: dict[str, Any], bad: bool) -> None:
    """At any place and in any shape: in the event, or in the reject if the record is one; without raw_data and with."""
    record = {**record, "time": "no time"} if bad else record
    for raw_data in (False, True):
        mapped = MAPPER.map(raw(record), raw_data=raw_data)

        assert mapped.records == 1 == mapped.mapped + mapped.rejects.num_rows
        assert SECRET not in written(mapped)
        assert "REDACTED" in written(mapped)
        assert all(validate(batch.events).invalid == 0 for batch in mapped.batches)
        assert SECRET in written(toy(FIELDS).map(raw(record), raw_data=raw_data))


@pytest.mark.parametrize(
    "record",
    [
        b'{"whole": {"password": "%s"',
        b'{"whole": {"password": "%s", "x": }',
        b'{"whole": {"\\u0070assword": "%s" x',
        b'{"whole": {"password": "%s"}, "z": ' + b"[" * 3000 + b"]" * 3000 + b"}",
        b'{"whole": {"password": "%s"}, "z": "' + b"x" * (1 << 20) + b'"}',
        b'{"whole": {"password": "%s", "password": null}, "time": 5}',
        b'{"whole": {"\\u0070assword": "%s"}, "time": "no"}',
        b'{"whole": {"password": "%s", "\\ud800": 1}}',
        b'{"whole": {"password": "%s\\ud800"}}',
    ],
    ids=lambda record: record[:50].decode(),
)
def test_records_that_are_broken(record: bytes) -> None:
    """JSON that is broken, too long, too deep, or spells a key by escapes or twice, tells nothing either."""
    mapped = toy(FIELDS).redacting(["whole.password"]).map(RawBatch([record.replace(b"%s", SECRET.encode())]))

    assert mapped.records == 1 == mapped.mapped + mapped.rejects.num_rows
    assert SECRET not in written(mapped)


@given(
    st.recursive(
        st.one_of(st.just(SECRET), st.booleans(), st.integers(), st.text(max_size=4)),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('ab."[]_-', max_size=3), inner, max_size=3),
        max_leaves=12,
    ),
    st.sampled_from(["o.password", "l[].x.password", "whole.z.password", "unknown.y.password"]),
)
def test_any_value(value: Any, place: str) -> None:
    """Whatever stands below a path that is named goes, and its neighbours stay."""
    steps = place.replace("[]", "").split(".")
    record: Any = {steps[-1]: value, "kept": "neighbour"}
    for step in reversed(steps[:-1]):
        record = {step: [record] if step == "l" else record}
    mapped = toy(FIELDS).redacting(["**.password"]).map(raw(record))

    assert mapped.records == 1 == mapped.mapped + mapped.rejects.num_rows
    assert SECRET not in written(mapped)
    assert "neighbour" in written(mapped)


@given(st.text("abcx", max_size=12), st.lists(st.text("abc", max_size=2), min_size=1, max_size=4))
def test_stars_in_a_key(key: str, parts: list[str]) -> None:
    """A star stands for any text, as it does in names of files, however many there are."""
    found = rules_of(("*".join(parts) or "*",)).within(f"{key}\0")

    assert bool(found) == fnmatchcase(key, "*".join(parts) or "*")


def test_many_stars_and_a_long_key() -> None:
    """A key of a megabyte is gone through once, not once for every way to share it out among the stars."""
    rules = rules_of(("**.*a*a*a*b",))

    assert not rules.within("a" * 1_000_000 + "\0")
    assert rules.within("a" * 1_000_000 + "b\0")
    assert not rules_of(("*a*aa*b*.x",)).above("a" * 1_000_000 + "\0")


def test_kinds_are_kept() -> None:
    """Numbers and truth values become null, text becomes a word, so that no record is rejected for it."""
    record = {"n": 5, "a": "x", "other": {"b": {"key": [1, True, None, "y", {"z": 2}]}}, "kept": "1.10"}
    mapped = MAPPER.map(raw(record), raw_data=True)
    (event,) = events_of(mapped)

    assert (event.get("count"), event["message"]) == (None, "REDACTED")
    wanted = {"n": None, "a": "REDACTED", "other": {"b": {"key": [None, None, None, "REDACTED", {"z": None}]}}}
    assert json.loads(event["raw_data"]) == {**wanted, "kept": "1.10"}
    assert event["unmapped"]["kept"] == "1.10"


def test_what_no_rule_is_about() -> None:
    """A record that holds nothing to redact is kept byte for byte, and its events are the same."""
    record = b'{ "a" : "x", "o":{"x":  "y"}, "u": 1.10, "time": "no" }'
    rules = ["whole.password", "none.**.key"]

    assert toy(FIELDS).redacting(rules).map(raw(record)).rejects["record"].to_pylist() == [record]
    kept = [b'{"a": "password", "whole": {"x":"password"}, "passwords": "1"}']
    plain, careful = (m.map(RawBatch(kept)) for m in (toy(FIELDS), toy(FIELDS).redacting(rules)))
    assert [found.events for found in plain.batches] == [found.events for found in careful.batches]


def test_text() -> None:
    """A line of text loses what its columns lose; one that cannot be taken apart is gone, since it names nothing."""
    delimited = toy(
        {"message": at("user"), "comment": at("key")},
        parse=DelimitedText(("user", "key", "time"), frozenset({"user", "key", "time"})),
    ).redacting(["key"])
    pattern = toy(
        {"message": at("user"), "comment": at("key")},
        parse=PatternText((r"(?P<user>\S+) (?P<key>\S+) (?P<time>\S+)",)),
    ).redacting(["KEY"])
    for mapper in (delimited, pattern):
        mapped = mapper.map(RawBatch(f"ana {SECRET} 2026-01-01T00:00:00Z\nbob {SECRET} never\n{SECRET}\n".encode()))

        assert [event["comment"] for event in events_of(mapped)] == ["REDACTED"]
        assert sorted(mapped.rejects["record"].to_pylist()) == [b"REDACTED", b"bob REDACTED never"]


def test_arrow_columns() -> None:
    """Records that came as Arrow columns are redacted alike."""
    batch = pa.RecordBatch.from_pylist([{"a": SECRET, "n": 7, "whole": {"password": SECRET, "x": 1}}])
    mapped = MAPPER.map(RawBatch(batch), raw_data=True)

    assert SECRET not in written(mapped)
    assert '"x":1' in written(mapped)
    assert [event.get("count") for event in events_of(mapped)] == [None]


def test_rows_of_lists() -> None:
    """Records of which each element is a row lose it in each."""
    exploding = toy({"message": at("f[].a")}, parse=JsonRecords(explode="f[]")).redacting(["f.a", "f.b"])
    mapped = exploding.map(raw({"f": [{"a": SECRET, "b": SECRET}, {"a": SECRET}]}, {"f": [], "b": 1}), raw_data=True)

    assert mapped.batches[0].events.num_rows == 2
    assert SECRET not in written(mapped)


def test_spellings_of_protocol_buffers() -> None:
    """A rule holds for either spelling of a name, in events and in rejects."""
    mapper = registered("gcp.audit").redacting(["protoPayload.authenticationInfo.principalEmail"])
    for key, inner, name in (
        ("protoPayload", "authenticationInfo", "principalEmail"),
        ("proto_payload", "authentication_info", "principal_email"),
    ):
        entry = {key: {inner: {name: SECRET}, "serviceName": "x"}, "timestamp": "2026-01-01T00:00:00Z"}
        for record in (entry, {**entry, "timestamp": "never"}):
            assert SECRET not in written(mapper.map(raw(record), raw_data=True))


def test_cloudtrail() -> None:
    """CloudTrail's secrets are redacted unless they are asked for; ids of access keys are none."""
    record = {
        "eventTime": "2026-01-01T00:00:00Z",
        "eventName": "AssumeRole",
        "eventSource": "sts.amazonaws.com",
        "eventID": "1",
        "recipientAccountId": "111122223333",
        "requestParameters": {"masterUserPassword": SECRET, "roleArn": "arn:aws:iam::1:role/x"},
        "responseElements": {"credentials": {"sessionToken": SECRET, "accessKeyId": "ASIAEXAMPLE"}},
    }
    found = written(registered("aws.cloudtrail").map(raw(record), raw_data=True))
    kept = written(registered("aws.cloudtrail").redacting([], keep_secrets=True).map(raw(record), raw_data=True))

    assert SECRET not in found
    assert "ASIAEXAMPLE" in found
    assert SECRET in kept


@pytest.mark.parametrize("wrong", [["a..b"], [""], "whole.password"])
def test_rules_that_are_none(wrong: Any) -> None:
    """A rule that is no path is refused before anything is read."""
    with pytest.raises(ConfigError, match="redact"):
        MAPPER.redacting(wrong)
