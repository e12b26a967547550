# -*- test-case-name: tests.dialects.pipe.abroad.test_client -*-
"""
Client: ours at a server of pipe's, stock or our own.

Every forward has a control connection of its own, and every visitor a connection that
the server asks for.
"""

from __future__ import annotations

from typing import Final

from twisted.internet.defer import Deferred, DeferredList

from tunnelkit.dialects.abroad import (
    AbroadPublisher,
    AbroadSettings,
    ClientDialect,
    Means,
    routeTo,
)
from tunnelkit.dialects.pipe.abroad.forwarding import Forwarding
from tunnelkit.dialects.pipe.abroad.ways import Ways
from tunnelkit.dialects.pipe.words import clientWords
from tunnelkit.dialects.way import hostOf
from tunnelkit.tunnels.spec import TunnelSpec
from tunnelkit.wire.pipe.packets import Forward, flaw

_HIGHEST: Final = 65534
"""The highest port that a stock server forwards."""


class PipeClient(AbroadPublisher):
    """
    One, with all its forwards.
    """

    def __init__(self, settings: AbroadSettings, means: Means) -> None:
        super().__init__(settings, means)
        host = hostOf(settings.place.server)
        ways = Ways(routeTo(settings, means), settings.token, means, host)
        self._forwards = tuple(
            Forwarding(tunnel, self._locals[tunnel.spec.name], ways, means, self._gone)
            for tunnel in self.tunnels
        )

    def _begin(self) -> None:
        for forward in self._forwards:
            forward.start()

    def _withdraw(self) -> None:
        for forward in self._forwards:
            forward.withdraw()

    def _leave(self) -> Deferred[None] | None:
        leaving = [forward.leave() for forward in self._forwards]
        return DeferredList(leaving).addCallback(lambda _: None)

    def _gone(self, forward: Forwarding) -> None:
        self._lost((forward.wanted,))


def _check(settings: AbroadSettings) -> None:
    for spec in settings.tunnels:
        _checkTunnel(spec)


def _checkTunnel(spec: TunnelSpec) -> None:
    if not 0 < spec.port <= _HIGHEST:
        raise ValueError(
            f"tunnel {spec.name} needs a public port, 1 to {_HIGHEST}: add"
            " :port=PUBLIC, as a server of pipe's picks none"
        )
    reason = flaw(Forward(spec.port, spec.name, spec.subdomain, spec.kind))
    if reason:
        raise ValueError(f"tunnel {spec.name}: {reason}")
    for name, given in (("compress", spec.compress), ("proxy", spec.proxy)):
        if given:
            raise ValueError(
                f"tunnel {spec.name} has {name}=, for which pipe has no words: leave it"
                " out"
            )


PIPE: Final = ClientDialect(
    name="pipe",
    takes=frozenset({"token", "tunnel"}),
    needs=frozenset({"token", "tunnel"}),
    tls=False,
    warning=(
        "pipe is spoken with the server: who reads one of its logins can use it and can"
        " try secrets against it; visitors' bytes are not encrypted"
    ),
    port=8910,
    check=_check,
    make=PipeClient,
    words=clientWords,
)
