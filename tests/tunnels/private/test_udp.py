"""
Tests of private tunnels for datagrams: L{tunnelkit.tunnels.private.udp},
L{tunnelkit.tunnels.private.flows} and L{tunnelkit.relay.flows.sealed}.
"""

from __future__ import annotations

from typing import Any, Final

from tests.mail import Post
from tests.test_private import BOB, PrivateCase
from tunnelkit.client import Client
from tunnelkit.failures import StartFailed
from tunnelkit.tunnels.private.udp import REST
from tunnelkit.wire.endkey import newEndKey

DNS: Final = 5300
DOOR: Final = 5353
TUNNEL: Final = f"private-udp:{DNS}:name=dns"


class FlowCase(PrivateCase):
    """
    A service for datagrams, which answers in capitals, and visitors of a client.
    """

    def setUp(self) -> None:
        """
        Run the service.
        """
        super().setUp()
        self.service = self.post(DNS)
        self.visitors = [self.post(), self.post()]

    def assertNothingLeft(self) -> None:
        """
        Nor is any socket.
        """
        super().assertNothingLeft()
        own = [post.transport.number for post in (self.service, *self.visitors)]
        self.assertEqual({*self.network.boxes}, {*own})

    def post(self, port: int = 0) -> Post:
        """
        Have a socket.
        """
        post = Post()
        self.network.listenUDP(port, post, "127.0.0.1")
        return post

    def desk(self, visit: str = f"dns:{DOOR}", **changes: Any) -> Client:
        """
        Start a client that visits.
        """
        return self.visitor(visit, **changes)

    def ask(self, datagram: bytes, visitor: int = 0) -> None:
        """
        Have a visitor say something.
        """
        self.visitors[visitor].say(datagram, DOOR)
        self.network.settle()

    def answer(self) -> None:
        """
        Have the service answer all that it was asked.
        """
        heard, self.service.heard = self.service.heard, []
        for datagram, port in heard:
            self.service.say(datagram.upper(), port)
        self.network.settle()

    def assertAnswered(self) -> None:
        """
        Each visitor gets his own answers, in order.
        """
        for visitor, words in ((0, b"one"), (1, b"other"), (0, b"again")):
            self.ask(words, visitor)
        self.answer()
        got = [[datagram for datagram, _ in each.heard] for each in self.visitors]
        self.assertEqual(got, [[b"ONE", b"AGAIN"], [b"OTHER"]])
        for each in self.visitors:
            each.heard.clear()


