"""
Tests of connections that a relay adopts: bytes as they are, on both paths and under
TLS, over real sockets.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from typing import Any, ClassVar, cast

from twisted.internet import reactor
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure
from twisted.trial.unittest import SkipTest, SynchronousTestCase, TestCase

from tests.relay.memory import Heard, MemoryTransport, ScriptedEnd
from tests.relay.test_tunnel import FAST
from tests.relay.tunnel import (
    LOOPBACK,
    RELAYS,
    Arriving,
    Securing,
    Unsecured,
    pairOf,
    portOf,
)
from tests.stage.sockets import (
    Ending,
    connected,
    receive,
    receiveExactly,
    reset,
    sha256,
)
from tunnelkit.interfaces import IEnd, IJoin, Outcome
from tunnelkit.relay.connection import RESETTING, Connection, Holder, socketOf
from tunnelkit.relay.portable.adopted import HeldEnd, adopted
from tunnelkit.relay.portable.protocol import ProtocolEnd
from tunnelkit.relay.secure import ServerTLS
from tunnelkit.relay.streams.join import Join
from tunnelkit.wire.address import HostPort
from tunnelkit.wire.codes import ResetCode

MiB = 1 << 20


class AdoptedCase(TestCase):
    """
    A public port, and a port where connections come that are adopted: one of each is
    joined to one of the other, in the order in which they come.
    """

    path: ClassVar[str] = "portable"
    secure: ClassVar[bool] = False

    def setUp(self) -> None:
        """
        Listen.
        """
        self.relay = RELAYS[self.path](cast(Any, reactor), 300.0)
        self.withhold = False
        self.opening = self.said = b""
        self.refusing = False
        self.visitors: list[IEnd] = []
        self.joins: list[IJoin] = []
        self.joined: Deferred[None] = Deferred()
        self.tls = ServerTLS(pairOf("localhost")) if self.secure else None
        factory = Factory.forProtocol(self.arriving)
        factory.noisy = False
        listening: Any = reactor
        self.inner = listening.listenTCP(0, factory, interface=LOOPBACK)
        self.public = self.relay.listen(HostPort(LOOPBACK, 0), self.visitors.append)
        self.addCleanup(maybeDeferred, self.public.stopListening)
        self.addCleanup(maybeDeferred, self.inner.stopListening)

    def arriving(self) -> Connection:
        """
        Make what waits until a connection can speak.
        """
        arriving = Arriving(False, self.arrived)
        if self.tls is None:
            return Connection(Unsecured(arriving))
        return Connection(Securing(self.relay, self.tls, arriving))

    def arrived(self, arriving: Arriving) -> None:
        """
        A connection can speak: adopt it, and join it to the visitor.
        """
        end = self.relay.adopt(arriving.connection, b"early ", self.withhold, self.said)
        self.adopted = end
        if self.refusing:
            end.refuse(ResetCode.REFUSED, "nobody is there")
            self.joined.callback(None)
            return
        join = self.relay.join(self.visitors.pop(0), end, self.opening)
        self.joins.append(join)
        self.addCleanup(join.abort, ResetCode.INTERNAL, "the test is over")
        self.joined.callback(None)

    async def meet(self) -> tuple[socket.socket, socket.socket]:
        """
        Let a visitor come, and then a connection for him.

        @return: both, from outside.
        """
        visitor = await deferToThread(connected, (LOOPBACK, portOf(self.public)))
        self.addCleanup(visitor.close)
        other = await deferToThread(self.dialled)
        self.addCleanup(other.close)
        await self.joined
        return visitor, other

    def dialled(self) -> socket.socket:
        """
        Connect from the other side.
        """
        plain = connected((LOOPBACK, portOf(self.inner)))
        if self.tls is None:
            return plain
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        return context.wrap_socket(plain, suppress_ragged_eofs=False)

    async def outcome(self) -> Outcome:
        """
        Wait for the end of the join.
        """
        return await self.joins[0].ended


class AdoptedTests(AdoptedCase):
    """
    What holds on every path.
    """

    async def test_bothWays(self) -> None:
        """
        What was read ahead comes first, what opens the stream goes first, and all
        bytes cross as they are.
        """
        self.opening = b"opened "
        visitor, other = await self.meet()
        visitor.sendall(b"question")
        asked = await deferToThread(receiveExactly, other, 15)
        self.assertEqual(asked, b"opened question")
        other.sendall(b"answer")
        answer = await deferToThread(receiveExactly, visitor, 12)
        self.assertEqual(answer, b"early answer")
        self.assertEqual((self.joins[0].forth, self.joins[0].back), (8, 12))

    async def test_said(self) -> None:
        """
        What is to be said first goes ahead of all.
        """
        self.said, self.opening = b"hello ", b"opened "
        visitor, other = await self.meet()
        visitor.sendall(b"question")
        asked = await deferToThread(receiveExactly, other, 21)
        self.assertEqual(asked, b"hello opened question")

    async def test_theirEnd(self) -> None:
        """
        When the other side has ended the visitor sees the end behind the last byte.
        """
        visitor, other = await self.meet()
        data = bytes(range(256)) * 4096 * 4
        sending = deferToThread(self.sendAll, other, data)
        got = await deferToThread(receive, visitor)
        await sending
        self.assertEqual(got.ending, Ending.END)
        self.assertEqual(got.digest, sha256(b"early " + data))
        visitor.close()
        self.assertEqual(await self.outcome(), Outcome())

    def sendAll(self, sock: socket.socket, data: bytes) -> None:
        """
        Send, and end.
        """
        sock.sendall(data)
        if isinstance(sock, ssl.SSLSocket):
            # Without half-close, the other side may be gone before it answers.
            with contextlib.suppress(OSError):
                sock.unwrap()
        else:
            sock.shutdown(socket.SHUT_WR)

    async def test_visitorResets(self) -> None:
        """
        A visitor's reset is a reset at the other side, and no end.
        """
        visitor, other = await self.meet()
        reset(visitor)
        await deferToThread(self.expectReset, other)
        self.assertIs((await self.outcome()).code, ResetCode.PEER)

    def expectReset(self, sock: socket.socket) -> None:
        """
        Read up to what cannot be taken for an end.
        """
        with self.assertRaises((ConnectionResetError, ssl.SSLEOFError)):
            while sock.recv(999):
                pass

    async def test_theyReset(self) -> None:
        """
        A reset of the other side is one at the visitor's.
        """
        visitor, other = await self.meet()
        reset(other)
        got = await deferToThread(receive, visitor)
        self.assertEqual(got.ending, Ending.RESET)
        self.assertIs((await self.outcome()).code, ResetCode.PEER)

    async def test_backpressure(self) -> None:
        """
        Who does not read holds the sender up: next to nothing is kept in between.
        """
        visitor, _ = await self.meet()
        visitor.settimeout(0.5)
        with self.assertRaises(TimeoutError):
            await deferToThread(self.sendAll, visitor, bytes(64 * MiB))
        self.assertLess(self.joins[0].forth, 32 * MiB)


class PlainAdoptedTests(AdoptedTests):
    """
    What holds without TLS.
    """

    async def test_killed(self) -> None:
        """
        Who is on the other side when this process is killed sees a reset: the kernel
        has been told that before.
        """
        await self.meet()
        end: Any = self.adopted
        fast = self.path == "fast"
        sock: Any = end.sock if fast else socketOf(end.transport)
        lingers = sock.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, len(RESETTING))
        self.assertEqual(lingers, RESETTING)

    async def test_halfClose(self) -> None:
        """
        A visitor who has ended his question gets his answer.
        """
        visitor, other = await self.meet()
        visitor.sendall(b"question")
        visitor.shutdown(socket.SHUT_WR)
        asked = await deferToThread(receive, other)
        self.assertEqual(
            (asked.ending, asked.digest), (Ending.END, sha256(b"question"))
        )
        await deferToThread(self.sendAll, other, b"answer")
        got = await deferToThread(receive, visitor)
        self.assertEqual(got.digest, sha256(b"early answer"))
        self.assertEqual(await self.outcome(), Outcome())

    async def test_withheld(self) -> None:
        """
        Where the other side would take the end of his question for the end of all, it
        is told nothing of it before it has ended, too.
        """
        self.withhold = True
        visitor, other = await self.meet()
        visitor.sendall(b"question")
        visitor.shutdown(socket.SHUT_WR)
        asked = await deferToThread(receiveExactly, other, 8)
        self.assertEqual(asked, b"question")
        other.settimeout(0.3)
        with self.assertRaises(TimeoutError):
            await deferToThread(other.recv, 1)
        other.settimeout(20)
        await deferToThread(self.sendAll, other, b"answer")
        got = await deferToThread(receive, visitor)
        self.assertEqual(got.digest, sha256(b"early answer"))
        ended = await deferToThread(receive, other)
        self.assertEqual(ended.ending, Ending.END)
        self.assertEqual(await self.outcome(), Outcome())

    async def test_refused(self) -> None:
        """
        A connection that is refused at once has said it all the same.
        """
        self.said, self.refusing = b"hello ", True
        _, other = await self.meet()
        got = await deferToThread(receive, other)
        self.assertEqual((got.first, got.ending), (b"hello ", Ending.RESET))


class FastAdoptedTests(PlainAdoptedTests):
    """
    The same on the fast path.
    """

    path = "fast"
    skip = FAST


class SecureAdoptedTests(AdoptedTests):
    """
    The same under TLS.
    """

    secure = True


class FastSecureAdoptedTests(AdoptedTests):
    """
    The same under the loop's TLS.
    """

    path = "fast"
    secure = True
    skip = FAST


class EarlyTests(SynchronousTestCase):
    """
    What comes between the adoption and the join, as long as a local service is dialled.
    """

    def test_underTLS(self) -> None:
        """
        Under TLS more may come after a pause: none of it is lost, nor overtakes what
        came before.
        """
        connection = Connection(Holder())
        memory = MemoryTransport(connection)
        end, heard = HeldEnd(connection, b"one "), Heard()
        connection.dataReceived(b"two ")
        end.attach(heard)
        connection.dataReceived(b"three")
        self.assertEqual(heard.told, [])
        end.resumeReading()
        connection.dataReceived(b" four")
        self.assertEqual(heard.told, [b"one two three four"])
        end.abort()
        memory.settle()

    def test_endUnderTLS(self) -> None:
        """
        The end of all may come then, too, and stands behind the bytes.
        """
        connection = Connection(Holder())
        memory = MemoryTransport(connection)
        end, heard = HeldEnd(connection, b"all"), Heard()
        connection.connectionLost(Failure(ConnectionDone()))
        end.attach(heard)
        end.resumeReading()
        self.assertEqual(heard.told, [b"all", "finished"])
        memory.settle()

    def test_full(self) -> None:
        """
        Where the kernel did not take all that was said first, the visitor waits.
        """
        if FAST:
            raise SkipTest(FAST)
        from tunnelkit.relay.fast.adopted import AdoptedSocket
        from tunnelkit.relay.fast.loop import Loop

        ours, theirs = socket.socketpair()
        self.addCleanup(theirs.close)
        ours.setblocking(False)
        end = AdoptedSocket(Loop(cast(Any, reactor)), ours, "a client", b"")
        self.addCleanup(end.abort)
        end.putBytes(bytes(16 * MiB))
        heard = Heard()
        end.attach(heard)
        self.assertEqual(heard.told, ["blocked"])


class TunnelTests(SynchronousTestCase):
    """
    What is adopted is on a tunnel, as with C{tunnelkit forward 80 tunnel:...}.
    """

    def setUp(self) -> None:
        """
        Join a visitor to it.
        """
        self.clock = Clock()
        connection = Connection(Holder())
        self.far = ScriptedEnd(delivers=False)
        here = IPv4Address("TCP", LOOPBACK, 1)
        near = ProtocolEnd(connection, here, here, self.clock)
        outer = Join(self.clock)
        outer.start(self.far, near, b"")
        self.visitor = ScriptedEnd()
        self.join = Join(self.clock)
        end = cast(Any, adopted(connection, b"", False))
        self.join.start(self.visitor, end, b"")
        self.over: list[Outcome] = []
        self.join.ended.addCallback(self.over.append)
        self.turn()

    def turn(self) -> None:
        """
        Let the reactor go round.
        """
        for _ in range(5):
            self.clock.advance(0)

    def said(self, end: ScriptedEnd) -> list[object]:
        """
        Give what an end was told, but not how fast.
        """
        return [each for each in end.did if each not in ("pause", "resume")]

    def test_halfClose(self) -> None:
        """
        Who ends his direction is answered, and the answer reaches also one who is slow
        to take it.
        """
        self.visitor.hears.received(b"question")
        self.visitor.hears.finished()
        self.turn()
        self.assertEqual(self.said(self.far), [b"question", "finish"])
        self.far.hears.received(b"answer")
        self.visitor.hears.blocked()
        self.far.hears.finished()
        self.turn()
        self.visitor.hears.ready()
        self.turn()
        self.assertEqual(self.said(self.visitor), [b"answer", "finish"])
        self.assertEqual(self.over, [])
        self.visitor.hears.delivered()
        self.turn()
        self.assertEqual(self.over, [Outcome()])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_reset(self) -> None:
        """
        A reset is one at the other side.
        """
        self.far.hears.failed(ResetCode.PEER, "the service reset")
        self.turn()
        told, *_ = self.said(self.visitor)
        self.assertIs(cast(Any, told)[0], ResetCode.PEER)
        self.assertEqual(self.clock.getDelayedCalls(), [])
