"""Staying below the rate that a service allows, so that it need not turn calls away.

A quota belongs to an account, a project or a workspace, so all sources of a process that use one share its limiter.
"""

from __future__ import annotations

import functools
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Limiter", "limiter"]


class Limiter:
    """Spaces calls evenly; safe to share between threads.

    Args:
        per_second: How many calls a second are allowed.
        clock: Tells the time in seconds.
        sleep: Waits some seconds.
    """

    def __init__(
        self,
        per_second: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._gap = 1 / per_second
        self._clock = clock
        self._sleep = sleep
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Wait until the next call may begin."""
        with self._lock:
            now = self._clock()
            begin = max(now, self._next)
            self._next = begin + self._gap
        if begin > now:
            self._sleep(begin - now)


@functools.cache
def limiter(api: str, scope: str, per_second: float) -> Limiter:  # noqa: ARG001 - they tell limiters apart
    """Return the limiter of an API in one account, project or workspace; the same one for the same arguments."""
    return Limiter(per_second)
