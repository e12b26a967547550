"""
Tests of a share whose target is down, slow, short or out of step, in memory.
"""

from __future__ import annotations

from tests.sharing.world import SharingCase


class TargetTests(SharingCase):
    """
    Targets that are down, slow, short or out of step.
    """

    def test_downThenUp(self) -> None:
        """
        Clients that come while the target is down are served when it comes back.
        """
        world = self.world(timeout=30)
        world.pool.start()
        world.refuse()
        client = world.client(b"one\n")
        for _ in range(5):
            world.advance(0.5)
            world.refuse()
        world.advance(0.5)
        world.target().say(b"1\n")
        self.assertEqual(client.got, b"1\n")
        self.assertEqual(world.pool.tally.failedConnects, 6)

    def test_eachItsTime(self) -> None:
        """
        Each request has all of C{--reply-timeout}, however long the one before took.
        """
        world = self.world(replyTimeout=30)
        client = world.client(b"one\n")
        target = world.target()
        world.advance(20)
        target.say(b"1\n")
        world.advance(15)
        client.say(b"two\n")
        world.advance(29.9)
        self.assertEqual(client.got, b"1\n")
        world.advance(0.2)
        self.assertEqual(client.got, b"LATE\n")

    def test_backoff(self) -> None:
        """
        A target that is down is not dialled without a pause.
        """
        world = self.world()
        world.pool.start()
        world.refuse()
        world.advance(0)
        world.refuse()
        world.advance(0.05)
        self.assertEqual(world.dials, [])
        for _ in range(60):
            world.advance(0.5)
            if world.dials:
                world.refuse()
        self.assertLess(world.pool.tally.failedConnects, 30)
        self.assertEqual(world.dials, [])
        self.assertFalse(world.pool.healthy)

    def test_down(self) -> None:
        """
        A client waits so long for a target that is down, and is told then.
        """
        world = self.world(timeout=3)
        client = world.client(b"one\n")
        world.refuse()
        world.advance(2.9)
        self.assertEqual(client.got, b"")
        world.advance(0.2)
        self.assertEqual((client.got, client.wire.ended), (b"DOWN\n", True))
        self.assertEqual(world.pool.tally.waitTimeouts, 1)

    def test_noAnswerToDial(self) -> None:
        """
        Connecting has a limit, too.
        """
        world = self.world(dialling=10)
        world.pool.start()
        world.advance(11)
        self.assertEqual(world.pool.tally.failedConnects, 1)

    def test_busy(self) -> None:
        """
        Who waits too long because others are served is told that.
        """
        world = self.world(timeout=3, replyTimeout=30)
        world.client(b"one\n")
        client = world.client(b"two\n")
        world.target()
        world.advance(4)
        self.assertEqual(client.got, b"BUSY\n")

    def test_late(self) -> None:
        """
        A request that is not answered in time ends its client alone.  The target's
        connection is made anew, so that a late reply never reaches another.
        """
        world = self.world(replyTimeout=5, timeout=60)
        client, other = world.client(b"one\n"), world.client(b"two\n")
        target = world.target()
        world.advance(4.9)
        self.assertEqual(client.got, b"")
        world.advance(0.2)
        self.assertEqual((client.got, client.wire.ended), (b"LATE\n", True))
        self.assertEqual((target.got, target.wire.over), (b">one\n", "reset"))
        fresh = world.target()
        self.assertEqual(fresh.got, b">two\n")
        fresh.say(b"2\n")
        self.assertEqual(other.got, b"2\n")
        self.assertEqual(world.pool.tally.replyTimeouts, 1)

    def test_stays(self) -> None:
        """
        Where the protocol has words for trouble, the client may stay, and its next
        requests are served.
        """
        world = self.world(replyTimeout=5)
        client = world.client(b"soft\nnext\n")
        world.target()
        world.advance(5)
        self.assertEqual(client.got, b"LATE\n")
        world.target().say(b"reply\n")
        self.assertEqual(client.got, b"reply\n")

    def test_patient(self) -> None:
        """
        A request that may wait for ever may.
        """
        world = self.world(replyTimeout=5)
        client = world.client(b"patient\n")
        target = world.target()
        world.advance(500)
        target.say(b"1\n")
        self.assertEqual(client.got, b"1\n")

    def test_slowStream(self) -> None:
        """
        A long reply may take longer, as long as it goes on.
        """
        world = self.world(replyTimeout=5)
        client = world.client(b"one\n")
        target = world.target()
        for _ in range(4):
            world.advance(4)
            target.say(b"part\n")
        target.say(b"end\n")
        self.assertEqual(client.got, b"part\n" * 4 + b"end\n")

    def test_closesAfterEach(self) -> None:
        """
        A target that closes after each reply serves every request all the same.
        """
        world = self.world()
        client = world.client()
        for n in range(10):
            client.say(b"write %d\n" % n)
            target = world.target()
            self.assertEqual(target.got, b">write %d\n" % n)
            target.say(b"%d\n" % n)
            target.end()
            self.assertEqual(client.got, b"%d\n" % n)

    def test_closesAfterEachAtOnce(self) -> None:
        """
        So it does where the next request waits: what may not be sent twice is not sent
        on a connection that is about to end, once that is known.
        """
        world = self.world()
        client = world.client(*(b"get %d\n" % n for n in range(2)))
        for n in range(2):
            target = world.target()
            target.say(b"%d\n" % n)
            target.end()
        self.assertEqual(world.pool.tally.retries, 1)
        for n in range(2, 6):
            client.say(b"write %d\n" % n)
        for n in range(2, 6):
            target = world.target()
            self.assertEqual(target.got, b">write %d\n" % n)
            target.say(b"%d\n" % n)
            target.end()
        self.assertEqual(client.got, b"0\n1\n2\n3\n4\n5\n")
        self.assertEqual(world.pool.tally.broken, 0)

    def test_cautious(self) -> None:
        """
        A request that must not be sent twice is not the first to find out that the
        target closes after each reply: the target is watched for a moment, once.
        """
        world = self.world(caution=0.2)
        client = world.client(b"write 0\nwrite 1\nwrite 2\n")
        for n in range(3):
            target = world.target()
            self.assertEqual(target.got, b">write %d\n" % n)
            target.say(b"%d\n" % n)
            world.advance(0.1)
            target.end()
        self.assertEqual(client.got, b"0\n1\n2\n")

    def test_trusted(self) -> None:
        """
        One that keeps its connection gets the next request after that moment, and those
        after it at once, several at a time.
        """
        world = self.world(caution=0.2, pipeline=2)
        client = world.client(*(b"write %d\n" % n for n in range(5)))
        target = world.target()
        self.assertEqual(target.got, b">write 0\n")
        target.say(b"0\n")
        world.advance(0.1)
        self.assertEqual(target.got, b"")
        world.advance(0.15)
        self.assertEqual(target.got, b">write 1\n>write 2\n")
        target.say(b"1\n")
        self.assertEqual(target.got, b">write 3\n")
        self.assertEqual(client.got, b"0\n1\n")

    def test_staysAgain(self) -> None:
        """
        A target that has stopped to close is used again as any other.
        """
        world = self.world(rest=5)
        client = world.client()
        for n in range(3):
            client.say(b"%d\n" % n)
            target = world.target()
            target.say(b"x\n")
            if n < 2:
                target.end()
        world.advance(5)
        client.say(b"one\n")
        self.assertEqual(target.got, b">2\n>one\n")
        target.say(b"1\n")
        client.say(b"two\n")
        self.assertEqual(target.got, b">two\n")

    def test_restIsCutShort(self) -> None:
        """
        While that is tried, a request does not wait for it.
        """
        world = self.world(rest=5)
        client = world.client()
        for n in range(3):
            client.say(b"%d\n" % n)
            target = world.target()
            target.say(b"x\n")
            if n < 2:
                target.end()
        client.say(b"write\n")
        self.assertEqual(target.wire.over, "closed")
        self.assertEqual(world.target().got, b">write\n")

    def test_repeated(self) -> None:
        """
        A request is sent once more where the target ended before a byte of the reply,
        and only once.
        """
        world = self.world()
        client = world.client(b"one\n")
        world.target().end()
        target = world.target()
        self.assertEqual(target.got, b">one\n")
        target.end()
        self.assertEqual((client.got, client.wire.ended), (b"BROKEN\n", True))
        self.assertEqual(world.pool.tally.retries, 1)

    def test_notRepeatable(self) -> None:
        """
        One that may not be sent twice is not.
        """
        world = self.world()
        client = world.client(b"write\n")
        world.target().end()
        self.assertEqual(client.got, b"BROKEN\n")
        self.assertEqual(world.pool.tally.retries, 0)

    def test_unsent(self) -> None:
        """
        Whatever it is, it is sent once more where nothing of it was sent: the target's
        end was seen before that.
        """
        for unsent, repeated in ((7, True), (6, False)):
            world = self.world()
            client = world.client(b"write\n")
            target = world.target()
            target.unsend(unsent)
            target.end()
            if repeated:
                world.target().say(b"1\n")
                self.assertEqual(client.got, b"1\n")
            else:
                self.assertEqual(client.got, b"BROKEN\n")

    def test_unsentBehind(self) -> None:
        """
        One that was sent before it is not sent again for that, nor one that streams
        and is not all here.
        """
        world = self.world(pipeline=3)
        world.pool.stayed()  # so it is known to keep its connections
        one, two = world.client(b"write 1\n"), world.client(b"write 2\n")
        three = world.client(b"stream\n")
        target = world.target()
        three.say(b"body\n")
        target.unsend(9 + 8 + 5)
        target.end()
        self.assertEqual((one.got, three.got), (b"BROKEN\n", b"BROKEN\n"))
        world.target().say(b"2\n")
        self.assertEqual(two.got, b"2\n")

    def test_unsentAndSpent(self) -> None:
        """
        What a connection has that is used up, but not closed yet, may still be sent.
        """
        world = self.world(pipeline=2)
        world.pool.stayed()  # so it is known to keep its connections
        client = world.client(b"write 1\nwrite 2\n")
        target = world.target()
        target.unsend(9)
        target.say(b"spent\n")
        self.assertEqual(client.got, b"spent\nBROKEN\n")

    def test_begun(self) -> None:
        """
        Nor is one of which half a reply has come.
        """
        world = self.world()
        client = world.client(b"one\n")
        target = world.target()
        target.say(b"ha")
        target.end()
        self.assertEqual(client.got, b"BROKEN\n")

    def test_halfSaid(self) -> None:
        """
        A client that has a part of its reply is cut, and told nothing else.
        """
        world = self.world()
        client = world.client(b"one\n")
        target = world.target()
        target.say(b"part\n")
        target.end()
        self.assertEqual((client.got, client.wire.over), (b"part\n", "reset"))

    def test_endedByClose(self) -> None:
        """
        A reply that ends with the target's connection is whole.
        """
        world = self.world()
        client = world.client(b"one\n", b"two\n")
        target = world.target()
        target.say(b"rest is this")
        target.end()
        self.assertEqual(client.got, b"rest is this\n")
        self.assertEqual(world.target().got, b">two\n")

    def test_cutShort(self) -> None:
        """
        One that ends with a reset is not whole, and does not look so: its client is
        reset, or told where it has nothing of it.
        """
        world = self.world()
        client = world.client(b"one\n")
        target = world.target()
        target.say(b"part\nrest is th")
        target.breakOff()
        self.assertEqual((client.got, client.wire.over), (b"part\n", "reset"))
        client = world.client(b"two\n")
        target = world.target()
        target.say(b"rest is th")
        target.breakOff()
        self.assertEqual((client.got, client.wire.ended), (b"BROKEN\n", True))

    def test_spent(self) -> None:
        """
        A connection that the target will close is not used again.
        """
        world = self.world()
        client = world.client(b"one\ntwo\n")
        target = world.target()
        target.say(b"spent\n")
        self.assertEqual(client.got, b"spent\n")
        self.assertEqual((target.got, target.wire.over), (b">one\n", "closed"))
        self.assertEqual(world.target().got, b">two\n")

    def test_unasked(self) -> None:
        """
        What the target says unasked reaches nobody, and ends the connection.
        """
        world = self.world()
        client = world.client()
        world.pool.start()
        target = world.target()
        target.say(b"hello\n")
        self.assertEqual(target.wire.over, "reset")
        client.say(b"one\n")
        world.advance(0)
        world.target().say(b"1\n")
        self.assertEqual(client.got, b"1\n")
        self.assertEqual(world.pool.tally.unsolicited, 1)

    def test_twoReplies(self) -> None:
        """
        A second reply in the segment of the first is not taken for the next client's.
        """
        world = self.world()
        client, other = world.client(b"one\n"), world.client(b"two\n")
        target = world.target()
        target.say(b"1\nsurprise\n")
        self.assertEqual((client.got, other.got), (b"1\n", b""))
        self.assertEqual((target.got, target.wire.over), (b">one\n", "reset"))
        world.target().say(b"2\n")
        self.assertEqual(other.got, b"2\n")

    def test_idle(self) -> None:
        """
        A target that ends a connection which it kept for a while, unasked, is well; the
        next request has a fresh one at once.
        """
        world = self.world()
        world.pool.start()
        target = world.target()
        world.advance(60)
        target.end()
        self.assertTrue(world.pool.healthy)
        world.client(b"write\n")
        self.assertEqual(len(world.dials), 1)

    def test_stray(self) -> None:
        """
        What is known to be nobody's is dropped and counted.
        """
        world = self.world()
        client = world.client(b"one\n")
        target = world.target()
        target.say(b"stray\n1\n")
        self.assertEqual(client.got, b"1\n")
        self.assertEqual(world.pool.tally.strays, 1)

    def test_bug(self) -> None:
        """
        A bug in a reply is logged, and ends one connection and one client.
        """
        world = self.world()
        client = world.client(b"one\n")
        world.target().say(b"bug\n")
        self.assertEqual(client.got, b"BROKEN\n")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_briefTarget(self) -> None:
        """
        A target that takes connections and drops them is let be for a moment.
        """
        world = self.world()
        client = world.client(b"one\n")
        world.target().end()
        world.target().end()
        self.assertEqual(client.got, b"BROKEN\n")
        world.client(b"two\n")
        self.assertEqual(world.dials, [])
        world.advance(0.4)
        self.assertEqual(len(world.dials), 1)
