# -*- test-case-name: tests.relay.flows.test_datagrams -*-
"""
Flow ends: what both ends of a flow are, wherever their sockets are: a visitor at a
public port, and a socket of the flow's own to a local service.
"""

from __future__ import annotations

import errno
import socket
from abc import abstractmethod
from collections.abc import Callable
from struct import Struct
from typing import ClassVar, Final, TypeAlias

from twisted.logger import Logger

from tunnelkit.relay.flows.flow import Flow
from tunnelkit.relay.flows.names import Names
from tunnelkit.relay.flows.table import FlowTable
from tunnelkit.relay.flows.tally import DENIED, KERNEL, REFUSED, UNSENT, Tally
from tunnelkit.wire.address import HostPort
from tunnelkit.wire.native.codec import said
from tunnelkit.wire.native.datagrams import Run
from tunnelkit.wire.native.messages import Flow as Announced

EARLY: Final = 64 * 1024
"""How much a flow holds while the name of its service is looked up, in bytes."""

_MEMINFO: Final = 55
_COUNTS: Final = Struct("=9I")
_WRAP: Final = 1 << 32


class VisitorFlow(Flow):
    """
    The flow of a visitor.
    """

    __slots__ = ()

    @property
    @abstractmethod
    def peer(self) -> str:
        """
        The visitor's address, C{HOST:PORT}.
        """

    @property
    @abstractmethod
    def local(self) -> str:
        """
        The address that the visitor came to, likewise.
        """

    def announcement(self) -> bytes:
        """
        Give what tells the client of it.
        """
        table = self.table
        return said(
            Announced(self.id, table.tunnel, self.peer, self.local, table.compress)
        )


Arrived: TypeAlias = Callable[[VisitorFlow], bool]
"""Is asked whether a new flow may be; if so, it lives on a carrier afterwards."""


class Visitors:
    """
    Lets flows begin at a public port.
    """

    _log = Logger()

    def __init__(self, flows: FlowTable, arrived: Arrived) -> None:
        self.flows = flows
        self._arrived = arrived

    def begin(self, flow: VisitorFlow) -> VisitorFlow | None:
        """
        Take a new flow into the table, and have it placed.

        @return: None where it may not be.
        """
        try:
            if self._arrived(flow):
                self.flows.add(flow)
                return flow
        except Exception:
            self._log.failure("a bug at the arrival of {peer}", peer=flow.peer)
        flow.tally.drop(DENIED)
        return None


class ServiceFlow(Flow):
    """
    A flow to a local service.  Until its name is known, what comes for it is held.

    @ivar connected: whether it has its socket.
    """

    __slots__ = ("_address", "_early", "_failed", "_size", "connected")

    _log: ClassVar[Logger] = Logger()

    def __init__(
        self,
        id: int,
        table: FlowTable,
        address: HostPort,
        failed: Callable[[str], None],
    ) -> None:
        """
        @param failed: told, in words, what goes wrong.
        """
        super().__init__(id, id, table)
        self.connected = False
        self._address = address
        self._failed = failed
        self._early: list[bytes] = []
        self._size = 0

    def begin(self, names: Names) -> None:
        """
        Connect, at once where the service's address is known; the flow lives on a
        carrier by then.
        """
        self.table.add(self)
        names.find(self._address.host, self._found)

    @abstractmethod
    def _connect(self, host: str) -> None:
        """
        Have a socket, and send from it to an address.

        @raise OSError: that cannot be.
        """

    @abstractmethod
    def _send(self, run: Run) -> None:
        """
        Send datagrams from the socket.
        """

    def deliver(self, run: Run) -> None:
        """
        Pass datagrams on to the service.
        """
        if self.connected:
            self._send(run)
            return
        for each in run:
            self._size += len(each)
            if self._size <= EARLY:
                self._early.append(bytes(each))
            else:
                self.tally.drop(UNSENT)

    def close(self, reason: str) -> None:
        """
        The flow is over.
        """
        self._early.clear()
        super().close(reason)

    def refused(self) -> None:
        """
        An ICMP message says that nobody is there.  That ends nothing: services come
        back.
        """
        self.tally.drop(REFUSED)
        self._failed(f"the local service {self._address} refused datagrams")

    def unsent(self, error: OSError) -> None:
        """
        The system did not take a datagram.
        """
        if error.errno == errno.ECONNREFUSED:
            self.refused()
            return
        self.tally.drop(UNSENT)
        if error.errno not in (errno.EAGAIN, errno.ENOBUFS):
            self._failed(f"the local service {self._address}: {error.strerror}")

    def _found(self, host: str) -> None:
        if self.table.flows.get(self.key) is not self:
            return  # it is over meanwhile
        why = "has a name that is not known"
        try:
            if host:
                self._connect(host)
        except OSError as e:
            host, why = "", f"cannot be reached: {e.strerror or e}"
        if not host:
            reason = f"the local service {self._address} {why}"
            self._failed(reason)
            self.table.end(self, reason)
            return
        self.connected = True
        early, self._early = self._early, []
        for each in early:
            self._send([memoryview(each)])


class KernelDrops:
    """
    Counts what the system drops for want of room at one socket, on Linux.
    """

    __slots__ = ("_last", "_tally")

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._last = 0

    def look(self, sock: socket.socket) -> None:
        """
        Count what was dropped since the last look.
        """
        try:
            told = sock.getsockopt(socket.SOL_SOCKET, _MEMINFO, _COUNTS.size)
        except OSError:
            return
        if len(told) == _COUNTS.size:
            count = _COUNTS.unpack(told)[8]
            self._tally.drop(KERNEL, (count - self._last) % _WRAP)
            self._last = count
