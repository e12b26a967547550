"""
Tests of a share whose framing has faults, in memory.
"""

from __future__ import annotations

from tests.sharing.toy import Toy, ToyReplies
from tests.sharing.world import SharingCase, World
from tunnelkit.wire.framings.contract import Local, Request, Trouble


class FaultyReplies(ToyReplies):
    """
    Replies that cannot be told certain things.
    """

    def send(self, request: Request) -> bytes:
        """
        Fail at some requests.
        """
        if request.data.startswith(b"unsendable"):
            raise RuntimeError("a bug of the toy's")
        return super().send(request)

    def feed(self, data: bytes) -> None:
        """
        Fail at some bytes.
        """
        if data.startswith(b"inedible"):
            raise RuntimeError("a bug of the toy's")
        super().feed(data)

    def ended(self) -> None:
        """
        Fail at the end of some replies.
        """
        if self.buffer.startswith(b"endless"):
            raise RuntimeError("a bug of the toy's")
        super().ended()


class Faulty(Toy):
    """
    A framing with faults.
    """

    def replies(self, sticky: bool) -> ToyReplies:
        """
        Make the decoder for a connection to the target.
        """
        return FaultyReplies(sticky)

    def trouble(self, trouble: Trouble, request: Request | None) -> Local:
        """
        Fail to find words for some.
        """
        if request is not None and request.data.startswith(b"write speechless"):
            raise RuntimeError("a bug of the toy's")
        return super().trouble(trouble, request)


class FaultsTests(SharingCase):
    """
    A fault costs one client its reply, and nobody else, and is in the log.
    """

    def faulty(self) -> World:
        """
        Make a share that is otherwise in order.
        """
        world = self.world(Faulty(), pipeline=2)
        world.pool.stayed()  # so it is known to keep its connections
        return world

    def next(self, world: World) -> None:
        """
        See that the next client is served, and that the fault is in the log.
        """
        client = world.client(b"next\n")
        world.advance(1)
        world.target().say(b"reply\n")
        self.assertEqual(client.got, b"reply\n")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(len(world.pool.lines), 1)

    def test_send(self) -> None:
        """
        A request that cannot be sent is refused; those before it have their replies.
        """
        world = self.faulty()
        other, client = world.client(b"get\n"), world.client(b"unsendable\n")
        target = world.target()
        self.assertEqual(client.got, b"BROKEN\n")
        target.say(b"1\n")
        self.assertEqual((other.got, target.wire.over), (b"1\n", "reset"))
        self.next(world)

    def test_sendFirst(self) -> None:
        """
        So it is with nobody before it.
        """
        world = self.faulty()
        client = world.client(b"unsendable\n")
        world.target()
        self.assertEqual(client.got, b"BROKEN\n")
        self.next(world)

    def test_feed(self) -> None:
        """
        Bytes that cannot be taken end the connection.
        """
        world = self.faulty()
        client = world.client(b"get\n")
        world.target().say(b"inedible\n")
        self.assertEqual(client.got, b"BROKEN\n")
        self.next(world)

    def test_ended(self) -> None:
        """
        Nor does the end of a connection take others with it.
        """
        world = self.faulty()
        client = world.client(b"get\n")
        target = world.target()
        target.say(b"endless")
        target.end()
        self.assertEqual(client.got, b"BROKEN\n")
        self.next(world)

    def test_trouble(self) -> None:
        """
        A client for which there are no words is closed without any.
        """
        world = self.faulty()
        client, other = world.client(b"write speechless\n"), world.client(b"write\n")
        world.target().breakOff()
        self.assertEqual((client.got, client.wire.ended), (b"", True))
        self.assertEqual(other.got, b"BROKEN\n")
        self.next(world)
