# -*- test-case-name: tests.relay.streams.test_work -*-
"""
Work end: a work connection over any Twisted transport, as an end of one join after
the other.
"""

from __future__ import annotations

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IReactorTime, ISSLTransport
from twisted.python.failure import Failure

from tunnelkit.interfaces import IWorkOwner
from tunnelkit.relay.connection import (
    BUFFER,
    Connection,
    Gauge,
    Holder,
    IRelayTransport,
    peerOf,
    socketTransport,
)
from tunnelkit.relay.streams.join import IDLE
from tunnelkit.relay.streams.work import Work


class WorkEnd(Work, Holder):
    """
    A work connection over any Twisted transport.
    """

    def __init__(
        self,
        connection: Connection,
        owner: IWorkOwner,
        client: bool,
        clock: IReactorTime,
        idle: float = IDLE,
    ) -> None:
        self.transport: IRelayTransport = connection.transport
        super().__init__(peerOf(connection.transport), owner, client, clock, idle)
        socketTransport(self.transport).bufferSize = BUFFER
        self.transport.registerProducer(Gauge(self._block, self._unblock), True)
        connection.hold(self)

    def write(self, frames: bytes) -> None:
        """
        Send frames.
        """
        if not self._gone:
            self.transport.write(frames)

    def pause(self) -> None:
        """
        Take no more bytes from the peer.
        """
        if not self._gone:
            self.transport.pauseProducing()

    def resume(self) -> None:
        """
        Take bytes from the peer.
        """
        if not self._gone:
            self.transport.resumeProducing()

    def connectionLost(self, reason: Failure) -> None:
        """
        The connection is gone.
        """
        ended = reason.check(ConnectionDone) is not None
        self._end("closed" if ended else reason.getErrorMessage())

    def _finish(self) -> None:
        self.transport.unregisterProducer()
        if ISSLTransport.providedBy(self.transport):
            self.transport.loseConnection()
        else:
            self.transport.loseWriteConnection()

    def _reset(self) -> None:
        self.transport.abortConnection()

    def _unblock(self) -> None:
        if socketTransport(self.transport).disconnecting:
            # The peer ended its TLS while we were blocked: what we write goes
            # nowhere, and the transport waits for ever for a producer that rests.
            self.blocked = False
            self._abort("closed by the peer")
        else:
            super()._unblock()
