"""An HTTP API as Google's are, for stand-ins: JSON, errors, OAuth tokens, and failures that a test asks for."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SHUT_RDWR
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Refused", "json_api"]

STATUS = {
    "ABORTED": 409,
    "INTERNAL": 500,
    "INVALID_ARGUMENT": 400,
    "NOT_FOUND": 404,
    "PERMISSION_DENIED": 403,
    "RESOURCE_EXHAUSTED": 429,
    "UNAUTHENTICATED": 401,
    "UNAVAILABLE": 503,
}
"""The status of HTTP for each code of gRPC."""


class Refused(Exception):  # noqa: N818 - it is an answer
    """An error that an API answers.

    Args:
        code: Of gRPC, such as ``PERMISSION_DENIED``; HTTP has the status that goes with it.
        message: For people.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@contextmanager
def json_api(
    answer: Callable[[str, str, bytes], dict[str, Any]],
    came: Callable[[str, str, bytes], tuple[str, float]],
    tokens: set[str],
) -> Iterator[str]:
    """Run an API on a free port of loopback; yield its URL.

    Args:
        answer: Returns what is answered to a path, a query and a body, or raises `Refused`.
        came: Notes such a request; returns how it is to fail (a code of gRPC, ``RESET``, ``CUT`` or ``""``), and how
            many seconds the failure asks to wait.
        tokens: The OAuth tokens that are valid; with none, requests need no token. ``/token`` issues another one.
    """

    class Handler(_Handler):
        api_answer = staticmethod(answer)
        api_came = staticmethod(came)
        api_tokens = tokens

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    api_answer: Callable[[str, str, bytes], dict[str, Any]]
    api_came: Callable[[str, str, bytes], tuple[str, float]]
    api_tokens: set[str]

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path, _, query = self.path.partition("?")
        if path == "/token":
            token = f"token-{len(self.api_tokens)}"
            self.api_tokens.add(token)
            self._answer(200, {"access_token": token, "expires_in": 3600, "token_type": "Bearer"})
            return
        if self.api_tokens and self.headers.get("Authorization", "").removeprefix("Bearer ") not in self.api_tokens:
            self._refuse(Refused("UNAUTHENTICATED", "the token is not valid"))
            return
        code, retry_after = self.api_came(path, query, body)
        if code == "RESET":
            self._close()
        elif code in STATUS:
            self._refuse(Refused(code, "made up"), retry_after)
        else:
            try:
                self._answer(200, self.api_answer(path, query, body), cut=code == "CUT")
            except Refused as refused:
                self._refuse(refused)

    do_GET = do_POST = _handle  # noqa: N815 - http.server looks for these

    def _refuse(self, refused: Refused, retry_after: float = 0) -> None:
        status = STATUS[refused.code]
        error = {"code": status, "message": str(refused), "status": refused.code}
        self._answer(status, {"error": error}, retry_after=retry_after)

    def _answer(self, status: int, content: dict[str, Any], *, retry_after: float = 0, cut: bool = False) -> None:
        body = json.dumps(content, separators=(",", ":")).encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "application/json; charset=UTF-8")
        self.send_header("Content-Length", str(len(body)))
        if retry_after:
            self.send_header("Retry-After", f"{retry_after:.0f}")
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if cut else body)
        if cut:
            self._close()

    def _close(self) -> None:
        self.close_connection = True
        self.connection.shutdown(SHUT_RDWR)

    def log_message(self, *_arguments: Any) -> None:
        """Say nothing."""
