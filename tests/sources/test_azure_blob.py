"""Blobs that grow, by the client of Azure Storage against Azurite: nothing twice, nothing missed."""

from __future__ import annotations

import gzip
import json
import os
import pickle
import subprocess
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve

import ocsflake
from ocsflake import samples
from ocsflake.checkpoints import MemoryCheckpoints
from ocsflake.errors import AccessDeniedError, ConfigError, SourceError
from ocsflake.sources.azure.blob import AzureBlobSource
from ocsflake.testing.azurite import AzuriteServer, azurite_server, install_azurite
from ocsflake.testing.faults import Fault, FaultProxy
from ocsflake.testing.suites import SourceSuite
from pipeline_logs import rows as rows_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

NOW = datetime(2026, 3, 2, 7, 40, tzinfo=UTC)
TENANT = "5f0c9a1e-3b7d-4c2a-9e84-d1a6b2c30f11"
RESOURCE = "resourceId=/SUBSCRIPTIONS/3D5F7A90/RESOURCEGROUPS/G/PROVIDERS/MICROSOFT.KEYVAULT/VAULTS/V"


@pytest.fixture(scope="module")
def azurite() -> Iterator[AzuriteServer]:
    """Azurite, which CI must be able to fetch."""
    try:
        program = install_azurite()
    except (OSError, subprocess.SubprocessError) as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"Azurite cannot be fetched: {error}")
    if program is None:
        pytest.skip("Azurite needs npm")
    with azurite_server(program) as server:
        yield server


@pytest.fixture
def container(azurite: AzuriteServer) -> Any:
    """The client of a container of its own."""
    return azurite.make_container()


def path(hour: int = 7, day: int = 2, place: str = f"tenantId={TENANT}") -> str:
    return f"{place}/y=2026/m=03/d={day:02d}/h={hour:02d}/m=00/PT1H.json"


def event(number: int) -> bytes:
    """A record of the Activity log."""
    record = {
        "time": f"2026-03-02T07:{number // 60 % 60:02d}:{number % 60:02d}.1234567Z",
        "operationName": "MICROSOFT.COMPUTE/VIRTUALMACHINES/WRITE",
        "properties": {"eventDataId": f"event-{number}"},
        "eventDataId": f"event-{number}",
        "level": "Informational",
    }
    return json.dumps(record).encode()


def append(container: Any, numbers: Iterable[int], name: str = "", end: bytes = b"\n") -> None:
    """Add JSON lines to an append blob, as diagnostic settings do."""
    blob = container.get_blob_client(name or path())
    if not blob.exists():
        blob.create_append_blob()
    blob.append_block(b"".join(event(number) + b"\n" for number in numbers)[:-1] + end)


def commit(container: Any, *blocks: bytes, name: str = "") -> None:
    """Commit a block blob of these blocks between two that hold brackets, as Network Watcher does."""
    from azure.storage.blob import BlobBlock

    blob = container.get_blob_client(name or path())
    ids = []
    for number, data in enumerate([b'{"records":[', *blocks, b"]}"]):
        ids.append(b64encode(f"{'end' if data == b']}' else number:>8}".encode()).decode())
        blob.stage_block(ids[-1], data)
    blob.commit_block_list([BlobBlock(block) for block in ids])


def blocks(numbers: Iterable[int]) -> list[bytes]:
    """The blocks of records, with commas between them."""
    return [b"," * (number != 0) + event(number) for number in numbers]


def source(container: Any, **options: Any) -> AzureBlobSource:
    client = options.pop("client", None) or AzuriteServer.client_of(container)
    made = ocsflake.source("azure.blob", log_type="azure.activity", uri=container.url, client=client, **options)
    assert isinstance(made, AzureBlobSource)
    return made


def events(numbers: Iterable[int]) -> dict[str, int]:
    return {f"event-{number}": 1 for number in numbers}


class TestSuite(SourceSuite):
    @pytest.fixture
    def source(self, container: Any) -> AzureBlobSource:
        """Blobs of both kinds."""
        today = f"{datetime.now(UTC):y=%Y/m=%m/d=%d}"
        commit(container, *blocks(range(5)), name=f"{today}/h=00/PT1H.json")
        append(container, range(10, 15), f"{today}/h=01/PT1H.json")
        return source(container)


