"""
Tests for L{tunnelkit.relay.fast.secure.transport}.
"""

from __future__ import annotations

import ssl
from typing import Any

from OpenSSL import SSL
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IConsumer,
    IHandshakeListener,
    IPushProducer,
    ISSLTransport,
    ITCPTransport,
)
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from zope.interface import implementer
from zope.interface.verify import verifyObject

from tests.relay.fast.case import (
    ABLE,
    LOOPBACK,
    PAIR,
    SERVER_CONTEXT,
    LoopCase,
    SecurePeer,
)
from tests.stage.sockets import noise
from tunnelkit.relay.connection import Connection, Holder
from tunnelkit.relay.secure import TLS13, Seen

if ABLE:
    from tunnelkit.relay.fast.secure.tls import TLS
    from tunnelkit.relay.fast.secure.transport import SecureTransport

HERE = IPv4Address("TCP", LOOPBACK, 1)
THERE = IPv4Address("TCP", LOOPBACK, 2)


@implementer(IHandshakeListener)
class Remembering(Protocol):
    """
    A protocol that remembers.

    @ivar got: what came.
    @ivar lost: why it ended.
    @ivar shaken: how often the handshake was complete.
    """

    transport: Any

    def __init__(self) -> None:
        self.got = b""
        self.lost: Failure | None = None
        self.shaken = 0

    def handshakeCompleted(self) -> None:
        """
        Remember that.
        """
        self.shaken += 1

    def dataReceived(self, data: bytes) -> None:
        """
        Remember that.
        """
        self.got += data

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """
        Remember that.
        """
        assert self.lost is None, "told twice"
        self.lost = reason


class Pausing(Remembering):
    """
    The same, which takes nothing at first.
    """

    def handshakeCompleted(self) -> None:
        """
        Pause.
        """
        super().handshakeCompleted()
        self.transport.pauseProducing()


class TransportCase(LoopCase):
    """
    The server's side of a connection.
    """

    def begun(
        self, protocol: Remembering | None = None, buffer: int = 0, rest: bytes = b""
    ) -> tuple[Any, SecurePeer]:
        """
        Begin; the handshake is to come.
        """
        ours, theirs = self.pair(buffer)
        self.below = Connection(Holder())
        protocol = protocol or Remembering()
        transport = SecureTransport(
            TLS(ours, SERVER_CONTEXT, certificate=PAIR.der),
            protocol,
            self.reactor,  # type: ignore[arg-type]
            (THERE, HERE),
            self.below,
        )
        transport.begin(rest)
        self.addCleanup(self.turn)
        self.addCleanup(transport.abortConnection)
        return protocol, SecurePeer(self, theirs, False)

    def up(
        self, protocol: Remembering | None = None, buffer: int = 0
    ) -> tuple[Any, SecurePeer]:
        """
        Begin, and shake hands.
        """
        made, peer = self.begun(protocol, buffer)
        self.until(lambda: peer.shake() and made.shaken)
        return made, peer


