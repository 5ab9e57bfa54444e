"""Cloud Logging: every entry once, over HTTP and gRPC, whatever fails on the way."""

from __future__ import annotations

import json
import pickle
import random
import re
from datetime import datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING, Any

import pytest
from gcp_entries import NOW, CrashError, Crashing, entry, ids, rows, run, sample

import ocsflake
from ocsflake.errors import AccessDeniedError, ConfigError, SourceError
from ocsflake.sources._google import LOGS
from ocsflake.testing._google_api import Refused
from ocsflake.testing.gcp_logging import LoggingServer, logging_server, matches

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:)?\d+\.\d+[Zs]")
AUDIT = "type.googleapis.com/google.cloud.audit.AuditLog"


@pytest.fixture(scope="module")
def server_of_module() -> Iterator[LoggingServer]:
    with logging_server() as server:
        yield server


@pytest.fixture
def server(server_of_module: LoggingServer) -> LoggingServer:
    """A stand-in without entries, to which nothing happened yet."""
    found = server_of_module
    for things in (found.entries, found.denied, found.requests, found.tokens):
        things.clear()
    found.heal()
    return found


def source(server: LoggingServer, log_type: str = "gcp.audit", client: Any = None, **options: Any) -> Any:
    given = {"resource": "projects/p", "since": "2026-11-17T08:00", "requests_per_minute": "600000"} | options
    return ocsflake.source("gcp.logging", log_type=log_type, client=client or server.client(), **given)


def records(source: Any) -> list[dict[str, Any]]:
    """Return the entries that a source reads, in no order of theirs."""
    batches = chain.from_iterable(map(source.read, source.plan(None, NOW + timedelta(days=1))))
    return sorted((json.loads(each) for raw in batches for each in raw.records), key=lambda entry: entry["insertId"])


class TestEntries:
    @pytest.mark.parametrize("log_type", sorted(LOGS))
    def test_transports(self, server: LoggingServer, log_type: str) -> None:
        """HTTP gives the very entries that the service has, and gRPC gives the same."""
        logs = tuple(f"/logs/{log.replace('/', '%2F')}" for log in LOGS[log_type])
        mine = [each for each in sample(log_type) if each["logName"].endswith(logs)]
        if log_type == "gcp.gke_audit":
            mine = [
                each for each in mine if each["protoPayload"]["serviceName"] in {"k8s.io", "container.googleapis.com"}
            ]
        for each in mine:  # the messages of the library do not have it yet
            each.get("protoPayload", {}).get("authenticationInfo", {}).pop("oauthInfo", None)
        server.entries += [*mine, entry(1, logName="projects/example-shop-prod/logs/app")]
        resources = sorted({each["logName"].partition("/logs/")[0] for each in mine})
        options = {"log_type": log_type, "resource": resources, "since": "2026-11-15"}

        over_http, over_grpc = (
            records(source(server, client=client, **options)) for client in (server.client(), server.grpc_client())
        )

        assert over_http == sorted(mine, key=lambda entry: entry["insertId"])
        assert [plain(each) for each in over_grpc] == [plain(each) for each in over_http]

    def test_events(self, server: LoggingServer, tmp_path: Path) -> None:
        """Entries of the API become the events that the same entries in a file become."""
        prefix = "projects/example-shop-prod/logs/cloudaudit"
        server.entries += [each for each in sample("gcp.audit") if each["logName"].startswith(prefix)]
        given = source(server, resource="projects/example-shop-prod", since="2026-11-15")
        file = tmp_path / "entries.jsonl"
        file.write_text("\n".join(json.dumps(each, separators=(",", ":")) for each in records(given)))

        found, expected = (
            {name: sorted(table.to_pylist(), key=repr) for name, table in ocsflake.read(each).items()}
            for each in (given, ocsflake.source("files", log_type="gcp.audit", uri=str(file)))
        )

        assert found == expected
        assert sum(map(len, found.values())) > 10

    def test_exact_values(self, server: LoggingServer) -> None:
        """Nanoseconds, 64-bit numbers as text, and numbers of a payload stay as they are, byte for byte."""
        server.entries.append(
            entry(5, protoPayload={"@type": AUDIT, "request": {"n": 1.50, "id": "9223372036854775807"}})
        )

        [raw] = chain.from_iterable(map((given := source(server)).read, given.plan(None, NOW)))

        assert list(raw.records) == [json.dumps(server.entries[0], separators=(",", ":")).encode()]
        assert raw.origin == {"uri": "//logging.googleapis.com/projects/p", "account": "p"}

    def test_unknown_type(self, server: LoggingServer) -> None:
        """A payload of a type that no library here knows is whole over HTTP, and opaque over gRPC."""
        payload = {"@type": "type.googleapis.com/google.example.v9.Thing", "size": "9007199254740993"}
        server.entries.append(entry(5, protoPayload=payload))

        [over_http], [over_grpc] = records(source(server)), records(source(server, client=server.grpc_client()))

        assert over_http == server.entries[0]
        assert over_grpc["protoPayload"]["@type"] == payload["@type"]
        assert over_grpc["insertId"] == "id-5"

    def test_grpc_of_a_client(self, server: LoggingServer) -> None:
        """A client that was made for HTTP alone is told so."""
        with pytest.raises(ConfigError, match="made without gRPC"):
            list(source(server, client=server.client(_use_grpc=False), transport="grpc").plan(None, NOW))


