"""
Tests for L{tunnelkit.control.leases.ports}.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from twisted.internet.defer import Deferred, fail, maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.control.leases.claims import Contested, Denied
from tunnelkit.control.leases.ports import Leases
from tunnelkit.state.lease import ILeaseStore, Lease
from tunnelkit.state.store import MemoryStore, Place, SQLiteStore
from tunnelkit.wire import codes
from tunnelkit.wire.ports import PortSet

DAY = 24 * 3600.0
START = 1_000_000.0


class Session:
    """
    Somebody who holds leases.
    """


class FickleStore(MemoryStore):
    """
    A store that can be made to fail.
    """

    full = False

    def write(self, kept: Iterable[Lease], dropped: Iterable[Place]) -> Deferred[None]:
        if self.full:
            return fail(OSError("leases.db cannot be written (disk is full)"))
        return super().write(kept, dropped)


def lowest(below: int) -> int:
    """
    Choose without chance.
    """
    return 0


def begun(
    store: ILeaseStore,
    clock: Clock,
    ports: str = "9000-9009",
    choose: Callable[[int], int] = lowest,
    space: str = "tcp",
    unused: int = 100,
) -> Leases:
    """
    Start a server's leases.
    """
    leases = Leases(
        store,
        PortSet.parse(ports),
        clock=clock,
        now=clock.seconds,
        choose=choose,
        space=space,
        unused=unused,
    )
    leases.load()
    return leases


class LeasesCase(SynchronousTestCase):
    """
    Leases of a server, its store and its clock.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(START)
        self.store = FickleStore()
        self.leases = begun(self.store, self.clock)
        self.session = Session()

    def claim(
        self,
        port: int = 0,
        user: str = "ann",
        client: str = "laptop",
        tunnel: str = "web",
        holder: object = None,
        lasting: bool = True,
        avoid: Collection[int] = (),
    ) -> Lease:
        """
        Claim a port, by default for C{self.session}.
        """
        session = holder or self.session
        return self.leases.claim(user, client, tunnel, port, session, lasting, avoid)

    def leave(self, port: int = 0, user: str = "ann", tunnel: str = "web") -> Lease:
        """
        Leave an unused lease behind.
        """
        lease = self.claim(port, user, tunnel=tunnel)
        self.leases.release(lease, self.session)
        return lease

    def denied(
        self, port: int = 0, user: str = "ann", avoid: Collection[int] = ()
    ) -> Denied:
        """
        Claim a port in vain.
        """
        error: Denied = self.assertRaises(
            Denied, self.claim, port, user=user, avoid=avoid
        )
        self.assertEqual(str(error), error.reason)
        return error

    def restart(self, ports: str = "9000-9009") -> None:
        """
        Kill the server and start it again.
        """
        self.leases = begun(self.store, self.clock, ports)


