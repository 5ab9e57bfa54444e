"""The proxy fails what it is told to, in the way that it is told to, and nothing else."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ocsflake.testing.faults import FaultProxy, WireProxy


@pytest.fixture
def upstream():
    """A server that answers with what it was sent, and notes it."""
    seen = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            seen.append((self.command, self.path, self.headers["Host"], body))
            self.send_response(201)
            self.send_header("X-Mine", "yes")
            if self.path == "/chunked":
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                self.wfile.write(b"3\r\nabc\r\n0\r\n\r\n")
                return
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_HEAD = do_PUT  # noqa: N815 - http.server looks for these

        def log_message(self, *_arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    server.seen = seen
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def proxy(upstream):
    with FaultProxy(f"http://127.0.0.1:{upstream.server_port}") as proxy:
        yield proxy


def ask(proxy, path="/a", method="PUT", body=b"content", timeout=5.0):
    connection = http.client.HTTPConnection(proxy.url.removeprefix("http://"), timeout=timeout)
    try:
        connection.request(method, path, body, {"Host": "signed.example"})
        answer = connection.getresponse()
        return answer.status, answer.headers.get("X-Mine"), answer.read()
    finally:
        connection.close()


def test_requests_pass_as_they_are(proxy, upstream):
    assert ask(proxy, "/a%20b?x=%2F") == (201, "yes", b"content")
    assert upstream.seen == [("PUT", "/a%20b?x=%2F", "signed.example", b"content")]
    assert proxy.requests == ["PUT /a b"]


def test_headers_that_are_not_passed_on(upstream):
    with FaultProxy(f"http://127.0.0.1:{upstream.server_port}", without=["host"]) as proxy:
        assert ask(proxy)[0] == 201
    assert upstream.seen == [("PUT", "/a", None, b"content")]


def test_answers_without_a_length_or_a_body(proxy):
    assert ask(proxy, "/chunked") == (201, "yes", b"abc")
    assert ask(proxy, method="HEAD", body=None) == (201, "yes", b"")
    assert ask(proxy, method="GET", body=None) == (201, "yes", b"")


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("unavailable", 503, b"ServiceUnavailable"),
        ("throttled", 503, b"SlowDown"),
        ("expired", 400, b"ExpiredToken"),
        ("denied", 403, b"AccessDenied"),
    ],
)
def test_an_answer_in_place_of_the_server_s(proxy, upstream, fault, status, code):
    proxy.fail(fault)

    assert ask(proxy)[0] == status
    proxy.fail(fault)
    assert code in ask(proxy)[2]
    assert upstream.seen == []
    assert ask(proxy)[0] == 201


@pytest.mark.parametrize(("fault", "reaches"), [("reset", 0), ("lost", 1), ("cut", 1)])
def test_a_connection_that_breaks(proxy, upstream, fault, reaches):
    proxy.fail(fault)

    with pytest.raises((http.client.HTTPException, OSError)):
        ask(proxy)
    assert len(upstream.seen) == reaches
    assert ask(proxy)[0] == 201


@pytest.mark.parametrize(("fault", "reaches"), [("ignored", 0), ("silent", 1)])
def test_no_answer(proxy, upstream, fault, reaches):
    proxy.fail(fault)

    with pytest.raises(TimeoutError):
        ask(proxy, timeout=0.2)
    assert len(upstream.seen) == reaches


def test_the_requests_that_fail_are_counted_from_now_on(proxy):
    ask(proxy)
    proxy.fail("denied", [2, 4])

    assert [ask(proxy)[0] for _ in range(5)] == [201, 403, 201, 403, 201]


def test_faults_can_be_taken_back(proxy):
    proxy.fail("denied", range(1, 9))
    proxy.heal()

    assert ask(proxy)[0] == 201


@pytest.mark.parametrize(("fault", "status"), [("failed", 500), ("limited", 429), ("unauthorized", 401)])
def test_errors_in_json_for_those_who_speak_it(proxy, fault, status):
    connection = http.client.HTTPConnection(proxy.url.removeprefix("http://"), timeout=5)
    proxy.fail(fault)
    connection.request("GET", "/a", headers={"Accept": "application/json"})
    answer = connection.getresponse()

    assert answer.status == status
    assert json.loads(answer.read())["error"]["code"] == status
    connection.close()


def test_a_slow_answer_is_whole(proxy):
    proxy.fail("slow")

    assert ask(proxy, body=b"content" * 1_000) == (201, "yes", b"content" * 1_000)


def test_a_balancer_closes_what_gets_no_answer(upstream):
    with FaultProxy(f"http://127.0.0.1:{upstream.server_port}", patience=0.1) as proxy:
        proxy.fail("silent")
        with pytest.raises((http.client.HTTPException, OSError)):
            ask(proxy, timeout=60)


@pytest.fixture
def wire():
    """A server that sends back what it is sent, and a proxy before it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def echo():
            with contextlib.suppress(OSError):
                while True:
                    stream, _ = listener.accept()
                    with stream, contextlib.suppress(OSError):
                        while data := stream.recv(100):
                            stream.sendall(data)

        threading.Thread(target=echo, daemon=True).start()
        with WireProxy(f"127.0.0.1:{listener.getsockname()[1]}", patience=0.1) as proxy:
            yield proxy


def echoed(proxy, data):
    host, _, port = proxy.target.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=60) as stream:
        stream.sendall(data)
        found = b""
        while len(found) < len(data) and (part := stream.recv(100)):
            found += part
        return found


def test_bytes_pass_as_they_are(wire):
    assert echoed(wire, b"content") == b"content"
    assert wire.received == 7


@pytest.mark.parametrize("fault", ["cut", "silent"])
def test_a_connection_breaks_at_a_byte(wire, fault):
    wire.fail(fault, 3)

    assert echoed(wire, b"content") == b"con"
    assert echoed(wire, b"content") == b"content"


def test_a_connection_is_reset_at_a_byte(wire):
    wire.fail("reset", 0)

    with pytest.raises(ConnectionResetError):
        echoed(wire, b"content")
    assert echoed(wire, b"content") == b"content"


def test_slow_bytes_are_whole(wire):
    wire.fail("slow", 3)

    assert echoed(wire, b"content" * 10) == b"content" * 10


def test_a_proxy_of_bytes_that_is_healed(wire):
    wire.fail("cut", 3)
    wire.heal()

    assert echoed(wire, b"content") == b"content"