class TestLines:
    def test_growing(self, container: Any, tmp_path: Path) -> None:
        """An append blob that grows is read from where it was read to; a run without news writes nothing."""
        lake = ocsflake.Lake(tmp_path)
        append(container, range(30))
        first = ocsflake.run(source(container), lake, now=lambda: NOW)
        again = ocsflake.run(source(container), lake, now=lambda: NOW)
        append(container, range(30, 50))
        append(container, range(50, 60), path(8))
        last = ocsflake.run(source(container), lake, now=lambda: NOW)

        assert (first.counts.written, again.sources[0].splits, last.counts.records) == (30, 0, 30)
        assert rows_of(tmp_path) == events(range(60))

    @pytest.mark.parametrize("end", [b"", b'\n{"time": "2026-'])
    def test_unfinished_line(self, container: Any, tmp_path: Path, end: bytes) -> None:
        """A last line is read when it is whole, with a newline or without."""
        lake = ocsflake.Lake(tmp_path)
        append(container, range(5), end=end)
        first = ocsflake.run(source(container), lake, now=lambda: NOW)
        rest = event(5)[len(end) - 1 :] if end else b"\n" + event(5)
        container.get_blob_client(path()).append_block(rest + b"\n")
        ocsflake.run(source(container), lake, now=lambda: NOW)

        assert first.counts.written == 5
        assert rows_of(tmp_path) == events(range(6))

    def test_grows_while_it_is_read(self, container: Any) -> None:
        """What was planned is read, and no more, whatever was added meanwhile."""
        append(container, range(5))
        made = source(container)
        [split] = made.plan(None, NOW)
        append(container, range(5, 9))

        [raw] = made.read(pickle.loads(pickle.dumps(split)))

        assert raw.records == b"".join(event(number) + b"\n" for number in range(5))
        assert raw.origin == {"uri": f"{container.url}/{path()}", "account": TENANT}

    def test_put_again(self, container: Any, tmp_path: Path) -> None:
        """A blob that was put anew with other lines is another object, and read whole."""
        lake = ocsflake.Lake(tmp_path)
        append(container, range(5))
        ocsflake.run(source(container), lake, now=lambda: NOW)
        container.delete_blob(path())
        append(container, range(100, 120))
        ocsflake.run(source(container), lake, now=lambda: NOW)

        assert rows_of(tmp_path) == events([*range(5), *range(100, 120)])

    def test_compressed(self, container: Any, tmp_path: Path) -> None:
        """A compressed blob is read whole."""
        container.upload_blob(path(), gzip.compress(b"\n".join(map(event, range(9)))))

        ocsflake.run(source(container), ocsflake.Lake(tmp_path), now=lambda: NOW)

        assert rows_of(tmp_path) == events(range(9))

    def test_long_lines(self, container: Any, tmp_path: Path) -> None:
        """The last newline is found however far back it is, and large blobs are read in pieces."""
        lines = b"".join(event(n)[:-1] + b', "x": "' + b"x" * 300_000 + b'"}\n' for n in range(20))
        blob = container.get_blob_client(path())
        blob.create_append_blob()
        for start in range(0, len(lines), 4 << 20):
            blob.append_block(lines[start : start + (4 << 20)])
        blob.append_block(b'{"half": "' + b"y" * 400_000)

        ocsflake.run(source(container), ocsflake.Lake(tmp_path), now=lambda: NOW)

        assert rows_of(tmp_path) == events(range(20))


