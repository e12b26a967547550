"""
Tests for L{tunnelkit.wire.portal.stun}, with the answers that RFC 5769 gives as
examples.
"""

from __future__ import annotations

import contextlib
import zlib
from struct import pack

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.wire.native.frames import WireError
from tunnelkit.wire.portal.stun import Mapped, parseAnswer, request

TRANSACTION = bytes.fromhex("b7e7a701bc34d686fa87dfae")
_SOFTWARE = "8022000b7465737420766563746f7220"
IPV4 = bytes.fromhex(
    "0101003c2112a442"
    + TRANSACTION.hex()
    + _SOFTWARE
    + "002000080001a147e112a643"
    + "000800142b91f599fd9e90c38c7489f92af9ba53f06be7d7"
    + "80280004c07d4c96"
)
IPV6 = bytes.fromhex(
    "010100482112a442"
    + TRANSACTION.hex()
    + _SOFTWARE
    + "002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9"
    + "00080014a382954e4be67bf11784c97c8292c275bfe3ed41"
    + "80280004c8fb0b4c"
)
_GOOD = bytes.fromhex("002000080001a147e112a643")


def message(attributes: bytes, kind: int = 0x0101) -> bytes:
    """
    Make a message of STUN.
    """
    return pack("!HHI", kind, len(attributes), 0x2112A442) + TRANSACTION + attributes


class AnswerTests(SynchronousTestCase):
    """
    An address is learnt from a right answer alone.
    """

    def test_examples(self) -> None:
        """
        The examples of RFC 5769 are read: IPv4 and IPv6, with more in them than we
        need.
        """
        expected = Mapped(TRANSACTION, "192.0.2.1", 32853)
        self.assertEqual(parseAnswer(IPV4), expected)
        expected = Mapped(TRANSACTION, "2001:db8:1234:5678:11:2233:4455:6677", 32853)
        self.assertEqual(parseAnswer(IPV6), expected)

    def test_everyLength(self) -> None:
        """
        An answer that is cut off anywhere is refused.
        """
        for whole in (IPV4, IPV6):
            for length in range(len(whole)):
                self.assertRaises(WireError, parseAnswer, whole[:length])

    @given(st.binary(max_size=100))
    def test_random(self, attributes: bytes) -> None:
        """
        Whatever stands in an answer, it is read or refused.
        """
        for packet in (attributes, message(attributes)):
            with contextlib.suppress(WireError):
                parseAnswer(packet)

    def test_refused(self) -> None:
        """
        What is no answer, tells no address or cannot be understood is refused.
        """
        for packet in (
            message(b""),
            message(_GOOD, kind=0x0001),
            message(_GOOD, kind=0x0011),
            message(_GOOD) + b"\0\0\0\0",
            message(_GOOD[:-4]),
            message(bytes.fromhex("002000080003a147e112a643")),
            message(bytes.fromhex("0020000400000000")),
            message(bytes.fromhex("0020000100000000")),
            message(bytes.fromhex("77770000") + _GOOD),
            message(bytes.fromhex("00200040") + _GOOD[4:]),
            request(TRANSACTION),
        ):
            self.assertRaises(WireError, parseAnswer, packet)

    def test_unknownButOptional(self) -> None:
        """
        What need not be understood is passed over, also behind the address.
        """
        extra = bytes.fromhex("99990001ff000000")
        for attributes in (extra + _GOOD, _GOOD + extra):
            self.assertEqual(parseAnswer(message(attributes)).host, "192.0.2.1")

    def test_fingerprint(self) -> None:
        """
        A wrong fingerprint, or one that is not the end, is refused.
        """
        self.assertRaises(WireError, parseAnswer, IPV4[:-1] + b"\0")
        begun = message(_GOOD)
        begun = begun[:2] + pack("!H", len(_GOOD) + 12) + begun[4:]
        right = pack("!HHI", 0x8028, 4, zlib.crc32(begun) ^ 0x5354554E)
        self.assertRaises(WireError, parseAnswer, begun + right + b"\x99\x99\0\0")

    def test_error(self) -> None:
        """
        A server that refuses says by which code.
        """
        packet = message(bytes.fromhex("00090004 00000414"), kind=0x0111)
        error = self.assertRaises(WireError, parseAnswer, packet)
        self.assertIn("420", str(error))


class RequestTests(SynchronousTestCase):
    """
    A request is what every STUN server answers.
    """

    def test_bytes(self) -> None:
        """
        It is a bare header.
        """
        expected = bytes.fromhex("000100002112a442") + TRANSACTION
        self.assertEqual(request(TRANSACTION), expected)
