"""
Tests for L{tunnelkit.carrier.route}.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.endpoints import TCP4ClientEndpoint, wrapClientTLS
from twisted.internet.error import (
    ConnectError,
    ConnectingCancelledError,
    ConnectionLost,
    DNSLookupError,
)
from twisted.internet.interfaces import (
    IStreamClientEndpoint,
)
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from tests.fakes import pairOf
from tests.network import Network, Plain, Speaker, accepting
from tunnelkit.carrier.route import PATIENCE, Reached, Route, Unreached
from tunnelkit.relay.connection import Holder
from tunnelkit.relay.endpoints import One
from tunnelkit.relay.portable.relay import PortableRelay
from tunnelkit.relay.secure import ClientTLS, ServerTLS
from tunnelkit.wire.certificate import CertificatePair, parseFingerprint, selfSigned

PORT = 8910
SERVER = "localhost:8910"
PAIR = pairOf("localhost")


class OldTLS(ServerTLS):
    """
    A server that knows no TLS after 1.2.
    """

    def show(self, pair: CertificatePair) -> None:
        """
        Show a certificate.
        """
        super().show(pair)
        self._context.set_min_proto_version(SSL.TLS1_2_VERSION)
        self._context.set_max_proto_version(SSL.TLS1_2_VERSION)


@implementer(IStreamClientEndpoint)
class Failing:
    """
    An endpoint that does not connect.
    """

    def __init__(self, why: Exception) -> None:
        self._why = why

    def connect(self, factory: Any) -> Deferred[Any]:
        """
        Fail.
        """
        return fail(self._why)


class Talker(Holder):
    """
    Speaks on a connection that reached the server.
    """

    heard = b""

    def dataReceived(self, data: bytes) -> None:
        """
        Remember it.
        """
        self.heard += data


class RouteCase(SynchronousTestCase):
    """
    A way to a server in memory.
    """

    def setUp(self) -> None:
        """
        Make the network.
        """
        self.network = Network()
        self.endpoint = TCP4ClientEndpoint(self.network, "127.0.0.1", PORT)
        self.addCleanup(self.assertNothingLeft)

    def assertNothingLeft(self) -> None:
        """
        No connection stays that did not arrive, and nothing waits.
        """
        for wire in self.network.wires:
            wire.abortConnection()
        self.network.settle()
        self.assertEqual(list(map(str, self.network.getDelayedCalls())), [])

    def route(
        self,
        tls: ClientTLS | None = None,
        endpoint: IStreamClientEndpoint | None = None,
        fingerprint: bytes | None = None,
        plain: bool = False,
    ) -> Route:
        """
        Make a route.
        """
        side = None if plain else tls or ClientTLS("localhost", verify=False)
        relay = PortableRelay(self.network)
        way = endpoint or self.endpoint
        return Route(SERVER, way, relay, side, self.network, fingerprint)

    def serve(self, tls: ServerTLS | None = None, speak: Plain | None = None) -> Plain:
        """
        Run a server with TLS.
        """
        inner = speak or Plain()
        factory = TLSMemoryBIOFactory(
            tls or ServerTLS(PAIR), False, One(inner), self.network
        )
        self.network.listenTCP(PORT, factory)
        return inner

    def reached(self, route: Route) -> Reached:
        """
        Arrive.
        """
        opening = route.open()
        self.network.settle()
        return self.successResultOf(opening)

    def unreached(self, route: Route) -> Unreached:
        """
        Do not arrive.
        """
        opening = route.open()
        self.network.settle()
        error = self.failureResultOf(opening, Unreached).value
        assert isinstance(error, Unreached)
        return error

    def assertGone(self) -> None:
        """
        No connection of the client's is left behind.
        """
        self.network.settle()
        ours = [wire for wire in self.network.wires if wire.getPeer().port == PORT]
        self.assertEqual([wire for wire in ours if not wire.lost], [])


class ReachedTests(RouteCase):
    """
    A client reaches its server.
    """

    def test_secure(self) -> None:
        """
        It arrives with the certificate that was shown, and can speak.
        """
        server = self.serve()
        reached = self.reached(self.route())
        assert reached.seen is not None
        self.assertEqual(reached.seen.certificate, PAIR.der)
        self.assertEqual(reached.seen.version, "TLSv1.3")
        talker = Talker()
        reached.connection.hold(talker)
        reached.connection.transport.write(b"ping")
        server.say(b"pong")
        self.network.settle()
        self.assertEqual((server.heard, talker.heard), (b"ping", b"pong"))

    def test_everySplit(self) -> None:
        """
        It does not matter how the handshake is cut.
        """
        self.serve()
        opening = self.route().open()
        while not self.network.wires:
            self.network.advance(0)
        for wire in self.network.wires:
            wire.cut = 1
        self.network.settle()
        self.assertIsNotNone(self.successResultOf(opening).seen)

    def test_plain(self) -> None:
        """
        Where the user said so there is no TLS.
        """
        came = accepting(self.network, PORT)
        reached = self.reached(self.route(plain=True))
        self.assertIsNone(reached.seen)
        reached.connection.transport.write(b"TK/1\n")
        self.network.settle()
        self.assertEqual(came[0].heard, b"TK/1\n")

    def test_ownTLS(self) -> None:
        """
        An endpoint that does TLS by itself is left to it.
        """
        self.serve()
        inside = wrapClientTLS(ClientTLS("localhost", False), self.endpoint)
        # Its factory would otherwise take the global reactor for a clock.
        inside._wrapperFactory = lambda f: TLSMemoryBIOFactory(  # type: ignore[attr-defined]
            ClientTLS("localhost", False), True, f, self.network
        )
        reached = self.reached(self.route(endpoint=inside))
        assert reached.seen is not None
        self.assertEqual(reached.seen.certificate, PAIR.der)

    def test_fingerprint(self) -> None:
        """
        A certificate that is the pinned one is accepted.
        """
        self.serve()
        pin = parseFingerprint(PAIR.fingerprint)
        self.assertIsNotNone(self.reached(self.route(fingerprint=pin)).seen)

    def test_lostBeforeItIsUsed(self) -> None:
        """
        A connection that is lost before anybody used it is no bug.
        """
        server = self.serve()
        self.reached(self.route())
        server.wire.loseConnection()
        self.network.settle()
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_noLeftovers(self) -> None:
        """
        When it has arrived the time-out is forgotten.
        """
        self.serve()
        self.reached(self.route())
        self.assertEqual(self.network.getDelayedCalls(), [])


class DemandTests(RouteCase):
    """
    More can be demanded of a certificate.
    """

    def test_otherFingerprint(self) -> None:
        """
        Another certificate than the pinned one ends the client, with both named.
        """
        self.serve()
        error = self.unreached(self.route(fingerprint=bytes(32)))
        self.assertTrue(error.lasting)
        self.assertEqual(
            str(error),
            f"the certificate of localhost:8910 has the fingerprint {PAIR.fingerprint},"
            " not the one that --fingerprint demands: if the server's log shows the"
            " same at its start, give that one; if not, somebody is in between",
        )
        self.assertGone()

    def test_verify(self) -> None:
        """
        A certificate of the server's own making does not verify, and the words say
        what to do.
        """
        self.serve()
        error = self.unreached(self.route(ClientTLS("localhost", verify=True)))
        self.assertTrue(error.lasting)
        self.assertIn("the certificate of localhost:8910 does not verify", str(error))
        self.assertIn("as --verify and tls: descriptions demand", str(error))
        self.assertGone()

    def test_otherName(self) -> None:
        """
        A certificate for another name is told from one that nobody vouches for: with
        the name that was dialled, and what to dial in its place.
        """
        for tls, plain, name in (
            (ClientTLS("vps.example.org", True), False, "vps.example.org"),
            # With --insecure, and a description that does TLS by itself.
            (None, True, SERVER),
        ):
            endpoint = Failing(VerificationError(errors=[]))
            error = self.unreached(self.route(tls, endpoint, plain=plain))
            self.assertTrue(error.lasting)
            self.assertEqual(
                str(error),
                f"the certificate of localhost:8910 is not for the name {name}, as"
                " --verify and tls: descriptions demand: give --server a name that"
                " stands in the certificate, or the server a certificate for"
                f" {name}",
            )

    def test_oldTLS(self) -> None:
        """
        A server that knows no TLS 1.3 ends the client, and the words say what to do.
        """
        self.serve(OldTLS(PAIR))
        error = self.unreached(self.route())
        self.assertTrue(error.lasting)
        self.assertIn("localhost:8910 speaks another version of TLS", str(error))
        self.assertIn("protocol version), not TLSv1.3: have that switched", str(error))
        self.assertGone()

    def test_oldTLSInOtherWords(self) -> None:
        """
        So does one that answers a handshake of TLS 1.3 with one of TLS 1.2.
        """
        old = SSL.Error([("SSL routines", "", "unsupported protocol")])
        error = self.unreached(self.route(endpoint=Failing(old)))
        self.assertTrue(error.lasting)
        self.assertIn("(unsupported protocol), not TLSv1.3", str(error))

    def test_oldTLSOfAnEndpoint(self) -> None:
        """
        So is one that an endpoint with a TLS of its own has accepted.
        """
        self.serve(OldTLS(PAIR))
        inside = wrapClientTLS(AnyTLS("localhost", False), self.endpoint)
        inside._wrapperFactory = lambda f: TLSMemoryBIOFactory(  # type: ignore[attr-defined]
            AnyTLS("localhost", False), True, f, self.network
        )
        error = self.unreached(self.route(endpoint=inside))
        self.assertTrue(error.lasting)
        self.assertEqual(
            str(error),
            "localhost:8910 speaks TLSv1.2, not TLSv1.3: have that switched on there,"
            " or in what stands before it, or check host and port of --server",
        )
        self.assertGone()

    def test_expired(self) -> None:
        """
        Trust comes from the login: without --verify a certificate may be expired.
        """
        old = selfSigned(["localhost"], datetime.now(UTC) - timedelta(days=9999))
        self.serve(ServerTLS(old))
        self.assertIsNotNone(self.reached(self.route()).seen)


class AnyTLS(ClientTLS):
    """
    A client that lets TLS 1.2 do.
    """

    def clientConnectionForTLS(self, protocol: Any) -> SSL.Connection:
        """
        Begin a handshake.
        """
        return SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), None)


class UnreachedTests(RouteCase):
    """
    A server that is not reached is told from one that is another program.
    """

    def stranger(self, said: bytes) -> Unreached:
        """
        Connect to something that says that.
        """
        came = accepting(self.network, PORT)
        opening = self.route().open()
        self.network.settle()
        came[-1].say(said)
        self.network.settle()
        self.network.accepting.clear()
        self.network.ports.clear()
        error = self.failureResultOf(opening, Unreached).value
        assert isinstance(error, Unreached)
        self.assertGone()
        return error

    def test_stranger(self) -> None:
        """
        What a server says that speaks no TLS is shown.
        """
        for said in (
            b"SSH-2.0-OpenSSH_9.2p1\r\n",
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            b"220 mail.example.org ESMTP\r\n",
        ):
            error = self.stranger(said)
            self.assertTrue(error.lasting)
            self.assertEqual(
                str(error),
                "localhost:8910 is no tunnelkit server with TLS: it said"
                f" {said[:60]!r}; check host and port of --server",
            )

    def test_alert(self) -> None:
        """
        A TLS server that refuses the handshake is quoted in words.
        """
        error = self.stranger(b"\x15\x03\x03\x00\x02\x02\x28")
        self.assertFalse(error.lasting)
        self.assertIn("TLS with localhost:8910 failed: ", str(error))
        self.assertIn("handshake failure", str(error))

    def test_closes(self) -> None:
        """
        One that closes the connection without a word is tried again, whether it
        closes or resets it.
        """
        for close in ("loseConnection", "abortConnection"):
            came: list[Speaker] = accepting(self.network, PORT)
            opening = self.route().open()
            self.network.settle()
            getattr(came[0].wire, close)()
            self.network.settle()
            error = self.failureResultOf(opening, Unreached).value
            self.assertFalse(error.lasting)
            self.assertEqual(
                str(error),
                "localhost:8910 closed the connection in place of speaking TLS",
            )
            self.assertGone()
            self.network.accepting.clear()
            self.network.ports.clear()

    def test_down(self) -> None:
        """
        A machine that refuses the connection, an unknown name, and whatever else may
        be between.
        """
        self.assertIn(
            "localhost:8910 cannot be reached: Connection was refused",
            str(self.unreached(self.route())),
        )
        advice = "; check host and port of --server, and that the server runs"
        self.assertTrue(str(self.unreached(self.route())).endswith(advice))
        for why, words in (
            (
                DNSLookupError("x"),
                "the name of localhost:8910 is not known: check the host of --server",
            ),
            (ConnectError(string="no route"), "localhost:8910 cannot be reached: "),
            (
                # So does Twisted where what was not connected yet is lost.
                ConnectError(string=Failure(ConnectionLost())),
                "localhost:8910 cannot be reached: Connection to the other side was"
                " lost in a non-clean fashion; check",
            ),
            (OSError("odd"), "no connection to localhost:8910: odd"),
            (SSL.Error(), "TLS with localhost:8910 failed: no reason given"),
            (
                SSL.SysCallError(104, "reset"),
                "TLS with localhost:8910 failed: no reason given",
            ),
        ):
            error = self.unreached(self.route(endpoint=Failing(why)))
            self.assertIn(words, str(error))
            self.assertFalse(error.lasting)

    def test_silentMachine(self) -> None:
        """
        A machine that does not answer has ten seconds.
        """
        self.network.silent.add(PORT)
        self.assertTooLate()

    def test_silentServer(self) -> None:
        """
        So has a server that accepts the connection and says nothing, and then that is
        closed.
        """
        accepting(self.network, PORT)
        self.assertTooLate()
        self.assertGone()

    def assertTooLate(self) -> None:
        """
        It takes ten seconds and no more.
        """
        opening = self.route().open()
        self.network.elapse(PATIENCE - 0.1)
        self.assertNoResult(opening)
        self.network.elapse(0.2)
        error = self.failureResultOf(opening, Unreached).value
        self.assertEqual(str(error), "localhost:8910 did not answer in 10 seconds")
        self.assertFalse(error.lasting)

    def test_slowConnect(self) -> None:
        """
        Connection and handshake have ten seconds together.
        """
        accepting(self.network, PORT)
        endpoint = TCP4ClientEndpoint(self.network, "127.0.0.1", PORT, timeout=60)
        self.network.silent.add(PORT)
        opening = self.route(endpoint=endpoint).open()
        self.network.elapse(PATIENCE + 0.1)
        error = self.failureResultOf(opening, Unreached).value
        self.assertEqual(str(error), "localhost:8910 did not answer in 10 seconds")

    def test_cancelled(self) -> None:
        """
        A client that stops while it connects leaves nothing behind, at any step.
        """
        self.network.silent.add(PORT)
        connecting = self.route().open()
        connecting.cancel()
        self.failureResultOf(connecting, CancelledError, ConnectingCancelledError)
        self.network.silent.clear()
        accepting(self.network, PORT)
        handshaking = self.route().open()
        self.network.settle()
        handshaking.cancel()
        self.failureResultOf(handshaking, CancelledError)
        self.assertGone()
