"""Security Command Center: every state of every finding that is seen, once."""

from __future__ import annotations

import json
import pickle
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from gcp_entries import NOW, CrashError, Crashing, run, sample, text

import ocsflake
from ocsflake.errors import AccessDeniedError, ConfigError
from ocsflake.testing.gcp_scc import SccServer, scc_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOON = NOW.replace(minute=0)


@pytest.fixture(scope="module")
def server_of_module() -> Iterator[SccServer]:
    with scc_server() as server:
        yield server


@pytest.fixture
def server(server_of_module: SccServer) -> SccServer:
    """A stand-in without findings, to which nothing happened yet."""
    for things in (server_of_module.findings, server_of_module.denied, server_of_module.requests):
        things.clear()
    return server_of_module


def finding(number: int, minutes: float = 30, organization: str = "1", **changes: Any) -> dict[str, Any]:
    """Return a finding of some minutes before noon."""
    name = f"organizations/{organization}/sources/7/locations/global/findings/f{number}"
    about = {
        "name": name,
        "parent": name.partition("/findings")[0],
        "state": "ACTIVE",
        "category": "Persistence",
        "findingClass": "THREAT",
        "severity": "HIGH",
        "eventTime": text(NOON - timedelta(minutes=minutes)),
        "createTime": text(NOON - timedelta(minutes=minutes)),
        **changes,
    }
    return {"finding": about, "resource": {"name": "//x", "type": "google.cloud.Project"}}


def source(server: SccServer, **options: Any) -> Any:
    given = {"resource": "organizations/1", "since": "3d", "client": server.client()} | options
    return ocsflake.source("gcp.scc", log_type="gcp.scc", **given)


def states(root: Path) -> list[tuple[str, str]]:
    """Return the last part of the name, and the status, of all findings of a lake."""
    found = ocsflake.Lake(root).query("SELECT finding_info.uid AS uid, status FROM detection_finding ORDER BY ALL")
    return [(row["uid"].rpartition("/")[2], row["status"]) for row in found.to_pylist()]


def test_events(server: SccServer, tmp_path: Path) -> None:
    """Findings of the API become the events that the same findings in a file become."""
    server.put(*({key: each[key] for key in ("finding", "resource") if key in each} for each in sample("gcp.scc")))
    mine = [each for name, each in server.findings.items() if name.startswith("organizations/271828182845/")]
    (tmp_path / "findings.json").write_text(json.dumps({"listFindingsResults": mine}))
    given = source(server, resource="organizations/271828182845", since="2026-01-01")

    found, expected = (
        {
            name: sorted((e["metadata"]["uid"], e["time"], e["severity"], e["status"]) for e in table.to_pylist())
            for name, table in ocsflake.read(each).items()
        }
        for each in (given, ocsflake.source("files", log_type="gcp.scc", uri=str(tmp_path)))
    )

    assert found == expected
    assert sum(map(len, found.values())) == len(mine) > 5


def test_second_run(server: SccServer, tmp_path: Path) -> None:
    """A second run writes nothing, and findings come in pages of 1000."""
    server.put(*(finding(number, 5 + number) for number in range(1100)))
    given = source(server)

    assert [run(given, tmp_path).counts.written for _ in range(2)] == [1100, 0]
    assert {request["pageSize"] for request in server.requests} == {1, 1000}


def test_changes_and_late(server: SccServer, tmp_path: Path) -> None:
    """Each state of a finding is an event; a finding that comes hours after its event is one, and is so once."""
    server.put(finding(1), finding(2))
    given = source(server)
    run(given, tmp_path)
    server.put(finding(1, -5, state="INACTIVE"), finding(3, 8 * 60))

    report = run(given, tmp_path, NOW + timedelta(minutes=20))

    assert report.counts.written == 2
    assert states(tmp_path) == [("f1", "New"), ("f1", "Resolved"), ("f2", "New"), ("f3", "New")]
    assert run(given, tmp_path, NOW + timedelta(minutes=40)).counts.written == 0


def test_following(server: SccServer) -> None:
    """Runs of the same ten minutes ask for nothing new."""
    given = source(server)
    state = given.advance(None, list(given.plan(None, NOW)))

    assert list(given.plan(state, NOW + timedelta(minutes=7))) == []
    assert len(list(given.plan(state, NOW + timedelta(minutes=8)))) == 1


