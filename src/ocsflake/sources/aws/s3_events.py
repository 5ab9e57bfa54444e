"""Logs in S3 as a queue of SQS tells of them: no listing, and seconds after they came.

A message is kept from other consumers until the events of its objects are durable, and deleted then. Queues deliver at
least once, and S3 may tell of an object twice: what was read is remembered for as long as a queue can keep a message.
`ocsflake.notifications` says which messages are understood.
"""

from __future__ import annotations

import logging
import re
import threading
import time
import weakref
from datetime import date, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from attrs import Factory, field, frozen

from ocsflake.errors import AccessDeniedError, ConfigError, SourceError
from ocsflake.marks import mark_of
from ocsflake.model import Split
from ocsflake.notifications import new_objects
from ocsflake.sources import objects
from ocsflake.sources.aws._layouts import layout, origin_of
from ocsflake.sources.aws._objects import Objects
from ocsflake.sources.aws.s3 import READERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from ocsflake.model import RawBatch, State

__all__ = ["S3EventsSource"]

_log = logging.getLogger(__name__)

_DAYS = 14  # a queue keeps no message for longer
_AT_ONCE = 10  # messages of one call
_IDLE = 3600.0  # seconds after which messages are given up that nobody works on
_SKEW = 60.0  # seconds that the queue's clock may be ahead of ours
_REGION = re.compile(r"https://(?:sqs\.)?([a-z]{2,}(?:-[a-z]+)+-[0-9]+)\.")


@frozen(kw_only=True)
class S3EventsSource:
    """Records of one log type in objects of S3 that a queue tells of.

    The queue is this source's own: messages about other objects than those of the log type are deleted. An object that
    cannot be read leaves its message to the queue, which gives it again, or moves it as its redrive policy says.

    Attributes:
        log_type: Picks the mapper and the layout, such as ``aws.cloudtrail``.
        queue_url: The queue.
        name: The identity of the source; made of the log type and the queue unless it is given.
        layout: Which objects are wanted, where it is not the layout of the log type; see `S3Source`.
        role_arn: A role that may read the queue and the objects.
        external_id: What the trust policy of the role asks for, if it does.
        visibility: Seconds that a message is kept from other consumers at a time; prolonged at half time.
        wait: Seconds that the queue is asked to wait for a message, 20 at most; one that is not asked to wait may
            overlook some.
        session: A `boto3.Session`; one with the settings of the environment if it is not given.
        sleep: Waits some seconds before a call is tried again.
    """

    log_type: str
    queue_url: str
    _name: str | None = field(default=None, repr=False)
    layout: str = ""
    role_arn: str = ""
    external_id: str = field(default="", repr=False)
    visibility: int = field(default=300, converter=int)
    wait: int = field(default=1, converter=int)
    session: Any = field(default=None, eq=False, repr=False)
    sleep: Callable[[float], object] = field(default=time.sleep, eq=False, repr=False)
    _queue: _Queue = field(
        init=False, eq=False, repr=False, default=Factory(lambda self: self._make_queue(), takes_self=True)
    )

    def __attrs_post_init__(self) -> None:
        """Check what can be checked without a call."""
        layout(self.layout, self.log_type)
        if not re.match("https?://.+/.+", self.queue_url):
            raise ConfigError(f"queue_url={self.queue_url!r} is no queue: give its https:// URL")
        if not 1 <= self.visibility <= 43_200:
            raise ConfigError(f"visibility={self.visibility}: a queue keeps a message for 1 to 43,200 seconds")
        if not 0 <= self.wait <= 20:
            raise ConfigError(f"wait={self.wait}: a queue waits for 0 to 20 seconds")

    @property
    def name(self) -> str:
        """The identity of the source; its state is kept under it."""
        return self._name or f"aws.s3_events:{self.log_type}:{self.queue_url}"

    @property
    def readers(self) -> int:
        """How many splits may be read at a time."""
        return READERS

    def plan(self, state: State | None, now: datetime) -> Iterator[Split]:
        """Yield the objects that the queue tells of, until it has no older message than this call.

        What an earlier plan gave and no commit acknowledged comes first: its messages are still kept from others.

        Raises:
            SourceError: If the queue cannot be read.
            ConfigError: If there are no credentials.
            MissingExtraError: If boto3 is not installed.
        """
        was_read = objects.read_before(state, self.queue_url)
        began = time.time()
        try:
            for split in self._queue.begin():
                if was_read(split.detail["uri"], split.detail["version"]):  # another process went on in our place
                    self.acknowledge([split])
                else:
                    yield split
            for message in self._queue.messages(began):
                splits = self._told(message, was_read, now)
                if splits is not None:
                    yield from self._queue.hold(message, splits)
        except BaseException:  # the run ended before the rest was read, or the queue cannot be read
            self._queue.give_up()
            raise

    def read(self, split: Split) -> Iterator[RawBatch]:
        """Yield the records of `split`, each batch with the URI, account and Region of its object as its ``origin``.

        Raises:
            SourceError: If the object is not what the queue told of, or cannot be read.
        """
        detail = split.detail
        known = {name: detail[name] for name in ("account", "region") if name in detail}
        self._queue.used()
        try:
            yield from self._queue.objects.batches(detail["uri"], detail["version"], origin=known, split=split.id)
        except SourceError:
            self._queue.leave(split.id)
            raise

    def advance(self, state: State | None, done: Sequence[Split]) -> State:
        """Return the state once the records of `done` are durable."""
        found = objects.advance(state, done)
        last = max((date.fromisoformat(split.detail["day"]) for split in done), default=None)
        return objects.forget(found, self.queue_url, str(last - timedelta(days=_DAYS))) if last else found

    def acknowledge(self, splits: Sequence[Split]) -> None:
        """Delete the messages that told of `splits` and of nothing else.

        Raises:
            AccessDeniedError: If they may not be deleted.
        """
        self._queue.delete(self._queue.done(split.id for split in splits))

    def _make_queue(self) -> _Queue:
        access = Objects(
            source=self.name,
            role_arn=self.role_arn,
            external_id=self.external_id,
            session=self.session,
            sleep=self.sleep,
        )
        return _Queue(access, self.queue_url, self.visibility, self.wait)

    def _told(
        self, message: Mapping[str, Any], was_read: Callable[[str, str], bool], now: datetime
    ) -> list[Split] | None:
        """Return the objects of a message that are wanted and were not read; ``None`` if it is none we understand."""
        try:
            told = new_objects(message["Body"])
        except ValueError as error:
            where = f"{self.queue_url}: message {message['MessageId']}"
            _log.warning("%s is left to the queue, it tells of no objects: %s", where, error)
            return None
        templates = layout(self.layout, self.log_type)
        splits = []
        for found in told:
            uri, version = f"s3://{found.bucket}/{found.key}", found.etag
            known = origin_of(templates, found.key)
            if known is not None and found.size != 0 and not was_read(uri, version):
                named = {"uri": uri, "version": version, "prefix": self.queue_url, "day": str(now.date())}
                splits.append(Split(f"{uri}#{version}", {**known, **named}, found.size))
        return [split for split in splits if not self._queue.is_done(split.id)]


