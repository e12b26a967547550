# -*- test-case-name: tests.wire.framings.test_modbus -*-
"""
Modbus TCP (Modbus Messaging on TCP/IP Implementation Guide 1.0b): transaction u16,
protocol u16, which is 0, length u16 of what follows, unit u8, function u8, data.
Numbers are big-endian.

All clients begin to count their transactions at the same number, so those that the
target sees are ours, and each client gets its own back.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from tunnelkit.wire.framings.contract import (
    Answered,
    Local,
    Reply,
    Request,
    Requests,
    Stray,
    Trouble,
)
from tunnelkit.wire.framings.given import only
from tunnelkit.wire.framings.whole import WholeRequests
from tunnelkit.wire.native.frames import WireError

_HEADER: Final = Struct("!HHH")
_ID: Final = Struct("!H")
_LEAST: Final = 2
_MOST: Final = 254
_IDS: Final = 1 << 16

READS: Final = frozenset({1, 2, 3, 4, 7, 11, 12, 17, 20, 24, 43})
"""Functions that change nothing, so that they may be asked twice."""

FAILED: Final = 0x80
"""What an exception adds to the function."""
EXCEPTIONS: Final = {
    Trouble.DOWN: 0x0A,  # gateway path unavailable
    Trouble.BUSY: 0x06,  # server device busy
    Trouble.LATE: 0x0B,  # gateway target device failed to respond
    Trouble.BROKEN: 0x0B,
    Trouble.STOPPING: 0x0A,
}
"""What a client is told in place of a reply."""


def cut(data: bytearray) -> int:
    """
    Give the length of the frame with which bytes begin, 0 where it is not all there.

    @raise WireError: they are none.
    """
    if len(data) < _HEADER.size:
        return 0
    _, protocol, length = _HEADER.unpack_from(data)
    if protocol:
        raise WireError(f"the protocol is {protocol}, and that of Modbus is 0")
    if not _LEAST <= length <= _MOST:
        raise WireError(f"the length is {length}, and must be {_LEAST} to {_MOST}")
    size: int = _HEADER.size + length
    return size if len(data) >= size else 0


class ModbusRequests(WholeRequests):
    """
    The decoder of a client's connection.
    """

    def __init__(self) -> None:
        super().__init__(cut, repeatable=False)

    def _request(self, frame: bytes) -> Request:
        return Request(data=frame, repeatable=frame[7] in READS)


class ModbusReplies:
    """
    The decoder of a connection to the target.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._last = 0
        self._theirs: dict[int, bytes] = {}  # by ours

    @property
    def begun(self) -> bool:
        """
        Whether there are bytes of a reply.
        """
        return bool(self._buffer)

    def send(self, request: Request) -> bytes:
        """
        Give the request a transaction of ours.
        """
        self._last = (self._last + 1) % _IDS
        self._theirs[self._last] = request.data[: _ID.size]
        return _ID.pack(self._last) + request.data[_ID.size :]

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
        Give the next reply, with the transaction that its asker knows.

        @raise WireError: it is none.
        """
        length = cut(self._buffer)
        if not length:
            return None
        frame = bytes(self._buffer[:length])
        del self._buffer[:length]
        (ours,) = _ID.unpack_from(frame)
        theirs = self._theirs.pop(ours, None)
        if theirs is None:
            return Stray(f"a reply to transaction {ours}, for which nobody waits")
        return Reply(data=theirs + frame[_ID.size :])


class Modbus:
    """
    C{modbus-tcp}.  Devices may answer out of order, so one request is under way.
    """

    stateful = False
    ordered = False

    def requests(self, sticky: bool) -> Requests:
        """
        Make the decoder for a client's connection.
        """
        return ModbusRequests()

    def replies(self, sticky: bool) -> ModbusReplies:
        """
        Make the decoder for a connection to the target.
        """
        return ModbusReplies()

    def trouble(self, trouble: Trouble, request: Request | None) -> Local:
        """
        Answer by an exception, as gateways do.
        """
        if request is None:
            return Local(b"", close=True)
        unit, function = request.data[_HEADER.size :][:2]
        said = bytes((unit, function | FAILED, EXCEPTIONS[trouble]))
        (transaction,) = _ID.unpack_from(request.data)
        header = _HEADER.pack(transaction, 0, len(said))
        return Local(header + said, close=trouble is Trouble.STOPPING)


def makeModbus(arguments: list[str], options: dict[str, str]) -> Modbus:
    """
    Make C{modbus-tcp}.

    @raise ValueError: it is given anything.
    """
    only(arguments, 0, options, ())
    return Modbus()
