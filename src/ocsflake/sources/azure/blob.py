"""Logs in containers of Azure Storage: archives of diagnostic settings, flow logs of Network Watcher.

The service keeps a blob for each resource and hour (``…/y=2026/m=03/d=02/h=07/m=00/PT1H.json``) and adds to it while
the hour lasts. Two kinds of blobs grow, and only what is new of them is read:

- JSON lines, in append blobs: to the last whole line;
- a document ``{"records":[…]}``, in block blobs (flow logs): what was committed, without the two brackets that end it
  and that the next commit replaces.

Whether a blob only grew is told by a print of the 4 KiB before what was read. Everything else that changed is read
whole: so is a blob that was rewritten, where the records of documents have ids, so that those of the last hours that
were taken are not taken again.

The layouts: https://learn.microsoft.com/azure/azure-monitor/platform/resource-logs#send-to-azure-storage and
https://learn.microsoft.com/azure/network-watcher/vnet-flow-logs-overview#log-format
"""

from __future__ import annotations

import re
from base64 import b64encode
from datetime import date, timedelta
from hashlib import blake2b
from itertools import accumulate
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import msgspec
from attrs import evolve, field, frozen

from ocsflake.azure import NO_RETRIES, default_credential, failure, missing_extra, seconds_to_wait, source_error
from ocsflake.errors import AccessDeniedError, ConfigError, SourceError
from ocsflake.model import RawBatch, Split
from ocsflake.retry import retry
from ocsflake.sources import objects
from ocsflake.sources.options import bounds, words
from ocsflake.sources.streams import BLOCK, HEAD, LIMIT, cuts_at_lines, is_json, read_batches
from ocsflake.times import moment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from ocsflake.model import State

__all__ = ["AzureBlobSource"]

_PIECE = 4 << 20
_READERS = 4
_PRINT = 4 << 10
_TAIL = 16 << 10
_REMEMBERED = 3  # hours, the last of which records of documents are known
_ALLOW = (
    "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read on the container (the role Storage Blob Data "
    "Reader)"
)
_DATE = re.compile(r"(?:^|/)y=(\d{4})/(?:m=(\d\d)/(?:d=(\d\d)/(?:h=(\d\d)/)?)?)?")
_TENANT = re.compile(r"(?:^|/)tenantId=([^/]+)/", re.IGNORECASE)
_DOCUMENT = re.compile(rb'\s*\{\s*"records"\s*:\s*\[')
_TRAILER = re.compile(rb"\s*\]\s*\}\s*\Z")
_RECORDS = msgspec.json.Decoder(list[msgspec.Raw])


def _urls(value: str | Iterable[str]) -> tuple[str, ...]:
    return tuple(url.rstrip("/") for url in words(value))


