"""
Tests of L{tunnelkit.wire.framings.http1.requests}: what is passed on.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.wire.framings.decoding import asked, joinedRequests, splits
from tests.wire.framings.http1.traffic import (
    events,
    message,
    onlyRequest,
    parsedRequests,
    written,
)
from tunnelkit.wire.framings.contract import Local, Part, Refusal, Request
from tunnelkit.wire.framings.http1.answers import CONTINUE
from tunnelkit.wire.framings.http1.framing import makeHTTP1
from tunnelkit.wire.framings.http1.heads import Asker

GET = message(b"GET / HTTP/1.1", b"Host: x")
CHUNKS = b"5;a=b\r\nhello\r\n00B\r\n world\0\r\n\xff1\r\n0\r\nX-Sum: 1 \r\n\r\n"
PLAIN_CHUNKS = CHUNKS.replace(b";a=b", b"")
POST = (b"POST /p HTTP/1.1", b"Host: x")


class PassedOnTests(SynchronousTestCase):
    """
    What the target gets is what the client sent.
    """

    def test_everySplit(self) -> None:
        """
        Pipelined requests of all kinds come out in order wherever the stream was cut.
        """
        counted = message(*POST, b"Content-Length: 11", body=b"GET / HTTP\0")
        chunked = message(*POST, b"Transfer-Encoding: Chunked")
        stream = b"\r\n" + GET + counted + b"\r\n" + chunked + CHUNKS + GET
        wanted = [
            Request(data=GET, repeatable=True, label=Asker()),
            Request(data=counted, label=Asker()),
            Request(data=chunked + PLAIN_CHUNKS, label=Asker()),
            Request(data=GET, repeatable=True, label=Asker()),
        ]
        for pieces in splits(stream):
            decoder = makeHTTP1([], {}).requests(False)
            self.assertEqual(asked(decoder, *pieces), wanted)
            self.assertEqual(decoder.partial, 0)

    def test_bytes(self) -> None:
        """
        Order, case, white space and other alphabets of header fields stay as they are.
        """
        data = message(
            *(b"GET /%7e?q=%00&r='|\"<>{} HTTP/1.1", b"zebra:  two  spaces \t"),
            *(b"HOST:x", b"A:", b"a: \xc3\xa9\xff", b"Cookie: a=b", b"Cookie: c=d"),
        )
        self.assertEqual(onlyRequest(data).data, data)

    def test_neighbours(self) -> None:
        """
        What is between a client and us alone is not passed on: its C{Connection: close}
        would end the connection that all share.
        """
        data = message(
            *(
                b"GET / HTTP/1.1",
                b"Connection: close, X-Mine",
                b"Host: x",
                b"x-mine: 1",
            ),
            *(b"Keep-Alive: timeout=5", b"Proxy-Connection: close", b"TE: trailers"),
            *(b"A: b", b"connection: , Also", b"also: 2", b"Expect: 100-continue"),
        )
        request = onlyRequest(data)
        self.assertEqual(request.data, message(b"GET / HTTP/1.1", b"Host: x", b"A: b"))
        self.assertTrue(request.label.leaves)

    def test_named(self) -> None:
        """
        C{Connection} cannot take away what a message hangs on.
        """
        fields = (b"Host: x", b"Content-Length: 2")
        line = b"Connection: content-length, host, transfer-encoding"
        data = message(b"POST / HTTP/1.1", *fields, line, body=b"ab")
        plain = message(b"POST / HTTP/1.1", *fields, body=b"ab")
        self.assertEqual(onlyRequest(data).data, plain)

    def test_upgrades(self) -> None:
        """
        A client that offers HTTP/2 is served in HTTP/1.1, with its body.
        """
        data = message(
            *(*POST, b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c"),
            *(b"HTTP2-Settings: AAMAAABk", b"Transfer-Encoding: chunked"),
            body=PLAIN_CHUNKS,
        )
        plain = message(*POST, b"Transfer-Encoding: chunked", body=PLAIN_CHUNKS)
        self.assertEqual(onlyRequest(data).data, plain)

    def test_repeatable(self) -> None:
        """
        GET, HEAD and OPTIONS may be sent again, if they have no body; nothing else.
        """
        for method in (b"GET", b"HEAD", b"OPTIONS"):
            for field, repeatable in (
                (b"A: b", True),
                (b"Content-Length: 0", True),
                (b"Content-Length: 1", False),
            ):
                lines = method + b" / HTTP/1.1", b"Host: x", field
                body = b"" if repeatable else b"1"
                request = onlyRequest(message(*lines, body=body))
                self.assertEqual(request.repeatable, repeatable, (method, field))
                self.assertEqual(request.label.head, method == b"HEAD")
        chunked = message(b"GET / HTTP/1.1", b"Host: x", b"Transfer-Encoding: chunked")
        self.assertFalse(onlyRequest(chunked + b"0\r\n\r\n").repeatable)
        for method in (b"POST", b"PUT", b"DELETE", b"PATCH", b"PROPFIND"):
            request = onlyRequest(message(method + b" / HTTP/1.1", b"Host: x"))
            self.assertFalse(request.repeatable, method)

    def test_targets(self) -> None:
        """
        All ways to name what is asked for pass, where they agree with Host.
        """
        for line, host in (
            (b"OPTIONS *", b"x"),
            (b"GET http://X.Example:80/a?b", b"x.example"),
            (b"GET HTTP://x", b"X:80"),
            (b"GET https://x:443/", b"x:"),
            (b"GET http://[::1]:8080/", b"[::1]:8080"),
            (b"GET /http://y/", b"x"),
            (b"GET //y/", b""),
        ):
            data = message(line + b" HTTP/1.1", b"Host: " + host)
            self.assertEqual(onlyRequest(data).data, data)

    def test_parsedAlike(self) -> None:
        """
        Another parser finds in what the target gets what the client sent.
        """
        chunked = message(*POST, b"Transfer-Encoding: chunked", body=CHUNKS)
        (parsed,) = parsedRequests(written(events(chunked)))
        self.assertEqual(parsed.start, (b"POST", b"/p"))
        self.assertEqual(parsed.body, b"hello world\0\r\n\xff1")
        self.assertEqual(parsed.trailers, [(b"X-Sum", b"1")])


class OldTests(SynchronousTestCase):
    """
    Clients of HTTP/1.0.
    """

    def test_version(self) -> None:
        """
        The target is spoken to in HTTP/1.1, whose requests have a Host: C{host=} says
        which where the client gave none.
        """
        data = b"GET / HTTP/1.0\r\nA: b\r\n\r\n"
        for options, host in (({}, b"localhost"), ({"host": "a:1"}, b"a:1")):
            request = onlyRequest(data, **options)
            self.assertEqual(
                request.data, message(b"GET / HTTP/1.1", b"Host: " + host, b"A: b")
            )
            self.assertEqual(request.label, Asker(old=True, leaves=True))
        data = message(b"GET http://Y:81/ HTTP/1.0", b"A: b")
        same = message(b"GET http://Y:81/ HTTP/1.1", b"Host: Y:81", b"A: b")
        self.assertEqual(onlyRequest(data).data, same)
        data = message(b"GET / HTTP/1.0", b"A: b", b"host: y")
        same = message(b"GET / HTTP/1.1", b"A: b", b"host: y")
        self.assertEqual(onlyRequest(data).data, same)

    def test_stays(self) -> None:
        """
        One that says so stays for more, as C{ab -k} does.
        """
        data = message(b"GET / HTTP/1.0", b"Connection: Keep-Alive")
        self.assertEqual(onlyRequest(data).label, Asker(old=True))
        self.assertEqual(len(events(data + data)), 2)

    def test_expect(self) -> None:
        """
        It is told nothing that HTTP/1.0 does not know.
        """
        head = message(
            b"POST / HTTP/1.0", b"Expect: 100-continue", b"Content-Length: 1"
        )
        self.assertEqual(events(head), [])
        self.assertEqual(len(events(head + b"a")), 1)


class LeavingTests(SynchronousTestCase):
    """
    Clients that say they have no more to ask.
    """

    def test_nothingBehind(self) -> None:
        """
        What comes behind C{Connection: close} is no request.
        """
        last = message(b"GET / HTTP/1.1", b"Host: x", b"Connection: close")
        for pieces in splits(last + GET + b"\0"):
            decoder = makeHTTP1([], {}).requests(False)
            request = Request(data=GET, repeatable=True, label=Asker(leaves=True))
            self.assertEqual(asked(decoder, *pieces), [request])
            self.assertEqual(decoder.partial, 0)

    def test_partial(self) -> None:
        """
        One that leaves in the middle of a request is seen to; one between two is not.
        """
        decoder = makeHTTP1([], {"collect": "4"}).requests(False)
        head = message(b"POST / HTTP/1.1", b"Host: x", b"Content-Length: 10")
        for data, partial in (
            (b"", 0),
            (head, len(head)),
            (b"0123456", len(head) + 7),
            (b"789", 0),
            (b"\r\n", 0),
            (b"GET", 3),
        ):
            asked(decoder, data)
            self.assertEqual(decoder.partial, partial, data)
        decoder.ended()
        self.assertIsNone(decoder.next())


class BodyTests(SynchronousTestCase):
    """
    Bodies that are collected, or stream.
    """

    def test_welcome(self) -> None:
        """
        A client that waits for C{100 Continue} gets it from us, once, and only if it
        has not begun to send.
        """
        head = message(*POST, b"Expect: 100-Continue", b"Content-Length: 2")
        plain = message(*POST, b"Content-Length: 2", body=b"ab")
        request = Request(data=plain, label=Asker())
        self.assertEqual(events(head), [Local(CONTINUE)])
        self.assertEqual(events(head, b"a", b"b"), [Local(CONTINUE), request])
        self.assertEqual(events(head + b"a", b"b"), [request])
        empty = message(*POST, b"Expect: 100-continue", b"Content-Length: 0")
        (only,) = events(empty)
        self.assertIsInstance(only, Request)

    def test_collected(self) -> None:
        """
        A body of up to 1 MiB takes the target when all of it is there.
        """
        size = 1024 * 1024
        head = message(*POST, b"Content-Length: %d" % size)
        decoder = makeHTTP1([], {}).requests(False)
        self.assertEqual(asked(decoder, head, bytes(size - 1)), [])
        whole = Request(data=head + bytes(size), label=Asker())
        self.assertEqual(asked(decoder, b"\0"), [whole])

    def test_streams(self) -> None:
        """
        A longer one streams from there on, and what follows it is a request again.
        """
        head = message(*POST, b"Content-Length: 8")
        self.assertEqual(
            events(head + b"0123", b"", b"4", b"567" + GET, collect="3"),
            [
                Request(data=head + b"0123", more=True, label=Asker()),
                Part(b"4"),
                Part(b"567", last=True),
                Request(data=GET, repeatable=True, label=Asker()),
            ],
        )

    def test_streamsInChunks(self) -> None:
        """
        So does one in chunks, wherever it is cut; its trailers come with its end.
        """
        head = message(*POST, b"Transfer-Encoding: chunked")
        whole = Request(data=head + PLAIN_CHUNKS, label=Asker())
        for pieces in splits(head + CHUNKS):
            found = events(*pieces, collect="1")
            self.assertEqual(joinedRequests(found), [whole])
        found = events(head, CHUNKS, collect="0")
        self.assertEqual(
            found,
            [
                Request(data=head, more=True, label=Asker()),
                Part(PLAIN_CHUNKS, last=True),
            ],
        )

    def test_endsBadly(self) -> None:
        """
        A body that breaks in the middle is refused, though its head has gone on.
        """
        head = message(*POST, b"Transfer-Encoding: chunked")
        *good, last = events(head, b"1\r\na\r\n", b"1\r\naX", collect="0")
        self.assertEqual(written(good), head + b"1\r\na\r\n")
        self.assertIsInstance(last, Refusal)
