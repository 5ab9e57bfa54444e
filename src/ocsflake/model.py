"""The values that flow through ocsflake, and the Protocols that its parts meet by.

Everything here is frozen. Raw records come in as a `RawBatch`, a mapper turns it into `Mapped` (event batches
and rejects), a `Sink` takes `EventBatch` es. No SDK and no Arrow code is needed to import this module.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from attrs import field, frozen

from ocsflake.drift import Drift

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    import pyarrow as pa

__all__ = [
    "Acknowledges",
    "Bounded",
    "CheckpointStore",
    "Commit",
    "CustomSource",
    "EventBatch",
    "Mapped",
    "Mutable",
    "ObjectWritten",
    "Overlaps",
    "RawBatch",
    "ReadsAhead",
    "Sink",
    "Source",
    "Split",
    "State",
]

State = Mapping[str, Any]
"""What a source remembers between runs: a JSON object, kept in a checkpoint."""


@frozen
class Split:
    """A part of a source that can be read alone, again, and on another machine.

    Attributes:
        id: Names the content, not the attempt: equal ids mean equal records.
        detail: All that `Source.read` needs; JSON values only.
        bytes: Size as stored, if known; a commit gathers splits by it.
    """

    id: str
    detail: Mapping[str, Any] = field(factory=dict)
    bytes: int | None = None


@frozen
class RawBatch:
    """Raw records of one log type, as they came.

    Attributes:
        records: A buffer of JSON or text, or one buffer a record, or Arrow columns.
        origin: Where they came from: ``uri``, ``account``, ``region`` ...; kept with rejects and open to mappers.
        head: The first line of the text that this batch was cut from, when it does not begin that text: a header
            line that names columns counts for all the batches of a file.
        ids: The service's own id of each record, where a record may come in more than one split or delivery; then
            `records` is one buffer a record, or Arrow rows.
    """

    records: bytes | Sequence[bytes] | pa.RecordBatch
    origin: Mapping[str, str] = field(factory=dict)
    head: bytes = b""
    ids: Sequence[str] | None = None

    def __repr__(self) -> str:
        records = self.records  # what is in them belongs into no traceback
        text = f"{len(records):,} bytes" if isinstance(records, bytes) else f"{len(records):,} records"
        return f"<RawBatch: {text}>"


@frozen
class EventBatch:
    """Events of one class, as Arrow columns.

    Attributes:
        log_type: The log type that they were mapped from, such as ``aws.cloudtrail``.
        source_name: The mapper's stem of the custom source name, at most 15 characters.
        event_class: The OCSF name of the class, such as ``api_activity``.
    """

    log_type: str
    source_name: str
    event_class: str
    _events: pa.RecordBatch = field(alias="events")
    _of_words: bool = field(default=False, init=False, repr=False)

    @classmethod
    def of_words(cls, log_type: str, source_name: str, event_class: str, events: pa.RecordBatch) -> EventBatch:
        """Return events whose dictionaries hold words of OCSF and of the mapper's table, and none of the log."""
        batch = cls(log_type, source_name, event_class, events)
        object.__setattr__(batch, "_of_words", True)
        return batch

    @property
    def events(self) -> pa.RecordBatch:
        """One row an event; the schema is a constant of (mapper, class, OCSF version)."""
        from ocsflake.dictionaries import plain

        return plain(self._events) if self._of_words else self._events

    @property
    def encoded(self) -> pa.RecordBatch:
        """The events as they were made, faster to sort and to write: captions and other set words are dictionaries.

        Nothing of the log is in a dictionary: a slice, such as the events of one account, holds all of it.
        """
        from ocsflake.dictionaries import plain

        return self._events if self._of_words else plain(self._events)

    @property
    def rows(self) -> int:
        """How many events there are."""
        return int(self._events.num_rows)

    def within(self, kept: pa.Array) -> EventBatch:
        """Return the events of some rows (truth values)."""
        same = EventBatch.of_words if self._of_words else EventBatch
        return same(self.log_type, self.source_name, self.event_class, self._events.filter(kept))

    def __repr__(self) -> str:
        return f"<EventBatch {self.event_class} of {self.log_type}: {self.rows:,} events>"


@frozen
class Mapped:
    """What a mapper made of some raw records.

    Attributes:
        batches: The events, one batch a class at most.
        rejects: One row a rejected record: ``record`` (binary, as it came), ``reason``, ``attribute`` (text, the OCSF
            attribute or ``""``), ``origin`` (map of text to text).
        records: How many records were read; ``records == mapped + rejects.num_rows``.
        mapped: How many of them became at least one event.
        skipped: What is no record of this log type by the vendor's own design (a CloudTrail digest), counted by name.
        drift: What the records held that the mapper does not know.
    """

    batches: Sequence[EventBatch]
    rejects: pa.RecordBatch
    records: int
    mapped: int
    skipped: Mapping[str, int] = field(factory=dict)
    drift: Drift = field(factory=Drift)

    def __repr__(self) -> str:
        classes = "".join(f", {batch.event_class} {batch.events.num_rows:,}" for batch in self.batches)
        return f"<Mapped: {self.records:,} records{classes}, {self.rejects.num_rows:,} rejects>"


