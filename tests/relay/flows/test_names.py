"""
Tests for L{tunnelkit.relay.flows.names}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address

from tests.fakes import TimedCase
from tunnelkit.relay.flows.names import LASTING, Names


class NamesTests(TimedCase):
    """
    A name is looked up once for many flows, and again when that is long ago.
    """

    def setUp(self) -> None:
        """
        Be a resolver that answers when a test says so.
        """
        super().setUp()
        self.asked: list[tuple[Any, str]] = []
        self.found: list[str] = []
        reactor: Any = self.clock
        reactor.nameResolver = self
        self.names = Names(reactor)

    def resolveHostName(
        self, receiver: Any, name: str, transportSemantics: str = ""
    ) -> None:
        """
        Remember who asks.
        """
        self.asked.append((receiver, name))

    def answer(self, *addresses: Any) -> None:
        """
        Answer the oldest question.
        """
        receiver, _ = self.asked.pop(0)
        receiver.resolutionBegan(None)
        for address in addresses:
            receiver.addressResolved(address)
        receiver.resolutionComplete()

    def test_addresses(self) -> None:
        """
        What is an address already is not looked up.
        """
        for host in ("192.0.2.1", "::1", "fe80::1%eth0"):
            self.names.find(host, self.found.append)
        self.assertEqual(self.found, ["192.0.2.1", "::1", "fe80::1%eth0"])
        self.assertEqual(self.asked, [])

    def test_together(self) -> None:
        """
        All who ask meanwhile get one answer, the first address, and so do those who ask
        in the half minute after it.
        """
        for _ in range(3):
            self.names.find("dns.example", self.found.append)
        self.assertEqual(len(self.asked), 1)
        self.answer(IPv6Address("UDP", "::1", 0), IPv4Address("UDP", "192.0.2.1", 0))
        self.names.find("dns.example", self.found.append)
        self.assertEqual((self.found, self.asked), (["::1"] * 4, []))
        self.clock.advance(LASTING)
        self.names.find("dns.example", self.found.append)
        self.assertEqual(len(self.asked), 1)

    def test_unknown(self) -> None:
        """
        A name without an address is said to have none, and looked up again.
        """
        self.names.find("nobody.example", self.found.append)
        self.answer()
        self.assertEqual(self.found, [""])
        self.names.find("nobody.example", self.found.append)
        self.assertEqual(len(self.asked), 1)
