# -*- test-case-name: tests.dialects.mgrok.abroad.test_client -*-
"""
Client: ours at a server of mgrok's, stock or our own.
"""

from __future__ import annotations

from typing import Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from tunnelkit.carrier.route import Reached
from tunnelkit.control.comeback import Comeback
from tunnelkit.dialects.abroad import (
    AbroadPublisher,
    AbroadSettings,
    ClientDialect,
    Means,
    routeTo,
)
from tunnelkit.dialects.mgrok.abroad.calling import Calling
from tunnelkit.dialects.mgrok.words import clientWords
from tunnelkit.dialects.way import hostOf
from tunnelkit.tunnels.spec import TunnelSpec
from tunnelkit.wire.mgrok.codec import LONGEST, LONGEST_NAME

PORT: Final = 9000
"""Where a server is, unless it is told otherwise."""
REFUSALS: Final = 3
"""Logins in a row without an answer, at a server that has never let us in, until that
is taken for its answer."""

_TOKEN: Final = LONGEST - 5  # the longest, in bytes: before it stands GRT1, and how


class MgrokClient(AbroadPublisher):
    """
    One, with all its tunnels.
    """

    _log = Logger()

    def __init__(self, settings: AbroadSettings, means: Means) -> None:
        super().__init__(settings, means)
        self._route = route = routeTo(settings, means)
        self._host = hostOf(settings.place.server)
        self._token = settings.token
        self._means = means
        self._refusals = 0
        self._calling: Calling | None = None
        self._comeback = Comeback(
            route.open, self._reached, means.reactor, means.chance, means.failed
        )

    def loggedIn(self) -> None:
        """
        The server has let us in.
        """
        assert self._calling is not None, "who let us in?"
        self._refusals = 0
        self._comeback.good()
        self._log.info(
            "logged in to {server} as mgrok's clients do; it does not say whether it"
            " has opened the ports",
            server=self._route.server,
        )
        for tunnel in () if self._draining else self.tunnels:
            tunnel.ask(self._calling)

    def lost(self, reason: str, refused: bool) -> None:
        """
        The connection is gone.
        """
        self._calling = None
        self._lost(self.tunnels)
        self._refusals += refused
        if not self._draining:
            self._comeback.lost(reason, self._refusals >= REFUSALS)

    def _reached(self, reached: Reached) -> None:
        self._calling = calling = Calling(
            self,
            self._means.reactor,
            self._route.server,
            self._host,
            self._token,
            self._locals,
        )
        reached.connection.hold(calling.line)

    def _begin(self) -> None:
        self._comeback.start()

    def _withdraw(self) -> None:
        if self._calling is not None:
            self._calling.rest()

    def _leave(self) -> Deferred[None] | None:
        self._comeback.stop()
        calling, self._calling = self._calling, None
        for tunnel in self.tunnels:
            tunnel.forget()
        return None if calling is None else calling.leave()


def _check(settings: AbroadSettings) -> None:
    if len(settings.token.encode()) > _TOKEN:
        raise ValueError(f"the token is too long: {_TOKEN} bytes are the most")
    for spec in settings.tunnels:
        _checkTunnel(spec)


def _checkTunnel(spec: TunnelSpec) -> None:
    if len(spec.name.encode()) > LONGEST_NAME:
        raise ValueError(
            f"tunnel {spec.name} has too long a name: {LONGEST_NAME} bytes are the most"
        )
    for name in ("compress", "proxy", "subdomain"):
        if getattr(spec, name):
            raise ValueError(
                f"tunnel {spec.name} has {name}=, for which mgrok has no words: leave"
                " it out"
            )


MGROK: Final = ClientDialect(
    name="mgrok",
    takes=frozenset({"token", "tunnel", "insecure", "fingerprint", "ca"}),
    needs=frozenset({"token", "tunnel"}),
    tls=True,
    warning=(
        "mgrok is spoken with the server, which is told the secret as it stands:"
        " without TLS whoever reads it can use it, and visitors' bytes are not"
        " encrypted"
    ),
    port=PORT,
    check=_check,
    make=MgrokClient,
    words=clientWords,
)
