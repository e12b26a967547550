"""
Tests of L{tunnelkit.wire.framings.redis.answering}.
"""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.wire.framings.decoding import answered, asked, joinedReplies, splits
from tests.wire.framings.redis.test_values import VALUES, values
from tunnelkit.wire.framings.contract import Pushed, Replies, Reply, Request
from tunnelkit.wire.framings.redis.answering import COLLECTED
from tunnelkit.wire.framings.redis.framing import makeRedis
from tunnelkit.wire.framings.redis.inline import encoded
from tunnelkit.wire.native.frames import WireError

SUBSCRIBED = b"*3\r\n$9\r\nsubscribe\r\n$1\r\n%b\r\n:%d\r\n"
UNSUBSCRIBED = b"*3\r\n$11\r\nunsubscribe\r\n$1\r\n%b\r\n:%d\r\n"
MESSAGE = b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nhi\r\n"


def waiting(*lines: str, sticky: bool = False) -> Replies:
    """
    Make a decoder of a connection on which these commands were sent.
    """
    redis = makeRedis([], {})
    replies, requests = redis.replies(sticky), redis.requests(sticky)
    for line in lines:
        for request in asked(requests, encoded(line.encode().split())):
            assert isinstance(request, Request)
            assert replies.send(request) == request.data
    return replies


class SharedTests(SynchronousTestCase):
    """
    Each value is one reply.
    """

    def test_everyValue(self) -> None:
        """
        Values of any kind come out whole, wherever they were cut.
        """
        for value in VALUES:
            for pieces in splits(value + b"+next\r\n"):
                decoder = waiting("GET a", "GET b")
                expected = [Reply(data=value), Reply(data=b"+next\r\n")]
                self.assertEqual(answered(decoder, *pieces), expected)
                self.assertFalse(decoder.begun)

    @given(st.lists(values, max_size=4), st.data())
    def test_anyValues(self, stream: list[bytes], data: st.DataObject) -> None:
        """
        However deep they are, and wherever they are cut, there are as many replies as
        values.
        """
        whole = b"".join(stream)
        cut = data.draw(st.integers(0, len(whole)))
        decoder = waiting(*["PING"] * len(stream))
        found = answered(decoder, whole[:cut], whole[cut:])
        self.assertEqual(found, [Reply(data=value) for value in stream])

    def test_long(self) -> None:
        """
        A long value comes in parts as it arrives, and is not kept.
        """
        value = (
            b"*2\r\n$%d\r\n" % (10 * COLLECTED) + b"x" * 10 * COLLECTED + b"\r\n:1\r\n"
        )
        pieces = [value[at : at + 4096] for at in range(0, len(value), 4096)]
        found = answered(waiting("GET a", "GET b"), *pieces, b"+next\r\n")
        self.assertGreater(len(found), 8)
        expected = [Reply(data=value), Reply(data=b"+next\r\n")]
        self.assertEqual(joinedReplies(found), expected)

    def test_begun(self) -> None:
        """
        A reply has begun with its first byte, and has when parts of it have gone.
        """
        decoder = waiting("GET a")
        self.assertFalse(decoder.begun)
        answered(decoder, b"$")
        self.assertTrue(decoder.begun)
        answered(decoder, b"%d\r\n" % (2 * COLLECTED) + b"x" * COLLECTED)
        self.assertTrue(decoder.begun)
        answered(decoder, b"x" * COLLECTED + b"\r\n")
        self.assertFalse(decoder.begun)

    def test_unasked(self) -> None:
        """
        What nobody asked for is nobody's reply, and the log tells its first line.
        """
        full = b"-ERR max number of clients reached\r\n"
        for decoder, said, words in (
            (waiting(), full, f"it says, unasked, {full[:-2]!r}"),
            (waiting("PING"), b"+a\r\n+b\r\n", "it says, unasked, b'+b'"),
            (waiting("PING"), b">1\r\n", "it pushes what nobody asked for"),
        ):
            with self.assertRaises(WireError) as caught:
                answered(decoder, said)
            self.assertEqual(str(caught.exception), words)

    def test_dying(self) -> None:
        """
        A connection on which the target saw a fault will be closed, and has no further
        use.
        """
        said = b"-ERR Protocol error: unauthenticated bulk length\r\n"
        found = answered(waiting("GET a"), said)
        self.assertEqual(found, [Reply(data=said, spent=True)])

    @given(st.lists(st.binary(max_size=60), max_size=6), st.booleans())
    def test_anything(self, pieces: list[bytes], sticky: bool) -> None:
        """
        Whatever the target says is a value or a fault, and nothing else is raised.
        """
        with contextlib.suppress(WireError):
            answered(waiting("PING", "PING", sticky=sticky), *pieces)


