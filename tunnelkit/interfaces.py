"""
The contracts between the parts of tunnelkit.

What moves bytes stands behind L{IRelay}: the portable relay is one, the fast path
another, and nothing above C{relay/} sees a visitor's or a local service's transport.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IListeningPort, IProtocol
from zope.interface import Attribute, Interface

from tunnelkit.wire.address import HostPort, LocalAddress
from tunnelkit.wire.codes import ResetCode
from tunnelkit.wire.messages import Start

if TYPE_CHECKING:
    from tunnelkit.relay.bucket import Bucket
    from tunnelkit.relay.connection import Connection
    from tunnelkit.relay.secure import ClientTLS, ServerTLS


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    How a join ended.

    @ivar code: L{ResetCode.ENDED} where both directions ended well, else why it
        failed.
    @ivar reason: the same in words, empty where it ended well.
    """

    code: ResetCode = ResetCode.ENDED
    reason: str = ""


class Undialled(Exception):
    """
    A local service could not be reached.

    @ivar code: why, for the other side.
    @ivar reason: why, in words.
    """

    def __init__(self, code: ResetCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class IEnd(Interface):
    """
    One end of a join: a connection of which the rest of tunnelkit knows no more than
    this.  Nothing is read from it before it is joined.
    """

    peer: str = Attribute("who is at the other side: C{HOST:PORT}, or a path")
    local: str = Attribute("the address that the other side came to, likewise")

    def abort() -> None:
        """
        Reset the connection; nothing happens where it has ended.
        """


class IWorkEnd(IEnd):
    """
    A work connection: an end that carries one stream after the other.
    """

    def begin() -> int:
        """
        Count one stream further; the server's call, before it joins.

        @return: the number of the stream that comes next, for its L{Start}.
        """

    def refuse(code: ResetCode, reason: str) -> None:
        """
        Reset the stream that was started, in place of joining it.
        """

    def close() -> None:
        """
        Close the connection where it is idle; it is reported lost.
        """


class IWorkOwner(Interface):
    """
    Who is told what becomes of a work connection.
    """

    def started(work: IWorkEnd, start: Start) -> None:
        """
        The server opened a stream: join this end or L{IWorkEnd.refuse} it.
        """

    def idle(work: IWorkEnd) -> None:
        """
        The stream is over on both sides and the connection can carry another.
        """

    def lost(work: IWorkEnd, reason: str) -> None:
        """
        The connection is gone, said once.
        """


class IJoin(Interface):
    """
    Two ends relayed into each other until both directions have ended.
    """

    ended: Deferred[Outcome] = Attribute("fires once, never fails")

    forth: int = Attribute("bytes that went from the first end to the second")
    back: int = Attribute("bytes that went from the second end to the first")

    def tell(ended: Callable[[IJoin, Outcome], None]) -> None:
        """
        Have one function told how the join ended: now, where it has.  It costs less
        than a callback of C{ended}, of which there may be many.
        """

    def abort(code: ResetCode, reason: str) -> None:
        """
        Reset both ends' streams; nothing happens where the join has ended.
        """


class IRelay(Interface):
    """
    What moves bytes.
    """

    def listen(address: HostPort, arrived: Callable[[IEnd], None]) -> IListeningPort:
        """
        Accept visitors.

        @raise CannotListenError: the address cannot be had.
        """

    def dial(address: LocalAddress, timeout: float) -> IEnd | Deferred[IEnd]:
        """
        Connect to a local service within C{timeout} seconds.

        @return: the connection where it is there at once, as on one machine it is;
            else a Deferred of it, which fails with L{Undialled} and can be cancelled.
        """

    def secure(
        connection: Connection,
        rest: bytes,
        side: ClientTLS | ServerTLS,
        protocol: IProtocol,
    ) -> None:
        """
        Put a plain connection under TLS 1.3, and C{protocol} on it: a Twisted
        transport like any other, whose C{handshakeCompleted} is called where the
        protocol is an C{IHandshakeListener}.

        @param rest: bytes of the peer's that were read ahead.
        """

    def borrow(
        connection: Connection,
        rest: bytes,
        owner: IWorkOwner,
        client: bool,
        opening: bytes = b"",
    ) -> IWorkEnd:
        """
        Take over an authenticated work connection.

        @param rest: bytes of the peer's that were read ahead.
        @param client: whether this side is the client, which says when a stream is
            delivered.
        @param opening: bytes to send first; nothing else of this side's may be on its
            way.
        """

    def join(
        one: IEnd,
        other: IEnd,
        opening: bytes,
        forth: Bucket | None = None,
        back: Bucket | None = None,
    ) -> IJoin:
        """
        Relay two ends into each other.

        @param forth: how fast bytes may go from C{one} to C{other}.
        @param back: how fast they may go from C{other} to C{one}.
        @param opening: bytes for C{other} before anything of C{one}'s, in one write
            with the first of those where they are there.
        """


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


class IStatusSource(Interface):
    """
    Who can say how a server does.
    """

    def troubles() -> tuple[str, ...]:
        """
        Say what is wrong, a sentence each; cheap, as anybody may ask.
        """

    def status() -> ServerStatus:
        """
        Give a picture of this moment.
        """


@dataclass(frozen=True, slots=True)
class Lease:
    """
    Who owns a public port: a value, as the store keeps it.

    @ivar space: which ports are meant: C{tcp}, later also C{udp}.
    @ivar used: when its session was last known to live, seconds since 1970.
    """

    space: str
    port: int
    user: str
    client: str
    tunnel: str
    used: float


class ILeaseStore(Interface):
    """
    Where leases outlive the server.
    """

    def load() -> list[Lease]:
        """
        Give all leases; called once, at start.

        @raise OSError: the store cannot be read; the text names it.
        """

    def write(
        kept: Iterable[Lease], dropped: Iterable[tuple[str, int]]
    ) -> Deferred[None]:
        """
        Keep and drop leases, without blocking the caller.

        @param dropped: space and port of each.
        @return: fires when that is on disk.
        """

    def close() -> Deferred[None]:
        """
        Finish what is being written and let go of the store.
        """
