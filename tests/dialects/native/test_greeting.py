"""
Tests for L{tunnelkit.dialects.native.greeting}.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.dialects.native.case import (
    HELLO,
    OTHER_PAIR,
    OTHER_PORT,
    PAIR,
    PLAIN_PORT,
    PORT,
    NativeCase,
    Script,
    workOf,
)
from tests.network import Plain
from tunnelkit.carrier.pool import LEAST, SLACK
from tunnelkit.control.login.proofs import workProof
from tunnelkit.dialects.house import PROGRAM
from tunnelkit.relay.connection import socketTransport
from tunnelkit.wire.native.codec import said
from tunnelkit.wire.native.frames import Data, encode
from tunnelkit.wire.native.login import ClientHello, ServerHello
from tunnelkit.wire.native.messages import Ping, Refused
from tunnelkit.wire.sniff import OPENING


class FirstMessageTests(NativeCase):
    """
    The first message says what a connection is for.
    """

    def test_hello(self) -> None:
        """
        A client that says hello is told how its login is to be bound.
        """
        self.assertEqual(self.come().hello(), ServerHello(1, "endpoint", PROGRAM))
        self.assertEqual(self.come(PLAIN_PORT).hello().binding, "none")

    def test_everySplit(self) -> None:
        """
        It does not matter how its words are cut.
        """
        words = OPENING + said(HELLO)
        for cut in range(len(words)):
            one = self.come(PLAIN_PORT)
            one.say(words[:cut])
            self.network.settle()
            one.say(words[cut:])
            self.network.settle()
            one.got(ServerHello)
            one.wire.abortConnection()

    def test_allInOne(self) -> None:
        """
        What comes in the same segment behind the hello is not lost.
        """
        one = self.come()
        one.say(OPENING)
        one.tell(HELLO, Ping(1))
        one.got(ServerHello)
        self.assertEqual(one.got(Refused).reason, "ping does not belong here")

    def assertRefused(self, words: bytes, reason: str) -> None:
        """
        Whoever says that is refused so.
        """
        one = self.come()
        one.say(OPENING + words)
        self.network.settle()
        refused = one.got(Refused)
        self.assertEqual((refused.code, refused.retry), ("protocol", False))
        self.assertIn(reason, refused.reason)
        self.assertEqual(one.ended, "end")

    def test_neither(self) -> None:
        """
        Neither hello nor work is refused by name.
        """
        reason = "neither hello nor work came first"
        self.assertRefused(said(Ping(1)), reason)
        self.assertRefused(encode(Data(b"GET /")), reason)

    def test_malformed(self) -> None:
        """
        What is no message is refused with what is wrong about it.
        """
        self.assertRefused(b"\x1f\0\0\0", "unknown frame type 31")
        self.assertRefused(b"\x01\0\0\x02[]", "not an object with a type")
        self.assertRefused(b"\x01\0\0\x03not", "a message is not JSON")
        self.assertRefused(b"\x01\x01\0\x01", "a MESSAGE of 65537 bytes")
        self.assertRefused(b'\x01\0\0\x10{"type":"hello"}', "hello message without")
        self.assertRefused(b'\x01\0\0\x0e{"type":"own"}', "unknown message 'own'")

    def test_behindTheRefusal(self) -> None:
        """
        What comes behind a mistake is not listened to.
        """
        one = self.come()
        one.say(OPENING + said(Ping(1)))
        one.say(said(HELLO))
        one.tell(HELLO)
        self.assertEqual(len(one.unread), 1)

    def test_late(self) -> None:
        """
        Who has opened has ten seconds to log in, and is reset then.
        """
        one = self.come()
        self.network.elapse(9)
        one.say(OPENING)
        self.network.elapse(9.9)
        self.assertEqual(one.ended, "")
        self.network.elapse(0.2)
        self.assertEqual(one.ended, "reset")

    def test_version(self) -> None:
        """
        A client that speaks other versions alone is told which one is spoken here;
        one that speaks several comes in.
        """
        one = self.come()
        one.say(OPENING)
        one.tell(ClientHello((2, 3), "test/9", "vps"))
        refused = one.got(Refused)
        self.assertEqual((refused.code, refused.versions), ("version", (1,)))
        self.assertEqual(one.ended, "end")
        self.come().hello(ClientHello((3, 2, 1), "test/9", "vps"))

    @settings(max_examples=60)
    @given(st.binary(max_size=200))
    def test_anyBytes(self, noise: bytes) -> None:
        """
        Whatever a stranger says, it ends with that connection, and never in the log
        with a traceback.
        """
        one = Plain()
        self.network.connect(PLAIN_PORT, one)
        one.say(OPENING + noise)
        self.network.settle()
        one.wire.abortConnection()
        self.network.settle()
        self.assertEqual(self.flushLoggedErrors(), [])
        self.assertEqual(len(self.sessions), 0)


class WorkTests(NativeCase):
    """
    A work connection proves which session it belongs to.
    """

    def setUp(self) -> None:
        """
        Log in.
        """
        super().setUp()
        self.client = self.come()
        self.welcome = self.client.logIn()

    def assertSentAway(self, one: Script) -> None:
        """
        It is closed, and learns nothing.
        """
        self.assertEqual((one.heard, one.ended), (b"", "end"))
        self.assertEqual(self.works(), 0)

    def test_taken(self) -> None:
        """
        One with a proof is idle in the pool; nothing is answered.
        """
        one = self.bringWork(self.welcome)
        self.assertEqual(self.session().pool.counts, (1, 0, 0))
        self.assertEqual((one.heard, one.ended), (b"", ""))
        self.assertEqual(self.house.counts["work_connections"], 1)
        self.assertEqual(self.doorways[0].guests, 0)

    def test_mayWait(self) -> None:
        """
        It may be idle for as long as it is wanted: it is no guest any more.
        """
        self.bringWork(self.welcome)
        self.network.elapse(11)
        self.assertEqual(self.works(), 1)

    def test_everySplit(self) -> None:
        """
        It does not matter how its words are cut.
        """
        for cut in range(1, len(OPENING) + 40):
            words = OPENING + said(workOf(self.welcome, cut, PAIR.der))
            one = self.come()
            one.say(words[:cut])
            self.network.settle()
            one.say(words[cut:])
            self.network.settle()
            self.assertEqual(self.works(), cut)

    def test_anotherSession(self) -> None:
        """
        One of a session that there is not, or not any more, is closed.
        """
        self.assertSentAway(self.bringWork(self.welcome, session="another"))
        self.session().end("", "over")
        one = self.bringWork(self.welcome)
        self.assertEqual((one.heard, one.ended), (b"", "end"))

    def test_noProof(self) -> None:
        """
        One with another proof is closed.
        """
        for proof in ("", "0" * 64, "ü", workProof(bytes(32), 1, PAIR.der)):
            self.assertSentAway(self.bringWork(self.welcome, proof=proof))

    def test_serialBelongsToTheProof(self) -> None:
        """
        A proof is good for its own serial alone.
        """
        proof = workOf(self.welcome, 2, PAIR.der).proof
        self.assertSentAway(self.bringWork(self.welcome, 1, proof=proof))

    def test_replayed(self) -> None:
        """
        Whoever heard a proof and says it again is sent away.
        """
        self.bringWork(self.welcome)
        again = self.bringWork(self.welcome)
        self.assertEqual((again.heard, again.ended), (b"", "end"))
        self.assertEqual(self.works(), 1)

    def test_wrongProofCostsNoSerial(self) -> None:
        """
        A stranger cannot use serials up.
        """
        self.bringWork(self.welcome, proof="0" * 64)
        self.bringWork(self.welcome)
        self.assertEqual(self.works(), 1)

    def test_anotherCertificate(self) -> None:
        """
        A proof that was made for a connection with another certificate, as it would
        be by a client that has somebody in between, is refused.
        """
        work = workOf(self.welcome, 1, OTHER_PAIR.der)
        self.assertSentAway(self.bringWork(self.welcome, proof=work.proof))
        work = workOf(self.welcome, 2, PAIR.der)
        one = self.bringWork(self.welcome, 2, OTHER_PORT, proof=work.proof)
        self.assertSentAway(one)

    def test_twoCertificates(self) -> None:
        """
        A port with another certificate of the server's own is good for work
        connections: the proof is made with what that one shows.
        """
        self.bringWork(self.welcome, port=OTHER_PORT)
        self.assertEqual(self.works(), 1)

    def test_plain(self) -> None:
        """
        A session that was bound to a certificate has no plain work connections.
        """
        self.assertSentAway(self.bringWork(self.welcome, port=PLAIN_PORT))

    def test_unbound(self) -> None:
        """
        One that was not has plain ones, and the proof names no certificate.
        """
        self.session().end("", "over")
        welcome = self.come(PLAIN_PORT).logIn()
        self.bringWork(welcome, port=PLAIN_PORT)
        self.assertEqual(self.works(), 1)
        work = workOf(welcome, 2, None)
        self.bringWork(welcome, 2, proof=work.proof)
        self.assertEqual(self.works(), 2)

    def test_greatSerials(self) -> None:
        """
        Any number that fits in a message is good.
        """
        self.bringWork(self.welcome, 2**63 - 1)
        self.assertEqual(self.works(), 1)

    def test_lost(self) -> None:
        """
        One that is lost is forgotten.
        """
        self.bringWork(self.welcome).wire.abortConnection()
        self.network.settle()
        self.assertEqual(self.works(), 0)

    def test_unaskedFor(self) -> None:
        """
        A client that brings ever more, which nobody asked for, and closes none, costs
        the server no more connections than it asks for, and some that may have come
        late.
        """
        brought = SLACK + 20
        for serial in range(1, brought + 1):
            self.bringDeaf(serial)
        kept = self.works()
        self.assertTrue(kept <= LEAST + SLACK, kept)
        held = [w for w in self.network.wires if w.getHost().port == PORT]
        self.assertEqual(sum(not wire.lost for wire in held), 1 + kept)
        counts = self.house.counts
        self.assertEqual(counts["work_connections"], brought)
        self.assertEqual(counts["work_connections_refused"], brought - kept)

    def bringDeaf(self, serial: int) -> None:
        """
        Open a work connection that takes no notice of anything from then on.
        """
        one = self.come()
        one.say(OPENING + said(workOf(self.welcome, serial, one.der)))
        wire = socketTransport(one.wire)
        self.network.advance(0)
        wire.move()
        wire.frozen = True
        self.network.settle()

    def test_bytesBehind(self) -> None:
        """
        What comes behind the proof belongs to the stream's rules: it breaks them here,
        and that costs this connection alone.
        """
        one = self.come(PORT)
        one.say(OPENING + said(workOf(self.welcome, 1, one.der)) + encode(Data(b"x")))
        self.network.settle()
        self.assertEqual(one.ended, "reset")
        self.assertEqual(self.works(), 0)
        self.assertEqual(self.client.ended, "")
