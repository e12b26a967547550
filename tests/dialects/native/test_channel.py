"""
Tests for L{tunnelkit.dialects.native.channel}.
"""

from __future__ import annotations

import errno
from dataclasses import replace
from typing import Any
from unittest.mock import Mock

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from tests.dialects.native.case import (
    HELLO,
    OTHER_PAIR,
    OTHER_PORT,
    PAIR,
    PLAIN_PORT,
    PORT,
    TOKEN,
    NativeCase,
    Script,
)
from tests.network import Plain
from tests.wire.issued import chainPEM, issued, keyPEM
from tunnelkit.control.login.client import ClientLogin
from tunnelkit.control.session import TUNNELS
from tunnelkit.dialects.native.channel import AT_ONCE, REST
from tunnelkit.relay.secure import ServerTLS
from tunnelkit.state.verifier import Verifier
from tunnelkit.wire import codes
from tunnelkit.wire.certificate import CertificatePair, bindingHash
from tunnelkit.wire.native.codec import said
from tunnelkit.wire.native.frames import Data, encode
from tunnelkit.wire.native.login import Challenge, ClientHello, Login, Proof
from tunnelkit.wire.native.messages import (
    Bye,
    Certificates,
    Close,
    Closed,
    Open,
    Opened,
    Ping,
    Pong,
    Refused,
    Vouched,
    Want,
)
from tunnelkit.wire.token import Token

WEB = Open(1, "web", "tcp", 0)
SECRET = "wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww"


