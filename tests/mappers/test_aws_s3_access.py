"""Amazon S3 server access logs."""

from __future__ import annotations

import json
import re
from typing import Any

import pyarrow as pa
import pytest
from aws_logs import balanced, damaged, event, missing, reasons, records
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sample_events import events

from ocsflake.model import RawBatch

LOG = "aws.s3_access"
LINES = records(LOG, "2026-11-17")
LINE = LINES[0]


def changed(old: str, new: str) -> bytes:
    """Return the first line with one column changed."""
    assert LINE.decode().count(old) >= 1
    return LINE.decode().replace(old, new, 1).encode()


@pytest.mark.parametrize("number", range(len(LINES)))
def test_a_line_may_end_before_the_columns_that_were_added(number: int) -> None:
    """From the operation on a line may end anywhere, and what follows the last column is kept."""
    found = event(LOG, LINES[number])

    assert found["metadata"]["uid"] == re.search(rb" ([0-9A-F]{16}) ", LINES[number])[1].decode()  # type: ignore[index]
    assert number != 18 or found["unmapped"]["more"] == "later columns"


def test_quotes_within_quotes() -> None:
    """S3 escapes none: referrers, user agents and request lines keep theirs."""
    request = event(LOG, LINES[8])["http_request"]

    assert request["referrer"] == 'https://www.example.com/?q="x"'
    assert request["user_agent"] == 'Mozilla/5.0 "quoted" (compatible)'
    found = event(LOG, changed("/weekly/2026-46.csv HTTP", '/a" "b c.csv?x="1" HTTP'))
    assert found["http_request"]["url"] == {"path": '/a" "b c.csv', "query_string": 'x="1"'}


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ("REST.GET.OBJECT", 2),
        ("REST.HEAD.BUCKET", 2),
        ("REST.COPY.OBJECT_GET", 2),
        ("REST.COPY.OBJECT", 1),
        ("REST.POST.UPLOAD", 1),
        ("REST.PUT.ACL", 3),
        ("REST.DELETE.OBJECT", 4),
        ("REST.POST.MULTI_OBJECT_DELETE", 4),
        ("BATCH.DELETE.OBJECT", 4),
        ("WEBSITE.GET.OBJECT", 2),
        ("S3.EXPIRE.OBJECT", 4),
        ("S3.TRANSITION_SIA.OBJECT", 3),
        ("S3.CREATE.DELETEMARKER", 4),
        ("REST.SOMETHING.NEW", 99),
    ],
)
def test_operations(operation: str, expected: int) -> None:
    """The HTTP verb in the middle tells what was done, but for the few names that say something else."""
    found = event(LOG, changed("REST.GET.OBJECT", operation))

    assert (found["activity_id"], found["api"]["operation"]) == (expected, operation)
    assert expected != 99 or found["activity_name"] == operation


def test_an_anonymous_request() -> None:
    """It has no requester, and the name that CloudTrail gives it."""
    found = event(LOG, LINES[7])

    assert found["actor"] == {"user": {"name": "ANONYMOUS_PRINCIPAL"}}
    assert (found["status_id"], found["api"]["response"]) == (2, {"code": 403, "error": "AccessDenied"})


ROOT = {"uid": "arn:aws:iam::444455556666:root", "account": {"uid": "444455556666"}, "type": "Admin", "type_id": 2}
USER = {"type": "User", "type_id": 1, "account": {"uid": "111122223333"}}


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0, USER | {"uid": "arn:aws:iam::111122223333:user/alice", "name": "alice"}),
        (2, USER | {"uid": "arn:aws:sts::111122223333:assumed-role/Engineer/carol@example.com"}),
        (
            10,
            {
                "uid": "arn:aws:iam::444455556666:root",
                "account": {"uid": "444455556666"},
                "type": "Admin",
                "type_id": 2,
            },
        ),
        (11, {"uid": "0faacb1f0123456789abcdff0123456789abcdff0123456789abcdff01234567"}),
        (12, {"uid": "svc:cloudtrail.amazonaws.com"}),
    ],
)
def test_requesters(number: int, expected: dict[str, Any]) -> None:
    """ARNs, canonical ids and services."""
    assert event(LOG, LINES[number])["actor"]["user"] == expected


def test_what_s3_does_itself() -> None:
    """It has no address and no status; the service is the source."""
    found = event(LOG, LINES[13])

    assert found["src_endpoint"] == {"svc_name": "s3.amazonaws.com"}
    assert found["actor"] == {"invoked_by": "s3.amazonaws.com", "user": {"uid": "AmazonS3"}}
    assert found["status_id"] == 0
    assert "http_request" not in found


