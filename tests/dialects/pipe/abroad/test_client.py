"""
Tests for L{tunnelkit.dialects.pipe.abroad}, at servers of ours and at stock ones.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from tests.dialects.pipe.case import TOKEN, PipeCase
from tests.mail import Post
from tests.network import Speaker, accepting
from tests.whole import NOW, PORT, PUBLIC, SERVICE, WholeCase
from tunnelkit.control.heartbeat import SILENCE
from tunnelkit.dialects.pipe.abroad.bringing import AGAIN, MOST
from tunnelkit.dialects.pipe.abroad.client import PIPE
from tunnelkit.dialects.pipe.abroad.ways import CLOSING
from tunnelkit.tunnels.wanted import AGAIN as REFUSED
from tunnelkit.wire.address import HostPort
from tunnelkit.wire.pipe.codec import FROM_CLIENT, PacketDecoder, encode
from tunnelkit.wire.pipe.packets import (
    Cancel,
    Datagram,
    Exchange,
    Forward,
    Forwarded,
    FromClient,
    Heartbeat,
)
from tunnelkit.wire.ports import PortSet


class OwnCase(PipeCase):
    """
    Our client of pipe's at our server that speaks it.
    """

    def forwarded(self, *tunnels: str, **changes: Any) -> Any:
        """
        Start a client, and wait until its forwards are open.
        """
        client = self.abroad(PIPE, *tunnels, token=TOKEN, **changes)
        client.startService()
        self.network.settle()
        for tunnel in client.tunnels:
            self.assertTrue(tunnel.address)
        return client

    def post(self, port: int = 0) -> Post:
        """
        Make a service of UDP, or a visitor.
        """
        network: Any = self.network
        post = Post()
        box = network.listenUDP(port, post, "127.0.0.1")
        self.addCleanup(box.stopListening)
        return post


class OwnTests(OwnCase):
    """
    Both sides are ours.
    """

    def test_served(self) -> None:
        """
        A visitor of the forward's port is served, and both may end when they like; the
        log says where the forward is.
        """
        client = self.forwarded()
        self.assertEqual(client.tunnels[0].address, "tcp://127.0.0.1:9000")
        told = self.log.lines("info")
        self.assertIn("tcp://127.0.0.1:9000 leads to 127.0.0.1:8000 (web)", told)
        self.assertServed()
        self.assertServed()
        (session,) = self.server.status().sessions
        self.assertTrue(session.program.startswith("pipe tunnelkit/"))

    def test_halfClose(self) -> None:
        """
        The end of a question crosses before its answer, and the other way round.
        """
        self.forwarded()
        visitor = self.visit()
        visitor.say(b"question")
        visitor.wire.loseWriteConnection()
        self.network.settle()
        service = self.services[-1]
        self.assertEqual((service.heard, service.ended), (b"question", "end"))
        service.say(b"answer")
        service.wire.loseWriteConnection()
        self.network.settle()
        self.assertEqual((visitor.heard, visitor.ended), (b"answer", "end"))
        visitor.wire.loseConnection()
        visitor = self.visit()
        self.services[-1].say(b"all I have")
        self.services[-1].wire.loseWriteConnection()
        self.network.settle()
        self.assertEqual((visitor.heard, visitor.ended), (b"all I have", "end"))
        visitor.say(b"thanks")
        self.network.settle()
        self.assertEqual(self.services[-1].heard, b"thanks")
        visitor.wire.abortConnection()
        self.network.settle()
        self.assertEqual(self.services[-1].ended, "reset")

    def test_serviceResets(self) -> None:
        """
        A service's reset is a visitor's.
        """
        self.forwarded()
        visitor = self.visit()
        self.services[-1].wire.abortConnection()
        self.network.settle()
        self.assertEqual(visitor.ended, "reset")

    def test_limit(self) -> None:
        """
        A forward may be slowed down.
        """
        self.forwarded("tcp:8000:port=9000:name=web:limit=1000B/s:burst=100B")
        visitor = self.visit()
        self.services[-1].say(b"x" * 3000)
        self.network.elapse(1.0)
        self.assertTrue(900 < len(visitor.heard) < 1300, len(visitor.heard))
        self.network.elapse(3.0)
        self.assertEqual(len(visitor.heard), 3000)
        visitor.wire.abortConnection()
        self.network.settle()

    def test_datagrams(self) -> None:
        """
        Datagrams of several visitors get their answers, each his own, in whatever order
        the service gives them; and what it says unasked arrives, too.
        """
        service, one, two = self.post(5300), self.post(), self.post()
        self.forwarded("udp:5300:port=9000:name=dns")
        one.say(b"of one", 9000)
        two.say(b"of two", 9000)
        self.network.settle()
        asked = dict(service.heard)
        self.assertEqual(set(asked), {b"of one", b"of two"})
        service.say(b"for two", asked[b"of two"])
        service.say(b"for one", asked[b"of one"])
        service.say(b"and more", asked[b"of one"])
        self.network.settle()
        self.assertEqual([d for d, _ in two.heard], [b"for two"])
        self.assertEqual([d for d, _ in one.heard], [b"for one", b"and more"])
        (tunnel,) = self.server.status().tunnels
        self.assertEqual((tunnel.kind, tunnel.streams), ("udp", 2))

    def test_datagramsLost(self) -> None:
        """
        When their connection is lost the server asks for another, and visitors are
        served on, from the same sockets as before.
        """
        service, visitor = self.post(5300), self.post()
        self.forwarded("udp:5300:port=9000:name=dns")
        visitor.say(b"before", 9000)
        self.network.settle()
        carrying = self.network.wires[-1]
        carrying.abortConnection()
        self.network.elapse(1.5)
        visitor.say(b"after", 9000)
        self.network.settle()
        self.assertEqual([d for d, _ in service.heard], [b"before", b"after"])
        self.assertEqual(len({port for _, port in service.heard}), 1)
        self.network.elapse(2 * AGAIN)
        self.assertEqual(len(self.server.status().tunnels), 1)

    def test_datagramsContested(self) -> None:
        """
        When another client asks for the port of one that lives, no datagram is lost by
        that.
        """
        service, visitor = self.post(5300), self.post()
        client = self.forwarded("udp:5300:port=9000:name=dns")
        visitor.say(b"before", 9000)
        self.network.settle()
        other = self.abroad(PIPE, "udp:5300:port=9000:name=other", token=TOKEN)
        other.startService()
        self.network.settle()
        visitor.say(b"meanwhile", 9000)
        self.network.elapse(0.5)
        visitor.say(b"after", 9000)
        self.network.settle()
        heard = [words for words, _ in service.heard]
        self.assertEqual(heard, [b"before", b"meanwhile", b"after"])
        self.assertTrue(client.tunnels[0].address)
        self.assertEqual(other.tunnels[0].address, "")

    def test_serverRestarts(self) -> None:
        """
        A server that is started again has its forwards back within a second, and who
        was with it is reset; that is said once.
        """
        client = self.forwarded(
            "tcp:8000:port=9000:name=web", "tcp:8000:port=9001:name=other"
        )
        visitor = self.visit()
        self.stop(self.server)
        self.network.settle()
        self.assertEqual(visitor.ended, "reset")
        self.assertEqual([each.address for each in client.tunnels], ["", ""])
        self.network.elapse(3.0)
        self.servePipe()
        self.network.elapse(1.0)
        self.assertServed()
        self.assertServed(9001)
        lost = [each for each in self.log.lines("warn") if "is lost; trying" in each]
        self.assertEqual(len(lost), 2, "one a forward")
        self.assertEqual(self.failures, [])

    def test_serverFrozen(self) -> None:
        """
        A server that says nothing is given up, and come back to.
        """
        client = self.forwarded()
        self.freeze()
        self.network.elapse(SILENCE - 0.5)
        self.assertTrue(client.tunnels[0].address)
        self.network.elapse(1.0)
        self.assertEqual(client.tunnels[0].address, "")
        told = "\n".join(self.log.lines("warn"))
        self.assertIn("127.0.0.1:8910 said nothing for 12 seconds", told)
        self.network.silent.clear()
        for wire in self.network.wires:
            wire.frozen = False
        self.network.elapse(20.0)
        self.assertServed()

    def test_clientKilled(self) -> None:
        """
        A client that is gone is followed by another on the same port, at once.
        """
        self.forwarded()
        visitor = self.visit()
        for wire in [*self.network.wires]:
            if wire.getPeer().port == PORT:
                wire.abortConnection()
        self.network.settle()
        self.assertEqual(visitor.ended, "reset")
        self.network.elapse(1.0)
        self.assertServed()

    def test_drains(self) -> None:
        """
        When it is to stop, nobody new is let in, and who is there may finish; then its
        port is free.
        """
        client = self.forwarded()
        visitor = self.visit()
        drained = Deferred.fromCoroutine(client.drain(10.0))
        self.network.elapse(1.0)
        self.assertNotIn(PUBLIC, self.network.ports)
        visitor.say(b"one more thing")
        self.network.elapse(1.0)
        self.assertEqual(self.services[-1].heard, b"one more thing")
        self.assertNoResult(drained)
        visitor.wire.loseConnection()
        self.services[-1].wire.loseConnection()
        self.network.elapse(1.0)
        self.successResultOf(drained)
        self.stop(client)
        self.assertEqual(self.server.status().sessions, ())

    def test_stops(self) -> None:
        """
        When it stops at once its visitors are reset, and its port is free.
        """
        client = self.forwarded()
        visitor = self.visit()
        self.stop(client)
        self.assertEqual(visitor.ended, "reset")
        self.assertEqual(self.server.status().tunnels, ())

    def test_stopsUnheard(self) -> None:
        """
        A server that does not answer does not keep it from stopping.
        """
        client = self.forwarded()
        self.freeze()
        stopped = client.stopService()
        self.network.elapse(CLOSING - 0.5)
        self.assertNoResult(stopped)
        self.network.elapse(1.0)
        self.successResultOf(stopped)

    def freeze(self) -> None:
        """
        Stop the server's machine.
        """
        self.network.silent.add(PORT)
        for wire in self.network.wires:
            wire.frozen = True

    def test_wrongToken(self) -> None:
        """
        With another secret it gives up, in words that help.
        """
        client = self.abroad(PIPE, token="secretive")
        client.startService()
        self.network.elapse(30.0)
        (failure,) = self.failures
        self.assertIn("the token is another one there, or the clocks differ", failure)
        self.assertNotIn("secretive", "\n".join(self.log.lines("info", "warn")))

    def test_away(self) -> None:
        """
        A server that is not there is waited for; that is said once.
        """
        self.stop(self.server)
        client = self.abroad(PIPE, token=TOKEN)
        client.startService()
        self.network.elapse(600.0)
        (line,) = self.log.lines("warn")[-1:]
        self.assertIn("127.0.0.1:8910 cannot be reached", line)
        self.servePipe()
        self.network.elapse(16.0)
        self.assertServed()

    def test_refused(self) -> None:
        """
        A port that the server does not give is asked for again, until it does.
        """
        self.stop(self.server)
        self.servePipe(allowed=PortSet.parse("9001"))
        client = self.abroad(PIPE, token=TOKEN)
        client.startService()
        self.network.elapse(60.0)
        told = [line for line in self.log.lines("warn") if "web is refused" in line]
        self.assertEqual(len(told), 1)
        self.assertIn("port 9000 is not among", told[0])
        self.assertEqual(self.failures, [])
        self.stop(self.server)
        self.servePipe()
        self.network.elapse(2 * REFUSED[1])
        self.assertServed()


class StockCase(WholeCase):
    """
    Our client at a server that does as stock ones do, played by hand.
    """

    def setUp(self) -> None:
        """
        Start both.
        """
        super().setUp()
        self.came = accepting(self.network, PORT)
        self.addCleanup(self.endServer)

    def endServer(self) -> None:
        """
        Stop both.
        """
        for client in self.clients:
            if client.running:
                client.stopService()
        self.network.elapse(CLOSING + 0.1)
        for each in self.came:
            each.wire.abortConnection()
        self.network.ports.pop(PORT)

    def begun(self, *tunnels: str) -> Any:
        """
        Start a client.
        """
        client = self.abroad(PIPE, *tunnels, token=TOKEN)
        client.startService()
        self.network.settle()
        return client

    def said(self, server: Speaker) -> list[FromClient]:
        """
        Give what the client said on a connection behind its login.
        """
        return [*PacketDecoder(FROM_CLIENT).feed(server.heard)][1:]

    def say(self, *packets: Any, on: Speaker | None = None) -> None:
        """
        Have the server say something, on its first connection where not on another.
        """
        for packet in packets:
            (on or self.came[0]).say(encode(packet))
        self.network.settle()


class StockTests(StockCase):
    """
    What stock servers do is understood.
    """

    def test_everySplit(self) -> None:
        """
        It does not matter how the network cuts what the server says.
        """
        said = b"".join(
            encode(each)
            for each in (Forwarded(True), Heartbeat(), Exchange("0123abcd", "tcp"))
        )
        for cut in range(len(said) + 1):
            client, before = self.begun(), len(self.came)
            control = self.came[-1]
            control.say(said[:cut])
            self.network.settle()
            control.say(said[cut:])
            self.network.settle()
            self.assertTrue(client.tunnels[0].address)
            self.assertEqual(len(self.came), before + 1)
            client.stopService()
            self.network.elapse(CLOSING + 0.1)

    def test_lateFailed(self) -> None:
        """
        A C{failed} behind the success means nothing.
        """
        client = self.begun()
        self.say(Forwarded(True), Forwarded(False), Heartbeat())
        self.assertTrue(client.tunnels[0].address)
        self.say(Exchange("0123abcd", "tcp"))
        self.came[1].say(b"hello?")
        self.network.settle()
        self.assertEqual(self.services[-1].heard, b"hello?")

    def test_subdomain(self) -> None:
        """
        A name that the server gives is shown, but not the lack of one.
        """
        client = self.begun("tcp:8000:port=9000:name=web:subdomain=blog")
        wanted = Forward(9000, "web", "blog", "tcp")
        self.assertEqual(self.said(self.came[0])[0], wanted)
        self.say(Forwarded(True, "blog.example.com"))
        self.assertEqual(
            client.tunnels[0].address,
            "https://blog.example.com (tcp://127.0.0.1:9000)",
        )
        other = self.begun("tcp:8000:port=9001:name=other")
        self.say(Forwarded(True, ".example.com"), on=self.came[-1])
        self.assertEqual(other.tunnels[0].address, "tcp://127.0.0.1:9001")

    def test_successor(self) -> None:
        """
        A server of ours says who has the port, and holds it for nobody that is dead:
        there nothing is taken from a successor.
        """
        client = self.begun()
        self.say(Forwarded(True))
        self.came[0].wire.abortConnection()
        self.network.settle()
        self.network.elapse(0.5)
        self.say(Forwarded(False, reason="it is another's"), on=self.came[1])
        self.network.elapse(0.5)
        self.assertEqual(len(self.came), 2)
        self.assertIn("refused: it is another's", "".join(self.log.lines("warn")))
        self.assertEqual(client.tunnels[0].refused, "")

    def test_stopsAsking(self) -> None:
        """
        Stopped while a server has not answered yet, it waits a moment for that: a stock
        server would keep the port for ever.
        """
        for answer, parting in ((True, [Cancel("web", PUBLIC)]), (False, None)):
            client, before = self.begun(), len(self.came)
            stopped = client.stopService()
            self.network.settle()
            self.assertNoResult(stopped)
            self.say(Forwarded(answer), on=self.came[-1])
            self.network.settle()
            if parting:
                self.assertEqual(self.said(self.came[before]), parting)
                self.came[before].wire.loseConnection()
                self.network.settle()
            self.assertEqual(len(self.came), before + bool(parting))
            self.successResultOf(stopped)
        silent = self.begun()
        stopped = silent.stopService()
        self.network.elapse(CLOSING + 0.1)
        self.successResultOf(stopped)

    def test_takesBack(self) -> None:
        """
        A stock server holds the port of a lost connection for ever: after a failure it
        is taken back, once, and asked for again.
        """
        client = self.begun()
        self.say(Forwarded(True))
        self.came[0].wire.abortConnection()
        self.network.settle()
        self.network.elapse(0.5)
        self.say(Forwarded(False), on=self.came[1])
        self.assertEqual(self.said(self.came[2]), [Cancel("web", PUBLIC)])
        self.came[2].wire.loseConnection()
        self.network.elapse(0.5)
        self.say(Forwarded(True), on=self.came[3])
        self.assertTrue(client.tunnels[0].address)
        self.came[3].wire.abortConnection()
        self.network.elapse(0.5)
        self.say(Forwarded(False), on=self.came[4])
        self.came[5].wire.loseConnection()
        self.network.elapse(0.5)
        self.say(Forwarded(False), on=self.came[6])
        self.network.elapse(0.5)
        self.assertEqual(len(self.came), 7, "another's port is not taken")
        told = "\n".join(self.log.lines("warn"))
        self.assertIn("still holds port 9000 for the connection that was lost", told)
        self.assertIn("does not forward port 9000", told)

    def test_datagramsLost(self) -> None:
        """
        A stock server asks for the connection of the datagrams once alone: when that is
        lost all is begun anew.
        """
        self.begun("udp:5300:port=9000:name=dns")
        self.say(Forwarded(True), Exchange("0123abcd", "udp"), Forwarded(False))
        self.came[1].wire.abortConnection()
        for _ in range(int(AGAIN) + 1):
            self.network.elapse(1.0)
            self.say(Heartbeat())
        self.assertEqual(self.came[0].ended, "reset")
        self.assertEqual(self.said(self.came[2]), [Forward(9000, "dns", "", "udp")])

    def test_datagrams(self) -> None:
        """
        A datagram without an address gets an answer without one; what is too long for
        a packet is dropped and counted; and silence ends a flow.
        """
        service = Post()
        network: Any = self.network
        box = network.listenUDP(5300, service, "127.0.0.1")
        self.addCleanup(box.stopListening)
        client = self.begun("udp:5300:port=9000:name=dns")
        self.say(Forwarded(True), Exchange("0123abcd", "udp"))
        someone = HostPort("192.0.2.1", 5)
        self.say(Datagram(b"a"), Datagram(b"b", someone), on=self.came[1])
        ports = dict(service.heard)
        service.say(b"x" * 50000, ports[b"a"])
        service.say(b"A", ports[b"a"])
        service.say(b"B", ports[b"b"])
        self.network.settle()
        self.assertEqual(
            self.said(self.came[1])[1:], [Datagram(b"A"), Datagram(b"B", someone)]
        )
        flows = client._locals["dns"].flows
        self.assertEqual(flows.tally.drops["unsent"], 1)
        for _ in range(19):
            self.network.elapse(10.0)
            self.say(Heartbeat())
        self.assertEqual(len(flows), 0)

    def test_datagramsTwice(self) -> None:
        """
        Of two connections for datagrams the one counts on which something came last,
        and either when the other is gone.
        """
        service = Post()
        network: Any = self.network
        box = network.listenUDP(5300, service, "127.0.0.1")
        self.addCleanup(box.stopListening)
        self.begun("udp:5300:port=9000:name=dns")
        self.say(Forwarded(True), Exchange("0123abcd", "udp"))
        self.say(Exchange("1123abcd", "udp"), Exchange("2123abcd", "udp"))
        first, second, third = self.came[1:]
        self.assertEqual((first.ended, second.ended, third.ended), ("", "reset", ""))
        someone = HostPort("192.0.2.1", 5)
        self.say(Datagram(b"1", someone), on=first)
        self.say(Datagram(b"2", someone), on=third)
        service.say(b"A", service.heard[0][1])
        self.network.settle()
        self.assertEqual([words for words, _ in service.heard], [b"1", b"2"])
        self.assertEqual(self.said(third)[1:], [Datagram(b"A", someone)])
        self.assertEqual(first.ended, "reset")
        self.say(Exchange("3123abcd", "udp"))
        third.wire.abortConnection()
        self.network.settle()
        service.say(b"B", service.heard[0][1])
        self.network.settle()
        self.assertEqual(self.said(self.came[4])[1:], [Datagram(b"B", someone)])

    def test_silentAnswer(self) -> None:
        """
        A server that takes a request and says nothing is given up.
        """
        self.begun()
        self.network.elapse(SILENCE + 1.0)
        self.assertEqual(self.came[0].ended, "reset")
        self.assertTrue(len(self.came) > 1)
        self.assertEqual(self.failures, [])

    def test_unserved(self) -> None:
        """
        When the server cannot be reached for a visitor, the log says so.
        """
        self.begun()
        self.say(Forwarded(True))
        port = self.network.accepting.pop(PORT)
        self.say(Exchange("0123abcd", "tcp"))
        self.network.accepting[PORT] = port
        told = "\n".join(self.log.lines("warn"))
        self.assertIn("visitors of web are not served: 127.0.0.1:8910 cannot be", told)

    def test_manyExchanges(self) -> None:
        """
        A server that asks for more and more connections gets so many, and no more.
        """
        self.begun()
        self.say(Forwarded(True))
        asked = (Exchange(f"{number:08x}", "tcp") for number in range(MOST + 10))
        self.came[0].say(b"".join(map(encode, asked)))
        self.network.settle()
        self.assertEqual(len(self.came) - 1, MOST)
        told = "\n".join(self.log.lines("warn"))
        self.assertIn(f"{MOST} connections are on their way already", told)

    @given(st.binary(min_size=1, max_size=100))
    def test_fuzzed(self, junk: bytes) -> None:
        """
        Nothing that a server says breaks more than its connection.
        """
        client = self.begun()
        self.say(Forwarded(True), on=self.came[-1])
        self.came[-1].say(junk)
        self.network.settle()
        self.assertEqual(self.flushLoggedErrors(), [])
        client.stopService()
        self.network.elapse(CLOSING + 0.1)

    def test_junk(self) -> None:
        """
        A server that does not keep to the wire is told from one that is away.
        """
        for junk in (b"HTTP/1.1 400 Bad Request\r\n\r\n", encode(Datagram(b"x"))):
            self.begun()
            self.came[-1].say(junk)
            self.network.settle()
            self.assertEqual(self.came[-1].ended, "reset")
            told = self.log.lines("warn")[-1]
            self.assertIn("broke pipe's protocol", told)

    def test_fresh(self) -> None:
        """
        Each login is of its own second.
        """
        self.begun()
        self.network.elapse(SILENCE + 5.0)
        logins = [next(PacketDecoder(FROM_CLIENT).feed(e.heard)) for e in self.came]
        times = [getattr(each, "timestamp", 0) for each in logins]
        self.assertEqual(times[0], NOW)
        self.assertTrue(times[-1] >= NOW + SILENCE)

    def test_descriptors(self) -> None:
        """
        A service that ends first leaves nothing behind once its visitor has gone.
        """
        self.begun()
        self.say(Forwarded(True), Exchange("0123abcd", "tcp"))
        self.services[-1].say(b"bye")
        self.services[-1].wire.loseConnection()
        self.network.settle()
        self.came[1].wire.loseConnection()
        self.network.settle()
        self.assertEqual(self.clients[0].streams, 0)
        self.assertEqual(self.network.ports.keys(), {SERVICE, PORT})

    def test_noRoom(self) -> None:
        """
        Of visitors for whom there is no socket nothing is remembered, however many a
        server invents.
        """
        client = self.begun("udp:5300:port=9000:name=dns")
        local = client._locals["dns"]
        self.patch(local, "land", lambda flow, carrier: "there is no room")
        self.say(Forwarded(True), Exchange("0123abcd", "udp"))
        many = (HostPort("192.0.2.1", port) for port in range(1, 100))
        self.say(*(Datagram(b"x", each) for each in many), on=self.came[1])
        landing = client._forwards[0]._bringing._landing
        self.assertEqual((landing._addresses, landing._numbers), ({}, {}))
        self.assertEqual(landing.strays, 99)

    def test_lostMeanwhile(self) -> None:
        """
        Connections that are on their way when the control connection is lost are given
        up: nobody waits for them.
        """
        self.begun()
        self.say(Forwarded(True))
        self.network.silent.add(PORT)
        self.say(*(Exchange(f"{number:08x}", "tcp") for number in range(5)))
        self.came[0].wire.abortConnection()
        self.network.settle()
        self.network.silent.remove(PORT)
        before = len(self.came)
        self.network.elapse(2.0)
        self.assertEqual(len(self.came), before + 1, "a control connection alone")
        self.network.elapse(10.0)
        self.assertNotIn("not served", "".join(self.log.lines("warn")))

    def test_stopsUnheard(self) -> None:
        """
        A client that stops does not wait for ever for a server that neither answers its
        Cancel nor closes: it cuts both connections.
        """
        client = self.begun()
        self.say(Forwarded(True))
        stopped = client.stopService()
        self.network.settle()
        for each in self.came:
            each.wire.frozen = True
        self.network.elapse(2 * CLOSING + 0.2)
        self.successResultOf(stopped)
        self.assertTrue(all(each.wire.far.lost for each in self.came))
