"""
Tests of L{tunnelkit.wire.framings.redis.framing}, through the core in memory.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.sharing.world import SharingCase
from tunnelkit.wire.framings.contract import Trouble
from tunnelkit.wire.framings.redis.framing import makeRedis
from tunnelkit.wire.framings.redis.inline import encoded

GET, SET = encoded([b"GET", b"a"]), encoded([b"SET", b"a", b"1"])


class TroubleTests(SynchronousTestCase):
    """
    What a client hears where there is no reply.
    """

    def test_told(self) -> None:
        """
        It is told what it is, as an error, and closed.
        """
        for trouble in Trouble:
            said = makeRedis([], {}).trouble(trouble, None)
            self.assertRegex(said.data, rb"\A-ERR tunnelshare: [a-z' ]+\r\n\Z")
            self.assertTrue(said.close)


class MakeTests(SynchronousTestCase):
    """
    C{--protocol redis}.
    """

    def test_given(self) -> None:
        """
        It takes nothing, and says so.
        """
        for arguments, options in ((["x"], {}), ([], {"db": "1"})):
            with self.assertRaises(ValueError):
                makeRedis(arguments, options)


class SharingTests(SharingCase):
    """
    Clients of one connection.
    """

    def test_turns(self) -> None:
        """
        Each client gets its own replies; what is refused, and answered here, has its
        place among them and does not reach the target.
        """
        world = self.world(makeRedis([], {}), caution=0)
        one = world.client(GET + encoded([b"MULTI"]) + encoded([b"QUIT"]))
        two = world.client(SET)
        target = world.target()
        self.assertEqual(target.got, GET)
        target.say(b"$1\r\n5\r\n")
        self.assertRegex(one.got, rb"\A\$1\r\n5\r\n-ERR .*MULTI.*\r\n\+OK\r\n\Z")
        self.assertTrue(one.wire.ended)
        self.assertEqual(target.got, SET)
        target.say(b"+OK\r\n")
        self.assertEqual(two.got, b"+OK\r\n")

    def test_repeated(self) -> None:
        """
        Where the target ends, what only reads is sent again, and what writes is
        answered by an error.
        """
        world = self.world(makeRedis([], {}), caution=0)
        client = world.client(GET)
        world.target().end()
        target = world.target()
        self.assertEqual(target.got, GET)
        target.say(b"$-1\r\n")
        self.assertEqual(client.got, b"$-1\r\n")
        client.say(SET)
        target.end()
        self.assertRegex(client.got, rb"\A-ERR tunnelshare: .*\r\n\Z")

    def test_sticky(self) -> None:
        """
        Who has a connection for itself may subscribe, hears messages, and waits for
        them as long as it likes; when it leaves the connection is not used again.
        """
        world = self.world(makeRedis([], {}), sticky=True, caution=0)
        client = world.client(encoded([b"SUBSCRIBE", b"a"]))
        target = world.target()
        said = b"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n"
        target.say(said)
        self.assertEqual(client.got, said)
        world.advance(1000)
        message = b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n"
        target.say(message)
        client.say(encoded([b"PING"]))
        target.say(b"*2\r\n$4\r\npong\r\n$0\r\n\r\n")
        self.assertEqual(client.got, message + b"*2\r\n$4\r\npong\r\n$0\r\n\r\n")
        client.leave()
        self.assertEqual(target.wire.over, "closed")

    def test_blocked(self) -> None:
        """
        C{BLPOP} waits longer than a reply may take; C{GET} does not.
        """
        world = self.world(makeRedis([], {}), sticky=True, caution=0)
        client = world.client(encoded([b"BLPOP", b"a", b"0"]))
        target = world.target()
        world.advance(1000)
        target.say(b"*-1\r\n")
        self.assertEqual(client.got, b"*-1\r\n")
        client.say(GET)
        world.advance(31)
        self.assertIn(b"no reply in time", client.got)

    def test_long(self) -> None:
        """
        A value of some megabytes passes whole, and others have their turn behind it.
        """
        world = self.world(makeRedis([], {}), caution=0)
        long = encoded([b"SET", b"a", bytes(3_000_000)])
        one = world.client()
        target = world.target() if world.dials else None
        for at in range(0, len(long), 65536):
            one.say(long[at : at + 65536])
        two = world.client(GET)
        target = target or world.target()
        self.assertEqual(target.got, long)
        target.say(b"+OK\r\n")
        self.assertEqual(target.got, GET)
        target.say(b":1\r\n")
        self.assertEqual((one.got, two.got), (b"+OK\r\n", b":1\r\n"))
