# -*- test-case-name: tests.dialects.pipe.test_datagrams -*-
"""
Packeted: datagrams in pipe's packets, on the one connection that a forward of UDP has
for all visitors, from either side.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Generic

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from tunnelkit.relay.connection import Connection, Gauge, Holder, peerOf
from tunnelkit.relay.flows.carrying import Waiting
from tunnelkit.relay.flows.flow import Flow
from tunnelkit.relay.flows.tally import UNSENT
from tunnelkit.wire.address import HostPort
from tunnelkit.wire.native.datagrams import HEAD, flowOf
from tunnelkit.wire.native.frames import WireError
from tunnelkit.wire.pipe.codec import Grammar, P_co, PacketDecoder, encode
from tunnelkit.wire.pipe.packets import Datagram


class PacketCarrier(Waiting, Holder, Generic[P_co]):
    """
    Where the flows of a forward live: on the connection, or, while there is none,
    nowhere: then the oldest of what waits leaves first.

    @ivar strays: datagrams that came and were nobody's.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, grammar: Grammar[P_co]) -> None:
        """
        @param grammar: what the other side may say.
        """
        super().__init__(clock)
        self.strays = 0
        self._grammar = grammar
        self._decoder = PacketDecoder(grammar)
        self._lost: Callable[[], None] | None = None
        self._addresses: dict[int, HostPort | None] = {}
        self._numbers: dict[HostPort | None, int] = {}

    @property
    def carries(self) -> bool:
        """
        Whether there is a connection.
        """
        return self._lost is not None

    def name(self, number: int, address: HostPort | None) -> None:
        """
        Say whose flow one is that lives here.

        @param address: the visitor's; None for a peer that tells none.
        """
        self._addresses[number] = address
        self._numbers[address] = number

    def forget(self, flow: Flow) -> None:
        """
        A flow is over.
        """
        super().forget(flow)
        if flow.id in self._addresses:
            address = self._addresses.pop(flow.id)
            if self._numbers.get(address) == flow.id:
                del self._numbers[address]

    def carry(
        self, connection: Connection, rest: bytes, lost: Callable[[], None]
    ) -> None:
        """
        Cross on a connection from now on.

        @param rest: what was read ahead.
        @param lost: told when it is gone.
        """
        self.close()
        self._decoder = PacketDecoder(self._grammar)
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

    # What is to be sent.

    def put(self, frame: bytes) -> None:
        """
        Send a datagram, or have it wait.
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
        self._sent(number)
        self.connection.transport.write(packet)

    def _sent(self, number: int) -> None:
        """
        A datagram of a flow goes out.
        """

    # What the other side says.

    def dataReceived(self, data: bytes) -> None:
        """
        Datagrams came.
        """
        if self._lost is None:
            return
        try:
            for packet in self._decoder.feed(data):
                if not isinstance(packet, Datagram):
                    raise WireError("a packet that is no datagram, behind an Exchange")
                self._received(packet)
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

    @abstractmethod
    def _received(self, packet: Datagram) -> None:
        """
        A datagram came.
        """

    @property
    def _peer(self) -> str:
        return peerOf(self.connection.transport)

    def _block(self) -> None:
        self.blocked = True

    def _unblock(self) -> None:
        self.blocked = False
        while not self.blocked:
            entries = self._queue.take(1, self._clock.seconds())
            if not entries:
                break
            self._send(entries[0][1])
