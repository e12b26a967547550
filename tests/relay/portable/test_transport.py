"""
Tests for L{tunnelkit.relay.portable.transport}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IConsumer, IPushProducer, ITCPTransport
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.relay.portable.test_muxed import Muxed
from tunnelkit.relay.portable.transport import IDLE, PIECE, MuxedTransport
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


class Producer:
    """
    Remembers what it was asked for.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return lambda: self.asked.append(name.removesuffix("Producing"))


class TransportTests(SynchronousTestCase):
    """
    A protocol does not notice what it is on.
    """

    def setUp(self) -> None:
        """
        Put a protocol on a stream.
        """
        self.clock = Clock()
        self.end = Muxed()
        self.protocol = Told()
        self.transport = MuxedTransport(
            self.end, self.protocol, HERE, THERE, self.clock
        )
        self.end.received(b"early")
        self.transport.begin()
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
        self.transport.loseWriteConnection()
        self.assertTrue(self.transport.getTcpNoDelay())
        self.assertTrue(self.transport.getTcpKeepAlive())

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
        self.transport.write(b"too late")
        self.assertEqual(self.end.said, [b"one"])
        self.end.unblock()
        said = [b"one", b"two", b"x" * PIECE, b"x" * PIECE, "close"]
        self.assertEqual(self.end.said, said)
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
        self.assertEqual(self.end.said, [(ResetCode.PEER, "aborted")])
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
        self.assertEqual(producer.asked[3:], ["stop"])

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