class TestRuns:
    def test_second_run(self, server: LoggingServer, tmp_path: Path) -> None:
        """A second run writes nothing, and pages of 1000 are asked for in one go."""
        server.entries += map(entry, range(1, 2501))

        first = run(source(server), tmp_path)
        asked = len(server.requests)
        second = run(source(server), tmp_path)

        assert rows(tmp_path) == ids(range(1, 2501))
        assert (first.counts.written, second.counts.written) == (2500, 0)
        assert asked == 1 + 3  # can it be read, and three pages
        assert len(server.requests) == asked

    def test_late_and_twice(self, server: LoggingServer, tmp_path: Path) -> None:
        """An entry that shows up minutes late is read once, and so is one that the service has twice."""
        server.entries += [entry(60), entry(400), entry(400)]
        run(source(server), tmp_path)
        server.entries += [entry(90), entry(-60)]

        report = run(source(server), tmp_path, NOW + timedelta(minutes=5))

        assert rows(tmp_path) == ids([60, 400, 90, -60])
        assert (report.counts.written, report.counts.duplicates) == (2, 1)

    def test_by_chance(self, server: LoggingServer, tmp_path: Path) -> None:
        """Entries that show up whenever, some twice, are each written once, through runs and failures at random."""
        luck = random.Random(7)
        shown = [(number, luck.choice([0, 0, 0, luck.uniform(0, 360)]) - number) for number in range(-3600, 0)]
        shown = luck.sample(shown, 400) + luck.sample(shown, 20)
        given = source(server, resource="projects/p", since="2026-11-17T11:59")
        for minute in range(0, 75, 5):
            server.entries[:] = [entry(number) for number, when in shown if when <= minute * 60]
            if minute % 15 == 0:
                server.fail(luck.choice(["RESET", "UNAVAILABLE"]), [luck.randrange(1, 3)])
            run(given, tmp_path, NOW + timedelta(minutes=minute - 2))

        assert rows(tmp_path) == ids({number for number, _ in shown})

    def test_far_from_its_time(self, server: LoggingServer, tmp_path: Path) -> None:
        """What was received days after it happened is found, since windows are those of the receiving."""
        server.entries.append(entry(5, timestamp="2026-10-20T00:00:00Z"))

        assert run(source(server), tmp_path).counts.written == 1
        assert 'timestamp>="2026-10-18T08:00:00Z"' in server.requests[1]["filter"]

    def test_age(self, server: LoggingServer, tmp_path: Path) -> None:
        """An age counts from the first run: after a week without a run nothing is missing."""
        server.entries += [entry(5), entry(5 - 3 * 86_400)]
        given = source(server, since="2h")

        run(given, tmp_path)
        run(given, tmp_path, NOW + timedelta(days=7))

        assert rows(tmp_path) == ids([5, 5 - 3 * 86_400])

    def test_bounds(self, server: LoggingServer) -> None:
        """A run of some days asks for no others; what comes a day late belongs to them."""
        bounded = source(server, since=None).between(
            datetime.fromisoformat("2026-11-10T00:00Z"), datetime.fromisoformat("2026-11-11T00:00Z")
        )

        splits = list(bounded.plan(None, NOW))

        assert splits[0].id.startswith("projects/p[2026-11-10T00:00:00.000Z/")
        assert splits[-1].id.endswith("/2026-11-12T00:00:00.000Z)")
        assert sum(split.bytes for split in splits) == 2 * 86_400 * 800

    def test_bounds_of_both(self, server: LoggingServer) -> None:
        """What a run asks for narrows what the source has, and stands alone where the source has nothing."""
        early, late = (datetime.fromisoformat(f"2026-11-{day}T00:00Z") for day in (10, 12))

        both = source(server, since="2026-11-11", until="2026-11-20").between(early, late)
        alone = source(server, since=None).between(early, None)

        assert (both.since, both.until) == ("2026-11-11", late)
        assert (alone.since, alone.until) == (early, None)
        assert source(server, since="2d").between(None, late).since == "2d"

    @pytest.mark.parametrize("saves", [1, 2])
    def test_crash(self, server: LoggingServer, tmp_path: Path, saves: int) -> None:
        """A crash after the intent, or after all was published, doubles and loses nothing, even if more came since."""
        server.entries += map(entry, range(1, 30))
        checkpoints = Crashing(saves)
        with pytest.raises(CrashError):
            run(source(server), tmp_path, checkpoints=checkpoints)
        server.entries += [entry(31), entry(32)]

        run(source(server), tmp_path, NOW + timedelta(minutes=1), checkpoints=checkpoints)

        assert rows(tmp_path) == ids([*range(1, 30), 31, 32])


