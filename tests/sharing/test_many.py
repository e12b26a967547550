"""
Tests of several connections, several requests on one, and clients with their own.
"""

from __future__ import annotations

import socket

from tests.sharing.toy import Toy
from tests.sharing.world import PLENTY, SharingCase


class ManyTests(SharingCase):
    """
    Several connections, and several requests on one.
    """

    def test_leastLoaded(self) -> None:
        """
        With two connections two clients are served at a time.
        """
        world = self.world(connections=2, pipeline=2)
        clients = [world.client(b"%d\n" % n) for n in range(4)]
        first, second = world.target(), world.target()
        self.assertEqual(world.dials, [])
        self.assertEqual((first.got, second.got), (b">0\n>1\n", b">2\n>3\n"))
        second.say(b"c\nd\n")
        first.say(b"a\nb\n")
        self.assertEqual([c.got for c in clients], [b"a\n", b"b\n", b"c\n", b"d\n"])
        for n in range(2):
            clients[n].say(b"again\n")
        self.assertEqual((first.got, second.got), (b">again\n", b">again\n"))

    def test_onDemand(self) -> None:
        """
        No more connections are made than are of use.
        """
        world = self.world(connections=5)
        world.pool.start()
        target = world.target()
        client = world.client(b"one\n")
        target.say(b"1\n")
        client.say(b"two\n")
        self.assertEqual(world.dials, [])
        world.client(b"three\n")
        self.assertEqual(len(world.dials), 1)

    def test_ownOrder(self) -> None:
        """
        A client's answers keep the order of its requests with several connections.
        """
        world = self.world(connections=2)
        world.client(b"one\ntwo\n")
        first, second = world.target(), world.target()
        self.assertEqual((first.got, second.got), (b">one\n", b""))
        first.say(b"1\n")
        self.assertEqual(first.got + second.got, b">two\n")

    def test_pipeline(self) -> None:
        """
        With C{--pipeline 3} three requests are under way at a time.
        """
        world = self.world(pipeline=3)
        client = world.client(b"1\n2\n3\n4\n")
        target = world.target()
        self.assertEqual(target.got, b">1\n>2\n>3\n")
        target.say(b"a\n")
        self.assertEqual((target.got, client.got), (b">4\n", b"a\n"))
        target.say(b"b\nc\nd\n")
        self.assertEqual(client.got, b"b\nc\nd\n")

    def test_pipelineBroken(self) -> None:
        """
        Of those that were under way when the target ended, the repeatable ones are sent
        again, in their order.
        """
        world = self.world(pipeline=4)
        world.pool.stayed()  # so it is known to keep its connections
        one, two = world.client(b"get 1\n"), world.client(b"write\n")
        three, four = world.client(b"get 3\n"), world.client(b"get 4\n")
        world.target().end()
        self.assertEqual(two.got, b"BROKEN\n")
        target = world.target()
        self.assertEqual(target.got, b">get 1\n>get 3\n>get 4\n")
        target.say(b"1\n3\n4\n")
        self.assertEqual((one.got, three.got, four.got), (b"1\n", b"3\n", b"4\n"))

    def test_pipelineLate(self) -> None:
        """
        Where the first is late, those behind it are sent again where they may be.
        """
        world = self.world(pipeline=3, replyTimeout=5)
        world.pool.stayed()  # so it is known to keep its connections
        one, two = world.client(b"get 1\n"), world.client(b"get 2\n")
        three = world.client(b"write\n")
        world.target()
        world.advance(5)
        self.assertEqual((one.got, three.got), (b"LATE\n", b"BROKEN\n"))
        world.target().say(b"2\n")
        self.assertEqual(two.got, b"2\n")

    def test_ownBroken(self) -> None:
        """
        A client that is closed for one request gets no answer to a later one.
        """
        world = self.world(pipeline=3)
        client = world.client(b"write\nget\n")
        world.target().end()
        self.assertEqual((client.got, client.wire.ended), (b"BROKEN\n", True))
        self.assertEqual(world.pool.waiting.count, 0)


