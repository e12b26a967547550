# -*- test-case-name: tests.relay.portable.test_relay -*-
"""
Portable: the relay over Twisted's own transports, for every reactor and system.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final, cast

from twisted.internet.defer import Deferred, fail
from twisted.internet.error import (
    ConnectError,
    ConnectionRefusedError,
    DNSLookupError,
    TCPTimedOutError,
    TimeoutError,
)
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IProtocol,
)
from twisted.internet.protocol import Factory, ServerFactory
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
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
    Undialled,
)
from tunnelkit.relay.bucket import Bucket
from tunnelkit.relay.connection import RESETTING, Connection, Holder, linger
from tunnelkit.relay.endpoints import (
    BACKLOG,
    IPortableReactor,
    One,
    endpointOf,
    everywhere,
)
from tunnelkit.relay.flows.ends import Arrived
from tunnelkit.relay.flows.names import Names
from tunnelkit.relay.flows.table import FlowTable
from tunnelkit.relay.portable.adopted import adopted
from tunnelkit.relay.portable.datagrams import CarrierEnd, DatagramListening, ServiceEnd
from tunnelkit.relay.portable.raw import RawEnd
from tunnelkit.relay.portable.sockets import listenAt
from tunnelkit.relay.portable.work import WorkEnd
from tunnelkit.relay.secure import ClientTLS, ServerTLS
from tunnelkit.relay.streams.join import IDLE, Join
from tunnelkit.relay.streams.stream import Attachable
from tunnelkit.wire.address import LONGEST_PATH, HostPort, LocalAddress, SocketPath
from tunnelkit.wire.codes import ResetCode

_KEPT: Final = 256
"""How much of what a server that is not TLS says is kept, in bytes."""


@implementer(IRelay)
class PortableRelay:
    """
    Moves bytes by Twisted's producers and consumers.
    """

    def __init__(self, reactor: IPortableReactor, idle: float = IDLE) -> None:
        self._reactor = reactor
        self._idle = idle
        self._names = Names(reactor)

    def listen(
        self, address: LocalAddress, arrived: Callable[[IEnd], None]
    ) -> IListeningPort:
        """
        Accept visitors.

        @param address: with an empty host, all interfaces of IPv4 and IPv6; a socket
            that a dead program left at a path is replaced.
        """
        factory = _Visitors(arrived)
        if isinstance(address, SocketPath):
            return listenAt(self._reactor, address.path, factory)
        port = self._reactor.listenTCP(
            address.port, factory, BACKLOG, address.host or everywhere()
        )
        # What is accepted has it, too: no moment is left in which to be killed would
        # look like an end.
        linger(getattr(port, "socket", None), RESETTING)
        return port

    def dial(self, address: LocalAddress, timeout: float) -> Deferred[IEnd]:
        """
        Connect to a local service.
        """
        if _tooLong(address):
            why = f"the local service {address} has too long a path for a socket"
            return fail(Undialled(ResetCode.UNREACHABLE, why))
        endpoint = endpointOf(self._reactor, address, timeout)
        dialled = cast("Deferred[IEnd]", endpoint.connect(_Services()))
        # An endpoint times out each address by itself; this is for all of them.
        dialled.addTimeout(timeout, self._reactor, _tooLate)
        dialled.addErrback(_undialled, address, timeout)
        return dialled

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
        client = isinstance(side, ClientTLS)
        factory = TLSMemoryBIOFactory(side, client, One(protocol), self._reactor)
        tls = factory.buildProtocol(connection.transport.getPeer())
        connection.hold(_Secured(tls))
        tls.makeConnection(connection.transport)
        if rest:
            connection.dataReceived(rest)

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
        connection.transport.write(opening)
        work = WorkEnd(connection, owner, client, self._reactor, self._idle)
        if rest:
            # Its owner does not know it yet.
            self._reactor.callLater(0, work.dataReceived, rest)
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
        return adopted(connection, rest, withhold, opening)

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
        join = Join(self._reactor, self._idle, forth, back)
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
        port = DatagramListening(flows, arrived)
        port.listen(self._reactor, address, address.host or everywhere())
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
        flow = ServiceEnd(number, flows, address, failed, self._reactor)
        carrier.adopt(flow)
        flow.begin(self._names)

    def carry(
        self, work: IWorkEnd, owner: ICarrierOwner, opening: bytes
    ) -> ICarrier | None:
        """
        Make a datagram carrier of a work connection.
        """
        lent = cast(WorkEnd, work)
        return None if lent.gone else CarrierEnd(lent, owner, self._reactor, opening)


class _Visitors(ServerFactory):
    """
    Makes an end of each connection that is accepted.
    """

    noisy = False

    def __init__(self, arrived: Callable[[IEnd], None]) -> None:
        self._arrived = arrived

    def buildProtocol(self, address: IAddress | None) -> RawEnd:
        return RawEnd(self._arrived)


class _Services(Factory):
    """
    Makes an end of a connection that was dialled.
    """

    noisy = False

    def buildProtocol(self, address: IAddress | None) -> RawEnd:
        return RawEnd()


class _Secured(Holder):
    """
    Gives what comes to TLS, and keeps what the peer says first: OpenSSL swallows it
    where it is not TLS.
    """

    def __init__(self, tls: TLSMemoryBIOProtocol) -> None:
        self._tls = tls

    def dataReceived(self, data: bytes) -> None:
        if not self.connection.first:
            self.connection.first = data[:_KEPT]
        self._tls.dataReceived(data)

    def connectionLost(self, reason: Failure) -> None:
        self._tls.connectionLost(reason)


def _tooLate(result: IEnd | Failure, timeout: float) -> IEnd:
    """
    Say that a dial took too long, whatever its cancelling made of it.
    """
    if isinstance(result, Failure):
        raise TimeoutError() from result.value
    return result


def _undialled(failure: Failure, address: LocalAddress, timeout: float) -> Failure:
    code = ResetCode.UNREACHABLE
    if failure.check(TimeoutError, TCPTimedOutError):
        code, why = ResetCode.TIMEOUT, f"did not answer within {timeout:.0f} seconds"
    elif failure.check(ConnectionRefusedError):
        code, why = ResetCode.REFUSED, "refused the connection"
    elif failure.check(DNSLookupError):
        why = "has a name that is not known"
    elif failure.check(ValueError):
        why = "has a name that is not valid"
    elif failure.check(ConnectError, OSError):
        why = f"cannot be reached: {failure.getErrorMessage()}"
    else:
        return failure
    return Failure(Undialled(code, f"the local service {address} {why}"))


def _tooLong(address: LocalAddress) -> bool:
    return (
        isinstance(address, SocketPath)
        and len(os.fsencode(address.path)) > LONGEST_PATH
    )
