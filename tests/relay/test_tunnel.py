"""
Tests of the relay as a whole: visitors and services at both ends of L{tunnel}, over
real sockets.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import ssl
import subprocess
import sys
from pathlib import Path
from time import monotonic
from typing import ClassVar, Final

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from tests.relay.portable.test_raw import turned
from tests.relay.test_secure import PAIR, SecureCase
from tests.relay.tunnel import LOOPBACK, RELAYS, Tunnel
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
from tunnelkit.interfaces import Outcome
from tunnelkit.relay.best import isFast
from tunnelkit.relay.bucket import Bucket
from tunnelkit.relay.connection import BUFFER, socketOf
from tunnelkit.relay.portable.work import WorkEnd
from tunnelkit.relay.secure import ClientTLS, ServerTLS
from tunnelkit.wire.address import HostPort
from tunnelkit.wire.codes import ResetCode
from tunnelkit.wire.native.frames import Data, encode

MiB: Final = 1 << 20
VISITORS: Final = 50
FAST: Final = None if isFast(reactor) else "the fast path needs epoll and splice"


def socketUnder(work: object) -> socket.socket:
    """
    Give the socket of a work connection.
    """
    transport = getattr(work, "transport", None)
    handle = getattr(work, "sock", None) if transport is None else socketOf(transport)
    assert handle is not None
    return handle


class TunnelCase(TestCase):
    """
    A tunnel, and a service of which the test has the listening socket.
    """

    secure = True
    path: ClassVar[str] = "portable"
    compress: ClassVar[str] = ""

    def setUp(self) -> None:
        """
        Make the service.
        """
        self.listening = listener((LOOPBACK, 0))
        self.listening.settimeout(20)
        self.addCleanup(self.listening.close)

    async def open(self, count: int = 1, idle: float = 300.0) -> None:
        """
        Make a tunnel with so many work connections.
        """
        service = HostPort(LOOPBACK, self.listening.getsockname()[1])
        self.tunnel = tunnel = Tunnel(
            reactor, service, self.secure, idle, RELAYS[self.path], self.compress
        )
        self.addCleanup(lambda: Deferred.fromCoroutine(tunnel.close()))
        await tunnel.open(count)

    async def visit(self) -> tuple[socket.socket, socket.socket]:
        """
        Let a visitor come.

        @return: the visitor's socket, and the service's.
        """
        visitor = await deferToThread(connected, (LOOPBACK, self.tunnel.port))
        self.addCleanup(visitor.close)
        service, _ = await deferToThread(self.listening.accept)
        service.settimeout(visitor.gettimeout())
        self.addCleanup(service.close)
        return visitor, service

    async def settled(self, count: int) -> None:
        """
        Wait until so many streams are over on both sides, and the connections idle.
        """
        server, client = self.tunnel.server, self.tunnel.client
        works = len(client.works) - len(client.losses)
        while (
            len(server.outcomes) < count
            or len(client.outcomes) < count
            or len(server.free) < works
        ):
            await turned()

    def assertEnded(self, received: Received, data: bytes) -> None:
        """
        All of this came, and a clean end.
        """
        self.assertEqual(received.ending, Ending.END)
        self.assertEqual((received.count, received.digest), (len(data), sha256(data)))

    async def assertReset(self, *connections: socket.socket) -> None:
        """
        Each of them sees a reset.
        """
        for connection in connections:
            received = await deferToThread(receive, connection)
            self.assertEqual(received.ending, Ending.RESET)


class SecureTunnelTests(TunnelCase):
    """
    Work connections under TLS.
    """

    async def test_visitorEndsFirst(self) -> None:
        """
        A visitor that says all, end included, gets the whole answer: half-close goes
        through TLS.
        """
        data = os.urandom(2_000_000)
        await self.open()
        visitor, service = await self.visit()
        visitor.sendall(b"question")
        visitor.shutdown(socket.SHUT_WR)
        self.assertEnded(await deferToThread(receive, service), b"question")
        answering = deferToThread(service.sendall, data)
        answering.addCallback(lambda _: service.close())
        self.assertEnded(await deferToThread(receive, visitor), data)
        await self.settled(1)
        self.assertEqual(self.tunnel.server.outcomes, [Outcome()])
        self.assertEqual(self.tunnel.client.outcomes, [Outcome()])
        (join,) = self.tunnel.server.joins
        self.assertEqual((join.forth, join.back), (8, len(data)))

    async def test_serviceEndsFirst(self) -> None:
        """
        A service that says all at first hears the visitor to its end.
        """
        data = os.urandom(2_000_000)
        await self.open()
        visitor, service = await self.visit()
        service.sendall(b"welcome")
        service.shutdown(socket.SHUT_WR)
        self.assertEnded(await deferToThread(receive, visitor), b"welcome")
        uploading = deferToThread(visitor.sendall, data)
        uploading.addCallback(lambda _: visitor.close())
        self.assertEnded(await deferToThread(receive, service), data)
        await self.settled(1)
        self.assertEqual(self.tunnel.server.outcomes, [Outcome()])

    async def test_bothWaysAtOnce(self) -> None:
        """
        Twenty megabytes each way, at the same time, arrive as they were sent.
        """
        forth, back = os.urandom(20_000_000), os.urandom(20_000_000)
        await self.open()
        visitor, service = await self.visit()

        def send(connection: socket.socket, data: bytes) -> None:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)

        sending = [
            deferToThread(send, visitor, forth),
            deferToThread(send, service, back),
        ]
        receiving = deferToThread(receive, visitor)
        self.assertEnded(await deferToThread(receive, service), forth)
        self.assertEnded(await receiving, back)
        for sent in sending:
            await sent
        await self.settled(1)

    async def test_limited(self) -> None:
        """
        Through a tunnel with a limit all comes whole, both ways, and not sooner than
        the limit allows.
        """
        rate, data = 2_000_000, os.urandom(1_000_000)
        await self.open()
        self.tunnel.client.buckets = (
            Bucket(reactor, rate),
            Bucket(reactor, rate, burst=1000),
        )
        visitor, service = await self.visit()
        began = monotonic()

        def send(connection: socket.socket) -> None:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)

        sending = [deferToThread(send, each) for each in (visitor, service)]
        receiving = [deferToThread(receive, each) for each in (visitor, service)]
        for received in await gatherResults(receiving):
            self.assertEnded(received, data)
        await gatherResults(sending)
        self.assertTrue(monotonic() - began > (len(data) - 1000) / rate - 0.05)
        await self.settled(1)
        (join,) = self.tunnel.server.joins
        self.assertEqual((join.forth, join.back), (len(data), len(data)))

    async def test_limitedOneWay(self) -> None:
        """
        A limit is for the direction of which it was said, and the other one does not
        wait; it holds over some time, to three in a hundred.
        """
        rate, data = 10_000_000, os.urandom(8_000_000)
        await self.open()
        for inward in (True, False):
            bucket = Bucket(reactor, rate, burst=100_000)
            both = (bucket, None) if inward else (None, bucket)
            self.tunnel.client.buckets = both
            visitor, service = await self.visit()
            prompt, limited = (visitor, service) if inward else (service, visitor)
            began = monotonic()

            def send(connection: socket.socket) -> None:
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)

            sending = [deferToThread(send, each) for each in (prompt, limited)]
            late = deferToThread(receive, limited)
            self.assertEnded(await deferToThread(receive, prompt), data)
            self.assertFalse(late.called)
            self.assertEnded(await late, data)
            self.assertTrue(monotonic() - began > 0.97 * len(data) / rate)
            await gatherResults(sending)

    async def test_atOnce(self) -> None:
        """
        A work connection passes a key stroke on at once.
        """
        await self.open()
        await self.visit()
        for work in (self.tunnel.server.works[0], self.tunnel.client.works[0]):
            handle = socketUnder(work)
            delays = not handle.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            self.assertFalse(delays)

    async def test_oneConnectionForMany(self) -> None:
        """
        Visitors who come one after the other share one work connection, also those
        that ended badly.
        """
        await self.open()
        for number in range(30):
            visitor, service = await self.visit()
            question = b"question %d" % number
            visitor.sendall(question)
            self.assertEqual(
                await deferToThread(receiveExactly, service, len(question)), question
            )
            if number % 3 == 0:
                reset(visitor)
                await self.assertReset(service)
            elif number % 3 == 1:
                reset(service)
                await self.assertReset(visitor)
            else:
                service.close()
                self.assertEnded(await deferToThread(receive, visitor), b"")
                visitor.close()
            await self.settled(number + 1)
        self.assertEqual(len(self.tunnel.server.works), 1)
        self.assertEqual([s.stream for s in self.tunnel.client.starts], [*range(1, 31)])

    async def test_nobodyThere(self) -> None:
        """
        Visitors of a service that is down are reset, and served when it is back.
        """
        await self.open()
        port = self.listening.getsockname()[1]
        self.listening.close()
        for _ in range(3):
            # The reset may be there before the connection is known to be.
            with contextlib.suppress(ConnectionResetError):
                visitor = await deferToThread(connected, (LOOPBACK, self.tunnel.port))
                await self.assertReset(visitor)
                visitor.close()
        outcomes = self.tunnel.server.outcomes
        while len(outcomes) < 3:
            await turned()
        self.assertEqual([o.code for o in outcomes], [ResetCode.REFUSED] * 3)
        self.assertIn(f"{LOOPBACK}:{port} refused the connection", outcomes[0].reason)
        self.listening = listener((LOOPBACK, port))
        self.addCleanup(self.listening.close)
        visitor, service = await self.visit()
        service.sendall(b"back")
        self.assertEqual(await deferToThread(receiveExactly, visitor, 4), b"back")

    async def test_opening(self) -> None:
        """
        A service hears who the visitor is before what the visitor says.
        """
        await self.open()
        self.tunnel.client.opening = b"PROXY TCP4 ...\r\n"
        visitor, service = await self.visit()
        visitor.sendall(b"question")
        visitor.shutdown(socket.SHUT_WR)
        self.assertEnded(
            await deferToThread(receive, service), b"PROXY TCP4 ...\r\nquestion"
        )
        (start,) = self.tunnel.client.starts
        host, port = visitor.getsockname()
        self.assertEqual(start.visitor, f"{host}:{port}")
        self.assertEqual(start.address, f"{LOOPBACK}:{self.tunnel.port}")

    async def test_workConnectionLost(self) -> None:
        """
        A download whose work connection is lost is reset, and the upload with it: no
        truncated file looks complete.
        """
        for side in ("server", "client"):
            await self.open()
            visitor, service = await self.visit()
            flooding = deferToThread(flood, service)
            await deferToThread(receiveExactly, visitor, 3_000_000)
            half = self.tunnel.server if side == "server" else self.tunnel.client
            half.works[0].abort()
            await self.assertReset(visitor)
            self.assertEqual(await flooding, Ending.RESET)

    async def test_idleLimit(self) -> None:
        """
        A half-open stream that shows no life is reset on both sides, and the work
        connection serves on.
        """
        await self.open(idle=1.0)
        visitor, service = await self.visit()
        visitor.shutdown(socket.SHUT_WR)
        self.assertEnded(await deferToThread(receive, service), b"")
        await self.assertReset(visitor)
        # Who has read the end reads no reset any more, but cannot write.
        self.assertEqual(await deferToThread(flood, service), Ending.RESET)
        await self.settled(1)
        visitor, service = await self.visit()
        service.sendall(b"next")
        self.assertEqual(await deferToThread(receiveExactly, visitor, 4), b"next")

    async def test_oneThatNeverReads(self) -> None:
        """
        A visitor that never reads keeps nobody else from being served.
        """
        await self.open(2)
        _, service = await self.visit()
        flooding = deferToThread(flood, service)
        data = os.urandom(5_000_000)
        for _ in range(3):
            visitor, other = await self.visit()
            answering = deferToThread(other.sendall, data)
            self.assertEqual(
                await deferToThread(receiveExactly, visitor, len(data)), data
            )
            await answering
            visitor.close()
            other.close()
            while len(self.tunnel.server.free) < 1:
                await turned()
        (never,) = [j for j in self.tunnel.server.joins if not j.ended.called]
        never.abort(ResetCode.STOPPING, "")
        self.assertEqual(await flooding, Ending.RESET)

    async def test_fair(self) -> None:
        """
        While one visitor downloads as much as there is time for, another one is
        answered each time he asks, and neither stands still.
        """
        await self.open(2)
        (bulk, source), (visitor, service) = await self.visit(), await self.visit()
        flooding = deferToThread(flood, source)
        taking = deferToThread(receive, bulk)
        join = self.tunnel.server.joins[0]

        def ask() -> None:
            for number in range(50):
                visitor.sendall(question := b"%5d?" % number)
                self.assertEqual(receiveExactly(service, 6), question)
                service.sendall(answer := b"%5d!" % number)
                self.assertEqual(receiveExactly(visitor, 6), answer)

        for _ in range(3):
            before = join.back
            await deferToThread(ask)
            while join.back - before < MiB:
                await turned()
        self.tunnel.server.joins[0].abort(ResetCode.STOPPING, "")
        self.assertEqual((await taking).ending, Ending.RESET)
        self.assertEqual(await flooding, Ending.RESET)


class PlainTunnelTests(SecureTunnelTests):
    """
    The same without TLS.
    """

    secure = False


class FastSecureTunnelTests(SecureTunnelTests):
    """
    The fast path, under TLS.
    """

    path = "fast"
    skip = FAST


class FastPlainTunnelTests(PlainTunnelTests):
    """
    The fast path, without TLS.
    """

    path = "fast"
    skip = FAST


class SecureFrameTests(TunnelCase):
    """
    A client that is written by hand, under TLS.
    """

    def client(self) -> socket.socket:
        """
        Bring a work connection by hand.
        """
        port = self.tunnel.server.workPort.getHost().port  # type: ignore[attr-defined]
        connection = connected((LOOPBACK, port))
        if self.secure:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            connection = context.wrap_socket(connection)
        self.addCleanup(connection.close)
        return connection

    async def test_stopsInAFrame(self) -> None:
        """
        A client that stops in the midst of a frame holds up that visitor alone, who
        gets all when it goes on, and a reset when it goes away instead.
        """
        await self.open()
        client = await deferToThread(self.client)
        while len(self.tunnel.server.free) < 2:
            await turned()
        visitor = await deferToThread(connected, (LOOPBACK, self.tunnel.port))
        self.addCleanup(visitor.close)
        await deferToThread(client.recv, BUFFER)
        said = os.urandom(1000)
        frame = encode(Data(said))
        await deferToThread(client.sendall, frame[:500])
        other, service = await self.visit()
        service.sendall(b"hello")
        self.assertEqual(await deferToThread(receiveExactly, other, 5), b"hello")
        await deferToThread(client.sendall, frame[500:] + frame[:2])
        self.assertEqual(await deferToThread(receiveExactly, visitor, 1000), said)
        other.sendall(b"hello")
        self.assertEqual(await deferToThread(receiveExactly, service, 5), b"hello")
        client.close()
        await self.assertReset(visitor)


class PlainFrameTests(SecureFrameTests):
    """
    The same without TLS.
    """

    secure = False


class FastSecureFrameTests(SecureFrameTests):
    """
    The fast path, under TLS.
    """

    path = "fast"
    skip = FAST


class FastPlainFrameTests(PlainFrameTests):
    """
    The fast path, without TLS.
    """

    path = "fast"
    skip = FAST


class TLSClosedTests(SecureCase):
    """
    A work connection whose TLS the peer ends.
    """

    def test_closedWhileFull(self) -> None:
        """
        A client that ends its TLS while the server cannot write loses the connection
        at once: its descriptor is not kept for ever.
        """
        server = self.side(ServerTLS(PAIR))
        client = self.side(ClientTLS("localhost", False))
        self.assertMet(client, server, PAIR)
        losses: list[str] = []

        class Owner:
            def lost(self, work: WorkEnd, reason: str) -> None:
                losses.append(reason)

        connection = server.inside.connection
        work = WorkEnd(connection, Owner(), False, self.clock)  # type: ignore[arg-type]
        server.transport.room = 0
        for _ in range(4):
            work.write(bytes(BUFFER))
            self.clock.advance(0)
        self.assertTrue(work.blocked)
        client.inside.connection.transport.loseConnection()
        self.meet(client, server)
        self.assertEqual(losses, [])
        server.transport.room = None
        self.meet(client, server)
        self.assertEqual(losses, ["closed by the peer"])
        self.assertTrue(server.transport.lost)


class ProcessTests(TestCase):
    """
    Both halves in a process of their own.
    """

    def setUp(self) -> None:
        """
        Make the service.
        """
        self.listening = listener((LOOPBACK, 0))
        self.listening.settimeout(20)
        self.addCleanup(self.listening.close)

    def start(self, works: int) -> int:
        """
        Start the process.

        @return: the port for visitors.
        """
        port = self.listening.getsockname()[1]
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.relay.tunnel",
                str(port),
                str(works),
                "portable",
                "tls",
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parent.parent.parent,
        )
        self.addCleanup(self.end)
        assert self.process.stdout is not None
        return int(self.process.stdout.readline())

    def end(self) -> None:
        """
        End the process.
        """
        with self.process:
            self.process.kill()

    def memory(self) -> int:
        """
        Ask the process for its memory, in bytes.
        """
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def test_killed(self) -> None:
        """
        A visitor and a service in the middle of a transfer see a reset when the
        process is killed, never a clean end.
        """
        port = self.start(1)
        with connected((LOOPBACK, port)) as visitor:
            service, _ = self.listening.accept()
            with service:
                visitor.sendall(b"question")
                receiveExactly(service, 8)
                service.sendall(b"half an answer")
                receiveExactly(visitor, 14)
                self.process.send_signal(signal.SIGKILL)
                self.assertEqual(receive(visitor).ending, Ending.RESET)
                self.assertEqual(receive(service).ending, Ending.RESET)

    def test_killedWhileHalfOpen(self) -> None:
        """
        The same where the visitor had ended, and the service's end was passed on.
        """
        port = self.start(2)
        for first in ("visitor", "service"):
            with connected((LOOPBACK, port)) as visitor:
                service, _ = self.listening.accept()
                with service:
                    ends = visitor if first == "visitor" else service
                    other = service if first == "visitor" else visitor
                    ends.shutdown(socket.SHUT_WR)
                    self.assertEqual(receive(other).ending, Ending.END)
                    other.sendall(b"half")
                    receiveExactly(ends, 4)
                    self.process.send_signal(signal.SIGKILL)
                    self.assertEqual(receive(ends).ending, Ending.RESET)
            port = self.start(2)

    async def test_memory(self) -> None:
        """
        Fifty visitors that never read, of a service that sends without stop, cost
        less than 20 MiB on both sides together, TLS connections included.
        """
        self.start(0)
        before = self.memory()
        self.end()
        port = self.start(VISITORS)
        visitors: list[socket.socket] = []
        services: list[socket.socket] = []
        self.addCleanup(lambda: [*map(socket.socket.close, visitors + services)])

        def fill() -> None:
            for _ in range(VISITORS):
                visitors.append(connected((LOOPBACK, port), 65536))
                service, _ = self.listening.accept()
                service.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
                service.setblocking(False)
                services.append(service)
            while ready := select.select([], services, [], 0.5)[1]:
                for service in ready:
                    service.send(bytes(MiB))

        await deferToThread(fill)
        self.assertLess(self.memory() - before, 20 * MiB)


if not Path("/proc/self/statm").exists():
    ProcessTests.test_memory.skip = "/proc tells no memory here"  # type: ignore[attr-defined]