class PickTests(LeasesCase):
    """
    A tunnel that asks for no port gets one.
    """

    def picked(self, allowed: str, choose: Callable[[int], int] = lowest) -> int:
        leases = begun(MemoryStore(), self.clock, allowed, choose)
        return leases.claim("ann", "laptop", "web", 0, self.session).port

    def test_outsideTheEphemeralRange(self) -> None:
        """
        Picked ports are from 20000 to 29999, where no outgoing connection of the
        machine is in the way.
        """
        self.assertEqual(self.picked("1024-65535"), 20000)
        self.assertEqual(self.picked("1024-65535", lambda n: n - 1), 29999)
        self.assertEqual(self.picked("29000-40000,50-60"), 29000)

    def test_fewAllowedThere(self) -> None:
        """
        Where fewer than 100 of those are allowed, all that are allowed will do.
        """
        self.assertEqual(self.picked("9000,20000-20098"), 9000)
        self.assertEqual(self.picked("9000,20000-20099"), 20000)
        self.assertEqual(self.picked("443"), 443)

    def test_random(self) -> None:
        """
        A picked port cannot be foretold from those before.
        """
        asked: list[int] = []

        def choose(below: int) -> int:
            asked.append(below)
            return 4711

        self.assertEqual(self.picked("1024-65535", choose), 24711)
        self.assertEqual(asked, [10000])

    def test_free(self) -> None:
        """
        Every port is given once, used and unused ones alike.
        """
        ports = {self.claim(tunnel=f"t{n}").port for n in range(5)}
        ports |= {self.leave(tunnel=f"u{n}").port for n in range(5)}
        self.assertEqual(ports, set(range(9000, 9010)))

    def test_nothingFree(self) -> None:
        """
        When all ports are in use, that is said, with what to do.
        """
        for n in range(10):
            self.claim(user="bob", tunnel=f"t{n}")
        error = self.denied()
        self.assertEqual((error.code, error.retry), (codes.PORT_LEASED, True))
        self.assertEqual(
            error.reason,
            "none of the 10 ports that this server picks from (9000-9009) is free: try"
            " later, or have --ports widened there",
        )

    def test_noneAllowed(self) -> None:
        """
        A server that gives out no port at all says the same.
        """
        leases = Leases(
            self.store, PortSet(), clock=self.clock, now=self.clock.seconds, choose=abs
        )
        self.assertRaises(Denied, leases.claim, "ann", "laptop", "web", 0, self.session)

    def test_ownOldestUnused(self) -> None:
        """
        A user whose own unused leases are in the way gets the oldest of them, and
        never another user's.
        """
        self.leave(user="bob")
        for n in range(9):
            self.clock.advance(1)
            self.leave(9009 - n, tunnel=f"t{n}")
        self.restart()
        self.assertEqual(self.claim(tunnel="new").port, 9009)
        self.assertEqual(self.claim(tunnel="newer").port, 9008)
        self.denied(user="carol")

    def test_expiredIsFree(self) -> None:
        """
        A lease that nobody has used for a day is given to others.
        """
        self.claim()
        for n in range(9):
            self.leave(tunnel=f"t{n}")
        self.clock.advance(DAY - 1)
        self.denied(user="bob")
        self.clock.advance(1)
        self.assertEqual(self.claim(user="bob").port, 9001)


class RememberTests(LeasesCase):
    """
    A tunnel gets its own port again.
    """

    def setUp(self) -> None:
        super().setUp()
        self.leave(9005)

    def test_sameTunnel(self) -> None:
        """
        A client that comes back within a day has its port.
        """
        self.clock.advance(DAY - 1)
        self.assertEqual(self.claim().port, 9005)

    def test_dayFromTheEnd(self) -> None:
        """
        The day begins when the tunnel ends, however long it was up.
        """
        lease = self.claim()
        self.clock.advance(10 * DAY)
        self.leases.release(lease, self.session)
        self.clock.advance(DAY - 1)
        self.assertEqual(self.claim().port, 9005)

    def test_aDayLater(self) -> None:
        """
        After a day it is one among others.
        """
        self.clock.advance(DAY)
        self.assertEqual(self.claim().port, 9000)

    def test_others(self) -> None:
        """
        Another tunnel, client or user gets another port.
        """
        self.assertEqual(self.claim(tunnel="ssh").port, 9000)
        self.assertEqual(self.claim(client="desk").port, 9001)
        self.assertEqual(self.claim(user="bob").port, 9002)

    def test_takenOver(self) -> None:
        """
        A user's other tunnel takes an unused port over by asking for it, and has it
        again later without asking; who had it gets another.
        """
        lease = self.claim(9005, client="desk", tunnel="ssh")
        self.assertEqual((lease.client, lease.tunnel), ("desk", "ssh"))
        self.leases.release(lease, self.session)
        self.assertEqual(self.claim().port, 9000)
        self.assertEqual(self.claim(client="desk", tunnel="ssh").port, 9005)

    def test_latest(self) -> None:
        """
        A tunnel that had several ports gets the one that it had last, and the one
        before when that has been taken over.
        """
        self.leave(9007)
        lease = self.claim()
        self.assertEqual(lease.port, 9007)
        self.leases.release(lease, self.session)
        self.claim(9007, tunnel="ssh")
        self.assertEqual(self.claim().port, 9005)

    def test_latestAfterARestart(self) -> None:
        """
        So it is when the server was started again meanwhile.
        """
        self.leave(9007)
        self.clock.advance(1)
        self.leave(9005)
        self.restart()
        self.assertEqual(self.claim().port, 9005)

    def test_noLongerAllowed(self) -> None:
        """
        A port that the server does not give out any more is not given again.
        """
        self.restart(ports="9000-9004")
        self.assertEqual(self.claim().port, 9000)

    def test_inTheWay(self) -> None:
        """
        Where another program uses the remembered port, another one is picked.
        """
        lease = self.claim()
        self.leases.cancel(lease, self.session)
        self.assertEqual(self.claim(avoid={9005}).port, 9000)


