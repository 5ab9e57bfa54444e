"""The object cursor: what is new in a listing, and when a day is over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from ocsflake.sources import objects
from ocsflake.sources.objects import Listed

if TYPE_CHECKING:
    from collections.abc import Sequence

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