class _Queue:
    """A queue, and its messages that are being worked on; safe for threads.

    Args:
        access: Makes calls.
        url: The queue.
        visibility: Seconds that a message is kept from other consumers at a time.
        wait: Seconds that the queue is asked to wait for a message.
    """

    def __init__(self, access: Objects, url: str, visibility: int, wait: int) -> None:
        self.objects = access
        self._url = url
        self._visibility = visibility
        self._wait = wait
        self._lock = threading.Lock()
        self._waiting: dict[str, set[str]] = {}  # what a message, known by its receipt, waits for: splits
        self._receipts: dict[str, list[str]] = {}  # the messages that wait for a split
        self._splits: dict[str, Split] = {}
        self._done: set[bytes] = set()  # digests of splits that are done, which the state of a plan under way lacks
        self._last_use = time.monotonic()
        self._thread: threading.Thread | None = None

    def __reduce__(self) -> tuple[object, ...]:
        """Leave the messages behind: a copy in another process reads objects, and holds none."""
        return (_Queue, (self.objects, self._url, self._visibility, self._wait))

    def messages(self, began: float) -> Iterator[Mapping[str, Any]]:
        """Yield messages until there is none, or none that was sent before `began`."""
        while True:
            self.used()
            found = self._call(
                "receive_message",
                MaxNumberOfMessages=_AT_ONCE,
                WaitTimeSeconds=self._wait,
                VisibilityTimeout=self._visibility,
                AttributeNames=["SentTimestamp"],
            ).get("Messages", ())
            yield from found
            if all(int(message["Attributes"]["SentTimestamp"]) > (began + _SKEW) * 1000 for message in found):
                return

    def used(self) -> None:
        """Note that somebody works on the messages."""
        self._last_use = time.monotonic()

    def begin(self) -> list[Split]:
        """Begin a plan: return the splits that messages wait for; those that were done before are in its state."""
        with self._lock:
            self._done.clear()
            return list(self._splits.values())

    def is_done(self, split: str) -> bool:
        """Return whether a split was done since the plan began."""
        return mark_of(split) in self._done

    def hold(self, message: Mapping[str, Any], splits: Iterable[Split]) -> list[Split]:
        """Keep a message until its splits are done, and return those that no other message waits for.

        A message that has nothing to wait for is deleted.
        """
        receipt, by_id = message["ReceiptHandle"], {split.id: split for split in splits}
        if not by_id:
            self.delete([receipt])
            return []
        with self._lock:
            new = [split for name, split in by_id.items() if name not in self._receipts]
            self._waiting[receipt] = set(by_id)
            for name, split in by_id.items():
                self._receipts.setdefault(name, []).append(receipt)
                self._splits[name] = split
            if self._thread is None or not self._thread.is_alive():  # the process may be a copy of another
                asked = weakref.ref(self), self._visibility / 2
                self._thread = threading.Thread(target=_prolong, args=asked, name="ocsflake-lease", daemon=True)
                self._thread.start()
        return new

    def done(self, splits: Iterable[str]) -> list[str]:
        """Return the receipts of the messages that wait for nothing more once these splits are done."""
        self.used()
        over = []
        with self._lock:
            for name in splits:
                self._splits.pop(name, None)
                self._done.add(mark_of(name))
                for receipt in self._receipts.pop(name, ()):
                    self._waiting[receipt].discard(name)
                    if not self._waiting[receipt]:
                        del self._waiting[receipt]
                        over.append(receipt)
        return over

    def leave(self, split: str) -> None:
        """Leave the messages that wait for a split to the queue."""
        with self._lock:
            for receipt in tuple(self._receipts.get(split, ())):
                for name in self._waiting.pop(receipt):
                    self._receipts[name].remove(receipt)
                    if not self._receipts[name]:
                        del self._receipts[name], self._splits[name]

    def give_up(self) -> None:
        """Leave all messages to the queue."""
        with self._lock:
            self._waiting.clear()
            self._receipts.clear()
            self._splits.clear()

    def delete(self, receipts: Iterable[str]) -> None:
        """Delete messages. One that cannot be deleted comes again, and tells of what was read already.

        Raises:
            AccessDeniedError: If they may not be deleted.
        """
        for entries in _in_tens(receipts):
            try:
                self._call("delete_message_batch", Entries=entries)
            except AccessDeniedError:
                raise
            except SourceError as error:
                _log.warning("%s", error)

    def prolong(self) -> bool:
        """Keep messages from other consumers for as long again; ``False`` if there are none."""
        if time.monotonic() - self._last_use > _IDLE:
            self.give_up()
        with self._lock:
            receipts = list(self._waiting)
            if not receipts:
                self._thread = None
                return False
        for entries in _in_tens(receipts, VisibilityTimeout=self._visibility):
            try:
                self._call("change_message_visibility_batch", Entries=entries)
            except (SourceError, ConfigError) as error:  # then they come again, and are known
                _log.warning("%s", error)
        return True

    def _call(self, method: str, **asked: Any) -> Any:
        region = _REGION.match(self._url)
        return self.objects.call(
            lambda client: getattr(client, method)(QueueUrl=self._url, **asked),
            self._url,
            service="sqs",
            region=region[1] if region else None,
        )


def _prolong(asked: weakref.ref[_Queue], seconds: float) -> None:
    """Keep the messages of a queue from other consumers, for as long as there are any and somebody has the queue."""
    time.sleep(seconds)
    while (queue := asked()) is not None and queue.prolong():
        del queue
        time.sleep(seconds)


def _in_tens(receipts: Iterable[str], **more: Any) -> Iterator[list[dict[str, Any]]]:
    """Yield the entries of calls that take ten messages at a time."""
    rest = iter(receipts)
    while some := list(islice(rest, _AT_ONCE)):
        yield [{"Id": str(place), "ReceiptHandle": receipt, **more} for place, receipt in enumerate(some)]
