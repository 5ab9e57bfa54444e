"""Messages of a Pub/Sub subscription: what log sinks, and notifications of Security Command Center, send there.

A message cannot be asked for again, so a split holds the messages themselves, compressed: once the intent of a commit
is saved, they are safe, and the commit can be repeated. They are acknowledged when their events are durable. Pub/Sub
may deliver a message again, and a sink may publish an entry again; each has an id, and is dropped the second time.

Pub/Sub delivers again what was not acknowledged in time, once its lease has ended, and rarely what was; it does not
say for how long. So the ids of the last messages are kept by their number, not by their age: that is as long as it can
be where messages are few, and bounded where they are many. Those of the last commit are kept whatever their number: a
run that comes a week later still knows what the one before took and may not have acknowledged. A subscription with
exactly-once delivery does not deliver again what was acknowledged.

The API: https://docs.cloud.google.com/pubsub/docs/pull, https://docs.cloud.google.com/pubsub/docs/lease-management and
https://docs.cloud.google.com/pubsub/docs/exactly-once-delivery
"""

from __future__ import annotations

import functools
import gzip
import re
import threading
import time
import weakref
from base64 import b64decode, b64encode
from datetime import UTC, datetime
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from attrs import define, field, frozen

from ocsflake import gcp
from ocsflake.errors import ConfigError, SourceError, did_you_mean
from ocsflake.model import RawBatch, Split
from ocsflake.sources._google import entry_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ocsflake.model import State

__all__ = ["Leases", "PubSubSource"]

T = TypeVar("T")

_SUBSCRIPTION = re.compile(r"projects/[^/\s]+/subscriptions/[^/\s]+")
_SCOPE = "https://www.googleapis.com/auth/pubsub"
_PERMISSION = "pubsub.subscriptions.consume (roles/pubsub.subscriber)"
_MOST = 1000  # messages, and ids, a call
_SPLIT_BYTES = 4 << 20
_SPLIT_MESSAGES = 10_000
_WAIT = 10.0  # seconds for the first message to come; a subscription without any answers late or not at all
_TIMEOUT = 60.0
_LEASE = 60  # seconds
_PATIENCE = 10.0  # for what is not needed, such as giving leases back when the process ends
_EXTEND = 20.0
_HOLD = 15 * 60.0
_REMEMBERED = 250_000  # messages beside those of the last commit: 3 MB of memory, and 4 MB of each checkpoint saved


@define
class _Held:
    """The messages that are leased, and to whom they are given back: what outlives the source for a moment."""

    client: Any = None
    subscription: str = ""
    since: dict[str, float] = field(factory=dict)
    over: threading.Event = field(factory=threading.Event)
    lock: threading.Lock = field(factory=threading.Lock)

    def modify(self, acks: Sequence[str], seconds: int) -> None:
        """Change leases; what cannot be changed is delivered again, and is dropped then."""
        for part in _parts(acks):
            request = {"subscription": self.subscription, "ack_ids": part, "ack_deadline_seconds": seconds}
            try:
                self.client.modify_ack_deadline(request=request, retry=None, timeout=_PATIENCE)
            except Exception as error:
                if gcp.source_error(error, where="", permission="", who="") is None:
                    raise

    def extend(self, every: float, hold: float) -> None:
        """Extend leases until it is over; those that are held for too long are not extended."""
        while not self.over.wait(every):
            with self.lock:
                now = time.monotonic()
                self.since = {ack: since for ack, since in self.since.items() if now - since < hold}
                acks = list(self.since)
            self.modify(acks, _LEASE)

    def release(self) -> None:
        """Give back what is held."""
        self.over.set()
        with self.lock:
            acks, self.since = list(self.since), {}
        self.modify(acks, 0)


