# -*- test-case-name: tests.wire.remotedialer.test_codec -*-
"""
Codec: remotedialer's messages to bytes and back, one in each binary message of the
WebSocket.

A message is three or four zigzag varints (message id, connection, type; in Connect and
Data a deadline in milliseconds that nobody heeds), and a body.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from tunnelkit.wire.native.frames import WireError
from tunnelkit.wire.remotedialer.messages import (
    AddClient,
    Connect,
    Data,
    Error,
    Message,
    Pause,
    RemoveClient,
    Resume,
    Sync,
    Unknown,
)

LONGEST: Final = 64 * 1024
"""The longest body, in bytes, of what is collected."""
LONGEST_SYNC: Final = 8 * 65536
"""That of a L{Sync}: as many connections as a session may have streams."""
LONGEST_CLIENT: Final = 1024
"""That of an L{AddClient} or a L{RemoveClient}: what it has is kept."""
LONGEST_CONNECT: Final = 266
"""How much of a Connect the program reads, in bytes; versions before 2025 read 100."""
LONGEST_TEXT: Final = 100
"""How much of an Error, an AddClient and a RemoveClient it reads, in bytes."""

_DEADLINE: Final = 15000
_INT64: Final = range(-(1 << 63), 1 << 63)
_VARINT: Final = 10
_HEADER: Final = 4 * _VARINT
_DATA: Final = 1
_CONNECT: Final = 2
_ERROR: Final = 3


class TooLong(WireError):
    """
    A message is longer than it may be.

    @cvar code: what the WebSocket is to be closed with.
    """

    code: Final = 1009


def encode(number: int, message: Message) -> bytes:
    """
    Give the bytes of a message.  The text of an L{Error} is cut to what the other side
    reads.

    @param number: its id: one more each time, from wherever; taken as it fits in 64
        bits.
    @raise ValueError: the address or the client's key is longer than the other side
        reads, or would be read as something else.
    """
    match message:
        case Data(connection, payload):
            return _header(number, connection, _DATA, deadline=True) + payload
        case Connect(connection, network, address):
            if "/" in network:
                raise ValueError("a network with a slash")
            body = _bounded(f"{network}/{address}", LONGEST_CONNECT)
            return _header(number, connection, _CONNECT, deadline=True) + body
        case Error(connection, text):
            return _header(number, connection, _ERROR) + _cut(text)
        case AddClient(key, session):
            return _header(number, 0, 4) + _client(key, session)
        case RemoveClient(key, session):
            return _header(number, 0, 5) + _client(key, session)
        case Pause(connection):
            return _header(number, connection, 6)
        case Resume(connection):
            return _header(number, connection, 7)
        case Sync(connections):
            body = struct.pack(f"<{len(connections)}q", *sorted(connections))
            return _header(number, 0, 8) + body


def _header(number: int, connection: int, kind: int, deadline: bool = False) -> bytes:
    wrapped = (number + (1 << 63)) % (1 << 64) - (1 << 63)
    fields = (wrapped, connection, kind, *((_DEADLINE,) if deadline else ()))
    return b"".join(map(encodeVarint, fields))


def _bounded(text: str, most: int) -> bytes:
    body = text.encode()
    if len(body) > most:
        raise ValueError(f"{len(body)} bytes, of which the other side reads {most}")
    return body


def _client(key: str, session: int) -> bytes:
    if "/" in key:
        raise ValueError("a client's key with a slash")
    return _bounded(f"{key}/{session}", LONGEST_TEXT)


def _cut(text: str) -> bytes:
    cut = text.encode(errors="replace")[:LONGEST_TEXT]
    return cut.decode(errors="ignore").encode()


def encodeVarint(number: int) -> bytes:
    """
    Give a number in zigzag varint (as Go's and Protocol Buffers' C{sint64}).

    @raise ValueError: it does not fit in 64 bits.
    """
    if number not in _INT64:
        raise ValueError(f"{number} does not fit in 64 bits")
    left, said = number << 1 ^ number >> 63, bytearray()
    while left > 0x7F:
        said.append(left & 0x7F | 0x80)
        left >>= 7
    said.append(left)
    return bytes(said)


def _varint(data: bytes | bytearray, at: int) -> tuple[int, int] | None:
    """
    Read a number.

    @return: it, and where it ends; None where it is not whole.
    @raise WireError: it does not fit in 64 bits.
    """
    read = 0
    for place, byte in enumerate(data[at : at + _VARINT]):
        read |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            if read >> 64:
                break
            return read >> 1 ^ -(read & 1), at + place + 1
    else:
        if len(data) - at < _VARINT:
            return None
    raise WireError("a number of more than 64 bits")


@dataclass(frozen=True, slots=True)
class _Header:
    """
    @ivar end: how many bytes it has.
    """

    number: int
    connection: int
    kind: int
    end: int


def _parseHeader(data: bytes | bytearray) -> _Header | None:
    found, at, wanted = list[int](), 0, 3
    while len(found) < wanted:
        read = _varint(data, at)
        if read is None:
            return None
        value, at = read
        found.append(value)
        if len(found) == 3 and value in (_DATA, _CONNECT):
            wanted = 4
    number, connection, kind, *_ = found
    return _Header(number, connection, kind, at)


def _connect(connection: int, body: bytes) -> Connect:
    network, slash, address = _text(body, "a Connect").partition("/")
    if not slash:
        raise WireError("a Connect without a slash between network and address")
    return Connect(connection, network, address)


def _error(connection: int, body: bytes) -> Error:
    return Error(connection, body[:LONGEST_TEXT].decode(errors="replace"))


def _session(body: bytes, what: str) -> tuple[str, int]:
    key, slash, digits = _text(body, what).partition("/")
    number = digits[1:] if digits[:1] in ("-", "+") else digits
    if not slash or not number.isdecimal() or not number.isascii():
        raise WireError(f"{what} that is not KEY/NUMBER")
    if len(number) > 19 or int(digits) not in _INT64:
        raise WireError(f"{what} with a number of more than 64 bits")
    return key, int(digits)


def _text(body: bytes, what: str) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise WireError(f"{what} that is not UTF-8") from None


def _sync(connection: int, body: bytes) -> Sync:
    if len(body) % 8:
        raise WireError(f"a SyncConnections of {len(body)} bytes, not of 8 each")
    return Sync(frozenset(struct.unpack(f"<{len(body) // 8}q", body)))


_BODIES: Final[Mapping[int, Callable[[int, bytes], Message]]] = {
    _DATA: Data,
    _CONNECT: _connect,
    _ERROR: _error,
    4: lambda _, body: AddClient(*_session(body, "an AddClient")),
    5: lambda _, body: RemoveClient(*_session(body, "a RemoveClient")),
    6: lambda connection, _: Pause(connection),
    7: lambda connection, _: Resume(connection),
    8: _sync,
}
_LONGEST: Final[Mapping[int, int]] = {
    4: LONGEST_CLIENT,
    5: LONGEST_CLIENT,
    8: LONGEST_SYNC,
}


def decode(data: bytes) -> tuple[int, Message | Unknown]:
    """
    Read a message that is whole.

    @return: its id, which says nothing, and what it is.
    @raise WireError: it is none.
    """
    header = _parseHeader(data)
    if header is None:
        raise WireError("a message ends within its header")
    return header.number, _parsed(header, data[header.end :])


def _parsed(header: _Header, body: bytes) -> Message | Unknown:
    parse = _BODIES.get(header.kind)
    if parse is None:
        return Unknown(header.connection, header.kind)
    return parse(header.connection, body)


class MessageDecoder:
    """
    Pieces of the WebSocket's binary messages in, messages out.

    Data comes out as it arrives, so that however long a message is, it is never
    gathered in memory; every other message comes out whole, and is bounded.  After a
    L{WireError} the decoder is of no further use.
    """

    __slots__ = ("_body", "_head", "_header")

    def __init__(self) -> None:
        self._head = bytearray()  # of a message whose header is not whole
        self._header: _Header | None = None
        self._body = bytearray()

    def feed(self, piece: bytes, last: bool) -> Message | Unknown | None:
        """
        Take the next piece of a binary message.

        @param last: whether the message ends with it.
        @return: what comes of it; None where more is needed.
        @raise TooLong: the message is longer than it may be.
        @raise WireError: it is none.
        """
        header = self._header
        if header is None:
            self._head += piece
            header = self._header = _parseHeader(self._head)
            if header is None:
                if last:
                    raise WireError("a message ends within its header")
                return None
            piece = bytes(self._head[header.end :])
            self._head.clear()
        message = self._taken(header, piece, last)
        if last:
            self._header = None
            self._body.clear()
        return message

    def _taken(
        self, header: _Header, piece: bytes, last: bool
    ) -> Message | Unknown | None:
        if header.kind == _DATA:
            more = not last
            return Data(header.connection, piece, more) if piece or last else None
        self._gather(header, piece)
        return _parsed(header, bytes(self._body)) if last else None

    def _gather(self, header: _Header, piece: bytes) -> None:
        most = _LONGEST.get(header.kind, LONGEST)
        if len(self._body) + len(piece) > most:
            raise TooLong(f"a message of type {header.kind} of more than {most} bytes")
        self._body += piece
