"""Findings of Security Command Center, in windows of their event time.

A finding changes: its event time moves, and only its last state can be asked for. Each state that is seen is a record,
known by the name of the finding and the event time. A detector may report an event long after it happened, and the API
has no filter for when it did: so the last day is read again each time, and what was taken of it is dropped.

The API:
https://docs.cloud.google.com/security-command-center/docs/reference/rest/v2/organizations.sources.findings/list
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
from ocsflake.sources._google import check_unread, plan_windows, rest_json, text_of
from ocsflake.sources.options import bounds, words
from ocsflake.sources.windows import Windows
from ocsflake.times import moment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ocsflake.model import Split, State

__all__ = ["SccSource"]

_RESOURCE = re.compile(r"(?:organizations|folders|projects)/[^/\s]+(?:/sources/[^/\s]+(?:/locations/[^/\s]+)?)?")
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_PERMISSION = "securitycenter.findings.list (roles/securitycenter.findingsViewer)"
_PAGE = 1000
_TIMEOUT = 60.0
_SINCE = "30d"
_WINDOWS = Windows(step=timedelta(days=1), overlap=timedelta(days=1))
_EVERY = 10  # minutes: a run that follows does not read the day again more often


@frozen(kw_only=True)
class SccSource:
    """Findings of an organization, a folder or a project, by version 2 of the API.

    Attributes:
        resource: Whose findings: ``organizations/ID``, ``folders/ID``, ``projects/ID``, or a source of one with
            ``/sources/S`` or ``/sources/S/locations/L`` behind; several, separated by commas.
        log_type: Picks the mapper.
        filter: What findings must match besides, in the language of ListFindings, such as ``severity="HIGH"``.
        since: Where to begin: an age, which counts from the first run, or a date; 30 days back if it is not given.
        until: Where to end.
        client: A `google.cloud.securitycenter_v2.SecurityCenterClient`; if it is not given, one with the credentials of
            the environment.
        name: The identity of the source; made of the log type and the resources unless it is given.
    """

    resource: tuple[str, ...] = field(converter=words)
    log_type: str = "gcp.scc"
    filter: str = ""
    since: str | datetime | None = None
    until: str | datetime | None = None
    client: Any = field(default=None, eq=False, repr=False)
    _name: str | None = field(default=None, repr=False)

    def __attrs_post_init__(self) -> None:
        """Check what can be checked without a call."""
        if not self.resource:
            raise ConfigError("resource= is empty: give organizations/ID, folders/ID or projects/ID")
        for resource in self.resource:
            if not _RESOURCE.fullmatch(resource):
                near = did_you_mean(resource, [f"organizations/{resource}"]) or "; give such as organizations/ID"
                raise ConfigError(f"{resource!r} has no findings{near}")
        for when in (self.since, self.until):
            moment(when, datetime.now(UTC))

    @property
    def name(self) -> str:
        """The identity of the source; its state is kept under it."""
        return self._name or f"gcp.scc:{self.log_type}:{','.join(self.resource)}"

    @property
    def mutable(self) -> bool:
        """Whether its records change: findings do."""
        return True

    def between(self, since: datetime | None, until: datetime | None) -> SccSource:
        """Return the same source for events from `since` on and before `until`."""
        first, last = bounds((self.since, self.until), since, until)
        return evolve(self, since=first, until=last)

    def plan(self, state: State | None, now: datetime) -> Iterator[Split]:
        """Yield the windows that are not covered yet, oldest first; see `ocsflake.sources.windows`.

        A resource that cannot be read has one split, and it is the reading of that split which fails.
        """
        until = moment(self.until, now)
        steady = now.replace(minute=now.minute // _EVERY * _EVERY, second=0, microsecond=0)
        return plan_windows(
            _WINDOWS, state, steady, since=self.since or _SINCE, until=until, scopes=self.resource, probe=self._probe
        )

    def read(self, split: Split) -> Iterator[RawBatch]:
        """Yield the findings of a window, page by page.

        Raises:
            SourceError: If they cannot be read; see `ocsflake.gcp.call`.
        """
        check_unread(split, self._probe, self.name)
        scope, start, end = split.detail["scope"], split.detail["read_from"], split.detail["end"]
        request = self._request(scope, text_of(start), text_of(end))
        origin = {"uri": f"//securitycenter.googleapis.com/{request['parent']}"}
        while True:
            found, token = self._page(request, split.id)
            if found:
                ids = [f"{each['finding'].get('name')} {each['finding'].get('eventTime')}" for each in found]
                yield RawBatch([*map(msgspec.json.encode, found)], origin, ids=ids)
            if not token:
                return
            request["page_token"] = token

    def advance(self, state: State | None, done: Sequence[Split]) -> State:
        """Return the state once the records of `done` are durable."""
        return _WINDOWS.advance(state, done)

    def forgets(self, state: State, split: Split) -> bool:
        """Return whether no window from `state` on can hold a finding as it was in `split` again."""
        return _WINDOWS.forgets(state, split)

    def _request(self, resource: str, start: str, end: str, size: int = _PAGE) -> dict[str, Any]:
        """Return what to ask for: findings whose event time is from `start` on and before `end`."""
        parts = [f'event_time>="{start}"', f'event_time<"{end}"', *([f"({self.filter})"] if self.filter else [])]
        return {
            "parent": resource if "/sources/" in resource else f"{resource}/sources/-",
            "filter": " AND ".join(parts),
            "order_by": "event_time",
            "page_size": size,
        }

    def _probe(self, resource: str) -> None:
        """Ask for one finding of the last second."""
        now = datetime.now(UTC)
        start, end = (f"{now - age:%Y-%m-%dT%H:%M:%SZ}" for age in (timedelta(seconds=1), timedelta(0)))
        self._page(self._request(resource, start, end, 1), None)

    def _page(self, request: Mapping[str, Any], split: str | None) -> tuple[list[dict[str, Any]], str]:
        client = self.client if self.client is not None else _client()

        def ask() -> tuple[list[dict[str, Any]], str]:
            page = next(iter(client.list_findings(request=dict(request), retry=None, timeout=_TIMEOUT).pages))
            found = type(page).pb(page)
            return [*map(rest_json, found.list_findings_results)], found.next_page_token

        where, who = request["parent"], gcp.principal(client)
        return gcp.call(
            ask, where=where, permission=_PERMISSION, who=who, source=self.name, split=split, hint="correct resource="
        )


@functools.cache
def _client() -> Any:
    """Return a client with the credentials of the environment."""
    try:
        from google.cloud import securitycenter_v2
    except ImportError as error:
        raise gcp.missing("google-cloud-securitycenter") from error
    return securitycenter_v2.SecurityCenterClient(credentials=gcp.default_credentials((_SCOPE,)))
