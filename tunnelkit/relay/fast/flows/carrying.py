# -*- test-case-name: tests.relay.flows.test_datagrams -*-
"""
Carrying: datagram carriers as sockets of the loop's, in plain and under TLS.

One piece of memory, for all carriers of the process, is read into; what of it is no
whole frame is kept, and put back before the next read.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Final

from twisted.internet.interfaces import IReactorTime

from tunnelkit.interfaces import ICarrierOwner
from tunnelkit.relay.connection import ENDING, linger
from tunnelkit.relay.fast.buffer import LARGE
from tunnelkit.relay.fast.loop import IN, LAST, OUT, Loop
from tunnelkit.relay.fast.secure.work import SecureWorkSocket
from tunnelkit.relay.fast.work import WorkSocket
from tunnelkit.relay.flows.carrying import PIECE, Carrier, sendsSoon

_REST: Final = 1 << 17
"""Room for the part of a frame that was read before."""
_VIEW: Final = memoryview(bytearray(_REST + LARGE))


class CarrierSocket(Carrier):
    """
    A datagram carrier in plain.
    """

    def __init__(
        self,
        loop: Loop,
        work: WorkSocket,
        owner: ICarrierOwner,
        clock: IReactorTime,
        opening: bytes,
    ) -> None:
        work.flush()
        super().__init__(work, owner, clock)
        self._loop = loop
        self._sock, unsent = work.part()
        self._fd = self._sock.fileno()
        sendsSoon(self._sock)
        self._watching = IN | LAST
        loop.watch(self._fd, self, self._watching)
        self._tail = unsent + opening
        self._drain()
        if self._decoder.rest:
            # Its owner does not know it yet.
            loop.later(self._readAhead)

    # What the loop says.

    def happened(self, event: int) -> None:
        """
        Bytes came, or can leave, or it is over.
        """
        if event & OUT and not self._gone:
            self._watch(IN | LAST)
            self._drain()
        if event & ~OUT and not self._gone:
            self._read()

    def failed(self) -> None:
        """
        A bug came up here.
        """
        self._abort("a bug: see the log")

    def _read(self) -> None:
        rest = self._decoder.rest
        have = len(rest)
        if have:
            _VIEW[:have] = rest
        try:
            count = self._take(_VIEW[have:])
        except BlockingIOError:
            return
        except OSError as e:
            self._broken(e)
            return
        if count:
            self._receive(_VIEW, have + count)
        if self._ended(count) and not self._gone:
            linger(self._sock, ENDING)
            self._drop()
            self._end("closed")

    def _readAhead(self) -> None:
        rest = self._decoder.rest
        if not self._gone:
            self._receive(memoryview(rest), len(rest))

    def _take(self, place: memoryview) -> int:
        """
        Read from the socket.

        @raise OSError: nothing is there, or it is lost.
        """
        return self._sock.recv_into(place[:LARGE])

    def _ended(self, count: int) -> bool:
        """
        Tell whether the peer has ended its direction, as of the last read.
        """
        return not count

    def _broken(self, error: OSError) -> None:
        if not self._gone:
            self._drop()
            self._end(error.strerror or str(error))

    # What a carrier needs.

    def _send(self, data: bytes) -> int:
        try:
            sent = self._sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError as e:
            self._broken(e)
            return len(data)
        if sent != len(data):
            self._block()
        return sent

    def _block(self) -> None:
        self._watch(IN | LAST | OUT)
        super()._block()

    def _watch(self, events: int) -> None:
        if events != self._watching:
            self._watching = events
            self._loop.change(self._fd, events)

    def _later(self, call: Callable[[], None]) -> None:
        self._loop.later(call)

    def _finish(self) -> None:
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError as e:
            self._broken(e)

    def _reset(self) -> None:
        self._drop()

    def _drop(self) -> None:
        self._loop.closing(self._fd)
        self._sock.close()


class SecureCarrierSocket(CarrierSocket):
    """
    A datagram carrier under TLS.
    """

    def __init__(
        self,
        loop: Loop,
        work: SecureWorkSocket,
        owner: ICarrierOwner,
        clock: IReactorTime,
        opening: bytes,
    ) -> None:
        self._tls = work.tls
        super().__init__(loop, work, owner, clock, opening)

    def _take(self, place: memoryview) -> int:
        return self._tls.receive(place)

    def _ended(self, count: int) -> bool:
        return self._tls.closed

    def _drain(self) -> None:
        """
        The kernel takes more: what is encrypted goes first.
        """
        try:
            if self._tls.flush():
                super()._drain()
            else:
                self._block()
        except OSError as e:
            self._broken(e)

    def _send(self, data: bytes) -> int:
        """
        Encrypt and send, some at a time: what is encrypted cannot be dropped.
        """
        try:
            if len(data) <= PIECE:
                if not self._tls.send(data):
                    self._block()
                return len(data)
            view = memoryview(data)
            for at in range(0, len(data), PIECE):
                if not self._tls.send(view[at : at + PIECE]):
                    self._block()
                    return min(at + PIECE, len(data))
        except OSError as e:
            self._broken(e)
        return len(data)

    def _finish(self) -> None:
        try:
            if not self._tls.end():
                self._block()
        except OSError as e:
            self._broken(e)

    def _drop(self) -> None:
        super()._drop()
        self._tls.forget()
