"""A stand-in for Azure Event Hubs, on a free loopback port: what a consumer needs of it, in AMQP 1.0.

Without TLS the client is told that it is the emulator, and then connects so. With TLS it connects as it does to the
service, with a namespace and a credential, when it is told the address and whose certificates to trust.
"""

from __future__ import annotations

import re
import socket
import threading
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, Self

from attrs import define, field, frozen

from ocsflake.testing._amqp import Described, Number, Symbol, decoded, encoded, frame, read_exactly, read_frame

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable

__all__ = ["EventHub"]

OPEN, BEGIN, ATTACH, FLOW, TRANSFER, DISPOSITION, DETACH, END, CLOSE = range(0x10, 0x19)
MECHANISMS, OUTCOME = 0x40, 0x44
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FRAME = 60_000
_SELECTOR = re.compile(r"amqp\.annotation\.x-opt-([a-z-]+) >(=?) '?([^']+)'?")

Trouble = Literal["", "refused", "cut", "denied", "missing"]


@frozen
class _Event:
    number: int
    body: bytes
    enqueued: datetime


@define
class _Link:
    """A link of a connection, as the server sees it.

    Attributes:
        source: The address that it leads from.
        handle: Its number.
        events: What is still to be sent on it.
        credit: How much the client takes.
        count: How many deliveries there were.
    """

    source: str
    handle: int
    events: deque[_Event] = field(factory=deque)
    credit: int = 0
    count: int = 0


