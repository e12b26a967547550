"""
Tests for L{tunnelkit.wire.portal.tags}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.wire.native.frames import WireError
from tunnelkit.wire.portal.tags import TAGS, tagged, untagged


class TagTests(SynchronousTestCase):
    """
    Packets are those of udptun.
    """

    def test_littleEndian(self) -> None:
        """
        The tag 0x1234 stands on the wire as 34 12; a datagram may be empty.
        """
        self.assertEqual(tagged(0x1234, b"hi"), bytes.fromhex("34126869"))
        self.assertEqual(tagged(0x1234, b""), bytes.fromhex("3412"))

    @given(st.integers(0, TAGS - 1), st.binary(max_size=64))
    def test_thereAndBack(self, tag: int, datagram: bytes) -> None:
        """
        What goes in comes out.
        """
        self.assertEqual(untagged(tagged(tag, datagram)), (tag, datagram))

    def test_tooShort(self) -> None:
        """
        A packet without a tag is refused, by its length.
        """
        for packet in (b"", b"z"):
            error = self.assertRaises(WireError, untagged, packet)
            self.assertIn(str(len(packet)), str(error))
