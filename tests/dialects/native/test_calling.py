"""
Tests for L{tunnelkit.dialects.native.calling}.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from twisted.trial.unittest import SynchronousTestCase

from tests.dialects.native.case import PAIR, TOKEN, VERIFIER
from tests.fakes import random
from tests.logs import Log
from tests.network import Network, Plain, accepting
from tests.wire.issued import issued
from tunnelkit.control.login.server import ServerLogin
from tunnelkit.control.session import Refusal
from tunnelkit.dialects.house import PROGRAM
from tunnelkit.dialects.native.caller import Caller, Parting
from tunnelkit.dialects.native.calling import CLOSING, PATIENCE, CallingChannel
from tunnelkit.relay.connection import Connection, Holder
from tunnelkit.relay.secure import Seen
from tunnelkit.wire import codes
from tunnelkit.wire.certificate import bindingHash
from tunnelkit.wire.native.codec import fromClient, said
from tunnelkit.wire.native.frames import Data, FrameDecoder, Message, encode
from tunnelkit.wire.native.login import (
    Challenge,
    ClientHello,
    Login,
    Proof,
    ServerHello,
    Welcome,
)
from tunnelkit.wire.native.messages import (
    Bye,
    Certificates,
    Close,
    Closed,
    Drain,
    FromClient,
    FromServer,
    Open,
    Opened,
    Ping,
    Pong,
    Refused,
    Vouched,
    Want,
)
from tunnelkit.wire.sniff import OPENING
from tunnelkit.wire.token import Token

PORT = 8910
SERVER = "vps:8910"
SEEN = Seen("TLSv1.3", PAIR.der)
ENDPOINT = ServerHello(1, "endpoint", "test/1")
UNBOUND = ServerHello(1, "none", "test/1")

_Said = TypeVar("_Said", bound=FromClient)


@dataclass
class Heard:
    """
    Who is told what happens on a control channel, in order.
    """

    events: list[Any] = field(default_factory=list)
    partings: list[Parting] = field(default_factory=list)

    def loggedIn(self, welcome: Welcome, bound: bool) -> None:
        """
        The login was good.
        """
        self.events.append(("logged in", welcome.session, bound))

    def wanted(self, count: int) -> None:
        """
        Work connections are wanted.
        """
        self.events.append(("wanted", count))

    def vouched(self, hashes: tuple[str, ...]) -> None:
        """
        Certificates are good.
        """
        self.events.append(("vouched", hashes))

    def closed(self, closed: Closed) -> None:
        """
        A tunnel was withdrawn.
        """
        self.events.append(closed)

    def drained(self, drain: Drain) -> None:
        """
        The server stops.
        """
        self.events.append(drain)

    def parted(self, parting: Parting) -> None:
        """
        It is over.
        """
        self.partings.append(parting)


class CallingCase(SynchronousTestCase):
    """
    A client's control channel, and a server that says what a test tells it to.
    """

    verified = False
    shown: Seen | None = SEEN

    def setUp(self) -> None:
        """
        Connect.
        """
        self.log = Log(self)
        self.network = Network()
        self.network.advance(1000)
        self.heard = Heard()
        self.servers = accepting(self.network, PORT)
        self.unread: list[FromClient] = []
        self.decoder = FrameDecoder()
        self.channel = self.call()
        self.addCleanup(self.assertNothingLeft)

    def call(self, token: Token = TOKEN) -> CallingChannel:
        """
        Connect to the server.
        """
        caller = Caller(
            token=token,
            host="vps.example.org",
            client="laptop",
            instance="instance1",
            verified=self.verified,
            nonce=lambda: random(8).hex(),
        )
        channel = CallingChannel(caller, SERVER, self.shown, self.heard, self.network)
        connection = Connection(Holder())
        self.network.connect(PORT, connection)
        connection.hold(channel)
        self.network.settle()
        return channel

    def assertNothingLeft(self) -> None:
        """
        When it is over nothing waits.
        """
        for wire in self.network.wires:
            wire.abortConnection()
        self.network.settle()
        self.assertEqual(list(map(str, self.network.getDelayedCalls())), [])
        self.assertEqual(len(self.heard.partings), len(self.servers))

    @property
    def server(self) -> Plain:
        """
        The server's end.
        """
        return self.servers[-1]

    def tell(self, *messages: FromServer) -> None:
        """
        Have the server say something.
        """
        self.server.say(b"".join(map(said, messages)))
        self.network.settle()

    def got(self, kind: type[_Said]) -> _Said:
        """
        Give what the client said next, which is of this kind.
        """
        for frame in self.decoder.feed(self.server.take().removeprefix(OPENING)):
            assert isinstance(frame, Message), f"{frame} is no message"
            self.unread.append(fromClient(frame))
        assert self.unread, f"no {kind.name}: the client says nothing"
        message = self.unread.pop(0)
        assert isinstance(message, kind), f"{message} in place of {kind.name}"
        return message

    def welcome(self, final: str) -> Welcome:
        """
        Make a welcome.
        """
        return Welcome(final, "session1", "0123", 5, 12, 100)

    def proven(self, hello: ServerHello = ENDPOINT) -> str:
        """
        Go through the login up to the welcome.
        """
        bound = hello.binding == "endpoint"
        login = ServerLogin(
            {"ann": VERIFIER}.get,
            bytes(32),
            bindingHash(PAIR.der) if bound else None,
            lambda: random(8).hex(),
        )
        self.got(ClientHello)
        self.tell(hello)
        self.tell(login.challenge(self.got(Login)))
        return login.prove(self.got(Proof))

    def logIn(self, hello: ServerHello = ENDPOINT) -> None:
        """
        Log in.
        """
        self.tell(self.welcome(self.proven(hello)))
        self.got(Ping)
        self.heard.events.clear()

    def parting(self) -> Parting:
        """
        Give how it ended.
        """
        self.assertEqual(len(self.heard.partings), len(self.servers))
        return self.heard.partings[-1]


class LoginTests(CallingCase):
    """
    A client logs in to its server.
    """

    def test_hello(self) -> None:
        """
        It says which versions it speaks, what it is, and which host it dialled.
        """
        self.assertTrue(self.server.heard.startswith(OPENING))
        self.assertEqual(
            self.got(ClientHello), ClientHello((1,), PROGRAM, "vps.example.org")
        )

    def test_login(self) -> None:
        """
        It logs in by its name, bound to the certificate that it saw, and pings.
        """
        final = self.proven()
        self.assertEqual(self.heard.events, [])
        self.tell(self.welcome(final))
        self.assertEqual(self.heard.events, [("logged in", "session1", True)])
        self.got(Ping)

    def test_everySplit(self) -> None:
        """
        It does not matter how the server's words are cut.
        """
        self.network.wires[0].cut = 1
        self.logIn()
        self.tell(Want(7), Ping(3))
        self.assertEqual(self.heard.events, [("wanted", 7)])
        self.assertEqual(self.got(Pong), Pong(3))

    def test_serverWithoutTheSecret(self) -> None:
        """
        A server that does not know the secret is found out, and nothing that it says
        counts.
        """
        self.proven()
        self.tell(self.welcome("v=" + "A" * 43 + "="))
        self.assertEqual(self.heard.events, [])
        parting = self.parting()
        self.assertEqual((parting.code, parting.retry), (codes.LOGIN, False))
        self.assertIn("the server does not know the secret of user ann", parting.reason)

    def test_refused(self) -> None:
        """
        A refusal comes to the user in the server's words, with whether to try again.
        """
        for retry in (True, False):
            self.tell(Refused(codes.LOGIN, "the token is wrong", retry))
            self.assertEqual(
                self.parting(), Parting(codes.LOGIN, "the token is wrong", retry)
            )
            self.assertTrue(self.server.ended)
            self.call()
        self.tell(Bye())

    def test_refusedLater(self) -> None:
        """
        So it does at each step of the login.
        """
        self.proven()
        self.tell(Refused(codes.FULL, "too many", True))
        self.assertEqual(self.parting(), Parting(codes.FULL, "too many", True))

    def test_version(self) -> None:
        """
        A server that answers in another version is no server for us, and the words
        say what to install.
        """
        self.tell(ServerHello(2, "endpoint", "test/2"))
        parting = self.parting()
        self.assertEqual((parting.code, parting.retry), (codes.VERSION, False))
        self.assertEqual(
            parting.reason,
            "vps:8910 speaks version 2 of the protocol, and this client version 1:"
            " install a tunnelkit that speaks the same, here or there",
        )

    def test_refusedForVersion(self) -> None:
        """
        One that refuses ours says which it speaks; the client says whose words those
        are, and what to install.
        """
        reason = "this server speaks version 2 of the protocol"
        self.tell(Refused(codes.VERSION, reason, versions=(2, 3)))
        self.assertEqual(
            self.parting(),
            Parting(
                codes.VERSION,
                "vps:8910 speaks version 2, 3 of the protocol, and this client version"
                " 1: install a tunnelkit that speaks the same, here or there",
                False,
            ),
        )

    def test_refusedForSomeVersion(self) -> None:
        """
        One that does not say which it speaks is no riddle either.
        """
        self.tell(Refused(codes.VERSION, "no"))
        start = "vps:8910 speaks another version of the protocol, and this client"
        self.assertIn(start, self.parting().reason)

    def test_noAnswer(self) -> None:
        """
        A server that says nothing has ten seconds.
        """
        self.network.elapse(PATIENCE - 0.1)
        self.assertEqual(self.heard.partings, [])
        self.network.elapse(0.2)
        parting = self.parting()
        self.assertEqual((parting.code, parting.retry), (codes.SILENT, True))
        self.assertIn("did not answer the login in time", parting.reason)
        self.assertEqual(self.server.ended, "reset")

    def test_stopsInTheMiddle(self) -> None:
        """
        So has one that stops in the middle of the login.
        """
        self.proven()
        self.network.elapse(PATIENCE + 0.1)
        self.assertEqual(self.parting().code, codes.SILENT)

    def test_closes(self) -> None:
        """
        A server that closes the connection is tried again.
        """
        self.server.wire.loseConnection()
        self.network.settle()
        self.assertEqual(
            self.parting(),
            Parting(
                codes.LOST,
                "the connection to vps:8910 ended during the login: the server closed"
                " it",
                True,
            ),
        )

    def test_leavesInTheMiddle(self) -> None:
        """
        A client that stops in the middle of the login leaves nothing behind.
        """
        left = self.channel.leave("the client is stopping")
        self.network.settle()
        self.successResultOf(left)
        self.assertEqual(self.network.getDelayedCalls(), [])

    def test_tooMuchWork(self) -> None:
        """
        A server that asks for a million rounds of hashing does not get them.
        """
        self.got(ClientHello)
        self.tell(ENDPOINT)
        nonce = self.got(Login).first.partition("r=")[2]
        self.tell(Challenge(f"r={nonce}x,s=AAAAAAAAAAAAAAAAAAAAAA==,i=1000000"))
        self.assertIn("asks for 1000000 iterations", self.parting().reason)

    def test_wrongSide(self) -> None:
        """
        Whatever is no answer to what was said breaks the protocol.
        """
        for message in (Want(1), self.welcome("x"), Opened(1, "web", "x"), Bye()):
            self.got(ClientHello)
            self.tell(ENDPOINT)
            self.got(Login)
            self.tell(message)
            parting = self.parting()
            self.assertEqual((parting.code, parting.retry), (codes.PROTOCOL, False))
            self.assertEqual(
                parting.reason,
                f"vps:8910 broke the protocol: {message.name} does not belong here",
            )
            self.call()
        self.tell(Bye())

    def test_unreasonable(self) -> None:
        """
        A heartbeat beyond all reason does not overflow anything.
        """
        final = self.proven()
        self.tell(Welcome(final, "s", "00", 2**62, 2**62, 0))
        self.assertEqual(self.channel.heartbeat.silence, 300)
        self.assertEqual(self.heard.partings, [])


class StrangerTests(CallingCase):
    """
    A server that is not tunnelkit's is shown with what it said.
    """

    def assertStranger(self, *words: bytes, said: bytes | None = None) -> None:
        """
        It says something else than hello.
        """
        for word in words:
            self.server.say(word)
            self.network.settle()
        parting = self.parting()
        self.assertEqual((parting.code, parting.retry), (codes.PROTOCOL, False))
        shown = said if said is not None else b"".join(words)[:60]
        self.assertEqual(
            parting.reason,
            f"vps:8910 is no tunnelkit server: it said {shown!r}; check host and port"
            " of --server",
        )

    def test_HTTP(self) -> None:
        """
        A web server.
        """
        self.assertStranger(
            b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\nContent-Length: 0\r\n\r\n"
        )

    def test_SSH(self) -> None:
        """
        An SSH server.
        """
        self.assertStranger(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n")

    def test_cut(self) -> None:
        """
        One whose words come in pieces.
        """
        self.assertStranger(b"S", b"SH", b"-2", said=b"SSH-2")

    def test_TLS(self) -> None:
        """
        One that speaks TLS, where plain TCP was asked for.
        """
        self.assertStranger(b"\x15\x03\x01\x00\x02\x02\x46")

    def test_data(self) -> None:
        """
        One whose first words look like a frame.
        """
        self.assertStranger(encode(Data(b"hello")))

    def test_otherMessage(self) -> None:
        """
        One that speaks our frames, but no hello.
        """
        self.assertStranger(said(Ping(1)))


class BindingTests(CallingCase):
    """
    A login is bound to the server's certificate, unless the user said otherwise.
    """

    def test_none(self) -> None:
        """
        A server behind somebody else's TLS is refused, with what to do: never does
        the server say how safe it is to be.
        """
        self.tell(UNBOUND)
        parting = self.parting()
        self.assertEqual((parting.code, parting.retry), (codes.BINDING, False))
        self.assertIn("use --verify", parting.reason)

    def test_strange(self) -> None:
        """
        So is a binding that there is not.
        """
        self.tell(ServerHello(1, "tls-exporter", "test/1"))
        self.assertIn(
            "offers to bind the login by 'tls-exporter'", self.parting().reason
        )

    def test_unfit(self) -> None:
        """
        And a certificate that nothing can be bound to.
        """
        der = issued(Ed25519PrivateKey.generate(), None).public_bytes(Encoding.DER)
        self.tell(Refused(codes.LOGIN, "the one with the other certificate"))
        self.shown = Seen("TLSv1.3", der)
        self.call()
        self.tell(ENDPOINT)
        parting = self.parting()
        self.assertEqual((parting.code, parting.retry), (codes.BINDING, False))
        self.assertIn("Ed25519", parting.reason)


class VerifiedTests(CallingCase):
    """
    A user who has the certificate verified may do without the binding.
    """

    verified = True

    def test_none(self) -> None:
        """
        Where the server offers none.
        """
        self.tell(self.welcome(self.proven(UNBOUND)))
        self.assertEqual(self.heard.events, [("logged in", "session1", False)])

    def test_offered(self) -> None:
        """
        One that is offered is used.
        """
        self.tell(self.welcome(self.proven(ENDPOINT)))
        self.assertEqual(self.heard.events, [("logged in", "session1", True)])


class PlainTests(CallingCase):
    """
    On plain TCP there is nothing to bind to.
    """

    shown = None

    def test_none(self) -> None:
        """
        The login goes without.
        """
        self.tell(self.welcome(self.proven(UNBOUND)))
        self.assertEqual(self.heard.events, [("logged in", "session1", False)])

    def test_endpoint(self) -> None:
        """
        A server that says there is has something between it and us.
        """
        self.tell(ENDPOINT)
        self.assertIn("offers to bind the login by 'endpoint'", self.parting().reason)


class AskingTests(CallingCase):
    """
    A client asks for tunnels.
    """

    def setUp(self) -> None:
        """
        Log in.
        """
        super().setUp()
        self.logIn()

    def open(self) -> Any:
        """
        Ask for a tunnel.
        """
        opening = self.channel.open(lambda id: Open(id, "web", "tcp"))
        self.network.settle()
        return opening

    def test_opened(self) -> None:
        """
        The answer finds its request, in any order.
        """
        first, second = self.open(), self.open()
        ids = [self.got(Open).id for _ in range(2)]
        self.assertEqual(len({*ids, 0}), 3)
        for id, opening in ((ids[1], second), (ids[0], first)):
            opened = Opened(id, "web", f"tcp://vps:900{id}")
            self.tell(opened)
            self.assertEqual(self.successResultOf(opening), opened)

    def test_refused(self) -> None:
        """
        A refusal does, too, and the channel goes on.
        """
        opening = self.open()
        self.tell(Refused(codes.PORT_LIVE, "no", True, self.got(Open).id))
        refusal = self.failureResultOf(opening, Refusal).value
        self.assertEqual(
            (refusal.code, refusal.reason, refusal.retry), (codes.PORT_LIVE, "no", True)
        )
        self.assertEqual(self.heard.partings, [])

    def test_close(self) -> None:
        """
        A tunnel is withdrawn.
        """
        closing = self.channel.close("web")
        self.network.settle()
        request = self.got(Close)
        self.assertEqual(request.tunnel, "web")
        self.tell(Closed("web", request.id))
        self.successResultOf(closing)

    def test_noAnswer(self) -> None:
        """
        A request that is not answered is given up after ten seconds, for the time
        being.
        """
        opening = self.open()
        for _ in range(10):
            self.tell(Ping(1))
            self.network.elapse(1)
        refusal = self.failureResultOf(opening, Refusal).value
        self.assertEqual((refusal.code, refusal.retry), (codes.SILENT, True))

    def test_lateAnswer(self) -> None:
        """
        A tunnel that is opened when nobody waits for it any more is closed again, and
        that is not taken for the server's doing.
        """
        self.test_noAnswer()
        self.unread.clear()
        self.server.take()
        self.tell(Opened(1, "web", "tcp://vps:9000"))
        request = self.got(Close)
        self.assertEqual(request.tunnel, "web")
        self.tell(Closed("web", request.id))
        self.assertEqual(self.heard.events, [])
        self.assertNotEqual(request.id, 0)

    def test_answerOfAnotherKind(self) -> None:
        """
        An answer to another question breaks the protocol.
        """
        opening = self.open()
        self.tell(Closed("web", self.got(Open).id))
        self.assertIn("closed answers another request", self.parting().reason)
        self.failureResultOf(opening, Refusal)

    def test_strangeAnswers(self) -> None:
        """
        Answers to what was never asked are passed over.
        """
        self.tell(Refused(codes.NAME, "no", id=77), Closed("web", 78))
        self.assertEqual((self.heard.events, self.heard.partings), ([], []))

    def test_lost(self) -> None:
        """
        When the connection is lost, the client hears that first, and who waits for an
        answer then: it is no refusal of the server's.
        """
        opening = self.open()
        order: list[str] = []
        opening.addErrback(lambda failure: order.append("answer"))
        note = self.heard.parted

        def parted(parting: Parting) -> None:
            order.append("parted")
            note(parting)

        self.heard.parted = parted  # type: ignore[method-assign]
        self.server.wire.abortConnection()
        self.network.settle()
        self.assertEqual(order, ["parted", "answer"])

    def test_tooLateToAsk(self) -> None:
        """
        Nothing can be asked when it is over.
        """
        self.server.wire.abortConnection()
        self.network.settle()
        self.failureResultOf(self.channel.close("web"), Refusal)
        self.failureResultOf(self.open(), Refusal)


class ListeningTests(CallingCase):
    """
    A server speaks to its client.
    """

    def setUp(self) -> None:
        """
        Log in.
        """
        super().setUp()
        self.logIn()

    def test_events(self) -> None:
        """
        It wants work connections, closes tunnels, is about to stop.
        """
        closed = Closed("web", code="withdrawn", reason="gone")
        self.tell(Want(3), closed, Drain(10))
        self.assertEqual(self.heard.events, [("wanted", 3), closed, Drain(10)])

    def test_certificates(self) -> None:
        """
        It announces certificates: the client has taken note before it says so.
        """
        self.tell(Certificates(5, ("aa", "bb")))
        self.assertEqual(self.heard.events, [("vouched", ("aa", "bb"))])
        self.assertEqual(self.got(Vouched), Vouched(5))

    def test_ping(self) -> None:
        """
        It pings, and is pinged.
        """
        self.tell(Ping(99))
        self.assertEqual(self.got(Pong), Pong(99))
        self.network.elapse(5)
        ping = self.got(Ping)
        self.network.advance(0.25)
        self.tell(Pong(ping.at))
        self.assertAlmostEqual(self.channel.heartbeat.roundTrip or 0, 0.25)

    def test_alive(self) -> None:
        """
        As long as anything is heard of it, it is not given up.
        """
        for _ in range(10):
            self.network.elapse(5)
            self.tell(Want(0))
        self.assertEqual(self.heard.partings, [])

    def test_silent(self) -> None:
        """
        When nothing is heard of it for twelve seconds it is given up.
        """
        self.network.elapse(12.1)
        parting = self.parting()
        self.assertEqual((parting.code, parting.retry), (codes.SILENT, True))
        self.assertEqual(parting.reason, "nothing was heard from vps:8910")
        self.assertEqual(self.server.ended, "reset")

    def test_goodbye(self) -> None:
        """
        It says good-bye, why, and whether to come back.
        """
        self.tell(Bye(codes.DISPLACED, "another one has come", True))
        self.assertEqual(
            self.parting(), Parting(codes.DISPLACED, "another one has come", True)
        )

    def test_behindTheGoodbye(self) -> None:
        """
        What it says behind that does not count.
        """
        self.tell(Bye("", "done"), Want(3))
        self.assertEqual(self.heard.events, [])

    def test_refusesAll(self) -> None:
        """
        A refusal that belongs to no request is about the whole connection.
        """
        self.tell(Refused(codes.REVOKED, "revoked"))
        self.assertEqual(self.parting(), Parting(codes.REVOKED, "revoked", False))

    def test_lost(self) -> None:
        """
        It closes, or is lost.
        """
        self.server.wire.abortConnection()
        self.network.settle()
        parting = self.parting()
        self.assertEqual((parting.code, parting.retry), (codes.LOST, True))
        self.assertIn("the connection to vps:8910 ended: Conn", parting.reason)

    def test_malformed(self) -> None:
        """
        It breaks the protocol, and the words say how.
        """
        self.server.say(b"\x1f\0\0\0")
        self.network.settle()
        parting = self.parting()
        self.assertEqual((parting.code, parting.retry), (codes.PROTOCOL, False))
        self.assertIn("broke the protocol: unknown frame type 31", parting.reason)

    def test_bug(self) -> None:
        """
        A bug of ours ends the connection, to try again, and is in the log.
        """
        self.heard.wanted = None  # type: ignore[assignment,method-assign]
        self.tell(Want(1))
        self.assertEqual(self.parting().code, codes.INTERNAL)
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)

    def test_flood(self) -> None:
        """
        A server that pings without end and does not read is not read from.
        """
        client = self.network.wires[0]
        for _ in range(200):
            client.peerSends(said(Ping(2**62)) * 1000)
            client.room = 0
            client.turn()
        self.assertFalse(client.reading)
        self.assertTrue(len(client._waiting) < 2 * 65536)


class LeavingTests(CallingCase):
    """
    A client leaves.
    """

    def setUp(self) -> None:
        """
        Log in.
        """
        super().setUp()
        self.logIn()

    def test_leave(self) -> None:
        """
        It says good-bye and why; that is done when the connection is closed.
        """
        left = self.channel.leave("the client is stopping")
        self.assertNoResult(left)
        self.network.settle()
        self.assertEqual(self.got(Bye), Bye("", "the client is stopping"))
        self.assertEqual(self.server.ended, "end")
        self.successResultOf(left)

    def test_serverDoesNotRead(self) -> None:
        """
        Where the server does not take it the connection is reset after five seconds.
        """
        self.network.wires[1].frozen = True
        self.network.wires[0].write(bytes(200_000))
        left = self.channel.leave("the client is stopping")
        self.network.elapse(CLOSING - 0.1)
        self.assertNoResult(left)
        self.network.elapse(0.2)
        self.successResultOf(left)

    def test_serverReadsLater(self) -> None:
        """
        Where it takes a while to read, it hears the good-bye all the same.
        """
        self.network.wires[1].frozen = True
        for at in range(20_000):
            self.channel._send(Pong(at))
        left = self.channel.leave("the client is stopping")
        self.network.elapse(1)
        self.assertNoResult(left)
        self.network.wires[1].frozen = False
        self.network.settle()
        self.successResultOf(left)
        self.assertEqual(self.server.ended, "end")
        self.assertTrue(
            self.server.heard.endswith(said(Bye("", self.parting().reason)))
        )

    def test_twice(self) -> None:
        """
        Who leaves twice has left.
        """
        first, second = self.channel.leave("one"), self.channel.leave("two")
        self.network.settle()
        self.successResultOf(first)
        self.successResultOf(second)
        self.assertEqual(self.parting().reason, "one")
