"""
Tests for L{tunnelkit.dialects.doorway}.
"""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL
from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IOpenSSLServerConnectionCreator,
)
from twisted.internet.testing import StringTransport
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from tests.fakes import messages, pairOf
from tests.logs import Log
from tests.network import Network, Plain, secured
from tunnelkit.dialects.doorway import CLOSING, PATIENCE, Doorway, Guest
from tunnelkit.interfaces import IDialect
from tunnelkit.relay.connection import Connection, Holder
from tunnelkit.relay.portable.relay import PortableRelay
from tunnelkit.relay.secure import ServerTLS
from tunnelkit.wire.certificate import CertificatePair
from tunnelkit.wire.native.codec import said
from tunnelkit.wire.native.login import VERSION
from tunnelkit.wire.native.messages import Refused
from tunnelkit.wire.sniff import OPENING, exactly

PORT = 8910
TLS_PORT = 8943


class Native(Holder):
    """
    Holds a connection that speaks the native protocol.

    @ivar heard: what came behind the opening.
    """

    def __init__(self, guest: Guest) -> None:
        self.guest = guest
        self.heard = b""
        self.gone = False

    def held(self, connection: Connection) -> None:
        """
        Give it its time, as the native protocol does.
        """
        super().held(connection)
        self.guest.due(connection, "it did not log in in time")

    def dataReceived(self, data: bytes) -> None:
        """
        Remember it.
        """
        self.heard += data

    def connectionLost(self, reason: Any) -> None:
        """
        It is gone.
        """
        self.gone = True
        self.guest.leave()


@implementer(IOpenSSLClientConnectionCreator)
class OldTLS:
    """
    A client that knows no TLS after 1.2.
    """

    def clientConnectionForTLS(self, protocol: Any) -> SSL.Connection:
        """
        Begin a handshake.
        """
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_max_proto_version(SSL.TLS1_2_VERSION)
        return SSL.Connection(context, None)


class AnyTLS(ServerTLS):
    """
    A server that lets TLS 1.2 in, as C{tls:} descriptions do.
    """

    def show(self, pair: CertificatePair) -> None:
        """
        Show a certificate.
        """
        super().show(pair)
        self._context.set_min_proto_version(SSL.TLS1_2_VERSION)


class DoorwayCase(SynchronousTestCase):
    """
    A doorway, and those who come.
    """

    plain = False
    most = 4
    mostOfOne = 3
    dialects: tuple[IDialect, ...] = ()

    def setUp(self) -> None:
        """
        Listen.
        """
        self.log = Log(self)
        self.network = Network()
        self.natives: list[Native] = []
        self.doorway = Doorway(
            self.network,
            PortableRelay(self.network),
            ServerTLS(pairOf("localhost")),
            self.native,
            self.plain,
            self.most,
            self.mostOfOne,
            self.dialects,
        )
        self.network.listenTCP(PORT, self.doorway)
        self.network.listenSSL(TLS_PORT, self.doorway, AnyTLS(pairOf("tls")))
        self.addCleanup(self.assertNobody)

    def native(self, guest: Guest) -> Native:
        """
        Let somebody in.
        """
        self.natives.append(Native(guest))
        return self.natives[-1]

    def assertNobody(self) -> None:
        """
        When all have gone nobody is counted any more, and nothing waits.
        """
        self.doorway.close()
        self.network.settle()
        self.assertEqual(self.doorway.guests, 0)
        self.assertEqual(self.doorway._hosts, {})
        self.assertEqual(self.network.getDelayedCalls(), [])

    def come(self, *words: bytes, port: int = PORT) -> Plain:
        """
        Connect, and say something, a word in a segment.
        """
        one = Plain()
        self.network.connect(port, one)
        for word in words:
            one.say(word)
            self.network.settle()
        self.network.settle()
        return one

    def comeSecured(
        self,
        *words: bytes,
        port: int = PORT,
        creator: IOpenSSLClientConnectionCreator | None = None,
    ) -> Plain:
        """
        Connect with TLS, and say something inside.
        """
        one = Plain()
        self.network.connect(port, secured(self.network, one, creator))
        for word in words:
            one.say(word)
        self.network.settle()
        return one

    def refused(self, one: Plain) -> dict[str, Any]:
        """
        Give how somebody was refused who was sent away.
        """
        self.assertEqual(one.ended, "end")
        (message,) = messages(one.heard)
        self.assertEqual(message["type"], "refused")
        return message

    def reasons(self) -> list[str]:
        """
        Give why people were sent away, as the log has it for whoever debugs.
        """
        return [
            line.partition("is sent away: ")[2]
            for line in self.log.lines("debug")
            if "is sent away" in line
        ]


