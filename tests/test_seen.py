"""Which records were taken: those of earlier commits, of the one under way, and of one that was interrupted."""

from __future__ import annotations

import json

import pyarrow as pa

from ocsflake.model import RawBatch, Split
from ocsflake.seen import Seen, decoded, encoded

FIRST, SECOND = Split("first", {"messages": "...", "n": 1}), Split("second")


class Queue:
    """A source that forgets splits by their id."""

    def __init__(self, *forgotten: str) -> None:
        self.forgotten = forgotten

    def forgets(self, state: object, split: Split) -> bool:
        assert state == {"at": 2}
        return split.id in self.forgotten


def raw(*ids: str) -> RawBatch:
    return RawBatch([name.encode() for name in ids], ids=ids)


def new(seen: Seen, split: Split, *raws: RawBatch) -> list[list[bytes]]:
    return [list(batch.records) for batch in seen.new(raws, split)]


def test_within_a_commit() -> None:
    """A record is taken once, whichever split and batch it comes in; one without an id always is."""
    seen = Seen({})
    nameless = RawBatch([b"x", b"x"])

    assert new(seen, FIRST, raw("a", "b"), raw("b"), raw("b", "c"), nameless) == [[b"a", b"b"], [b"c"], [b"x", b"x"]]
    assert new(seen, SECOND, raw("c", "d")) == [[b"d"]]
    assert seen.dropped == 3


def test_rows() -> None:
    """Arrow rows are dropped as other records are, and what is left has no ids."""
    rows = pa.RecordBatch.from_pydict({"n": [1, 2, 3]})

    [kept] = Seen({}).new([RawBatch(rows, ids=["a", "b", "a"])], FIRST)

    assert kept.records == pa.RecordBatch.from_pydict({"n": [1, 2]})
    assert kept.ids is None


def test_between_commits() -> None:
    """What was taken stays in the checkpoint, without what a queue gave, until the source forgets it."""
    seen = Seen({})
    new(seen, FIRST, raw("a", "b"))
    new(seen, SECOND, raw("c"))

    doc = {"seen": seen.after(Queue(), {"at": 2}, [FIRST, SECOND])}
    later = Seen(doc)

    assert [entry[:2] for entry in doc["seen"]] == [["first", {"n": 1}], ["second", {}]]
    assert new(later, Split("third"), raw("b", "e")) == [[b"e"]]
    assert later.dropped == 1
    kept = later.after(Queue("first"), {"at": 2}, [Split("third")])
    assert [name for name, *_ in kept] == ["second", "third"]
    assert new(Seen({"seen": kept}), FIRST, raw("a", "c", "e")) == [[b"a"]]


def test_what_a_split_of_nothing_new_leaves() -> None:
    """A split that had nothing new, and one of another commit, leave nothing."""
    seen = Seen({})
    new(seen, FIRST, raw("a"))
    new(seen, SECOND, raw("a"))

    assert [name for name, *_ in seen.after(Queue(), {"at": 2}, [SECOND])] == []
    assert list(seen.taken()) == ["first"]


def test_a_repeated_commit() -> None:
    """It takes what it took before it was interrupted, and leaves what came meanwhile for a later split."""
    seen = Seen({})
    new(seen, FIRST, raw("a", "b"))

    again = Seen({"intent": {"ids": seen.taken()}})

    assert new(again, FIRST, raw("a", "x", "b")) == [[b"a", b"b"]]
    assert new(again, SECOND, raw("y")) == []
    assert again.dropped == 0


def test_as_text() -> None:
    """A checkpoint is kept as JSON and comes back as it was; one of a source without ids has none."""
    seen = Seen({})
    new(seen, FIRST, raw("a", "b"))
    doc = {"state": {"at": 2}, "seen": seen.after(Queue(), {"at": 2}, [FIRST])}

    text = json.dumps(encoded(doc))

    assert decoded(json.loads(text)) == doc
    assert len(doc["seen"][0][2]) == 2 * 12
    assert decoded({}) == encoded({"seen": None}) == {"seen": []}
