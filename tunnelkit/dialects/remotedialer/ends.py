# -*- test-case-name: tests.dialects.remotedialer.test_line -*-
"""
Ends: one connection that was dialled across a line, as an end of a join.

Each direction is held up by itself.  What the other side may send is said by Pause and
Resume; what we may send is said by those of the other side, and by the socket.  The
program has one flag for both, and stands still where both are full.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from twisted.internet.interfaces import IReactorTime

from tunnelkit.relay.portable.muxed import MuxedEnd
from tunnelkit.wire.codes import ResetCode
from tunnelkit.wire.remotedialer.messages import (
    END,
    PAUSE,
    PIECE,
    RESUME,
    Data,
    Error,
    Pause,
    Resume,
)

if TYPE_CHECKING:
    from tunnelkit.dialects.remotedialer.line import Line

MOST_WAITING: Final = 16 << 20
"""How many bytes of one connection may wait here.  A program that was asked to pause
may have 4 MiB in its kernel by then, and we 6 MiB in ours."""

MOST_IN_ALL: Final = 256 << 20
"""The same of all connections of one line."""


class LineEnd(MuxedEnd):
    """
    A connection.

    @ivar id: its number on the line.
    @ivar since: when it began.
    @ivar stirred: told of each sign of the other side's, where somebody asks for that.
    """

    # The program ends both directions at once, and so does whoever closes here.
    wholly = True

    def __init__(self, line: Line, id: int, since: float, asked: str, ours: bool):
        """
        @param asked: what was dialled, as C{tcp/127.0.0.1:80}.
        @param ours: whether this side dialled it.
        """
        super().__init__(asked, line.full)
        self.id = id
        self.since = since
        self.stirred: Callable[[], None] = nobody
        self._line = line
        self._ours = ours
        self._counted = 0  # of what waits, in the line's sum
        self._held_up = False  # by the other side
        self._holding_up = False  # the other side

    @property
    def failure(self) -> str:
        """
        Why it is lost; empty where it is not.
        """
        return "" if self._gone is None else self._gone[1]

    @property
    def clock(self) -> IReactorTime:
        """
        Tell the time.
        """
        return self._line.clock

    @property
    def roundTrip(self) -> float | None:
        """
        How far the other side is, in seconds; None where that is not known.
        """
        return self._line.heartbeat.roundTrip

    @property
    def closed(self) -> bool:
        """
        Whether the other side has ended it, well or not.
        """
        return self._ended or self._gone is not None

    def giveUp(self, code: ResetCode, reason: str) -> None:
        """
        Fail it, in place of joining it.
        """
        self.reset(code, reason)

    # What the line says.

    def received(self, data: bytes) -> None:
        """
        Bytes came.
        """
        super().received(data)
        self.stirred()

    def ended(self) -> None:
        """
        The other side has closed it.
        """
        super().ended()
        self.stirred()

    def lost(self, code: ResetCode, reason: str) -> None:
        """
        It failed.
        """
        super().lost(code, reason)
        self.stirred()

    def pause(self) -> None:
        """
        The other side takes no more.
        """
        self._held_up = True
        self.weigh()

    def resume(self) -> None:
        """
        It takes more.
        """
        self._held_up = False
        self.weigh()

    def weigh(self) -> None:
        """
        See whether bytes can be sent.
        """
        blocked = self._held_up or self._line.full or self.turn.held
        if blocked != self._blocked:
            if blocked:
                self.block()
            else:
                self.unblock()

    # What the join does.

    def finish(self) -> bool:
        """
        Our direction has ended.  Where it is a service's answer, the other side waits
        for this, and there is no other way to say it; where it is a question, the
        answer is still to come.
        """
        if not self._ours and not self._over and not self.closed:
            self._close()
            self.ended()
        return True

    def _send(self, data: bytes) -> None:
        for at in range(0, len(data), PIECE):
            self._line.say(Data(self.id, data[at : at + PIECE]))

    def _close(self) -> None:
        self._line.drop(self, Error(self.id, END))

    def _fail(self, code: ResetCode, reason: str) -> None:
        text = reason if reason and reason != END else f"failed: {reason}"
        self._line.drop(self, Error(self.id, text))

    def _held(self) -> None:
        self._tally()
        if self.waiting > PAUSE and not self._holding_up:
            self._holding_up = True
            self._line.say(Pause(self.id))
        if self.waiting > MOST_WAITING or self._line.waiting > MOST_IN_ALL:
            reason = "it was asked to pause, and did not"
            self._fail(ResetCode.BUSY, reason)
            self.lost(ResetCode.BUSY, reason)

    def _tally(self) -> None:
        self._line.waiting += self.waiting - self._counted
        self._counted = self.waiting

    def _passed(self, count: int) -> None:
        self._tally()
        if self._holding_up and self.waiting < RESUME:
            self._holding_up = False
            if not self._over and not self.closed:
                self._line.say(Resume(self.id))


def weigh(ends: Iterable[LineEnd]) -> None:
    """
    See of each whether bytes can be sent.
    """
    for end in ends:
        end.weigh()


def nobody() -> None:
    """
    Be told, where nobody is interested.
    """
