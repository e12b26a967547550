"""
Tests of UDP tunnels with a whole server and client, in memory.
"""

from __future__ import annotations

from tests.mail import Post
from tests.whole import PUBLIC, WholeCase
from tunnelkit.relay.flows.table import IDLE

SERVICE = 5353


class DatagramTests(WholeCase):
    """
    A UDP service is published.
    """

    def setUp(self) -> None:
        """
        Have a service, and publish it.
        """
        super().setUp()
        self.service = Post()
        self.network.listenUDP(SERVICE, self.service)
        self.serve()
        self.publisher = self.publish(f"udp:{SERVICE}:port={PUBLIC}:name=dns")
        self.visitor = self.come()

    def assertNothingLeft(self) -> None:
        """
        Of sockets, too, there are none but those of the test.
        """
        self.service.transport.stopListening()
        super().assertNothingLeft()
        others = [box.protocol for box in self.network.boxes.values()]
        self.assertEqual({type(each) for each in others} - {Post}, set())

    def come(self) -> Post:
        """
        Have a visitor.
        """
        visitor = Post()
        self.network.listenUDP(0, visitor)
        return visitor

    def assertAnswered(self, visitor: Post, question: bytes) -> int:
        """
        A visitor asks, and is answered.

        @return: from which port the service was asked.
        """
        visitor.say(question, PUBLIC)
        self.network.settle()
        asked, port = self.service.heard[-1]
        self.assertEqual(asked, question)
        self.service.say(b"answer to " + question, port)
        self.network.settle()
        self.assertEqual(visitor.heard[-1], (b"answer to " + question, PUBLIC))
        return port

    def test_answered(self) -> None:
        """
        Visitors are answered, each from a port of its own.
        """
        self.assertEqual(
            self.publisher.tunnels[0].address, f"udp://vps.example.org:{PUBLIC}"
        )
        other = self.come()
        ports = [
            self.assertAnswered(visitor, question)
            for visitor in (self.visitor, other)
            for question in (b"one", b"")
        ]
        self.assertEqual(ports[::2], ports[1::2])
        self.assertEqual(len({*ports}), 2)
        (status,) = self.server.status().tunnels
        self.assertEqual((status.streams, status.datagrams), (2, (4, 4)))

    def test_idle(self) -> None:
        """
        A silent flow is over on both sides; who speaks again has a new one.
        """
        port = self.assertAnswered(self.visitor, b"one")
        self.network.elapse(IDLE + 2)
        (status,) = self.server.status().tunnels
        self.assertEqual(status.streams, 0)
        self.assertNotIn(port, self.network.boxes)
        self.assertNotEqual(self.assertAnswered(self.visitor, b"two"), port)

    def test_revoked(self) -> None:
        """
        A revoked user's visitors get nothing, at once.
        """
        self.assertAnswered(self.visitor, b"one")
        users = self.server._users
        self.server._sessions.revoke("default")
        self.network.settle()
        self.visitor.say(b"two", PUBLIC)
        self.network.settle()
        self.assertEqual(self.service.heard[-1][0], b"one")
        self.assertIsNotNone(users)

    def test_reconnected(self) -> None:
        """
        When the client was away for a moment, the visitor goes on.
        """
        self.assertAnswered(self.visitor, b"one")
        for wire in [*self.network.wires]:
            wire.abortConnection()
        self.network.elapse(5)
        self.assertAnswered(self.visitor, b"two")

    def test_withdrawn(self) -> None:
        """
        A server that stops takes no more datagrams, and does not wait for flows.
        """
        self.assertAnswered(self.visitor, b"one")
        self.stop(self.server)
        self.visitor.say(b"two", PUBLIC)
        self.network.settle()
        self.assertEqual(self.service.heard[-1][0], b"one")

    def test_packed(self) -> None:
        """
        A tunnel may be compressed: fewer bytes cross, and the same come out.
        """
        self.publish(
            f"udp:{SERVICE}:port=9001:name=packed:compress=deflate", name="other"
        )
        question = b"what is said again and again, " * 40
        self.visitor.say(question, 9001)
        self.network.settle()
        self.assertEqual(self.service.heard[-1][0], question)
        (_, status) = sorted(self.server.status().tunnels, key=lambda t: t.name)
        self.assertEqual(status.received, len(question))
        self.assertLess(status.receivedPacked, len(question) / 4)

    def test_limited(self) -> None:
        """
        A tunnel may have a limit: what is over it is dropped.
        """
        self.publish(f"udp:{SERVICE}:port=9001:name=slow:limit=10kB/s", name="other")
        for _ in range(5):
            self.visitor.say(bytes(400), 9001)
        self.network.settle()
        self.assertEqual(len(self.service.heard), 2)

    def test_both(self) -> None:
        """
        TCP goes on beside it, on the same port.
        """
        self.publish(f"tcp:8000:port={PUBLIC}:name=web", name="other")
        self.assertServed()
        self.assertAnswered(self.visitor, b"one")
