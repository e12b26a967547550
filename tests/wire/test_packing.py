"""
Tests for L{tunnelkit.wire.packing}.
"""

from __future__ import annotations

import contextlib
import os
import sys
import zlib
from typing import Any, Final, NoReturn
from unittest import SkipTest

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.wire import packing
from tunnelkit.wire.native.frames import WireError
from tunnelkit.wire.packing import PACKERS, UNPACKERS, isAble, library

MOST: Final = 1000
TEXT: Final = b"the same words again and again, " * 40
MiB: Final = 1 << 20


def skipUnable(kind: str) -> None:
    """
    Leave a test out where the library is not there.
    """
    if not isAble(kind):
        raise SkipTest(f"there is no library for {kind}")


def packed(kind: str, *writes: bytes) -> bytes:
    """
    Pack a direction that was written in these pieces.
    """
    packer = PACKERS[kind]()
    return b"".join(map(packer.pack, writes)) + packer.end()


def unpacked(kind: str, *pieces: bytes) -> tuple[bytes, bool]:
    """
    Unpack what came in these pieces.

    @return: what was in them, and whether it was complete.
    """
    unpacker = UNPACKERS[kind]()
    got = []
    for piece in pieces:
        unpacker.feed(piece)
        while some := unpacker.read(MOST):
            assert len(some) <= MOST, "more than was asked for"
            got.append(some)
    return b"".join(got), unpacker.complete


class DeflateTests(SynchronousTestCase):
    """
    What was packed comes out as it was, and nothing else passes for it.
    """

    kind = "deflate"

    def setUp(self) -> None:
        """
        See whether that can be tried.
        """
        skipUnable(self.kind)

    def test_everySplit(self) -> None:
        """
        Bytes come out whole wherever the stream was cut.
        """
        stream = packed(self.kind, b"hello", b"", TEXT, os.urandom(100))[:-1]
        whole, complete = unpacked(self.kind, stream)
        self.assertFalse(complete)
        for cut in range(len(stream) + 1):
            got, _ = unpacked(self.kind, stream[:cut], stream[cut:])
            self.assertEqual(got, whole)

    def test_atOnce(self) -> None:
        """
        A key stroke is there at once, not when there are more of them.
        """
        packer, unpacker = PACKERS[self.kind](), UNPACKERS[self.kind]()
        for said in (b"l", b"s", b"\n", TEXT):
            unpacker.feed(packer.pack(said))
            got = b"".join(iter(lambda: unpacker.read(MOST), b""))
            self.assertEqual(got, said)

    def test_smaller(self) -> None:
        """
        What repeats itself becomes much smaller, also what was said long before.
        """
        packer = PACKERS[self.kind]()
        first = len(packer.pack(TEXT))
        self.assertTrue(first < len(TEXT) / 10)
        self.assertTrue(len(packer.pack(TEXT)) < first)

    def test_truncated(self) -> None:
        """
        What was cut off anywhere is not complete; not even where it is cut to nothing.
        """
        for stream in (packed(self.kind, b"hello", TEXT), packed(self.kind)):
            for cut in range(len(stream)):
                self.assertFalse(unpacked(self.kind, stream[:cut])[1], cut)
            self.assertTrue(unpacked(self.kind, stream)[1])

    def test_bomb(self) -> None:
        """
        A few bytes that are many when unpacked come out a little at a time, and the
        memory does not grow by what is still to come.
        """
        unpacker = UNPACKERS[self.kind]()
        stream = packed(self.kind, *[bytes(MiB)] * 64)
        self.assertTrue(len(stream) < MiB / 8)
        unpacker.feed(stream)
        before, count = _allocated(), 0
        while piece := unpacker.read(32768):
            count += len(piece)
        self.assertEqual(count, 64 * MiB)
        self.assertTrue(unpacker.complete)
        self.assertTrue(_allocated() - before < 4 * MiB)

    def test_garbage(self) -> None:
        """
        What was never packed is not taken for anything.
        """
        for rubbish in (b"GET / HTTP/1.1\r\n\r\n", bytes(64), b"\xff" * 64):
            error = self.assertRaises(WireError, unpacked, self.kind, rubbish)
            self.assertIn(f"bytes that are no {self.kind} (", str(error))

    def test_altered(self) -> None:
        """
        Where a byte was changed on the way that is noticed, by the sum at the latest.
        """
        stream = packed(self.kind, os.urandom(300))
        for at in range(len(stream)):
            altered = bytearray(stream)
            altered[at] ^= 0x55
            with contextlib.suppress(WireError):
                self.assertFalse(unpacked(self.kind, bytes(altered))[1], at)

    def test_behindTheEnd(self) -> None:
        """
        Nothing may stand behind the end, in the same piece or in the next.
        """
        stream = packed(self.kind, b"hello")
        for pieces in ((stream + b"!",), (stream, b"!"), (stream, stream)):
            error = self.assertRaises(WireError, unpacked, self.kind, *pieces)
            self.assertEqual(
                str(error), f"bytes behind the end of its {self.kind}", pieces
            )


