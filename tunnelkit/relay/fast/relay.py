# -*- test-case-name: tests.relay.fast.test_relay -*-
"""
Relay: the fast path behind the relay's contract, with the portable one for all that
it does not do: UNIX sockets, TLS of Twisted's own, transports that are no sockets.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import lru_cache
from ipaddress import ip_address
from sys import intern
from typing import Any, cast

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IListeningPort, IProtocol, ISSLTransport
from twisted.logger import Logger
from zope.interface import implementer

from tunnelkit.interfaces import (
    ICarrier,
    ICarrierOwner,
    IEnd,
    IFlowPort,
    IJoin,
    IRelay,
    IStreamEnd,
    IWorkEnd,
    IWorkOwner,
    Outcome,
)
from tunnelkit.relay.bucket import Bucket
from tunnelkit.relay.connection import Connection, Holder, peerOf
from tunnelkit.relay.endpoints import BACKLOG, IPortableReactor, everywhere
from tunnelkit.relay.fast.adopted import AdoptedSocket, WithholdingSocket
from tunnelkit.relay.fast.dialling import dial
from tunnelkit.relay.fast.end import Metered, Sink
from tunnelkit.relay.fast.flows.carrying import CarrierSocket, SecureCarrierSocket
from tunnelkit.relay.fast.flows.datagrams import FlowPort, ServiceSocket
from tunnelkit.relay.fast.listening import Listening
from tunnelkit.relay.fast.loop import ILoopReactor, Loop
from tunnelkit.relay.fast.raw import RawSocket
from tunnelkit.relay.fast.secure.tls import Contexts
from tunnelkit.relay.fast.secure.transport import SecureTransport
from tunnelkit.relay.fast.secure.work import SecureWorkSocket
from tunnelkit.relay.fast.work import WorkSocket
from tunnelkit.relay.flows.ends import Arrived
from tunnelkit.relay.flows.names import Names
from tunnelkit.relay.flows.table import FlowTable
from tunnelkit.relay.portable.relay import PortableRelay
from tunnelkit.relay.portable.udp import ROOM
from tunnelkit.relay.secure import ClientTLS, ServerTLS
from tunnelkit.relay.streams.join import IDLE, Join
from tunnelkit.relay.streams.stream import Attachable, Receiver
from tunnelkit.relay.ticks import Ticks
from tunnelkit.wire.address import HostPort, LocalAddress, SocketPath


class IFastReactor(ILoopReactor, IPortableReactor):
    """
    What the fast relay needs of a reactor.
    """


@implementer(IRelay)
class FastRelay:
    """
    Moves bytes in a loop of its own.
    """

    _log = Logger()

    def __init__(self, reactor: IFastReactor, idle: float = IDLE) -> None:
        self.loop = Loop(reactor)
        self._reactor = reactor
        self._ticks = Ticks(reactor)
        self._idle = idle
        self._portable = PortableRelay(reactor, idle)
        self._contexts = Contexts()
        self._names = Names(reactor)
        self._told = False  # how much the system holds

    def listen(
        self, address: LocalAddress, arrived: Callable[[IEnd], None]
    ) -> IListeningPort:
        """
        Accept visitors.

        @param address: with an empty host, all interfaces of IPv4 and IPv6.
        """
        if isinstance(address, SocketPath):
            return self._portable.listen(address, arrived)
        host = address.host or everywhere()
        port = Listening(self.loop, self._reactor, host, address.port, BACKLOG, arrived)
        port.startListening()
        return port

    def dial(self, address: LocalAddress, timeout: float) -> IEnd | Deferred[IEnd]:
        """
        Connect to a local service.
        """
        if isinstance(address, HostPort) and _isLiteral(address.host):
            return dial(self.loop, self._reactor, address, timeout)
        return self._portable.dial(address, timeout)

    def secure(
        self,
        connection: Connection,
        rest: bytes,
        side: ClientTLS | ServerTLS,
        protocol: IProtocol,
    ) -> None:
        """
        Put a plain connection under TLS 1.3.
        """
        addresses = _addresses(connection)
        sock = _taken(connection) if addresses is not None else None
        if addresses is None or sock is None:
            self._portable.secure(connection, rest, side, protocol)
            return
        tls = self._contexts.begin(sock, side)
        transport = SecureTransport(tls, protocol, self._reactor, addresses, connection)
        transport.begin(rest)

    def borrow(
        self,
        connection: Connection,
        rest: bytes,
        owner: IWorkOwner,
        client: bool,
        opening: bytes = b"",
    ) -> IWorkEnd:
        """
        Take over an authenticated work connection.
        """
        transport, peer = connection.transport, peerOf(connection.transport)
        if client:
            peer = intern(peer)  # it is the server, for all of them
        rules = peer, owner, client, self._ticks, self._idle
        if isinstance(transport, SecureTransport):
            connection.hold(Holder())
            work: WorkSocket = SecureWorkSocket(self.loop, transport.release(), *rules)
        elif _addresses(connection) and (sock := _taken(connection)):
            work = WorkSocket(self.loop, sock, *rules)
        else:
            return self._portable.borrow(connection, rest, owner, client, opening)
        work.write(opening)
        # Its owner does not know it yet.
        self._reactor.callLater(0, work.takeEarly, rest)
        return work

    def adopt(
        self,
        connection: Connection,
        rest: bytes,
        withhold: bool = False,
        opening: bytes = b"",
    ) -> IStreamEnd:
        """
        Take over a connection that carries the bytes of one stream as they are.
        """
        peer = peerOf(connection.transport)
        if not _addresses(connection) or (sock := _taken(connection)) is None:
            return self._portable.adopt(connection, rest, withhold, opening)
        kind = WithholdingSocket if withhold else AdoptedSocket
        end = kind(self.loop, sock, peer, rest)
        if opening:
            end.putBytes(opening)
        return end

    def join(
        self,
        one: IEnd,
        other: IEnd,
        opening: bytes,
        forth: Bucket | None = None,
        back: Bucket | None = None,
    ) -> IJoin:
        """
        Relay two ends into each other.
        """
        join = Join(self._ticks, self._idle, forth, back)
        if isinstance(one, _FAST) and isinstance(other, _FAST):
            there = other if forth is None else _metered(join.one, other, forth)
            here = one if back is None else _metered(join.other, one, back)
            near, far = one.attach(join.one, there), other.attach(join.other, here)
            join.begin(near, far, opening)
        else:
            self.loop.others += 1
            join.ended.addCallback(self._oneLess)
            join.start(cast(Attachable, one), cast(Attachable, other), opening)
        return join

    def listenDatagrams(
        self,
        address: HostPort,
        flows: FlowTable,
        arrived: Arrived,
    ) -> IFlowPort:
        """
        Accept visitors' datagrams.

        @param address: with an empty host, all interfaces of IPv4 and IPv6.
        """
        host = address.host or everywhere()
        port = FlowPort(self.loop, flows, arrived, host, address.port)
        if not self._told:
            self._told = True
            self._log.info(
                "the system holds {given} KiB of datagrams for a port ({asked} were"
                " asked for: net.core.rmem_max)",
                given=port.room >> 10,
                asked=ROOM >> 10,
            )
        return port

    def dialDatagrams(
        self,
        address: HostPort,
        number: int,
        flows: FlowTable,
        carrier: ICarrier,
        failed: Callable[[str], None],
    ) -> None:
        """
        Begin a flow to a local service.
        """
        flow = ServiceSocket(number, flows, address, failed, self.loop)
        carrier.adopt(flow)
        flow.begin(self._names)

    def carry(
        self, work: IWorkEnd, owner: ICarrierOwner, opening: bytes
    ) -> ICarrier | None:
        """
        Make a datagram carrier of a work connection.
        """
        if not isinstance(work, WorkSocket):
            return self._portable.carry(work, owner, opening)
        if work.gone:
            return None
        if isinstance(work, SecureWorkSocket):
            carrier: CarrierSocket = SecureCarrierSocket(
                self.loop, work, owner, self._reactor, opening
            )
        else:
            carrier = CarrierSocket(self.loop, work, owner, self._reactor, opening)
        return None if carrier.gone else carrier

    def _oneLess(self, outcome: Outcome) -> Outcome:
        self.loop.others -= 1
        return outcome


_FAST = RawSocket, WorkSocket


def _metered(receiver: Receiver, far: Sink, bucket: Bucket) -> Sink | None:
    """
    Give what takes the bytes of one direction that has a limit; None where they all go
    by way of the join.
    """
    return Metered(receiver, far, bucket) if far.takesPipes else None


@lru_cache
def _isLiteral(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _addresses(
    connection: Connection,
) -> tuple[IPv4Address | IPv6Address, IPv4Address | IPv6Address] | None:
    """
    Give the peer's and our address of a connection whose transport is a TCP socket of
    the reactor's and nothing else.
    """
    transport: Any = connection.transport
    if ISSLTransport.providedBy(transport):
        return None
    handle = getattr(transport, "getHandle", lambda: None)()
    if not isinstance(handle, socket.socket):
        return None
    peer, host = transport.getPeer(), transport.getHost()
    kinds = IPv4Address, IPv6Address
    return (peer, host) if isinstance(peer, kinds) and isinstance(host, kinds) else None


def _taken(connection: Connection) -> socket.socket | None:
    """
    Take a connection's socket away from the reactor's transport, which nobody hears
    of any more.  Nothing that was written may wait in it.

    @return: None where there is no descriptor left for it; nothing has changed then.
    """
    handle: Any = connection.transport.getHandle()  # type: ignore[attr-defined]
    try:
        own: socket.socket = handle.dup()
    except OSError:
        return None
    own.setblocking(False)
    connection.hold(Holder())
    # Its own descriptor is closed, with no effect on the connection: ours holds it.
    connection.transport.abortConnection()
    return own
