# -*- test-case-name: tests.sharing.test_turns -*-
"""
A client's connection: cuts its requests, and gives it the answers in the order of
those.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from tunnelkit.control.names import legible
from tunnelkit.relay.connection import isTLS, named, tuned
from tunnelkit.sharing.asking import Asking
from tunnelkit.sharing.clients.due import Due
from tunnelkit.sharing.clients.hearing import Hearing
from tunnelkit.sharing.clients.reading import Reading
from tunnelkit.sharing.limits import Limits
from tunnelkit.wire.framings.contract import (
    Asked,
    Local,
    Part,
    Refusal,
    Reply,
    Request,
    Requests,
    Trouble,
)

if TYPE_CHECKING:
    from tunnelkit.sharing.pool import Pool
    from tunnelkit.sharing.targets.line import TargetLine


@implementer(IHalfCloseableProtocol)
class ClientLine(Protocol):
    """
    @ivar number: counted from 1.
    @ivar waiting: its requests that wait for their turn.
    @ivar flying: how many of its requests a target has.
    @ivar line: the connection that has those; where it is sticky, this client's own.
    @ivar gone: whether nothing can be told it any more.
    """

    _log = Logger()
    transport: Any

    def __init__(self, pool: Pool, requests: Requests, number: int) -> None:
        self.number = number
        self.waiting: deque[Asking] = deque()
        self.flying = 0
        self.line: TargetLine | None = None
        self.gone = False
        self._pool = pool
        self._bounds = pool.bounds
        self._limits = Limits(pool.clock)
        self._hearing = Hearing(self, requests, pool.bounds, self._limits)
        self._due = Due()
        self._reading = Reading(self, pool.bounds, self._limits)
        self._ending = False
        self._kept = 0
        self._shown = ""

    def connectionMade(self) -> None:
        """
        A client came.
        """
        transport = self._hearing.transport = self.transport
        tuned(transport)
        transport.registerProducer(self._reading, True)
        self._shown = f"{named(transport.getPeer())} <-> {named(transport.getHost())}"
        self._log.info("#{number}: {line}", number=self.number, line=self._shown)
        if not self._pool.arrived(self):
            self._pool.tally.turnedAway += 1
            # In a flood there is not even a word for each.
            many = len(self._pool.clients) > 2 * self._bounds.clients
            self.cut("there are too many", None if many else Trouble.BUSY)

    # What the client says.

    def dataReceived(self, data: bytes) -> None:
        """
        Take bytes of the client's.
        """
        self._hearing.feed(data)

    def readConnectionLost(self) -> None:
        """
        The client says nothing more.
        """
        if self.gone:
            self._hearing.ended = True
            self.transport.loseConnection()
        else:
            self._hearing.end()

    def goOn(self) -> None:
        """
        Read on, if that was put off.
        """
        self._hearing.goOn()

    @property
    def full(self) -> bool:
        """
        Whether it has asked enough for the moment, or is to read first.
        """
        return self.choked or len(self._due) >= self._bounds.each

    def take(self, event: Asked) -> None:
        """
        It has said this.
        """
        hearing = self._hearing
        if isinstance(event, Request):
            self.keeps(0)
            asking = Asking(self, event, self._pool.clock.seconds())
            self._due.add(asking)
            if event.more:
                hearing.streaming = asking
            self._pool.tally.requests += 1
            self._pool.ask(asking)
        elif isinstance(event, Part):
            streaming = hearing.streaming
            if event.last:
                hearing.streaming = None
                if self._ending:
                    hearing.stop()
            if streaming is not None and streaming.line is not None:
                streaming.line.more(event)
        elif isinstance(event, Local):
            self._pool.tally.local += 1
            self._local(event)
        else:
            self._refuse(event)

    def _local(self, told: Local) -> None:
        if told.close:
            self._hearing.stop()
        self._due.add(told)
        self._flush()

    def _refuse(self, refusal: Refusal) -> None:
        self._pool.tally.refused += 1
        self._log.info(
            "#{number} is refused: {reason}",
            number=self.number,
            reason=legible(refusal.reason),
        )
        if self._hearing.streaming is not None:
            self.cut("its request was under way")
        else:
            self._local(Local(refusal.data, close=True))

    def saidAll(self) -> None:
        """
        It says nothing more: close when all is answered.
        """
        partial = self._hearing.partial
        if partial:
            self._log.info(
                "#{number} ended in the middle of a request: {count} bytes are dropped",
                number=self.number,
                count=partial,
            )
        if self._hearing.streaming is not None:
            self.cut("its request is not whole")
        else:
            self._hearing.stop()
            self._flush()

    def endWhenAnswered(self) -> None:
        """
        Take no more requests, and close when the last is answered.
        """
        self._ending = True
        if not self.gone and self._hearing.streaming is None:
            self._hearing.stop()
            self._flush()

    def keeps(self, size: int) -> bool:
        """
        So many bytes of a request of its are kept until that is whole.
        """
        more, self._kept = size - self._kept, size
        self._pool.partial += more
        if more > 0 and not self._pool.hasRoom(0):
            self._pool.tally.full += 1
            self.cut("there is no room for its request", Trouble.BUSY)
        return not self.gone

    def failed(self) -> None:
        """
        Its bytes have met a bug.
        """
        self._log.failure("a bug at a request")
        self.cut("a bug of ours, see above")

    def late(self) -> None:
        """
        A request of its does not come to its end.
        """
        self.cut("a request of its did not come to its end in time", Trouble.SLOW)

    # What it is told.

    def reply(self, asking: Asking, reply: Reply) -> None:
        """
        Give it a reply, or a part of one: that to the oldest of its requests.
        """
        if self.gone:
            self._pool.tally.thrownAway += reply.last
            return
        if reply.data:
            asking.said = True
            self.transport.write(reply.data)
        if reply.last:
            self._reading.release()
            self.answered(asking, reply.close)
        elif asking.line is not None:
            self._reading.hold(asking.line)

    def push(self, data: bytes) -> None:
        """
        Give it what its own target says unasked.
        """
        if not self.gone:
            self.transport.write(data)
            if self.line is not None:
                self._reading.hold(self.line)

    def answered(self, asking: Asking, close: bool = False) -> None:
        """
        A request is over.
        """
        asking.done = True
        if asking is self._hearing.streaming:
            self._hearing.streaming = None
            self._hearing.stop()
        if close:
            self.close()
            return
        self._flush()
        if self._hearing.paused:
            self.goOn()

    def trouble(self, asking: Asking, trouble: Trouble) -> None:
        """
        A request has no reply, or not all of one.
        """
        if self.gone or asking.done:
            return
        asking.done = True
        if asking.said:
            self.cut("half of a reply is all there is")
            return
        told = self._pool.excuse(trouble, asking.request)
        if asking is self._hearing.streaming:
            self._hearing.streaming = None
            told = Local(told.data, close=True)
        if told.close:
            self._hearing.stop()
        self._drop(self._due.replace(asking, told))
        self._flush()
        if self._hearing.paused:
            self.goOn()

    def _drop(self, askings: Iterable[Asking]) -> None:
        for asking in askings:
            asking.done = True
            self._pool.abandon(asking)

    def _flush(self) -> None:
        while not self.gone and (told := self._due.next()) is not None:
            self.transport.write(told.data)
            if told.close:
                self.close()
        if self._hearing.over and not self._due:
            self.close()

    # Too slow.

    @property
    def choked(self) -> bool:
        """
        Whether it does not read what it is told at the moment.
        """
        return self._reading.choked

    def drained(self) -> None:
        """
        It has read all.
        """
        self._pool.pump()
        self.goOn()

    def stalled(self) -> None:
        """
        It has not read for too long.
        """
        self._pool.tally.stalled += 1
        self.cut("it does not read what it asked for")

    # The end.

    def close(self) -> None:
        """
        Close it, once it has all that it was told.  What it still says is read and
        dropped for a moment: a connection that is closed over unread bytes is reset,
        and what was told last is lost with it.
        """
        if self.gone:
            return
        self._leave()
        transport = self.transport
        self._limits.set("closing", self._bounds.closing, transport.abortConnection)
        self._hearing.resume()
        if self._hearing.ended or isTLS(transport):
            transport.loseConnection()
        else:
            transport.loseWriteConnection()

    def writeConnectionLost(self) -> None:
        """
        It has all that it was told: give it a moment to close, too, unless we are about
        to stop.
        """
        close = self.transport.loseConnection
        if self._pool.draining:
            close()
        else:
            self._limits.set("linger", self._bounds.linger, close)

    def cut(self, reason: str, trouble: Trouble | None = None) -> None:
        """
        End it.

        @param trouble: what it is told, if it can be told anything.
        """
        if self.gone:
            return
        self._log.info("#{number} is cut: {reason}", number=self.number, reason=reason)
        asking = self._due.first
        if trouble is None or (asking and asking.said):
            self._leave()
            self.transport.abortConnection()
            return
        request = asking.request if asking else None
        self.transport.write(self._pool.excuse(trouble, request).data)
        self.close()

    def stop(self) -> None:
        """
        End it, as we are stopping.
        """
        if self._due:
            self.cut("we are stopping", Trouble.STOPPING)
        else:
            self.close()

    def _leave(self) -> None:
        self._hearing.stop()
        self._hearing.streaming = None
        self.gone = True
        self.keeps(0)
        self._limits.dropAll()
        self._reading.release()
        self._drop(self._due.clear())
        self.transport.unregisterProducer()
        self._pool.left(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        It is gone.
        """
        if not self.gone:
            self._leave()
        self._limits.dropAll()
        self._log.info("closed: {line}", line=self._shown)
        self._pool.forget(self)
