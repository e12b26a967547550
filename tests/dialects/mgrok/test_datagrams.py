"""
Tests for L{tunnelkit.dialects.mgrok.datagrams}.
"""

from __future__ import annotations

from typing import Any

from tests.dialects.mgrok.case import PUBLIC, MgrokCase
from tunnelkit.dialects.mgrok.datagrams import IDLE, MOST
from tunnelkit.dialects.mgrok.recent import TICK
from tunnelkit.wire.mgrok.codec import encodeDatagram
from tunnelkit.wire.mgrok.messages import NewStream, Register


class DatagramsCase(MgrokCase):
    """
    A client that has a service for datagrams.
    """

    def setUp(self) -> None:
        """
        Let it come.
        """
        super().setUp()
        self.dns = self.register(name="dns", kind="udp")

    def answer(self, stream: int, *payloads: bytes) -> None:
        """
        Answer on a stream.
        """
        for payload in payloads:
            for piece in encodeDatagram(payload):
                self.dns.smux.send(stream, piece)
        self.network.settle()

    def line(self) -> Any:
        """
        Give the server's side of the connection.
        """
        (line,) = (
            wire.far.protocol._holder
            for wire in self.network.wires
            if wire.protocol is self.dns
        )
        return line

    def carrying(self) -> Any:
        """
        Give what carries the datagrams at the server.
        """
        return self.line()._owner._datagrams

    def streams(self) -> int:
        """
        Count the streams that the server has.
        """
        return len(self.line().smux.streams)

    def live(self, seconds: float) -> None:
        """
        Let time pass, with a client that says that it lives.
        """
        for _ in range(int(seconds)):
            self.network.elapse(1)
            self.dns.smux.nop()
        self.network.settle()


class AnswerTests(DatagramsCase):
    """
    Each datagram has a stream, on which its answers come.
    """

    def test_mapped(self) -> None:
        """
        Many visitors ask, and each gets his own answers, in whatever order they come;
        empty ones and large ones too.
        """
        visitors = [self.ask(b"ask %d" % at) for at in range(5)]
        self.assertEqual(self.dns.datagrams(), [b"ask %d" % at for at in range(5)])
        for at in (3, 0, 4, 1, 2):
            stream = self.dns.opened[at]
            self.answer(stream, b"", b"answer %d" % at, b"x" * 65507)
        for at, visitor in enumerate(visitors):
            self.assertEqual(
                [datagram for datagram, _ in visitor.heard],
                [b"", b"answer %d" % at, b"x" * 65507],
            )

    def test_wire(self) -> None:
        """
        A stream says what it is for, and has the datagram behind that, by its length;
        an empty one is its length alone.
        """
        self.ask(b"one", b"")
        first, second = self.dns.opened
        self.assertEqual(
            self.dns.content(first), (NewStream(2, PUBLIC, "dns"), b"\0\x03one")
        )
        self.assertEqual(
            self.dns.content(second), (NewStream(4, PUBLIC, "dns"), b"\0\0")
        )

    def test_pieces(self) -> None:
        """
        It does not matter how an answer is cut.
        """
        visitor = self.ask(b"question")
        (stream,) = self.dns.opened
        for byte in b"\0\x06answer":
            self.dns.smux.send(stream, bytes([byte]))
            self.network.settle()
        self.assertEqual([each for each, _ in visitor.heard], [b"answer"])

    def test_tooLong(self) -> None:
        """
        An answer longer than any datagram is dropped, and counted.
        """
        visitor = self.ask(b"question")
        (stream,) = self.dns.opened
        self.answer(stream, b"x" * 65508, b"short")
        self.assertEqual([each for each, _ in visitor.heard], [b"short"])
        (tunnel,) = self.server.status().tunnels
        self.assertEqual(dict(tunnel.drops)["unsent"], 1)

    def test_refused(self) -> None:
        """
        A client that closes the stream, as its service is not there, ends that alone.
        """
        self.ask(b"question")
        (stream,) = self.dns.opened
        self.dns.smux.finish(stream)
        self.network.settle()
        self.assertEqual(self.dns.finished, [])
        self.assertEqual(self.streams(), 1)
        self.ask(b"again")
        self.assertEqual(len(self.dns.opened), 2)

    def test_withdrawn(self) -> None:
        """
        When a tunnel is over its streams are closed, and no others.
        """
        self.dns.tell(Register("udp", 9001, 1, "ntp"))
        self.network.settle()
        self.ask(b"name?")
        self.ask(b"time?", port=9001)
        (session,) = self.server._sessions
        session.withdraw("ntp")
        self.network.settle()
        self.assertEqual(self.dns.finished, self.dns.opened[1:])

    def test_both(self) -> None:
        """
        TCP and UDP of one client share its connection.
        """
        self.dns.tell(Register("tcp", PUBLIC, 1, "web"))
        self.network.settle()
        visitor, stream = self.served(self.dns)
        asking = self.ask(b"question")
        self.answer(self.dns.opened[-1], b"answer")
        self.dns.smux.send(stream, b"hello")
        self.network.settle()
        self.assertEqual([each for each, _ in asking.heard], [b"answer"])
        self.assertEqual(visitor.heard, b"hello")


