"""
A UDP tunnel of two relays and nothing else: no login, no pool, no control channel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.protocol import DatagramProtocol

from tests.relay.tunnel import LOOPBACK, Tunnel
from tests.stage.programs import until
from tunnelkit.carrier.dock import Dock
from tunnelkit.carrier.fleet import CARRIERS, Fleet
from tunnelkit.interfaces import ICarrier, IRelay, IWorkEnd
from tunnelkit.relay.flows.flow import Flow
from tunnelkit.relay.flows.table import FlowTable
from tunnelkit.relay.portable.relay import PortableRelay
from tunnelkit.wire.address import HostPort
from tunnelkit.wire.native.messages import Flow as Announced


class Works:
    """
    A pool that has what was opened before.
    """

    def __init__(self, free: list[IWorkEnd]) -> None:
        self._free = free

    def take(self) -> Deferred[IWorkEnd]:
        """
        Give one, or never.
        """
        return succeed(self._free.pop()) if self._free else Deferred()


class Landing:
    """
    The local service.

    @ivar flows: those that are with it.
    @ivar failures: what went wrong there.
    """

    def __init__(self, reactor: Any, relay: IRelay, service: HostPort) -> None:
        self.flows = FlowTable(reactor, lambda flow: None)
        self.failures: list[str] = []
        self._relay = relay
        self._service = service

    def find(self, number: int) -> Flow | None:
        """
        Give a flow that is there.
        """
        return self.flows.flows.get(number)

    def land(self, flow: Announced, carrier: ICarrier) -> str:
        """
        Begin a flow.
        """
        self._relay.dialDatagrams(
            self._service, flow.id, self.flows, carrier, self.failures.append
        )
        return ""


class FlowTunnel:
    """
    Both halves.

    @ivar tunnel: the work connections.
    @ivar visitors: the flows on the server.
    @ivar left: those that are over.
    @ivar landing: the local service, on the client.
    @ivar port: where visitors come.
    """

    def __init__(
        self,
        reactor: Any,
        service: HostPort,
        secure: bool,
        relay: Callable[[Any, float], IRelay] = PortableRelay,
        host: str = LOOPBACK,
    ) -> None:
        """
        @param service: the local service's address.
        @param host: where visitors may come.
        """
        self.tunnel = tunnel = Tunnel(reactor, service, secure, relay=relay)
        client, server = tunnel.client, tunnel.server
        pool: Any = Works(server.free)
        self.fleet = Fleet(pool, server.relay, reactor)
        self.left: list[Flow] = []
        self.visitors = FlowTable(reactor, self.left.append, "dns")
        self.landing = Landing(reactor, client.relay, service)
        client.dock = Dock(
            client.relay, reactor, lambda flow: {"dns": self.landing}.get(flow.tunnel)
        )
        at = HostPort(host, 0)
        place = self.fleet.place
        self._port = server.relay.listenDatagrams(at, self.visitors, place)
        address: Any = self._port.getHost()
        self.port = int(address.port)

    async def open(self, carriers: int = CARRIERS) -> None:
        """
        Have carriers.
        """
        await self.more(carriers)
        self.fleet.enter(self)

    async def more(self, count: int) -> None:
        """
        Open work connections, and wait until both sides have them.
        """
        await self.tunnel.open(count)
        free = self.tunnel.server.free
        await until(lambda: len(free) >= count, "work connections")

    async def close(self) -> None:
        """
        End all.
        """
        self._port.look()
        await maybeDeferred(self._port.stopListening)
        self.visitors.clear("closed")
        self.fleet.leave(self)
        dock = self.tunnel.client.dock
        assert dock is not None, "it was made at the beginning"
        dock.close("closed")
        self.landing.flows.clear("closed")
        await self.tunnel.close()


class Post(DatagramProtocol):
    """
    A visitor, or a service, on a real socket.

    @ivar heard: what came, and from where.
    @ivar answer: whether it sends back what comes.
    """

    transport: Any

    def __init__(self, answer: bool = False) -> None:
        self.heard: list[tuple[bytes, Any]] = []
        self.answer = answer

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        """
        Remember it.
        """
        self.heard.append((datagram, addr))
        if self.answer:
            self.transport.write(datagram, addr)

    @property
    def texts(self) -> list[bytes]:
        """
        What came.
        """
        return [datagram for datagram, _ in self.heard]

    @property
    def port(self) -> int:
        """
        Its port.
        """
        return int(self.transport.getHost().port)
