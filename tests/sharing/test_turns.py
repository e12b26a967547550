"""
Tests of what clients see of a share, in memory: their turns, their order and their end.
"""

from __future__ import annotations

from tests.sharing.world import PLENTY, Peer, SharingCase, World


class TurnsTests(SharingCase):
    """
    One connection, many clients.
    """

    def test_askAndAnswer(self) -> None:
        """
        A client's request goes to the target, and the reply comes back.
        """
        world = self.world()
        client = world.client(b"one\n")
        target = world.target()
        self.assertEqual(target.got, b">one\n")
        target.say(b"1\n")
        self.assertEqual(client.got, b"1\n")

    def test_strictTurns(self) -> None:
        """
        Fifty clients share one connection; each gets its own answers, in order, and the
        target never has two requests.
        """
        world = self.world()
        clients = [world.client(b"%d a\n%d b\n" % (n, n)) for n in range(50)]
        target = world.target()
        for _ in range(100):
            request = target.got
            self.assertEqual(request.count(b"\n"), 1)
            target.say(request[1:])
        for n, client in enumerate(clients):
            self.assertEqual(client.got, b"%d a\n%d b\n" % (n, n))
        self.assertEqual(world.dials, [])

    def test_fair(self) -> None:
        """
        A client with many requests lets another one have its turn between two of them.
        """
        world = self.world()
        target = self.connected(world)
        world.client(b"a1\na2\na3\n")
        world.client(b"b1\n")
        order = []
        for _ in range(4):
            order.append(target.got)
            target.say(b"x\n")
        self.assertEqual(order, [b">a1\n", b">a2\n", b">b1\n", b">a3\n"])

    def connected(self, world: World) -> Peer:
        """
        Start a share with its connections to the target.
        """
        world.pool.start()
        return world.target()

    def test_cutAnywhere(self) -> None:
        """
        Requests and replies that drip byte by byte are served.
        """
        world = self.world()
        client = world.client()
        for byte in b"slow\n":
            client.say(bytes((byte,)))
        target = world.target()
        for byte in b"reply\n":
            target.say(bytes((byte,)))
        self.assertEqual(client.got, b"reply\n")

    def test_local(self) -> None:
        """
        What needs no target is answered in its turn, not before an earlier reply.
        """
        world = self.world()
        client = world.client(b"ask\nlocal x\nlocal y\n")
        target = world.target()
        self.assertEqual(client.got, b"")
        target.say(b"reply\n")
        self.assertEqual(client.got, b"reply\nlocal x\nlocal y\n")
        client.say(b"quit\nlocal z\n")
        self.assertEqual(client.got, b"bye\n")
        self.assertTrue(client.wire.ended)

    def test_refused(self) -> None:
        """
        A client that speaks nonsense is told so when what it asked before is answered,
        and nobody else notices.
        """
        world = self.world()
        client, other = world.client(b"ask\nbad\nmore\n"), world.client(b"hello\n")
        target = world.target()
        target.say(b"reply\n")
        self.assertEqual(client.got, b"reply\nrefused\n")
        self.assertTrue(client.wire.ended)
        target.say(b"hi\n")
        self.assertEqual(other.got, b"hi\n")
        self.assertEqual(world.pool.tally.refused, 1)

    def test_bug(self) -> None:
        """
        A bug of a framing ends one client, with a traceback in the log.
        """
        world = self.world()
        client, other = world.client(b"bug\n"), world.client(b"hello\n")
        self.assertEqual(client.wire.over, "reset")
        world.target().say(b"hi\n")
        self.assertEqual(other.got, b"hi\n")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_halfClosed(self) -> None:
        """
        A client that ends its half behind its last request gets its answers, and is
        closed then.
        """
        world = self.world()
        client = world.client(b"one\ntwo\n")
        client.end()
        target = world.target()
        target.say(b"1\n")
        self.assertEqual(client.wire.over, "")
        target.say(b"2\n")
        self.assertEqual((client.got, client.wire.over), (b"1\n2\n", "closed"))

    def test_halfFrame(self) -> None:
        """
        Half a request is dropped where its client ends; the target never sees it.
        """
        world = self.world()
        client = world.client(b"one\nha")
        client.end()
        target = world.target()
        target.say(b"1\n")
        self.assertEqual(target.got, b">one\n")
        self.assertEqual((client.got, client.wire.over), (b"1\n", "closed"))

    def test_wholeInTime(self) -> None:
        """
        A request that is never finished ends its client, and the target was free all
        the time.
        """
        world = self.world(whole=60)
        client = world.client(b"ha")
        world.advance(59)
        client.say(b"l")
        self.assertFalse(client.wire.ended)
        world.advance(2)
        self.assertEqual((client.got, client.wire.ended), (b"SLOW\n", True))

    def test_eachInTime(self) -> None:
        """
        That is for each request: a client that never pauses between two may go on.
        """
        world = self.world(whole=60)
        client = world.client(b"a\nb")
        target = world.target()
        for _ in range(4):
            target.say(b"reply\n")
            world.advance(40)
            client.say(b"\nb")
        self.assertEqual(client.got, b"reply\n" * 4)
        self.assertFalse(client.wire.ended)

    def test_closes(self) -> None:
        """
        A client that is told to go, and does not, is closed after a moment; one that
        does not even read what it was told is cut.
        """
        world = self.world(closing=10, linger=2)
        client, other = world.client(b"quit\n"), world.client()
        other.wire.reads = False
        other.say(b"quit\n")
        world.advance(1)
        self.assertEqual(client.wire.over, "")
        world.advance(2)
        self.assertEqual((client.wire.over, other.wire.over), ("closed", ""))
        world.advance(8)
        self.assertEqual(other.wire.over, "reset")

    def test_goes(self) -> None:
        """
        One that goes is gone at once.
        """
        world = self.world()
        client = world.client(b"quit\n")
        client.end()
        self.assertEqual(client.wire.over, "closed")

    def test_closedByReply(self) -> None:
        """
        A reply may be the last that its client gets.
        """
        world = self.world()
        client = world.client(b"one\ntwo\n")
        target = world.target()
        target.say(b"close 1\n")
        self.assertEqual((client.got, client.wire.ended), (b"close 1\n", True))
        self.assertEqual(target.got, b">one\n")
        self.assertEqual(world.pool.waiting.count, 0)

    def test_silentFlood(self) -> None:
        """
        Requests without a reply do not pile up before a target that does not read.
        """
        world = self.world()
        world.client(b"silent\n")
        target = world.target()
        target.wire.reads = False
        client = world.client(b"silent %b\n" % (b"x" * PLENTY))
        client.say(b"silent\n" * 100)
        self.assertTrue(client.wire.paused)
        self.assertEqual(world.pool.waiting.count, world.pool.bounds.each)
        target.wire.take()
        target.wire.readAll()
        world.settle()
        self.assertEqual(target.got, b">silent\n" * 100)
        self.assertFalse(client.wire.paused)

    def test_silent(self) -> None:
        """
        Where the target says nothing to a request, the next one follows at once.
        """
        world = self.world()
        client = world.client(b"silent\nask\n")
        target = world.target()
        self.assertEqual(target.got, b">silent\n>ask\n")
        target.say(b"reply\n")
        self.assertEqual(client.got, b"reply\n")
        client.say(b"silent\n")
        world.advance(1000)
        self.assertEqual((client.wire.over, target.wire.over), ("", ""))


