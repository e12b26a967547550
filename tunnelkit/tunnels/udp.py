# -*- test-case-name: tests.tunnels.test_udp -*-
"""
UDP on the server: a public port whose visitors' datagrams reach the client's local
service, each visitor's in a flow of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from tunnelkit.control.session import STREAMS, Session
from tunnelkit.interfaces import IFlowPort, IRelay
from tunnelkit.relay.flows.ends import VisitorFlow
from tunnelkit.relay.flows.flow import Flow
from tunnelkit.relay.flows.shape import Shape
from tunnelkit.relay.flows.table import FlowTable
from tunnelkit.state.lease import Lease
from tunnelkit.status import TunnelStatus
from tunnelkit.tunnels.bursts import Bursts
from tunnelkit.wire.address import HostPort


class PublicUDP:
    """
    A published UDP service.

    @cvar kind: what this kind of tunnel is called.
    @cvar space: which ports it has.
    @ivar address: its full public address.
    @ivar session: whose it is.
    """

    kind: ClassVar[str] = "udp"
    space: ClassVar[str] = "udp"
    _log = Logger()

    def __init__(
        self,
        session: Session,
        name: str,
        lease: Lease,
        address: str,
        relay: IRelay,
        clock: IReactorTime,
        withdrawn: Callable[[PublicUDP, Deferred[object]], None],
        compress: str = "",
    ) -> None:
        """
        @param withdrawn: told once that the tunnel takes no more visitors, and when
            its port will be free.
        @param compress: how datagrams are compressed, or empty.
        """
        self.name = name
        self.address = address
        self.lease = lease
        self.session = session
        self.compress = compress
        self._relay = relay
        self._clock = clock
        self._withdrawn = withdrawn
        self._port: IFlowPort | None = None
        self._flows = flows = FlowTable(clock, self._left, name, compress)
        if compress:
            flows.shape = Shape(flows.tally, compress)
        self._refused = 0
        self._bursts = Bursts(self._say, clock)
        self._fleet = session.embark(relay)

    def listen(self, bind: str) -> None:
        """
        Take visitors from now on.

        @param bind: the address to listen on, or empty for all interfaces.
        @raise CannotListenError: the port cannot be had.
        """
        at = HostPort(bind, self.lease.port)
        self._port = self._relay.listenDatagrams(at, self._flows, self._arrived)
        self._fleet.enter(self)

    def withdraw(self) -> None:
        """
        Take no more datagrams.  That ends all flows: they have no end of their own for
        which one could wait.
        """
        port, self._port = self._port, None
        if port is None:
            return
        port.look()
        self._flows.clear("the tunnel was withdrawn")
        self._fleet.leave(self)
        self._bursts.stop()
        self._withdrawn(self, maybeDeferred(port.stopListening))
        self.session.left(self)

    def cut(self, reason: str) -> None:
        """
        Do nothing: what was withdrawn is over.
        """

    def status(self) -> TunnelStatus:
        """
        Give a picture of this moment.
        """
        identity, tally = self.session.identity, self._flows.tally
        shape = self._flows.shape
        if self._port is not None:
            self._port.look()
        return TunnelStatus(
            name=self.name,
            kind=self.kind,
            address=self.address,
            user=identity.user,
            client=identity.client,
            session=self.session.shown,
            streams=len(self._flows),
            visitors=self._flows.total + self._refused,
            failed=self._refused,
            received=tally.received,
            sent=tally.sent,
            withdrawn=self._port is None,
            compress=self.compress,
            receivedPacked=tally.received if shape is None else shape.written,
            sentPacked=tally.sent if shape is None else shape.read,
            datagrams=(tally.came, tally.went),
            drops=tuple(tally.drops.items()),
        )

    def _arrived(self, flow: VisitorFlow) -> bool:
        """
        Say whether a new flow may be.
        """
        if not self.session.allowed():
            return self._refuse("the token was revoked, or has expired")
        if self.session.streams >= STREAMS or not self._fleet.place(flow):
            return self._refuse("too many visitors at once")
        self.session.streams += 1
        return True

    def _left(self, flow: Flow) -> None:
        self.session.streams -= 1

    def _refuse(self, reason: str) -> bool:
        self._refused += 1
        if not self.session.over:
            self._bursts.note(reason)
        return False

    def _say(self, sentence: str) -> None:
        if self.session.mention():
            self._log.info(
                "datagrams of {name} are dropped: {sentence}",
                name=self.name,
                sentence=sentence,
            )
