"""
Tests for L{tunnelkit.control.rounds}.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.control.rounds import Round


class RoundTests(SynchronousTestCase):
    """
    What is to be done every few seconds.
    """

    def test_again(self) -> None:
        """
        It is done that often, not at once, and no more after the end.
        """
        clock, times = Clock(), list[float]()
        one = Round(5.0, lambda: times.append(clock.seconds()), clock)
        one.start()
        clock.pump([5.0, 5.0])
        one.stop()
        one.stop()
        clock.advance(10.0)
        self.assertEqual(times, [5.0, 10.0])
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_bug(self) -> None:
        """
        A bug is logged, and does not end it.
        """
        clock = Clock()
        one = Round(1.0, lambda: [][0], clock)
        one.start()
        clock.pump([1.0, 1.0])
        self.assertEqual(len(self.flushLoggedErrors(IndexError)), 2)
        one.stop()
