"""
Tests for L{tunnelkit.tunnels.published}.
"""

from __future__ import annotations

import errno
from typing import Any

from twisted.internet.defer import Deferred

from tests.fakes import FakeChannel, FakeEnd, FakeRelay, TimedCase, session
from tests.logs import Log
from tunnelkit.control.leases.ports import Leases
from tunnelkit.control.session import TUNNELS, Refusal, Session
from tunnelkit.state.lease import Lease
from tunnelkit.state.store import MemoryStore
from tunnelkit.tunnels.kinds import PUBLIC
from tunnelkit.tunnels.published import PROBE, Published
from tunnelkit.tunnels.tcp import PublicTCP
from tunnelkit.wire import codes, packing
from tunnelkit.wire.address import HostPort
from tunnelkit.wire.codes import COMPRESS
from tunnelkit.wire.native.messages import Open, Ping
from tunnelkit.wire.ports import PortSet

IN_USE = OSError(errno.EADDRINUSE, "Address already in use")


class PublishedCase(TimedCase):
    """
    What a server publishes, in ports 9000 to 9019.
    """

    def setUp(self) -> None:
        """
        Publish nothing yet.
        """
        super().setUp()
        self.clock.advance(1000)
        self.log = Log(self)
        self.relay = FakeRelay()
        self.leases = Leases(
            MemoryStore(),
            PortSet.parse("9000-9019"),
            clock=self.clock,
            now=self.clock.seconds,
            choose=lambda below: 0,
        )
        self.leases.load()
        self.published = Published(
            {"tcp": self.leases}, self.relay, self.clock, PUBLIC, "127.0.0.1"
        )
        self.sessions: list[Session] = []
        self.addCleanup(self.logOut)

    def logOut(self) -> None:
        """
        End all sessions.
        """
        for one in self.sessions:
            one.end("", "the test is over")

    def logIn(self, **who: Any) -> tuple[Session, FakeChannel]:
        """
        Log a client in.
        """
        one, channel = session(self.clock, **who)
        one.heartbeat.start()
        self.sessions.append(one)
        return one, channel

    def open(
        self, session: Session, tunnel: str = "web", port: int = 0, **more: Any
    ) -> Deferred[Any]:
        """
        Ask for a tunnel.
        """
        request = Open(1, tunnel, more.pop("kind", "tcp"), port, **more)
        return Deferred.fromCoroutine(self.published.open(session, request))

    def opened(self, session: Session, tunnel: str = "web", port: int = 0) -> PublicTCP:
        """
        Ask for a tunnel, and get it at once.
        """
        opened: PublicTCP = self.successResultOf(self.open(session, tunnel, port))
        return opened

    def refusal(self, opening: Deferred[PublicTCP]) -> Refusal:
        """
        Give why a tunnel was refused.
        """
        refusal = self.failureResultOf(opening, Refusal).value
        assert isinstance(refusal, Refusal)
        return refusal