class OwnTests(SynchronousTestCase):
    """
    Who has a connection for himself hears all, in its order.
    """

    def test_subscribed(self) -> None:
        """
        Confirmations and messages are no replies, wherever they were cut; what else is
        asked meanwhile has its own.
        """
        pong = b"*2\r\n$4\r\npong\r\n$0\r\n\r\n"
        said = [SUBSCRIBED % (b"a", 1), MESSAGE, SUBSCRIBED % (b"b", 2), pong, MESSAGE]
        expected = [Reply(data=x) if x is pong else Pushed(x) for x in said]
        for pieces in splits(b"".join(said)):
            decoder = waiting("SUBSCRIBE a b", "PING", sticky=True)
            self.assertEqual(answered(decoder, *pieces), expected)

    def test_after(self) -> None:
        """
        Who has left all channels may get a list that looks like a message, as before.
        """
        decoder = waiting("LRANGE l 0 2", "SUBSCRIBE a", sticky=True)
        found = answered(decoder, MESSAGE, SUBSCRIBED % (b"a", 1))
        self.assertEqual(found, [Reply(data=MESSAGE), Pushed(SUBSCRIBED % (b"a", 1))])
        for request in asked(
            makeRedis([], {}).requests(True), b"UNSUBSCRIBE\r\nGET\r\n"
        ):
            assert isinstance(request, Request)
            decoder.send(request)
        left = UNSUBSCRIBED % (b"a", 0)
        found = answered(decoder, MESSAGE, left, MESSAGE)
        self.assertEqual(found, [Pushed(MESSAGE), Pushed(left), Reply(data=MESSAGE)])

    def test_reset(self) -> None:
        """
        So may who has reset the connection.
        """
        decoder = waiting("SUBSCRIBE a", "RESET", "LRANGE l 0 2", sticky=True)
        found = answered(decoder, SUBSCRIBED % (b"a", 1), b"+RESET\r\n", MESSAGE)
        self.assertEqual(found[1:], [Reply(data=b"+RESET\r\n"), Reply(data=MESSAGE)])

    def test_marked(self) -> None:
        """
        In RESP3 pushes are marked as such, and arrays are replies.
        """
        decoder = waiting("HELLO 3", "SUBSCRIBE a", "LRANGE l 0 2", sticky=True)
        subscribed = b">" + (SUBSCRIBED % (b"a", 1))[1:]
        invalid = b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n"
        found = answered(decoder, b"%0\r\n" + subscribed + invalid + MESSAGE)
        self.assertEqual(
            found,
            [
                Reply(data=b"%0\r\n"),
                Pushed(subscribed),
                Pushed(invalid),
                Reply(data=MESSAGE),
            ],
        )

    def test_long(self) -> None:
        """
        A long message is passed on as it comes, and is no reply in any of its parts.
        """
        value = b"x" * 3 * COLLECTED
        message = b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$%d\r\n%b\r\n" % (
            len(value),
            value,
        )
        decoder = waiting("SUBSCRIBE a", "PING", sticky=True)
        pieces = [message[at : at + 9000] for at in range(0, len(message), 9000)]
        found = answered(decoder, SUBSCRIBED % (b"a", 1), *pieces, b"+PONG\r\n")
        self.assertGreater(len(found), 3)
        pushed = b"".join(each.data for each in found[1:-1] if isinstance(each, Pushed))
        self.assertEqual(pushed, message)
        self.assertEqual(found[-1], Reply(data=b"+PONG\r\n"))

    def test_monitor(self) -> None:
        """
        What comes when nothing is due is for its client.
        """
        line = b'+1.5 [0 x] "GET"\r\n'
        found = answered(waiting("MONITOR", sticky=True), b"+OK\r\n" + line + line)
        self.assertEqual(found, [Reply(data=b"+OK\r\n"), Pushed(line), Pushed(line)])

    def test_replica(self) -> None:
        """
        What a replica gets is passed on as it is, and looked at no more.
        """
        decoder = waiting("PING", "PSYNC ? -1", sticky=True)
        found = answered(decoder, b"+PONG\r\n+FULLRESYNC x 1\r\n$EOF:abc\r\nREDIS\0")
        self.assertEqual(found[0], Reply(data=b"+PONG\r\n"))
        self.assertEqual(found[1:], [Pushed(b"+FULLRESYNC x 1\r\n$EOF:abc\r\nREDIS\0")])
