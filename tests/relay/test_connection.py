"""
Tests for L{tunnelkit.relay.connection}.
"""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.abstract import FileDescriptor
from twisted.internet.address import (
    HostnameAddress,
    IPv4Address,
    IPv6Address,
    UNIXAddress,
)
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.relay.memory import MemoryTransport
from tunnelkit.relay.connection import (
    Connection,
    Holder,
    giveUpAfter,
    named,
    peerOf,
    quiet,
    roundTripOf,
    socketOf,
    socketTransport,
    tuned,
    unwritten,
)


class Remembering(Holder):
    """
    Remembers what it was told.
    """

    def __init__(self) -> None:
        self.told: list[object] = []

    def held(self, connection: Connection) -> None:
        """
        It holds a connection.
        """
        super().held(connection)
        self.told.append("held")

    def dataReceived(self, data: bytes) -> None:
        """
        Bytes came.
        """
        self.told.append(data)

    def handshakeCompleted(self) -> None:
        """
        The TLS is up.
        """
        self.told.append("handshake")

    def connectionLost(self, reason: Failure) -> None:
        """
        It is gone.
        """
        self.told.append(reason.type)


class WithSocket:
    """
    A transport over a socket, as far as it is looked at.
    """

    def __init__(self, handle: socket.socket) -> None:
        self._handle = handle

    def getHandle(self) -> socket.socket:
        """
        Give it.
        """
        return self._handle


class WithTLS:
    """
    TLS over a transport, as far as it is looked at.
    """

    def __init__(self, transport: object) -> None:
        self.transport = transport

    def getHandle(self) -> object:
        """
        Give something of OpenSSL's.
        """
        return object()


class Lost:
    """
    A transport of Twisted's after its end.
    """

    def getHandle(self) -> socket.socket:
        """
        Fail as it does.
        """
        raise AttributeError("socket")


class ConnectionTests(SynchronousTestCase):
    """
    A connection is handed from one who holds it to the next.
    """

    def test_handedOn(self) -> None:
        """
        Each holder hears what comes while it holds the connection, and no more.
        """
        first, second = Remembering(), Remembering()
        connection = Connection(first)
        transport = MemoryTransport(connection)
        transport.peerSends(b"one")
        transport.settle()
        connection.handshakeCompleted()
        connection.hold(second)
        transport.peerSends(b"two")
        transport.peerEnds()
        transport.settle()
        self.assertIs(first.connection, connection)
        self.assertEqual(first.told, ["held", b"one", "handshake"])
        self.assertEqual(second.told, ["held", b"two", ConnectionDone])

    def test_holdsInSilence(self) -> None:
        """
        Who wants to hear nothing need say nothing.
        """
        connection = Connection(Holder())
        transport = MemoryTransport(connection)
        connection.handshakeCompleted()
        transport.peerSends(b"one")
        transport.peerEnds()
        transport.settle()
        self.assertTrue(transport.lost)


