"""A stand-in for the findings of Security Command Center, over gRPC.

The client of google-cloud-securitycenter, version 2 of the API, talks to it over loopback. Of the language of filters
it knows comparisons of ``event_time``, ``severity``, ``state`` and ``category`` that are joined by ``AND``.
"""

from __future__ import annotations

import re
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from attrs import define, field

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["SccServer", "scc_server"]

_CONDITION = re.compile(r'\(*(event_time|severity|state|category)\s*(>=|<=|<|>|=)\s*"([^"]*)"\)*')
_FIELDS = {"event_time": "eventTime"}
_MOST = 1000
_USUAL = 10


@define
class SccServer:
    """A running stand-in.

    Attributes:
        target: Where it listens.
        findings: What it has: each with ``finding`` and ``resource``, as REST writes them, by the name of the finding.
        denied: Parents that the caller may not read, such as ``organizations/1``.
        requests: What was asked so far, as REST writes it.
    """

    target: str
    findings: dict[str, dict[str, Any]] = field(factory=dict)
    denied: set[str] = field(factory=set)
    requests: list[dict[str, Any]] = field(factory=list)
    _faults: dict[int, str] = field(factory=dict)
    _lock: Any = field(factory=threading.Lock, repr=False)

    def put(self, *results: dict[str, Any]) -> None:
        """Add findings, or change those that it has."""
        with self._lock:
            self.findings |= {result["finding"]["name"]: result for result in results}

    def fail(self, code: str, numbers: Iterable[int] = (1,)) -> None:
        """Fail requests that are to come, 1 being the next one, with a code of gRPC."""
        with self._lock:
            self._faults |= {len(self.requests) + number: code for number in numbers}

    def client(self) -> Any:
        """Return a `google.cloud.securitycenter_v2.SecurityCenterClient` that talks to it."""
        import grpc
        from google.cloud import securitycenter_v2
        from google.cloud.securitycenter_v2.services.security_center.transports import SecurityCenterGrpcTransport

        channel = grpc.insecure_channel(self.target, options=[("grpc.max_receive_message_length", -1)])
        return securitycenter_v2.SecurityCenterClient(transport=SecurityCenterGrpcTransport(channel=channel))

    def came(self, request: dict[str, Any]) -> str:
        """Note a request, and return how it is to fail."""
        with self._lock:
            self.requests.append(request)
            denied = "PERMISSION_DENIED" if request["parent"].partition("/sources/")[0] in self.denied else ""
            return self._faults.pop(len(self.requests), denied)

    def page(self, request: dict[str, Any]) -> tuple[list[dict[str, Any]], str]:
        """Return a page of findings, and the token of the next one."""
        parent = request["parent"].removesuffix("/sources/-")
        with self._lock:
            found = [
                result
                for name, result in self.findings.items()
                if name.startswith(f"{parent}/") and _matches(result["finding"], request.get("filter", ""))
            ]
        found.sort(key=lambda result: str(result["finding"]["eventTime"]))
        start, size = int(request.get("pageToken") or 0), min(request.get("pageSize") or _USUAL, _MOST)
        return found[start : start + size], str(start + size) if start + size < len(found) else ""


@contextmanager
def scc_server() -> Iterator[SccServer]:
    """Run the stand-in on a free port of loopback."""
    from concurrent.futures import ThreadPoolExecutor

    import grpc

    over_grpc = grpc.server(ThreadPoolExecutor(4))
    server = SccServer(f"127.0.0.1:{over_grpc.add_insecure_port('127.0.0.1:0')}")
    over_grpc.add_generic_rpc_handlers((_service(server),))
    over_grpc.start()
    try:
        yield server
    finally:
        over_grpc.stop(None)


def _matches(finding: dict[str, Any], query: str) -> bool:
    for name, operator, value in _CONDITION.findall(query):
        comparable: Any = _nanoseconds if name == "event_time" else str
        given, wanted = comparable(finding.get(_FIELDS.get(name, name), "")), comparable(value)
        order = (given > wanted) - (given < wanted)
        if not {">=": order >= 0, "<=": order <= 0, "<": order < 0, ">": order > 0, "=": order == 0}[operator]:
            return False
    return True


def _nanoseconds(text: str) -> int:
    from google.protobuf.timestamp_pb2 import Timestamp

    time = Timestamp()
    time.FromJsonString(text)
    return int(time.ToNanoseconds())


def _service(server: SccServer) -> Any:
    """Return the handler of gRPC, built on the messages of the SDK."""
    import grpc
    from google.cloud.securitycenter_v2.types import ListFindingsRequest, ListFindingsResponse
    from google.protobuf.json_format import MessageToDict, ParseDict

    def list_findings(request: Any, context: Any) -> Any:
        asked = MessageToDict(ListFindingsRequest.pb(request))
        if code := server.came(asked):
            context.abort(grpc.StatusCode[code], "made up")
        if not all(_CONDITION.fullmatch(part) for part in asked.get("filter", "").split(" AND ") if part):
            context.abort(
                grpc.StatusCode.INVALID_ARGUMENT, f"the stand-in does not know this filter: {asked['filter']}"
            )
        results, token = server.page(asked)
        answer = {"listFindingsResults": results, "nextPageToken": token}
        return ParseDict(answer, ListFindingsResponse.pb(ListFindingsResponse()), ignore_unknown_fields=True)

    method = grpc.unary_unary_rpc_method_handler(
        list_findings,
        request_deserializer=ListFindingsRequest.deserialize,
        response_serializer=lambda message: message.SerializeToString(),
    )
    name = "google.cloud.securitycenter.v2.SecurityCenter"
    return grpc.method_handlers_generic_handler(name, {"ListFindings": method})