class TestFailures:
    @pytest.mark.parametrize("code", ["ABORTED", "CUT", "INTERNAL", "RESET", "RESOURCE_EXHAUSTED", "UNAVAILABLE"])
    def test_http(self, server: LoggingServer, tmp_path: Path, code: str) -> None:
        """Whatever fails once, the page is asked for again, and no other."""
        server.entries += map(entry, range(1, 2501))
        server.fail(code, [1, 4])

        assert run(source(server), tmp_path).counts.written == 2500
        tokens = [request.get("pageToken") for request in server.requests]
        assert tokens == [None, None, None, "1000", "1000", "2000"]

    @pytest.mark.parametrize("code", ["ABORTED", "INTERNAL", "RESOURCE_EXHAUSTED", "UNAVAILABLE"])
    def test_grpc(self, server: LoggingServer, tmp_path: Path, code: str) -> None:
        """The same over gRPC, RESOURCE_EXHAUSTED included, which the SDK does not try again by itself."""
        server.entries += map(entry, range(1, 1501))
        server.fail(code, [1, 4])

        assert run(source(server, client=server.grpc_client()), tmp_path).counts.written == 1500
        assert [request.get("pageToken") for request in server.requests] == [None, None, None, "1000", "1000"]

    def test_retry_after(self, server: LoggingServer, tmp_path: Path) -> None:
        """What the service asks to wait is waited."""
        from ocsflake import gcp

        server.fail("RESOURCE_EXHAUSTED", retry_after=7)
        with pytest.raises(Exception, match="made up") as caught:
            server.client()._connection.api_request("POST", "/entries:list", data={"filter": ""})

        assert gcp.seconds_to_wait(caught.value) == 7

    def test_expired_token(self, server: LoggingServer, tmp_path: Path) -> None:
        """A token that is no longer valid is renewed amid a run."""
        from google.oauth2.credentials import Credentials

        server.entries += map(entry, range(1, 1501))
        server.tokens.add("another")
        credentials = Credentials(
            "stale", refresh_token="r", token_uri=f"{server.url}/token", client_id="c", client_secret="s"
        )

        assert run(source(server, client=server.client(credentials=credentials)), tmp_path).counts.written == 1500

    def test_revoked_credentials(self, server: LoggingServer) -> None:
        """Credentials that cannot be renewed are named as such, and shown nowhere."""
        from google.oauth2.credentials import Credentials

        server.tokens.add("another")
        given = source(server, client=server.client(credentials=Credentials("not-a-token")))
        [split] = given.plan(None, NOW)

        with pytest.raises(SourceError, match="projects/p: the credentials are not valid") as caught:
            list(given.read(split))
        assert "not-a-token" not in f"{caught.value}{given!r}{given.name}"

    def test_denied(self, server: LoggingServer, tmp_path: Path) -> None:
        """A resource without permission is reported once, does not stop the others, and is read when it is allowed."""
        server.entries += [entry(5), entry(6, "closed")]
        server.denied.add("projects/closed")
        given = source(server, resource="projects/closed, projects/p")

        report = run(given, tmp_path)

        [failure] = report.sources[0].failures
        assert rows(tmp_path) == ids([5])
        assert failure.split == "projects/closed#unread"
        assert "may not read it (FORBIDDEN" in failure.error
        assert "allow logging.logEntries.list" in failure.error
        with pytest.raises(AccessDeniedError):
            list(given.read(next(given.plan(None, NOW))))
        server.denied.clear()
        run(given, tmp_path)
        assert rows(tmp_path) == ids([5, 6])

    def test_denied_later(self, server: LoggingServer, tmp_path: Path) -> None:
        """A permission that is taken away leaves a gap, which is filled when it is given back."""
        given = source(server, resource="projects/closed,projects/p")
        run(given, tmp_path)
        server.denied.add("projects/closed")
        server.entries += [entry(-60), entry(-61, "closed")]
        assert len(run(given, tmp_path, NOW + timedelta(minutes=5)).sources[0].failures) == 1
        server.denied.clear()

        run(given, tmp_path, NOW + timedelta(minutes=10))

        assert rows(tmp_path) == ids([-60, -61])


