"""
Tests for L{tunnelkit.relay.ticks}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from tests.fakes import TimedCase
from tunnelkit.relay.ticks import TICK, Ticks


class TicksTests(TimedCase):
    """
    Tests for L{Ticks}.
    """

    def setUp(self) -> None:
        """
        Make the ticks.
        """
        super().setUp()
        self.ticks = Ticks(self.clock)
        self.came: list[str] = []

    def test_contract(self) -> None:
        """
        What waits for something can wait here, as it would with a reactor.
        """
        late = self.ticks.callLater(3, self.came.append, "late")
        verifyObject(IReactorTime, self.ticks)
        verifyObject(IDelayedCall, late)
        self.assertEqual(self.ticks.getDelayedCalls(), [late])
        self.assertEqual((late.getTime(), late.active()), (3 + TICK, True))
        late.cancel()

    @given(st.lists(st.tuples(st.floats(0, 9), st.floats(0, 4)), min_size=1))
    def test_time(self, waits: list[tuple[float, float]]) -> None:
        """
        No stream is cut before its time, and none much later.
        """
        clock = Clock()
        ticks = Ticks(clock)
        came: list[tuple[float, float]] = []
        for delay, pause in waits:
            due = clock.seconds() + delay

            def call(due: float = due) -> None:
                came.append((due, clock.seconds()))

            ticks.callLater(delay, call)
            clock.advance(pause)
        while clock.getDelayedCalls():
            clock.advance(TICK / 8)
        self.assertEqual(len(came), len(waits))
        for due, at in came:
            # A pause of the test's is a reactor that stood still; and it looks at its
            # clock eight times a tick.
            self.assertLessEqual(due, at)
            self.assertLessEqual(at - due, 3 * TICK + 4 + TICK / 8)

    def test_lateness(self) -> None:
        """
        Wherever between two ticks a deadline falls, it is not two ticks late.
        """
        for step in range(16):
            clock = Clock()
            clock.advance(step / 16)
            ticks = Ticks(clock)
            for delay in range(1, 33):
                due = clock.seconds() + delay / 16
                came: list[float] = []
                ticks.callLater(delay / 16, lambda: came.append(clock.seconds()))  # noqa: B023
                while not came:
                    clock.advance(1 / 16)
                self.assertLessEqual(due, came[0])
                self.assertLessEqual(came[0], due + 2 * TICK)

    def test_calledOff(self) -> None:
        """
        Deadlines that are called off never come, and leave a reactor at rest.
        """
        lates = [
            self.ticks.callLater(n, self.came.append, "never") for n in range(1, 4)
        ]
        for late in lates:
            late.cancel()
            self.assertFalse(late.active())
            late.cancel()
        self.assertQuiet()
        self.clock.advance(9)
        self.assertEqual((self.came, self.ticks.getDelayedCalls()), ([], []))

    def test_afterwards(self) -> None:
        """
        A deadline that has come cannot be called off, and nobody minds who tries.
        """
        late = self.ticks.callLater(1, self.came.append, "once")
        self.clock.pump([TICK] * 4)
        self.assertFalse(late.active())
        late.cancel()
        self.assertEqual(self.came, ["once"])

    def test_oneAnother(self) -> None:
        """
        One deadline may call off another of the same moment, and make a new one.
        """
        lates: list[IDelayedCall] = []

        def come() -> None:
            self.came.append("one")
            for late in lates:
                late.cancel()
            self.ticks.callLater(1, self.came.append, "new")

        lates += [self.ticks.callLater(1, come) for _ in range(3)]
        self.clock.pump([TICK] * 5)
        self.assertEqual(self.came, ["one", "new"])

    def test_bug(self) -> None:
        """
        A bug at one deadline is in the log, and keeps no other from coming.
        """
        for _ in range(2):
            self.ticks.callLater(1, lambda: 1 / 0)
            self.ticks.callLater(1, self.came.append, "came")
        self.ticks.callLater(3, self.came.append, "later")
        self.clock.pump([TICK] * 6)
        self.assertEqual(self.came, ["came", "came", "later"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)

    def test_arguments(self) -> None:
        """
        What is called gets what it was to get.
        """
        self.ticks.callLater(0, self.came.extend, ["a", "b"])
        self.ticks.callLater(0, sorted, [1], reverse=True)
        self.clock.pump([TICK] * 3)
        self.assertEqual(self.came, ["a", "b"])
        self.assertEqual(self.ticks.seconds(), self.clock.seconds())

    def test_unmoved(self) -> None:
        """
        A deadline cannot be moved, and says so.
        """
        late = self.ticks.callLater(1, self.came.append, "late")
        self.assertRaises(NotImplementedError, late.delay, 1)
        self.assertRaises(NotImplementedError, late.reset, 1)
        late.cancel()