class GoneTests(SharingCase):
    """
    Clients that go before they are answered.
    """

    def test_midRequest(self) -> None:
        """
        The reply for a client that went away is read and thrown away: the next client
        gets its own.
        """
        world = self.world()
        client, other = world.client(b"one\n"), world.client(b"two\n")
        target = world.target()
        client.leave()
        self.assertEqual(target.got, b">one\n")
        target.say(b"1\n")
        self.assertEqual(target.got, b">two\n")
        target.say(b"2\n")
        self.assertEqual(other.got, b"2\n")
        self.assertEqual(world.pool.tally.thrownAway, 1)

    def test_waiting(self) -> None:
        """
        A request whose client went away before its turn is not sent.
        """
        world = self.world()
        client, other = world.client(b"one\n"), world.client(b"two\n")
        client.leave()
        target = world.target()
        self.assertEqual(target.got, b">two\n")
        target.say(b"2\n")
        self.assertEqual(other.got, b"2\n")

    def test_drips(self) -> None:
        """
        A reply that nobody waits for may not take for ever, however it drips.
        """
        world = self.world(replyTimeout=30)
        client = world.client(b"one\n")
        target = world.target()
        client.leave()
        for _ in range(4):
            world.advance(9)
            target.say(b"part\n")
        self.assertEqual(target.wire.over, "reset")

    def test_endless(self) -> None:
        """
        One that is under way when its client goes keeps others waiting for ten seconds
        at most, and the target is not to blame.
        """
        world = self.world(waste=10)
        client, other = world.client(b"one\n"), world.client(b"other\n")
        target = world.target()
        target.say(b"part\n")
        client.leave()
        for _ in range(5):
            target.say(b"part\n")
            world.advance(2)
        self.assertEqual(target.wire.over, "reset")
        self.assertTrue(world.pool.healthy)
        world.target().say(b"reply\n")
        self.assertEqual(other.got, b"reply\n")

    def test_long(self) -> None:
        """
        One that comes to its end in time costs no connection, nor does it where others
        wait for theirs behind it.
        """
        for pipeline, seconds in ((1, 8), (2, 20)):
            world = self.world(waste=10, pipeline=pipeline)
            world.pool.stayed()  # so it is known to keep its connections
            client, other = world.client(b"one\n"), world.client(b"write\n")
            target = world.target()
            client.leave()
            for _ in range(seconds // 2):
                target.say(b"part\n")
                world.advance(2)
            target.say(b"end\nreply\n" if pipeline > 1 else b"end\n")
            if pipeline == 1:
                target.say(b"reply\n")
            self.assertEqual(other.got, b"reply\n")


class DrainTests(SharingCase):
    """
    The end.
    """

    def test_idle(self) -> None:
        """
        An idle client does not hold up the end.
        """
        world = self.world()
        client = world.client()
        gone = world.pool.drain()
        world.settle()
        self.assertEqual(client.wire.over, "closed")
        self.assertEqual(self.successResultOf(gone), None)

    def test_answered(self) -> None:
        """
        What was asked is answered, and nothing is asked any more.
        """
        world = self.world()
        client, other = world.client(b"one\n"), world.client(b"other\n")
        target = world.target()
        gone = world.pool.drain()
        client.say(b"two\n")
        target.say(b"1\n")
        self.assertNoResult(gone)
        target.say(b"2\n")
        self.assertEqual((client.got, other.got), (b"1\n", b"2\n"))
        self.assertEqual(target.got, b">one\n>other\n")
        self.successResultOf(gone)

    def test_streams(self) -> None:
        """
        A request that streams comes to its end.
        """
        world = self.world()
        client = world.client(b"stream\n")
        target = world.target()
        world.pool.drain()
        client.say(b"end\nnext\n")
        target.say(b"1\n")
        self.assertEqual((client.got, client.wire.ended), (b"1\n", True))
        self.assertEqual(target.got, b">stream\nend\n")

    def test_stop(self) -> None:
        """
        When the time is up, who waits is told so.
        """
        world = self.world()
        client, idle = world.client(b"one\n"), world.client()
        world.target()
        world.pool.drain()
        world.pool.stop()
        self.assertEqual((client.got, idle.got), (b"STOPPING\n", b""))
        self.assertEqual(world.dials, [])

    def test_comesLate(self) -> None:
        """
        Who comes then is turned away.
        """
        world = self.world()
        world.pool.drain()
        self.assertTrue(world.client().wire.ended)