class TestDocuments:
    def test_growing(self, container: Any, tmp_path: Path) -> None:
        """A document whose end is replaced by more blocks is read by what is new."""
        lake = ocsflake.Lake(tmp_path)
        counts = []
        for end in (1, 1, 3, 10):
            if end != 1 or not counts:
                commit(container, *blocks(range(end)))
            counts.append(ocsflake.run(source(container), lake, now=lambda: NOW).counts.records)

        assert counts == [1, 0, 2, 7]
        assert rows_of(tmp_path) == events(range(10))

    def test_rewritten(self, container: Any, tmp_path: Path) -> None:
        """A document that was written anew, in other blocks or another order, gives what is new in it."""
        lake = ocsflake.Lake(tmp_path)
        commit(container, *blocks(range(4)))
        ocsflake.run(source(container), lake, now=lambda: NOW)
        commit(container, b"".join(blocks(range(6))))
        same = ocsflake.run(source(container), lake, now=lambda: NOW)
        shuffled = b",".join(event(number) for number in (7, 3, 0, 1, 2, 5, 4, 6))
        container.upload_blob(path(), b'{"records":[' + shuffled + b"]}", overwrite=True)
        last = ocsflake.run(source(container), lake, now=lambda: NOW)

        assert (same.counts.records, same.counts.duplicates) == (2, 0)
        assert (last.counts.written, last.counts.duplicates) == (2, 6)
        assert rows_of(tmp_path) == events(range(8))

    def test_in_pieces(self, container: Any) -> None:
        """Blocks are read a few at a time; one that ends within a record goes with the next."""
        large = [record[:-1] + b', "x": "' + b"x" * 200_000 + b'"}' for record in blocks(range(50))]
        torn = b"".join(large[:30])
        commit(container, torn[:4_500_000], torn[4_500_000:], *large[30:])
        made = source(container)
        [split] = made.plan(None, NOW)

        raws = list(made.read(split))

        assert len(raws) == 2
        assert [json.loads(record)["eventDataId"] for raw in raws for record in raw.records] == list(events(range(50)))
        assert len({name for raw in raws for name in raw.ids or ()}) == 50

    def test_same_events_as_files(self, container: Any) -> None:
        """Flow logs become the events that they become from files."""
        file = next(path for path in samples.files("azure.vnet_flow") if path.name == "PT1H.json")
        container.upload_blob(path(place="flowLogResourceID=/x"), file.read_bytes())
        made = AzureBlobSource(log_type="azure.vnet_flow", uri=container.url, client=AzuriteServer.client_of(container))

        found, wanted = (
            {name: table.to_pylist() for name, table in ocsflake.read(each).items()}
            for each in (made, ocsflake.source("files", log_type="azure.vnet_flow", uri=str(file)))
        )

        assert found == wanted

    def test_no_json(self, container: Any, tmp_path: Path) -> None:
        """A document that is none is reported; the others are read."""
        commit(container, b"{torn")
        append(container, range(3), path(6))

        report = ocsflake.run(source(container), ocsflake.Lake(tmp_path), now=lambda: NOW)

        assert ["is no list of records in JSON" in failure.error for failure in report.failures] == [True]
        assert rows_of(tmp_path) == events(range(3))


