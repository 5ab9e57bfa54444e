"""Activity reports of Google Workspace, from the Admin SDK, in windows of the time of the activity.

The reports of some applications come hours late, and the API has no filter for when they came: so the last hours are
read again each time, and what was taken of them is dropped.

The API: https://developers.google.com/workspace/admin/reports/v1/reference/activities/list, how late reports are:
https://support.google.com/a/answer/7061566
"""

from __future__ import annotations

import functools
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
from attrs import evolve, field, frozen

from ocsflake import gcp
from ocsflake.errors import ConfigError
from ocsflake.model import RawBatch
from ocsflake.sources._google import check_unread, plan_windows, text_of
from ocsflake.sources.options import bounds, words
from ocsflake.sources.windows import Windows
from ocsflake.times import moment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ocsflake.model import Split, State

__all__ = ["APPLICATIONS", "ReportsSource"]

APPLICATIONS = (
    "admin",
    "context_aware_access",
    "drive",
    "groups",
    "groups_enterprise",
    "login",
    "mobile",
    "rules",
    "saml",
    "token",
    "user_accounts",
)
"""The applications whose activity is about security, as the API names them."""

_SCOPE = "https://www.googleapis.com/auth/admin.reports.audit.readonly"
_PERMISSION = f"the scope {_SCOPE}, to an administrator with the privilege Reports"
_APPLICATION = re.compile(r"[a-z_]+")
_PAGE = 1000
_TIMEOUT = 60.0
_SINCE = "1d"
_WINDOWS = Windows(step=timedelta(days=1), overlap=timedelta(hours=6))
_EVERY = 10  # minutes: a run that follows does not read the last hours again more often


class _Id(msgspec.Struct):
    time: str = ""
    qualifier: str | int = msgspec.field(name="uniqueQualifier", default="")
    application: str = msgspec.field(name="applicationName", default="")
    customer: str = msgspec.field(name="customerId", default="")


class _Activity(msgspec.Struct):
    id: _Id


class _Page(msgspec.Struct):
    items: list[msgspec.Raw] = []
    token: str = msgspec.field(name="nextPageToken", default="")


_DECODER = msgspec.json.Decoder(_Page)
_ACTIVITY = msgspec.json.Decoder(_Activity)