class Leases:
    """The leases of messages that were pulled and not acknowledged yet.

    A thread extends them while their commit is under way. They are given back, so that the messages are delivered to
    another, when the source is dropped or the process ends, and are not extended any more after `hold`.

    Args:
        every: How many seconds apart leases are extended.
        hold: For how many seconds they are.
    """

    def __init__(self, every: float = _EXTEND, hold: float = _HOLD) -> None:
        self._every, self._hold = every, hold
        self._splits: dict[str, list[str]] = {}
        self._held = _Held()

    def __reduce__(self) -> tuple[object, ...]:
        """Leave what is leased in this process."""
        return (Leases, (self._every, self._hold))

    def hold(self, client: Any, subscription: str, acks: Sequence[str]) -> None:
        """Hold what was pulled just now."""
        held = self._held
        if held.client is None:
            held.client, held.subscription = client, subscription
            weakref.finalize(self, held.release)
            threading.Thread(
                target=held.extend, args=(self._every, self._hold), daemon=True, name="ocsflake-leases"
            ).start()
        with held.lock:
            held.since |= dict.fromkeys(acks, time.monotonic())
        held.modify(acks, _LEASE)

    def give(self, split: str, acks: Sequence[str]) -> None:
        """Note which messages a split holds."""
        self._splits.setdefault(split, []).extend(acks)

    def take(self, split: str) -> list[str]:
        """Return the leases of a split, and hold them no more."""
        acks = self._splits.pop(split, [])
        with self._held.lock:
            for ack in acks:
                self._held.since.pop(ack, None)
        return acks


