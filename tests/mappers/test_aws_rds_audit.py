"""Audit logs of Amazon RDS and Aurora."""

from __future__ import annotations

import json

import pytest
from aws_logs import all_events, balanced, damaged, event, missing, reasons, records, sample
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sample_events import events

from ocsflake.model import RawBatch

LOG = "aws.rds_audit"
AURORA = records(LOG, "audit.log.0")
MARIADB = records(LOG, "server_audit")
POSTGRES = records(LOG, "postgresql")
BASE, SIGN_IN, DATASTORE = 0, 3002, 6005


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (AURORA[0], (SIGN_IN, 1, 1)),
        (AURORA[1], (DATASTORE, 4, 1)),
        (AURORA[2], (DATASTORE, 1, 1)),
        (AURORA[4], (DATASTORE, 5, 1)),
        (AURORA[5], (DATASTORE, 4, 2)),
        (AURORA[7], (SIGN_IN, 1, 2)),
        (AURORA[9], (SIGN_IN, 2, 1)),
        (MARIADB[2], (DATASTORE, 6, 0)),
        (MARIADB[3], (DATASTORE, 7, 0)),
        (MARIADB[4], (DATASTORE, 2, 0)),
        (POSTGRES[1], (SIGN_IN, 1, 1)),
        (POSTGRES[2], (DATASTORE, 4, 0)),
        (POSTGRES[3], (DATASTORE, 6, 0)),
        (POSTGRES[4], (DATASTORE, 2, 0)),
        (POSTGRES[6], (DATASTORE, 99, 0)),
        (POSTGRES[7], (SIGN_IN, 1, 2)),
        (POSTGRES[8], (SIGN_IN, 1, 2)),
        (POSTGRES[10], (SIGN_IN, 2, 1)),
        (POSTGRES[0], (BASE, 0, None)),
        (POSTGRES[9], (BASE, 0, None)),
    ],
)
def test_classes_activities_and_outcomes(line: bytes, expected: tuple[int, int, int | None]) -> None:
    """Connecting is Authentication, statements and tables are Datastore Activity, what else PostgreSQL says is kept."""
    found = event(LOG, line)

    assert (found["class_uid"], found["activity_id"], found.get("status_id")) == expected


def test_the_three_spellings_of_a_time() -> None:
    """Microseconds since 1970, digits without separators, and text with its zone."""
    assert event(LOG, AURORA[0])["time"] == 1794902401123
    assert event(LOG, MARIADB[0])["time"] == 1794902401000
    assert event(LOG, POSTGRES[1])["time"] == 1794902401000
    assert event(LOG, POSTGRES[1].replace(b"01 UTC", b"01.250 UTC"))["time"] == 1794902401000


def test_a_zone_that_is_not_utc_is_rejected() -> None:
    """No time is guessed."""
    [(_, attribute)] = reasons(LOG, POSTGRES[1].replace(b" UTC", b" CEST"))

    assert attribute == "time"


def test_statements_hold_commas_and_quotes() -> None:
    """Both logs quote a statement, each in its way; it stays as it was logged."""
    aurora, postgres = event(LOG, AURORA[1]), event(LOG, POSTGRES[2])

    assert aurora["query_info"] == {
        "uid": "120",
        "query_string": r"SELECT id, name FROM orders WHERE note = \'a, b\' AND total > 10",
    }
    assert postgres["query_info"]["query_string"] == 'select id, note from ""weekly"" where note = \'a, b\''
    assert (aurora["database"]["name"], aurora["dst_endpoint"]["name"]) == ("shop", "aurora-shop-1")


def test_a_table() -> None:
    """Table events name it."""
    assert event(LOG, AURORA[2])["table"] == {"name": "orders"}
    assert event(LOG, POSTGRES[2])["table"] == {"name": "public.weekly"}


