"""
Coming to a web site in memory, on a clock of the test's.
"""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.server import Site

PEER: Final = IPv4Address("TCP", "192.0.2.1", 4711)


class SiteCase(SynchronousTestCase):
    """
    A site with room for three connections, which may say nothing for 30 seconds.
    """

    def makeSite(self) -> Site:
        """
        Make it.
        """
        raise NotImplementedError

    def setUp(self) -> None:
        """
        Open it.
        """
        self.clock = Clock()
        self.site = self.makeSite()
        self.open: list[Protocol] = []
        self.site.doStart()

    def tearDown(self) -> None:
        """
        Nothing ticks on when the connections are gone and the site is down.
        """
        for protocol in self.open:
            protocol.connectionLost(Failure(ConnectionDone()))
        self.site.doStop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def connect(self) -> tuple[Protocol, StringTransport]:
        """
        Come to the site.
        """
        protocol: Any = self.site.buildProtocol(PEER)
        transport = StringTransport(peerAddress=PEER)
        protocol.makeConnection(transport)
        self.open.append(protocol)
        return protocol, transport

    def lose(self, protocol: Protocol) -> None:
        """
        End a connection.
        """
        self.open.remove(protocol)
        protocol.connectionLost(Failure(ConnectionDone()))