class OpenTests(PublishedCase):
    """
    A client publishes a service.
    """

    def test_open(self) -> None:
        """
        It gets a port and a public address with the host that it dialled; visitors
        may come.
        """
        one, _ = self.logIn()
        tunnel = self.opened(one)
        self.assertEqual(tunnel.address, "tcp://vps.example.org:9000")
        self.assertEqual(self.relay.ports[9000].address, HostPort("127.0.0.1", 9000))
        self.assertEqual(one.tunnels, {"web": tunnel})
        self.assertEqual(
            self.log.lines("info"), ["tcp://vps.example.org:9000 is laptop's web"]
        )

    def test_compressed(self) -> None:
        """
        Visitors' bytes are compressed where the client asks for it.
        """
        one, _ = self.logIn()
        tunnel = self.successResultOf(self.open(one, compress="deflate"))
        self.assertEqual(tunnel.compress, "deflate")
        self.assertEqual(self.opened(one, "plain").compress, "")

    def test_cannotCompress(self) -> None:
        """
        A server that cannot compress so says that, and what to do; no port is used up.
        """
        self.patch(packing, "library", lambda: None)
        one, _ = self.logIn()
        for compress, words in (
            ("lz4", "does not compress by 'lz4', only by deflate or zstd"),
            ("zstd", "has no library for zstd: install tunnelkit[zstd] there, or ask"),
        ):
            refusal = self.refusal(self.open(one, compress=compress))
            self.assertEqual((refusal.code, refusal.retry), (COMPRESS, False))
            self.assertIn(f"this server {words}", refusal.reason)
        self.assertEqual(self.relay.ports, {})

    def test_flood(self) -> None:
        """
        A client that opens and closes without end does not fill the log, where there
        is no more room for lines about its user.
        """
        room = [True, False]
        one, _ = self.logIn(room=lambda user: room.pop(0))
        for _ in range(2):
            self.opened(one)
            one.withdraw("web")
        self.assertEqual(len(self.log.lines("info")), 1)
        self.assertEqual(room, [])

    def test_hostname(self) -> None:
        """
        A server that has a name of its own prints that.
        """
        published = Published(
            {"tcp": self.leases}, self.relay, self.clock, PUBLIC, hostname="2001:db8::1"
        )
        one, _ = self.logIn()
        opening = published.open(one, Open(1, "web", "tcp", 9005))
        tunnel = self.successResultOf(Deferred.fromCoroutine(opening))
        self.assertEqual(tunnel.address, "tcp://[2001:db8::1]:9005")

    def test_port(self) -> None:
        """
        A client that asks for a port gets that one.
        """
        one, _ = self.logIn()
        self.assertEqual(self.opened(one, "ssh", 9007).lease.port, 9007)

    def test_denied(self) -> None:
        """
        A port outside of the server's is refused for good.
        """
        one, _ = self.logIn()
        refusal = self.refusal(self.open(one, port=80))
        self.assertEqual((refusal.code, refusal.retry), (codes.PORT_DENIED, False))
        self.assertIn("port 80 is not among those", refusal.reason)

    def test_kind(self) -> None:
        """
        A kind that the server does not know is refused by name.
        """
        one, _ = self.logIn()
        refusal = self.refusal(self.open(one, kind="carrier-pigeon"))
        self.assertEqual((refusal.code, refusal.retry), (codes.KIND, False))
        self.assertEqual(
            refusal.reason,
            "this server publishes no 'carrier-pigeon', only private, private-udp, tcp,"
            " udp",
        )

    def test_name(self) -> None:
        """
        A tunnel's name is 1 to 200 printable characters without spaces.
        """
        one, _ = self.logIn()
        for name in ("", "x" * 201, "two words", "a\nb", "\x1b[2J"):
            refusal = self.refusal(self.open(one, name))
            self.assertEqual((refusal.code, refusal.retry), (codes.NAME, False))
            self.assertTrue(refusal.reason.isprintable())
        self.opened(one, "x" * 200)

    def test_nameTwice(self) -> None:
        """
        A name is good once in a client, and again when its tunnel is gone.
        """
        one, other = self.logIn()[0], self.logIn(instance="i2", client="desk")[0]
        tunnel = self.opened(one)
        refusal = self.refusal(self.open(one))
        self.assertEqual((refusal.code, refusal.retry), (codes.NAME, True))
        self.assertIn("'web'", refusal.reason)
        self.opened(other)
        one.tunnels.pop("web")
        tunnel.withdraw()
        self.opened(one)

    def test_nameTwiceAtOnce(self) -> None:
        """
        Two requests for one name at once are one tunnel.
        """
        one, _ = self.logIn()
        self.relay.slow = True
        self.opened(one, "other", 9001).withdraw()
        first, second = self.open(one), self.open(one)
        self.assertEqual(self.refusal(second).code, codes.NAME)
        self.free(self.relay.ports[9001])
        self.successResultOf(first)

    def free(self, port: Any) -> None:
        """
        Have a port be free at last.
        """
        port.stopping.callback(None)

    def test_hundred(self) -> None:
        """
        A client has a hundred tunnels at most, and they all work.
        """
        leases = Leases(
            MemoryStore(),
            PortSet.parse("9000-9999"),
            clock=self.clock,
            now=self.clock.seconds,
            choose=lambda below: 0,
        )
        leases.load()
        self.published = Published({"tcp": leases}, self.relay, self.clock, PUBLIC)
        one, _ = self.logIn()
        for number in range(TUNNELS):
            self.opened(one, f"tunnel{number}")
        refusal = self.refusal(self.open(one, "one-more"))
        self.assertEqual((refusal.code, refusal.retry), (codes.FULL, False))
        self.assertEqual(len(self.relay.ports), TUNNELS)

    def test_close(self) -> None:
        """
        A server that is stopping publishes nothing more, and what there is stays.
        """
        one, _ = self.logIn()
        tunnel = self.opened(one)
        self.published.close()
        refusal = self.refusal(self.open(one, "more"))
        self.assertEqual((refusal.code, refusal.retry), (codes.DRAINING, True))
        self.assertEqual(one.tunnels, {"web": tunnel})

    def test_status(self) -> None:
        """
        The admin rooms show all tunnels of all clients.
        """
        one, other = self.logIn()[0], self.logIn(instance="i2", client="desk")[0]
        self.opened(one)
        self.opened(one, "ssh")
        self.opened(other)
        self.assertEqual(
            [(s.client, s.name) for s in self.published.status(self.sessions)],
            [("laptop", "web"), ("laptop", "ssh"), ("desk", "web")],
        )

    def test_statusWithdrawn(self) -> None:
        """
        A tunnel that was withdrawn is among them for as long as it has visitors, also
        where another one has its name meanwhile.
        """
        one, _ = self.logIn()
        self.opened(one)
        self.relay.ports[9000].arrived(FakeEnd())
        one.withdraw("web")
        self.opened(one)
        self.assertEqual(
            [(s.withdrawn, s.streams) for s in self.published.status(self.sessions)],
            [(False, 0), (True, 1)],
        )
        self.clock.advance(10)
        (left,) = self.published.status(self.sessions)
        self.assertEqual((left.withdrawn, left.streams), (False, 0))


