"""Lists that may be text, and the moments that a source is bounded by."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from ocsflake.sources.options import bounds, is_age, words

FIRST, SECOND = datetime(2026, 3, 2, tzinfo=UTC), datetime(2026, 3, 4, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, ()), ("", ()), ("a, b,,a", ("a", "b")), (["a", " b "], ("a", "b")), ((1, 2), ("1", "2"))],
)
def test_words(value: Any, expected: tuple[str, ...]) -> None:
    """Text with commas and a list say the same; blanks and repetitions are left out."""
    assert words(value) == expected


def test_bounds() -> None:
    """The narrower of two bounds holds; where there is one, that one; the source's own stays as it was written."""
    assert bounds(("7d", None), None, None) == ("7d", None)
    assert bounds((None, None), FIRST, SECOND) == (FIRST, SECOND)
    assert bounds((SECOND, FIRST), FIRST, SECOND) == (SECOND, FIRST)
    assert bounds(("7d", "1h"), FIRST, None, datetime(2026, 3, 20, tzinfo=UTC)) == ("7d", "1h")
    assert bounds(("2026-03-02", "2026-03-04"), SECOND, FIRST) == (SECOND, FIRST)


def test_age() -> None:
    """An age moves with the clock, a date does not."""
    assert is_age("7d", SECOND)
    assert not is_age("2026-03-02", SECOND)
    assert not is_age(FIRST, SECOND)
