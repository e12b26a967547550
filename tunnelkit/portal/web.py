# -*- test-case-name: tests.portal.rendezvous.test_pages -*-
"""
HTTP as portals speak it: small requests with small bodies, and a bound on all that a
stranger can make a site hold.
"""

from __future__ import annotations

from io import BytesIO
from typing import Final

from twisted.internet.interfaces import IReactorTime, ITCPTransport
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource
from twisted.web.server import NOT_DONE_YET, Request, Site

JSON: Final = b"application/json"
TEXT: Final = b"text/plain; charset=utf-8"

LONGEST: Final = 4096
"""What a request's body may have, in bytes."""
CONNECTIONS: Final = 1024
"""Connections at a time; further ones are cut."""
PATIENCE: Final = 30.0
"""Seconds that a request may take to come, and a connection to be idle."""
_TOO_LONG: Final = (
    b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
)


def answer(request: IRequest, code: int, body: bytes = b"", kind: bytes = b"") -> int:
    """
    Answer a request.

    @param kind: the content type, where there is a body.
    @return: C{NOT_DONE_YET}, as a resource gives it that has seen to a request.
    """
    request.setResponseCode(code)
    headers = request.responseHeaders
    headers.setRawHeaders(b"server", [b"tunnelkit"])
    headers.removeHeader(b"content-type")
    if kind:
        headers.setRawHeaders(b"content-type", [kind])
    if kind == TEXT:
        headers.setRawHeaders(b"x-content-type-options", [b"nosniff"])
    headers.setRawHeaders(b"content-length", [b"%d" % len(body)])
    request.write(body)
    request.finish()
    return NOT_DONE_YET


def words(request: IRequest, code: int, sentence: str) -> int:
    """
    Answer a request with a sentence.
    """
    return answer(request, code, f"{sentence}\n".encode(), TEXT)


def bearer(request: IRequest) -> bytes | None:
    """
    Give the key that a request shows, if it shows one.
    """
    header = request.getHeader(b"authorization") or b""
    scheme, _, key = header.partition(b" ")
    return key.strip() or None if scheme.lower() == b"bearer" else None


def body(request: IRequest) -> str:
    """
    Give the body of a request.

    @raise ValueError: it is no text.
    """
    content = request.content.read() if request.content is not None else b""
    try:
        return str(content.decode())
    except UnicodeDecodeError as e:
        raise ValueError("the body of the request is no text in UTF-8") from e


class _Request(Request):
    """
    A request whose body is short.
    """

    channel: _Channel
    _taken = 0

    def gotLength(self, length: int | None) -> None:
        """
        Keep the body in memory, whatever its length is said to be.
        """
        self.content = BytesIO()

    def handleContentChunk(self, data: bytes) -> None:
        """
        Take a part of the body, or close where it is too much.
        """
        before = self._taken
        self._taken += len(data)
        if self._taken <= LONGEST:
            super().handleContentChunk(data)
        elif before <= LONGEST:
            self.channel.refuseBody()

    def process(self) -> None:
        """
        Let it be answered, unless it was.
        """
        if self._taken <= LONGEST:
            super().process()


class _Channel(HTTPChannel):
    """
    A connection of which every wait ends.
    """

    site: BoundedSite
    transport: ITCPTransport

    def connectionMade(self) -> None:
        """
        Serve it, unless there are too many.
        """
        if self.site.enter(self):
            super().connectionMade()
        else:
            self.transport.abortConnection()

    def refuseBody(self) -> None:
        """
        Say that a body is too long, and close.
        """
        self.transport.write(_TOO_LONG)
        self.loseConnection()

    def resetTimeout(self) -> None:
        """
        Do not start the time-out again for each byte: the whole request has to be here
        in time.
        """

    def timeoutConnection(self) -> None:
        """
        Cut the connection, without a word in the log.
        """
        self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Forget it.
        """
        self.site.leave(self)
        super().connectionLost(reason)


class BoundedSite(Site):
    """
    A site without an access log.
    """

    noisy = False
    displayTracebacks = False
    # Its declared type is Twisted's own proxy, there for HTTP/2.
    protocol = _Channel  # type: ignore[assignment]
    requestFactory = _Request
    _log = Logger()

    def __init__(
        self, root: IResource, clock: IReactorTime, most: int = CONNECTIONS
    ) -> None:
        super().__init__(root, timeout=PATIENCE, reactor=clock)
        self._most = most
        self._inside: set[_Channel] = set()

    def startFactory(self) -> None:
        """
        Open no access log, and start no clock for its lines.
        """

    def acceptableProtocols(self) -> list[bytes]:
        """
        Offer HTTP/1.1 alone over TLS: the bounds here are for that.
        """
        return [b"http/1.1"]

    def enter(self, channel: _Channel) -> bool:
        """
        Count a connection, and tell whether it may stay.
        """
        if len(self._inside) >= self._most:
            return False
        self._inside.add(channel)
        return True

    def leave(self, channel: _Channel) -> None:
        """
        Forget a connection.
        """
        self._inside.discard(channel)