@frozen
class CustomSource:
    """A custom source of a lake: events of one class, below one prefix.

    Attributes:
        name: Such as ``aws_cloudtrail_6003``.
        event_class: The OCSF name of its class, ``""`` if its name does not tell.
        location: The prefix of its keys below the root of the lake, ending in ``/``; or the ``s3://`` URI that Security
            Lake gave.
        regions: The lake Regions that it has objects in, as far as they were looked for.
        version: The version that it was registered with, ``""`` if with none.
        role_arn: The role that may put its objects, ``""`` if the lake's own credentials may.
    """

    name: str
    event_class: str
    location: str
    regions: tuple[str, ...] = ()
    version: str = field(default="", kw_only=True)
    role_arn: str = field(default="", kw_only=True)


@frozen
class ObjectWritten:
    """One Parquet object of a lake.

    Attributes:
        key: Its path below the root of the lake, with ``/``.
        source: The custom source that it belongs to, such as ``aws_cloudtrail_6003``.
        event_class: The OCSF name of the class of its events.
        account: The value of its ``accountId`` partition.
        day: The value of its ``eventDay`` partition, ``YYYYMMDD`` in UTC.
        rows: How many events it holds.
        bytes: Its size.
    """

    key: str
    source: str
    event_class: str
    account: str
    day: str
    rows: int
    bytes: int


class Source(Protocol):
    """Where raw records of one log type come from."""

    @property
    def name(self) -> str:
        """The identity of the source; its state is kept under it."""
        ...

    @property
    def log_type(self) -> str:
        """Picks the mapper, such as ``aws.cloudtrail``."""
        ...

    def plan(self, state: State | None, now: datetime) -> Iterator[Split]:
        """Yield what is new since `state`, oldest first; cheap, and reads no records."""
        ...

    def read(self, split: Split) -> Iterator[RawBatch]:
        """Yield the records of `split`; repeatable, and open to another process."""
        ...

    def advance(self, state: State | None, done: Sequence[Split]) -> State:
        """Return the state once the records of `done` are durable."""
        ...


@runtime_checkable
class Acknowledges(Protocol):
    """A source whose service wants to be told once records are durable: a queue."""

    def acknowledge(self, splits: Sequence[Split]) -> None:
        """Tell the service that `splits` need not be delivered again."""
        ...


@runtime_checkable
class Overlaps(Protocol):
    """A source that may give one record in more than one split; its records have ids."""

    def forgets(self, state: State, split: Split) -> bool:
        """Return whether no split from `state` on can hold a record of `split` again."""
        ...


@runtime_checkable
class Mutable(Protocol):
    """A source whose service may change records in place, and tells their last state alone; its records have ids.

    A commit that is repeated after a crash then lacks what changed meanwhile: its new state comes with a later split.
    """

    @property
    def mutable(self) -> bool:
        """Whether its records change."""
        ...


@runtime_checkable
class ReadsAhead(Protocol):
    """A source that several threads may read, each its split: it waits for a network most of the time."""

    @property
    def readers(self) -> int:
        """How many splits may be read at a time."""
        ...


@runtime_checkable
class Bounded(Protocol):
    """A source that need not read what lies outside a span of time."""

    def between(self, since: datetime | None, until: datetime | None) -> Source:
        """Return the same source, which plans what may hold events from `since` on and before `until`; in UTC."""
        ...


class Commit(Protocol):
    """The events of some splits on their way into a sink: all of them become visible, or none."""

    def write(self, batch: EventBatch) -> None:
        """Take events; nothing is visible yet."""
        ...

    def publish(self) -> Sequence[ObjectWritten]:
        """Make everything visible under names that depend on the commit alone, so that a repeat changes nothing."""
        ...

    def close(self) -> None:
        """Give back all that the commit held; what was not published is gone."""
        ...


class Sink(Protocol):
    """Where events go."""

    @property
    def ocsf_version(self) -> str:
        """The OCSF version that the sink holds."""
        ...

    def begin(self, commit_id: str) -> Commit:
        """Start a commit; the same id and the same events give the same objects under the same names."""
        ...


class CheckpointStore(Protocol):
    """Keeps a JSON document for each source, with compare and swap."""

    def load(self, name: str) -> tuple[dict[str, Any] | None, str | None]:
        """Return the document and its revision, or ``(None, None)``."""
        ...

    def save(self, name: str, doc: Mapping[str, Any], revision: str | None) -> str:
        """Save `doc` if the stored revision still is `revision`, and return the new revision.

        Raises:
            CheckpointConflictError: If another run saved first.
        """
        ...
