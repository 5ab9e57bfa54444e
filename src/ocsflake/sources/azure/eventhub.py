"""Event hubs: what diagnostic settings stream to them.

An event hub keeps the events of each partition in the order of their sequence numbers for some days, and gives them as
often as they are asked for. So a split is a range of sequence numbers of a partition, and what was read is kept in the
state of the source, not in the hub: consumers of the same group are not disturbed. A checkpoint store, if there is one,
is what consumers of the SDK share: it says where to begin while the source has no state, and is told how far it is.

An event is an envelope ``{"records": []}`` of some records, as a rule.

The layout: https://learn.microsoft.com/azure/azure-monitor/platform/stream-monitoring-data-event-hubs
"""

from __future__ import annotations

import re
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import evolve, field, frozen

from ocsflake.azure import default_credential, failure, missing_extra, seconds_to_wait, source_error
from ocsflake.errors import AccessDeniedError, ConfigError, SourceError, UnavailableError
from ocsflake.model import RawBatch, Split
from ocsflake.retry import retry
from ocsflake.sources.options import bounds
from ocsflake.times import moment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from ocsflake.model import State

__all__ = ["AzureEventHubSource"]

T = TypeVar("T")

_READERS = 4
_EVENTS = 1_000  # of a split
_EVENT_BYTES = 16 << 10  # of a usual event
_BATCH_BYTES = 8 << 20
_PREFETCH = 30  # events, of which each has a megabyte at most
_AT_ONCE = 10  # events that the client hands over
_PATIENCE = 30.0  # seconds that an event which is there may take to come
_WAIT = 0.5  # seconds after which events are handed over, however few they are
_ALLOW_STORE = "to read and write blobs there (the role Storage Blob Data Contributor)"
_ALLOW = "to listen (the role Azure Event Hubs Data Receiver, or a key with the claim Listen)"
_ENDPOINT = re.compile(r"(?:^|;)\s*Endpoint\s*=\s*sb://([^;/]+)", re.IGNORECASE)
_ENTITY = re.compile(r"(?:^|;)\s*EntityPath\s*=\s*([^;]+)", re.IGNORECASE)
_DENIED = re.compile(r"(?i)unauthorized|not authorized|forbidden|denied|\b401\b|\b403\b")
_MISSING = re.compile(r"(?i)not.?found|\b404\b")


