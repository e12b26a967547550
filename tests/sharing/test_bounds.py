"""
Tests of how much there may be of everything, and of requests that stream, in memory.
"""

from __future__ import annotations

from tests.sharing.world import PLENTY, Peer, SharingCase, World


class BoundsTests(SharingCase):
    """
    How much there may be of everything.
    """

    def test_each(self) -> None:
        """
        A client that asks more than it may is not read until it is answered, and loses
        nothing.
        """
        world = self.world(each=2)
        client = world.client(b"1\n2\n3\n4\n")
        self.assertTrue(client.wire.paused)
        client.say(b"5\n")
        target = world.target()
        for n in b"12345":
            self.assertEqual(target.got, b">%c\n" % n)
            target.say(b"%c\n" % n)
        self.assertEqual(client.got, b"1\n2\n3\n4\n5\n")
        self.assertFalse(client.wire.paused)

    def test_queue(self) -> None:
        """
        When too many wait the next one is told so at once.
        """
        world = self.world(queue=2)
        target = self.targetOf(world)
        world.client(b"one\n")
        world.client(b"two\n")
        world.client(b"three\n")
        client = world.client(b"four\n")
        self.assertEqual((client.got, client.wire.ended), (b"BUSY\n", True))
        self.assertEqual(world.pool.tally.full, 1)
        self.assertEqual(target.got, b">one\n")

    def targetOf(self, world: World) -> Peer:
        """
        Start a share and its connection to the target.
        """
        world.pool.start()
        return world.target()

    def test_size(self) -> None:
        """
        So it is where they wait with too many bytes, be they ever so few.
        """
        world = self.world(size=100)
        self.targetOf(world)
        world.client(b"x" * 90 + b"\n")
        first = world.client(b"x" * 90 + b"\n")
        second = world.client(b"x" * 20 + b"\n")
        self.assertEqual((first.got, second.got), (b"", b"BUSY\n"))
        first.leave()
        third = world.client(b"x" * 90 + b"\n")
        self.assertEqual(third.got, b"")

    def test_halfSize(self) -> None:
        """
        Requests that are half there count as well: who makes it too much goes, and
        takes none of it along.
        """
        world = self.world(size=100)
        client, other = world.client(b"x" * 60), world.client(b"y" * 30)
        other.say(b"y" * 20)
        self.assertEqual((client.got, other.got), (b"", b"BUSY\n"))
        self.assertEqual(world.pool.partial, 60)
        client.say(b"x\n")
        self.assertEqual(world.pool.partial, 0)
        self.assertEqual(world.target().got, b">" + b"x" * 61 + b"\n")

    def test_clients(self) -> None:
        """
        When too many clients are here the next one is closed.
        """
        world = self.world(clients=2)
        first = world.client()
        world.client()
        third = world.client()
        self.assertEqual((third.got, third.wire.ended), (b"BUSY\n", True))
        self.assertEqual(world.pool.tally.turnedAway, 1)
        third.leave()
        first.leave()
        self.assertFalse(world.client().wire.ended)

    def test_flood(self) -> None:
        """
        Where even those are many, they are cut without a word.
        """
        world = self.world(clients=2)
        clients = [world.client() for _ in range(5)]
        self.assertEqual(clients[-1].wire.over, "reset")

    def test_doesNotRead(self) -> None:
        """
        A client that does not read its reply slows the target down and is cut soon; the
        rest of the reply is thrown away and the next client served.
        """
        world = self.world(stalled=10)
        client, other = world.client(b"one\n"), world.client(b"two\n")
        target = world.target()
        client.wire.reads = False
        target.say(b"part " + b"x" * PLENTY + b"\n")
        self.assertTrue(target.wire.paused)
        target.say(b"part\n1\n")
        world.advance(9)
        self.assertEqual(client.wire.over, "")
        world.advance(2)
        self.assertEqual(client.wire.over, "reset")
        self.assertEqual(target.got, b">one\n>two\n")
        target.say(b"2\n")
        self.assertEqual(other.got, b"2\n")
        self.assertEqual(world.pool.tally.stalled, 1)

    def test_readsAgain(self) -> None:
        """
        One that reads in time gets all of it.
        """
        world = self.world(stalled=10)
        client = world.client(b"one\n")
        target = world.target()
        client.wire.reads = False
        target.say(b"part " + b"x" * PLENTY + b"\n")
        target.say(b"1\n")
        world.advance(9)
        client.wire.readAll()
        world.settle()
        self.assertTrue(client.got.endswith(b"\n1\n"))
        world.advance(100)
        self.assertEqual(client.wire.over, "")

    def test_asksAndDoesNotRead(self) -> None:
        """
        One that asks on and reads nothing is not read either; the target is not held.
        """
        world = self.world(full=60)
        client = world.client(b"one\n")
        target = world.target()
        client.wire.reads = False
        target.say(b"x" * (PLENTY + 1) + b"\n")
        client.say(b"two\nthree\n")
        self.assertEqual(target.got, b">one\n")
        self.assertFalse(target.wire.paused)
        other = world.client(b"other\n")
        target.say(b"reply\n")
        self.assertEqual(other.got, b"reply\n")
        world.advance(61)
        self.assertEqual(client.wire.over, "reset")


