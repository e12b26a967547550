"""
Tests for L{tunnelkit.dialects.remotedialer.abroad.peers}.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory
from twisted.trial.unittest import SynchronousTestCase

from tests.dialects.remotedialer.case import TARGET, Stock
from tests.network import Speaker
from tests.whole import PORT, SERVICE, WholeCase
from tests.wire.remotedialer.replayed import replayed
from tunnelkit.dialects.abroad import Place
from tunnelkit.dialects.allowed import parseAllow
from tunnelkit.dialects.doorway import DELAY
from tunnelkit.dialects.known import DIALECTS
from tunnelkit.dialects.remotedialer import line, switchboard
from tunnelkit.dialects.remotedialer.abroad.client import REMOTEDIALER
from tunnelkit.dialects.remotedialer.abroad.peers import Peer, parsePeers
from tunnelkit.dialects.remotedialer.dialling import NotDialled
from tunnelkit.dialects.remotedialer.line import Line
from tunnelkit.dialects.remotedialer.spec import PeeringSpec, RemoteDialerSpec
from tunnelkit.dialects.remotedialer.switchboard import Switchboard
from tunnelkit.dialects.spec import parseDialect
from tunnelkit.server import Server
from tunnelkit.wire.address import HostPort
from tunnelkit.wire.native.frames import WireError
from tunnelkit.wire.remotedialer.codec import decode
from tunnelkit.wire.remotedialer.login import PEER, PEER_TOKEN
from tunnelkit.wire.remotedialer.messages import (
    AddClient,
    Connect,
    Data,
    Error,
    RemoveClient,
)
from tunnelkit.wire.remotedialer.websocket import WebSocket

OTHER = 8920
ALLOWED = (parseAllow(TARGET),)


def place(port: int) -> Place:
    """
    Give where a server is.
    """
    return Place(HostPort("127.0.0.1", port), False, "/connect")


class PeersCase(WholeCase):
    """
    Servers that are peers.
    """

    def spec(self, name: str, peer: str, port: int) -> RemoteDialerSpec:
        """
        Say who a server is, and who its peer.
        """
        peers = (Peer(peer, f"token-{peer}", place(port)),)
        return RemoteDialerSpec(
            ("foo",), False, PeeringSpec(name, f"token-{name}", peers)
        )

    def startA(self) -> Server:
        """
        Start one.
        """
        return self.serve(dialects=(self.spec("a", "b", OTHER),))

    def startB(self) -> Server:
        """
        Start the other.
        """
        return self.serve(
            dialects=(self.spec("b", "a", PORT),),
            ports=(f"tcp:{OTHER}:interface=127.0.0.1",),
            admin=None,
            state=Path(self.mktemp()),
        )

    def client(self, port: int = PORT) -> Any:  # type: ignore[override]
        """
        Have a client of ours come to a server.
        """
        client = self.abroad(
            REMOTEDIALER, name="foo", allow=(TARGET,), place=place(port)
        )
        client.startService()
        self.network.settle()
        return client

    def dial(
        self, server: Server, target: str = TARGET
    ) -> tuple[Speaker, Deferred[Any]]:
        """
        Dial through the client, at a server.
        """
        speaker = Speaker()
        endpoint = server.dialers().dialer("foo", target)
        connected = endpoint.connect(Factory.forProtocol(lambda: speaker))
        self.network.elapse(0.2)
        return speaker, connected

    def stock(self, **headers: str) -> Stock:
        """
        Have a stock server come to ours, as a peer.
        """
        stock = Stock()
        self.network.connect(PORT, stock)
        given = [(name.encode(), value.encode()) for name, value in headers.items()]
        stock.socket = WebSocket.client(stock.say, "x", "/connect", given)
        self.network.settle()
        return stock


class OursTests(PeersCase):
    """
    Two servers of ours.
    """

    def test_wrongServer(self) -> None:
        """
        A dial through the server that has not the client goes on to the one that has.
        """
        a, b = self.startA(), self.startB()
        self.network.elapse(2.0)
        self.client()
        self.assertTrue(b.dialers().hasSession("foo"))
        self.assertEqual(b.dialers().listClients(), [])
        visitor, connected = self.dial(b)
        self.successResultOf(connected)
        visitor.say(b"question")
        self.network.settle()
        (service,) = self.services
        self.assertEqual(service.heard, b"question")
        service.say(b"answer")
        service.wire.loseConnection()
        self.network.settle()
        self.assertEqual((visitor.heard, visitor.ended), (b"answer", "end"))
        for server in (a, b):
            self.assertEqual(sum(each.busy for each in server.status().sessions), 0)

    def test_visitorEnds(self) -> None:
        """
        Who leaves there is gone here, too: the service has all that he said, and the
        end, and nothing of him stays at any server.
        """
        a, b = self.startA(), self.startB()
        self.network.elapse(2.0)
        self.client()
        visitor, connected = self.dial(b)
        self.successResultOf(connected)
        (service,) = self.services
        visitor.say(b"good-bye")
        visitor.wire.loseConnection()
        self.network.settle()
        self.assertEqual((service.heard, service.ended), (b"good-bye", "end"))
        for server in (a, b):
            self.assertEqual(sum(each.busy for each in server.status().sessions), 0)

    def test_verified(self) -> None:
        """
        A peer is told our token and our ids only where its certificate verifies, or is
        the one that was named.
        """
        b = self.startB()
        good = hashlib.sha256(b._tls.pair.der).digest()
        for fingerprint, is_there in ((None, False), (bytes(32), False), (good, True)):
            here = Place(HostPort("127.0.0.1", OTHER), True, "/connect")
            peer = Peer("b", "token-b", here, fingerprint)
            peering = PeeringSpec("a", "token-a", (peer,))
            spec = RemoteDialerSpec(("foo",), False, peering)
            a = self.serve(dialects=(spec,))
            self.network.elapse(5.0)
            users = [session.user for session in b.status().sessions]
            self.assertEqual("remotedialer-peer-a" in users, is_there, fingerprint)
            self.stop(a)

    def test_words(self) -> None:
        """
        Why a peer is not reached is said in the words of the file of peers: an operator
        has no option of a client's.
        """
        self.startB()
        for port, fingerprint, words in (
            (OTHER, None, "name it by fingerprint=SHA256 behind the peer's URL"),
            (OTHER, bytes(32), "fingerprint="),
            (OTHER + 1, None, "check host and port of the peer's URL"),
        ):
            here = Place(HostPort("127.0.0.1", port), True, "/connect")
            peering = PeeringSpec("a", "a", (Peer("b", "b", here, fingerprint),))
            a = self.serve(dialects=(RemoteDialerSpec(("foo",), False, peering),))
            self.network.elapse(2.0)
            self.stop(a)
            *_, said = [
                line
                for line in self.log.lines("warn")
                if f"127.0.0.1:{port}" in line and "; trying again" in line
            ]
            self.assertIn(words, said)
            self.assertNotIn(" --", said)

    def test_natives(self) -> None:
        """
        A client of our own protocol is none that a peer could dial, and is not told of.
        """
        self.startA()
        b = self.startB()
        self.network.elapse(2.0)
        client = WholeCase.client(self, allow=ALLOWED)
        client.startService()
        self.network.settle()
        self.stop(client)
        self.assertEqual(self.flushLoggedErrors(), [])
        self.assertFalse(b.dialers().hasSession("laptop"))

    def test_announced(self) -> None:
        """
        It does not matter who came first; and when the client goes both know.
        """
        self.startA()
        client = self.client()
        b = self.startB()
        self.network.elapse(5.0)
        self.assertTrue(b.dialers().hasSession("foo"))
        self.stop(client)
        self.assertFalse(b.dialers().hasSession("foo"))
        _, connected = self.dial(b)
        self.failureResultOf(connected, NotDialled)

    def test_refused(self) -> None:
        """
        What the client refuses is told all the way.
        """
        self.startA()
        b = self.startB()
        self.network.elapse(2.0)
        self.client()
        _, connected = self.dial(b, "tcp/127.0.0.1:22")
        error = self.failureResultOf(connected, NotDialled).value
        self.assertEqual(str(error), "connect not allowed")

    def test_killed(self) -> None:
        """
        When the server between is killed what crosses it is reset, and the peers find
        each other again.
        """
        a = self.startA()
        b = self.startB()
        self.network.elapse(2.0)
        self.client()
        visitor, connected = self.dial(b)
        self.successResultOf(connected)
        self.stop(a)
        self.network.settle()
        self.assertEqual(visitor.ended, "reset")
        self.assertFalse(b.dialers().hasSession("foo"))
        self.startA()
        self.network.elapse(30.0)
        _, connected = self.dial(b)
        self.successResultOf(connected)

    def test_frozen(self) -> None:
        """
        When the network between the servers is silent that shows after a minute, and
        they find each other again when it is not.
        """
        self.startA()
        b = self.startB()
        self.network.elapse(2.0)
        self.client()
        visitor, connected = self.dial(b)
        self.successResultOf(connected)
        wires = [*self.network.wires]
        for wire in wires:
            wire.frozen = True
        self.network.elapse(70.0)
        self.assertEqual(visitor.ended, "reset")
        for wire in wires:
            wire.frozen = False
        self.network.elapse(30.0)
        _, connected = self.dial(b)
        self.successResultOf(connected)

    def test_shown(self) -> None:
        """
        A peer is a session, shown by its name; no id of a client and no token is in the
        log.
        """
        a = self.startA()
        self.startB()
        self.network.elapse(2.0)
        self.client()
        users = {session.user for session in a.status().sessions}
        self.assertIn("remotedialer-peer-b", users)
        lines = "\n".join(self.log.lines("info", "warn", "debug"))
        self.assertIn("connected to peer a", lines)
        for secret in ("foo", "token-a", "token-b"):
            self.assertNotIn(secret, lines)


class StockTests(PeersCase):
    """
    One of ours, and a stock server.
    """

    def test_tokens(self) -> None:
        """
        Who has not the token of that very peer does not come in.
        """
        self.startA()
        for headers in (
            {PEER: "b", PEER_TOKEN: "nope"},
            {PEER: "z", PEER_TOKEN: "token-b"},
            {PEER: "b"},
            {PEER: "a", PEER_TOKEN: "token-a"},
        ):
            stock = self.stock(**headers)
            self.network.elapse(DELAY)
            self.assertEqual(stock.status, 401, headers)
            self.assertTrue(stock.heard.endswith(b"failed authentication"))

    def test_incoming(self) -> None:
        """
        The recorded peer announces its client, and we dial through it.
        """
        server = self.startA()
        stock = self.stock(**{PEER: "b", PEER_TOKEN: "token-b"})
        recorded = recordedOf(2, "c2s")
        stock.tell(*recorded[:2])
        self.network.settle()
        visitor, connected = self.dial(server, "tcp/127.0.0.1:21201")
        self.successResultOf(connected)
        visitor.say(b"GET")
        self.network.settle()
        asked = Connect(2, "foo::tcp", "127.0.0.1:21201")
        self.assertEqual(stock.took(), [asked, Data(2, b"GET")])
        stock.tell(recorded[2])
        self.network.settle()
        self.assertTrue(visitor.heard.endswith(b"hello golden\n"))
        refused = Connect(3, "foo::tcp", "127.0.0.1:21299")
        speaker = Speaker()
        connecting = (
            server.dialers()
            .dialer("foo", "tcp/127.0.0.1:21299")
            .connect(Factory.forProtocol(lambda: speaker))
        )
        self.network.settle()
        stock.tell(*recorded[3:5])
        self.network.settle()
        error = self.failureResultOf(connecting, NotDialled).value
        self.assertIn("connection refused", str(error))
        self.assertEqual(stock.took(), [refused, recorded[3]])
        stock.tell(recorded[5])
        self.network.settle()
        self.assertFalse(server.dialers().hasSession("foo"))

    def outgoing(self) -> Stock:
        """
        Have our server come to a stock one.
        """
        self.came = came = list[Stock]()

        class Servers(Factory):
            noisy = False

            def buildProtocol(self, address: Any) -> Stock:
                came.append(Stock())
                return came[-1]

        self.network.listenTCP(OTHER, Servers())
        self.addCleanup(self.network.ports.pop, OTHER)
        self.startA()
        self.network.elapse(0.5)
        return came[-1]

    def test_outgoing(self) -> None:
        """
        A stock peer is told of our clients, and dials through them as it was recorded.
        """
        stock = self.outgoing()
        client = self.client()
        (added,) = stock.took()
        assert isinstance(added, AddClient)
        self.assertEqual(added.key, "foo")
        target = f"127.0.0.1:{SERVICE}"
        stock.tell(Connect(2, "foo::tcp", target), Data(2, b"GET"))
        self.network.settle()
        self.assertEqual(self.services[0].heard, b"GET")
        self.services[0].say(b"hello")
        self.network.settle()
        self.assertEqual(stock.took(), [Data(2, b"hello")])
        for asked, why in (
            (Connect(3, "tcp", target), "connect not allowed"),
            (Connect(3, "bar::tcp", target), "no client with this key is connected"),
        ):
            stock.tell(asked)
            self.network.settle()
            self.assertEqual(stock.took(), [Error(3, why)])
        self.stop(client)
        self.assertIn(RemoveClient("foo", added.session), stock.took())
        self.assertIn(b"X-API-Tunnel-ID: a\r\n", stock.heard)
        self.assertIn(b"X-API-Tunnel-Token: token-a\r\n", stock.heard)
        self.ended(stock)

    def test_comesBack(self) -> None:
        """
        A peer that comes back hears of each client once.
        """
        stock = self.outgoing()
        self.client()
        stock.wire.abortConnection()
        self.network.elapse(5.0)
        again = self.came[-1]
        self.assertIsNot(again, stock)
        self.assertEqual([each.key for each in added(again)], ["foo"])
        self.client()
        self.assertEqual([each.key for each in added(again)], ["foo", "foo"])
        self.ended(again)

    def test_noDetour(self) -> None:
        """
        A peer that asks for a client which another peer has is refused: what goes from
        peer to peer goes once, and never in a circle.
        """
        asks = self.outgoing()
        has = self.stock(**{PEER: "b", PEER_TOKEN: "token-b"})
        has.tell(AddClient("bar", 1))
        self.network.settle()
        self.assertTrue(self.server.dialers().hasSession("bar"))
        asks.tell(Connect(3, "bar::tcp", "127.0.0.1:80"))
        self.network.settle()
        why = "no client with this key is connected"
        self.assertEqual((asks.took(), has.took()), ([Error(3, why)], []))
        self.ended(asks)

    def test_ownFirst(self) -> None:
        """
        A client that is here is dialled here, whatever a peer says it has: none can
        draw our clients' visitors to itself.
        """
        server = self.startA()
        self.client()
        peer = self.stock(**{PEER: "b", PEER_TOKEN: "token-b"})
        peer.tell(AddClient("foo", 1))
        self.network.settle()
        visitor, connected = self.dial(server)
        self.successResultOf(connected)
        visitor.say(b"for the client")
        self.network.settle()
        self.assertEqual(self.services[0].heard, b"for the client")
        self.assertEqual(peer.took(), [])

    def test_newest(self) -> None:
        """
        Of two peers that have a client, the one that said so last is asked.
        """
        server = self.startA()
        peers = [self.stock(**{PEER: "b", PEER_TOKEN: "token-b"}) for _ in range(2)]
        for peer in peers:
            peer.tell(AddClient("bar", 1))
            self.network.settle()
        endpoint = server.dialers().dialer("bar", TARGET, 0.0)
        endpoint.connect(Factory.forProtocol(Speaker))
        self.network.settle()
        self.assertEqual([len(peer.took()) for peer in peers], [0, 1])

    def test_hidden(self) -> None:
        """
        Nor does the log show an id where a peer asks for one connection too many.
        """
        self.patch(line, "MOST", 0)
        stock = self.outgoing()
        stock.tell(Connect(2, "foo::tcp", "127.0.0.1:80"))
        self.network.settle()
        self.assertEqual(stock.took(), [Error(2, "too many connections")])
        lines = "\n".join(self.log.lines("info", "warn", "debug"))
        self.assertIn("may not dial tcp/127.0.0.1:80: too many connections", lines)
        self.assertNotIn("foo", lines)
        self.ended(stock)

    def ended(self, stock: Stock) -> None:
        """
        End the stock server.
        """
        self.stop(self.server)
        stock.wire.loseConnection()

    def test_announcesTooMany(self) -> None:
        """
        Who announces more than there is room for ends its own session; another peer's
        clients come and go as before.
        """
        self.patch(switchboard, "MOST_REMOTE", 3)
        board = Switchboard()
        full, other = (Line(self.network, name, 1, 0) for name in "ab")
        for key in "xyz":
            board.announced(full, AddClient(key, 1))
        board.announced(full, AddClient("z", 1))
        for key in ("new", "x"):
            self.assertRaises(WireError, board.announced, full, AddClient(key, 2))
        self.assertFalse(board.hasSession("new"))
        board.announced(other, AddClient("new", 1))
        board.announced(full, RemoveClient("x", 1))
        self.assertFalse(board.hasSession("x"))
        board.announced(full, AddClient("x", 2))
        board.left(full)
        self.assertEqual([board.hasSession(key) for key in ("x", "new")], [False, True])
        board.left(other)
        self.assertEqual((board._remotes, board._counts), ({}, {}))

    def test_longKey(self) -> None:
        """
        A key that is longer than any client's is not kept.
        """
        server = self.startA()
        stock = self.stock(**{PEER: "b", PEER_TOKEN: "token-b"})
        stock.socket.send(b"\x02\0\x08" + b"k" * 2000 + b"/1")
        self.network.settle()
        self.assertEqual(stock.code, 1009)
        self.assertFalse(server.dialers().hasSession("k" * 2000))

    def test_fuzzed(self) -> None:
        """
        A peer that breaks the protocol, or announces without end, ends only its own
        session.
        """
        server = self.startA()
        self.client()
        for junk in (b"\x02\0\x08x", b"\x02\0\x08" + b"k" * 70_000):
            stock = self.stock(**{PEER: "b", PEER_TOKEN: "token-b"})
            stock.socket.send(junk)
            self.network.settle()
            self.assertNotEqual(stock.code, 0)
        stock = self.stock(**{PEER: "b", PEER_TOKEN: "token-b"})
        stock.tell(*(AddClient("k", n) for n in range(200)))
        self.network.settle()
        board: Any = server.dialers()
        self.assertEqual(len(board._remotes["k"]), 64)
        stock.wire.abortConnection()
        self.network.settle()
        self.assertFalse(server.dialers().hasSession("k"))
        _, connected = self.dial(server)
        self.successResultOf(connected)


def added(stock: Stock) -> list[AddClient]:
    """
    Give what a stock server was told of clients.
    """
    return [each for each in stock.said if isinstance(each, AddClient)]


def recordedOf(connection: int, sender: str) -> list[Any]:
    """
    Give what was recorded of one link between peers.
    """
    return [decode(each)[1] for each in replayed("peers")[connection, sender]]


class FileTests(SynchronousTestCase):
    """
    The file of peers.
    """

    def test_read(self) -> None:
        """
        A peer stands in a line, and a fingerprint may.
        """
        pin = "ab" * 32
        text = f"# ours\n\nb sesame ws://b/x\nc sesame2 wss://c fingerprint={pin}\n"
        self.assertEqual(
            parsePeers(text),
            (
                Peer("b", "sesame", Place(HostPort("b", 80), False, "/x")),
                Peer(
                    "c",
                    "sesame2",
                    Place(HostPort("c", 443), True, "/connect"),
                    bytes.fromhex(pin),
                ),
            ),
        )
        self.assertNotIn("sesame", repr(parsePeers(text)))

    def test_wrong(self) -> None:
        """
        What is wrong is told with its line, and without a token.
        """
        for text, why in (
            ("b sesame", "line 1: write ID TOKEN URL"),
            ("\nB sesame ws://b", "line 2: a peer's id is"),
            ("b sesame http://b", "line 1: 'http://b' is no address"),
            ("b sesame ws://b pin=1", "line 1: what follows"),
            ("b ws://b sesame", "line 1: its third word is no URL"),
            ("b sesame ws://b\nb sesame ws://b", "line 2: b stands there twice"),
        ):
            error = self.assertRaises(ValueError, parsePeers, text)
            self.assertIn(why, str(error))
            self.assertNotIn("sesame", str(error))

    def test_described(self) -> None:
        """
        The description names both files, or says what it lacks.
        """
        files = {"peers": "b token-b ws://b", "token": "token-a\n", "bad": "b\n"}
        whole = "remotedialer:ids=foo:id=a:tokenFile=token:peersFile=peers"
        spec: Any = parseDialect(whole, DIALECTS, files.__getitem__)
        self.assertEqual((spec.peering.name, spec.peering.token), ("a", "token-a"))
        self.assertIn("remotedialer-peer-b", spec.users)
        self.assertIn("peer b is told our token and ids in plain", spec.warning)
        for text, why in (
            ("id=a:tokenFile=token", "it lacks peersFile=FILE"),
            ("peersFile=peers:tokenFile=token", "it lacks id=ID"),
            ("id=a:peersFile=peers", "it has no secret"),
            ("id=A:peersFile=peers:tokenFile=token", "id=: a peer's id"),
            ("id=a:peersFile=bad:tokenFile=token", "peersFile=: line 1: write"),
        ):
            error = self.assertRaises(
                ValueError,
                parseDialect,
                f"remotedialer:ids=foo:{text}",
                DIALECTS,
                files.__getitem__,
            )
            self.assertIn(why, str(error))