def _allocated() -> int:
    """
    Give how much memory this process has, in bytes.
    """
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


class ZstdTests(DeflateTests):
    """
    The same with Zstandard.
    """

    kind = "zstd"

    def test_wideWindow(self) -> None:
        """
        Nobody makes us keep more than was agreed, to look back at.
        """
        zstd: Any = library()
        wide = {zstd.CompressionParameter.window_log: packing.WINDOW.bit_length()}
        packer = zstd.ZstdCompressor(options=wide)
        stream = packer.compress(TEXT, packer.FLUSH_BLOCK)
        error = self.assertRaises(WireError, unpacked, self.kind, stream)
        self.assertIn("bytes that are no zstd (", str(error))


class AnyBytesTests(SynchronousTestCase):
    """
    Nobody chose these bytes.
    """

    @given(
        writes=st.lists(st.binary(max_size=3000), max_size=8),
        steps=st.lists(st.integers(1, 5000), min_size=1, max_size=8),
    )
    def test_roundTrip(self, writes: list[bytes], steps: list[int]) -> None:
        """
        Whatever is said arrives, in whatever pieces it came.
        """
        for kind in filter(isAble, PACKERS):
            stream = packed(kind, *writes)
            pieces: list[bytes] = []
            while stream:
                step = steps[len(pieces) % len(steps)]
                pieces.append(stream[:step])
                stream = stream[step:]
            self.assertEqual(unpacked(kind, *pieces), (b"".join(writes), True))

    @given(st.binary(max_size=200))
    def test_anyGarbage(self, rubbish: bytes) -> None:
        """
        No bytes whatever can do more than be refused.
        """
        for kind in filter(isAble, PACKERS):
            with contextlib.suppress(WireError):
                unpacked(kind, rubbish)


class LibraryTests(SynchronousTestCase):
    """
    What this program can do depends on what is installed.
    """

    def lack(self, *names: str) -> None:
        """
        Make these modules lack.
        """

        def find(name: str) -> Any:
            return _missing(name) if name in names else sys.modules["zlib"]

        self.patch(packing, "import_module", find)
        library.cache_clear()
        self.addCleanup(library.cache_clear)

    def test_none(self) -> None:
        """
        Without a library for it there is no zstd, and deflate all the same.
        """
        self.lack("compression.zstd", "backports.zstd")
        self.assertFalse(isAble("zstd"))
        self.assertTrue(isAble("deflate"))

    def test_either(self) -> None:
        """
        The library of Python 3.14 will do, and so will the one for Pythons before it.
        """
        for name in ("compression.zstd", "backports.zstd"):
            self.lack(name)
            self.assertIs(library(), zlib)
            self.assertTrue(isAble("zstd"))

    def test_unknown(self) -> None:
        """
        What nobody knows is not there.
        """
        self.assertFalse(isAble("lz4"))
        self.assertFalse(isAble(""))


def _missing(name: str) -> NoReturn:
    raise ModuleNotFoundError(name)
