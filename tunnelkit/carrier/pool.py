# -*- test-case-name: tests.carrier.test_pool -*-
"""
Pool: the idle work connections of one session, and the visitors who wait for one.

The client opens work connections when the server asks for them; the pool asks for
as many as recent peaks needed, so that a visitor finds one waiting.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from tunnelkit.interfaces import IWorkEnd, IWorkOwner
from tunnelkit.wire.codes import ResetCode
from tunnelkit.wire.messages import Start

LEAST: Final = 2
"""Idle work connections that are always kept."""
MOST: Final = 1024
"""Idle work connections at most."""
PATIENCE: Final = 10.0
"""Seconds that a visitor waits for a work connection."""
SURPLUS: Final = 60.0
"""Seconds after which an idle work connection that no peak needed is closed; also
how far back a peak counts."""
AGE: Final = 600.0
"""Seconds after which an idle work connection is replaced."""
LATE: Final = 5.0
"""Seconds after which a connection that was asked for is asked for again."""


class NoWork(Exception):
    """
    No work connection came for a visitor.

    @ivar code: why, for a reset.
    """

    def __init__(self, code: ResetCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code


@implementer(IWorkOwner)
class WorkPool:
    """
    Idle work connections, and who waits for one.

    @ivar opened: how many work connections came, in all.
    """

    def __init__(self, want: Callable[[int], None], clock: IReactorTime) -> None:
        """
        @param want: asks the client for this many more.
        """
        self.opened = 0
        self._want = want
        self._clock = clock
        # Both in the order in which they came; the newest idle one is lent first, so
        # that those which no peak needs grow old.
        self._idle: dict[IWorkEnd, float] = {}
        self._waiting: dict[Deferred[IWorkEnd], None] = {}
        self._busy: set[IWorkEnd] = set()
        self._asked = 0
        self._askedAt = 0.0
        self._asking = False
        self._peak = self._lastPeak = 0
        self._peakAt = clock.seconds()
        self._closed = False

    @property
    def counts(self) -> tuple[int, int, int]:
        """
        How many work connections are idle, how many carry a stream, and how many
        visitors wait for one.
        """
        return len(self._idle), len(self._busy), len(self._waiting)

    def add(self, work: IWorkEnd) -> None:
        """
        Take a new work connection in.
        """
        self.opened += 1
        self._asked = max(0, self._asked - 1)
        if self._closed:
            work.abort()
        else:
            self.idle(work)

    def take(self) -> Deferred[IWorkEnd]:
        """
        Get an idle work connection for a visitor, now or when one comes.

        @return: fails with L{NoWork} when none came in time.
        """
        if self._closed:
            return fail(NoWork(ResetCode.WITHDRAWN, "the client has gone"))
        self.fill()
        if self._idle:
            work, _ = self._idle.popitem()
            self._busy.add(work)
            self._notePeak()
            return succeed(work)
        waiting: Deferred[IWorkEnd] = Deferred(self._forget)
        self._waiting[waiting] = None
        self._notePeak()
        return waiting.addTimeout(PATIENCE, self._clock, _tooLate)

    def fill(self) -> None:
        """
        Ask for what is missing, once a turn of the reactor.
        """
        if not self._asking and not self._closed:
            self._asking = True
            self._clock.callLater(0, self._ask)

    def sweep(self) -> None:
        """
        Replace what is old and close what no peak of the last minute needed; called
        every few seconds.
        """
        now = self._clock.seconds()
        if self._asked and now - self._askedAt >= LATE:
            self._asked = 0
        if now - self._peakAt >= SURPLUS:
            self._peakAt = now
            self._lastPeak, self._peak = self._peak, len(self._busy)
        surplus = len(self._idle) - self._target()
        for work, since in [*self._idle.items()]:
            if now - since >= (SURPLUS if surplus > 0 else AGE):
                surplus -= 1
                del self._idle[work]
                work.close()
        self.fill()

    def close(self) -> None:
        """
        The session is over: reset all work connections and whoever waits for one.
        """
        self._closed = True
        waiting, self._waiting = [*self._waiting], {}
        works, self._idle, self._busy = [*self._idle, *self._busy], {}, set()
        for deferred in waiting:
            deferred.errback(NoWork(ResetCode.WITHDRAWN, "the client has gone"))
        for work in works:
            work.abort()

    # What work connections say.

    def started(self, work: IWorkEnd, start: Start) -> None:
        """
        Never said on this side.
        """

    def idle(self, work: IWorkEnd) -> None:
        """
        A work connection can carry a stream.
        """
        self._busy.discard(work)
        if not self._waiting:
            self._idle[work] = self._clock.seconds()
            return
        waiting = next(iter(self._waiting))
        del self._waiting[waiting]
        self._busy.add(work)
        waiting.callback(work)

    def lost(self, work: IWorkEnd, reason: str) -> None:
        """
        A work connection is gone.
        """
        self._busy.discard(work)
        self._idle.pop(work, None)
        self.fill()

    def _forget(self, waiting: Deferred[IWorkEnd]) -> None:
        self._waiting.pop(waiting, None)

    def _notePeak(self) -> None:
        self._peak = max(self._peak, len(self._busy) + len(self._waiting))

    def _target(self) -> int:
        """
        How many should be idle now.
        """
        recent = max(self._peak, self._lastPeak)
        return min(MOST, max(LEAST, recent - len(self._busy)))

    def _ask(self) -> None:
        self._asking = False
        if self._closed:
            return
        waiting = len(self._waiting)
        needed = self._target() if not waiting else waiting + LEAST
        lacking = needed - len(self._idle) - self._asked
        if lacking > 0:
            self._asked += lacking
            self._askedAt = self._clock.seconds()
            self._want(lacking)


def _tooLate(result: IWorkEnd | Failure, seconds: float) -> IWorkEnd:
    if isinstance(result, Failure):
        raise NoWork(
            ResetCode.BUSY, f"the client opened no work connection in {seconds:.0f} s"
        )
    return result
