"""Try again what a service could not do at the moment."""

from __future__ import annotations

import time
from random import random as chance
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["retry"]

T = TypeVar("T")


def retry(
    call: Callable[[], T],
    *,
    retryable: Callable[[Exception], float | None],
    attempts: int = 8,
    base: float = 0.5,
    cap: float = 20.0,
    sleep: Callable[[float], object] = time.sleep,
    random: Callable[[], float] = chance,
) -> T:
    """Return what `call` returns, trying again after failures that pass.

    The n-th wait is a random part of ``base * 2**n`` seconds, at most `cap` ("full jitter"), so that callers that were
    turned away together do not come back together; with the defaults that is half a minute in all.

    Args:
        call: What to do; it must be repeatable.
        retryable: Returns the seconds that the service asked to wait (0 if it named none), or ``None`` if trying again
            does not help.
        attempts: How often to call at most.
        base: Seconds, see above.
        cap: Seconds, see above; what a service asks for is waited in full.
        sleep: Waits some seconds.
        random: Returns a number from 0 to 1.

    Raises:
        Exception: What `call` raised last.
    """
    for attempt in range(attempts - 1):
        try:
            return call()
        except Exception as error:  # `retryable` knows which of them pass
            asked = retryable(error)
            if asked is None:
                raise
            sleep(max(asked, random() * min(cap, base * 2**attempt)))
    return call()