class SocketTests(SynchronousTestCase):
    """
    What is set on the sockets themselves.
    """

    def setUp(self) -> None:
        """
        Make a socket.
        """
        self.handle = socket.socket()
        self.addCleanup(self.handle.close)

    def option(self, name: str) -> int:
        """
        Give one of its options.
        """
        return self.handle.getsockopt(socket.IPPROTO_TCP, getattr(socket, name))

    def test_socketOf(self) -> None:
        """
        The socket is found under any TLS, and nothing where there is none any more.
        """
        plain = WithSocket(self.handle)
        for over in (plain, WithTLS(plain), WithTLS(WithTLS(plain))):
            self.assertIs(socketOf(over), self.handle)
            self.assertIs(socketTransport(over), plain)
        for none in (Lost(), WithTLS(Lost()), object(), WithTLS(None)):
            self.assertIsNone(socketOf(none))

    def test_quiet(self) -> None:
        """
        It is seen whether a peer has said something, or ended, that was not read; what
        it said is still there.
        """
        near, far = socket.socketpair()
        self.addCleanup(near.close)
        self.addCleanup(far.close)
        transport: Any = WithSocket(near)
        self.assertTrue(quiet(transport))
        far.send(b"x")
        self.assertFalse(quiet(transport))
        self.assertEqual(near.recv(9), b"x")
        self.assertTrue(quiet(transport))
        far.close()
        self.assertFalse(quiet(transport))
        near.close()
        self.assertFalse(quiet(transport))
        lost: Any = Lost()
        self.assertTrue(quiet(lost))

    def test_unwritten(self) -> None:
        """
        It is known how much of what was written the kernel does not have.
        """
        transport: Any = FileDescriptor(MemoryReactorClock())
        transport.connected = True
        self.assertEqual(unwritten(transport), 0)
        transport.write(b"hello")
        self.assertEqual(unwritten(transport), 5)
        transport.writeSomeData = lambda data: 2
        transport.doWrite()
        self.assertEqual(unwritten(transport), 3)
        transport.write(b"again")
        self.assertEqual(unwritten(transport), 8)
        transport.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(unwritten(transport), 8)
        self.assertIsNone(unwritten(Lost()))

    def test_tuned(self) -> None:
        """
        A visitor's key strokes go at once, and one whose network is gone is found
        out within a minute.
        """
        tuned(WithTLS(WithSocket(self.handle)))  # type: ignore[arg-type]
        self.assertEqual(self.option("TCP_NODELAY"), 1)
        on = self.handle.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        self.assertEqual(on, 1)
        for name, seconds in (
            ("TCP_KEEPIDLE", 30),
            ("TCP_KEEPINTVL", 10),
            ("TCP_KEEPCNT", 3),
        ):
            if hasattr(socket, name):
                self.assertEqual(self.option(name), seconds)

    def test_notTCP(self) -> None:
        """
        What is of no use for a UNIX socket, or without one, is left alone.
        """
        with socket.socket(socket.AF_UNIX) as handle:
            tuned(WithSocket(handle))  # type: ignore[arg-type]
        tuned(WithSocket(handle))  # type: ignore[arg-type]
        tuned(object())  # type: ignore[arg-type]
        giveUpAfter(object(), 12)  # type: ignore[arg-type]

    def test_closedSocket(self) -> None:
        """
        A connection that was closed meanwhile does no harm.
        """
        self.handle.close()
        tuned(WithSocket(self.handle))  # type: ignore[arg-type]
        giveUpAfter(WithSocket(self.handle), 12)  # type: ignore[arg-type]

    def test_giveUpAfter(self) -> None:
        """
        A control channel whose peer is gone is given up by the kernel too.
        """
        giveUpAfter(WithSocket(self.handle), 12)  # type: ignore[arg-type]
        self.assertEqual(self.option("TCP_USER_TIMEOUT"), 12_000)

    def test_roundTrip(self) -> None:
        """
        The kernel knows how far a peer is, of a connection that there is.
        """
        self.assertIsNone(roundTripOf(object()))  # type: ignore[arg-type]
        self.handle.close()
        self.assertIsNone(roundTripOf(WithSocket(self.handle)))  # type: ignore[arg-type]
        with socket.create_server(("127.0.0.1", 0)) as server:
            near = socket.create_connection(server.getsockname())
            self.addCleanup(near.close)
            found = roundTripOf(WithSocket(near))  # type: ignore[arg-type]
        if found is not None:  # not every system tells
            self.assertTrue(0 < found < 1, found)

    if not hasattr(socket, "TCP_USER_TIMEOUT"):
        test_giveUpAfter.skip = "no TCP_USER_TIMEOUT here"  # type: ignore[attr-defined]


class NamedTests(SynchronousTestCase):
    """
    Addresses as people read them.
    """

    def test_named(self) -> None:
        """
        A visitor of IPv4 is shown as such, also by a socket of IPv6.
        """
        for address, expected in (
            (IPv4Address("TCP", "192.0.2.7", 80), "192.0.2.7:80"),
            (IPv6Address("TCP", "::ffff:192.0.2.7", 80), "192.0.2.7:80"),
            (IPv6Address("TCP", "2001:db8::1", 80), "[2001:db8::1]:80"),
            (UNIXAddress(b"/run/app.sock"), "unix:/run/app.sock"),
            (UNIXAddress(b"/run/\xff"), "unix:/run/\ufffd"),
            (UNIXAddress(None), "a UNIX socket"),
            (None, "a UNIX socket"),
        ):
            self.assertEqual(named(address), expected)
        self.assertEqual(named(None, "somebody"), "somebody")
        unknown = HostnameAddress(b"example.org", 80)
        self.assertEqual(named(unknown, "somebody"), "somebody")

    def test_peerOf(self) -> None:
        """
        Who is at the other side of a transport is in the log.
        """
        self.assertEqual(
            peerOf(MemoryTransport(Connection(Holder()))),  # type: ignore[arg-type]
            "192.0.2.7:5000",
        )
