# -*- test-case-name: tests.relay.flows.test_datagrams -*-
"""
Datagrams: both ends of flows, and carriers, over Twisted's own transports.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import Any, TypeAlias

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import (
    CannotListenError,
    ConnectionDone,
    MessageLengthError,
)
from twisted.internet.interfaces import (
    IListeningPort,
    IReactorTime,
    IReactorUDP,
    ISSLTransport,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from tunnelkit.interfaces import ICarrierOwner, IFlowPort
from tunnelkit.relay.asked import Source, sourceIn
from tunnelkit.relay.connection import Gauge, Holder, IRelayTransport, socketOf
from tunnelkit.relay.flows.carrying import Carrier, sendsSoon
from tunnelkit.relay.flows.ends import (
    Arrived,
    KernelDrops,
    ServiceFlow,
    VisitorFlow,
    Visitors,
)
from tunnelkit.relay.flows.flow import Flow
from tunnelkit.relay.flows.table import FlowTable
from tunnelkit.relay.flows.tally import UNSENT
from tunnelkit.relay.portable.udp import LastingPort, Listener, listenUDP
from tunnelkit.relay.portable.work import WorkEnd
from tunnelkit.wire.address import HostPort, unmapped
from tunnelkit.wire.native.datagrams import Run, framed

VisitorKey: TypeAlias = tuple[tuple[str, int], Source]
"""By what a visitor is known."""


class VisitorEnd(VisitorFlow):
    """
    The flow of a visitor at a port of Twisted's.
    """

    __slots__ = ("_port",)

    key: VisitorKey

    def __init__(
        self, key: VisitorKey, table: FlowTable, port: DatagramListening
    ) -> None:
        """
        @param key: the visitor's address, and what has the system answer from the one
            that was asked; the latter empty where there is nothing to choose.
        """
        super().__init__(0, key, table)
        self._port = port

    @property
    def peer(self) -> str:
        """
        The visitor's address.
        """
        (host, port), _ = self.key
        return str(HostPort(unmapped(host), port))

    @property
    def local(self) -> str:
        """
        The address that the visitor came to.
        """
        _, source = self.key
        at: HostPort = self._port.local
        return str(HostPort(unmapped(sourceIn(source) or at.host), at.port))

    def deliver(self, run: Run) -> None:
        """
        Send datagrams to the visitor.
        """
        self.table.touch(self)
        for each in run:
            self._port.send(bytes(each), *self.key)


@implementer(IFlowPort)
class DatagramListening(Listener):
    """
    A public port.

    @ivar local: its address.
    """

    _log = Logger()
    asks = True
    transport: Any
    local: HostPort

    def __init__(self, flows: FlowTable, arrived: Arrived) -> None:
        self._visitors = Visitors(flows, arrived)
        self._flows = flows
        self._drops = KernelDrops(flows.tally)
        self._port: IListeningPort | None = None

    def listen(self, reactor: IReactorUDP, address: HostPort, host: str) -> None:
        """
        Listen.

        @raise CannotListenError: the address cannot be had.
        """
        self._port = listenUDP(reactor, address.port, self, host)
        self.local = HostPort(host, self.getHost().port)

    def stopListening(self) -> Deferred[None]:
        """
        Listen no more.
        """
        assert self._port is not None, "not listening"
        return stopped(self._port)

    def getHost(self) -> Any:
        """
        Give its address.
        """
        assert self._port is not None, "not listening"
        return self._port.getHost()

    def look(self) -> None:
        """
        Count what the system has dropped.
        """
        if self._port is not None:
            look(self._port, self._drops)

    def heard(self, datagram: bytes, addr: tuple[str, int], source: Source) -> None:
        """
        A visitor sent something.
        """
        try:
            self._receive(datagram, (addr, source))
        except Exception:
            self._log.failure("a bug at a datagram of {peer}", peer=addr)

    def _receive(self, datagram: bytes, key: VisitorKey) -> None:
        flow = self._flows.flows.get(key)
        if flow is None:
            flow = self._visitors.begin(VisitorEnd(key, self._flows, self))
            if flow is None:
                return
        forward(flow, datagram)

    def send(self, datagram: bytes, address: tuple[str, int], source: Source) -> None:
        """
        Send a datagram to a visitor.

        @param source: what has it come from the address that was asked.
        """
        tally = self._flows.tally
        try:
            if source:
                self.transport.socket.sendmsg((datagram,), source, 0, address)
            else:
                self.transport.write(datagram, address)
        except (OSError, MessageLengthError):
            tally.drop(UNSENT)
        else:
            tally.went += 1
            tally.sent += len(datagram)


class ServiceEnd(ServiceFlow):
    """
    A flow to a local service, from a port of Twisted's.

    The port is connected where it lasts.  Elsewhere it is not, as of one that is
    connected the reactor may believe that an ICMP message ends it; so that is not heard
    of there, and what others send is left unheard here.
    """

    __slots__ = ("_port", "_reactor", "_say", "_service", "_socket")

    _service: tuple[str, int]
    _say: Callable[[memoryview], object]

    def __init__(
        self,
        id: int,
        table: FlowTable,
        address: HostPort,
        failed: Callable[[str], None],
        reactor: IReactorUDP,
    ) -> None:
        super().__init__(id, table, address, failed)
        self._reactor = reactor
        self._port: IListeningPort | None = None
        self._socket = _ServiceSocket(self)

    def _connect(self, host: str) -> None:
        anywhere = "::" if ":" in host else ""
        self._service = str(ip_address(host)), self._address.port
        try:
            port = listenUDP(self._reactor, 0, self._socket, anywhere)
        except CannotListenError as e:
            raise e.socketError from e
        if isinstance(port, LastingPort):
            try:
                port.connect(*self._service)
            except OSError:
                stopped(port)
                raise
            self._say = port.socket.send
        else:
            self._say = self._sayTo
        self._port = port

    def _sayTo(self, datagram: memoryview) -> None:
        self._socket.transport.write(bytes(datagram), self._service)

    def _send(self, run: Run) -> None:
        if self._port is None:
            return
        self.table.touch(self)
        for each in run:
            try:
                self._say(each)
            except MessageLengthError:
                self.tally.drop(UNSENT)
            except OSError as e:
                self.unsent(e)
            else:
                self.tally.went += 1
                self.tally.sent += len(each)

    def heard(self, datagram: bytes, source: tuple[str, int]) -> None:
        """
        Pass on what the service said.
        """
        if source == self._service:
            forward(self, datagram)

    def close(self, reason: str) -> None:
        """
        The flow is over.
        """
        port, self._port = self._port, None
        if port is not None:
            look(port, KernelDrops(self.tally))
            stopped(port)
        super().close(reason)


class _ServiceSocket(Listener):
    """
    The socket of a flow to a local service.
    """

    _log = Logger()
    transport: Any

    def __init__(self, flow: ServiceEnd) -> None:
        self._flow = flow

    def heard(self, datagram: bytes, addr: tuple[str, int], source: Source) -> None:
        try:
            self._flow.heard(datagram, addr)
        except Exception:
            self._log.failure("a bug at a datagram of the service's")

    def troubled(self, error: OSError) -> None:
        self._flow.unsent(error)


def look(port: Any, drops: KernelDrops) -> None:
    """
    Count what the system has dropped at a port of Twisted's, where that is known.
    """
    sock = getattr(port, "socket", None)
    if sock is not None:
        drops.look(sock)


def stopped(port: IListeningPort) -> Deferred[None]:
    """
    Stop a port of Twisted's.
    """
    stop: Callable[[], Any] = port.stopListening
    return maybeDeferred(stop)


def forward(flow: Flow, datagram: bytes) -> None:
    """
    Put what came from outside on the flow's carrier.
    """
    flow.tally.came += 1
    flow.tally.received += len(datagram)
    flow.table.touch(flow)
    shape = flow.table.shape
    crossing = datagram if shape is None else shape.into(datagram, flow)
    if crossing is not None:
        flow.ship(framed(flow.id, crossing))


class CarrierEnd(Carrier, Holder):
    """
    A datagram carrier over any Twisted transport.
    """

    def __init__(
        self, work: WorkEnd, owner: ICarrierOwner, clock: IReactorTime, opening: bytes
    ) -> None:
        connection = work.connection
        self.transport: IRelayTransport = connection.transport
        sendsSoon(socketOf(self.transport))
        super().__init__(work, owner, clock)
        self.transport.unregisterProducer()
        self.transport.registerProducer(Gauge(self._block, self._unblock), True)
        connection.hold(self)
        self.transport.write(opening)
        self.transport.resumeProducing()
        if self._decoder.rest:
            # Its owner does not know it yet.
            clock.callLater(0, self.dataReceived, b"")

    def dataReceived(self, data: bytes) -> None:
        """
        Bytes of the peer's came.
        """
        if not self._gone:
            place = memoryview(self._decoder.rest + data)
            self._receive(place, len(place))

    def connectionLost(self, reason: Failure) -> None:
        """
        The connection is gone.
        """
        ended = reason.check(ConnectionDone) is not None
        self._end("closed" if ended else reason.getErrorMessage())

    def _unblock(self) -> None:
        # In the midst of a write of the transport's: not from here.
        self._clock.callLater(0, self._drain)

    def _send(self, data: bytes) -> int:
        self.transport.write(data)
        return len(data)

    def _later(self, call: Callable[[], None]) -> None:
        self._clock.callLater(0, call)

    def _finish(self) -> None:
        self.transport.unregisterProducer()
        if ISSLTransport.providedBy(self.transport):
            self.transport.loseConnection()
        else:
            self.transport.loseWriteConnection()

    def _reset(self) -> None:
        self.transport.abortConnection()
