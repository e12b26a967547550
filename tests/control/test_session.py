"""
Tests for L{tunnelkit.control.session}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from tests.fakes import FakeTunnel, FakeWork, TimedCase, session, worksOf
from tunnelkit.carrier.pool import NoWork
from tunnelkit.control.heartbeat import SILENCE
from tunnelkit.control.session import Session
from tunnelkit.status import SessionStatus
from tunnelkit.wire.codes import DISPLACED, SILENT, WITHDRAWN
from tunnelkit.wire.native.messages import Ping, Want


class SessionCase(TimedCase):
    """
    A session, its channel, and how it ended.
    """

    def setUp(self) -> None:
        """
        Log in.
        """
        super().setUp()
        self.endings: list[tuple[Session, str]] = []
        self.session, self.channel = session(
            self.clock, lambda session, reason: self.endings.append((session, reason))
        )
        self.addCleanup(self.session.end, "", "")


class SerialTests(TimedCase):
    """
    A work connection's proof is good once.
    """

    def setUp(self) -> None:
        """
        Log in.
        """
        super().setUp()
        self.session, _ = session(self.clock)

    def test_once(self) -> None:
        """
        A serial is taken once, however long ago that was.
        """
        for serial in (1, 2, 3, 0):
            self.assertTrue(self.session.takes(serial))
            self.assertFalse(self.session.takes(serial))
        for serial in range(4, 20_000):
            self.assertTrue(self.session.takes(serial))
        for serial in (0, 1, 2, 5000, 19_999):
            self.assertFalse(self.session.takes(serial))

    def test_outOfOrder(self) -> None:
        """
        Connections may overtake each other: each is taken.
        """
        for serial in reversed(range(4000)):
            self.assertTrue(self.session.takes(serial))

    def test_farOutOfOrder(self) -> None:
        """
        One that comes far behind the others is refused, as it cannot be known
        whether it came before.
        """
        self.assertTrue(self.session.takes(10_000))
        self.assertTrue(self.session.takes(6000))
        self.assertFalse(self.session.takes(5000))

    def test_greatest(self) -> None:
        """
        The greatest number there is harms nobody but who sent it.
        """
        self.assertTrue(self.session.takes(2**63 - 1))
        self.assertFalse(self.session.takes(1))
        self.assertFalse(self.session.takes(2**63 - 1))

    @given(st.lists(st.integers(0, 30_000), max_size=300))
    def test_never(self, serials: list[int]) -> None:
        """
        In whatever order they come, none is taken twice.
        """
        one, _ = session(Clock())
        taken = [serial for serial in serials if one.takes(serial)]
        self.assertEqual(len(taken), len(set(taken)))

    def test_memory(self) -> None:
        """
        However long a session lasts, what it remembers does not grow without end.
        """
        for serial in range(0, 10**6, 50):
            self.session.takes(serial)
        self.assertTrue(len(self.session._serials) <= 2 * 4096)


class EndTests(SessionCase):
    """
    A session ends once and with all that it has.
    """

    def test_end(self) -> None:
        """
        Its tunnels take no more visitors, its streams are reset, and the client is
        told why.
        """
        tunnel, work = FakeTunnel(), FakeWork()
        self.session.tunnels["web"] = tunnel
        worksOf(self.session).add(work)
        self.session.end("revoked", "the token was revoked", retry=False)
        self.assertEqual(tunnel.said, ["withdraw", "cut: the token was revoked"])
        self.assertTrue(work.aborted)
        self.assertEqual(
            self.channel.left, [("revoked", "the token was revoked", False)]
        )
        self.assertEqual(self.endings, [(self.session, "the token was revoked")])
        self.assertTrue(self.session.over)
        self.assertEqual(self.session.tunnels, {})

    def test_displaced(self) -> None:
        """
        Who does not answer while another asks for a port of his loses all.
        """
        tunnel, other = FakeTunnel(), FakeTunnel()
        self.session.tunnels |= {"web": tunnel, "ssh": other}
        self.session.displace("web", "pi")
        for each in (tunnel, other):
            self.assertEqual(
                each.said, ["withdraw", "cut: pi has taken over its tunnels"]
            )
        self.assertEqual(self.channel.left[0][0], DISPLACED)

    def test_displacedAmongMany(self) -> None:
        """
        Where clients have no names and share one secret, only that port is lost: the
        other side may be any of them.
        """
        shared, channel = session(self.clock, shared=True)
        self.addCleanup(shared.end, "", "")
        tunnel, other = FakeTunnel(), FakeTunnel()
        shared.tunnels |= {"web": tunnel, "ssh": other}
        shared.displace("web", "pi")
        self.assertEqual(tunnel.said, ["withdraw", "cut: pi has taken it over"])
        self.assertEqual(other.said, [])
        self.assertEqual(channel.left, [])
        shared.displace("web", "pi")  # it is not there any more

    def test_withdrawn(self) -> None:
        """
        So do tunnels that were withdrawn and still have visitors.
        """
        tunnel, gone = FakeTunnel(), FakeTunnel()
        self.session.tunnels |= {"web": tunnel, "ssh": gone}
        self.session.withdraw("web")
        self.session.withdraw("ssh")
        self.session.left(gone)
        self.session.end("", "lost")
        self.assertEqual(tunnel.said, ["withdraw", "withdraw", "cut: lost"])
        self.assertEqual(gone.said, ["withdraw"])
        self.assertEqual(self.session.leaving, {})

    def test_once(self) -> None:
        """
        Who ends it a second time changes nothing.
        """
        self.session.end("", "one")
        self.session.end("", "two")
        self.assertEqual(self.channel.left, [("", "one", True)])
        self.assertEqual(len(self.endings), 1)

    def test_visitors(self) -> None:
        """
        Visitors who wait are told that the client has gone.
        """
        waiting = self.session.pool.take()
        self.session.end("", "lost")
        self.assertIn("gone", str(self.failureResultOf(waiting, NoWork).value))

    def test_nothingIsLeft(self) -> None:
        """
        Nothing is left for the reactor to do.
        """
        self.session.heartbeat.start()
        self.session.pool.fill()
        self.session.end("", "lost")
        self.assertQuiet()

    def test_silence(self) -> None:
        """
        A client that is not heard of for twelve seconds is given up.
        """
        self.session.heartbeat.start()
        for _ in range(SILENCE + 1):
            self.clock.advance(1)
        self.assertEqual(
            self.channel.left, [(SILENT, "nothing was heard from the client", True)]
        )

    def test_portsAreFreeForWhoProbes(self) -> None:
        """
        Who asked whether it lives, and hears that it does not, finds its tunnels
        withdrawn already.
        """
        tunnel = FakeTunnel()
        self.session.tunnels["web"] = tunnel
        self.session.heartbeat.start()
        seen: list[list[str]] = []
        probe: Deferred[bool] = self.session.heartbeat.probe(1)
        probe.addCallback(lambda lives: seen.append([*tunnel.said]))
        self.session.end(WITHDRAWN, "gone")
        self.assertEqual(seen, [["withdraw", "cut: gone"]])


class SayingTests(SessionCase):
    """
    What a session says to its client, and to people.
    """

    def test_want(self) -> None:
        """
        It asks for work connections.
        """
        self.session.pool.fill()
        self.clock.advance(0)
        self.assertEqual(self.channel.messages, [Want(2)])

    def test_ping(self) -> None:
        """
        It pings.
        """
        self.clock.advance(2)
        self.session.heartbeat.start()
        self.assertEqual(self.channel.messages, [Ping(2_000_000)])

    def test_status(self) -> None:
        """
        The admin rooms show who it is and how it does; its id is shortened.
        """
        for _ in range(3):
            worksOf(self.session).add(FakeWork())
        self.session.pool.take()
        self.session.heartbeat.start()
        self.clock.advance(0.5)
        self.session.heartbeat.answered(0)
        self.assertEqual(
            self.session.status(),
            SessionStatus(
                session=self.session.id[:8],
                user="ann",
                client="laptop",
                peer="192.0.2.7:5000",
                program="tunnelkit/1",
                since=1000.0,
                roundTrip=0.5,
                idle=2,
                busy=1,
                waiting=0,
            ),
        )
        self.assertEqual(len(self.session.shown), 8)
        self.assertEqual(len(self.session.id), 32)

    def test_secrets(self) -> None:
        """
        No two sessions have the same id or the same key.
        """
        other, _ = session(self.clock)
        self.assertNotEqual(self.session.id, other.id)
        self.assertNotEqual(self.session.key, other.key)
        self.assertEqual(len(self.session.key), 32)
