"""Moments: ages, dates, datetimes; and the events between two of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pyarrow as pa
import pytest

from ocsflake.errors import ConfigError
from ocsflake.model import EventBatch
from ocsflake.times import Window, moment, window, within

NOW = datetime(2026, 11, 24, 12, 30, tzinfo=UTC)


class TestMoment:
    @pytest.mark.parametrize(
        ("text", "ago"),
        [
            ("90s", timedelta(seconds=90)),
            ("30m", timedelta(minutes=30)),
            ("12h", timedelta(hours=12)),
            (" 7 d ", timedelta(days=7)),
            ("2w", timedelta(weeks=2)),
        ],
    )
    def test_age(self, text: str, ago: timedelta) -> None:
        """An age counts back from now."""
        assert NOW - ago == moment(text, NOW)

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("2026-11-01", datetime(2026, 11, 1, tzinfo=UTC)),
            ("2026-11-01T06:00", datetime(2026, 11, 1, 6, tzinfo=UTC)),
            ("2026-11-01T06:00Z", datetime(2026, 11, 1, 6, tzinfo=UTC)),
            ("2026-11-01T06:00+02:00", datetime(2026, 11, 1, 4, tzinfo=UTC)),
        ],
    )
    def test_iso(self, text: str, expected: datetime) -> None:
        """ISO 8601 is UTC unless it names a zone."""
        found = moment(text, NOW)

        assert expected == found
        assert found is not None
        assert found.tzinfo is UTC

    def test_datetime(self) -> None:
        """A datetime without a zone is UTC, any other is taken to UTC."""
        east = timezone(timedelta(hours=5))

        assert datetime(2026, 1, 2, tzinfo=UTC) == moment(datetime(2026, 1, 2), NOW)  # noqa: DTZ001
        assert datetime(2026, 1, 1, 19, tzinfo=UTC) == moment(datetime(2026, 1, 2, tzinfo=east), NOW)

    def test_none(self) -> None:
        """No moment stays none."""
        assert moment(None, NOW) is None

    @pytest.mark.parametrize(
        "text", ["yesterday", "", "7", "7y", "-3d", "2026-13-01", "999999w", "0001-01-01T00:00+23:59"]
    )
    def test_no_time(self, text: str) -> None:
        """A text that is no time, or lies outside the calendar, is named with examples of what is taken."""
        with pytest.raises(ConfigError, match="is no time: give an age such as 7d") as caught:
            moment(text, NOW)

        assert repr(text) in str(caught.value)


class TestWindow:
    def test_whole_milliseconds(self) -> None:
        """An event lies in a window if its own millisecond does; no moment goes through a float."""
        odd = datetime(2026, 11, 1, 6, 0, 0, 1_000, tzinfo=UTC)

        assert Window(1793512800001, None) == window(odd, None, NOW)
        assert Window(1793512800002, None) == window(odd + timedelta(microseconds=1), None, NOW)
        assert Window(None, -1) == window(None, datetime(1969, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC), NOW)
        assert Window() == window(None, None, NOW)

    @pytest.mark.parametrize("until", ["2026-11-01", "2026-10-31"])
    def test_empty(self, until: str) -> None:
        """A window that can hold no event is a mistake: nothing would ever be written."""
        with pytest.raises(ConfigError, match="is not before until"):
            window("2026-11-01", until, NOW)


class TestWithin:
    @pytest.mark.parametrize(
        ("bounds", "expected"),
        [
            (Window(), [1, 2, 3, None]),
            (Window(since=2), [2, 3]),
            (Window(until=2), [1]),
            (Window(since=2, until=3), [2]),
            (Window(since=9), []),
        ],
    )
    def test_within(self, bounds: Window, expected: list[int | None]) -> None:
        """The first moment is in, the last one is out, and what has no time is in no window."""
        batch = EventBatch(
            "aws.cloudtrail", "aws_cloudtrail", "api_activity", pa.record_batch({"time": [1, 2, 3, None]})
        )

        assert expected == within(batch, bounds).events["time"].to_pylist()
