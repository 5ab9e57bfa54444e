"""Spacing calls to a service."""

from __future__ import annotations

import pytest

from ocsflake.sources.limits import Limiter, limiter


class Clock:
    """A clock that sleeping moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_rate() -> None:
    """Calls begin as far apart as the rate says; a pause is not made up for."""
    clock = Clock()
    two = Limiter(2, clock=lambda: clock.now, sleep=clock.sleep)
    begun = []
    for pause in (0, 0, 0.25, 10, 0):
        clock.now += pause
        two.wait()
        begun.append(clock.now - 100)

    assert begun == pytest.approx([0, 0.5, 1, 11, 11.5])


def test_shared() -> None:
    """All that use one quota share a limiter."""
    assert limiter("logs", "111122223333", 5) is limiter("logs", "111122223333", 5)
    assert limiter("logs", "111122223333", 5) is not limiter("logs", "444455556666", 5)
