"""A stand-in for the query API of Log Analytics, on a free loopback port, and a credential for it.

It evaluates the few operators of KQL that a reader of tables needs: ``where`` on ``TimeGenerated``, on
``ingestion_time()``, on a column that equals a text or starts with one, and on a hash of the row; ``extend`` of an
estimated size, ``summarize count()`` by time, and ``take``.
"""

from __future__ import annotations

import json
import re
import threading
import time
from bisect import bisect_left
from collections import deque
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SHUT_RDWR
from typing import TYPE_CHECKING, Any, Self

from attrs import define, field, frozen

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["IssuedTokens", "LogAnalytics", "Row"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICKS = 10_000_000  # a second has
_UNITS = {"ms": _TICKS // 1000, "s": _TICKS, "m": 60 * _TICKS, "h": 3600 * _TICKS, "d": 86_400 * _TICKS}
_DATETIME = r"datetime\(([^)]+)\)"

Answer = tuple[int, dict[str, str], bytes]


@frozen
class Row:
    """A row of a table.

    Attributes:
        values: Its columns.
        ingested: When it came into the table.
        shown: When queries begin to find it, if not at once.
    """

    values: Mapping[str, Any]
    ingested: datetime
    shown: datetime | None = None


@define(eq=False)
class IssuedTokens:
    """A credential that gives a new token each time, which is good for some seconds.

    Attributes:
        seconds: How long a token says it is good for.
        scopes: What the tokens were asked for.
    """

    seconds: int = 3600
    scopes: list[str] = field(factory=list)

    def get_token(self, *scopes: str, **_options: Any) -> Any:
        """Return a token; ``token-1``, then ``token-2``, and so on."""
        from azure.core.credentials import AccessToken

        self.scopes += scopes
        return AccessToken(f"token-{len(self.scopes)}", int(time.time()) + self.seconds)


class LogAnalytics:
    """A server of tables; a context manager.

    Args:
        max_rows: How many rows an answer has at most; what is more is cut off, and the answer says that it is partial.
        max_bytes: How many bytes of them.
        slow: A query over more time than that is given up with 504.
        tls: What makes it a server of HTTPS.

    Attributes:
        url: Where it listens.
        queries: What was asked so far.
        given: How many rows were given so far, but for counts.
        tokens: The tokens that are taken, all if it is ``None``.
        denied: The workspaces and resources that may not be read.
        now: What time it is, for rows that show late.
    """

    def __init__(
        self,
        *,
        max_rows: int = 500_000,
        max_bytes: int = 64_000_000,
        slow: timedelta | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.queries: list[str] = []
        self.given = 0
        self.tokens: set[str] | None = None
        self.denied: set[str] = set()
        self.now = datetime.max.replace(tzinfo=UTC)
        self._max_rows = max_rows
        self._max_bytes = max_bytes
        self._slow = slow
        self._faults: deque[Answer | str] = deque()
        self._tables: dict[tuple[str, str], tuple[dict[str, str], list[tuple[int, Row]]]] = {}
        self._lock = threading.Lock()

        class Handler(_Handler):
            tables = self

        self._server = _Server(("127.0.0.1", 0), Handler)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def client(self) -> Any:
        """Return a `LogsQueryClient` for this server, which must not speak TLS."""
        return self.client_of(self.url)

    @staticmethod
    def client_of(url: str) -> Any:
        """Return a `LogsQueryClient` for a server without TLS."""
        from azure.core.credentials import AzureKeyCredential
        from azure.core.pipeline.policies import AzureKeyCredentialPolicy
        from azure.monitor.query import LogsQueryClient

        # The policy of tokens does not send any without TLS.
        policy = AzureKeyCredentialPolicy(AzureKeyCredential("token-0"), "Authorization", prefix="Bearer")
        return LogsQueryClient(IssuedTokens(), endpoint=url, authentication_policy=policy)

    def add(self, target: str, table: str, rows: Iterable[Row], columns: Mapping[str, str]) -> None:
        """Put rows into a table of a workspace or resource, which is made if it is new.

        Args:
            target: The id of the workspace or of the resource.
            table: The name of the table.
            rows: What comes in.
            columns: The columns of the table as they are from now on, by name to type.
        """
        with self._lock:
            known, there = self._tables.setdefault((target, table), ({}, []))
            known.clear()
            known |= columns
            there += [(_ticks(row.ingested), row) for row in rows]
            there.sort(key=lambda pair: pair[0])

    def fail(self, *faults: int | str | Answer) -> None:
        """Fail the next requests, one each.

        Args:
            faults: An HTTP status, a whole answer, ``reset`` (the connection is closed), ``cut`` (it is closed in the
                middle of the answer), ``shards`` (a part of the answer, since a part of the service is away), or ``""``
                for none.
        """
        made = [_refusal(fault, "Error", "made up") if isinstance(fault, int) else fault for fault in faults]
        self._faults.extend(made)

    def answer(self, path: str, authorization: str, query: str) -> Answer | str:
        """Return the answer to a request, ``""`` to close the connection; one that begins with ``cut:`` is cut."""
        target = path.removeprefix("/v1").removesuffix("/query").removeprefix("/workspaces/")
        with self._lock:
            self.queries.append(query)
            fault = self._faults.popleft() if self._faults else ""
            if fault and fault not in ("cut", "shards"):
                return "" if fault == "reset" else fault
            token = authorization.removeprefix("Bearer ")
            if not token or (self.tokens is not None and token not in self.tokens):
                return _refusal(401, "InvalidTokenError", "The provided authentication token is not valid")
            if target in self.denied:
                inner = {"code": "AuthorizationFailed", "message": "The principal has no authorization to read"}
                return _refusal(
                    403, "InsufficientAccessError", "The provided credentials have insufficient access", inner
                )
            made = self._evaluated(target, query)
        if isinstance(made, tuple):
            return made
        if fault == "shards":
            made["error"] = {"code": "PartialError", "message": "Some shards are temporarily unavailable"}
        body = json.dumps(made).encode()
        return f"cut:{body.decode()}" if fault == "cut" else (200, {}, body)

    def _evaluated(self, target: str, query: str) -> dict[str, Any] | Answer:
        name, *operators = [line.strip() for line in re.split(r"\n\|", query)]
        if (target, name) not in self._tables:
            if all(target != known for known, _ in self._tables):
                return _refusal(404, "PathNotFoundError", f"The requested path does not exist: {target}")
            inner = {"code": "SEM0100", "message": f"Failed to resolve table or column expression named '{name}'"}
            return _refusal(400, "BadArgumentError", "The request had some invalid properties", inner)
        columns, there = self._tables[target, name]
        bounds = [_ticks_of(text) for text in re.findall(rf"ingestion_time\(\) [<>]=? {_DATETIME}", query)]
        if self._slow is not None and bounds and bounds[1] - bounds[0] > self._slow / timedelta(seconds=1) * _TICKS:
            return _refusal(504, "GatewayTimeout", "The query took too long")
        first, last = (bisect_left(there, bound, key=lambda pair: pair[0]) for bound in bounds or (0, 1 << 63))
        rows = [pair for pair in there[first:last] if pair[1].shown is None or pair[1].shown <= self.now]
        for operator in operators:
            if operator.startswith("where"):
                rows = [pair for pair in rows if _holds(operator, pair[1].values)]
            elif operator.startswith("summarize"):
                return _counts(operator, rows)
            elif match := re.fullmatch(r"take (\d+)", operator):
                rows = rows[: int(match[1])]
            elif not operator.startswith("extend"):
                inner = {"code": "SYN0001", "message": f"A recognition error occurred: {operator}"}
                return _refusal(400, "BadArgumentError", "The request had some invalid properties", inner)
        return self._table(columns, [pair[1] for pair in rows])

    def _table(self, columns: Mapping[str, str], rows: Sequence[Row]) -> dict[str, Any]:
        lists: list[list[Any]] = []
        size = 0
        for row in rows:
            values = [row.values.get(name, "" if kind == "string" else None) for name, kind in columns.items()]
            size += len(json.dumps(values))
            if len(lists) >= self._max_rows or size > self._max_bytes:
                break
            lists.append(values)
        self.given += len(lists)
        made = _answer(columns, lists)
        if len(lists) < len(rows):
            what = f"The results of this query exceed the set limit of {self._max_rows} records"
            inner = {"code": "-2133196797", "message": f"{what} (E_QUERY_RESULT_SET_TOO_LARGE, 0x80DA0003)."}
            details = [{"code": "EngineError", "message": what, "innererror": inner}]
            message = "There were some errors when processing your query."
            made["error"] = {"code": "PartialError", "message": message, "details": details}
        return made


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that does not trust the server is what a test may want."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    tables: LogAnalytics

    def do_POST(self) -> None:
        """Answer a query."""
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        found = self.tables.answer(self.path, self.headers.get("Authorization") or "", body["query"])
        if isinstance(found, str):
            if found:
                whole = found.removeprefix("cut:").encode()
                self._answer(200, {}, whole[: len(whole) // 2], len(whole))
            self.close_connection = True
            self.connection.shutdown(SHUT_RDWR)
        else:
            self._answer(*found, len(found[2]))

    def _answer(self, status: int, headers: Mapping[str, str], body: bytes, length: int) -> None:
        self.send_response_only(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(length), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: Any) -> None:
        """Say nothing."""


def _answer(columns: Mapping[str, str], rows: Sequence[Sequence[Any]]) -> dict[str, Any]:
    described = [{"name": name, "type": kind} for name, kind in columns.items()]
    return {"tables": [{"name": "PrimaryResult", "columns": described, "rows": rows}]}


def _refusal(status: int, code: str, message: str, inner: Mapping[str, str] | None = None) -> Answer:
    error = {"code": code, "message": message, **({"innererror": inner} if inner else {})}
    return status, {}, json.dumps({"error": error}).encode()


def _holds(operator: str, values: Mapping[str, Any]) -> bool:
    if "ingestion_time()" in operator:
        return True  # it was picked by that before
    if match := re.fullmatch(rf"where TimeGenerated >= {_DATETIME}", operator):
        return _ticks_of(values["TimeGenerated"]) >= _ticks_of(match[1])
    if match := re.fullmatch(r"where hash\(tostring\(pack_all\(\)\), (\d+)\) == (\d+)", operator):
        digest = blake2b(json.dumps(values).encode(), digest_size=8).digest()
        return int.from_bytes(digest) % int(match[1]) == int(match[2])
    if match := re.fullmatch(r'where (\w+) (==|=~|startswith) "([^"]+)"', operator):
        value = str(values.get(match[1], ""))
        if match[2] == "==":
            return value == match[3]
        value, given = value.lower(), match[3].lower()
        return value == given if match[2] == "=~" else value.startswith(given)
    raise ValueError(f"this stand-in does not know {operator!r}")


def _counts(operator: str, rows: Sequence[tuple[int, Row]]) -> dict[str, Any]:
    match = re.search(r"bin\(ingestion_time\(\), (\d+)(ms|s|m|h|d)\)", operator)
    if match is None:
        raise ValueError(f"this stand-in does not know {operator!r}")
    width = int(match[1]) * _UNITS[match[2]]
    found: dict[int, list[int]] = {}
    for ticks, row in rows:
        count = found.setdefault(ticks // width * width, [0, 0])
        count[0] += 1
        count[1] += len(json.dumps(row.values))
    sizes = "bytes = " in operator
    columns = {"start": "datetime", "rows": "long", **({"bytes": "long"} if sizes else {})}
    return _answer(columns, [[_text(start), *count[: 1 + sizes]] for start, count in found.items()])


def _ticks(when: datetime) -> int:
    return (when - _EPOCH) // timedelta(microseconds=1) * 10


def _ticks_of(text: str) -> int:
    """Return a time of up to 7 digits of a second as a number of its last."""
    whole, _, digits = text.removesuffix("Z").partition(".")
    seconds = (datetime.fromisoformat(whole).replace(tzinfo=UTC) - _EPOCH) // timedelta(seconds=1)
    return seconds * _TICKS + int(digits.ljust(7, "0")[:7])


def _text(ticks: int) -> str:
    when = _EPOCH + timedelta(seconds=ticks // _TICKS)
    return f"{when:%Y-%m-%dT%H:%M:%S}.{ticks % _TICKS:07d}Z"
