"""
Tests for L{tunnelkit.tunnels.private.visit} and L{tunnelkit.tunnels.private.doors}.
"""

from __future__ import annotations

import errno
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred

from tests.fakes import FakeEnd, FakeRelay, FakeWork, TimedCase
from tests.logs import Log
from tunnelkit.control.session import Refusal
from tunnelkit.failures import StartFailed
from tunnelkit.interfaces import IStreamEnd, Outcome
from tunnelkit.relay.best import relayFor
from tunnelkit.tunnels.private.doors import Doors
from tunnelkit.tunnels.private.spec import parseVisit
from tunnelkit.tunnels.private.visit import WAITING, Visit
from tunnelkit.wire.codes import ResetCode

PORT = 2222


class VisitCase(TimedCase):
    """
    A place where visitors of a private tunnel come to.
    """

    visit = f"ssh:{PORT}"

    def setUp(self) -> None:
        """
        Listen.
        """
        super().setUp()
        self.log = Log(self)
        self.relay = FakeRelay()
        self.dialled: list[tuple[str, str, bool, Deferred[IStreamEnd]]] = []
        self.door = Visit(parseVisit(self.visit), self.relay, self.clock, self.dial)
        self.doors = Doors([self.door])
        self.doors.open()
        self.addCleanup(self.doors.cut, "the test is over")

    def dial(self, *what: Any) -> Deferred[IStreamEnd]:
        """
        Have the test say what becomes of it.
        """
        dialled: Deferred[IStreamEnd] = Deferred()
        self.dialled.append((*what, dialled))
        return dialled

    def come(self) -> FakeEnd:
        """
        Have a visitor come.
        """
        visitor = FakeEnd()
        self.relay.ports[PORT].arrived(visitor)
        return visitor

    def answer(self, answer: object = None) -> FakeWork:
        """
        Answer the last dial, well or not.
        """
        work = FakeWork()
        dialled = self.dialled[-1][-1]
        if isinstance(answer, Exception):
            dialled.errback(answer)
        else:
            dialled.callback(work)
        return work


class VisitTests(VisitCase):
    """
    Visitors are brought to the tunnel.
    """

    def test_joined(self) -> None:
        """
        Each is joined to a stream of his own.
        """
        visitor = self.come()
        self.assertEqual(self.dialled[0][:3], ("ssh", "private", False))
        work = self.answer()
        (join,) = self.relay.joins
        self.assertEqual((join.one, join.other, join.opening), (visitor, work, b""))
        self.assertEqual(self.doors.streams, 1)
        join.end()
        self.assertEqual(self.doors.streams, 0)
        self.assertEqual(self.log.lines("warn"), [])

    def test_refused(self) -> None:
        """
        Who cannot be is reset, and the reason is said once a burst.
        """
        for _ in range(3):
            visitor = self.come()
            self.answer(Refusal("denied", "not you"))
            self.assertTrue(visitor.aborted)
        self.assertEqual(self.log.lines("warn"), ["visitors of ssh are reset: not you"])
        self.assertEqual(self.doors.streams, 0)

    def test_failed(self) -> None:
        """
        That the other side fails is said; what a visitor or the service did is not.
        """
        for code, reason in (
            (ResetCode.PEER, "reset"),
            (ResetCode.REFUSED, "nobody there\x1b[2J"),
        ):
            self.come()
            self.answer()
            self.relay.joins[-1].end(Outcome(code, reason))
        self.assertEqual(
            self.log.lines("warn"), ["visitors of ssh are reset: nobody there?[2J"]
        )

    def test_bound(self) -> None:
        """
        4096 wait, the next is reset.
        """
        waiting = [self.come() for _ in range(WAITING)]
        self.assertTrue(self.come().aborted)
        self.assertFalse(any(visitor.aborted for visitor in waiting))
        self.assertEqual(
            self.log.lines("warn"),
            ["visitors of ssh are reset: too many visitors at once"],
        )

    def test_closed(self) -> None:
        """
        A client that drains takes no more, and those who are there go on; one that
        stops resets them, and those who wait.
        """
        served, waiting = self.come(), self.come()
        self.dialled.insert(0, self.dialled.pop())
        self.answer()
        self.doors.close()
        self.assertNotIn(PORT, self.relay.ports)
        self.assertEqual(self.doors.streams, 2)
        self.doors.cut("the client is stopping")
        self.assertEqual(self.doors.streams, 0)
        self.assertTrue(waiting.aborted)
        (join,) = self.relay.joins
        self.assertIs(join.one, served)
        self.assertEqual(
            join.outcome, Outcome(ResetCode.STOPPING, "the client is stopping")
        )

    def test_bug(self) -> None:
        """
        A bug at one visitor costs that visitor and his stream.
        """
        self.relay.bug = ZeroDivisionError()
        visitor = self.come()
        work = self.answer()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertTrue(visitor.aborted)
        self.assertEqual(work.refused[0][0], ResetCode.INTERNAL)
        self.come()
        self.answer(ZeroDivisionError())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_taken(self) -> None:
        """
        Where one place cannot be had, none is kept, and the one is named.
        """
        other = parseVisit("db:2223")
        self.relay.taken[2224] = OSError(errno.EADDRINUSE, "Address already in use")
        last = parseVisit("web:2224")
        doors = Doors(
            Visit(spec, self.relay, self.clock, self.dial) for spec in (other, last)
        )
        error = self.assertRaises(StartFailed, doors.open)
        self.assertIn("--visit web: cannot listen on 127.0.0.1:2224: ", str(error))
        self.assertEqual(list(self.relay.ports), [PORT])

    def test_noDirectory(self) -> None:
        """
        A socket in a directory that is not there is named, with what to do, as a port
        is that is taken.
        """
        spec = parseVisit("ssh:unix=/no/such/directory/ssh")
        visit = Visit(spec, relayFor(reactor), self.clock, self.dial)
        error = str(self.assertRaises(StartFailed, visit.start))
        self.assertIn(f"--visit ssh: cannot listen on {spec.at}: No such file", error)
        self.assertIn("name a path in a directory that is there", error)


class EverywhereTests(VisitCase):
    """
    A place that others than this machine's users reach.
    """

    visit = f"ssh:{PORT}:interface=0.0.0.0"

    def test_warned(self) -> None:
        """
        It is warned of.
        """
        self.assertEqual(
            self.log.lines("warn"),
            [
                "0.0.0.0:2222 is no address of this machine alone: whoever reaches it"
                " reaches ssh with this client's token"
            ],
        )
