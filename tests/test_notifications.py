"""What S3 says of new objects is understood, whatever envelope it is in."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ocsflake.notifications import NewObject, new_objects

KEY = "ext/a_6003/region=us-east-1/accountId=123456789012/eventDay=20240101/x+y z.parquet"
SECURITY_LAKE = {
    "source": "aws.s3",
    "time": "2024-01-01T00:00:00Z",
    "account": "123456789012",
    "region": "us-east-1",
    "resources": ["arn:aws:s3:::bucket"],
    "detail": {
        "bucket": {"name": "bucket"},
        "object": {"key": KEY, "size": 7, "etag": "x"},
        "request-id": "x",
        "requester": "securitylake.amazonaws.com",
    },
}
RECORDS = {
    "Records": [
        {
            "eventName": "ObjectCreated:Put",
            "s3": {
                "bucket": {"name": "bucket"},
                "object": {"key": KEY.replace("+", "%2B").replace(" ", "+"), "size": 7, "eTag": "x"},
            },
        },
        {"eventName": "ObjectRemoved:Delete", "s3": {"bucket": {"name": "bucket"}, "object": {"key": "gone"}}},
    ]
}
TEST_EVENT = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "bucket"}


@pytest.mark.parametrize(
    "message",
    [SECURITY_LAKE, SECURITY_LAKE | {"detail-type": "Object Created"}, RECORDS],
    ids=["security lake", "eventbridge", "records"],
)
@pytest.mark.parametrize("wrapped", [False, True], ids=["plain", "by sns"])
def test_the_object(message: dict[str, Any], wrapped: bool) -> None:
    """Each envelope gives the same object, under its real key."""
    body = json.dumps(message)
    if wrapped:
        body = json.dumps({"Type": "Notification", "Message": body})

    assert new_objects(body) == [NewObject("bucket", KEY, "x", 7)]


def test_little_is_told() -> None:
    """Size and ETag may be missing."""
    told = {"detail": {"bucket": {"name": "b"}, "object": {"key": "k"}}}

    assert new_objects(json.dumps(told)) == [NewObject("b", "k")]


@pytest.mark.parametrize("message", [TEST_EVENT, SECURITY_LAKE | {"detail-type": "Object Deleted"}])
def test_no_object(message: dict[str, Any]) -> None:
    """The test event of S3, and what was deleted, are no new objects."""
    assert new_objects(json.dumps(message)) == []


@pytest.mark.parametrize(
    "body",
    [
        "",
        "no",
        "[]",
        "1",
        "{}",
        "[" * 100_000,
        '{"Records": 1}',
        '{"Records": [{}]}',
        '{"detail": {"bucket": 1}}',
        '{"Type": "Notification"}',
        '{"detail": {"bucket": {"name": "b"}, "object": {"key": "\\ud800"}}}',
        '{"detail": {"bucket": {"name": "b"}, "object": {"key": 1}}}',
        '{"detail": {"bucket": {"name": "b"}, "object": {"key": "k", "etag": "x\\r\\nHost: y"}}}',
        '{"detail": {"bucket": {"name": "b"}, "object": {"key": "k", "etag": 1}}}',
    ],
)
def test_what_is_none(body: str) -> None:
    """What is no notification is an error of one kind."""
    with pytest.raises(ValueError, match=r"."):
        new_objects(body)