class LoginTests(NativeCase):
    """
    A client with the right token gets in, and nobody else does.
    """

    def test_welcome(self) -> None:
        """
        It is told its session, the session's key, and how to keep in touch; it is
        pinged at once, and is no guest any more.
        """
        one = self.come()
        welcome = one.logIn()
        session = self.session()
        self.assertEqual(
            (welcome.session, welcome.key), (session.id, session.key.hex())
        )
        self.assertEqual((welcome.heartbeat, welcome.silence), (5, 12))
        self.assertEqual(welcome.tunnels, TUNNELS)
        one.got(Ping)
        self.assertEqual(one.unread, [])
        self.assertEqual(self.doorways[0].guests, 0)
        self.assertEqual(self.house.counts["logins"], 1)
        self.assertEqual(self.house.counts["logins_failed"], 0)

    def test_identity(self) -> None:
        """
        The server knows who it is, from where, and which host it dialled.
        """
        self.come().logIn()
        identity = self.session().identity
        self.assertEqual((identity.user, identity.client), ("ann", "laptop"))
        self.assertEqual(identity.instance, "instance1")
        self.assertEqual((identity.program, identity.host), ("test/1", HELLO.host))
        self.assertTrue(identity.peer.startswith("192.0.2.7:"))
        self.assertTrue(identity.bound)

    def test_plain(self) -> None:
        """
        Where there is no certificate the login is bound to none.
        """
        self.come(PLAIN_PORT).logIn()
        self.assertFalse(self.session().identity.bound)

    def test_stays(self) -> None:
        """
        Who has logged in, and answers, may stay.
        """
        one = self.come()
        one.logIn()
        for _ in range(10):
            self.network.elapse(5)
            for ping in one.all(Ping):
                one.tell(Pong(ping.at))
        self.assertEqual((one.ended, len(self.sessions)), ("", 1))

    def failing(self, token: Token, **who: str) -> Refused:
        """
        Try to log in, and see the door.
        """
        one = self.come()
        one.prove(one.hello(), token, **who)
        refused = one.got(Refused)
        self.assertEqual((one.unread, one.ended), ([], "end"))
        self.assertEqual(len(self.sessions), 0)
        return refused

    def test_oneAnswer(self) -> None:
        """
        A wrong secret and a user that there is not get the same answer; so does a
        user whose secret is changed between challenge and proof.
        """
        wrong = self.failing(Token("ann", SECRET))
        self.assertEqual((wrong.code, wrong.retry), (codes.LOGIN, False))
        self.assertIn("does not accept this token", wrong.reason)
        self.assertEqual(self.failing(Token("bob", SECRET)), wrong)
        one = self.come()
        login = ClientLogin(
            TOKEN, "laptop", "i", bindingHash(PAIR.der), lambda: "nonce"
        )
        one.hello()
        one.tell(login.first())
        self.users["ann"] = Verifier.of(SECRET, lambda size: bytes(size))
        one.tell(login.answer(one.got(Challenge)))
        self.assertEqual(one.got(Refused), wrong)
        self.assertEqual(self.house.counts["logins_failed"], 3)

    def test_logged(self) -> None:
        """
        The server's own log knows the cause, and is not flooded by whoever tries
        without end.
        """
        for _ in range(20):
            self.failing(Token("ann", SECRET))
        self.assertEqual(
            self.warned,
            ["login from 192.0.2.7: user ann: the proof was made with another secret"],
        )
        self.network.elapse(10)
        self.assertEqual(len(self.warned), 2)
        self.assertIn("(19 times more in 10 s)", self.warned[1])

    def test_otherCertificate(self) -> None:
        """
        A client that saw another certificate than the one that is shown here is told
        so: somebody is in between.
        """
        one = self.come()
        one.der = OTHER_PAIR.der
        one.prove(one.hello())
        refused = one.got(Refused)
        self.assertEqual(refused.code, codes.BINDING)
        self.assertIn("saw another certificate", refused.reason)

    def test_notBound(self) -> None:
        """
        A client that binds its login to nothing, where the server has a certificate,
        is told that.
        """
        one = self.come()
        one.hello()
        unbound = ClientLogin(TOKEN, "laptop", "i", None, lambda: "nonce")
        one.tell(unbound.first())
        self.assertEqual(one.got(Refused).code, codes.BINDING)

    def test_boundWhereNothingIs(self) -> None:
        """
        So is the reverse.
        """
        one = self.come(PLAIN_PORT)
        one.hello()
        bound = ClientLogin(TOKEN, "laptop", "i", bindingHash(PAIR.der), lambda: "n")
        one.tell(bound.first())
        self.assertEqual(one.got(Refused).code, codes.BINDING)

    def test_full(self) -> None:
        """
        A server that is full says so, and that it is for a while.
        """
        for number in range(5):
            self.come().logIn(instance=f"instance{number}")
        one = self.come()
        one.prove(one.hello(), instance="one more")
        refused = one.got(Refused)
        self.assertEqual((refused.code, refused.retry), (codes.FULL, True))
        self.assertEqual(len(self.sessions), 5)

    def test_draining(self) -> None:
        """
        So does a server that is stopping.
        """
        one = self.come()
        hello = one.hello()
        self.sessions.close()
        one.prove(hello)
        refused = one.got(Refused)
        self.assertEqual((refused.code, refused.retry), (codes.DRAINING, True))

    def test_name(self) -> None:
        """
        A client whose name cannot be shown is refused, once it has proven who it is.
        """
        for name in ("", "x" * 201, "two\nlines"):
            one = self.come()
            one.prove(one.hello(), client=name)
            refused = one.got(Refused)
            self.assertEqual((refused.code, refused.retry), (codes.NAME, False))
            self.assertIn("--name", refused.reason)

    def test_host(self) -> None:
        """
        A host that is none is not printed in public addresses: the address that the
        client came to is.
        """
        for host, shown in (
            ("[2001:db8::1]", "2001:db8::1"),
            ("", "127.0.0.1"),
            ("\x1b[2J", "127.0.0.1"),
            ("http://evil/", "127.0.0.1"),
        ):
            self.come().logIn(replace(HELLO, host=host))
            self.assertEqual(self.session().identity.host, shown)

    def test_program(self) -> None:
        """
        What a client's program calls itself does no harm to a terminal.
        """
        self.come().logIn(ClientHello((1,), "x\n\x1b[2J" + "y" * 1000, "vps"))
        program = self.session().identity.program
        self.assertTrue(program.isprintable())
        self.assertTrue(len(program) < 250)

    def test_comesBack(self) -> None:
        """
        A client that logs in anew takes the place of its old self, which is told.
        """
        old = self.come()
        old.logIn()
        self.come().logIn()
        (bye,) = old.all(Bye)
        self.assertEqual((bye.code, bye.retry), (codes.DISPLACED, True))
        self.assertEqual(old.ended, "end")
        self.assertEqual(len(self.sessions), 1)

    def test_gone(self) -> None:
        """
        Whoever goes in the middle of a login is forgotten.
        """
        one = self.come()
        one.hello()
        one.wire.abortConnection()
        self.network.settle()
        self.assertEqual(self.doorways[0].guests, 0)

    def test_goodbye(self) -> None:
        """
        So is who says good-bye there.
        """
        for steps in range(2):
            one = self.come()
            one.hello()
            if steps:
                login = ClientLogin(
                    TOKEN, "laptop", "i", bindingHash(PAIR.der), lambda: "n"
                )
                one.tell(login.first())
                one.got(Challenge)
            one.tell(Bye())
            self.assertEqual((one.unread, one.ended), ([], "end"))

    def test_unboundCertificate(self) -> None:
        """
        On a port with a certificate to which no login can be bound, a client is told
        that, and so is the operator.
        """
        key = Ed25519PrivateKey.generate()
        pair = CertificatePair(chainPEM(issued(key, None)), keyPEM(key))
        self.doorways[2].tls = ServerTLS(pair)
        one = self.come(OTHER_PORT)
        one.say(b"TK/1\n")
        one.tell(HELLO)
        refused = one.got(Refused)
        self.assertEqual((refused.code, refused.retry), (codes.BINDING, False))
        self.assertIn("Ed25519", refused.reason)
        (line,) = self.log.lines("error")
        self.assertIn("nobody can log in", line)
        self.assertEqual(one.ended, "end")