class DeniedTests(LeasesCase):
    """
    Who cannot have a port is told why and what to do.
    """

    def test_outside(self) -> None:
        """
        A port that is not given out is refused for good, with those that are.
        """
        for port in (8999, 9010, 22, 65536, 2**63 - 1):
            error = self.denied(port)
            self.assertEqual((error.code, error.retry), (codes.PORT_DENIED, False))
            self.assertEqual(
                error.reason,
                f"port {port} is not among those that this server gives to clients"
                " (--ports 9000-9009): ask for one of these, or for none",
            )

    def test_anotherUsers(self) -> None:
        """
        Another user's port is refused, live or not, and that user is not named.
        """
        live, unused = self.claim(user="bob"), self.leave(user="bob", tunnel="ssh")
        for lease in (live, unused):
            error = self.denied(lease.port)
            self.assertEqual((error.code, error.retry), (codes.PORT_LEASED, True))
            self.assertEqual(
                error.reason,
                f"port {lease.port} is leased to another user: ask for another port,"
                " or for none",
            )

    def test_anotherUsersExpired(self) -> None:
        """
        After a day without use another user's port is free.
        """
        lease = self.leave(user="bob")
        self.clock.advance(DAY)
        self.assertEqual(self.claim(lease.port).user, "ann")

    def test_liveDoesNotExpire(self) -> None:
        """
        A tunnel that is up keeps its port, however long.
        """
        lease = self.claim(user="bob")
        self.clock.advance(10 * DAY)
        self.assertEqual(self.denied(lease.port).code, codes.PORT_LEASED)

    def test_sameSession(self) -> None:
        """
        Two tunnels of one client cannot have the same port.
        """
        lease = self.claim(tunnel="ssh")
        error = self.denied(lease.port)
        self.assertEqual((error.code, error.retry), (codes.PORT_LIVE, False))
        self.assertEqual(
            error.reason,
            "port 9000 is published by tunnel ssh of this client already: give each"
            " tunnel a port of its own",
        )

    def test_anotherProgram(self) -> None:
        """
        A port that was asked for and is in use on the machine is refused, never
        changed without a word.
        """
        error = self.denied(9003, avoid={9003})
        self.assertEqual((error.code, error.retry), (codes.PORT_TAKEN, True))
        self.assertEqual(
            error.reason,
            "port 9003 is in use by another program on the server's machine: stop"
            " that, or ask for another port, or for none",
        )

    def test_allTaken(self) -> None:
        """
        When other programs use all ports, the search ends.
        """
        self.leave(9003)
        self.denied(avoid=set(range(9000, 9010)))

    def test_nothingChanged(self) -> None:
        """
        A refused claim leaves everything as it was.
        """
        self.leave(user="bob")
        before = self.store.load()
        self.denied(9000)
        self.denied(1)
        self.assertEqual(self.store.load(), before)


class ContestedTests(LeasesCase):
    """
    Two live sessions of a user want the same.
    """

    def contested(self, port: int, client: str = "laptop") -> Contested:
        error: Contested = self.assertRaises(
            Contested, self.claim, port, client=client, holder=Session()
        )
        return error

    def test_samePort(self) -> None:
        """
        Whoever asks for a live port of the same user learns who has it.
        """
        lease = self.claim(9003)
        for client in ("laptop", "desk"):
            error = self.contested(9003, client)
            self.assertEqual(error.lease, lease)
            self.assertIs(error.holder, self.session)

    def test_sameTunnel(self) -> None:
        """
        Two live clients that publish the same contest its port, without asking for
        one.
        """
        lease = self.claim()
        self.assertEqual(self.contested(0).lease, lease)

    def test_otherTunnel(self) -> None:
        """
        Two on one host that publish different things just work.
        """
        self.claim(tunnel="web")
        other = self.claim(tunnel="ssh", holder=Session())
        self.assertEqual(other.port, 9001)

    def test_displaced(self) -> None:
        """
        When the holder has not answered and was displaced, the successor has the
        port, and the old session's end, late or twice, does not take it away.
        """
        old = self.claim()
        self.contested(0)
        self.leases.release(old, self.session)
        successor = Session()
        lease = self.claim(holder=successor)
        self.assertEqual(lease.port, old.port)
        self.leases.release(old, self.session)
        self.leases.cancel(old, self.session)
        self.assertIs(self.contested(0).holder, successor)


