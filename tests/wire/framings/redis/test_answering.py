"""
Tests of L{tunnelkit.wire.framings.redis.answering}.
"""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.wire.framings.decoding import answered, joinedReplies, splits
from tunnelkit.wire.framings.contract import Pushed, Reply, Request
from tunnelkit.wire.framings.redis.answering import COLLECTED, LINE, RedisReplies
from tunnelkit.wire.native.frames import WireError

ASK = Request(data=b"*1\r\n$4\r\nPING\r\n")
SILENT = Request(data=b"*1\r\n$7\r\nMONITOR\r\n", silent=True)
VALUES = (
    b"+OK\r\n",
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
    b"(1234567890123456789012345678901234567890\r\n",
    b"!3\r\nERR\r\n",
    b"=7\r\ntxt:abc\r\n",
    b"%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n:2\r\n",
    b"~2\r\n:1\r\n:2\r\n",
    b"|1\r\n+ttl\r\n:3\r\n*2\r\n|1\r\n+x\r\n+y\r\n:1\r\n:2\r\n",
)

values = st.recursive(
    st.sampled_from(VALUES),
    lambda inner: st.lists(inner, max_size=4).map(
        lambda found: b"*%d\r\n" % len(found) + b"".join(found)
    ),
    max_leaves=12,
)


def waiting(count: int, sticky: bool = False) -> RedisReplies:
    """
    Make a decoder of which so many replies are due.
    """
    decoder = RedisReplies(sticky)
    for _ in range(count):
        decoder.send(ASK)
    return decoder


class ValueTests(SynchronousTestCase):
    """
    Each value is one reply.
    """

    def test_everyValue(self) -> None:
        """
        Values of any kind come out whole, wherever they were cut.
        """
        for value in VALUES:
            for pieces in splits(value + b"+next\r\n"):
                found = answered(waiting(2), *pieces)
                expected = [Reply(data=value), Reply(data=b"+next\r\n")]
                self.assertEqual(found, expected)

    @given(st.lists(values, max_size=4), st.data())
    def test_anyValues(self, stream: list[bytes], data: st.DataObject) -> None:
        """
        However deep they are, and wherever they are cut, there are as many replies as
        values.
        """
        whole = b"".join(stream)
        cut = data.draw(st.integers(0, len(whole)))
        found = answered(waiting(len(stream)), whole[:cut], whole[cut:])
        self.assertEqual(found, [Reply(data=value) for value in stream])

    def test_long(self) -> None:
        """
        A long value comes in parts as it arrives, and is not kept.
        """
        value = b"$%d\r\n" % (10 * COLLECTED) + b"x" * 10 * COLLECTED + b"\r\n"
        pieces = [value[at : at + 4096] for at in range(0, len(value), 4096)]
        found = answered(waiting(2), *pieces, b"+next\r\n")
        self.assertGreater(len(found), 8)
        expected = [Reply(data=value), Reply(data=b"+next\r\n")]
        self.assertEqual(joinedReplies(found), expected)

    def test_begun(self) -> None:
        """
        A reply has begun with its first byte, and has when parts of it have gone.
        """
        decoder = waiting(1)
        self.assertFalse(decoder.begun)
        answered(decoder, b"$")
        self.assertTrue(decoder.begun)
        answered(decoder, b"%d\r\n" % (2 * COLLECTED) + b"x" * COLLECTED)
        self.assertTrue(decoder.begun)
        answered(decoder, b"x" * COLLECTED + b"\r\n")
        self.assertFalse(decoder.begun)

    def test_unasked(self) -> None:
        """
        What nobody asked for is nobody's reply.
        """
        for decoder, said in (
            (waiting(0), b"+OK\r\n"),
            (waiting(1), b">1\r\n+a\r\n"),
            (waiting(1), b"+OK\r\n+OK\r\n"),
        ):
            with self.assertRaises(WireError):
                answered(decoder, said)

    def test_malformed(self) -> None:
        """
        What is no value ends the connection.
        """
        for said in (
            b"?\r\n",
            b"\r\n",
            b"$x\r\n",
            b"$?\r\n",
            b"*+1\r\n",
            b"+" + b"a" * LINE,
        ):
            with self.assertRaises(WireError):
                answered(waiting(1), said)

    @given(st.lists(st.binary(max_size=60), max_size=6), st.booleans())
    def test_anything(self, pieces: list[bytes], sticky: bool) -> None:
        """
        Whatever redis says is a value or a fault, and nothing else is raised.
        """
        with contextlib.suppress(WireError):
            answered(waiting(2, sticky), *pieces)


class StickyTests(SynchronousTestCase):
    """
    Who has a connection for himself hears all.
    """

    def test_pushed(self) -> None:
        """
        Messages come unasked, between answers too, and do not count as such.
        """
        push = b">2\r\n+message\r\n$1\r\na\r\n"
        for pieces in splits(push + b"+OK\r\n" + push):
            found = answered(waiting(1, sticky=True), *pieces)
            expected = [Pushed(push), Reply(data=b"+OK\r\n"), Pushed(push)]
            self.assertEqual(found, expected)

    def test_silent(self) -> None:
        """
        Behind a command to which answers are not counted all is passed on.
        """
        decoder = waiting(1, sticky=True)
        decoder.send(SILENT)
        found = answered(decoder, b'+PONG\r\n+OK\r\n+1.5 [0 x] "GET"\r\n')
        self.assertEqual(found[0], Reply(data=b"+PONG\r\n"))
        self.assertEqual(
            found[1:], [Pushed(b"+OK\r\n"), Pushed(b'+1.5 [0 x] "GET"\r\n')]
        )
