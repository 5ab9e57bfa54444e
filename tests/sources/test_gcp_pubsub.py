"""Pub/Sub: every message once, whenever it is delivered again, and none acknowledged before its events are durable."""

from __future__ import annotations

import gc
import json
import pickle
import time
from datetime import datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from gcp_entries import NOW, CrashError, Crashing, entry, ids, rows, run, sample

import ocsflake
from ocsflake.checkpoints import MemoryCheckpoints
from ocsflake.errors import AccessDeniedError, ConfigError
from ocsflake.model import Split
from ocsflake.sources.gcp.pubsub import Leases
from ocsflake.testing.gcp_pubsub import PubSubServer, pubsub_server

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

numbers = count()


@pytest.fixture(scope="module")
def server() -> Iterator[PubSubServer]:
    with pubsub_server() as server:
        yield server


@pytest.fixture
def subscription() -> str:
    return f"projects/p/subscriptions/logs-{next(numbers)}"


def publish(server: PubSubServer, subscription: str, numbers: Iterable[int], published: datetime = NOW) -> list[str]:
    """Publish entries as a log sink does; return the ids of the messages."""
    return [
        server.publish(subscription, json.dumps(entry(number)).encode(), published=published - timedelta(seconds=1))
        for number in numbers
    ]


def source(server: PubSubServer, subscription: str, log_type: str = "gcp.audit", **options: Any) -> Any:
    given = {"subscription": subscription, "client": server.client()} | options
    return ocsflake.source("gcp.pubsub", log_type=log_type, **given)


def asked(server: PubSubServer, subscription: str, method: str) -> list[Any]:
    return [request for name, request in server.requests if name == method and request.subscription == subscription]


