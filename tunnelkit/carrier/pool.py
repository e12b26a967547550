# -*- test-case-name: tests.carrier.test_pool -*-
"""
Pool: the idle work connections of one session, and the visitors who wait for one.

The client opens work connections when the server asks for them; the pool asks for
as many as recent peaks needed, so that a visitor finds one waiting.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, cast

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from tunnelkit.carrier.contract import Opening
from tunnelkit.interfaces import ICarrier, IWorkEnd, IWorkLink, IWorkOwner
from tunnelkit.wire.codes import ResetCode
from tunnelkit.wire.native.codec import starting
from tunnelkit.wire.native.messages import Start

LEAST: Final = 2
"""Idle work connections that are always kept."""
MOST: Final = 1024
"""Idle work connections at most."""
WORKS: Final = 65536
"""Work connections at most, idle, busy, and those that were asked to close."""
PATIENCE: Final = 10.0
"""Seconds that a visitor waits for a work connection."""
SURPLUS: Final = 60.0
"""Seconds after which an idle work connection that no peak needed is closed; also
how far back a peak counts."""
SLACK: Final = 64
"""Work connections beyond those that were asked for which are taken all the same: some
come so late that others have been asked for in their place."""
AGE: Final = 600.0
"""Seconds after which an idle work connection is replaced."""
LATE: Final = 4.0
"""Seconds after which a connection that was asked for is asked for again: early
enough that it can still come for who waits."""


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
    """

    def __init__(
        self,
        want: Callable[[int], None],
        clock: IReactorTime,
        least: int = LEAST,
        most: int = MOST,
        works: int = WORKS,
    ) -> None:
        """
        @param want: asks the client for this many more.
        @param least: how many idle ones are always kept.
        @param most: how many idle ones are kept at most.
        @param works: how many there may be in all.
        """
        self._want = want
        self._clock = clock
        self._least = least
        self._most = most
        self._bound = works
        # All of them, until they are lost: one that was asked to close may take its
        # time, and one that is busy is so for as long as the client says.
        self._works: set[IWorkLink] = set()
        # In the order in which they became idle; the newest is lent first, so that
        # those which no peak needs grow old.
        self._idle: dict[IWorkEnd, float] = {}
        self._waiting: dict[Deferred[IWorkEnd], None] = {}
        self._busy: set[IWorkEnd] = set()
        self._asks = _Asks()
        self._asking: IDelayedCall | None = None
        self._askingAgain: IDelayedCall | None = None
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

    def opening(self, tunnel: str, kind: str, port: int, compress: str) -> Opening:
        """
        Say what the streams of a tunnel begin with: C{start}.
        """
        return starting(tunnel, kind, compress)

    def add(self, work: IWorkEnd) -> bool:
        """
        Take a new work connection in.

        @return: whether it is wanted; if not, it is reset, so that it is gone
            whatever the client does.  Nothing is on its way that could be lost.
        """
        if self._closed or len(self._works) >= self._bound:
            work.abort()
            return False
        self._works.add(work)
        now = self._clock.seconds()
        room = self._target() + self._asks.expected(now) + SLACK
        self._asks.oneCame(now + LATE)
        if self._waiting or len(self._idle) < room:
            self.idle(work)
            return True
        work.abort()
        return False

    def takeNow(self) -> IWorkEnd | None:
        """
        Get an idle work connection for a visitor, if one is there, as it is for most.
        """
        if self._closed or not self._idle:
            return None
        work, _ = self._idle.popitem()
        self._busy.add(work)
        needed = len(self._busy)  # nobody waits while one is idle
        # Only these two have more asked for: the fewer are idle, the fewer need be.
        if needed > self._peak or len(self._idle) < self._least:
            self._peak = max(self._peak, needed)
            self.fill()
        return work

    def take(self) -> Deferred[IWorkEnd]:
        """
        Get an idle work connection for a visitor, now or when one comes.

        @return: fails with L{NoWork} when none came in time.
        """
        if self._closed:
            return fail(_gone())
        work = self.takeNow()
        if work is not None:
            return succeed(work)
        self.fill()
        waiting: Deferred[IWorkEnd] = Deferred(self._forget)
        self._waiting[waiting] = None
        self._peak = max(self._peak, len(self._busy) + len(self._waiting))
        return waiting.addTimeout(PATIENCE, self._clock, _tooLate)

    def lends(self, work: IWorkEnd) -> bool:
        """
        Say whether a work connection that was taken is still there.
        """
        return work in self._busy

    def fill(self) -> None:
        """
        Ask for what is missing, once a turn of the reactor.
        """
        if self._asking is None and not self._closed:
            self._asking = self._clock.callLater(0, self._askNow)

    def sweep(self) -> None:
        """
        Replace what is old and close what no peak of the last minute needed; called
        every few seconds.
        """
        now = self._clock.seconds()
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
        for call in (self._asking, self._askingAgain):
            if call is not None and call.active():
                call.cancel()
        waiting, self._waiting = [*self._waiting], {}
        self._idle, self._busy = {}, set()
        for deferred in waiting:
            deferred.errback(_gone())
        for work in [*self._works]:
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
        if self._closed:
            work.abort()
        elif self._waiting:
            waiting = next(iter(self._waiting))
            del self._waiting[waiting]
            self._busy.add(work)
            waiting.callback(work)
        elif len(self._idle) < self._most:
            self._idle[work] = self._clock.seconds()
        else:
            work.close()

    def given(self, work: IWorkEnd, carrier: ICarrier) -> None:
        """
        A work connection has become a datagram carrier.
        """
        self._works.discard(work)
        self._busy.discard(work)
        self._works.add(carrier)

    def lost(self, work: IWorkLink, reason: str) -> None:
        """
        A work connection is gone.
        """
        self._works.discard(work)
        self._busy.discard(work)
        self._idle.pop(cast(IWorkEnd, work), None)
        self.fill()

    def _forget(self, waiting: Deferred[IWorkEnd]) -> None:
        self._waiting.pop(waiting, None)

    def _target(self) -> int:
        """
        How many should be idle now.
        """
        recent = max(self._peak, self._lastPeak)
        return min(self._most, max(self._least, recent - len(self._busy)))

    def _askNow(self) -> None:
        self._asking = None
        self._ask()

    def _askAgain(self) -> None:
        self._askingAgain = None
        self._ask()

    def _ask(self) -> None:
        """
        Ask for what is missing and not on its way, and look again when that is late.
        """
        now = self._clock.seconds()
        expected = self._asks.expected(now)
        needed = max(self._target(), len(self._waiting) + self._least)
        room = self._bound - len(self._works) - expected
        lacking = min(room, needed - len(self._idle) - expected)
        if lacking > 0:
            self._asks.note(lacking, now + LATE)
            self._want(lacking)
        due = self._asks.due
        if due is not None and self._askingAgain is None and not self._closed:
            self._askingAgain = self._clock.callLater(due - now, self._askAgain)


