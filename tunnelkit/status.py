"""
Status: how a server does, as the admin rooms show it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from twisted.internet.interfaces import (
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
)
from zope.interface import Interface


@dataclass(frozen=True, slots=True)
class TunnelStatus:
    """
    A tunnel, as the admin rooms show it.

    @ivar streams: how many run now.
    @ivar visitors: how many came, in all.
    @ivar failed: how many of those were refused or reset.
    @ivar received: bytes from visitors, live.
    @ivar sent: bytes to visitors, live.
    @ivar withdrawn: whether it takes no more visitors, and waits for the last to go.
    @ivar compress: how visitors' bytes are compressed, or empty.
    @ivar receivedPacked: bytes from visitors as they crossed the tunnel: fewer where
        they are compressed.
    @ivar sentPacked: bytes to visitors, likewise.
    @ivar datagrams: how many came from visitors, and how many went to them; streams
        and visitors are flows then.
    @ivar drops: how many were dropped, by cause.
    """

    name: str
    kind: str
    address: str
    user: str
    client: str
    session: str
    streams: int
    visitors: int
    failed: int
    received: int
    sent: int
    withdrawn: bool = False
    compress: str = ""
    receivedPacked: int = 0
    sentPacked: int = 0
    datagrams: tuple[int, int] = (0, 0)
    drops: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class SessionStatus:
    """
    A logged-in client, as the admin rooms show it.

    @ivar session: its id, shortened: it is no key to anything.
    @ivar since: when it logged in, seconds since 1970.
    @ivar roundTrip: in seconds, or None before the first answer to a ping.
    @ivar idle: work connections that wait.
    @ivar busy: work connections that carry a stream.
    @ivar waiting: visitors that wait for a work connection.
    @ivar strays: datagrams that came from the client for flows that were over, or
        lived on another carrier by then; they were dropped.
    """

    session: str
    user: str
    client: str
    peer: str
    program: str
    since: float
    roundTrip: float | None
    idle: int
    busy: int
    waiting: int
    strays: int = 0


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """
    A server, as the admin rooms show it.

    @ivar started: seconds since 1970.
    @ivar troubles: what is wrong with it, a sentence each; none is healthy.
    @ivar counts: totals since the start by name, such as C{logins}, C{logins_failed},
        C{connections}, C{connections_refused}, C{work_connections}; names never go
        away while it runs.
    @ivar openings: connections that are not logged in yet.
    """

    program: str
    started: float
    draining: bool
    troubles: tuple[str, ...]
    counts: tuple[tuple[str, int], ...]
    openings: int
    sessions: tuple[SessionStatus, ...]
    tunnels: tuple[TunnelStatus, ...]

    @property
    def open(self) -> int:
        """
        How many tunnels are open: those that are withdrawn are not.
        """
        return sum(not tunnel.withdrawn for tunnel in self.tunnels)


class IDialers(Interface):
    """
    Who can dial through clients.
    """

    def dialer(key: str, target: str, grace: float | None) -> IStreamClientEndpoint:
        """
        Give the endpoint that connects through a client.

        @param key: which one.
        @param target: what it is to dial, C{tcp/HOST:PORT} or C{unix/PATH}.
        @param grace: how long to wait for a refusal, in seconds, before a connection
            is taken for open; None for what suits the client's distance.
        """


class IStatusSource(Interface):
    """
    Who can say how a server does.
    """

    def dialers() -> IDialers:
        """
        Give who can dial through its clients.
        """

    def troubles() -> tuple[str, ...]:
        """
        Say what is wrong, a sentence each; cheap, as anybody may ask.
        """

    def status() -> ServerStatus:
        """
        Give a picture of this moment.
        """


class Rooms(Protocol):
    """
    Makes the admin site.
    """

    def __call__(
        self, source: IStatusSource, token: str, clock: IReactorTime
    ) -> IProtocolFactory: ...
