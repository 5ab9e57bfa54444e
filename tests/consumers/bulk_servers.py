"""Stand-ins for the APIs that consumers send to: OpenSearch's bulk API, and Splunk's HTTP Event Collector."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

POISON = "poison"
"""A document that holds this word is refused."""


class SearchServer:
    """OpenSearch, as far as ``POST /_bulk`` goes.

    Attributes:
        documents: By index and id.
        requests: How many there were.
        down: How many requests are answered 503.
        busy: How many requests have every second document answered 429.
        status: What every request is answered, 0 for what is due.
        room: How many bytes a request may have.
    """

    def __init__(self) -> None:
        self.documents: dict[tuple[str, str], Any] = {}
        self.requests = self.down = self.busy = self.status = 0
        self.url, self.room = "", 10 << 20

    def answer(self, path: str, _headers: Any, body: bytes) -> tuple[int, Any, dict[str, str]]:
        self.requests += 1
        assert path == "/_bulk"
        assert body.endswith(b"\n")
        if len(body) > self.room:
            return 413, {"Message": "Request size exceeded"}, {}
        if self.status:
            return self.status, {"error": {"type": "refused"}, "status": self.status}, {}
        if self.down:
            self.down -= 1
            return 503, {"error": "unavailable"}, {}
        lines = [json.loads(line) for line in body.splitlines()]
        busy, self.busy = bool(self.busy), max(self.busy - 1, 0)
        items = [
            self._index(action["index"], source, busy and number % 2 == 1)
            for number, (action, source) in enumerate(zip(lines[::2], lines[1::2], strict=True))
        ]
        return 200, {"took": 1, "errors": any("error" in item["index"] for item in items), "items": items}, {}

    def _index(self, about: dict[str, str], source: Any, busy: bool) -> dict[str, Any]:
        if busy:
            return {"index": about | {"status": 429, "error": {"type": "rejected_execution_exception"}}}
        if POISON in json.dumps(source):
            error = {"type": "mapper_parsing_exception", "reason": f"it holds {POISON}"}
            return {"index": about | {"status": 400, "error": error}}
        key = (about["_index"], about["_id"])
        known = key in self.documents
        self.documents[key] = source
        return {"index": about | {"status": 200 if known else 201, "result": "updated" if known else "created"}}


class Collector:
    """Splunk's collector.

    Attributes:
        token: The one that it takes.
        events: What it got, repeats as well.
        acknowledging: Whether events wait for an acknowledgement, which is given when it is asked for again.
        losing: Whether no acknowledgement is ever given.
        down: How many requests are answered 503.
        status: What every request is answered, with a page, 0 for what is due.
        indexes: Those that the token may write to.
    """

    def __init__(self) -> None:
        self.token = "c0ffee00-0000-4000-8000-000000000001"
        self.events: list[dict[str, Any]] = []
        self.acknowledging = self.losing = False
        self.down = self.status = 0
        self.indexes = {"", "security"}
        self.url = ""
        self._asked: set[int] = set()

    def answer(self, path: str, headers: Any, body: bytes) -> tuple[int, Any, dict[str, str]]:
        if headers["Authorization"] != f"Splunk {self.token}":
            return 403, {"text": "Invalid token", "code": 4}, {}
        if self.status:
            return self.status, "<html>", {}
        if self.down:
            self.down -= 1
            return 503, {"text": "Server is busy", "code": 9}, {"Retry-After": "7"}
        if path == "/services/collector/ack":
            return 200, {"acks": {str(number): self._acknowledge(number) for number in json.loads(body)["acks"]}}, {}
        assert path == "/services/collector/event"
        if self.acknowledging and not headers["X-Splunk-Request-Channel"]:
            return 400, {"text": "Data channel is missing", "code": 10}, {}
        decoder, text, place, number = json.JSONDecoder(), body.decode(), 0, 0
        while place < len(text):
            event, place = decoder.raw_decode(text, place)
            if event.get("index", "") not in self.indexes:
                return 400, {"text": "Incorrect index", "code": 7, "invalid-event-number": number}, {}
            if POISON in json.dumps(event):
                return 400, {"text": "Invalid data format", "code": 6, "invalid-event-number": number}, {}
            self.events.append(event)
            number += 1
        return 200, {"text": "Success", "code": 0} | ({"ackId": 3} if self.acknowledging else {}), {}

    def _acknowledge(self, number: int) -> bool:
        asked = number in self._asked
        self._asked.add(number)
        return asked and not self.losing


@contextmanager
def serving(server: Any) -> Iterator[Any]:
    """Run a server on a free port of loopback."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one packet

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, answer, headers = server.answer(self.path, self.headers, body)
            data = json.dumps(answer).encode()
            self.send_response(status)
            for name, value in (
                {"Content-Type": "application/json", "Content-Length": str(len(data))} | headers
            ).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_arguments: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        httpd.daemon_threads = True
        server.url = f"http://127.0.0.1:{httpd.server_port}"
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            httpd.shutdown()


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
