"""
Tests for L{tests.bench.neighbours}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.bench.neighbours import Noise, readStolen

STAT = """\
cpu  1000 200 300 90000 50 30 20 700 0 0
cpu0 500 100 150 45000 25 15 10 350 0 0
"""


class NoiseTests(SynchronousTestCase):
    """
    Who measures on a busy machine is told.
    """

    def test_stolen(self) -> None:
        """
        What the host of a virtual machine kept is no program's.
        """
        self.assertEqual(readStolen(STAT), 700)

    def test_told(self) -> None:
        """
        A run that was disturbed is not to be trusted.
        """
        self.assertIn("had 10%", Noise(0.1, 0.0).told())
        self.assertIn("measure again", Noise(0.1, 0.0).told())
        self.assertIn("measure again", Noise(0.0, 0.1).told())
        self.assertNotIn("measure again", Noise(0.01, 0.01).told())
