# -*- test-case-name: tests.relay.portable.test_transport -*-
"""
Transport: one stream of a connection that carries many, as a transport of Twisted's
with a protocol on it.

Such a stream ends both ways at once.  What is written while the other side takes no
more waits here: as with any transport, who writes much is to register as a producer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any, Final

from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IAddress,
    IConsumer,
    IDelayedCall,
    IProtocol,
    IPushProducer,
    IReactorTime,
    ITCPTransport,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from tunnelkit.relay.portable.muxed import MuxedEnd
from tunnelkit.wire.codes import ResetCode

PIECE: Final = 65536
"""How much is handed on at once of what waits, in bytes."""
IDLE: Final = 300.0
"""Seconds that last bytes may wait for a peer that takes none."""


@implementer(ITCPTransport, IConsumer, IPushProducer)
class MuxedTransport:
    """
    A stream with a protocol on it.
    """

    _log = Logger()

    def __init__(
        self,
        end: MuxedEnd,
        protocol: IProtocol,
        here: IAddress,
        there: IAddress,
        clock: IReactorTime,
    ) -> None:
        self.count = 0
        self.connected = True
        self.disconnecting = False
        self._end = end
        self._protocol = protocol
        self._here = here
        self._there = there
        self._clock = clock
        self._full = False
        self._queue: deque[bytes] = deque()
        self._producer: Any = None
        self._streaming = True
        self._paused = False
        self._reading = True
        self._deadline: IDelayedCall | None = None

    def begin(self) -> None:
        """
        Tell the protocol that it is connected, and read.
        """
        self._stream = self._end.attach(self)
        try:
            self._protocol.makeConnection(self)
        except Exception:
            self._failed("a protocol failed as it was connected")
        if self._reading and self.connected:
            self._stream.resumeReading()

    # What the stream says.

    def received(self, data: bytes) -> None:
        """
        Bytes came.
        """
        self.count += len(data)
        try:
            self._protocol.dataReceived(data)
        except Exception:
            self._failed("a protocol failed at what it received")

    def finished(self) -> None:
        """
        The other side has closed it.
        """
        if self.connected:
            self._stream.release()
            self._lose(Failure(ConnectionDone()))

    def delivered(self) -> None:
        """
        Never told here.
        """

    def failed(self, code: ResetCode, reason: str) -> None:
        """
        It failed.
        """
        if self.connected:
            self._lose(Failure(ConnectionLost(reason)))

    def blocked(self) -> None:
        """
        The other side takes no more.
        """
        self._full = True
        if self._producer is not None and self._streaming and not self._paused:
            self._paused = True
            self._producer.pauseProducing()

    def ready(self) -> None:
        """
        It takes more.
        """
        self._full = False
        while self._queue and not self._full and self.connected:
            self._stream.write(self._queue.popleft())
        if self._full or not self.connected:
            return
        if self._producer is not None and (self._paused or not self._streaming):
            self._paused = False
            self._producer.resumeProducing()
        elif self.disconnecting:
            self._finish()

    # The transport.

    def write(self, data: bytes) -> None:
        """
        Send bytes.
        """
        if not self.connected or self.disconnecting:
            return
        for at in range(0, len(data), PIECE):
            piece = data[at : at + PIECE]
            if self._queue or self._full:
                self._queue.append(piece)
            else:
                self._stream.write(piece)
        if data and self._producer is not None and not self._streaming:
            self._clock.callLater(0, self._pull)

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """
        Send bytes.
        """
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        """
        Close, after what waits.
        """
        if not self.connected or self.disconnecting:
            return
        self.disconnecting = True
        if self._queue:
            self._deadline = self._clock.callLater(IDLE, self.abortConnection)
        else:
            self._clock.callLater(0, self._finish)

    def loseWriteConnection(self) -> None:
        """
        Do nothing: the stream has no half-close.
        """

    def abortConnection(self) -> None:
        """
        Fail the stream.
        """
        self._leave(Failure(ConnectionAborted()))

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """
        Tell C{producer} when no more can be sent.
        """
        if self._producer is not None:
            raise RuntimeError("a producer is registered already")
        if not self.connected:
            producer.stopProducing()
            return
        self._producer, self._streaming, self._paused = producer, streaming, False
        if not streaming:
            producer.resumeProducing()
        elif self._full or self._queue:
            self._paused = True
            producer.pauseProducing()

    def unregisterProducer(self) -> None:
        """
        Tell it no more.
        """
        self._producer = None

    def pauseProducing(self) -> None:
        """
        Read no more.
        """
        self._reading = False
        self._stream.pauseReading()

    def resumeProducing(self) -> None:
        """
        Read.
        """
        self._reading = True
        if self.connected and not self.disconnecting:
            self._stream.resumeReading()

    def stopProducing(self) -> None:
        """
        Close.
        """
        self.loseConnection()

    def getPeer(self) -> Any:
        """
        Give what was dialled.
        """
        return self._there

    def getHost(self) -> Any:
        """
        Give this side.
        """
        return self._here

    def getTcpNoDelay(self) -> bool:
        """
        Small writes go at once.
        """
        return True

    def setTcpNoDelay(self, enabled: bool) -> None:
        """
        Do nothing: they do.
        """

    def getTcpKeepAlive(self) -> bool:
        """
        That the peer lives is asked by other means.
        """
        return True

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """
        Do nothing: it is.
        """

    def _pull(self) -> None:
        wants = self._producer is not None and not self._streaming
        if wants and not self._full and not self._queue:
            self._producer.resumeProducing()

    def _finish(self) -> None:
        if self.connected and not self._queue:
            self._stream.release()
            self._lose(Failure(ConnectionDone()))

    def _failed(self, how: str) -> None:
        # Within an except: others share the line, who are not to suffer.
        reason = Failure()
        self._log.failure(how, reason)
        self._leave(reason)

    def _leave(self, reason: Failure) -> None:
        if self.connected:
            self._stream.reset(ResetCode.PEER, "aborted")
            self._lose(reason)

    def _lose(self, reason: Failure) -> None:
        """
        Tell the protocol in the next turn of the reactor, as it may be the one that
        asked for it.
        """
        self.connected = False
        self._queue.clear()
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self._clock.callLater(0, self._told, reason)

    def _told(self, reason: Failure) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.stopProducing()
        self._protocol.connectionLost(reason)
