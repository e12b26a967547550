"""
Tests for L{tunnelkit.relay.fast.secure.tls}.
"""

from __future__ import annotations

import contextlib
import ssl
from typing import Any

from OpenSSL import SSL
from service_identity import VerificationError

from tests.fakes import pairOf
from tests.relay.fast.case import ABLE, PAIR, LoopCase, SecurePeer, shaken
from tests.stage.sockets import noise
from tunnelkit.relay.secure import ALPN, TLS13, ClientTLS, Seen, ServerTLS

if ABLE:
    from tunnelkit.relay.fast.buffer import LARGE, PLENTY
    from tunnelkit.relay.fast.secure.tls import TLS, Contexts, toldAs


class TLSTests(LoopCase):
    """
    Tests for L{TLS}, whose other side is the standard library's.
    """

    def shaken(self) -> tuple[TLS, SecurePeer]:
        """
        Make a connection that is secure.
        """
        return shaken(self, *self.pair())

    def received(self, tls: TLS, count: int) -> bytes:
        """
        Receive so many bytes.
        """
        got = b""

        def came() -> bool:
            nonlocal got
            with contextlib.suppress(BlockingIOError):
                got += bytes(PLENTY[: tls.receive(PLENTY)])
            return len(got) >= count or tls.closed

        self.until(came)
        return got

    def test_bothWays(self) -> None:
        """
        What one side says the other hears, small or large.
        """
        tls, peer = self.shaken()
        for size in (1, 16383, 16384, 16385, LARGE, 3 * LARGE):
            data = noise(size)
            peer.pour(peer.encrypted(data))
            self.assertEqual(self.received(tls, size), data)
            peer.got = b""
            tls.send(data)
            peer.sees(lambda tls=tls: tls.flush())
            self.assertEqual(peer.reads(size), data)

    def test_mostAtOnce(self) -> None:
        """
        However much is there at once, it fits, and none is lost.
        """
        tls, peer = self.shaken()
        data = noise(500_000)
        ready = peer.encrypted(data)
        # Records are cut so that reads begin and end in the midst of them.
        got = b""
        at = 0
        while at < len(ready):
            peer.pour(ready[at : at + 49_000])
            at += 49_000
            while True:
                try:
                    count = tls.receive(PLENTY)
                except BlockingIOError:
                    break
                got += bytes(PLENTY[:count])
        self.assertEqual((len(got), got == data, tls.closed), (500_000, True, False))

    def test_seen(self) -> None:
        """
        Both sides know version and certificate.
        """
        tls, peer = self.shaken()
        self.assertEqual(tls.seen, Seen(TLS13, PAIR.der))
        self.assertEqual(peer.tls.getpeercert(True), PAIR.der)
        self.assertEqual(peer.tls.selected_alpn_protocol(), ALPN[0].decode())

    def test_end(self) -> None:
        """
        A close_notify is an end on either side, whoever says it first; so is a
        connection that just ends, and neither is an error.
        """
        for first in ("ours", "theirs", "silence"):
            tls, peer = self.shaken()
            if first == "ours":
                self.assertTrue(tls.end())
                peer.sees(lambda peer=peer: peer.closed)
            if first == "silence":
                peer.sock.close()
            else:
                peer.notify()
            self.assertEqual(self.received(tls, 1), b"")
            self.assertTrue(tls.closed)

    def test_lastBytes(self) -> None:
        """
        Bytes before a close_notify come, and after ours, too.
        """
        tls, peer = self.shaken()
        tls.end()
        ready = peer.encrypted(b"last")
        peer.pour(ready)
        self.assertEqual(self.received(tls, 4), b"last")
        self.assertFalse(tls.closed)


class ContextsTests(LoopCase):
    """
    Tests for L{Contexts}.
    """

    def meet(self, server: ServerTLS, client: ClientTLS, contexts: Contexts) -> Any:
        """
        Let both sides of ours shake hands.

        @return: them.
        """
        ours, theirs = self.pair()
        sides = [contexts.begin(ours, server), contexts.begin(theirs, client)]
        done = [False, False]
        while not all(done):
            for number in (1, 0):
                with contextlib.suppress(BlockingIOError):
                    sides[number].fetch(0)
                done[number] = sides[number].shake()
        return sides

    def test_rotation(self) -> None:
        """
        A new certificate is shown to who comes now, and who is there stays.
        """
        server, contexts = ServerTLS(PAIR), Contexts()
        client = ClientTLS("localhost", False)
        one, oneClient = self.meet(server, client, contexts)
        self.assertEqual(oneClient.seen, Seen(TLS13, PAIR.der))
        other = pairOf("localhost")
        server.show(other)
        again, againClient = self.meet(server, client, contexts)
        self.assertEqual(
            (again.seen.certificate, againClient.seen.certificate), (other.der,) * 2
        )
        self.assertEqual(one.seen.certificate, PAIR.der)
        one.send(b"still here")
        self.until(lambda: oneClient.receive(PLENTY) == 10)

    def test_rotationMeanwhile(self) -> None:
        """
        A handshake that has begun goes on with the certificate that it began with.
        """
        server, contexts = ServerTLS(PAIR), Contexts()
        ours, theirs = self.pair()
        begun = contexts.begin(ours, server)
        server.show(pairOf("localhost"))
        contexts.begin(ours, server)
        client = contexts.begin(theirs, ClientTLS("localhost", False))
        client.shake()
        done = False
        while not done:
            for side in (begun, client):
                with contextlib.suppress(BlockingIOError):
                    side.fetch(0)
                done = side.shake()
        self.assertEqual(client.seen.certificate, PAIR.der)

    def test_unverified(self) -> None:
        """
        A client that is to verify refuses a certificate of nobody's, in the words of
        the portable path.
        """
        with self.assertRaises(ssl.SSLError) as raised:
            self.meet(ServerTLS(PAIR), ClientTLS("localhost", True), Contexts())
        told = toldAs(raised.exception)
        assert isinstance(told, SSL.Error)
        self.assertIn("certificate verify failed", told.args[0][0][2])

    def test_otherName(self) -> None:
        """
        A certificate for another name is told as what it is.
        """
        for number in (62, 64):
            error = ssl.SSLCertVerificationError()
            error.verify_code = number
            self.assertIsInstance(toldAs(error), VerificationError)

    def test_addresses(self) -> None:
        """
        A server may be named by an address.
        """
        for host in ("127.0.0.1", "::1", "localhost"):
            _, client = self.meet(ServerTLS(PAIR), ClientTLS(host, False), Contexts())
            self.assertEqual(client.seen.version, TLS13)