class SecureTests(DoorwayCase):
    """
    On one port a client gets its TLS and then what it speaks.
    """

    def test_native(self) -> None:
        """
        A client of ours comes in through TLS 1.3, and what it says behind the opening
        is not lost.
        """
        self.comeSecured(OPENING + b"hello")
        (native,) = self.natives
        self.assertEqual(native.heard, b"hello")
        seen = native.guest.seen
        assert seen is not None
        self.assertEqual(seen.version, "TLSv1.3")
        self.assertEqual(seen.certificate, pairOf("localhost").der)
        self.assertEqual(native.guest.peer.partition(":")[0], "192.0.2.7")

    def test_everySplit(self) -> None:
        """
        It does not matter how the network cuts what it says.
        """
        for cut in range(1, 8):
            one = Plain()
            self.network.connect(PORT, secured(self.network, one))
            self.network.wires[-1].cut = cut
            one.say(OPENING + b"hello")
            self.network.settle()
            self.assertEqual(self.natives[-1].heard, b"hello", f"pieces of {cut}")
            one.wire.abortConnection()
            self.network.settle()

    def test_bytewise(self) -> None:
        """
        Nor does it inside TLS.
        """
        self.comeSecured(*(bytes([byte]) for byte in OPENING + b"hello"))
        self.assertEqual(self.natives[0].heard, b"hello")

    def test_otherVersion(self) -> None:
        """
        A client of another version is told which one is spoken here, in a frame of
        that version.
        """
        for opening in (b"TK/2\n", b"TK/0\n", b"TK/12345\n"):
            message = self.refused(self.comeSecured(opening + b"\x99what"))
            self.assertEqual(message["code"], "version")
            self.assertEqual(message["versions"], [VERSION])
            self.assertEqual(
                message["reason"], "this server speaks version 1 of the protocol"
            )

    def test_unknown(self) -> None:
        """
        Whoever speaks something else is sent away without a word.
        """
        for words in (
            b"GET / HTTP/1.1\r\n\r\n",
            b"SSH-2.0-x\r\n",
            b"\x16\x03\x01",
            b"\0",
        ):
            one = self.comeSecured(words)
            self.assertEqual((one.heard, one.ended), (b"", "end"))
        self.assertEqual(self.reasons(), ["it speaks none of our protocols"] * 4)

    def test_whatComesBehind(self) -> None:
        """
        What somebody says who is being sent away is not listened to.
        """
        one = self.comeSecured(b"SSH-2.0-x\r\n", OPENING)
        self.assertEqual(one.ended, "end")
        self.assertEqual(self.natives, [])

    def test_brokenHandshake(self) -> None:
        """
        A handshake that breaks ends that connection, and is not in the log with a
        traceback.
        """
        one = self.come(b"\x16\x03\x01\x00\x05hello")
        self.assertTrue(one.ended)
        self.assertEqual(self.doorway.guests, 0)


