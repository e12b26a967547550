"""
The contracts between the parts of tunnelkit.

What moves bytes stands behind L{IRelay}: the portable relay is one, the fast path
another, and nothing above C{relay/} sees a visitor's or a local service's transport.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IListeningPort, IProtocol
from zope.interface import Attribute, Interface

from tunnelkit.wire.address import HostPort, LocalAddress
from tunnelkit.wire.codes import ResetCode
from tunnelkit.wire.native.messages import Flow as Announced
from tunnelkit.wire.native.messages import FlowEnd, Start

if TYPE_CHECKING:
    from tunnelkit.dialects.doorway import Guest
    from tunnelkit.relay.bucket import Bucket
    from tunnelkit.relay.connection import Connection, Holder
    from tunnelkit.relay.flows.ends import VisitorFlow
    from tunnelkit.relay.flows.flow import Flow
    from tunnelkit.relay.flows.table import FlowTable
    from tunnelkit.relay.secure import ClientTLS, ServerTLS
    from tunnelkit.wire.sniff import Places


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


class IStreamEnd(IEnd):
    """
    An end by which a stream gets to the other side of the tunnel.
    """

    def begin() -> int:
        """
        Count one stream further; the server's call, before it joins.

        @return: the number of the stream that comes next.
        """

    def refuse(code: ResetCode, reason: str) -> None:
        """
        Reset the stream that was started, in place of joining it.
        """


class IWorkLink(IEnd):
    """
    A work connection, whatever it carries.
    """

    def close() -> None:
        """
        Close the connection where nothing is on its way; it is reported lost.
        """


class IWorkEnd(IWorkLink, IStreamEnd):
    """
    A work connection: an end that carries one stream after the other.
    """

    def announce(opening: bytes) -> None:
        """
        Send what goes ahead of the stream that was begun, with the first bytes of it
        or when it is joined.
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

    def given(work: IWorkEnd, carrier: ICarrier) -> None:
        """
        The connection has become a datagram carrier, which takes its place.
        """

    def lost(work: IWorkLink, reason: str) -> None:
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


class ICarrier(IWorkLink):
    """
    A work connection on which the datagrams of many flows cross.
    """

    blocked: bool = Attribute("whether it takes no more for now")
    flows: Mapping[int, Flow] = Attribute("who lives here, by number")
    strays: int = Attribute("datagrams that came of flows that do not live here")

    def adopt(flow: Flow, opening: bytes = b"") -> None:
        """
        Have a flow live here from now on.

        @param opening: what announces it, and goes ahead of its next frame.
        """

    def put(frame: bytes) -> None:
        """
        Send a frame, unless it is dropped because this takes no more.
        """

    def tell(message: Announced | FlowEnd) -> None:
        """
        Say something about a flow, likewise.
        """

    def salvaged(only: Flow | None = None) -> Iterable[tuple[Flow, bytes]]:
        """
        Take back the datagrams that wait here, each framed, with its flow.

        @param only: whose alone.
        """


class ICarrierOwner(Interface):
    """
    Who is told what becomes of a datagram carrier.
    """

    def announced(carrier: ICarrier, flow: Announced) -> None:
        """
        The server announced a flow here.
        """

    def ended(carrier: ICarrier, end: FlowEnd) -> None:
        """
        The other side ended a flow.
        """

    def stalled(carrier: ICarrier) -> None:
        """
        It has taken nothing for a while.
        """

    def lost(carrier: ICarrier, reason: str) -> None:
        """
        It is gone, said once; flows still live there.
        """


class IFlowPort(Interface):
    """
    A public port for datagrams.
    """

    def stopListening() -> Deferred[None]:
        """
        Listen no more.

        @return: fires when the port is free.
        """

    def getHost() -> IAddress:
        """
        Give the address.
        """

    def look() -> None:
        """
        Count what the system has dropped since the last look.
        """


class IRelay(Interface):
    """
    What moves bytes.
    """

    def listen(
        address: LocalAddress, arrived: Callable[[IEnd], None]
    ) -> IListeningPort:
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

    def adopt(
        connection: Connection,
        rest: bytes,
        withhold: bool = False,
        opening: bytes = b"",
    ) -> IStreamEnd:
        """
        Take over a connection that carries the bytes of one stream as they are.

        @param rest: bytes of the peer's that were read ahead: the first of the stream.
        @param withhold: whether the peer takes our end for the end of all: then it is
            told none before its own.
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

    def listenDatagrams(
        address: HostPort, flows: FlowTable, arrived: Callable[[VisitorFlow], bool]
    ) -> IFlowPort:
        """
        Accept visitors' datagrams.

        @param flows: holds a flow for each visitor.
        @param arrived: asked at each new flow whether it may be; if so, it lives on a
            carrier when this returns.
        @raise CannotListenError: the address cannot be had.
        """

    def dialDatagrams(
        address: HostPort,
        number: int,
        flows: FlowTable,
        carrier: ICarrier,
        failed: Callable[[str], None],
    ) -> None:
        """
        Begin a flow to a local service, with a socket of its own; where there is none
        for it, it ends at once.

        @param number: the flow's.
        @param flows: holds it from now on.
        @param carrier: where it lives.
        @param failed: told, in words, what goes wrong there.
        """

    def carry(work: IWorkEnd, owner: ICarrierOwner, opening: bytes) -> ICarrier | None:
        """
        Make a datagram carrier of a work connection whose stream was begun or started.
        Its owner is given the carrier in its place.

        @param opening: bytes to send first.
        @return: None where the connection is gone already.
        """


class IDialect(Interface):
    """
    A wire protocol that is spoken on the server's port beside our own.  It only
    translates: sessions, tunnels, leases, limits and metrics are the server's.
    """

    name: str = Attribute("what C{--dialect} calls it")
    places: Iterable[Places] = Attribute(
        "what its connections begin with: for each of the first places the bytes that"
        " may stand there"
    )
    plain: bool = Attribute("whether it may be spoken without TLS")

    def greet(guest: Guest) -> Holder:
        """
        Make who holds a connection that begins so, and gets its bytes from the first.
        The guest is told when it has logged in, or is to be sent away.
        """
