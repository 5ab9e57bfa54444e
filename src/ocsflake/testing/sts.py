"""A stand-in for AWS STS that checks external ids, which moto's does not."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["StsServer"]

_DENIED = (
    "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>User: arn:aws:iam::111111111111:user/me"
    " is not authorized to perform: sts:AssumeRole on resource: {role}</Message></Error></ErrorResponse>"
)
_ASSUMED = (
    '<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>'
    "<AssumedRoleUser><AssumedRoleId>AROAEXAMPLE:{session}</AssumedRoleId><Arn>{role}/{session}</Arn></AssumedRoleUser>"
    "<Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>"
    "<SessionToken>token-{number}</SessionToken><Expiration>{until}</Expiration></Credentials>"
    "</AssumeRoleResult></AssumeRoleResponse>"
)


class StsServer:
    """``AssumeRole`` on a free loopback port; a context manager.

    Args:
        roles: The external id that each role asks for, by its ARN.
        access_key: Of the credentials that it gives.
        secret_key: Of the same.
        seconds: How long they last.

    Attributes:
        url: Where it listens.
        assumed: The roles that were assumed so far.
    """

    def __init__(
        self,
        roles: Mapping[str, str],
        *,
        access_key: str = "ASIAIOSFODNN7EXAMPLE",
        secret_key: str = "not-a-secret",  # noqa: S107 - of a server that lives as long as a test
        seconds: float = 3600,
    ) -> None:
        self.assumed: list[str] = []

        def answer(asked: Mapping[str, str]) -> tuple[int, str]:
            role = asked["RoleArn"]
            if role not in roles or asked.get("ExternalId", "") != roles[role]:
                return 403, _DENIED.format(role=escape(role))
            self.assumed.append(role)
            return 200, _ASSUMED.format(
                role=escape(role),
                session=escape(asked["RoleSessionName"]),
                key=access_key,
                secret=secret_key,
                number=len(self.assumed),
                until=(datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ"),
            )

        class Handler(_Handler):
            answered = staticmethod(answer)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    answered: Callable[[Mapping[str, str]], tuple[int, str]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        status, text = self.answered({name: values[0] for name, values in parse_qs(body).items()})
        self.send_response_only(status)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_arguments: Any) -> None:
        """Say nothing."""
