"""
Tests for L{tunnelkit.carrier.pool}.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from tests.fakes import FakeWork, TimedCase
from tunnelkit.carrier.pool import (
    AGE,
    LATE,
    LEAST,
    PATIENCE,
    SLACK,
    SURPLUS,
    WORKS,
    NoWork,
    WorkPool,
)
from tunnelkit.carrier.supply import MOST as MOST_OF_A_CLIENT
from tunnelkit.interfaces import IWorkEnd
from tunnelkit.wire.codes import ResetCode
from tunnelkit.wire.native.messages import Start

SWEEP = 5.0
EVENTS = ["take", "add", "idle", "lost", "late", "sweep"]


class PoolCase(TimedCase):
    """
    A pool, and what it asks the client for.
    """

    def setUp(self) -> None:
        """
        Make a pool.
        """
        super().setUp()
        self.wanted: list[int] = []
        self.pool = WorkPool(self.wanted.append, self.clock)
        self.addCleanup(self.pool.close)

    def add(self, count: int) -> list[FakeWork]:
        """
        Have the client open work connections.
        """
        works = [FakeWork() for _ in range(count)]
        for work in works:
            self.pool.add(work)
        return works

    def turn(self) -> list[int]:
        """
        Let the reactor turn.

        @return: what was asked for since the last time.
        """
        self.clock.advance(0)
        wanted, self.wanted[:] = [*self.wanted], []
        return wanted

    def sweep(self, seconds: float) -> None:
        """
        Let time pass, as in a server.
        """
        for _ in range(int(seconds / SWEEP)):
            self.clock.advance(SWEEP)
            self.pool.sweep()
        self.clock.advance(0)

    def serve(self, count: int) -> list[IWorkEnd]:
        """
        Serve so many visitors at once.
        """
        return [self.successResultOf(self.pool.take()) for _ in range(count)]


class TakingTests(PoolCase):
    """
    A visitor gets a work connection.
    """

    def test_idle(self) -> None:
        """
        A visitor who finds an idle one does not wait.
        """
        (work,) = self.add(1)
        self.assertIs(self.successResultOf(self.pool.take()), work)
        self.assertEqual(self.pool.counts, (0, 1, 0))

    def test_none(self) -> None:
        """
        A visitor who finds none gets the first that comes.
        """
        taken = self.pool.take()
        self.assertNoResult(taken)
        self.assertEqual(self.pool.counts, (0, 0, 1))
        (work,) = self.add(1)
        self.assertIs(self.successResultOf(taken), work)
        self.assertEqual(self.pool.counts, (0, 1, 0))

    def test_firstComeFirstServed(self) -> None:
        """
        Of those who wait, who came first is served first.
        """
        visitors = [self.pool.take() for _ in range(3)]
        works = self.add(2)
        self.assertEqual([self.successResultOf(v) for v in visitors[:2]], works)
        self.assertNoResult(visitors[2])
        self.failureResultOfClosing(visitors[2])

    def failureResultOfClosing(self, visitor: Deferred[IWorkEnd]) -> None:
        """
        End the session of one who still waits.
        """
        self.pool.close()
        self.failureResultOf(visitor, NoWork)

    def test_usedAgain(self) -> None:
        """
        A work connection that is done serves whoever waits, or is idle again.
        """
        (work,) = self.add(1)
        self.serve(1)
        waiting = self.pool.take()
        self.pool.idle(work)
        self.assertIs(self.successResultOf(waiting), work)
        self.pool.idle(work)
        self.assertEqual(self.pool.counts, (1, 0, 0))

    def test_newestFirst(self) -> None:
        """
        The one that was used last is used next, so that what no peak needs grows old.
        """
        first, second, third = self.add(3)
        self.assertEqual(self.serve(2), [third, second])
        self.pool.idle(third)
        self.assertEqual(self.serve(2), [third, first])

    def test_tooLate(self) -> None:
        """
        A visitor waits for ten seconds, and then hears that the client did not open
        one; one that comes then is for others.
        """
        taken = self.pool.take()
        self.clock.advance(PATIENCE - 0.1)
        self.assertNoResult(taken)
        self.clock.advance(0.1)
        error = self.failureResultOf(taken, NoWork).value
        self.assertEqual(error.code, ResetCode.BUSY)
        self.assertIn("opened no work connection in 10 s", str(error))
        self.add(1)
        self.assertEqual(self.pool.counts, (1, 0, 0))

    def test_visitorInVisitor(self) -> None:
        """
        Visitors who come while another one is being served lose nothing.
        """
        got: list[IWorkEnd] = []

        def note(work: IWorkEnd) -> None:
            got.append(work)

        def served(work: IWorkEnd) -> None:
            got.append(work)
            self.pool.take().addCallback(note)
            self.pool.idle(work)

        self.pool.take().addCallback(served)
        (work,) = self.add(1)
        self.assertEqual(got, [work, work])
        self.assertEqual(self.pool.counts, (0, 1, 0))

    def test_neverStartsStreams(self) -> None:
        """
        It is the server that opens streams: nothing comes of one that a client's
        connection reports.
        """
        start = Start(1, "web", "tcp", "", "")
        self.pool.started(FakeWork(), start)
        self.assertEqual(self.pool.counts, (0, 0, 0))


class AskingTests(PoolCase):
    """
    The client is asked for as many as are needed.
    """

    def test_least(self) -> None:
        """
        Two are kept idle from the beginning.
        """
        self.pool.fill()
        self.assertEqual(self.turn(), [2])

    def test_burst(self) -> None:
        """
        A burst of visitors asks once, for all of them and two more.
        """
        for _ in range(50):
            self.pool.take().addErrback(lambda failure: failure.trap(NoWork))
        self.assertEqual(self.wanted, [])
        self.assertEqual(self.turn(), [52])

    def test_whatComesIsNotAskedForAgain(self) -> None:
        """
        A second burst asks only for what is not on its way.
        """
        for _ in range(2):
            for _ in range(5):
                self.pool.take().addErrback(lambda failure: failure.trap(NoWork))
            wanted = self.turn()
        self.assertEqual(wanted, [5])

    def test_visitorLeavesTwoIdle(self) -> None:
        """
        While visitors come, two more than they need are kept.
        """
        self.add(2)
        self.serve(1)
        self.assertEqual(self.turn(), [1])

    def test_lostWhileIdle(self) -> None:
        """
        One that is lost while it waits is replaced.
        """
        first, second = self.add(2)
        self.pool.lost(first, "closed")
        self.assertEqual(self.pool.counts, (1, 0, 0))
        self.assertEqual(self.turn(), [1])
        self.assertEqual(self.serve(1), [second])

    def test_lostWhileBusy(self) -> None:
        """
        One that is lost while it carries a stream is carried no more in the count.
        """
        self.add(1)
        (work,) = self.serve(1)
        self.pool.lost(work, "reset")
        self.assertEqual(self.pool.counts, (0, 0, 0))

    def test_neverCame(self) -> None:
        """
        Those that were asked for and did not come are asked for again, while there is
        still time for them to serve who waits.
        """
        visitors = [self.pool.take() for _ in range(3)]
        self.assertEqual(self.turn(), [5])
        self.clock.advance(LATE - 0.1)
        self.assertEqual(self.turn(), [])
        for wait in (0.1, LATE):
            self.clock.advance(wait)
            self.assertEqual(self.turn(), [5])
        self.add(3)
        for visitor in visitors:
            self.successResultOf(visitor)

    def test_fewNeverCame(self) -> None:
        """
        What is lacking of an earlier burst is not forgotten in the stream of later
        visitors: each of those would wait in vain for the one before.
        """
        served = 0

        def count(work: IWorkEnd) -> None:
            nonlocal served
            served += 1

        for _ in range(6):
            self.pool.take().addCallback(count).addErrback(lambda _: None)
        (first,) = self.turn()
        self.add(first - 5)
        came = 6
        for _ in range(40):
            self.clock.advance(0.5)
            self.pool.take().addCallback(count).addErrback(lambda _: None)
            came += 1
            self.add(sum(self.turn()))
        self.assertEqual((served, self.pool.counts[2]), (came, 0))

    def test_manyTakeTheirTime(self) -> None:
        """
        While those that were asked for keep coming, they are not asked for twice.
        """
        for _ in range(20):
            self.pool.take().addErrback(lambda failure: failure.trap(NoWork))
        self.assertEqual(self.turn(), [22])
        for _ in range(8):
            self.clock.advance(1.0)
            self.add(1)
            self.assertEqual(self.turn(), [])

    def test_unaskedFor(self) -> None:
        """
        A client may open some that it was not asked for.
        """
        self.add(5)
        self.pool.fill()
        self.assertEqual(self.turn(), [])


class KeepingTests(PoolCase):
    """
    As many are kept as recent peaks needed.
    """

    def peak(self, count: int) -> list[FakeWork]:
        """
        Have so many visitors at once, and have them leave.
        """
        works = self.add(count)
        self.serve(count)
        for work in works:
            self.pool.idle(work)
        return works

    def test_peakIsKept(self) -> None:
        """
        What a peak needed is kept for more than a minute.
        """
        works = self.peak(10)
        self.sweep(100)
        self.assertFalse(any(work.closed for work in works))
        self.assertEqual(self.pool.counts, (10, 0, 0))

    def test_surplusIsClosed(self) -> None:
        """
        What no peak of the last minutes needed is closed, all but two; those stay
        which were used last.
        """
        works = self.peak(10)
        self.sweep(180)
        self.assertEqual([work.closed for work in works], [True] * 8 + [False] * 2)
        self.assertEqual(self.pool.counts, (2, 0, 0))

    def test_surplusIsClosedOnlyWhenOld(self) -> None:
        """
        More than is needed may be there for a minute, for the next peak.
        """
        works = self.add(10)
        self.sweep(SURPLUS - SWEEP)
        self.assertFalse(any(work.closed for work in works))
        self.sweep(SWEEP)
        self.assertEqual(sum(work.closed for work in works), 8)

    def test_busyCountsInThePeak(self) -> None:
        """
        Visitors that stay need no idle connection behind them.
        """
        self.add(10)
        self.serve(5)
        self.sweep(180)
        self.assertEqual(self.pool.counts, (2, 5, 0))

    def test_old(self) -> None:
        """
        One that has been idle for ten minutes is replaced.
        """
        works = self.add(2)
        self.turn()
        self.sweep(AGE - SWEEP)
        self.assertFalse(any(work.closed for work in works))
        self.assertEqual(self.turn(), [])
        self.sweep(SWEEP)
        self.assertTrue(all(work.closed for work in works))
        self.assertEqual(self.turn(), [2])

    def test_most(self) -> None:
        """
        A client that opens connections without end has no more of them kept than
        were asked for, and some that may have come late; the others are reset, as a
        close would be for the client to finish, or not.
        """
        works = self.add(1100)
        kept = LEAST + SLACK
        self.assertEqual(self.pool.counts, (kept, 0, 0))
        self.assertEqual([w.aborted for w in works], [n >= kept for n in range(1100)])
        self.assertFalse(any(work.closed for work in works))

    def test_mostIsWanted(self) -> None:
        """
        However high the peak was, no more than 1024 are asked for to be idle.
        """
        visitors = [self.pool.take() for _ in range(1200)]
        for work in self.add(1200):
            self.pool.lost(work, "closed")
        self.assertEqual(sum(self.turn()), 1024)
        self.assertEqual(len(visitors), 1200)


class BoundTests(PoolCase):
    """
    A client has so many work connections and no more, whatever becomes of them.
    """

    def setUp(self) -> None:
        """
        Make a pool for four.
        """
        super().setUp()
        self.pool = WorkPool(self.wanted.append, self.clock, works=4)
        self.addCleanup(self.pool.close)

    def test_default(self) -> None:
        """
        That is as many as a client of ours opens.
        """
        self.assertTrue(WORKS >= MOST_OF_A_CLIENT)

    def test_busy(self) -> None:
        """
        Those that carry a stream count, also where the visitor has gone long ago and
        the client does not say that the stream is done.
        """
        for _ in range(4):
            self.assertTrue(self.pool.add(FakeWork()))
        self.serve(4)
        another = FakeWork()
        self.assertFalse(self.pool.add(another))
        self.assertTrue(another.aborted)
        self.assertEqual(self.pool.counts, (0, 4, 0))

    def test_closing(self) -> None:
        """
        So do those that were asked to close, until the client has closed them, too.
        """
        works = self.add(4)
        self.sweep(AGE)
        self.assertTrue(all(work.closed for work in works))
        self.assertFalse(self.pool.add(FakeWork()))
        self.pool.lost(works[0], "closed")
        self.assertTrue(self.pool.add(FakeWork()))
        self.assertFalse(self.pool.add(FakeWork()))

    def test_waiting(self) -> None:
        """
        A visitor who waits is no reason to take one too many.
        """
        self.add(4)
        self.serve(4)
        waiting = self.pool.take()
        self.assertFalse(self.pool.add(FakeWork()))
        self.assertNoResult(waiting)
        self.pool.close()
        self.failureResultOf(waiting, NoWork)

    def test_notAskedFor(self) -> None:
        """
        No more are asked for than may come: else server and client would be busy
        with connections that are reset.
        """
        works = self.add(3)
        self.serve(3)
        self.assertEqual(self.turn(), [1])
        self.clock.advance(LATE)
        self.assertEqual(self.turn(), [1])
        works += self.add(1)
        self.clock.advance(LATE)
        self.assertEqual(self.turn(), [])
        self.pool.lost(works[0], "closed")
        self.assertEqual(self.turn(), [1])

    def test_end(self) -> None:
        """
        The end of the session resets those as well that were asked to close.
        """
        works = self.add(4)
        self.sweep(AGE)
        self.pool.close()
        self.assertTrue(all(work.aborted for work in works))


class ClosingTests(PoolCase):
    """
    The end of a session is the end of its streams.
    """

    def test_works(self) -> None:
        """
        All work connections are reset, idle and busy.
        """
        works = self.add(3)
        self.serve(1)
        self.pool.close()
        self.assertTrue(all(work.aborted for work in works))
        self.assertEqual(self.pool.counts, (0, 0, 0))

    def test_visitors(self) -> None:
        """
        Who waits is told that the client has gone; so is who comes after that, also
        from within.
        """
        later: list[Deferred[Any]] = []
        waiting = self.pool.take()

        def again(failure: Failure) -> Failure:
            later.append(self.pool.take())
            return failure

        waiting.addErrback(again)
        self.pool.close()
        for taken in (waiting, *later, self.pool.take()):
            error = self.failureResultOf(taken, NoWork).value
            self.assertEqual(error.code, ResetCode.WITHDRAWN)
            self.assertIn("the client has gone", str(error))
        self.assertEqual(len(later), 1)

    def test_tooLateToCome(self) -> None:
        """
        Work connections that come, or become idle, when the session is over are
        reset, and no more are asked for.
        """
        (busy,) = self.add(1)
        self.serve(1)
        self.turn()
        self.pool.close()
        late = FakeWork()
        self.assertFalse(self.pool.add(late))
        self.pool.idle(busy)
        self.pool.lost(busy, "reset")
        self.pool.fill()
        self.pool.sweep()
        self.assertTrue(late.aborted)
        self.assertTrue(busy.aborted)
        self.assertEqual(self.turn(), [])
        self.assertEqual(self.pool.counts, (0, 0, 0))

    def test_nothingIsLeft(self) -> None:
        """
        Nothing is left for the reactor to do, whatever was under way.
        """
        self.pool.take().addErrback(lambda failure: failure.trap(NoWork))
        self.turn()
        self.pool.fill()
        self.pool.close()
        self.assertQuiet()


class AnyOrderTests(TimedCase):
    """
    Whatever happens in whatever order, nobody is forgotten.
    """

    @settings(max_examples=150)
    @given(st.lists(st.sampled_from(EVENTS)))
    def test_anyOrder(self, events: list[str]) -> None:
        """
        Each visitor is served, waits, or was told why not; no work connection is
        idle while somebody waits, nor serves two; and who waits has been asked for.
        """
        clock, asked = Clock(), [0]
        pool = WorkPool(lambda n: asked.__setitem__(0, asked[0] + n), clock)
        serving: list[IWorkEnd] = []
        waiting = 0

        def served(work: IWorkEnd) -> None:
            nonlocal waiting
            waiting -= 1
            assert work not in serving, "it carries a stream already"
            serving.append(work)

        def failed(failure: Failure) -> None:
            nonlocal waiting
            failure.trap(NoWork)
            waiting -= 1

        for event in events:
            if event == "take":
                waiting += 1
                pool.take().addCallbacks(served, failed)
            elif event == "add":
                pool.add(FakeWork())
            elif event == "idle" and serving:
                pool.idle(serving.pop())
            elif event == "lost" and serving:
                pool.lost(serving.pop(), "reset")
            elif event == "late":
                clock.advance(4.9)
            elif event == "sweep":
                pool.sweep()
            clock.advance(0)
            counts = pool.counts
            self.assertEqual(counts[1:], (len(serving), waiting))
            self.assertTrue(not counts[0] or not counts[2])
            self.assertTrue(not waiting or asked[0] >= waiting)
        pool.close()
        self.assertEqual(waiting, 0)
        self.assertEqual(clock.getDelayedCalls(), [])