@frozen(kw_only=True)
class AzureBlobSource:
    """Records of one log type in containers of Azure Storage.

    What was read of each blob is remembered for the days that are open: a day is closed, and is listed no more, two
    days after its end, once all that is in it was read. A container that cannot be listed, or a blob that cannot be
    read, does not stop the others; such a blob keeps its day open.

    Attributes:
        log_type: Picks the mapper, such as ``azure.vnet_flow``.
        uri: The URL of one or more containers, ``https://ACCOUNT.blob.core.windows.net/CONTAINER``.
        prefix: Reads only the blobs whose names begin so.
        since: Days that end before that are not read.
        until: Days that begin more than two days after that are not read.
        credential: A credential of azure-identity, a key or a SAS token of the account, if not
            `DefaultAzureCredential`.
        client: A `BlobServiceClient` of the account that is ready to use.
    """

    log_type: str
    uri: tuple[str, ...] = field(converter=_urls)
    prefix: str = ""
    since: str | datetime | None = None
    until: str | datetime | None = None
    credential: Any = field(default=None, repr=False, eq=False)
    client: Any = field(default=None, repr=False, eq=False)
    _name: str | None = field(default=None, repr=False)

    def __attrs_post_init__(self) -> None:
        """Check the addresses."""
        for uri in self.uri:
            parts = urlsplit(uri)
            if parts.scheme not in {"http", "https"} or not parts.path.strip("/"):
                raise ConfigError(
                    f"{uri.partition('?')[0]!r} is no URL of a container: give "
                    "https://ACCOUNT.blob.core.windows.net/CONTAINER"
                )
            if parts.query or parts.username:
                raise ConfigError(f"{uri.partition('?')[0]}: give a SAS token as credential=, not in the URL")
        if not self.uri:
            raise ConfigError("azure.blob needs uri=, the URL of a container")

    @property
    def readers(self) -> int:
        """How many splits may be read at a time."""
        return _READERS

    @property
    def name(self) -> str:
        """The identity of the source; its state is kept under it."""
        return self._name or f"azure.blob:{self.log_type}:{','.join(self.uri)}" + (self.prefix and f"/{self.prefix}")

    def plan(self, state: State | None, now: datetime) -> Iterator[Split]:
        """Yield what is new since `state`, and the ends of days that can be closed.

        What cannot be listed or looked at has a split as well, and it is the reading of that split which fails.
        """
        for uri in self.uri:
            try:
                yield from self._new(uri, state, now)
            except SourceError as error:
                yield _unread(uri, error)

    def read(self, split: Split) -> Iterator[RawBatch]:
        """Yield the records of `split`; those of documents with digests of them as ids.

        Raises:
            SourceError: If the blob is gone, is not what it was when the split was planned, or cannot be read.
        """
        detail = split.detail
        if "error" in detail:
            kind = AccessDeniedError if detail["denied"] else SourceError
            raise kind(detail["error"], source=self.name, split=split.id)
        if "ends" in detail:
            return
        blob = _Blob(self._container(detail["uri"]), detail["name"])
        where = _address(detail["uri"], detail["name"])
        start, end = detail["start"], detail["end"]
        try:
            if detail["kind"] == "document":
                yield from self._document(blob, start, end, split)
            else:
                stream = _Stream(blob.fetch, start, end)
                origin = _origin(detail["uri"], detail["name"])
                yield from read_batches(stream, where, origin=origin, source=self.name, split=split.id)
            self._check(blob, where, split)
        except SourceError:
            raise
        except Exception as error:
            raise self._failed(error, where, split) from error

    def advance(self, state: State | None, done: Sequence[Split]) -> State:
        """Return the state once the records of `done` are durable."""
        newest = dict((state or {}).get("newest", {}))
        blobs = {
            uri: {day: dict(entries) for day, entries in days.items()}
            for uri, days in (state or {}).get("blobs", {}).items()
        }
        for split in done:
            detail, uri = split.detail, split.detail["uri"]
            if "ends" not in detail:
                entry = [detail["etag"], detail["end"], detail["print"], detail["kind"]]
                blobs.setdefault(uri, {}).setdefault(detail["hour"][:10], {})[_key(detail["name"])] = entry
                newest[uri] = max(detail["hour"], newest.get(uri, ""))
        over = []
        for split in done:
            if "ends" in split.detail:
                entries = blobs.get(split.detail["uri"], {}).get(split.detail["ends"], {})
                gone = set(split.detail["gone"])
                if _sum((key, entry[0]) for key, entry in entries.items() if key not in gone) == split.detail["listed"]:
                    over.append(split)
        closed = objects.advance({"closed": (state or {}).get("closed", {})}, over)["closed"]
        for split in over:
            blobs.get(split.detail["uri"], {}).pop(split.detail["ends"], None)
        return {"closed": closed, "newest": newest, "blobs": {uri: days for uri, days in blobs.items() if days}}

    def forgets(self, state: State, split: Split) -> bool:
        """Return whether a split is older than what is remembered of the records of documents."""
        hour, newest = split.detail["hour"], state["newest"].get(split.detail["uri"], "")
        return bool(hour and newest) and _hours(hour) + _REMEMBERED <= _hours(newest)

    def between(self, since: datetime | None, until: datetime | None) -> AzureBlobSource:
        """Return the same source without days that hold no events from `since` on and before `until`."""
        first, last = bounds((self.since, self.until), since, until)
        return evolve(self, since=first, until=last)

    def _new(self, uri: str, state: State | None, now: datetime) -> Iterator[Split]:
        """Yield what is new in one container."""
        known = (state or {}).get("blobs", {}).get(uri, {})
        since, until = moment(self.since, now), moment(self.until, now)
        first = str((since - timedelta(days=1)).date()) if since else ""
        last = str((until + timedelta(days=objects.LATE)).date()) if until else ""
        container = self._container(uri)
        spans = objects.gaps(state, uri, first, last)
        listed: dict[str, int] = {}
        gone = {day: set(entries) for day, entries in known.items()}
        try:
            for item in filter(lambda item: item.size, _listed(container, self.prefix, spans)):
                day, key = _hour(item.name)[:10], _key(item.name)
                entry = known.get(day, {}).get(key)
                listed[day] = listed.get(day, 0) ^ _sum([(key, item.etag)])
                gone.get(day, set()).discard(key)
                if entry is None or entry[0] != item.etag:
                    yield self._split(container, uri, item, entry)
        except SourceError:
            raise
        except Exception as error:
            raise self._failed(error, uri, None) from error
        oldest_open = str((now - timedelta(days=objects.LATE)).date())
        for span in spans:
            yield from _ends(uri, span, listed, gone, oldest_open)

    def _split(self, container: Any, uri: str, item: Any, entry: Sequence[Any] | None) -> Split:
        """Return the part of one blob that is new."""
        blob, where = _Blob(container, item.name), _address(uri, item.name)
        try:
            start, end, kind = _new_part(blob.fetch, item, entry)
            mark = _print(blob.fetch, end)
        except Exception as error:
            found = self._failed(error, where, None)
            if not isinstance(found, SourceError):
                raise
            return _unread(uri, found, where)
        detail = {
            "uri": uri,
            "name": item.name,
            "hour": _hour(item.name),
            "etag": item.etag,
            "start": start,
            "end": end,
            "kind": kind,
            "print": mark,
        }
        return Split(f"{where}#{start}-{end}:{mark}", detail, end - start)

    def _document(self, blob: _Blob, start: int, end: int, split: Split) -> Iterator[RawBatch]:
        """Yield the records of a part of a document, a few committed blocks at a time: a block has whole records."""
        detail = split.detail
        origin = _origin(detail["uri"], detail["name"])
        held = b""
        for stop in _stops(blob.blocks(), start, end):
            held += _Stream(blob.fetch, start, stop).read()
            start = stop
            try:
                records = [bytes(raw) for raw in _RECORDS.decode(b"[" + held.strip(b" \t\r\n,") + b"]")]
            except msgspec.DecodeError:
                if len(held) > LIMIT:
                    break
                continue  # a block that is cut within a record goes with the next one
            held = b""
            ids = [blake2b(record, digest_size=12).hexdigest() for record in records]
            if records:
                yield RawBatch(records, origin, ids=ids)
        if held:
            where = _address(detail["uri"], detail["name"])
            message = f"{where}: what was committed after byte {detail['start']} is no list of records in JSON"
            raise SourceError(message, source=self.name, split=split.id)

    def _check(self, blob: _Blob, where: str, split: Split) -> None:
        """Raise if what was read is not what was planned: a blob may have grown since, and nothing else."""
        if blob.etags - {split.detail["etag"]} and _print(blob.fetch, split.detail["end"]) != split.detail["print"]:
            raise self._changed(where, split)

    def _container(self, uri: str) -> Any:
        if self.client is not None:
            return self.client.get_container_client(uri.rpartition("/")[2])
        try:
            from azure.storage.blob import ContainerClient
        except ImportError as error:
            raise missing_extra("azure-storage-blob") from error
        credential = self.credential or default_credential(urlsplit(uri).hostname or "")
        return ContainerClient.from_container_url(uri, credential=credential)

    def _failed(self, error: Exception, where: str, split: Split | None) -> Exception:
        found = failure(error)
        if split is not None and found is not None and found.kind == "changed":
            return self._changed(where, split)
        name = None if split is None else split.id
        return source_error(error, where, allow=_ALLOW, source=self.name, split=name) or error

    def _changed(self, where: str, split: Split) -> SourceError:
        message = f"{where} changed since it was planned; plan again to read it as it is now"
        return SourceError(message, source=self.name, split=split.id)