class WrongMessageTests(NativeCase):
    """
    What does not belong is refused by name, and harms nobody else.
    """

    def assertRefused(self, one: Script, reason: str) -> None:
        """
        A guest is refused so.
        """
        refused = one.got(Refused)
        self.assertEqual((refused.code, refused.reason), (codes.PROTOCOL, reason))
        self.assertEqual(one.ended, "end")

    def test_beforeLogin(self) -> None:
        """
        Nothing can be asked for before the login.
        """
        for message in (WEB, Ping(1), Close(1, "web"), Vouched(1), Proof("x")):
            one = self.come()
            one.hello()
            one.tell(message)
            self.assertRefused(one, f"{message.name} does not belong here")

    def test_inLogin(self) -> None:
        """
        Nor in the middle of it.
        """
        for message in (WEB, Ping(1), Login("SCRAM-SHA-256", "n,,", "l", "i"), HELLO):
            one = self.come(PLAIN_PORT)
            one.hello()
            login = ClientLogin(TOKEN, "laptop", "i", None, lambda: "nonce")
            one.tell(login.first())
            one.got(Challenge)
            one.tell(message)
            self.assertRefused(one, f"{message.name} does not belong here")

    def ended(self, words: bytes) -> str:
        """
        Say something behind the login, and give how that ended.
        """
        one = self.come()
        one.logIn()
        one.all(Ping)
        one.say(words)
        self.network.settle()
        bye = one.got(Bye)
        self.assertEqual((bye.code, bye.retry), (codes.PROTOCOL, False))
        self.assertEqual((one.ended, len(self.sessions)), ("end", 0))
        return bye.reason

    def test_behindLogin(self) -> None:
        """
        Who breaks the protocol is told how, and its session ends.
        """
        for words, reason in (
            (said(HELLO), "hello does not belong here"),
            (said(Proof("x")), "proof does not belong here"),
            (encode(Data(b"x")), "a Data frame on a control channel"),
            (b"\x1f\0\0\0", "unknown frame type 31"),
            (b"\x01\0\0\x02{}", "a message is not an object with a type"),
            (b"\x01\xff\xff\xff", "a MESSAGE of 16777215 bytes"),
            (said(Want(3)), "unknown message 'want'"),
            (said(Opened(1, "web", "tcp://x:1")), "unknown message 'opened'"),
        ):
            self.assertIn(reason, self.ended(words))

    def test_othersStay(self) -> None:
        """
        Nobody else notices.
        """
        other = self.come()
        other.logIn(instance="i2")
        one = self.come()
        one.logIn()
        one.say(b"\x1f\0\0\0")
        self.network.settle()
        self.assertEqual((other.ended, len(self.sessions)), ("", 1))

    def test_behindTheMistake(self) -> None:
        """
        What comes behind a mistake is not listened to.
        """
        one = self.come()
        one.logIn()
        one.say(encode(Data(b"x")) + said(WEB))
        one.tell(WEB)
        self.assertEqual([*map(type, one.unread)], [Ping, Bye])

    @settings(max_examples=40)
    @given(st.binary(max_size=100))
    def test_anyBytes(self, noise: bytes) -> None:
        """
        Whatever a client says when it is logged in, it is never in the log with a
        traceback.
        """
        one = self.come(PLAIN_PORT)
        one.logIn()
        one.say(noise)
        self.network.settle()
        one.wire.abortConnection()
        self.network.settle()
        self.assertEqual(self.flushLoggedErrors(), [])
        self.assertEqual(len(self.sessions), 0)

    def test_bug(self) -> None:
        """
        A bug of the server's ends that session with an apology, and is in the log.
        """
        one = self.come()
        one.logIn()
        one.all(Ping)
        self.session().heartbeat.answered = None  # type: ignore[assignment,method-assign]
        one.tell(Pong(1))
        bye = one.got(Bye)
        self.assertEqual((bye.code, bye.retry), (codes.INTERNAL, True))
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)


