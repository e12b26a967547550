"""
Datagrams in memory: ports of UDP for L{tests.network}.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IUDPTransport
from twisted.internet.protocol import DatagramProtocol
from zope.interface import implementer

if TYPE_CHECKING:
    from tests.network import Network

HOST = "127.0.0.1"


@implementer(IListeningPort, IUDPTransport)
class Box:
    """
    A socket of UDP's.

    @ivar full: what comes of sending, where something should.
    """

    def __init__(self, network: Network, number: int, protocol: Any) -> None:
        self.network = network
        self.number = number
        self.protocol = protocol
        self.full: OSError | None = None
        self._peer: int | None = None

    def startListening(self) -> None:
        """
        Do nothing: it does already.
        """

    def stopListening(self) -> Deferred[None]:
        """
        Get nothing more; the port is free in the next turn.
        """
        stopped: Deferred[None] = Deferred()
        self.network.boxes.pop(self.number, None)
        self.network.callLater(0, stopped.callback, None)
        return stopped

    def getHost(self) -> IPv4Address:
        """
        Give its address.
        """
        return IPv4Address("UDP", HOST, self.number)

    def connect(self, host: str, port: int) -> None:
        """
        Send to one address, and hear from that alone.
        """
        self._peer = port

    def write(self, packet: bytes, addr: tuple[str, int] | None = None) -> None:
        """
        Send a datagram.
        """
        if self.full is not None:
            raise self.full
        to = addr[1] if addr else self._peer
        self.network.callLater(0, self._bring, packet, to)

    def _bring(self, packet: bytes, to: int) -> None:
        box = self.network.boxes.get(to)
        if box is not None:
            if box._peer in (None, self.number):
                box.protocol.datagramReceived(packet, (HOST, self.number))
        elif self._peer is not None and self.number in self.network.boxes:
            self.protocol.connectionRefused()

    def setBroadcastAllowed(self, enabled: bool) -> None:
        """
        Never do that.
        """

    def getBroadcastAllowed(self) -> bool:
        """
        Never be.
        """
        return False


def opened(network: Network, port: int, protocol: Any, interface: str) -> Box:
    """
    Listen.
    """
    number = port or network._number()
    reason = network.taken.get(
        number, errno.EADDRINUSE if number in network.boxes else 0
    )
    if reason:
        raise CannotListenError(interface, number, OSError(reason, os.strerror(reason)))
    network.boxes[number] = box = Box(network, number, protocol)
    protocol.makeConnection(box)
    return box


class Post(DatagramProtocol):
    """
    A visitor of a UDP port, or a service.

    @ivar heard: what came, and from which port.
    """

    transport: Any

    def __init__(self) -> None:
        self.heard: list[tuple[bytes, int]] = []

    def say(self, datagram: bytes, port: int) -> None:
        """
        Send a datagram.
        """
        self.transport.write(datagram, (HOST, port))

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        """
        Remember it.
        """
        self.heard.append((datagram, addr[1]))

    def connectionRefused(self) -> None:
        """
        Nobody is there.
        """
