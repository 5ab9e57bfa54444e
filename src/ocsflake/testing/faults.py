"""A proxy that fails the requests that a test tells it to, to try what a program makes of it."""

from __future__ import annotations

import threading
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SHUT_RDWR
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import unquote, urlsplit

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from email.message import Message

__all__ = ["Fault", "FaultProxy"]

Fault = Literal["cut", "denied", "expired", "ignored", "limited", "lost", "reset", "silent", "throttled", "unavailable"]
"""How a request fails. `FaultProxy` says what each one is."""

_ANSWERS: dict[str, tuple[int, str]] = {
    "denied": (403, "AccessDenied"),
    "expired": (400, "ExpiredToken"),
    "limited": (429, "TooManyRequests"),
    "throttled": (503, "SlowDown"),
    "unavailable": (503, "ServiceUnavailable"),
}
_HOP_BY_HOP = frozenset({"connection", "expect", "keep-alive", "transfer-encoding"})


class FaultProxy:
    """An HTTP server on a free loopback port that passes requests on to another, or fails them; a context manager.

    These faults answer in place of the server: ``unavailable`` (503), ``throttled`` (503 ``SlowDown``), ``limited``
    (429), ``expired`` (400 ``ExpiredToken``) and ``denied`` (403); ``reset`` closes the connection, and ``ignored``
    never answers. With these the server does what was asked, and the client does not learn of it: ``lost`` closes the
    connection, ``cut`` does so in the middle of the answer, and ``silent`` never gives one.

    Args:
        upstream: Where requests are passed on to, such as ``http://127.0.0.1:9000``.
        without: Headers that are not passed on, in lower case: what a server does that does not know them.

    Attributes:
        url: Where it listens.
        requests: What was asked so far, such as ``PUT /bucket/key``, in order.
    """

    def __init__(self, upstream: str, *, without: Collection[str] = ()) -> None:
        self.requests: list[str] = []
        self._without = _HOP_BY_HOP.union(without)
        self._upstream = urlsplit(upstream).netloc
        self._faults: dict[int, Fault] = {}
        self._lock = threading.Lock()
        self._over = threading.Event()

        class Handler(_Handler):
            proxy = self

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()

    def fail(self, how: Fault, numbers: Iterable[int] = (1,)) -> None:
        """Fail requests that are to come; 1 is the next one."""
        with self._lock:
            self._faults |= dict.fromkeys((len(self.requests) + number for number in numbers), how)

    def heal(self) -> None:
        """Fail no more requests."""
        with self._lock:
            self._faults.clear()

    def came(self, request: str) -> Fault | None:
        """Note a request, and return how it is to fail."""
        with self._lock:
            self.requests.append(request)
            return self._faults.pop(len(self.requests), None)

    def passed_on(self, request: _Request) -> _Answer:
        """Return the server's answer to a request."""
        connection = HTTPConnection(self._upstream, timeout=60)
        try:
            connection.putrequest(request.method, request.path, skip_host=True, skip_accept_encoding=True)
            for name, value in request.headers.items():
                if name.lower() not in self._without:
                    connection.putheader(name, value)
            connection.endheaders(request.body)
            answer = connection.getresponse()
            return _Answer(answer.status, list(answer.headers.items()), answer.read())
        finally:
            connection.close()

    def wait(self) -> None:
        """Wait until the proxy ends."""
        self._over.wait()


@frozen
class _Request:
    method: str
    path: str
    headers: Message
    body: bytes


@frozen
class _Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that gave up waiting is what was wanted."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    proxy: FaultProxy

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = _Request(self.command, self.path, self.headers, body)
        fault = self.proxy.came(f"{self.command} {unquote(self.path.partition('?')[0])}")
        if fault in _ANSWERS:
            status, code = _ANSWERS[fault]
            text = f"<Error><Code>{code}</Code><Message>made up</Message></Error>".encode()
            self._answer(
                _Answer(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(text)))], text)
            )
            return
        if fault not in {"ignored", "reset"}:
            answer = self.proxy.passed_on(request)
            if fault in {None, "cut"}:
                self._answer(answer, cut=fault == "cut")
        if fault in {"ignored", "silent"}:
            self.proxy.wait()
        if fault is not None:
            self.close_connection = True
            self.connection.shutdown(SHUT_RDWR)

    do_DELETE = do_GET = do_HEAD = do_POST = do_PUT = _handle  # noqa: N815 - http.server looks for these

    def _answer(self, answer: _Answer, *, cut: bool = False) -> None:
        self.send_response_only(answer.status)
        for name, value in answer.headers:
            if name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        if not any(name.lower() == "content-length" for name, _ in answer.headers):
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body[: len(answer.body) // 2] if cut else answer.body)

    def log_message(self, *_arguments: Any) -> None:
        """Say nothing."""
