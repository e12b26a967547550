"""
Tests for L{tunnelkit.control.backoff}.
"""

from __future__ import annotations

from itertools import repeat

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.control.backoff import LONGEST, PATIENT, Backoff


def delays(backoff: Backoff, seconds: float) -> list[float]:
    """
    Give the delays behind the first, until they make so many seconds.
    """
    found: list[float] = []
    while sum(found) < seconds - 1e-6:
        found.append(backoff.delay())
    return found


class BackoffTests(SynchronousTestCase):
    """
    A client comes back soon, and does not hammer.
    """

    def test_atOnce(self) -> None:
        """
        The first try is at once.
        """
        self.assertEqual(Backoff(lambda: 0.5).delay(), 0.0)

    def test_quick(self) -> None:
        """
        For the first five seconds it is tried again every 0.1 to 0.4 s.
        """
        for random, expected in ((0.0, 0.1), (0.5, 0.25), (1.0, 0.4)):
            backoff = Backoff(repeat(random).__next__)
            backoff.delay()
            for delay in delays(backoff, PATIENT - 0.4):
                self.assertAlmostEqual(delay, expected)

    def test_slow(self) -> None:
        """
        Then waits double, up to 15 s.
        """
        backoff = Backoff(lambda: 1.0)
        backoff.delay()
        delays(backoff, PATIENT)
        self.assertEqual([backoff.delay() for _ in range(5)], [2, 4, 8, 15, 15])

    def test_jitter(self) -> None:
        """
        Two clients that lost their server at the same moment do not come in step: a
        wait is anywhere in the upper half.
        """
        low, high = Backoff(lambda: 0.0), Backoff(lambda: 1.0)
        for backoff in (low, high):
            backoff.delay()
            delays(backoff, PATIENT)
        self.assertEqual([low.delay() for _ in range(4)], [1, 2, 4, 7.5])
        self.assertEqual([high.delay() for _ in range(4)], [2, 4, 8, 15])

    def test_reset(self) -> None:
        """
        After a good login it begins anew, and only then.
        """
        backoff = Backoff(lambda: 1.0)
        for _ in range(50):
            backoff.delay()
        backoff.reset()
        self.assertEqual(backoff.delay(), 0.0)
        self.assertAlmostEqual(backoff.delay(), 0.4)

    def test_lasting(self) -> None:
        """
        A server that has let this client in before and now refuses its token is not
        asked many times a second: that can hardly help.
        """
        backoff = Backoff(lambda: 1.0)
        self.assertEqual([backoff.delay(lasting=True) for _ in range(3)], [2, 4, 8])
        backoff.reset()
        self.assertEqual(backoff.delay(), 0.0)

    @given(st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=60))
    def test_bounds(self, chances: list[float]) -> None:
        """
        Whatever the chance, no wait but the first is none, and none is beyond 15 s.
        """
        numbers = iter(chances)
        backoff = Backoff(lambda: next(numbers))
        self.assertEqual(backoff.delay(), 0.0)
        for _ in chances:
            self.assertTrue(0.1 <= backoff.delay() <= LONGEST)
