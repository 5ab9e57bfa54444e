"""What S3 tells of new objects, in whatever envelope it comes: a message of a queue says it in its body.

Four shapes are read: the one that Security Lake sends its subscribers, which looks like an event of EventBridge,
EventBridge's own, S3's ``Records``, and each of these wrapped by SNS.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html and
https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import unquote_plus

from attrs import frozen

__all__ = ["NewObject", "new_objects"]


@frozen
class NewObject:
    """An object that was created.

    Attributes:
        bucket: The name of its bucket.
        key: Its key, as it is and not as a URL has it.
        etag: What changes when its content does, ``""`` if it was not told.
        size: Bytes as stored, if they were told.
    """

    bucket: str
    key: str
    etag: str = ""
    size: int | None = None


def new_objects(body: str) -> list[NewObject]:
    """Return the objects that a message says were created; none for the test event of S3, and for what was deleted.

    Args:
        body: The body of a message of SQS.

    Raises:
        ValueError: If it is no such message.
    """
    try:
        told = json.loads(body)
        if isinstance(told, dict) and told.get("Type") == "Notification":  # wrapped by SNS
            told = json.loads(told["Message"])
        return _created(told)
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"it has not the shape of a notification ({error!r})") from error


def _created(told: dict[str, Any]) -> list[NewObject]:
    if told.get("Event") == "s3:TestEvent":
        return []
    if "Records" in told:
        return [
            _object(record["s3"], unquote_plus(record["s3"]["object"]["key"]))
            for record in told["Records"]
            if record["eventName"].startswith("ObjectCreated")
        ]
    if told.get("detail-type", "Object Created") != "Object Created":
        return []
    return [_object(told["detail"], told["detail"]["object"]["key"])]


def _object(told: dict[str, Any], key: str) -> NewObject:
    """Return an object; what it is called must be such that S3 can be asked for it."""
    bucket, named, size = told["bucket"]["name"], told["object"], told["object"].get("size")
    etag = (named.get("eTag") or named.get("etag") or "").strip('"')
    if not re.fullmatch("[!#-~]*", etag):
        raise ValueError(f"{etag!r} is no ETag")
    for name in (bucket, key):
        name.encode()  # half a character is none
    return NewObject(bucket, key, etag, size if isinstance(size, int) and size >= 0 else None)
