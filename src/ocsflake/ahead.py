"""Reading the next splits while one is mapped, where reading is mostly waiting for a network."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING

from ocsflake.model import ReadsAhead

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Future

    from ocsflake.model import RawBatch, Source, Split

__all__ = ["read_ahead"]

_Batches = tuple[list["RawBatch"], "Iterator[RawBatch]"]


def read_ahead(source: Source, splits: Sequence[Split]) -> Iterator[tuple[Split, Iterator[RawBatch]]]:
    """Yield splits in their order, each with its records.

    Of the splits after it, as many as the source can read at a time are begun: the first batch of each is in memory,
    and no more. A split that cannot be read raises when its turn has come.
    """
    if not isinstance(source, ReadsAhead) or len(splits) == 1:
        yield from ((split, source.read(split)) for split in splits)
        return
    begun: deque[Future[_Batches]] = deque()
    waiting = iter(splits)
    pool = ThreadPoolExecutor(source.readers, thread_name_prefix="ocsflake-read")
    try:
        begun.extend(pool.submit(_begin, source, split) for split in islice(waiting, source.readers))
        for split in splits:
            head = begun.popleft()
            yield split, _all(head)
            begun.extend(pool.submit(_begin, source, following) for following in islice(waiting, 1))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _begin(source: Source, split: Split) -> _Batches:
    batches = iter(source.read(split))
    return list(islice(batches, 1)), batches


def _all(begun: Future[_Batches]) -> Iterator[RawBatch]:
    first, rest = begun.result()
    yield from first
    yield from rest
