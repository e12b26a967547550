"""
Tests for L{tunnelkit.tunnels.private.published}.
"""

from __future__ import annotations

from itertools import count
from typing import Any

from twisted.internet.defer import Deferred

from tests.fakes import (
    FakeJoin,
    FakeRelay,
    FakeWork,
    TimedCase,
    messages,
    session,
    worksOf,
)
from tests.logs import Log
from tunnelkit.control.session import STREAMS, Refusal, Session
from tunnelkit.interfaces import Outcome
from tunnelkit.state.lease import Lease
from tunnelkit.tunnels import detail
from tunnelkit.tunnels.private.published import PrivateTCP, called
from tunnelkit.tunnels.tcp import WAITING
from tunnelkit.wire import codes
from tunnelkit.wire.codes import ResetCode
from tunnelkit.wire.native.messages import Dial, Open

LEASE = Lease("private", 1, "ann", "laptop", "ssh", 1000.0)


class PrivateCase(TimedCase):
    """
    A private tunnel of ann's laptop, and a desk of bob's that may visit it.
    """

    def setUp(self) -> None:
        """
        Publish.
        """
        super().setUp()
        self.patch(detail, "shown", True)
        self.log = Log(self)
        self.relay = FakeRelay()
        self.allowed = {"ann", "bob"}
        self.near = self.logIn()
        self.desk = self.logIn(user="bob", client="desk", peer="192.0.2.8:5001")
        self.withdrawals: list[object] = []
        self.tunnel = PrivateTCP(
            self.near,
            "ssh",
            LEASE,
            "private://ssh",
            self.relay,
            self.clock,
            lambda tunnel, free: self.withdrawals.append(tunnel),
        )
        self.open()
        self.tunnel.listen("")
        self.near.tunnels["ssh"] = self.tunnel
        self.numbers = count(1)

    def open(self, **more: Any) -> None:
        """
        Say who may visit.
        """
        more = {"visitors": ("bob",)} | more
        self.tunnel.restrict(Open(1, "ssh", "private", **more))

    def logIn(self, **who: Any) -> Session:
        """
        Log a client in.
        """
        one, _ = session(self.clock, allowed=lambda user: user in self.allowed, **who)
        self.addCleanup(one.end, "", "the test is over")
        return one

    def dial(self, one: Session | None = None, **more: Any) -> Deferred[None]:
        """
        Have a client ask for it.
        """
        more = {"tunnel": "ssh"} | more
        request = Dial(next(self.numbers), **more)
        return called(self.near, one or self.desk, request)

    def add(self, one: Session) -> FakeWork:
        """
        Have a client open a work connection.
        """
        work = FakeWork(one.identity.peer)
        work.local = ""
        worksOf(one).add(work)
        return work

    def serve(self) -> FakeJoin:
        """
        Have a visitor come who is served at once.
        """
        self.add(self.near)
        self.add(self.desk)
        self.successResultOf(self.dial())
        return self.relay.joins[-1]

    def refusal(self, dialled: Deferred[None]) -> Refusal:
        """
        Give why a dial was refused.
        """
        refusal = self.failureResultOf(dialled, Refusal).value
        assert isinstance(refusal, Refusal)
        return refusal


class DialTests(PrivateCase):
    """
    A client reaches the tunnel of another.
    """

    def test_served(self) -> None:
        """
        The two work connections are joined; each client hears of it in its own words,
        and neither of the other's number.
        """
        far, near = self.add(self.near), self.add(self.desk)
        near.number = 6
        self.successResultOf(self.dial())
        (join,) = self.relay.joins
        self.assertEqual((join.one, join.other), (near, far))
        start = {"type": "start", "tunnel": "ssh", "kind": "private", "address": ""}
        self.assertEqual(
            [*messages(join.opening)],
            [start | {"stream": 1, "visitor": "192.0.2.8:5001"}],
        )
        self.assertEqual(
            [*messages(near.announced)],
            [start | {"stream": 7, "visitor": "", "dial": 1}],
        )
        join.end()
        self.assertEqual((self.tunnel.streams, self.near.streams), (0, 0))

    def test_waits(self) -> None:
        """
        Who finds no work connection waits: first for one of his own, so that nobody
        else waits for a client that brings none.
        """
        dialled = self.dial()
        self.assertEqual(worksOf(self.desk).counts, (0, 0, 1))
        self.assertEqual(worksOf(self.near).counts, (0, 0, 0))
        self.add(self.desk)
        self.assertEqual(worksOf(self.near).counts, (0, 0, 1))
        self.assertNoResult(dialled)
        self.add(self.near)
        self.successResultOf(dialled)
        self.relay.joins[0].end()

    def test_ownMissing(self) -> None:
        """
        A client that brings no work connection is told so.
        """
        dialled = self.dial()
        self.clock.advance(10)
        refusal = self.refusal(dialled)
        self.assertEqual((refusal.code, refusal.retry), (codes.BUSY, True))
        self.assertIn("opened no work connection in 10 s", refusal.reason)

    def test_otherMissing(self) -> None:
        """
        Where the other client brings none the visitor's can carry another stream.
        """
        self.add(self.desk)
        dialled = self.dial()
        self.clock.advance(10)
        self.assertEqual(self.refusal(dialled).code, codes.BUSY)
        self.assertEqual(worksOf(self.desk).counts, (1, 0, 0))
        self.assertEqual((self.tunnel.streams, self.near.streams), (0, 0))

    def test_ownLost(self) -> None:
        """
        Where the visitor's is lost meanwhile, the other is not used up.
        """
        work = self.add(self.desk)
        dialled = self.dial()
        worksOf(self.desk).lost(work, "lost")
        self.add(self.near)
        self.assertEqual(self.refusal(dialled).code, codes.BUSY)
        self.assertEqual(self.relay.joins, [])
        self.assertEqual(worksOf(self.near).counts, (1, 0, 0))

    def test_visitorLeaves(self) -> None:
        """
        So it is where his session ends.
        """
        self.add(self.desk)
        dialled = self.dial()
        self.desk.end("", "left")
        self.add(self.near)
        self.failureResultOf(dialled, Refusal)
        self.assertEqual((self.tunnel.streams, self.near.streams), (0, 0))

    def test_withdrawn(self) -> None:
        """
        A tunnel that was withdrawn while somebody waited is not reached any more.
        """
        dialled = self.dial()
        self.near.withdraw("ssh")
        self.add(self.desk)
        self.assertEqual(self.refusal(dialled).code, codes.WITHDRAWN)
        self.assertRaises(Refusal, self.dial)

    def test_bug(self) -> None:
        """
        A bug costs the two work connections, and nothing is counted for ever.
        """
        self.relay.bug = ZeroDivisionError()
        far, near = self.add(self.near), self.add(self.desk)
        self.successResultOf(self.dial())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertTrue(far.aborted and near.aborted)
        self.assertEqual((self.tunnel.streams, self.near.streams), (0, 0))