class BoundTests(DatagramsCase):
    """
    Datagrams without an answer do not pile up.
    """

    def test_thousands(self) -> None:
        """
        Of thousands there are never more streams than may be, at neither side; when
        they stop the streams are closed, and all goes on as before.
        """
        for at in range(50):
            self.ask(*[b"into the void %d" % at] * 60)
            self.assertLessEqual(self.streams(), 1 + MOST)
        self.assertEqual(len(self.dns.opened), 3000)
        self.assertEqual(len(self.dns.finished), 3000 - MOST)
        self.assertEqual(self.dns.finished, self.dns.opened[: 3000 - MOST])
        self.live(IDLE + TICK + 1)
        self.assertEqual(self.dns.finished, self.dns.opened)
        self.assertEqual(self.streams(), 1)
        self.assertEqual(self.carrying()._asked, {})
        visitor = self.ask(b"question")
        self.answer(self.dns.opened[-1], b"answer")
        self.assertEqual([each for each, _ in visitor.heard], [b"answer"])

    def test_used(self) -> None:
        """
        A stream on which answers go on coming stays.
        """
        visitor = self.ask(b"subscribe")
        (stream,) = self.dns.opened
        for _ in range(4):
            self.live(IDLE / 2)
            self.answer(stream, b"news")
        self.assertEqual(self.dns.finished, [])
        self.assertEqual(len(visitor.heard), 4)

    def test_leastUsed(self) -> None:
        """
        Where there are as many as may be, the next takes the place of the one that was
        used longest ago, which need not be the oldest.
        """
        visitor = self.ask(*[b"question"] * MOST)
        self.answer(self.dns.opened[0], b"news")
        self.ask(b"one more")
        self.assertEqual(self.dns.finished, self.dns.opened[1:2])
        self.answer(self.dns.opened[0], b"more news")
        self.assertEqual([each for each, _ in visitor.heard], [b"news", b"more news"])

    def test_blocked(self) -> None:
        """
        While the client takes no more the newest wait for a moment, and the oldest are
        dropped and counted: nothing piles up.
        """
        self.dns.wire.pauseProducing()
        self.ask(*[b"x" * 60_000] * 20)
        (tunnel,) = self.server.status().tunnels
        self.assertGreater(dict(tunnel.drops)["queue"], 5)
        self.assertLess(len(self.dns.wire.far._waiting), 1 << 18)
        self.dns.wire.resumeProducing()
        self.network.settle()
        came = len(self.dns.opened)
        self.assertEqual(
            came + dict(self.server.status().tunnels[0].drops)["queue"], 20
        )

    def test_halfAnswers(self) -> None:
        """
        A client that begins answers and never ends them loses those streams, not its
        connection.
        """
        for _ in range(100):
            self.ask(b"question")
        for stream in self.dns.opened:
            self.dns.smux.send(stream, b"\xff\xff" + bytes(60_000))
        self.live(20)
        self.assertEqual(self.dns.ended, "")
        self.assertGreater(len(self.dns.finished), 40)

    def test_clientGone(self) -> None:
        """
        When the client has gone nothing waits any more, and a datagram that comes
        finds nobody.
        """
        visitor = self.ask(b"question")
        self.dns.wire.abortConnection()
        self.network.settle()
        visitor.say(b"anybody?", PUBLIC)
        self.network.settle()
        self.assertEqual(self.server.status().tunnels, ())
