"""
Tests for L{tunnelkit.relay.portable.raw}.
"""

from __future__ import annotations

import os
import select
import socket
import struct
from collections.abc import Callable
from typing import Any, Final

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.main import CONNECTION_DONE
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface.verify import verifyObject

from tests.relay.memory import Heard, rawEnd
from tests.stage.sockets import (
    Ending,
    Received,
    connected,
    flood,
    listener,
    receive,
    receiveExactly,
    reset,
    sha256,
)
from tunnelkit.interfaces import IEnd, IJoin, Outcome
from tunnelkit.relay.connection import BUFFER, socketOf
from tunnelkit.relay.portable.raw import RawEnd
from tunnelkit.relay.portable.relay import PortableRelay
from tunnelkit.wire.address import HostPort, LocalAddress, SocketPath
from tunnelkit.wire.codes import ResetCode

LOOPBACK: Final = "127.0.0.1"


def lingers(connection: socket.socket) -> tuple[int, int]:
    """
    Give whether a socket's close waits, and how many seconds: (1, 0) is a reset.
    """
    option = connection.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8)
    on, seconds = struct.unpack("ii", option)
    return on, seconds


class RawEndTests(SynchronousTestCase):
    """
    One connection, in memory.
    """

    def test_contract(self) -> None:
        """
        What takes visitors knows who they are, and where they came to.
        """
        end, _ = rawEnd()
        verifyObject(IEnd, end)
        self.assertEqual(end.peer, "192.0.2.7:5000")
        self.assertEqual(end.local, "198.51.100.1:80")

    def test_nothingIsReadBeforeTheJoin(self) -> None:
        """
        A visitor who waits for a connection keeps its bytes to itself.
        """
        _, transport = rawEnd()
        self.assertFalse(transport.reading)

    def test_arrival(self) -> None:
        """
        Who takes visitors is told of each.
        """
        arrived: list[RawEnd] = []
        end, _ = rawEnd(arrived.append)
        self.assertEqual(arrived, [end])

    def test_bugAtTheArrival(self) -> None:
        """
        A bug in who takes visitors costs this one: it is reset, not left to wait for
        ever.
        """

        def arrived(end: RawEnd) -> None:
            raise ZeroDivisionError

        _, transport = rawEnd(arrived)
        transport.settle()
        self.assertTrue(transport.wasReset)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_abort(self) -> None:
        """
        A visitor that is turned away sees a reset, however often it is done.
        """
        end, transport = rawEnd()
        end.abort()
        end.abort()
        transport.settle()
        end.abort()
        self.assertTrue(transport.wasReset)

    def test_abortWhileFull(self) -> None:
        """
        The same where it has not read what was sent.
        """
        end, transport = rawEnd()
        transport.room = 0
        end.attach(Heard()).write(bytes(BUFFER + 1))
        end.abort()
        transport.settle()
        self.assertTrue(transport.wasReset)

    def test_afterTheLoss(self) -> None:
        """
        Whatever is done to a connection that is gone does nothing.
        """
        end, transport = rawEnd()
        heard = Heard()
        stream = end.attach(heard)
        stream.resumeReading()
        transport.peerResets()
        transport.settle()
        told = (ResetCode.PEER, "192.0.2.7:5000 reset the connection")
        self.assertEqual(heard.told, [told])
        stream.write(b"x")
        stream.announce(b"x")
        stream.finish()
        stream.pauseReading()
        stream.reset(ResetCode.PEER, "")
        stream.release()
        stream.resumeReading()
        self.assertEqual(stream.unsent(), 0)
        self.assertEqual(heard.told, [told])
        self.assertEqual(transport.take(), b"")

    def test_endIsToldOnce(self) -> None:
        """
        An end that has been told is not looked for again.
        """
        end, transport = rawEnd()
        heard = Heard()
        stream = end.attach(heard)
        stream.resumeReading()
        transport.peerEnds()
        transport.settle()
        stream.resumeReading()
        transport.settle()
        self.assertEqual(heard.told, ["finished"])

    def test_afterTheReset(self) -> None:
        """
        What comes after a reset of ours goes nowhere.
        """
        end, transport = rawEnd()
        heard = Heard()
        stream = end.attach(heard)
        stream.reset(ResetCode.PEER, "")
        end.dataReceived(b"late")
        end.readConnectionLost()
        end.writeConnectionLost()
        transport.settle()
        self.assertEqual(heard.told, [])


