# -*- test-case-name: tests.wire.mgrok.test_codec -*-
"""
Codec: mgrok's messages to bytes and back (big-endian, where smux is little-endian).

A message of the control stream has no length: one PSH is one message.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from struct import Struct
from typing import Final

from tunnelkit.wire.mgrok.messages import (
    KINDS,
    Control,
    Handshake,
    Heartbeat,
    NewStream,
    Register,
)
from tunnelkit.wire.native.frames import WireError

LONGEST: Final = 1024
"""The longest message of the control stream, in bytes: the program cuts there, and
takes the rest for another message."""
LONGEST_NAME: Final = 255
"""The longest name of a tunnel, in bytes: the program writes a longer one's length
modulo 256."""
LONGEST_DATAGRAM: Final = 65535

_MAGIC: Final = b"GRT1"
_TOKEN: Final = 1  # the only method of authentication that there is
_REGISTER: Final = Struct("!BBHH")
_NEW: Final = Struct("!BIHB")
_LENGTH: Final = Struct("!H")
_REGISTER_TYPE, _NEW_TYPE, _HEARTBEAT_TYPE = 1, 2, 5
_KINDS: Final[Mapping[int, str]] = dict(enumerate(KINDS, 1))


def encode(message: Handshake | Register | Heartbeat | NewStream) -> bytes:
    """
    Give the bytes of a message, which go as one PSH.

    @raise ValueError: it is too long, its name is, or there is no such kind or port.
    """
    match message:
        case Handshake(token):
            data = _MAGIC + bytes([_TOKEN]) + token
        case Register(kind, remotePort, localPort, name):
            number = 1 + KINDS.index(kind)
            ports = _port(remotePort), _port(localPort)
            data = _REGISTER.pack(_REGISTER_TYPE, number, *ports) + _name(name)
        case Heartbeat():
            data = bytes([_HEARTBEAT_TYPE])
        case NewStream(stream, remotePort, name):
            text = _name(name)
            head = _NEW.pack(_NEW_TYPE, stream, _port(remotePort), len(text))
            data = head + text
    if len(data) > LONGEST:
        raise ValueError(f"a message of {len(data)} bytes, at most {LONGEST} may be")
    return data


def _port(number: int) -> int:
    if not 0 <= number <= 65535:
        raise ValueError(f"{number} is not a port")
    return number


def _name(name: str) -> bytes:
    text = name.encode()
    if len(text) > LONGEST_NAME:
        raise ValueError(f"a name of {len(text)} bytes, at most {LONGEST_NAME} may be")
    return text


def parseHandshake(data: bytes) -> Handshake:
    """
    Read the first message of the control stream.

    @param data: one PSH.
    @raise WireError: it is none that could log in.
    """
    _checkLength(data, "a handshake")
    if len(data) <= len(_MAGIC) or not data.startswith(_MAGIC):
        raise WireError("a handshake does not begin with GRT1")
    method, token = data[len(_MAGIC)], data[len(_MAGIC) + 1 :]
    if method != _TOKEN:
        raise WireError(f"a handshake by method {method}: only 1, by token, is known")
    if not token:
        raise WireError("a handshake without a token")
    return Handshake(token)


def parseControl(data: bytes) -> Control:
    """
    Read a later message of the control stream.

    @param data: one PSH.
    @raise WireError: it is none that there is.
    """
    _checkLength(data, "a message")
    if data == bytes([_HEARTBEAT_TYPE]):
        return Heartbeat()
    if data[:1] != bytes([_REGISTER_TYPE]):
        raise WireError(f"a message of type {data[0]} on the control stream")
    if len(data) < _REGISTER.size:
        raise WireError(f"a Register of {len(data)} bytes is cut off")
    _, number, remotePort, localPort = _REGISTER.unpack_from(data)
    if number not in _KINDS:
        raise WireError(f"a Register of kind {number}: 1 is tcp, 2 is udp")
    name = data[_REGISTER.size :]
    if len(name) > LONGEST_NAME:
        raise WireError(f"a Register with a name of {len(name)} bytes")
    return Register(_KINDS[number], remotePort, localPort, _text(name, "a Register"))


def _checkLength(data: bytes, what: str) -> None:
    if not data:
        raise WireError(f"{what} of no bytes")
    if len(data) > LONGEST:
        raise WireError(f"{what} of {len(data)} bytes, at most {LONGEST} may be")


def _text(name: bytes, what: str) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError:
        raise WireError(f"{what} with a name that is not UTF-8") from None


class HeadDecoder:
    """
    Reads the L{NewStream} at the beginning of a stream, wherever it was cut.
    """

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> NewStream | None:
        """
        Take the next bytes of the stream.

        @return: None where more are needed; else feed no more, and take what is behind
            by L{rest}.
        @raise WireError: the stream begins with something else.
        """
        self._buffer += data
        buffer = self._buffer
        if buffer and buffer[0] != _NEW_TYPE:
            raise WireError(f"a stream begins with a message of type {buffer[0]}")
        if len(buffer) < _NEW.size:
            return None
        _, stream, remotePort, length = _NEW.unpack_from(buffer)
        end = _NEW.size + length
        if len(buffer) < end:
            return None
        name = _text(bytes(buffer[_NEW.size : end]), "a NewStream")
        del buffer[:end]
        return NewStream(stream, remotePort, name)

    def rest(self) -> bytes:
        """
        Give back what was fed and is behind the message, and forget it.
        """
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest


def encodeDatagram(payload: bytes) -> tuple[bytes, ...]:
    """
    Give the bytes of a datagram on a stream, in pieces that go as a PSH each, as the
    program sends them: its length, and itself unless it is empty.

    @raise ValueError: it is too long.
    """
    if len(payload) > LONGEST_DATAGRAM:
        raise ValueError(f"a datagram of {len(payload)} bytes")
    length = _LENGTH.pack(len(payload))
    return (length, payload) if payload else (length,)


class DatagramDecoder:
    """
    Reads the datagrams of a stream, wherever they were cut; it keeps one at most.  Any
    bytes are datagrams.
    """

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """
        Take the next bytes of the stream.

        @return: the datagrams that they complete, made as they are asked for.
        """
        self._buffer += data
        return self._datagrams()

    def _datagrams(self) -> Iterator[bytes]:
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            end = _LENGTH.size + length
            if len(self._buffer) < end:
                return
            payload = bytes(self._buffer[_LENGTH.size : end])
            del self._buffer[:end]
            yield payload
