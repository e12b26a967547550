"""
Tests for L{tunnelkit.tunnels.bursts}.
"""

from __future__ import annotations

from tests.fakes import TimedCase
from tunnelkit.tunnels.bursts import KEPT, QUIET, Bursts


class BurstsTests(TimedCase):
    """
    A thousand visitors in trouble are a line in the log, not a thousand.
    """

    def setUp(self) -> None:
        """
        Begin in silence.
        """
        super().setUp()
        self.said: list[str] = []
        self.bursts = Bursts(self.said.append, self.clock)
        self.addCleanup(self.bursts.stop)

    def test_first(self) -> None:
        """
        A trouble is said when it begins, and where it was alone, no more of it.
        """
        self.bursts.note("refused")
        self.assertEqual(self.said, ["refused"])
        self.clock.advance(QUIET)
        self.assertEqual(self.said, ["refused"])
        self.assertQuiet()

    def test_count(self) -> None:
        """
        How often it came then is said after ten seconds, and again while it goes on.
        """
        for _ in range(1000):
            self.bursts.note("refused")
        self.clock.advance(QUIET)
        self.bursts.note("refused")
        self.clock.advance(QUIET)
        self.clock.advance(QUIET)
        self.assertEqual(
            self.said,
            [
                "refused",
                "refused (999 times more in 10 s)",
                "refused (once more in 10 s)",
            ],
        )
        self.assertQuiet()

    def test_newsAgain(self) -> None:
        """
        After ten quiet seconds the same trouble is news.
        """
        for _ in range(2):
            self.bursts.note("refused")
            self.clock.advance(QUIET)
        self.assertEqual(self.said, ["refused", "refused"])

    def test_different(self) -> None:
        """
        Different troubles are told apart, up to a hundred at a time.
        """
        for number in range(KEPT + 50):
            self.bursts.note(f"trouble {number}")
        self.assertEqual(len(self.said), KEPT)
        self.clock.advance(QUIET)
        self.bursts.note("another")
        self.assertEqual(self.said[KEPT:], ["another"])

    def test_stop(self) -> None:
        """
        At the end the rest is said, and nothing is left for the reactor to do.
        """
        for _ in range(3):
            self.bursts.note("refused")
        for _ in range(2):
            self.bursts.note("late")
        self.bursts.stop()
        self.assertEqual(
            self.said,
            ["refused", "late", "refused (2 times more)", "late (once more)"],
        )
        self.assertQuiet()

    def test_legible(self) -> None:
        """
        What the other side wrote does no harm to the log.
        """
        self.bursts.note("refused\n\x1b[2J" + "x" * 5000)
        (said,) = self.said
        self.assertTrue(said.isprintable())
        self.assertTrue(len(said) < 400)