class InsecureTests(DoorwayCase):
    """
    Without TLS nobody gets in who is not expected to.
    """

    def test_refused(self) -> None:
        """
        A client told to speak in plain is refused, with what to do.
        """
        message = self.refused(self.come(OPENING + b"hello"))
        self.assertEqual(
            (message["code"], message["reason"]),
            (
                "insecure",
                "this server wants TLS: leave --insecure away, or start the server"
                " with it",
            ),
        )
        self.assertEqual(self.natives, [])

    def test_refusedAtEverySplit(self) -> None:
        """
        However it is cut.
        """
        for cut in range(1, len(OPENING)):
            one = self.come(OPENING[:cut], OPENING[cut:])
            self.assertEqual(self.refused(one)["code"], "insecure")

    def test_otherVersion(self) -> None:
        """
        Of another version it hears the version.
        """
        self.assertEqual(self.refused(self.come(b"TK/2\n"))["code"], "version")

    def test_unknown(self) -> None:
        """
        Whoever speaks something else is sent away without a word.
        """
        for words in (b"GET / HTTP/1.1\r\n\r\n", b"\0\1\2\3", b"TK/x", b"\r\n\r\n"):
            one = self.come(words)
            self.assertEqual((one.heard, one.ended), (b"", "end"))
        self.assertEqual(self.doorway.counts["dismissed"], 4)


class PlainTests(DoorwayCase):
    """
    A server that was told so lets plain connections in.
    """

    plain = True

    def test_everySplit(self) -> None:
        """
        It does not matter how the network cuts what a client says.
        """
        words = OPENING + b"hello"
        for cut in range(len(words)):
            one = self.come(words[:cut], words[cut:])
            self.assertEqual(self.natives[-1].heard, b"hello", f"cut at {cut}")
            self.assertIsNone(self.natives[-1].guest.seen)
            one.wire.abortConnection()
            self.network.settle()

    def test_secure(self) -> None:
        """
        TLS is there all the same.
        """
        self.comeSecured(OPENING)
        self.assertIsNotNone(self.natives[0].guest.seen)


class DeadlineTests(DoorwayCase):
    """
    Nobody keeps the server waiting.
    """

    def assertSentAway(self, one: Plain, reason: str) -> None:
        """
        They have ten seconds.
        """
        self.network.elapse(PATIENCE - 0.1)
        self.assertEqual(one.ended, "")
        self.network.elapse(0.2)
        self.assertEqual(one.ended, "reset")
        self.assertEqual(self.reasons(), [reason])
        self.assertEqual(self.doorway.guests, 0)

    def test_firstBytes(self) -> None:
        """
        Whoever says nothing is reset after ten seconds.
        """
        self.assertSentAway(self.come(), "it said nothing")

    def test_notEnough(self) -> None:
        """
        So is who says too little to tell what it is.
        """
        self.assertSentAway(self.come(b"TK"), "it said nothing")

    def test_handshake(self) -> None:
        """
        A handshake has ten seconds from its beginning.
        """
        one = self.come()
        self.network.elapse(9)
        one.say(b"\x16\x03\x01\x02")
        self.assertSentAway(one, "the TLS handshake took too long")

    def test_insideTLS(self) -> None:
        """
        So have the first bytes inside TLS.
        """
        self.assertSentAway(self.comeSecured(), "it said nothing inside TLS")

    def test_login(self) -> None:
        """
        And so has the login.
        """
        one = self.comeSecured()
        self.network.elapse(9)
        one.say(OPENING)
        self.assertSentAway(one, "it did not log in in time")

    def test_loggedIn(self) -> None:
        """
        Who has logged in may stay.
        """
        one = self.comeSecured(OPENING)
        self.natives[0].guest.leave()
        self.network.elapse(100)
        self.assertEqual(one.ended, "")
        one.wire.abortConnection()
        self.network.settle()

    def test_doesNotGo(self) -> None:
        """
        Who was sent away and does not go is reset after five seconds.
        """
        one = self.come()
        accepted = self.network.wires[-1]
        accepted.far.frozen = True
        accepted.peerSends(b"GET / HTTP/1.1\r\n\r\n")
        accepted.write(bytes(10**6))
        self.network.elapse(CLOSING - 0.1)
        self.assertFalse(accepted.lost)
        self.network.elapse(0.2)
        self.assertTrue(accepted.lost)
        self.assertEqual(one.heard, b"")

    def test_close(self) -> None:
        """
        A server that stops sends all guests away.
        """
        guests = [self.come(), self.come(b"\x16\x03\x01"), self.comeSecured(OPENING)]
        self.doorway.close()
        self.network.settle()
        self.assertEqual([one.ended for one in guests], ["reset"] * 3)
        self.assertTrue(self.natives[0].gone)