class TestRuns:
    def test_second_run(self, server: PubSubServer, subscription: str, tmp_path: Path) -> None:
        """A second run writes nothing; every message is acknowledged once."""
        published = publish(server, subscription, range(1500))
        given = source(server, subscription)

        assert [run(given, tmp_path).counts.written for _ in range(2)] == [1500, 0]
        assert rows(tmp_path) == ids(range(1500))
        assert {name: server.acknowledged[name] for name in published} == dict.fromkeys(published, 1)

    def test_delivered_again(self, server: PubSubServer, subscription: str, tmp_path: Path) -> None:
        """A message that comes again although it was taken is dropped, and so is an entry that was published twice."""
        publish(server, subscription, range(10))
        given = source(server, subscription)
        server.fail("Acknowledge", "PERMISSION_DENIED")
        with pytest.raises(AccessDeniedError):
            run(given, tmp_path)
        server.end_leases()
        publish(server, subscription, [3, 10])

        report = run(given, tmp_path)

        assert (report.counts.written, report.counts.duplicates) == (1, 11)
        assert rows(tmp_path) == ids(range(11))
        assert run(given, tmp_path).counts.records == 0

    def test_events(self, server: PubSubServer, subscription: str, tmp_path: Path) -> None:
        """Messages become the events that the same records in a file become; notifications of findings too."""
        records = [json.dumps(each) for each in sample("gcp.scc")]
        (tmp_path / "findings.jsonl").write_text("\n".join(records))
        for each in records:
            server.publish(subscription, each.encode())

        found = ocsflake.read(source(server, subscription, "gcp.scc"))
        expected = ocsflake.read(ocsflake.source("files", log_type="gcp.scc", uri=str(tmp_path)))

        assert {name: table.to_pylist() for name, table in found.items()} == {
            name: table.to_pylist() for name, table in expected.items()
        }

    def test_no_entry(self, server: PubSubServer, subscription: str, tmp_path: Path) -> None:
        """What is no log entry is a reject, and is not delivered for ever."""
        for data in (b"hello", b"", b"{}", b"\xff\xfe"):
            server.publish(subscription, data, {"a": "b"}, published=NOW - timedelta(days=1))
        publish(server, subscription, [1])
        given = source(server, subscription)

        report = run(given, tmp_path)

        assert report.counts.written == 1
        assert report.counts.rejects == report.counts.records - 1 > 0
        assert run(given, tmp_path).counts.records == 0

    def test_forgets(self, server: PubSubServer, subscription: str, tmp_path: Path) -> None:
        """A quarter of a million ids are kept, at 16 bytes each, however old they are, and those of the last commit."""
        given, checkpoints = source(server, subscription), MemoryCheckpoints()
        publish(server, subscription, range(50))
        run(given, tmp_path, checkpoints=checkpoints)
        doc, revision = checkpoints.load(given.name)
        assert (len(doc["seen"]), doc["state"]) == (1, {"taken": 50, "before": 0})
        assert len(json.dumps(doc)) < 1500 + 50 * 16
        publish(server, subscription, [7, 90], NOW + timedelta(days=99))

        later = run(given, tmp_path, NOW + timedelta(days=99), checkpoints=checkpoints)

        assert (later.counts.written, later.counts.duplicates) == (1, 1)
        doc, revision = checkpoints.load(given.name)
        assert [detail["taken"] for _, detail, _ in doc["seen"]] == [50, 52]

        checkpoints.save(given.name, doc | {"state": {"taken": 250_049}}, revision)
        publish(server, subscription, [91])
        run(given, tmp_path, checkpoints=checkpoints)

        doc, _ = checkpoints.load(given.name)
        assert [detail["taken"] for _, detail, _ in doc["seen"]] == [52, 250_050]

    def test_last_commit(self, server: PubSubServer, subscription: str, tmp_path: Path) -> None:
        """The ids of the last commit are kept however many they are: it may not have been acknowledged."""
        given = source(server, subscription)

        state = given.advance({"taken": 10}, [Split("a", {"taken": 400_000}), Split("b", {"taken": 900_000})])

        assert not given.forgets(state, Split("a", {"taken": 400_000}))
        assert given.forgets(state, Split("before", {"taken": 10}))
        assert given.forgets(given.advance(state, []), Split("a", {"taken": 400_000}))

    def test_checkpoint_of_before(self, server: PubSubServer, subscription: str, tmp_path: Path) -> None:
        """A checkpoint that has times of messages instead of their number still knows them."""
        given, checkpoints = source(server, subscription), MemoryCheckpoints()
        publish(server, subscription, range(5))
        run(given, tmp_path, checkpoints=checkpoints)
        doc, revision = checkpoints.load(given.name)
        [[name, _, marks]] = doc["seen"]
        before = {"state": {"published": 1}, "seen": [[name, {"published": 1}, marks]]}
        checkpoints.save(given.name, doc | before, revision)
        publish(server, subscription, range(6))

        report = run(given, tmp_path, checkpoints=checkpoints)

        assert (report.counts.written, report.counts.duplicates) == (1, 5)

    @pytest.mark.parametrize("saves", [1, 2])
    def test_crash(self, server: PubSubServer, subscription: str, tmp_path: Path, saves: int) -> None:
        """A crash after the intent, or after all was published, doubles and loses nothing, even if more came since."""
        published = publish(server, subscription, range(10))
        checkpoints = Crashing(saves)
        with pytest.raises(CrashError):
            run(source(server, subscription), tmp_path, checkpoints=checkpoints)
        assert not set(published) & set(server.acknowledged)
        publish(server, subscription, [3, 11])
        server.end_leases()

        run(source(server, subscription), tmp_path, checkpoints=checkpoints)

        assert rows(tmp_path) == ids([*range(10), 11])
        assert set(published) <= set(server.acknowledged)

    def test_splits(self, server: PubSubServer, subscription: str) -> None:
        """A split is bounded, and its messages can be read from it again, in any process."""
        messages = [b'{"n": %d, "text": "%s"}' % (number, b"x" * 100_000) for number in range(70)]
        for message in messages:
            server.publish(subscription, message)

        splits = list(source(server, subscription).plan(None, NOW))

        other = pickle.loads(pickle.dumps(source(server, subscription, client=None)))
        found = [raw for split in splits for raw in other.read(pickle.loads(pickle.dumps(split)))]
        assert [len(raw.records) for raw in found] == [42, 28]
        assert [record for raw in found for record in raw.records] == messages
        assert max(len(split.detail["messages"]) for split in splits) < 100_000

    def test_endless(self, server: PubSubServer, subscription: str) -> None:
        """Messages that were published after the run began are left for the next one, but for those pulled already."""
        publish(server, subscription, range(1500), NOW + timedelta(hours=1))

        splits = list(source(server, subscription).plan(None, NOW))

        assert sum(len(raw.records) for split in splits for raw in source(server, subscription).read(split)) == 1000


