"""
Tests for L{tunnelkit.relay.portable.protocol} and
L{tunnelkit.relay.portable.transport}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import (
    IConsumer,
    IHalfCloseableProtocol,
    IPushProducer,
    ITCPTransport,
)
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from tests.relay.memory import ScriptedEnd
from tests.relay.portable.test_muxed import Muxed
from tunnelkit.interfaces import Outcome
from tunnelkit.relay.portable.protocol import ProtocolEnd
from tunnelkit.relay.portable.transport import PIECE
from tunnelkit.relay.streams.join import IDLE, Join
from tunnelkit.wire.codes import ResetCode

HERE = IPv4Address("TCP", "192.0.2.1", 1)
THERE = IPv4Address("TCP", "192.0.2.2", 2)


class Told(Protocol):
    """
    Remembers what it was told.
    """

    def __init__(self) -> None:
        self.told: list[Any] = []

    def dataReceived(self, data: bytes) -> None:
        """
        Remember.
        """
        self.told.append(data)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """
        Remember.
        """
        self.told.append(type(reason.value).__name__)


@implementer(IHalfCloseableProtocol)
class Halves(Told):
    """
    Hears of half an end.
    """

    def readConnectionLost(self) -> None:
        """
        Remember.
        """
        self.told.append("read lost")

    def writeConnectionLost(self) -> None:
        """
        Remember.
        """
        self.told.append("write lost")


class Producer:
    """
    Remembers what it was asked for.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return lambda: self.asked.append(name.removesuffix("Producing"))


class Broken(Producer):
    """
    Has a bug in one thing that it is asked for.
    """

    def __init__(self, broken: str) -> None:
        super().__init__()
        self.broken = broken

    def __getattr__(self, name: str) -> Any:
        return self._fail if name == self.broken else super().__getattr__(name)

    def _fail(self) -> None:
        raise RuntimeError("a bug")


