"""
Tests of L{tunnelkit.wire.framings.redis.asking}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.wire.framings.decoding import asked, joinedRequests, splits
from tunnelkit.wire.framings.contract import (
    Local,
    Part,
    Refusal,
    Request,
    Requests,
)
from tunnelkit.wire.framings.redis.asking import (
    ARGUMENTS,
    COLLECTED,
    LONGEST,
    NAME,
)
from tunnelkit.wire.framings.redis.framing import makeRedis
from tunnelkit.wire.framings.redis.inline import encoded
from tunnelkit.wire.framings.redis.values import LINE

GET = encoded([b"GET", b"a"])
SET = encoded([b"SET", b"a", b"\r\n\0"])


def decoder(sticky: bool = False) -> Requests:
    """
    Make a decoder.
    """
    return makeRedis([], {}).requests(sticky)


class ArrayTests(SynchronousTestCase):
    """
    Commands as programs send them.
    """

    def test_everySplit(self) -> None:
        """
        They come out whole and as they are, wherever they were cut; empty ones, to
        which Redis says nothing, do not come out.
        """
        expected = [Request(data=GET, repeatable=True), Request(data=SET)]
        for pieces in splits(GET + b"*0\r\n*-1\r\n" + SET + GET[:9]):
            requests = decoder()
            self.assertEqual(asked(requests, *pieces), expected)
            self.assertEqual(requests.partial, 9)

    def test_malformed(self) -> None:
        """
        What is none is refused in the manner of Redis, with a reason.
        """
        for data, reason in (
            (b"*x\r\n", "b'*x' is no length"),
            (b"*+1\r\n", "b'*+1' is no length"),
            (b"*-2\r\n", "b'*-2' is no length"),
            # Redis would end the connection at these.
            (b"*01\r\n", "b'*01' is no length"),
            (b"*00\r\n", "b'*00' is no length"),
            (b"*1\r\n$04\r\n", "b'$04' is no length"),
            (b"*" + b"1" * 30, "a line has more than 22 bytes"),
            (b"*1\r\n:1\r\n", "expected '$', got b':'"),
            (b"*1\r\n*1\r\n", "expected '$', got b'*'"),
            (b"*1\r\n$-1\r\n", "b'$-1' is no length"),
            (b"*1\r\n$1\r\nabc", "a string is not as long as it says"),
            (
                b"*%d\r\n" % (ARGUMENTS + 1),
                f"the length {ARGUMENTS + 1} is more than {ARGUMENTS}",
            ),
            (
                b"*2\r\n$3\r\nSET\r\n$%d\r\n" % (LONGEST + 1),
                f"the length {LONGEST + 1} is more than {LONGEST}",
            ),
            (
                encoded([b"a" * (NAME + 1)]),
                f"the name of a command has more than {NAME} bytes",
            ),
        ):
            said = f"-ERR Protocol error: {reason}\r\n".encode()
            self.assertEqual(asked(decoder(), data), [Refusal(reason, said)])

    @given(st.lists(st.binary(max_size=20), min_size=1, max_size=8), st.data())
    def test_anyWords(self, words: list[bytes], data: st.DataObject) -> None:
        """
        Whatever a command's words are, one event comes of it, however it was cut.
        """
        stream = encoded(words)
        cut = data.draw(st.integers(0, len(stream)))
        events = asked(decoder(), stream[:cut], stream[cut:])
        self.assertEqual(events, asked(decoder(), stream))
        self.assertEqual(len(events), 1)

    @given(st.lists(st.binary(max_size=40), max_size=6), st.booleans())
    def test_anything(self, pieces: list[bytes], sticky: bool) -> None:
        """
        Whatever a client says, nothing is raised.
        """
        asked(decoder(sticky), *pieces)

    @given(
        st.lists(
            st.sampled_from([*b"".join((GET, SET, b"XREAD HELLO QUIT CLIENT\r\n"))]),
            max_size=60,
        ),
        st.booleans(),
    )
    def test_nearly(self, data: list[int], sticky: bool) -> None:
        """
        Nor by what nearly is a command.
        """
        asked(decoder(sticky), bytes(data))

    def test_web(self) -> None:
        """
        A browser that was tricked into speaking to Redis is refused, and cannot make
        the target close the connection by words that it closes at.
        """
        for said in (
            b"POST / HTTP/1.1\r\n",
            b"Host: x\r\n",
            encoded([b"post", b"/"]),
            encoded([b"HOST:"]),
        ):
            (found,) = asked(decoder(), said)
            self.assertEqual(
                found, Refusal("this is HTTP", b"-ERR Protocol error: this is HTTP\r\n")
            )


class InlineTests(SynchronousTestCase):
    """
    Commands as people type them.
    """

    def test_arrays(self) -> None:
        """
        They reach the target as arrays, wherever they were cut.
        """
        expected = [
            Request(data=GET, repeatable=True),
            Request(data=encoded([b"set", b"a", b"b c"])),
        ]
        for pieces in splits(b"GET a\r\n\r\n set a 'b c'\n"):
            self.assertEqual(asked(decoder(), *pieces), expected)

    def test_hidden(self) -> None:
        """
        Escapes hide no command.
        """
        (found,) = asked(decoder(), b'"\\x4dULTI"\n')
        self.assertIsInstance(found, Local)

    def test_refused(self) -> None:
        """
        Quotes without end, zero bytes and lines without end are refused.
        """
        quotes = b"-ERR Protocol error: unbalanced quotes in request\r\n"
        for line in (b'GET "a\r\n', b"GET\0a\r\n"):
            (found,) = asked(decoder(), line)
            assert isinstance(found, Refusal)
            self.assertEqual(found.data, quotes)
        (found,) = asked(decoder(), b"a" * LINE)
        self.assertIsInstance(found, Refusal)


class LongTests(SynchronousTestCase):
    """
    Commands that are too long to be collected.
    """

    def test_parts(self) -> None:
        """
        They go to the target as they come, whole in the end, little of them is kept,
        and the next command is served.
        """
        long = encoded([b"SET", b"a", b"\r\n" * 2 * COLLECTED])
        stream = long + GET
        pieces = [stream[at : at + 60000] for at in range(0, len(stream), 60000)]
        requests = decoder()
        found = asked(requests, *pieces)
        first = found[0]
        assert isinstance(first, Request)
        self.assertTrue(first.more)
        self.assertFalse(first.repeatable)
        self.assertLess(len(first.data), COLLECTED + 60000)
        self.assertGreater(len(found), 30)
        expected = [Request(data=long), Request(data=GET, repeatable=True)]
        self.assertEqual(joinedRequests(found), expected)
        self.assertEqual(requests.partial, 0)

    def test_partial(self) -> None:
        """
        One that stops half way is known to be half.
        """
        long = encoded([b"SET", b"a", bytes(2 * COLLECTED)])
        requests = decoder()
        asked(requests, long[:-1])
        self.assertEqual(requests.partial, len(long) - 1)
        self.assertEqual(asked(requests, long[-1:]), [Part(b"\r\n", last=True)])

    def test_malformed(self) -> None:
        """
        One that goes wrong on its way is refused.
        """
        long = encoded([b"SET", b"a", bytes(2 * COLLECTED)])
        found = asked(decoder(), long[:-2], b"xx")
        self.assertIsInstance(found[-1], Refusal)

    def test_refused(self) -> None:
        """
        Those of which all must be known, or that cannot be served, are not begun.
        """
        for name in (b"XREAD", b"HELLO", b"MULTI", b"POST"):
            long = encoded([name, bytes(2 * COLLECTED)])
            (found,) = asked(decoder(), long[:-1], long[-1:])
            self.assertTrue(isinstance(found, Refusal), name)
