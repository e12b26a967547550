"""
Tests for L{tunnelkit.relay.fast.flows.udp}, and of what Linux counts.
"""

from __future__ import annotations

import socket

from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.relay.fast.flows.udp import bound, cut
from tunnelkit.relay.flows.ends import KernelDrops
from tunnelkit.relay.flows.tally import KERNEL, Tally

LOOPBACK = "127.0.0.1"


class UDPCase(SynchronousTestCase):
    """
    A test with sockets.
    """

    def listen(self, host: str = LOOPBACK, anywhere: bool = False) -> socket.socket:
        """
        Make the socket of a public port.
        """
        sock = bound(host, 0, anywhere)
        self.addCleanup(sock.close)
        sock.setblocking(True)
        sock.settimeout(5)
        return sock

    def connect(self, host: str, sock: socket.socket) -> socket.socket:
        """
        Make a visitor's.
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        visitor = socket.socket(family, socket.SOCK_DGRAM)
        self.addCleanup(visitor.close)
        visitor.settimeout(5)
        visitor.connect((host, sock.getsockname()[1]))
        return visitor


class CutTests(UDPCase):
    """
    Datagrams that leave in one call arrive each by itself.
    """

    def run_(self, size: int, count: int) -> list[memoryview]:
        """
        Make datagrams of one size.
        """
        return [memoryview(bytes([number]) * size) for number in range(count)]

    def test_cut(self) -> None:
        """
        Some, or more than the system takes at once.
        """
        sock = self.listen()
        visitor = self.connect(LOOPBACK, sock)
        for size, count in ((1, 4), (1200, 10), (100, 200)):
            run = self.run_(size, count)
            self.assertTrue(cut(visitor, run, (), None))
            got = [sock.recv(65535) for _ in run]
            self.assertEqual(got, [bytes(each) for each in run])

    def test_not(self) -> None:
        """
        Empty ones are not sent so, nor those of which too few fit into one: nothing is
        sent then.
        """
        sock = self.listen()
        visitor = self.connect(LOOPBACK, sock)
        for size in (0, 20_000):
            self.assertFalse(cut(visitor, self.run_(size, 4), (), None))
        sock.setblocking(False)
        self.assertRaises(BlockingIOError, sock.recv, 1)

    def test_error(self) -> None:
        """
        What else goes wrong is told.
        """
        sock = self.listen()
        visitor = self.connect(LOOPBACK, sock)
        visitor.close()
        self.assertRaises(OSError, cut, visitor, self.run_(10, 4), (), None)


class KernelDropsTests(UDPCase):
    """
    What the system drops is counted.
    """

    def test_drops(self) -> None:
        """
        Datagrams for which it had no room are counted once.
        """
        sock = self.listen()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        visitor = self.connect(LOOPBACK, sock)
        for _ in range(100):
            visitor.send(bytes(1000))
        tally = Tally()
        drops = KernelDrops(tally)
        drops.look(sock)
        sock.setblocking(False)
        came = 0
        while True:
            try:
                sock.recv(2000)
            except BlockingIOError:
                break
            came += 1
        drops.look(sock)
        self.assertEqual(came + tally.drops[KERNEL], 100)
        self.assertGreater(tally.drops[KERNEL], 50)
