"""Log Analytics by its own client: what is asked, what comes once, and what happens when it does not."""

from __future__ import annotations

import json
import pickle
import random
import ssl
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import trustme

import ocsflake
from ocsflake import samples
from ocsflake.checkpoints import MemoryCheckpoints
from ocsflake.errors import AccessDeniedError, ConfigError, SourceError
from ocsflake.seen import Seen
from ocsflake.sources.azure.monitor import AzureMonitorSource
from ocsflake.testing.azure_monitor import IssuedTokens, LogAnalytics, Row
from ocsflake.testing.suites import SourceSuite
from pipeline_logs import rows as rows_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from ocsflake.model import RawBatch, Split, State

WORKSPACE = "11111111-2222-3333-4444-555555555555"
OTHER = "66666666-7777-8888-9999-000000000000"
RESOURCE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.KeyVault/vaults/v"
START = datetime(2026, 3, 2, tzinfo=UTC)
NOW = START + timedelta(hours=3)
COLUMNS = {"TimeGenerated": "datetime", "OperationNameValue": "string", "EventDataId": "string", "Level": "string"}


def event(number: int, ingested: datetime, shown: datetime | None = None, **changes: Any) -> Row:
    """A row of AzureActivity."""
    values = {
        "TimeGenerated": f"{ingested:%Y-%m-%dT%H:%M:%S}.1234567Z",
        "OperationNameValue": "MICROSOFT.COMPUTE/VIRTUALMACHINES/WRITE",
        "EventDataId": f"event-{number}",
        "Level": "Informational",
        **changes,
    }
    return Row(values, ingested, shown)


def add(server: LogAnalytics, rows: Iterable[Row], target: str = WORKSPACE, table: str = "AzureActivity") -> None:
    server.add(target, table, rows, COLUMNS)


def source(server: LogAnalytics, **options: Any) -> AzureMonitorSource:
    given = {"workspace": WORKSPACE, "since": START, "client": server.client(), "per_second": 1e6, **options}
    made = ocsflake.source("azure.monitor", log_type=given.pop("log_type", "azure.activity"), **given)
    assert isinstance(made, AzureMonitorSource)
    return made


def taken(made: AzureMonitorSource, splits: Iterable[Split]) -> list[str]:
    """The ids of the events that the splits hold."""
    raws = [raw for split in splits for raw in made.read(split)]
    return [json.loads(record)["EventDataId"] for raw in raws for record in raw.records]


@pytest.fixture
def server() -> Iterator[LogAnalytics]:
    with LogAnalytics() as running:
        yield running


class TestSuite(SourceSuite):
    @pytest.fixture
    def source(self, server: LogAnalytics) -> AzureMonitorSource:
        """Three hours of two workspaces."""
        start = datetime.now(UTC) - timedelta(hours=3)
        for place, target in enumerate((WORKSPACE, OTHER)):
            rows = [event(n, start + timedelta(minutes=n % 170)) for n in range(place, 200, 2)]
            add(server, rows, target)
        return source(server, workspace=[WORKSPACE, OTHER], since=start)


