"""
Tests of a share with several requests on a connection that does not last, in memory.
"""

from __future__ import annotations

from tests.sharing.world import Peer, SharingCase, World


class PipelineTests(SharingCase):
    """
    A target that ends each connection after one reply, where several requests may be
    under way on one.
    """

    def serve(self, world: World, *answers: bytes) -> int:
        """
        Be such a target, until nobody dials.

        @param answers: what stands before each reply.
        @return: how many requests it had at once, at most.
        """
        most = 0
        while world.dials:
            target = world.target()
            requests = target.got.splitlines(True)
            most = max(most, len(requests))
            for word in answers:
                target.say(word + requests[0][1:])
            target.end()
        return most

    def ask(self, world: World) -> list[Peer]:
        """
        Have clients ask, each a thing of its own.
        """
        return [world.client(b"get %d\n" % n) for n in range(12)]

    def test_closesAfterEach(self) -> None:
        """
        Every request that may be sent twice is answered, though those behind the first
        were sent in vain.
        """
        for pipeline in (2, 4, 8):
            world = self.world(pipeline=pipeline)
            clients = self.ask(world)
            self.assertEqual(self.serve(world, b""), pipeline)
            self.assertEqual(
                [client.got for client in clients],
                [b"get %d\n" % n for n in range(12)],
            )

    def test_saysSo(self) -> None:
        """
        So it is where the target says with each reply that it will close.
        """
        world = self.world(pipeline=4)
        clients = self.ask(world)
        self.serve(world, b"spent ")
        self.assertEqual(
            [client.got for client in clients],
            [b"spent get %d\n" % n for n in range(12)],
        )

    def test_known(self) -> None:
        """
        A request that is under way on another connection when the target's habit
        becomes known is not forgotten.
        """
        world = self.world(pipeline=2, connections=3)
        clients = [world.client(b"get %d\n" % n) for n in range(6)]
        targets = [world.target() for _ in range(3)]
        for target in targets[:2]:
            target.say(b"first\n")
            target.end()
        targets[2].say(b"first\n")
        targets[2].say(b"second\n")
        self.assertEqual(
            [client.got for client in clients[4:]], [b"first\n", b"second\n"]
        )

    def test_keepsAgain(self) -> None:
        """
        Once a connection has had two replies, several requests are under way again.
        """
        world = self.world(pipeline=2)
        self.ask(world)
        target = world.target()
        target.say(b"0\n")
        target.end()
        target = world.target()
        self.assertEqual(target.got, b">get 1\n")
        target.say(b"1\n")
        # What was sent before is not risked again.
        self.assertEqual(target.got, b">get 3\n")
        target.say(b"3\n")
        self.assertEqual(target.got, b">get 2\n>get 4\n")

    def test_doesNotSpin(self) -> None:
        """
        While a request that must not be sent twice waits for the reply to another,
        nothing is done again and again.
        """
        world = self.world(pipeline=2)
        client = world.client(b"get 0\n")
        target = world.target()
        target.say(b"0\n")
        client.say(b"get 1\n")
        world.advance(1)
        client.say(b"write\n")
        now = world.clock.seconds()
        due = [call for call in world.clock.getDelayedCalls() if call.getTime() <= now]
        self.assertEqual(due, [])
        target.say(b"1\n")
        self.assertEqual(target.got, b">get 0\n>get 1\n>write\n")

    def test_changes(self) -> None:
        """
        One that has stopped to close is found out also where requests always wait; what
        must not be sent twice is not risked for that.
        """
        world = self.world(rest=5)
        clients = [world.client(b"get %d\n" % n) for n in range(6)]
        for _ in range(2):
            target = world.target()
            target.say(b"reply\n")
            target.end()
        target = world.target()
        target.say(b"reply\n")
        self.assertEqual(target.wire.over, "closed")
        target = world.target()
        world.advance(5)
        world.client(b"write\n")
        target.say(b"reply\n")
        self.assertEqual(target.got, b">get 3\n>get 4\n")
        target.say(b"reply\n")
        self.assertEqual(target.got, b">get 5\n")
        target.say(b"reply\n")
        self.assertEqual(target.got, b">write\n")
        self.assertEqual([client.got for client in clients], [b"reply\n"] * 6)


class UploadTests(SharingCase):
    """
    A request that streams behind those of others.
    """

    def upload(self) -> tuple[World, Peer, Peer, Peer]:
        """
        Have one client wait for its reply while another begins to stream.

        @return: the two, and the target.
        """
        world = self.world(pipeline=2, replyTimeout=5)
        world.pool.stayed()  # so it is known to keep its connections
        other, client = world.client(b"write\n"), world.client(b"stream\n")
        target = world.target()
        self.assertEqual(target.got, b">write\n>stream\n")
        return world, other, client, target

    def test_stops(self) -> None:
        """
        A client that leaves in the middle does not cost another its reply.
        """
        world, other, client, target = self.upload()
        client.leave()
        third = world.client(b"get\n")
        self.assertEqual(target.wire.over, "")
        target.say(b"1\n")
        self.assertEqual(other.got, b"1\n")
        self.assertEqual((target.got, target.wire.over), (b"", "reset"))
        world.target().say(b"3\n")
        self.assertEqual(third.got, b"3\n")
        self.assertEqual(world.pool.tally.broken, 0)

    def test_stopsAndLate(self) -> None:
        """
        If that reply does not come, either, it has no more time than any.
        """
        world, other, client, target = self.upload()
        world.advance(3)
        client.leave()
        world.advance(2)
        self.assertEqual((other.got, target.wire.over), (b"LATE\n", "reset"))

    def test_goesOn(self) -> None:
        """
        A client that takes its time does not put off when another is told that its
        reply is late.
        """
        world, other, client, target = self.upload()
        world.advance(3)
        client.say(b"body\n")
        world.advance(2)
        self.assertEqual((other.got, target.wire.over), (b"LATE\n", "reset"))
