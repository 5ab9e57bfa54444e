"""A stand-in for the API of Athena: it takes what boto3's model of the service says, and answers what it is given.

It runs no SQL itself: a function that you give does, such as one that asks a lake in a directory. boto3 talks to it
over loopback.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections import Counter, deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa
import pyarrow.compute as pc

from ocsflake.testing import _wire
from ocsflake.testing._rest_api import Refused
from ocsflake.testing.servers import AwsServer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["AthenaServer"]

_TYPES = {
    pa.bool_(): "boolean",
    pa.date32(): "date",
    pa.float64(): "double",
    pa.int32(): "integer",
    pa.int64(): "bigint",
    pa.string(): "varchar",
    pa.timestamp("us"): "timestamp",
}
"""What Athena calls types; any other is shown as text."""


class AthenaServer:
    """The API of Athena on a free loopback port; a context manager.

    Args:
        run: Returns the rows of a statement; what it raises fails the statement.
        page: How many rows an answer has at most.
        polls: How often a statement is asked for before it has run.
        scanned: How many bytes each statement reads.

    Attributes:
        url: Where it listens.
        calls: How often each operation was called.
        asked: The parameters of each statement that was started.
        stopped: The ids of statements that were stopped.
    """

    def __init__(
        self, run: Callable[[str], pa.Table], *, page: int = 1000, polls: int = 2, scanned: int = 10_000_000
    ) -> None:
        self.run = run
        self.page = page
        self.polls = polls
        self.scanned = scanned
        self.calls: Counter[str] = Counter()
        self.asked: list[Mapping[str, Any]] = []
        self.stopped: list[str] = []
        self._faults: dict[str, deque[tuple[str, int]]] = {}
        self._running: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()
        stand_in = self

        class Handler(_Handler):
            server_of = stand_in

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def client(self) -> Any:
        """Return a boto3 client for Athena that talks to this server."""
        return AwsServer(self.url).client("athena")

    def fail(self, operation: str, code: str, *, status: int = 400) -> None:
        """Answer the next call of an operation with an error."""
        self._faults.setdefault(operation, deque()).append((code, status))

    def answer(self, target: str, body: bytes) -> dict[str, Any]:
        """Return the answer to a request.

        Raises:
            Refused: If it is one that the service does not take, or a fault is due.
        """
        operation, asked = _wire.request("athena", "POST", "/", target, body)
        with self._lock:
            self.calls[operation] += 1
            if faults := self._faults.get(operation):
                code, status = faults.popleft()
                raise Refused(code, "injected", status)
            answers = {
                "StartQueryExecution": self._start,
                "GetQueryExecution": self._execution,
                "GetQueryResults": self._results,
                "StopQueryExecution": self._stop,
            }
            if operation not in answers:
                raise Refused("InternalServerException", f"the stand-in has no {operation}", 500)
            return answers[operation](asked)

    def _start(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        self.asked.append(asked)
        name = str(uuid.uuid4())
        self._running[name] = {"asked": asked, "polls": 0, "state": "QUEUED", "rows": None, "error": ""}
        return {"QueryExecutionId": name}

    def _execution(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        name = asked["QueryExecutionId"]
        query = self._found(name)
        query["polls"] += 1
        if query["state"] in {"QUEUED", "RUNNING"} and query["polls"] > self.polls:
            try:
                query["rows"], query["state"] = self.run(query["asked"]["QueryString"]), "SUCCEEDED"
            except Exception as error:  # the statement failed, and not this server
                query["error"], query["state"] = str(error), "FAILED"
        elif query["state"] == "QUEUED" and query["polls"] > 1:
            query["state"] = "RUNNING"
        status = {"State": query["state"]}
        if query["error"]:
            status |= {"StateChangeReason": query["error"], "AthenaError": {"ErrorCategory": 2}}
        return {
            "QueryExecution": {
                "QueryExecutionId": name,
                "Status": status,
                "Statistics": {"DataScannedInBytes": self.scanned, "TotalExecutionTimeInMillis": 1234},
                "ResultConfiguration": query["asked"].get("ResultConfiguration", {}),
            }
        }

    def _results(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        table = self._found(asked["QueryExecutionId"])["rows"]
        if table is None:
            raise Refused("InvalidRequestException", "Query has not yet finished", 400)
        lines = [table.schema.names, *zip(*(_texts(column) for column in table.columns), strict=True)]
        start = int(asked.get("NextToken", "0"))
        end = start + min(self.page, asked.get("MaxResults", self.page))
        rows = [{"Data": [{"VarCharValue": cell} if cell is not None else {} for cell in line]} for line in lines]
        columns = [{"Name": field.name, **_described(field.type)} for field in table.schema]
        found = {"ResultSet": {"Rows": rows[start:end], "ResultSetMetadata": {"ColumnInfo": columns}}}
        return found | ({"NextToken": str(end)} if end < len(rows) else {})

    def _stop(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        self._found(asked["QueryExecutionId"])["state"] = "CANCELLED"
        self.stopped.append(asked["QueryExecutionId"])
        return {}

    def _found(self, name: str) -> dict[str, Any]:
        if name not in self._running:
            raise Refused("InvalidRequestException", f"QueryExecution {name} was not found", 400)
        return self._running[name]


def _described(kind: pa.DataType) -> dict[str, Any]:
    """Return what Athena tells of the type of a column."""
    if pa.types.is_decimal(kind):
        return {"Type": "decimal", "Precision": kind.precision, "Scale": kind.scale}
    return {"Type": _TYPES.get(kind, "varchar")}


def _texts(column: pa.ChunkedArray) -> list[str | None]:
    """Return values as Athena shows them."""
    if column.type in _TYPES:
        texts: list[str | None] = pc.cast(column, pa.string()).to_pylist()
        return texts
    return [None if value is None else str(value) for value in column.to_pylist()]


class _Handler(BaseHTTPRequestHandler):
    server_of: AthenaServer
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        try:
            status, answer = 200, self.server_of.answer(self.headers.get("X-Amz-Target", ""), body)
        except Refused as refused:
            status, answer = refused.status, {"__type": refused.code, "message": str(refused)}
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - its name
        """Say nothing."""