class EndingTests(PublishedCase):
    """
    Sessions end at any time.
    """

    def test_portIsOursAgain(self) -> None:
        """
        A client that comes back while its old port is still being closed gets it when
        that is closed.
        """
        one, _ = self.logIn()
        self.opened(one, port=9003)
        self.relay.slow = True
        one.end("", "lost")
        again, _ = self.logIn(instance="i2")
        opening = self.open(again)
        self.assertNoResult(opening)
        self.relay.slow = False
        self.freeAll()
        self.assertEqual(self.successResultOf(opening).lease.port, 9003)
        self.assertEqual(self.published._closing, set())

    def freeAll(self) -> None:
        """
        Have all ports be free that are being closed.
        """
        for port in [*self.relay.ports.values()]:
            if port.stopping is not None:
                port.stopping.callback(None)

    def test_sessionEndsMeanwhile(self) -> None:
        """
        A session that ends while a port is waited for leaves no port behind and no
        name.
        """
        one, _ = self.logIn()
        self.relay.slow = True
        self.opened(one, "old", 9003).withdraw()
        opening = self.open(one, "new", 9004)
        one.end("", "lost")
        self.freeAll()
        self.assertEqual(self.refusal(opening).code, codes.WITHDRAWN)
        self.assertEqual((self.relay.ports, one.opening, one.tunnels), ({}, {}, {}))
        again, _ = self.logIn(instance="i2")
        self.opened(again, "new", 9004)

    def test_serverStopsMeanwhile(self) -> None:
        """
        Nor does a server that begins to stop.
        """
        one, _ = self.logIn()
        self.relay.slow = True
        self.opened(one, "old", 9003).withdraw()
        opening = self.open(one, "new", 9004)
        self.published.close()
        self.freeAll()
        self.assertEqual(self.refusal(opening).code, codes.DRAINING)
        self.assertEqual(self.relay.ports, {})

    def test_portDoesNotClose(self) -> None:
        """
        Trouble at closing a port is in the log and holds up nobody.
        """
        one, _ = self.logIn()
        self.relay.slow = True
        self.opened(one, "old", 9003).withdraw()
        stopping = self.relay.ports[9003].stopping
        assert stopping is not None
        stopping.errback(ZeroDivisionError())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.opened(one, "new", 9004)

    def test_releases(self) -> None:
        """
        A tunnel's port stays its own when it has ended; one without a lease is free.
        """
        one, _ = self.logIn()
        self.opened(one, port=9003)
        passing = Open(1, "check", "tcp", 9004, lease=False)
        self.successResultOf(Deferred.fromCoroutine(self.published.open(one, passing)))
        one.end("", "lost")
        bob, _ = self.logIn(user="bob", instance="i2")
        self.assertEqual(
            self.refusal(self.open(bob, port=9003)).code, codes.PORT_LEASED
        )
        self.opened(bob, port=9004)


