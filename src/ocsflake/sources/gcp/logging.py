"""Log entries from the API of Cloud Logging, in windows of the time at which they were received.

Entries are asked for over HTTP and stay the JSON that the API gives: nanoseconds, 64-bit numbers as text, and payloads
of types that no library here knows. gRPC is there for those who must use it; it costs several times the CPU.

The API: https://docs.cloud.google.com/logging/docs/reference/v2/rest/v2/entries/list, the language of filters:
https://docs.cloud.google.com/logging/docs/view/logging-query-language, quotas:
https://docs.cloud.google.com/logging/quotas
"""

from __future__ import annotations

import functools
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
from attrs import evolve, field, frozen

from ocsflake import gcp
from ocsflake.errors import ConfigError, did_you_mean
from ocsflake.model import RawBatch
from ocsflake.sources._google import LOGS, check_unread, entry_id, plan_windows, rest_json, text_of
from ocsflake.sources.limits import limiter
from ocsflake.sources.options import bounds, words
from ocsflake.sources.windows import Windows
from ocsflake.times import moment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ocsflake.model import Split, State

__all__ = ["LoggingSource"]

_HOLDER = r"(projects|folders|organizations|billingAccounts)/[^/\s]+"
_RESOURCE = re.compile(rf"{_HOLDER}(/locations/[^/\s]+/buckets/[^/\s]+/views/[^/\s]+)?")
_SCOPE = "https://www.googleapis.com/auth/logging.read"
_PAGE = 1000
_TIMEOUT = 120.0
_PERMISSION = (
    "logging.logEntries.list (roles/logging.viewer), for Data Access logs logging.privateLogEntries.list"
    " (roles/logging.privateLogViewer), for a view logging.views.access"
)
_SINCE = "7d"
_WINDOWS = Windows(step=timedelta(hours=12))
_LATE = timedelta(days=30)
"""How much later than its own time an entry may be received and still be found; log buckets take none that is older."""
_EARLY = timedelta(days=1)
"""How far in the future the time of an entry may be; the API takes none beyond."""
_BYTES_A_SECOND = 800  # a guess, since nobody knows before: so a backlog is committed a day or so at a time
_GKE = 'protoPayload.serviceName=("k8s.io" OR "container.googleapis.com")'


class _Page(msgspec.Struct):
    entries: list[msgspec.Raw] = []
    token: str = msgspec.field(name="nextPageToken", default="")


_DECODER = msgspec.json.Decoder(_Page)