class _Blob:
    """One blob, whose every call is tried again alone.

    Attributes:
        etags: The versions of the blob that were met.
    """

    def __init__(self, container: Any, name: str) -> None:
        self.etags: set[str] = set()
        self._client = container.get_blob_client(name)

    def fetch(self, start: int, end: int) -> bytes:
        """Return the bytes from one place on and before another."""

        def call() -> bytes:
            answer = self._client.download_blob(start, end - start, max_concurrency=1, **NO_RETRIES)
            data: bytes = answer.readall()
            self.etags.add(answer.properties.etag)
            return data

        return retry(call, retryable=seconds_to_wait) if end > start else b""

    def blocks(self) -> list[int]:
        """Return the sizes of the committed blocks, of which a blob that was put in one piece has none."""
        committed, _ = retry(lambda: self._client.get_block_list("committed", **NO_RETRIES), retryable=seconds_to_wait)
        return [block.size for block in committed]


class _Stream:
    """A part of a blob as a stream."""

    def __init__(self, fetch: Callable[[int, int], bytes], start: int, end: int) -> None:
        self._fetch = fetch
        self._place = start
        self._end = end
        self._held = b""

    def read(self, size: int = -1, /) -> bytes:
        """Return at most `size` bytes, all if it is negative; ``b""`` at the end."""
        if size < 0:
            return b"".join(iter(lambda: self.read(_PIECE), b""))
        if not self._held:
            stop = min(self._end, self._place + _PIECE)
            self._held = self._fetch(self._place, stop)
            self._place = stop
        data, self._held = self._held[:size], self._held[size:]
        return data