class StreamTests(SharingCase):
    """
    Requests that are too long to be collected.
    """

    def test_streams(self) -> None:
        """
        A long request goes on as it comes, and the target is its own meanwhile.
        """
        world = self.world(pipeline=4)
        client = world.client(b"stream\n")
        other = world.client(b"other\n")
        target = world.target()
        client.say(b"body\n")
        self.assertEqual(target.got, b">stream\nbody\n")
        client.say(b"end\nnext\n")
        self.assertEqual(target.got, b"end\n>other\n>next\n")
        target.say(b"1\n2\n3\n")
        self.assertEqual((client.got, other.got), (b"1\n3\n", b"2\n"))

    def test_waits(self) -> None:
        """
        Until it is its turn the client is not read.
        """
        world = self.world()
        client = world.client(b"stream\nbody\n")
        self.assertTrue(client.wire.paused)
        target = world.target()
        self.assertFalse(client.wire.paused)
        self.assertEqual(target.got, b">stream\nbody\n")

    def test_pause(self) -> None:
        """
        A client that stops in the middle is cut after ten seconds, and the target's
        connection with it; the next client is served.
        """
        world = self.world(pause=10, timeout=60)
        client, other = world.client(b"stream\n"), world.client(b"other\n")
        target = world.target()
        world.advance(9)
        client.say(b"body\n")
        world.advance(9)
        self.assertFalse(client.wire.ended)
        world.advance(2)
        self.assertEqual((client.got, client.wire.ended), (b"SLOW\n", True))
        self.assertEqual(target.wire.over, "reset")
        world.advance(0)
        world.target().say(b"reply\n")
        self.assertEqual(other.got, b"reply\n")

    def test_leaves(self) -> None:
        """
        So it is where the client goes, or ends, or talks nonsense half way.
        """
        for way in ("leave", "end", "bad"):
            world = self.world()
            client = world.client(b"stream\n")
            target = world.target()
            if way == "bad":
                client.say(b"bad\n")
            else:
                getattr(client, way)()
            self.assertEqual(target.wire.over, "reset", way)
            self.assertTrue(client.wire.lost, way)

    def test_targetFull(self) -> None:
        """
        Where the target takes no more, the client is not read.
        """
        world = self.world()
        client = world.client(b"stream\n")
        target = world.target()
        target.wire.reads = False
        client.say(b"x" * (PLENTY + 1) + b"\n")
        client.say(b"y\n")
        self.assertTrue(client.wire.paused)
        world.advance(11)
        self.assertFalse(client.wire.ended)
        target.wire.readAll()
        world.settle()
        self.assertFalse(client.wire.paused)
        self.assertTrue(target.got.endswith(b"y\n"))

    def test_targetStaysFull(self) -> None:
        """
        One that never takes it has the time that a reply has.
        """
        world = self.world(replyTimeout=30)
        client = world.client(b"stream\n")
        target = world.target()
        target.wire.reads = False
        client.say(b"x" * (PLENTY + 1) + b"\n")
        world.advance(31)
        self.assertEqual(client.got, b"LATE\n")

    def test_early(self) -> None:
        """
        A target that answers before it has all ends the request: the client has the
        answer, and the rest of its request goes nowhere.
        """
        world = self.world()
        client = world.client(b"stream\n")
        target = world.target()
        target.say(b"too long\n")
        self.assertEqual((client.got, client.wire.ended), (b"too long\n", True))
        self.assertEqual(target.wire.over, "closed")
        client.say(b"body\nend\nmore\n")
        self.assertEqual(target.got, b">stream\n")

    def test_earlyAndFull(self) -> None:
        """
        If that target does not read what it has, either, its connection is cut soon,
        and the next one is made.
        """
        world = self.world(closing=10)
        client = world.client(b"stream\n")
        other = world.client(b"other\n")
        target = world.target()
        target.wire.reads = False
        client.say(b"x" * PLENTY + b"\n")
        target.say(b"too long\n")
        self.assertEqual(world.dials, [])
        world.advance(10)
        self.assertEqual(target.wire.over, "reset")
        world.target().say(b"reply\n")
        self.assertEqual(other.got, b"reply\n")

    def test_tooLate(self) -> None:
        """
        A long request that does not get its turn is refused, and not read any further.
        """
        world = self.world(timeout=3)
        world.client(b"one\n")
        client = world.client(b"stream\nbody\n")
        target = world.target()
        world.advance(3)
        self.assertEqual((client.got, client.wire.ended), (b"BUSY\n", True))
        client.say(b"end\nmore\n")
        target.say(b"1\n")
        self.assertEqual(target.got, b">one\n")

    def test_never(self) -> None:
        """
        It is not repeated, whatever it is.
        """
        world = self.world()
        client = world.client(b"stream\n")
        world.target().end()
        self.assertEqual(client.got, b"BROKEN\n")