@frozen(kw_only=True)
class LoggingSource:
    """Entries of the logs of one log type, from projects, folders, organizations, billing accounts or views.

    Attributes:
        log_type: Picks the mapper and the logs, such as ``gcp.audit``.
        resource: Whose logs: ``projects/ID``, ``folders/ID``, ``organizations/ID``, ``billingAccounts/ID`` or the view
            ``projects/ID/locations/L/buckets/B/views/V``; several, separated by commas. A folder or an organization is
            its own logs only, not those of the projects within.
        filter: What entries must match besides, in the language of Logging queries.
        since: Where to begin: an age, which counts from the first run, or a date; seven days back if it is not given.
        until: Where to end; entries that are received up to a day later are still read.
        transport: ``json``, or ``grpc``.
        requests_per_minute: How many calls to make at most; Google allows 60 a project, all readers together.
        client: A `google.cloud.logging.Client`, or for gRPC a ``LoggingServiceV2Client``; if it is not given, one with
            the credentials of the environment.
        name: The identity of the source; made of the log type and the resources unless it is given.
    """

    log_type: str
    resource: tuple[str, ...] = field(converter=words)
    filter: str = ""
    since: str | datetime | None = None
    until: str | datetime | None = None
    transport: str = "json"
    requests_per_minute: float = field(default=60.0, converter=float)
    client: Any = field(default=None, eq=False, repr=False)
    _name: str | None = field(default=None, repr=False)

    def __attrs_post_init__(self) -> None:
        """Check what can be checked without a call."""
        if not self.resource:
            raise ConfigError("resource= is empty: give projects/ID, folders/ID, organizations/ID or the like")
        for resource in self.resource:
            if not _RESOURCE.fullmatch(resource):
                near = did_you_mean(resource, [f"projects/{resource}"]) or "; give such as projects/ID"
                raise ConfigError(f"{resource!r} is no resource of Cloud Logging{near}")
        if self.log_type not in LOGS and not self.filter:
            known = did_you_mean(self.log_type, LOGS)
            raise ConfigError(f"no log of Cloud Logging is known for {self.log_type!r}{known}: say which with filter=")
        if self.transport not in {"json", "grpc"}:
            raise ConfigError(f"transport={self.transport!r} is neither json nor grpc")
        for when in (self.since, self.until):
            moment(when, datetime.now(UTC))

    @property
    def name(self) -> str:
        """The identity of the source; its state is kept under it."""
        return self._name or f"gcp.logging:{self.log_type}:{','.join(self.resource)}"

    def between(self, since: datetime | None, until: datetime | None) -> LoggingSource:
        """Return the same source for events from `since` on and before `until`."""
        first, last = bounds((self.since, self.until), since, until)
        return evolve(self, since=first, until=last)

    def plan(self, state: State | None, now: datetime) -> Iterator[Split]:
        """Yield the windows that are not covered yet, oldest first; see `ocsflake.sources.windows`.

        A resource that cannot be read has one split, and it is the reading of that split which fails.
        """
        until = moment(self.until, now)
        last = None if until is None else until + _EARLY
        windows = plan_windows(
            _WINDOWS, state, now, since=self.since or _SINCE, until=last, scopes=self.resource, probe=self._probe
        )
        for split in windows:
            seconds = (split.detail.get("end", 0) - split.detail.get("start", 0)) // 1000
            yield evolve(split, bytes=seconds * _BYTES_A_SECOND)

    def read(self, split: Split) -> Iterator[RawBatch]:
        """Yield the entries of a window, page by page; each has its log, time and ``insertId`` for an id.

        Raises:
            SourceError: If they cannot be read; see `ocsflake.gcp.call`.
        """
        check_unread(split, self._probe, self.name)
        detail = split.detail
        scope = detail["scope"]
        origin = {"uri": f"//logging.googleapis.com/{scope}"}
        if scope.startswith("projects/"):
            origin["account"] = scope.split("/")[1]
        request = self._request(scope, text_of(detail["read_from"]), text_of(detail["end"]))
        while True:
            page = self._page(request, split.id)
            if page.entries:
                yield RawBatch([bytes(entry) for entry in page.entries], origin, ids=[*map(entry_id, page.entries)])
            if not page.token:
                return
            request["pageToken"] = page.token

    def advance(self, state: State | None, done: Sequence[Split]) -> State:
        """Return the state once the records of `done` are durable."""
        return _WINDOWS.advance(state, done)

    def forgets(self, state: State, split: Split) -> bool:
        """Return whether no window from `state` on can hold an entry of `split` again."""
        return _WINDOWS.forgets(state, split)

    def _request(self, resource: str, start: str, end: str, size: int = _PAGE) -> dict[str, Any]:
        """Return what to ask for: what was received from `start` on and before `end`."""
        first, last = datetime.fromisoformat(start) - _LATE, datetime.fromisoformat(end) + _EARLY
        parts = [
            # Entries are stored by their time: without a bound of it each query would go through all of them.
            f'timestamp>="{first:%Y-%m-%dT%H:%M:%SZ}"',
            f'timestamp<="{last:%Y-%m-%dT%H:%M:%SZ}"',
            f'receiveTimestamp>="{start}"',
            f'receiveTimestamp<"{end}"',
        ]
        if logs := LOGS.get(self.log_type):
            parts.append(f"({' OR '.join(f'log_id({msgspec.json.encode(log).decode()})' for log in logs)})")
        if self.log_type == "gcp.gke_audit":
            parts.append(_GKE)
        if self.filter:
            parts.append(f"({self.filter})")
        return {
            "resourceNames": [resource],
            "filter": " AND ".join(parts),
            "orderBy": "timestamp asc",
            "pageSize": size,
        }

    def _probe(self, resource: str) -> None:
        """Ask for one entry of the last second."""
        now = datetime.now(UTC)
        start, end = (f"{now - age:%Y-%m-%dT%H:%M:%SZ}" for age in (timedelta(seconds=1), timedelta(0)))
        self._page(self._request(resource, start, end, 1), None)

    def _page(self, request: Mapping[str, Any], split: str | None) -> _Page:
        client = self.client if self.client is not None else _client(self._project())
        quota = limiter("logging.entries.list", gcp.quota_project(client), self.requests_per_minute / 60)
        over_grpc = self.transport == "grpc" or hasattr(client, "list_log_entries")

        def ask() -> _Page:
            quota.wait()
            return _grpc_page(client, request) if over_grpc else _json_page(client, request)

        return gcp.call(
            ask,
            where=request["resourceNames"][0],
            permission=_PERMISSION,
            who=gcp.principal(client),
            source=self.name,
            split=split,
            hint="correct resource=",
        )

    def _project(self) -> str | None:
        """Return the first project among the resources: a client wants one."""
        return next((resource.split("/")[1] for resource in self.resource if resource.startswith("projects/")), None)