class ContestTests(PublishedCase):
    """
    Two clients of one user ask for the same port.
    """

    def setUp(self) -> None:
        """
        Have one client publish.
        """
        super().setUp()
        self.holder, self.channel = self.logIn()
        self.tunnel = self.opened(self.holder)
        self.pings = len(self.channel.messages)

    def probes(self) -> list[Ping]:
        """
        Give the pings that were sent to the holder since.
        """
        return [
            message
            for message in self.channel.messages[self.pings :]
            if isinstance(message, Ping)
        ]

    def answer(self) -> None:
        """
        Have the holder answer the last ping.
        """
        self.holder.heartbeat.heard()
        self.holder.heartbeat.answered(self.probes()[-1].at)

    def test_differentThings(self) -> None:
        """
        Two clients on one host that publish different things just work.
        """
        other, _ = self.logIn(instance="i2")
        self.assertEqual(self.opened(other, "ssh").lease.port, 9001)
        self.assertFalse(self.holder.over)
        self.assertEqual(self.probes(), [])

    def test_alive(self) -> None:
        """
        A client that publishes what another, live one has is told by whom, from
        where, and what to do.
        """
        other, _ = self.logIn(instance="i2")
        opening = self.open(other)
        self.assertNoResult(opening)
        self.clock.advance(0.1)
        self.answer()
        refusal = self.refusal(opening)
        self.assertEqual((refusal.code, refusal.retry), (codes.PORT_LIVE, True))
        self.assertEqual(
            refusal.reason,
            "port 9000 is published by laptop from 192.0.2.7:5000, which is alive:"
            " stop that client, or give this one another port, or another name"
            " where it asks for none",
        )
        self.assertEqual(self.holder.tunnels, {"web": self.tunnel})

    def test_askedAgain(self) -> None:
        """
        Who asks again is answered without another probe, so that one lost packet in
        many tries does not cut a live client.
        """
        other, _ = self.logIn(instance="i2")
        opening = self.open(other)
        self.answer()
        self.refusal(opening)
        for _ in range(3):
            self.assertEqual(self.refusal(self.open(other)).code, codes.PORT_LIVE)
        self.assertEqual(len(self.probes()), 1)

    def test_frozen(self) -> None:
        """
        A client that does not answer in 0.4 s has lost its port, and its whole
        session; the other serves.
        """
        other, _ = self.logIn(instance="i2", client="laptop")
        opening = self.open(other)
        self.clock.advance(0.39)
        self.assertNoResult(opening)
        self.clock.advance(0.02)
        self.assertEqual(self.successResultOf(opening).lease.port, 9000)
        self.assertTrue(self.holder.over)
        self.assertEqual(self.channel.left[0][0], codes.DISPLACED)
        self.assertEqual(self.channel.left[0][1], "laptop has taken over its tunnels")
        self.assertEqual(
            self.log.lines("warn"),
            [
                f"session {self.holder.shown} does not answer: laptop takes over",
            ],
        )

    def test_closedMeanwhile(self) -> None:
        """
        A tunnel that is closed while the server still asks who has its port is not
        published behind its owner's back.
        """
        other, _ = self.logIn(instance="i2", client="laptop")
        opening = self.open(other)
        other.opening["web"] = False
        self.clock.advance(0.41)
        self.assertEqual(self.refusal(opening).code, codes.WITHDRAWN)
        self.assertEqual((self.relay.ports, other.tunnels), ({}, {}))

    def test_frozenWithMany(self) -> None:
        """
        A successor that publishes all the frozen client had gets everything at once.
        """
        for name in ("ssh", "mail"):
            self.opened(self.holder, name)
        other, _ = self.logIn(instance="i2")
        openings = [self.open(other, name) for name in ("web", "ssh", "mail")]
        self.clock.advance(0.4)
        ports = [self.successResultOf(opening).lease.port for opening in openings]
        self.assertEqual(ports, [9000, 9001, 9002])

    def test_farAway(self) -> None:
        """
        A client far away has four times its round trip to answer, but no more than
        two seconds.
        """
        for roundTrip, patience in ((0.2, 0.8), (1.5, 2.0)):
            self.holder.heartbeat.roundTrip = roundTrip
            other, _ = self.logIn(instance=f"{roundTrip}")
            opening = self.open(other, port=self.tunnel.lease.port)
            self.clock.advance(patience - 0.01)
            self.assertNoResult(opening)
            self.clock.advance(0.01)
            self.holder, self.tunnel = other, self.successResultOf(opening)

    def test_flood(self) -> None:
        """
        Two clients of a user that take over from each other without end do not fill
        the log either.
        """
        other, _ = self.logIn(instance="i2", room=lambda user: False)
        opening = self.open(other)
        self.clock.advance(0.4)
        self.successResultOf(opening)
        self.assertEqual(self.log.lines("warn"), [])

    def test_goesMeanwhile(self) -> None:
        """
        A client that leaves while it is asked makes room at once.
        """
        other, _ = self.logIn(instance="i2")
        opening = self.open(other)
        self.holder.end("", "the client said good-bye")
        self.assertEqual(self.successResultOf(opening).lease.port, 9000)
        self.assertEqual(self.log.lines("warn"), [])

    def test_askerGoesMeanwhile(self) -> None:
        """
        Where who asked has gone when the answer is there, nothing is opened.
        """
        other, _ = self.logIn(instance="i2")
        opening = self.open(other)
        other.end("", "lost")
        self.clock.advance(0.4)
        self.assertEqual(self.refusal(opening).code, codes.WITHDRAWN)
        self.assertEqual(self.relay.ports, {})

    def test_twoAsk(self) -> None:
        """
        Of two who ask for the port of a dead client one gets it, and the other is
        told by whom it is published.
        """
        one, two = self.logIn(instance="i2")[0], self.logIn(instance="i3")[0]
        first, second = self.open(one), self.open(two)
        self.clock.advance(0.4)
        self.successResultOf(second)
        self.assertNoResult(first)
        two.heartbeat.answered(int(self.clock.seconds() * 1e6))
        self.assertEqual(self.refusal(first).code, codes.PORT_LIVE)

    def test_another(self) -> None:
        """
        Another user is refused without a probe.
        """
        bob, _ = self.logIn(user="bob", instance="i2")
        refusal = self.refusal(self.open(bob, port=9000))
        self.assertEqual((refusal.code, refusal.retry), (codes.PORT_LEASED, True))
        self.assertEqual(self.probes(), [])

    def test_memory(self) -> None:
        """
        However many ask in vain, what is remembered of them is bounded.
        """
        for number in range(300):
            other, _ = self.logIn(instance=f"n{number}")
            opening = self.open(other)
            if self.probes():
                self.answer()
            self.refusal(opening)
        self.assertTrue(len(self.holder.contenders) <= 100)

    def test_leftBehind(self) -> None:
        """
        A port that a session which has ended still holds, by a bug of the server's,
        is anybody's of the same user, also for who was refused while it lived; nobody
        is told that it lives.
        """
        known, other = self.logIn(instance="i2")[0], self.logIn(instance="i3")[0]
        opening = self.open(known)
        self.answer()
        self.refusal(opening)
        patch = self.patch(self.leases, "release", lambda *_: None)
        self.holder.end("", "lost")
        patch.restore()
        for one in (known, other):
            opening = self.open(one)
            self.clock.advance(PROBE[0])
            tunnel = self.successResultOf(opening)
            self.assertEqual(tunnel.lease.port, 9000)
            one.end("", "lost")

    def test_neverLetGo(self) -> None:
        """
        Where it cannot even be taken from it, who asks for it waits, and nobody else
        does.
        """
        other, _ = self.logIn(instance="i2")
        patch = self.patch(self.leases, "release", lambda *_: None)
        self.holder.end("", "lost")
        opening = self.open(other)
        for _ in range(3):
            self.clock.advance(PROBE[0])
            self.assertNoResult(opening)
        patch.restore()
        for _ in range(2):
            self.clock.advance(PROBE[0])
        self.successResultOf(opening)

    def test_names(self) -> None:
        """
        What a client calls itself does no harm to another one's terminal, or the log.
        """
        rude, channel = self.logIn(instance="i2", client="x\n\x1b[2J")
        self.opened(rude, "rude", 9010)
        other, _ = self.logIn(instance="i3")
        opening = self.open(other, port=9010)
        ping = channel.messages[-1]
        assert isinstance(ping, Ping)
        rude.heartbeat.answered(ping.at)
        self.assertTrue(self.refusal(opening).reason.isprintable())
        self.assertTrue(all(line.isprintable() for line in self.log.lines("info")))


