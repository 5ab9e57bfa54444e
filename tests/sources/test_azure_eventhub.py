"""Event hubs by their own client: every event once, in ranges of sequence numbers."""

from __future__ import annotations

import gc
import json
import os
import pickle
import ssl
import subprocess
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from attrs import evolve
from azure.core.credentials import AccessToken, AzureNamedKeyCredential
from azure.eventhub import EventHubConsumerClient, TransportType
from azure.eventhub.extensions.checkpointstoreblob import BlobCheckpointStore

import ocsflake
from ocsflake import samples
from ocsflake.checkpoints import MemoryCheckpoints
from ocsflake.errors import AccessDeniedError, ConfigError, SourceError
from ocsflake.sources.azure.eventhub import AzureEventHubSource
from ocsflake.testing.azure_eventhub import EventHub
from ocsflake.testing.azurite import azurite_server, install_azurite
from pipeline_logs import rows as rows_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from ocsflake.model import State

# The client leaves the sockets of broken connections to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)


def envelope(*numbers: int) -> bytes:
    """An event that holds records of the Activity log."""
    records = [
        {
            "time": f"2026-03-02T07:{number // 60 % 60:02d}:{number % 60:02d}.1234567Z",
            "operationName": "MICROSOFT.COMPUTE/VIRTUALMACHINES/WRITE",
            "eventDataId": f"event-{number}",
            "level": "Informational",
        }
        for number in numbers
    ]
    return json.dumps({"records": records}).encode()


def source(hub: EventHub, **options: Any) -> AzureEventHubSource:
    given = {"connection_string": hub.connection_string, **options}
    made = ocsflake.source("azure.eventhub", log_type="azure.activity", **given)
    assert isinstance(made, AzureEventHubSource)
    return made


def taken(made: AzureEventHubSource, state: State | None = None) -> list[bytes]:
    """The events that are new since a state."""
    return [bytes(body) for split in made.plan(state, NOW) for raw in made.read(split) for body in raw.records]


def events(numbers: Iterable[int]) -> dict[str, int]:
    return {f"event-{number}": 1 for number in numbers}


@pytest.fixture
def hub() -> Iterator[EventHub]:
    with EventHub() as running:
        yield running
    gc.collect()


def test_incremental(tmp_path: Path) -> None:
    """What is new in each partition is written once; a run without news writes nothing."""
    lake = ocsflake.Lake(tmp_path)
    with EventHub(partitions=2) as hub:
        hub.add(0, [envelope(number, number + 500) for number in range(150)])
        first = ocsflake.run(source(hub), lake, now=lambda: NOW)
        again = ocsflake.run(source(hub), lake, now=lambda: NOW)
        hub.add(1, [envelope(1000)])
        hub.add(0, [envelope(1001)])
        last = ocsflake.run(source(hub), lake, now=lambda: NOW)

    assert (first.counts.written, again.counts.records, last.counts.written) == (300, 0, 2)
    assert rows_of(tmp_path) == events([*range(150), *range(500, 650), 1000, 1001])


def test_ranges(hub: EventHub) -> None:
    """A backlog is cut into ranges, which are read alone, again, and elsewhere; one that failed is planned again."""
    hub.add(0, [b"%d" % number for number in range(2_300)])
    made = source(hub)
    splits = list(made.plan(None, NOW))
    state = made.advance(None, [splits[0], splits[2]])

    [raw, *_] = pickle.loads(pickle.dumps(made)).read(splits[2])

    assert [(split.detail["start"], split.detail["end"]) for split in splits] == [(0, 1000), (1000, 2000), (2000, 2300)]
    assert raw.records[0] == b"2000"
    assert [split.id for split in made.plan(state, NOW)] == [splits[1].id]
    assert made.advance(state, [splits[1]]) == {"read": {"0": [[0, 2300]]}}


