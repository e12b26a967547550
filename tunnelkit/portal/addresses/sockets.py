# -*- test-case-name: tests.portal.flows.test_exits -*-
"""
UDP sockets: a portal's own, those on which it listens for local senders, and those from
which it asks the far service.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from socket import SO_RCVBUF, SOL_SOCKET, socket
from typing import Final, Protocol, TypeAlias

from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.udp import Port
from twisted.logger import Logger

from tunnelkit.relay.asked import Source
from tunnelkit.relay.portable.udp import LONGEST, Listener
from tunnelkit.wire.address import HostPort, unmapped

Address: TypeAlias = tuple[str, int]
"""An IP address, IPv4 never in the form of IPv6, and a port."""

BUFFER: Final = 4 * 1024 * 1024
"""What the kernel is asked to hold of what was not read yet; it may give less."""


class ListenUDP(Protocol):
    """
    How a socket is bound, as C{IReactorUDP.listenUDP} does it.
    """

    def __call__(
        self,
        port: int,
        protocol: DatagramProtocol,
        interface: str = ...,
        maxPacketSize: int = ...,
    ) -> IListeningPort:
        """
        @raise CannotListenError: it cannot be.
        """


class Socket(Listener):
    """
    A UDP socket that raises nothing: what cannot be sent is dropped, as the network
    would.

    @ivar refused: told when the other side of a connected one says that nobody listens.
    """

    transport: Port | None = None
    _handle: socket
    _log = Logger()

    def __init__(
        self, received: Callable[[bytes, Address, Source], None], asks: bool = False
    ) -> None:
        """
        @param received: told each datagram, from where it came, and what has an answer
            come from the address that was asked.
        @param asks: whether that is to be known.
        """
        self.asks = asks
        self._received = received
        self._mapped = False
        self.refused: Callable[[], object] = lambda: None

    def open(self, listen: ListenUDP, host: str = "", port: int = 0) -> None:
        """
        Bind it.

        @param host: an address of this machine; C{::} is all, IPv4 included.
        @raise CannotListenError: it cannot be.
        """
        self._mapped = host == "::"
        listen(port, self, interface=host, maxPacketSize=LONGEST)

    def startProtocol(self) -> None:
        """
        Ask for room in the kernel.
        """
        assert self.transport is not None
        self._handle = self.transport.socket
        with contextlib.suppress(OSError):
            self._handle.setsockopt(SOL_SOCKET, SO_RCVBUF, BUFFER)

    @property
    def at(self) -> HostPort:
        """
        Where it is bound.
        """
        assert self.transport is not None
        host = self.transport.getHost()
        return HostPort(host.host, host.port)

    def connect(self, address: Address) -> bool:
        """
        Take datagrams from one address alone, to which all go from now on.

        @return: whether there is a way there.
        """
        assert self.transport is not None
        try:
            self.transport.connect(*address)
        except OSError:
            return False
        return True

    def write(
        self, datagram: bytes, address: Address | None = None, source: Source = ()
    ) -> bool:
        """
        Send a datagram.

        @param address: where to; None where it is connected.
        @param source: what has it come from the address that was asked.
        @return: whether the kernel took it.
        """
        # By the socket itself: the transport would look at the address's text each
        # time, which takes longer than all the rest of a packet's way.
        try:
            if address is None:
                self._handle.send(datagram)
                return True
            if self._mapped and ":" not in address[0]:
                address = f"::ffff:{address[0]}", address[1]
            if source:
                self._handle.sendmsg((datagram,), source, 0, address)
            else:
                self._handle.sendto(datagram, address)
        except ConnectionRefusedError:
            self.refused()
            return False
        except OSError:
            # No room, no way there, too long, of the wrong family, or closed.
            return False
        return True

    def heard(self, datagram: bytes, addr: tuple[str, int], source: Source) -> None:
        """
        Pass a datagram on.  A bug there must not be the socket's end.
        """
        try:
            self._received(datagram, (unmapped(addr[0]), addr[1]), source)
        except Exception:
            self._log.failure(
                "a bug at a datagram of {count} bytes", count=len(datagram)
            )

    def troubled(self, error: OSError) -> None:
        """
        Nobody listens there.  Whatever else may be is as if the network had lost it.
        """
        if isinstance(error, ConnectionRefusedError):
            self.refused()

    def close(self) -> None:
        """
        Close it; nothing comes any more.
        """
        transport, self.transport = self.transport, None
        if transport is not None:
            maybeDeferred(transport.stopListening).addErrback(
                lambda failure: self._log.failure("closing a socket failed", failure)
            )
