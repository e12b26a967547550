"""
Tests for L{tunnelkit.wire.ports}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.wire.ports import PortSet

NUMBERS = st.integers(1, 40) | st.integers(65500, 65535)
RANGES = st.tuples(NUMBERS, NUMBERS).map(lambda pair: (min(pair), max(pair)))
SETS = st.lists(RANGES, max_size=6).map(lambda ranges: PortSet(tuple(ranges)))


def members(ports: PortSet) -> list[int]:
    """
    Give the ports of a set, asked for one by one.
    """
    return [port for port in range(1, 65536) if port in ports]


class PortSetTests(SynchronousTestCase):
    """
    What C{--ports} says is what clients may ask for.
    """

    def test_parse(self) -> None:
        """
        Ranges include both ends, and single ports are ranges of one.
        """
        ports = PortSet.parse("10000-20000, 9000")
        for port in (9000, 10000, 15000, 20000):
            self.assertIn(port, ports)
        for port in (0, 1, 8999, 9001, 9999, 20001, 65535, 65536, -1):
            self.assertNotIn(port, ports)
        self.assertEqual(len(ports), 10002)

    def test_canonical(self) -> None:
        """
        However the same ports are written, the set is shown in one form.
        """
        for text in ("9-12,1-3", "1,2,3,9-12", "10-12,2-3,1-2,9,9-11"):
            self.assertEqual(str(PortSet.parse(text)), "1-3,9-12")
            self.assertEqual(PortSet.parse(text), PortSet.parse("1-3,9-12"))
            self.assertEqual(hash(PortSet.parse(text)), hash(PortSet.parse("1-3,9-12")))

    def test_badPiece(self) -> None:
        """
        The piece that is wrong is named, not the whole list.
        """
        for text, piece in (
            ("9000,x", "'x' is not a port or a range"),
            ("9000,,1", "'' is not a port or a range"),
            ("", "'' is not a port or a range"),
            ("0-10,9000", "'0-10' is not a port or a range"),
            ("9000,1-65536", "'1-65536' is not a port or a range"),
            ("1-", "'1-' is not a port or a range"),
            ("1-2-3", "'1-2-3' is not a port or a range"),
            ("9000,20-10", "'20-10' ends before it begins"),
        ):
            error = self.assertRaises(ValueError, PortSet.parse, text)
            self.assertIn(piece, str(error))

    def test_badRange(self) -> None:
        """
        A program cannot make a set of ports that do not exist.
        """
        for low, high in ((0, 5), (5, 4), (1, 65536)):
            error = self.assertRaises(ValueError, PortSet, ((low, high),))
            self.assertIn(f"{low}-{high}", str(error))

    def test_empty(self) -> None:
        """
        A set from which all is taken is false and empty.
        """
        self.assertFalse(PortSet())
        self.assertTrue(PortSet.parse("1"))
        self.assertFalse(PortSet.parse("8910").without([8910]))
        self.assertEqual(len(PortSet()), 0)
        self.assertEqual(str(PortSet()), "")

    def test_without(self) -> None:
        """
        The server's own port is not for clients, whatever C{--ports} says.
        """
        ports = PortSet.parse("1024-65535").without([8910, 80, 1024, 65535])
        self.assertEqual(str(ports), "1025-8909,8911-65534")

    def test_within(self) -> None:
        """
        The ports that the server picks from are those clients may have.
        """
        ports = PortSet.parse("9000,10000-20500,29999-30001").within(20000, 29999)
        self.assertEqual(str(ports), "20000-20500,29999")
        self.assertFalse(ports.within(5, 4))

    def test_nth(self) -> None:
        """
        Any index gives its port, in order, and none beyond the last.
        """
        ports = PortSet.parse("9000,10000-10002")
        self.assertEqual(
            [ports.nth(at) for at in range(4)], [9000, 10000, 10001, 10002]
        )
        self.assertRaises(IndexError, ports.nth, 4)
        self.assertRaises(IndexError, ports.nth, -1)
        self.assertRaises(IndexError, PortSet().nth, 0)

    @given(SETS)
    def test_backAgain(self, ports: PortSet) -> None:
        """
        A set that was shown can be typed in again.
        """
        if ports:
            self.assertEqual(PortSet.parse(str(ports)), ports)

    @given(SETS, st.lists(NUMBERS), NUMBERS, NUMBERS)
    def test_likeSets(
        self, ports: PortSet, taken: list[int], low: int, high: int
    ) -> None:
        """
        Ranges behave like the set of their ports.
        """
        plain = {port for one, other in ports.ranges for port in range(one, other + 1)}
        self.assertEqual(len(ports), len(plain))
        self.assertEqual(bool(ports), bool(plain))
        for port in (*taken, low, high):
            self.assertEqual(port in ports, port in plain)
        fewer = ports.without(taken)
        self.assertEqual(len(fewer), len(plain - set(taken)))
        self.assertFalse(any(port in fewer for port in taken))
        between = {port for port in plain if low <= port <= high}
        self.assertEqual(len(ports.within(low, high)), len(between))

    def test_members(self) -> None:
        """
        Every port that is asked for is found, and no other.
        """
        ports = PortSet.parse("5-7,9,60000-60002").without([6])
        self.assertEqual(members(ports), [5, 7, 9, 60000, 60001, 60002])
        self.assertEqual([ports.nth(at) for at in range(len(ports))], members(ports))