@frozen(kw_only=True)
class PubSubSource:
    """Records of one log type in the messages of a subscription.

    Attributes:
        log_type: Picks the mapper, such as ``gcp.audit``; what the sink sends must be of it.
        subscription: ``projects/ID/subscriptions/ID``.
        client: A `google.cloud.pubsub_v1.SubscriberClient`; if it is not given, one with the credentials of the
            environment.
        name: The identity of the source; made of the log type and the subscription unless it is given.
    """

    log_type: str
    subscription: str
    client: Any = field(default=None, eq=False, repr=False)
    _name: str | None = field(default=None, repr=False)
    _leases: Leases = field(init=False, eq=False, repr=False, factory=Leases)

    def __attrs_post_init__(self) -> None:
        """Check what can be checked without a call."""
        if not _SUBSCRIPTION.fullmatch(self.subscription):
            near = did_you_mean(self.subscription, ["projects/ID/subscriptions/ID"]) or ""
            raise ConfigError(
                f"{self.subscription!r} is no subscription{near}: give it as projects/ID/subscriptions/ID"
            )

    @property
    def name(self) -> str:
        """The identity of the source; its state is kept under it."""
        return self._name or f"gcp.pubsub:{self.log_type}:{self.subscription}"

    def plan(self, state: State | None, now: datetime) -> Iterator[Split]:
        """Yield the messages that are there, until there are none that were published before `now`.

        A split has some megabytes of messages; each is leased until its split is acknowledged.

        Raises:
            SourceError: If messages cannot be pulled; see `ocsflake.gcp.call`.
        """
        taken = _taken(state or {})
        group: list[Any] = []
        size = 0
        while received := self._pull():
            self._leases.hold(self._client(), self.subscription, [each.ack_id for each in received])
            for each in received:
                group.append(each)
                size += len(each.message.data)
                if size >= _SPLIT_BYTES or len(group) >= _SPLIT_MESSAGES:
                    taken += len(group)
                    yield self._split(group, taken)
                    group, size = [], 0
            if all(_published(each) > now.timestamp() for each in received):
                break
        if group:
            yield self._split(group, taken + len(group))

    def read(self, split: Split) -> Iterator[RawBatch]:
        """Yield the messages of a split, each with the identity of its entry, or else its own, for an id."""
        content = gzip.decompress(b64decode(split.detail["messages"]))
        head, _, data = content.partition(b"\n")
        records, ids = [], []
        start = 0
        for message_id, size in msgspec.json.decode(head, type=list[tuple[str, int]]):
            records.append(data[start : start + size])
            ids.append(entry_id(records[-1]) or message_id)
            start += size
        yield RawBatch(records, {"uri": f"//pubsub.googleapis.com/{self.subscription}"}, ids=ids)

    def advance(self, state: State | None, done: Sequence[Split]) -> State:
        """Return the state once the records of `done` are durable: how many messages were taken, and before `done`."""
        before = _taken(state or {})
        return {"taken": max([before, *(_taken(split.detail) for split in done)]), "before": before}

    def acknowledge(self, splits: Sequence[Split]) -> None:
        """Tell Pub/Sub that the messages of `splits` need not be delivered again.

        Raises:
            SourceError: If that fails for all of them. The messages come again, and are dropped then.
        """
        acks = [ack for split in splits for ack in self._leases.take(split.id)]
        for part in _parts(acks):
            request = {"subscription": self.subscription, "ack_ids": part}
            acknowledge = functools.partial(self._client().acknowledge, request=request, retry=None, timeout=_TIMEOUT)
            try:
                self._call(acknowledge)
            except SourceError as error:
                if not _is_late(error.__cause__):
                    raise

    def forgets(self, state: State, split: Split) -> bool:
        """Return whether 250,000 messages were taken since those of `split`, which are not of the last commit.

        Those may not have been acknowledged, and then all of them come again.
        """
        last: int = state.get("before", _taken(state))
        return _taken(split.detail) <= min(last, _taken(state) - _REMEMBERED)

    def _pull(self) -> list[Any]:
        client = self._client()  # which says what to install

        from google.api_core.exceptions import DeadlineExceeded

        request = {"subscription": self.subscription, "max_messages": _MOST}

        def pull() -> list[Any]:
            try:
                return list(client.pull(request=request, retry=None, timeout=_WAIT).received_messages)
            except DeadlineExceeded:
                return []

        return self._call(pull)

    def _split(self, received: Sequence[Any], taken: int) -> Split:
        """Return the split of the last messages of so many; its id is that of their content."""
        head = msgspec.json.encode([[each.message.message_id, len(each.message.data)] for each in received])
        content = b"\n".join([head, b"".join(each.message.data for each in received)])
        day = f"{datetime.fromtimestamp(max(map(_published, received)), UTC):%Y-%m-%d}"
        name = f"{self.subscription}#{day}:{blake2b(content, digest_size=16).hexdigest()}"
        self._leases.give(name, [each.ack_id for each in received])
        messages = b64encode(gzip.compress(content, 6, mtime=0)).decode()
        return Split(name, {"messages": messages, "taken": taken}, len(content))

    def _call(self, do: Callable[[], T]) -> T:
        who = gcp.principal(self._client())
        where = self.subscription
        return gcp.call(
            do, where=where, permission=_PERMISSION, who=who, source=self.name, hint="correct subscription="
        )

    def _client(self) -> Any:
        return self.client if self.client is not None else _client()


def _parts(acks: Sequence[str]) -> Iterator[Sequence[str]]:
    return (acks[start : start + _MOST] for start in range(0, len(acks), _MOST))


def _taken(doc: Mapping[str, Any]) -> int:
    """Return how many messages were taken by then; checkpoints of before did not count them."""
    found: int = doc.get("taken", 0)
    return found


def _published(received: Any) -> float:
    found: float = received.message.publish_time.timestamp()
    return found


def _is_late(error: BaseException | None) -> bool:
    """Return whether a subscription of exactly-once delivery says that leases have ended."""
    from google.api_core.exceptions import FailedPrecondition

    return isinstance(error, FailedPrecondition)


@functools.cache
def _client() -> Any:
    """Return a client with the credentials of the environment."""
    try:
        from google.cloud import pubsub_v1
    except ImportError as error:
        raise gcp.missing("google-cloud-pubsub") from error
    return pubsub_v1.SubscriberClient(credentials=gcp.default_credentials((_SCOPE,)))
