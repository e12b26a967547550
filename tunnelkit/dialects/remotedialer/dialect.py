# -*- test-case-name: tests.dialects.remotedialer.test_dialect -*-
"""
Dialect: remotedialer on the server's port.

Who begins with HTTP's GET gets a web site that has one room, where clients ask for
their WebSocket.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Any, Final, cast

from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.iweb import IRequest
from twisted.web.resource import Resource
from twisted.web.server import Request, Site
from zope.interface import implementer

from tunnelkit.control.names import hostOr, legible
from tunnelkit.control.session import Identity, Refusal
from tunnelkit.dialects.doorway import Guest
from tunnelkit.dialects.house import House
from tunnelkit.dialects.remotedialer.admitted import Admitted, peerUser, userOf
from tunnelkit.dialects.remotedialer.line import Line
from tunnelkit.dialects.remotedialer.room import (
    Authorise,
    Caller,
    ConnectRoom,
    header,
    listed,
)
from tunnelkit.interfaces import IDialect
from tunnelkit.relay.connection import Connection, Holder
from tunnelkit.wire.address import unmapped
from tunnelkit.wire.remotedialer.login import PATH, PLACES
from tunnelkit.wire.remotedialer.messages import AddClient, RemoveClient

NAME: Final = "remotedialer"
MOST_OF_ONE: Final = 64
"""Sessions of one client at most."""

_TOO_LONG: Final = (
    b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
)


@implementer(IDialect)
class RemoteDialerDialect:
    """
    What speaks remotedialer on a server's port.

    @ivar house: the server.
    @ivar switchboard: who is connected, and how to dial through them.
    """

    name = NAME
    places = (PLACES,)

    def __init__(
        self,
        house: House,
        ids: Collection[str],
        plain: bool,
        peers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """
        @param ids: those that may come in.
        @param peers: the tokens of other servers, by their ids.
        """
        self.plain = plain
        self.house = house
        self.switchboard = house.switchboard()
        self._site = _makeSite(house, listed(ids, peers), self.welcome)

    def greet(self, guest: Guest) -> Holder:
        """
        Serve the web site.
        """
        return _Visit(self._site, guest)

    def welcome(self, caller: Caller, request: IRequest) -> Line:
        """
        Make a client's line, which is a session of the server's.

        @raise ConnectionError: there is no room.
        """
        visit, board = _visitOf(request), self.switchboard
        if not caller.peer and len(board.sessions(caller.key)) >= MOST_OF_ONE:
            raise ConnectionError("this client has too many sessions")
        line = self._line(caller)
        identity = _identity(self.house, line, visit, caller)
        try:
            Admitted(self.house, line).enter(identity)
        except Refusal as e:
            raise ConnectionError(e.reason) from None
        if caller.peer:
            line.onEnd(lambda reason: board.left(line))
        else:
            board.add(line)
        self.house.counts["logins"] += 1
        visit.guest.leave()
        return line

    def _line(self, caller: Caller) -> Line:
        house, board = self.house, self.switchboard

        def announced(message: AddClient | RemoveClient) -> None:
            board.announced(line, message)

        line = Line(
            house.clock,
            caller.key,
            _number(house),
            _number(house),
            announced=announced if caller.peer else None,
        )
        return line


def _identity(house: House, line: Line, visit: _Visit, caller: Caller) -> Identity:
    request = visit.channel.requests[-1]
    local = unmapped(getattr(visit.connection.transport.getHost(), "host", ""))
    return Identity(
        user=peerUser(caller.key) if caller.peer else userOf(caller.key),
        client=f"peer {caller.key}" if caller.peer else line.who,
        instance=house.nonce(),
        program=legible(f"{NAME} {header(request, 'User-Agent')}".strip(), 100),
        peer=visit.guest.peer,
        host=hostOr(local, "localhost"),
        bound=False,
    )


def _visitOf(request: IRequest) -> _Visit:
    return cast(_Channel, cast(Request, request).channel).visit


def _number(house: House) -> int:
    return int(house.nonce()[:15], 16)


class _Request(Request):
    """
    A request without a body.
    """

    channel: _Channel

    def gotLength(self, length: int | None) -> None:
        """
        Take no body: who sends one has another server in mind.
        """
        super().gotLength(0)
        if length != 0:
            self.channel.refuseBody()

    def handleContentChunk(self, data: bytes) -> None:
        """
        Keep nothing of it.
        """

    def process(self) -> None:
        """
        Answer, unless that is done.
        """
        if not self.channel.refused:
            super().process()


class _Channel(HTTPChannel):
    """
    The connection of a guest, for one request.

    @ivar visit: who holds it.
    @ivar refused: whether it was sent away.
    """

    visit: _Visit
    refused = False

    def checkPersistence(self, request: Request, version: bytes) -> bool:
        """
        Close it behind the answer.
        """
        super().checkPersistence(request, version)
        request.responseHeaders.setRawHeaders(b"connection", [b"close"])
        return False

    def refuseBody(self) -> None:
        """
        Say that there is to be no body, and close.
        """
        self.refused = True
        cast(Any, self.transport).write(_TOO_LONG)
        self.loseConnection()


class _Site(Site):
    """
    The web site.
    """

    noisy = False
    displayTracebacks = False
    # Its declared type is Twisted's own proxy, there for HTTP/2.
    protocol = _Channel  # type: ignore[assignment]
    requestFactory = _Request


def _makeSite(
    house: House, authorise: Authorise, welcome: Callable[[Caller, IRequest], Line]
) -> _Site:
    def refused(request: IRequest, tell: Callable[[], None]) -> None:
        visit = _visitOf(request)
        house.turnAway(visit.guest, visit.connection, NAME, "an unknown id", tell)

    root = Resource()
    root.putChild(PATH.encode()[1:], ConnectRoom(authorise, welcome, refused))
    # Guests have deadlines of their own.
    return _Site(root, reactor=house.clock, timeout=None)


class _Visit(Holder):
    """
    Who holds the connection of a guest that speaks HTTP.

    @ivar guest: whose it is.
    @ivar channel: what reads the request.
    """

    def __init__(self, site: _Site, guest: Guest) -> None:
        self.guest = guest
        self._site = site

    def held(self, connection: Connection) -> None:
        """
        Wait for the request.
        """
        super().held(connection)
        self.guest.due(connection, "it did not ask for a WebSocket in time")
        address = connection.transport.getPeer()
        channel = cast(_Channel, self._site.buildProtocol(address))
        channel.visit = self
        self.channel = channel
        cast(IProtocol, channel).makeConnection(connection.transport)

    def dataReceived(self, data: bytes) -> None:
        """
        Read the request, or what the WebSocket carries.
        """
        self.channel.dataReceived(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        It is gone.
        """
        self.guest.leave()
        cast(Protocol, self.channel).connectionLost(reason)
