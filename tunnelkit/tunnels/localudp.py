# -*- test-case-name: tests.tunnels.test_udp -*-
"""
Local UDP: a UDP service on the client's side, with a socket of its own for each flow.
"""

from __future__ import annotations

from typing import Final, cast

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from tunnelkit.interfaces import ICarrier, IRelay, IWorkEnd
from tunnelkit.relay.bucket import Bucket
from tunnelkit.relay.flows.flow import Flow
from tunnelkit.relay.flows.shape import Shape
from tunnelkit.relay.flows.table import IDLE, FlowTable
from tunnelkit.tunnels.bursts import Bursts
from tunnelkit.tunnels.spec import Limits, TunnelSpec
from tunnelkit.wire.address import HostPort
from tunnelkit.wire.codes import ResetCode
from tunnelkit.wire.native.messages import Flow as Announced
from tunnelkit.wire.native.messages import Start

LASTING: Final = 2 * IDLE
"""Seconds without a datagram after which a flow is over here, too: the server says so
sooner, unless its word was lost."""

_UNPACKED: Final = "the server does not compress as it was asked to"


class LocalUDP:
    """
    A local service, and the flows that are with it.

    @ivar spec: what the user said of it.
    @ivar flows: the flows.
    """

    _log = Logger()
    streams: Final = 0
    """Nobody waits for the end of a flow, which has none of its own."""

    def __init__(self, spec: TunnelSpec, relay: IRelay, clock: IReactorTime) -> None:
        self.spec = spec
        self.flows = FlowTable(clock, self._left, idle=LASTING)
        inward, outward = buckets(spec.limits, clock)
        if inward or outward or spec.compress:
            tally = self.flows.tally
            self.flows.shape = Shape(tally, spec.compress, inward, outward)
        self._relay = relay
        self._bursts = Bursts(self._say, clock)

    def started(self, work: IWorkEnd, start: Start) -> None:
        """
        Refuse a stream: there are none of this kind.
        """
        work.refuse(ResetCode.DENIED, "the client does not publish that")

    def find(self, number: int) -> Flow | None:
        """
        Give the flow of a number, if it is there.
        """
        return self.flows.flows.get(number)

    def land(self, flow: Announced, carrier: ICarrier) -> str:
        """
        A visitor came: open a socket of the flow's own.

        @return: why not, or nothing.
        """
        if flow.compress != self.spec.compress:
            self._bursts.note(_UNPACKED)
            return _UNPACKED
        local = cast(HostPort, self.spec.local)
        self._relay.dialDatagrams(local, flow.id, self.flows, carrier, self._failed)
        return ""

    def cut(self, reason: str) -> None:
        """
        End all flows.
        """
        self.flows.clear(reason)
        self._bursts.stop()

    def _left(self, flow: Flow) -> None:
        """
        A flow is over.
        """

    def _failed(self, reason: str) -> None:
        self._bursts.note(reason)

    def _say(self, sentence: str) -> None:
        self._log.warn(
            "datagrams of {name} are dropped: {sentence}",
            name=self.spec.name,
            sentence=sentence,
        )


def buckets(limits: Limits, clock: IReactorTime) -> tuple[Bucket | None, Bucket | None]:
    """
    Make what says how fast bytes may go, to the service and from it.
    """
    burst = limits.burst or None
    return (
        Bucket(clock, limits.inward, burst) if limits.inward else None,
        Bucket(clock, limits.outward, burst) if limits.outward else None,
    )