@pytest.mark.parametrize("saves", [1, 2])
def test_crash(server: SccServer, tmp_path: Path, saves: int) -> None:
    """A crash after the intent, or after all was published, doubles and loses no state that can still be asked for."""
    server.put(*map(finding, range(10)))
    checkpoints = Crashing(saves)
    with pytest.raises(CrashError):
        run(source(server), tmp_path, checkpoints=checkpoints)
    server.put(finding(3, -5, state="INACTIVE"), finding(11))

    run(source(server), tmp_path, NOW + timedelta(minutes=20), checkpoints=checkpoints)

    uids = [uid for uid, _ in states(tmp_path)]
    assert set(uids) == {f"f{number}" for number in (*range(10), 11)}
    assert [uids.count(uid) for uid in ("f2", "f3")] == [1, saves]  # before it was published, its old state was gone
    assert ("f3", "Resolved") in states(tmp_path)


@pytest.mark.parametrize("code", ["ABORTED", "INTERNAL", "RESOURCE_EXHAUSTED", "UNAVAILABLE"])
def test_once(server: SccServer, tmp_path: Path, code: str) -> None:
    """Whatever call fails once is made again, and no other."""
    server.put(*(finding(number, 5) for number in range(1100)))
    server.fail(code, [1, 7])

    assert run(source(server), tmp_path).counts.written == 1100
    assert [request.get("pageToken") for request in server.requests] == [None] * 6 + ["1000", "1000"]


def test_denied(server: SccServer, tmp_path: Path) -> None:
    """A resource without permission is reported once, does not stop the others, and is read when it is allowed."""
    server.put(finding(1), finding(2, organization="2"))
    server.denied.add("organizations/2")
    given = source(server, resource="organizations/2, organizations/1")

    report = run(given, tmp_path)

    [failure] = report.sources[0].failures
    assert failure.split == "organizations/2#unread"
    assert "allow securitycenter.findings.list" in failure.error
    assert [uid for uid, _ in states(tmp_path)] == ["f1"]
    with pytest.raises(AccessDeniedError):
        list(given.read(next(given.plan(None, NOW))))
    server.denied.clear()
    run(given, tmp_path)
    assert [uid for uid, _ in states(tmp_path)] == ["f1", "f2"]


def test_filter(server: SccServer) -> None:
    """A filter adds to that of the window."""
    server.put(finding(1), finding(2, severity="LOW"))

    [table] = ocsflake.read(source(server, since="2026-11-01", filter='severity="LOW"')).values()

    assert [each["uid"].rpartition("/")[2] for each in table["finding_info"].to_pylist()] == ["f2"]


def test_bounds(server: SccServer) -> None:
    """A run of some days asks for no others."""
    bounds = (datetime.fromisoformat("2026-11-10T12:00Z"), datetime.fromisoformat("2026-11-12T00:00Z"))

    splits = list(source(server, since=None).between(*bounds).plan(None, NOW))

    assert [split.id for split in splits] == [
        "organizations/1[2026-11-10T12:00:00.000Z/2026-11-11T00:00:00.000Z)",
        "organizations/1[2026-11-11T00:00:00.000Z/2026-11-12T00:00:00.000Z)",
    ]


@pytest.mark.parametrize(
    ("resource", "message"),
    [
        ("", "resource= is empty"),
        ("271828182845", "'271828182845' has no findings"),
        ("projects/p/x", "has no findings"),
    ],
)
def test_wrong(resource: str, message: str) -> None:
    """What is wrong is said when the source is made."""
    with pytest.raises(ConfigError, match=message):
        ocsflake.source("gcp.scc", log_type="gcp.scc", resource=resource)


def test_parents(server: SccServer) -> None:
    """All sources of a resource are asked, or the one that is named."""
    for resource in ("folders/9", "projects/p/sources/7", "projects/p/sources/7/locations/eu"):
        list(source(server, resource=resource).plan(None, NOW))

    parents = [request["parent"] for request in server.requests]
    assert parents == ["folders/9/sources/-", "projects/p/sources/7", "projects/p/sources/7/locations/eu"]


def test_identity() -> None:
    """The name says what and whose; a source without a live client can be sent to another process."""
    given = ocsflake.source("gcp.scc", log_type="gcp.scc", resource="organizations/1")

    assert given.name == "gcp.scc:gcp.scc:organizations/1"
    assert pickle.loads(pickle.dumps(given)) == given
