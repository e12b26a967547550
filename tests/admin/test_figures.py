"""
Tests for L{tunnelkit.admin.figures}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.admin.figures import (
    machineMoment,
    milliseconds,
    moment,
    number,
    size,
    words,
)

HOLE = "\N{REPLACEMENT CHARACTER}"


class WordsTests(SynchronousTestCase):
    """
    Names can be read, whatever a stranger put in.
    """

    def test_usual(self) -> None:
        """
        A name in any language is shown as it is.
        """
        for name in ("web", "a b", "Göteborg", "店", "🚇", ""):
            self.assertEqual(words(name), name)

    def test_unprintable(self) -> None:
        """
        Ends of lines, marks that turn the page's text round, invisible characters and
        halves of characters show as holes.
        """
        for character in "\n\r\x00\x1b\u202e\u2066\u200b\u2028\ud800":
            self.assertEqual(words(f"a{character}b"), f"a{HOLE}b")

    def test_long(self) -> None:
        """
        A long name is cut, and one sees that it is.
        """
        self.assertEqual(words("x" * 120), "x" * 120)
        self.assertEqual(words("x" * 121), "x" * 119 + "…")
        self.assertEqual(words("abcdef", 3), "ab…")


class FiguresTests(SynchronousTestCase):
    """
    Numbers can be read at a glance.
    """

    def test_size(self) -> None:
        """
        Bytes are shown in the unit that fits, and never as 1024 of one.
        """
        for count, shown in (
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (1024**2 - 1, "1.0 MiB"),
            (5 * 1024**3, "5.0 GiB"),
            (1024**4, "1.0 TiB"),
            (2048 * 1024**5, "2048.0 PiB"),
        ):
            self.assertEqual(size(count), shown)

    def test_number(self) -> None:
        """
        The digits of a large count are in groups.
        """
        self.assertEqual(number(999), "999")
        self.assertEqual(number(1234567), "1\u202f234\u202f567")

    def test_milliseconds(self) -> None:
        """
        A round trip is in milliseconds, and a dash where there is none yet.
        """
        self.assertEqual(milliseconds(0.02134), "21.3 ms")
        self.assertEqual(milliseconds(None), "\N{EN DASH}")

    def test_moment(self) -> None:
        """
        Moments are in UTC, and say so.
        """
        self.assertEqual(moment(1_794_218_583.9), "2026-11-09 10:03 UTC")
        self.assertEqual(machineMoment(1_794_218_583.9), "2026-11-09T10:03:03Z")
