"""
Tests of L{tunnelkit.sharing.limits}.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.sharing.limits import Limits


class LimitsTests(SynchronousTestCase):
    """
    Deadlines of a connection.
    """

    def setUp(self) -> None:
        """
        Have a clock that stands.
        """
        self.clock = Clock()
        self.limits = Limits(self.clock)
        self.reached: list[str] = []

    def set(self, name: str, seconds: float) -> None:
        """
        Begin one.
        """
        self.limits.set(name, seconds, lambda: self.reached.append(name))

    def test_reached(self) -> None:
        """
        Each comes once, at its time.
        """
        self.set("a", 3)
        self.set("b", 2)
        self.clock.advance(2)
        self.assertEqual(self.reached, ["b"])
        self.assertIn("a", self.limits)
        self.assertNotIn("b", self.limits)
        self.clock.advance(1)
        self.assertEqual(self.reached, ["b", "a"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_again(self) -> None:
        """
        One that is begun anew comes that much later, and not before, with one call of
        the clock.
        """
        self.set("a", 3)
        self.clock.advance(2)
        self.set("a", 3)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.clock.advance(1)
        self.clock.advance(1.9)
        self.assertEqual(self.reached, [])
        self.clock.advance(0.2)
        self.assertEqual(self.reached, ["a"])

    def test_drop(self) -> None:
        """
        One that is taken back does not come; begun again it does, at its time.
        """
        self.set("a", 3)
        self.clock.advance(1)
        self.limits.drop("a")
        self.limits.drop("never")
        self.assertNotIn("a", self.limits)
        self.clock.advance(1)
        self.set("a", 3)
        self.clock.advance(2.9)
        self.assertEqual(self.reached, [])
        self.clock.advance(0.2)
        self.assertEqual(self.reached, ["a"])

    def test_dropAll(self) -> None:
        """
        When its connection is gone nothing is left.
        """
        self.set("a", 3)
        self.set("b", 3)
        self.limits.drop("b")
        self.limits.dropAll()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.clock.advance(9)
        self.assertEqual(self.reached, [])
