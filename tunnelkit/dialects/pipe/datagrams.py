# -*- test-case-name: tests.dialects.pipe.test_datagrams -*-
"""
Datagrams: what pipe has for a forward of UDP, which is one connection for all visitors.

A stock client does not say to whom an answer goes.  Where there is one visitor it is to
him; where there are more, answers are taken to come in the order of the questions.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, cast

from twisted.internet.interfaces import IDelayedCall

from tunnelkit.control.heartbeat import SILENCE
from tunnelkit.dialects.doorway import Guest
from tunnelkit.dialects.exchanges import PATIENCE, Exchanges
from tunnelkit.dialects.house import House
from tunnelkit.dialects.pipe.packeted import PacketCarrier
from tunnelkit.relay.connection import Connection, giveUpAfter
from tunnelkit.relay.flows.ends import VisitorFlow
from tunnelkit.relay.flows.flow import Flow
from tunnelkit.wire.address import HostPort, parseHostPort
from tunnelkit.wire.pipe.codec import FROM_CLIENT
from tunnelkit.wire.pipe.packets import Datagram, FromClient

AGAIN: Final = 1.0
"""Seconds after which a connection is asked for again that was lost."""
ANSWER: Final = 10.0
"""Seconds for which an answer is expected."""
QUESTIONS: Final = 4096
"""Questions whose answers are expected, at most."""
FLOWS: Final = (1 << 32) - 1
"""Flows that a forward can have in its time."""


class Datagrams:
    """
    The flows of one forward, and the connection on which they cross.
    """

    def __init__(
        self,
        exchanges: Exchanges,
        house: House,
        host: str,
        ask: Callable[[str], None],
    ) -> None:
        """
        @param host: the client's address.
        @param ask: asks the client for the connection with an id.
        """
        self._exchanges = exchanges
        self._house = house
        self._host = host
        self._ask = ask
        self._id = ""
        self._carrier = _Carrier(house)
        self._again: IDelayedCall | None = None
        self._number = 0
        self._closed = False

    @property
    def strays(self) -> int:
        """
        Answers that nobody waited for.
        """
        return self._carrier.strays

    def begin(self) -> None:
        """
        Ask for the connection.
        """
        self._again = None
        self._exchanges.forget(self._id)
        self._id = self._exchanges.ask(self._host, self._came)
        self._ask(self._id)
        self._later(PATIENCE)

    def close(self) -> None:
        """
        The forward is over.
        """
        self._closed = True
        self._exchanges.forget(self._id)
        self._wait()
        self._carrier.close()

    # What the tunnel says.

    def enter(self, user: object) -> None:
        """
        Be there: there is one tunnel in any case.
        """

    def leave(self, user: object) -> None:
        """
        End it: there is no other tunnel.
        """
        self.close()

    def place(self, flow: VisitorFlow) -> bool:
        """
        Have a new flow live here.
        """
        if self._number >= FLOWS:
            return False
        self._number += 1
        flow.id = self._number
        self._carrier.adopt(flow)
        return True

    def _came(self, guest: Guest, connection: Connection, rest: bytes) -> None:
        self._wait()
        guest.leave()
        # Its reader never rests.  The control connection may live where this one does
        # not, as the routers between have forgotten it.
        giveUpAfter(connection.transport, SILENCE)
        self._carrier.carry(connection, rest, self._lost)

    def _lost(self) -> None:
        if not self._closed:
            self._later(AGAIN)

    def _later(self, seconds: float) -> None:
        if not self._closed and self._again is None:
            self._again = self._house.clock.callLater(seconds, self.begin)

    def _wait(self) -> None:
        if self._again is not None and self._again.active():
            self._again.cancel()
        self._again = None


class _Carrier(PacketCarrier[FromClient]):
    """
    Where the flows live.
    """

    def __init__(self, house: House) -> None:
        super().__init__(house.clock, FROM_CLIENT)
        self._asked: deque[tuple[float, int]] = deque(maxlen=QUESTIONS)
        self._latest = 0

    def adopt(self, flow: Flow, opening: bytes = b"") -> None:
        """
        Have a flow live here.  It needs no announcement.
        """
        super().adopt(flow)
        self.name(flow.id, parseHostPort(cast(VisitorFlow, flow).peer))

    def carry(
        self, connection: Connection, rest: bytes, lost: Callable[[], None]
    ) -> None:
        """
        Cross on a connection from now on: questions that went by another have no
        answers here.
        """
        self._asked.clear()
        super().carry(connection, rest, lost)

    def _sent(self, number: int) -> None:
        self._latest = number
        self._asked.append((self._clock.seconds(), number))

    def _received(self, packet: Datagram) -> None:
        flow = self._whose(packet.address)
        if flow is None:
            self.strays += 1
        else:
            flow.take([memoryview(packet.payload)])

    def _whose(self, address: HostPort | None) -> Flow | None:
        if address is not None:
            return self.flows.get(self._numbers.get(address, 0))
        oldest = self._clock.seconds() - ANSWER
        while self._asked:
            since, number = self._asked.popleft()
            if since >= oldest and number in self.flows:
                break
        else:
            number = self._latest
        if len(self.flows) == 1:
            return next(iter(self.flows.values()))
        return self.flows.get(number)