class AdmissionTests(PrivateCase):
    """
    Who may visit is looked at each time.
    """

    def denied(self, *arguments: Any, **more: Any) -> Refusal:
        """
        Give why a dial was refused at once.
        """
        refusal = self.assertRaises(Refusal, self.dial, *arguments, **more)
        assert isinstance(refusal, Refusal)
        return refusal

    def test_others(self) -> None:
        """
        Whoever is not named, and whoever asks for what is not there, is told the same;
        only the log tells the two apart.
        """
        carol = self.logIn(user="carol", client="phone")
        words = "there is no private tunnel '{}' that user carol may visit: "
        for name in ("ssh", "nothing"):
            refusal = self.denied(carol, tunnel=name)
            self.assertEqual((refusal.code, refusal.retry), (codes.DENIED, True))
            self.assertIn(words.format(name), refusal.reason)
        self.assertEqual(
            self.log.lines("info"),
            ["phone of carol is refused at ssh: it is none of its visitors"],
        )

    def test_owner(self) -> None:
        """
        Where nobody is named, its own user may, and nobody else.
        """
        self.open(visitors=())
        self.denied()
        own = self.logIn(client="desk")
        self.add(self.near)
        self.add(own)
        self.successResultOf(self.dial(own))
        self.relay.joins[0].end()

    def test_kind(self) -> None:
        """
        One of another kind is not there.
        """
        self.assertEqual(self.denied(kind="private-udp").code, codes.DENIED)

    def test_sealed(self) -> None:
        """
        Where one side encrypts and the other does not both are told what to do.
        """
        refusal = self.denied(sealed=True)
        self.assertEqual((refusal.code, refusal.retry), (codes.SEALED, False))
        self.assertIn("is not encrypted from end to end", refusal.reason)
        self.open(sealed=True)
        self.assertIn("give its keyFile=FILE", self.denied().reason)

    def test_noUser(self) -> None:
        """
        What cannot be a user's name is refused when the tunnel is opened.
        """
        refusal = self.assertRaises(Refusal, self.open, visitors=("bob", "Bob\n"))
        assert isinstance(refusal, Refusal)
        self.assertEqual(refusal.code, codes.NAME)
        self.assertTrue(refusal.reason.isprintable())

    def test_expired(self) -> None:
        """
        Nobody is served for a user who may not publish any more.
        """
        self.add(self.near)
        self.add(self.desk)
        self.allowed.discard("ann")
        refusal = self.refusal(self.dial())
        self.assertIn("the token was revoked, or has expired", refusal.reason)


class BoundTests(PrivateCase):
    """
    Visitors are many, but not without end.
    """

    def test_waiting(self) -> None:
        """
        4096 wait, the next is refused.
        """
        waiting = [self.dial() for _ in range(WAITING)]
        refusal = self.assertRaises(Refusal, self.dial)
        assert isinstance(refusal, Refusal)
        self.assertEqual(refusal.code, codes.BUSY)
        self.desk.end("", "left")
        for dialled in waiting:
            self.refusal(dialled)

    def test_streams(self) -> None:
        """
        A session has 65536 streams at most, those of private tunnels included.
        """
        self.near.streams = STREAMS
        self.add(self.desk)
        self.assertIn("too many visitors", self.refusal(self.dial()).reason)
        self.assertEqual(worksOf(self.desk).counts, (1, 0, 0))
        self.near.streams = 0

    def test_counted(self) -> None:
        """
        Visitors, bytes and failures count as at a public tunnel.
        """
        join = self.serve()
        join.forth, join.back = 85, 201
        status = self.tunnel.status()
        self.assertEqual((status.kind, status.address), ("private", "private://ssh"))
        self.assertEqual((status.streams, status.received, status.sent), (1, 85, 201))
        join.end(Outcome(ResetCode.REFUSED, "nobody there"))
        status = self.tunnel.status()
        self.assertEqual((status.visitors, status.failed), (1, 1))
        self.assertIn("visitors of ssh are reset: nobody there", self.log.lines("info"))

    def test_cut(self) -> None:
        """
        When the one who publishes leaves, his visitors' streams are reset.
        """
        join = self.serve()
        self.near.end("", "left")
        self.assertEqual(join.outcome, Outcome(ResetCode.WITHDRAWN, "left"))
        self.assertEqual(self.withdrawals, [self.tunnel])
