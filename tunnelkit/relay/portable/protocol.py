# -*- test-case-name: tests.relay.portable.test_protocol -*-
"""
Protocol: any protocol of Twisted's as an end of a join, whatever the other end is.

To the protocol it is on a TCP transport
(L{tunnelkit.relay.portable.transport}).  To the join it is an end like a local
service's, so that limits, counts, deadlines and what is said to the other side are
those of any stream.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import ClassVar, Final

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IAddress,
    IHalfCloseableProtocol,
    IProtocol,
    IReactorTime,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from tunnelkit.interfaces import IEnd
from tunnelkit.relay.connection import named
from tunnelkit.relay.portable.transport import ProtocolTransport
from tunnelkit.relay.streams.join import IDLE
from tunnelkit.relay.streams.stream import Receiver, Stream
from tunnelkit.wire.codes import ResetCode

_GAVE_UP: Final = "the program at the other end gave the connection up"


@implementer(IEnd)
class ProtocolEnd:
    """
    A protocol, which is connected when the join begins.

    @ivar peer: the address that the protocol sees, for people.
    @ivar local: this side's, likewise.
    @ivar transport: what the protocol is on.
    """

    _log = Logger()
    # Who can hear of half an end is told of each.
    releaseEnds: ClassVar[bool] = False

    def __init__(
        self,
        protocol: IProtocol,
        here: IAddress,
        there: IAddress,
        clock: IReactorTime,
        idle: float = IDLE,
        halves: bool = True,
    ) -> None:
        """
        @param here: what C{getHost} gives.
        @param there: what C{getPeer} gives.
        @param halves: whether a direction of the other end can end by itself; where it
            cannot, its end is the end of all.
        @param idle: seconds that the last bytes of a connection that is closed may
            wait while nothing is taken of them.
        """
        self.peer, self.local = named(there), named(here)
        self.transport = ProtocolTransport(
            self, protocol, here, there, clock, idle, halves
        )
        self._halves = halves
        self._clock = clock
        self._receiver: Receiver | None = None
        self._begun = False
        self._early: deque[bytes] = deque()
        self._paused = False
        self._telling = False  # whether the protocol is at something that came
        self._goesOn = False  # whether it will be told more in the next turn
        self._ended = False  # by the other end
        self._over = False

    def abort(self) -> None:
        """
        Reset the connection.
        """
        self.transport.abortConnection()

    # What the join does.

    def attach(self, receiver: Receiver) -> Stream:
        """
        Tell C{receiver} what the protocol does.
        """
        self._receiver = receiver
        return self

    def announce(self, opening: bytes) -> None:
        """
        Give the protocol bytes before the stream's own.
        """
        self.write(opening)

    def write(self, data: bytes) -> None:
        """
        Give the protocol bytes, or keep them while it takes none.
        """
        self._begin()
        if self._over or self.transport.disconnecting:
            return
        if self._rests():
            self._early.append(data)
        else:
            self._tell(self.transport.protocol.dataReceived, data)

    def finish(self) -> bool:
        """
        Tell the protocol that no more will come, once it has all.
        """
        self._begin()
        self._ended = True
        if self._early or self._rests():
            return False  # who does not read does not see an end
        self._tellEnd()
        return True

    def reset(self, code: ResetCode, reason: str) -> None:
        """
        The connection is lost.
        """
        self.lose(Failure(ConnectionLost(reason)))

    def release(self) -> None:
        """
        It is over, and all went well.
        """
        self.lose(Failure(ConnectionDone()))

    def pauseReading(self) -> None:
        """
        The other end takes no more.
        """
        self.transport.blocked()

    def resumeReading(self) -> None:
        """
        It takes more; a protocol that gave up while nobody listened says so now.
        """
        self.transport.flows()
        self._begin()
        if not self._over:
            self.transport.flush()
        elif self._receiver is not None:
            self._receiver.failed(ResetCode.PEER, _GAVE_UP)

    def unsent(self) -> int:
        """
        Give no sign of life: no kernel has anything of this.
        """
        return 0

    # What the transport asks.

    def received(self, data: bytes) -> None:
        """
        The protocol wrote something.
        """
        if self._receiver is not None:
            self._receiver.received(data)

    def half(self) -> None:
        """
        The protocol writes no more.
        """
        if self._receiver is not None:
            self._receiver.finished()
        half = IHalfCloseableProtocol(self.transport.protocol, None)
        if half is not None:
            self._tell(half.writeConnectionLost)

    def left(self, halved: bool) -> None:
        """
        The protocol is through with the connection.

        @param halved: whether L{half} was said before.
        """
        receiver = self._receiver
        if receiver is not None:
            receiver.left()
            if not halved:
                receiver.finished()

    def fail(self, reason: Failure) -> None:
        """
        The protocol gives the connection up.
        """
        receiver = self._receiver
        self.lose(reason)
        if receiver is not None:
            receiver.failed(ResetCode.PEER, _GAVE_UP)

    def ask(self, producer: Callable[[], object]) -> None:
        """
        Ask something of who produces; where that fails, give the connection up.
        """
        try:
            producer()
        except Exception:
            self._broken()

    def pause(self) -> None:
        """
        The protocol takes no more.
        """
        if not self._paused:
            self._paused = True
            if self._receiver is not None:
                self._receiver.blocked()

    def resume(self) -> None:
        """
        It takes more: in the next turn, where it is not through with what it has.
        """
        if not self._paused:
            return
        self._paused = False
        if self._telling or self._early or self._ended:
            self._goOnLater()
        elif self._receiver is not None:
            self._receiver.ready()

    def lose(self, reason: Failure) -> None:
        """
        The connection is gone.  The protocol hears it in the next turn of the reactor,
        as it may be the one that asked for it.
        """
        if not self._over:
            self._over = True
            self._begin()
            self._receiver = None
            self._early.clear()
            self._clock.callLater(0, self.transport.lost, reason)

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            self._tell(self.transport.protocol.makeConnection, self.transport)

    def _rests(self) -> bool:
        """
        Tell whether the protocol is not to be told anything now: it would rather not,
        or is at something else, and what it said has led to this.
        """
        if self._telling and not self._paused:
            self._goOnLater()
        return self._paused or self._goesOn

    def _goOnLater(self) -> None:
        if not self._goesOn:
            self._goesOn = True
            self._clock.callLater(0, self._goOn)

    def _goOn(self) -> None:
        """
        Give the protocol what it was not ready for.
        """
        self._goesOn = False
        while self._early and not self._paused and not self._over:
            data = self._early.popleft()
            if not self.transport.disconnecting:
                self._tell(self.transport.protocol.dataReceived, data)
        if self._paused or self._over or self._goesOn:
            return
        receiver = self._receiver
        if self._ended:
            self._tellEnd()
            if receiver is not None:
                receiver.delivered()
        elif receiver is not None:
            receiver.ready()

    def _tellEnd(self) -> None:
        self._ended = False  # which is said once
        half = (
            IHalfCloseableProtocol(self.transport.protocol, None)
            if self._halves
            else None
        )
        if half is not None:
            self._tell(half.readConnectionLost)
        else:
            # As on any transport; but what it has written still goes, where it can.
            self.transport.ended()

    def _tell(self, tell: Callable[..., object], *what: object) -> None:
        before, self._telling = self._telling, True
        try:
            tell(*what)
        except Exception:
            self._broken()
        finally:
            self._telling = before

    def _broken(self) -> None:
        """
        Give up on a bug.  Others share the process, who are not to suffer.
        """
        reason = Failure()
        self._log.failure("a bug at {local}", reason, local=self.local)
        self.fail(reason)
