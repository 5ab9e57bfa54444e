"""Files of log entries in Cloud Storage, as log sinks write them: hour by hour, below the id of each log.

A sink writes ``LOG_ID/YYYY/MM/DD/HH:MM:SS_HH:MM:SS_S0.json`` some hours later, more such files when there is much, and
``_A0`` and so on for what came late. One listing for each log gives the days that are still open, and what was read of
them is remembered by its generation; see `ocsflake.sources.objects`. A log or a bucket that may not be listed has a
split whose reading fails, so that it is reported and the others are read.

The files: https://docs.cloud.google.com/logging/docs/export/storage
"""

from __future__ import annotations

import functools
import re
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import evolve, field, frozen

from ocsflake import gcp
from ocsflake.errors import ConfigError, SourceError
from ocsflake.model import Split
from ocsflake.sources import objects
from ocsflake.sources._google import LOGS
from ocsflake.sources.objects import LATE, Listed
from ocsflake.sources.options import bounds, is_age, words
from ocsflake.sources.streams import read_batches
from ocsflake.times import moment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from ocsflake.model import RawBatch, State

__all__ = ["GcsSource"]

T = TypeVar("T")

READERS = 4
"""Objects that are read at a time."""

_URI = re.compile(r"gs://(?P<bucket>[a-z0-9][a-z0-9._-]{1,220}[a-z0-9])(?:/(?P<prefix>.*))?")
_DAY = re.compile(r"(\d{4})/(\d\d)/(\d\d)/")
_CHUNK = 8 << 20
_TIMEOUT = 60.0
_SCOPE = "https://www.googleapis.com/auth/devstorage.read_only"
_HINT = "correct uri=, or plan again if it was deleted meanwhile"


