"""
Tests for L{tunnelkit.control.sessions}.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.fakes import IDENTITY, FakeChannel, FakeWork, TimedCase, random, worksOf
from tests.logs import Log
from tunnelkit.control.chatter import LINES
from tunnelkit.control.session import Refusal, Session
from tunnelkit.control.sessions import Sessions
from tunnelkit.wire import codes


class SessionsTests(TimedCase):
    """
    A server knows who is logged in.
    """

    def setUp(self) -> None:
        """
        Begin with nobody.
        """
        super().setUp()
        self.log = Log(self)
        self.sessions = Sessions(self.clock, lambda: 1000.0, random, bool, most=3)
        self.addCleanup(self.sessions.stop)

    def admit(self, **who: Any) -> tuple[Session, FakeChannel]:
        """
        Log somebody in.
        """
        channel = FakeChannel()
        return self.sessions.admit(replace(IDENTITY, **who), channel), channel

    def test_admit(self) -> None:
        """
        Who has logged in is found by the session's id.
        """
        session, _ = self.admit()
        self.assertIs(self.sessions.find(session.id), session)
        self.assertIsNone(self.sessions.find("another"))
        self.assertEqual([*self.sessions], [session])
        self.assertEqual(len(self.sessions), 1)

    def test_ended(self) -> None:
        """
        A session that has ended is not found any more, and the log says why it ended.
        """
        session, _ = self.admit()
        session.end("", "the control channel is gone")
        self.assertIsNone(self.sessions.find(session.id))
        self.assertEqual([*self.sessions], [])
        self.assertEqual(self.sessions._byInstance, {})
        self.assertEqual(
            self.log.lines("info"),
            [
                "laptop of ann logged in from 192.0.2.7:5000, session " + session.shown,
                f"session {session.shown} has ended: the control channel is gone",
            ],
        )

    def test_comesBack(self) -> None:
        """
        A client that logs in anew takes the place of its old self at once.
        """
        old, channel = self.admit()
        new, _ = self.admit()
        self.assertTrue(old.over)
        self.assertEqual(channel.left[0][0], codes.DISPLACED)
        self.assertEqual([*self.sessions], [new])

    def test_oldSelfEndsLater(self) -> None:
        """
        The end of an old session does not hide the new one.
        """
        self.admit()
        new, _ = self.admit()
        newest, _ = self.admit()
        self.assertTrue(new.over)
        self.assertEqual([*self.sessions], [newest])

    def test_sameInstanceOfAnotherUser(self) -> None:
        """
        Who says to be the running client of another user displaces nobody.
        """
        one, _ = self.admit()
        other, _ = self.admit(user="bob")
        self.assertFalse(one.over)
        self.assertEqual([*self.sessions], [one, other])

    def test_anotherInstance(self) -> None:
        """
        Two clients of one user are two.
        """
        one, _ = self.admit()
        self.admit(instance="instance2")
        self.assertFalse(one.over)

    def test_full(self) -> None:
        """
        Beyond its bound a server lets nobody in, for the time being, but who comes
        back.
        """
        for number in range(3):
            self.admit(instance=f"instance{number}")
        refusal = self.assertRaises(Refusal, self.admit, instance="one more")
        self.assertEqual((refusal.code, refusal.retry), (codes.FULL, True))
        self.admit(instance="instance2")
        self.assertEqual(len(self.sessions), 3)

    def test_closed(self) -> None:
        """
        A server that is stopping lets nobody in, and those who are there stay.
        """
        session, _ = self.admit()
        self.sessions.close()
        refusal = self.assertRaises(Refusal, self.admit)
        self.assertEqual((refusal.code, refusal.retry), (codes.DRAINING, True))
        self.assertFalse(session.over)

    def test_revoke(self) -> None:
        """
        When a user is revoked, all its sessions end, and no others.
        """
        one, channel = self.admit()
        two, _ = self.admit(instance="instance2")
        other, _ = self.admit(user="bob")
        self.sessions.revoke("ann")
        self.assertEqual([one.over, two.over, other.over], [True, True, False])
        self.assertEqual(
            channel.left, [(codes.REVOKED, "the token was revoked", False)]
        )

    def test_sweep(self) -> None:
        """
        Each session's work connections are put in order.
        """
        session, _ = self.admit()
        works = [FakeWork() for _ in range(4)]
        for work in works:
            worksOf(session).add(work)
        self.clock.advance(61)
        self.sessions.sweep()
        self.assertEqual(sum(work.closed for work in works), 2)
        session.end("", "")

    def test_flood(self) -> None:
        """
        Who logs in again and again is to be read of a thousand times, and then in
        sums; others are to be read of all the same, and what went on before too.
        """
        for _ in range(2000):
            self.admit()
        lines = self.log.lines("info", "warn")
        self.assertEqual(len(lines), LINES)
        self.assertEqual(sum("logged in from" in line for line in lines), LINES // 2)
        self.admit(user="bob")
        self.assertIn("laptop of bob logged in", self.log.lines("info")[-1])
        self.clock.advance(10)
        self.assertEqual(
            self.log.lines("info")[-1],
            "2999 more lines about user ann are left out",
        )

    def test_stop(self) -> None:
        """
        At the end of the server what was left out is told, and nothing is left for
        the reactor to do.
        """
        for _ in range(LINES):
            self.admit()
        self.sessions.stop()
        self.assertIn("999 more lines about user ann", self.log.lines("info")[-1])
        self.assertQuiet()

    def test_log(self) -> None:
        """
        What a client calls itself does no harm to the log.
        """
        self.admit(client="laptop\n2026-01-01 all is well\x1b[2J")
        self.assertTrue(all(line.isprintable() for line in self.log.lines("info")))