@frozen(kw_only=True)
class ReportsSource:
    """Activities of all users in the applications of Google Workspace.

    Attributes:
        log_type: Picks the mapper.
        applications: Such as ``login,admin``; those that are about security if none are given.
        customer: The id of a customer, where it is not that of the administrator.
        subject: The administrator to act as, whom a service account with domain-wide delegation stands for.
        since: Where to begin: an age, which counts from the first run, or a date; a day back if it is not given.
            Reports are kept for 180 days.
        until: Where to end.
        endpoint: Where the API is.
        session: A `google.auth.transport.requests.AuthorizedSession`; if it is not given, one with the credentials of
            the environment.
        name: The identity of the source; made of the log type and the customer unless it is given.
    """

    log_type: str = "google_workspace.activity"
    applications: tuple[str, ...] = field(default=APPLICATIONS, converter=words)
    customer: str = ""
    subject: str = ""
    since: str | datetime | None = None
    until: str | datetime | None = None
    endpoint: str = "https://admin.googleapis.com"
    session: Any = field(default=None, eq=False, repr=False)
    _name: str | None = field(default=None, repr=False)

    def __attrs_post_init__(self) -> None:
        """Check what can be checked without a call."""
        for application in self.applications:
            if not _APPLICATION.fullmatch(application):
                raise ConfigError(f"{application!r} is no application: give such as login")
        for when in (self.since, self.until):
            moment(when, datetime.now(UTC))

    @property
    def name(self) -> str:
        """The identity of the source; its state is kept under it."""
        return self._name or f"google_workspace.reports:{self.log_type}:{self.customer or 'my_customer'}"

    def between(self, since: datetime | None, until: datetime | None) -> ReportsSource:
        """Return the same source for events from `since` on and before `until`."""
        first, last = bounds((self.since, self.until), since, until)
        return evolve(self, since=first, until=last)

    def plan(self, state: State | None, now: datetime) -> Iterator[Split]:
        """Yield the windows that are not covered yet, oldest first; see `ocsflake.sources.windows`.

        An application that cannot be read has one split, and it is the reading of that split which fails.
        """
        until = moment(self.until, now)
        steady = now.replace(minute=now.minute // _EVERY * _EVERY, second=0, microsecond=0)
        return plan_windows(
            _WINDOWS,
            state,
            steady,
            since=self.since or _SINCE,
            until=until,
            scopes=self.applications,
            probe=self._probe,
        )

    def read(self, split: Split) -> Iterator[RawBatch]:
        """Yield the activities of a window, page by page.

        Raises:
            SourceError: If they cannot be read; see `ocsflake.gcp.call`.
        """
        check_unread(split, self._probe, self.name)
        application, start, end = split.detail["scope"], split.detail["read_from"], split.detail["end"]
        # Whether the end is included is not said; what lies on it is dropped if it comes again.
        request = {"startTime": text_of(start), "endTime": text_of(end), "maxResults": str(_PAGE)}
        origin = {"uri": f"//admin.googleapis.com/{_path(application)}"}
        while True:
            page = self._page(application, request, split.id)
            if page.items:
                yield RawBatch([bytes(item) for item in page.items], origin, ids=[*map(_activity_id, page.items)])
            if not page.token:
                return
            request["pageToken"] = page.token

    def advance(self, state: State | None, done: Sequence[Split]) -> State:
        """Return the state once the records of `done` are durable."""
        return _WINDOWS.advance(state, done)

    def forgets(self, state: State, split: Split) -> bool:
        """Return whether no window from `state` on can hold an activity of `split` again."""
        return _WINDOWS.forgets(state, split)

    def _probe(self, application: str) -> None:
        """Ask for one activity of a second that is over."""
        end = datetime.now(UTC) - timedelta(minutes=1)
        start, end_text = (f"{when:%Y-%m-%dT%H:%M:%SZ}" for when in (end - timedelta(seconds=1), end))
        self._page(application, {"startTime": start, "endTime": end_text, "maxResults": "1"}, None)

    def _page(self, application: str, request: Mapping[str, str], split: str | None) -> _Page:
        session = self.session if self.session is not None else _session(self.subject)
        url = f"{self.endpoint.rstrip('/')}/{_path(application)}"
        parameters = {**request, **({"customerId": self.customer} if self.customer else {})}

        def ask() -> _Page:
            from google.api_core.exceptions import BadGateway, from_http_response

            response = session.get(url, params=parameters, timeout=_TIMEOUT)
            if not response.ok:
                raise from_http_response(response)
            try:
                return _DECODER.decode(response.content)
            except msgspec.DecodeError as error:
                raise BadGateway(f"the answer is no page of activities: {error}") from error

        return gcp.call(
            ask,
            where=f"reports of {application}",
            permission=_PERMISSION,
            who=self.subject or gcp.principal(session),
            source=self.name,
            split=split,
            hint="correct applications= or customer=",
        )


def _path(application: str) -> str:
    return f"admin/reports/v1/activity/users/all/applications/{application}"


def _activity_id(item: msgspec.Raw) -> str:
    try:
        found = _ACTIVITY.decode(item).id
    except msgspec.DecodeError:
        return bytes(item).hex()
    return f"{found.customer} {found.application} {found.time} {found.qualifier}"


@functools.cache
def _session(subject: str) -> Any:
    """Return a session with the credentials of the environment, which act as an administrator."""
    credentials = gcp.default_credentials((_SCOPE,))
    if subject:
        if not hasattr(credentials, "with_subject"):
            raise ConfigError("subject= takes the key of a service account (GOOGLE_APPLICATION_CREDENTIALS)")
        credentials = credentials.with_subject(subject)
    from google.auth.transport.requests import AuthorizedSession

    return AuthorizedSession(credentials)