class Joined:
    """
    A visitor and a service joined over real sockets; the test has the far ends.

    @ivar visitor: the visitor's own socket.
    @ivar service: the service's own.
    """

    def __init__(self, case: TestCase, service: LocalAddress | None = None) -> None:
        self.relay = PortableRelay(reactor)  # type: ignore[arg-type]
        self._arrived: Deferred[IEnd] = Deferred()
        self._port = self.relay.listen(HostPort(LOOPBACK, 0), self._arrived.callback)
        case.addCleanup(self._port.stopListening)
        if isinstance(service, SocketPath):
            self._listener = listener(service.path)
            self._address: LocalAddress = service
        else:
            self._listener = listener((LOOPBACK, 0))
            self._address = HostPort(LOOPBACK, self._listener.getsockname()[1])
        case.addCleanup(self._listener.close)
        self._case = case

    async def connect(self, opening: bytes = b"") -> None:
        """
        Connect both, and join them.
        """
        port: Any = self._port.getHost()
        self.visitor = connected((LOOPBACK, port.port))
        self._case.addCleanup(self.visitor.close)
        self.one = await self._arrived
        self.other = await self.relay.dial(self._address, 5)
        self.service, _ = await deferToThread(self._listener.accept)
        self.service.settimeout(self.visitor.gettimeout())
        self._case.addCleanup(self.service.close)
        self.join: IJoin = self.relay.join(self.one, self.other, opening)

    def handles(self) -> tuple[socket.socket, socket.socket]:
        """
        Give our sockets, so that they can be looked at when they are closed.
        """
        ours = []
        for end in (self.one, self.other):
            assert isinstance(end, RawEnd)
            handle = socketOf(end.transport)
            assert handle is not None
            ours.append(handle.dup())
            self._case.addCleanup(ours[-1].close)
        return ours[0], ours[1]