def test_large_events(hub: EventHub) -> None:
    """Events that do not fit into a frame come whole; many of them come a few at a time."""
    bodies = [b"%d" % number * 900_000 for number in range(10)] * 2
    hub.add(0, bodies)
    made = source(hub)
    [split] = made.plan(None, NOW)

    raws = list(made.read(split))

    assert len(raws) > 1
    assert [body for raw in raws for body in raw.records] == bodies


@pytest.mark.parametrize("trouble", ["refused", "cut"])
def test_failing_connections(hub: EventHub, trouble: Any) -> None:
    """Whatever connection fails once, every event comes once."""
    bodies = [b"%d" % number for number in range(25)]
    hub.add(0, bodies)
    hub.trouble(*[trouble, ""] * 20)

    assert taken(source(hub)) == bodies


def test_no_access(hub: EventHub) -> None:
    """An identity that may not listen is told what it needs; nothing is tried again."""
    hub.trouble("denied")
    made = source(hub)
    [split] = made.plan(None, NOW)

    with pytest.raises(AccessDeniedError, match="Azure Event Hubs Data Receiver") as caught:
        list(made.read(split))
    assert "not-a-secret" not in str(caught.value)
    assert hub.connections == 1


def test_no_access_on_the_way(hub: EventHub, tmp_path: Path) -> None:
    """A range that may not be read is reported; the next run reads it."""
    hub.add(0, [envelope(1)])
    made = source(hub)
    list(made.plan(None, NOW))
    hub.trouble(*[""] * hub.connections, "denied")

    report = ocsflake.run(made, ocsflake.Lake(tmp_path), now=lambda: NOW)
    mended = ocsflake.run(made, ocsflake.Lake(tmp_path), now=lambda: NOW)

    assert ["may not read it" in failure.error for failure in report.failures] == [True]
    assert (report.counts.written, mended.counts.written) == (0, 1)


def test_no_event_hub(hub: EventHub) -> None:
    """An event hub that is not there is said to be so."""
    hub.trouble("missing")
    made = source(hub)
    [split] = made.plan(None, NOW)

    with pytest.raises(SourceError, match="logs is not there"):
        list(made.read(split))


def test_dropped_events(hub: EventHub, tmp_path: Path) -> None:
    """Events that the hub dropped before they were read are reported once; the others are read."""
    lake = ocsflake.Lake(tmp_path)
    hub.add(0, [envelope(number) for number in range(10)])
    hub.drop(0, 4)  # what was dropped before the first run is none of its business
    first = ocsflake.run(source(hub), lake, now=lambda: NOW)
    hub.add(0, [envelope(number) for number in range(10, 20)])
    hub.drop(0, 15)
    reports = [ocsflake.run(source(hub), lake, now=lambda: NOW) for _ in range(2)]

    lost = (
        f"{source(hub)._place}: the events 10 to 14 of partition 0 were dropped before they were read: run more often, "
        "or let the hub keep events for longer"
    )
    assert (first.counts.written, first.failures) == (6, [])
    assert [[failure.error for failure in report.failures] for report in reports] == [
        [lost],
        [],
    ]
    assert rows_of(tmp_path) == events([*range(4, 10), *range(15, 20)])


@pytest.mark.parametrize("left", [5, 12])
def test_dropped_after_planning(hub: EventHub, left: int) -> None:
    """Events that are dropped between planning and reading are an error."""
    hub.add(0, [b"%d" % number for number in range(10)])
    made = source(hub)
    [split] = made.plan(None, NOW)
    hub.add(0, [b"%d" % number for number in range(10, 15)])
    hub.drop(0, left)

    with pytest.raises(SourceError, match=f"the events 0 to {min(left, 10) - 1} of partition 0 were dropped") as caught:
        list(made.read(split))
    assert caught.value.split == split.id


