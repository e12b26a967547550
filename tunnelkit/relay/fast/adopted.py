# -*- test-case-name: tests.relay.test_adopted -*-
"""
Adopted: a connection that was made elsewhere and carries the bytes of one stream as
they are, as a socket of the loop's.
"""

from __future__ import annotations

from zope.interface import implementer

from tunnelkit.interfaces import IStreamEnd
from tunnelkit.relay.connection import RESETTING, linger
from tunnelkit.relay.fast.buffer import HEAD, SMALL, VIEW
from tunnelkit.relay.fast.end import Sink, Socket
from tunnelkit.relay.fast.loop import Loop
from tunnelkit.relay.fast.raw import RawSocket
from tunnelkit.relay.streams.stream import Lone, Receiver


@implementer(IStreamEnd)
class AdoptedSocket(RawSocket, Lone):
    """
    Such a connection.
    """

    __slots__ = ("_early",)

    def __init__(self, loop: Loop, sock: Socket, peer: str, early: bytes) -> None:
        """
        @param sock: it does not block.
        @param peer: the address of the other side.
        @param early: bytes of the stream that were read before.
        """
        super().__init__(loop, sock, peer)
        self._early = early
        linger(sock, RESETTING)

    def attach(self, receiver: Receiver, far: Sink | None = None) -> RawSocket:
        """
        Tell C{receiver} what happens here from now on.
        """
        if self.full:
            receiver.blocked()
        return super().attach(receiver, far)

    def resumeReading(self) -> None:
        """
        Take bytes, those first that were read before.
        """
        self.reading = self._gone is None
        while self._early and self.reading:
            piece, self._early = self._early[:SMALL], self._early[SMALL:]
            stop = HEAD + len(piece)
            VIEW[HEAD:stop] = piece
            self._receiver.count += len(piece)  # type: ignore[union-attr]
            self._far.put(HEAD, stop)  # type: ignore[union-attr]
        if not self._early and (self.reading or self._gone is not None):
            super().resumeReading()


class WithholdingSocket(AdoptedSocket):
    """
    One whose other side takes an end for the end of all, and is told none: the stream
    goes on until that side ends, too.
    """

    __slots__ = ()

    def _shut(self) -> bool:
        """
        Keep our end to ourselves.
        """
        return True
