"""
Tests for L{tunnelkit.wire.sniff}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.golden.recorded import names, streams
from tunnelkit.wire.pipe.codec import PLACES as PIPE
from tunnelkit.wire.remotedialer.login import PLACES as HTTP
from tunnelkit.wire.smux.frames import PLACES as SMUX
from tunnelkit.wire.sniff import ANY, OPENING, Opening, sniff

EXAMPLES: list[tuple[bytes, int, Opening]] = [
    (b"\x16\x03\x01\x02\x00\x01\x00", 2, Opening.TLS),
    (b"TK/1\n\x01\x00\x00\x10{", 5, Opening.NATIVE),
    (b"TK/2\n\x01\x00\x00\x10{", 5, Opening.VERSION),
    (b"TK/12\nxxx", 6, Opening.VERSION),
    (b"TK/99999\nxxx", 9, Opening.VERSION),
    (b"GET / HTTP/1.1\r\n", 1, Opening.UNKNOWN),
    (b"\x00\x00\x00\x01\x00\x00", 1, Opening.UNKNOWN),
    (b"\x16\x04\x01", 2, Opening.UNKNOWN),
    (b"\x17\x03\x03", 1, Opening.UNKNOWN),
    (b"SSH-2.0-OpenSSH\r\n", 1, Opening.UNKNOWN),
    (b"T / HTTP/1.1\r\n", 2, Opening.UNKNOWN),
    (b"tk/1\n", 1, Opening.UNKNOWN),
    (b"TK/\n", 4, Opening.UNKNOWN),
    (b"TK/1\r\n", 5, Opening.UNKNOWN),
    (b"TK/1 x\n", 5, Opening.UNKNOWN),
    (b"TK/-1\n", 4, Opening.UNKNOWN),
    (b"TK/123456\n", 9, Opening.UNKNOWN),
]
"""First bytes, after how many of them it is clear, and what they are."""

OPENINGS = st.builds(
    bytes.__add__,
    st.sampled_from([b"", *(data for data, _, _ in EXAMPLES)]).flatmap(
        lambda data: st.integers(0, len(data)).map(lambda cut: data[:cut])
    ),
    st.binary(max_size=20) | st.text("0123456789\n", max_size=8).map(str.encode),
)
"""Bytes that begin like something known, and go on as they like."""


class SniffTests(SynchronousTestCase):
    """
    One port serves several protocols, each told by its first bytes.
    """

    def test_everySplit(self) -> None:
        """
        Each protocol is known as soon as it can be, and no sooner.
        """
        for data, clear, opening in EXAMPLES:
            for cut in range(len(data) + 1):
                expected = opening if cut >= clear else None
                self.assertEqual(sniff(data[:cut]), expected, data[:cut])

    def test_opening(self) -> None:
        """
        What our own clients say first is known for what it is.
        """
        self.assertEqual(sniff(OPENING), Opening.NATIVE)

    @given(OPENINGS)
    def test_answersHold(self, data: bytes) -> None:
        """
        Once it is said what a connection is, more bytes do not change it.
        """
        answers = [sniff(data[:cut]) for cut in range(len(data) + 1)]
        said = [answer for answer in answers if answer is not None]
        self.assertLessEqual(len(set(said)), 1)
        self.assertEqual(answers, [None] * (len(answers) - len(said)) + said)

    @given(OPENINGS)
    def test_sixteenBytes(self, data: bytes) -> None:
        """
        A peer that sends nonsense is not listened to for long.
        """
        self.assertIsNotNone(sniff((data + bytes(16))[:16]))

    @given(OPENINGS)
    def test_noSooner(self, data: bytes) -> None:
        """
        As long as no answer is given, there are bytes that would make it something,
        and bytes that would make it nothing.
        """
        if sniff(data) is None:
            endings = [known[len(data) :] for known, _, _ in EXAMPLES] + [b"\n"]
            answers = {sniff(data + ending) for ending in endings}
            self.assertEqual(sniff(data + b"\xff"), Opening.UNKNOWN)
            self.assertTrue(answers - {None, Opening.UNKNOWN}, data)

    def test_others(self) -> None:
        """
        What else is switched on is told by its own places, in the order in which they
        are given, and changes nothing for the rest.
        """
        others = [
            ((b"\x01", ANY, ANY, b"{"), "pipe"),
            ((b"\x01", ANY, ANY, b"\0"), "smux"),
        ]
        for data, expected in (
            (b"\x01\x00\x40{", "pipe"),
            (b"\x01\x00\x00\x00\x03", "smux"),
            (b"\x01\x00\x00", None),
            (b"\x01\x00\x00}", Opening.UNKNOWN),
            (OPENING, Opening.NATIVE),
            (b"\x16\x03", Opening.TLS),
            (b"\x02", Opening.UNKNOWN),
        ):
            self.assertEqual(sniff(data, others), expected, data)
        self.assertEqual(sniff(b"\x01\x00\x40{"), Opening.UNKNOWN)

    def test_otherPrograms(self) -> None:
        """
        The clients of other programs are known as soon as can be.
        """
        others = [(PIPE, "pipe"), (SMUX, "smux"), (HTTP, "http")]
        for data, clear, expected in (
            (b'\x01\x00\x5c{"token":"', 4, "pipe"),
            (b'\x01\x03\x00{"token":"', 4, "pipe"),
            (b"\x01\x00\x00\x00\x03\x00\x00\x00", 4, "smux"),
            (b"\x01\x03\x00\x00\x00\x00\x00\x00", 4, "smux"),
            (b"GET /connect HTTP/1.1\r\n", 4, "http"),
            (b"\x01\x00\x5c[", 4, Opening.UNKNOWN),
            (b"\x01\x02\x08\x00\x03", 4, Opening.UNKNOWN),
            (b"\x02\x00\x02{}", 1, Opening.UNKNOWN),
            (b"\x00\x01\x00\x01\x00\x00", 1, Opening.UNKNOWN),
            (b"GET\r\n", 4, Opening.UNKNOWN),
            (b"POST / HTTP/1.1\r\n", 1, Opening.UNKNOWN),
            (b"TK/1\n", 5, Opening.NATIVE),
        ):
            for cut in range(len(data) + 1):
                got = sniff(data[:cut], others)
                self.assertEqual(got, expected if cut >= clear else None, data[:cut])

    def test_golden(self) -> None:
        """
        They are known by what they really say first.
        """
        others = [(PIPE, "pipe"), (SMUX, "smux"), (HTTP, "http")]
        for system, connections, expected in (
            ("pipe", range(1, 9), "pipe"),
            ("mgrok", (1,), Opening.TLS),
            ("mgrok", (2,), "smux"),
            ("remotedialer", range(1, 9), "http"),
        ):
            for name in names(system):
                for (number, sender), data in streams(system, name).items():
                    if sender == "c2s" and number in connections:
                        self.assertEqual(sniff(data, others), expected, (name, number))
