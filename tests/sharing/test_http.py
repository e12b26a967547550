"""
Tests of a share of HTTP, in memory: what clients and the target of
L{tunnelkit.wire.framings.http1} see of each other.
"""

from __future__ import annotations

from typing import Any

from tests.sharing.world import Peer, SharingCase, World
from tests.wire.framings.http1.traffic import message
from tunnelkit.wire.framings.http1.answers import CONTINUE
from tunnelkit.wire.framings.http1.framing import makeHTTP1

OK = b"HTTP/1.1 200 OK"


def asking(path: bytes, method: bytes = b"GET", *lines: bytes) -> bytes:
    """
    Make a request.
    """
    return message(method + b" " + path + b" HTTP/1.1", b"Host: x", *lines)


def replying(text: bytes, *lines: bytes) -> bytes:
    """
    Make a reply.
    """
    return message(OK, b"Content-Length: %d" % len(text), *lines, body=text)


def status(reply: bytes) -> bytes:
    """
    Give the status of a reply.
    """
    return reply.split(b" ", 2)[1]


class HTTPCase(SharingCase):
    """
    A share of HTTP.
    """

    def share(self, collect: str = "1048576", **bounds: Any) -> World:
        """
        Make one.
        """
        return self.world(makeHTTP1([], {"collect": collect}), **bounds)

    def dropped(self, target: Peer) -> bool:
        """
        Tell whether the target's connection is over.
        """
        return bool(target.wire.over)


class TurnsTests(HTTPCase):
    """
    Many clients, one connection.
    """

    def test_fifty(self) -> None:
        """
        Fifty clients that stay get their own replies over one connection, on which
        there is never more than one request.
        """
        world = self.share()
        paths = [b"/%d" % n for n in range(50)]
        clients = [world.client(asking(path) + asking(path + b"b")) for path in paths]
        target = world.target()
        for _ in range(100):
            request = target.got
            self.assertEqual(request.count(b"GET "), 1)
            target.say(replying(request.split()[1]))
        for path, client in zip(paths, clients, strict=True):
            self.assertEqual(client.got, replying(path) + replying(path + b"b"))
        self.assertEqual(world.dials, [])

    def test_leaving(self) -> None:
        """
        A client that says C{Connection: close} is closed, the target's connection
        stays.
        """
        world = self.share()
        client = world.client(asking(b"/", b"GET", b"Connection: close"))
        target = world.target()
        self.assertEqual(target.got, asking(b"/"))
        target.say(replying(b"a"))
        self.assertEqual(client.got, replying(b"a", b"Connection: close"))
        self.assertTrue(client.wire.ended)
        other = world.client(asking(b"/"))
        target.say(replying(b"b"))
        self.assertEqual(other.got, replying(b"b"))

    def test_goneMeanwhile(self) -> None:
        """
        A client that goes between request and reply costs the next one nothing: it gets
        its own.
        """
        world = self.share()
        client, other = world.client(asking(b"/1")), world.client(asking(b"/2"))
        target = world.target()
        client.leave()
        target.say(replying(b"1"))
        target.say(replying(b"2"))
        self.assertEqual(other.got, replying(b"2"))
        self.assertEqual(world.pool.tally.thrownAway, 1)

    def test_bodiless(self) -> None:
        """
        After a reply to HEAD, and after 304, each with a length, the next client gets
        its own.
        """
        world = self.share()
        head, cached = world.client(asking(b"/", b"HEAD")), world.client(asking(b"/"))
        last = world.client(asking(b"/"))
        target = world.target()
        long = message(OK, b"Content-Length: 1000")
        target.say(long)
        self.assertEqual(head.got, long)
        unchanged = message(b"HTTP/1.1 304 Not Modified", b"Content-Length: 1000")
        target.say(unchanged)
        self.assertEqual(cached.got, unchanged)
        target.say(replying(b"mine"))
        self.assertEqual(last.got, replying(b"mine"))

    def test_refused(self) -> None:
        """
        What would be smuggled, or would take the connection for itself, does not reach
        the target, and others are served.
        """
        world = self.share()
        world.pool.start()
        target = world.target()
        for data, code in (
            (asking(b"/", b"POST", b"Content-Length: -1"), b"400"),
            (b"GET / HTTP/1.1\nHost: x\n\n", b"400"),
            (asking(b"/", b"GET", b"Upgrade: websocket"), b"501"),
            (message(b"CONNECT x:1 HTTP/1.1", b"Host: x:1"), b"501"),
        ):
            client = world.client(data)
            self.assertEqual(status(client.got), code)
            self.assertTrue(client.wire.ended)
        self.assertEqual(target.got, b"")
        client = world.client(asking(b"/"))
        target.say(replying(b"a"))
        self.assertEqual(client.got, replying(b"a"))