class MuxedTests(SynchronousTestCase):
    """
    A protocol does not notice what it is on, where that is a stream that ends both
    ways at once.
    """

    def setUp(self) -> None:
        """
        Put a protocol on a stream.
        """
        self.clock = Clock()
        self.end = Muxed()
        self.protocol = Told()
        self.near = ProtocolEnd(self.protocol, HERE, THERE, self.clock, halves=False)
        self.transport = self.near.transport
        self.end.received(b"early")
        self.join = Join(self.clock)
        self.join.start(self.near, self.end, b"")
        self.addCleanup(
            lambda: self.assertEqual(self.clock.getDelayedCalls(), []),
        )

    def test_contract(self) -> None:
        """
        It is what a protocol expects of TCP.
        """
        for interface in (ITCPTransport, IConsumer, IPushProducer):
            verifyObject(interface, self.transport)
        self.assertEqual(self.transport.getPeer(), THERE)
        self.assertEqual(self.transport.getHost(), HERE)
        self.transport.setTcpNoDelay(False)
        self.transport.setTcpKeepAlive(False)
        self.assertTrue(self.transport.getTcpNoDelay())
        self.assertTrue(self.transport.getTcpKeepAlive())
        self.transport.loseWriteConnection()
        self.transport.abortConnection()
        self.clock.advance(0)

    def test_reads(self) -> None:
        """
        What came early comes first; while it is paused nothing does.
        """
        self.end.received(b"one")
        self.transport.pauseProducing()
        self.end.received(b"two")
        self.assertEqual(self.protocol.told, [b"early", b"one"])
        self.transport.resumeProducing()
        self.assertEqual(self.protocol.told, [b"early", b"one", b"two"])

    def test_writes(self) -> None:
        """
        While the other side takes nothing what is written waits, in its order, and
        closing waits for it.
        """
        self.transport.write(b"one")
        self.end.block()
        self.transport.writeSequence([b"t", b"wo"])
        self.transport.write(b"x" * (2 * PIECE))
        self.transport.loseConnection()
        self.transport.loseConnection()
        self.clock.advance(0)
        self.assertEqual(self.end.said, [b"one"])
        self.end.unblock()
        said = [b"one", b"two", b"x" * PIECE, b"x" * PIECE, "close"]
        self.assertEqual(self.end.said, said)
        self.transport.write(b"too late")
        self.clock.advance(0)
        self.assertEqual(self.protocol.told[1:], ["ConnectionDone"])

    def test_deadline(self) -> None:
        """
        That does not wait for ever.
        """
        self.end.block()
        self.transport.write(b"one")
        self.transport.loseConnection()
        self.clock.advance(IDLE)
        self.clock.advance(0)
        gaveUp = "the program at the other end gave the connection up"
        self.assertEqual(self.end.said, [(ResetCode.PEER, gaveUp)])
        self.assertEqual(self.protocol.told[1:], ["ConnectionAborted"])

    def test_ended(self) -> None:
        """
        The end of the stream is the end of the connection, once all is read.
        """
        self.transport.pauseProducing()
        self.end.received(b"last")
        self.end.ended()
        self.clock.advance(0)
        self.assertEqual(self.protocol.told, [b"early"])
        self.transport.resumeProducing()
        self.clock.advance(0)
        self.assertEqual(self.protocol.told[1:], [b"last", "ConnectionDone"])
        self.transport.abortConnection()
        self.transport.write(b"nowhere")

    def test_failed(self) -> None:
        """
        A stream that fails is a connection that is lost.
        """
        producer = Producer()
        self.transport.registerProducer(producer, True)
        self.end.lost(ResetCode.LOST, "the other side is gone")
        self.clock.advance(0)
        self.assertEqual(self.protocol.told[1:], ["ConnectionLost"])
        self.assertEqual(producer.asked, ["stop"])
        late = Producer()
        self.transport.registerProducer(late, True)
        self.assertEqual(late.asked, ["stop"])

    def test_broken(self) -> None:
        """
        A protocol with a bug loses its connection, and the log has the bug.
        """

        def broken(data: bytes) -> None:
            raise RuntimeError("a bug")

        self.protocol.dataReceived = broken  # type: ignore[method-assign]
        self.end.received(b"x")
        self.clock.advance(0)
        self.assertEqual(self.protocol.told[1:], ["RuntimeError"])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_brokenProducer(self) -> None:
        """
        Who produces and has a bug loses his connection and no other: he may share what
        is below.
        """
        for broken in "pauseProducing", "resumeProducing":
            self.setUp()
            self.transport.registerProducer(Broken(broken), True)
            self.end.block()
            self.end.unblock()
            self.clock.advance(0)
            self.assertEqual(self.protocol.told[1:], ["RuntimeError"])
            self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.setUp()
        self.transport.abortConnection()
        self.clock.advance(0)

    def test_brokenStop(self) -> None:
        """
        One that fails as it is told to stop: the protocol hears of the end.
        """
        self.transport.registerProducer(Broken("stopProducing"), True)
        self.end.lost(ResetCode.LOST, "the other side is gone")
        self.clock.advance(0)
        self.assertEqual(self.protocol.told[1:], ["ConnectionLost"])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_text(self) -> None:
        """
        Text is refused where it is written, also while nothing can go; what is right
        still goes.
        """
        text: Any = "text"
        self.assertRaises(TypeError, self.transport.write, text)
        self.end.block()
        self.assertRaises(TypeError, self.transport.write, text)
        self.transport.write(b"right")
        self.end.unblock()
        self.assertEqual(self.end.said, [b"right"])
        self.transport.abortConnection()
        self.clock.advance(0)

    def test_producer(self) -> None:
        """
        Who produces is told when to pause and when to go on.
        """
        producer = Producer()
        self.transport.registerProducer(producer, True)
        self.assertRaises(RuntimeError, self.transport.registerProducer, producer, True)
        self.end.block()
        self.end.unblock()
        self.transport.unregisterProducer()
        self.end.block()
        self.transport.registerProducer(producer, True)
        self.assertEqual(producer.asked, ["pause", "resume", "pause"])
        self.transport.stopProducing()
        self.clock.advance(0)
        self.assertEqual(producer.asked[3:], [])
        self.end.unblock()
        self.transport.write(b"last")
        self.transport.unregisterProducer()
        self.clock.advance(0)
        self.clock.advance(0)
        self.assertEqual(producer.asked[3:], ["resume"])
        self.assertEqual(self.end.said, [b"last", "close"])
        self.assertEqual(self.protocol.told[1:], ["ConnectionDone"])

    def test_pull(self) -> None:
        """
        Who is to be asked each time is asked each time that bytes were taken.
        """
        producer = Producer()
        self.transport.registerProducer(producer, False)
        self.transport.write(b"one")
        self.clock.advance(0)
        self.assertEqual(producer.asked, ["resume", "resume"])
        self.end.block()
        self.transport.write(b"two")
        self.clock.advance(0)
        self.assertEqual(producer.asked, ["resume", "resume"])
        self.end.unblock()
        self.assertEqual(producer.asked, ["resume", "resume", "resume"])


