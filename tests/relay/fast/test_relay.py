"""
Tests for L{tunnelkit.relay.fast.relay}: what it leaves to the portable path, and
joins of an end of each.
"""

from __future__ import annotations

import errno
import os
import shutil
import socket
import tempfile
from pathlib import Path
from typing import Any, ClassVar

from twisted.internet import reactor
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from zope.interface.verify import verifyObject

from tests.relay.fast.case import ABLE, LOOPBACK, LoopCase, descriptors
from tests.relay.memory import MemoryTransport, Owner
from tests.relay.portable.test_raw import turned
from tests.relay.test_tunnel import FAST, TunnelCase
from tests.relay.tunnel import RELAYS, Tunnel
from tests.stage.sockets import Ending, flood, listener, receive, receiveExactly
from tunnelkit.interfaces import IRelay, Outcome
from tunnelkit.relay.connection import Connection, Holder
from tunnelkit.relay.portable.work import WorkEnd
from tunnelkit.wire.address import HostPort, SocketPath
from tunnelkit.wire.codes import ResetCode

if ABLE:
    from tunnelkit.relay.fast.work import WorkSocket


class RelayTests(LoopCase):
    """
    Tests for L{FastRelay}, the reactor of which turns by hand.
    """

    def test_contract(self) -> None:
        """
        It can stand in for the portable relay.
        """
        verifyObject(IRelay, self.relay)

    def borrowed(self) -> tuple[Any, Any, socket.socket]:
        """
        Borrow a socket of the reactor's.

        @return: the work connection, the transport, and the peer.
        """
        ours, theirs = self.pair()
        transport = SocketTransport(ours)
        connection = Connection(Holder())
        connection.makeConnection(transport)
        work = self.relay.borrow(connection, b"", Owner(), False)
        self.addCleanup(work.abort)
        return work, transport, theirs

    def test_borrowed(self) -> None:
        """
        A plain work connection is a socket of the loop's, and the reactor lets go of
        it, with no effect on the connection.
        """
        work, transport, theirs = self.borrowed()
        self.assertIsInstance(work, WorkSocket)
        self.assertTrue(transport.aborted)
        transport.handle.close()
        work.write(b"still here")
        self.assertEqual(theirs.recv(99), b"still here")
        self.reactor.advance(0)

    def test_noDescriptor(self) -> None:
        """
        Without a descriptor left for that the portable path takes the connection.
        """
        connection = Connection(Holder())
        memory = MemoryTransport(connection)
        handle = Undoubled()
        self.addCleanup(handle.close)
        self.patch(memory, "getHandle", lambda: handle)
        work = self.relay.borrow(connection, b"", Owner(), False)
        self.assertIsInstance(work, WorkEnd)
        self.assertFalse(memory.lost)
        work.abort()
        memory.settle()

    def test_inMemory(self) -> None:
        """
        What is no socket takes the portable path, too.
        """
        connection = Connection(Holder())
        memory = MemoryTransport(connection)
        work = self.relay.borrow(connection, b"", Owner(), True)
        self.assertIsInstance(work, WorkEnd)
        work.abort()
        memory.settle()

    def test_emptyHost(self) -> None:
        """
        Without a host, a port is one of all interfaces.
        """
        came: list[Any] = []
        port: Any = self.relay.listen(HostPort("", 0), came.append)
        visitor = socket.create_connection((LOOPBACK, port.getHost().port))
        self.until(lambda: came)
        visitor.close()
        came[0].abort()
        port.stopListening()


class Undoubled(socket.socket):
    """
    A socket for which no second descriptor can be had.
    """

    def dup(self) -> Any:
        """
        Fail.
        """
        raise OSError(errno.EMFILE, "too many open files")


class SocketTransport:
    """
    A transport of the reactor's.

    @ivar aborted: whether the reactor let go of it.
    @ivar handle: its socket.
    """

    def __init__(self, handle: socket.socket) -> None:
        self.handle = handle
        self.aborted = False

    def getHandle(self) -> socket.socket:
        """
        Give the socket.
        """
        return self.handle

    def getPeer(self) -> IPv4Address:
        """
        Give the peer's address.
        """
        return IPv4Address("TCP", *self.handle.getpeername())

    def getHost(self) -> IPv4Address:
        """
        Give this side's address.
        """
        return IPv4Address("TCP", *self.handle.getsockname())

    def abortConnection(self) -> None:
        """
        Remember that.
        """
        self.aborted = True