class TunnelTests(NativeCase):
    """
    A client opens and closes tunnels.
    """

    def setUp(self) -> None:
        """
        Log in.
        """
        super().setUp()
        self.client = self.come()
        self.client.logIn()
        self.client.all(Ping)

    def test_opened(self) -> None:
        """
        It is told the full public address, and asked for work connections.
        """
        self.client.tell(WEB)
        self.assertEqual(
            self.client.got(Opened), Opened(1, "web", "tcp://vps.example.org:9000")
        )
        self.assertEqual(self.client.got(Want), Want(2))
        self.assertIn(9000, self.network.accepting)

    def test_refused(self) -> None:
        """
        Each refusal has the number of its request, a code, a reason, and whether
        asking again may help.
        """
        self.network.taken[9005] = errno.EADDRINUSE
        for request, code, retry in (
            (Open(2, "a", "ftp"), codes.KIND, False),
            (Open(3, "a b", "tcp"), codes.NAME, False),
            (Open(4, "a", "tcp", 80), codes.PORT_DENIED, False),
            (Open(5, "a", "tcp", 9005), codes.PORT_TAKEN, True),
        ):
            self.client.tell(request)
            refused = self.client.got(Refused)
            self.assertEqual(
                (refused.id, refused.code, refused.retry), (request.id, code, retry)
            )
            self.assertTrue(refused.reason)
        self.assertEqual(self.client.ended, "")

    def test_live(self) -> None:
        """
        A port that another live client has is refused when that has answered.
        """
        self.client.tell(WEB)
        other = self.come()
        other.logIn(instance="i2", client="laptop")
        other.all(Ping)
        other.tell(WEB)
        self.assertEqual(other.unread, [])
        (ping,) = self.client.all(Ping)
        self.client.tell(Pong(ping.at))
        self.assertEqual(other.got(Refused).code, codes.PORT_LIVE)

    def test_displaced(self) -> None:
        """
        One that is frozen loses its session to its successor, which serves within
        half a second.
        """
        self.client.tell(WEB)
        self.network.wires[0].frozen = True
        other = self.come()
        other.logIn(instance="i2", client="laptop")
        other.tell(WEB)
        self.network.elapse(0.5)
        self.assertEqual(other.all(Opened)[0].address, "tcp://vps.example.org:9000")
        self.network.wires[0].frozen = False
        self.network.settle()
        (bye,) = self.client.all(Bye)
        self.assertEqual((bye.code, bye.retry), (codes.DISPLACED, True))

    def test_close(self) -> None:
        """
        A tunnel that is closed takes no more visitors, and can be opened again.
        """
        self.client.tell(WEB)
        self.client.tell(Close(2, "web"))
        self.assertEqual(self.client.all(Closed), [Closed("web", 2)])
        self.assertNotIn(9000, self.network.accepting)
        self.client.tell(replace(WEB, id=3))
        self.assertEqual(len(self.client.all(Opened)), 2)

    def test_closeWithVisitors(self) -> None:
        """
        One that is closed while visitors are with it, or wait, is kept until they
        have gone.
        """
        self.client.tell(WEB)
        visitor = Plain()
        self.network.connect(9000, visitor)
        self.network.settle()
        self.client.tell(Close(2, "web"))
        (tunnel,) = self.house.published.status([self.session()])
        self.assertEqual((tunnel.withdrawn, tunnel.streams), (True, 1))
        self.network.elapse(10)
        self.assertEqual(visitor.ended, "reset")
        self.assertEqual(self.house.published.status([self.session()]), ())

    def test_closeNone(self) -> None:
        """
        One that there is not cannot be closed.
        """
        self.client.tell(Close(7, "web"))
        refused = self.client.got(Refused)
        self.assertEqual((refused.id, refused.code), (7, codes.NAME))

    def test_bug(self) -> None:
        """
        A bug at opening one tunnel is in the log, refuses that tunnel, and leaves the
        session alone.
        """
        broken: Any = {"tcp": Mock(space="tcp", side_effect=ZeroDivisionError)}
        self.house.published._kinds = broken
        self.client.tell(WEB)
        refused = self.client.got(Refused)
        self.assertEqual((refused.id, refused.code), (1, codes.INTERNAL))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.client.ended, "")

    def test_revoked(self) -> None:
        """
        A user who was revoked since the login opens nothing, and is told so.
        """
        self.users.clear()
        self.client.tell(WEB)
        bye = self.client.got(Bye)
        self.assertEqual((bye.code, bye.retry), (codes.REVOKED, False))
        self.assertEqual((self.client.ended, len(self.sessions)), ("end", 0))
        self.assertNotIn(9000, self.network.accepting)

    def test_lostMeanwhile(self) -> None:
        """
        A client that is lost while its tunnel is being opened leaves nothing behind.
        """
        self.client.tell(WEB)
        other = self.come()
        other.logIn(instance="i2", client="laptop")
        other.tell(WEB)
        other.wire.abortConnection()
        self.network.settle()
        self.network.elapse(3)
        self.assertEqual(len(self.sessions), 0)
        self.assertEqual({*self.network.accepting}, {PORT, PLAIN_PORT, OTHER_PORT})