class HalvingCase(SynchronousTestCase):
    """
    A protocol on a stream each direction of which ends by itself.
    """

    kind: type[Told] = Told

    def setUp(self) -> None:
        """
        Put a protocol on a stream.
        """
        self.clock = Clock()
        self.protocol = self.kind()
        self.begin(ScriptedEnd(delivers=False))
        self.addCleanup(
            lambda: self.assertEqual(self.clock.getDelayedCalls(), []),
        )

    def begin(self, far: ScriptedEnd) -> None:
        """
        Begin to relay.
        """
        self.far = far
        self.near = ProtocolEnd(self.protocol, HERE, THERE, self.clock)
        self.transport = self.near.transport
        self.join = Join(self.clock)
        self.join.start(self.far, self.near, b"")
        self.assertEqual(self.far.did, ["resume"])
        self.far.did.clear()
        self.over: list[Outcome] = []
        self.join.ended.addCallback(self.over.append)

    def turn(self) -> None:
        """
        Let the reactor go round.
        """
        for _ in range(3):
            self.clock.advance(0)


class OrdinaryTests(HalvingCase):
    """
    Most protocols hear of no half an end.
    """

    def test_addresses(self) -> None:
        """
        The log shows who is at either side.
        """
        self.assertEqual(self.near.peer, "192.0.2.2:2")
        self.assertEqual(self.near.local, "192.0.2.1:1")
        self.assertEqual(self.near.unsent(), 0)
        self.near.abort()
        self.turn()

    def test_closes(self) -> None:
        """
        Who closes has said all, and is bothered no more by what the other side says.
        """
        self.transport.write(b"bye")
        self.transport.loseConnection()
        self.far.hears.received(b"ignored")
        self.turn()
        self.assertEqual(self.far.did, [b"bye", "release"])
        self.assertEqual(self.protocol.told, ["ConnectionDone"])
        self.assertEqual(self.over, [Outcome()])
        self.assertFalse(self.transport.connected)

    def test_closesUndelivered(self) -> None:
        """
        He hears that it is closed when the last bytes are with the kernel.
        """
        self.transport.abortConnection()
        self.turn()
        self.protocol = Told()
        self.begin(ScriptedEnd(delivers=True))
        self.transport.loseConnection()
        self.turn()
        self.assertEqual((self.far.did, self.protocol.told), (["finish"], []))
        self.far.hears.delivered()
        self.turn()
        self.assertEqual(self.far.did, ["finish", "release"])
        self.assertEqual(self.protocol.told, ["ConnectionDone"])

    def test_otherEnds(self) -> None:
        """
        The end of the other side is the end of the connection; what was written before
        still goes.
        """
        producer = Producer()
        self.far.hears.blocked()
        self.transport.write(b"on its way")
        self.transport.registerProducer(producer, True)
        self.far.hears.finished()
        self.turn()
        self.assertEqual(producer.asked, ["pause", "stop"])
        self.assertEqual((self.far.did, self.protocol.told), ([], []))
        self.far.hears.ready()
        self.turn()
        self.assertEqual(self.far.did, [b"on its way", "release"])
        self.assertEqual(self.protocol.told, ["ConnectionDone"])

    def test_reset(self) -> None:
        """
        A reset of the other side's is a connection that is lost, and not one that has
        ended well.
        """
        self.far.hears.failed(ResetCode.LOST, "gone")
        self.turn()
        self.assertEqual(self.protocol.told, ["ConnectionLost"])
        self.assertEqual(self.far.did, [(ResetCode.LOST, "gone"), "release"])

    def test_aborts(self) -> None:
        """
        Who aborts resets the other side.
        """
        self.far.hears.blocked()
        self.transport.write(b"nobody gets this")
        self.transport.abortConnection()
        self.transport.abortConnection()
        self.transport.write(b"nor this")
        self.transport.resumeProducing()
        self.transport.loseConnection()
        self.turn()
        (outcome,) = self.over
        self.assertEqual(outcome.code, ResetCode.PEER)
        self.assertEqual(self.protocol.told, ["ConnectionAborted"])

    def test_abortedBefore(self) -> None:
        """
        One that is aborted before it begins is reset when it does.
        """
        near = ProtocolEnd(Told(), HERE, THERE, self.clock)
        near.abort()
        far, join = ScriptedEnd(), Join(self.clock)
        join.start(far, near, b"")
        self.assertEqual(self.successResultOf(join.ended).code, ResetCode.PEER)
        self.near.abort()
        self.turn()

    def test_pauses(self) -> None:
        """
        A protocol that takes no more for now gets nothing, not even what was on its
        way; the other side is not read meanwhile, and its end is told behind its bytes.
        """
        self.transport.pauseProducing()
        self.transport.pauseProducing()
        self.assertEqual(self.far.did, ["pause"])
        self.far.hears.received(b"one")
        self.far.hears.received(b"two")
        self.far.hears.finished()
        self.turn()
        self.assertEqual(self.protocol.told, [])
        self.transport.resumeProducing()
        self.transport.resumeProducing()
        self.turn()
        self.assertEqual(self.protocol.told, [b"one", b"two", "ConnectionDone"])
        self.assertEqual(self.far.did, ["pause", "resume", "release"])

    def test_pausedEnd(self) -> None:
        """
        A protocol that does not read, as one that is at work on an answer, is not told
        of an end meanwhile, and its answer goes.
        """
        self.transport.pauseProducing()
        self.far.hears.finished()
        self.turn()
        self.transport.write(b"answer")
        self.assertEqual(self.protocol.told, [])
        self.transport.resumeProducing()
        self.turn()
        self.assertEqual(self.protocol.told, ["ConnectionDone"])
        self.assertEqual(self.far.did, ["pause", "resume", b"answer", "release"])

    def test_pausesInBetween(self) -> None:
        """
        One that pauses and goes on while it is told something is not told more before
        it is through with that.
        """
        depth, deepest = 0, 0

        def received(data: bytes) -> None:
            nonlocal depth, deepest
            depth += 1
            deepest = max(depth, deepest)
            self.transport.pauseProducing()
            self.transport.resumeProducing()
            self.protocol.told.append(data)
            depth -= 1

        self.protocol.dataReceived = received  # type: ignore[method-assign]
        self.transport.pauseProducing()
        sent = [b"%d" % number for number in range(2000)]
        for data in sent:
            self.far.hears.received(data)
        self.transport.resumeProducing()
        self.turn()
        self.assertEqual((self.protocol.told, deepest), (sent, 1))
        self.near.abort()
        self.turn()

    def test_resumed(self) -> None:
        """
        Then the other side is read again.
        """
        self.transport.pauseProducing()
        self.transport.resumeProducing()
        self.assertEqual(self.far.did, ["pause", "resume"])
        self.near.abort()
        self.turn()

    def test_brokenAtFirst(self) -> None:
        """
        A protocol that fails as it is connected resets the other side.
        """
        self.near.abort()
        self.turn()
        self.protocol = Told()

        def broken() -> None:
            raise RuntimeError("a bug")

        self.protocol.connectionMade = broken  # type: ignore[method-assign]
        far, join = ScriptedEnd(), Join(self.clock)
        join.start(far, ProtocolEnd(self.protocol, HERE, THERE, self.clock), b"")
        self.turn()
        self.assertEqual(self.successResultOf(join.ended).code, ResetCode.PEER)
        self.assertEqual(self.protocol.told, ["RuntimeError"])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_speaksFirst(self) -> None:
        """
        What a protocol says as it is connected goes; and what the opening was is for
        it.
        """
        self.near.abort()
        self.turn()
        self.protocol = Told()
        said = self.protocol

        def made() -> None:
            said.transport.write(b"welcome")  # type: ignore[union-attr]

        said.connectionMade = made  # type: ignore[method-assign]
        far, join = ScriptedEnd(), Join(self.clock)
        near = ProtocolEnd(said, HERE, THERE, self.clock)
        join.start(far, near, b"opening")
        self.assertEqual(said.told, [b"opening"])
        self.assertEqual(far.did, ["resume", b"welcome"])
        self.assertEqual((join.forth, join.back), (0, 7))
        near.abort()
        self.turn()