def _listed(container: Any, prefix: str, spans: Sequence[tuple[str, str]]) -> Iterator[Any]:
    """Yield the blobs below a prefix whose names have no date, or one within the spans of days."""
    from azure.storage.blob import BlobPrefix

    for item in _pages(container.walk_blobs(name_starts_with=prefix, delimiter="/", **NO_RETRIES)):
        if not isinstance(item, BlobPrefix):
            yield item
            continue
        named = "-".join(_date(item.name))
        size = len(named)
        if named and not any(first[:size] <= named and (not last or named <= last[:size]) for first, last in spans):
            continue
        if size >= len("2026-03-02"):
            yield from _pages(container.list_blobs(name_starts_with=item.name, **NO_RETRIES))
        else:
            yield from _listed(container, item.name, spans)


def _ends(
    uri: str, span: tuple[str, str], listed: Mapping[str, int], gone: Mapping[str, set[str]], oldest_open: str
) -> Iterator[Split]:
    """Yield the ends of days, each of which can be closed once all that was listed of it is read."""
    first, last = span
    days = {*listed, *gone}
    for day in sorted(day for day in days if day and first <= day < oldest_open and (not last or day <= last)):
        left = sorted(gone.get(day, ()))
        named = {"uri": uri, "prefix": uri, "ends": day, "from": first, "due": 0, "hour": ""}
        yield Split(f"{uri}#{day}", {**named, "listed": listed.get(day, 0), "gone": left}, 0)
        first = objects.gaps({"closed": {uri: [["", day]]}}, uri)[0][0]


def _pages(listing: Any) -> Iterator[Any]:
    """Yield the items of a listing, each page of which is tried again alone."""
    pages = listing.by_page()
    while (page := retry(lambda: next(pages, None), retryable=seconds_to_wait)) is not None:
        yield from page