class LivenessTests(NativeCase):
    """
    A client that is gone is noticed.
    """

    def setUp(self) -> None:
        """
        Log in.
        """
        super().setUp()
        self.client = self.come()
        self.client.logIn()
        self.client.all(Ping)

    def test_ping(self) -> None:
        """
        A ping is answered with its time.
        """
        self.client.tell(Ping(12345))
        self.assertEqual(self.client.got(Pong), Pong(12345))

    def test_roundTrip(self) -> None:
        """
        The answer to its own tells the server how far the client is.
        """
        self.network.elapse(5)
        (ping,) = self.client.all(Ping)
        self.network.advance(0.125)
        self.client.tell(Pong(ping.at))
        self.assertAlmostEqual(self.session().heartbeat.roundTrip or 0, 0.125)

    def test_silent(self) -> None:
        """
        One that says nothing for twelve seconds is told so, and gone.
        """
        self.network.elapse(12.1)
        self.assertEqual(len(self.sessions), 0)
        (bye,) = self.client.all(Bye)
        self.assertEqual((bye.code, bye.retry), (codes.SILENT, True))

    def test_lost(self) -> None:
        """
        One that closes or resets its connection is gone at once, and the log says how.
        """
        self.client.wire.loseConnection()
        self.network.settle()
        again = self.come()
        again.logIn()
        again.wire.abortConnection()
        self.network.settle()
        self.assertEqual(len(self.sessions), 0)
        ends = [line for line in self.log.lines("info") if "has ended" in line]
        self.assertIn("the client's control channel is gone: closed", ends[0])
        self.assertIn("the client's control channel is gone: Conn", ends[1])

    def test_goodbye(self) -> None:
        """
        One that says good-bye is gone at once.
        """
        self.client.tell(Bye("", "done"))
        self.assertEqual((len(self.sessions), self.client.ended), (0, "end"))

    def test_doesNotGo(self) -> None:
        """
        A connection that does not close when it was told to is reset after five
        seconds.
        """
        wire = self.network.wires[0]
        wire.frozen = True
        self.session().end("", "over")
        self.network.elapse(4.9)
        self.assertFalse(wire.far.lost)
        self.network.elapse(0.2)
        self.assertTrue(wire.far.lost)

    def test_flood(self) -> None:
        """
        A client that asks without end and does not read the answers is not read from
        either: it costs the server no memory.
        """
        flood = said(Ping(2**62)) * 1000
        one = self.come(PLAIN_PORT)
        one.logIn(instance="i2")
        wire = next(w for w in self.network.wires if w.protocol is one)
        server = wire.far
        for _ in range(200):
            # What a kernel would hand over, had it no bounds of its own.
            server.peerSends(flood)
            server.room = 0
            server.turn()
        self.assertFalse(server.reading)
        self.assertTrue(len(server._waiting) < 2 * 65536, len(server._waiting))

    def test_floodEnds(self) -> None:
        """
        When it reads on, so does the server.
        """
        one = self.come(PLAIN_PORT)
        one.logIn(instance="i2")
        one.all(Ping)
        wire = next(w for w in self.network.wires if w.protocol is one)
        wire.pauseProducing()
        for at in range(5_000):
            one.say(said(Ping(at)))
        self.network.settle()
        self.assertFalse(wire.far.reading)
        wire.resumeProducing()
        self.network.elapse(5_000 / AT_ONCE * REST + 1)
        self.assertTrue(wire.far.reading)
        self.assertEqual(one.all(Pong), [Pong(at) for at in range(5_000)])

    def test_turns(self) -> None:
        """
        Who asks a thousand things at once is answered some at a time: visitors of
        others come in between.
        """
        one = self.come(PLAIN_PORT)
        one.logIn(instance="i2")
        wire = next(w for w in self.network.wires if w.protocol is one)
        one.say(b"".join(said(Ping(at)) for at in range(1000)))
        self.network.settle()
        answers = one.all(Pong)
        self.assertEqual(len(answers), AT_ONCE)
        self.assertFalse(wire.far.reading)
        self.network.elapse(1000 / AT_ONCE * REST + REST)
        answers += one.all(Pong)
        self.assertEqual(answers, [Pong(at) for at in range(1000)])
        self.assertTrue(wire.far.reading)

    def test_goneInTurn(self) -> None:
        """
        A client that is lost in the middle of that leaves nothing behind.
        """
        one = self.come(PLAIN_PORT)
        one.logIn(instance="i2")
        one.say(b"".join(said(Ping(at)) for at in range(1000)))
        self.network.settle()
        wire = next(w for w in self.network.wires if w.protocol is one)
        wire.abortConnection()
        self.network.elapse(2000 / AT_ONCE * REST)
        self.assertEqual(len(self.house.sessions), 1)

    def test_floodOfTheRefused(self) -> None:
        """
        What a client sends behind its mistake, or its good-bye, is not gathered.
        """
        for last in (b"\x07\x00\x00\x01", said(Bye())):
            one = self.come(PLAIN_PORT)
            one.logIn(instance=last.hex())
            wire = next(w for w in self.network.wires if w.protocol is one)
            one.say(last)
            channel = wire.far.protocol._holder
            self.network.settle()
            for _ in range(10):
                channel.dataReceived(bytes(100_000))
            self.assertEqual(channel._decoder.rest(), b"")


