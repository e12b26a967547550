"""
Tests for L{tunnelkit.dialects.pipe.datagrams} and L{tunnelkit.dialects.pipe.packeted}.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.dialects.pipe.case import PUBLIC, PipeCase, packets
from tests.mail import Post
from tests.network import Speaker
from tests.whole import PORT
from tunnelkit.control.heartbeat import SILENCE
from tunnelkit.dialects.exchanges import PATIENCE
from tunnelkit.dialects.pipe import datagrams
from tunnelkit.dialects.pipe.datagrams import AGAIN, ANSWER
from tunnelkit.dialects.pipe.packeted import PacketCarrier
from tunnelkit.relay.flows.queue import AGE, MOST
from tunnelkit.relay.flows.table import IDLE
from tunnelkit.wire.address import HostPort
from tunnelkit.wire.pipe.codec import encode
from tunnelkit.wire.pipe.packets import (
    Cancel,
    Datagram,
    Exchange,
    Forward,
    Forwarded,
    Heartbeat,
)


class DatagramCase(PipeCase):
    """
    A stock client that forwards a port of UDP.

    @ivar control: its control connection.
    @ivar carrying: its connection for datagrams.
    """

    def setUp(self) -> None:
        """
        Begin.
        """
        super().setUp()
        self.posts: list[Any] = []
        self.control = self.forward(name="dns", kind="udp")
        self.carrying = self.bring()
        self.addCleanup(self.leave)

    def leave(self) -> None:
        """
        End what the visitors have.
        """
        for box in self.posts:
            box.stopListening()

    def asked(self) -> list[str]:
        """
        Give the ids of connections that the client was asked for.
        """
        said = packets(self.control.heard)
        return [each.id for each in said if isinstance(each, Exchange)]

    def bring(self) -> Speaker:
        """
        Bring the connection for which the client was asked last.
        """
        return self.come(Exchange(self.asked()[-1], "udp"))

    def visitor(self) -> Post:
        """
        Make a visitor.
        """
        post = Post()
        network: Any = self.network
        self.posts.append(network.listenUDP(0, post, "127.0.0.1"))
        return post

    def address(self, post: Post) -> HostPort:
        """
        Give a visitor's address.
        """
        return HostPort("127.0.0.1", post.transport.getHost().port)

    def write(self, post: Post, words: bytes) -> None:
        """
        Have a visitor say something.
        """
        post.say(words, PUBLIC)
        self.network.settle()

    def answer(self, words: bytes, address: HostPort | None = None) -> None:
        """
        Have the client say something.
        """
        self.carrying.say(encode(Datagram(words, address)))
        self.network.settle()

    def heard(self, post: Post) -> list[bytes]:
        """
        Give what a visitor heard.
        """
        return [words for words, _ in post.heard]

    def carried(self) -> list[Datagram]:
        """
        Give what crossed to the client.
        """
        said = packets(self.carrying.heard)
        return [each for each in said if isinstance(each, Datagram)]

    @property
    def strays(self) -> int:
        """
        Answers that were nobody's.
        """
        (session,) = self.server.status().sessions
        return session.strays

    @property
    def drops(self) -> dict[str, int]:
        """
        Datagrams that were dropped, by cause.
        """
        (tunnel,) = self.server.status().tunnels
        return {cause: count for cause, count in tunnel.drops if count}


class AnswerTests(DatagramCase):
    """
    Who gets an answer.
    """

    def test_givenUp(self) -> None:
        """
        Where the network has forgotten the connection, which only the silence of the
        other side's kernel shows, it is given up, and asked for again.
        """
        limits: list[float] = []
        self.patch(
            datagrams, "giveUpAfter", lambda transport, seconds: limits.append(seconds)
        )
        self.carrying.wire.abortConnection()
        self.network.elapse(AGAIN)
        self.carrying = self.bring()
        self.assertEqual(limits, [SILENCE])

    def test_asked(self) -> None:
        """
        The client is asked for the connection once it has its answer, and is told of
        each datagram's visitor.  There is no C{failed} behind the success.
        """
        said = packets(self.control.heard)
        self.assertEqual(said[0], Forwarded(True))
        self.assertIsInstance(said[1], Exchange)
        self.network.elapse(1.0)
        self.assertEqual(packets(self.control.heard)[2:], [Heartbeat()])
        visitor = self.visitor()
        self.write(visitor, b"question")
        self.write(visitor, b"")
        where = self.address(visitor)
        self.assertEqual(
            self.carried(), [Datagram(b"question", where), Datagram(b"", where)]
        )

    def test_only(self) -> None:
        """
        Where there is one visitor, all is for him, unasked or late as it may be.
        """
        visitor = self.visitor()
        self.write(visitor, b"question")
        self.answer(b"answer")
        self.answer(b"and more")
        self.answer(b"")
        self.network.elapse(ANSWER + 1)
        self.answer(b"late")
        self.assertEqual(self.heard(visitor), [b"answer", b"and more", b"", b"late"])
        self.assertEqual(self.strays, 0)

    def test_order(self) -> None:
        """
        Where there are more, answers come in the order of the questions.
        """
        one, two = self.visitor(), self.visitor()
        self.write(one, b"1")
        self.write(two, b"2")
        self.write(one, b"3")
        for answer in (b"to 1", b"to 2", b"to 3"):
            self.answer(answer)
        self.assertEqual(self.heard(one), [b"to 1", b"to 3"])
        self.assertEqual(self.heard(two), [b"to 2"])

    def test_unasked(self) -> None:
        """
        What a service says unasked is for who has asked last.
        """
        one, two = self.visitor(), self.visitor()
        self.write(one, b"1")
        self.write(two, b"2")
        self.answer(b"to 1")
        self.answer(b"to 2")
        self.answer(b"news")
        self.assertEqual((self.heard(one), self.heard(two)[1:]), ([b"to 1"], [b"news"]))

    def test_expiry(self) -> None:
        """
        A question that got no answer is forgotten, and does not take the next one's.
        """
        one, two = self.visitor(), self.visitor()
        self.write(one, b"nobody answers that")
        self.network.elapse(ANSWER + 0.1)
        self.write(two, b"2")
        self.answer(b"to 2")
        self.assertEqual((self.heard(one), self.heard(two)), ([], [b"to 2"]))

    def test_gone(self) -> None:
        """
        Nor does one whose visitor is gone: his flow ends when nothing has come for a
        while, and what comes for him then is a stray.
        """
        self.write(self.visitor(), b"1")
        for _ in range(int(IDLE) + 2):
            self.network.elapse(1.0)
        (tunnel,) = self.server.status().tunnels
        self.assertEqual((tunnel.streams, tunnel.visitors), (0, 1))
        self.answer(b"to 1")
        self.assertEqual(self.strays, 1)

    def test_manyGone(self) -> None:
        """
        Nor is anything of them remembered, however many there were.
        """
        kept: list[PacketCarrier[Any]] = []
        carry = PacketCarrier.carry

        def noted(carrier: Any, *args: Any) -> None:
            kept.append(carrier)
            carry(carrier, *args)

        self.patch(PacketCarrier, "carry", noted)
        self.carrying.wire.loseConnection()
        self.network.elapse(AGAIN + 0.1)
        self.carrying = self.bring()
        for _ in range(5):
            self.write(self.visitor(), b"question")
        (carrier,) = kept
        self.assertEqual(len(carrier._addresses), 5)
        for _ in range(int(IDLE) + 2):
            self.network.elapse(1.0)
        self.assertEqual((carrier._addresses, carrier._numbers), ({}, {}))

    def test_lastOne(self) -> None:
        """
        Where one visitor is left he gets what comes, though it was another, gone since,
        who was the last to ask.
        """
        stays, goes = self.visitor(), self.visitor()
        self.write(stays, b"1")
        self.write(goes, b"2")
        for second in range(int(IDLE) + 2):
            self.network.elapse(1.0)
            if second < 20:
                self.answer(b"to 1", self.address(stays))
        (tunnel,) = self.server.status().tunnels
        self.assertEqual(tunnel.streams, 1)
        self.answer(b"news")
        self.assertEqual(self.heard(stays)[-1], b"news")

    def test_nobody(self) -> None:
        """
        An answer before any question is a stray.
        """
        self.answer(b"hello?")
        self.assertEqual(self.strays, 1)

    def test_address(self) -> None:
        """
        An answer with an address, as ours have, goes there in whatever order; one with
        the address of nobody is a stray.
        """
        one, two = self.visitor(), self.visitor()
        self.write(one, b"1")
        self.write(two, b"2")
        self.answer(b"to 2", self.address(two))
        self.answer(b"to 1", self.address(one))
        self.answer(b"and more", self.address(one))
        self.answer(b"lost", HostPort("192.0.2.99", 5))
        self.assertEqual(self.heard(one), [b"to 1", b"and more"])
        self.assertEqual(self.heard(two), [b"to 2"])
        self.assertEqual(self.strays, 1)

    def test_counted(self) -> None:
        """
        The admin rooms count what crosses.
        """
        visitor = self.visitor()
        self.write(visitor, b"question")
        self.answer(b"answer!")
        (tunnel,) = self.server.status().tunnels
        self.assertEqual((tunnel.received, tunnel.sent), (8, 7))
        self.assertEqual(tunnel.datagrams, (1, 1))


class TroubleTests(DatagramCase):
    """
    What is lost, and what is not.
    """

    def test_tooLong(self) -> None:
        """
        A datagram that does not fit into a packet is dropped and counted; what fits is
        carried whole.
        """
        visitor = self.visitor()
        self.write(visitor, b"x" * 60000)
        self.write(visitor, b"y" * 48000)
        (packet,) = self.carried()
        self.assertEqual(packet.payload, b"y" * 48000)
        self.assertEqual(self.drops, {"unsent": 1})

    def test_blocked(self) -> None:
        """
        While the client reads nothing the oldest datagrams leave, and what is sent
        later is new.
        """
        visitor = self.visitor()
        self.carrying.wire.frozen = True
        count = 3 * MOST // 30000 + 10
        for number in range(count):
            self.write(visitor, b"%6d" % number + b"x" * 30000)
        self.assertGreater(self.drops["queue"], 0)
        self.network.elapse(2 * AGE)
        self.write(visitor, b"%6d" % count)
        self.carrying.wire.frozen = False
        self.network.settle()
        numbers = [int(each.payload[:6]) for each in self.carried()]
        self.assertEqual(numbers, sorted(numbers))
        self.assertEqual(numbers[-1], count)
        self.assertEqual(len(numbers) + sum(self.drops.values()), count + 1)
        self.assertGreater(self.drops["late"], 0)

    def test_lost(self) -> None:
        """
        When the connection is lost another is asked for after a second; visitors stay,
        and what they say meanwhile waits for a moment at most.
        """
        visitor = self.visitor()
        self.write(visitor, b"before")
        self.carrying.wire.abortConnection()
        self.network.settle()
        self.write(visitor, b"meanwhile")
        self.network.elapse(AGAIN - 0.1)
        self.assertEqual(len(self.asked()), 1)
        self.network.elapse(0.2)
        self.assertEqual(len(self.asked()), 2)
        self.carrying = self.bring()
        self.write(visitor, b"after")
        self.assertEqual([each.payload for each in self.carried()], [b"after"])
        self.answer(b"answer")
        self.assertEqual(self.heard(visitor), [b"answer"])
        self.assertEqual(self.drops, {"late": 1})

    def test_lostQuestions(self) -> None:
        """
        Questions that were lost with it get no answers to later ones.
        """
        one, two = self.visitor(), self.visitor()
        self.write(one, b"lost")
        self.carrying.wire.abortConnection()
        self.network.elapse(AGAIN + 0.1)
        self.carrying = self.bring()
        self.write(two, b"2")
        self.answer(b"to 2")
        self.assertEqual((self.heard(one), self.heard(two)), ([], [b"to 2"]))

    def test_short(self) -> None:
        """
        A datagram that comes just before its connection goes with it.
        """
        visitor = self.visitor()
        self.carrying.wire.loseConnection()
        self.network.elapse(AGAIN)
        self.write(visitor, b"now")
        self.carrying = self.bring()
        self.assertEqual([each.payload for each in self.carried()], [b"now"])

    def test_neverCame(self) -> None:
        """
        A client that brings none is asked again every ten seconds, and the ids before
        are of no use any more.
        """
        control = self.come(Forward(9001, "other", "", "udp"))
        self.control = control
        self.network.elapse(2 * PATIENCE + 0.1)
        first, second, third = self.asked()
        self.assertEqual(len({first, second, third}), 3)
        self.assertEqual(self.come(Exchange(first, "udp")).ended, "end")
        self.carrying = self.bring()
        self.network.elapse(2 * PATIENCE)
        self.assertEqual(len(self.asked()), 3)

    def test_anothers(self) -> None:
        """
        The connection of one forward cannot be brought twice.
        """
        again = self.come(Exchange(self.asked()[-1], "udp"))
        self.assertEqual(again.ended, "end")
        visitor = self.visitor()
        self.write(visitor, b"question")
        self.assertEqual(len(self.carried()), 1)

    def test_junk(self) -> None:
        """
        What is no datagram ends the connection, and not the forward.
        """
        visitor = self.visitor()
        self.write(visitor, b"before")
        for junk in (b"\x09\0\0", encode(Cancel("dns", PUBLIC)), b"\x07\0\x02[]"):
            self.carrying.say(junk)
            self.network.settle()
            self.assertEqual(self.carrying.ended, "reset")
            self.network.elapse(AGAIN + 0.1)
            self.carrying = self.bring()
            self.write(visitor, b"after")
            self.assertEqual([each.payload for each in self.carried()], [b"after"])

    @given(st.binary(max_size=100))
    def test_fuzzed(self, junk: bytes) -> None:
        """
        Whatever it is, it breaks nothing.
        """
        self.carrying.say(junk)
        self.network.settle()
        self.carrying.wire.abortConnection()
        self.network.elapse(AGAIN + 0.1)
        self.carrying = self.bring()
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_everySplit(self) -> None:
        """
        It does not matter how the network cuts answers.
        """
        visitor = self.visitor()
        self.write(visitor, b"question")
        said = encode(Datagram(b"one")) + encode(Datagram(b"two"))
        for cut in range(len(said) + 1):
            visitor.heard.clear()
            self.carrying.say(said[:cut])
            self.network.settle()
            self.carrying.say(said[cut:])
            self.network.settle()
            self.assertEqual(self.heard(visitor), [b"one", b"two"])


class EndTests(DatagramCase):
    """
    How a forward ends.
    """

    def assertOver(self) -> None:
        """
        Nothing is left of it.
        """
        self.assertEqual(self.carrying.ended, "reset")
        self.assertNotIn(PUBLIC, self.network.boxes)
        self.assertEqual(self.server.status().tunnels, ())
        self.network.elapse(2 * PATIENCE)

    def test_lost(self) -> None:
        """
        The client is gone: so is the port, and the connection.
        """
        self.write(self.visitor(), b"question")
        self.control.wire.abortConnection()
        self.network.settle()
        self.assertOver()

    def test_cancelled(self) -> None:
        """
        The same where the client takes it back.
        """
        self.write(self.visitor(), b"question")
        self.come(Cancel("dns", PUBLIC))
        self.assertOver()

    def test_whileAsked(self) -> None:
        """
        The same where the connection was not there: who brings it is sent away.
        """
        self.carrying.wire.abortConnection()
        self.network.elapse(AGAIN + 0.1)
        self.control.wire.abortConnection()
        self.network.settle()
        self.assertEqual(self.bring().ended, "end")
        self.assertOver()

    def test_serverStops(self) -> None:
        """
        The same where the server stops.
        """
        self.write(self.visitor(), b"question")
        self.stop(self.server)
        self.assertEqual(self.carrying.ended, "reset")
        self.assertNotIn(PORT, self.network.ports)
