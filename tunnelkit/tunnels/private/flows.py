# -*- test-case-name: tests.tunnels.private.test_udp -*-
"""
Flows on the server between two clients: what a visitor of one has to say to a service
of the other.

Each is two, one on a carrier of either client; what comes by one leaves by the other.
When one is over, so is the other.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime

from tunnelkit.control.session import Session
from tunnelkit.interfaces import IRelay
from tunnelkit.relay.flows.ends import VisitorFlow
from tunnelkit.relay.flows.flow import Flow
from tunnelkit.relay.flows.table import FlowTable
from tunnelkit.wire.native.codec import said
from tunnelkit.wire.native.datagrams import Run, framed
from tunnelkit.wire.native.messages import Dial
from tunnelkit.wire.native.messages import Flow as Announced


class FarFlow(VisitorFlow):
    """
    The one to the client that publishes.

    @ivar near: the other one.
    """

    __slots__ = ("_peer", "near")

    near: NearFlow

    def __init__(self, key: object, table: FlowTable, peer: str) -> None:
        super().__init__(0, key, table)
        self._peer = peer

    @property
    def peer(self) -> str:
        """
        The address of the client that visits.
        """
        return self._peer

    @property
    def local(self) -> str:
        """
        There is no port to which it came.
        """
        return ""

    def deliver(self, run: Run) -> None:
        """
        Pass on what the service said.
        """
        self.table.touch(self)
        tally = self.tally
        for each in run:
            tally.went += 1
            tally.sent += len(each)
        self.near.pass_(run)

    def pass_(self, run: Run) -> None:
        """
        Send what the visitor said.
        """
        self.table.touch(self)
        tally = self.tally
        for each in run:
            tally.came += 1
            tally.received += len(each)
            self.ship(framed(self.id, bytes(each)))

    def part(self) -> None:
        """
        It is over.
        """
        self.near.table.end(self.near, "the other client has ended it")


class NearFlow(VisitorFlow):
    """
    The one to the client that visits.
    """

    __slots__ = ("_dial", "far")

    def __init__(self, far: FarFlow, table: FlowTable, dial: int) -> None:
        super().__init__(0, far.key, table)
        self.far = far
        self._dial = dial
        far.near = self

    @property
    def peer(self) -> str:
        """
        It is not told who publishes.
        """
        return ""

    @property
    def local(self) -> str:
        """
        There is no port to which it came.
        """
        return ""

    def announcement(self) -> bytes:
        """
        Give what answers the dial.
        """
        tunnel = self.table.tunnel
        return said(Announced(self.id, tunnel, "", "", dial=self._dial))

    def deliver(self, run: Run) -> None:
        """
        Pass on what the visitor said.
        """
        self.table.touch(self)
        self.far.pass_(run)

    def pass_(self, run: Run) -> None:
        """
        Send what the service said.
        """
        self.table.touch(self)
        for each in run:
            self.ship(framed(self.id, bytes(each)))


class Visiting:
    """
    The flows of one client at one tunnel.

    @ivar over: told when there is none any more.
    """

    over: Callable[[], object]

    def __init__(
        self, session: Session, relay: IRelay, far: FlowTable, clock: IReactorTime
    ) -> None:
        """
        @param far: those flows on the other side.
        """
        self._session = session
        self._far = far
        self._flows = FlowTable(clock, self._left, far.tunnel)
        self._fleet = session.embark(relay)
        self._fleet.enter(self)
        session.parting[self] = self.close

    def begin(self, request: Dial, arrived: Callable[[VisitorFlow], bool]) -> bool:
        """
        Begin a flow.

        @param arrived: asked whether the tunnel has room for it; if so, it lives on a
            carrier of the tunnel's client when this returns.
        @return: whether it may be.
        """
        far = FarFlow(
            (self._session.id, request.id), self._far, self._session.identity.peer
        )
        near = NearFlow(far, self._flows, request.id)
        if not arrived(far):
            self._leave()
            return False
        self._far.add(far)
        self._flows.add(near)
        if not self._fleet.place(near):
            self._far.end(far, "the client that visits has had too many")
            return False
        near.ship(b"")  # it is announced at once: who dialled waits for that
        return True

    def close(self) -> None:
        """
        The client has gone.
        """
        self._flows.clear("the session is over")
        self._leave()

    def _left(self, flow: Flow) -> None:
        assert isinstance(flow, NearFlow)
        self._far.end(flow.far, "the client that visits has ended it")
        self._leave()

    def _leave(self) -> None:
        if not self._flows and self._session.parting.pop(self, None) is not None:
            self._flows.clear("")
            self._fleet.leave(self)
            self.over()