class VouchTests(NativeCase):
    """
    A client hears of a new certificate before that is shown.
    """

    def setUp(self) -> None:
        """
        Log in.
        """
        super().setUp()
        self.client = self.come()
        self.client.logIn()
        self.client.all(Ping)

    def vouch(self) -> Deferred[None]:
        """
        Announce another certificate.
        """
        return self.session().channel.vouch((OTHER_PAIR.fingerprint,))

    def test_answered(self) -> None:
        """
        The client is told of it beside the one that it knows; its answer is waited
        for.
        """
        vouched = self.vouch()
        self.network.settle()
        told = self.client.got(Certificates)
        self.assertEqual(told.hashes, (PAIR.fingerprint, OTHER_PAIR.fingerprint))
        self.client.tell(Vouched(told.id + 1))
        self.assertNoResult(vouched)
        self.client.tell(Vouched(told.id))
        self.successResultOf(vouched)
        self.client.tell(Vouched(told.id))
        self.assertEqual(self.client.ended, "")

    def test_two(self) -> None:
        """
        Two announcements under way are told apart.
        """
        first, second = self.vouch(), self.vouch()
        self.network.settle()
        _, told = self.client.all(Certificates)
        self.client.tell(Vouched(told.id))
        self.assertNoResult(first)
        self.successResultOf(second)
        self.network.elapse(5.1)
        self.successResultOf(first)

    def test_late(self) -> None:
        """
        But for no longer than five seconds.
        """
        vouched = self.vouch()
        self.network.elapse(4.9)
        self.assertNoResult(vouched)
        self.network.elapse(0.2)
        self.successResultOf(vouched)

    def test_lost(self) -> None:
        """
        A client that is gone is not waited for.
        """
        vouched = self.vouch()
        self.client.wire.abortConnection()
        self.network.settle()
        self.successResultOf(vouched)

    def test_atLogin(self) -> None:
        """
        Who logs in while another certificate is about to be shown hears of it with
        the welcome; who logs in at any other time hears nothing.
        """
        self.hashes = (PAIR.fingerprint, OTHER_PAIR.fingerprint)
        one = self.come()
        one.logIn(instance="i2")
        self.assertEqual(one.got(Certificates).hashes, self.hashes)
        self.assertEqual(self.client.all(Certificates), [])

    def test_connectedBefore(self) -> None:
        """
        So does who connected before that was shown and logs in after it.
        """
        one = self.come()
        hello = one.hello()
        self.hashes = (OTHER_PAIR.fingerprint,)
        one.prove(hello, instance="i2")
        told = one.all(Certificates)[0]
        self.assertEqual(told.hashes, (PAIR.fingerprint, OTHER_PAIR.fingerprint))

    def test_unbound(self) -> None:
        """
        Without TLS there are no certificates to talk about.
        """
        self.hashes = (OTHER_PAIR.fingerprint,)
        one = self.come(PLAIN_PORT)
        one.logIn(instance="i2")
        self.assertEqual(one.all(Certificates), [])