class TransportTests(TransportCase):
    """
    Tests for L{SecureTransport}.
    """

    def test_contract(self) -> None:
        """
        It is a transport as Twisted's are.
        """
        protocol, _ = self.up()
        transport = protocol.transport
        for interface in (ITCPTransport, ISSLTransport, IConsumer, IPushProducer):
            self.assertTrue(interface.providedBy(transport))
        verifyObject(IPushProducer, transport)
        self.assertEqual((transport.getPeer(), transport.getHost()), (THERE, HERE))
        self.assertEqual(transport.seen, Seen(TLS13, PAIR.der))
        self.assertEqual(transport.getPeerCertificate(), PAIR.der)
        self.assertEqual(transport.getHandle().fileno(), transport.fileno())
        for flag in (True, False):
            transport.setTcpNoDelay(flag)
            transport.setTcpKeepAlive(flag)
            self.assertEqual(transport.getTcpNoDelay(), flag)
            self.assertEqual(transport.getTcpKeepAlive(), flag)

    def test_words(self) -> None:
        """
        Both sides hear each other, after one handshake.
        """
        protocol, peer = self.up()
        peer.send(b"question")
        self.until(lambda: protocol.got == b"question")
        protocol.transport.write(b"ans")
        protocol.transport.writeSequence([b"w", b"er"])
        self.assertEqual(peer.reads(6), b"answer")
        self.assertEqual(protocol.shaken, 1)

    def test_writtenBefore(self) -> None:
        """
        What is written before the handshake is complete comes behind it.
        """
        protocol, peer = self.begun()
        protocol.transport.write(b"early ")
        self.turn()
        self.until(lambda: peer.shake() and protocol.shaken)
        protocol.transport.write(b"later")
        self.assertEqual(peer.reads(11), b"early later")

    def test_readAhead(self) -> None:
        """
        The first bytes may have been read by somebody else, any number of them, and
        are kept for who wants to say what came.
        """
        for cut in (1, 16, 150, 10_000):
            peer = SecurePeer(self, self.pair()[1], False)
            try:
                peer.tls.do_handshake()
            except ssl.SSLWantReadError:
                hello = peer.out.read()
            protocol, own = self.begun(rest=hello[:cut])
            peer.sock = own.sock
            peer.pour(hello[cut:] or b"")
            self.until(
                lambda peer=peer, protocol=protocol: peer.shake() and protocol.shaken
            )
            self.assertTrue(hello.startswith(self.below.first))
            peer.send(b"x")
            self.until(lambda protocol=protocol: protocol.got)

    def test_much(self) -> None:
        """
        Much that is written to one who reads slowly comes whole, and the producer
        is told when to pause and when to go on.
        """
        protocol, peer = self.up(buffer=8192)
        told: list[str] = []

        class Producer:
            pauseProducing = staticmethod(lambda: told.append("pause"))
            resumeProducing = staticmethod(lambda: told.append("resume"))
            stopProducing = staticmethod(lambda: told.append("stop"))

        protocol.transport.registerProducer(Producer(), True)
        data = noise(1_000_000)
        protocol.transport.write(data)
        self.assertEqual(told, ["pause"])
        self.assertEqual(peer.reads(len(data)), data)
        self.until(lambda: told == ["pause", "resume"])
        protocol.transport.unregisterProducer()

    def test_paused(self) -> None:
        """
        A protocol that pauses gets nothing until it resumes, and then all: what was
        decrypted, what was read and not decrypted, and what the kernel has.
        """
        protocol, peer = self.begun(Pausing())
        self.until(lambda: peer.shake() and protocol.shaken)
        data = noise(200_000)
        ready = peer.encrypted(data)
        peer.pour(ready[:100_000])
        self.turn()
        self.assertEqual(protocol.got, b"")
        protocol.transport.resumeProducing()
        peer.pour(ready[100_000:])
        self.until(lambda: protocol.got == data)

    def test_pausedWithPending(self) -> None:
        """
        The same where words came in one piece with the last of the handshake: they
        wait as they should, though the kernel has nothing more to tell.
        """
        protocol, peer = self.begun(Pausing())
        self.assertFalse(peer.shake())
        self.turn()

        def answered() -> bool:
            try:
                peer.into.write(peer.sock.recv(1 << 16))
            except BlockingIOError:
                return False
            try:
                peer.tls.do_handshake()
            except ssl.SSLWantReadError:
                return False
            return True

        self.until(answered)
        peer.tls.write(b"pending")
        peer.pour(peer.out.read())
        self.until(lambda: protocol.shaken)
        self.turn()
        self.assertEqual(protocol.got, b"")
        protocol.transport.resumeProducing()
        self.turn()
        self.assertEqual(protocol.got, b"pending")

    def test_released(self) -> None:
        """
        Who takes the connection over in the midst of what comes gets what is behind
        it, and the protocol hears nothing more.
        """

        class Releasing(Remembering):
            def dataReceived(self, data: bytes) -> None:
                super().dataReceived(data)
                self.tls = self.transport.release()

        protocol, peer = self.up(Releasing())
        peer.send(b"first")
        self.until(lambda: protocol.got)
        peer.send(b"second")
        peer.end()
        self.assertEqual((protocol.got, protocol.lost), (b"first", None))
        got = bytearray(65536)
        self.until(lambda: protocol.tls.receive(memoryview(got)) == 6)
        self.assertEqual(bytes(got[:6]), b"second")
        self.assertEqual((self.reactor.readers, self.reactor.writers), ({}, {}))
        protocol.tls.sock.close()


