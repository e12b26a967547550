# -*- test-case-name: tests.wire.native.test_frames -*-
"""
Frames: how the bytes of a native connection divide into messages and stream data.

A frame is a header of four bytes (type u8, length u24, big-endian) and a
payload; docs/protocol.rst has the table.  This module turns bytes into frozen
values and back; it knows nothing of sockets, so it can be tested at every split.

The fast path in C{relay/} does not use it for DATA: there a header is read as
one integer, since a DATA frame's header is its length.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from struct import Struct
from typing import Any, Final

HEADER: Final = Struct("!I")
LONGEST: Final = (1 << 24) - 1
"""The longest payload, in bytes, that a header can announce."""

_U32: Final = Struct("!I")
_ENDING: Final = Struct("!II")
_RESET: Final = Struct("!IH")
_LONGEST_MESSAGE: Final = 64 * 1024
_REASON: Final = 1024
"""The longest reason of a reset, in bytes of UTF-8."""


class WireError(Exception):
    """
    The peer broke the protocol.  The text says how, in words for a log; the
    connection it came from can only be closed.
    """


@dataclass(frozen=True, slots=True)
class Data:
    """
    Bytes of the stream, never empty.
    """

    payload: bytes


@dataclass(frozen=True, slots=True)
class End:
    """
    This direction of the stream is finished.
    """


@dataclass(frozen=True, slots=True)
class Message:
    """
    A control message, or the opening of a stream.

    @ivar body: what the JSON object holds; at least C{"type"}.
    """

    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reset:
    """
    The stream failed.

    @ivar stream: number of the stream that failed, as C{start} gave it.
    @ivar code: why, from the table in docs/protocol.
    @ivar reason: why, in words for a person.
    """

    stream: int
    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Datagram:
    """
    One datagram of a flow; C{payload} may be empty.
    """

    flow: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Done:
    """
    All of a stream is delivered; the connection is idle.
    """

    stream: int


Frame = Data | End | Message | Reset | Datagram | Done

_DATA, _MESSAGE, _RESET_TYPE, _DATAGRAM, _DONE = range(5)


def encode(frame: Frame) -> bytes:
    """
    Give the bytes of a frame.  The reason of a L{Reset} is cut to what fits.

    @raise ValueError: the payload does not fit in one frame of its type.
    """
    match frame:
        case Data(payload):
            return _framed(_DATA, payload)
        case End():
            return _framed(_DATA, b"")
        case Message(body):
            return _framed(_MESSAGE, _asJSON(body).encode())
        case Reset(stream, code, reason):
            text = reason.encode(errors="replace")[:_REASON]
            return _framed(_RESET_TYPE, _RESET.pack(stream, code) + text)
        case Datagram(flow, payload):
            return _framed(_DATAGRAM, _U32.pack(flow) + payload)
        case Done(stream):
            return encodedDone(stream)


def encodedMessage(text: str) -> bytes:
    """
    Give the bytes of a message that is JSON already.

    @raise ValueError: it does not fit in one frame.
    """
    payload = text.encode()
    if len(payload) > _LONGEST_MESSAGE:
        return _framed(_MESSAGE, payload)  # which says what is wrong
    return HEADER.pack(_MESSAGE << 24 | len(payload)) + payload


def encodedDone(stream: int) -> bytes:
    """
    Give the bytes of a L{Done}.
    """
    return _ENDING.pack(_DONE << 24 | _U32.size, stream)


def _framed(kind: int, payload: bytes) -> bytes:
    most = _KINDS[kind].most if kind in _KINDS else LONGEST
    if len(payload) > most:
        raise ValueError(f"{len(payload)} bytes do not fit in one frame, {most} do")
    return HEADER.pack(kind << 24 | len(payload)) + payload


def _notJSON(constant: str) -> float:
    raise ValueError(f"{constant} is no JSON number")


# json.dumps and json.loads would make these anew for each message.
_asJSON: Final = json.JSONEncoder(separators=(",", ":")).encode
_ofJSON: Final = json.JSONDecoder(parse_constant=_notJSON).decode


def _message(payload: bytes) -> Message:
    try:
        body = _ofJSON(payload.decode())
    except (ValueError, RecursionError) as e:
        raise WireError(f"a message is not JSON: {e}") from e
    if not isinstance(body, dict) or not isinstance(body.get("type"), str):
        raise WireError("a message is not an object with a type")
    return Message(body)


def _reset(payload: bytes) -> Reset:
    stream, code = _RESET.unpack_from(payload)
    return Reset(stream, code, payload[_RESET.size :].decode(errors="replace"))


def _datagram(payload: bytes) -> Datagram:
    (flow,) = _U32.unpack_from(payload)
    return Datagram(flow, payload[_U32.size :])


def _done(payload: bytes) -> Done:
    (stream,) = _U32.unpack_from(payload)
    return Done(stream)


@dataclass(frozen=True, slots=True)
class _Kind:
    """
    How one type of frame is read: its name, the sizes its payload may have, and
    what makes a value of it.
    """

    name: str
    least: int
    most: int
    parse: Callable[[bytes], Frame]


_KINDS: Final[Mapping[int, _Kind]] = {
    _MESSAGE: _Kind("MESSAGE", 2, _LONGEST_MESSAGE, _message),
    _RESET_TYPE: _Kind("RESET", _RESET.size, _RESET.size + _REASON, _reset),
    _DATAGRAM: _Kind("DATAGRAM", _U32.size, _U32.size + 65508, _datagram),
    _DONE: _Kind("DONE", _U32.size, _U32.size, _done),
}


class FrameDecoder:
    """
    Bytes in, frames out, wherever the bytes were cut.

    DATA comes out as it arrives, so a long frame is never gathered in memory;
    every other frame comes out whole, and its length is checked before its
    payload is waited for.  After a L{WireError} the decoder is of no further use.
    """

    __slots__ = ("_buffer", "_dataLeft")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._dataLeft = 0

    def feed(self, data: bytes) -> Iterator[Frame]:
        """
        Take the next bytes of the connection.

        @return: the frames they complete, made as they are asked for.  Frames before
            a broken one come out before the error is raised.
        @raise WireError: the bytes are not frames of this protocol.
        """
        self._buffer += data
        return self._frames()

    def rest(self) -> bytes:
        """
        Give back what was fed and belongs to no frame yet, and forget it: the
        fast path goes on from here.
        """
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest

    def rested(self) -> int | None:
        """
        Say whether the decoder stands at the edge of a frame, or in the midst of a
        DATA frame, so that somebody else can go on without it.

        @return: how many bytes of the DATA frame are to come, which is forgotten
            here; None where bytes are kept that belong to no frame yet.
        """
        if self._buffer:
            return None
        left, self._dataLeft = self._dataLeft, 0
        return left

    def resume(self, left: int) -> None:
        """
        Go on in the midst of a DATA frame that somebody else began to read.

        @param left: how many bytes of it are to come.
        """
        self._dataLeft = left

    def _frames(self) -> Iterator[Frame]:
        try:
            while (frame := self._next()) is not None:
                yield frame
        except WireError:
            # What comes behind it can be read by nobody.
            self._buffer.clear()
            raise

    def _next(self) -> Frame | None:
        if self._dataLeft:
            return self._nextData()
        if len(self._buffer) < HEADER.size:
            return None
        (header,) = HEADER.unpack_from(self._buffer)
        kind, length = header >> 24, header & LONGEST
        if kind != _DATA:
            return self._nextWhole(kind, length)
        del self._buffer[: HEADER.size]
        if length == 0:
            return End()
        self._dataLeft = length
        return self._nextData()

    def _nextData(self) -> Data | None:
        payload = self._take(min(self._dataLeft, len(self._buffer)))
        self._dataLeft -= len(payload)
        return Data(payload) if payload else None

    def _nextWhole(self, number: int, length: int) -> Frame | None:
        kind = _KINDS.get(number)
        if kind is None:
            raise WireError(f"unknown frame type {number}")
        if not kind.least <= length <= kind.most:
            raise WireError(f"a {kind.name} of {length} bytes")
        if len(self._buffer) < HEADER.size + length:
            return None
        del self._buffer[: HEADER.size]
        return kind.parse(self._take(length))

    def _take(self, count: int) -> bytes:
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken
