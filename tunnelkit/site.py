# -*- test-case-name: tests.test_site -*-
"""
A web site with a bound on all that a stranger can make it hold: HTTP/1.1 on whatever
transport it is served.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime, ITCPTransport
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.resource import IResource
from twisted.web.server import Request, Site

_TOO_LONG: Final = (
    b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """
    What a site holds at most.

    @ivar most: connections at a time; further ones are cut.
    @ivar patience: how long a whole request may take to come, and how long a connection
        stays open without one, in seconds.
    @ivar longest: the longest body of a request, in bytes; a longer one is refused.
    @ivar kept: whether bodies are there to be read; where no resource looks at them
        they are counted and thrown away.
    """

    most: int
    patience: float
    longest: int
    kept: bool


class BoundedSite(Site):
    """
    A site without an access log.

    @ivar bounds: what it holds at most.
    """

    noisy = False
    displayTracebacks = False
    _log = Logger()

    def __init__(self, root: IResource, clock: IReactorTime, bounds: Bounds) -> None:
        super().__init__(root, BoundedRequest, timeout=bounds.patience, reactor=clock)
        # Its declared type is Twisted's own proxy, there for HTTP/2.
        self.protocol = BoundedChannel  # type: ignore[assignment]
        self.bounds = bounds
        self._inside: set[BoundedChannel] = set()

    def startFactory(self) -> None:
        """
        Open no access log, and start no clock for its lines.
        """

    def acceptableProtocols(self) -> list[bytes]:
        """
        Offer HTTP/1.1 alone over TLS: the bounds here are for that.
        """
        return [b"http/1.1"]

    def enter(self, channel: BoundedChannel) -> bool:
        """
        Count a connection, and tell whether it may stay.
        """
        most = self.bounds.most
        if len(self._inside) >= most:
            self._log.debug("a web connection was cut: {most} are open", most=most)
            return False
        self._inside.add(channel)
        return True

    def leave(self, channel: BoundedChannel) -> None:
        """
        Forget a connection.
        """
        self._inside.discard(channel)


class BoundedRequest(Request):
    """
    A request whose body is short.
    """

    channel: BoundedChannel
    _taken = 0

    def gotLength(self, length: int | None) -> None:
        """
        Keep no file for the body, however long it says that it is.
        """
        self.content = BytesIO()

    def handleContentChunk(self, data: bytes) -> None:
        """
        Take a part of the body, or close where it is too much.
        """
        bounds, before = self.channel.site.bounds, self._taken
        self._taken += len(data)
        if self._taken <= bounds.longest:
            if bounds.kept:
                super().handleContentChunk(data)
        elif before <= bounds.longest:
            self.channel.refuseBody()

    def process(self) -> None:
        """
        Let it be answered, unless it was.
        """
        if self._taken <= self.channel.site.bounds.longest:
            super().process()


class BoundedChannel(HTTPChannel):
    """
    A connection of which every wait ends.
    """

    site: BoundedSite
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
        Do not start the time-out again for each byte: the whole request has to be here
        in time.
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
