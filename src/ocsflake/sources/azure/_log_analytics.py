"""Asking Log Analytics: one query sent, its answer cut into rows.

The client's own row objects cost ten times the CPU of the JSON that they are made of and cut times to six digits, so
the answer is taken from the client's public ``send_request``: rows stay JSON, and every value what the service wrote.

The API: https://learn.microsoft.com/azure/azure-monitor/logs/api/overview
"""

from __future__ import annotations

import re
import threading
from hashlib import blake2b
from operator import add
from typing import TYPE_CHECKING, Any

import msgspec

from ocsflake.azure import NO_RETRIES, failure, seconds_to_wait
from ocsflake.errors import UnavailableError
from ocsflake.retry import retry
from ocsflake.sources.limits import limiter

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Answer", "TooMuchError", "ask", "record_batches"]

_AT_ONCE = threading.BoundedSemaphore(5)
"""Queries of one user that run at once; the service lets others wait, and turns them away after some minutes."""
_SERVER_SECONDS = 600
"""How long a query may take: the most that the service allows."""
_BATCH_ROWS = 10_000
_BATCH_BYTES = 8 << 20
_ID_BYTES = 12
_TOO_MUCH = re.compile(r"(?i)TOO_LARGE|80DA000|exceed|memory|timed? ?out")
_SLOW = re.compile(r"(?i)timed? ?out")
_PASSES = re.compile(r"(?i)shard|temporar|unavailable|internal|network|retry")


class TooMuchError(Exception):
    """A query has a larger answer than the service gives, or takes longer.

    Attributes:
        slow: Whether it was the time: a part of the rows takes as long then, a part of the time span does not.
    """

    def __init__(self, message: str, *, slow: bool) -> None:
        super().__init__(message)
        self.slow = slow


class _Column(msgspec.Struct):
    name: str


class Answer(msgspec.Struct):
    """The table that a query has for an answer; the rows are JSON lists."""

    columns: list[_Column]
    rows: list[msgspec.Raw]


class _Error(msgspec.Struct):
    code: str = ""
    message: str = ""
    details: list[Any] = []
    innererror: Any = None


class _Body(msgspec.Struct):
    tables: list[Answer] = []
    error: _Error | None = None


_BODY = msgspec.json.Decoder(_Body)
_ROW = msgspec.json.Decoder(list[msgspec.Raw])
_NULL, _EMPTY, _NO_TEXT = b"null", b'""', b':""'
_ENCODE = msgspec.json.Encoder().encode


def ask(client: Any, target: str, query: str, per_second: float) -> Answer:
    """Return the answer to one query, tried again while that helps.

    Args:
        client: A `LogsQueryClient`.
        target: The id of a workspace, or the id of a resource, which begins with ``/``.
        query: The query, in KQL.
        per_second: How many queries a second are sent, of all that ask in this process.

    Raises:
        TooMuchError: If the answer is not whole, or would take too long: ask for less.
        UnavailableError: If the service could not answer.
        azure.core.exceptions.AzureError: If the call failed otherwise.
    """
    return retry(lambda: _sent(client, target, query, per_second), retryable=seconds_to_wait)


def record_batches(answer: Answer) -> Iterator[tuple[list[bytes], list[str]]]:
    """Yield the rows of an answer as JSON objects of bounded size, with the ids of the records.

    Nulls are left out. The id is a digest of what has a value, and so the same whenever the row is read: columns come
    to tables at any time, and are null or empty in the rows of old.
    """
    keys = [_ENCODE(column.name) + b":" for column in answer.columns]
    records: list[bytes] = []
    ids: list[str] = []
    size = 0
    for row in answer.rows:
        values = list(map(bytes, _ROW.decode(row)))
        members = list(map(add, keys, values))
        known = members
        if _NULL in values:
            members = known = [member for member, value in zip(members, values, strict=False) if value != _NULL]
        if _EMPTY in values:
            known = [member for member in members if not member.endswith(_NO_TEXT)]
        record = b"{" + b",".join(members) + b"}"
        records.append(record)
        kept = record if known is members else b"{" + b",".join(known) + b"}"
        ids.append(blake2b(kept, digest_size=_ID_BYTES).hexdigest())
        size += len(record)
        if len(records) >= _BATCH_ROWS or size >= _BATCH_BYTES:
            yield records, ids
            records, ids, size = [], [], 0
    if records:
        yield records, ids


def _sent(client: Any, target: str, query: str, per_second: float) -> Answer:
    from azure.core.rest import HttpRequest

    path = f"{target}/query" if target.startswith("/") else f"/workspaces/{target}/query"
    request = HttpRequest("POST", path, json={"query": query}, headers={"Prefer": f"wait={_SERVER_SECONDS}"})
    limiter("azure.monitor", "", per_second).wait()
    with _AT_ONCE:
        try:
            body = _received(client, request)
        except Exception as error:
            found = failure(error)
            if found is None or found.status != 401:
                raise
            body = _received(client, request)  # the client dropped the token that it had, and asks for a new one
    return _answer(body)


def _received(client: Any, request: Any) -> bytes:
    response = client.send_request(request, stream=True, read_timeout=_SERVER_SECONDS + 30, **NO_RETRIES)
    try:
        body: bytes = response.read()
        response.raise_for_status()
    except Exception as error:
        found = failure(error)
        if found is not None and found.status == 504:
            raise TooMuchError(found.said, slow=True) from error
        raise
    finally:
        response.close()
    return body


def _answer(body: bytes) -> Answer:
    try:
        found = _BODY.decode(body)
    except msgspec.DecodeError as problem:
        raise UnavailableError(f"the answer of the service is broken off: {problem}") from problem
    if found.error is not None:
        said = _said(found.error)
        if _PASSES.search(said) and not _TOO_MUCH.search(said):
            raise UnavailableError(f"only a part of the answer came: {said}")
        raise TooMuchError(said, slow=_SLOW.search(said) is not None)
    return found.tables[0] if found.tables else Answer([], [])


def _said(error: _Error) -> str:
    """Return all that a partial answer says of why it is one."""
    return f"{error.code}: {error.message} {_ENCODE([error.details, error.innererror]).decode()}"