class ReleaseTests(LeasesCase):
    """
    What a tunnel leaves behind.
    """

    def test_stays(self) -> None:
        """
        The port stays this tunnel's.
        """
        lease = self.claim()
        self.clock.advance(60)
        self.leases.release(lease, self.session)
        self.assertEqual(self.store.load(), [replace(lease, used=START + 60)])

    def test_checkLeavesNothing(self) -> None:
        """
        C{tunnelkit check} leaves no lease, also not on disk.
        """
        lease = self.claim(lasting=False)
        self.assertEqual(self.store.load(), [])
        self.leases.touch()
        self.assertEqual(self.store.load(), [])
        self.leases.release(lease, self.session)
        self.assertEqual(self.store.load(), [])
        self.assertEqual(self.claim(user="bob").port, lease.port)

    def test_checkOfAnUnusedPort(self) -> None:
        """
        A check that asks for the port of a tunnel that is down gives it back as it
        was, also where the server is killed meanwhile.
        """
        self.leave(9003)
        before = self.store.load()
        self.clock.advance(60)
        lease = self.claim(9003, tunnel="check", lasting=False)
        self.leases.touch()
        self.assertEqual(self.store.load(), before)
        self.leases.release(lease, self.session)
        self.assertEqual(self.store.load(), before)
        self.assertEqual(self.claim().port, 9003)

    def test_cancelNew(self) -> None:
        """
        A picked port that cannot be listened on stays nobody's.
        """
        lease = self.claim()
        self.leases.cancel(lease, self.session)
        self.assertEqual(self.store.load(), [])
        self.assertEqual(self.claim(avoid={lease.port}).port, 9001)
        self.assertEqual(self.claim(user="bob").port, lease.port)

    def test_cancelTakenOver(self) -> None:
        """
        A port that was taken over and cannot be listened on is again the tunnel's
        that had it.
        """
        self.leave(9003)
        before = self.store.load()
        self.clock.advance(60)
        lease = self.claim(9003, tunnel="ssh")
        self.leases.cancel(lease, self.session)
        self.assertEqual(self.store.load(), before)
        self.assertEqual(self.claim().port, 9003)


class BoundTests(LeasesCase):
    """
    A user's unused leases have a bound.
    """

    def setUp(self) -> None:
        super().setUp()
        self.leases = begun(self.store, self.clock, "9000-9999", unused=3)

    def ports(self) -> list[int]:
        return sorted(lease.port for lease in self.store.load())

    def test_oldestLeaves(self) -> None:
        """
        The one that was not used for the longest time goes first, and is free.
        """
        for n in range(3):
            self.clock.advance(1)
            self.leave(tunnel=f"t{n}")
        self.leave(tunnel="t0")
        self.leave(tunnel="t3")
        self.assertEqual(self.ports(), [9000, 9002, 9003])
        self.assertEqual(self.claim(9001, user="bob").port, 9001)

    def test_liveDoNotCount(self) -> None:
        """
        Tunnels that are up are not bounded by this.
        """
        for n in range(5):
            self.claim(tunnel=f"t{n}")
        self.assertEqual(len(self.ports()), 5)

    def test_usersAreApart(self) -> None:
        """
        One user's leases do not cost another his.
        """
        for n in range(5):
            self.leave(9900 + n, user="bob")
            self.leave(9800 + n)
        self.assertEqual(self.ports(), [9802, 9803, 9804, 9902, 9903, 9904])

    def test_none(self) -> None:
        """
        A server that keeps none keeps none.
        """
        self.leases = begun(self.store, self.clock, unused=0)
        self.leave()
        self.assertEqual(self.ports(), [])

    def test_manyAtARestart(self) -> None:
        """
        A user with more live tunnels than that finds all their ports after a restart,
        also where some of them come and go meanwhile; beyond, the bound holds.
        """
        before = [self.claim(tunnel=f"t{n}") for n in range(8)]
        self.leases = begun(self.store, self.clock, "9000-9999", unused=3)
        for _ in range(20):
            self.leave(tunnel="t7")
        after = [self.claim(tunnel=f"t{n}") for n in range(8)]
        self.assertEqual(after, before)
        for lease in after:
            self.leases.release(lease, self.session)
        self.leave(tunnel="new")
        self.assertEqual(len(self.ports()), 8)