class TestDays:
    def test_closed(self, container: Any, tmp_path: Path) -> None:
        """Days are closed two days later, once all in them was read, and then neither listed nor remembered."""
        lake, store = ocsflake.Lake(tmp_path), MemoryCheckpoints()
        for day in range(1, 6):
            append(container, [day], path(1, day))
        made = source(container)
        later = NOW + timedelta(days=3)
        ocsflake.run(made, lake, checkpoints=store, now=lambda: later)
        append(container, [99], path(1, 1))  # comes too late
        append(container, [6], path(2, 4))
        last = ocsflake.run(made, lake, checkpoints=store, now=lambda: later)

        doc, _ = store.load(made.name)
        assert doc is not None
        assert doc["state"]["closed"] == {container.url: [["", "2026-03-02"]]}
        assert sorted(doc["state"]["blobs"][container.url]) == ["2026-03-03", "2026-03-04", "2026-03-05"]
        assert last.counts.written == 1
        assert rows_of(tmp_path) == events(range(1, 7))

    def test_broken_blob_keeps_its_day_open(self, container: Any, tmp_path: Path) -> None:
        """A day with a blob that was not read is not closed, and no other stays open for it."""
        lake, store = ocsflake.Lake(tmp_path), MemoryCheckpoints()
        commit(container, b"{torn", name=path(1, 2))
        for day in (1, 2, 3):
            append(container, [day], path(2, day))
        made, later = source(container), NOW + timedelta(days=30)
        for number in (4, 5):
            container.upload_blob(f"no-date-{number}.json", event(number))
            ocsflake.run(made, lake, checkpoints=store, now=lambda: later)
        doc, _ = store.load(made.name)
        commit(container, *blocks([0]), name=path(1, 2))
        ocsflake.run(made, lake, checkpoints=store, now=lambda: later)

        assert doc is not None
        assert doc["state"]["closed"] == {container.url: [["", "2026-03-01"], ["2026-03-03", "2026-03-03"]]}
        assert rows_of(tmp_path) == events(range(6))

    def test_deleted_blobs(self, container: Any, tmp_path: Path) -> None:
        """A blob that was read and is deleted does not keep its day open."""
        lake, store = ocsflake.Lake(tmp_path), MemoryCheckpoints()
        for hour in (1, 2):
            append(container, [hour], path(hour))
        made = source(container)
        ocsflake.run(made, lake, checkpoints=store, now=lambda: NOW)
        container.delete_blob(path(1))
        ocsflake.run(made, lake, checkpoints=store, now=lambda: NOW + timedelta(days=9))

        doc, _ = store.load(made.name)
        assert doc is not None
        assert doc["state"]["closed"] == {container.url: [["", "2026-03-02"]]}
        assert doc["state"]["blobs"] == {}

    def test_further_back(self, container: Any, tmp_path: Path) -> None:
        """A run that goes further back than the one before reads what that left out."""
        lake = ocsflake.Lake(tmp_path)
        for day in range(1, 9):
            append(container, [day], path(1, day))
        later = NOW + timedelta(days=30)
        made = source(container)
        runs = [ocsflake.run(evolve(made, since=since), lake, now=lambda: later) for since in ("2026-03-06", None)]

        assert [run.counts.written for run in runs] == [4, 4]
        assert rows_of(tmp_path) == events(range(1, 9))

    def test_bounds(self, container: Any) -> None:
        """Days outside the bounds are not listed, but for the one before and two after them."""
        for day in range(1, 12):
            append(container, [day], path(1, day))
        container.upload_blob("no-date.json", event(99))
        made = source(container).between(datetime(2026, 3, 4, tzinfo=UTC), datetime(2026, 3, 6, tzinfo=UTC))

        splits = made.plan(None, datetime(2026, 3, 8, tzinfo=UTC))
        found = [split.detail["name"] for split in splits if "ends" not in split.detail]

        assert sorted(found) == ["no-date.json", *(path(1, day) for day in range(3, 9))]

    def test_prefix(self, container: Any) -> None:
        """Only what begins with the prefix is read."""
        append(container, [1])
        append(container, [2], path(place=RESOURCE))

        splits = list(source(container, prefix="resourceId=/SUBSCRIPTIONS/3D5F7A90/").plan(None, NOW))

        assert [split.detail["name"] for split in splits] == [path(place=RESOURCE)]


