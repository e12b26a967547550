# -*- test-case-name: tests.dialects.mgrok.test_dialect -*-
"""
Control: the control stream of a client of mgrok's, whose connection is a session of
ours.

The client logs in and asks for its tunnels there, and hears of nothing, of a refusal
neither: why is in the log.  That it lives is asked where another wants one of its
ports: a stream is opened and closed, which it answers.
"""

from __future__ import annotations

from dataclasses import replace

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from tunnelkit.control.names import legible
from tunnelkit.control.session import STREAMS, Refusal, Session
from tunnelkit.control.wordless import Wordless
from tunnelkit.dialects.doorway import Guest
from tunnelkit.dialects.house import House
from tunnelkit.dialects.mgrok.contract import Quiet, Taker
from tunnelkit.dialects.mgrok.datagrams import MOST, Datagrams
from tunnelkit.dialects.mgrok.line import Line
from tunnelkit.dialects.mgrok.streams import Visitors
from tunnelkit.relay.connection import roundTripOf
from tunnelkit.tunnels.published import PublicTunnel
from tunnelkit.tunnels.spec import isTunnelName
from tunnelkit.wire.codes import FULL, LOST, NAME, ResetCode
from tunnelkit.wire.mgrok.codec import encode, parseControl, parseHandshake
from tunnelkit.wire.mgrok.messages import Heartbeat, Register, isGenuine
from tunnelkit.wire.native.frames import WireError
from tunnelkit.wire.native.messages import Open
from tunnelkit.wire.smux.session import NoStream


