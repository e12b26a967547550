# -*- test-case-name: tests.dialects.mgrok.abroad.test_client -*-
"""
Calling: the connection of a client of ours to a server of mgrok's.

Nothing that is said there is answered but a heartbeat, and that only where the secret
was right: so one is sent behind the login.  Whether a port was had is not to be known.
A server that has not noticed yet that our last connection is dead keeps its ports for
up to a minute: so they are asked for again for a while.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from tunnelkit.control.session import STREAMS
from tunnelkit.dialects.mgrok.abroad.serving import Serving
from tunnelkit.dialects.mgrok.contract import Quiet, Taker
from tunnelkit.dialects.mgrok.line import Line
from tunnelkit.tunnels.local import LocalTCP
from tunnelkit.tunnels.localudp import LocalUDP
from tunnelkit.tunnels.spec import TunnelSpec
from tunnelkit.wire.address import HostPort
from tunnelkit.wire.codes import ResetCode
from tunnelkit.wire.mgrok.codec import encode
from tunnelkit.wire.mgrok.messages import Handshake, Heartbeat, Register
from tunnelkit.wire.native.messages import Closed, Open, Opened

PATIENCE: Final = 10.0
"""Seconds that a server has to answer the heartbeat behind the login."""
AGAIN: Final = (15.0, 15.0, 30.0, 30.0)
"""Seconds after which ports are asked for again, each time; no longer then."""
CLOSING: Final = 2.0
"""Seconds that a close may take before it becomes a reset."""


class Caller(Protocol):
    """
    The client, as its connection sees it.
    """

    def loggedIn(self) -> None:
        """
        The server has let us in.
        """

    def lost(self, reason: str, refused: bool) -> None:
        """
        The connection is gone, or of no use.

        @param refused: whether that was in place of an answer to the login.
        """


class Calling(Quiet):
    """
    Such a connection.

    @ivar line: its streams.
    """

    def __init__(
        self,
        caller: Caller,
        clock: IReactorTime,
        server: str,
        host: str,
        token: str,
        locals: Mapping[str, LocalTCP | LocalUDP],
    ) -> None:
        """
        @param server: where the server is, for people.
        @param host: the same without the port.
        @param token: the shared secret.
        @param locals: the services, by the names of their tunnels.
        """
        self.line = Line(self, clock, client=True)
        self._caller: Caller | None = caller
        self._clock = clock
        self._server = server
        self._host = host
        self._token = token
        self._specs = [local.spec for local in locals.values()]
        self._serving = Serving(self.line, clock, server, locals)
        self._stream = 0
        self._again = [*AGAIN]
        self._known = False
        self._timer: IDelayedCall | None = None
        self._left: Deferred[None] | None = None

    def rest(self) -> None:
        """
        Take no new visitors.
        """
        self._serving.resting = True
        self._cancel()

    def leave(self) -> Deferred[None]:
        """
        Say good-bye, and close.

        @return: fires when it is closed.
        """
        self._left = Deferred()
        self._caller = None
        self.line.finish(self._stream)
        self._close("the client is stopping")
        transport = self.line.connection.transport
        transport.loseConnection()
        self._timer = self._clock.callLater(CLOSING, transport.abortConnection)
        return self._left

    # What a tunnel asks, once the server has let us in.

    def open(self, request: Callable[[int], Open]) -> Deferred[Opened]:
        """
        Say where it is: it was asked for with the login.
        """
        asked = request(1)
        # What the server picks it tells nobody.
        public = HostPort(self._host, asked.port) if asked.port else self._host
        return succeed(Opened(1, asked.tunnel, f"{asked.kind}://{public}"))

    def close(self, tunnel: str) -> Deferred[Closed]:
        """
        Do nothing: it is asked for in no way that the server could misunderstand.
        """
        return succeed(Closed(tunnel))

    # What the connection says.

    def begun(self) -> None:
        """
        Log in, ask for all tunnels, and hear whether the server understands.
        """
        line = self.line
        line.start(STREAMS)
        self._stream = line.open(self)
        line.send(self._stream, encode(Handshake(self._token.encode())))
        self._ask(self._specs)
        line.send(self._stream, encode(Heartbeat()))
        self._timer = self._clock.callLater(PATIENCE, self._late)

    def opened(self, stream: int) -> Taker | None:
        """
        The server has opened a stream.
        """
        return self._serving.opened(stream)

    def answered(self) -> None:
        """
        Do nothing: that is asked by servers.
        """

    def broken(self, code: str, reason: str) -> None:
        """
        The server does not keep to the wire, or is silent.
        """
        self._fail(f"{self._server}: {reason}")

    def gone(self) -> None:
        """
        The connection is lost.
        """
        self._cancel()
        self._serving.close()
        left, self._left = self._left, None
        if left is not None:
            left.callback(None)
        if self._known:
            self._tell(f"the connection to {self._server} is lost")
        else:
            self._tell(
                f"{self._server} closed the connection in place of an answer: the token"
                " is another one there, or it does not speak mgrok",
                refused=True,
            )

    def writable(self) -> None:
        """
        The connection takes more.
        """
        self._serving.writable()

    # What the control stream says.

    def received(self, data: bytes) -> None:
        """
        Something is answered, which can only be a heartbeat.
        """
        self.line.consumed(self._stream, len(data))
        if self._known or self._caller is None:
            return
        self._known = True
        self._cancel()
        self._later()
        self._caller.loggedIn()

    def ended(self) -> None:
        """
        The server has closed the control stream.
        """
        self._fail(f"{self._server} has closed the control stream")

    # Inside.

    def _ask(self, specs: Iterable[TunnelSpec]) -> None:
        for spec in specs:
            local = spec.local.port if isinstance(spec.local, HostPort) else 0
            message = Register(spec.kind, spec.port, local, spec.name)
            self.line.send(self._stream, encode(message))

    def _later(self) -> None:
        if self._again:
            wait = self._again.pop(0)
            self._timer = self._clock.callLater(wait, self._askAgain)

    def _askAgain(self) -> None:
        if not self.line.blocked:
            # One that leaves the port to the server would have two then.
            self._ask(spec for spec in self._specs if spec.port)
        self._later()

    def _late(self) -> None:
        self._fail(
            f"{self._server} did not answer the login in {PATIENCE:.0f} seconds: the"
            " token is another one there, or it does not speak mgrok",
            refused=True,
        )

    def _fail(self, reason: str, refused: bool = False) -> None:
        self._close(reason)
        self.line.connection.transport.abortConnection()
        self._tell(reason, refused)

    def _close(self, reason: str) -> None:
        self._cancel()
        self._serving.close()
        self.line.close(ResetCode.LOST, reason)

    def _cancel(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def _tell(self, reason: str, refused: bool = False) -> None:
        caller, self._caller = self._caller, None
        if caller is not None:
            caller.lost(reason, refused)
