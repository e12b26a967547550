"""
Tests for L{tunnelkit.wire.portal.replay}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.wire.portal.replay import WINDOW, ReplayWindow


class ReplayWindowTests(SynchronousTestCase):
    """
    A packet that comes a second time does nothing, and one that is late gets through.
    """

    @given(st.lists(st.integers(0, 3 * WINDOW), max_size=60))
    def test_model(self, numbers: list[int]) -> None:
        """
        In whatever order packets come, each is taken once, unless it is very late.
        """
        window, taken = ReplayWindow(), set[int]()
        for number in numbers:
            newest = max(taken, default=-1)
            expected = number not in taken and newest - number < WINDOW
            self.assertEqual(window.takes(number), expected)
            if expected:
                self.assertEqual(window.take(number), number > newest)
                taken.add(number)
                self.assertEqual(window.newest, max(taken))

    def test_edges(self) -> None:
        """
        One that is late by less than the window is taken, one later is not.
        """
        window = ReplayWindow()
        window.take(WINDOW)
        self.assertTrue(window.takes(1))
        self.assertFalse(window.takes(0))
        self.assertFalse(window.takes(WINDOW))

    def test_leap(self) -> None:
        """
        After a leap, however long, all before is forgotten and nothing is kept of it.
        """
        window = ReplayWindow()
        window.take(5)
        window.take(2**64 - 1)
        self.assertFalse(window.takes(5))
        self.assertTrue(window.takes(2**64 - 2))
        self.assertLess(window._taken.bit_length(), WINDOW + 1)

    def test_asking(self) -> None:
        """
        A packet that is not authentic uses no number up.
        """
        window = ReplayWindow()
        self.assertTrue(window.takes(7))
        self.assertTrue(window.takes(7))
