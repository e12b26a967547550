"""
Tests for L{tunnelkit.dialects.mgrok.abroad}: at a server of ours, and at one that does
what a stock server does.
"""

from __future__ import annotations

import hashlib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory

from tests.dialects.mgrok.case import PUBLIC, TOKEN, MgrokCase
from tests.mail import HOST, Post
from tests.network import Plain, Wire
from tests.whole import ADDRESS, WholeCase
from tunnelkit.dialects.abroad import AbroadSettings, Place
from tunnelkit.dialects.mgrok.abroad import serving
from tunnelkit.dialects.mgrok.abroad.calling import AGAIN, CLOSING, PATIENCE
from tunnelkit.dialects.mgrok.abroad.client import MGROK, REFUSALS
from tunnelkit.dialects.mgrok.abroad.serving import HEADS
from tunnelkit.dialects.mgrok.abroad.serving import PATIENCE as FOR_A_HEAD
from tunnelkit.tunnels.kinds import PARSERS
from tunnelkit.tunnels.spec import parseTunnel
from tunnelkit.wire.address import HostPort
from tunnelkit.wire.mgrok.codec import encode, encodeDatagram
from tunnelkit.wire.mgrok.messages import Handshake, Heartbeat, NewStream, Register
from tunnelkit.wire.smux.session import Bounds, Finished, Opened, Received, Session

PLAIN = Place(ADDRESS, False)


class OwnCase(MgrokCase):
    """
    Our client of mgrok's at our server that speaks it.
    """

    def called(self, *tunnels: str, **changes: Any) -> Any:
        """
        Start a client, and wait until its tunnels are open.
        """
        changes = {"token": TOKEN, "place": PLAIN, **changes}
        client = self.abroad(MGROK, *tunnels, **changes)
        client.startService()
        self.network.settle()
        return client

    def clientWire(self) -> Wire:
        """
        Give the client's end of its connection.
        """
        (wire,) = (
            wire
            for wire in self.network.wires
            if wire.getPeer().port == ADDRESS.port and not wire.lost
        )
        return wire