class TakenTests(PublishedCase):
    """
    Other programs use ports, too.
    """

    def test_asked(self) -> None:
        """
        A port that another program has is refused to who asked for it, for a while;
        whose it is is told in the log alone, and once.
        """
        self.relay.taken[9003] = IN_USE
        one, _ = self.logIn()
        for _ in range(2):
            refusal = self.refusal(self.open(one, port=9003))
        self.assertEqual((refusal.code, refusal.retry), (codes.PORT_TAKEN, True))
        self.assertEqual(
            refusal.reason,
            "port 9003 is in use by another program on the server's machine: stop that,"
            " or ask for another port",
        )
        (line,) = self.log.lines("warn")
        self.assertIn("cannot listen on public port 9003: Address already in", line)

    def test_freeAgain(self) -> None:
        """
        When that program has gone the port is to be had, and if it comes back that is
        news.
        """
        one, _ = self.logIn()
        for _ in range(2):
            self.relay.taken[9003] = IN_USE
            self.refusal(self.open(one, port=9003))
            del self.relay.taken[9003]
            self.opened(one, port=9003).withdraw()
            one.tunnels.clear()
        self.assertEqual(len(self.log.lines("warn")), 2)

    def test_noLeaseIsLeft(self) -> None:
        """
        A port that could not be had belongs to nobody afterwards.
        """
        self.relay.taken[9003] = IN_USE
        one, _ = self.logIn()
        self.refusal(self.open(one, port=9003))
        self.relay.taken.clear()
        bob, _ = self.logIn(user="bob", instance="i2")
        self.opened(bob, port=9003)

    def test_picked(self) -> None:
        """
        Where the server picks, it moves on to a port that is free, without a word.
        """
        self.relay.taken = {9000: IN_USE, 9001: IN_USE, 9002: IN_USE}
        one, _ = self.logIn()
        self.assertEqual(self.opened(one).lease.port, 9003)
        self.assertEqual(self.log.lines("warn"), [])

    def test_ownIsTaken(self) -> None:
        """
        A tunnel whose own port another program has taken gets another one.
        """
        one, _ = self.logIn()
        self.opened(one, port=9005)
        one.end("", "lost")
        self.relay.taken[9005] = IN_USE
        two, _ = self.logIn(instance="i2")
        self.assertEqual(self.opened(two).lease.port, 9000)

    def test_allTaken(self) -> None:
        """
        Where nothing can be had, the server gives up after some tries.
        """
        self.relay.taken = dict.fromkeys(range(9000, 9020), IN_USE)
        one, _ = self.logIn()
        refusal = self.refusal(self.open(one))
        self.assertEqual((refusal.code, refusal.retry), (codes.PORT_TAKEN, True))
        self.assertEqual(one.opening, {})

    def test_otherReason(self) -> None:
        """
        Where it is not another program, that is not said.
        """
        self.relay.taken[9003] = OSError(errno.EACCES, "Permission denied")
        one, _ = self.logIn()
        refusal = self.refusal(self.open(one, port=9003))
        self.assertEqual(refusal.code, codes.PORT_TAKEN)
        self.assertIn("port 9003 ([Errno 13] Permission denied)", refusal.reason)

    def test_plain(self) -> None:
        """
        It does not matter in which words the system says it: the client is refused
        for a while, and where the server picks it moves on.
        """
        self.relay.bugs[9000] = IN_USE
        one, _ = self.logIn()
        refusal = self.refusal(self.open(one, port=9000))
        self.assertEqual((refusal.code, refusal.retry), (codes.PORT_TAKEN, True))
        self.assertIn("in use by another program", refusal.reason)
        self.assertEqual(self.opened(one).lease.port, 9001)
        self.relay.bugs.clear()
        bob, _ = self.logIn(user="bob", instance="i2")
        self.opened(bob, port=9000)

    def test_bug(self) -> None:
        """
        A bug at opening a port costs that one try: the next who asks for the port has
        it at once, whoever it is.
        """
        self.relay.bugs[9003] = ZeroDivisionError()
        one, channel = self.logIn()
        said = len(channel.messages)
        self.failureResultOf(self.open(one, port=9003), ZeroDivisionError)
        self.assertEqual((one.opening, one.tunnels), ({}, {}))
        self.relay.bugs.clear()
        other, _ = self.logIn(instance="i2")
        self.opened(other, port=9003)
        self.assertEqual((len(channel.messages), one.over), (said, False))

    def test_leases(self) -> None:
        """
        After a restart of the server, an unused lease is still its user's.
        """
        store = MemoryStore([Lease("tcp", 9003, "ann", "laptop", "web", 999.0)])
        leases = Leases(
            store,
            PortSet.parse("9000-9019"),
            clock=self.clock,
            now=self.clock.seconds,
            choose=lambda below: 0,
        )
        leases.load()
        self.published = Published({"tcp": leases}, self.relay, self.clock, PUBLIC)
        one, _ = self.logIn()
        self.assertEqual(self.opened(one).lease.port, 9003)
