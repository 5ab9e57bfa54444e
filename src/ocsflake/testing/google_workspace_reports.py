"""A stand-in for the activity reports of Google Workspace (Admin SDK), over HTTP, with OAuth tokens.

An `google.auth.transport.requests.AuthorizedSession` talks to it over loopback.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from attrs import define, field

from ocsflake.testing._google_api import Refused, json_api

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["ReportsServer", "reports_server"]

_PATH = "/admin/reports/v1/activity/users/all/applications/"
_MOST = 1000


@define
class ReportsServer:
    """A running stand-in.

    Attributes:
        url: Where it listens.
        activities: What it has, as the API writes it; a test adds to it.
        denied: Applications whose reports the caller may not read.
        requests: What was asked so far: the application, and the parameters.
        tokens: The OAuth tokens that are valid; with none, requests need no token. ``/token`` issues another one.
    """

    url: str = ""
    activities: list[dict[str, Any]] = field(factory=list)
    denied: set[str] = field(factory=set)
    requests: list[tuple[str, dict[str, str]]] = field(factory=list)
    tokens: set[str] = field(factory=set, repr=False)
    _faults: dict[int, str] = field(factory=dict)
    _lock: Any = field(factory=threading.Lock, repr=False)

    def fail(self, code: str, numbers: Iterable[int] = (1,)) -> None:
        """Fail requests that are to come, 1 being the next one.

        Args:
            code: Of gRPC, such as ``RESOURCE_EXHAUSTED``; ``RESET`` closes the connection, ``CUT`` does so amid the
                answer.
            numbers: Which requests.
        """
        with self._lock:
            self._faults |= {len(self.requests) + number: code for number in numbers}

    def session(self, credentials: Any = None) -> Any:
        """Return a session for it; with credentials that have nothing to tell, unless some are given."""
        from google.auth.credentials import AnonymousCredentials
        from google.auth.transport.requests import AuthorizedSession

        return AuthorizedSession(credentials or AnonymousCredentials())

    def came(self, path: str, query: str, _body: bytes) -> tuple[str, float]:
        """Note a request, and return how it is to fail."""
        with self._lock:
            self.requests.append((path.removeprefix(_PATH), _parameters(query)))
            return self._faults.pop(len(self.requests), ""), 0

    def answer(self, path: str, query: str, _body: bytes) -> dict[str, Any]:
        """Return a page of activities, the latest first.

        Raises:
            Refused: If the API would not give one.
        """
        application, asked = path.removeprefix(_PATH), _parameters(query)
        if not path.startswith(_PATH):
            raise Refused("NOT_FOUND", f"the stand-in has no {path}")
        if application in self.denied:
            raise Refused("PERMISSION_DENIED", "Access denied. You are not authorized to read activity records.")
        start, end = (datetime.fromisoformat(asked[name]) for name in ("startTime", "endTime"))
        size = int(asked.get("maxResults", _MOST))
        if start >= end or not 1 <= size <= _MOST:
            raise Refused("INVALID_ARGUMENT", "startTime must be before endTime, maxResults from 1 to 1000")
        found = [
            activity
            for activity in self.activities
            if activity["id"]["applicationName"] == application
            and start <= datetime.fromisoformat(activity["id"]["time"]) <= end
        ]
        found.sort(key=lambda activity: str(activity["id"]["time"]), reverse=True)
        first = int(asked.get("pageToken", 0))
        more = {"nextPageToken": str(first + size)} if first + size < len(found) else {}
        page = {"items": found[first : first + size]} if found else {}
        return {"kind": "admin#reports#activities", **page, **more}


@contextmanager
def reports_server() -> Iterator[ReportsServer]:
    """Run the stand-in on a free port of loopback."""
    server = ReportsServer()
    with json_api(server.answer, server.came, server.tokens) as url:
        server.url = url
        yield server


def _parameters(query: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(query).items()}
