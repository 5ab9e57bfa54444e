"""A stand-in for Cloud Logging: the entries that it is given, over HTTP and over gRPC, and OAuth tokens.

The clients of google-cloud-logging talk to it over loopback. It knows the part of the query language that sources need:
comparisons, lists of values, ``log_id()``, ``AND``, ``OR``, ``NOT`` and brackets.
"""

from __future__ import annotations

import functools
import json
import re
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from attrs import define, field

from ocsflake.testing._google_api import Refused, json_api

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["LoggingServer", "Refused", "logging_server", "matches"]

_MOST = 1000
_USUAL = 50


@define
class LoggingServer:
    """A running stand-in.

    Attributes:
        url: Where it listens for HTTP.
        target: Where it listens for gRPC.
        entries: What it has, as REST writes it; a test adds to it.
        denied: Resources that the caller may not read.
        requests: What was asked so far, as REST writes it.
        tokens: The OAuth tokens that are valid; with none, requests need no token. ``/token`` issues another one.
    """

    url: str
    target: str
    entries: list[dict[str, Any]] = field(factory=list)
    denied: set[str] = field(factory=set)
    requests: list[dict[str, Any]] = field(factory=list)
    tokens: set[str] = field(factory=set, repr=False)
    _found: tuple[Any, list[dict[str, Any]]] = field(default=(None, []), repr=False)
    _faults: dict[int, tuple[str, float]] = field(factory=dict)
    _lock: Any = field(factory=threading.Lock, repr=False)

    def fail(self, code: str, numbers: Iterable[int] = (1,), *, retry_after: float = 0) -> None:
        """Fail requests that are to come, 1 being the next one.

        Args:
            code: Of gRPC, such as ``RESOURCE_EXHAUSTED``; ``RESET`` closes a connection of HTTP, and ``CUT`` does so
                amid the answer.
            numbers: Which requests.
            retry_after: What the answer of HTTP asks to wait.
        """
        with self._lock:
            self._faults |= {len(self.requests) + number: (code, retry_after) for number in numbers}

    def heal(self) -> None:
        """Fail no more requests."""
        with self._lock:
            self._faults.clear()

    def client(self, project: str = "p", **options: Any) -> Any:
        """Return a `google.cloud.logging.Client` that talks HTTP to it."""
        from google.auth.credentials import AnonymousCredentials
        from google.cloud import logging

        options.setdefault("credentials", AnonymousCredentials())
        return logging.Client(project=project, client_options={"api_endpoint": self.url}, **options)

    def grpc_client(self) -> Any:
        """Return a ``LoggingServiceV2Client`` that talks gRPC to it."""
        import grpc
        from google.cloud.logging_v2.services.logging_service_v2 import LoggingServiceV2Client
        from google.cloud.logging_v2.services.logging_service_v2.transports import LoggingServiceV2GrpcTransport

        channel = grpc.insecure_channel(self.target, options=[("grpc.max_receive_message_length", -1)])
        return LoggingServiceV2Client(transport=LoggingServiceV2GrpcTransport(channel=channel))

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return a page of entries.

        Raises:
            Refused: If the API would not give one.
        """
        resources, size = request.get("resourceNames", []), request.get("pageSize") or _USUAL
        if not 1 <= len(resources) <= 100 or size > _MOST:
            raise Refused("INVALID_ARGUMENT", "there must be 1 to 100 resource names, and at most 1000 entries a page")
        if forbidden := self.denied.intersection(resources):
            raise Refused("PERMISSION_DENIED", f"Permission denied for all log views of {sorted(forbidden)}")
        asked = (tuple(resources), request.get("filter", ""), len(self.entries))
        if self._found[0] != asked:  # else it is the next page
            self._found = (asked, self._matching(*asked[:2]))
        found = self._found[1]
        start = int(request.get("pageToken") or 0)
        more = {"nextPageToken": str(start + size)} if start + size < len(found) else {}
        return {"entries": found[start : start + size], **more}

    def came(self, request: dict[str, Any]) -> tuple[str, float]:
        """Note a request, and return how it is to fail."""
        with self._lock:
            self.requests.append(request)
            return self._faults.pop(len(self.requests), ("", 0))

    def _matching(self, resources: tuple[str, ...], query: str) -> list[dict[str, Any]]:
        """Return the entries of some resources that match a query, in the order of their times."""
        holders, test = tuple(f"{name.partition('/locations/')[0]}/" for name in resources), matches(query)
        found = [entry for entry in self.entries if entry["logName"].startswith(holders) and test(entry)]
        return sorted(found, key=lambda entry: (_nanoseconds(entry["timestamp"]), entry["insertId"]))


@contextmanager
def logging_server() -> Iterator[LoggingServer]:
    """Run the stand-in on free ports of loopback."""
    from concurrent.futures import ThreadPoolExecutor

    import grpc

    over_grpc = grpc.server(ThreadPoolExecutor(4))
    port = over_grpc.add_insecure_port("127.0.0.1:0")
    server = LoggingServer("", f"127.0.0.1:{port}")
    over_grpc.add_generic_rpc_handlers((_service(server),))
    over_grpc.start()

    def answer(path: str, _query: str, body: bytes) -> dict[str, Any]:
        if path != "/v2/entries:list":
            raise Refused("NOT_FOUND", f"the stand-in has no {path}")
        return server.answer(json.loads(body))

    try:
        with json_api(answer, lambda _, __, body: server.came(json.loads(body)), server.tokens) as url:
            server.url = url
            yield server
    finally:
        over_grpc.stop(None)


def matches(query: str) -> Callable[[dict[str, Any]], bool]:
    """Return what tells whether an entry matches a query.

    Raises:
        Refused: If the query is none, or has what the stand-in does not know.
    """
    words = _TOKENS.findall(query)
    if "".join(words) != re.sub(r"\s+(?=(?:[^\"]*\"[^\"]*\")*[^\"]*$)", "", query):
        raise Refused("INVALID_ARGUMENT", f"this is no query: {query}")
    parsed = _all_of(words) if words else lambda _: True
    if words:
        raise Refused("INVALID_ARGUMENT", f"this was not expected: {words[0]}")
    return parsed


_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"|[<>!]=|=~|[()<>=:]|[^\s()<>=!:"]+')


def _all_of(words: list[str]) -> Callable[[dict[str, Any]], bool]:
    tests = [_any_of(words)]
    while words and words[0] != ")":
        if words[0] == "AND":
            words.pop(0)
        tests.append(_any_of(words))
    return lambda entry: all(test(entry) for test in tests)


def _any_of(words: list[str]) -> Callable[[dict[str, Any]], bool]:
    tests = [_one(words)]
    while words and words[0] == "OR":
        words.pop(0)
        tests.append(_one(words))
    return lambda entry: any(test(entry) for test in tests)


def _one(words: list[str]) -> Callable[[dict[str, Any]], bool]:
    word = _next(words)
    if word == "NOT":
        inner = _one(words)
        return lambda entry: not inner(entry)
    if word == "(":
        inner = _all_of(words)
        _expect(words, ")")
        return inner
    if word == "log_id":
        _expect(words, "(")
        wanted = json.loads(_next(words))
        _expect(words, ")")
        return lambda entry: unquote(entry["logName"].partition("/logs/")[2]) == wanted
    operator = _next(words)
    if operator not in _OPERATORS:
        raise Refused("INVALID_ARGUMENT", f"{operator!r} is no operator that the stand-in knows")
    values = _values(words)
    test = _OPERATORS[operator]
    return lambda entry: any(test(*_comparable(word, entry, value)) for value in values)


def _values(words: list[str]) -> list[str]:
    values = [_next(words)]
    if values == ["("]:
        values = [_next(words)]
        while (word := _next(words)) != ")":
            values += [_next(words)] if word == "OR" else []
    return [json.loads(value) if value.startswith('"') else value for value in values]


_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: bool(a == b),
    "!=": lambda a, b: bool(a != b),
    ":": lambda a, b: b in str(a),
    "<": lambda a, b: bool(a < b),
    "<=": lambda a, b: bool(a <= b),
    ">": lambda a, b: bool(a > b),
    ">=": lambda a, b: bool(a >= b),
}


def _comparable(path: str, entry: Any, value: str) -> tuple[Any, Any]:
    for step in path.split("."):
        entry = entry.get(step, "") if isinstance(entry, dict) else ""
    if path in {"timestamp", "receiveTimestamp"}:
        return _nanoseconds(entry), _nanoseconds(value)
    return str(entry), value


def _next(words: list[str]) -> str:
    if not words:
        raise Refused("INVALID_ARGUMENT", "the query ends too early")
    return words.pop(0)


def _expect(words: list[str], word: str) -> None:
    if (found := _next(words)) != word:
        raise Refused("INVALID_ARGUMENT", f"{word!r} was expected, not {found!r}")


@functools.lru_cache(maxsize=1 << 17)
def _nanoseconds(text: str) -> int:
    from google.protobuf.timestamp_pb2 import Timestamp

    time = Timestamp()
    time.FromJsonString(text)
    return int(time.ToNanoseconds())


def _service(server: LoggingServer) -> Any:
    """Return the handler of gRPC, built on the messages of the SDK."""
    import grpc
    from google.cloud.logging_v2.types import ListLogEntriesRequest, ListLogEntriesResponse
    from google.protobuf.json_format import MessageToDict

    def list_entries(request: Any, context: Any) -> Any:
        asked = MessageToDict(ListLogEntriesRequest.pb(request))
        code, _ = server.came(asked)
        if code:
            context.abort(grpc.StatusCode[code], "made up")
        try:
            page = server.answer(asked)
        except Refused as refused:
            context.abort(grpc.StatusCode[refused.code], str(refused))
        answer = ListLogEntriesResponse.pb(ListLogEntriesResponse())
        answer.next_page_token = page.get("nextPageToken", "")
        answer.entries.extend(map(_message, page["entries"]))
        return answer

    method = grpc.unary_unary_rpc_method_handler(
        list_entries,
        request_deserializer=ListLogEntriesRequest.deserialize,
        response_serializer=lambda message: message.SerializeToString(),
    )
    return grpc.method_handlers_generic_handler("google.logging.v2.LoggingServiceV2", {"ListLogEntries": method})


def _message(entry: dict[str, Any]) -> Any:
    """Return an entry as gRPC has it; a payload of a type that is not known here holds its JSON."""
    import google.cloud.audit.audit_log_pb2
    import google.iam.v1.logging.audit_data_pb2  # noqa: F401 - a type is known once it is imported
    from google.cloud.logging_v2.types import LogEntry
    from google.protobuf.json_format import ParseDict, ParseError

    try:
        return ParseDict(entry, LogEntry.pb(LogEntry()), ignore_unknown_fields=True)
    except ParseError:
        rest = {name: value for name, value in entry.items() if name != "protoPayload"}
        message = ParseDict(rest, LogEntry.pb(LogEntry()), ignore_unknown_fields=True)
        message.proto_payload.type_url = entry["protoPayload"]["@type"]
        message.proto_payload.value = json.dumps(entry["protoPayload"]).encode()
        return message
