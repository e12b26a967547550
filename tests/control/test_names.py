"""
Tests for L{tunnelkit.control.names}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.control.names import hostOr, isClientName, legible


class NamesTests(SynchronousTestCase):
    """
    What the other side writes does no harm to whoever reads it.
    """

    def test_clientName(self) -> None:
        """
        A client is called what people call their machines.
        """
        for name in ("laptop", "Ann's laptop", "büro-7.example.org", "x" * 200):
            self.assertTrue(isClientName(name), name)
        for name in ("", "x" * 201, "two\nlines", "\x1b[2J", "bell\x07", "\u202etxt"):
            self.assertFalse(isClientName(name), name)

    def test_legible(self) -> None:
        """
        What could move the cursor or begin another line is shown as a question mark.
        """
        self.assertEqual(legible("all is well, grüße"), "all is well, grüße")
        self.assertEqual(legible("a\nb\x1b[2J\u202e"), "a?b?[2J?")

    def test_legibleIsShort(self) -> None:
        """
        A text without end is cut, and that can be seen.
        """
        self.assertEqual(legible("x" * 5000, 10), "x" * 10 + "...")
        self.assertEqual(legible("x" * 10, 10), "x" * 10)

    @given(st.text(max_size=300))
    def test_legibleIsPrintable(self, text: str) -> None:
        """
        Whatever was written, it is one printable line.
        """
        self.assertTrue(legible(text).isprintable())

    def test_host(self) -> None:
        """
        A host is a name or an address.
        """
        for host in ("vps.example.org", "192.0.2.1", "::1", "2001:db8::1:9999"):
            self.assertEqual(hostOr(host, "other"), host)
        self.assertEqual(hostOr("[::1]", "other"), "::1")

    def test_noHost(self) -> None:
        """
        Anything else is not printed in public addresses.
        """
        for text in (
            *("", " ", "a b", "a\n", "\x1b[2J", "-x", "1.2.3", "[192.0.2.1]"),
            *("vps:8910", "[::1]:8910", "::1]:1", "http://vps", "::1%\x1b", "::1% "),
        ):
            self.assertEqual(hostOr(text, "other"), "other", repr(text))