class StickyTests(SharingCase):
    """
    Clients with a connection of their own.
    """

    def test_own(self) -> None:
        """
        A client keeps its connection between its requests; another one waits for that,
        and has a fresh one where the protocol keeps something for a connection.
        """
        world = self.world(Toy(stateful=True), sticky=True)
        client, other = world.client(b"one\n"), world.client(b"other\n")
        target = world.target()
        target.say(b"1\n")
        self.assertEqual(client.got, b"1\n")
        client.say(b"two\n")
        self.assertEqual(target.got, b">one\n>two\n")
        target.say(b"2\n")
        client.leave()
        self.assertEqual(target.wire.over, "closed")
        fresh = world.target()
        self.assertEqual(fresh.got, b">other\n")
        fresh.say(b"3\n")
        self.assertEqual(other.got, b"3\n")

    def test_stateless(self) -> None:
        """
        Where it keeps nothing, the next one has the same.
        """
        world = self.world(sticky=True)
        client, other = world.client(b"one\n"), world.client(b"other\n")
        target = world.target()
        target.say(b"1\n")
        client.leave()
        self.assertEqual(target.got, b">one\n>other\n")
        target.say(b"2\n")
        self.assertEqual(other.got, b"2\n")

    def test_noneFree(self) -> None:
        """
        With none free a client waits so long and is told.
        """
        world = self.world(sticky=True, timeout=3)
        world.client(b"one\n")
        other = world.client(b"other\n")
        world.target().say(b"1\n")
        world.advance(3)
        self.assertEqual(other.got, b"BUSY\n")

    def test_pushed(self) -> None:
        """
        What the target says of its own accord reaches the owner.
        """
        world = self.world(sticky=True)
        client = world.client(b"one\n")
        target = world.target()
        target.say(b"1\npush news\n")
        self.assertEqual(client.got, b"1\npush news\n")

    def test_asksAmongNews(self) -> None:
        """
        Where there is always more of that, the owner's requests are sent all the same.
        """
        world = self.world(sticky=True)
        client = world.client(b"one\n")
        target = world.target()
        target.say(b"1\npush news\n")
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        theirs.sendall(b"push more\n")
        target.wire.getHandle = lambda: ours  # type: ignore[attr-defined]
        client.say(b"two\n")
        self.assertEqual(target.got, b">one\n>two\n")

    def test_pushedToNobody(self) -> None:
        """
        Where it has none, the connection is dropped.
        """
        world = self.world(sticky=True)
        world.pool.start()
        target = world.target()
        target.say(b"push news\n")
        self.assertEqual(target.wire.over, "reset")

    def test_pushedToSlow(self) -> None:
        """
        An owner that does not read news slows the target down, and is cut.
        """
        world = self.world(sticky=True)
        client = world.client(b"one\n")
        target = world.target()
        client.wire.reads = False
        target.say(b"1\npush " + b"x" * PLENTY + b"\n")
        self.assertTrue(target.wire.paused)
        world.advance(11)
        self.assertEqual(client.wire.over, "reset")

    def test_lost(self) -> None:
        """
        A client whose own connection ends is closed where that kept something.
        """
        world = self.world(Toy(stateful=True), sticky=True)
        client = world.client(b"one\n")
        target = world.target()
        target.say(b"1\n")
        target.end()
        self.assertEqual(client.wire.over, "reset")

    def test_endsBeforeReply(self) -> None:
        """
        One whose own connection ends in place of a reply is told so: what that kept is
        lost, so the request is not sent again on another.
        """
        world = self.world(Toy(stateful=True), sticky=True)
        client = world.client(b"get\n")
        world.target().end()
        self.assertEqual((client.got, client.wire.ended), (b"BROKEN\n", True))
        self.assertEqual(world.pool.tally.retries, 0)

    def test_keptByChance(self) -> None:
        """
        A client keeps its own connection for a second request, also where the target
        has ended those of others after one.
        """
        world = self.world(Toy(stateful=True), sticky=True)
        for _ in range(2):
            world.client(b"one\n")
            target = world.target()
            target.say(b"1\n")
            target.end()
        client = world.client(b"one\n")
        target = world.target()
        other = world.client(b"other\n")
        target.say(b"1\n")
        client.say(b"two\n")
        world.advance(0.2)
        self.assertEqual(target.got, b">one\n>two\n")
        target.say(b"2\n")
        self.assertEqual((client.got, client.wire.over), (b"1\n2\n", ""))
        client.leave()
        world.target().say(b"reply\n")
        self.assertEqual(other.got, b"reply\n")

    def test_midRequest(self) -> None:
        """
        A client that goes while its request is under way takes its connection with it.
        """
        world = self.world(sticky=True)
        client = world.client(b"patient\n")
        target = world.target()
        client.leave()
        self.assertEqual(target.wire.over, "reset")