class HalfTests(HalvingCase):
    """
    A protocol that hears of half an end may go on with the other half.
    """

    kind = Halves

    def test_otherFirst(self) -> None:
        """
        The other side may end before it is answered.
        """
        self.far.hears.received(b"question")
        self.far.hears.finished()
        self.turn()
        self.assertEqual(self.protocol.told, [b"question", "read lost"])
        self.transport.write(b"answer")
        self.transport.loseWriteConnection()
        self.transport.loseWriteConnection()
        self.turn()
        self.assertEqual(self.far.did, [b"answer", "release"])
        self.assertEqual(self.protocol.told[2:], ["write lost", "ConnectionDone"])
        self.assertEqual(self.over, [Outcome()])

    def test_selfFirst(self) -> None:
        """
        It may end before it gets the answer.
        """
        self.transport.write(b"question")
        self.transport.loseWriteConnection()
        self.turn()
        self.assertEqual(self.far.did, [b"question", "finish"])
        self.transport.write(b"nothing goes behind the end")
        self.far.hears.received(b"answer")
        self.far.hears.finished()
        self.turn()
        told = ["write lost", b"answer", "read lost", "ConnectionDone"]
        self.assertEqual(self.protocol.told, told)
        self.assertEqual(self.far.did, [b"question", "finish", "release"])

    def test_closesThen(self) -> None:
        """
        It may close what it has half closed; what the other side goes on to say is in
        vain.
        """
        self.transport.loseWriteConnection()
        self.turn()
        self.transport.loseConnection()
        self.turn()
        self.assertEqual(self.far.did, ["finish", "release"])
        self.assertEqual(self.protocol.told, ["write lost", "ConnectionDone"])

    def test_idle(self) -> None:
        """
        Half a connection on which nothing happens is cut.
        """
        self.transport.loseWriteConnection()
        self.turn()
        self.clock.pump([IDLE, 0])
        (outcome,) = self.over
        self.assertEqual(outcome.code, ResetCode.IDLE)
        self.assertEqual(self.protocol.told, ["write lost", "ConnectionLost"])

    def test_onlyOnce(self) -> None:
        """
        It hears of an end once, however it goes on.
        """
        self.far.hears.finished()
        self.transport.pauseProducing()
        self.transport.resumeProducing()
        self.turn()
        self.assertEqual(self.protocol.told, ["read lost"])
        self.near.abort()
        self.turn()


class FaceToFaceTests(SynchronousTestCase):
    """
    Two protocols of one program, joined to each other.
    """

    def test_pingPong(self) -> None:
        """
        Who answers at once is not told the answer to that before he is through.
        """
        clock, depth, deepest, rounds = Clock(), 0, 0, 0

        class Ponging(Told):
            def dataReceived(self, data: bytes) -> None:
                nonlocal depth, deepest, rounds
                depth += 1
                rounds += 1
                deepest = max(depth, deepest)
                if rounds < 5000:
                    self.transport.write(data)  # type: ignore[union-attr]
                else:
                    self.transport.loseConnection()  # type: ignore[union-attr]
                depth -= 1

        one, other = Ponging(), Ponging()
        near = ProtocolEnd(one, HERE, THERE, clock)
        far = ProtocolEnd(other, THERE, HERE, clock)
        join = Join(clock)
        join.start(near, far, b"")
        near.transport.write(b"ping")
        while clock.getDelayedCalls():
            clock.advance(0)
        self.assertEqual(self.successResultOf(join.ended), Outcome())
        self.assertEqual((one.told, other.told), (["ConnectionDone"],) * 2)
        self.assertLess(deepest, 3)
