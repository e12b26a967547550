"""
Tests for L{tunnelkit.admin.site}.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import LogEvent, globalLogPublisher
from twisted.web.iweb import IRequest
from twisted.web.resource import Resource
from twisted.web.server import Site

from tests.admin.asking import TOKEN, FakeSource
from tests.visits import SiteCase
from tunnelkit.admin.rooms import makeRoot
from tunnelkit.admin.site import makeSite

GET = f"GET /api/v1/tunnels HTTP/1.1\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()
LIMIT = 64 * 1024


def post(length: int) -> bytes:
    """
    Give the head of a request that announces a body.
    """
    return f"POST /healthz HTTP/1.1\r\nContent-Length: {length}\r\n\r\n".encode()


class RoomsCase(SiteCase):
    """
    The site of the rooms.
    """

    def makeSite(self) -> Site:
        """
        Make it.
        """
        root = makeRoot(FakeSource(), TOKEN)
        return makeSite(root, self.clock, patience=30.0, most=3)


class ServingTests(RoomsCase):
    """
    Rooms are served to browsers and programs as HTTP.
    """

    def test_serves(self) -> None:
        """
        One connection serves one request after the other.
        """
        protocol, transport = self.connect()
        for _ in range(3):
            protocol.dataReceived(GET)
            self.assertTrue(transport.value().startswith(b"HTTP/1.1 200 OK\r\n"))
            self.assertIn(b'"tunnels":[{', transport.value())
            transport.clear()
        self.assertFalse(transport.disconnecting)

    def test_everySplit(self) -> None:
        """
        A request is understood wherever it was cut.
        """
        for cut in range(len(GET)):
            protocol, transport = self.connect()
            protocol.dataReceived(GET[:cut])
            protocol.dataReceived(GET[cut:])
            self.assertIn(b"200 OK", transport.value(), f"cut at {cut}")
            self.lose(protocol)

    @given(st.binary(max_size=300), st.booleans())
    def test_anyBytes(self, noise: bytes, asHeaders: bool) -> None:
        """
        Whatever a stranger sends, the site serves the next one.
        """
        protocol, transport = self.connect()
        protocol.dataReceived(b"GET / HTTP/1.1\r\n" * asHeaders + noise + b"\r\n\r\n")
        self.assertNotIn(b"200 OK", transport.value())
        self.lose(protocol)
        protocol, transport = self.connect()
        protocol.dataReceived(GET)
        self.assertIn(b"200 OK", transport.value())
        self.lose(protocol)

    def test_silence(self) -> None:
        """
        Requests leave no line in the log.
        """
        events: list[LogEvent] = []
        observer: Any = events.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        protocol, _ = self.connect()
        protocol.dataReceived(GET)
        protocol.dataReceived(GET.replace(b"GET", b"HEAD"))
        self.assertEqual(events, [])

    def test_head(self) -> None:
        """
        HEAD gives the head alone, and the connection serves on.
        """
        protocol, transport = self.connect()
        protocol.dataReceived(GET.replace(b"GET", b"HEAD") + GET)
        first, _, rest = transport.value().partition(b"\r\n\r\n")
        self.assertIn(b"200 OK", first)
        self.assertTrue(rest.startswith(b"HTTP/1.1 200 OK"))


class BoundsTests(RoomsCase):
    """
    A stranger cannot make the site hold more and more.
    """

    def test_shortBody(self) -> None:
        """
        A body that nobody asked for is passed over.
        """
        protocol, transport = self.connect()
        protocol.dataReceived(post(LIMIT) + bytes(LIMIT) + GET)
        self.assertIn(b"405 Method Not Allowed", transport.value())
        self.assertIn(b"200 OK", transport.value())
        self.assertFalse(transport.disconnecting)

    def test_bodyIsNotKept(self) -> None:
        """
        The bytes of a body are nowhere: not in memory, not in a file.
        """
        kept: list[int] = []

        class Looking(Resource):
            isLeaf = True

            def render(self, request: IRequest) -> bytes:
                kept.append(len(request.content.read()))
                return b""

        self.site.resource = Looking()
        protocol, _ = self.connect()
        protocol.dataReceived(post(5000) + bytes(5000))
        self.assertEqual(kept, [0])
