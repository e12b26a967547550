# -*- test-case-name: tests.relay.flows.test_table -*-
"""
Flow table: the flows of one UDP tunnel, which nobody says are over.

A flow is over when nothing has crossed for a while, or when another needs its place;
then it is the one that has been silent longest.  So the flows stand in the order of
their last use.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from tunnelkit.relay.flows.flow import Flow
from tunnelkit.relay.flows.shape import Shape
from tunnelkit.relay.flows.tally import Tally

MOST: Final = 16384
"""Flows of one tunnel at most."""
IDLE: Final = 90.0
"""Seconds without a datagram, either way, after which a flow is over."""
TICK: Final = 1.0
"""Seconds between two looks at who is idle; times of use are known to that much."""


class FlowTable:
    """
    Flows by their keys: on the server a visitor's address, on the client a number.

    @ivar flows: the flows; the one that was used longest ago is the first.
    @ivar now: the time, as it was at the last look.
    @ivar total: how many there have been.
    @ivar tally: what counts what crosses.
    @ivar shape: what datagrams go through, where that is anything.
    """

    def __init__(
        self,
        clock: IReactorTime,
        left: Callable[[Flow], None],
        tunnel: str = "",
        compress: str = "",
        most: int = MOST,
        idle: float = IDLE,
    ) -> None:
        """
        @param tunnel: the tunnel's name.
        @param compress: how its datagrams are compressed, or empty.
        @param left: told of each flow that is over.
        """
        self.flows: OrderedDict[Hashable, Flow] = OrderedDict()
        self.now = clock.seconds()
        self.total = 0
        self.shape: Shape | None = None
        self.tunnel = tunnel
        self.compress = compress
        self.tally = Tally()
        self._clock = clock
        self._left = left
        self._most = most
        self._idle = idle
        self._looking: IDelayedCall | None = None

    def __len__(self) -> int:
        return len(self.flows)

    def add(self, flow: Flow) -> None:
        """
        Take a flow in, which has a key that no other has.
        """
        if len(self.flows) >= self._most:
            oldest = next(iter(self.flows.values()))
            self.end(oldest, "another flow needed its place")
        if self._looking is None:
            self.now = self._clock.seconds()
            self._looking = self._clock.callLater(TICK, self._look)
        flow.seen = self.now
        self.flows[flow.key] = flow
        self.total += 1

    def touch(self, flow: Flow) -> None:
        """
        A flow of this table was used.
        """
        flow.seen = self.now
        self.flows.move_to_end(flow.key)

    def end(self, flow: Flow, reason: str, known: bool = False) -> None:
        """
        End a flow; nothing happens where it is over.

        @param known: whether the other side knows.
        """
        if self.flows.get(flow.key) is flow:
            del self.flows[flow.key]
            self._over(flow, reason, known)

    def clear(self, reason: str) -> None:
        """
        End all flows.
        """
        flows, self.flows = self.flows, OrderedDict()
        for flow in flows.values():
            self._over(flow, reason, False)
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None

    def _over(self, flow: Flow, reason: str, known: bool) -> None:
        flow.close("" if known else reason)
        if self.shape is not None:
            self.shape.left(flow)
        self._left(flow)

    def _look(self) -> None:
        self._looking = None
        self.now = self._clock.seconds()
        until = self.now - self._idle
        while self.flows:
            oldest = next(iter(self.flows.values()))
            if oldest.seen > until:
                self._looking = self._clock.callLater(TICK, self._look)
                return
            self.end(oldest, f"nothing came for {self._idle:.0f} seconds")