class GuestsTests(DoorwayCase):
    """
    Guests are few.
    """

    def test_ofOneAddress(self) -> None:
        """
        Of one address no more than a few are let in, others still are.
        """
        guests = [self.come() for _ in range(5)]
        self.assertEqual([one.ended for one in guests], [""] * 3 + ["reset"] * 2)
        self.network.caller = "192.0.2.8"
        self.assertEqual(self.come().ended, "")
        self.assertEqual(self.doorway.counts["connections"], 6)
        self.assertEqual(self.doorway.counts["connections_refused"], 2)

    def test_inAll(self) -> None:
        """
        So it is with all addresses together.
        """
        guests = []
        for number in range(6):
            self.network.caller = f"192.0.2.{number}"
            guests.append(self.come())
        self.assertEqual([one.ended for one in guests], [""] * 4 + ["reset"] * 2)
        self.assertEqual(self.doorway.guests, 4)

    def test_mapped(self) -> None:
        """
        An IPv4 address is the same one on a dual-stack port.
        """
        for caller in ("192.0.2.7", "::ffff:192.0.2.7", "192.0.2.7"):
            self.network.caller = caller
            self.come()
        self.assertEqual(self.come().ended, "reset")

    def test_roomAgain(self) -> None:
        """
        Whoever goes, in whatever way, makes room.
        """
        for _ in range(10):
            self.come().wire.loseConnection()
            self.come(b"nonsense")
            self.come(OPENING)
            self.comeSecured().wire.abortConnection()
            self.comeSecured(OPENING).wire.loseConnection()
            self.comeSecured(b"nonsense")
            self.network.settle()
            self.assertEqual(self.doorway.guests, 0)
        self.assertEqual(self.doorway.counts["connections_refused"], 0)

    def test_loggedIn(self) -> None:
        """
        Who has logged in is no guest any more, and is not counted down twice.
        """
        one = self.comeSecured(OPENING)
        self.assertEqual(self.doorway.guests, 1)
        self.natives[0].guest.leave()
        self.natives[0].guest.leave()
        self.assertEqual(self.doorway.guests, 0)
        one.wire.abortConnection()
        self.network.settle()
        self.assertEqual(self.doorway.guests, 0)

    def test_quiet(self) -> None:
        """
        Strangers are no news: the log is silent about them.
        """
        for _ in range(6):
            self.come(b"nonsense")
            self.come()
        self.assertEqual(self.log.lines("info", "warn", "error"), [])


class TLSPortTests(DoorwayCase):
    """
    On a port that does TLS by itself the same holds.
    """

    def test_native(self) -> None:
        """
        A client comes in, and the certificate is that port's own.
        """
        self.comeSecured(OPENING + b"hello", port=TLS_PORT)
        (native,) = self.natives
        self.assertEqual(native.heard, b"hello")
        seen = native.guest.seen
        assert seen is not None
        self.assertEqual(seen.certificate, pairOf("tls").der)

    def test_ALPN(self) -> None:
        """
        What our client offers in the handshake is accepted, as it is on our own port.
        """
        for port in (PORT, TLS_PORT):
            one = self.comeSecured(OPENING, port=port)
            self.assertEqual(one.wire.negotiatedProtocol, b"tunnelkit/1")

    def test_oldTLS(self) -> None:
        """
        A client with TLS 1.2 is sent away, whatever it says meanwhile.
        """
        one = self.comeSecured(OPENING + b"hello", port=TLS_PORT, creator=OldTLS())
        self.assertTrue(one.ended)
        self.assertEqual(self.natives, [])
        self.assertEqual(self.reasons(), ["it speaks TLSv1.2"])

    def test_oldTLSOnOurPort(self) -> None:
        """
        On a port where we do the TLS it does not come so far.
        """
        one = self.comeSecured(OPENING, creator=OldTLS())
        self.assertEqual(one.ended, "reset")
        self.assertEqual(self.natives, [])

    def test_handshake(self) -> None:
        """
        The handshake has ten seconds there, too.
        """
        one = self.come(port=TLS_PORT)
        self.network.elapse(PATIENCE + 0.1)
        self.assertEqual(one.ended, "reset")
        self.assertEqual(self.reasons(), ["the TLS handshake took too long"])

    def test_full(self) -> None:
        """
        Beyond the bound a guest is reset there as well, and nothing breaks.
        """
        guests = [self.come(port=TLS_PORT) for _ in range(5)]
        self.assertEqual([one.ended for one in guests], [""] * 3 + ["reset"] * 2)
        self.assertEqual(self.flushLoggedErrors(), [])


