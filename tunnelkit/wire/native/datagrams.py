# -*- test-case-name: tests.wire.native.test_datagrams -*-
"""
Datagrams: DATAGRAM frames, many at a time, as they stand on a datagram carrier.

A frame of one is its header, the flow's number and the datagram; the first eight bytes
are the same for all of one flow and size.  So those that follow each other are found by
comparing one integer, and come out as one run, which some systems can send at once.
Nothing is copied on the way: a datagram is a part of the memory that was read into.

All else on a carrier is seldom, and goes through the L{FrameDecoder}.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from struct import Struct
from typing import Final, Protocol, TypeAlias

from tunnelkit.wire.native.frames import (
    HEADER,
    LONGEST,
    Datagram,
    Frame,
    FrameDecoder,
    Message,
    Reset,
    WireError,
    encode,
)

LARGEST: Final = 65507
"""The largest datagram, in bytes: what IPv4 leaves of 65535.  A frame has room for one
more, which says whether it is packed where datagrams are compressed."""

HEAD: Final = Struct("!II")
"""What stands before a datagram: the header, and the number of its flow."""
DATAGRAM: Final = HEADER.unpack_from(encode(Datagram(0, b"")))[0]
"""The header of an empty datagram; that of another is greater by its size."""

_BOTH: Final = Struct("!Q")
_AROUND: Final = HEAD.size
_LEAST: Final = DATAGRAM << 32
_END: Final = (DATAGRAM + LARGEST + 2) << 32
_FLOW: Final = (1 << 32) - 1

_WRONG: Final = {0: "DATA", 4: "DONE"}
"""Types of frames that never stand on a carrier."""

Run: TypeAlias = list[memoryview]
"""Datagrams of one flow, of one size, in their order."""

Told: TypeAlias = Callable[[Message | Reset], None]
"""Is told of a frame that is no datagram."""


class Taker(Protocol):
    """
    Who takes the datagrams of one flow.
    """

    def take(self, run: Run) -> None:
        """
        Take datagrams; what they stand in is used again when this returns.
        """


def framed(flow: int, datagram: bytes) -> bytes:
    """
    Give the frame of a datagram.
    """
    return HEAD.pack(DATAGRAM + len(datagram), flow) + datagram


def flowOf(frame: bytes) -> int:
    """
    Say which flow a frame that L{framed} made is of.
    """
    flow: int = HEAD.unpack_from(frame)[1]
    return flow


class DatagramDecoder:
    """
    Bytes in, datagrams to their takers, wherever the bytes were cut.

    @ivar rest: the bytes that belong to no whole frame yet: what is read next belongs
        behind them.  They are never more than one frame.
    @ivar strays: datagrams of flows that nobody takes: they crossed the end of their
        flow, or it lives on another carrier now.
    """

    __slots__ = ("_stopped", "_takers", "_told", "rest", "strays")

    def __init__(
        self, takers: Mapping[int, Taker], told: Told, rest: bytes = b""
    ) -> None:
        """
        @param takers: who takes which flow, by its number; it may change meanwhile.
        @param told: told of each other frame in its place.
        @param rest: the first bytes.
        """
        self.rest = rest
        self.strays = 0
        self._takers = takers
        self._told = told
        self._stopped = False

    def stop(self) -> None:
        """
        Pass nothing on any more, of what is being read, either.
        """
        self._stopped = True
        self.rest = b""

    def feed(self, data: bytes) -> None:
        """
        Take the next bytes.

        @raise WireError: they are no frames that belong here.  What came before is
            with its takers.
        """
        place = memoryview(self.rest + data)
        self.read(place, len(place))

    def read(self, place: memoryview, stop: int) -> None:
        """
        Take what stands in C{place} before C{stop}, which begins with L{rest}.

        @raise WireError: it is no frames that belong here.
        """
        at = 0
        while not self._stopped:
            at = self._scatter(place, at, stop)
            end = self._other(place, at, stop)
            if end == at:
                self.rest = bytes(place[at:stop])
                return
            at = end

    def _scatter(self, place: memoryview, at: int, stop: int) -> int:
        """
        Give datagrams to their takers, a run at a time.

        @return: where something else begins, or a frame that is not whole.
        """
        takers, unpack = self._takers, _BOTH.unpack_from
        last = stop - _AROUND
        both = unpack(place, at)[0] if at <= last else 0
        while _LEAST <= both < _END:
            step = (both - _LEAST >> 32) + _AROUND
            end = at + step
            if end > stop:
                break
            run = [place[at + _AROUND : end]]
            ahead = unpack(place, end)[0] if end <= last else 0
            while ahead == both and end + step <= stop:
                run.append(place[end + _AROUND : end + step])
                end += step
                ahead = unpack(place, end)[0] if end <= last else 0
            taker = takers.get(both & _FLOW)
            if taker is None:
                self.strays += len(run)
            else:
                taker.take(run)
            at, both = end, ahead
        return at

    def _other(self, place: memoryview, at: int, stop: int) -> int:
        """
        Tell of one frame that is no datagram.

        @return: where it ends, which is C{at} where none is whole.
        """
        if stop - at < HEADER.size:
            return at
        (header,) = HEADER.unpack_from(place, at)
        if 0 <= header - DATAGRAM <= LARGEST + 1:
            return at
        if header >> 24 in _WRONG:
            raise WireError(f"a {_WRONG[header >> 24]} frame on a datagram carrier")
        end: int = at + HEADER.size + (header & LONGEST)
        frame = _one(bytes(place[at : min(end, stop)]))
        if not isinstance(frame, Message | Reset):
            return at
        self._told(frame)
        return end


def _one(data: bytes) -> Frame | None:
    """
    Read a frame, which may not be whole yet.

    @raise WireError: it never can be.
    """
    return next(FrameDecoder().feed(data), None)
