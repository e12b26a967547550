# -*- test-case-name: tests.relay.portable.test_udp -*-
"""
UDP ports of Twisted's, and what its own do not do: they outlive what the system says by
ICMP, and on all addresses answer from the one that was asked.
"""

from __future__ import annotations

import errno
import os
import socket
from typing import Any, Final

from twisted.internet.interfaces import (
    IHalfCloseableDescriptor,
    IListeningPort,
    IReactorFDSet,
)
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.udp import Port
from twisted.python.failure import Failure
from zope.interface import implementer

from tunnelkit.relay.asked import ANCILLARY, ANYWHERE, TELLS, Source, answering, tell

LONGEST: Final = 65535
"""What is read of a datagram at once, in bytes: all.  With Twisted's own choice what is
longer than 8192 bytes is cut."""
ROOM: Final = 4 << 20
"""How much the system is asked to hold that was not read yet, in bytes."""
AT_ONCE: Final = 64
"""Datagrams that are read from a socket before others have their turn."""


class Listener(DatagramProtocol):
    """
    What hears of all that there is to hear at a port.

    @ivar asks: whether it wants to know which address was asked, where that is one of
        several.
    """

    noisy = False
    asks = False

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        """
        A datagram came to a port of which nobody says to which address.
        """
        self.heard(datagram, addr[:2], ())

    def connectionRefused(self) -> None:
        """
        Nobody is there.
        """
        number = errno.ECONNREFUSED
        self.troubled(ConnectionRefusedError(number, os.strerror(number)))

    def heard(self, datagram: bytes, addr: tuple[str, int], source: Source) -> None:
        """
        A datagram came.  Nothing is raised here.

        @param source: what has an answer come from the address that was asked, where
            there are several.
        """
        raise NotImplementedError

    def troubled(self, error: OSError) -> None:
        """
        The system says that something is wrong, such as that nobody is there.
        """


@implementer(IHalfCloseableDescriptor)
class LastingPort(Port):
    """
    A port that lasts until it is closed.  It may be connected.
    """

    protocol: Listener

    def createInternetSocket(self) -> Any:
        """
        Make its socket.
        """
        made = super().createInternetSocket()
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ROOM)
        return made

    def readConnectionLost(self, reason: Failure) -> None:
        """
        Take what the system said.  A reactor that polls takes an error that waits to be
        read for the end, and of those who call themselves half-closeable for the end of
        reading alone.
        """
        self.startReading()
        self.doRead()

    def writeConnectionLost(self, reason: Failure) -> None:
        """
        Nothing waits to be written, ever.
        """

    def doRead(self) -> None:
        """
        Read datagrams.  Another error than a refusal would be the port's end, too.
        """
        try:
            super().doRead()
        except OSError as e:
            self.protocol.troubled(e)


class AskedPort(LastingPort):
    """
    A port on all addresses, which knows which one was asked.
    """

    def createInternetSocket(self) -> Any:
        """
        Make its socket.
        """
        made = super().createInternetSocket()
        try:
            tell(made)
        except OSError:
            made.close()
            raise
        return made

    def doRead(self) -> None:
        """
        Read datagrams, and to which address they came.
        """
        for _ in range(AT_ONCE):
            try:
                datagram, told, _, address = self.socket.recvmsg(
                    self.maxPacketSize, ANCILLARY
                )
            except OSError:
                return  # nothing more
            self.protocol.heard(datagram, address[:2], answering(told))


def listenUDP(
    reactor: Any,
    port: int,
    protocol: DatagramProtocol,
    interface: str = "",
    maxPacketSize: int = LONGEST,
) -> IListeningPort:
    """
    Listen, as C{reactor.listenUDP} does; by one of the ports here where the reactor
    works with descriptors.

    @raise CannotListenError: the address cannot be had.
    """
    if not (IReactorFDSet.providedBy(reactor) and isinstance(protocol, Listener)):
        made: IListeningPort = reactor.listenUDP(
            port, protocol, interface, maxPacketSize
        )
        return made
    asked = TELLS and protocol.asks and interface in ANYWHERE
    lasting = (AskedPort if asked else LastingPort)(
        port, protocol, interface, maxPacketSize, reactor
    )
    lasting.startListening()
    return lasting
