# -*- test-case-name: tests.wire.smux.test_frames -*-
"""
Frames: how the bytes of an smux connection divide (github.com/xtaci/smux, version 1).

A frame is a header of eight bytes (version u8, command u8, length u16, stream u32,
little-endian) and a payload.  One L{Command.PSH} comes out as one frame, never cut and
never joined to another: mgrok takes one for one message.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from struct import Struct
from typing import Final

from tunnelkit.wire.native.frames import WireError
from tunnelkit.wire.sniff import Places

HEADER: Final = Struct("<BBHI")
VERSION: Final = 1
LONGEST: Final = 65535
"""The longest payload of a frame, in bytes."""
HIGHEST: Final = (1 << 32) - 1
"""The highest number of a stream."""
PLACES: Final[Places] = (b"\x01", b"\x00\x03", b"\x00", b"\x00")
"""What a client's connection begins with: a stream that is opened, or a NOP, each of no
bytes; pipe has a brace in the fourth place."""


class Command(IntEnum):
    """
    What a frame is for.
    """

    SYN = 0
    """A stream is opened; that is not answered."""
    FIN = 1
    """Its sender has closed a stream, both ways: it takes no more bytes of it."""
    PSH = 2
    """Bytes of a stream."""
    NOP = 3
    """The sender lives; of stream 0."""


@dataclass(frozen=True, slots=True)
class Frame:
    """
    A frame.

    @ivar payload: the bytes of a PSH, also none at all.  Other commands have none; what
        came with one against the rule stands here, so that it can be told of.
    """

    command: Command
    stream: int = 0
    payload: bytes = b""


def encode(frame: Frame) -> bytes:
    """
    Give the bytes of a frame.

    @raise ValueError: the payload is too long, or the command takes none.
    """
    payload = frame.payload
    if len(payload) > (LONGEST if frame.command == Command.PSH else 0):
        raise ValueError(f"{len(payload)} bytes do not fit in a {frame.command.name}")
    return HEADER.pack(VERSION, frame.command, len(payload), frame.stream) + payload


class FrameDecoder:
    """
    Bytes in, frames out, wherever the bytes were cut; it keeps one frame at most.
    After a L{WireError} it is of no further use.
    """

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """
        Take the next bytes of the connection.

        @return: the frames they complete, made as they are asked for.
        @raise WireError: the bytes are not frames of version 1.
        """
        self._buffer += data
        return self._frames()

    def _frames(self) -> Iterator[Frame]:
        try:
            while len(self._buffer) >= HEADER.size:
                version, number, length, stream = HEADER.unpack_from(self._buffer)
                command = _checked(version, number)
                end = HEADER.size + length
                if len(self._buffer) < end:
                    return
                payload = bytes(self._buffer[HEADER.size : end])
                del self._buffer[:end]
                yield Frame(command, stream, payload)
        except WireError:
            # What comes behind it can be read by nobody.
            self._buffer.clear()
            raise


def _checked(version: int, number: int) -> Command:
    if version != VERSION:
        raise WireError(f"smux of version {version}, where version {VERSION} is spoken")
    try:
        return Command(number)
    except ValueError:
        raise WireError(f"smux has no command {number} in version 1") from None
