"""
Tests for L{tunnelkit.relay.secure}, and for the relay's C{secure}.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import cast

from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import ISSLTransport
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.relay.memory import MemoryTransport
from tests.relay.tunnel import pairOf
from tunnelkit.relay.connection import Connection, Holder
from tunnelkit.relay.endpoints import IPortableReactor
from tunnelkit.relay.portable.relay import PortableRelay
from tunnelkit.relay.secure import ALPN, TLS13, ClientTLS, Seen, ServerTLS, seen
from tunnelkit.wire.certificate import CertificatePair

PAIR = pairOf("localhost", "127.0.0.1")
OTHER = pairOf("localhost")


class Inside(Holder):
    """
    Holds a connection inside TLS.

    @ivar shown: what the handshake showed, or None before its end.
    @ivar got: what came.
    @ivar lost: why it ended.
    """

    def __init__(self, client: bool) -> None:
        self._client = client
        self.shown: Seen | None = None
        self.got = b""
        self.lost: Failure | None = None

    def handshakeCompleted(self) -> None:
        """
        The TLS is up.
        """
        self.shown = seen(self.connection.transport, self._client)

    def dataReceived(self, data: bytes) -> None:
        """
        Bytes came.
        """
        self.got += data

    def connectionLost(self, reason: Failure) -> None:
        """
        It is gone.
        """
        self.lost = reason


class OneSide:
    """
    One side of a connection under TLS, in memory.

    @ivar outside: the connection itself.
    @ivar inside: who holds it inside TLS.
    """

    def __init__(
        self, clock: Clock, side: ClientTLS | ServerTLS, rest: bytes = b""
    ) -> None:
        client = isinstance(side, ClientTLS)
        self.outside = Connection(Holder())
        self.transport = MemoryTransport(self.outside)
        self.inside = Inside(client)
        relay = PortableRelay(cast(IPortableReactor, clock))
        relay.secure(self.outside, rest, side, Connection(self.inside))


class SecureCase(SynchronousTestCase):
    """
    Two sides in memory, and a clock.
    """

    def setUp(self) -> None:
        """
        Make the clock.
        """
        self.clock = Clock()

    def side(self, side: ClientTLS | ServerTLS, rest: bytes = b"") -> OneSide:
        """
        Make one side.
        """
        return OneSide(self.clock, side, rest)

    def meet(self, one: OneSide, other: OneSide) -> None:
        """
        Let bytes move between two sides until none does.
        """
        moved = True
        while moved:
            self.clock.advance(0)
            moved = one.transport.turn() | other.transport.turn()
            for source, target in ((one, other), (other, one)):
                data = source.transport.take()
                target.transport.peerSends(data)
                moved = moved or bool(data)

    def assertMet(
        self, client: OneSide, server: OneSide, pair: CertificatePair
    ) -> None:
        """
        Both sides saw the same, and can speak.
        """
        self.meet(client, server)
        expected = Seen(TLS13, pair.der)
        self.assertEqual(server.inside.shown, expected)
        self.assertEqual(client.inside.shown, expected)
        client.inside.connection.transport.write(b"question")
        server.inside.connection.transport.write(b"answer")
        self.meet(client, server)
        self.assertEqual(
            (client.inside.got, server.inside.got), (b"answer", b"question")
        )


class SecureTests(SecureCase):
    """
    TLS between two of us.
    """

    def test_bothSeeTheCertificate(self) -> None:
        """
        A login can be bound to the certificate that the server showed.
        """
        server = self.side(ServerTLS(PAIR))
        client = self.side(ClientTLS("localhost", False))
        self.assertMet(client, server, PAIR)
        transport = client.inside.connection.transport
        self.assertTrue(ISSLTransport.providedBy(transport))

    def test_readAhead(self) -> None:
        """
        The first byte, by which the server knows TLS, is not lost.
        """
        client = self.side(ClientTLS("localhost", False))
        client.transport.settle()
        hello = client.transport.take()
        server = self.side(ServerTLS(PAIR), hello)
        self.assertMet(client, server, PAIR)

    def test_cutAnywhere(self) -> None:
        """
        TLS comes up however the network cuts it.
        """
        server = self.side(ServerTLS(PAIR))
        client = self.side(ClientTLS("localhost", False))
        server.transport.cut = client.transport.cut = 1
        self.assertMet(client, server, PAIR)

    def test_newCertificate(self) -> None:
        """
        A new certificate is shown to who comes from now on; who is there stays.
        """
        tls = ServerTLS(PAIR)
        old = self.side(tls), self.side(ClientTLS("localhost", False))
        early = self.side(tls), self.side(ClientTLS("localhost", False))
        self.assertMet(old[1], old[0], PAIR)
        tls.show(OTHER)
        self.assertEqual(tls.pair, OTHER)
        new = self.side(tls), self.side(ClientTLS("localhost", False))
        self.assertMet(new[1], new[0], OTHER)
        self.assertMet(early[1], early[0], PAIR)
        old[0].inside.connection.transport.write(b" more")
        self.meet(*old)
        self.assertEqual(old[1].inside.got, b"answer more")

    def test_chain(self) -> None:
        """
        Who verifies the certificate gets those that vouch for it as well.
        """
        server = self.side(
            ServerTLS(CertificatePair(PAIR.chain + OTHER.chain, PAIR.key))
        )
        client = self.side(ClientTLS("localhost", False))
        self.assertMet(client, server, PAIR)
        handle: SSL.Connection = client.inside.connection.transport.getHandle()  # type: ignore[attr-defined]
        chain = handle.get_peer_cert_chain(as_cryptography=True) or []
        shown = [c.public_bytes(Encoding.DER) for c in chain]
        self.assertEqual(shown, [PAIR.der, OTHER.der])

    def test_idleMemory(self) -> None:
        """
        A connection that waits for a visitor costs as little memory as OpenSSL can do
        with, and one that is gone costs none.
        """
        for side in (ServerTLS(PAIR), ClientTLS("localhost", False)):
            context = side._context
            self.assertTrue(context.set_mode(0) & SSL.MODE_RELEASE_BUFFERS)
            self.assertEqual(context.get_session_cache_mode(), SSL.SESS_CACHE_OFF)

    def test_badCertificate(self) -> None:
        """
        A certificate that cannot be used changes nothing.
        """
        tls = ServerTLS(PAIR)
        self.assertRaises(SSL.Error, tls.show, CertificatePair(PAIR.chain, OTHER.key))
        self.assertRaises(ValueError, tls.show, CertificatePair(b"", b""))
        self.assertEqual(tls.pair, PAIR)
        server, client = self.side(tls), self.side(ClientTLS("localhost", False))
        self.assertMet(client, server, PAIR)

    def test_verified(self) -> None:
        """
        Who demands a certificate that verifies does not speak to a server whose
        certificate vouches for itself.
        """
        side = ClientTLS("localhost", True)
        self.assertTrue(side.verifies)
        server, client = self.side(ServerTLS(PAIR)), self.side(side)
        self.meet(client, server)
        self.assertIsNone(client.inside.shown)
        assert client.inside.lost is not None
        client.inside.lost.trap(SSL.Error)
        self.assertIn("certificate verify failed", str(client.inside.lost.value))

    def trusting(self, pair: CertificatePair) -> None:
        """
        Have this system trust a certificate, for the length of a test.
        """
        path = Path(self.mktemp())
        path.write_bytes(pair.chain)
        before = os.environ.get("SSL_CERT_FILE")
        os.environ["SSL_CERT_FILE"] = str(path)
        if before is None:
            self.addCleanup(os.environ.pop, "SSL_CERT_FILE")
        else:
            self.addCleanup(os.environ.__setitem__, "SSL_CERT_FILE", before)

    def test_trusted(self) -> None:
        """
        It does speak to one whose certificate the system trusts, by name or address.
        """
        self.trusting(PAIR)
        for host in ("localhost", "127.0.0.1"):
            server = self.side(ServerTLS(PAIR))
            self.assertMet(self.side(ClientTLS(host, True)), server, PAIR)

    def test_otherName(self) -> None:
        """
        It does not where that certificate is for another name.
        """
        self.trusting(PAIR)
        server = self.side(ServerTLS(PAIR))
        client = self.side(ClientTLS("example.org", True))
        self.meet(client, server)
        self.assertIsNone(client.inside.shown)
        assert client.inside.lost is not None
        client.inside.lost.trap(VerificationError)

    def test_names(self) -> None:
        """
        A server is asked for by its name, not by an address.
        """
        for host, expected in (
            ("localhost", b"localhost"),
            ("b\u00fccher.example", b"xn--bcher-kva.example"),
            ("127.0.0.1", None),
            ("::1", None),
            ("fe80::1%eth0", None),
        ):
            server = self.side(ServerTLS(PAIR))
            client = self.side(ClientTLS(host, False))
            self.meet(client, server)
            handle: SSL.Connection = server.inside.connection.transport.getHandle()  # type: ignore[attr-defined]
            self.assertEqual(handle.get_servername(), expected)

    def test_close(self) -> None:
        """
        A connection that is closed ends well on both sides.
        """
        server = self.side(ServerTLS(PAIR))
        client = self.side(ClientTLS("localhost", False))
        self.assertMet(client, server, PAIR)
        server.inside.connection.transport.loseConnection()
        self.meet(client, server)
        for side in (server, client):
            assert side.inside.lost is not None
            side.inside.lost.trap(ConnectionDone)

    def test_lost(self) -> None:
        """
        Who holds a connection hears of its loss, whoever has the transport.
        """
        server = self.side(ServerTLS(PAIR))
        client = self.side(ClientTLS("localhost", False))
        self.assertMet(client, server, PAIR)
        client.transport.peerResets()
        client.transport.settle()
        self.assertIsNotNone(client.inside.lost)

    def test_notTLS(self) -> None:
        """
        What a server said that does not speak TLS is there for the log.
        """
        client = self.side(ClientTLS("localhost", False))
        client.transport.peerSends(b"SSH-2.0-OpenSSH_9.2\r\n" + b"x" * 500)
        client.transport.peerEnds()
        client.transport.settle()
        self.assertEqual(len(client.outside.first), 256)
        self.assertTrue(client.outside.first.startswith(b"SSH-2.0-OpenSSH_9.2\r\n"))
        self.assertIsNone(client.inside.shown)
        self.assertIsNotNone(client.inside.lost)

    def test_firstOfTLS(self) -> None:
        """
        The same of one that does: its first byte is that of TLS.
        """
        server = self.side(ServerTLS(PAIR))
        client = self.side(ClientTLS("localhost", False))
        self.assertMet(client, server, PAIR)
        self.assertEqual(client.outside.first[:1], b"\x16")

    def test_rubbish(self) -> None:
        """
        A stranger who says the first byte of TLS and then rubbish is let go.
        """
        server = self.side(ServerTLS(PAIR), b"\x16" + b"rubbish" * 10)
        server.transport.settle()
        self.assertIsNone(server.inside.shown)
        self.assertIsNotNone(server.inside.lost)
        self.assertTrue(server.transport.lost)


class Stranger:
    """
    A client of the standard library's, over memory.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._in, self._out, server_hostname="localhost")

    def meet(self, server: OneSide, act: Callable[[], object]) -> object:
        """
        Do something, as far as the server's bytes allow.
        """
        for _ in range(10):
            try:
                return act()
            except ssl.SSLWantReadError:
                server.transport.peerSends(self._out.read())
                server.transport.settle()
                self._in.write(server.transport.take())
        raise AssertionError("it does not come to an end")


