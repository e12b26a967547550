"""
Tests of L{tunnelkit.wire.framings.redis.asking}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.wire.framings.decoding import asked, splits
from tunnelkit.wire.framings.contract import Asked, Local, Refusal, Request
from tunnelkit.wire.framings.redis.asking import LINE, RedisRequests, array, typed
from tunnelkit.wire.native.frames import WireError

LONGEST = 1000
GET = array([b"GET", b"a"])
SET = array([b"SET", b"a", b"\r\n\0"])


def decoder(sticky: bool = False) -> RedisRequests:
    """
    Make a decoder.
    """
    return RedisRequests(sticky, LONGEST)


def shared(data: bytes, repeatable: bool = False) -> Request:
    """
    Give a request that shares its connection.
    """
    return Request(data=data, repeatable=repeatable, label=False)


class ArrayTests(SynchronousTestCase):
    """
    Commands as programs send them.
    """

    def test_everySplit(self) -> None:
        """
        They come out whole and as they are, wherever they were cut; empty ones, to
        which redis says nothing, do not come out.
        """
        expected = [shared(GET, repeatable=True), shared(SET)]
        for pieces in splits(GET + b"*0\r\n*-1\r\n" + SET + GET[:9]):
            requests = decoder()
            self.assertEqual(asked(requests, *pieces), expected)
            self.assertEqual(requests.partial, 9)

    def test_malformed(self) -> None:
        """
        What is none is refused in redis's own manner, with a reason.
        """
        for data, reason in (
            (b"*x\r\n", "a length is no number"),
            (b"*+1\r\n", "a length is no number"),
            (b"*01\r\n", "a length is no number"),
            (b"*" + b"1" * 20, "a length is no number"),
            (b"*1\r\n:1\r\n", "$ expected, and not b':'"),
            (b"*1\r\n$-1\r\n", "a string of a command is null"),
            (b"*1\r\n$1\r\nabc", "a string is longer than it says"),
            (b"*1\r\n$1000\r\n", "a command of more than 1000 bytes"),
        ):
            said = f"-ERR tunnelshare: {reason}\r\n".encode()
            self.assertEqual(asked(decoder(), data), [Refusal(reason, said)])

    def test_longest(self) -> None:
        """
        The longest passes, whether it has long strings or many; one byte more does not.
        """
        long = array([b"GET", b"a" * (LONGEST - len(array([b"GET", b""])) - 2)])
        self.assertEqual(len(long), LONGEST)
        self.assertEqual(asked(decoder(), long), [shared(long, repeatable=True)])
        (found,) = asked(decoder(), array([b"GET", long]))
        self.assertIsInstance(found, Refusal)
        (found,) = asked(decoder(), array([b""] * 200))
        self.assertIsInstance(found, Refusal)

    @given(st.lists(st.binary(max_size=20), min_size=1, max_size=8), st.data())
    def test_anyWords(self, words: list[bytes], data: st.DataObject) -> None:
        """
        Whatever a command's words are, one event comes of it, however it was cut.
        """
        stream = array(words)
        cut = data.draw(st.integers(0, len(stream)))
        events = asked(decoder(), stream[:cut], stream[cut:])
        self.assertEqual(events, asked(decoder(), stream))
        self.assertEqual(len(events), 1)

    @given(st.lists(st.binary(max_size=40), max_size=6), st.booleans())
    def test_anything(self, pieces: list[bytes], sticky: bool) -> None:
        """
        Whatever a client says, nothing is raised, and little is kept.
        """
        requests = decoder(sticky)
        events: list[Asked] = asked(requests, *pieces)
        if not any(isinstance(each, Refusal) for each in events):
            self.assertLessEqual(requests.partial, LINE)


class LineTests(SynchronousTestCase):
    """
    Commands as people type them.
    """

    def test_arrays(self) -> None:
        """
        They reach redis as arrays, wherever they were cut.
        """
        for pieces in splits(b"GET a\r\n\r\n set a 'b c'\n"):
            expected = [
                shared(GET, repeatable=True),
                shared(array([b"set", b"a", b"b c"])),
            ]
            self.assertEqual(asked(decoder(), *pieces), expected)

    def test_quotes(self) -> None:
        """
        Quotes and escapes mean what they mean to redis, so that no command hides.
        """
        for line, words in (
            (b"", []),
            (b"  a\tb ", [b"a", b"b"]),
            (rb'"a b" c', [b"a b", b"c"]),
            (rb'"\x4dULTI"', [b"MULTI"]),
            (rb'"a\n\"\q"', [b'a\n"q']),
            (rb"'a\'b\n'", [rb"a'b\n"]),
            (b'""', [b""]),
        ):
            self.assertEqual(typed(line), words)
        for line in (b'"a', b"'a", b'"a"b', b'a"b"', b"\x00"):
            with self.assertRaises(WireError):
                typed(line)
        (found,) = asked(decoder(), b'"\\x4dULTI"\n')
        self.assertIsInstance(found, Local)

    def test_longest(self) -> None:
        """
        A line without end is refused.
        """
        (found,) = asked(RedisRequests(False, 10 * LINE), b"a" * LINE)
        self.assertIsInstance(found, Refusal)

    def test_web(self) -> None:
        """
        A browser that was tricked into speaking to redis is refused.
        """
        for line in (b"POST / HTTP/1.1\r\n", b"Host: x\r\n"):
            (found,) = asked(decoder(), line)
            self.assertIsInstance(found, Refusal)


class SharedTests(SynchronousTestCase):
    """
    A connection that others use, too.
    """

    def test_refused(self) -> None:
        """
        What needs a connection of its own is refused by its name, in its place, and
        the next command is served.
        """
        said = (
            b"-ERR tunnelshare: SUBSCRIBE needs a connection of its own (--sticky)\r\n"
        )
        found = asked(decoder(), array([b"subscribe", b"a"]) + GET)
        self.assertEqual(found, [Local(said), shared(GET, repeatable=True)])

    def test_quit(self) -> None:
        """
        Who quits is told so, and closed, and nobody else is.
        """
        for sticky in (False, True):
            found = asked(decoder(sticky), array([b"quit"]))
            self.assertEqual(found, [Local(b"+OK\r\n", close=True)])

    def test_copies(self) -> None:
        """
        A replica is told that it cannot have one, with a connection of its own either.
        """
        for sticky in (False, True):
            (found,) = asked(decoder(sticky), array([b"PSYNC", b"?", b"-1"]))
            said = b"-ERR tunnelshare: PSYNC copies a server, which is not carried\r\n"
            self.assertEqual(found, Local(said))


class StickyTests(SynchronousTestCase):
    """
    A connection of one's own.
    """

    def test_all(self) -> None:
        """
        Everything passes; what waits may wait.
        """
        for words, patient in (
            ([b"MULTI"], False),
            ([b"SELECT", b"1"], False),
            ([b"HELLO", b"3"], False),
            ([b"BLPOP", b"a", b"0"], True),
        ):
            (found,) = asked(decoder(sticky=True), array(words))
            expected = Request(data=array(words), patient=patient, label=True)
            self.assertEqual(found, expected)

    def test_subscribed(self) -> None:
        """
        Behind a subscription answers do not follow commands one by one.
        """
        found = asked(decoder(sticky=True), GET, array([b"SUBSCRIBE", b"a", b"b"]), GET)
        silent = [each.silent for each in found if isinstance(each, Request)]
        self.assertEqual(silent, [False, True, True])
