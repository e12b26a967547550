# -*- test-case-name: tests.relay.portable.test_muxed -*-
"""
Muxed: one stream of a connection that carries many, as an end of a join.

The protocols that do so here close a stream both ways at once: they have no half-close.
So the other side is told of our end when it has ended, too, or when the join is over;
and what it says last before its own end is delivered before that.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from typing import ClassVar, Final

from zope.interface import implementer

from tunnelkit.interfaces import IStreamEnd
from tunnelkit.relay.portable.turns import Turn
from tunnelkit.relay.streams.stream import Receiver, Stream
from tunnelkit.wire.codes import ResetCode

_SMALL: Final = 1024
"""Pieces below this, in bytes, wait together: each by itself would take more room than
its bytes, which are what is counted."""


@implementer(IStreamEnd)
class MuxedEnd(ABC):
    """
    A stream.  Who has the connection says what happens to it by L{received}, L{ended},
    L{lost}, L{block} and L{unblock}, and makes a subclass, which says what is to be
    sent.

    @cvar wholly: whether who has closed the stream at the other side can take nothing
        more of it, either.
    @ivar peer: who is at the other side.
    @ivar local: the address that they came to.
    @ivar waiting: bytes that came and cannot go on yet.
    @ivar turn: whether it is its turn, where the connection takes less than comes.
    """

    releaseEnds: ClassVar[bool] = True
    wholly: ClassVar[bool] = False
    local: ClassVar[str] = ""

    def __init__(self, peer: str, blocked: bool = False) -> None:
        """
        @param blocked: whether the connection takes no more for now.
        """
        self.peer = peer
        self.waiting = 0
        self.turn = Turn()
        self._blocked = blocked
        self._early: deque[bytes] = deque()
        self._receiver: Receiver | None = None
        self._reading = False
        self._ended = False  # by the other side
        self._gone: tuple[ResetCode, str] | None = None
        self._over = False

    # What a subclass does.

    @abstractmethod
    def _send(self, data: bytes) -> None:
        """
        Send bytes of the stream.
        """

    @abstractmethod
    def _close(self) -> None:
        """
        Close the stream: all of it went well.
        """

    @abstractmethod
    def _fail(self, code: ResetCode, reason: str) -> None:
        """
        Close the stream: it failed.
        """

    @abstractmethod
    def _passed(self, count: int) -> None:
        """
        So many bytes have gone on: more may come.
        """

    @abstractmethod
    def _held(self) -> None:
        """
        Bytes wait: see whether too many do.
        """

    # What the connection says.

    def received(self, data: bytes) -> None:
        """
        Bytes came; none are not passed on, as they would look like an end to some.
        """
        if not data:
            return
        if self._over or self._gone is not None:
            self._passed(len(data))
        elif self._reading and not self._early:
            self._pass(data)
        else:
            self._keep(data)
            self.waiting += len(data)
            self._held()

    def ended(self) -> None:
        """
        The other side has closed the stream, and all went well.
        """
        self._ended = True
        if not self._early:
            self._tell()

    def lost(self, code: ResetCode, reason: str) -> None:
        """
        The stream failed at the other side, or the connection is gone.
        """
        if self._gone is None:
            self._gone = code, reason
            self._forget()
            self._tell()

    def block(self) -> None:
        """
        The connection takes no more for now.
        """
        self._blocked = True
        if self._receiver is not None:
            self._receiver.blocked()

    def unblock(self) -> None:
        """
        It takes more.
        """
        self._blocked = False
        if self._receiver is not None:
            self._receiver.ready()

    # What a tunnel does.

    def begin(self) -> int:
        """
        Count: it is one stream.
        """
        return 1

    def refuse(self, code: ResetCode, reason: str) -> None:
        """
        Fail it, in place of joining it.
        """
        self.reset(code, reason)

    def abort(self) -> None:
        """
        Fail it.
        """
        self.reset(ResetCode.PEER, "aborted")

    # What the join does.

    def attach(self, receiver: Receiver) -> Stream:
        """
        Tell C{receiver} what happens here from now on.
        """
        self._receiver = receiver
        if self._blocked:
            receiver.blocked()
        return self

    def announce(self, opening: bytes) -> None:
        """
        Write bytes before the stream's own.
        """
        self.write(opening)

    def write(self, data: bytes) -> None:
        """
        Send bytes.
        """
        if not self._over and not self._ended and self._gone is None:
            self.turn.sent = True
            self._send(data)

    def finish(self) -> bool:
        """
        Keep that to ourselves.
        """
        return True  # to say it would end the other direction, too

    def reset(self, code: ResetCode, reason: str) -> None:
        """
        Fail the stream towards the other side.
        """
        if not self._leave():
            self._fail(code, reason)

    def release(self) -> None:
        """
        The join is over: close the stream.
        """
        if not self._leave():
            self._close()

    def pauseReading(self) -> None:
        """
        Take no more bytes.
        """
        self._reading = False

    def resumeReading(self) -> None:
        """
        Take bytes, those first that came before.
        """
        self._reading = True
        while self._early and self._reading:
            data = self._early.popleft()
            self.waiting -= len(data)
            self._pass(data)
        if not self._early and self._reading:
            self._tell()

    def unsent(self) -> int:
        """
        Give no sign of life: bytes of one stream are not told from another's.
        """
        return 0

    def _keep(self, data: bytes) -> None:
        early = self._early
        if early and len(early[-1]) < _SMALL and len(data) < _SMALL:
            early[-1] += data
        else:
            early.append(data)

    def _pass(self, data: bytes) -> None:
        if self._receiver is not None:
            self._receiver.received(data)
        self._passed(len(data))

    def _tell(self) -> None:
        """
        Tell the join how the other side has ended, once it can hear it.
        """
        receiver = self._receiver
        if receiver is None or self._over:
            return
        if self._gone is not None:
            receiver.failed(*self._gone)
        elif self._ended and self._reading:
            self._reading = False
            if self.wholly:
                receiver.left()
            receiver.finished()

    def _leave(self) -> bool:
        """
        @return: whether there is nothing left to say to the other side.
        """
        over, self._over = self._over, True
        self._receiver = None
        self._forget()
        return over or self._gone is not None

    def _forget(self) -> None:
        self._early.clear()
        count, self.waiting = self.waiting, 0
        if count:
            self._passed(count)
