"""Tables of Log Analytics, in workspaces and of single resources.

Rows are asked for by the time that they came into the table (``ingestion_time()``), window by window, so that what an
agent or a service sends late is found. Each window is first counted, minute by minute, then asked for in parts that fit
into an answer. Where an answer is not whole after all (it is HTTP 200 all the same), or takes too long, its part is
halved, down to a millisecond, and further by a hash of the rows.

The limits: https://learn.microsoft.com/azure/azure-monitor/fundamentals/service-limits#log-analytics-workspaces
"""

from __future__ import annotations

import functools
import math
import re
from datetime import UTC, datetime, timedelta
from heapq import merge
from operator import ge, sub, truediv
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec
from attrs import evolve, field, frozen

from ocsflake.azure import default_credential, failure, missing_extra, source_error
from ocsflake.errors import AccessDeniedError, ConfigError, SourceError, did_you_mean
from ocsflake.model import RawBatch, Split
from ocsflake.sources.azure._log_analytics import Answer, TooMuchError, ask, record_batches
from ocsflake.sources.azure._log_tables import TABLES
from ocsflake.sources.options import bounds, words
from ocsflake.sources.windows import Windows
from ocsflake.times import moment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ocsflake.model import State

__all__ = ["AzureMonitorSource"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST = "1d"  # how far back a source without a state begins
_ROW_BYTES = 400  # of a usual row, in gzip
_READERS = 4  # of the five queries that a user may run at once
_BINS = 60  # that a span of time is counted in
_HASHES = 1024  # parts that the rows of a millisecond are cut into at most
_SHORTEST_MS = 1000  # what takes too long for less than that has another reason
_ALLOW = (
    "Microsoft.OperationalInsights/workspaces/query/*/read on the workspace (the role Log Analytics Reader), or "
    "Microsoft.Insights/logs/*/read on the resource (the role Monitoring Reader)"
)
_IN_STORAGE = ("azure.nsg_flow", "azure.vnet_flow")
_TABLE = re.compile(r"[A-Za-z_]\w*")
_TARGET = re.compile(r"[\w.-]+|(?:/[\w.()-]+)+")


def _span(value: str | timedelta) -> timedelta:
    """Return a length of time, which may come as text such as ``5m``."""
    if isinstance(value, timedelta):
        return value
    then = moment(value, _EPOCH)
    if then is None or then > _EPOCH:
        raise ConfigError(f"{value!r} is no length of time: give one such as 30s, 5m, 2h or 7d")
    return _EPOCH - then


class _NoTableError(SourceError):
    """A workspace has no table of that name, which is so until something writes to it."""


@frozen
class _Part:
    """A part of a window that is asked for at once.

    Attributes:
        start: The first millisecond since 1970 that is in it.
        end: The first one after it.
        hashes: How many parts the rows of this time are cut into.
        number: Which of them it is.
    """

    start: int
    end: int
    hashes: int = 1
    number: int = 0

    def halves(self, *, slow: bool) -> tuple[_Part, ...]:
        """Return this as two parts, or nothing if that does not help any more."""
        if self.end - self.start > (_SHORTEST_MS if slow else 1):
            middle = (self.start + self.end) // 2
            return evolve(self, end=middle), evolve(self, start=middle)
        if slow or self.hashes >= _HASHES:
            return ()
        twice = self.hashes * 2
        return evolve(self, hashes=twice), evolve(self, hashes=twice, number=self.number + self.hashes)


@frozen(kw_only=True)
class AzureMonitorSource:
    """Records of one log type in tables of Log Analytics.

    Every table is read for itself: one that cannot be read does not stop the others, and is tried again by the next
    run. Of several tables that a log type may be in, those that a workspace does not have are passed over.

    Attributes:
        log_type: Picks the mapper and the tables, such as ``azure.signin``.
        workspace: The ids of one or more workspaces.
        resource: The ids of one or more resources, ``/subscriptions/…``, whose logs are read wherever they are.
        tables: The tables, if not those of the log type.
        since: Where to begin, a day back if it is not given: what came into a table before is not read. An age counts
            from the first run, so that nothing between two runs is passed over.
        until: Rows that came into a table `late` after that are not read.
        step: How long a window is.
        settle: How old a row must be to be read.
        overlap: How much of what was read is read again, to find what showed late.
        late: How much later than its ``TimeGenerated`` a row may come into the table; what comes later is not found.
        max_rows: How many rows a query is planned to return; the service gives 500,000 at most.
        max_bytes: How many bytes of them; the service gives some 60 MB at most.
        per_second: How many queries a second are sent; the service takes 200 in 30 seconds, of one user.
        endpoint: The API: ``https://api.loganalytics.us``, ``https://api.loganalytics.azure.cn`` in other clouds.
        audience: What tokens are asked for, if not the endpoint.
        credential: A credential of azure-identity, if not `DefaultAzureCredential`.
        client: A `LogsQueryClient` that is ready to use.
    """

    log_type: str
    workspace: tuple[str, ...] = field(default=(), converter=words)
    resource: tuple[str, ...] = field(default=(), converter=words)
    tables: tuple[str, ...] = field(default=(), converter=words)
    since: str | datetime | None = None
    until: str | datetime | None = None
    step: timedelta = field(default=timedelta(hours=1), converter=_span)
    settle: timedelta = field(default=timedelta(minutes=2), converter=_span)
    overlap: timedelta = field(default=timedelta(minutes=5), converter=_span)
    late: timedelta = field(default=timedelta(days=7), converter=_span)
    max_rows: int = field(default=10_000, converter=int)
    max_bytes: int = field(default=8 << 20, converter=int)
    per_second: float = field(default=200 / 30, converter=float)
    endpoint: str = "https://api.loganalytics.io"
    audience: str | None = None
    credential: Any = field(default=None, repr=False, eq=False)
    client: Any = field(default=None, repr=False, eq=False)
    _name: str | None = field(default=None, repr=False)

    def __attrs_post_init__(self) -> None:
        """Check what is asked for."""
        if not self._targets:
            raise ConfigError("azure.monitor needs workspace=, the id of a workspace, or resource=, that of a resource")
        for target in self._targets:
            if not _TARGET.fullmatch(target):
                raise ConfigError(f"{target!r} is no id of a workspace or a resource")
        for table in self.tables:
            if not _TABLE.fullmatch(table):
                raise ConfigError(f"{table!r} is no name of a table")
        if self.log_type in _IN_STORAGE:
            raise ConfigError(
                f"{self.log_type}: Log Analytics has no flow logs, only the sums that Traffic Analytics makes of them:"
                " read those with log_type='azure.traffic_analytics', or the flow logs where they are stored, with"
                " azure.blob"
            )
        if not self.tables and self.log_type not in TABLES:
            near = did_you_mean(self.log_type, TABLES)
            raise ConfigError(f"Log Analytics has no table of its own for {self.log_type!r}{near}: give tables=")

    @property
    def readers(self) -> int:
        """How many splits may be read at a time."""
        return _READERS

    @property
    def name(self) -> str:
        """The identity of the source; its state is kept under it."""
        return self._name or ":".join(
            ["azure.monitor", self.log_type, ",".join(self._targets), *([",".join(self.tables)] if self.tables else [])]
        )

    def plan(self, state: State | None, now: datetime) -> Iterator[Split]:
        """Yield the windows that are new since `state`, oldest first.

        Each table is counted first, by one query: so it is known what a window holds, and a window that holds nothing
        is not asked for again.

        A table that cannot be counted has one split, and it is the reading of that split which fails.
        """
        planned: list[list[Split]] = []
        for target in self._targets:
            found, absent = [], []
            for table in self._tables:
                scope = f"{target}/{table}"
                try:
                    found.append(self._sized(scope, self._new(scope, state, now)))
                except _NoTableError as error:
                    absent.append(_unread(scope, error))
                except SourceError as error:
                    yield _unread(scope, error)
                    found.append([])
            planned += found
            if self.tables or not found:
                yield from absent
        yield from merge(*planned, key=lambda split: (split.detail["end"], split.detail["scope"]))

    def read(self, split: Split) -> Iterator[RawBatch]:
        """Yield the rows of a window as JSON objects, with digests of them as ids.

        Raises:
            SourceError: If the table cannot be read, or rows of one millisecond do not fit into an answer.
        """
        detail = split.detail
        scope = detail["scope"]
        if "error" in detail:
            kind = AccessDeniedError if detail["denied"] else SourceError
            raise kind(detail["error"], source=self.name, split=split.id)
        if detail.get("empty"):
            return
        target, _, table = scope.rpartition("/")
        place = target if target.startswith("/") else f"/workspaces/{target}"
        origin = {"uri": f"{self.endpoint}/v1{place}#{table}"}
        parts = self._parts(scope, _Part(detail["read_from"], detail["end"]), split.id)[::-1]
        while parts:
            part = parts.pop()
            try:
                answer = self._ask(scope, _rows_of(part), part, split.id)
            except TooMuchError as error:
                halves = part.halves(slow=error.slow)
                if not halves:
                    raise self._too_much(scope, part, error, split.id) from error
                parts += halves[::-1]
                continue
            for records, ids in record_batches(answer):
                yield RawBatch(records, origin, ids=ids)

    def advance(self, state: State | None, done: Sequence[Split]) -> State:
        """Return the state once the records of `done` are durable."""
        return self._windows.advance(state, done)

    def forgets(self, state: State, split: Split) -> bool:
        """Return whether no window from `state` on can read a row of `split` again."""
        return self._windows.forgets(state, split)

    def between(self, since: datetime | None, until: datetime | None) -> AzureMonitorSource:
        """Return the same source without windows that hold no events from `since` on and before `until`.

        Rows come into a table after their event, so all windows from `since` on are read, and those `late` after
        `until`.
        """
        first, last = bounds((self.since, self.until), since, until)
        return evolve(self, since=first, until=last)

    @property
    def _targets(self) -> tuple[str, ...]:
        return self.workspace + self.resource

    @property
    def _tables(self) -> tuple[str, ...]:
        return self.tables or tuple(TABLES[self.log_type])

    @property
    def _windows(self) -> Windows:
        return Windows(self.step, self.settle, self.overlap)

    def _new(self, scope: str, state: State | None, now: datetime) -> list[Split]:
        """Return the windows of a table that were not read yet."""
        until = moment(self.until, now)
        last = until + self.late if until else None
        return [*self._windows.plan(state, now, since=self.since or _FIRST, until=last, scopes=[scope])]

    def _sized(self, scope: str, windows: list[Split]) -> list[Split]:
        """Return windows with their sizes, as far as one query tells them."""
        if not windows:
            return []
        step = self.step // timedelta(milliseconds=1)
        whole = _Part(windows[0].detail["read_from"], windows[-1].detail["end"])
        counts = f"summarize rows = count() by start = bin(ingestion_time(), {step}ms)"
        try:
            answer = self._ask(scope, counts, whole)
        except TooMuchError:
            return windows
        found = list(_numbers(answer, "start", "rows"))
        if answer.rows and not found:
            return windows
        sized = []
        for window in windows:
            first, end = window.detail["read_from"], window.detail["end"]
            rows = sum(count for start, count in found if first - step < start < end)
            sized.append(evolve(window, detail={**window.detail, "empty": not rows}, bytes=rows * _ROW_BYTES))
        return sized

    def _parts(self, scope: str, span: _Part, split: str) -> list[_Part]:
        """Return the parts of a span of time that are asked for one by one, each planned to fit into an answer.

        Rows come into a table in batches, of which all have one time, so what is too much for one part is counted
        again more finely, and what came within one millisecond is cut by a hash.
        """
        width = max(1, (span.end - span.start) // _BINS)
        counts = (
            "extend bytes_ = estimate_data_size(*)"
            f"\n| summarize rows = count(), bytes = sum(bytes_) by start = bin(ingestion_time(), {width}ms)"
        )
        try:
            answer = self._ask(scope, counts, span, split)
        except TooMuchError:
            return [span]
        parts: list[_Part] = []
        room = (self.max_rows, self.max_bytes)
        left = (-1, -1)
        for start, *need in sorted(_numbers(answer, "start", "rows", "bytes")):
            part = _Part(max(start, span.start), min(start + width, span.end))
            share = max(map(truediv, need, room))
            if share > 1 and width > 1:
                parts += self._parts(scope, part, split)
            elif share > 1:
                hashes = 1 << math.ceil(math.log2(share))
                parts += [evolve(part, hashes=hashes, number=number) for number in range(hashes)]
            elif all(map(ge, left, need)):
                parts[-1] = evolve(parts[-1], end=part.end)
            else:
                parts.append(part)
                left = room
            left = tuple(map(sub, left, need)) if share <= 1 else (-1, -1)
        return parts if parts or not answer.rows else [span]

    def _ask(self, scope: str, what: str, part: _Part, split: str | None = None) -> Answer:
        """Return the answer to a question about the rows that came into a table in some time."""
        target, _, table = scope.rpartition("/")
        picked = TABLES.get(self.log_type, {}).get(table)
        lines = [
            table,
            f"where ingestion_time() >= {_text(part.start)} and ingestion_time() < {_text(part.end)}",
            f"where TimeGenerated >= {_text(part.start - self.late // timedelta(milliseconds=1))}",
            *([f"where {picked}"] if picked else []),
            *([what] if what else []),
        ]
        client = self._client()
        try:
            return ask(client, target, "\n| ".join(lines), self.per_second)
        except TooMuchError:
            raise
        except Exception as error:
            where = f"the table {table} of {target}"
            about: Any = {"source": self.name, "split": split}
            found = failure(error)
            if found and found.status == 400 and re.search(rf"resolve.*\b{table}\b", found.message):
                raise _NoTableError(f"{where} is not there ({found.said}): correct tables=", **about) from error
            raise source_error(error, where, allow=_ALLOW, **about) or error from error

    def _client(self) -> Any:
        if self.client is not None:
            return self.client
        credential = self.credential or default_credential(urlsplit(self.endpoint).hostname or "")
        return _made_client(self.endpoint, self.audience or self.endpoint, credential)

    def _too_much(self, scope: str, part: _Part, error: TooMuchError, split: str) -> SourceError:
        what = f"takes too long for {part.end - part.start} ms" if error.slow else "has more in 1 ms than is given"
        return SourceError(f"the table of {scope} {what} ({error})", source=self.name, split=split)


@functools.lru_cache(maxsize=8)
def _made_client(endpoint: str, audience: str, credential: Any) -> Any:
    """Return a client, the same one for the same credential, so that connections and tokens are kept."""
    try:
        from azure.monitor.query import LogsQueryClient
    except ImportError as error:
        raise missing_extra("azure-monitor-query") from error
    return LogsQueryClient(credential, endpoint=endpoint, audience=audience)


def _unread(scope: str, error: SourceError) -> Split:
    denied = isinstance(error, AccessDeniedError)
    return Split(f"{scope}#unread", {"scope": scope, "error": str(error), "denied": denied}, 0)


def _rows_of(part: _Part) -> str:
    """Return what picks the rows of a part within its time."""
    return "" if part.hashes == 1 else f"where hash(tostring(pack_all()), {part.hashes}) == {part.number}"


def _numbers(answer: Answer, *names: str) -> Iterator[tuple[int, ...]]:
    """Yield the named columns of an answer's rows as numbers, times in milliseconds since 1970."""
    places = {column.name: place for place, column in enumerate(answer.columns)}
    if not all(name in places for name in names):
        return
    for row in answer.rows:
        values = msgspec.json.decode(row)
        found = [values[places[name]] or 0 for name in names]
        yield tuple(_milliseconds(value) if isinstance(value, str) else int(value) for value in found)


def _milliseconds(text: str) -> int:
    return (datetime.fromisoformat(text) - _EPOCH) // timedelta(milliseconds=1)


def _text(milliseconds: int) -> str:
    when = _EPOCH + timedelta(milliseconds=milliseconds)
    return f"datetime({when.isoformat(timespec='milliseconds').replace('+00:00', 'Z')})"