class StoreTests(LeasesCase):
    """
    Leases outlive the server.
    """

    def test_killed(self) -> None:
        """
        After C{kill -9} every tunnel has its port again, those that were up and
        those that were not.
        """
        live, unused = self.claim(), self.leave(tunnel="ssh")
        self.restart()
        self.assertEqual(self.claim(tunnel="ssh").port, unused.port)
        self.assertEqual(self.claim().port, live.port)

    def test_killedLongAfter(self) -> None:
        """
        A tunnel that was up for a week until the server was killed still has its
        port, to the minute.
        """
        lease = self.claim()
        self.clock.advance(7 * DAY)
        self.leases.touch()
        self.restart()
        self.clock.advance(DAY - 1)
        self.assertEqual(self.denied(lease.port, user="bob").code, codes.PORT_LEASED)
        self.clock.advance(1)
        self.claim(lease.port, user="bob")

    def test_oneWriteATouch(self) -> None:
        """
        However many tunnels are up, noting that takes two writes at most.
        """
        writes: list[int] = []

        class Counting(MemoryStore):
            def write(
                self, kept: Iterable[Lease], dropped: Iterable[Place]
            ) -> Deferred[None]:
                writes.append(len(list(kept)))
                return super().write(kept, dropped)

        self.leases = begun(Counting(), self.clock, "9000-9999")
        for n in range(100):
            self.claim(tunnel=f"t{n}")
        writes.clear()
        self.leases.touch()
        self.assertEqual(writes, [100])

    def test_expiredAreDropped(self) -> None:
        """
        What has expired leaves the disk, while the server runs and at a start.
        """
        self.leave()
        self.clock.advance(DAY)
        self.leases.touch()
        self.assertEqual(self.store.load(), [])
        self.leave()
        self.clock.advance(DAY)
        self.restart()
        self.assertEqual(self.store.load(), [])

    def test_clockWasAhead(self) -> None:
        """
        A lease from when the machine's clock was wrong by years does not last for
        years.
        """
        self.store.write([Lease("tcp", 9000, "bob", "c", "t", START + 999 * DAY)], [])
        self.restart()
        self.clock.advance(DAY)
        self.assertEqual(self.claim(9000).port, 9000)

    def test_otherSpace(self) -> None:
        """
        The same port of UDP is another lease, and TCP's leaves it alone.
        """
        datagrams = begun(self.store, self.clock, space="udp")
        datagrams.claim("bob", "desk", "dns", 9000, self.session)
        self.restart()
        self.assertEqual(self.claim(9000).user, "ann")
        self.clock.advance(DAY)
        self.leases.touch()
        kept = sorted((lease.space, lease.user) for lease in self.store.load())
        self.assertEqual(kept, [("tcp", "ann"), ("udp", "bob")])

    def test_diskFull(self) -> None:
        """
        While the disk is full tunnels are opened all the same and the server says
        that it is in trouble; when there is room, what it owes is written.
        """
        self.assertIsNone(self.leases.trouble)
        kept = self.leave(9009, tunnel="ssh")
        self.store.full = True
        lease = self.claim()
        self.assertEqual(
            self.leases.trouble,
            "leases are kept in memory alone: leases.db cannot be written (disk is"
            " full)",
        )
        self.assertEqual(self.store.load(), [kept])
        self.assertEqual(self.denied(lease.port, user="bob").code, codes.PORT_LEASED)
        self.store.full = False
        self.clock.advance(1)
        self.assertIsNone(self.leases.trouble)
        self.assertEqual(self.store.load(), [kept, lease])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_close(self) -> None:
        """
        A server that stops keeps what is live then, up to date, and no more than that
        when its sessions end behind it, however many those are.
        """
        self.leases = begun(self.store, self.clock, unused=1)
        held = [self.claim(tunnel=f"t{n}") for n in range(5)]
        self.clock.advance(60)
        self.successResultOf(self.leases.close())
        self.clock.advance(10)
        for lease in held:
            self.leases.release(lease, self.session)
        self.assertEqual(
            self.store.load(), [replace(lease, used=START + 60) for lease in held]
        )

    def test_closeTwice(self) -> None:
        """
        A server that closes its leases when it begins to drain, and again when it
        stops, loses nothing by that.
        """
        path = Path(self.mktemp())
        self.leases = begun(SQLiteStore(path, maybeDeferred), self.clock, unused=1)
        held = [self.claim(tunnel=f"t{n}") for n in range(5)]
        self.successResultOf(self.leases.close())
        for lease in held:
            self.leases.release(lease, self.session)
        self.leases.touch()
        self.successResultOf(self.leases.close())
        self.assertIsNone(self.leases.trouble)
        store = SQLiteStore(path, maybeDeferred)
        self.assertEqual(store.load(), held)
        self.successResultOf(store.close())

    def test_file(self) -> None:
        """
        The same with a real file: a server stops, and the next one knows every port.
        """
        path = Path(self.mktemp())
        for _ in range(2):
            self.leases = begun(SQLiteStore(path, maybeDeferred), self.clock)
            self.assertEqual(self.claim(client="b", holder=Session()).port, 9000)
            self.assertEqual(self.claim(client="a", holder=Session()).port, 9001)
            self.successResultOf(self.leases.close())

    def test_brokenFile(self) -> None:
        """
        A server whose store is broken does not start.
        """
        path = Path(self.mktemp())
        path.write_text("no database" * 1000)
        broken = SQLiteStore(path, maybeDeferred)
        error = self.assertRaises(OSError, begun, broken, self.clock)
        self.assertIn(str(path), str(error))