class EventHub:
    """An event hub; a context manager.

    Args:
        partitions: How many partitions it has.
        tls: What it speaks TLS with, if it does.

    Attributes:
        address: ``sb://`` and the host and port of it.
        connection_string: What connects to it without TLS.
        connections: How many were made so far.
        tokens: The tokens that were put, each with its type: ``jwt`` for those of credentials.
    """

    def __init__(self, partitions: int = 1, *, tls: ssl.SSLContext | None = None) -> None:
        self.connections = 0
        self.tokens: list[tuple[str, str]] = []
        self._tls = tls
        self._partitions: list[list[_Event]] = [[] for _ in range(partitions)]
        self._next = [0] * partitions
        self._troubles: deque[Trouble] = deque()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        host, port = self._listener.getsockname()
        self.address = f"sb://{host}:{port}"
        self.connection_string = (
            f"Endpoint={self.address};SharedAccessKeyName=reader;SharedAccessKey=not-a-secret;EntityPath=logs;"
            "UseDevelopmentEmulator=true"
        )

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for stream in list(self._open):
            _close(stream)

    def add(self, partition: int, bodies: Iterable[bytes], enqueued: datetime = _EPOCH) -> None:
        """Put events into a partition."""
        with self._lock:
            for body in bodies:
                self._partitions[partition].append(_Event(self._next[partition], body, enqueued))
                self._next[partition] += 1

    def drop(self, partition: int, before: int) -> None:
        """Drop the events of a partition before a sequence number, as time does."""
        with self._lock:
            self._partitions[partition] = [event for event in self._partitions[partition] if event.number >= before]

    def trouble(self, *troubles: Trouble) -> None:
        """Make trouble to the next connections, one each.

        Args:
            troubles: ``refused`` (it is closed at once), ``cut`` (after some events), ``denied`` (the token is not
                taken), ``missing`` (there is no such event hub), or ``""`` for none.
        """
        self._troubles.extend(troubles)

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                stream, _ = self._listener.accept()
                self.connections += 1
                self._open.add(stream)
                trouble = self._troubles.popleft() if self._troubles else ""
                threading.Thread(target=self._connected, args=(stream, trouble), daemon=True).start()

    def _connected(self, stream: socket.socket, trouble: Trouble) -> None:
        with suppress(EOFError, OSError):
            if trouble != "refused":
                _Connection(self, self._secured(stream), trouble).run()
        _close(stream)
        self._open.discard(stream)

    def _secured(self, stream: socket.socket) -> socket.socket:
        if self._tls is None:
            return stream
        self._open.discard(stream)
        secured = self._tls.wrap_socket(stream, server_side=True)
        self._open.add(secured)
        return secured

    def events(self, partition: int, selector: str) -> list[_Event]:
        """Return the events of a partition that a selector picks."""
        match = _SELECTOR.search(selector)
        with self._lock:
            there = list(self._partitions[partition])
        if match is None:
            return there
        at = {"sequence-number": _number, "offset": _number, "enqueued-time": _milliseconds}[match[1]]
        least = int(match[3])
        return [event for event in there if at(event) > least or (match[2] and at(event) == least)]

    def about(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Return what the management node says of the hub, or of a partition."""
        common = {"name": asked["name"], "type": asked["type"]}
        if "partition" not in asked:
            ids = [str(number) for number in range(len(self._partitions))]
            created = Number("timestamp", 0)
            return {**common, "created_at": created, "partition_count": len(ids), "partition_ids": ids}
        place = int(asked["partition"])
        there, end = self._partitions[place], self._next[place]
        return {
            **common,
            "partition": asked["partition"],
            "begin_sequence_number": there[0].number if there else end,
            "last_enqueued_sequence_number": end - 1,
            "last_enqueued_offset": str(end - 1),
            "last_enqueued_time_utc": Number("timestamp", _milliseconds(there[-1]) if there else 0),
            "is_partition_empty": not there,
        }


class _Connection:
    """One connection of a client."""

    def __init__(self, hub: EventHub, stream: socket.socket, trouble: Trouble) -> None:
        self._hub = hub
        self._stream = stream
        self._trouble = trouble
        self._links: dict[int, _Link] = {}
        self._deliveries = 0

    def run(self) -> None:
        """Answer until the client closes."""
        if read_exactly(self._stream, 8)[4] == 3:
            self._stream.sendall(b"AMQP\x03\x01\x00\x00")
            self._send(MECHANISMS, [Symbol("ANONYMOUS")], sasl=True)
            read_frame(self._stream)
            self._send(OUTCOME, [Number("ubyte", 0)], sasl=True)
            read_exactly(self._stream, 8)
        self._stream.sendall(b"AMQP\x00\x01\x00\x00")
        while True:
            code, fields, payload, channel = read_frame(self._stream)
            if code == OPEN:
                uint = Number("uint", 65_536)
                self._send(OPEN, ["event-hub", None, uint, Number("ushort", 100), Number("uint", 60_000)])
            elif code == BEGIN:
                window = Number("uint", 5_000)
                given = [Number("ushort", channel), Number("uint", 0), window, window, Number("uint", 255)]
                self._send(BEGIN, given, channel=channel)
            elif code == ATTACH:
                self._attach(fields, channel)
            elif code == FLOW and fields[4] is not None:
                link = self._links[fields[4]]
                link.credit = (fields[5] or 0) + fields[6] - link.count
                self._give(link, channel)
            elif code == TRANSFER:
                self._request(fields, payload, channel)
            elif code in (DETACH, END, CLOSE):
                self._send(code, [Number("uint", fields[0]), True] if code == DETACH else [], channel=channel)
                if code == CLOSE:
                    return

    def _attach(self, fields: list[Any], channel: int) -> None:
        name, handle, is_receiver, source, target = fields[0], fields[1], fields[2], fields[5], fields[6]
        address = str((source if is_receiver else target).value[0])
        link = self._links[handle] = _Link(address, handle)
        number = Number("uint", handle)
        ends = [_plain(source), _plain(target), None, None, Number("uint", 0), Number("ulong", 1 << 20)]
        modes = [Number("ubyte", 1), Number("ubyte", 0)]
        self._send(ATTACH, [name, number, not is_receiver, *modes, *ends], channel=channel)
        if not is_receiver:
            none, window, credit = (Number("uint", count) for count in (0, 5_000, 300))
            self._send(FLOW, [none, window, none, window, number, none, credit], channel=channel)
        elif match := re.search(r"/Partitions/(\d+)$", address):
            if self._trouble == "missing":
                error = Described(
                    0x1D, [Symbol("amqp:not-found"), "The messaging entity could not be found. (404)", None]
                )
                self._send(DETACH, [number, True, error], channel=channel)
                return
            chosen = source.value[7] or {}
            selector = next((str(found.value) for found in chosen.values()), "")
            link.events.extend(self._hub.events(int(match[1]), selector))

    def _give(self, link: _Link, channel: int) -> None:
        """Send events as far as the client takes them."""
        while link.credit > 0 and link.events:
            if self._trouble == "cut" and link.count >= 3:
                raise EOFError
            event = link.events.popleft()
            notes = {
                Symbol("x-opt-sequence-number"): event.number,
                Symbol("x-opt-offset"): str(event.number),
                Symbol("x-opt-enqueued-time"): Number("timestamp", _milliseconds(event)),
            }
            self._deliver(link, encoded(Described(0x72, notes)) + encoded(Described(0x75, event.body)), channel)

    def _deliver(self, link: _Link, message: bytes, channel: int) -> None:
        tag = Number("uint", self._deliveries)
        for start in range(0, len(message), _FRAME):
            fields = [Number("uint", link.handle), tag, b"%d" % self._deliveries, Number("uint", 0), True]
            more = start + _FRAME < len(message)
            self._send(TRANSFER, [*fields, more], channel=channel, payload=message[start : start + _FRAME])
        self._deliveries += 1
        link.count += 1
        link.credit -= 1

    def _request(self, fields: list[Any], payload: bytes, channel: int) -> None:
        """Answer what was asked of a node: of ``$cbs``, which takes tokens, or ``$management``."""
        node = self._links[fields[0]].source
        accepted = Described(0x24, [])
        delivery = Number("uint", fields[1])
        self._send(DISPOSITION, [True, delivery, delivery, True, accepted], channel=channel)
        sections: dict[int, Any] = {}
        place = 0
        while place < len(payload):
            section, place = decoded(payload, place)
            sections[section.by] = section.value
        body: Any = ""
        status, text = 202, "Accepted"
        if node == "$management":
            asked = {_text(key): _text(value) for key, value in sections[0x74].items()}
            status, text, body = 200, "OK", self._hub.about(asked)
            if self._trouble == "missing":
                status, text, body = 404, "The messaging entity could not be found.", ""
        else:
            about = {_text(key): _text(value) for key, value in sections[0x74].items()}
            self._hub.tokens.append((about["type"], _text(sections[0x77])))
            if self._trouble == "denied":
                status, text = 401, "Unauthorized access. 'Listen' claim(s) are required to perform this operation."
        number = sections[0x73][0]
        properties = [None, None, None, None, None, number]
        outcome = {"status-code": status, "status-description": text}
        message = [Described(0x73, properties), Described(0x74, outcome), Described(0x77, body)]
        links = [link for link in self._links.values() if link.source == node and link.handle != fields[0]]
        self._deliver(links[-1], b"".join(map(encoded, message)), channel)

    def _send(self, code: int, fields: list[Any], **options: Any) -> None:
        self._stream.sendall(frame(code, fields, **options))


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _plain(terminus: Described | None) -> Any:
    """Return a source or target with its address alone."""
    return None if terminus is None else Described(terminus.by, [terminus.value[0], *[None] * 10])


def _number(event: _Event) -> int:
    return event.number


def _milliseconds(event: _Event) -> int:
    return (event.enqueued - _EPOCH) // timedelta(milliseconds=1)


def _close(stream: socket.socket) -> None:
    with suppress(OSError):
        stream.shutdown(socket.SHUT_RDWR)
    stream.close()