class StrangerTests(SecureCase):
    """
    TLS with other programs.
    """

    def stranger(self) -> ssl.SSLContext:
        """
        Make the context of a client that trusts anybody.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context

    def test_old(self) -> None:
        """
        Who knows nothing newer than TLS 1.2 is refused.
        """
        context = self.stranger()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        stranger, server = Stranger(context), self.side(ServerTLS(PAIR))
        error = self.assertRaises(
            ssl.SSLError, stranger.meet, server, stranger.tls.do_handshake
        )
        self.assertIn("PROTOCOL_VERSION", str(error.reason))
        self.assertIsNone(server.inside.shown)
        self.assertTrue(server.transport.lost)

    def test_new(self) -> None:
        """
        Who does gets in.
        """
        stranger, server = Stranger(self.stranger()), self.side(ServerTLS(PAIR))
        stranger.meet(server, stranger.tls.do_handshake)
        self.assertEqual(stranger.tls.version(), TLS13)
        self.assertEqual(stranger.tls.getpeercert(binary_form=True), PAIR.der)

    def test_protocols(self) -> None:
        """
        Which protocol a client names is a hint: ours is taken up, and one that names
        others, or none, gets in all the same.
        """
        for offered, chosen in (
            ([p.decode() for p in ALPN], "tunnelkit/1"),
            (["http/1.1", "tunnelkit/1"], "tunnelkit/1"),
            (["h2", "http/1.1"], None),
            (["smtp"], None),
            ([], None),
        ):
            context = self.stranger()
            if offered:
                context.set_alpn_protocols(offered)
            stranger, server = Stranger(context), self.side(ServerTLS(PAIR))
            stranger.meet(server, stranger.tls.do_handshake)
            self.assertEqual(stranger.tls.selected_alpn_protocol(), chosen)

    def test_oldServer(self) -> None:
        """
        A client of ours does not speak anything older than TLS 1.3 either.
        """
        for verify in (False, True):
            client = self.side(ClientTLS("localhost", verify))
            context = SSL.Context(SSL.TLS_SERVER_METHOD)
            context.set_max_proto_version(SSL.TLS1_2_VERSION)
            server = SSL.Connection(context, None)
            server.set_accept_state()
            client.transport.settle()
            server.bio_write(client.transport.take())
            self.assertRaises(SSL.Error, server.do_handshake)
            client.transport.peerSends(server.bio_read(1000))
            client.transport.settle()
            self.assertIsNone(client.inside.shown)
            assert client.inside.lost is not None
            client.inside.lost.trap(SSL.Error)

    def test_offered(self) -> None:
        """
        Boxes in between see what this is: the client names its protocol.
        """
        for verify in (False, True):
            client = self.side(ClientTLS("localhost", verify))
            client.transport.settle()
            self.assertIn(b"\x0btunnelkit/1\x08http/1.1", client.transport.take())


class SeenTests(SynchronousTestCase):
    """
    What is asked about a handshake.
    """

    def test_saidByItself(self) -> None:
        """
        A transport that is no pyOpenSSL's says what its handshake showed.
        """
        transport = Protocol()
        transport.seen = expected = Seen(TLS13, b"der")  # type: ignore[attr-defined]
        self.assertIs(seen(transport, True), expected)  # type: ignore[arg-type]

    def test_nothing(self) -> None:
        """
        A handshake without a certificate proves nothing, and is not taken for one.
        """
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        transport = Protocol()
        transport.getHandle = lambda: SSL.Connection(context, None)  # type: ignore[attr-defined]
        for client in (False, True):
            self.assertRaises(ValueError, seen, transport, client)
