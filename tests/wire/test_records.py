"""
Tests for L{tunnelkit.wire.records}.
"""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.wire.records import HEADER, LONGEST, Records


def record(size: int) -> bytes:
    """
    Make a record with a payload of some bytes.
    """
    return b"\x17\3\3" + size.to_bytes(2, "big") + bytes(size)


def endsOf(pieces: list[bytes]) -> list[int]:
    """
    Give where records end in a stream that comes in pieces.
    """
    records, found, before = Records(), list[int](), 0
    for piece in pieces:
        at = 0
        while (end := records.end(piece, at, len(piece))) >= 0:
            found.append(before + end)
            at = end
        before += len(piece)
    return found


class RecordsTests(SynchronousTestCase):
    """
    Tests for L{Records}.
    """

    def test_everySplit(self) -> None:
        """
        The ends of records are the same wherever the stream was cut, so that nothing
        which was received waits for what comes later.
        """
        sizes = [0, 1, 17, 300]
        stream = b"".join(map(record, sizes))
        expected = [sum(HEADER + size for size in sizes[: n + 1]) for n in range(4)]
        for cut in range(len(stream) + 1):
            self.assertEqual(endsOf([stream[:cut], stream[cut:]]), expected, cut)
        self.assertEqual(
            endsOf([stream[n : n + 1] for n in range(len(stream))]), expected
        )

    @given(st.lists(st.integers(0, 500), max_size=5), st.lists(st.integers(0, 2600)))
    def test_anySplits(self, sizes: list[int], cuts: list[int]) -> None:
        """
        So it is where it was cut several times, and empty pieces change nothing.
        """
        stream = b"".join(map(record, sizes))
        places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
        pieces = [stream[a:b] for a, b in pairwise(places)]
        self.assertEqual(endsOf(pieces), endsOf([stream]))
        self.assertEqual(len(endsOf(pieces)), len(sizes))

    def test_tooLong(self) -> None:
        """
        One who announces more than a record may have is refused at once: it is not
        waited for what he announces.
        """
        for size, end in ((LONGEST, -1), (LONGEST + 1, HEADER), (65535, HEADER)):
            begun = record(size)[: HEADER + 1]
            self.assertEqual(Records().end(begun, 0, len(begun)), end)

    def test_whole(self) -> None:
        """
        A record that is alone and whole is known as that, and no other.
        """
        one = record(7)
        for data, whole in (
            (one, True),
            (one[:-1], False),
            (one + one, False),
            (record(0), True),
            (one[:HEADER], False),
            (one[:4], False),
        ):
            self.assertEqual(Records().whole(data, len(data)), whole)
        for begun in (one[:2], one[:HEADER], one[:-1]):
            records = Records()
            records.follow(begun, len(begun))
            self.assertFalse(records.whole(one, len(one)))

    def test_between(self) -> None:
        """
        It is known whether something is to come of a record that has begun.
        """
        stream = record(7)
        for cut in range(len(stream) + 1):
            records = Records()
            records.follow(stream, cut)
            between = records.whole(stream, len(stream))
            self.assertEqual(between, cut in (0, len(stream)), cut)

    def test_part(self) -> None:
        """
        Bytes in a buffer that is larger are read where they stand, and no further.
        """
        buffer = bytearray(b"??" + record(3) + record(4) + b"????????")
        records = Records()
        self.assertEqual(records.end(buffer, 2, 19), 10)
        self.assertEqual(records.end(buffer, 10, 19), 19)
        self.assertEqual(records.end(buffer, 19, 19), -1)
        self.assertTrue(records.whole(record(1), HEADER + 1))