@frozen(kw_only=True)
class AzureEventHubSource:
    """Records of one log type in an event hub.

    Attributes:
        log_type: Picks the mapper, such as ``azure.activity``.
        namespace: The host of the namespace, ``NAME.servicebus.windows.net``.
        eventhub: The name of the event hub.
        consumer_group: The consumer group to read as.
        since: Where a partition that was not read before begins: with the first event that came in from then on.
        credential: A credential of azure-identity, if not `DefaultAzureCredential`.
        connection_string: A connection string with the right to listen, in place of namespace and credential.
        checkpoint_store: A `BlobCheckpointStore` of azure-eventhub-checkpointstoreblob, or another store of the SDK's.
            A partition that was not read before begins behind its checkpoint there, if it has one. What earlier runs
            made durable is written there, and never takes a checkpoint back.
        client_options: What `EventHubConsumerClient` is given besides, such as ``transport_type`` or ``http_proxy``.
    """

    log_type: str
    namespace: str = ""
    eventhub: str = ""
    consumer_group: str = "$Default"
    since: str | datetime | None = None
    credential: Any = field(default=None, repr=False, eq=False)
    connection_string: str = field(default="", repr=False)
    checkpoint_store: Any = field(default=None, repr=False, eq=False)
    client_options: Mapping[str, Any] = field(factory=dict, repr=False, eq=False)
    _name: str | None = field(default=None, repr=False)

    def __attrs_post_init__(self) -> None:
        """Check the address."""
        if not self._host or not self._hub:
            raise ConfigError(
                "azure.eventhub needs namespace= (NAME.servicebus.windows.net) and eventhub=, or connection_string="
            )

    @property
    def readers(self) -> int:
        """How many splits may be read at a time."""
        return _READERS

    @property
    def name(self) -> str:
        """The identity of the source; its state is kept under it."""
        return self._name or f"azure.eventhub:{self.log_type}:{self._host}/{self._hub}/{self.consumer_group}"

    def plan(self, state: State | None, now: datetime) -> Iterator[Split]:
        """Yield the events that are there and were not read yet, in ranges, one partition after the other.

        Events that the hub dropped before they were read have a split, once, and the reading of that split fails.
        The checkpoint store is told of what `state` says was read.
        """
        since = moment(self.since, now)
        try:
            found, read, stored = self._partitions(), (state or {}).get("read", {}), self._stored()
            for partition, (begin, end, last) in found.items():
                spans, before = read.get(partition), begin
                if spans is None and partition in stored:
                    spans, before = [[0, stored[partition]]], max(begin, stored[partition])
                if spans is None:
                    if since and end > begin:
                        before = end if last < since else self._first(partition, since)
                    spans = [[0, before]]
                for first, stop in _gaps(spans, end):
                    yield from self._ranges(partition, first, stop, before, begin)
            for partition, (begin, end, _) in found.items():
                done = read[partition][0][1] if partition in read else 0
                if begin < done <= end and done > stored.get(partition, 0):
                    self._store(partition, done - 1)
        except SourceError as error:
            detail = {"error": str(error), "denied": isinstance(error, AccessDeniedError)}
            yield Split(f"{self._place}#unread", detail, 0)

    def read(self, split: Split) -> Iterator[RawBatch]:
        """Yield the bodies of the events of a split, as they came.

        Raises:
            SourceError: If the hub cannot be read, or no longer has the events.
        """
        detail = split.detail
        if "error" in detail:
            kind = AccessDeniedError if detail["denied"] else SourceError
            raise kind(detail["error"], source=self.name, split=split.id)
        partition, start, end = detail["partition"], detail["start"], detail["end"]
        while start < end:
            try:
                first, bodies = self._received(partition, start, end)
            except SourceError as error:
                error.split = split.id
                raise
            if first != start:
                raise self._lost(partition, start, min(first, end), split.id)
            yield RawBatch(bodies, {"uri": f"{self._place}/{partition}"})
            start += len(bodies)

    def advance(self, state: State | None, done: Sequence[Split]) -> State:
        """Return the state once the records of `done` are durable."""
        read = dict((state or {}).get("read", {}))
        for split in done:
            detail = split.detail
            spans = [[0, detail["before"]], [detail["start"], detail["end"]]]
            read[detail["partition"]] = _merged([*read.get(detail["partition"], []), *spans])
        return {"read": read}

    def between(self, since: datetime | None, until: datetime | None) -> AzureEventHubSource:  # noqa: ARG002 - a Protocol has it
        """Return the same source, which begins with what came in from `since` on.

        Events come in after what they tell of, so `until` leaves none out.
        """
        first, _ = bounds((self.since, None), since, None)
        return evolve(self, since=first)

    @property
    def _host(self) -> str:
        found = _ENDPOINT.search(self.connection_string)
        return found[1] if found else self.namespace

    @property
    def _hub(self) -> str:
        found = _ENTITY.search(self.connection_string)
        return found[1].strip() if found else self.eventhub

    @property
    def _address(self) -> dict[str, str]:
        """What the SDK calls the parts of the address."""
        return {
            "fully_qualified_namespace": self._host,
            "eventhub_name": self._hub,
            "consumer_group": self.consumer_group,
        }

    @property
    def _place(self) -> str:
        return f"sb://{self._host}/{self._hub}"

    def _ranges(self, partition: str, first: int, stop: int, before: int, begin: int) -> Iterator[Split]:
        """Yield the splits of events that were not read, what is lost of them first."""
        if first < begin:
            lost = self._lost(partition, first, min(stop, begin))
            name = f"{self._place}/{partition}#{first}-{min(stop, begin)} lost"
            yield Split(name, {"error": str(lost), "denied": False}, 0)
        first = max(first, begin)
        while first < stop:
            end = min(stop, (first // _EVENTS + 1) * _EVENTS)
            detail = {"partition": partition, "start": first, "end": end, "before": before}
            yield Split(f"{self._place}/{partition}#{first}-{end}", detail, (end - first) * _EVENT_BYTES)
            first = end

    def _partitions(self) -> dict[str, tuple[int, int, datetime]]:
        """Return the sequence numbers that each partition has, and when its last event came in."""
        found = {}
        with self._client() as client:
            for partition in self._tried(client.get_partition_ids):
                about = self._tried(partial(client.get_partition_properties, partition))
                end = about["last_enqueued_sequence_number"] + 1
                begin = end if about["is_empty"] else about["beginning_sequence_number"]
                found[partition] = begin, end, about["last_enqueued_time_utc"]
        return found

    def _stored(self) -> dict[str, int]:
        """Return the sequence number that follows each checkpoint of the checkpoint store."""
        if self.checkpoint_store is None:
            return {}
        found = self._in_store(lambda: self.checkpoint_store.list_checkpoints(**self._address))
        return {each["partition_id"]: each["sequence_number"] + 1 for each in found}

    def _store(self, partition: str, number: int) -> None:
        """Put a checkpoint into the checkpoint store: with the offset, which consumers of the SDK begin at."""
        if self.checkpoint_store is None:
            return
        first, offset, _ = self._tried(lambda: self._taken(partition, number, 1, number + 1))
        if first == number:
            checkpoint = {**self._address, "partition_id": partition, "sequence_number": number, "offset": offset}
            self._in_store(lambda: self.checkpoint_store.update_checkpoint(checkpoint))

    def _in_store(self, call: Callable[[], T]) -> T:
        """Return what a call of the checkpoint store returns, tried again while that helps."""
        try:
            return retry(call, retryable=seconds_to_wait)
        except Exception as error:
            where = f"the checkpoint store of {self._place}"
            found = source_error(error, where, allow=_ALLOW_STORE, source=self.name)
            if found is None:
                raise
            raise found from error

    def _first(self, partition: str, since: datetime) -> int:
        """Return the sequence number of the first event that came in from a moment on."""
        first, _, _ = self._tried(lambda: self._taken(partition, since, 1, None))
        return first

    def _received(self, partition: str, start: int, end: int) -> tuple[int, list[bytes]]:
        """Return some events from a sequence number on, and the number of the first of them."""
        first, _, bodies = self._tried(lambda: self._taken(partition, start, min(_AT_ONCE, end - start), end))
        return first, bodies

    def _taken(
        self, partition: str, start: int | datetime, at_once: int, end: int | None
    ) -> tuple[int, str, list[bytes]]:
        """Receive events until there are enough of them, and close the client, which is the way to end that.

        Returns:
            The sequence number and the offset of the first one, and the bodies of those before `end`.
        """
        places: list[tuple[int, str]] = []
        bodies: list[bytes] = []
        errors: list[Exception] = []
        waits = int(_PATIENCE / _WAIT)
        client = self._client()

        def take(_context: Any, events: Sequence[Any]) -> None:
            nonlocal waits
            for event in events:
                places.append((event.sequence_number, event.offset))
                if end is None or event.sequence_number < end:
                    bodies.append(b"".join(event.body))
            waits -= not events
            is_last = bool(events) and (end is None or events[-1].sequence_number >= end - 1)
            if is_last or waits <= 0 or sum(map(len, bodies)) >= _BATCH_BYTES:
                client.close()

        def fail(_context: Any, error: Exception) -> None:
            errors.append(error)
            client.close()

        with client:
            client.receive_batch(
                take,
                partition_id=partition,
                starting_position=start,
                starting_position_inclusive=True,
                max_batch_size=at_once,
                max_wait_time=_WAIT,
                prefetch=_PREFETCH,
                on_error=fail,
            )
        if errors and not places:
            raise errors[0]
        if not places:
            raise UnavailableError(f"no event came in {_PATIENCE:g} s")
        return *places[0], bodies

    def _client(self) -> Any:
        try:
            from azure.eventhub import EventHubConsumerClient
        except ImportError as error:
            raise missing_extra("azure-eventhub") from error
        options: Any = {**self.client_options, "retry_total": 0}
        if self.connection_string:
            if not _ENTITY.search(self.connection_string):
                options["eventhub_name"] = self.eventhub
            return EventHubConsumerClient.from_connection_string(self.connection_string, self.consumer_group, **options)
        credential = self.credential or default_credential(self._host)
        return EventHubConsumerClient(self._host, self._hub, self.consumer_group, credential, **options)

    def _tried(self, call: Callable[[], T]) -> T:
        """Return what a call returns, tried again while that helps."""
        try:
            return retry(call, retryable=_seconds_to_wait)
        except Exception as error:
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> Exception:
        from azure.eventhub.exceptions import EventHubError

        said = str(error).strip().partition("\n")[0]
        about: Any = {"source": self.name}
        found = failure(error)
        if _is_denied(error) or (found and found.kind == "credentials"):
            text = f"{self._place}: the identity of this session may not read it ({said}): allow it {_ALLOW}"
            return AccessDeniedError(text, **about)
        if isinstance(error, EventHubError) and _MISSING.search(str(error)):
            return SourceError(f"{self._place} is not there ({said}): correct the name", **about)
        if isinstance(error, EventHubError | UnavailableError):
            return UnavailableError(
                f"{self._place} cannot be read ({said}): run again later, which goes on here", **about
            )
        return error

    def _lost(self, partition: str, first: int, end: int, split: str | None = None) -> SourceError:
        return SourceError(
            f"{self._place}: the events {first} to {end - 1} of partition {partition} were dropped before they were "
            "read: run more often, or let the hub keep events for longer",
            source=self.name,
            split=split,
        )


def _seconds_to_wait(error: Exception) -> float | None:
    """Return 0 for what may pass: all that goes wrong with a connection, unless it is the identity or the name."""
    from azure.eventhub.exceptions import EventHubError

    passes = isinstance(error, EventHubError) and not _is_denied(error) and not _MISSING.search(str(error))
    return 0.0 if passes or isinstance(error, UnavailableError) else None


def _is_denied(error: Exception) -> bool:
    from azure.eventhub.exceptions import AuthenticationError, EventHubError

    return isinstance(error, AuthenticationError) or (
        isinstance(error, EventHubError) and _DENIED.search(str(error)) is not None
    )


def _gaps(spans: Sequence[Sequence[int]], end: int) -> Iterator[tuple[int, int]]:
    """Yield what lies between spans, and between the last of them and `end`."""
    for (_, start), (stop, _) in pairwise([*spans, [end, end]]):
        if start < stop:
            yield start, stop


def _merged(spans: Sequence[Sequence[int]]) -> list[list[int]]:
    """Return spans in order, those that touch as one."""
    found: list[list[int]] = []
    for start, end in sorted((start, end) for start, end in spans):
        if found and start <= found[-1][1]:
            found[-1][1] = max(found[-1][1], end)
        else:
            found.append([start, end])
    return found
