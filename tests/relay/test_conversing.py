"""
Tests of protocols of Twisted's as ends of joins: on both paths, over real sockets, with
work connections and without.
"""

from __future__ import annotations

import os
import socket
from hashlib import sha256 as hashed
from typing import Any, ClassVar, Final

from twisted.internet import reactor
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IHalfCloseableProtocol, IPullProducer
from twisted.internet.protocol import Protocol
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure
from zope.interface import implementer

from tests.relay.portable.test_raw import turned
from tests.relay.test_tunnel import FAST, TunnelCase
from tests.relay.tunnel import LOOPBACK, RELAYS, portOf
from tests.stage.sockets import Ending, connected, receive, receiveExactly, reset
from tunnelkit.interfaces import IEnd, IRelay, Outcome
from tunnelkit.relay.bucket import Bucket
from tunnelkit.relay.portable.protocol import ProtocolEnd
from tunnelkit.wire.address import HostPort
from tunnelkit.wire.codes import ResetCode

HERE: Final = IPv4Address("TCP", "192.0.2.1", 80)
THERE: Final = IPv4Address("TCP", "192.0.2.2", 5000)
MiB: Final = 1 << 20
MUCH: Final = 50 * MiB
HELD: Final = 24 * MiB
"""More than the kernels of a few connections of loopback may hold, and far less than
what is sent."""


class Talk(Protocol):
    """
    Answers what it hears with the same, and remembers how it ended.

    @ivar lost: how.
    @ivar digest: of all that came.
    @ivar echoes: whether it answers.
    """

    transport: Any
    echoes = True

    def __init__(self) -> None:
        self.count = 0
        self.digest = hashed()
        self.lost: Deferred[str] = Deferred()
        self.made: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        """
        It is there.
        """
        self.made.callback(None)

    def dataReceived(self, data: bytes) -> None:
        """
        Answer.
        """
        self.count += len(data)
        self.digest.update(data)
        if self.echoes:
            self.transport.write(data)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """
        It is over.
        """
        self.lost.callback(type(reason.value).__name__)


@implementer(IHalfCloseableProtocol)
class Halving(Talk):
    """
    Says more when the other side has ended.
    """

    def readConnectionLost(self) -> None:
        """
        Say good-bye.
        """
        self.transport.write(b" and bye")
        self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """
        That was to be.
        """


@implementer(IPullProducer)
class Flood:
    """
    Writes much, as it is asked for it.
    """

    def __init__(self, transport: Any) -> None:
        self.transport = transport
        self.count = 0
        self.piece = os.urandom(MiB)
        transport.registerProducer(self, False)

    def resumeProducing(self) -> None:
        """
        Write a piece, and close behind the last.
        """
        self.count += len(self.piece)
        self.transport.write(self.piece)
        if self.count >= MUCH:
            self.transport.unregisterProducer()
            self.transport.loseConnection()

    def stopProducing(self) -> None:
        """
        Write no more.
        """


class ConversationCase(TunnelCase):
    """
    A tunnel with a program at its end, in place of a service.
    """

    protocol: type[Talk] = Talk

    def setUp(self) -> None:
        """
        Remember the conversations.
        """
        super().setUp()
        self.talks: list[Any] = []

    def end(self) -> IEnd:
        """
        Make what is joined.
        """
        talk = self.protocol()
        self.talks.append(talk)
        return ProtocolEnd(talk, HERE, THERE, reactor)

    async def begin(self) -> None:
        """
        Make a tunnel with one work connection.
        """
        await self.open()
        self.tunnel.client.serve = self.end

    async def come(self) -> tuple[socket.socket, Any]:
        """
        Let a visitor come.

        @return: his socket, and the protocol for him.
        """
        seen = len(self.talks)
        visitor = await deferToThread(connected, (LOOPBACK, self.tunnel.port))
        self.addCleanup(visitor.close)
        while len(self.talks) == seen:
            await turned()
        talk = self.talks[-1]
        await talk.made
        return visitor, talk


