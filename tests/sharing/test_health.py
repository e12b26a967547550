"""
Tests of what a share thinks of its target, in memory.
"""

from __future__ import annotations

from tests.sharing.toy import Toy
from tests.sharing.world import SharingCase


class HealthTests(SharingCase):
    """
    Whether a target is well.
    """

    def test_backUnasked(self) -> None:
        """
        A target that was down and is back is well again though no client has asked
        meanwhile, as none may come before that.
        """
        world = self.world(timeout=3)
        client = world.client(b"get\n")
        while client.got != b"DOWN\n":
            world.advance(0.5)
            if world.dials:
                world.refuse()
        self.assertFalse(world.pool.healthy)
        world.advance(15)
        world.refuse()
        world.advance(15)
        world.target()
        self.assertFalse(world.pool.healthy)
        world.advance(1)
        self.assertTrue(world.pool.healthy)
        world.advance(100)
        self.assertEqual(world.dials, [])

    def test_backAndIdle(self) -> None:
        """
        One that ends connections which nobody uses is well, and not dialled for that.
        """
        world = self.world()
        world.pool.start()
        world.refuse()
        world.advance(1)
        target = world.target()
        world.advance(30)
        target.end()
        self.assertTrue(world.pool.healthy)
        world.advance(100)
        self.assertEqual(world.dials, [])

    def test_silent(self) -> None:
        """
        One that takes requests and says nothing is not well while it has one.
        """
        world = self.world(replyTimeout=5)
        world.client(b"get\n")
        world.target()
        world.advance(5)
        self.assertFalse(world.pool.healthy)
        world.client(b"get\n")
        world.target()
        world.advance(4)
        self.assertFalse(world.pool.healthy)

    def test_leavesAtOnce(self) -> None:
        """
        One that takes connections and drops them is not, and is let be ever longer.
        """
        world = self.world()
        world.pool.start()
        world.target().end()
        for _ in range(400):
            world.advance(0.25)
            if world.dials:
                world.target().end()
        self.assertFalse(world.pool.healthy)
        self.assertLess(world.pool.tally.connects, 40)

    def test_clientLeaves(self) -> None:
        """
        It is not to blame for a client that leaves in the middle of a request: it is
        well, and the next request has a fresh connection at once.
        """
        for sticky, asked in ((False, b"stream\n"), (True, b"patient\n")):
            world = self.world(sticky=sticky)
            client = world.client(asked)
            target = world.target()
            client.leave()
            self.assertEqual(target.wire.over, "reset")
            self.assertTrue(world.pool.healthy)
            world.client(b"get\n")
            self.assertEqual(len(world.dials), 1)

    def test_subscriberLeaves(self) -> None:
        """
        Nor for a subscriber, who has no replies.
        """
        world = self.world(Toy(stateful=True), sticky=True)
        client = world.client(b"silent\n")
        world.target()
        client.leave()
        self.assertTrue(world.pool.healthy)

    def test_news(self) -> None:
        """
        What it says to a subscriber shows that it is well.
        """
        world = self.world(Toy(stateful=True), sticky=True)
        world.pool.start()
        world.refuse()
        client = world.client(b"silent\n")
        world.advance(1)
        world.target().say(b"push news\n")
        self.assertTrue(world.pool.healthy)
        self.assertEqual(client.got, b"push news\n")
