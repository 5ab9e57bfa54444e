"""Event hubs by their own client: every event once, in ranges of sequence numbers."""

from __future__ import annotations

import gc
import json
import pickle
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

import ocsflake
from ocsflake import samples
from ocsflake.checkpoints import MemoryCheckpoints
from ocsflake.errors import AccessDeniedError, ConfigError, SourceError
from ocsflake.sources.azure.eventhub import AzureEventHubSource
from ocsflake.testing.azure_eventhub import EventHub
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
