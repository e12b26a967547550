# -*- test-case-name: tests.relay.flows.test_datagrams -*-
"""
Datagrams: both ends of flows as sockets of the loop's.

What one wake-up brings is read until there is nothing more, or others have their turn,
and leaves with all else of that round.  Datagrams of one flow and size that arrive
together leave in one call where the system can cut them again (UDP_SEGMENT).

There is one turn of the inner loops for each datagram, so these do by themselves what
has names elsewhere: L{FlowTable.touch}, L{Flow.ship}, and what a L{Tally} counts.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import CannotListenError
from twisted.logger import Logger
from zope.interface import implementer

from tunnelkit.interfaces import IFlowPort
from tunnelkit.relay.asked import (
    ANCILLARY,
    ANYWHERE,
    Source,
    Told,
    answering,
    sourceIn,
)
from tunnelkit.relay.connection import namedAddress
from tunnelkit.relay.fast.flows.udp import FEW, PLACE, ROOM, bound, cut
from tunnelkit.relay.fast.loop import IN, Loop
from tunnelkit.relay.flows.ends import (
    Arrived,
    KernelDrops,
    ServiceFlow,
    VisitorFlow,
    Visitors,
)
from tunnelkit.relay.flows.flow import Flow
from tunnelkit.relay.flows.table import FlowTable
from tunnelkit.relay.flows.tally import UNSENT
from tunnelkit.wire.address import HostPort, unmapped
from tunnelkit.wire.native.datagrams import DATAGRAM, HEAD, Run, framed

AT_ONCE: Final = 64
"""Datagrams that are read from a socket before others have their turn."""
PLENTY: Final = 256 * 1024
"""Bytes after which they have it, too."""

_pack: Final = HEAD.pack
_INTO: Final = (PLACE,)


class VisitorSocketFlow(VisitorFlow):
    """
    The flow of a visitor at a port of the loop's.
    """

    __slots__ = ("_address", "_segments", "_sock", "_source")

    def __init__(
        self,
        key: Any,
        table: FlowTable,
        sock: socket.socket,
        address: Any,
        source: Source,
    ) -> None:
        """
        @param address: the visitor's, as the socket module has it.
        @param source: what has the system answer from the address that was asked;
            empty where there is only one.
        """
        super().__init__(0, key, table)
        self._sock = sock
        self._address = address
        self._source = source
        self._segments = True

    @property
    def peer(self) -> str:
        """
        The visitor's address.
        """
        return namedAddress(self._address)

    @property
    def local(self) -> str:
        """
        The address that the visitor came to.
        """
        host, port = self._sock.getsockname()[:2]
        return str(HostPort(unmapped(sourceIn(self._source) or host), port))

    def deliver(self, run: Run) -> None:
        """
        Send datagrams to the visitor.
        """
        self.table.touch(self)
        tally, count = self.tally, len(run)
        try:
            if count >= FEW and self._segments and self._cut(run):
                pass
            elif self._source:
                send = self._sock.sendmsg
                for each in run:
                    count -= 1
                    send((each,), self._source, 0, self._address)
            else:
                for each in run:
                    count -= 1
                    self._sock.sendto(each, self._address)
        except OSError:
            # A full socket has no room for the others, either.
            tally.drop(UNSENT, count + 1)
            sent = len(run) - count - 1
        else:
            sent = len(run)
        tally.went += sent
        tally.sent += sent * len(run[0])

    def _cut(self, run: Run) -> bool:
        self._segments = cut(self._sock, run, self._source, self._address)
        return self._segments


@implementer(IFlowPort)
class FlowPort:
    """
    A public port for datagrams.
    """

    _log = Logger()

    def __init__(
        self, loop: Loop, flows: FlowTable, arrived: Arrived, host: str, port: int
    ) -> None:
        """
        @raise CannotListenError: the address cannot be had.
        """
        self._loop = loop
        self._flows = flows
        self._visitors = Visitors(flows, arrived)
        self._drops = KernelDrops(flows.tally)
        self._anywhere = host in ANYWHERE
        try:
            self._sock = bound(host, port, self._anywhere)
        except OSError as e:
            raise CannotListenError(host, port, e) from e
        self._host = self._sock.getsockname()
        self._open = True
        self._left = self._room = 0  # datagrams and bytes until others have their turn
        loop.watch(self._sock.fileno(), self, IN)

    def stopListening(self) -> Deferred[None]:
        """
        Listen no more; the port is free at once.
        """
        if self._open:
            self._open = False
            self._loop.forget(self._sock.fileno())
            self._sock.close()
        return succeed(None)

    def getHost(self) -> IPv4Address | IPv6Address:
        """
        Give the address.
        """
        host, port = self._host[:2]
        kind = IPv6Address if ":" in host else IPv4Address
        return kind("UDP", host, port)

    @property
    def room(self) -> int:
        """
        How many bytes the system holds that were not read yet.
        """
        # Linux tells twice as much, for what it needs itself.
        return self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2

    def look(self) -> None:
        """
        Count what the system has dropped.
        """
        if self._open:
            self._drops.look(self._sock)

    # What the loop says.

    def happened(self, event: int) -> None:
        """
        Datagrams came.
        """
        tally, self._room = self._flows.tally, PLENTY
        before = self._left = AT_ONCE
        try:
            if self._anywhere:
                self._readAnywhere()
            else:
                self._readOne()
        except OSError:
            pass  # nothing more, or an ICMP message about a visitor who has gone
        tally.came += before - self._left
        tally.received += PLENTY - self._room

    def failed(self) -> None:
        """
        A bug came up; it is in the log.
        """

    def _readOne(self) -> None:
        """
        Read what came to the only address there is.

        @raise OSError: there is nothing more.
        """
        receive, flows, table = self._sock.recvfrom_into, self._flows.flows, self._flows
        find, use, now, plain = flows.get, flows.move_to_end, table.now, not table.shape
        last = flow = None  # who sends often sends several at once
        while self._left and self._room > 0 and self._open:
            size, address = receive(PLACE)
            self._left -= 1
            self._room -= size
            if flow is None or address != last:
                flow = find(address) or self._begin(address, address, ())
                last = address
                if flow is not None:
                    use(address)
                    flow.seen = now
            if flow is None:
                continue
            if plain and not flow.opening:
                flow.carrier.put(_pack(DATAGRAM + size, flow.id) + PLACE[:size])
            else:
                shipped(flow, size)

    def _readAnywhere(self) -> None:
        """
        Read what came, and to which address it did.

        @raise OSError: there is nothing more.
        """
        receive, flows, table = self._sock.recvmsg_into, self._flows.flows, self._flows
        find, use, now, plain = flows.get, flows.move_to_end, table.now, not table.shape
        last = flow = None
        while self._left and self._room > 0 and self._open:
            size, told, _, address = receive(_INTO, ANCILLARY)
            self._left -= 1
            self._room -= size
            key = address, told[0][2] if told else b""
            if flow is None or key != last:
                flow = find(key) or self._begin(key, address, told)
                last = key
                if flow is not None:
                    use(key)
                    flow.seen = now
            if flow is None:
                continue
            if plain and not flow.opening:
                flow.carrier.put(_pack(DATAGRAM + size, flow.id) + PLACE[:size])
            else:
                shipped(flow, size)

    def _begin(self, key: Any, address: Any, told: Told) -> Flow | None:
        source = answering(told)
        flow = VisitorSocketFlow(key, self._flows, self._sock, address, source)
        return self._visitors.begin(flow)


class ServiceSocket(ServiceFlow):
    """
    A flow to a local service, from a socket of the loop's.

    Most services answer each datagram by one.  As many as were sent are read without
    asking whether there is another; whatever there is besides, the loop tells.
    """

    __slots__ = ("_due", "_loop", "_segments", "_sock")

    def __init__(
        self,
        id: int,
        table: FlowTable,
        address: HostPort,
        failed: Callable[[str], None],
        loop: Loop,
    ) -> None:
        super().__init__(id, table, address, failed)
        self._loop = loop
        self._sock: socket.socket | None = None
        self._segments = True
        self._due = 0  # answers, to what was sent

    def _connect(self, host: str) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ROOM)
            sock.connect((host, self._address.port))
        except OSError:
            sock.close()
            raise
        self._sock = sock
        self._loop.watch(sock.fileno(), self, IN)

    def _send(self, run: Run) -> None:
        sock, sent = self._sock, 0
        if sock is None:
            return
        self.table.touch(self)
        try:
            if len(run) >= FEW and self._segments and self._cut(sock, run):
                sent = len(run)
            else:
                for each in run:
                    sock.send(each)
                    sent += 1
        except OSError as e:
            self.unsent(e)
            # What follows may be taken: an error may be that of an earlier datagram.
            if sent + 1 < len(run):
                self._send(run[sent + 1 :])
        self._due += sent
        self.tally.went += sent
        self.tally.sent += sent * len(run[0])

    def _cut(self, sock: socket.socket, run: Run) -> bool:
        self._segments = cut(sock, run, (), None)
        return self._segments

    def close(self, reason: str) -> None:
        """
        The flow is over.
        """
        sock, self._sock = self._sock, None
        if sock is not None:
            KernelDrops(self.tally).look(sock)
            self._loop.forget(sock.fileno())
            sock.close()
        super().close(reason)

    # What the loop says.

    def happened(self, event: int) -> None:
        """
        The service said something, or is not there.
        """
        sock, tally, room = self._sock, self.tally, PLENTY
        shape, count, due = self.table.shape, 0, self._due
        if sock is None:
            return
        receive = sock.recv_into
        try:
            while count < AT_ONCE and room > 0:
                size = receive(PLACE)
                count += 1
                room -= size
                if shape is None:
                    self.carrier.put(_pack(DATAGRAM + size, self.id) + PLACE[:size])
                else:
                    shipped(self, size)
                if count == due:
                    break
        except BlockingIOError:
            pass
        except OSError as e:
            self.unsent(e)
        self._due = max(0, due - count)
        tally.came += count
        tally.received += PLENTY - room
        self.table.touch(self)

    def failed(self) -> None:
        """
        A bug came up; it is in the log.
        """
        self.table.end(self, "a bug: see the log")


def shipped(flow: Flow, size: int) -> None:
    """
    Put what was read on its flow's carrier, where more is to be done than for most.
    """
    shape, datagram = flow.table.shape, bytes(PLACE[:size])
    crossing = datagram if shape is None else shape.into(datagram, flow)
    if crossing is not None:
        flow.ship(framed(flow.id, crossing))
