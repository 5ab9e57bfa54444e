"""Proxies that fail what a test tells them to, to try what a program makes of it: requests of HTTP, or any bytes."""

from __future__ import annotations

import json
import select
import socket
import struct
import threading
import time
from contextlib import suppress
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SHUT_RDWR
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import unquote, urlsplit

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from email.message import Message

__all__ = ["Fault", "FaultProxy", "WireFault", "WireProxy"]

Fault = Literal[
    "cut",
    "denied",
    "expired",
    "failed",
    "ignored",
    "limited",
    "lost",
    "reset",
    "silent",
    "slow",
    "throttled",
    "unauthorized",
    "unavailable",
]
"""How a request fails. `FaultProxy` says what each one is."""

WireFault = Literal["cut", "reset", "silent", "slow"]
"""How a connection fails. `WireProxy` says what each one is."""

_ANSWERS: dict[str, tuple[int, str]] = {
    "denied": (403, "AccessDenied"),
    "expired": (400, "ExpiredToken"),
    "failed": (500, "InternalError"),
    "limited": (429, "TooManyRequests"),
    "throttled": (503, "SlowDown"),
    "unauthorized": (401, "Unauthorized"),
    "unavailable": (503, "ServiceUnavailable"),
}
_PIECES, _PAUSE = 50, 0.01
"""How many pieces a slow answer comes in, and the seconds between them."""
_HOP_BY_HOP = frozenset({"connection", "expect", "keep-alive", "transfer-encoding"})


class FaultProxy:
    """An HTTP server on a free loopback port that passes requests on to another, or fails them; a context manager.

    These faults answer in place of the server: ``unavailable`` (503), ``throttled`` (503 ``SlowDown``), ``limited``
    (429), ``failed`` (500), ``expired`` (400 ``ExpiredToken``, as AWS says it), ``unauthorized`` (401, as others do)
    and ``denied`` (403); ``reset`` closes the connection, and ``ignored`` never answers. With these the server does
    what was asked, and the client does not learn of it: ``lost`` closes the connection, ``cut`` does so in the middle
    of the answer, and ``silent`` never gives one. A ``slow`` answer is whole, and comes in small pieces.

    Args:
        upstream: Where requests are passed on to, such as ``http://127.0.0.1:9000``.
        without: Headers that are not passed on, in lower case: what a server does that does not know them.
        patience: Seconds after which a connection is closed that gets no answer, as balancers do; never if ``None``.

    Attributes:
        url: Where it listens.
        requests: What was asked so far, such as ``PUT /bucket/key``, in order.
    """

    def __init__(self, upstream: str, *, without: Collection[str] = (), patience: float | None = None) -> None:
        self.requests: list[str] = []
        self._patience = patience
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
        """Wait until the proxy ends, or its patience does."""
        self._over.wait(self._patience)


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
            self._answer(_refusal(*_ANSWERS[fault], as_json="json" in str(self.headers)))
            return
        if fault not in {"ignored", "reset"}:
            answer = self.proxy.passed_on(request)
            if fault in {None, "cut", "slow"}:
                self._answer(answer, fault)
        if fault in {"ignored", "silent"}:
            self.proxy.wait()
        if fault not in {None, "slow"}:
            self.close_connection = True
            self.connection.shutdown(SHUT_RDWR)

    do_DELETE = do_GET = do_HEAD = do_POST = do_PUT = _handle  # noqa: N815 - http.server looks for these

    def _answer(self, answer: _Answer, fault: Fault | None = None) -> None:
        self.send_response_only(answer.status)
        for name, value in answer.headers:
            if name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        if not any(name.lower() == "content-length" for name, _ in answer.headers):
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if fault == "slow":
            _trickle(self.wfile.write, answer.body)
        else:
            self.wfile.write(answer.body[: len(answer.body) // 2] if fault == "cut" else answer.body)

    def log_message(self, *_arguments: Any) -> None:
        """Say nothing."""


def _refusal(status: int, code: str, *, as_json: bool) -> _Answer:
    """Return an error as services word it, in JSON to those who speak it."""
    told = {"__type": code, "error": {"code": status, "message": "made up", "status": code}, "message": "made up"}
    xml = f"<Error><Code>{code}</Code><Message>made up</Message></Error>"
    body = (json.dumps(told) if as_json else xml).encode()
    kind = "application/json" if as_json else "application/xml"
    headers = [("Content-Type", kind), ("Content-Length", str(len(body))), ("x-amzn-errortype", code)]
    return _Answer(status, headers, body)


def _trickle(send: Callable[[bytes], object], data: bytes) -> None:
    size = len(data) // _PIECES + 1
    for start in range(0, len(data), size):
        send(data[start : start + size])
        time.sleep(_PAUSE)


class WireProxy:
    """A TCP server on a free loopback port that passes bytes on to another and back; a context manager.

    For what is no HTTP/1.1: gRPC, AMQP. A connection fails in the middle of what the server sends: ``reset`` and
    ``cut`` close it, one with an RST and the other in order; after ``silent`` nothing comes any more, until it is
    closed; and what is ``slow`` comes in small pieces.

    Args:
        upstream: Where bytes are passed on to, such as ``127.0.0.1:9000``.
        patience: Seconds until a connection is closed on which nothing comes any more.

    Attributes:
        target: Where it listens.
        received: How many bytes the server sent so far.
    """

    def __init__(self, upstream: str, *, patience: float = 2.0) -> None:
        host, _, port = upstream.rpartition(":")
        self.received = 0
        self._upstream = (host, int(port))
        self._patience = patience
        self._faults: list[tuple[int, WireFault]] = []
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.target = f"127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        with suppress(OSError):
            self._listener.shutdown(SHUT_RDWR)
        self._listener.close()

    def fail(self, how: WireFault, after: int) -> None:
        """Fail the connection that brings the server's next bytes but `after`."""
        with self._lock:
            self._faults.append((self.received + after, how))
            self._faults.sort()

    def heal(self) -> None:
        """Fail no more connections."""
        with self._lock:
            self._faults.clear()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._connected, args=(client,), daemon=True).start()

    def _connected(self, client: socket.socket) -> None:
        with client, suppress(OSError), socket.create_connection(self._upstream) as server:
            for stream in (client, server):
                stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            ends = {client: server, server: client}
            while not self._over.is_set():
                for stream in select.select([*ends], [], [], 0.2)[0]:
                    data = stream.recv(1 << 16)
                    if not data:
                        return
                    if stream is client:
                        server.sendall(data)
                    elif not self._pass_back(client, data):
                        return

    def _pass_back(self, client: socket.socket, data: bytes) -> bool:
        """Send on what the server sent; return whether the connection lives on."""
        with self._lock:
            due = bool(self._faults) and self._faults[0][0] < self.received + len(data)
            place, how = self._faults.pop(0) if due else (self.received + len(data), None)
            whole = data[: max(0, place - self.received)]
            self.received += len(data)
        client.sendall(whole)
        if how == "slow":
            _trickle(client.sendall, data[len(whole) :])
        elif how == "silent":
            self._over.wait(self._patience)
        elif how == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return how in {None, "slow"}
