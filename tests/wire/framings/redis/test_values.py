"""
Tests of L{tunnelkit.wire.framings.redis.values}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.wire.framings.decoding import splits
from tunnelkit.wire.framings.redis.values import DEPTH, LINE, Walk
from tunnelkit.wire.native.frames import WireError

VALUES = (
    b"+OK\r\n",
    b"+\r\n",
    b"-ERR no\r\n",
    b":-12\r\n",
    b"$5\r\na\r\nbc\r\n",
    b"$0\r\n\r\n",
    b"$-1\r\n",
    b"*-1\r\n",
    b"*0\r\n",
    b"*2\r\n*2\r\n:1\r\n$1\r\na\r\n*1\r\n*0\r\n",
    b"_\r\n",
    b"#t\r\n",
    b",1.5\r\n",
    b",inf\r\n",
    b"(1234567890123456789012345678901234567890\r\n",
    b"!3\r\nERR\r\n",
    b"=7\r\ntxt:abc\r\n",
    b"%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n:2\r\n",
    b"%0\r\n",
    b"~2\r\n:1\r\n:2\r\n",
    b"|1\r\n+ttl\r\n:3\r\n*2\r\n|1\r\n+x\r\n+y\r\n:1\r\n:2\r\n",
    b"|0\r\n:1\r\n",
)
"""One of each kind at least."""

values = st.recursive(
    st.sampled_from(VALUES),
    lambda inner: st.lists(inner, max_size=4).map(
        lambda found: b"*%d\r\n" % len(found) + b"".join(found)
    ),
    max_leaves=12,
)
"""Values, however nested."""


def walked(*pieces: bytes) -> list[bytes]:
    """
    Give the values that these pieces are.
    """
    walk, data, at, found = Walk(), bytearray(), 0, []
    for piece in pieces:
        data += piece
        while True:
            at = walk.go(data, at)
            if not walk.whole:
                break
            found.append(bytes(data[:at]))
            del data[:at]
            at = 0
    return found


class WalkTests(SynchronousTestCase):
    """
    Where a value ends.
    """

    def test_everySplit(self) -> None:
        """
        Values of every kind end where they do, wherever they were cut, and what is
        behind them is the next.
        """
        for value in VALUES:
            for pieces in splits(value + b"+next\r\n"):
                self.assertEqual(walked(*pieces), [value, b"+next\r\n"])

    @given(st.lists(values, max_size=4), st.data())
    def test_anyValues(self, stream: list[bytes], data: st.DataObject) -> None:
        """
        However deep they are, there are as many as there were.
        """
        whole = b"".join(stream)
        cut = data.draw(st.integers(0, len(whole)))
        self.assertEqual(walked(whole[:cut], whole[cut:]), stream)

    def test_malformed(self) -> None:
        """
        What is no value is seen, with its first byte where that is wrong; lengths are
        digits, and a string is as long as it says.
        """
        for said in (
            b"?",
            b"\r\n",
            b"$x\r\n",
            b"$?\r\n",
            b"*+1\r\n",
            b"*-2\r\n",
            b"%-1\r\n",
            b"$ 1\r\n",
            b"$1_0\r\n",
            b"*\r\n",
            b"$2\r\nabc\r\n",
            b"$99999999999999999999\r\n",
            b"$" + b"1" * 30,
            b"+" + b"a" * LINE,
        ):
            self.assertRaises(WireError, walked, said)

    def test_deep(self) -> None:
        """
        Values may be nested, but not without end.
        """
        deepest = b"*1\r\n" * DEPTH + b":1\r\n"
        self.assertEqual(walked(deepest), [deepest])
        self.assertRaises(WireError, walked, b"*1\r\n" * (DEPTH + 1))

    @given(st.lists(st.binary(max_size=60), max_size=6))
    def test_anything(self, pieces: list[bytes]) -> None:
        """
        Whatever comes is values or a fault of the protocol's, the same however it is
        cut.
        """

        def outcome(*pieces: bytes) -> list[bytes] | None:
            try:
                return walked(*pieces)
            except WireError:
                return None

        self.assertEqual(outcome(*pieces), outcome(b"".join(pieces)))