def test_the_bucket_and_the_object() -> None:
    """The owner is a canonical id, no account; a key stays encoded as it was logged."""
    owner = LINE.split()[0].decode()

    assert event(LOG, LINES[2])["resources"] == [
        {"name": "example-reports", "owner": {"uid": owner}},
        {"uid": "weekly/2026-47%2520draft.csv"},
    ]
    assert event(LOG, LINES[5])["resources"] == [{"name": "example-reports", "owner": {"uid": owner}}]


def test_the_account_is_that_of_the_origin() -> None:
    """The log has none."""
    assert event(LOG, LINE)["cloud"] == {"provider": "AWS"}
    assert event(LOG, LINE, account="111122223333", region="us-east-1")["cloud"] == {
        "provider": "AWS",
        "account": {"uid": "111122223333"},
        "region": "us-east-1",
    }


def test_sizes_and_times() -> None:
    """The class has a response from OCSF 1.4 on; before, its length is kept in ``unmapped``."""
    assert event(LOG, LINE, "1.8.0")["http_response"] == {"code": 200, "length": 10240}
    assert event(LOG, LINE)["unmapped"]["bytessent"] == "10240"
    assert event(LOG, LINE)["duration"] == 38
    assert event(LOG, LINE)["time"] == 1794902401000


NAMES = [
    "bucketowner",
    "bucket",
    "time",
    "remoteip",
    "requester",
    "requestid",
    "operation",
    "key",
    "requesturi",
    "httpstatus",
    "errorcode",
    "bytessent",
    "objectsize",
    "totaltime",
    "turnaroundtime",
    "referrer",
    "useragent",
    "versionid",
    "hostid",
    "signatureversion",
    "ciphersuite",
    "authenticationtype",
    "hostheader",
    "tlsversion",
]
VALUES = [column.strip('"[]') for column in re.findall(r'"[^"]*"|\[[^\]]*\]|\S+', LINE.decode())]


def test_json_under_the_names_of_a_table() -> None:
    """The same record as JSON gives the same event, under the names of Athena's table too."""
    record = dict(zip(NAMES, VALUES, strict=False))
    athena = {"bucket": "bucket_name", "time": "requestdatetime", "requesturi": "request_uri"}
    renamed = {athena.get(name, name): value for name, value in record.items()}
    expected = event(LOG, LINE)

    assert event(LOG, {k: v for k, v in record.items() if v != "-"}) == expected
    assert event(LOG, {k: v for k, v in renamed.items() if v != "-"} | {"httpstatus": 200, "totaltime": 38}) == expected


def test_columns_of_a_table() -> None:
    """So does the record as Arrow columns."""
    record = dict(zip(NAMES, VALUES, strict=False))
    columns = pa.RecordBatch.from_pylist([{name: None if value == "-" else value for name, value in record.items()}])

    assert events(RawBatch(columns), LOG) == [event(LOG, LINE)]


def test_a_request_line_that_is_none() -> None:
    """It goes to ``unmapped`` as it stands."""
    found = event(LOG, changed("GET /weekly/2026-46.csv HTTP/1.1", "nonsense"))

    assert found["unmapped"]["requesturi"] == "nonsense"
    assert "url" not in found["http_request"]
    record = dict(zip(NAMES, VALUES, strict=False)) | {"requesturi": "nonsense"}
    assert event(LOG, record)["unmapped"]["requesturi"] == "nonsense"


def test_an_error_without_a_status() -> None:
    """It is a failure all the same."""
    assert event(LOG, changed('" 200 - ', '" - InternalError '))["status_id"] == 2


@pytest.mark.parametrize("line", [b"nothing of this kind", b"\xff\xfe", LINE + b" " + b"x" * (1 << 20)])
def test_lines_of_another_kind_are_rejected(line: bytes) -> None:
    """With a reason."""
    assert len(reasons(LOG, line)) == 1


def test_a_time_that_is_none_is_rejected() -> None:
    """There is no event without a time."""
    assert reasons(LOG, changed("17/Nov/2026", "47/Nov/2026")) == [("a time is due", "time")]


@pytest.mark.parametrize("version", ["1.1.0", "1.8.0"])
def test_nothing_of_a_line_is_lost(version: str) -> None:
    """Every column is in the event as it was logged, but for the time, which is read."""
    assert {name for line in LINES for name in missing(LOG, line, version=version)} == {"time"}


@given(data=damaged(LINES) | st.binary(max_size=80))
@settings(max_examples=80, deadline=None)
@example(data=b"")
@example(data=json.dumps(dict.fromkeys(NAMES, 1)).encode())
def test_any_bytes_balance(data: bytes) -> None:
    """Every record becomes an event or a reject with a reason, never an exception."""
    balanced(LOG, data)
