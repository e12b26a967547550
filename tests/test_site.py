"""
Tests for L{tunnelkit.site}.
"""

from __future__ import annotations

import tempfile
from typing import Any

from twisted.logger import LogEvent, globalLogPublisher
from twisted.web import http
from twisted.web.iweb import IRequest
from twisted.web.resource import Resource

from tests.visits import SiteCase
from tunnelkit.site import BoundedSite, Bounds

GET = b"GET / HTTP/1.1\r\nHost: here\r\nAccept: everything\r\n\r\n"
LIMIT = 64 * 1024


def post(length: int) -> bytes:
    """
    Give the head of a request that announces a body.
    """
    return f"POST / HTTP/1.1\r\nContent-Length: {length}\r\n\r\n".encode()


class Counting(Resource):
    """
    Answers with how much of a body it can read.
    """

    isLeaf = True

    def render(self, request: IRequest) -> bytes:
        """
        Count.
        """
        return b"%d bytes" % len(request.content.read())


class CountingCase(SiteCase):
    """
    A site that counts what it is sent.
    """

    kept = False

    def makeSite(self) -> BoundedSite:
        """
        Make it.
        """
        bounds = Bounds(most=3, patience=30.0, longest=LIMIT, kept=self.kept)
        return BoundedSite(Counting(), self.clock, bounds)


class ServingTests(CountingCase):
    """
    A site serves, and does nothing else.
    """

    def test_silence(self) -> None:
        """
        Requests, connections and idle ones that end leave no line in the log.
        """
        events: list[LogEvent] = []
        observer: Any = events.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        protocol, _ = self.connect()
        protocol.dataReceived(GET)
        self.clock.advance(100)
        self.assertEqual(events, [])

    def test_brokenResource(self) -> None:
        """
        A bug outside of any room gives no traceback away, either.
        """

        class Broken(Resource):
            isLeaf = True

            def render(self, request: IRequest) -> bytes:
                raise RuntimeError("a secret")

        self.site.resource = Broken()
        protocol, transport = self.connect()
        protocol.dataReceived(GET)
        self.assertIn(b" 500 ", transport.value())
        self.assertNotIn(b"secret", transport.value())
        self.assertNotIn(b"Traceback", transport.value())
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_onlyHTTP1(self) -> None:
        """
        Over TLS a browser is offered HTTP/1.1 alone, whatever else is installed.
        """
        self.patch(http, "H2_ENABLED", True)
        self.assertEqual(self.site.acceptableProtocols(), [b"http/1.1"])

    def test_noClock(self) -> None:
        """
        A site that nobody looks at does nothing at all.
        """
        self.assertEqual(self.clock.getDelayedCalls(), [])


class BoundsTests(CountingCase):
    """
    A stranger cannot make the site hold more and more.
    """

    def test_trickledHead(self) -> None:
        """
        Who sends a byte now and then is cut when the whole request should be here.
        """
        protocol, transport = self.connect()
        for byte in GET[:29]:
            self.assertFalse(transport.disconnecting)
            protocol.dataReceived(bytes([byte]))
            self.clock.advance(1)
        self.clock.advance(1)
        self.assertTrue(transport.disconnecting)

    def test_trickledBody(self) -> None:
        """
        A body does not buy more time.
        """
        protocol, transport = self.connect()
        protocol.dataReceived(post(1000))
        for _ in range(30):
            protocol.dataReceived(b"x")
            self.clock.advance(1)
        self.assertTrue(transport.disconnecting)

    def test_idle(self) -> None:
        """
        A connection kept open has the full time again after each answer, no more.
        """
        protocol, transport = self.connect()
        self.clock.advance(29)
        protocol.dataReceived(GET)
        self.clock.advance(29)
        self.assertFalse(transport.disconnecting)
        self.clock.advance(1)
        self.assertTrue(transport.disconnecting)

    def test_neverReads(self) -> None:
        """
        A connection that is to close and cannot, as its peer reads nothing, is cut.
        """
        protocol, transport = self.connect()
        protocol.dataReceived(GET[:-2] + b"Connection: close\r\n\r\n")
        self.assertTrue(transport.disconnecting)
        self.clock.advance(14)
        self.assertFalse(transport.disconnected)
        self.clock.advance(1)
        self.assertTrue(transport.disconnected)

    def test_longHead(self) -> None:
        """
        A head without end is refused.
        """
        protocol, transport = self.connect()
        sent = 0
        while not transport.disconnecting:
            protocol.dataReceived(b"X-Long: " + b"x" * 1000 + b"\r\n")
            sent += 1000
            self.assertLess(sent, LIMIT)
        self.assertIn(b" 400 ", transport.value())

    def test_longBody(self) -> None:
        """
        A body that is too long is refused, once, however it comes.
        """
        body = bytes(LIMIT + 5000)
        chunked = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        for pieces in (
            [post(len(body)) + body],
            [post(len(body)), *([bytes(1000)] * (len(body) // 1000))],
            [post(10**12), body, body],
            [chunked, b"%x\r\n" % len(body), body, b"\r\n0\r\n\r\n"],
            [chunked + (b"1000\r\n" + bytes(0x1000) + b"\r\n") * 20 + b"0\r\n\r\n"],
        ):
            protocol, transport = self.connect()
            for piece in pieces:
                protocol.dataReceived(piece)
            self.assertTrue(transport.value().startswith(b"HTTP/1.1 413 "))
            self.assertEqual(transport.value().count(b"HTTP/1.1"), 1)
            self.assertTrue(transport.disconnecting)
            self.lose(protocol)

    def test_noFile(self) -> None:
        """
        A body that is announced to be huge takes no file on the server's disk.
        """
        made: list[None] = []
        self.patch(tempfile, "TemporaryFile", lambda: made.append(None))
        protocol, _ = self.connect()
        protocol.dataReceived(post(10**9))
        self.assertEqual(made, [])

    def test_mostConnections(self) -> None:
        """
        One connection too many is cut, and who comes when one has ended is served.
        """
        first, *_ = [self.connect()[0] for _ in range(3)]
        tooMany, transport = self.connect()
        self.assertTrue(transport.disconnected)
        self.lose(tooMany)
        self.lose(first)
        protocol, transport = self.connect()
        protocol.dataReceived(GET)
        self.assertIn(b"200 OK", transport.value())

    def test_fullTwice(self) -> None:
        """
        Those who were cut do not count as gone.
        """
        for _ in range(3):
            self.connect()
        for _ in range(2):
            tooMany, transport = self.connect()
            self.assertTrue(transport.disconnected)
            self.lose(tooMany)

    def test_notKept(self) -> None:
        """
        Where nobody looks at bodies their bytes are nowhere: not in memory, not in a
        file.
        """
        protocol, transport = self.connect()
        protocol.dataReceived(post(LIMIT) + bytes(LIMIT))
        self.assertTrue(transport.value().endswith(b"\r\n\r\n0 bytes"))


class KeptTests(BoundsTests):
    """
    Where bodies are looked at the bounds are the same.
    """

    kept = True

    def test_notKept(self) -> None:
        """
        A body is there as a whole, up to the longest one.
        """
        protocol, transport = self.connect()
        protocol.dataReceived(post(LIMIT) + bytes(LIMIT))
        self.assertTrue(transport.value().endswith(b"\r\n\r\n65536 bytes"))
