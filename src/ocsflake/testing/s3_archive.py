"""A stand-in for S3 that holds an archive of any size: its keys are computed, not kept. Nothing can be put there."""

from __future__ import annotations

import threading
import zlib
from base64 import b64decode, b64encode
from bisect import bisect_left, bisect_right
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl, quote, unquote
from xml.sax.saxutils import escape

from attrs import frozen

from ocsflake.testing.servers import AwsServer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["ArchiveServer"]

_STORED = "2026-01-01T00:00:00.000Z"


def _line(key: str) -> bytes:
    """Return a line of JSON, or nothing for what some consoles make to show a folder."""
    return b"" if key.endswith("/") else b"{}\n"


class ArchiveServer:
    """``ListObjectsV2`` and ``GetObject`` on a free loopback port; a context manager.

    Each bucket that is asked for has the same keys.

    Args:
        keys: All keys, in their order; a sequence that computes them will do.
        body: Returns what the object of a key holds.
        page: How many items a page of a listing has at most.

    Attributes:
        url: Where it listens.
        requests: What was asked so far, such as ``LIST bucket/prefix`` and ``GET bucket/key``, in order.
        denied: Requests that are refused, by their beginning, such as ``LIST bucket/secret/``.
        missing: Buckets that are not there.
    """

    def __init__(self, keys: Sequence[str], *, body: Callable[[str], bytes] = _line, page: int = 1_000) -> None:
        self.keys = keys
        self.body = body
        self.page = page
        self.requests: list[str] = []
        self.denied: set[str] = set()
        self.missing: set[str] = set()
        stand_in = self

        class Handler(_Handler):
            archive = stand_in

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def beside(self, server: AwsServer | None = None) -> AwsServer:
        """Return a server, such as moto's, whose S3 is this one; without one, this alone."""
        if server is None:
            return AwsServer(self.url)
        others = dict.fromkeys(("sqs", "sts"), server.url) | dict(server.elsewhere)
        return AwsServer(self.url, server.access_key, server.secret_key, server.token, elsewhere=others)

    def answer(self, path: str, query: str) -> _Answer:
        """Return the answer to a request."""
        bucket, _, key = unquote(path).removeprefix("/").partition("/")
        asked = dict(parse_qsl(query, keep_blank_values=True))
        listed = "list-type" in asked
        request = f"{'LIST' if listed else 'GET'} {bucket}/{asked.get('prefix', '') if listed else key}"
        self.requests.append(request)
        if bucket in self.missing:
            return _refused(404, "NoSuchBucket", "The specified bucket does not exist")
        if any(request.startswith(beginning) for beginning in self.denied):
            return _refused(403, "AccessDenied", "Access Denied")
        if listed:
            return _Answer(200, self._listing(bucket, asked).encode(), "application/xml")
        place = bisect_left(self.keys, key)
        if place == len(self.keys) or self.keys[place] != key:
            return _refused(404, "NoSuchKey", "The specified key does not exist.")
        return _Answer(200, self.body(key), "binary/octet-stream", _etag(key))

    def _listing(self, bucket: str, asked: dict[str, str]) -> str:
        prefix, delimiter = asked.get("prefix", ""), asked.get("delimiter", "")
        most = min(self.page, int(asked.get("max-keys", self.page)))
        token = asked.get("continuation-token", "")
        after = b64decode(token).decode() if token else asked.get("start-after", "")
        place = max(bisect_left(self.keys, prefix), bisect_right(self.keys, after) if after else 0)
        items: list[str] = []
        while place < len(self.keys) and self.keys[place].startswith(prefix) and len(items) < most:
            key = self.keys[place]
            end = key.find(delimiter, len(prefix)) if delimiter else -1
            if end < 0:
                items.append(_content(key, len(self.body(key))))
                after, place = key, place + 1
            else:
                folder = key[: end + len(delimiter)]
                items.append(f"<CommonPrefixes><Prefix>{quote(folder)}</Prefix></CommonPrefixes>")
                after = folder + chr(0x10FFFF)
                place = bisect_left(self.keys, after, place)
        more = place < len(self.keys) and self.keys[place].startswith(prefix) and bool(items)
        following = f"<NextContinuationToken>{b64encode(after.encode()).decode()}</NextContinuationToken>"
        return (
            '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Name>{escape(bucket)}</Name><Prefix>{quote(prefix)}</Prefix><KeyCount>{len(items)}</KeyCount>"
            f"<MaxKeys>{most}</MaxKeys><EncodingType>url</EncodingType><IsTruncated>{str(more).lower()}</IsTruncated>"
            f"{following if more else ''}{''.join(items)}</ListBucketResult>"
        )


@frozen
class _Answer:
    status: int
    body: bytes
    kind: str
    etag: str = ""


def _refused(status: int, code: str, message: str) -> _Answer:
    return _Answer(
        status, f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode(), "application/xml"
    )


def _etag(key: str) -> str:
    return f'"{zlib.crc32(key.encode()):08x}"'


def _content(key: str, size: int) -> str:
    return (
        f"<Contents><Key>{quote(key)}</Key><LastModified>{_STORED}</LastModified><ETag>{escape(_etag(key))}</ETag>"
        f"<Size>{size}</Size><StorageClass>STANDARD</StorageClass></Contents>"
    )


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    archive: ArchiveServer

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        answer = self.archive.answer(path, query)
        self.send_response_only(answer.status)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(answer.body)))
        if answer.etag:
            self.send_header("ETag", answer.etag)
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, *_arguments: Any) -> None:
        """Say nothing."""
