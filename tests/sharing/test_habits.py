"""
Tests of a share with several requests on a connection that the target does not keep, in
memory.
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
