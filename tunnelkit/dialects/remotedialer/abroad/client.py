# -*- test-case-name: tests.dialects.remotedialer.abroad.test_client -*-
"""
Client: ours at a server of remotedialer's, stock or our own: what that dials through it
is dialled here, if it may be.
"""

from __future__ import annotations

from typing import Final

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from tunnelkit.carrier.route import Reached
from tunnelkit.control.comeback import Comeback
from tunnelkit.dialects.abroad import (
    AbroadSettings,
    ClientDialect,
    Means,
    routeTo,
)
from tunnelkit.dialects.allowed import parseAllow
from tunnelkit.dialects.remotedialer.abroad.asking import AskingLine, NotOpened
from tunnelkit.dialects.remotedialer.abroad.place import PORTS, hostHeader, parsePlace
from tunnelkit.dialects.remotedialer.dialling import (
    DialledEndpoint,
    NotDialled,
    dialledBy,
)
from tunnelkit.dialects.remotedialer.ends import LineEnd
from tunnelkit.dialects.remotedialer.locals import (
    Authorise,
    Dial,
    Locals,
    patterned,
    relayed,
)
from tunnelkit.wire.codes import ResetCode
from tunnelkit.wire.remotedialer.login import CLIENT, PATH
from tunnelkit.wire.remotedialer.messages import Connect

_LOOK: Final = 0.1
"""Seconds between two looks at whether all connections have ended."""
_LASTING: Final = (400, 401, 403, 404, 405)
"""Answers that another try cannot be expected to change."""


class RemoteDialerClient(Service):
    """
    One, which comes back whenever its session is lost.

    @ivar local: what is dialled for the server.
    @ivar line: the session, while there is one.
    """

    _log = Logger()

    def __init__(
        self,
        settings: AbroadSettings,
        means: Means,
        authorise: Authorise | None = None,
        dial: Dial | None = None,
    ) -> None:
        """
        @param authorise: says what the server may dial; by default what the settings
            allow.
        @param dial: dials it; by default TCP and UNIX sockets are.
        """
        self.line: AskingLine | None = None
        self._settings = settings
        self._means = means
        self._draining = False
        patterns = [parseAllow(text) for text in settings.allow]
        self.local = Locals(
            means.relay,
            authorise or patterned(patterns),
            dial or relayed(means.relay),
        )
        route = routeTo(settings, means)
        self._server = route.server
        self._comeback = Comeback(
            route.open, self._reached, means.reactor, means.chance, means.failed
        )

    def startService(self) -> None:
        """
        Connect, and stay connected.
        """
        super().startService()
        self._draining = False
        if not self._settings.place.tls:
            self._log.warn(
                "there is no TLS to {server}: who reads the wire has this client's id,"
                " and all that crosses",
                server=self._server,
            )
        self._comeback.start()

    def stopService(self) -> None:
        """
        Reset what is under way, and leave.
        """
        super().stopService()
        self._comeback.stop()
        reason = "the client is stopping"
        self.local.cut(reason)
        if self.line is not None:
            self.line.end(reason)

    def dialer(self, target: str, grace: float | None = None) -> DialledEndpoint:
        """
        Give the endpoint that connects through the server, where that lets clients.

        @param target: what it is to dial: C{tcp/HOST:PORT}, or C{unix/PATH}.
        @param grace: how long to wait for a refusal, in seconds.
        """
        return DialledEndpoint(lambda: self._dial(target), grace)

    def _dial(self, target: str) -> LineEnd:
        if self.line is None:
            raise NotDialled("there is no session with the server")
        return dialledBy(self.line, target)

    async def drain(self, grace: float) -> None:
        """
        Let the server dial nothing more, and give what is under way time to end.
        """
        self._draining = True
        clock = self._means.reactor
        until = clock.seconds() + grace
        while self.running and self.local.joins and clock.seconds() < until:
            pause: Deferred[None] = Deferred()
            clock.callLater(_LOOK, pause.callback, None)
            await pause

    def _reached(self, reached: Reached) -> None:
        means, settings = self._means, self._settings
        number = int.from_bytes(means.random(4), "big")
        self.line = line = AskingLine(means.reactor, number, self._dialled)
        reached.connection.hold(line)
        opened = line.ask(
            hostHeader(settings.place),
            settings.place.path or PATH,
            [(CLIENT.encode(), settings.name.encode())],
        )
        opened.addCallbacks(self._opened, self._refused, callbackArgs=(line,))

    def _opened(self, result: None, line: AskingLine) -> None:
        self._comeback.good()
        self._log.info(
            "connected to {server}, which may dial {allow}",
            server=self._server,
            allow=", ".join(self._settings.allow),
        )
        line.onEnd(self._lost)

    def _refused(self, failure: Failure) -> None:
        self.line = None
        error = failure.value
        if not isinstance(error, NotOpened):
            self._log.failure("a bug at asking for a WebSocket", failure)
        status = getattr(error, "status", 0)
        hint = ""
        if status == 401:
            hint = "; --name is to be an id that the server knows"
        elif status:
            hint = "; check the address of --server"
        reason = f"{self._server} opened no WebSocket: {error}{hint}"
        self._comeback.lost(reason, status in _LASTING)

    def _lost(self, reason: str) -> None:
        self.line = None
        self._comeback.lost(f"the session with {self._server} is over: {reason}")

    def _dialled(self, end: LineEnd, asked: Connect) -> None:
        if self._draining:
            end.refuse(ResetCode.STOPPING, "the client is stopping")
        else:
            self.local.connect(end, asked)


def _check(settings: AbroadSettings) -> None:
    for text in settings.allow:
        try:
            parseAllow(text)
        except ValueError as e:
            raise ValueError(f"--allow: {e}") from None
    name = settings.name
    if not name.isascii() or " " in name:
        raise ValueError(
            "--name is the client's id here: give printable ASCII characters without a"
            " space"
        )


REMOTEDIALER: Final = ClientDialect(
    name="remotedialer",
    takes=frozenset({"name", "allow", "fingerprint", "ca"}),
    needs=frozenset({"name", "allow"}),
    tls=True,
    warning="",
    port=PORTS["wss"],
    check=_check,
    make=RemoteDialerClient,
    place=parsePlace,
)
