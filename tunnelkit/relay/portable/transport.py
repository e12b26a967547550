# -*- test-case-name: tests.relay.portable.test_protocol -*-
"""
Transport: what a protocol of Twisted's is on, whose bytes go to an end of a join.

It is a TCP transport: with half-close where the other end has that, with producers and
consumers, and with resets.  What is written while the other end takes no more waits
here: as with any transport, who writes much is to register as a producer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol

from twisted.internet.error import ConnectionAborted
from twisted.internet.interfaces import (
    IAddress,
    IConsumer,
    IDelayedCall,
    IProtocol,
    IPushProducer,
    IReactorTime,
    ITCPTransport,
)
from twisted.python.failure import Failure
from zope.interface import implementer

PIECE: Final = 65536
"""How much is handed on at once of what was written, in bytes."""


class Spoken(Protocol):
    """
    The end of the join, as the transport sees it.
    """

    def received(self, data: bytes) -> None:
        """
        The protocol wrote something.
        """

    def half(self) -> None:
        """
        The protocol writes no more.
        """

    def left(self, halved: bool) -> None:
        """
        The protocol is through with the connection.

        @param halved: whether L{half} was said before.
        """

    def fail(self, reason: Failure) -> None:
        """
        The protocol gives the connection up.
        """

    def ask(self, producer: Callable[[], object]) -> None:
        """
        Ask something of who produces; where that fails, give the connection up.
        """

    def pause(self) -> None:
        """
        The protocol takes no more.
        """

    def resume(self) -> None:
        """
        It takes more.
        """


@implementer(ITCPTransport, IConsumer, IPushProducer)
class ProtocolTransport:
    """
    Such a transport.

    @ivar connected: whether the connection is there.
    @ivar disconnecting: whether it closes when all that waits has gone.
    @ivar halves: whether a direction of the other end can end by itself.
    @ivar protocol: who is told what comes; another one may take its place.
    """

    def __init__(
        self,
        end: Spoken,
        protocol: IProtocol,
        here: IAddress,
        there: IAddress,
        clock: IReactorTime,
        idle: float,
        halves: bool,
    ) -> None:
        """
        @param idle: seconds that the last bytes may wait while nothing is taken of
            them.
        """
        self.protocol = protocol
        self.halves = halves
        self.connected = True
        self.disconnecting = False
        self._end = end
        self._here, self._there = here, there
        self._clock = clock
        self._idle = idle
        self._queue: deque[bytes] = deque()
        self._flowing = False
        self._halving = self._halved = self._left = False
        self._looks = False
        self._producer: Any = None
        self._streaming = True
        self._paused = False
        self._deadline: IDelayedCall | None = None

    # What the end says.

    def blocked(self) -> None:
        """
        The other end takes no more.
        """
        self._flowing = False
        if self._producer is not None and self._streaming and not self._paused:
            self._paused = True
            self._end.ask(self._producer.pauseProducing)

    def flows(self) -> None:
        """
        It takes more.
        """
        self._flowing = True
        if self._deadline is not None:
            self._deadline.reset(self._idle)

    def flush(self) -> None:
        """
        Send what waits, ask for more, or end.
        """
        while self._queue and self._flowing and self.connected:
            self._end.received(self._queue.popleft())
        if self._queue or not self.connected:
            return
        if self._producer is not None and (self._paused or not self._streaming):
            if self._flowing:
                self._paused = False
                self._end.ask(self._producer.resumeProducing)
        elif self.disconnecting or self._halving:
            self._finish()

    def ended(self) -> None:
        """
        The other end is through, and the protocol cannot hear of half an end: go on
        only with what is written already.
        """
        if not self.halves:
            self._queue.clear()
        self._stop()
        self.loseConnection()

    def lost(self, reason: Failure) -> None:
        """
        The connection is gone.
        """
        self.connected = False
        self._queue.clear()
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self._stop()
        self.protocol.connectionLost(reason)

    # What the protocol does.

    def write(self, data: bytes) -> None:
        """
        Send bytes.

        @raise TypeError: it is text.
        """
        if isinstance(data, str):
            raise TypeError("text cannot be sent: encode it")
        if not self.connected or self._halved or self._left or not data:
            return
        if len(data) <= PIECE:
            self._send(data)
        else:
            for at in range(0, len(data), PIECE):
                self._send(data[at : at + PIECE])
        if self._producer is not None and not self._streaming:
            self._look()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """
        Send bytes.
        """
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        """
        Close, after what waits.
        """
        if self.connected and not self.disconnecting:
            self.disconnecting = True
            self._look()

    def loseWriteConnection(self) -> None:
        """
        End this direction, after what waits; the other may go on.  Where it could not,
        nothing happens.
        """
        if self.halves and self.connected and not self._halving:
            self._halving = True
            self._look()

    def abortConnection(self) -> None:
        """
        Reset the connection.
        """
        if self.connected:
            self.connected = False
            self._end.fail(Failure(ConnectionAborted()))

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
        elif self._queue or not self._flowing:
            self._paused = True
            producer.pauseProducing()

    def unregisterProducer(self) -> None:
        """
        Tell it no more.
        """
        self._producer = None
        if self.disconnecting or self._halving:
            self._look()

    def pauseProducing(self) -> None:
        """
        Read no more.
        """
        if self.connected:
            self._end.pause()

    def resumeProducing(self) -> None:
        """
        Read.
        """
        if self.connected and not self.disconnecting:
            self._end.resume()

    def stopProducing(self) -> None:
        """
        Close.
        """
        self.loseConnection()

    def getPeer(self) -> Any:
        """
        Give the other side's address.
        """
        return self._there

    def getHost(self) -> Any:
        """
        Give this side's.
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
        That the other side lives is asked by other means.
        """
        return True

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """
        Do nothing: it is.
        """

    # In between.

    def _send(self, data: bytes) -> None:
        if self._flowing and not self._queue:
            self._end.received(data)
        else:
            self._queue.append(data)

    def _look(self) -> None:
        """
        See in the next turn of the reactor whether all has gone: there may be more to
        write by then.
        """
        if (self.disconnecting or self._halving) and self._deadline is None:
            self._deadline = self._clock.callLater(self._idle, self._stuck)
        if not self._looks:
            self._looks = True
            self._clock.callLater(0, self._looked)

    def _looked(self) -> None:
        self._looks = False
        self.flush()

    def _finish(self) -> None:
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self._deadline = None
        halved, self._halved = self._halved, True
        if not self.disconnecting:
            if not halved:
                self._end.half()
        elif not self._left:
            self._left = True
            self._end.left(halved)

    def _stuck(self) -> None:
        self._deadline = None
        self.abortConnection()

    def _stop(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            self._end.ask(producer.stopProducing)
