# -*- test-case-name: tests.dialects.pipe.abroad.test_client -*-
"""
Landing: where visitors' datagrams come to on a client of ours, and get a flow each.
"""

from __future__ import annotations

from typing import cast

from twisted.internet.interfaces import IReactorTime

from tunnelkit.dialects.pipe.packeted import PacketCarrier
from tunnelkit.interfaces import ICarrier
from tunnelkit.tunnels.localudp import LocalUDP
from tunnelkit.wire.address import HostPort
from tunnelkit.wire.native.messages import Flow as Announced
from tunnelkit.wire.pipe.codec import FROM_SERVER
from tunnelkit.wire.pipe.packets import Datagram, FromServer


class Landing(PacketCarrier[FromServer]):
    """
    The datagrams of one forward.  Answers carry the address of the visitor, which a
    stock server passes over.
    """

    def __init__(self, tunnel: str, local: LocalUDP, clock: IReactorTime) -> None:
        super().__init__(clock, FROM_SERVER)
        self._tunnel = tunnel
        self._local = local
        self._number = 0

    def _received(self, packet: Datagram) -> None:
        address = packet.address
        flow = self.flows.get(self._numbers.get(address, 0))
        if flow is None:
            flow = self.flows.get(self._land(address))
        if flow is None:
            self.strays += 1  # that has been said
        else:
            flow.take([memoryview(packet.payload)])

    def _land(self, address: HostPort | None) -> int:
        self._number += 1
        self.name(self._number, address)
        visitor = "" if address is None else str(address)
        announced = Announced(self._number, self._tunnel, visitor, "")
        self._local.land(announced, cast(ICarrier, self))
        if self._number not in self.flows:
            self._addresses.pop(self._number, None)
            self._numbers.pop(address, None)
        return self._number