def test_since(hub: EventHub) -> None:
    """A partition that was not read before begins with what came in from `since` on."""
    for hour in range(6):
        hub.add(0, [b"%d" % hour], NOW + timedelta(hours=hour))

    starts = [
        split.detail["start"]
        for made in (source(hub, since=NOW + timedelta(hours=3, minutes=-1)), source(hub).between(NOW, None))
        for split in made.plan(None, NOW)
    ]

    assert starts == [3, 0]
    assert list(source(hub, since=NOW + timedelta(hours=9)).plan(None, NOW)) == []


def test_crash_before_publishing(hub: EventHub, tmp_path: Path) -> None:
    """An interrupted commit is repeated just as it was."""

    class Store(MemoryCheckpoints):
        def save(self, name: str, doc: Any, revision: str | None) -> str:
            saved = super().save(name, doc, revision)
            if doc.get("intent"):
                raise KeyboardInterrupt
            return saved

    store, finished = Store(), MemoryCheckpoints()
    hub.add(0, [envelope(number) for number in range(5)])
    with pytest.raises(KeyboardInterrupt):
        ocsflake.run(source(hub), ocsflake.Lake(tmp_path), checkpoints=store, now=lambda: NOW)
    hub.add(0, [envelope(number) for number in range(5, 9)])
    doc, _ = store.load(source(hub).name)
    assert doc is not None
    finished.save(source(hub).name, doc, None)

    report = ocsflake.run(source(hub), ocsflake.Lake(tmp_path), checkpoints=finished, now=lambda: NOW)

    assert report.counts.written == 9
    assert rows_of(tmp_path) == events(range(9))


def test_same_events_as_files(hub: EventHub) -> None:
    """The samples become the events that they become from files."""
    file = next(path for path in samples.files("azure.signin") if path.name == "eventhub.json")
    hub.add(0, [file.read_bytes()])
    made = AzureEventHubSource(log_type="azure.signin", connection_string=hub.connection_string)

    found, wanted = (
        {name: table.to_pylist() for name, table in ocsflake.read(each).items()}
        for each in (made, ocsflake.source("files", log_type="azure.signin", uri=str(file)))
    )

    assert found == wanted


class Token:
    """A credential that hands out one token."""

    def get_token(self, *scopes: str, **_options: Any) -> AccessToken:
        return AccessToken(f"for {' '.join(scopes)}", int(time.time()) + 3600)


def test_namespace_and_credential(tmp_path: Path) -> None:
    """The client signs in with a credential, over TLS, and trusts the certificates that it is told to."""
    authority, trusted = trustme.CA(), tmp_path / "ca.pem"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(trusted))
    with EventHub(tls=context) as hub:
        hub.add(0, [b"a", b"b"])
        options = {
            "custom_endpoint_address": hub.address,
            "connection_verify": str(trusted),
            "transport_type": TransportType.Amqp,
        }
        made = AzureEventHubSource(
            log_type="azure.activity",
            namespace="soc.servicebus.windows.net",
            eventhub="logs",
            credential=Token(),
            client_options=options,
        )
        found = taken(made)
        trouble = [
            split.detail
            for split in evolve(made, client_options={**options, "connection_verify": None}).plan(None, NOW)
        ]

    assert found == [b"a", b"b"]
    assert set(hub.tokens) == {("jwt", "for https://eventhubs.azure.net//.default")}
    assert ["CERTIFICATE_VERIFY_FAILED" in each["error"] for each in trouble] == [True]


