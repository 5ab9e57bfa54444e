"""Trying again: only what passes, no more often than told, and for as long as the service asks."""

from __future__ import annotations

import pytest

from ocsflake.retry import retry


class Flaky:
    """Fails some times, then returns."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


def test_what_works_is_called_once() -> None:
    """Nothing is waited for when nothing fails."""
    waits: list[float] = []
    call = Flaky()

    assert retry(call, retryable=lambda _: 0.0, sleep=waits.append) == "done"
    assert (call.calls, waits) == (1, [])


def test_waits_grow_up_to_a_cap() -> None:
    """The wait doubles each time, and is a random part of that."""
    waits: list[float] = []
    call = Flaky(*[OSError()] * 5)

    retry(call, retryable=lambda _: 0.0, base=1, cap=5, sleep=waits.append, random=lambda: 0.5)

    assert waits == [0.5, 1, 2, 2.5, 2.5]


def test_a_service_may_ask_for_more() -> None:
    """What the service asks for is waited, even if it is more than the cap."""
    waits: list[float] = []

    retry(Flaky(OSError(), OSError()), retryable=lambda _: 90.0, sleep=waits.append, random=lambda: 1.0)

    assert waits == [90, 90]


def test_what_does_not_pass_is_raised_at_once() -> None:
    """An error that trying again does not mend is not tried again."""
    call = Flaky(OSError(), ValueError("mine"))

    with pytest.raises(ValueError, match="mine"):
        retry(call, retryable=lambda error: 0.0 if isinstance(error, OSError) else None, sleep=lambda _: None)
    assert call.calls == 2


@pytest.mark.parametrize("attempts", [1, 3])
def test_the_last_error_is_raised(attempts: int) -> None:
    """After the last attempt its error is raised as it is."""
    call = Flaky(*[OSError(str(n)) for n in range(9)])

    with pytest.raises(OSError, match=str(attempts - 1)):
        retry(call, retryable=lambda _: 0.0, attempts=attempts, sleep=lambda _: None)
    assert call.calls == attempts


def test_interrupts_are_not_caught() -> None:
    """Control-C ends a call that is being tried again."""

    def call() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        retry(call, retryable=lambda _: 0.0)
