"""The source that all of AWS's APIs share: windows of time over accounts and Regions.

What differs is an `Api`: what is asked, and what the records of an answer are. Each has a module of its own, whose
function of the same name makes the source.

Findings change in place, and their service tells the last state alone. So a window is one of the last change, an id is
that of the finding with the time of that change, and each change is a record of its own. What changed again since is
not in its window any longer, but in a later one.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
from attrs import evolve, field, frozen

from ocsflake.errors import ConfigError, SourceError
from ocsflake.model import RawBatch, Split
from ocsflake.sources.aws._scopes import Access, Caller, Scope, raw_members
from ocsflake.sources.options import bounds
from ocsflake.sources.windows import Windows
from ocsflake.times import moment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ocsflake.model import State

    When = str | datetime | None
    Words = str | Iterable[str]

__all__ = ["ALWAYS", "EVERY", "Api", "ApiSource", "Span", "changed", "iso", "length", "text_at"]

EVERY = timedelta(minutes=5)
"""How often a source that is run all the time asks again; it reads the overlap of its windows each time."""

ALWAYS = Windows(step=timedelta(days=36_525), settle=timedelta(0), overlap=timedelta(minutes=30))
"""One window for all that is new, where the service has no filter by time and each window lists all there is."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_UNREAD = "#unread"
_READERS = 4
_LATEST_SECOND = 1e11


@frozen
class Span:
    """A half-open span of time, in UTC.

    Attributes:
        start: The first moment that is in it.
        end: The first one after it.
    """

    start: datetime
    end: datetime

    @property
    def milliseconds(self) -> tuple[int, int]:
        """Both ends in milliseconds since 1970."""
        return (self.start - _EPOCH) // _MILLISECOND, (self.end - _EPOCH) // _MILLISECOND

    def holds(self, when: datetime) -> bool:
        """Return whether a moment is in it."""
        return self.start <= when < self.end


class Api(Protocol):
    """An API of AWS, as `ApiSource` asks it; a frozen value, with what is asked as its attributes."""

    @property
    def service(self) -> str:
        """The service, as boto3 calls it."""
        ...

    @property
    def identity(self) -> str:
        """What is asked, where sources of one log type may ask for different things; part of the source's name."""
        ...

    @property
    def per_second(self) -> float:
        """How many calls a second one account may make in one Region."""
        ...

    @property
    def windows(self) -> Windows:
        """How time is cut."""
        ...

    @property
    def every(self) -> timedelta:
        """How long what was covered is not looked at again."""
        ...

    @property
    def reach(self) -> timedelta:
        """How far back a source begins that was given no other moment."""
        ...

    @property
    def mutable(self) -> bool:
        """Whether records change in place; see `ocsflake.model.Mutable`."""
        ...

    def parts(self, call: Caller) -> Iterable[str]:
        """Return what has windows of its own in an account and Region, ``""`` for all of it."""
        ...

    def check(self, call: Caller, part: str) -> None:
        """Make one cheap call, which fails if the part may not be read."""
        ...

    def read(self, call: Caller, part: str, span: Span) -> Iterator[RawBatch]:
        """Yield the records of a part in a span of time, page by page, each with its id."""
        ...