class TestRuns:
    def test_incremental(self, server: LogAnalytics, tmp_path: Path) -> None:
        """What is new is written once; late rows come with a later run, and a run without news writes nothing."""
        add(server, [event(n, START + timedelta(minutes=n % 150)) for n in range(300)])
        lake = ocsflake.Lake(tmp_path)

        first = ocsflake.run(source(server), lake, now=lambda: NOW)
        again = ocsflake.run(source(server), lake, now=lambda: NOW)
        late = event(900, NOW - timedelta(minutes=4))  # shown late: before the end of what was read
        add(server, [late, event(901, NOW + timedelta(minutes=1))])
        last = ocsflake.run(source(server), lake, now=lambda: NOW + timedelta(minutes=10))

        assert (first.counts.written, again.counts.records, last.counts.written) == (300, 0, 2)
        assert rows_of(tmp_path) == {f"event-{n}": 1 for n in [*range(300), 900, 901]}

    def test_delivered_twice(self, server: LogAnalytics, tmp_path: Path) -> None:
        """A row that the service has twice is one event, and is counted; one that differs is another."""
        again = Row(event(1, START).values, START + timedelta(minutes=1))
        add(server, [event(1, START), again, event(1, START, Level="Error")])

        report = ocsflake.run(source(server), ocsflake.Lake(tmp_path), now=lambda: NOW)

        assert (report.counts.written, report.counts.duplicates) == (2, 1)

    def test_crash_before_publishing(self, server: LogAnalytics, tmp_path: Path) -> None:
        """An interrupted commit is repeated from the very rows that it had; what came meanwhile comes after it."""

        class Store(MemoryCheckpoints):
            def save(self, name: str, doc: Any, revision: str | None) -> str:
                saved = super().save(name, doc, revision)
                if doc.get("intent"):
                    raise KeyboardInterrupt
                return saved

        add(server, [event(n, START + timedelta(seconds=n)) for n in range(50)])
        store = Store()
        with pytest.raises(KeyboardInterrupt):
            ocsflake.run(source(server), ocsflake.Lake(tmp_path), checkpoints=store, now=lambda: NOW)
        add(server, [event(99, NOW - timedelta(minutes=4))])
        finished = MemoryCheckpoints()
        doc, _ = store.load(source(server).name)
        assert doc is not None
        finished.save(source(server).name, doc, None)

        report = ocsflake.run(
            source(server), ocsflake.Lake(tmp_path), checkpoints=finished, now=lambda: NOW + timedelta(minutes=10)
        )

        assert report.counts.written == 51
        assert rows_of(tmp_path) == {f"event-{n}": 1 for n in [*range(50), 99]}

    @pytest.mark.parametrize(
        ("log_type", "name"),
        [("azure.signin", "SigninLogs"), ("azure.traffic_analytics", "NTANetAnalytics")],
    )
    def test_same_events_as_files(self, server: LogAnalytics, log_type: str, name: str) -> None:
        """The samples, put into tables, become the events that the same answer from a file becomes."""
        file = next(path for path in samples.files(log_type) if path.name == "log_analytics_query.json")
        [table] = json.loads(file.read_text())["tables"]
        columns = {column["name"]: column["type"] for column in table["columns"]}
        rows = [dict(zip(columns, row, strict=True)) for row in table["rows"]]
        ingested = datetime(2026, 11, 17, 12, tzinfo=UTC)
        server.add(WORKSPACE, name, [Row(row, ingested) for row in rows], columns)

        found = ocsflake.read(source(server, log_type=log_type, since="2026-11-17", until="2026-11-18"))
        wanted = ocsflake.read(ocsflake.source("files", log_type=log_type, uri=str(file)))

        assert {name: events.to_pylist() for name, events in found.items()} == {
            name: events.to_pylist() for name, events in wanted.items()
        }

    def test_seven_digits(self, server: LogAnalytics) -> None:
        """Times keep the digits that the client's own rows drop."""
        add(server, [event(1, START)])
        made = source(server)

        [raw] = [raw for split in made.plan(None, NOW) for raw in made.read(split)]

        assert b'"TimeGenerated":"2026-03-02T00:00:00.1234567Z"' in raw.records[0]
        assert raw.origin == {"uri": f"{made.endpoint}/v1/workspaces/{WORKSPACE}#AzureActivity"}