class _Asks:
    """
    Work connections that were asked for and have not come yet.
    """

    def __init__(self) -> None:
        # How many, and until when they are expected; the oldest first.
        self._asks: deque[tuple[int, float]] = deque()
        self._total = 0

    @property
    def due(self) -> float | None:
        """
        When the first of them will be late; None where nothing is expected.
        """
        return self._asks[0][1] if self._asks else None

    def note(self, count: int, until: float) -> None:
        """
        So many were asked for.
        """
        self._asks.append((count, until))
        self._total += count

    def oneCame(self, until: float) -> None:
        """
        One has come; it counts for those that were asked for last, so that others,
        which were lost, become late.

        @param until: when the next one is expected, where more were asked for at
            the same time: many take their time.
        """
        if self._asks:
            count, _ = self._asks.pop()
            self._total -= 1
            if count > 1:
                self._asks.append((count - 1, until))

    def expected(self, now: float) -> int:
        """
        Say how many may still come; those that are late count no more.
        """
        while self._asks and self._asks[0][1] <= now:
            count, _ = self._asks.popleft()
            self._total -= count
        return self._total


def _gone() -> NoWork:
    return NoWork(ResetCode.WITHDRAWN, "the client has gone")


def _tooLate(result: IWorkEnd | Failure, seconds: float) -> IWorkEnd:
    if isinstance(result, Failure):
        raise NoWork(
            ResetCode.BUSY, f"the client opened no work connection in {seconds:.0f} s"
        )
    return result
