"""Deliveries of a lake on their way to a service that takes documents: at least once, with ids that a repeat has too.

An event's id is a digest of its content, so it does not matter which object told of it: compaction and roll-up lakes
put events into new objects. Equal events of one delivery are told apart by their number.

A delivery is confirmed when the service has all of its events. One that holds an event which the service refuses for
good is not: a queue gives it again, and puts it aside after some times (a redrive policy of SQS). What the service took
then is overwritten.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
from attrs import frozen

from ocsflake.errors import UnavailableError
from ocsflake.retry import retry
from ocsflake.steering import clean_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import pyarrow as pa

    from ocsflake.lake.subscribe import Delivery

__all__ = ["Destination", "Document", "Forwarded", "Refusal", "forward"]

_log = logging.getLogger(__name__)

_BATCH_BYTES = 5_000_000
"""Of a request: OpenSearch Service takes 10 MiB on small instances, and advises 3 to 5 MiB."""
_BATCH_DOCUMENTS = 2_000
_ROWS = 1_000
_TOLD = 10
_encode = msgspec.json.Encoder().encode


@frozen
class Document:
    """An event as JSON.

    Attributes:
        id: The same whenever the event is told of; 32 hexadecimal digits, and a number if equal ones came before it.
        class_uid: Of its class, 0 if it has none.
        time: Milliseconds since the epoch, 0 if it has none.
        content: One compact JSON object.
    """

    id: str
    class_uid: int
    time: int
    content: bytes


@frozen
class Refusal:
    """A document that a service did not take.

    Attributes:
        id: Of the document.
        reason: What the service said.
        passing: Whether it may take it later.
    """

    id: str
    reason: str
    passing: bool = False


@frozen
class Forwarded:
    """What was forwarded.

    Attributes:
        deliveries: Deliveries that were confirmed.
        documents: Documents that the service took.
        refused: Documents that it refused for good; their deliveries are not confirmed.
        reasons: What it said, and how often.
    """

    deliveries: int
    documents: int
    refused: int
    reasons: Counter[str]


class Destination(Protocol):
    """A service that takes documents; one that comes again replaces the one with its id, as far as the service can."""

    def send(self, documents: Sequence[Document]) -> Sequence[Refusal]:
        """Send documents, and return those that were not taken.

        Raises:
            UnavailableError: If none was taken, and may be later.
        """
        ...


def forward(
    deliveries: Iterable[Delivery], destination: Destination, *, sleep: Callable[[float], object] = time.sleep
) -> Forwarded:
    """Send the events of deliveries to a service, and confirm each delivery when the service has them all.

    Args:
        deliveries: As `ocsflake.Lake.subscribe` or `ocsflake.lake.subscribe.from_listing` gives them.
        destination: `OpenSearch`, `Splunk`, or a service of your own.
        sleep: Waits some seconds before a service is asked again.

    Raises:
        AccessDeniedError: If the service does not let us in.
        LakeError: If an object or the queue cannot be read.
        UnavailableError: If the service cannot be reached, or asks to be left alone, for longer than we try.
    """
    confirmed = sent = refused = 0
    reasons: Counter[str] = Counter()
    for delivery in deliveries:
        bad: list[Refusal] = []
        for documents in _batches(_documents(delivery.events())):
            found = _send(documents, destination, sleep)
            sent += len(documents) - len(found)
            bad += found
        if bad:
            refused += len(bad)
            reasons.update(refusal.reason for refusal in bad)
            told = {"key": delivery.keys[0], "refused": len(bad), "reason": clean_line(bad[0].reason)}
            _log.warning("%s: %d documents were refused: %s", *told.values(), extra=told)
        else:
            delivery.confirm()
            confirmed += 1
    return Forwarded(confirmed, sent, refused, Counter(dict(reasons.most_common(_TOLD))))


def _send(documents: Sequence[Document], destination: Destination, sleep: Callable[[float], object]) -> list[Refusal]:
    """Send documents until all are taken or refused for good; return the latter."""
    left = list(documents)
    refused: list[Refusal] = []

    def attempt() -> None:
        answers = {refusal.id: refusal for refusal in destination.send(left)}
        refused.extend(answer for answer in answers.values() if not answer.passing)
        left[:] = [document for document in left if document.id in answers and answers[document.id].passing]
        if left:
            raise UnavailableError(f"{len(left):,} documents were not taken: {answers[left[0].id].reason}")

    retry(attempt, retryable=_seconds_to_wait, sleep=sleep)
    return refused


def _seconds_to_wait(error: Exception) -> float | None:
    return error.retry_after or 0.0 if isinstance(error, UnavailableError) else None


def _documents(batches: Iterable[pa.RecordBatch]) -> Iterator[Document]:
    seen: Counter[bytes] = Counter()
    for batch in batches:
        for start in range(0, batch.num_rows, _ROWS):
            for row in batch.slice(start, _ROWS).to_pylist(maps_as_pydicts="lossy"):
                event = _without_nulls(row)
                content = _encode(event)
                digest = blake2b(content, digest_size=16).digest()
                number = seen[digest]
                seen[digest] += 1
                name = f"{digest.hex()}-{number}" if number else digest.hex()
                yield Document(name, _number(event, "class_uid"), _number(event, "time"), content)


def _number(event: dict[str, Any], name: str) -> int:
    value = event.get(name)
    return value if isinstance(value, int) else 0


def _without_nulls(value: Any) -> Any:
    """Return a value as JSON has it: without members that are null."""
    if isinstance(value, dict):
        return {name: _without_nulls(member) for name, member in value.items() if member is not None}
    if isinstance(value, list):
        return [_without_nulls(member) for member in value]
    return value


def _batches(documents: Iterator[Document]) -> Iterator[list[Document]]:
    """Yield documents, as many at a time as a request may hold."""
    batch: list[Document] = []
    size = 0
    for document in documents:
        if batch and (size + len(document.content) > _BATCH_BYTES or len(batch) == _BATCH_DOCUMENTS):
            yield batch
            batch, size = [], 0
        batch.append(document)
        size += len(document.content)
    if batch:
        yield batch