class OwnTests(OwnCase):
    """
    Both sides are ours.
    """

    def test_served(self) -> None:
        """
        A visitor is served, and another one.
        """
        client = self.called()
        self.assertEqual(client.tunnels[0].address, "tcp://127.0.0.1:9000")
        for _ in range(2):
            visitor = self.visit()
            visitor.say(b"hello?")
            self.network.settle()
            service = self.services[-1]
            service.say(b"hello!")
            service.wire.loseConnection()
            self.network.settle()
            self.assertEqual(service.heard, b"hello?")
            self.assertEqual((visitor.heard, visitor.ended), (b"hello!", "end"))
            visitor.wire.loseConnection()
            self.network.settle()
        self.assertEqual(client.streams, 0)

    def test_halfClose(self) -> None:
        """
        A visitor who ends his question before the answer gets it.
        """
        self.called()
        visitor = self.visit()
        visitor.say(b"question")
        visitor.wire.loseWriteConnection()
        self.network.settle()
        self.services[-1].say(b"answer")
        self.services[-1].wire.loseConnection()
        self.network.settle()
        self.assertEqual((visitor.heard, visitor.ended), (b"answer", "end"))

    def test_visitorResets(self) -> None:
        """
        A visitor who resets is an end for the service, and what it says then is taken
        by nobody: it is not waited for.
        """
        client = self.called()
        visitor = self.visit()
        visitor.wire.abortConnection()
        self.network.settle()
        self.assertEqual((self.services[-1].ended, client.streams), ("end", 1))
        self.services[-1].say(b"anybody?")
        self.network.settle()
        self.assertEqual(client.streams, 0)

    def test_serviceGone(self) -> None:
        """
        Where nothing listens the visitor's connection ends, and the client's log says
        why.
        """
        self.called("tcp:8001:port=9000:name=web")
        visitor = self.visit()
        self.assertEqual((visitor.heard, visitor.ended), (b"", "end"))
        self.assertIn("refused the connection", self.told())

    def test_large(self) -> None:
        """
        Much crosses, both ways, at once.
        """
        self.called()
        visitor = self.visit()
        data = bytes(range(251)) * 30_000
        visitor.say(data)
        self.services[-1].say(data)
        self.network.settle()
        self.assertTrue(self.services[-1].heard == data)
        self.assertTrue(visitor.heard == data)

    def test_datagrams(self) -> None:
        """
        Datagrams get their answers, empty ones and large ones too, each from a port of
        its own.
        """
        service = Post()
        network: Any = self.network
        network.listenUDP(5300, service, HOST)
        self.called("udp:5300:port=9000:name=dns")
        one, other = self.ask(b"one", b""), self.ask(b"x" * 60_000)
        for datagram, port in service.heard:
            service.say(b"re " + datagram, port)
            self.network.settle()
        self.assertEqual([each for each, _ in one.heard], [b"re one", b"re "])
        self.assertEqual([each for each, _ in other.heard], [b"re " + b"x" * 60_000])
        self.assertEqual(len({port for _, port in service.heard}), 3)

    def test_socketsEnd(self) -> None:
        """
        The sockets of datagrams that were not answered are closed after a while.
        """
        service = Post()
        network: Any = self.network
        network.listenUDP(5300, service, HOST)
        self.called("udp:5300:port=9000:name=dns")
        before = len(self.network.boxes)
        self.ask(*[b"question"] * 700)
        self.assertLess(len(self.network.boxes), before + 600)
        self.network.elapse(40)
        self.assertEqual(len(self.network.boxes), before + 1)

    def test_comesBack(self) -> None:
        """
        When the server is killed and started again the client is back at once.
        """
        client = self.called()
        self.clientWire().abortConnection()
        self.network.settle()
        self.assertIn("is lost; trying again", self.told())
        self.network.elapse(1)
        self.assertEqual(client.tunnels[0].address, "tcp://127.0.0.1:9000")
        self.assertEqual(len(self.server.status().tunnels), 1)

    def test_frozenServer(self) -> None:
        """
        A server of which nothing is heard is given up, and its visitors' connections to
        the service are reset.
        """
        self.called()
        self.visit()
        self.clientWire().far.frozen = True
        self.network.elapse(45)
        self.assertEqual(self.services[-1].ended, "reset")
        self.assertIn(
            "nothing was heard from the other side; trying again", self.told()
        )

    def test_idle(self) -> None:
        """
        A connection on which nothing happens stays; that ports are asked for again is
        no trouble to a server that has given them.
        """
        self.called("tcp:8000:port=9000:name=web", "tcp:8000:name=any")
        (session,) = self.server.status().sessions
        self.network.elapse(200)
        self.assertEqual(self.server.status().sessions[0].session, session.session)
        self.assertEqual(len(self.server.status().tunnels), 2)
        self.assertNotIn("already", self.told())

    def test_wrongToken(self) -> None:
        """
        A token that is another one ends the client, with words.
        """
        self.called(token="wrong")
        self.network.elapse(REFUSALS * 3)
        (failure,) = self.failures
        self.assertIn("the token is another one there", failure)
        self.assertNotIn("wrong", failure)

    def test_notThere(self) -> None:
        """
        A server that is not there is tried again.
        """
        self.stop(self.server)
        client = self.called()
        self.assertIn("trying again", self.told())
        self.serveMgrok()
        self.network.elapse(2)
        self.assertTrue(client.tunnels[0].address)

    def test_stops(self) -> None:
        """
        A client that stops says good-bye: the port is free at once.
        """
        client = self.called()
        visitor = self.visit()
        self.stop(client)
        self.assertEqual(self.server.status().sessions, ())
        self.assertEqual(visitor.ended, "reset")
        self.assertIn("the client has closed its control stream", self.told())

    def test_drains(self) -> None:
        """
        One that drains lets those end who are there, and takes no new ones.
        """
        client = self.called()
        visitor = self.visit()
        visitor.say(b"x")
        self.network.settle()
        draining = Deferred.fromCoroutine(client.drain(10))
        late = self.visit()
        self.assertEqual(late.ended, "end")
        self.services[-1].say(b"bye")
        self.services[-1].wire.loseConnection()
        self.network.elapse(1)
        self.assertEqual((visitor.heard, visitor.ended), (b"bye", "end"))
        self.network.elapse(10)
        self.successResultOf(draining)

    def test_tls(self) -> None:
        """
        It speaks inside TLS unless it is told otherwise, to the certificate that it was
        told.
        """
        pair = self.server._tls.pair
        good = hashlib.sha256(pair.der).digest()
        client = self.called(place=Place(ADDRESS, True), fingerprint=good)
        self.assertTrue(client.tunnels[0].address)
        visitor = self.visit()
        visitor.say(b"hello?")
        self.network.settle()
        self.assertEqual(self.services[-1].heard, b"hello?")

    def test_neverDowngrades(self) -> None:
        """
        A certificate that nobody vouches for ends it: it never goes on without TLS.
        """
        self.called(place=Place(ADDRESS, True))
        self.network.elapse(5)
        (failure,) = self.failures
        self.assertIn("does not verify", failure)
        self.assertEqual(self.server.status().sessions, ())