class RawSocketTests(TestCase):
    """
    Connections of this machine to itself.
    """

    def assertEnded(self, received: Received, data: bytes) -> None:
        """
        All of this came, and a clean end.
        """
        self.assertEqual(received.ending, Ending.END)
        self.assertEqual((received.count, received.digest), (len(data), sha256(data)))

    async def test_visitorEndsFirst(self) -> None:
        """
        A visitor that says all, end included, gets the whole answer and a clean end.
        """
        data = os.urandom(3_000_000)
        joined = Joined(self)
        await joined.connect(b"PROXY ")
        joined.visitor.sendall(b"question")
        joined.visitor.shutdown(socket.SHUT_WR)
        self.assertEnded(
            await deferToThread(receive, joined.service), b"PROXY question"
        )

        def answer() -> None:
            joined.service.sendall(data)
            joined.service.close()

        answering = deferToThread(answer)
        self.assertEnded(await deferToThread(receive, joined.visitor), data)
        await answering
        self.assertEqual(await joined.join.ended, Outcome())
        self.assertEqual((joined.join.forth, joined.join.back), (8, len(data)))

    async def test_serviceEndsFirst(self) -> None:
        """
        A service that says all at first hears the visitor to its end.
        """
        data = os.urandom(3_000_000)
        joined = Joined(self)
        await joined.connect()
        joined.service.sendall(b"welcome")
        joined.service.shutdown(socket.SHUT_WR)
        self.assertEnded(await deferToThread(receive, joined.visitor), b"welcome")

        def upload() -> None:
            joined.visitor.sendall(data)
            joined.visitor.close()

        uploading = deferToThread(upload)
        self.assertEnded(await deferToThread(receive, joined.service), data)
        await uploading
        self.assertEqual(await joined.join.ended, Outcome())

    async def test_endWhileFull(self) -> None:
        """
        Who reads so slowly that the end comes when no more can be sent to him sees it
        behind the last byte, and may go on himself.
        """
        joined = Joined(self)
        await joined.connect()
        data = os.urandom(8_000_000)
        join: Any = joined.join
        join.one.stream.write(data)
        join.other.finished()
        self.assertEnded(await deferToThread(receive, joined.visitor), data)
        joined.visitor.sendall(b"still here")
        joined.visitor.close()
        self.assertEnded(await deferToThread(receive, joined.service), b"still here")

    async def test_lingering(self) -> None:
        """
        While a stream runs the death of this process is a reset; when it has ended
        well its last bytes are the kernel's to deliver.
        """
        joined = Joined(self)
        await joined.connect()
        ours = joined.handles()
        self.assertEqual([*map(lingers, ours)], [(1, 0), (1, 0)])
        joined.visitor.shutdown(socket.SHUT_WR)
        await deferToThread(receive, joined.service)
        self.assertEqual([*map(lingers, ours)], [(1, 0), (1, 0)])
        joined.service.sendall(b"answer")
        joined.service.close()
        await joined.join.ended
        self.assertEqual([*map(lingers, ours)], [(0, 0), (0, 0)])
        self.assertEnded(await deferToThread(receive, joined.visitor), b"answer")

    async def test_atOnce(self) -> None:
        """
        A key stroke goes at once, on both sides.
        """
        joined = Joined(self)
        await joined.connect()
        for ours in joined.handles():
            delays = not ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            self.assertFalse(delays)
        joined.join.abort(ResetCode.STOPPING, "")

    async def test_lastBytesAreTheKernels(self) -> None:
        """
        A visitor gets its last bytes though our side of the connection is closed.
        """
        data = os.urandom(50_000)
        joined = Joined(self)
        await joined.connect()
        joined.visitor.shutdown(socket.SHUT_WR)
        await deferToThread(receive, joined.service)
        joined.service.sendall(data)
        joined.service.close()
        await joined.join.ended
        self.assertEnded(await deferToThread(receive, joined.visitor), data)

    async def test_resetTakenForAnEnd(self) -> None:
        """
        A reset that the reactor takes for an end, as it does where the kernel has told
        no more than a hang-up yet, is a reset on the other side.
        """
        for who in ("visitor", "service"):
            joined = Joined(self)
            await joined.connect()
            far = joined.service if who == "visitor" else joined.visitor
            near = joined.visitor if who == "visitor" else joined.service
            near.sendall(b"half")
            await deferToThread(receiveExactly, far, 4)
            end = joined.one if who == "visitor" else joined.other
            assert isinstance(end, RawEnd)
            transport: Any = end.transport
            reset(near)
            # What the reactor does at a hang-up, in the same turn.
            transport.stopReading()
            transport.readConnectionLost(Failure(CONNECTION_DONE))
            received = await deferToThread(receive, far)
            self.assertEqual(received.ending, Ending.RESET, who)
            self.assertEqual((await joined.join.ended).code, ResetCode.PEER)

    async def test_eitherSideResets(self) -> None:
        """
        A reset on one side is a reset on the other, in whatever state the stream is.
        """

        def visitorEnded(joined: Joined) -> None:
            joined.visitor.shutdown(socket.SHUT_WR)

        def serviceEnded(joined: Joined) -> None:
            joined.service.shutdown(socket.SHUT_WR)

        def nothing(joined: Joined) -> None:
            pass

        befores: list[tuple[Callable[[Joined], None], str]] = [
            (nothing, "visitor"),
            (nothing, "service"),
            (visitorEnded, "service"),
            (serviceEnded, "visitor"),
        ]
        for before, who in befores:
            joined = Joined(self)
            await joined.connect()
            before(joined)
            far = joined.service if who == "visitor" else joined.visitor
            near = joined.visitor if who == "visitor" else joined.service
            near.sendall(b"half")
            await deferToThread(receiveExactly, far, 4)
            reset(near)
            received = await deferToThread(receive, far)
            self.assertEqual(received.ending, Ending.RESET, (before, who))
            outcome = await joined.join.ended
            self.assertEqual(outcome.code, ResetCode.PEER)
            self.assertIn("reset the connection", outcome.reason)

    async def test_resetWhileWaiting(self) -> None:
        """
        A visitor that reset its connection before it was joined is found out at the
        join; its service sees a reset.
        """
        joined = Joined(self)
        port: Any = joined._port.getHost()
        visitor = connected((LOOPBACK, port.port))
        one = await joined._arrived
        visitor.sendall(b"question")
        reset(visitor)
        other = await joined.relay.dial(joined._address, 5)
        service, _ = await deferToThread(joined._listener.accept)
        service.settimeout(10)
        self.addCleanup(service.close)
        join = joined.relay.join(one, other, b"PROXY ")
        outcome = await join.ended
        self.assertEqual(outcome.code, ResetCode.PEER)
        received = await deferToThread(receive, service)
        self.assertEqual(received.ending, Ending.RESET)

    async def test_abort(self) -> None:
        """
        A stream that is cut is reset on both sides, also while one never reads.
        """
        joined = Joined(self)
        await joined.connect()
        flooding = deferToThread(flood, joined.service)
        await deferToThread(receiveExactly, joined.visitor, 100_000)
        joined.join.abort(ResetCode.STOPPING, "stopping")
        self.assertEqual(await flooding, Ending.RESET)
        received = await deferToThread(receive, joined.visitor)
        self.assertEqual(received.ending, Ending.RESET)
        self.assertEqual(
            await joined.join.ended, Outcome(ResetCode.STOPPING, "stopping")
        )

    async def test_unsent(self) -> None:
        """
        That a visitor reads its last bytes shows, as long as it does.
        """
        joined = Joined(self)
        await joined.connect()
        assert isinstance(joined.one, RawEnd)
        data = os.urandom(8_000_000)
        sending = deferToThread(joined.service.sendall, data)
        while not joined.one.unsent():
            await turned()
        receiving = deferToThread(receiveExactly, joined.visitor, len(data))
        self.assertEqual(await receiving, data)
        await sending
        while joined.one.unsent():
            await turned()
        joined.join.abort(ResetCode.STOPPING, "")

    async def test_unixSocket(self) -> None:
        """
        A service on a UNIX socket is served like any other: both half-closes, and a
        reset of the visitor's is its end.
        """
        data = os.urandom(1_000_000)
        path = self.path()
        joined = Joined(self, SocketPath(path))
        await joined.connect()
        self.assertEqual(joined.other.peer, f"unix:{path}")
        joined.visitor.sendall(b"question")
        joined.visitor.shutdown(socket.SHUT_WR)
        self.assertEnded(await deferToThread(receive, joined.service), b"question")
        answering = deferToThread(joined.service.sendall, data)
        self.assertEqual(
            await deferToThread(receiveExactly, joined.visitor, len(data)), data
        )
        await answering
        joined.service.shutdown(socket.SHUT_WR)
        self.assertEnded(await deferToThread(receive, joined.visitor), b"")
        self.assertEqual(await joined.join.ended, Outcome())

    def path(self) -> str:
        """
        Give the path of a socket that is not there yet.
        """
        path: str = self.mktemp()[-90:]
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return path

    async def test_unixSocketThatClosesFirst(self) -> None:
        """
        A service on a UNIX socket that closes at once behind its answer ends its
        stream well: to end what it no longer reads is no failure.
        """
        joined = Joined(self, SocketPath(self.path()))
        await joined.connect()
        joined.visitor.sendall(b"question")
        await deferToThread(receiveExactly, joined.service, 8)
        joined.service.sendall(b"answer")
        joined.service.close()
        self.assertEnded(await deferToThread(receive, joined.visitor), b"answer")
        joined.visitor.close()
        self.assertEqual(await joined.join.ended, Outcome())

    async def test_unixSocketThatClosesEarly(self) -> None:
        """
        The same where the visitor ends before it has read the answer: it gets all of
        it.
        """
        data = os.urandom(150_000)
        joined = Joined(self, SocketPath(self.path()))
        await joined.connect()
        joined.service.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 400_000)
        joined.service.sendall(data)
        joined.service.close()
        joined.visitor.shutdown(socket.SHUT_WR)
        self.assertEnded(await deferToThread(receive, joined.visitor), data)
        self.assertEqual(await joined.join.ended, Outcome())

    async def test_unixSocketThatClosesUnread(self) -> None:
        """
        A service that closes without reading what the visitor sent has failed it.
        """
        joined = Joined(self, SocketPath(self.path()))
        await joined.connect()
        joined.visitor.sendall(b"question")
        while not select.select([joined.service], [], [], 0)[0]:
            await turned()
        joined.service.close()
        received = await deferToThread(receive, joined.visitor)
        self.assertEqual(received.ending, Ending.RESET)
        self.assertEqual((await joined.join.ended).code, ResetCode.PEER)

    async def test_unixSocketOfAVisitorThatResets(self) -> None:
        """
        A UNIX socket has no reset: the service sees an end.
        """
        joined = Joined(self, SocketPath(self.path()))
        await joined.connect()
        reset(joined.visitor)
        received = await deferToThread(receive, joined.service)
        self.assertEqual(received.count, 0)
        self.assertEqual((await joined.join.ended).code, ResetCode.PEER)

    async def test_bugWhileRelaying(self) -> None:
        """
        A bug of ours ends one stream, with a traceback in the log and a reset on both
        sides.
        """
        joined = Joined(self)
        await joined.connect()
        assert isinstance(joined.other, RawEnd)
        joined.other.write = lambda data: 1 / 0  # type: ignore[method-assign,assignment]
        joined.visitor.sendall(b"question")
        outcome = await joined.join.ended
        self.assertEqual(outcome.code, ResetCode.PEER)
        received = await deferToThread(receive, joined.service)
        self.assertEqual(received.ending, Ending.RESET)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


def turned() -> Deferred[None]:
    """
    Wait for the next turn of the reactor.
    """
    turn: Deferred[None] = Deferred()
    reactor.callLater(0, turn.callback, None)
    return turn