class EndTests(TransportCase):
    """
    How such a connection ends.
    """

    def test_ourClose(self) -> None:
        """
        A close sends all that was written and waits until the peer says that it has
        read it.
        """
        protocol, peer = self.up(buffer=8192)
        data = noise(300_000)
        protocol.transport.write(data)
        protocol.transport.loseConnection()
        self.assertEqual(peer.reads(len(data)), data)
        peer.sees(lambda: peer.closed)
        self.assertIsNone(protocol.lost)
        peer.send(b"too late")
        self.assertIsNone(protocol.lost)
        peer.notify()
        self.until(lambda: protocol.lost)
        self.assertTrue(protocol.lost.check(ConnectionDone), protocol.lost)
        self.assertEqual((protocol.got, peer.ends()), (b"", "end"))

    def test_closeWhilePaused(self) -> None:
        """
        A protocol that had paused may close, and hears of the end.
        """
        protocol, peer = self.up()
        protocol.transport.pauseProducing()
        protocol.transport.write(b"bye")
        protocol.transport.loseConnection()
        peer.reads(3)
        peer.notify()
        self.until(lambda: protocol.lost)
        self.assertTrue(protocol.lost.check(ConnectionDone), protocol.lost)

    def test_closedInVain(self) -> None:
        """
        A peer that does not answer a close can be cut.
        """
        protocol, peer = self.up()
        protocol.transport.loseConnection()
        self.turn()
        self.assertIsNone(protocol.lost)
        protocol.transport.abortConnection()
        self.turn()
        self.assertTrue(protocol.lost.check(ConnectionAborted))
        self.assertEqual(peer.ends(), "reset")

    def test_abort(self) -> None:
        """
        An abort is a reset, told once and not from within, also before the handshake
        and in the midst of what comes.
        """
        for up in (True, False):
            protocol, peer = self.up() if up else self.begun()
            protocol.transport.write(b"never sent")
            (
                protocol.transport.abortConnection
                if up
                else protocol.transport.loseConnection
            )()
            self.assertIsNone(protocol.lost)
            protocol.transport.abortConnection()
            protocol.transport.write(b"never sent")
            self.turn()
            self.assertTrue(protocol.lost.check(ConnectionAborted))
            self.assertEqual((peer.ends(), peer.got), ("reset", b""))

    def test_theirClose(self) -> None:
        """
        A peer's close_notify is an end behind its last bytes.
        """
        protocol, peer = self.up()
        peer.pour(peer.encrypted(b"last"))
        peer.notify()
        self.until(lambda: protocol.lost)
        self.assertTrue(protocol.lost.check(ConnectionDone), protocol.lost)
        self.assertEqual((protocol.got, peer.ends()), (b"last", "end"))

    def test_theirReset(self) -> None:
        """
        A peer's reset is a loss, whether we write or read.
        """
        for writing in (False, True):
            protocol, peer = self.up(buffer=8192)
            if writing:
                protocol.transport.write(bytes(1_000_000))
                self.turn()
            peer.reset()
            self.until(lambda protocol=protocol: protocol.lost)
            self.assertTrue(protocol.lost.check(ConnectionLost), protocol.lost)

    def test_midRecord(self) -> None:
        """
        A peer that goes in the midst of a record is gone, and nothing of that record
        is taken for its word.
        """
        protocol, peer = self.up()
        peer.pour(peer.encrypted(b"record")[:-1])
        peer.end()
        self.until(lambda: protocol.lost)
        self.assertEqual(protocol.got, b"")

    def test_rubbish(self) -> None:
        """
        A peer that speaks no TLS is refused, and its first words are kept for the
        log.
        """
        protocol, peer = self.begun()
        peer.pour(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        self.until(lambda: protocol.lost)
        self.assertTrue(protocol.lost.check(SSL.Error), protocol.lost)
        self.assertTrue(self.below.first.startswith(b"HTTP/1.1 400"))
        self.assertEqual(protocol.shaken, 0)

    def test_goneInHandshake(self) -> None:
        """
        One who goes in the midst of the handshake is lost, and has not ended.
        """
        protocol, peer = self.begun()
        peer.shake()
        self.turn()
        peer.sock.close()
        self.until(lambda: protocol.lost)
        self.assertTrue(protocol.lost.check(ConnectionLost), protocol.lost)
        self.assertEqual(protocol.shaken, 0)
