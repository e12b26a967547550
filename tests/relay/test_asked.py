"""
Tests for L{tunnelkit.relay.asked}.
"""

from __future__ import annotations

import socket

from tests.relay.fast.flows.test_udp import LOOPBACK, UDPCase
from tunnelkit.relay.asked import ANCILLARY, answering, sourceIn


class AnsweringTests(UDPCase):
    """
    An answer comes from the address that was asked.
    """

    def ask(self, host: str, sock: socket.socket) -> str:
        """
        Ask, and answer.

        @return: the address that was asked, as the port sees it.
        """
        visitor = self.connect(host, sock)
        visitor.send(b"question")
        _, told, _, address = sock.recvmsg(100, ANCILLARY)
        source = answering(told)
        sock.sendmsg([b"answer"], source, 0, address)
        # It is connected: it hears nothing from another address.
        self.assertEqual(visitor.recv(100), b"answer")
        return sourceIn(source)

    def test_four(self) -> None:
        """
        With IPv4 alone.
        """
        sock = self.listen("0.0.0.0", True)
        for host in (LOOPBACK, "127.0.0.2"):
            self.assertEqual(self.ask(host, sock), host)

    def test_both(self) -> None:
        """
        With IPv6 and IPv4 on one port.
        """
        sock = self.listen("::", True)
        self.assertEqual(self.ask("::1", sock), "::1")
        self.assertEqual(self.ask("127.0.0.2", sock), "::ffff:127.0.0.2")

    def test_one(self) -> None:
        """
        Where there is but one address nothing is told.
        """
        self.assertEqual((answering([]), sourceIn(())), ((), ""))
