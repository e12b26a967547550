# -*- test-case-name: tests.carrier.test_fleet -*-
"""
Fleet: the datagram carriers of one session on the server, and which flow lives where.

Flows are spread over several carriers, so that one that stalls does not hold up the
others.  A flow moves, by being announced again, when its carrier is lost or has taken
nothing for a while; so the order of its datagrams is kept.
"""

from __future__ import annotations

from itertools import islice
from typing import Final, cast

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from tunnelkit.carrier.pool import NoWork, WorkPool
from tunnelkit.interfaces import ICarrier, ICarrierOwner, IRelay, IWorkEnd
from tunnelkit.relay.flows.carrying import Waiting
from tunnelkit.relay.flows.ends import VisitorFlow
from tunnelkit.wire.native.codec import said
from tunnelkit.wire.native.messages import UDP, FlowEnd, Start
from tunnelkit.wire.native.messages import Flow as Announced

CARRIERS: Final = 4
"""Datagram carriers of a session that has UDP tunnels."""
AGAIN: Final = 1.0
"""Seconds after which a carrier is asked for again that did not come."""
AT_ONCE: Final = 256
"""Flows that move before others have their turn."""
REST: Final = 0.02
"""Seconds until the next do: what announces them must fit into what may wait."""
FLOWS: Final = (1 << 32) - 1
"""Flows that a session can have in its time."""


@implementer(ICarrierOwner)
class Fleet:
    """
    The carriers, and the flows without one.
    """

    _log = Logger()

    def __init__(self, pool: WorkPool, relay: IRelay, clock: IReactorTime) -> None:
        self._pool = pool
        self._relay = relay
        self._clock = clock
        self._carriers: list[ICarrier] = []
        self._waiting = Waiting(clock)
        self._users: set[object] = set()
        self._taking = 0
        self._filled = 0.0
        self._number = 0
        self._strays = 0
        self._again: IDelayedCall | None = None
        self._moving: IDelayedCall | None = None

    @property
    def strays(self) -> int:
        """
        How many datagrams came of flows that did not live where they came.
        """
        return self._strays + sum(carrier.strays for carrier in self._carriers)

    def enter(self, user: object) -> None:
        """
        Have carriers from now on, for one more tunnel.
        """
        self._users.add(user)
        self._fill()

    def leave(self, user: object) -> None:
        """
        A tunnel is over, and so are its flows: with the last one the carriers go.
        """
        self._users.discard(user)
        if self._users:
            return
        for call in (self._again, self._moving):
            if call is not None and call.active():
                call.cancel()
        self._again = self._moving = None
        for carrier in [*self._carriers]:
            carrier.close()

    def place(self, flow: VisitorFlow) -> bool:
        """
        Have a new flow live somewhere.

        @return: whether it may have a number: there are so many of them.
        """
        if self._number >= FLOWS:
            return False
        self._number += 1
        flow.id = self._number
        self._board(flow)
        return True

    # What carriers say.

    def announced(self, carrier: ICarrier, flow: Announced) -> None:
        """
        Never said on this side.
        """

    def ended(self, carrier: ICarrier, end: FlowEnd) -> None:
        """
        The client ended a flow.
        """
        flow = carrier.flows.get(end.id)
        if flow is not None:
            flow.table.end(flow, end.reason, known=True)

    def stalled(self, carrier: ICarrier) -> None:
        """
        A carrier takes nothing: its flows move, if there is one that does.
        """
        if any(not other.blocked for other in self._carriers):
            self._log.info(
                "a datagram carrier of {peer} stalls: its flows move", peer=carrier.peer
            )
            self._clear(carrier)

    def lost(self, carrier: ICarrier, reason: str) -> None:
        """
        A carrier is gone.
        """
        if carrier in self._carriers:
            self._carriers.remove(carrier)
            self._strays += carrier.strays
        if self._users:
            self._clear(carrier)
            if self._clock.seconds() - self._filled < AGAIN:
                self._later()  # it may be that the client takes none
            else:
                self._fill()

    # Getting carriers.

    def _fill(self) -> None:
        self._filled = self._clock.seconds()
        for _ in range(CARRIERS - len(self._carriers) - self._taking):
            self._taking += 1
            taken = self._pool.take()
            taken.addCallback(self._taken).addErrback(self._ebTake)

    def _taken(self, work: IWorkEnd) -> None:
        self._taking -= 1
        start = Start(work.begin(), "", UDP, "", "")
        carrier = self._relay.carry(work, self, said(start))
        if carrier is None:
            self._later()
        elif not self._users:
            carrier.close()
        else:
            self._carriers.append(carrier)
            self._move()

    def _ebTake(self, failure: Failure) -> None:
        if failure.check(NoWork):
            self._taking -= 1
        else:
            self._log.failure("a bug at taking a datagram carrier", failure)
        if self._users:
            self._later()

    def _later(self) -> None:
        if self._again is None:
            self._again = self._clock.callLater(AGAIN, self._tryAgain)

    def _tryAgain(self) -> None:
        self._again = None
        self._fill()

    # Placing flows.

    def _board(self, flow: VisitorFlow) -> None:
        """
        Have a flow live on the carrier that has the fewest, of those that take more.
        """
        free = [each for each in self._carriers if not each.blocked] or self._carriers
        if free:
            best = min(free, key=lambda carrier: len(carrier.flows))
            best.adopt(flow, flow.announcement())
        else:
            self._waiting.adopt(flow, flow.announcement())

    def _clear(self, carrier: ICarrier) -> None:
        """
        Have the flows of a carrier wait for another, with what waits there for them.
        """
        salvaged = [*carrier.salvaged()]
        for flow in [*carrier.flows.values()]:
            self._waiting.adopt(flow)
        for _, frame in salvaged:
            self._waiting.put(frame)
        self._move()

    def _move(self) -> None:
        """
        Have flows that wait live on carriers: now those that have something to say,
        the others by and by.
        """
        if not self._carriers or self._moving is not None:
            return
        for flow, frame in self._waiting.salvaged():
            if flow.id in self._waiting.flows:
                self._board(cast(VisitorFlow, flow))
            flow.ship(frame)
        for flow in [*islice(self._waiting.flows.values(), AT_ONCE)]:
            self._board(cast(VisitorFlow, flow))
            flow.ship(b"")
        if self._waiting.flows:
            self._moving = self._clock.callLater(REST, self._moveOn)

    def _moveOn(self) -> None:
        self._moving = None
        self._move()
