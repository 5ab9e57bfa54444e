"""The object cursor: what is new in a listing, and when a day is over."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ocsflake.model import Split
from ocsflake.sources import objects
from ocsflake.sources.objects import Listed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ocsflake.model import State

NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)
PREFIX = "s3://trail/AWSLogs/111122223333/CloudTrail/eu-west-1/"


def listed(*names: str) -> list[Listed]:
    """Return objects by day and name, such as ``03-02/a``; a version may follow after ``:``."""
    found = []
    for name in names:
        day, _, rest = name.rpartition("/")
        key, _, version = rest.partition(":")
        found.append(Listed(f"{PREFIX}{day}/{key}", version or "1", 10, f"2026-{day}" if day else ""))
    return found


def plan(state: State | None, *names: str, now: datetime = NOW) -> list[Split]:
    return list(objects.new(state, now, PREFIX, listed(*names)))


def names(splits: Sequence[Split]) -> list[str]:
    return [split.id.removeprefix(PREFIX) for split in splits if not objects.is_end_of_day(split)]


def test_new() -> None:
    """What was read is not planned again; an object of another version is."""
    state = objects.advance(None, plan(None, "03-04/a", "03-05/b"))

    found = plan(state, "03-04/a", "03-04/late", "03-05/b:2", "03-05/c")

    assert names(found) == ["03-04/late#1", "03-05/b#2", "03-05/c#1"]


def test_detail() -> None:
    """A split says what to read, of which version, and how large it is."""
    (split,) = objects.new(None, NOW, PREFIX, [Listed("s3://b/k", "v", 7, "", {"region": "eu-west-1"})])

    assert dict(split.detail) == {
        "uri": "s3://b/k",
        "version": "v",
        "prefix": PREFIX,
        "day": "",
        "region": "eu-west-1",
    }
    assert split.bytes == 7

    assert Listed("s3://b/k", "v", 7) == Listed("s3://b/k", "v", 7, "", {})


def test_twice() -> None:
    """An object that a listing shows twice is one."""
    state: State = {}

    assert names(plan(state, "03-01/a", "03-01/a", "03-01/b")) == ["03-01/a#1", "03-01/b#1"]


class TestDays:
    def test_ends(self) -> None:
        """The end of an old day says where its span begins, and how many objects must be read for it to be closed."""
        splits = plan(None, "03-01/a", "03-01/b", "03-02/c", "03-03/d", "x")
        ends = [split for split in splits if objects.is_end_of_day(split)]

        assert ends == [
            Split(f"{PREFIX}#2026-03-01:2", {"prefix": PREFIX, "ends": "2026-03-01", "from": "", "due": 2}, 0),
            Split(
                f"{PREFIX}#2026-03-02:1", {"prefix": PREFIX, "ends": "2026-03-02", "from": "2026-03-02", "due": 1}, 0
            ),
        ]
        assert objects.advance(None, ends) == {"closed": {}, "seen": {}}
        assert objects.advance({}, splits)["closed"] == {PREFIX: [["", "2026-03-02"]]}

    def test_in_closed_days(self) -> None:
        """What comes in a closed day, the first and the last included, is not read; what names no day is."""
        state = {"closed": {PREFIX: [["", "2026-02-20"], ["2026-03-01", "2026-03-02"]]}}
        days = ("02-19/a", "02-20/b", "02-21/c", "02-28/d", "03-01/e", "03-02/f", "03-03/g", "h")

        assert names(plan(state, *days)) == ["02-21/c#1", "02-28/d#1", "03-03/g#1", "/h#1"]

    def test_merged(self) -> None:
        """Spans that touch or hold one another are one, and no state is changed."""
        given: State = {
            "closed": {PREFIX: [["2026-03-01", "2026-03-04"]], "other": [["", "2026-01-01"]]},
            "seen": {"other": {"": "eA=="}},
        }
        before = json.dumps(given)
        spans = [("2026-03-02", "2026-03-03"), ("2026-03-05", "2026-03-05"), ("2026-03-08", "2026-03-09")]
        ends = [Split("x", {"prefix": PREFIX, "ends": end, "from": start, "due": 0}, 0) for start, end in spans]

        state = objects.advance(given, ends)

        assert state["closed"] == {
            PREFIX: [["2026-03-01", "2026-03-05"], ["2026-03-08", "2026-03-09"]],
            "other": [["", "2026-01-01"]],
        }
        assert state["seen"] == {"other": {"": "eA=="}}
        assert json.dumps(given) == before

    def test_closed(self) -> None:
        """An old day of which all was read is closed, and its marks are given up."""
        state = objects.advance(None, plan(None, "03-01/a", "03-02/b", "03-04/c"))

        assert objects.first_day(state, PREFIX) == "2026-03-03"
        assert list(state["seen"][PREFIX]) == ["2026-03-04"]
        assert names(plan(state, "03-04/c")) == []

    def test_young(self) -> None:
        """A day that may still get objects stays open."""
        state = objects.advance(None, plan(None, "03-03/a", "03-05/b"))

        assert objects.first_day(state, PREFIX) == ""

    def test_unread(self) -> None:
        """An object that could not be read keeps its day and those after it open, until it is read."""
        splits = plan(None, "03-01/a", "03-01/broken", "03-02/b")
        state = objects.advance(None, [split for split in splits if "broken" not in split.id])

        assert objects.first_day(state, PREFIX) == ""
        again = plan(state, "03-01/a", "03-01/broken", "03-02/b")
        assert names(again) == ["03-01/broken#1"]
        state = objects.advance(state, again)
        assert objects.first_day(state, PREFIX) == "2026-03-03"

    def test_only_unread(self) -> None:
        """A day of which nothing at all could be read is not passed over."""
        splits = plan(None, "03-01/broken", "03-02/b")

        state = objects.advance(None, [split for split in splits if "broken" not in split.id])

        assert objects.first_day(state, PREFIX) == ""

    def test_by_commit(self) -> None:
        """Days are closed in whatever commits their objects and their ends are."""
        state: State | None = None
        for split in plan(None, "03-01/a", "03-01/b", "03-02/c"):
            state = objects.advance(state, [split])

        assert objects.first_day(state, PREFIX) == "2026-03-03"

    def test_deleted(self) -> None:
        """Objects that a lifecycle rule deleted meanwhile do not keep a day open."""
        state = objects.advance(None, plan(None, "03-03/a", "03-03/b", "03-04/c"))

        later = plan(state, "03-04/c", now=NOW + timedelta(days=4))
        state = objects.advance(state, later)

        assert objects.first_day(state, PREFIX) == "2026-03-05"
        assert state["seen"] == {}

    def test_undated(self) -> None:
        """Objects whose keys name no day are remembered, and never closed."""
        state = objects.advance(None, plan(None, "a", "b"))

        assert names(plan(state, "a", "b", "c", now=NOW + timedelta(days=400))) == ["/c#1"]
        assert state["closed"] == {}


class TestGaps:
    CLOSED: Mapping[str, Any] = {"closed": {PREFIX: [["2026-03-01", "2026-03-02"], ["2026-03-05", "2026-03-05"]]}}

    def test_all(self) -> None:
        """What was never listed is listed as a whole, or as much of it as is wanted."""
        assert objects.gaps(None, PREFIX) == [("", "")]
        assert objects.gaps(None, PREFIX, "2026-03-01", "2026-03-02") == [("2026-03-01", "2026-03-02")]

    def test_between_closed_days(self) -> None:
        """The gaps are before, between and after what is closed."""
        gaps = [("", "2026-02-28"), ("2026-03-03", "2026-03-04"), ("2026-03-06", "")]

        assert objects.gaps(self.CLOSED, PREFIX) == gaps
        assert objects.first_day(self.CLOSED, PREFIX) == ""

    def test_bounds(self) -> None:
        """Bounds cut the gaps, and may leave none."""
        assert objects.gaps(self.CLOSED, PREFIX, "2026-03-02", "2026-03-03") == [("2026-03-03", "2026-03-03")]
        assert objects.gaps(self.CLOSED, PREFIX, "2026-03-04") == [("2026-03-04", "2026-03-04"), ("2026-03-06", "")]
        assert objects.gaps(self.CLOSED, PREFIX, "2026-03-01", "2026-03-02") == []
        assert objects.gaps(self.CLOSED, PREFIX, "2026-03-01") == [("2026-03-03", "2026-03-04"), ("2026-03-06", "")]
        assert objects.gaps(self.CLOSED, PREFIX, "2026-03-10") == [("2026-03-10", "")]
        assert objects.gaps(self.CLOSED, PREFIX, "", "2026-02-20") == [("", "2026-02-20")]
        assert objects.gaps(self.CLOSED, PREFIX, "", "2026-03-06")[-1] == ("2026-03-06", "2026-03-06")
        assert objects.gaps(self.CLOSED, "other", "2026-03-02") == objects.gaps({}, PREFIX, "2026-03-02")

    def test_further_back(self) -> None:
        """Days before those that were listed first are not passed over."""
        first = list(objects.new(None, NOW, PREFIX, listed("03-02/a", "03-04/b"), first="2026-03-02"))
        state = objects.advance(None, first)

        assert objects.gaps(state, PREFIX) == [("", "2026-03-01"), ("2026-03-03", "")]
        earlier = list(objects.new(state, NOW, PREFIX, listed("02-20/x", "03-02/a"), first=""))
        assert names(earlier) == ["02-20/x#1"]
        assert objects.gaps(objects.advance(state, earlier), PREFIX) == [
            ("2026-02-21", "2026-03-01"),
            ("2026-03-03", ""),
        ]


class TestMemory:
    def test_read_before(self) -> None:
        """What was read is known under whatever day it was remembered."""
        state = objects.advance(None, plan(None, *(f"03-0{day}/{name}" for day in (4, 5) for name in range(50))))
        was_read = objects.read_before(state, PREFIX)

        for found in listed("03-04/0", "03-05/49"):
            assert was_read(found.uri, "1")
            assert not was_read(found.uri, "2")
        for nothing in (None, {}, {"seen": {}}):
            assert objects.read_before(nothing, PREFIX)(PREFIX, "1") is False
        assert not objects.read_before(state, "other")(PREFIX, "1")

    def test_forget(self) -> None:
        """What is old enough is forgotten."""
        state = objects.advance(None, plan(None, "03-04/a", "03-05/b"))

        assert list(objects.forget(state, PREFIX, "2026-03-05")["seen"][PREFIX]) == ["2026-03-05"]
        assert objects.forget(state, PREFIX, "2026-03-06")["seen"] == {}
        assert objects.forget(state, "other", "2026-03-06") == state
