"""Memory that was used, and that Arrow and the C library keep for the next time."""

from __future__ import annotations

import ctypes
import functools
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["give_back"]


def give_back() -> None:
    """Give unused memory back to the system: without, a process that runs for hours grows though it holds no more.

    The C library gives back only what lies above all that is in use. After some hundred thousand messages whose ids
    are kept among larger texts that are not, that is little of it. ``malloc_trim`` is glibc's; others need none.
    """
    pa.default_memory_pool().release_unused()
    trim = _trim()
    if trim is not None:
        trim(0)


@functools.cache
def _trim() -> Callable[[int], int] | None:
    try:
        found: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # another C library, or another system
        return None
    return found