class StockServer(Plain):
    """
    A server that answers a heartbeat behind the right secret, and nothing else.

    @ivar said: what came on the control stream.
    @ivar streams: what came on its own streams.
    @ivar finished: streams that the client has closed.
    """

    token = TOKEN.encode()

    def __init__(self) -> None:
        super().__init__()
        bounds = Bounds(1 << 20, 1 << 30, 1 << 30)
        self.smux = Session(False, self.say, bounds)
        self.said: list[bytes] = []
        self.streams: dict[int, bytes] = {}
        self.finished: list[int] = []
        self.control = 0

    def dataReceived(self, data: bytes) -> None:
        """
        Take what comes.
        """
        super().dataReceived(data)
        for event in self.smux.receive(data):
            match event:
                case Opened(stream):
                    self.control = stream
                case Received(stream, said) if stream == self.control:
                    self.said.append(said)
                    good = self.said[0] == b"GRT1\x01" + self.token
                    if good and said == b"\x05":
                        self.smux.send(stream, said)
                case Received(stream, said):
                    self.streams[stream] = self.streams.get(stream, b"") + said
                case Finished(stream):
                    self.finished.append(stream)
                    self.smux.finish(stream)

    def start(self, name: str, port: int = PUBLIC) -> int:
        """
        Let a visitor come.
        """
        stream = self.smux.open()
        self.smux.send(stream, encode(NewStream(stream, port, name)))
        return stream


class StockCase(WholeCase):
    """
    Our client at a stock server.
    """

    def setUp(self) -> None:
        """
        Start one.
        """
        super().setUp()
        self.came: list[StockServer] = []
        case = self

        class Stocks(Factory):
            noisy = False

            def buildProtocol(self, address: Any) -> StockServer:
                case.came.append(StockServer())
                return case.came[-1]

        self.port = self.network.listenTCP(ADDRESS.port, Stocks())
        self.addCleanup(self.leave)

    def leave(self) -> None:
        """
        End it.
        """
        self.port.stopListening()
        for half in self.clients:
            if half.running:
                half.stopService()
        for stock in self.came:
            stock.wire.abortConnection()
        self.network.settle()

    def called(self, *tunnels: str, **changes: Any) -> StockServer:
        """
        Start a client.

        @return: the server that it has.
        """
        changes = {"token": TOKEN, "place": PLAIN, **changes}
        self.abroad(MGROK, *tunnels, **changes).startService()
        self.network.settle()
        return self.came[-1]

    def told(self) -> str:
        """
        Give what the log says.
        """
        return "\n".join(self.log.lines("info", "warn"))