def test_a_connection_without_a_database() -> None:
    """The server stands for it, for OCSF requires a database of every Datastore Activity."""
    line = AURORA[1].replace(b"QUERY,shop,", b"QUERY,,")

    assert event(LOG, line)["database"]["name"] == "aurora-shop-1"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (AURORA[0], {"ip": "10.20.1.64"}),
        (AURORA[6], {"hostname": "localhost", "name": "localhost"}),
        (AURORA[5], {"hostname": "ip-10-20-1-107.ec2.internal", "name": "ip-10-20-1-107.ec2.internal"}),
        (POSTGRES[1], {"ip": "203.0.113.10", "port": 34520}),
        (POSTGRES[10], {"name": "[local]"}),
    ],
)
def test_hosts(line: bytes, expected: dict[str, object]) -> None:
    """Addresses, names and a socket."""
    assert event(LOG, line)["src_endpoint"] == expected


def test_an_empty_user() -> None:
    """MySQL calls it the anonymous user."""
    assert event(LOG, AURORA[8])["user"]["name"] == "anonymous"


def test_columns_that_came_later() -> None:
    """Newer plugins write the kind of the connection behind the others."""
    assert event(LOG, MARIADB[0])["unmapped"]["more"] == ",SSL/TLS"


def test_other_lines_keep_their_severity() -> None:
    """Errors and panics are graver than notices."""
    assert [event(LOG, POSTGRES[n])["severity_id"] for n in (9, 11, 12)] == [3, 1, 5]
    assert event(LOG, POSTGRES[11])["message"] == "checkpoint starting: time"


def test_cloudwatch_gives_the_same_events() -> None:
    """Messages of CloudWatch Logs are lines; a statement may have several, there and in records of their own."""
    several = POSTGRES[2].replace(b"note from", b"note\nfrom")
    expected = [event(LOG, line) for line in AURORA[1:4]]
    found = all_events(LOG, sample(LOG, "cloudwatch").read_bytes())
    rest = [one for one in found if one not in expected]

    assert len(found) == 4
    assert [one["query_info"]["query_string"].split("\n")[1] for one in rest] == [
        'from ""weekly"" where note = \'a, b\''
    ]
    assert events(RawBatch([*AURORA[1:4], several]), LOG) == events(
        RawBatch(sample(LOG, "cloudwatch").read_bytes()), LOG
    )


def test_envelopes_that_hold_json_too() -> None:
    """What is no audit line is rejected, message by message; an envelope a buffer will do."""
    envelope = json.loads(sample(LOG, "cloudwatch").read_bytes())
    envelope["logEvents"] += [{"id": "1", "timestamp": 1, "message": '{"a": 1}'}, {"id": "2", "timestamp": 1}]
    data = json.dumps(envelope).encode()

    assert sorted(attribute for _, attribute in reasons(LOG, data)) == ["", "time"]
    assert ("a log event has no message", "") in reasons(LOG, data)
    assert events(RawBatch([data]), LOG) == events(RawBatch(data), LOG)
    assert reasons(LOG, b'{"logEvents": [{}], "messageType": "DATA_MESSAGE"}') == [("a log event has no message", "")]


def test_the_account_is_that_of_the_origin() -> None:
    """The log has none."""
    assert event(LOG, AURORA[0], account="111122223333", region="us-east-1")["cloud"] == {
        "provider": "AWS",
        "account": {"uid": "111122223333"},
        "region": "us-east-1",
    }


def test_nothing_of_a_line_is_lost() -> None:
    """Every column is in the event as it was logged, but for the time, which is read."""
    assert {name for line in AURORA + MARIADB + POSTGRES for name in missing(LOG, line)} == {"timestamp"}


@given(data=damaged(AURORA + MARIADB + POSTGRES) | st.binary(max_size=80))
@settings(max_examples=100, deadline=None)
@example(data=b"")
@example(data=b"9999999999999999,a,b,c,1,2,QUERY,d,'x',0")
def test_any_bytes_balance(data: bytes) -> None:
    """Every record becomes an event or a reject with a reason, never an exception."""
    balanced(LOG, data)
