"""The events of new objects, for a consumer: told by a queue of SQS, or found by listing.

A queue gives each message at least once. It is kept for as long as the consumer works, and deleted when the consumer
confirms; what is not confirmed comes again. `ocsflake.notifications` says which messages are understood; Security Lake
sends its subscribers events of EventBridge's shape (contract rule 38).

Objects of Security Lake's own sources are read as well: gzip and lists of two levels are no different to the consumer.
An object that `ocsflake.lake.compact` made is a new one too, though its events were in others.
"""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
from attrs import field, frozen

from ocsflake import aws
from ocsflake.errors import ConfigError, LakeError
from ocsflake.lake.layout import check_region
from ocsflake.lake.s3 import S3Storage
from ocsflake.notifications import new_objects
from ocsflake.retry import retry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, MutableSet

    from ocsflake.lake.storage import Storage

__all__ = ["Delivery", "from_listing", "from_queue"]

_log = logging.getLogger(__name__)

_BATCH_ROWS = 65_536
_VISIBILITY_SECONDS = 300
_WAIT_SECONDS, _LOOK_SECONDS = 20, 1
"""A queue that is asked to wait for any time asks all of its servers."""


@frozen(eq=False)
class Delivery:
    """New objects that a consumer was told of.

    Attributes:
        keys: Their keys below the root of the lake.
        storage: Where they are.
    """

    keys: tuple[str, ...]
    storage: Storage = field(repr=False)
    _confirm: Callable[[], None] = field(repr=False, alias="on_confirm")

    def events(self) -> Iterator[pa.RecordBatch]:
        """Yield the events of all objects, some ten thousand at a time; an object has one class, but see its source.

        Raises:
            LakeError: If an object cannot be read, or is gone.
        """
        for key in self.keys:
            with self.storage.open(key) as file:
                try:
                    yield from pq.ParquetFile(file).iter_batches(_BATCH_ROWS)
                except (pa.ArrowException, OSError) as error:
                    raise LakeError(f"{key} cannot be read: {error}", path=key) from error

    def confirm(self) -> None:
        """Say that the events are safe: these objects need not be told of again.

        Raises:
            LakeError: If the queue cannot be reached, or gave the message to another consumer meanwhile.
        """
        self._confirm()


def from_listing(storage: Storage, seen: MutableSet[str], *, prefix: str = "") -> Iterator[Delivery]:
    """Yield the objects that were not seen before, each by itself, in the order of their keys.

    Args:
        storage: A directory or a bucket.
        seen: Keys that were confirmed; a confirmed one is added.
        prefix: Only what is below it.

    Raises:
        LakeError: If the storage cannot be listed.
    """
    for item in storage.objects(prefix):
        if item.key.endswith(".parquet") and not item.key.startswith(".") and item.key not in seen:
            yield Delivery((item.key,), storage, partial(seen.add, item.key))


def from_queue(
    storage: Storage,
    queue_url: str,
    *,
    client: Any = None,
    follow: bool = False,
    visibility: int = _VISIBILITY_SECONDS,
    wait: int | None = None,
    stop: threading.Event | None = None,
) -> Iterator[Delivery]:
    """Yield what a queue of SQS tells of, a message at a time.

    While a delivery is worked on, its message is kept from other consumers, at half time for as long again. It is given
    up when the next one is asked for. Messages that tell of no new object below the lake's root, such as the test event
    of S3, are deleted.

    Args:
        storage: The lake in S3.
        queue_url: The queue.
        client: A boto3 client for SQS; if it is not given, one of the storage's session, in the Region that the queue's
            URL names.
        follow: Whether to wait for more when the queue is empty.
        visibility: Seconds that a message is kept at a time.
        wait: Seconds that the queue is asked to wait for a message; if not given, 20 with `follow`, and 1 without.
        stop: Ends this when it is set, after the delivery under way.

    Raises:
        ConfigError: If the lake is not in S3.
        LakeError: If the queue cannot be read, or tells of another bucket.
        MissingExtraError: If boto3 is not installed.
    """
    if not isinstance(storage, S3Storage):
        raise ConfigError("a queue tells of objects in S3: open the lake by its s3:// URI, or use from_listing()")
    sqs = client or aws.make_client("sqs", storage.session, region=_region(queue_url) or storage.region)
    if wait is None:
        wait = _WAIT_SECONDS if follow else _LOOK_SECONDS
    return _deliveries(storage, _Queue(sqs, queue_url, visibility, wait), follow, stop or threading.Event())


def _region(queue_url: str) -> str:
    """Return the AWS Region that the URL of a queue names, ``""`` if it names none."""
    for label in (urlsplit(queue_url).hostname or "").split("."):
        with suppress(ConfigError):
            return check_region(label)
    return ""


def _deliveries(storage: S3Storage, queue: _Queue, follow: bool, stop: threading.Event) -> Iterator[Delivery]:
    bucket, prefix = aws.s3_address(storage.root)
    while not stop.is_set():
        message = queue.receive()
        if message is None:
            if not follow:
                return
            continue
        try:
            told = new_objects(message["Body"])
        except ValueError as error:
            _log.warning(
                "%s: message %s is left, it tells of no objects: %s",
                queue.url,
                message["MessageId"],
                error,
                extra={"queue": queue.url, "message_id": message["MessageId"], "error": str(error)},
            )
            continue
        for found in told:
            if found.bucket != bucket:
                raise LakeError(
                    f"{queue.url} tells of s3://{found.bucket}/{found.key}, and this lake is {storage.root}: give its"
                    " queue",
                    path=queue.url,
                )
        keys = [f.key.removeprefix(prefix) for f in told if f.key.startswith(prefix) and f.key.endswith(".parquet")]
        if not keys:
            queue.delete(message)
            continue
        with _Lease(queue, message) as lease:
            yield Delivery(tuple(dict.fromkeys(keys)), storage, lease.confirm)


@frozen
class _Queue:
    """A queue, called with patience."""

    client: Any
    url: str
    visibility: int
    wait: int

    def receive(self) -> dict[str, Any] | None:
        answer = self._call(
            lambda: self.client.receive_message(
                QueueUrl=self.url,
                MaxNumberOfMessages=1,
                WaitTimeSeconds=self.wait,
                VisibilityTimeout=self.visibility,
            )
        )
        return next(iter(answer.get("Messages", ())), None)

    def delete(self, message: dict[str, Any]) -> None:
        self._call(lambda: self.client.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"]))

    def extend(self, message: dict[str, Any]) -> None:
        self._call(
            lambda: self.client.change_message_visibility(
                QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=self.visibility
            )
        )

    def _call(self, call: Callable[[], Any]) -> Any:
        try:
            return retry(call, retryable=aws.seconds_to_wait)
        except Exception as error:
            known = aws.lake_error(error, self.url)
            if known is None:
                raise
            raise known from error


class _Lease:
    """Keeps a message from other consumers until it is confirmed or given up."""

    def __init__(self, queue: _Queue, message: dict[str, Any]) -> None:
        self._queue = queue
        self._message = message
        self._over = threading.Event()
        self._lost: Exception | None = None
        self._thread = threading.Thread(target=self._keep, name="ocsflake-lease", daemon=True)

    def confirm(self) -> None:
        """Delete the message."""
        self._end()
        if self._lost is not None:
            raise self._lost
        self._queue.delete(self._message)

    def _keep(self) -> None:
        while not self._over.wait(self._queue.visibility / 2):
            try:
                self._queue.extend(self._message)
            except Exception as error:
                self._lost = error
                return

    def _end(self) -> None:
        self._over.set()
        self._thread.join()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._end()
