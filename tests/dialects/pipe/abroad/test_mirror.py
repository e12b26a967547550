"""
Recorded conversations of a stock pipe server, played to our client.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from tests.dialects.replay import Mirror
from tests.golden.recorded import meta, streams
from tests.mail import Post
from tests.network import accepting
from tests.whole import PORT, WholeCase
from tunnelkit.dialects.house import PROGRAM
from tunnelkit.dialects.pipe.abroad.client import PIPE
from tunnelkit.dialects.pipe.abroad.forwarding import CLOSINGS
from tunnelkit.dialects.pipe.abroad.ways import CLOSING
from tunnelkit.wire.pipe.codec import FROM_CLIENT, PacketDecoder
from tunnelkit.wire.pipe.login import isGenuine
from tunnelkit.wire.pipe.packets import Datagram, Exchange, FromClient, Login

Said = tuple[list[FromClient], bytes]
"""Packets, and the raw bytes behind them."""


def said(data: bytes) -> Said:
    """
    Read what a client says on one connection, without its login.
    """
    decoder = PacketDecoder(FROM_CLIENT)
    found: list[FromClient] = []
    for packet in decoder.feed(data):
        found.append(packet)
        if isinstance(packet, Exchange) and packet.kind == "tcp":
            break
    return found[1:], decoder.rest()


class MirrorTests(WholeCase):
    """
    A stock server sees of our client what it saw of its own.
    """

    def mirror(self, name: str, token: str = "") -> Mirror:
        """
        Play a conversation.
        """
        told = meta("pipe", name)
        forwards = told["forwards"]
        services: dict[int, Any] = {}
        posts: dict[int, Post] = {}
        for each in forwards:
            port = each["local_port"]
            if each["proxy_type"] == "tcp" and port not in services:
                if not name.endswith("refused"):
                    services[port] = accepting(self.network, port)
                    self.addCleanup(self.network.ports.pop, port)
            elif port not in posts:
                posts[port] = Post()
                network: Any = self.network
                network.listenUDP(port, posts[port], "127.0.0.1")
        self.client_ = self.abroad(
            PIPE,
            *(
                f"{each['proxy_type']}:{each['local_port']}:port={each['remote_port']}"
                f":name={each['proxy_name']}"
                for each in forwards
            ),
            token=told["client_token"],
        )
        mirror = Mirror(self.network, PORT, "pipe", name, services, self.interrupt)
        mirror.posts = posts
        self.addCleanup(self.network.ports.pop, PORT)
        self.addCleanup(self.end, mirror)
        self.client_.startService()
        self.network.settle()
        mirror.play()
        return mirror

    def end(self, mirror: Mirror) -> None:
        """
        End what is left of a conversation.
        """
        if self.client_.running:
            self.client_.stopService()
        self.network.elapse(CLOSING + 0.1)
        for each in mirror.came:
            each.wire.abortConnection()
        for services in mirror.services.values():
            for each in services:
                each.wire.abortConnection()
        for number in mirror.posts:
            self.network.boxes.pop(number)

    def interrupt(self) -> None:
        """
        Have the client stop as its process does.
        """
        drained = Deferred.fromCoroutine(self.client_.drain(10.0))
        self.network.elapse(0.2)
        self.successResultOf(drained)
        self.client_.stopService()

    def assertSame(self, name: str) -> Mirror:
        """
        Play a conversation, and compare what the server heard: the same, but for our
        version, and with the visitor's address at each answer.
        """
        mirror = self.mirror(name)
        token = meta("pipe", name)["client_token"]
        recorded = {
            number: said(data)
            for (number, sender), data in streams("pipe", name).items()
            if sender == "c2s"
        }
        self.assertEqual(len(mirror.came), len(recorded))
        heard = {n: each.heard for n, each in enumerate(mirror.came, 1)}
        for number, data in heard.items():
            login = next(PacketDecoder(FROM_CLIENT).feed(data))
            assert isinstance(login, Login)
            self.assertTrue(isGenuine(login, token))
            self.assertEqual(login.version, PROGRAM)
            packets, rest = said(data)
            packets = [
                Datagram(each.payload) if isinstance(each, Datagram) else each
                for each in packets
            ]
            self.assertEqual((packets, rest), recorded[number], number)
        return mirror

    def test_tcp(self) -> None:
        """
        A forward, a visitor of it, and heartbeats.
        """
        mirror = self.assertSame("login_tcp")
        self.assertEqual(mirror.services[21200][0].heard, b"hello pipe\n")
        self.assertEqual(mirror.services[21200][0].ended, "end")

    def test_http(self) -> None:
        """
        Two forwards, each with a control connection of its own.
        """
        self.assertSame("http")

    def test_datagrams(self) -> None:
        """
        Datagrams of three users cross, and the C{failed} behind the success ends
        nothing.
        """
        mirror = self.assertSame("udp")
        (post,) = mirror.posts.values()
        self.assertEqual(
            [data for data, _ in post.heard], [b"one", b"two", b"three", b"six"]
        )
        self.assertEqual(len({port for _, port in post.heard}), 3)
        answers = [
            each.address
            for each in said(mirror.came[1].heard)[0]
            if isinstance(each, Datagram)
        ]
        self.assertEqual(
            [str(each) for each in answers],
            ["127.0.0.1:21901", "127.0.0.1:21901", "127.0.0.1:21902", "[::1]:21903"],
        )

    def test_cancel(self) -> None:
        """
        Each forward is taken back by a connection of its own.
        """
        self.assertSame("cancel")

    def test_serviceCloses(self) -> None:
        """
        A service that ends first is no trouble, though no visitor hears of it.
        """
        self.assertSame("service_close")

    def test_serviceRefused(self) -> None:
        """
        Nothing listens there: ours resets the connection, which says so.
        """
        mirror = self.mirror("service_refused")
        self.assertEqual([each.ended for each in mirror.came], ["", "reset"])
        told = "\n".join(self.log.lines("warn"))
        self.assertIn("visitors of echo are reset", told)

    def test_wrongToken(self) -> None:
        """
        A server that closes without a word at each login has another secret; after a
        few tries we stop, and say so.
        """
        mirror = self.mirror("wrong_token")
        self.assertEqual(self.failures, [])
        while not self.failures and len(mirror.came) < 10:
            self.network.elapse(0.5)
            mirror.came[-1].wire.abortConnection()
            self.network.settle()
        self.assertEqual(len(mirror.came), CLOSINGS)
        (failure,) = self.failures
        self.assertIn("the token is another one there", failure)

    def test_refused(self) -> None:
        """
        A port that is not ours to have is asked for again, and the log says why.
        """
        self.assertSame("port_busy")
        told = "\n".join(self.log.lines("warn"))
        self.assertIn("does not forward port 21100, and pipe says no more", told)
        self.assertIn("(trying again)", told)
