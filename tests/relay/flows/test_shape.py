"""
Tests for L{tunnelkit.relay.flows.shape}.
"""

from __future__ import annotations

import os
import zlib

from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import TimedCase
from tests.wire.test_packing import skipUnable
from tunnelkit.relay.bucket import Bucket
from tunnelkit.relay.flows.shape import Shape
from tunnelkit.relay.flows.tally import CORRUPT, LIMIT, Tally
from tunnelkit.wire.native.datagrams import LARGEST

TEXT = b"what is said again and again, " * 40


class ShapeTests(TimedCase):
    """
    Datagrams come out as they went in, or not at all.
    """

    def setUp(self) -> None:
        """
        Count what is dropped.
        """
        super().setUp()
        self.tally = Tally()

    def crossing(self, kind: str) -> None:
        """
        Have datagrams cross, packed so.
        """
        one, other = Shape(self.tally, kind), Shape(self.tally, kind)
        noise = os.urandom(LARGEST)
        for datagram in (b"", b"x", TEXT, noise[:1200], noise, bytes(LARGEST)):
            crossing = one.into(datagram)
            assert crossing is not None, "it was dropped"
            self.assertLessEqual(len(crossing), len(datagram) + 1)
            self.assertEqual(other.out(crossing), datagram)
        self.assertLess(len(one.into(TEXT) or b""), len(TEXT) / 4)
        self.assertEqual(one.written - len(one.into(TEXT) or b""), other.read)

    def test_deflate(self) -> None:
        """
        By deflate, each is as small as that makes it, and at most one byte larger.
        """
        self.crossing("deflate")

    def test_zstd(self) -> None:
        """
        By Zstandard, where that is installed.
        """
        skipUnable("zstd")
        self.crossing("zstd")

    @given(st.binary(max_size=100))
    def test_anyBytes(self, noise: bytes) -> None:
        """
        Whatever the other side sends, it is a datagram or counted as none.
        """
        tally = Tally()
        shape = Shape(tally, "deflate")
        datagram = shape.out(noise)
        self.assertEqual(datagram is None, tally.drops[CORRUPT] == 1)

    def test_bomb(self) -> None:
        """
        A few bytes that would be very many are dropped.
        """
        shape = Shape(self.tally, "deflate")
        self.assertEqual(shape.out(b"\1" + zlib.compress(bytes(10**8))), None)
        whole = b"\1" + zlib.compress(TEXT)
        self.assertEqual(shape.out(whole[:-3]), None)
        self.assertEqual(self.tally.drops[CORRUPT], 2)

    def test_limit(self) -> None:
        """
        What is over the limit is dropped, each direction by itself, and others pass
        when there is room again.
        """
        clock = self.clock
        shape = Shape(self.tally, "", Bucket(clock, 10_000), Bucket(clock, 20_000))
        passed = [shape.into(bytes(500)) for _ in range(10)]
        self.assertEqual(len([each for each in passed if each]), 4)
        self.assertEqual(self.tally.drops[LIMIT], 6)
        self.assertIsNotNone(shape.out(bytes(500)))
        clock.advance(0.05)
        self.assertIsNotNone(shape.into(bytes(1000)))

    def test_large(self) -> None:
        """
        One that is larger than what may go at once passes after a rest, and is paid for
        afterwards.
        """
        shape = Shape(self.tally, "", None, Bucket(self.clock, 10_000))
        self.assertIsNotNone(shape.into(bytes(5000)))
        self.clock.pump([0.1] * 3)
        self.assertIsNone(shape.into(b"x"))
        self.clock.pump([0.1] * 3)
        self.assertIsNotNone(shape.into(b"x"))