class TestOptions:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"resource": ""}, "resource= is empty"),
            ({"resource": "my-project"}, "no resource of Cloud Logging; did you mean 'projects/my-project'"),
            ({"log_type": "acme.app"}, "no log of Cloud Logging is known for 'acme.app': say which with filter="),
            ({"log_type": "gcp.audits"}, "did you mean 'gcp.audit'"),
            ({"transport": "rest"}, "neither json nor grpc"),
            ({"since": "yesterday"}, "'yesterday' is no time"),
        ],
    )
    def test_wrong(self, server: LoggingServer, options: dict[str, Any], message: str) -> None:
        """What is wrong is said when the source is made."""
        with pytest.raises(ConfigError, match=message):
            source(server, **options)

    def test_filter(self, server: LoggingServer) -> None:
        """A filter adds to that of the log type, and stands for it where there is none."""
        server.entries += [
            entry(5),
            entry(6, severity="ERROR"),
            entry(7, logName="projects/p/logs/app", severity="ERROR"),
        ]

        assert [each["insertId"] for each in records(source(server, filter="severity=INFO OR severity=ERROR"))] == [
            "id-5",
            "id-6",
        ]
        assert [each["insertId"] for each in records(source(server, "acme.app", filter='log_id("app")'))] == ["id-7"]

    @pytest.mark.parametrize(
        "resource",
        [
            "folders/1",
            "organizations/1",
            "billingAccounts/0-0",
            "projects/p/locations/global/buckets/_Default/views/_AllLogs",
        ],
    )
    def test_resources(self, server: LoggingServer, resource: str) -> None:
        """Entries of all kinds of resources can be asked for."""
        server.entries.append(
            entry(5, logName=f"{resource.partition('/locations')[0]}/logs/cloudaudit.googleapis.com%2Fpolicy")
        )

        assert len(records(source(server, resource=resource))) == 1
        assert server.requests[-1]["resourceNames"] == [resource]

    def test_identity(self, server: LoggingServer) -> None:
        """The name says what and whose; a source without a live client can be sent to another process."""
        given = ocsflake.source("gcp.logging", log_type="gcp.dns", resource=["projects/a", "projects/b"])

        assert given.name == "gcp.logging:gcp.dns:projects/a,projects/b"
        assert pickle.loads(pickle.dumps(given)) == given
        assert source(server, name="mine").name == "mine"
        assert source(server) == source(server)


class TestStandIn:
    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ("", True),
            ('severity="INFO"', True),
            ("severity=ERROR OR severity=INFO AND insertId=id-6", False),
            ("NOT severity=ERROR", True),
            ('protoPayload.serviceName=("k8s.io" OR "storage.googleapis.com")', True),
            ('log_id("cloudaudit.googleapis.com/data_access") severity!=ERROR', True),
            ('timestamp<"2026-11-17T11:59:55.123456789Z"', False),
            ('timestamp<="2026-11-17T12:59:55.123456789+01:00"', True),
            ('protoPayload.resourceName:"clip-5"', True),
        ],
    )
    def test_queries(self, query: str, expected: bool) -> None:
        """OR binds closer than AND, as the language has it."""
        assert matches(query)(entry(5)) is expected

    @pytest.mark.parametrize(
        "query", ["severity", "severity=", "(severity=INFO", "severity=INFO)", "a > > b", "log_id(x"]
    )
    def test_bad_queries(self, query: str) -> None:
        """What is no query is refused."""
        with pytest.raises((Refused, ValueError)):
            matches(query)

    def test_limits(self, server: LoggingServer) -> None:
        """More than 1000 entries a page, or more than 100 resources, are refused as the API refuses them."""
        from google.api_core.exceptions import BadRequest

        for wrong in ({"resourceNames": ["projects/p"], "pageSize": 1001}, {"resourceNames": ["projects/p"] * 101}):
            with pytest.raises(BadRequest):
                server.client()._connection.api_request("POST", "/entries:list", data=wrong)


def plain(value: Any) -> Any:
    """Return an entry without the differences of gRPC: zeros of times, what is empty, whole numbers beyond doubles."""
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items() if inner not in ({}, [], False, 0, "", "0")}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    if isinstance(value, str) and TIME.fullmatch(value):
        return re.sub(r"\.?0*(?=[Zs]$)", "", value)
    return float(value) if type(value) is int and abs(value) > 2**53 else value
