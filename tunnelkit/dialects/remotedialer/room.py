# -*- test-case-name: tests.dialects.remotedialer.test_room -*-
"""
Room: where clients ask for their WebSocket, as a resource for any web site.

Who they are is told by an authoriser, from the request; it is asked before all else, so
that a stranger learns nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, cast

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from tunnelkit.dialects.remotedialer.line import Answer, Line
from tunnelkit.dialects.remotedialer.switchboard import Switchboard
from tunnelkit.relay.connection import Connection, Holder
from tunnelkit.wire.remotedialer.login import (
    CLIENT,
    FAILED,
    PEER,
    PEER_TOKEN,
    isClient,
    isPeer,
)
from tunnelkit.wire.remotedialer.websocket import Violation, WebSocket

UNAUTHORISED: Final = 401
UPGRADE: Final = 426
BAD: Final = 400


_NO_PEERS: Final[Mapping[str, str]] = {}


@dataclass(frozen=True, slots=True)
class Caller:
    """
    Who asks.

    @ivar key: what he is dialled by: a client's id, or a peer's.
    @ivar peer: whether he is a peer.
    """

    key: str
    peer: bool = False


Authorise: TypeAlias = Callable[[IRequest], "Caller | Deferred[Caller | None] | None"]
"""Says who asks, or that nobody does who may come in.  What it raises as ValueError is
answered with its text."""
Welcome: TypeAlias = Callable[[Caller, IRequest], Line]
"""Makes the line of who may come in; a ConnectionError says why there is none."""


def listed(ids: Collection[str], peers: Mapping[str, str] = _NO_PEERS) -> Authorise:
    """
    Let those clients in whose ids are known.

    @param peers: the tokens of other servers that may come in, by their ids.
    """

    def authorise(request: IRequest) -> Caller | None:
        name = header(request, PEER)
        if isPeer(name, header(request, PEER_TOKEN), peers):
            return Caller(name, peer=True)
        key = header(request, CLIENT)
        return Caller(key) if isClient(key, ids) else None

    return authorise


def welcoming(
    switchboard: Switchboard,
    clock: IReactorTime,
    answer: Answer | None = None,
    random: Callable[[int], bytes] = os.urandom,
) -> Welcome:
    """
    Have clients be at a switchboard.

    @param answer: takes what they dial through this server; None where they may not.
    @param random: gives so many random bytes.
    """

    def number() -> int:
        return int.from_bytes(random(7), "big")

    def welcome(caller: Caller, request: IRequest) -> Line:
        line = Line(clock, caller.key, number(), number(), answer)
        switchboard.add(line)
        return line

    return welcome


def header(request: IRequest, name: str) -> str:
    """
    Give the value of a header, or the empty text; the first, where there are more.
    """
    values: list[bytes] = request.requestHeaders.getRawHeaders(name.encode(), [b""])
    return values[0].decode("utf-8", "replace")


class ConnectRoom(Resource):
    """
    The room.
    """

    isLeaf = True
    _log = Logger()

    def __init__(
        self,
        authorise: Authorise,
        welcome: Welcome,
        refused: Callable[[IRequest, Callable[[], None]], None] | None = None,
    ) -> None:
        """
        @param refused: told of who may not come in; calls what it is given when he is
            to hear it, by default at once.
        """
        super().__init__()
        self._authorise = authorise
        self._welcome = welcome
        self._refused = refused or (lambda request, tell: tell())

    def render_GET(self, request: IRequest) -> int:
        """
        Open a WebSocket, or say why not.
        """
        asking = _Asking(request)
        authorise = cast(Callable[[IRequest], "Caller | None"], self._authorise)
        found = maybeDeferred(authorise, request)
        found.addCallback(self._found, asking)
        found.addErrback(self._failed, asking)
        return NOT_DONE_YET

    def _found(self, caller: Caller | None, asking: _Asking) -> None:
        if asking.gone:
            return
        if caller is None:
            request = asking.request
            self._refused(request, lambda: asking.answer(UNAUTHORISED, FAILED))
            return
        flaw = asking.flaw()
        if flaw is not None:
            asking.refuse(flaw)
            return
        line = self._welcome(caller, asking.request)
        asking.accept(line)

    def _failed(self, failure: Failure, asking: _Asking) -> None:
        if failure.check(ConnectionError):
            asking.answer(503, failure.getErrorMessage())
        elif failure.check(ValueError):
            asking.answer(BAD, failure.getErrorMessage())
        else:
            self._log.failure("a bug at who asks for a WebSocket", failure)
            asking.answer(500, "the server has a bug: its log has more")


class _Asking:
    """
    A request for a WebSocket.

    @ivar gone: whether who asked has gone.
    """

    def __init__(self, request: Any) -> None:
        self.request = request
        self.gone = False
        request.notifyFinish().addBoth(self._over)

    def answer(self, status: int, text: str) -> None:
        """
        Say in plain words what is wrong.
        """
        if self.gone:
            return
        body = text.encode()
        self.request.setResponseCode(status)
        self.request.setHeader(b"content-type", b"text/plain; charset=utf-8")
        self.request.setHeader(b"content-length", b"%d" % len(body))
        self.request.write(body)
        self.request.finish()

    def refuse(self, flaw: Violation) -> None:
        """
        Say that this asks for no WebSocket.
        """
        wants = "upgrade" in header(self.request, "Connection").lower()
        if wants and "websocket" not in header(self.request, "Upgrade").lower():
            self.request.setHeader(b"upgrade", b"websocket")
            self.answer(UPGRADE, str(flaw))
        else:
            self.answer(BAD, str(flaw))

    def flaw(self) -> Violation | None:
        """
        See whether it asks for a WebSocket at all.
        """
        try:
            self._socket(lambda data: None)
        except Violation as e:
            return e
        return None

    def accept(self, line: Line) -> None:
        """
        Open it, and have the line hold the connection.
        """
        channel, request = self.request.channel, self.request
        transport = channel.transport
        channel.setTimeout(None)
        transport.unregisterProducer()
        connection = Connection(Holder())
        connection.makeConnection(transport)
        connection.hold(line)
        lost = channel.connectionLost

        def connectionLost(reason: Failure) -> None:
            lost(reason)
            connection.connectionLost(reason)

        # As Twisted does for its own; what was read ahead is in the raw data.
        channel.dataReceived = channel.rawDataReceived = connection.dataReceived
        channel.connectionLost = connectionLost
        socket = self._socket(line.write)
        socket.accept()
        line.begin(socket)
        early, channel._dataBuffer = b"".join(channel._dataBuffer), []
        if early:
            connection.dataReceived(early)
        request.startedWriting = 1
        transport.resumeProducing()

    def _socket(self, write: Callable[[bytes], object]) -> WebSocket:
        found = self.request.requestHeaders.getAllRawHeaders()
        headers = [(name, value) for name, values in found for value in values]
        return WebSocket.asked(write, self.request.uri.decode("latin-1"), headers)

    def _over(self, result: object) -> None:
        self.gone = True
