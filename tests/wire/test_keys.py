"""
Tests for L{tunnelkit.wire.keys}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.wire.keys import Table, decoded, portNumber


class TableTests(SynchronousTestCase):
    """
    A file says what it says, or its reader says where it is wrong.
    """

    def test_take(self) -> None:
        """
        Keys are read, and those that are not there have a value too.
        """
        table = Table({"a": 1}, "f.toml")
        self.assertEqual(table.take("a", str, ""), "1")
        self.assertEqual(table.take("b", str, "none"), "none")
        table.end()

    def test_faults(self) -> None:
        """
        File, place and key are named.
        """
        table = Table({"a": "x", "c": 1}, "f.toml", "number 2 of forwards")
        where = "f.toml: number 2 of forwards: "
        error = self.assertRaises(ValueError, table.take, "a", self.wrong, "")
        self.assertEqual(str(error), where + "the key 'a' takes a whole number")
        error = table.lack("b", "a port")
        self.assertEqual(str(error), where + "the key 'b' is missing: it takes a port")
        error = self.assertRaises(ValueError, table.end)
        self.assertEqual(str(error), where + "the key 'c' is not known; there may be a")
        error = self.assertRaises(ValueError, Table, [], "f.toml")
        self.assertEqual(str(error), "f.toml: a table of keys is wanted here")

    def wrong(self, value: object) -> str:
        """
        Take no value for good.
        """
        raise ValueError("a whole number")

    def test_decoded(self) -> None:
        """
        A file in another encoding is refused by the line.
        """
        self.assertEqual(decoded("\u00e9".encode(), "f.toml"), "\u00e9")
        error = self.assertRaises(ValueError, decoded, b"a\n\nb\xe9", "f.toml")
        self.assertEqual(str(error), "f.toml: line 3 is not UTF-8")

    def test_ports(self) -> None:
        """
        A port that wraps in the program is refused.
        """
        for port in (0, 65535):
            self.assertEqual(portNumber(port), port)
        for port in (-1, 65536):
            self.assertRaises(ValueError, portNumber, port)