class TestLimits:
    @pytest.mark.parametrize("planned", [800, 2_000, 500_000])
    def test_bursts(self, planned: int) -> None:
        """Rows that an answer has no room for are asked for in parts, down to a millisecond and a hash of the rows.

        What is planned to fit is read once; where the service gives less than it says, no row is lost either.
        """
        luck = random.Random(1)
        even = [START + timedelta(seconds=luck.random() * 9000) for _ in range(4_000)]
        burst = [START + timedelta(seconds=4000 + luck.random() * 20) for _ in range(3_000)]
        instant = [START + timedelta(hours=2, minutes=7)] * 1_500
        with LogAnalytics(max_rows=1_000) as server:
            add(server, [event(n, when) for n, when in enumerate([*even, *burst, *instant])])
            made = source(server, max_rows=planned)

            found = taken(made, made.plan(None, NOW))

        assert sorted(found) == sorted(f"event-{n}" for n in range(8_500))
        assert server.given < 8_500 * (1.2 if planned == 800 else 6)

    def test_bytes(self) -> None:
        """An answer may be too large by its bytes as well."""
        with LogAnalytics(max_bytes=50_000) as server:
            add(server, [event(n, START + timedelta(seconds=n), Level="x" * 500) for n in range(600)])
            made = source(server, max_bytes=40_000)

            assert sorted(taken(made, made.plan(None, NOW))) == sorted(f"event-{n}" for n in range(600))

    def test_equal_rows(self) -> None:
        """Equal rows of one millisecond cannot be told apart, so that too many of them are an error."""
        with LogAnalytics(max_rows=3) as server:
            add(server, [event(1, START)] * 4)
            made = source(server)

            with pytest.raises(SourceError, match="more in 1 ms than is given"):
                taken(made, made.plan(None, NOW))

    def test_slow(self) -> None:
        """A query that takes too long is asked for less time at once."""
        with LogAnalytics(slow=timedelta(minutes=20)) as server:
            add(server, [event(n, START + timedelta(seconds=n)) for n in range(9_000)])
            made = source(server)

            found = taken(made, made.plan(None, NOW))

        assert len(found) == len(set(found)) == 9_000

    def test_slower_than_any_part(self) -> None:
        """What takes too long however little is asked for is an error."""
        with LogAnalytics(slow=timedelta(0)) as server:
            add(server, [event(1, START)])
            made = source(server)

            with pytest.raises(SourceError, match="takes too long"):
                taken(made, made.plan(None, NOW))

    def test_late_rows(self, server: LogAnalytics) -> None:
        """Rows that show minutes after their stamp are all read once, at about twice as many reads."""
        luck = random.Random(7)
        made = []
        for number in range(6_000):
            stamp = START + timedelta(seconds=luck.random() * 6 * 3600)
            lag = luck.random() * 30 if luck.random() > 0.002 else 60 + luck.random() * 180
            made.append(event(number, stamp, stamp + timedelta(seconds=lag)))
        add(server, made)
        reader = source(server)
        state: State | None = None
        doc: dict[str, Any] = {}
        found: list[str] = []
        for minute in range(5, 6 * 60 + 15, 5):
            server.now = START + timedelta(minutes=minute)
            splits, seen = list(reader.plan(state, server.now)), Seen(doc)
            for split in splits:
                for raw in seen.new(reader.read(split), split):
                    found += [json.loads(record)["EventDataId"] for record in raw.records]
            state = reader.advance(state, splits)
            doc = {"seen": seen.after(reader, state, splits)}

        assert sorted(found) == sorted(f"event-{n}" for n in range(6_000))
        assert server.given < 2.2 * 6_000