class StockTests(StockCase):
    """
    What it makes of what such a server does.
    """

    def test_login(self) -> None:
        """
        Handshake and Registers are a frame each, on stream 3, and a heartbeat behind
        them; the log says what the server does not.
        """
        stock = self.called("tcp:8000:port=9000:name=web", "udp:53:port=9001:name=dns")
        self.assertEqual(stock.control, 3)
        self.assertEqual(
            stock.said,
            [
                encode(Handshake(TOKEN.encode())),
                encode(Register("tcp", 9000, 8000, "web")),
                encode(Register("udp", 9001, 53, "dns")),
                encode(Heartbeat()),
            ],
        )
        self.assertIn("it does not say whether it has opened the ports", self.told())
        self.assertIn("tcp://127.0.0.1:9000 leads to", self.told())

    def test_wrongToken(self) -> None:
        """
        A stock server keeps silent where the secret is wrong, and the connection: the
        client does not take that for a login.
        """
        self.called(token="wrong")
        for _ in range(REFUSALS):
            self.network.elapse(PATIENCE)
            self.came[-1].smux.nop()
            self.network.elapse(1)
        (failure,) = self.failures
        self.assertIn("did not answer the login in 10 seconds", failure)

    def test_again(self) -> None:
        """
        A server that has not noticed that our last connection is dead refuses its
        ports in silence: they are asked for again until it has, those alone that we
        chose.
        """
        stock = self.called("tcp:8000:port=9000:name=web", "tcp:8000:name=any")
        for _ in range(30):
            self.network.elapse(5)
            stock.smux.nop()
        web = encode(Register("tcp", 9000, 8000, "web"))
        self.assertEqual(stock.said.count(web), 1 + len(AGAIN))
        self.assertEqual(stock.said.count(encode(Register("tcp", 0, 8000, "any"))), 1)

    def test_serviceEnds(self) -> None:
        """
        The service's end is the stream's, behind all that it said.
        """
        stock = self.called()
        stream = stock.start("web")
        stock.smux.send(stream, b"question")
        self.network.settle()
        service = self.services[-1]
        self.assertEqual(service.heard, b"question")
        service.say(b"answer")
        service.wire.loseConnection()
        self.network.settle()
        self.assertEqual((stock.streams[stream], stock.finished), (b"answer", [stream]))

    def test_visitorEnds(self) -> None:
        """
        The visitor's end, which is the stream's, ends the service's connection, behind
        what he said.
        """
        stock = self.called()
        stream = stock.start("web")
        stock.smux.send(stream, b"last words")
        stock.smux.finish(stream)
        self.network.settle()
        service = self.services[-1]
        self.assertEqual((service.heard, service.ended), (b"last words", "end"))
        service.wire.loseConnection()
        self.network.settle()
        self.assertEqual(self.clients[0].streams, 0)

    def test_endless(self) -> None:
        """
        A service that goes on and on is reset when its visitor has gone.
        """
        stock = self.called()
        stream = stock.start("web")
        self.network.settle()
        service = self.services[-1]
        service.say(b"tick")
        self.network.settle()
        stock.smux.finish(stream)
        service.say(b"tick")
        self.network.settle()
        self.assertEqual(service.ended, "reset")
        self.assertEqual(self.clients[0].streams, 0)

    def test_serviceBusy(self) -> None:
        """
        A service that ends its answer before it has read all of the question: the
        stream ends behind what it takes.
        """
        stock = self.called()
        stream = stock.start("web")
        self.network.settle()
        service = self.services[-1]
        service.wire.pauseProducing()
        stock.smux.send(stream, bytes(1 << 20))
        self.network.settle()
        service.say(b"enough")
        service.wire.loseWriteConnection()
        self.network.settle()
        self.assertEqual((stock.streams[stream], stock.finished), (b"enough", []))
        service.wire.resumeProducing()
        self.network.settle()
        self.assertEqual(stock.finished, [stream])
        self.assertEqual(len(service.heard), 1 << 20)

    def test_unknown(self) -> None:
        """
        A stream for a tunnel that was not configured is closed and logged, whatever
        its port: the program would take any service.
        """
        stock = self.called()
        stream = stock.start("other")
        self.network.settle()
        self.assertEqual((stock.finished, self.services), ([stream], []))
        self.assertIn("this client does not publish 'other'", self.told())

    def test_oddHeads(self) -> None:
        """
        A stream that says something else first is closed, and so is one that says
        nothing; others go on.
        """
        stock = self.called()
        odd, silent = stock.smux.open(), stock.smux.open()
        stock.smux.send(odd, b"\x03abc")
        stock.smux.send(silent, b"\x02\0\0")
        self.network.settle()
        self.assertEqual(stock.finished, [odd])
        self.network.elapse(FOR_A_HEAD + 1)
        self.assertEqual(stock.finished, [odd, silent])
        stock.start("web")
        self.network.settle()
        self.assertEqual(len(self.services), 1)

    def test_manyHeads(self) -> None:
        """
        Of streams that do not say what they are for there are so many at most: one more
        takes the place of the oldest.
        """
        stock = self.called()
        silent = [stock.smux.open() for _ in range(HEADS + 3)]
        self.network.settle()
        self.assertEqual(stock.finished, silent[:3])
        self.assertEqual(stock.ended, "")

    def test_manyDatagrams(self) -> None:
        """
        Nor can a server make more sockets for datagrams than are allowed.
        """
        self.patch(serving, "ASKED", 10)
        service = Post()
        network: Any = self.network
        network.listenUDP(5300, service, HOST)
        stock = self.called("udp:5300:port=9000:name=dns")
        before = len(self.network.boxes)
        for _ in range(50):
            stream = stock.start("dns")
            for piece in encodeDatagram(b"question"):
                stock.smux.send(stream, piece)
            self.network.settle()
            self.assertLessEqual(len(self.network.boxes), before + 10)
        self.assertEqual(len(service.heard), 50)
        self.assertEqual(len(stock.finished), 40)

    def test_stopsUnheard(self) -> None:
        """
        A client that is stopped does not wait for a server that takes no good-bye.
        """
        stock = self.called()
        stock.start("web")
        self.network.settle()
        stock.wire.frozen = True
        self.services[-1].say(bytes(1 << 20))
        self.network.settle()
        (client,) = self.clients
        stopped: Any = client.stopService()
        self.network.elapse(CLOSING - 0.1)
        self.assertNoResult(stopped)
        self.network.elapse(0.2)
        self.successResultOf(stopped)

    def test_cutHeads(self) -> None:
        """
        It does not matter how the beginning of a stream is cut.
        """
        stock = self.called()
        head = encode(NewStream(2, PUBLIC, "web")) + b"question"
        for cut in range(1, len(head)):
            stream = stock.smux.open()
            stock.smux.send(stream, head[:cut])
            self.network.settle()
            stock.smux.send(stream, head[cut:])
            self.network.settle()
            self.assertEqual(self.services[-1].heard, b"question", cut)
            stock.smux.finish(stream)

    def test_endsBeforeHead(self) -> None:
        """
        A visitor who has gone before that is no trouble.
        """
        stock = self.called()
        stream = stock.smux.open()
        stock.smux.finish(stream)
        self.network.settle()
        self.assertEqual(stock.ended, "")
        self.assertEqual(self.services, [])

    def test_datagram(self) -> None:
        """
        A datagram's stream has one socket, which is closed with it.
        """
        service = Post()
        network: Any = self.network
        network.listenUDP(5300, service, HOST)
        stock = self.called("udp:5300:port=9000:name=dns")
        stream = stock.start("dns")
        for piece in encodeDatagram(b"question"):
            stock.smux.send(stream, piece)
        self.network.settle()
        ((datagram, port),) = service.heard
        self.assertEqual(datagram, b"question")
        service.say(b"answer", port)
        self.network.settle()
        self.assertEqual(stock.streams[stream], b"\0\x06answer")
        stock.smux.finish(stream)
        self.network.settle()
        self.assertNotIn(port, self.network.boxes)

    def test_brokenWire(self) -> None:
        """
        A server that speaks something else is left, and tried again.
        """
        stock = self.called()
        stock.say(b"HTTP/1.0 400 Bad Request\r\n\r\n")
        self.network.settle()
        self.assertNotEqual(stock.ended, "")
        self.assertIn("smux of version 72", self.told())

    @given(st.binary(max_size=200))
    def test_fuzzed(self, junk: bytes) -> None:
        """
        Nothing that a server says breaks the client: it goes on, or comes again.
        """
        if not self.came:
            self.called()
        stock = self.came[-1]
        stream = stock.start("web")
        stock.smux.send(stream, junk)
        stock.say(junk)
        self.network.settle()
        self.network.elapse(20)
        self.assertEqual(self.flushLoggedErrors(), [])
        if not self.clients[0].tunnels[0].address:
            self.network.elapse(20)
        self.assertTrue(self.clients[0].tunnels[0].address)

    def test_controlEnds(self) -> None:
        """
        One that closes the control stream serves us no more.
        """
        stock = self.called()
        stock.smux.finish(stock.control)
        self.network.settle()
        self.assertIn("has closed the control stream; trying again", self.told())


