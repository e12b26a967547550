"""
Tests for L{tunnelkit.dialects.remotedialer.line} and C{ends}.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol

from tests.dialects.remotedialer.case import SERVICE, TARGET, WEB, LineCase, Stock
from tests.network import Speaker
from tunnelkit.dialects.remotedialer import line as lines
from tunnelkit.dialects.remotedialer.abroad.asking import AskingLine
from tunnelkit.dialects.remotedialer.dialling import NotDialled
from tunnelkit.dialects.remotedialer.ends import MOST_IN_ALL, MOST_WAITING
from tunnelkit.dialects.remotedialer.line import CLOSING, OURS, SURPLUS
from tunnelkit.relay.connection import Connection
from tunnelkit.wire.remotedialer.messages import (
    DISCONNECTED,
    END,
    NOT_ALLOWED,
    PAUSE,
    PIECE,
    RESUME,
    SILENCE,
    SYNC,
    Connect,
    Data,
    Error,
    Message,
    Pause,
    Resume,
    Sync,
)

MiB = 1 << 20


class Echo(Protocol):
    """
    A service that sends back what it gets, and reads no more than it can send.
    """

    def connectionMade(self) -> None:
        """
        Read only while what was read can be sent.
        """
        transport: Any = self.transport
        transport.registerProducer(transport, True)

    def dataReceived(self, data: bytes) -> None:
        """
        Send it back.
        """
        assert self.transport is not None
        self.transport.write(data)


class Sender(Speaker):
    """
    A service that has much to say.
    """

    def connectionMade(self) -> None:
        """
        Say it.
        """
        super().connectionMade()
        self.say(b"x" * (16 * MiB))


class SmallTests(LineCase):
    """
    Who sends bytes a few at a time costs no more than the bytes.
    """

    def test_pieces(self) -> None:
        """
        What waits of many small messages, and of empty ones, waits in a few pieces, and
        comes out as it was.
        """
        stock, speaker = self.stock(), Speaker()
        endpoint = self.switchboard.dialer("foo", TARGET, 0.0)
        endpoint.connect(Factory.forProtocol(lambda: speaker))
        self.network.elapse(0.0)
        speaker.wire.pauseProducing()
        sent = [b"%d," % number for number in range(2000)]
        stock.tell(*(Data(2, data) for each in sent for data in (each, b"")))
        self.network.settle()
        end = self.welcomed[0].ends[2]
        self.assertEqual(end.waiting, len(b"".join(sent)))
        self.assertLess(len(end._early), 20)
        speaker.wire.resumeProducing()
        self.assertEqual((speaker.heard, end.waiting), (b"".join(sent), 0))


class EarlyTests(LineCase):
    """
    What is said before the WebSocket is open.
    """

    def test_notOpen(self) -> None:
        """
        Who dials before the server has opened the WebSocket is told: what was said so
        early would never be heard.
        """
        line = AskingLine(self.network, 0)
        self.lines.append(line)
        self.network.connect(WEB, Connection(line))
        opened = line.ask("example.org", "/connect", [(b"X-Tunnel-ID", b"foo")])
        self.assertRaises(ConnectionError, line.dial, "tcp", "127.0.0.1:80")
        self.assertEqual(line.ends, {})
        self.network.settle()
        self.successResultOf(opened)
        line.dial("tcp", "127.0.0.1:80")


class DialTests(LineCase):
    """
    One side dials, and what it dialled is as if it were near.
    """

    def test_both(self) -> None:
        """
        What is said on one side is heard on the other.
        """
        self.come()
        visitor, service = self.dial()
        visitor.say(b"question")
        self.network.settle()
        self.assertEqual(service.heard, b"question")
        service.say(b"answer")
        self.network.settle()
        self.assertEqual(visitor.heard, b"answer")

    def test_serviceEnds(self) -> None:
        """
        When the service has answered and closes, the answer is whole and the end clean.
        """
        line = self.come()
        visitor, service = self.dial()
        service.say(b"answer")
        service.wire.loseConnection()
        self.network.settle()
        self.assertEqual((visitor.heard, visitor.ended), (b"answer", "end"))
        self.assertEqual((line.ends, self.welcomed[0].ends), ({}, {}))

    def test_visitorEnds(self) -> None:
        """
        When who dialled closes, the service has everything, and an end.
        """
        self.come()
        visitor, service = self.dial()
        visitor.say(b"all of it")
        visitor.wire.loseConnection()
        self.network.settle()
        self.assertEqual((service.heard, service.ended), (b"all of it", "end"))
        self.assertEqual(visitor.ended, "end")

    def test_visitorGone(self) -> None:
        """
        A service that goes on talking when he has gone is not kept for that: he took
        the end of both directions with him.
        """
        self.come()
        visitor, service = self.dial()
        visitor.wire.loseConnection()
        self.network.settle()
        self.assertEqual(self.locals[-1].joins, set())
        self.assertTrue(service.wire.far.lost)

    def test_visitorGoneUnread(self) -> None:
        """
        Nor are its last bytes lost for that, though it takes its time with them.
        """
        self.come()
        visitor, service = self.dial()
        service.wire.pauseProducing()
        said = bytes(range(250)) * 8000
        visitor.say(said)
        visitor.wire.loseConnection()
        self.network.settle()
        self.assertLess(len(service.heard), len(said))
        service.wire.resumeProducing()
        self.network.settle()
        self.assertTrue(service.heard == said)
        self.assertEqual(service.ended, "end")

    def test_visitorHalfEnds(self) -> None:
        """
        When who dialled has said all and waits, the service is not told, as there is no
        word for that, and the answer arrives.
        """
        self.come()
        visitor, service = self.dial()
        visitor.say(b"question")
        visitor.wire.loseWriteConnection()
        self.network.settle()
        self.assertEqual((service.heard, service.ended), (b"question", ""))
        service.say(b"answer")
        service.wire.loseConnection()
        self.network.settle()
        self.assertEqual((visitor.heard, visitor.ended), (b"answer", "end"))

    def test_serviceResets(self) -> None:
        """
        A reset at the service is none of a clean end for who dialled.
        """
        self.come()
        visitor, service = self.dial()
        service.wire.abortConnection()
        self.network.settle()
        self.assertEqual(visitor.ended, "reset")

    def test_visitorAborts(self) -> None:
        """
        Nor is it the other way round.
        """
        self.come()
        visitor, service = self.dial()
        visitor.wire.abortConnection()
        self.network.settle()
        self.assertEqual((service.ended, visitor.ended), ("reset", "reset"))

    def test_bothDial(self) -> None:
        """
        Both sides may dial at once, and the numbers of their connections do not meet.
        """
        reached: list[tuple[Any, Connect]] = []
        self.answer = lambda end, asked: reached.append((end, asked))
        line = self.come()
        visitor, service = self.dial()
        end = line.dial("tcp", "192.0.2.1:80")
        self.network.settle()
        self.assertEqual(reached[0][1], Connect(OURS + 1, "tcp", "192.0.2.1:80"))
        end.write(b"of the client's")
        visitor.say(b"of the server's")
        self.network.settle()
        self.assertEqual(reached[0][0].waiting, len(b"of the client's"))
        self.assertEqual(service.heard, b"of the server's")

    def test_killed(self) -> None:
        """
        When a client is killed in the middle of it, who dialled sees a reset, and so
        does the service.
        """
        line = self.come()
        visitor, service = self.dial()
        service.say(b"half of")
        self.network.settle()
        line.connection.transport.abortConnection()
        self.network.settle()
        self.assertEqual((visitor.ended, service.ended), ("reset", "reset"))
        self.assertEqual(self.switchboard.listClients(), [])

    def test_frozen(self) -> None:
        """
        When a client is frozen, that shows after a minute.
        """
        line = self.come()
        visitor, _ = self.dial()
        transport: Any = line.connection.transport
        transport.frozen = True
        self.network.elapse(SILENCE - 10.0)
        self.assertEqual(visitor.ended, "")
        self.network.elapse(20.0)
        self.assertEqual(visitor.ended, "reset")
        self.assertEqual(self.switchboard.listClients(), [])


class FlowTests(LineCase):
    """
    Who does not read holds up nobody else, and not even the other direction.
    """

    def echo(self) -> None:
        """
        Have the service echo.
        """
        self.network.accepting[SERVICE].factory = Factory.forProtocol(Echo)

    def test_echo(self) -> None:
        """
        50 MB that are written to an echo before any of it is read come back: the
        program stands still at that.
        """
        self.echo()
        self.come()
        endpoint = self.switchboard.dialer("foo", TARGET)
        visitor = Speaker()
        factory = Factory.forProtocol(lambda: visitor)
        self.successResultOf(self.dialled(endpoint.connect(factory)))
        visitor.wire.pauseProducing()
        said = bytes(range(250)) * 200_000
        heard: list[bytes] = []
        visitor.dataReceived = heard.append  # type: ignore[assignment]
        visitor.say(said)
        self.network.settle()
        self.assertEqual(heard, [])
        visitor.wire.resumeProducing()
        self.network.settle()
        self.assertEqual(sum(map(len, heard)), len(said))
        self.assertEqual(b"".join(heard), said)

    def dialled(self, connected: Deferred[Any]) -> Deferred[Any]:
        """
        Wait until it is there.
        """
        self.network.elapse(1.0)
        return connected

    def test_secondFirst(self) -> None:
        """
        Of two answers of 16 MiB the second can be read to its end before the first is
        read at all.
        """
        self.network.accepting[SERVICE].factory = Factory.forProtocol(Sender)
        self.come()
        one, other = Speaker(), Speaker()
        for visitor in (one, other):
            factory = Factory.forProtocol(lambda each=visitor: each)  # type: ignore[misc]
            connected = self.switchboard.dialer("foo", TARGET, 0.0).connect(factory)
            self.network.advance(0)
            self.successResultOf(connected)
            visitor.wire.pauseProducing()
        self.network.settle()
        for visitor, still in ((other, one), (one, other)):
            visitor.wire.resumeProducing()
            self.network.settle()
            self.assertEqual(len(visitor.heard), 16 * MiB)
            self.assertIn(len(still.heard), (0, 16 * MiB))

    def test_pause(self) -> None:
        """
        The other side is asked to pause above 2 MiB and to go on below 256 KiB, once
        each.
        """
        stock = self.stock()
        visitor, _ = self.fetched(stock)
        visitor.wire.pauseProducing()
        many = PAUSE // PIECE
        stock.tell(*[Data(2, b"x" * PIECE)] * many)
        self.network.settle()
        self.assertEqual(stock.took(), [])
        stock.tell(*[Data(2, b"x" * PIECE)] * 2)
        self.network.settle()
        self.assertEqual(stock.took(), [Pause(2)])
        read = []

        class Slowly(Speaker):
            def dataReceived(self, data: bytes) -> None:
                read.append(len(data))
                visitor.wire.pauseProducing()

        visitor.dataReceived = Slowly().dataReceived
        while sum(read) < PAUSE + 2 * PIECE - RESUME:
            self.assertEqual(stock.took(), [])
            visitor.wire.resumeProducing()
            self.network.settle()
        visitor.wire.resumeProducing()
        self.network.settle()
        self.assertEqual(stock.took(), [Resume(2)])

    def fetched(self, stock: Stock) -> tuple[Any, Message]:
        """
        Dial through a stock client.
        """
        visitor = Speaker()
        factory = Factory.forProtocol(lambda: visitor)
        connected = self.switchboard.dialer("foo", TARGET).connect(factory)
        self.network.elapse(0.1)
        self.successResultOf(connected)
        (asked,) = stock.took()
        return visitor, asked  # type: ignore[return-value]

    def test_asked(self) -> None:
        """
        Who asks us to pause gets no more until he says so, and his own direction goes
        on; a Resume that nobody waited for does no harm.
        """
        stock = self.stock()
        visitor, asked = self.fetched(stock)
        self.assertEqual(asked, Connect(2, "tcp", f"127.0.0.1:{SERVICE}"))
        stock.tell(Resume(2), Pause(2), Pause(77), Resume(77))
        self.network.settle()
        visitor.say(b"later")
        stock.tell(Data(2, b"now"))
        self.network.settle()
        self.assertEqual((stock.took(), visitor.heard), ([], b"now"))
        stock.tell(Resume(2))
        self.network.settle()
        self.assertEqual(stock.took(), [Data(2, b"later")])

    def test_overrun(self) -> None:
        """
        Who goes on all the same loses that connection and no other.
        """
        stock = self.stock()
        visitor, _ = self.fetched(stock)
        other, _ = self.fetched(stock)
        visitor.wire.pauseProducing()
        stock.tell(*[Data(2, b"x" * MiB)] * (MOST_WAITING // MiB + 1))
        self.network.settle()
        reason = "it was asked to pause, and did not"
        self.assertEqual(stock.took()[:2], [Pause(2), Error(2, reason)])
        self.assertEqual((visitor.ended, other.ended), ("reset", ""))
        stock.tell(Data(3, b"here"))
        self.network.settle()
        self.assertEqual(other.heard, b"here")

    def test_inAll(self) -> None:
        """
        All connections of one client together may not fill the memory either.
        """
        stock = self.stock()
        visitors = [self.fetched(stock)[0] for _ in range(3)]
        for visitor in visitors:
            visitor.wire.pauseProducing()
        line = self.welcomed[0]
        line.waiting = MOST_IN_ALL - MiB  # as if others had it
        stock.tell(*(Data(n, b"x" * (MiB // 2)) for n in (2, 3, 4)))
        self.network.settle()
        self.assertEqual([each.ended for each in visitors], ["", "", "reset"])
        visitors[0].wire.resumeProducing()
        self.network.settle()
        visitors[1].wire.abortConnection()
        self.network.settle()
        self.assertEqual(line.waiting, MOST_IN_ALL - MiB)

    def test_readsNothing(self) -> None:
        """
        Who asks and asks, and reads no answer, is cut off.
        """
        stock = self.stock()
        stock.wire.frozen = True
        stock.wire.room = 0
        line = self.welcomed[0]
        transport: Any = line.connection.transport
        transport.room = 0
        # Each of these is answered.
        for _ in range(SURPLUS // 30):
            line._data(Data(99, b""))
            if transport._aborting:
                break
        self.assertTrue(transport._aborting)

    def test_most(self) -> None:
        """
        There is room for so many connections on a line, whoever dials them; those that
        are there go on.
        """
        self.patch(lines, "MOST", 2)
        self.answer = lambda end, asked: None
        stock = self.stock()
        visitor, _ = self.fetched(stock)
        stock.tell(Connect(7, "tcp", "192.0.2.1:80"), Connect(9, "tcp", "192.0.2.1:80"))
        self.network.settle()
        self.assertEqual(stock.took(), [Error(9, "too many connections")])
        connected = self.switchboard.dialer("foo", TARGET).connect(Factory())
        self.assertIn("too many", str(self.failureResultOf(connected, NotDialled)))
        stock.tell(Data(2, b"on and on"))
        self.network.settle()
        self.assertEqual(visitor.heard, b"on and on")

    def test_turns(self) -> None:
        """
        Where the socket takes little at a time, all connections get their share of it.
        """
        stock = self.stock()
        visitors = [self.fetched(stock)[0] for _ in range(3)]
        stock.wire.pauseProducing()
        for visitor in visitors:
            visitor.say(bytes(4 * MiB))
        self.network.settle()
        for _ in range(40):
            stock.wire.resumeProducing()
            stock.wire.turn()
            stock.wire.pauseProducing()
            self.network.settle()
        came = dict.fromkeys((2, 3, 4), 0)
        for each in stock.took():
            assert isinstance(each, Data)
            came[each.connection] += len(each.payload)
        self.assertGreater(min(came.values()), max(came.values()) / 4, came)
        self.assertLess(max(came.values()), 4 * MiB, "that says nothing")

    def test_closes(self) -> None:
        """
        A session that has ended is cut after a moment where the other side does not
        take the close.
        """
        stock = self.stock()
        stock.wire.pauseProducing()
        stock.wire.frozen = True
        self.welcomed[0].say(Data(9, bytes(4 * MiB)))
        self.welcomed[0].end("it is revoked")
        self.network.elapse(CLOSING - 0.1)
        self.assertFalse(stock.wire.far.lost)
        self.network.elapse(0.2)
        self.assertTrue(stock.wire.far.lost)

    def test_gone(self) -> None:
        """
        The kernel gives the connection up when what was sent is not acknowledged for a
        minute, so that nothing is kept for who is gone.
        """
        limits: list[float] = []
        self.patch(
            lines, "giveUpAfter", lambda transport, seconds: limits.append(seconds)
        )
        self.stock()
        self.assertEqual(limits, [SILENCE])


class StockTests(LineCase):
    """
    What the program says is understood, and it is told what it understands.
    """

    def test_unknown(self) -> None:
        """
        Bytes of a connection that is not known are answered in the program's words.
        """
        stock = self.stock()
        stock.tell(Data(5, b"x"), Error(6, "whatever"))
        self.network.settle()
        self.assertEqual(stock.took(), [Error(5, "connection not found foo/7/5")])

    def test_unknownAtClient(self) -> None:
        """
        At the client they are others.
        """
        _, stock = self.stockServer()
        stock.tell(Data(5, b"x"))
        self.network.settle()
        self.assertEqual(stock.took(), [Error(5, "connection not found client/0/5")])

    def test_refused(self) -> None:
        """
        Where nothing listens the dialler is told why, once, in at most 100 bytes.
        """
        _, stock = self.stockServer()
        stock.tell(Connect(2, "tcp", "127.0.0.1:1"))
        self.network.settle()
        reason = "the local service 127.0.0.1:1 refused the connection"
        self.assertEqual(stock.took(), [Error(2, reason)])
        stock.tell(Connect(4, "tcp", "x" * 250 + ":80"))
        self.network.settle()
        (error,) = stock.took()
        assert isinstance(error, Error)
        self.assertLessEqual(len(error.text), 100)

    def test_numbers(self) -> None:
        """
        Numbers of connections may be of any size, and negative.
        """
        _, stock = self.stockServer()
        for id in (1, 64, 1 << 31, -5, (1 << 63) - 1, -(1 << 63)):
            stock.tell(Connect(id, "tcp", f"127.0.0.1:{SERVICE}"), Data(id, b"hello"))
            self.network.settle()
            service = self.services[-1]
            self.assertEqual(service.heard, b"hello")
            service.say(b"you")
            self.network.settle()
            self.assertEqual(stock.took(), [Data(id, b"you")])
            stock.tell(Error(id, END))
            self.network.settle()
            self.assertEqual((stock.took(), service.ended), ([Error(id, END)], "end"))

    def test_taken(self) -> None:
        """
        A number that is taken is refused, and the session goes on.
        """
        _, stock = self.stockServer()
        asked = Connect(2, "tcp", f"127.0.0.1:{SERVICE}")
        stock.tell(asked, asked)
        self.network.settle()
        self.assertEqual(
            stock.took(), [Error(2, "a connection has this number already")]
        )

    def test_skipped(self) -> None:
        """
        Nor is a number chosen that the other side has taken before.
        """
        self.answer = lambda end, asked: None
        stock = self.stock()
        stock.tell(*(Connect(n, "tcp", "192.0.2.1:80") for n in (2, 3)))
        self.network.settle()
        _, asked = self.fetch(stock)
        self.assertEqual(asked.connection, 4)

    def test_notAllowed(self) -> None:
        """
        A server whose clients may not dial says so, and the session goes on.
        """
        stock = self.stock()
        stock.tell(Connect(1, "tcp", "127.0.0.1:80"), Data(9, b""))
        self.network.settle()
        self.assertEqual(stock.took()[0], Error(1, NOT_ALLOWED))
        self.assertEqual(stock.ended, "")

    def test_echoed(self) -> None:
        """
        An Error is answered with the same text, once.
        """
        stock = self.stock()
        visitor, _ = self.fetch(stock)
        text = "read tcp 127.0.0.1:1: connection reset by peer"
        stock.tell(Error(2, text), Error(2, END))
        self.network.settle()
        self.assertEqual(stock.took(), [Error(2, text)])
        self.assertEqual(visitor.ended, "reset")

    def fetch(self, stock: Stock) -> tuple[Any, Any]:
        """
        Dial through a stock client.
        """
        visitor = Speaker()
        factory = Factory.forProtocol(lambda: visitor)
        self.switchboard.dialer("foo", TARGET, 0.0).connect(factory)
        self.network.settle()
        (asked,) = stock.took()
        return visitor, asked

    def test_sync(self) -> None:
        """
        A connection that the other side knows no more is dropped without a word; one
        that is younger than its list is not, however the list is sorted.
        """
        stock = self.stock()
        old, _ = self.fetch(stock)
        kept, _ = self.fetch(stock)
        self.network.elapse(SYNC - 5.0)
        stock.socket.ping()
        self.network.elapse(5.0)
        young, _ = self.fetch(stock)
        stock.tell(Sync(frozenset({3, 900})))
        self.network.settle()
        self.assertEqual((old.ended, kept.ended, young.ended), ("reset", "", ""))
        self.assertEqual(stock.took(), [])

    def test_syncs(self) -> None:
        """
        Our client tells each minute which connections it knows, lowest first, and pings
        every five seconds.
        """
        _, stock = self.stockServer()
        stock.tell(*(Connect(n, "tcp", f"127.0.0.1:{SERVICE}") for n in (5, 2, 9)))
        for _ in range(6):
            self.network.elapse(10.0)
            stock.socket.ping()
        self.assertEqual(stock.took(), [Sync(frozenset({2, 5, 9}))])
        self.assertEqual(stock.pongs, 5)
        pings = stock.heard.count(b"\x89\x80")  # masked, and empty
        self.assertGreaterEqual(pings, 12)

    def test_pingAnswered(self) -> None:
        """
        A ping is answered with an empty pong, whatever it carries.
        """
        stock = self.stock()
        before = len(stock.heard)
        stock.say(bytes.fromhex("898400000000") + b"1234")
        self.network.settle()
        self.assertEqual(stock.heard[before:], b"\x8a\x00")

    def test_silent(self) -> None:
        """
        Whoever says nothing for a minute is gone; bytes are as good as a ping.
        """
        _, stock = self.stockServer()
        for _ in range(10):
            self.network.elapse(SILENCE - 15.0)
            stock.tell(Data(7, b""))
            self.network.settle()
        self.assertEqual(stock.ended, "")
        stock.wire.frozen = True
        self.network.elapse(SILENCE + 5.0)
        stock.wire.frozen = False
        self.network.settle()
        self.assertNotEqual(stock.ended, "")

    def test_broken(self) -> None:
        """
        What is no message ends that session, with a code and a line in the log; others
        go on.
        """
        other = self.stock("bar")
        for bad, code, why in (
            (b"\x82\x85\0\0\0\0" + b"\x02\0\x10\x01\x02", 1002, "SyncConnections of 2"),
            (b"\x81\x81\0\0\0\0" + b"x", 1003, "a text message"),
            (b"\x82\x84\0\0\0\0" + b"\x02\0\x08x", 1002, "an AddClient that is not"),
            (b"\x82\x84\0\0\0\0" + b"\x02\x02\x04\x02", 1002, "without a slash"),
            (b"\xff\x84\0\0\0\0", 1002, "no websocket"),
        ):
            stock = self.stock()
            stock.say(bad)
            self.network.settle()
            self.assertEqual(stock.code, code, why)
            self.assertNotEqual(stock.ended, "")
            self.assertIn(why.lower(), self.log.lines("info")[-1].lower())
            self.assertNotIn("foo", self.log.lines("info")[-1])
        self.assertEqual(other.ended, "")

    @given(st.binary(max_size=300))
    def test_fuzzed(self, junk: bytes) -> None:
        """
        Whatever a client says within messages, it harms nobody but itself.
        """
        stock = self.stock()
        visitor, _ = self.fetch(stock)
        stock.socket.send(junk)
        stock.say(junk)
        self.network.settle()
        stock.wire.abortConnection()
        self.network.settle()
        self.assertEqual(self.flushLoggedErrors(), [])
        self.assertIn(visitor.ended, ("end", "reset"))

    @given(st.binary(max_size=300))
    def test_fuzzedClient(self, junk: bytes) -> None:
        """
        Nor does a server, at our client: what it dials is all that it can.
        """
        port = 20_000 + len(self.lines)
        line, stock = self.stockServer(port)
        stock.tell(Connect(2, "tcp", f"127.0.0.1:{SERVICE}"))
        self.network.settle()
        stock.socket.send(junk)
        stock.say(junk)
        self.network.settle()
        stock.wire.abortConnection()
        self.network.settle()
        self.assertTrue(line.over)
        self.assertNotEqual(self.services[-1].ended, "")
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_disconnected(self) -> None:
        """
        What the program says of all connections when their session is lost is a
        failure.
        """
        stock = self.stock()
        visitor, _ = self.fetch(stock)
        stock.tell(Error(2, DISCONNECTED))
        self.network.settle()
        self.assertEqual(visitor.ended, "reset")