class Control(Wordless, Quiet):
    """
    What a client says, and what is said to it.

    @ivar line: its connection.
    """

    _log = Logger()

    def __init__(self, house: House, guest: Guest, user: str, token: str) -> None:
        """
        @param user: who it is, once it has logged in.
        @param token: the shared secret.
        """
        self.line = Line(self, house.clock, client=False)
        self._house = house
        self._guest = guest
        self._user = user
        self._token = token
        self._stream = 0
        self._asked = 0
        self._over = False
        self._session: Session | None = None
        self._registered: dict[str, Register] = {}
        self._visitors = Visitors(self.line, guest.host, house.clock, self._named)
        self._datagrams = Datagrams(self.line, house.clock, self._named)

    # What the connection says.

    def begun(self) -> None:
        """
        Give the client its time to log in.
        """
        self._guest.due(self.line.connection, "it did not log in in time")

    def opened(self, stream: int) -> Taker | None:
        """
        The first stream of the client's is this one, and there is no other.
        """
        if self._stream:
            return None
        self._stream = stream
        return self

    def answered(self) -> None:
        """
        The client lives.
        """
        if self._session is not None:
            self._session.heartbeat.answered(self._asked)

    def broken(self, code: str, reason: str) -> None:
        """
        The client does not keep to the wire, or is silent.
        """
        if self._session is not None:
            self._session.end(code, reason)
        elif not self._over:
            self._leave(reason)
            self._guest.dismiss(self.line.connection, reason)

    def gone(self) -> None:
        """
        The client has gone, and its tunnels with it.
        """
        self._leave("the client's connection is gone")
        self._guest.leave()
        if self._session is not None:
            self._session.end(LOST, "the client's connection is gone")

    def writable(self) -> None:
        """
        The connection takes more.
        """
        self._visitors.writable()
        self._datagrams.writable()

    # What the client says.

    def received(self, data: bytes) -> None:
        """
        A message came.
        """
        self.line.consumed(self._stream, len(data))
        if self._over:
            return
        try:
            if self._session is None:
                self._login(data)
            else:
                self._told(data)
        except WireError as e:
            self._wrong(str(e))

    def ended(self) -> None:
        """
        The client says good-bye.
        """
        self.broken("", "the client has closed its control stream")

    # What the session says.

    def ping(self, at: int) -> None:
        """
        Ask whether the client lives.
        """
        self._asked = at
        if self.line.paused:
            # Its answer would not be read now, and that is not its fault.
            self.answered()
            return
        try:
            self.line.smux.probe()
        except NoStream as e:
            self.broken(FULL, str(e))

    def leave(self, code: str, reason: str, retry: bool) -> None:
        """
        Close the connection, where that is not why.
        """
        if not self._over:
            self._leave(reason)
            self._guest.close(self.line.connection)

    # Logging in.

    def _login(self, data: bytes) -> None:
        if not isGenuine(parseHandshake(data), self._token):
            raise WireError("wrong token")
        identity = self._house.identity(
            self._user, self._guest, self.line.connection, "mgrok", shared=True
        )
        try:
            self._session = session = self._house.sessions.admit(
                identity, self, self._visitors, self._datagrams
            )
        except Refusal as e:
            self._note(f"is not let in: {e.reason}")
            self.broken("", e.reason)
            return
        self._guest.leave()
        self._house.counts["logins"] += 1
        session.heartbeat.stand(roundTripOf(self.line.connection.transport))
        # The control stream is one, too.
        self.line.start(1 + STREAMS + MOST)

    def _wrong(self, reason: str) -> None:
        if self._session is None:
            self._leave(reason)
            connection = self.line.connection
            self._house.turnAway(self._guest, connection, self._user, reason)
        else:
            self._note(f"said what is passed over: {reason}")

    # Tunnels.

    def _told(self, data: bytes) -> None:
        message = parseControl(data)
        if isinstance(message, Register):
            self._register(message)
        elif not self.line.blocked:
            # Who asks and takes no answers is not to have them all kept.
            self.line.send(self._stream, encode(Heartbeat()))

    def _register(self, message: Register) -> None:
        assert self._session is not None, "not logged in"
        name = message.name
        if not isTunnelName(name):
            name = f"{message.kind}-{message.remotePort}"
        opening = Deferred.fromCoroutine(self._open(self._session, name, message))
        opening.addErrback(self._ebOpen, message)

    async def _open(self, session: Session, name: str, message: Register) -> None:
        self._forget(session)
        if message in self._registered.values():
            return  # ours ask again, as they hear of nothing
        if any(message.name == each.name for each in self._registered.values()):
            raise Refusal(NAME, "this client has a tunnel of that name already")
        if name not in self._registered:
            self._registered[name] = message
        request = Open(1, name, message.kind, message.remotePort)
        tunnel = await self._house.published.open(session, request)
        if not message.remotePort:
            self._tell(name, tunnel)

    def _tell(self, name: str, tunnel: PublicTunnel) -> None:
        port = tunnel.lease.port
        self._registered[name] = replace(self._registered[name], remotePort=port)
        self._log.info(
            "{client}'s {tunnel} asked mgrok for any port, and cannot be told which:"
            " it is {address}",
            client=self._guest.host,
            tunnel=name,
            address=tunnel.address,
        )

    def _ebOpen(self, failure: Failure, message: Register) -> None:
        if isinstance(failure.value, Refusal):
            reason = failure.value.reason
        else:
            peer = self._guest.peer
            self._log.failure("a bug at a tunnel of {peer}", failure, peer=peer)
            reason = "the server has a bug: see the log above"
        self._note(
            f"gets no {message.kind} port {message.remotePort} for"
            f" {legible(message.name, 40)!r}: {reason}"
        )

    def _forget(self, session: Session) -> None:
        """
        Forget what was refused, or taken over by another client.
        """
        for name in [*self._registered]:
            if name not in session.tunnels and name not in session.opening:
                del self._registered[name]

    def _named(self, tunnel: str) -> tuple[str, int]:
        message = self._registered[tunnel]
        return message.name, message.remotePort

    def _note(self, what: str) -> None:
        self._house.troubles.note(f"{self._guest.host}, a client of mgrok's, {what}")

    def _leave(self, reason: str) -> None:
        self._over = True
        self._datagrams.close()
        self.line.close(ResetCode.WITHDRAWN, reason)
