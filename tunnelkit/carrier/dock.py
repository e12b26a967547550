# -*- test-case-name: tests.carrier.test_fleet -*-
"""
Dock: the datagram carriers of one login on the client, and which flow came by which.

A flow lives on the carrier that announced it last, which is for the server to say.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from tunnelkit.interfaces import ICarrier, ICarrierOwner, IRelay, IWorkEnd
from tunnelkit.relay.flows.carrying import Waiting
from tunnelkit.relay.flows.flow import Flow
from tunnelkit.wire.codes import ResetCode
from tunnelkit.wire.native.messages import Flow as Announced
from tunnelkit.wire.native.messages import FlowEnd

CARRIERS: Final = 16
"""Datagram carriers that a server may have at a time."""


class Landing(Protocol):
    """
    A local service for datagrams, as flows come to it.
    """

    def find(self, number: int) -> Flow | None:
        """
        Give the flow of a number, if it is there.
        """

    def land(self, flow: Announced, carrier: ICarrier) -> str:
        """
        Begin a flow.

        @return: why not, or nothing.
        """


@implementer(ICarrierOwner)
class Dock:
    """
    The carriers, and the flows whose carrier was lost.
    """

    def __init__(
        self,
        relay: IRelay,
        clock: IReactorTime,
        landing: Callable[[Announced], Landing | None],
    ) -> None:
        """
        @param landing: gives the local service that a flow is to go to, if that was
            configured.
        """
        self._relay = relay
        self._landing = landing
        self._carriers: set[ICarrier] = set()
        self._waiting = Waiting(clock)
        self._closed = False

    def carry(self, work: IWorkEnd) -> None:
        """
        The server makes a carrier of a work connection.
        """
        if self._closed or len(self._carriers) >= CARRIERS:
            work.refuse(ResetCode.BUSY, "the client has as many carriers as it takes")
            return
        carrier = self._relay.carry(work, self, b"")
        if carrier is not None:
            self._carriers.add(carrier)

    def close(self, reason: str) -> None:
        """
        The login is over, and all flows with it.
        """
        self._closed = True
        for carrier in [*self._carriers]:
            carrier.abort()
        for flow in [*self._waiting.flows.values()]:
            flow.table.end(flow, reason, known=True)

    # What carriers say.

    def announced(self, carrier: ICarrier, flow: Announced) -> None:
        """
        A flow begins, or moves here.
        """
        landing = self._landing(flow)
        if landing is None:
            carrier.tell(FlowEnd(flow.id, "the client does not publish that"))
            return
        known = landing.find(flow.id)
        if known is None:
            refused = landing.land(flow, carrier)
            if refused:
                carrier.tell(FlowEnd(flow.id, refused))
            return
        waiting = self._waiting.salvaged(known)
        carrier.adopt(known)
        for _, frame in waiting:
            carrier.put(frame)

    def ended(self, carrier: ICarrier, end: FlowEnd) -> None:
        """
        The server ended a flow.
        """
        flow = carrier.flows.get(end.id)
        if flow is not None:
            flow.table.end(flow, end.reason, known=True)

    def stalled(self, carrier: ICarrier) -> None:
        """
        It is for the server to move flows.
        """

    def lost(self, carrier: ICarrier, reason: str) -> None:
        """
        A carrier is gone; its flows wait to be announced on another.
        """
        self._carriers.discard(carrier)
        salvaged = [*carrier.salvaged()]
        for flow in [*carrier.flows.values()]:
            self._waiting.adopt(flow)
        for _, frame in salvaged:
            self._waiting.put(frame)
