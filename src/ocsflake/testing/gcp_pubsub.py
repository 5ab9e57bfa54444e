"""A stand-in for the subscriptions of Pub/Sub: pull, acknowledge and leases, over gRPC.

The subscriber client of google-cloud-pubsub talks to it over loopback. A message is delivered again when its lease
ends, and when it is given back.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any

from attrs import define, field

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

__all__ = ["PubSubServer", "pubsub_server"]

_DEADLINE = 10.0  # seconds, unless a lease is extended


@define
class PubSubServer:
    """A running stand-in; every subscription exists, and has what was published to it.

    Attributes:
        target: Where it listens.
        denied: Subscriptions that the caller may not read.
        acknowledged: The ids of messages that were acknowledged so far.
        requests: What was asked so far: the name of the method, and the request.
    """

    target: str
    denied: set[str] = field(factory=set)
    acknowledged: Counter[str] = field(factory=Counter)
    requests: list[tuple[str, Any]] = field(factory=list)
    _messages: dict[str, dict[str, Any]] = field(factory=dict)
    _leases: dict[str, tuple[str, str, float]] = field(factory=dict)
    _faults: dict[tuple[str, int], str] = field(factory=dict)
    _numbers: Iterator[int] = field(factory=count)
    _lock: Any = field(factory=threading.Lock, repr=False)

    def publish(
        self,
        subscription: str,
        data: bytes,
        attributes: Mapping[str, str] | None = None,
        *,
        published: datetime | None = None,
    ) -> str:
        """Publish a message; return its id."""
        from google.pubsub_v1.types import PubsubMessage

        with self._lock:
            message_id = str(10**15 + next(self._numbers))
            message = PubsubMessage(data=data, attributes=dict(attributes or {}), message_id=message_id)
            if published is None:
                PubsubMessage.pb(message).publish_time.GetCurrentTime()
            else:
                message.publish_time = published
            self._messages.setdefault(subscription, {})[message_id] = message
        return message_id

    def fail(self, method: str, code: str, numbers: Iterable[int] = (1,)) -> None:
        """Fail requests that are to come with a code of gRPC; 1 is the next one of a method, such as ``Pull``."""
        with self._lock:
            before = sum(name == method for name, _ in self.requests)
            self._faults |= {(method, before + number): code for number in numbers}

    def end_leases(self) -> None:
        """Let all leases end now."""
        with self._lock:
            self._leases = {ack: (*lease[:2], 0.0) for ack, lease in self._leases.items()}

    def leased(self) -> int:
        """Return how many messages are leased now."""
        with self._lock:
            return sum(until > time.monotonic() for *_, until in self._leases.values())

    def client(self) -> Any:
        """Return a `google.cloud.pubsub_v1.SubscriberClient` that talks to it."""
        import grpc
        from google.cloud import pubsub_v1
        from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

        channel = grpc.insecure_channel(self.target, options=[("grpc.max_receive_message_length", -1)])
        return pubsub_v1.SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))

    def came(self, method: str, request: Any) -> str:
        """Note a request, and return how it is to fail."""
        with self._lock:
            self.requests.append((method, request))
            number = sum(name == method for name, _ in self.requests)
            denied = "PERMISSION_DENIED" if request.subscription in self.denied else ""
            return self._faults.pop((method, number), denied)

    def pull(self, request: Any) -> Any:
        """Lease some messages."""
        from google.pubsub_v1.types import PullResponse, ReceivedMessage

        with self._lock:
            now = time.monotonic()
            leased = {message_id for _, message_id, until in self._leases.values() if until > now}
            there = self._messages.get(request.subscription, {})
            free = [message for message_id, message in there.items() if message_id not in leased]
            received = []
            for message in free[: request.max_messages]:
                ack = f"ack-{next(self._numbers)}"
                self._leases[ack] = (request.subscription, message.message_id, now + _DEADLINE)
                received.append(ReceivedMessage(ack_id=ack, message=message))
        return PullResponse(received_messages=received)

    def acknowledge(self, request: Any) -> Any:
        """Forget messages; a lease that has ended acknowledges nothing."""
        from google.protobuf.empty_pb2 import Empty

        with self._lock:
            for ack in request.ack_ids:
                subscription, message_id, until = self._leases.pop(ack, ("", "", 0.0))
                if until > time.monotonic() and self._messages[subscription].pop(message_id, None):
                    self.acknowledged[message_id] += 1
        return Empty()

    def modify(self, request: Any) -> Any:
        """Let leases end later, or now."""
        from google.protobuf.empty_pb2 import Empty

        with self._lock:
            now = time.monotonic()
            for ack in request.ack_ids:
                *lease, until = self._leases.get(ack, ("", "", 0.0))
                if until > now:
                    self._leases[ack] = (*lease, now + request.ack_deadline_seconds)
        return Empty()


@contextmanager
def pubsub_server() -> Iterator[PubSubServer]:
    """Run the stand-in on a free port of loopback."""
    from concurrent.futures import ThreadPoolExecutor

    import grpc

    over_grpc = grpc.server(ThreadPoolExecutor(4))
    server = PubSubServer(f"127.0.0.1:{over_grpc.add_insecure_port('127.0.0.1:0')}")
    over_grpc.add_generic_rpc_handlers((_service(server),))
    over_grpc.start()
    try:
        yield server
    finally:
        over_grpc.stop(None)


def _service(server: PubSubServer) -> Any:
    """Return the handler of gRPC, built on the messages of the SDK."""
    import grpc
    from google.pubsub_v1.types import AcknowledgeRequest, ModifyAckDeadlineRequest, PullRequest, PullResponse

    def method(name: str, answer: Any, request_type: Any, serialize: Any) -> Any:
        def handle(request: Any, context: Any) -> Any:
            if code := server.came(name, request):
                context.abort(grpc.StatusCode[code], "made up")
            return answer(request)

        return grpc.unary_unary_rpc_method_handler(
            handle, request_deserializer=request_type.deserialize, response_serializer=serialize
        )

    def plain(message: Any) -> bytes:
        found: bytes = message.SerializeToString()
        return found

    methods = {
        "Pull": method("Pull", server.pull, PullRequest, PullResponse.serialize),
        "Acknowledge": method("Acknowledge", server.acknowledge, AcknowledgeRequest, plain),
        "ModifyAckDeadline": method("ModifyAckDeadline", server.modify, ModifyAckDeadlineRequest, plain),
    }
    return grpc.method_handlers_generic_handler("google.pubsub.v1.Subscriber", methods)
