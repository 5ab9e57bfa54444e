"""Activity reports of Google Workspace: every activity once, however late its report is."""

from __future__ import annotations

import json
import pickle
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from gcp_entries import NOW, CrashError, Crashing, rows, run, sample

import ocsflake
from ocsflake.errors import AccessDeniedError, ConfigError, SourceError
from ocsflake.sources.google_workspace.reports import APPLICATIONS
from ocsflake.testing.google_workspace_reports import ReportsServer, reports_server

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

NOON = NOW.replace(minute=0)


@pytest.fixture(scope="module")
def server_of_module() -> Iterator[ReportsServer]:
    with reports_server() as server:
        yield server


@pytest.fixture
def server(server_of_module: ReportsServer) -> ReportsServer:
    """A stand-in without activities, to which nothing happened yet."""
    for things in (server_of_module.activities, server_of_module.denied, server_of_module.requests):
        things.clear()
    server_of_module.tokens.clear()
    return server_of_module


def activity(number: int, minutes: float = 30, application: str = "login") -> dict[str, Any]:
    """Return an activity of some minutes before noon."""
    when = NOON - timedelta(minutes=minutes)
    return {
        "kind": "admin#reports#activity",
        "id": {
            "time": f"{when:%Y-%m-%dT%H:%M:%S}.123Z",
            "uniqueQualifier": str(-9007199254740993 - number),
            "applicationName": application,
            "customerId": "C00examp1",
        },
        "actor": {"callerType": "USER", "email": "ana@example.com", "profileId": "110000000000000000011"},
        "ipAddress": "192.0.2.7",
        "events": [{"type": "login", "name": "login_success"}],
    }


def uids(numbers: Iterable[int]) -> dict[str, int]:
    return {f"{-9007199254740993 - number}/login_success": 1 for number in numbers}


def source(server: ReportsServer, **options: Any) -> Any:
    given = {"applications": "login", "since": "1d", "endpoint": server.url, "session": server.session()} | options
    return ocsflake.source("google_workspace.reports", log_type="google_workspace.activity", **given)


def test_events(server: ReportsServer, tmp_path: Path) -> None:
    """Activities of the API become the events that the same activities in a file become."""
    server.activities += sample("google_workspace.activity", "activities.jsonl")
    applications = sorted({each["id"]["applicationName"] for each in server.activities})
    (tmp_path / "activities.jsonl").write_text("\n".join(map(json.dumps, server.activities)))
    given = source(server, applications=applications, since="2026-11-01")

    found, expected = (
        {
            name: sorted((each["time"], each["metadata"]["uid"], each["type_uid"]) for each in table.to_pylist())
            for name, table in ocsflake.read(each).items()
        }
        for each in (given, ocsflake.source("files", log_type="google_workspace.activity", uri=str(tmp_path)))
    )

    assert found == expected


def test_second_run(server: ReportsServer, tmp_path: Path) -> None:
    """A second run writes nothing; activities come in pages of 1000, and signed 64-bit ids keep their value."""
    server.activities += [activity(number, 5) for number in range(1100)]
    given = source(server)

    assert [run(given, tmp_path).counts.written for _ in range(2)] == [1100, 0]
    assert rows(tmp_path) == uids(range(1100))


def test_late(server: ReportsServer, tmp_path: Path) -> None:
    """A report that comes hours late is read once, and so is one on the edge of two windows."""
    server.activities += [activity(1), activity(2, 0)]
    given = source(server)
    run(given, tmp_path, NOW + timedelta(minutes=10))
    server.activities += [activity(3, 5 * 60), activity(4, 11)]

    report = run(given, tmp_path, NOW + timedelta(minutes=30))

    assert rows(tmp_path) == uids(range(1, 5))
    assert (report.counts.written, report.counts.duplicates) == (2, 2)
    assert run(given, tmp_path, NOW + timedelta(minutes=37)).counts.records == 0


@pytest.mark.parametrize("saves", [1, 2])
def test_crash(server: ReportsServer, tmp_path: Path, saves: int) -> None:
    """A crash after the intent, or after all was published, doubles and loses nothing, even if more came since."""
    server.activities += map(activity, range(10))
    checkpoints = Crashing(saves)
    with pytest.raises(CrashError):
        run(source(server), tmp_path, checkpoints=checkpoints)
    server.activities += [activity(11), activity(12)]

    run(source(server), tmp_path, NOW + timedelta(minutes=20), checkpoints=checkpoints)

    assert rows(tmp_path) == uids([*range(10), 11, 12])


@pytest.mark.parametrize("code", ["CUT", "INTERNAL", "RESET", "RESOURCE_EXHAUSTED", "UNAVAILABLE"])
def test_once(server: ReportsServer, tmp_path: Path, code: str) -> None:
    """Whatever call fails once is made again, and no other."""
    server.activities += [activity(number, 5) for number in range(1100)]
    server.fail(code, [1, 5])

    assert run(source(server), tmp_path).counts.written == 1100
    assert [asked.get("pageToken") for _, asked in server.requests] == [None, None, None, None, "1000", "1000"]


def test_expired_token(server: ReportsServer, tmp_path: Path) -> None:
    """A token that is no longer valid is renewed amid a run."""
    from google.oauth2.credentials import Credentials

    server.activities.append(activity(1))
    server.tokens.add("another")
    about = {"refresh_token": "r", "token_uri": f"{server.url}/token", "client_id": "c", "client_secret": "s"}
    credentials = Credentials("stale", **about)

    assert run(source(server, session=server.session(credentials)), tmp_path).counts.written == 1


def test_denied(server: ReportsServer, tmp_path: Path) -> None:
    """An application without permission is reported once, does not stop the others, and is read when it is allowed."""
    server.activities += [activity(1), activity(2, application="drive")]
    server.denied.add("drive")
    given = source(server, applications="drive, login", subject="admin@example.com")

    report = run(given, tmp_path)

    [failure] = report.sources[0].failures
    assert failure.split == "drive#unread"
    assert "admin@example.com may not read it (FORBIDDEN: Access denied" in failure.error
    assert "admin.reports.audit.readonly, to an administrator" in failure.error
    assert rows(tmp_path) == uids([1])
    with pytest.raises(AccessDeniedError):
        list(given.read(next(given.plan(None, NOW))))
    server.denied.clear()
    run(given, tmp_path)
    assert rows(tmp_path) == uids([1, 2])


def test_readable_again(server: ReportsServer) -> None:
    """What could not be read when it was planned, and can be now, is left for the next run."""
    server.denied.add("login")
    given = source(server)
    [split] = given.plan(None, NOW)
    server.denied.clear()

    with pytest.raises(SourceError, match="login can be read now: run again"):
        list(given.read(split))


def test_options(server: ReportsServer) -> None:
    """A customer is asked for where one is given, and applications about security where none are."""
    asked = source(server, customer="C1", applications=APPLICATIONS, until="2026-11-17T06:00")

    assert asked.name == "google_workspace.reports:google_workspace.activity:C1"
    assert [split.detail["scope"] for split in asked.plan(None, NOW) if split.id.endswith("17T06:00:00.000Z)")] == [
        *APPLICATIONS
    ]
    assert {parameters["customerId"] for _, parameters in server.requests} == {"C1"}
    with pytest.raises(ConfigError, match="'log in' is no application"):
        source(server, applications="log in")
    assert pickle.loads(pickle.dumps(source(server, session=None))) == source(server)