@frozen(kw_only=True)
class ApiSource:
    """Records of one log type that an API of AWS gives, from any number of accounts and Regions.

    An account or Region that cannot be read has one split, and it is the reading of that split which fails.

    Attributes:
        log_type: Picks the mapper.
        api: What is asked.
        access: Which accounts and Regions are asked, and as whom.
        since: Where to begin: an age (``7d``), ISO 8601 or a datetime; as far back as the API suggests if not given.
        until: Where to end, likewise; at the present if not given.
        name: The identity of the source; made of the service, the log type and what is asked unless it is given. The
            state is kept by account and Region, so that more of them can be added.
    """

    log_type: str
    api: Api
    access: Access = field(factory=Access)
    since: str | datetime | None = None
    until: str | datetime | None = None
    _name: str | None = field(default=None, repr=False)
    _bounds: tuple[datetime | None, datetime | None] = (None, None)

    def __attrs_post_init__(self) -> None:
        """Check the times."""
        for given in (self.since, self.until):
            moment(given, datetime.now(UTC))

    @property
    def name(self) -> str:
        """The identity of the source; its state is kept under it."""
        return self._name or ":".join(filter(None, ("aws", self.api.service, self.log_type, self.api.identity)))

    @property
    def readers(self) -> int:
        """How many splits may be read at a time."""
        return _READERS

    @property
    def mutable(self) -> bool:
        """Whether a record may have changed when it is read again; see `ocsflake.model.Mutable`."""
        return self.api.mutable

    def plan(self, state: State | None, now: datetime) -> Iterator[Split]:
        """Yield the windows that are not covered yet, after what cannot be read.

        Raises:
            ConfigError: If there is no Region, or there are no credentials.
        """
        covered = (state or {}).get("covered", {})
        parts: list[str] = []
        try:
            scopes = self.access.scopes(self.name)
        except SourceError:
            scopes = []
            yield Split(_UNREAD, {"scope": ""})
        for scope in scopes:
            for name, readable in self._parts(scope, covered):
                if readable:
                    parts.append(name)
                else:
                    yield Split(f"{name}{_UNREAD}", {"scope": name})
        old = (now - self.api.every - _EPOCH) // _MILLISECOND
        due = [part for part in parts if part not in covered or covered[part][-1][1] <= old]
        own = (self.since or f"{self.api.reach.days}d", self.until)
        since, until = bounds(own, *self._bounds, now)
        assert since is not None
        yield from self.api.windows.plan(state, now, since=since, until=moment(until, now), scopes=due)

    def read(self, split: Split) -> Iterator[RawBatch]:
        """Yield the records of `split`, with the account and the Region as their origin.

        Raises:
            SourceError: If the service does not answer, or may not be asked.
        """
        account, _, rest = split.detail["scope"].partition("/")
        if not account:
            self.access.scopes(self.name, split.id)
            raise SourceError(f"{self.name}: it can be read now: run again", source=self.name, split=split.id)
        region, _, part = rest.partition("/")
        call = self._caller(Scope(account, region), split.id)
        if "start" not in split.detail:
            for each in [part] if part else self.api.parts(call):
                self.api.check(call, each)
            where = split.detail["scope"]
            raise SourceError(f"{where} can be read now: run again", source=self.name, split=split.id)
        span = Span(_datetime(split.detail["read_from"]), _datetime(split.detail["end"]))
        uri = f"{self.api.service}://{split.detail['scope']}"
        origin = {"uri": uri, "account": account, "region": region}
        for batch in self.api.read(call, part, span):
            yield evolve(batch, origin=origin | dict(batch.origin))

    def advance(self, state: State | None, done: Sequence[Split]) -> State:
        """Return the state once the records of `done` are durable."""
        return self.api.windows.advance(state, [split for split in done if "start" in split.detail])

    def forgets(self, state: State, split: Split) -> bool:
        """Return whether no split from `state` on can hold a record of `split` again."""
        return self.api.windows.forgets(state, split)

    def between(self, since: datetime | None, until: datetime | None) -> ApiSource:
        """Return the same source, with windows that lie between two moments."""
        return evolve(self, bounds=(since, until))

    def _parts(self, scope: Scope, covered: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
        """Yield the names of what has windows of its own, and whether each can be read.

        What was read before is not asked again: it has few windows that could fail for one reason.
        """
        call = self._caller(scope)
        try:
            parts = list(self.api.parts(call))
        except SourceError:
            yield str(scope), False
            return
        for part in parts:
            name = f"{scope}/{part}" if part else str(scope)
            try:
                if name not in covered:
                    self.api.check(call, part)
            except SourceError:
                yield name, False
            else:
                yield name, True

    def _caller(self, scope: Scope, split: str | None = None) -> Caller:
        return Caller(
            access=self.access,
            service=self.api.service,
            scope=scope,
            per_second=self.api.per_second,
            source=self.name,
            split=split,
        )


def changed(
    records: Iterable[bytes], uid: Sequence[str], when: Sequence[str], span: Span, prefix: str = ""
) -> RawBatch:
    """Return the records whose last change lies in a span of time, each change with an id of its own.

    Args:
        records: JSON objects.
        uid: The paths of the members that name a record, with ``.`` between their steps.
        when: The paths of the time of the last change; the first that is there counts.
        span: The time; a record that does not tell its own is taken for in it.
        prefix: What ids begin with, where the members name a record within an account and Region alone.
    """
    kept, ids = [], []
    for record in records:
        time = next((found for path in when if (found := text_at(record, path))), "")
        last = _moment(time)
        if last is None or span.holds(last):
            kept.append(record)
            ids.append(f"{prefix}{' '.join(text_at(record, path) for path in uid)}@{time}")
    return RawBatch(kept, ids=ids)


def iso(when: datetime) -> str:
    """Return a moment in UTC as AWS writes it."""
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def length(name: str, value: str | timedelta) -> timedelta:
    """Return a length of time that was given as ``15m``, ``2h`` ... or as such.

    Raises:
        ConfigError: If it is no length of time.
    """
    if isinstance(value, timedelta):
        return value
    try:
        found = _EPOCH - (moment(value, _EPOCH) or _EPOCH)
    except ConfigError:
        found = timedelta(-1)
    if found < timedelta(0):
        raise ConfigError(f"{name}={value!r} is no length of time, such as 15m or 2h")
    return found


def text_at(record: bytes, path: str) -> str:
    """Return a text or number within a JSON object, ``""`` if there is none."""
    value = record
    for step in path.split("."):
        value = bytes(raw_members(value).get(step, b"")) if value.lstrip()[:1] == b"{" else b""
    if value[:1] == b'"':
        return str(msgspec.json.decode(value))
    return "" if value == b"null" else value.decode()


def _moment(time: str) -> datetime | None:
    """Return the moment that ISO 8601 tells, or a count since 1970: of seconds, or of milliseconds if it is large."""
    try:
        if re.fullmatch(r"[0-9.]+(?:[eE][+]?[0-9]+)?", time):
            count = float(time)
            return _datetime(round(count if count > _LATEST_SECOND else count * 1000))
        found = datetime.fromisoformat(time)
    except (ValueError, OverflowError):
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found


def _datetime(milliseconds: int) -> datetime:
    return _EPOCH + milliseconds * _MILLISECOND
