"""
Tests of L{tunnelkit.wire.framings.http1.replies}.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.trial.unittest import SynchronousTestCase

from tests.wire.framings.decoding import answered, joinedReplies, splits
from tests.wire.framings.http1.traffic import message, parsedReply, told
from tunnelkit.wire.framings.contract import Answered, Reply, Request
from tunnelkit.wire.framings.http1.framing import makeHTTP1
from tunnelkit.wire.framings.http1.heads import Asker
from tunnelkit.wire.framings.http1.limits import Limits
from tunnelkit.wire.framings.http1.replies import HTTPReplies
from tunnelkit.wire.native.frames import WireError

OK = b"HTTP/1.1 200 OK"
CHUNKS = b'5;a="b\\""\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n'
PLAIN_CHUNKS = b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"
HEAD = Asker(head=True)
OLD = Asker(old=True, leaves=True)
LEAVING = Asker(leaves=True)


def waiting(*askers: Asker) -> HTTPReplies:
    """
    Make a decoder that waits for replies to them.
    """
    decoder = makeHTTP1([], {}).replies(False)
    for asker in askers:
        decoder.send(Request(data=b"", label=asker))
    return decoder


class RepliesTests(SynchronousTestCase):
    """
    Each reply goes to who asked, and is whole.
    """

    def assertReplies(
        self, stream: bytes, askers: Sequence[Asker], wanted: list[Answered]
    ) -> None:
        """
        See what a stream comes to, wherever it is cut.
        """
        for pieces in splits(stream):
            found = answered(waiting(*askers), *pieces)
            self.assertEqual(joinedReplies(found), wanted)

    def test_everySplit(self) -> None:
        """
        Replies of all kinds follow each other on one connection and are not mixed up,
        those that have no body whatever they say of it among them.
        """
        counted = message(OK, b"Content-Length: 5", body=b"HTTP/")
        chunked = message(OK, b"transfer-encoding: chunked")
        head = message(OK, b"Content-Length: 1000")
        headChunked = message(OK, b"Transfer-Encoding: chunked")
        unchanged = message(b"HTTP/1.1 304 Not Modified", b"Content-Length: 9")
        empty = message(b"HTTP/1.1 204 ")
        self.assertReplies(
            b"".join(
                (
                    counted,
                    chunked + CHUNKS,
                    head,
                    headChunked,
                    unchanged,
                    empty,
                    counted,
                )
            ),
            (Asker(), Asker(), HEAD, HEAD, Asker(), Asker(), Asker()),
            [
                Reply(data=counted),
                Reply(data=chunked + PLAIN_CHUNKS),
                Reply(data=head),
                Reply(data=headChunked),
                Reply(data=unchanged),
                Reply(data=empty),
                Reply(data=counted),
            ],
        )

    def test_bytes(self) -> None:
        """
        Order, case, white space and other alphabets of header fields stay as they are;
        what is between the target and us does not.
        """
        lines = (
            *(b"HTTP/1.1 299 \xc3\xa9 !", b"zebra:  a \t", b"Set-Cookie: a"),
            *(b"A:", b"set-cookie: b", b"Content-Length:0"),
        )
        dropped = (
            *(b"Connection: keep-alive, X-Mine", b"Keep-Alive: timeout=5"),
            *(b"X-Mine: 1", b"Upgrade: h2,h2c", b"Proxy-Connection: close"),
        )
        self.assertEqual(told(message(*lines, *dropped)), [Reply(data=message(*lines))])

    def test_noPhrase(self) -> None:
        """
        A status alone is a status line, as some servers have it.
        """
        data = message(b"HTTP/1.1 200", b"Content-Length: 0")
        self.assertEqual(told(data), [Reply(data=data)])

    def test_spent(self) -> None:
        """
        A target that closes behind its reply is not asked again; the client stays.
        """
        head = message(OK, b"Content-Length: 1")
        closing = message(OK, b"Content-Length: 1", b"Connection: Close", body=b"a")
        self.assertEqual(told(closing), [Reply(data=head + b"a", spent=True)])
        old = message(b"HTTP/1.0 200 OK", b"Content-Length: 1", body=b"a")
        self.assertEqual(told(old), [Reply(data=head + b"a", spent=True)])
        kept = (b"Content-Length: 1", b"Connection: keep-alive")
        old = message(b"HTTP/1.0 200 OK", *kept, body=b"a")
        self.assertEqual(told(old), [Reply(data=head + b"a")])

    def test_ownConnection(self) -> None:
        """
        A client that has the connection for itself ends with it, and is told.
        """
        decoder = makeHTTP1([], {}).replies(True)
        decoder.send(Request(data=b"", label=Asker()))
        closing = message(OK, b"Content-Length: 0", b"Connection: close")
        wanted = Reply(data=closing, close=True, spent=True)
        self.assertEqual(answered(decoder, closing), [wanted])

    def test_nothingBehindSpent(self) -> None:
        """
        Of a target that said that it closes nothing more is taken for a reply.
        """
        decoder = waiting(Asker(), Asker())
        closing = message(OK, b"Content-Length: 0", b"Connection: close")
        (only,) = answered(decoder, closing, closing, end=True)
        wanted = Reply(data=message(OK, b"Content-Length: 0"), spent=True)
        self.assertEqual(only, wanted)

    def test_closeDelimited(self) -> None:
        """
        A reply without a length ends with the target's connection, and so does the
        client's, which is told.
        """
        head = message(OK, b"A: b")
        whole = message(OK, b"A: b", b"Connection: close", body=b"HTTP/1.1 200 OK")
        for pieces in splits(head + b"HTTP/1.1 200 OK"):
            self.assertEqual(
                joinedReplies(told(*pieces, end=True)),
                [Reply(data=whole, close=True, spent=True)],
            )
        unended = joinedReplies(told(head))
        self.assertEqual(unended, [Reply(data=whole[:-15], last=False)])

    def test_cutShort(self) -> None:
        """
        The target's end does not make half a reply a whole one.
        """
        for head, body in (
            (message(OK, b"Content-Length: 5"), b"1234"),
            (message(OK, b"Transfer-Encoding: chunked"), b"5\r\nhello\r\n0\r\n"),
            (message(OK)[:-2], b""),
        ):
            decoder = waiting(Asker())
            found = answered(decoder, head + body, end=True)
            self.assertNotIn(True, [e.last for e in found if isinstance(e, Reply)])
            self.assertTrue(decoder.begun)

    def test_short(self) -> None:
        """
        A short reply is given when it is whole, so that a target that dies in it costs
        no client half a reply; a long one, or one that may take its time, as it comes.
        """
        head = message(OK, b"Content-Length: %d" % Limits().whole)
        silence, last = told(head, bytes(Limits().whole - 1), b"\0")
        self.assertEqual(silence, Reply(data=b"", last=False))
        self.assertEqual(last, Reply(data=head + bytes(Limits().whole)))
        for head, first in (
            (message(OK, b"Content-Length: %d" % (Limits().whole + 1)), b"a"),
            (message(OK, b"Transfer-Encoding: chunked"), b"2\r\na"),
        ):
            self.assertEqual(
                told(head, first),
                [Reply(data=head, last=False), Reply(data=first, last=False)],
            )

    def test_begun(self) -> None:
        """
        A request whose reply has begun is known: it is not repeated.
        """
        decoder = waiting(Asker(), Asker())
        reply = message(OK, b"Content-Length: 2", body=b"ab")
        for data, begun in (
            (b"", False),
            (b"H", True),
            (reply[1:-2], True),
            (b"ab", False),
            (message(b"HTTP/1.1 103 Early Hints"), True),
            (reply, False),
        ):
            answered(decoder, data)
            self.assertEqual(decoder.begun, begun, data)
        decoder = waiting(Asker(), Asker())
        answered(decoder, reply + b"H")
        self.assertTrue(decoder.begun)


class AskerTests(SynchronousTestCase):
    """
    Clients of other versions, and those that leave.
    """

    def test_leaves(self) -> None:
        """
        A client that said C{Connection: close} gets the same from us; the target's
        connection stays.
        """
        reply = message(OK, b"Content-Length: 1", body=b"a")
        closing = message(OK, b"Content-Length: 1", b"Connection: close", body=b"a")
        self.assertEqual(told(reply, asker=LEAVING), [Reply(data=closing, close=True)])
        self.assertEqual(told(reply, asker=OLD), [Reply(data=closing, close=True)])

    def test_dechunked(self) -> None:
        """
        To a client of HTTP/1.0 a chunked reply is decoded, and ended by a close.
        """
        head = message(OK, b"Transfer-Encoding: chunked", b"A: b", b"Trailer: X-Sum")
        plain = message(OK, b"A: b", b"Connection: close", body=b"hello")
        for asker in (OLD, Asker(old=True)):
            for pieces in splits(head + CHUNKS):
                found = joinedReplies(told(*pieces, asker=asker))
                self.assertEqual(found, [Reply(data=plain, close=True)])
        parsed = parsedReply(plain, end=True)
        self.assertEqual(parsed.body, b"hello")

    def test_oldStays(self) -> None:
        """
        One of HTTP/1.0 that wants to stay is told that it may, where the reply has a
        length; and one that asked with HEAD is not told of chunks.
        """
        asker = Asker(old=True)
        reply = message(OK, b"Content-Length: 1", body=b"a")
        kept = (b"Content-Length: 1", b"Connection: keep-alive")
        self.assertEqual(
            told(reply, asker=asker), [Reply(data=message(OK, *kept, body=b"a"))]
        )
        data = message(OK, b"Transfer-Encoding: chunked")
        plain = message(OK, b"Connection: keep-alive")
        self.assertEqual(
            told(data, asker=Asker(old=True, head=True)), [Reply(data=plain)]
        )

    def test_interim(self) -> None:
        """
        Interim replies are passed on, but to HTTP/1.0, and the reply comes behind them.
        """
        hints = message(b"HTTP/1.1 103 Early Hints", b"Link: </a>; rel=preload")
        reply = message(OK, b"Content-Length: 0")
        data = hints + message(b"HTTP/1.1 100 Continue") + reply
        for pieces in splits(data):
            found = told(*pieces)
            self.assertEqual(joinedReplies(found), [Reply(data=data)])
            old = told(*pieces, asker=Asker(old=True))
            self.assertEqual([e.last for e in old if isinstance(e, Reply)], [True])

    def test_interimLengths(self) -> None:
        """
        A length where there can be no body is not passed on: a client might wait.
        """
        wrong = b"Content-Length: 5", b"A: b"
        empty = message(b"HTTP/1.1 204 None", *wrong)
        plain = message(b"HTTP/1.1 204 None", b"A: b")
        self.assertEqual(told(empty), [Reply(data=plain)])
        hints = message(b"HTTP/1.1 103 Early Hints", *wrong)
        plain = message(b"HTTP/1.1 103 Early Hints", b"A: b")
        self.assertEqual(told(hints), [Reply(data=plain, last=False)])


class NonsenseTests(SynchronousTestCase):
    """
    A target that says what is no reply loses its connection, before a client gets
    another's.
    """

    def assertNonsense(self, data: bytes, reason: str) -> None:
        """
        See that a target's bytes end its connection.
        """
        with self.assertRaises(WireError) as caught:
            told(data)
        self.assertEqual(str(caught.exception), reason)

    def test_unasked(self) -> None:
        """
        A reply that nobody asked for is for nobody, at once or behind a good one; so is
        the body of a reply that cannot have one.
        """
        reply = message(OK, b"Content-Length: 0")
        with self.assertRaises(WireError) as caught:
            answered(waiting(), reply)
        self.assertEqual(
            str(caught.exception), "it sent 38 bytes that nobody asked for"
        )
        decoder = waiting(Asker())
        decoder.feed(reply + reply)
        self.assertEqual(decoder.next(), Reply(data=reply))
        self.assertRaises(WireError, decoder.next)
        decoder = waiting(HEAD)
        decoder.feed(message(OK, b"Content-Length: 1", body=b"a"))
        self.assertIsInstance(decoder.next(), Reply)
        self.assertRaises(WireError, decoder.next)

    def test_heads(self) -> None:
        """
        Heads that are none, or can be read in two ways.
        """
        status = "it does not begin with a status line of HTTP/1"
        for data, reason in (
            (b"\r\n", status),
            (message(b"200 OK"), status),
            (message(b"HTTP/2 200 OK"), status),
            (message(b"HTTP/1.1 20 OK"), status),
            (message(b"HTTP/1.1 099 OK"), status),
            (message(b"ICY 200 OK"), status),
            (message(b"HTTP/1.1 200 \0"), status),
            (
                message(b"HTTP/1.1 101 Switching Protocols"),
                "it switches to another protocol, which nobody asked for",
            ),
            (b"HTTP/1.1 200 OK\nA: b\n\n", "a line ends in LF without CR"),
            (message(OK, b"A: b", b" c"), "a header line is folded"),
            (
                message(OK, b"Content-Length: 1", b"Content-Length: 2"),
                "there is more than one Content-Length",
            ),
            (
                message(OK, b"Content-Length: 1", b"Transfer-Encoding: chunked"),
                "there are both Content-Length and Transfer-Encoding",
            ),
            (
                message(OK, b"Content-Length: -1"),
                "Content-Length is no number, or too large a one",
            ),
            (
                message(OK, b"Transfer-Encoding: gzip, chunked"),
                "there is a Transfer-Encoding other than chunked",
            ),
            (
                message(b"HTTP/1.0 200 OK", b"Transfer-Encoding: chunked"),
                "a reply of HTTP/1.0 cannot come in chunks",
            ),
            (
                message(OK, b"A: " + b"a" * Limits().head),
                "its head is too long, or has too many header fields",
            ),
            (
                message(OK, *[b"A: b"] * 101),
                "its head is too long, or has too many header fields",
            ),
        ):
            self.assertNonsense(data, f"its reply is no good: {reason}")

    def test_largest(self) -> None:
        """
        A head with a hundred fields, and one of 32 KiB, are good ones.
        """
        ending = b"Content-Length: 0"
        many = message(OK, *[b"A: b"] * 99, ending)
        self.assertEqual(told(many), [Reply(data=many)])
        room = Limits().head - len(message(OK, b"A: ", ending))
        long = message(OK, b"A: " + b"a" * room, ending)
        self.assertEqual(told(long), [Reply(data=long)])

    def test_chunks(self) -> None:
        """
        Chunks that are none.
        """
        head = message(OK, b"Transfer-Encoding: chunked")
        for body, reason in (
            (b"x\r\n", "the size of a chunk is no number, or too large a one"),
            (b"1\r\nab\r\n", "a chunk does not end where its size says"),
            (b"0\r\nContent-Length: 1\r\n\r\n", "content-length is no trailer"),
        ):
            self.assertNonsense(head + body, f"its reply is no good: {reason}")

    def test_interims(self) -> None:
        """
        Interim replies without end are no reply.
        """
        data = message(b"HTTP/1.1 100 Continue")
        self.assertEqual(len(told(data * 32)), 32)
        reason = "its reply is no good: 33 interim replies come before it"
        self.assertNonsense(data * 33, reason)