def _json_page(client: Any, request: Mapping[str, Any]) -> _Page:
    """Return a page as the HTTP API gives it, by the session, the credentials and the endpoint of the client."""
    from google.api_core.exceptions import BadGateway

    connection = client._connection
    endpoint = connection.API_BASE_URL
    content = connection.api_request(
        method="POST",
        path="/entries:list",
        data=dict(request),
        api_base_url=endpoint if "://" in endpoint else f"https://{endpoint}",
        expect_json=False,
        timeout=_TIMEOUT,
    )
    try:
        return _DECODER.decode(content)
    except msgspec.DecodeError as error:
        raise BadGateway(f"the answer is no page of entries: {error}") from error


def _grpc_page(client: Any, request: Mapping[str, Any]) -> _Page:
    """Return the same page by way of gRPC."""
    from google.cloud.logging_v2.types import ListLogEntriesRequest, ListLogEntriesResponse

    service = client if hasattr(client, "list_log_entries") else getattr(client.logging_api, "_gapic_api", None)
    if service is None:
        raise ConfigError("this client was made without gRPC: leave transport= away, or make it with _use_grpc=True")
    asked = ListLogEntriesRequest(
        resource_names=request["resourceNames"],
        filter=request["filter"],
        order_by=request["orderBy"],
        page_size=request["pageSize"],
        page_token=request.get("pageToken", ""),
    )
    answer = service.list_log_entries(request=asked, retry=None, timeout=_TIMEOUT)
    page = ListLogEntriesResponse.pb(next(iter(answer.pages)))
    entries = [msgspec.Raw(msgspec.json.encode(_entry(entry))) for entry in page.entries]
    return _Page(entries, page.next_page_token)


def _entry(message: Any) -> dict[str, Any]:
    """Return an entry as the HTTP API has it; a payload of a type that is not known here stays as it is, in base64."""
    import google.cloud.audit.audit_log_pb2
    import google.iam.v1.logging.audit_data_pb2
    import google.rpc.error_details_pb2  # noqa: F401 - a type is known once it is imported

    try:
        return rest_json(message)
    except TypeError:
        payload = message.proto_payload
        rest = type(message)()
        rest.CopyFrom(message)
        rest.ClearField("proto_payload")
        return {**rest_json(rest), "protoPayload": {"@type": payload.type_url, "value": payload.value}}


@functools.cache
def _client(project: str | None) -> Any:
    """Return a client with the credentials of the environment."""
    try:
        from google.cloud import logging
    except ImportError as error:
        raise gcp.missing("google-cloud-logging") from error
    credentials = gcp.default_credentials((_SCOPE,))
    try:
        return logging.Client(project=project, credentials=credentials, client_options={"scopes": [_SCOPE]})
    except OSError as error:
        raise ConfigError("no project is known to make the calls for: set GOOGLE_CLOUD_PROJECT") from error