class TestFailures:
    @pytest.mark.parametrize("place", [0, 1, 2])
    @pytest.mark.parametrize(
        "fault",
        [
            (429, {"Retry-After": "0"}, b'{"error": {"code": "ThrottledError", "message": "slow down"}}'),
            429,
            408,
            500,
            502,
            503,
            504,
            401,
            "reset",
            "cut",
            "shards",
        ],
        ids=lambda fault: str(fault[0]) + "-asks" if isinstance(fault, tuple) else str(fault),
    )
    def test_each_call(self, server: LogAnalytics, fault: Any, place: int) -> None:
        """Whatever call fails once, in whatever way, every row comes once."""
        add(server, [event(n, START + timedelta(seconds=n)) for n in range(20)])
        made = source(server)
        server.fail(*[""] * place, fault)

        assert sorted(taken(made, made.plan(None, NOW - timedelta(hours=2)))) == sorted(f"event-{n}" for n in range(20))

    def test_asked_to_wait(self, server: LogAnalytics) -> None:
        """What the service asks to wait is waited."""
        add(server, [event(1, START)])
        made = source(server)
        server.fail((429, {"Retry-After": "1"}, b"{}"))
        started = datetime.now(UTC)

        assert taken(made, made.plan(None, NOW)) == ["event-1"]
        assert datetime.now(UTC) - started >= timedelta(seconds=1)

    def test_no_access(self, server: LogAnalytics, tmp_path: Path) -> None:
        """A workspace without access is reported with the permission; the others go on, and it is tried again."""
        add(server, [event(1, START)])
        add(server, [event(2, START)], OTHER)
        server.denied.add(WORKSPACE)
        both = f"{WORKSPACE}, {OTHER}"

        report = ocsflake.run(source(server, workspace=both), ocsflake.Lake(tmp_path), now=lambda: NOW)
        server.denied.clear()
        mended = ocsflake.run(source(server, workspace=both), ocsflake.Lake(tmp_path), now=lambda: NOW)

        [failure] = report.failures
        assert failure.split == f"{WORKSPACE}/AzureActivity#unread"
        assert "the identity of this session may not read it (InsufficientAccessError: The principal" in failure.error
        assert "Log Analytics Reader" in failure.error
        assert (report.counts.written, mended.counts.written) == (1, 1)
        assert mended.failures == []

    def test_denied_is_an_error_of_its_own(self, server: LogAnalytics) -> None:
        """The split of a table that may not be read raises what it is."""
        server.denied.add(WORKSPACE)
        made = source(server)
        [split] = made.plan(None, NOW)

        with pytest.raises(AccessDeniedError):
            list(made.read(pickle.loads(pickle.dumps(split))))
        assert len(server.queries) == 1  # and is not tried again

    def test_unknown_table(self, server: LogAnalytics, tmp_path: Path) -> None:
        """A table that was named and is not there is reported; the others are read."""
        add(server, [event(1, START)])
        made = source(server, tables="AzureActivity,AzureActivty")

        report = ocsflake.run(made, ocsflake.Lake(tmp_path), now=lambda: NOW)

        [failure] = report.failures
        assert f"the table AzureActivty of {WORKSPACE} is not there" in failure.error
        assert report.counts.written == 1

    def test_tables_of_the_log_type(self, server: LogAnalytics) -> None:
        """Of the tables of a log type those that a workspace lacks are passed over, unless it has none of them."""
        made = source(server, log_type="azure.signin")
        add(server, [event(1, START)], table="SigninLogs")
        add(server, [event(2, START)], table="AADServicePrincipalSignInLogs")

        assert sorted(taken(made, made.plan(None, NOW))) == ["event-1", "event-2"]

        add(server, [], OTHER, "Heartbeat")
        splits = list(source(server, log_type="azure.signin", workspace=OTHER).plan(None, NOW))
        assert len(splits) == 4
        assert all(split.id.endswith("#unread") for split in splits)

    def test_unknown_workspace(self, server: LogAnalytics) -> None:
        """A workspace that is not there is said to be so."""
        made = source(server)

        with pytest.raises(SourceError, match=r"is not there \(PathNotFoundError"):
            taken(made, made.plan(None, NOW))

    def test_failing_window(self, server: LogAnalytics, tmp_path: Path) -> None:
        """A window that fails is reported and read by the next run; the other windows go on."""
        add(server, [event(n, START + timedelta(minutes=n)) for n in range(170)])
        refusal = (400, {}, b'{"error": {"code": "BadArgumentError", "message": "made up"}}')
        server.fail("", "", "", refusal)

        report = ocsflake.run(source(server), ocsflake.Lake(tmp_path), now=lambda: NOW)
        mended = ocsflake.run(source(server), ocsflake.Lake(tmp_path), now=lambda: NOW)

        assert ["made up" in failure.error for failure in report.failures] == [True]
        assert report.counts.written + mended.counts.written == 170
        assert rows_of(tmp_path) == {f"event-{n}": 1 for n in range(170)}

    def test_changed_column(self, server: LogAnalytics, tmp_path: Path) -> None:
        """A column that changes its type, or is new, changes no other row, and none comes twice."""
        rows = [event(n, NOW - timedelta(minutes=5) + timedelta(seconds=n), Level=4) for n in range(10)]
        server.add(WORKSPACE, "AzureActivity", rows, {**COLUMNS, "Level": "long"})
        lake = ocsflake.Lake(tmp_path)
        first = ocsflake.run(source(server), lake, now=lambda: NOW)
        columns = {"Caller": "string", **COLUMNS, "Level": "dynamic"}
        server.add(WORKSPACE, "AzureActivity", [event(99, NOW, Level='{"a": 1}', Caller="ana")], columns)

        last = ocsflake.run(source(server), lake, now=lambda: NOW + timedelta(minutes=5))

        assert (first.counts.written, last.counts.written, last.counts.duplicates) == (10, 1, 10)