class BodiesTests(HTTPCase):
    """
    Requests with bodies.
    """

    def test_collected(self) -> None:
        """
        A body that drips does not keep the target from others; C{100 Continue} comes
        from us.
        """
        world = self.share()
        lines = b"Expect: 100-continue", b"Content-Length: 2"
        slow = world.client(asking(b"/slow", b"POST", *lines))
        self.assertEqual(slow.got, CONTINUE)
        slow.say(b"a")
        other = world.client(asking(b"/"))
        target = world.target()
        self.assertEqual(target.got, asking(b"/"))
        target.say(replying(b"1"))
        self.assertEqual(other.got, replying(b"1"))
        world.advance(1)
        slow.say(b"b")
        body = asking(b"/slow", b"POST", b"Content-Length: 2") + b"ab"
        self.assertEqual(target.got, body)
        target.say(replying(b"2"))
        self.assertEqual(slow.got, replying(b"2"))

    def test_streams(self) -> None:
        """
        A long one has the target for itself; after ten seconds without a byte client
        and target connection end, and the next client has another.
        """
        world = self.share(collect="4")
        head = asking(b"/", b"PUT", b"Content-Length: 9")
        client = world.client(head + b"0123")
        target = world.target()
        self.assertEqual(target.got, head + b"0123")
        other = world.client(asking(b"/"))
        client.say(b"45")
        self.assertEqual(target.got, b"45")
        world.advance(10)
        self.assertTrue(self.dropped(target))
        self.assertEqual(status(client.got), b"408")
        self.assertTrue(client.wire.ended)
        target = world.target()
        target.say(replying(b"a"))
        self.assertEqual(other.got, replying(b"a"))

    def test_earlyReply(self) -> None:
        """
        A target that declines a long body before it has it is heard; nobody is given
        that connection after.
        """
        world = self.share(collect="4")
        head = asking(b"/", b"PUT", b"Content-Length: 9")
        client = world.client(head + b"0123")
        target = world.target()
        reply = message(b"HTTP/1.1 413 Content Too Large", b"Content-Length: 0")
        target.say(reply)
        self.assertEqual(client.got, reply)
        self.assertTrue(client.wire.ended)
        self.assertTrue(self.dropped(target))

    def test_breaks(self) -> None:
        """
        A body that turns out to be none ends its client and that connection.
        """
        world = self.share(collect="1")
        head = asking(b"/", b"PUT", b"Transfer-Encoding: chunked")
        client = world.client(head + b"1\r\na\r\n")
        target = world.target()
        client.say(b"x\r\n")
        self.assertTrue(self.dropped(target))
        self.assertEqual(client.wire.over, "reset")


