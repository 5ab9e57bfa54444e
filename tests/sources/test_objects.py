"""The object cursor: what is new in a listing, and when a day is over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ocsflake.sources import objects
from ocsflake.sources.objects import Listed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ocsflake.model import Split, State

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


class TestDays:
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
        assert not objects.read_before(None, PREFIX)(PREFIX, "1")
        assert not objects.read_before(state, "other")(PREFIX, "1")

    def test_forget(self) -> None:
        """What is old enough is forgotten."""
        state = objects.advance(None, plan(None, "03-04/a", "03-05/b"))

        assert list(objects.forget(state, PREFIX, "2026-03-05")["seen"][PREFIX]) == ["2026-03-05"]
        assert objects.forget(state, PREFIX, "2026-03-06")["seen"] == {}
