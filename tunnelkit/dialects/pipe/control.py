# -*- test-case-name: tests.dialects.pipe.test_dialect -*-
"""
Control: the control connection of one forward of pipe's, which is a session of ours.

The client says nothing on it once it has asked for its port.  That it lives is asked
where another wants that port: it is sent an Exchange that nobody needs, and comes back
with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from tunnelkit.control.heartbeat import SILENCE
from tunnelkit.control.names import legible
from tunnelkit.control.session import Refusal, Session
from tunnelkit.control.wordless import Wordless
from tunnelkit.dialects.doorway import Guest
from tunnelkit.dialects.exchanges import Visitors
from tunnelkit.dialects.pipe.caddy import Route
from tunnelkit.dialects.pipe.datagrams import Datagrams
from tunnelkit.relay.connection import Connection, Holder, giveUpAfter, roundTripOf
from tunnelkit.tunnels.published import PublicTunnel
from tunnelkit.tunnels.spec import isTunnelName
from tunnelkit.wire.codes import INTERNAL, LOST, PROTOCOL
from tunnelkit.wire.native.messages import UDP, Open
from tunnelkit.wire.pipe.codec import encode
from tunnelkit.wire.pipe.packets import (
    Cancel,
    Exchange,
    Forward,
    Forwarded,
    FromServer,
    Heartbeat,
    flaw,
)

if TYPE_CHECKING:
    from tunnelkit.dialects.pipe.dialect import PipeDialect

INTERVAL: Final = 1.0
"""Seconds between two heartbeats."""

_LONGEST: Final = 500
"""How much of a reason is told, in characters."""
_OURS: Final = "tunnelkit/"
"""What the versions of our own clients begin with."""


class Control(Wordless, Holder):
    """
    The control connection of a forward.
    """

    _log = Logger()

    def __init__(
        self,
        dialect: PipeDialect,
        guest: Guest,
        user: str,
        request: Forward,
        version: str,
    ) -> None:
        """
        @param user: whose forward it is.
        @param version: of the client's program.
        """
        self._dialect = dialect
        self._house = house = dialect.house
        self._guest = guest
        self._user = user
        self._request = request
        self._version = version
        self._probe = ""
        self._name = ""
        self._route: Route | None = None
        self._session: Session | None = None
        self._tunnel: PublicTunnel | None = None
        self._over = False
        self._withdrawn = ""
        self._beats = LoopingCall(self._beat)
        self._beats.clock = house.clock
        self._datagrams = Datagrams(dialect.exchanges, house, guest.host, self._ask)
        self._stock = not version.startswith(_OURS)
        self._visitors = Visitors(
            dialect.exchanges, house, guest.host, self._stock, self._ask
        )

    def held(self, connection: Connection) -> None:
        """
        Publish what is asked for.
        """
        super().held(connection)
        reason = flaw(self._request)
        if reason:
            self._refuse(reason)
            return
        try:
            self._name = self._taken()
            identity = self._house.identity(
                self._user,
                self._guest,
                connection,
                legible(f"pipe {self._version}"),
            )
            self._session = self._house.sessions.admit(
                identity, self, self._visitors, self._datagrams
            )
        except Refusal as e:
            self._refuse(e.reason)
            return
        self._session.heartbeat.stand(roundTripOf(connection.transport))
        opening = Deferred.fromCoroutine(
            self._house.published.open(self._session, self._open())
        )
        opening.addCallbacks(self._opened, self._ebOpen)

    def isOf(self, guest: Guest, cancel: Cancel) -> bool:
        """
        Tell whether this is the forward that a client may take back.
        """
        if self._tunnel is None or self._tunnel.lease.port != cancel.port:
            return False
        return guest.host == self._guest.host and cancel.name == self._request.name

    def end(self, reason: str) -> None:
        """
        Take the forward back.  With a client of ours this connection is closed when
        the last visitor has gone, so that it comes back if it was another that has
        taken the forward from it; a stock one is gone itself.
        """
        if self._session is None or self._tunnel is None:
            return
        if self._stock:
            self._session.end("", reason)
        else:
            self._dialect.controls.discard(self)
            self._giveName()
            self._session.withdraw(self._tunnel.name)
            self._withdrawn = reason

    # What the session says.

    def ping(self, at: int) -> None:
        """
        Ask whether the client lives.
        """
        exchanges = self._dialect.exchanges
        exchanges.forget(self._probe)
        self._probe = exchanges.ask(
            self._guest.host,
            lambda guest, connection, rest: self._answered(at, guest, connection),
        )
        self._ask(self._probe)

    def leave(self, code: str, reason: str, retry: bool) -> None:
        """
        Close the connection, where that is not why.
        """
        if not self._over:
            self._leave()
            self._guest.close(self.connection)

    # What the client says.

    def dataReceived(self, data: bytes) -> None:
        """
        It has nothing more to say.
        """
        if self._session is not None and not self._over:
            self._session.end(PROTOCOL, "the client spoke on a control connection")

    def connectionLost(self, reason: Failure) -> None:
        """
        The control connection is gone, and its forward with it.
        """
        self._leave()
        self._guest.leave()
        if self._session is not None:
            self._session.end(LOST, "the client's control connection is gone")

    # Opening.

    def _taken(self) -> str:
        """
        Reserve the name that is to lead here, where there are such.
        """
        names, request = self._dialect.names, self._request
        if names is None or request.kind == UDP:
            return ""
        return names.take(request.subdomain)

    def _giveName(self) -> None:
        name, self._name = self._name, ""
        if self._dialect.names is not None and name:
            self._dialect.names.give(name, self._route)

    def _open(self) -> Open:
        request = self._request
        name = request.name
        if not isTunnelName(name):
            name = f"{request.kind}-{request.port}"
        return Open(1, name, request.kind, request.port)

    def _opened(self, tunnel: PublicTunnel) -> None:
        self._tunnel = tunnel
        self._dialect.controls.add(self)
        self._guest.leave()
        giveUpAfter(self.connection.transport, SILENCE)
        if self._dialect.names is not None and self._name:
            self._route = self._dialect.names.lead(self._name, tunnel.lease.port)
        self._say(Forwarded(True, self._name))
        if self._request.kind == UDP:
            self._datagrams.begin()
        self._beats.start(INTERVAL, now=False)

    def _ebOpen(self, failure: Failure) -> None:
        if isinstance(failure.value, Refusal):
            self._refuse(failure.value.reason)
        else:
            peer = self._guest.peer
            self._log.failure("a bug at a forward of {peer}", failure, peer=peer)
            self._refuse("the server has a bug: see the log above")

    def _refuse(self, reason: str) -> None:
        """
        Say no.  Why is for the log: a stock client has no ear for it.
        """
        if self._over:
            return
        said = "" if self._stock else legible(reason, _LONGEST)
        self._say(Forwarded(False, reason=said))
        self._house.troubles.note(
            f"{self._guest.host} gets no forward of port {self._request.port} for"
            f" pipe: {reason}"
        )
        session, self._session = self._session, None
        self._over = True
        self._giveName()
        if session is not None:
            session.end(INTERNAL, reason)
        # A stock client ends by itself; another one has a moment to hear it.
        self._guest.due(self.connection, "it stayed where its forward was refused")

    # Both ways.

    def _beat(self) -> None:
        self._say(Heartbeat())
        session = self._session
        if self._withdrawn and session is not None and not session.leaving:
            session.end("", self._withdrawn)

    def _ask(self, id: str) -> None:
        self._say(Exchange(id, self._request.kind))

    def _say(self, packet: FromServer) -> None:
        if not self._over:
            self.connection.transport.write(encode(packet))

    def _answered(self, at: int, guest: Guest, connection: Connection) -> None:
        if self._session is not None:
            self._session.heartbeat.answered(at)
        guest.close(connection)

    def _leave(self) -> None:
        self._over = True
        self._dialect.exchanges.forget(self._probe)
        self._dialect.controls.discard(self)
        self._giveName()
        self._datagrams.close()
        if self._beats.running:
            self._beats.stop()