class TestLeases:
    def test_extended(self, server: PubSubServer, subscription: str) -> None:
        """Leases are made long at once, and extended for as long as they are held."""
        publish(server, subscription, range(3))
        acks = [
            each.ack_id for each in server.client().pull(subscription=subscription, max_messages=3).received_messages
        ]
        leases = Leases(every=0.01)

        leases.hold(server.client(), subscription, acks)
        while len(asked(server, subscription, "ModifyAckDeadline")) < 4:
            time.sleep(0.01)

        assert {request.ack_deadline_seconds for request in asked(server, subscription, "ModifyAckDeadline")} == {60}

    def test_no_longer_than_that(self, server: PubSubServer, subscription: str) -> None:
        """Leases are not held for ever."""
        publish(server, subscription, range(3))
        acks = [
            each.ack_id for each in server.client().pull(subscription=subscription, max_messages=3).received_messages
        ]
        leases = Leases(every=0.01, hold=0)

        leases.hold(server.client(), subscription, acks)
        while leases._held.since:
            time.sleep(0.01)

        assert len(asked(server, subscription, "ModifyAckDeadline")) == 1

    def test_given_back(self, server: PubSubServer, subscription: str) -> None:
        """What was not committed is given back with the source, so that another can have it at once."""
        publish(server, subscription, range(10))
        given = source(server, subscription)
        given.acknowledge(list(given.plan(None, NOW))[:0])
        assert list(source(server, subscription).plan(None, NOW)) == []

        del given
        gc.collect()

        [split] = source(server, subscription).plan(None, NOW)
        assert len(next(source(server, subscription).read(split)).ids) == 10

    def test_late(self, server: PubSubServer, subscription: str, tmp_path: Path) -> None:
        """A subscription that says that leases have ended does not fail the run, whose events are durable."""
        publish(server, subscription, range(5))
        server.fail("Acknowledge", "FAILED_PRECONDITION")

        assert run(source(server, subscription), tmp_path).counts.written == 5


class TestFailures:
    @pytest.mark.parametrize("code", ["ABORTED", "INTERNAL", "RESOURCE_EXHAUSTED", "UNAVAILABLE"])
    @pytest.mark.parametrize("method", ["Acknowledge", "ModifyAckDeadline", "Pull"])
    def test_once(self, server: PubSubServer, subscription: str, tmp_path: Path, method: str, code: str) -> None:
        """Whatever call fails once, every message is taken and acknowledged once."""
        published = publish(server, subscription, range(10))
        server.fail(method, code)

        assert run(source(server, subscription), tmp_path).counts.written == 10
        assert set(published) <= set(server.acknowledged)

    def test_denied(self, server: PubSubServer, subscription: str, tmp_path: Path) -> None:
        """Without the permission the run says which one it takes."""
        server.denied.add(subscription)

        with pytest.raises(AccessDeniedError, match=r"logs-\d+: the caller .* allow pubsub.subscriptions.consume"):
            run(source(server, subscription), tmp_path)


class TestOptions:
    def test_wrong(self) -> None:
        """What is no subscription is said when the source is made."""
        with pytest.raises(ConfigError, match="'logs' is no subscription: give it as projects/ID/subscriptions/ID"):
            ocsflake.source("gcp.pubsub", log_type="gcp.audit", subscription="logs")

    def test_identity(self) -> None:
        """The name says what and where; a source without a live client can be sent to another process."""
        given = ocsflake.source("gcp.pubsub", log_type="gcp.audit", subscription="projects/p/subscriptions/s")

        assert given.name == "gcp.pubsub:gcp.audit:projects/p/subscriptions/s"
        assert pickle.loads(pickle.dumps(given)) == given