class TestTls:
    @pytest.fixture
    def secure(self, tmp_path: Path) -> Iterator[tuple[LogAnalytics, str]]:
        """A server with a certificate of an authority of its own, and the authority's."""
        authority = trustme.CA()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        with LogAnalytics(tls=context) as running:
            add(running, [event(n, START + timedelta(minutes=n)) for n in range(100)])
            yield running, str(tmp_path / "ca.pem")

    def client(self, server: LogAnalytics, authority: str, credential: Any, **options: Any) -> Any:
        from azure.monitor.query import LogsQueryClient

        return LogsQueryClient(credential, endpoint=server.url, connection_verify=authority, **options)

    def test_expiring_tokens(self, secure: tuple[LogAnalytics, str]) -> None:
        """Tokens that run out are renewed by the client."""
        server, authority = secure
        tokens = IssuedTokens(seconds=1)
        made = source(server, client=self.client(server, authority, tokens))

        assert len(taken(made, made.plan(None, NOW))) == 100
        assert len(tokens.scopes) == len(server.queries) > 2
        assert set(tokens.scopes) == {f"{server.url}/.default"}

    def test_revoked_token(self, secure: tuple[LogAnalytics, str]) -> None:
        """A token that is taken no more before its time is renewed once."""
        server, authority = secure
        server.tokens = {"token-2"}
        made = source(server, client=self.client(server, authority, IssuedTokens()))

        assert len(taken(made, made.plan(None, NOW))) == 100

    def test_no_good_token(self, secure: tuple[LogAnalytics, str]) -> None:
        """A credential that is not taken is an error that does not show the token."""
        server, authority = secure
        server.tokens = set()
        made = source(server, client=self.client(server, authority, IssuedTokens()))

        with pytest.raises(AccessDeniedError, match="no credential of this session is taken") as caught:
            taken(made, made.plan(None, NOW))
        assert "token-" not in str(caught.value)

    def test_untrusted(self, secure: tuple[LogAnalytics, str], server: LogAnalytics) -> None:
        """A server that cannot be trusted gets no token, and is not asked again."""
        for url, message in ((secure[0].url, "CERTIFICATE_VERIFY_FAILED"), (server.url, "non-TLS")):
            made = source(server, client=None, endpoint=url, credential=IssuedTokens())

            with pytest.raises(SourceError, match=message):
                taken(made, made.plan(None, NOW))
        assert secure[0].queries == server.queries == []

    def test_sovereign_audience(self, secure: tuple[LogAnalytics, str], monkeypatch: pytest.MonkeyPatch) -> None:
        """A client that the source makes itself asks for tokens of the audience that is given."""
        server, authority = secure
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", authority)
        tokens = IssuedTokens()
        options = {"endpoint": server.url, "audience": "https://api.loganalytics.us", "credential": tokens}
        made = source(server, client=None, **options)

        assert len(taken(made, made.plan(None, NOW))) == 100
        assert tokens.scopes == ["https://api.loganalytics.us/.default"]