class MixedTests(TunnelCase):
    """
    A local service on a UNIX socket, which the portable path serves, behind work
    connections of the fast one.
    """

    path: ClassVar[str] = "fast"
    secure = False
    skip = FAST

    def setUp(self) -> None:
        """
        Make the service.
        """
        self.folder = Path(tempfile.mkdtemp(prefix="tk"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.listening = listener(str(self.folder / "service"))
        self.listening.settimeout(20)
        self.addCleanup(self.listening.close)

    async def open(self, count: int = 1, idle: float = 300.0) -> None:
        """
        Make a tunnel.
        """
        service = SocketPath(str(self.folder / "service"))
        relay = RELAYS[self.path]
        self.tunnel = tunnel = Tunnel(reactor, service, self.secure, idle, relay)
        self.addCleanup(lambda: Deferred.fromCoroutine(tunnel.close()))
        await tunnel.open(count)

    async def test_visitorEndsFirst(self) -> None:
        """
        A visitor's question, his end, and a large answer go through.
        """
        data = os.urandom(1_000_000)
        await self.open()
        visitor, service = await self.visit()
        visitor.sendall(b"question")
        visitor.shutdown(socket.SHUT_WR)
        self.assertEnded(await deferToThread(receive, service), b"question")
        answering = deferToThread(service.sendall, data)
        answering.addCallback(lambda _: service.close())
        self.assertEnded(await deferToThread(receive, visitor), data)
        await self.settled(1)
        self.assertEqual(self.tunnel.client.outcomes, [Outcome()])
        self.assertEqual(self.tunnel.client.relay.loop.others, 0)  # type: ignore[attr-defined]

    async def test_serviceEndsFirst(self) -> None:
        """
        A service that ends first hears a large upload to its end.
        """
        data = os.urandom(1_000_000)
        await self.open()
        visitor, service = await self.visit()
        service.sendall(b"banner")
        service.shutdown(socket.SHUT_WR)
        self.assertEnded(await deferToThread(receive, visitor), b"banner")
        sending = deferToThread(visitor.sendall, data)
        sending.addCallback(lambda _: visitor.close())
        self.assertEnded(await deferToThread(receive, service), data)
        await self.settled(1)
        self.assertEqual(self.tunnel.server.outcomes, [Outcome()])

    async def test_stalled(self) -> None:
        """
        A visitor who stalls holds up the service, and one who goes ends it.
        """
        await self.open()
        visitor, service = await self.visit()
        flooding = deferToThread(flood, service)
        await deferToThread(receiveExactly, visitor, 3_000_000)
        visitor.close()
        # An abort of a UNIX socket shows as its end, to who writes as an error.
        self.assertEqual(await flooding, Ending.RESET)
        while not self.tunnel.server.outcomes:
            await turned()
        self.assertEqual(self.tunnel.server.outcomes[0].code, ResetCode.PEER)


class SecureMixedTests(MixedTests):
    """
    The same under TLS.
    """

    secure = True


class LeakTests(TunnelCase):
    """
    Descriptors after many streams through a whole tunnel.
    """

    path: ClassVar[str] = "fast"
    secure = False
    skip = FAST

    async def test_endings(self) -> None:
        """
        After streams that ended in every way there are as many descriptors as after
        the first few.
        """
        await self.open()
        first = 0
        for number in range(60):
            visitor, service = await self.visit()
            service.sendall(b"x" * 40_000)
            await deferToThread(receiveExactly, visitor, 40_000)
            one, other = (visitor, service) if number % 2 else (service, visitor)
            if number % 4 < 2:
                one.shutdown(socket.SHUT_WR)
                self.assertEnded(await deferToThread(receive, other), b"")
            else:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1" + bytes(7))
                one.close()
                await self.assertReset(other)
            one.close()
            other.close()
            await self.settled(number + 1)
            if number == 7:
                first = descriptors()
        self.assertEqual(descriptors(), first)
        self.assertEqual(len(self.tunnel.server.works), 1)


class SecureLeakTests(LeakTests):
    """
    The same under TLS.
    """

    secure = True
