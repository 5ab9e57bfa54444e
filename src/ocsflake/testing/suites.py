"""What every source, every sink and every checkpoint store must do, as tests to inherit.

A plugin's own test module has a subclass that says what to try::

    class TestMySink(SinkSuite):
        @pytest.fixture
        def sink(self):
            return MySink(...)

        def events(self, sink):
            return [...]  # all that can be read, one dictionary an event
"""

from __future__ import annotations

import copy
import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ocsflake.errors import CheckpointConflictError, LakeError
from ocsflake.lake import Lake
from ocsflake.model import EventBatch, Split
from ocsflake.pipeline import run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ocsflake.model import CheckpointStore, ObjectWritten, Sink, Source

__all__ = ["CheckpointSuite", "SinkSuite", "SourceSuite", "event_batch"]

_DAY = 86_400_000
_FIRST = 1_704_067_200_000  # 2024-01-01
_SCHEMA = pa.schema(
    [
        ("time", pa.int64()),
        ("class_uid", pa.int32()),
        ("metadata", pa.struct([("uid", pa.string())])),
        ("cloud", pa.struct([("provider", pa.string()), ("account", pa.struct([("uid", pa.string())]))])),
    ]
)


def event_batch(
    count: int,
    *,
    start: int = 0,
    accounts: Sequence[str] = ("111111111111",),
    days: int = 1,
    event_class: str = "api_activity",
) -> EventBatch:
    """Return events of few columns, the latest first, spread over accounts and days.

    Args:
        count: How many.
        start: The number of the first; their ids are ``<class>-<number>``.
        accounts: AWS account ids.
        days: From 2024-01-01 on.
        event_class: ``api_activity`` or ``authentication``.
    """
    rows = [
        {
            "time": _FIRST + n % days * _DAY + _DAY - 1 - n // days,
            "class_uid": {"api_activity": 6003, "authentication": 3002}[event_class],
            "metadata": {"uid": f"{event_class}-{n}"},
            "cloud": {"provider": "AWS", "account": {"uid": accounts[n // days % len(accounts)]}},
        }
        for n in range(start, start + count)
    ]
    return EventBatch("aws.cloudtrail", "aws_cloudtrail", event_class, pa.RecordBatch.from_pylist(rows, _SCHEMA))


class SinkSuite:
    """Every sink makes all events of a commit visible under names that depend on the commit alone, or none of them.

    A subclass has a fixture ``sink``, an empty one for each test.
    """

    def events(self, sink: Any) -> list[dict[str, Any]]:
        """Return all events that can be read; this is how it is done with a `ocsflake.Lake`."""
        rows: list[dict[str, Any]] = []
        for item in sink.storage.objects("ext/"):
            with sink.storage.open(item.key) as file:
                rows += pq.read_table(file).to_pylist()
        return rows

    def publish(self, sink: Sink, *batches: EventBatch, commit_id: str = "c1") -> Sequence[ObjectWritten]:
        """Take events through one commit."""
        commit = sink.begin(commit_id)
        try:
            for batch in batches:
                commit.write(batch)
            return commit.publish()
        finally:
            commit.close()

    def ids(self, sink: Sink) -> Counter[str]:
        """Return how often each event can be read."""
        return Counter(row["metadata"]["uid"] for row in self.events(sink))

    def test_what_is_published_can_be_read(self, sink: Sink) -> None:
        """Events come out as they went in."""
        batch = event_batch(50, accounts=("111111111111", "222222222222"), days=3)

        written = self.publish(sink, batch)

        expected = sorted(batch.events.to_pylist(), key=lambda row: row["metadata"]["uid"])
        assert sorted(self.events(sink), key=lambda row: row["metadata"]["uid"]) == expected
        assert sum(item.rows for item in written) == 50

    def test_it_says_what_it_wrote(self, sink: Sink) -> None:
        """There is an object for each class, account and day, and its description is true."""
        first = event_batch(24, accounts=("111111111111", "222222222222"), days=2)
        second = event_batch(10, event_class="authentication")

        written = self.publish(sink, first, second)

        assert {(item.event_class, item.account, item.day): item.rows for item in written} == {
            ("api_activity", "111111111111", "20240101"): 6,
            ("api_activity", "111111111111", "20240102"): 6,
            ("api_activity", "222222222222", "20240101"): 6,
            ("api_activity", "222222222222", "20240102"): 6,
            ("authentication", "111111111111", "20240101"): 10,
        }
        assert len({item.key for item in written}) == 5
        assert all(item.bytes > 0 for item in written)

    def test_nothing_is_visible_before(self, sink: Sink) -> None:
        """Events that were written and not published cannot be read, nor after the commit was closed."""
        commit = sink.begin("c1")
        commit.write(event_batch(10))

        assert self.events(sink) == []
        commit.close()
        assert self.events(sink) == []

    def test_no_events(self, sink: Sink) -> None:
        """A commit of nothing leaves nothing."""
        assert list(self.publish(sink)) == []
        assert list(self.publish(sink, event_batch(0))) == []
        assert self.events(sink) == []

    def test_a_commit_that_is_done_again_changes_nothing(self, sink: Sink) -> None:
        """The same commit has the same objects, and its events are there once."""
        batch = event_batch(30, days=2)
        first = self.publish(sink, batch)

        assert self.publish(sink, batch) == first
        assert set(self.ids(sink).values()) == {1}

    def test_batches_of_other_sizes(self, sink: Sink) -> None:
        """A commit is the same however its events are cut into batches."""
        first = self.publish(sink, event_batch(30, days=2))

        again = self.publish(sink, *(event_batch(5, start=start, days=2) for start in range(0, 30, 5)))

        assert [(item.key, item.rows) for item in again] == [(item.key, item.rows) for item in first]
        assert set(self.ids(sink).values()) == {1}

    def test_a_second_publish(self, sink: Sink) -> None:
        """Publishing again returns what the first time did."""
        commit = sink.begin("c1")
        commit.write(event_batch(10))
        first = commit.publish()

        assert list(commit.publish()) == list(first)
        commit.close()
        assert set(self.ids(sink).values()) == {1}

    def test_other_commits_add(self, sink: Sink) -> None:
        """Equal events of another commit are other events."""
        self.publish(sink, event_batch(10), commit_id="c1")
        self.publish(sink, event_batch(10), commit_id="c2")

        assert set(self.ids(sink).values()) == {2}

    def test_commits_at_the_same_time(self, sink: Sink) -> None:
        """Commits in several threads do not disturb each other."""

        def publish(n: int) -> None:
            self.publish(sink, event_batch(20, start=n * 20, days=2), commit_id=f"c{n}")

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(publish, range(6)))

        assert self.ids(sink) == Counter(f"api_activity-{n}" for n in range(120))

    @pytest.mark.parametrize("account", ["../../x", "/etc/x", "a=b", "%2F", "a\nb", "x" * 2_000, ""])
    def test_hostile_accounts(self, sink: Sink, account: str) -> None:
        """An account id is what somebody wrote into a log; it chooses no key and is kept as it is."""
        (written,) = self.publish(sink, event_batch(3, accounts=(account,)))

        assert ".." not in written.key
        assert "=" not in written.account
        assert {row["cloud"]["account"]["uid"] for row in self.events(sink)} == {account}

    def test_columns_that_change(self, sink: Sink) -> None:
        """Batches of one class have the same columns within a commit, and a commit that failed publishes nothing."""
        batch = event_batch(3)
        other = EventBatch(batch.log_type, batch.source_name, batch.event_class, batch.events.select(["time"]))
        commit = sink.begin("c1")
        commit.write(batch)

        with pytest.raises(LakeError):
            commit.write(other)
        with pytest.raises(LakeError):
            commit.publish()
        commit.close()
        assert self.events(sink) == []

    def test_closing_twice(self, sink: Sink) -> None:
        """A commit may be closed more than once."""
        commit = sink.begin("c1")
        commit.close()
        commit.close()


class SourceSuite:
    """Every source plans what is new, reads it again and again as it was, and remembers what is done.

    A subclass has a fixture ``source``: a new one, whose service holds records for two splits or more, all of which
    its mapper takes.
    """

    now = datetime.now(UTC)
    """When it is planned."""

    def records(self, source: Source, split: Split) -> list[bytes]:
        """Return the records of a split as bytes, however they are cut into batches."""
        found: list[bytes] = []
        for raw in source.read(split):
            records: Any = raw.records
            if isinstance(records, pa.RecordBatch):
                found += [repr(row).encode() for row in records.to_pylist()]
            else:
                found += [records] if isinstance(records, bytes) else map(bytes, records)
        return found

    def test_plan(self, source: Source) -> None:
        """Splits have ids of their own, and planning again without a state gives the same."""
        ids = [split.id for split in source.plan(None, self.now)]

        assert len(ids) >= 2
        assert len(set(ids)) == len(ids)
        assert [split.id for split in source.plan(None, self.now)] == ids

    def test_reading_again(self, source: Source) -> None:
        """A split that went through JSON, as through a checkpoint, gives the very same records, read after read."""
        for split in source.plan(None, self.now):
            again = Split(split.id, json.loads(json.dumps(dict(split.detail))), split.bytes)

            assert self.records(source, split) == self.records(source, again) == self.records(source, split)

    def test_all_done(self, source: Source) -> None:
        """What is done is not planned again; the state went through JSON meanwhile."""
        splits = list(source.plan(None, self.now))
        state = json.loads(json.dumps(dict(source.advance(None, splits))))

        assert list(source.plan(state, self.now)) == []

    def test_partly_done(self, source: Source) -> None:
        """What is left is planned again, whichever split was done first."""
        splits = list(source.plan(None, self.now))
        for done in splits:
            state = json.loads(json.dumps(dict(source.advance(None, [done]))))
            planned = list(source.plan(state, self.now))
            read = {record for split in planned for record in self.records(source, split)}

            assert done.id not in {split.id for split in planned}
            assert read.issuperset(
                record for split in splits if split != done for record in self.records(source, split)
            )

    def test_states_are_values(self, source: Source) -> None:
        """Advancing leaves the state before as it was; done in one step or in several, the state is the same."""
        splits = list(source.plan(None, self.now))
        before = source.advance(None, splits[:1])
        kept = copy.deepcopy(dict(before))
        after = source.advance(before, splits[1:])

        assert before == kept
        assert after == source.advance(None, splits)

    def test_two_runs(self, source: Source, tmp_path: Path) -> None:
        """A run writes every record, and a second one writes nothing."""
        lake = Lake(tmp_path / "lake")
        first = run(source, lake, rejects=tmp_path / "rejects")
        second = run(source, lake, rejects=tmp_path / "rejects")

        assert first.counts.written > 0
        assert (first.counts.rejects, list(first.failures)) == (0, [])
        assert (second.counts.written, second.counts.rejects, list(second.failures)) == (0, 0, [])


class CheckpointSuite:
    """Every checkpoint store keeps what it is given, and of two that save at once it tells one.

    A subclass has a fixture ``store``, an empty one for each test.
    """

    def test_nothing_yet(self, store: CheckpointStore) -> None:
        """A source that never ran has no document and no revision."""
        assert store.load("a") == (None, None)

    def test_round_trip(self, store: CheckpointStore) -> None:
        """A document comes back as it was saved, each under its own name."""
        doc = {"files": {"file:///ü": {"size": 2**53 + 1}}, "intent": None, "x": ["\u2028", 1.5, True]}
        first = store.save("a", doc, None)
        other = store.save("files:aws.cloudtrail:/logs/'; --", {}, None)

        assert store.load("a") == (doc, first)
        assert store.load("files:aws.cloudtrail:/logs/'; --") == ({}, other)

    @pytest.mark.parametrize("name", ["", "../x", "a/b", "A", "ä" * 1_000, "\0", "a\nb"])
    def test_names(self, store: CheckpointStore, name: str) -> None:
        """A name may be any text, and names no other source."""
        store.save("a", {"n": 1}, None)
        store.save(name, {"n": 2}, None)

        assert [store.load("a")[0], store.load(name)[0]] == [{"n": 1}, {"n": 2}]

    def test_documents_are_copies(self, store: CheckpointStore) -> None:
        """A document that is changed after it was saved, or loaded, changes nothing that is stored."""
        doc = {"files": ["a"]}
        store.save("a", doc, None)
        doc["files"].append("b")
        loaded, _ = store.load("a")
        assert loaded is not None
        loaded.clear()

        assert store.load("a")[0] == {"files": ["a"]}

    def test_each_save_needs_the_revision_before(self, store: CheckpointStore) -> None:
        """A save with the revision that is stored succeeds and gives the next one."""
        revision = None
        for n in range(3):
            revision = store.save("a", {"n": n}, revision)

        assert store.load("a") == ({"n": 2}, revision)

    @pytest.mark.parametrize("stale", ["first", "none", "unknown"])
    def test_conflict(self, store: CheckpointStore, stale: str) -> None:
        """A save with another revision is a conflict, and changes nothing."""
        first = store.save("a", {"n": 1}, None)
        second = store.save("a", {"n": 2}, first)

        with pytest.raises(CheckpointConflictError, match="another run saved the checkpoint of 'a'"):
            store.save("a", {"n": 3}, {"first": first, "none": None, "unknown": "7"}[stale])
        assert store.load("a") == ({"n": 2}, second)

    def test_equal_documents(self, store: CheckpointStore) -> None:
        """A revision is of a save, not of a document: one that was saved again has another."""
        first = store.save("a", {"n": 1}, None)
        second = store.save("a", {"n": 1}, first)

        assert first != second
        with pytest.raises(CheckpointConflictError):
            store.save("a", {"n": 2}, first)

    def test_revision_of_a_document_that_is_gone(self, store: CheckpointStore) -> None:
        """A revision that was never stored here does not make a document."""
        with pytest.raises(CheckpointConflictError):
            store.save("a", {}, "7")
        assert store.load("a") == (None, None)

    def test_not_json(self, store: CheckpointStore) -> None:
        """What is no JSON is refused before anything is written."""
        with pytest.raises(TypeError):
            store.save("a", {"x": object()}, None)
        assert store.load("a") == (None, None)

    def test_threads(self, store: CheckpointStore) -> None:
        """Of many threads that save at once, one wins each time."""

        def count(_: int) -> None:
            for _ in range(5):
                while True:
                    doc, revision = store.load("n")
                    try:
                        store.save("n", {"n": (doc or {"n": 0})["n"] + 1}, revision)
                        break
                    except CheckpointConflictError:
                        continue

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(count, range(4)))

        assert store.load("n")[0] == {"n": 20}
