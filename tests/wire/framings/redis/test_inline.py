"""
Tests of L{tunnelkit.wire.framings.redis.inline}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.wire.framings.redis.inline import encoded, split


class SplitTests(SynchronousTestCase):
    """
    A line as people type it.
    """

    def test_words(self) -> None:
        """
        Quotes and escapes mean what they mean to Redis, so that no command hides.
        """
        for line, words in (
            (b"", []),
            (b" \t\r", []),
            (b"  a\tb ", [b"a", b"b"]),
            (rb'"a b" c', [b"a b", b"c"]),
            (rb'"\x4dULTI"', [b"MULTI"]),
            (rb'"\x4"', [b"x4"]),
            (rb'"a\n\"\q\\"', [b'a\n"q\\']),
            (rb"'a\'b\n'", [rb"a'b\n"]),
            (b"'a b'  ''", [b"a b", b""]),
            (b'""', [b""]),
            (b"\xff", [b"\xff"]),
        ):
            self.assertEqual(split(line), words, line)

    def test_unbalanced(self) -> None:
        """
        Quotes that are not closed, or have a word right behind them, are no words.
        """
        for line in (b'"a', b"'a", b'"a"b', b"'a'b", b'a"b"', b'"a\\"', b"a 'b\\'"):
            self.assertIsNone(split(line), line)

    @given(st.binary(max_size=40))
    def test_anything(self, line: bytes) -> None:
        """
        Nothing that is typed raises.
        """
        split(line)

    def test_long(self) -> None:
        """
        A long line takes no longer than it is long.
        """
        self.assertEqual(split(b"a " * 30000), [b"a"] * 30000)
        self.assertIsNone(split(b'"' + b"\\a" * 30000))


class EncodedTests(SynchronousTestCase):
    """
    A command as programs send it.
    """

    def test_array(self) -> None:
        """
        Words are strings with their lengths.
        """
        self.assertEqual(encoded([b"GET", b""]), b"*2\r\n$3\r\nGET\r\n$0\r\n\r\n")