class TargetsTests(HTTPCase):
    """
    Targets that fail, each in its way.
    """

    def test_closesAfterEach(self) -> None:
        """
        One that closes after each reply, and says so, is dialled for each request; none
        fails.
        """
        world = self.share()
        client = world.client()
        for n in range(4):
            client.say(asking(b"/", b"POST"))
            target = world.target()
            target.say(replying(b"%d" % n, b"Connection: close"))
            self.assertEqual(client.got, replying(b"%d" % n))
            self.assertTrue(self.dropped(target))

    def test_endsWithConnection(self) -> None:
        """
        A reply without a length ends with the connection, for its client too.
        """
        world = self.share()
        client, other = world.client(asking(b"/")), world.client(asking(b"/"))
        target = world.target()
        target.say(message(b"HTTP/1.0 200 OK", body=b"all "))
        target.say(b"of it")
        target.leave()
        whole = message(OK, b"Connection: close", body=b"all of it")
        self.assertEqual(client.got, whole)
        self.assertTrue(client.wire.ended)
        world.target().say(replying(b"a"))
        self.assertEqual(other.got, replying(b"a"))

    def test_endsUnsaid(self) -> None:
        """
        One that ends without a word has GET once more, and once only; POST gets 502.
        """
        world = self.share()
        client = world.client(asking(b"/"))
        for _ in range(2):
            target = world.target()
            self.assertEqual(target.got, asking(b"/"))
            target.leave()
        self.assertEqual(status(client.got), b"502")
        client = world.client(asking(b"/", b"POST"))
        world.advance(10)
        world.target().leave()
        self.assertEqual(status(client.got), b"502")
        self.assertTrue(client.wire.ended)
        self.assertEqual(world.pool.tally.retries, 1)

    def test_halfReply(self) -> None:
        """
        One that dies in a short reply gives its client a 502; in a long one the client
        is cut, which it can tell from an end.
        """
        world = self.share()
        client = world.client(asking(b"/", b"POST"))
        target = world.target()
        target.say(replying(b"abc")[:-1])
        target.leave()
        self.assertEqual(status(client.got), b"502")
        client = world.client(asking(b"/", b"POST"))
        target = world.target()
        target.say(message(OK, b"Transfer-Encoding: chunked", body=b"2\r\na"))
        target.leave()
        self.assertEqual(status(client.got), b"200")
        self.assertEqual(client.wire.over, "reset")

    def test_late(self) -> None:
        """
        A reply that comes too late gives 504, and reaches nobody.
        """
        world = self.share(replyTimeout=5)
        client, other = world.client(asking(b"/")), world.client(asking(b"/2"))
        target = world.target()
        world.advance(5)
        self.assertEqual(status(client.got), b"504")
        target.say(replying(b"late"))
        target = world.target()
        self.assertEqual(target.got, asking(b"/2"))
        target.say(replying(b"2"))
        self.assertEqual(other.got, replying(b"2"))

    def test_slow(self) -> None:
        """
        One that takes its time with a short reply, but is not silent, is not late.
        """
        world = self.share(replyTimeout=5)
        client = world.client(asking(b"/"))
        target = world.target()
        target.say(replying(b"slow")[:-4])
        for byte in b"slow":
            self.assertEqual(client.got, b"")
            world.advance(4)
            target.say(bytes((byte,)))
        self.assertEqual(client.got, replying(b"slow"))

    def test_down(self) -> None:
        """
        While it is down clients wait; then they are told by 502, or are served, if it
        is back in time.
        """
        world = self.share(timeout=5)
        client = world.client(asking(b"/", b"HEAD"))
        world.refuse()
        world.advance(5)
        reply = client.got
        self.assertEqual(status(reply), b"502")
        self.assertTrue(reply.endswith(b"\r\n\r\n"), reply)
        client = world.client(asking(b"/"))
        world.advance(4)
        world.target().say(replying(b"a"))
        self.assertEqual(client.got, replying(b"a"))

    def test_full(self) -> None:
        """
        Where too many wait, and where one has waited too long for its turn, it is 503.
        """
        world = self.share(queue=1, timeout=5)
        world.pool.start()
        target = world.target()
        first, waits, full = (world.client(asking(b"/")) for _ in range(3))
        self.assertEqual(status(full.got), b"503")
        world.advance(5)
        self.assertEqual(status(waits.got), b"503")
        target.say(replying(b"a"))
        self.assertEqual(first.got, replying(b"a"))

    def test_nonsense(self) -> None:
        """
        What nobody asked for, and what is no reply, ends its connection: the next
        client never gets it.
        """
        world = self.share()
        client = world.client(asking(b"/"))
        target = world.target()
        target.say(replying(b"a") + replying(b"of another"))
        self.assertEqual(client.got, replying(b"a"))
        self.assertTrue(self.dropped(target))
        client.say(asking(b"/", b"POST"))
        target = world.target()
        both = b"Content-Length: 1", b"Content-Length: 2"
        target.say(message(OK, *both, body=b"ab"))
        self.assertEqual(status(client.got), b"502")
        self.assertTrue(self.dropped(target))
        self.assertEqual(world.pool.tally.unsolicited, 2)

    def test_idleWord(self) -> None:
        """
        A target that says 408 to a connection that idles is not believed.
        """
        world = self.share()
        world.pool.start()
        target = world.target()
        target.say(message(b"HTTP/1.1 408 Request Timeout", b"Content-Length: 0"))
        client = world.client(asking(b"/"))
        world.target().say(replying(b"a"))
        self.assertEqual(client.got, replying(b"a"))


class SettingsTests(HTTPCase):
    """
    What a share can be told that matters to HTTP.
    """

    def test_pipeline(self) -> None:
        """
        With C{--pipeline} several requests are under way; those behind the one with
        which the target closes are sent again if they may be.
        """
        world = self.share(pipeline=3)
        first = world.client(asking(b"/"))
        target = world.target()
        target.say(replying(b"0"))
        self.assertEqual((first.got, target.got), (replying(b"0"), asking(b"/")))
        world.advance(1)
        clients = [
            world.client(asking(b"/", method)) for method in (b"POST", b"GET", b"POST")
        ]
        self.assertEqual(target.got.count(b"HTTP/1.1"), 3)
        target.say(replying(b"1", b"Connection: close"))
        self.assertEqual(clients[0].got, replying(b"1"))
        self.assertEqual(status(clients[2].got), b"502")
        target = world.target()
        self.assertEqual(target.got, asking(b"/"))
        target.say(replying(b"2"))
        self.assertEqual(clients[1].got, replying(b"2"))

    def test_sticky(self) -> None:
        """
        With C{--sticky} a client may log its connection in, and nobody gets that one
        after it.
        """
        login = asking(b"/", b"GET", b"Authorization: NTLM TlRM")
        world = self.share()
        self.assertEqual(status(world.client(login).got), b"501")
        world = self.share(sticky=True)
        client = world.client(login)
        target = world.target()
        self.assertEqual(target.got, login)
        target.say(replying(b"welcome"))
        self.assertEqual(client.got, replying(b"welcome"))
        client.leave()
        self.assertTrue(self.dropped(target))

    def test_late(self) -> None:
        """
        A request that does not come to its end is answered 408.
        """
        world = self.share(whole=5)
        client = world.client(b"GET / HTTP/1.1\r\n")
        world.advance(5)
        self.assertEqual(status(client.got), b"408")

    def test_stops(self) -> None:
        """
        When the share stops and there is no more time, who waits is told by 503, and
        who does not is closed without a word.
        """
        world = self.share()
        waits, idle = world.client(asking(b"/")), world.client()
        world.target()
        world.pool.stop()
        self.assertEqual(status(waits.got), b"503")
        self.assertEqual(idle.got, b"")
        self.assertTrue(idle.wire.ended)