class FlowTests(FlowCase):
    """
    Datagrams of a visitor at one client reach the service of another.
    """

    def test_answered(self) -> None:
        """
        Each visitor has a flow of his own; what the server counts is what crossed.
        """
        self.publish(TUNNEL)
        self.desk()
        self.assertAnswered()
        (tunnel,) = self.server.status().tunnels
        self.assertEqual(
            (tunnel.kind, tunnel.address), ("private-udp", "private-udp://dns")
        )
        self.assertEqual((tunnel.streams, tunnel.visitors), (2, 2))
        self.assertEqual(tunnel.datagrams, (3, 3))
        self.assertEqual((tunnel.received, tunnel.sent), (13, 13))

    def test_empty(self) -> None:
        """
        A datagram without a byte is one.
        """
        self.publish(TUNNEL)
        self.desk()
        self.ask(b"")
        self.assertEqual([datagram for datagram, _ in self.service.heard], [b""])

    def test_both(self) -> None:
        """
        A client that has a tunnel of its own, of the same kind, can visit.
        """
        self.publish(TUNNEL, f"udp:{DNS}:port=9000:name=own", visits=(f"dns:{DOOR}",))
        self.assertAnswered()
        self.visitors[0].say(b"public", 9000)
        self.network.settle()
        self.answer()
        self.assertEqual(self.visitors[0].heard, [(b"PUBLIC", 9000)])

    def test_denied(self) -> None:
        """
        Who may not gets nothing through; the log says why, and the server is not asked
        for each datagram.
        """
        self.addBob()
        self.publish(TUNNEL)
        self.desk(token=BOB)
        for _ in range(3):
            self.ask(b"me?")
        self.assertEqual(self.service.heard, [])
        self.assertIn(
            "datagrams of dns are dropped: there is no private-udp tunnel 'dns' that"
            " user bob may visit: check the name, whether the client that publishes it"
            " is there, its visitors=, and those of [private] in the server's users.toml",
            self.log.lines("warn"),
        )
        refused = "desk of bob is refused at dns: it is none of its visitors"
        self.assertEqual(self.log.lines("info").count(refused), 1)

    def test_later(self) -> None:
        """
        Once the tunnel is there, datagrams come through.
        """
        self.desk()
        self.ask(b"lost")
        self.publish(TUNNEL)
        self.network.elapse(REST)
        self.ask(b"found")
        self.assertEqual([datagram for datagram, _ in self.service.heard], [b"found"])

    def test_kinds(self) -> None:
        """
        A tunnel of the other kind is not reached, and one of streams is not by
        datagrams.
        """
        self.publish(TUNNEL, f"private:{DNS}:name=web")
        self.desk()
        self.assertUnserved(DOOR)
        self.assertIn("no private tunnel 'dns'", self.log.lines("warn")[-1])
        self.desk("web:5354")
        self.visitors[0].say(b"x", 5354)
        self.network.settle()
        self.assertIn("no private-udp tunnel 'web'", self.log.lines("warn")[-1])

    def test_visitingStops(self) -> None:
        """
        When the client that visits stops, its flows are over on the other side, too.
        """
        self.publish(TUNNEL)
        desk = self.desk()
        self.assertAnswered()
        self.stop(desk)
        (tunnel,) = self.server.status().tunnels
        self.assertEqual(tunnel.streams, 0)
        (session,) = self.server._sessions
        self.assertEqual((session.streams, session.parting), (0, {}))
        self.desk()
        self.assertAnswered()

    def test_publishingStops(self) -> None:
        """
        When the one that publishes stops, flows are over here; when it is back,
        visitors begin new ones.
        """
        near = self.publish(TUNNEL)
        self.desk()
        self.assertAnswered()
        self.stop(near)
        (session,) = self.server._sessions
        self.assertEqual(session.parting, {})
        self.ask(b"lost")
        self.publish(TUNNEL)
        self.network.elapse(REST)
        self.assertAnswered()

    def test_serverStops(self) -> None:
        """
        When the server comes back, so do flows.
        """
        self.publish(TUNNEL)
        self.desk()
        self.assertAnswered()
        self.stop(self.server)
        self.ask(b"lost")
        self.serve()
        self.network.elapse(20)
        self.assertAnswered()

    def test_idle(self) -> None:
        """
        A flow of which nothing is heard is over on all three.
        """
        self.publish(TUNNEL)
        self.desk()
        self.assertAnswered()
        self.network.elapse(100)
        (tunnel,) = self.server.status().tunnels
        self.assertEqual(tunnel.streams, 0)
        self.assertAnswered()

    def test_revoked(self) -> None:
        """
        A user who is revoked has no flows any more.
        """
        self.addBob()
        self.publish(f"{TUNNEL}:visitors=bob")
        self.desk(token=BOB)
        self.assertAnswered()
        for session in [*self.server._sessions]:
            if session.identity.user == "bob":
                self.server._sessions.revoke("bob")
        self.network.settle()
        (tunnel,) = self.server.status().tunnels
        self.assertEqual(tunnel.streams, 0)

    def test_taken(self) -> None:
        """
        A port that is in use ends the client with a sentence that names it.
        """
        self.post(DOOR)
        client = self.client(visits=(f"dns:{DOOR}",), name="desk")
        error = self.assertRaises(StartFailed, client.startService)
        self.assertIn(
            "--visit dns: cannot listen on 127.0.0.1:5353 for datagrams: ", str(error)
        )
        self.network.boxes.pop(DOOR)


class SealedFlowTests(FlowCase):
    """
    With a key the two clients are alone with each other.
    """

    def setUp(self) -> None:
        """
        Make keys.
        """
        super().setUp()
        self.key, self.other = self.state / "dns.key", self.state / "other.key"
        for path in (self.key, self.other):
            path.write_bytes(newEndKey(self.now).pem)

    def test_answered(self) -> None:
        """
        Nothing is lost by the handshake, and not a word crosses the server.
        """
        seen = self.overhear()
        self.publish(f"{TUNNEL}:keyFile={self.key}", insecure=True)
        self.desk(f"dns:{DOOR}:keyFile={self.key}", insecure=True)
        self.assertAnswered()
        self.assertAnswered()
        crossed = b"".join(seen)
        self.assertIn(b'"private-udp"', crossed)
        for word in (b"other", b"OTHER", b"again", b"AGAIN"):
            self.assertNotIn(word, crossed)

    def test_limit(self) -> None:
        """
        A tunnel's limit holds there as well.
        """
        self.publish(f"{TUNNEL}:keyFile={self.key}:limit=1000B/s:burst=1000B")
        self.desk(f"dns:{DOOR}:keyFile={self.key}")
        self.ask(bytes(800))
        self.ask(bytes(800))
        self.assertEqual(len(self.service.heard), 1)

    def test_otherKey(self) -> None:
        """
        Who has another key gets nothing through.
        """
        self.publish(f"{TUNNEL}:keyFile={self.key}")
        self.desk(f"dns:{DOOR}:keyFile={self.other}")
        self.ask(b"me?")
        self.network.elapse(10)
        self.assertEqual(self.service.heard, [])

    def test_oneSide(self) -> None:
        """
        Who has none is refused in words.
        """
        self.publish(f"{TUNNEL}:keyFile={self.key}")
        self.desk()
        self.ask(b"me?")
        self.assertEqual(self.service.heard, [])
        self.assertIn(
            "datagrams of dns are dropped: tunnel dns is encrypted from end to end:"
            " give its keyFile=FILE",
            self.log.lines("warn"),
        )