def _new_part(fetch: Callable[[int, int], bytes], item: Any, entry: Sequence[Any] | None) -> tuple[int, int, str]:
    """Return where the part of a blob begins and ends that was not read, and of which kind the blob is."""
    size, start, kind = item.size, 0, ""
    if entry is not None and entry[3] != "whole" and size >= entry[1] and _print(fetch, entry[1]) == entry[2]:
        start, kind = entry[1], entry[3]
    if not kind:
        head = fetch(0, min(size, HEAD))
        found = _DOCUMENT.match(head) if item.blob_type == "BlockBlob" else None
        kind = "document" if found else "lines" if _is_lines(fetch, head, size) else "whole"
        start = found.end() if found else 0
    if kind == "document":
        trailer = _TRAILER.search(fetch(max(start, size - 64), size))
        return start, size - len(trailer[0]) if trailer else size, kind
    return start, _line_end(fetch, start, size) if kind == "lines" else size, kind


def _is_lines(fetch: Callable[[int, int], bytes], head: bytes, size: int) -> bool:
    return cuts_at_lines(head if b"\n" in head else head + fetch(len(head), min(size, BLOCK)))


def _line_end(fetch: Callable[[int, int], bytes], start: int, size: int) -> int:
    """Return where the last whole line ends; one without a newline is whole if it is JSON."""
    length = _TAIL
    while True:
        place = max(start, size - length)
        tail = fetch(place, size)
        newline = tail.rfind(b"\n")
        if newline >= 0 or place == start:
            rest = tail[newline + 1 :]
            return size if rest and is_json(rest) else place + newline + 1
        length *= 8


def _stops(blocks: Sequence[int], start: int, end: int) -> Iterator[int]:
    """Yield places to stop at, after some blocks that are about `_PIECE` bytes together, and at the end."""
    last = start
    for edge in accumulate(blocks):
        if last + _PIECE <= edge < end:
            yield edge
            last = edge
    if last < end:
        yield end


def _print(fetch: Callable[[int, int], bytes], end: int) -> str:
    """Return what tells the first `end` bytes of a blob from others, without reading them all."""
    return blake2b(b"%d:" % end + fetch(max(0, end - _PRINT), end), digest_size=12).hexdigest()


def _unread(uri: str, error: Exception, where: str = "") -> Split:
    denied = isinstance(error, AccessDeniedError)
    return Split(f"{where or uri}#unread", {"uri": uri, "error": str(error), "denied": denied, "hour": ""}, 0)


def _address(uri: str, name: str) -> str:
    return f"{uri}/{quote(name, safe='/=')}"


def _origin(uri: str, name: str) -> Mapping[str, str]:
    """Return where records came from; the archives of Entra ID are kept by tenant."""
    tenant = _TENANT.search(name)
    return {"uri": _address(uri, name), **({"account": tenant[1]} if tenant else {})}


def _date(name: str) -> list[str]:
    """Return year, month, day and hour of a name, as far as it has them."""
    found = _DATE.search(name)
    return [part for part in found.groups() if part] if found else []


def _hour(name: str) -> str:
    """Return the day and hour of a name, such as ``2026-03-02T07``; ``""`` if it has no day."""
    parts = _date(name)
    return f"{'-'.join(parts[:3])}T{parts[3] if len(parts) > 3 else '00'}" if len(parts) >= 3 else ""


def _hours(hour: str) -> int:
    return date.fromisoformat(hour[:10]).toordinal() * 24 + int(hour[11:])


def _sum(versions: Iterable[tuple[str, str]]) -> int:
    """Return a number that tells sets of names and versions apart, whatever their order."""
    found = 0
    for key, etag in versions:
        found ^= int.from_bytes(blake2b(f"{key}\0{etag}".encode(), digest_size=8).digest())
    return found


def _key(name: str) -> str:
    return b64encode(blake2b(name.encode(errors="surrogatepass"), digest_size=12).digest()).decode()
