"""Bounds: an event of a day that nobody looks at is a reject until wider bounds bring it in; long names cost little."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

import ocsflake
from ocsflake import pipeline
from ocsflake.checkpoints import MemoryCheckpoints
from ocsflake.errors import ConfigError, LakeError
from ocsflake.lake import Lake
from ocsflake.mapping.drift import _misplaced
from ocsflake.report import Counts
from ocsflake.times import Reach, reach
from pipeline_logs import Parts, record

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 3, 3, tzinfo=UTC)
TIMES = ["1970-01-01T00:00:00Z", "2026-03-01T06:00:00Z", "2026-03-03T23:00:00Z", "9999-12-31T00:00:00Z"]


def source() -> Parts:
    return Parts({"a": [record(number, eventTime=time) for number, time in enumerate(TIMES)]})


def days(root: Path) -> set[str]:
    return {path.parent.name.removeprefix("eventDay=") for path in root.rglob("*.parquet")}


def test_outside(tmp_path: Path) -> None:
    """Years 1970 and 9999 are rejects by default, with the reason, and replay with no bounds brings them in."""
    lake, rejects = Lake(tmp_path / "lake"), tmp_path / "rejects"
    report = ocsflake.run(source(), lake, rejects=rejects, now=lambda: NOW)

    assert report.counts == Counts(records=4, mapped=2, rejects=2, events=2, written=2)
    assert {reason for _, reason in report.sources[0].reasons} == {
        "the time is further in the past than max_age",
        "the time is further in the future than max_ahead",
    }
    assert days(tmp_path / "lake") == {"20260301", "20260303"}
    assert pipeline.replay(rejects, lake).counts.rejects == 2

    again = pipeline.replay(rejects, lake, max_age=None, max_ahead=None)

    assert (again.counts.written, again.counts.rejects) == (2, 0)
    assert days(tmp_path / "lake") == {"20260301", "20260303", "19700101", "99991231"}


def test_narrow(tmp_path: Path) -> None:
    """Bounds of one's own count from the moment of the commit."""
    settings = {"rejects": tmp_path / "rejects", "now": lambda: NOW}
    report = ocsflake.run(source(), Lake(tmp_path / "lake"), max_age="12h", max_ahead="24h", **settings)

    assert report.counts == Counts(records=4, mapped=1, rejects=3, events=1, written=1)
    assert days(tmp_path / "lake") == {"20260303"}


def test_a_job_that_is_repeated(tmp_path: Path) -> None:
    """It counts from the moment of the first attempt, however late the next one is, or it would write other events."""
    settings = {"rejects": tmp_path / "rejects", "checkpoints": MemoryCheckpoints(), "max_age": "30d"}
    blocked = tmp_path / "lake" / "ext"
    blocked.parent.mkdir()
    blocked.touch()
    with pytest.raises(LakeError):
        ocsflake.run(source(), Lake(tmp_path / "lake"), now=lambda: NOW, **settings)
    blocked.unlink()

    ocsflake.run(source(), Lake(tmp_path / "lake"), now=lambda: NOW + timedelta(days=300), **settings)

    assert days(tmp_path / "lake") == {"20260301", "20260303"}


def test_reach() -> None:
    """Both ends belong to the window; ages of any length are ages."""
    around = reach("1s", "1s").around(datetime(1970, 1, 1, 0, 0, 5, tzinfo=UTC))

    assert (around.since, around.until) == (4000, 6001)
    assert reach(None, None) == Reach()
    assert reach("999999w", "1d").around(NOW).since < -(10**14)


@pytest.mark.parametrize("wrong", ["2026-01-01", "", "-1d", "1y"])
def test_no_age(wrong: str, tmp_path: Path) -> None:
    """What is no age is refused before anything is read."""
    with pytest.raises(ConfigError, match="max_age"):
        ocsflake.run(source(), Lake(tmp_path / "lake"), max_age=wrong)


class Asked(dict[str, bool]):
    """Places that count the characters of what they are asked for."""

    characters = 0

    def get(self, path: str, default: object = None) -> object:  # type: ignore[override]
        self.characters += len(path)
        return super().get(path, default)


def test_a_name_of_brackets() -> None:
    """A key of a megabyte that looks like a path of lists is gone through once, not once for each of its brackets."""
    places = Asked({"resources": True, "requestParameters.instancesSet": False})

    assert _misplaced("[]" * 500_000, places) is None
    assert _misplaced("requestParameters.instancesSet[].x", places) == ("requestParameters.instancesSet", "list")
    assert places.characters < 1_000