@frozen(kw_only=True)
class GcsSource:
    """Records of one log type in buckets of Cloud Storage.

    Attributes:
        log_type: Picks the mapper and the logs, such as ``gcp.audit``.
        uri: ``gs://bucket`` or ``gs://bucket/prefix``: what stands before the ids of the logs; several, separated by
            commas.
        logs: The ids of the logs, where they are not those of the log type. Where neither has any, all that is below
            `uri` is read, whatever its name, and listed each time.
        since: Only files that may hold events from this moment on: an age (``7d``), which counts from the first run,
            ISO 8601, or a datetime.
        until: Only files that may hold events before this moment, and came at most two days later.
        client: A `google.cloud.storage.Client`; if it is not given, one with the credentials of the environment.
        name: The identity of the source; made of the log type and `uri` unless it is given.
    """

    log_type: str
    uri: tuple[str, ...] = field(converter=words)
    logs: tuple[str, ...] = field(default=(), converter=words)
    since: str | datetime | None = None
    until: str | datetime | None = None
    client: Any = field(default=None, eq=False, repr=False)
    _name: str | None = field(default=None, repr=False)

    def __attrs_post_init__(self) -> None:
        """Check what can be checked without a call."""
        if not self.uri:
            raise ConfigError("uri= is empty: give gs://bucket or gs://bucket/prefix")
        for uri in self.uri:
            if not _URI.fullmatch(uri):
                raise ConfigError(f"{uri!r} is no address in Cloud Storage: give gs://bucket or gs://bucket/prefix")
        for when in (self.since, self.until):
            moment(when, datetime.now(UTC))

    @property
    def name(self) -> str:
        """The identity of the source; its state is kept under it."""
        return self._name or f"gcp.gcs:{self.log_type}:{','.join(uri.removesuffix('/') for uri in self.uri)}"

    @property
    def readers(self) -> int:
        """How many splits may be read at a time."""
        return READERS

    def between(self, since: datetime | None, until: datetime | None) -> GcsSource:
        """Return the same source, which plans what may hold events from `since` on and before `until`; in UTC."""
        first, last = bounds((self.since, self.until), since, until)
        return evolve(self, since=first, until=last)

    def plan(self, state: State | None, now: datetime) -> Iterator[Split]:
        """Yield what is new since `state`: log after log, in each the oldest day first."""
        for prefix in self._prefixes():
            try:
                yield from self._new(state, now, prefix)
            except SourceError:
                yield Split(f"{prefix}#unread", {"prefix": prefix}, 0)

    def read(self, split: Split) -> Iterator[RawBatch]:
        """Yield the records of an object, each batch with its URI as ``origin``.

        Raises:
            SourceError: If it cannot be read, or holds what no log holds; see `ocsflake.gcp.call`.
        """
        detail = split.detail
        if objects.is_end_of_day(split):
            return
        if "uri" not in detail:
            self._listed(detail["prefix"], {"page_size": 1}, split.id)
            raise SourceError(f"{detail['prefix']} can be listed now: run again", source=self.name, split=split.id)
        uri, client = detail["uri"], self._client()
        bucket, name = _address(uri)
        blob = client.bucket(bucket).blob(name, generation=int(detail["version"]))

        def fetch(start: int, end: int) -> bytes:
            """Return the bytes of a range, its end included."""

            def ask() -> bytes:
                options = {"raw_download": True, "checksum": None, "retry": None, "timeout": _TIMEOUT}
                data: bytes = blob.download_as_bytes(start=start, end=end, **options)
                return data

            return self._call(ask, uri, "storage.objects.get", split.id)

        yield from read_batches(
            _Ranges(fetch, split.bytes or 0), uri, origin={"uri": uri}, source=self.name, split=split.id
        )

    def advance(self, state: State | None, done: Sequence[Split]) -> State:
        """Return the state once the records of `done` are durable."""
        return objects.advance(state, done)

    def _prefixes(self) -> list[str]:
        """Return the URIs below which days, or any objects, are."""
        logs = self.logs or LOGS.get(self.log_type, ())
        roots = [f"{uri.rstrip('/')}/" for uri in self.uri]
        return [f"{root}{log}/" for root in roots for log in logs] if logs else roots

    def _new(self, state: State | None, now: datetime, prefix: str) -> Iterator[Split]:
        dated = bool(self.logs or self.log_type in LOGS)
        if not dated:
            yield from objects.new(state, now, prefix, self._objects(prefix, {}))
            return
        until = moment(self.until, now)
        end = "" if until is None else str(_later(until.date(), LATE))
        for first, last in objects.gaps(state, prefix, self._first_day(state, now, prefix), end):
            offsets = {"start_offset": first, "end_offset": last and str(_later(date.fromisoformat(last), 1))}
            name = _address(prefix)[1]
            given = {key: f"{name}{day.replace('-', '/')}/" for key, day in offsets.items() if day}
            yield from objects.new(state, now, prefix, self._objects(prefix, given, dated=True), first=first)

    def _first_day(self, state: State | None, now: datetime, prefix: str) -> str:
        """Return the first day that is wanted, ``""`` for all; an age counts from the first run."""
        since = moment(self.since, now)
        if self.since is None or since is None:
            return ""
        begun: list[str] = []
        if state and is_age(self.since, now):
            begun += [start for start, _ in state["closed"].get(prefix, ())]
            begun += state["seen"].get(prefix, ())
        return min([str(since.date()), *begun])

    def _objects(self, prefix: str, offsets: dict[str, str], *, dated: bool = False) -> Iterator[Listed]:
        """Yield the objects below a prefix in the order of their names; each page of the listing is a call."""
        bucket, start = _address(prefix)
        token: str | None = None
        while True:
            blobs, token = self._listed(prefix, {**offsets, "page_token": token}, None)
            for blob in blobs:
                found = _DAY.match(blob.name, len(start))
                day = "-".join(found.groups()) if found and dated else ""
                if blob.size and (day or not dated):
                    yield Listed(f"gs://{bucket}/{blob.name}", str(blob.generation), blob.size, day)
            if not token:
                return

    def _listed(self, prefix: str, options: dict[str, Any], split: str | None) -> tuple[Iterable[Any], str | None]:
        """Return a page of a listing, and the token of the next one."""
        bucket, start = _address(prefix)
        client = self._client()

        def page() -> tuple[Iterable[Any], str | None]:
            pages = client.list_blobs(
                bucket,
                prefix=start or None,
                fields="items(name,generation,size),nextPageToken",
                retry=None,
                timeout=_TIMEOUT,
                **options,
            )
            return list(next(pages.pages, ())), pages.next_page_token

        return self._call(page, prefix, "storage.objects.list", split)

    def _call(self, do: Callable[[], T], where: str, permission: str, split: str | None) -> T:
        permission = f"{permission} (roles/storage.objectViewer)"
        who = gcp.principal(self._client())
        return gcp.call(do, where=where, permission=permission, who=who, source=self.name, split=split, hint=_HINT)

    def _client(self) -> Any:
        return self.client if self.client is not None else _client()


class _Ranges:
    """The bytes of an object, fetched range by range, so that a connection that breaks costs one range.

    Args:
        fetch: Returns the bytes from a place to another, both included.
        size: How many bytes there are.
    """

    def __init__(self, fetch: Callable[[int, int], bytes], size: int) -> None:
        self._fetch = fetch
        self._size = size
        self._fetched = 0
        self._held = memoryview(b"")

    def read(self, size: int = -1, /) -> bytes:
        """Return at most `size` bytes, ``b""`` at the end."""
        if not self._held and self._fetched < self._size:
            data = self._fetch(self._fetched, min(self._fetched + _CHUNK, self._size) - 1)
            self._fetched += len(data)
            self._held = memoryview(data)
        part = self._held if size < 0 else self._held[:size]
        self._held = self._held[len(part) :]
        return bytes(part)


def _address(uri: str) -> tuple[str, str]:
    """Return bucket and name, or bucket and prefix."""
    bucket, _, name = uri.removeprefix("gs://").partition("/")
    return bucket, name


def _later(day: date, days: int) -> date:
    return day + timedelta(days=days)


@functools.cache
def _client() -> Any:
    """Return a client with the credentials of the environment."""
    try:
        from google.cloud import storage
    except ImportError as error:
        raise gcp.missing("google-cloud-storage") from error
    # No project is needed to read.
    return storage.Client(project="-", credentials=gcp.default_credentials((_SCOPE,)))