@implementer(IDialect)
class Morse:
    """
    Another dialect.

    @ivar spoken: what was heard.
    """

    def __init__(self, name: str, first: bytes, plain: bool) -> None:
        self.name = name
        self.places = [exactly(first)]
        self.plain = plain
        self.holders: list[Native] = []

    def greet(self, guest: Guest) -> Native:
        """
        Let somebody in.
        """
        self.holders.append(Native(guest))
        return self.holders[-1]


class DialectTests(DoorwayCase):
    """
    What else is switched on is spoken on the same port.
    """

    def setUp(self) -> None:
        """
        Switch two on.
        """
        self.morse, self.flags = (
            Morse("morse", b"...---", True),
            Morse("flags", b"^", False),
        )
        self.dialects = self.morse, self.flags
        super().setUp()

    def test_spoken(self) -> None:
        """
        Each is known by its first bytes, which it hears, too, however they are cut;
        in plain, if it may be, and in any case inside TLS.
        """
        self.come(b"..", b".-", b"--sos")
        self.comeSecured(b"...---sos")
        self.comeSecured(b"^up")
        self.assertEqual(
            [holder.heard for holder in self.morse.holders], [b"...---sos"] * 2
        )
        self.assertEqual([holder.heard for holder in self.flags.holders], [b"^up"])
        self.assertIsNotNone(self.flags.holders[0].guest.seen)

    def test_plain(self) -> None:
        """
        One that is not for plain connections is not heard there.
        """
        one = self.come(b"^up")
        self.assertEqual(one.ended, "end")
        self.assertEqual(self.flags.holders, [])
        self.assertEqual(self.reasons(), ["it speaks flags without TLS"])

    def test_silent(self) -> None:
        """
        Who says nothing more has no more time than others.
        """
        self.come(b"...")
        self.network.advance(PATIENCE)
        self.network.settle()
        self.assertEqual(self.reasons(), ["it said nothing"])


class BrokenTLS:
    """
    A TLS that does not even begin.
    """

    def serverConnectionForTLS(self, protocol: Any) -> SSL.Connection:
        """
        Fail.
        """
        raise ZeroDivisionError


class BrokenPortTests(DoorwayCase):
    """
    A port that is broken harms no other.
    """

    def test_notCounted(self) -> None:
        """
        Connections that never come so far are no guests.
        """
        wrapper = TLSMemoryBIOFactory(
            implementer(IOpenSSLServerConnectionCreator)(BrokenTLS)(),
            False,
            self.doorway,
            self.network,
        )
        for _ in range(10):
            protocol = wrapper.buildProtocol(IPv4Address("TCP", "192.0.2.7", 5000))
            self.assertRaises(
                ZeroDivisionError, protocol.makeConnection, StringTransport()
            )
        self.assertEqual(self.doorway.guests, 0)


class DismissTests(DoorwayCase):
    """
    Whoever is sent away hears why first.
    """

    def test_wordsArrive(self) -> None:
        """
        What was written before the close arrives, through TLS as well.
        """
        self.comeSecured(OPENING)
        native = self.natives[0]
        words = said(Refused("code", "reason"))
        native.connection.transport.write(words)
        native.guest.dismiss(native.connection, "for a test")
        wire = self.network.wires[0]
        self.network.settle()
        self.assertTrue(wire.lost)
        self.assertEqual(self.doorway.counts["dismissed"], 1)
