# -*- test-case-name: tests.wire.framings.test_modbus -*-
"""
Modbus over TCP: requests and replies that are told apart by their numbers.

All clients begin to count at 1, so each request gets a number of ours on its way to the
target, and its reply the client's again.  See "MODBUS Messaging on TCP/IP
Implementation Guide V1.0b" for the header, and "MODBUS Application Protocol
Specification V1.1b3" for functions and exceptions.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from tunnelkit.wire.framings.contract import (
    Answered,
    Local,
    Replies,
    Reply,
    Request,
    Requests,
    Stray,
    Trouble,
)
from tunnelkit.wire.framings.given import only
from tunnelkit.wire.framings.whole import WholeRequests
from tunnelkit.wire.native.frames import WireError

PREFIX: Final = 6
"""Bytes of the header before what its length counts: number, protocol, length."""
LEAST: Final = 2
"""What the length says at least: a unit and a function."""
MOST: Final = 254
"""What it says at most."""
READS: Final = frozenset((0x01, 0x02, 0x03, 0x04, 0x07, 0x0B, 0x0C, 0x11, 0x14, 0x18))
"""Functions that change nothing, so that they may be asked twice: coils, inputs,
registers, the exception status, the event counter and log, what the device is, file
records, and a queue, which is not emptied by that."""

_TUNNELED: Final = 0x2B
_IDENTIFICATION: Final = 0x0E
_FAILED: Final = 0x80
_NUMBERS: Final = 0x10000
_EXCEPTIONS: Final = {
    Trouble.DOWN: 0x0A,
    Trouble.BUSY: 0x06,
    Trouble.SLOW: 0x06,
    Trouble.LATE: 0x0B,
    Trouble.BROKEN: 0x0B,
    Trouble.STOPPING: 0x0A,
}
"""What a gateway says: no path to the target, busy, or that it has not responded."""


def cut(data: bytearray) -> int:
    """
    Give the length of the frame with which bytes begin; 0 where it is not all there.

    @raise WireError: they can be none.
    """
    if any(data[2:4]):
        raise WireError(f"the protocol {data[2:4].hex()} is not Modbus, which is 0000")
    if len(data) < PREFIX:
        return 0
    told = int.from_bytes(data[4:PREFIX], "big")
    if not LEAST <= told <= MOST:
        raise WireError(f"the length {told} is not from {LEAST} to {MOST}")
    length = PREFIX + told
    return length if len(data) >= length else 0


def repeatable(frame: bytes) -> bool:
    """
    Tell whether a request may be sent twice.
    """
    if frame[7] == _TUNNELED:
        return frame[8:9] == bytes((_IDENTIFICATION,))
    return frame[7] in READS


class ModbusRequests(WholeRequests):
    """
    The decoder of a client's connection.
    """

    def __init__(self) -> None:
        super().__init__(cut, repeatable=False)

    def _request(self, frame: bytes) -> Request:
        return Request(data=frame, repeatable=repeatable(frame))


class ModbusReplies:
    """
    The decoder of a connection to the target.  A reply that comes before its turn is
    kept until then, so targets need not answer in order.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._number = 0
        self._due: deque[tuple[bytes, bytes]] = deque()
        self._early: dict[bytes, bytes] = {}

    @property
    def begun(self) -> bool:
        """
        Whether there are bytes that may be of the reply that is due.
        """
        return bool(self._buffer)

    def send(self, request: Request) -> bytes:
        """
        Give a request a number of ours.
        """
        self._number = (self._number + 1) % _NUMBERS
        ours = self._number.to_bytes(2, "big")
        self._due.append((ours, request.data[:2]))
        return ours + request.data[2:]

    def feed(self, data: bytes) -> None:
        """
        Take bytes.
        """
        self._buffer += data

    def ended(self) -> None:
        """
        No reply ends with its connection.
        """

    def next(self) -> Answered | None:
        """
        Give the next reply.

        @raise WireError: the bytes are none.
        """
        if self._due and self._due[0][0] in self._early:
            return self._reply(self._early.pop(self._due[0][0]))
        while (frame := self._frame()) is not None:
            ours = frame[:2]
            if self._due and ours == self._due[0][0]:
                return self._reply(frame)
            if ours in self._early or all(ours != each for each, _ in self._due):
                number = int.from_bytes(ours, "big")
                return Stray(f"a reply to {number}, which nobody waits for")
            self._early[ours] = frame
        return None

    def _frame(self) -> bytes | None:
        length = cut(self._buffer)
        if not length:
            return None
        frame = bytes(self._buffer[:length])
        del self._buffer[:length]
        return frame

    def _reply(self, frame: bytes) -> Reply:
        _, theirs = self._due.popleft()
        return Reply(data=theirs + frame[2:])


class Modbus:
    """
    The framing.  Nothing is kept for a connection; and replies are put in order.
    """

    stateful = False
    ordered = True

    def requests(self, sticky: bool) -> Requests:
        """
        Make the decoder for a client's connection.
        """
        return ModbusRequests()

    def replies(self, sticky: bool) -> Replies:
        """
        Make the decoder for a connection to the target.
        """
        return ModbusReplies()

    def trouble(self, trouble: Trouble, request: Request | None) -> Local:
        """
        Say what a gateway says, and close.
        """
        if request is None:
            return Local(b"", close=True)
        number, unit, function = request.data[:2], request.data[6], request.data[7]
        failed = bytes((0, 0, 0, 3, unit, function | _FAILED, _EXCEPTIONS[trouble]))
        return Local(number + failed, close=True)


def makeModbus(arguments: list[str], options: dict[str, str]) -> Modbus:
    """
    Make C{modbus-tcp}.

    @raise ValueError: it is given anything.
    """
    only(arguments, 0, options, ())
    return Modbus()
