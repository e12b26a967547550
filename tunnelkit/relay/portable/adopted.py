# -*- test-case-name: tests.relay.test_adopted -*-
"""
Adopted: a connection that was made elsewhere and carries the bytes of one stream as
they are, as an end of a join.
"""

from __future__ import annotations

from typing import Any, ClassVar

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import ISSLTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from tunnelkit.interfaces import IStreamEnd
from tunnelkit.relay.connection import (
    BUFFER,
    Connection,
    Gauge,
    Holder,
    peerOf,
    socketOf,
    socketTransport,
)
from tunnelkit.relay.portable.raw import RawEnd
from tunnelkit.relay.streams.stream import Lone, Receiver, Stream
from tunnelkit.wire.codes import ResetCode


def adopted(
    connection: Connection, early: bytes, withhold: bool, opening: bytes = b""
) -> IStreamEnd:
    """
    Take a connection over.

    @param early: bytes of the stream that were read before.
    @param withhold: whether the other side is not told of our end.
    @param opening: bytes to send first.
    """
    transport: Any = connection.transport
    transport.write(_unsent(transport, opening))
    if not _halves(transport):
        return HeldEnd(connection, early)
    end = WithholdingEnd(early) if withhold else AdoptedEnd(early)
    connection.hold(Holder())
    # Of a transport's protocols only one of its own hears of half an end.
    transport.protocol = end
    end.makeConnection(transport)
    return end


def _halves(transport: Any) -> bool:
    """
    Tell whether a direction of a transport can end by itself, and a protocol that takes
    the place of its own hear of it.
    """
    if ISSLTransport.providedBy(transport):
        return False
    return bool(getattr(transport, "halves", hasattr(transport, "protocol")))


def _unsent(transport: Any, opening: bytes) -> bytes:
    """
    Send bytes now, where that can be: a reset would drop what a transport still has.

    @return: what is left of them.
    """
    sock = socketOf(transport)
    if sock is None or ISSLTransport.providedBy(transport) or not opening:
        return opening
    try:
        return opening[sock.send(opening) :]
    except OSError:  # it takes none now, or is gone, which the transport sees
        return opening


@implementer(IStreamEnd)
class AdoptedEnd(RawEnd, Lone):
    """
    One on a transport of the reactor's.
    """

    def __init__(self, early: bytes) -> None:
        super().__init__()
        self._early = early
        self._written = False

    def writeConnectionLost(self) -> None:
        """
        All that was written has gone, and the end behind it.
        """
        self._written = True
        super().writeConnectionLost()

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """
        The connection is gone.  Behind both ends that is no failure, whatever the other
        side of the join has still to take: a tunnel's transport closes by itself then.
        """
        if not (self._read and self._written and reason.check(ConnectionDone)):
            super().connectionLost(reason)

    def resumeReading(self) -> None:
        """
        Take bytes, those first that were read before.
        """
        early, self._early = self._early, b""
        if early:
            self.dataReceived(early)
        super().resumeReading()


class WithholdingEnd(AdoptedEnd):
    """
    One whose other side takes an end for the end of all, and is told none: the stream
    goes on until that side ends, too.
    """

    releaseEnds: ClassVar[bool] = True

    def finish(self) -> bool:
        """
        Keep that to ourselves.
        """
        return True


@implementer(IStreamEnd)
class HeldEnd(Holder, Lone):
    """
    One without half-close, as under TLS: the other side is told of our end when it has
    ended, too.

    @ivar peer: who is at the other side.
    @ivar local: the address that they came to.
    """

    releaseEnds: ClassVar[bool] = True
    local = ""

    def __init__(self, connection: Connection, early: bytes) -> None:
        self._early = early
        self._begun = False
        self._receiver: Receiver | None = None
        self._gone: Failure | None = None
        self.peer = peerOf(connection.transport)
        connection.hold(self)

    def held(self, connection: Connection) -> None:
        """
        Read nothing before the join.
        """
        super().held(connection)
        connection.transport.pauseProducing()
        socketTransport(connection.transport).bufferSize = BUFFER

    def attach(self, receiver: Receiver) -> Stream:
        """
        Tell C{receiver} what happens here from now on.
        """
        self._receiver = receiver
        gauge = Gauge(receiver.blocked, self._ready)
        if self._gone is None:
            self.connection.transport.registerProducer(gauge, True)
        return self

    def abort(self) -> None:
        """
        Reset the connection.
        """
        if self._gone is None:
            self.connection.transport.abortConnection()

    # What comes from outside.

    def dataReceived(self, data: bytes) -> None:
        """
        Bytes came.  TLS hands out what it has decrypted, paused or not.
        """
        if not self._begun:
            self._early += data
        elif self._receiver is not None:
            self._receiver.received(data)

    def connectionLost(self, reason: Failure) -> None:
        """
        It has ended, or was lost.
        """
        self._gone = reason
        if self._begun:
            self._tell()

    def _ready(self) -> None:
        if socketTransport(self.connection.transport).disconnecting:
            # The peer ended its TLS while we were blocked: what we write goes
            # nowhere, and the transport waits for ever for a producer that rests.
            self.abort()
        elif self._receiver is not None:
            self._receiver.ready()

    def _tell(self) -> None:
        receiver, reason = self._receiver, self._gone
        if receiver is None or reason is None:
            return
        if reason.check(ConnectionDone):
            receiver.finished()
        else:
            receiver.failed(ResetCode.PEER, f"{self.peer} reset the connection")

    # What the join does.

    def announce(self, opening: bytes) -> None:
        """
        Write bytes before the stream's own.
        """
        self.write(opening)

    def write(self, data: bytes) -> None:
        """
        Send bytes.
        """
        if self._gone is None:
            self.connection.transport.write(data)

    def finish(self) -> bool:
        """
        Keep that to ourselves.
        """
        return True

    def reset(self, code: ResetCode, reason: str) -> None:
        """
        Reset the connection.
        """
        self._receiver = None
        self.abort()

    def release(self) -> None:
        """
        Close a connection both directions of which have ended.
        """
        if self._receiver is not None and self._gone is None:
            self.connection.transport.unregisterProducer()
            self.connection.transport.loseConnection()
        self._receiver = None

    def pauseReading(self) -> None:
        """
        Take no more bytes.
        """
        if self._gone is None:
            self.connection.transport.pauseProducing()

    def resumeReading(self) -> None:
        """
        Take bytes, those first that were read before.
        """
        self._begun = True
        early, self._early = self._early, b""
        if early:
            self.dataReceived(early)
        if self._gone is None:
            self.connection.transport.resumeProducing()
        else:
            self._tell()

    def unsent(self) -> int:
        """
        Give no sign of life: what waits is encrypted, and not counted.
        """
        return 0
