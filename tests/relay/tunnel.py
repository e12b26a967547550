"""
A tunnel of two relays and nothing else: no login, no pool, no control channel.

Its server half takes every connection to its port for a work connection; its client
half opens as many as it is asked for.  Run as a program, it is both halves in a
process of their own::

    python -m tests.relay.tunnel SERVICE_PORT WORK_CONNECTIONS RELAY TLS

where RELAY is portable or fast and TLS is tls or plain.  It prints the port for
visitors and then, for each line that it reads, how much
memory it has, in bytes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from resource import getpagesize
from typing import Any, Final

from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure
from zope.interface import implementer

from tunnelkit.carrier.dock import Dock
from tunnelkit.interfaces import (
    ICarrier,
    IEnd,
    IJoin,
    IRelay,
    IWorkEnd,
    IWorkLink,
    IWorkOwner,
    Outcome,
    Undialled,
)
from tunnelkit.relay.best import relayFor
from tunnelkit.relay.bucket import Bucket
from tunnelkit.relay.connection import Connection, Holder
from tunnelkit.relay.endpoints import One, endpointOf
from tunnelkit.relay.portable.relay import PortableRelay
from tunnelkit.relay.secure import ClientTLS, Seen, ServerTLS, seen
from tunnelkit.relay.wrapping.packed import Packing
from tunnelkit.wire.address import HostPort, LocalAddress
from tunnelkit.wire.certificate import CertificatePair, selfSigned
from tunnelkit.wire.native.codec import said
from tunnelkit.wire.native.messages import Start

LOOPBACK: Final = "127.0.0.1"


def pairOf(*names: str) -> CertificatePair:
    """
    Make a certificate.
    """
    return selfSigned(names, datetime.now(UTC))


def portOf(listening: IListeningPort) -> int:
    """
    Give the number of a port.
    """
    address: Any = listening.getHost()
    number: int = address.port
    return number


class Arriving(Holder):
    """
    A connection that is told of when it can speak.

    @ivar seen: what its TLS showed, where it has any.
    """

    seen: Seen | None = None

    def __init__(self, client: bool, arrived: Callable[[Arriving], None]) -> None:
        self._client = client
        self.arrived = arrived
        self.lost: Deferred[Failure] = Deferred()

    def handshakeCompleted(self) -> None:
        """
        The TLS is up.
        """
        self.seen = seen(self.connection.transport, self._client)
        self.arrived(self)

    def connectionLost(self, reason: Failure) -> None:
        """
        It is gone.
        """
        self.lost.callback(reason)


class Securing(Holder):
    """
    Puts a connection under TLS, as soon as it is there.
    """

    def __init__(
        self, relay: IRelay, side: ClientTLS | ServerTLS, inner: Arriving
    ) -> None:
        self._relay = relay
        self._side = side
        self._inner = inner

    def held(self, connection: Connection) -> None:
        """
        The connection is there.
        """
        super().held(connection)
        self._relay.secure(connection, b"", self._side, Connection(self._inner))


class Unsecured(Holder):
    """
    Says at once that a connection can speak.
    """

    def __init__(self, inner: Arriving) -> None:
        self._inner = inner

    def held(self, connection: Connection) -> None:
        """
        The connection is there.
        """
        connection.hold(self._inner)
        self._inner.arrived(self._inner)


class _Works(Factory):
    noisy = False

    def __init__(self, server: ServerHalf) -> None:
        self._server = server

    def buildProtocol(self, address: object) -> Connection:
        server = self._server
        arriving = Arriving(False, server.workArrived)
        if server.tls is None:
            return Connection(Unsecured(arriving))
        return Connection(Securing(server.relay, server.tls, arriving))


@implementer(IWorkOwner)
class ServerHalf:
    """
    The half that visitors come to.

    @ivar free: idle work connections.
    @ivar packing: how streams are compressed, where they are.
    @ivar joins: all that there were.
    @ivar outcomes: how they ended.
    @ivar losses: why work connections were lost.
    @ivar carriers: datagram carriers.
    """

    def __init__(
        self, reactor: Any, relay: IRelay, pair: CertificatePair | None
    ) -> None:
        self.relay = relay
        self.tls = None if pair is None else ServerTLS(pair)
        self.free: list[IWorkEnd] = []
        self.packing: Packing | None = None
        self.joins: list[IJoin] = []
        self.outcomes: list[Outcome] = []
        self.losses: list[str] = []
        self.works: list[IWorkEnd] = []
        self.carriers: list[ICarrier] = []
        self._visitors: list[IEnd] = []
        self.workPort: IListeningPort = reactor.listenTCP(
            0,
            _Works(self),
            4096,
            LOOPBACK,
        )
        self.port = self.relay.listen(HostPort(LOOPBACK, 0), self._visitorArrived)

    def workArrived(self, arriving: Arriving) -> None:
        """
        A work connection came.
        """
        work = self.relay.borrow(arriving.connection, b"", self, client=False)
        self.works.append(work)
        self.idle(work)

    def _visitorArrived(self, visitor: IEnd) -> None:
        self._visitors.append(visitor)
        self._serve()

    def _serve(self) -> None:
        if not self.free or not self._visitors:
            return
        work, visitor = self.free.pop(), self._visitors.pop(0)
        start = Start(work.begin(), "test", "tcp", visitor.peer, visitor.local)
        end = work if self.packing is None else self.packing.end(work)
        join = self.relay.join(visitor, end, said(start))
        self.joins.append(join)
        join.ended.addCallback(self.outcomes.append)

    def started(self, work: IWorkEnd, start: Start) -> None:
        """
        Never said on this side.
        """
        raise AssertionError("a stream was started on the server")

    def idle(self, work: IWorkEnd) -> None:
        """
        A work connection can carry a stream.
        """
        self.free.append(work)
        self._serve()

    def given(self, work: IWorkEnd, carrier: ICarrier) -> None:
        """
        A work connection is a datagram carrier now.
        """
        self.works.remove(work)
        self.carriers.append(carrier)

    def lost(self, work: IWorkLink, reason: str) -> None:
        """
        A work connection is gone.
        """
        self.losses.append(reason)
        if work in self.free:
            self.free.remove(work)


@implementer(IWorkOwner)
class ClientHalf:
    """
    The half that dials the local service.

    @ivar works: its work connections.
    @ivar starts: the streams that were started.
    @ivar opening: what is written to the service before anything else.
    @ivar buckets: how fast bytes may go to the service, and from it.
    @ivar packing: how streams are compressed, where they are.
    @ivar serve: makes what is joined in place of the service, where it does.
    @ivar outcomes: how the joins ended.
    @ivar carriers: datagram carriers.
    @ivar dock: takes those, where there may be some.
    """

    def __init__(
        self,
        reactor: Any,
        relay: IRelay,
        server: HostPort,
        service: LocalAddress,
        secure: bool,
    ) -> None:
        self.relay = relay
        self.works: list[IWorkEnd] = []
        self.carriers: list[ICarrier] = []
        self.dock: Dock | None = None
        self.starts: list[Start] = []
        self.outcomes: list[Outcome] = []
        self.losses: list[str] = []
        self.opening = b""
        self.buckets: tuple[Bucket | None, Bucket | None] = None, None
        self.packing: Packing | None = None
        self.serve: Callable[[], IEnd] | None = None
        self.service = service
        self._reactor = reactor
        self._server = server
        self._tls = ClientTLS(server.host, False) if secure else None

    def open(self) -> Deferred[None]:
        """
        Open one more work connection.
        """
        opened: Deferred[None] = Deferred()

        def arrived(arriving: Arriving) -> None:
            work = self.relay.borrow(arriving.connection, b"", self, client=True)
            self.works.append(work)
            opened.callback(None)

        arriving = Arriving(True, arrived)
        first = Securing(self.relay, self._tls, arriving) if self._tls else None
        connection = Connection(first or Unsecured(arriving))
        endpoint = endpointOf(self._reactor, self._server, 10)
        connecting = endpoint.connect(One(connection))
        return connecting.addCallback(lambda _: opened)

    def started(self, work: IWorkEnd, start: Start) -> None:
        """
        Dial the service, and join.
        """
        if self.dock is not None:
            self.dock.carry(work)
            return
        self.starts.append(start)
        if self.serve is not None:
            self._join(self.serve(), work)
            return
        dialled = maybeDeferred(self.relay.dial, self.service, 10)
        dialled.addCallbacks(
            self._join, self._refuse, callbackArgs=(work,), errbackArgs=(work,)
        )

    def _join(self, service: IEnd, work: IWorkEnd) -> None:
        end = work if self.packing is None else self.packing.end(work)
        join = self.relay.join(end, service, self.opening, *self.buckets)
        join.ended.addCallback(self.outcomes.append)

    def _refuse(self, failure: Failure, work: IWorkEnd) -> None:
        failure.trap(Undialled)
        undialled: Any = failure.value
        work.refuse(undialled.code, undialled.reason)

    def idle(self, work: IWorkEnd) -> None:
        """
        The server knows by itself.
        """

    def given(self, work: IWorkEnd, carrier: ICarrier) -> None:
        """
        A work connection is a datagram carrier now.
        """
        self.works.remove(work)
        self.carriers.append(carrier)

    def lost(self, work: IWorkLink, reason: str) -> None:
        """
        A work connection is gone.
        """
        self.losses.append(reason)


class Tunnel:
    """
    Both halves.

    @ivar port: where visitors come.
    """

    def __init__(
        self,
        reactor: Any,
        service: LocalAddress,
        secure: bool = True,
        idle: float = 300.0,
        relay: Callable[[Any, float], IRelay] = PortableRelay,
        compress: str = "",
    ) -> None:
        """
        @param relay: makes the relay of each half.
        @param compress: how streams are compressed, or empty.
        """
        pair = pairOf("localhost") if secure else None
        self.server = ServerHalf(reactor, relay(reactor, idle), pair)
        self.port = portOf(self.server.port)
        at = HostPort(LOOPBACK, portOf(self.server.workPort))
        self.client = ClientHalf(reactor, relay(reactor, idle), at, service, secure)
        if compress:
            self.server.packing = Packing(compress, "the client", reactor)
            self.client.packing = Packing(compress, "the server", reactor)

    async def open(self, count: int = 1) -> None:
        """
        Open work connections.
        """
        await gatherResults([self.client.open() for _ in range(count)])

    async def close(self) -> None:
        """
        Reset everything, and stop listening.
        """
        await maybeDeferred(self.server.port.stopListening)
        await maybeDeferred(self.server.workPort.stopListening)
        for half in (self.client, self.server):
            for work in [*half.works, *half.carriers]:
                work.abort()


def memory() -> int:
    """
    Give the memory of this process, in bytes.
    """
    return int(Path("/proc/self/statm").read_text().split()[1]) * getpagesize()


RELAYS: Final = {"portable": PortableRelay, "fast": relayFor}
"""Both paths, by name; the fast one where it can run."""


def _main(port: str, count: str, relay: str, tls: str) -> None:
    from twisted.internet import reactor
    from twisted.internet.stdio import StandardIO
    from twisted.protocols.basic import LineOnlyReceiver

    class Asked(LineOnlyReceiver):
        delimiter = b"\n"

        def lineReceived(self, line: bytes) -> None:
            self.sendLine(b"%d" % memory())

        def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
            reactor.stop()

    async def start() -> None:
        service = HostPort(LOOPBACK, int(port))
        tunnel = Tunnel(reactor, service, tls == "tls", relay=RELAYS[relay])
        await tunnel.open(int(count))
        print(tunnel.port, flush=True)
        StandardIO(Asked(), reactor=reactor)

    Deferred.fromCoroutine(start()).addErrback(lambda failure: failure.printTraceback())
    reactor.run()


if __name__ == "__main__":
    _main(*sys.argv[1:])