class PortableConversationTests(ConversationCase):
    """
    Over the portable path, under TLS.
    """

    async def test_halfClose(self) -> None:
        """
        A visitor who has ended is answered, one after the other over the same work
        connection.
        """
        self.protocol = Halving
        await self.begin()
        for number in range(3):
            visitor, talk = await self.come()
            await deferToThread(visitor.sendall, b"hello")
            visitor.shutdown(socket.SHUT_WR)
            self.assertEnded(await deferToThread(receive, visitor), b"hello and bye")
            self.assertEqual(await talk.lost, "ConnectionDone")
            await self.settled(number + 1)
            visitor.close()
        self.assertEqual(self.tunnel.client.outcomes, [Outcome()] * 3)
        self.assertEqual(self.tunnel.server.outcomes, [Outcome()] * 3)
        self.assertEqual(len(self.tunnel.client.works), 1)
        self.assertEqual(self.tunnel.client.losses, [])

    async def test_closes(self) -> None:
        """
        A visitor who goes on to speak gets all that was said, and a clean end, when the
        program closes; the work connection is good for the next one.
        """
        await self.begin()
        for number in range(2):
            visitor, talk = await self.come()
            await deferToThread(visitor.sendall, b"hello")
            await deferToThread(receiveExactly, visitor, 5)
            last = os.urandom(3_000_000)
            talk.transport.write(last)
            talk.transport.loseConnection()
            await deferToThread(visitor.sendall, b"still here")
            self.assertEnded(await deferToThread(receive, visitor), last)
            self.assertEqual(await talk.lost, "ConnectionDone")
            visitor.close()
            await self.settled(number + 1)
            self.assertEqual(talk.count, 5)
        self.assertEqual(self.tunnel.client.losses, [])

    async def test_resets(self) -> None:
        """
        A program that aborts resets its visitor, and a visitor who resets is told as
        lost; nobody else suffers.
        """
        await self.begin()
        visitor, talk = await self.come()
        talk.transport.abortConnection()
        await self.assertReset(visitor)
        self.assertEqual(await talk.lost, "ConnectionAborted")
        await self.settled(1)
        visitor, talk = await self.come()
        reset(visitor)
        self.assertEqual(await talk.lost, "ConnectionLost")
        await self.settled(2)
        self.assertEqual(self.tunnel.client.losses, [])

    async def test_lost(self) -> None:
        """
        A work connection that is lost is a lost connection to both, not an end.
        """
        await self.begin()
        visitor, talk = await self.come()
        self.tunnel.server.works[0].abort()
        await self.assertReset(visitor)
        self.assertEqual(await talk.lost, "ConnectionLost")

    async def test_pausedReader(self) -> None:
        """
        Of 50 MB that a visitor sends to a program that does not read little more than
        what kernels hold is taken; all comes when it does.
        """
        await self.begin()
        visitor, talk = await self.come()
        talk.echoes = False
        talk.transport.pauseProducing()
        piece = os.urandom(MiB)
        visitor.settimeout(0.3)
        sent = 0
        digest = hashed()
        try:
            while True:
                part = await deferToThread(visitor.send, piece)
                digest.update(piece[:part])
                sent += part
        except TimeoutError:
            pass
        self.assertLess(sent, HELD)
        self.assertEqual(talk.count, 0)
        talk.transport.resumeProducing()
        visitor.settimeout(20)

        def rest() -> None:
            for _ in range((MUCH - sent) // MiB):
                visitor.sendall(piece)
                digest.update(piece)
            visitor.shutdown(socket.SHUT_WR)

        await deferToThread(rest)
        self.assertEqual(await talk.lost, "ConnectionDone")
        self.assertEqual(talk.digest.digest(), digest.digest())
        self.assertEqual((await deferToThread(receive, visitor)).ending, Ending.END)
        await self.settled(1)

    async def test_slowVisitor(self) -> None:
        """
        A program that has 50 MB for a visitor who does not read is asked for little
        more than what kernels hold; all comes when he does, and the end behind it.
        """
        await self.begin()
        visitor, talk = await self.come()
        flood = Flood(talk.transport)
        before = -1
        while before != flood.count:
            before = flood.count
            for _ in range(200):
                await turned()
        self.assertLess(flood.count, HELD)
        received = await deferToThread(receive, visitor)
        self.assertEqual((received.count, received.ending), (MUCH, Ending.END))
        self.assertEqual(await talk.lost, "ConnectionDone")
        visitor.close()
        await self.settled(1)

    async def test_limited(self) -> None:
        """
        A limit holds for a program as for a service.
        """
        await self.begin()
        clock: Any = reactor
        bucket = Bucket(clock, 1_000_000, 100_000)
        self.tunnel.client.buckets = bucket, None
        visitor, talk = await self.come()
        talk.echoes = False
        before = clock.seconds()
        await deferToThread(visitor.sendall, bytes(400_000))
        visitor.close()
        await talk.lost
        self.assertEqual(talk.count, 400_000)
        self.assertGreater(clock.seconds() - before, 0.2)


class PortablePlainConversationTests(PortableConversationTests):
    """
    The same without TLS.
    """

    secure = False


class PackedConversationTests(PortableConversationTests):
    """
    The same where the tunnel compresses.
    """

    compress = "deflate"


class FastConversationTests(PortableConversationTests):
    """
    The same over the fast path.
    """

    path = "fast"
    skip = FAST


class FastPlainConversationTests(FastConversationTests):
    """
    The same over the fast path without TLS.
    """

    secure = False


class PortableRawTests(TunnelCase):
    """
    A public port whose visitors a program speaks with, without a tunnel.
    """

    path: ClassVar[str] = "portable"

    async def test_visitors(self) -> None:
        """
        It is the same with visitors of one's own: ends, resets, closes.
        """
        running: Any = reactor
        relay: IRelay = RELAYS[self.path](running, 300.0)
        talks: list[Halving] = []
        outcomes: list[Outcome] = []

        def arrived(end: IEnd) -> None:
            talk = Halving()
            talks.append(talk)
            near = ProtocolEnd(talk, HERE, THERE, reactor)
            relay.join(end, near, b"").ended.addCallback(outcomes.append)

        port = relay.listen(HostPort(LOOPBACK, 0), arrived)
        self.addCleanup(maybeDeferred, port.stopListening)

        def visit() -> socket.socket:
            visitor = connected((LOOPBACK, portOf(port)))
            self.addCleanup(visitor.close)
            visitor.sendall(b"hello")
            receiveExactly(visitor, 5)
            return visitor

        visitor = await deferToThread(visit)
        visitor.shutdown(socket.SHUT_WR)
        self.assertEnded(await deferToThread(receive, visitor), b" and bye")
        visitor = await deferToThread(visit)
        talks[1].transport.abortConnection()
        await self.assertReset(visitor)
        visitor = await deferToThread(visit)
        last = os.urandom(5_000_000)
        talks[2].transport.write(last)
        talks[2].transport.loseConnection()
        self.assertEnded(await deferToThread(receive, visitor), last)
        visitor = await deferToThread(visit)
        reset(visitor)
        lost = [await talk.lost for talk in talks]
        done = "ConnectionDone"
        self.assertEqual(lost, [done, "ConnectionAborted", done, "ConnectionLost"])
        codes = [ResetCode.ENDED, ResetCode.PEER, ResetCode.ENDED, ResetCode.PEER]
        self.assertEqual([outcome.code for outcome in outcomes], codes)


class FastRawTests(PortableRawTests):
    """
    On the fast path.
    """

    path = "fast"
    skip = FAST
