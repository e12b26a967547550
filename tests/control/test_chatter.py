"""
Tests for L{tunnelkit.control.chatter}.
"""

from __future__ import annotations

from tests.fakes import TimedCase
from tunnelkit.control.chatter import EACH, LINES, Chatter


class ChatterTests(TimedCase):
    """
    Who has a token cannot fill the disk with what the log says of it.
    """

    def setUp(self) -> None:
        """
        Begin with an empty log.
        """
        super().setUp()
        self.clock.advance(1000)
        self.said: list[tuple[str, int]] = []
        self.chatter = Chatter(lambda *said: self.said.append(said), self.clock)
        self.addCleanup(self.chatter.stop)

    def lines(self, count: int, user: str = "ann") -> int:
        """
        Have so much happen.

        @return: how many lines there was room for.
        """
        return sum(self.chatter.room(user) for _ in range(count))

    def test_first(self) -> None:
        """
        A thousand clients that come at once are all to be read of.
        """
        self.assertEqual(self.lines(LINES), LINES)
        self.assertEqual(self.said, [])
        self.assertQuiet()

    def test_flood(self) -> None:
        """
        Of what comes beyond that one line a second is to be read, and how many were
        left out.
        """
        self.assertEqual(self.lines(LINES + 500), LINES)
        for _ in range(20):
            self.clock.advance(EACH)
            self.assertEqual(self.lines(100), 1)
        self.assertEqual(self.said, [("ann", 500 + 9 * 99), ("ann", 10 * 99)])

    def test_over(self) -> None:
        """
        When it is over nothing more is said, and there is room again.
        """
        self.lines(LINES + 1)
        self.clock.advance(10)
        self.assertEqual(self.said, [("ann", 1)])
        self.clock.advance(10)
        self.assertEqual(len(self.said), 1)
        self.assertQuiet()
        self.clock.advance(LINES * EACH)
        self.assertEqual(self.lines(LINES), LINES)

    def test_others(self) -> None:
        """
        Who floods the log does so at the cost of nobody else.
        """
        self.lines(LINES + 1)
        self.assertEqual(self.lines(LINES, "bob"), LINES)
        self.clock.advance(10)
        self.assertEqual(self.said, [("ann", 1)])

    def test_clockSetBack(self) -> None:
        """
        A clock that is set back mutes nobody.
        """
        self.lines(1)
        self.clock.rightNow -= 500
        self.assertEqual(self.lines(LINES - 1), LINES - 1)

    def test_stop(self) -> None:
        """
        At the end the rest is said, and nothing is left for the reactor to do.
        """
        self.lines(LINES + 3)
        self.chatter.stop()
        self.assertEqual(self.said, [("ann", 3)])
        self.chatter.stop()
        self.assertEqual(len(self.said), 1)
        self.assertQuiet()
