"""What of AMQP 1.0 a server needs: values to bytes and back, and frames.

http://docs.oasis-open.org/amqp/core/v1.0/os/amqp-core-complete-v1.0-os.pdf
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any
from uuid import UUID

from attrs import frozen

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

__all__ = ["Described", "Number", "Symbol", "decoded", "encoded", "frame", "read_exactly", "read_frame"]

_FIXED = {
    0x50: ">B",
    0x51: ">b",
    0x52: ">B",
    0x53: ">B",
    0x54: ">b",
    0x55: ">b",
    0x56: ">?",
    0x60: ">H",
    0x61: ">h",
    0x70: ">I",
    0x71: ">i",
    0x72: ">f",
    0x73: ">I",
    0x80: ">Q",
    0x81: ">q",
    0x82: ">d",
    0x83: ">q",
}
_CONSTANTS = {0x40: None, 0x41: True, 0x42: False, 0x43: 0, 0x44: 0}
_NUMBERS = {"ubyte": 0x50, "ushort": 0x60, "uint": 0x70, "ulong": 0x80, "long": 0x81, "timestamp": 0x83}
_FIELDS = {0x10: 10, 0x11: 8, 0x12: 14, 0x13: 11, 0x14: 11, 0x15: 6, 0x16: 3, 0x17: 1, 0x18: 1, 0x40: 1, 0x44: 2}
"""Fields of each performative: the client looks for all of them, also for those at the end that are null."""


class Symbol(str):
    """A name from a set that both sides know."""

    __slots__ = ()


@frozen
class Number:
    """A number of a certain type: ``ubyte``, ``ushort``, ``uint``, ``ulong``, ``long`` or ``timestamp``."""

    kind: str
    value: int


@frozen
class Described:
    """A value with what tells its meaning, a number or a symbol."""

    by: Any
    value: Any


def encoded(value: Any) -> bytes:
    """Return the bytes of a value."""
    if value is None or isinstance(value, bool):
        return {None: b"\x40", True: b"\x41", False: b"\x42"}[value]
    if isinstance(value, Described):
        return b"\0\x53" + bytes([value.by]) + encoded(value.value)  # the client knows no longer descriptors
    if isinstance(value, UUID):
        return b"\x98" + value.bytes
    if isinstance(value, Number | int):
        number = value if isinstance(value, Number) else Number("long", value)
        code = _NUMBERS[number.kind]
        return bytes([code]) + struct.pack(_FIXED[code], number.value)
    if isinstance(value, str | bytes):
        code = 0xB0 if isinstance(value, bytes) else 0xB3 if isinstance(value, Symbol) else 0xB1
        data = value if isinstance(value, bytes) else value.encode()
        return bytes([code]) + struct.pack(">I", len(data)) + data
    items = [part for pair in value.items() for part in pair] if isinstance(value, dict) else value
    data = b"".join(map(encoded, items))
    code = 0xD1 if isinstance(value, dict) else 0xD0
    return bytes([code]) + struct.pack(">II", len(data) + 4, len(items)) + data


def decoded(data: bytes, place: int = 0) -> tuple[Any, int]:
    """Return the value at a place, and where the next one begins."""
    code, place = data[place], place + 1
    if code == 0:
        by, place = decoded(data, place)
        value, place = decoded(data, place)
        return Described(by, value), place
    return _value(data, code, place)


def _value(data: bytes, code: int, place: int) -> tuple[Any, int]:
    if code in _CONSTANTS:
        return _CONSTANTS[code], place
    if code == 0x45:
        return [], place
    if code in _FIXED:
        size = struct.calcsize(_FIXED[code])
        return struct.unpack_from(_FIXED[code], data, place)[0], place + size
    if code == 0x98:
        return UUID(bytes=data[place : place + 16]), place + 16
    width = 1 if code >> 4 in (0xA, 0xC, 0xE) else 4
    size = int.from_bytes(data[place : place + width])
    start, end = place + width, place + width + size
    if code >> 4 in (0xA, 0xB):
        raw = data[start:end]
        return raw if code & 0xF == 0 else (Symbol if code & 0xF == 3 else str)(raw.decode()), end
    count = int.from_bytes(data[start : start + width])
    start += width
    items: list[Any] = []
    if code >> 4 in (0xE, 0xF):
        kind, start = data[start], start + 1
        for _ in range(count):
            item, start = _value(data, kind, start)
            items.append(item)
        return items, end
    for _ in range(count):
        item, start = decoded(data, start)
        items.append(item)
    return dict(zip(items[::2], items[1::2], strict=True)) if code & 0xF == 1 else items, end


def frame(code: int, fields: Sequence[Any], *, channel: int = 0, sasl: bool = False, payload: bytes = b"") -> bytes:
    """Return a frame with one performative, whose last fields may be left out."""
    body = encoded(Described(code, [*fields, *[None] * (_FIELDS[code] - len(fields))])) + payload
    return struct.pack(">IBBH", len(body) + 8, 2, int(sasl), channel) + body


def read_frame(stream: socket.socket) -> tuple[int, list[Any], bytes, int]:
    """Return the code, the fields, the payload and the channel of the next performative; code 0 is a sign of life.

    Raises:
        EOFError: If the connection was closed.
    """
    size, offset, _, channel = struct.unpack(">IBBH", read_exactly(stream, 8))
    body = read_exactly(stream, size - 8)[offset * 4 - 8 :]
    if not body:
        return 0, [], b"", channel
    performative, end = decoded(body)
    fields = performative.value
    return performative.by, [*fields, *[None] * (14 - len(fields))], body[end:], channel


def read_exactly(stream: socket.socket, size: int) -> bytes:
    """Return the next bytes of a connection.

    Raises:
        EOFError: If it was closed before.
    """
    data = b""
    while len(data) < size:
        part = stream.recv(size - len(data))
        if not part:
            raise EOFError
        data += part
    return data
