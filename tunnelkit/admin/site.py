# -*- test-case-name: tests.admin.test_site -*-
"""
The admin rooms as a web site: HTTP/1.1 on whatever transport it is served, with a
bound on all that a stranger can make it hold.
"""

from __future__ import annotations

from io import BytesIO
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime, ITCPTransport
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.resource import IResource
from twisted.web.server import Request, Site

_LONGEST_BODY: Final = 64 * 1024
"""What is read of a request's body, in bytes.  No room looks at it."""
_TOO_LONG: Final = (
    b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
)


def makeSite(
    root: IResource, clock: IReactorTime, patience: float = 30.0, most: int = 100
) -> Site:
    """
    Make the site.

    @param root: its rooms.
    @param patience: how long a whole request may take to come, and how long a
        connection stays open without one, in seconds.
    @param most: the most connections at a time; further ones are cut.
    """
    return _AdminSite(root, clock, patience, most)


class _AdminRequest(Request):
    """
    A request whose body is counted and thrown away.
    """

    channel: _AdminChannel
    _taken = 0

    def gotLength(self, length: int | None) -> None:
        """
        Keep no room for the body, however long it says that it is.
        """
        self.content = BytesIO()

    def handleContentChunk(self, data: bytes) -> None:
        """
        Count, and close where it is too much.
        """
        before = self._taken
        self._taken += len(data)
        if before <= _LONGEST_BODY < self._taken:
            self.channel.refuseBody()

    def process(self) -> None:
        """
        Find the room and let it answer, unless that was answered already.
        """
        if self._taken <= _LONGEST_BODY:
            super().process()


class _AdminChannel(HTTPChannel):
    """
    A connection of which every wait ends.
    """

    site: _AdminSite
    transport: ITCPTransport
    _cut: IDelayedCall | None = None

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
        Do not start the time-out again for each byte: the whole request has to be
        here in time.
        """

    def timeoutConnection(self) -> None:
        """
        Close without a word in the log: browsers keep connections open as they like.
        """
        self.loseConnection()

    def loseConnection(self) -> None:
        """
        Close, within C{abortTimeout} seconds even where the peer reads nothing.
        """
        if self._cut is None:
            self._cut = self.callLater(self.abortTimeout, self.forceAbortClient)
        super().loseConnection()

    def forceAbortClient(self) -> None:
        """
        Cut the connection.
        """
        self._cut = None
        self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Forget it.
        """
        self.site.leave(self)
        cut, self._cut = self._cut, None
        if cut is not None:
            cut.cancel()
        super().connectionLost(reason)


class _AdminSite(Site):
    """
    A site without an access log.
    """

    noisy = False
    displayTracebacks = False
    # Its declared type is Twisted's own proxy, there for HTTP/2.
    protocol = _AdminChannel  # type: ignore[assignment]
    requestFactory = _AdminRequest
    _log = Logger()

    def __init__(
        self, root: IResource, clock: IReactorTime, patience: float, most: int
    ) -> None:
        super().__init__(root, timeout=patience, reactor=clock)
        self._most = most
        self._inside: set[_AdminChannel] = set()

    def startFactory(self) -> None:
        """
        Open no access log, and start no clock for its lines.
        """

    def acceptableProtocols(self) -> list[bytes]:
        """
        Offer HTTP/1.1 alone over TLS: the bounds here are for that.
        """
        return [b"http/1.1"]

    def enter(self, channel: _AdminChannel) -> bool:
        """
        Count a connection, and tell whether it may stay.
        """
        if len(self._inside) >= self._most:
            self._log.debug(
                "an admin connection was cut: {most} are open", most=self._most
            )
            return False
        self._inside.add(channel)
        return True

    def leave(self, channel: _AdminChannel) -> None:
        """
        Forget a connection.
        """
        self._inside.discard(channel)