class TestFailures:
    @pytest.mark.parametrize("fault", ["unavailable", "throttled", "reset", "lost", "cut"])
    def test_each_call(self, azurite: AzuriteServer, container: Any, fault: Fault) -> None:
        """Whatever call fails once, in whatever way, every record comes once."""
        append(container, range(5), "y=2026/m=03/d=02/PT1H.json")
        if fault != "cut":  # after which the client itself waits for a second
            commit(container, *blocks(range(10, 15)), name="PT1H.json")
        with FaultProxy(azurite.url.rpartition("/")[0]) as proxy:
            made = source(container, client=azurite.at(proxy.url).client())
            proxy.fail(fault, range(1, 99, 2))  # every call, and no call that is tried again

            raws = [raw for split in made.plan(None, NOW) for raw in made.read(split)]

            assert len(proxy.requests) > 10
        records = [raw.records if isinstance(raw.records, bytes) else b"\n".join(raw.records) for raw in raws]
        assert b"".join(records).count(b'"level"') == (5 if fault == "cut" else 10)

    def test_no_access(self, azurite: AzuriteServer, container: Any, tmp_path: Path) -> None:
        """A container that may not be listed is reported with the permission; another one is read."""
        other = azurite.make_container()
        append(other, range(3))
        with FaultProxy(azurite.url.rpartition("/")[0]) as proxy:
            made = source(container, client=azurite.at(proxy.url).client())
            both = AzureBlobSource(log_type=made.log_type, uri=f"{container.url},{other.url}", client=made.client)
            proxy.fail("denied")
            report = ocsflake.run(both, ocsflake.Lake(tmp_path), now=lambda: NOW)

        [failure] = report.failures
        assert failure.split == f"{container.url}#unread"
        assert "Storage Blob Data Reader" in failure.error
        assert rows_of(tmp_path) == events(range(3))

    def test_no_container(self, container: Any, azurite: AzuriteServer) -> None:
        """A container that is not there is said to be so."""
        made = AzureBlobSource(log_type="azure.activity", uri=f"{azurite.url}/none", client=azurite.client())
        [split] = made.plan(None, NOW)

        with pytest.raises(SourceError, match=r"/logs/none is not there \(ContainerNotFound"):
            list(made.read(split))

    def test_vanished(self, container: Any, tmp_path: Path) -> None:
        """A blob that is gone when it is read is an error of its own; it is no error for the next run."""
        append(container, range(3), path(6))
        append(container, range(3, 6))
        made = source(container)
        splits = list(made.plan(None, NOW))
        container.delete_blob(path(6))

        with pytest.raises(SourceError, match="is not there") as caught:
            list(made.read(splits[0]))
        assert caught.value.split == splits[0].id
        report = ocsflake.run(made, ocsflake.Lake(tmp_path), now=lambda: NOW)
        assert (report.failures, report.counts.written) == ([], 3)

    @pytest.mark.parametrize("numbers", [range(100, 101), range(100, 150)])
    def test_replaced_before_it_is_read(self, container: Any, numbers: range) -> None:
        """A blob that is another one when it is read is an error."""
        append(container, range(5))
        made = source(container)
        [split] = made.plan(None, NOW)
        container.delete_blob(path())
        append(container, numbers)

        with pytest.raises(SourceError, match="changed since it was planned"):
            list(made.read(split))

    def test_crash_before_publishing(self, container: Any, tmp_path: Path) -> None:
        """An interrupted commit is repeated just as it was, though the blobs have grown."""

        class Store(MemoryCheckpoints):
            def save(self, name: str, doc: Any, revision: str | None) -> str:
                saved = super().save(name, doc, revision)
                if doc.get("intent"):
                    raise KeyboardInterrupt
                return saved

        store, finished = Store(), MemoryCheckpoints()
        commit(container, *blocks(range(5)), name=path(1))
        append(container, range(10, 15), path(2))
        with pytest.raises(KeyboardInterrupt):
            ocsflake.run(source(container), ocsflake.Lake(tmp_path), checkpoints=store, now=lambda: NOW)
        commit(container, *blocks(range(8)), name=path(1))
        append(container, range(15, 20), path(2))
        doc, _ = store.load(source(container).name)
        assert doc is not None
        finished.save(source(container).name, doc, None)

        report = ocsflake.run(source(container), ocsflake.Lake(tmp_path), checkpoints=finished, now=lambda: NOW)

        assert report.counts.written == 18
        assert rows_of(tmp_path) == events([*range(8), *range(10, 20)])


def test_credential(azurite: AzuriteServer, container: Any) -> None:
    """A source makes its client itself, with the credential that it is given."""
    append(container, range(3))
    key = {"account_name": azurite.url.rpartition("/")[2], "account_key": azurite.key}
    made = AzureBlobSource(log_type="azure.activity", uri=container.url, credential=key)

    assert len(ocsflake.read(made, since="2026-03-02")["api_activity"]) == 3

    other = AzureBlobSource(log_type="azure.activity", uri=container.url, credential={**key, "account_key": "bm9uZQ=="})
    [split] = other.plan(None, NOW)
    with pytest.raises(AccessDeniedError, match="may not read it"):
        list(other.read(split))


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("", "needs uri="),
        ("logs", "no URL of a container"),
        ("https://a.blob.core.windows.net", "no URL of a container"),
        ("https://a.blob.core.windows.net/c?sig=secret", "give a SAS token as credential="),
    ],
)
def test_wrong(uri: str, message: str) -> None:
    """What cannot be is said when the source is made, without a secret."""
    with pytest.raises(ConfigError, match=message) as caught:
        AzureBlobSource(log_type="azure.activity", uri=uri)
    assert "secret" not in str(caught.value)


def test_name_and_pickle() -> None:
    """The name is made of log type and address; a source without a client can be sent elsewhere."""
    uri = "https://a.blob.core.windows.net/insights-logs-signinlogs"
    made = AzureBlobSource(log_type="azure.signin", uri=uri, credential="a-key")

    assert made.name == f"azure.blob:azure.signin:{uri}"
    assert pickle.loads(pickle.dumps(made)) == made
    assert "a-key" not in repr(made)
