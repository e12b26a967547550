"""
Tests for L{tests.bench.neighbours}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.bench.neighbours import Noise, Times, noise, readTimes

STAT = """\
cpu  1000 200 300 90000 50 30 20 700 0 0
cpu0 500 100 150 45000 25 15 10 350 0 0
"""


class NoiseTests(SynchronousTestCase):
    """
    Who measures on a busy machine is told.
    """

    def test_read(self) -> None:
        """
        Time in which nothing ran is nobody's.
        """
        self.assertEqual(readTimes(STAT, 100), Times(busy=15.5, stolen=7.0))

    def test_others(self) -> None:
        """
        What was ours is not laid on others, and what the host kept is told apart.
        """
        before, after = Times(100, 10), Times(150, 12)
        self.assertEqual(noise(before, after, 40, 100), Noise(0.1, 0.02))
        self.assertEqual(noise(before, after, 51, 100), Noise(0.0, 0.02))

    def test_told(self) -> None:
        """
        A run that was disturbed is not to be trusted.
        """
        self.assertIn("had 10%", Noise(0.1, 0.0).told())
        self.assertIn("measure again", Noise(0.1, 0.0).told())
        self.assertIn("measure again", Noise(0.0, 0.1).told())
        self.assertNotIn("measure again", Noise(0.01, 0.01).told())
