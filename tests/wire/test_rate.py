"""
Tests for L{tunnelkit.wire.rate}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.wire.rate import LEAST, parseRate, parseSize


class RateTests(SynchronousTestCase):
    """
    A limit is written as people write it.
    """

    def test_units(self) -> None:
        """
        Units of a thousand and of 1024 are told apart; capitals and a space do not
        matter.
        """
        for text, size in (
            ("64KiB", 65536),
            ("1.5MB", 1_500_000),
            ("2 gb", 2_000_000_000),
            ("3GIB", 3 << 30),
            ("12B", 12),
            ("1mib", 1 << 20),
            ("7kb", 7000),
        ):
            self.assertEqual(parseSize(text), size)

    def test_rates(self) -> None:
        """
        A rate is so much a second, whether that is written or not.
        """
        for text in ("10MB/s", "10MB", "10 MB / s"):
            self.assertEqual(parseRate(text), 10_000_000)

    def test_wrong(self) -> None:
        """
        What is no size or rate is refused with an example of one.
        """
        for text, words in (
            ("10", "write such as 64KiB"),
            ("fast", "write such as 64KiB"),
            ("-1MB", "write such as 64KiB"),
            ("1e3MB", "write such as 64KiB"),
            ("10Mbit/s", "with one of B, kB"),
            ("10MB/h", "write such as 10MB/s"),
            ("0B/s", f"the least is {LEAST} bytes"),
            ("999B/s", f"the least is {LEAST} bytes"),
            ("", "write such as 64KiB"),
        ):
            error = self.assertRaises(ValueError, parseRate, text)
            self.assertIn(words, str(error))
            self.assertTrue(str(error).startswith(repr(text.partition("/")[0])[:-1]))
