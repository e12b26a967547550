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
from twisted.logger import Logger
from twisted.python.failure import Failure

from tunnelkit.dialects.doorway import Guest
from tunnelkit.dialects.house import House
from tunnelkit.dialects.pipe.exchanges import PATIENCE, Exchanges
from tunnelkit.relay.connection import Connection, Gauge, Holder
from tunnelkit.relay.flows.carrying import Waiting
from tunnelkit.relay.flows.ends import VisitorFlow
from tunnelkit.relay.flows.flow import Flow
from tunnelkit.relay.flows.tally import UNSENT
from tunnelkit.wire.address import HostPort, parseHostPort
from tunnelkit.wire.datagrams import HEAD, flowOf
from tunnelkit.wire.frames import WireError
from tunnelkit.wire.pipe.codec import FROM_CLIENT, PacketDecoder, encode
from tunnelkit.wire.pipe.packets import Datagram

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


class _Carrier(Waiting, Holder):
    """
    Where the flows live: on the connection, or, while there is none, nowhere: then the
    oldest of what waits leaves first.
    """

    _log = Logger()

    def __init__(self, house: House) -> None:
        super().__init__(house.clock)
        self.strays = 0
        self._decoder = PacketDecoder(FROM_CLIENT)
        self._lost: Callable[[], None] | None = None
        self._asked: deque[tuple[float, int]] = deque(maxlen=QUESTIONS)
        self._latest = 0
        self._addresses: dict[int, HostPort] = {}
        self._numbers: dict[HostPort, int] = {}

    def adopt(self, flow: Flow, opening: bytes = b"") -> None:
        """
        Have a flow live here.  It needs no announcement.
        """
        super().adopt(flow)
        address = parseHostPort(cast(VisitorFlow, flow).peer)
        self._addresses[flow.id] = address
        self._numbers[address] = flow.id

    def forget(self, flow: Flow) -> None:
        """
        A flow is over.
        """
        super().forget(flow)
        address = self._addresses.pop(flow.id, None)
        if address is not None and self._numbers.get(address) == flow.id:
            del self._numbers[address]

    def carry(
        self, connection: Connection, rest: bytes, lost: Callable[[], None]
    ) -> None:
        """
        Cross on a connection from now on.

        @param lost: told when it is gone.
        """
        self.close()
        self._decoder = PacketDecoder(FROM_CLIENT)
        self._lost = lost
        connection.hold(self)
        gauge = Gauge(self._block, self._unblock)
        connection.transport.registerProducer(gauge, True)
        self._unblock()
        if rest:
            self.dataReceived(rest)

    def close(self) -> None:
        """
        Let go of the connection.
        """
        if self._lost is not None:
            self._lost = None
            self.connection.hold(Holder())
            self.connection.transport.abortConnection()
        self.blocked = True

    # What visitors say.

    def put(self, frame: bytes) -> None:
        """
        Send a visitor's datagram, or have it wait.
        """
        if self.blocked:
            super().put(frame)
        else:
            self._send(frame)

    def tell(self, message: object) -> None:
        """
        Do nothing: pipe has no word for the end of a flow.
        """

    def _send(self, frame: bytes) -> None:
        number = flowOf(frame)
        flow = self.flows.get(number)
        if flow is None:
            return
        try:
            packet = encode(Datagram(frame[HEAD.size :], self._addresses[number]))
        except ValueError:
            flow.tally.drop(UNSENT)  # too long for a packet
            return
        self._latest = number
        self._asked.append((self._clock.seconds(), number))
        self.connection.transport.write(packet)

    # What the client says.

    def dataReceived(self, data: bytes) -> None:
        """
        Answers came.
        """
        if self._lost is None:
            return
        try:
            for packet in self._decoder.feed(data):
                if not isinstance(packet, Datagram):
                    raise WireError("a packet that is no datagram, behind an Exchange")
                self._answered(packet)
        except WireError as e:
            self._log.info("{peer}: {reason}", peer=self._peer, reason=str(e))
            self.connection.transport.abortConnection()
        except Exception:
            self._log.failure("a bug at the datagrams of {peer}", peer=self._peer)
            self.connection.transport.abortConnection()

    def connectionLost(self, reason: Failure) -> None:
        """
        The connection is gone; the flows stay.
        """
        self.blocked = True
        lost, self._lost = self._lost, None
        if lost is not None:
            lost()

    @property
    def _peer(self) -> str:
        return str(self.connection.transport.getPeer())

    def _answered(self, packet: Datagram) -> None:
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

    def _block(self) -> None:
        self.blocked = True

    def _unblock(self) -> None:
        self.blocked = False
        while not self.blocked:
            entries = self._queue.take(1, self._clock.seconds())
            if not entries:
                break
            self._send(entries[0][1])