class TestCheckpointStore:
    """A checkpoint store of the SDK, in blobs."""

    @pytest.fixture
    def store(self) -> Iterator[Any]:
        """A store in a container of Azurite, which CI must be able to fetch."""
        try:
            program = install_azurite()
        except (OSError, subprocess.SubprocessError) as error:
            if os.environ.get("CI") == "true":
                raise
            pytest.skip(f"Azurite cannot be fetched: {error}")
        if program is None:
            pytest.skip("Azurite needs npm")
        with azurite_server(program) as server:
            container, key = server.make_container(), AzureNamedKeyCredential("logs", server.key)
            yield BlobCheckpointStore(server.url, container.container_name, credential=key)

    def checkpoints(self, made: AzureEventHubSource, store: Any) -> dict[str, int]:
        found = store.list_checkpoints(made._host, "logs", "$Default")
        return {each["partition_id"]: each["sequence_number"] for each in found}

    def test_progress(self, store: Any, tmp_path: Path) -> None:
        """What a run made durable is told by the next one; a consumer of the SDK goes on behind it."""
        lake = ocsflake.Lake(tmp_path)
        with EventHub(partitions=2) as hub:
            made = source(hub, checkpoint_store=store)
            hub.add(0, [envelope(number) for number in range(5)])
            ocsflake.run(made, lake, now=lambda: NOW)
            before = self.checkpoints(made, store)
            ocsflake.run(made, lake, now=lambda: NOW)
            hub.add(0, [b"next"])
            found: list[bytes] = []
            consumer = EventHubConsumerClient.from_connection_string(
                hub.connection_string, "$Default", checkpoint_store=store
            )

            def take(_context: Any, event: Any) -> None:
                found.append(b"".join(event.body))
                consumer.close()

            with consumer:
                consumer.receive(take, partition_id="0", starting_position="-1")

        assert before == {}
        assert self.checkpoints(made, store) == {"0": 4}
        assert found == [b"next"]

    def test_start(self, store: Any, hub: EventHub) -> None:
        """A source without a state begins behind the checkpoints, and reports what was dropped behind them."""
        hub.add(0, [b"%d" % number for number in range(10)])
        made = source(hub, checkpoint_store=store, since=NOW)
        store.update_checkpoint({**made._address, "partition_id": "0", "sequence_number": 5, "offset": "5"})

        behind = taken(made)
        hub.drop(0, 8)
        [lost, _] = made.plan(None, NOW)

        assert behind == [b"6", b"7", b"8", b"9"]
        assert "the events 6 to 7 of partition 0 were dropped" in lost.detail["error"]

    def test_not_back(self, store: Any, hub: EventHub) -> None:
        """A checkpoint that is further stays; one that waits for a range that failed waits on."""
        hub.add(0, [b"%d" % number for number in range(3_000)])
        made = source(hub, checkpoint_store=store)
        first, second, third = made.plan(None, NOW)

        list(made.plan(made.advance(None, [first, third]), NOW))
        waiting = self.checkpoints(made, store)
        list(made.plan(made.advance(None, [first, second, third]), NOW))
        list(made.plan(made.advance(None, [first]), NOW))

        assert (waiting, self.checkpoints(made, store)) == ({"0": 999}, {"0": 2999})

    def test_no_store(self, store: Any, hub: EventHub) -> None:
        """A store that is not there is reported, and nothing is read from a place that is not known."""
        hub.add(0, [b"a"])
        store._container_client.delete_container()

        [split] = source(hub, checkpoint_store=store).plan(None, NOW)

        assert "the checkpoint store of sb://" in split.detail["error"]
        assert "is not there" in split.detail["error"]


def test_name_and_secrets(hub: EventHub) -> None:
    """The name is made of log type and address, and neither it nor the source shows a secret."""
    made = source(hub)
    other = AzureEventHubSource(
        log_type="azure.signin", namespace="soc.servicebus.windows.net", eventhub="signins", consumer_group="lake"
    )

    assert "not-a-secret" not in repr(made) + made.name
    assert other.name == "azure.eventhub:azure.signin:soc.servicebus.windows.net/signins/lake"
    assert pickle.loads(pickle.dumps(other)) == other


def test_no_address() -> None:
    """A source without an address is no source."""
    with pytest.raises(ConfigError, match="needs namespace="):
        AzureEventHubSource(log_type="azure.activity", namespace="soc.servicebus.windows.net")