class CheckTests(WholeCase):
    """
    What no server of mgrok's could grant is refused before anything is tried.
    """

    def flaw(self, tunnel: str = "tcp:1:port=9000", token: str = TOKEN) -> str:
        """
        Give what is wrong with settings, or nothing.
        """
        settings = AbroadSettings(
            dialect=MGROK,
            place=Place(HostPort("vps", 9000), True),
            token=token,
            tunnels=(parseTunnel(tunnel, PARSERS),),
        )
        try:
            MGROK.check(settings)
        except ValueError as e:
            return str(e)
        return ""

    def test_flaws(self) -> None:
        """
        In words that name it.
        """
        self.assertEqual(self.flaw(), "")
        self.assertEqual(self.flaw("udp:53"), "")
        self.assertIn("proxy=", self.flaw("tcp:1:port=9000:proxy=v1"))
        self.assertIn("subdomain=", self.flaw("tcp:1:port=9000:subdomain=blog"))
        self.assertIn("compress=", self.flaw("tcp:1:port=9000:compress=deflate"))
        long = "ü" * 150
        self.assertIn("too long a name", self.flaw(f"tcp:1:port=9000:name={long}"))
        self.assertIn("the token is too long", self.flaw(token="x" * 1020))
        self.assertEqual(self.flaw(token="x" * 1019), "")