USERS = st.sampled_from(["ann", "bob"])
CLIENTS = st.sampled_from(["laptop", "desk"])
TUNNELS = st.sampled_from(["web", "ssh", "dns"])
PORTS = st.one_of(st.just(0), st.integers(8999, 9006))
SESSIONS = st.integers(0, 2)


class _Server(RuleBasedStateMachine):
    """
    A server to which everything happens, in any order, beside a record of who was
    promised what.

    @ivar live: the lease and the session of each live port, and whether it lasts.
    @ivar unused: the unused lease of each port.
    """

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.clock.advance(START)
        self.store = FickleStore()
        self.leases = begun(self.store, self.clock, "9000-9005")
        self.sessions = {
            (user, n): Session() for user in ("ann", "bob") for n in range(3)
        }
        self.live: dict[int, tuple[Lease, Session, bool]] = {}
        self.unused: dict[int, Lease] = {}

    def owner(self, port: int) -> str | None:
        """
        Give the one user who may have a port now, or None for any.
        """
        if port in self.live:
            return self.live[port][0].user
        lease = self.unused.get(port)
        if lease is None or lease.used + DAY <= self.clock.seconds():
            return None
        return lease.user

    @rule(
        user=USERS,
        client=CLIENTS,
        tunnel=TUNNELS,
        port=PORTS,
        session=SESSIONS,
        lasting=st.sampled_from([True, True, False]),
        avoid=st.sets(st.integers(9000, 9005), max_size=3),
        works=st.sampled_from([True, True, False]),
    )
    def claim(
        self,
        user: str,
        client: str,
        tunnel: str,
        port: int,
        session: int,
        lasting: bool,
        avoid: set[int],
        works: bool,
    ) -> None:
        """
        A client asks for a tunnel; where its port can be listened on, it has it.
        """
        holder = self.sessions[user, session]
        try:
            lease = self.leases.claim(
                user, client, tunnel, port, holder, lasting, avoid
            )
        except Contested as e:
            self.checkContested(e, user, client, tunnel, port, holder)
        except Denied as e:
            self.checkDenied(e, user, port, holder, avoid)
        else:
            self.checkGranted(lease, port, avoid)
            if self.owner(lease.port) is None:
                self.unused.pop(lease.port, None)
            if works:
                self.live[lease.port] = (lease, holder, lasting)
                if lasting:
                    self.unused.pop(lease.port, None)
            else:
                self.leases.cancel(lease, holder)

    def checkGranted(self, lease: Lease, port: int, avoid: set[int]) -> None:
        """
        Nobody else had it.
        """
        assert lease.port == port or not port
        assert 9000 <= lease.port <= 9005 and lease.port not in avoid
        assert lease.port not in self.live
        assert self.owner(lease.port) in (None, lease.user)

    def checkContested(
        self,
        error: Contested,
        user: str,
        client: str,
        tunnel: str,
        port: int,
        holder: Session,
    ) -> None:
        """
        It is live with another session of this user, and is what was asked for.
        """
        lease, other, _ = self.live[error.lease.port]
        assert error.holder is other and other is not holder
        assert lease.user == user
        assert port == lease.port or (
            port == 0 and (lease.client, lease.tunnel) == (client, tunnel)
        )

    def checkDenied(
        self, error: Denied, user: str, port: int, holder: Session, avoid: set[int]
    ) -> None:
        """
        What it says is so.
        """
        match error.code:
            case codes.PORT_DENIED:
                assert port in (8999, 9006)
            case codes.PORT_TAKEN:
                assert port in avoid
            case codes.PORT_LEASED if port:
                assert self.owner(port) not in (None, user)
            case codes.PORT_LEASED:
                for one in set(range(9000, 9006)) - avoid:
                    assert one in self.live or self.owner(one) not in (None, user)
            case codes.PORT_LIVE:
                held = [p for p, (_, by, _) in self.live.items() if by is holder]
                assert (port or 0) in (0, *held) and held
            case _:
                raise AssertionError(error.code)

    @precondition(lambda self: self.live)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        """
        A tunnel ends.
        """
        port = data.draw(st.sampled_from(sorted(self.live)))
        lease, holder, lasting = self.live.pop(port)
        self.leases.release(lease, holder)
        self.leases.release(lease, holder)
        if lasting:
            self.unused[port] = replace(lease, used=self.clock.seconds())

    @rule(seconds=st.sampled_from([1.0, 60.0, DAY / 2, DAY]))
    def wait(self, seconds: float) -> None:
        """
        Time passes; once it has, the server notes who is still there.
        """
        self.clock.advance(seconds)
        self.leases.touch()

    @rule(full=st.booleans())
    def disk(self, full: bool) -> None:
        """
        The disk gets full, or has room again and its next try comes.
        """
        self.store.full = full
        if not full:
            self.wait(60.0)

    @precondition(lambda self: self.leases.trouble is None)
    @rule()
    def kill(self) -> None:
        """
        The server is killed and started again; what was live is remembered, as of
        when it was last noted.
        """
        stored = {lease.port: lease for lease in self.store.load()}
        for port, (lease, _, lasting) in self.live.items():
            if lasting:
                assert stored[port].used >= self.clock.seconds() - 60
                self.unused[port] = replace(lease, used=stored[port].used)
        self.live.clear()
        self.leases = begun(self.store, self.clock, "9000-9005")

    @invariant()
    def storeIsRight(self) -> None:
        """
        Unless it cannot be written, the store has what would have to be known after
        C{kill -9} now.
        """
        if self.leases.trouble is not None:
            return
        stored = {lease.port: lease for lease in self.store.load()}
        owed = {
            port: replace(lease, used=0)
            for port, (lease, _, lasting) in self.live.items()
            if lasting
        }
        assert {port: replace(stored[port], used=0) for port in owed} == owed
        for port, lease in self.unused.items():
            assert self.owner(port) is None or stored[port] == lease
        for port in stored.keys() - owed.keys():
            assert self.unused.get(port) == stored[port]


class AnyOrderTests(SynchronousTestCase):
    """
    No order of events gives a port to two.
    """

    def test_anyOrder(self) -> None:
        """
        Whatever clients, disk, clock and crashes do, a port has one owner, a live one
        is not given away, no other user gets it, and a restart knows all that was
        promised.
        """
        run_state_machine_as_test(
            _Server,
            settings=settings(max_examples=60, stateful_step_count=40),
        )
