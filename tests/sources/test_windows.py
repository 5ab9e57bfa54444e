"""The window cursor: what is asked for, when, and what is remembered."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from ocsflake.model import Split
from ocsflake.sources.windows import Windows

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocsflake.model import State

NOW = datetime(2026, 3, 2, 12, 30, 40, 500_000, tzinfo=UTC)
HOUR, MINUTE = 3_600_000, 60_000
WINDOWS = Windows()


def milliseconds(*moment: int) -> int:
    return int(datetime(2026, 3, 2, *moment, tzinfo=UTC).timestamp() * 1000)


def spans(splits: Iterable[Split]) -> list[tuple[int, int, int]]:
    return [(split.detail["read_from"], split.detail["start"], split.detail["end"]) for split in splits]


class TestPlan:
    def test_grid(self) -> None:
        """Windows end at full hours, and the last one where records have settled, at a whole second."""
        since = datetime(2026, 3, 2, 10, 15, tzinfo=UTC)

        found = spans(WINDOWS.plan(None, NOW, since=since))

        edges = [milliseconds(10, 15), milliseconds(11), milliseconds(12), milliseconds(12, 28, 40)]
        assert found == [(start, start, end) for start, end in pairwise(edges)]

    def test_overlap(self) -> None:
        """The first window after what was covered reads its last minutes again; those after it do not."""
        state = {"covered": {"": [[milliseconds(9), milliseconds(10, 30)]]}}

        found = spans(WINDOWS.plan(state, NOW, since=datetime(2026, 3, 2, 9, tzinfo=UTC)))

        assert found[0] == (milliseconds(10, 25), milliseconds(10, 30), milliseconds(11))
        assert found[1] == (milliseconds(11), milliseconds(11), milliseconds(12))

    def test_gaps(self) -> None:
        """A window that failed is planned again, and an earlier `since` reaches back."""
        state = {"covered": {"": [[milliseconds(9), milliseconds(10)], [milliseconds(11), milliseconds(12)]]}}

        found = spans(WINDOWS.plan(state, NOW, since=datetime(2026, 3, 2, 8, tzinfo=UTC)))

        assert [(start, end) for _, start, end in found] == [
            (milliseconds(8), milliseconds(9)),
            (milliseconds(10), milliseconds(11)),
            (milliseconds(12), milliseconds(12, 28, 40)),
        ]

    def test_scopes(self) -> None:
        """Windows of all scopes come oldest first; each scope knows what it covered."""
        state = {"covered": {"b": [[milliseconds(10), milliseconds(12)]]}}
        since, until = datetime(2026, 3, 2, 10, tzinfo=UTC), datetime(2026, 3, 2, 12, tzinfo=UTC)

        found = WINDOWS.plan(state, NOW, since=since, until=until, scopes=["b", "a", "a"])

        assert [split.id for split in found] == [
            "a[2026-03-02T10:00:00.000Z/2026-03-02T11:00:00.000Z)",
            "a[2026-03-02T11:00:00.000Z/2026-03-02T12:00:00.000Z)",
        ]

    def test_order(self) -> None:
        """Of windows that end together those come first whose scope does."""
        since = datetime(2026, 3, 2, 10, tzinfo=UTC)
        settings: dict[str, Any] = {"since": since, "until": since + timedelta(hours=2)}

        found = list(WINDOWS.plan({}, NOW, scopes=["b", "a"], **settings))

        assert [(split.detail["scope"], split.detail["end"]) for split in found] == [
            (scope, milliseconds(hour)) for hour in (11, 12) for scope in "ab"
        ]
        assert [split.bytes for split in found] == [None] * 4

    def test_until(self) -> None:
        """What has not settled is not asked for, wherever the end is; nor is what was covered beyond it."""
        since = datetime(2026, 3, 2, 12, tzinfo=UTC)
        state = {"covered": {"": [[milliseconds(13), milliseconds(14)]]}}

        for known in (None, state):
            found = spans(WINDOWS.plan(known, NOW, since=since, until=NOW + timedelta(days=1)))
            assert found == [(milliseconds(12), milliseconds(12), milliseconds(12, 28, 40))]
        assert spans(WINDOWS.plan(state, NOW, since=since, until=since)) == []

    def test_age(self) -> None:
        """An age counts from when a scope was first read: a gap that became older than it is planned all the same."""
        state = {"covered": {"": [[milliseconds(1), milliseconds(2)], [milliseconds(3), milliseconds(4)]]}}

        found = spans(WINDOWS.plan(state, NOW, since="2h"))
        fixed = spans(WINDOWS.plan(state, NOW, since=NOW - timedelta(hours=2)))

        assert found[0] == (milliseconds(1, 55), milliseconds(2), milliseconds(3))
        assert found[1] == (milliseconds(3, 55), milliseconds(4), milliseconds(5))
        assert fixed[0][1] == milliseconds(10, 30, 40) + 500
        for known in (None, state):  # further back than what was first read, or never read
            assert spans(WINDOWS.plan(known, NOW, since="12h"))[0][1] == milliseconds(0, 30, 40) + 500

    @pytest.mark.parametrize("since", [NOW, NOW - timedelta(minutes=1), NOW + timedelta(days=1)])
    def test_nothing(self, since: datetime) -> None:
        """What has not settled is not asked for."""
        assert spans(WINDOWS.plan(None, NOW, since=since)) == []


class TestAdvance:
    def test_merged(self) -> None:
        """What touches or overlaps is one span, whatever order it came in; no state is changed."""
        given = {"covered": {"b": [[1, 2]], "": [[40, 50], [10, 20]]}}

        def split(scope: str, start: int, end: int) -> Split:
            return Split("x", {"scope": scope, "start": start, "end": end})

        state = WINDOWS.advance(given, [split("", 20, 30), split("", 42, 45), split("", 49, 60), split("a", 0, 5)])

        assert state == {"covered": {"b": [[1, 2]], "": [[10, 30], [40, 60]], "a": [[0, 5]]}}
        assert given == {"covered": {"b": [[1, 2]], "": [[40, 50], [10, 20]]}}
        assert WINDOWS.advance({}, []) == WINDOWS.advance(None, []) == {"covered": {}}

    @pytest.mark.parametrize(
        ("read_from", "end", "forgotten"),
        [(0, 5 * MINUTE, True), (0, 5 * MINUTE + 1, False), (10 * MINUTE - 1, HOUR, False), (10 * MINUTE, HOUR, True)],
    )
    def test_forgets(self, read_from: int, end: int, forgotten: bool) -> None:
        """Ids are kept as long as a window may still read them: those of the last minutes of what was covered."""
        state = {"covered": {"a": [[0, 10 * MINUTE]]}}
        detail = {"scope": "a", "start": read_from, "end": end, "read_from": read_from}

        assert WINDOWS.forgets(state, Split("x", detail)) is forgotten
        assert WINDOWS.forgets(state, Split("x", {**detail, "scope": "b"}))


def test_late_records() -> None:
    """Records that are shown minutes after their stamp are all read once, through failing windows and restarts."""
    luck = random.Random(7)
    since = datetime(2026, 3, 2, tzinfo=UTC)
    start = int(since.timestamp() * 1000)
    shown: dict[int, int] = {}  # a record's stamp, and when the service shows it
    for _ in range(20_000):
        stamp = start + luck.randrange(6 * HOUR)
        shown[stamp] = stamp + (luck.randrange(60_000) if luck.random() > 0.05 else luck.randrange(6 * MINUTE))
    state: State | None = None
    kept: list[tuple[Split, set[int]]] = []
    taken: list[int] = []
    reads = 0
    for minute in range(3, 6 * 60 + 30, 5):
        now = start + minute * MINUTE
        done = []
        for split in WINDOWS.plan(state, since + timedelta(minutes=minute), since=since):
            if luck.random() < 0.2:
                continue  # it fails this time
            detail = split.detail
            found = {s for s, seen in shown.items() if detail["read_from"] <= s < detail["end"] and seen <= now}
            reads += len(found)
            known = set().union(*(ids for _, ids in kept))
            taken += found - known
            kept.append((split, found - known))
            done.append(split)
        state = WINDOWS.advance(state, done)
        kept = [(split, ids) for split, ids in kept if not WINDOWS.forgets(state, split)]

    assert sorted(taken) == sorted(shown)
    assert reads < 2.6 * len(shown)
    assert len(kept) <= 4