class TestOptions:
    def test_resource(self, server: LogAnalytics) -> None:
        """The logs of a resource are asked for at the resource, with the condition of a shared table."""
        rows = [
            event(1, START, Category="AuditEvent", ResourceProvider="MICROSOFT.KEYVAULT"),
            event(2, START, Category="kube-audit-admin", ResourceProvider="MICROSOFT.CONTAINERSERVICE"),
        ]
        add(server, rows, RESOURCE, "AzureDiagnostics")
        made = source(server, log_type="azure.aks_audit", workspace=None, resource=RESOURCE)

        assert taken(made, made.plan(None, NOW)) == ["event-2"]

    def test_bounds(self, server: LogAnalytics) -> None:
        """What came into the table before `since` is not read; what came some days after `until` may hold events."""
        made = source(server, since=None, late="1d").between(START + timedelta(hours=1), START + timedelta(hours=2))
        assert isinstance(made, AzureMonitorSource)
        now = START + timedelta(days=3)
        add(server, [event(n, START + timedelta(hours=n)) for n in range(72)])

        assert sorted(taken(made, made.plan(None, now))) == sorted(f"event-{n}" for n in range(1, 26))

    @pytest.mark.parametrize("since", [None, "1d"])
    def test_where_it_began(self, server: LogAnalytics, since: str | None) -> None:
        """An age counts from the first run: what came while the source did not run is read, however long that was."""
        made = source(server, since=since)
        add(server, [event(n, START - timedelta(hours=n)) for n in range(72)])
        state = made.advance(None, list(made.plan(None, START)))
        add(server, [event(n + 100, START + timedelta(hours=n)) for n in range(72)])

        found = taken(made, made.plan(state, START + timedelta(days=3)))

        assert sorted(found) == sorted(["event-0", *(f"event-{n + 100}" for n in range(72))])

    def test_narrowed(self, server: LogAnalytics) -> None:
        """Bounds of a run narrow those of the source, and widen none."""
        made = source(server, since=START, until=START + timedelta(hours=2), late="1h")

        add(server, [event(1, START)])
        for since, until in ((START - timedelta(days=9), None), (None, START + timedelta(days=9))):
            ends = [split.detail["end"] for split in made.between(since, until).plan(None, NOW + timedelta(days=1))]
            assert len(ends) == 3

    def test_name_and_pickle(self, server: LogAnalytics) -> None:
        """The name is made of log type and address; a source without a client can be sent elsewhere."""
        made = AzureMonitorSource(log_type="azure.signin", workspace=WORKSPACE, tables="SigninLogs", settle="90s")

        assert made.name == f"azure.monitor:azure.signin:{WORKSPACE}:SigninLogs"
        assert pickle.loads(pickle.dumps(made)) == made
        assert made.settle == timedelta(seconds=90)
        assert "client" not in repr(source(server))

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({}, "needs workspace="),
            ({"workspace": "a b"}, "no id of a workspace"),
            ({"workspace": WORKSPACE, "tables": "T | take 1"}, "no name of a table"),
            ({"workspace": WORKSPACE, "log_type": "gcp.audit"}, "no table of its own"),
            (
                {"workspace": WORKSPACE, "log_type": "azure.vnet_flow", "tables": "NTANetAnalytics"},
                "log_type='azure.traffic_analytics', or the flow logs where they are stored, with azure.blob",
            ),
            ({"workspace": WORKSPACE, "step": "soon"}, "'soon' is no time"),
            ({"workspace": WORKSPACE, "step": "2999-01-01"}, "no length of time"),
        ],
    )
    def test_wrong(self, options: dict[str, Any], message: str) -> None:
        """What cannot be is said when the source is made."""
        with pytest.raises(ConfigError, match=message):
            AzureMonitorSource(**{"log_type": "azure.signin", **options})


def test_batches_have_ids(server: LogAnalytics) -> None:
    """Every row has an id, which is the same whenever it is read."""
    add(server, [event(n, START) for n in range(3)])
    made = source(server)
    splits = list(made.plan(None, NOW))

    reads: list[list[RawBatch]] = [[raw for split in splits for raw in made.read(split)] for _ in range(2)]

    assert reads[0] == reads[1]
    assert len(set(reads[0][0].ids or ())) == 3
