"""
Tests for L{tunnelkit.relay.portable.udp}, with each reactor that there is here.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

from twisted.internet.asyncioreactor import AsyncioSelectorReactor
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.error import CannotListenError
from twisted.internet.pollreactor import PollReactor
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.selectreactor import SelectReactor
from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.relay.asked import Source, sourceIn
from tunnelkit.relay.portable.udp import LONGEST, ROOM, LastingPort, Listener, listenUDP

LOOPBACK = "127.0.0.1"
KINDS: tuple[Callable[[], Any], ...] = (
    EPollReactor,
    PollReactor,
    SelectReactor,
    AsyncioSelectorReactor,
)


class Noting(Listener):
    """
    Notes what it hears.
    """

    asks = True
    transport: Any

    def __init__(self) -> None:
        self.came: list[bytes] = []
        self.whence: list[tuple[tuple[str, int], Source]] = []
        self.troubles: list[OSError] = []

    def heard(self, datagram: bytes, addr: tuple[str, int], source: Source) -> None:
        """
        Note a datagram.
        """
        self.came.append(datagram)
        self.whence.append((addr, source))

    def troubled(self, error: OSError) -> None:
        """
        Note an error.
        """
        self.troubles.append(error)


@contextmanager
def running(kind: Callable[[], Any]) -> Iterator[Any]:
    """
    Have a reactor that goes round when it is told to.
    """
    reactor = kind()
    try:
        yield reactor
    finally:
        reactor.disconnectAll()
        reactor.removeAll()
        reactor.waker.connectionLost(None)


def udp(host: str = LOOPBACK, port: int = 0) -> socket.socket:
    """
    Have a socket that waits for five seconds at most.
    """
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, 2)
    made.settimeout(5)
    made.bind((host, port))
    return made


class PortCase(SynchronousTestCase):
    """
    A test with several reactors.
    """

    def until(self, reactor: Any, happened: Callable[[], object]) -> None:
        """
        Have a reactor go round until something has happened.
        """
        end = monotonic() + 5
        while not happened():
            self.assertLess(monotonic(), end, f"too late with {reactor}")
            reactor.iterate(0.1)


class LastingTests(PortCase):
    """
    A flow outlives its service.
    """

    def test_refused(self) -> None:
        """
        What nobody takes is told, and when the service is back it is heard again, from
        the same port, whichever reactor there is.
        """
        for kind in KINDS:
            with running(kind) as reactor, udp() as service:
                self.refused(reactor, service)

    def refused(self, reactor: Any, service: socket.socket) -> None:
        """
        End a service, and have it back.
        """
        at = service.getsockname()
        noting = Noting()
        port: Any = listenUDP(reactor, 0, noting)
        port.connect(*at)
        service.close()
        for count in (1, 2):
            port.socket.send(b"anybody?")
            self.until(reactor, lambda c=count: len(noting.troubles) >= c)  # type: ignore[misc]
        self.assertIsInstance(noting.troubles[0], ConnectionRefusedError)
        with udp(*at) as back:
            port.socket.send(b"hello")
            datagram, own = back.recvfrom(100)
            back.sendto(datagram.upper(), own)
            self.until(reactor, lambda: noting.came)
        self.assertEqual(noting.came, [b"HELLO"])
        self.assertEqual(own[1], port.getHost().port)

    def test_otherErrors(self) -> None:
        """
        Nor does anything else that the system may say end it.
        """
        with running(EPollReactor) as reactor:
            noting = Noting()
            port: Any = listenUDP(reactor, 0, noting, LOOPBACK)

            class Failing:
                def recvfrom(self, size: int) -> None:
                    raise PermissionError(13, "Permission denied")

            own, port.socket = port.socket, Failing()
            port.doRead()
            port.socket = own
            self.assertEqual([each.errno for each in noting.troubles], [13])
            with udp() as visitor:
                visitor.sendto(b"hello", (LOOPBACK, port.getHost().port))
                self.until(reactor, lambda: noting.came)

    def test_room(self) -> None:
        """
        A burst finds as much room as the system allows, up to what is asked for.
        """
        with running(EPollReactor) as reactor, udp() as own:
            own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ROOM)
            allowed = own.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
            for asks in (False, True):
                noting = Noting()
                noting.asks = asks
                port: Any = listenUDP(reactor, 0, noting)
                room = port.socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
                self.assertEqual(room, allowed)

    def test_closed(self) -> None:
        """
        When it is closed it is: an error that comes then is heard by nobody.
        """
        with running(EPollReactor) as reactor, udp() as service:
            noting = Noting()
            port: Any = listenUDP(reactor, 0, noting)
            port.connect(*service.getsockname())
            service.close()
            port.socket.send(b"anybody?")
            port.stopListening()
            self.until(reactor, lambda: not port.connected)
            self.assertEqual(noting.troubles, [])
            self.assertNotIn(port, reactor.getReaders())


class AskedTests(PortCase):
    """
    A port on all addresses knows which one was asked.
    """

    def test_asked(self) -> None:
        """
        It is told with each datagram, and the answer comes from there.
        """
        for kind in KINDS:
            for anywhere, host, mapped in (
                ("0.0.0.0", "127.0.0.2", "127.0.0.2"),
                ("::", "127.0.0.2", "::ffff:127.0.0.2"),
                ("::", "::1", "::1"),
            ):
                with running(kind) as reactor, udp(host) as visitor:
                    noting = Noting()
                    port: Any = listenUDP(reactor, 0, noting, anywhere)
                    visitor.connect((host, port.getHost().port))
                    visitor.send(b"question")
                    self.until(reactor, lambda n=noting: n.came)  # type: ignore[misc]
                    ((whence, source),) = noting.whence
                    self.assertEqual(sourceIn(source), mapped)
                    port.socket.sendmsg((b"answer",), source, 0, whence)
                    self.assertEqual(visitor.recv(100), b"answer")

    def test_one(self) -> None:
        """
        On one address alone nothing need be told, and long datagrams come whole.
        """
        with running(EPollReactor) as reactor, udp() as visitor:
            noting = Noting()
            port: Any = listenUDP(reactor, 0, noting, LOOPBACK)
            visitor.sendto(bytes(65507), (LOOPBACK, port.getHost().port))
            self.until(reactor, lambda: noting.came)
            self.assertEqual(len(noting.came[0]), 65507)
            self.assertEqual(noting.whence, [(visitor.getsockname(), ())])

    def test_notAsked(self) -> None:
        """
        Who does not want to know it is not told.
        """
        with running(EPollReactor) as reactor, udp() as visitor:
            noting = Noting()
            noting.asks = False
            port: Any = listenUDP(reactor, 0, noting, "0.0.0.0")
            visitor.sendto(b"question", (LOOPBACK, port.getHost().port))
            self.until(reactor, lambda: noting.came)
            self.assertEqual(noting.whence, [(visitor.getsockname(), ())])

    def test_many(self) -> None:
        """
        Whoever floods the port leaves the reactor time for others.
        """
        with running(EPollReactor) as reactor, udp() as visitor:
            noting = Noting()
            port: Any = listenUDP(reactor, 0, noting, "0.0.0.0")
            for _ in range(100):
                visitor.sendto(b"", (LOOPBACK, port.getHost().port))
            reactor.iterate(0.1)
            self.assertEqual(len(noting.came), 64)
            self.until(reactor, lambda: len(noting.came) == 100)

    def test_taken(self) -> None:
        """
        An address that is taken is told as such.
        """
        with running(EPollReactor) as reactor, udp("0.0.0.0") as other:
            port = other.getsockname()[1]
            listen = [reactor, port, Noting(), "0.0.0.0"]
            self.assertRaises(CannotListenError, listenUDP, *listen)


class ElsewhereTests(SynchronousTestCase):
    """
    What cannot do this is served as ever.
    """

    def test_plain(self) -> None:
        """
        A reactor without descriptors listens by itself, and so does each for a protocol
        that would not hear more.
        """

        class Other:
            def listenUDP(self, *words: Any) -> Any:
                return words

        listener, plain = Noting(), DatagramProtocol()
        words: Any = listenUDP(Other(), 7, listener, "::")
        self.assertEqual(words, (7, listener, "::", LONGEST))
        with running(EPollReactor) as reactor:
            port = listenUDP(reactor, 0, plain, "0.0.0.0")
            self.assertNotIsInstance(port, LastingPort)

    def test_heard(self) -> None:
        """
        From there, too, datagrams and refusals are heard of.
        """
        listener = Noting()
        listener.datagramReceived(b"x", ("fe80::1", 7, 0, 2))
        listener.connectionRefused()
        self.assertEqual(listener.whence, [(("fe80::1", 7), ())])
        self.assertIn("Connection refused", str(listener.troubles[0]))
