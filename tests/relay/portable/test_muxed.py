"""
Tests for L{tunnelkit.relay.portable.muxed}.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.relay.memory import Heard, ScriptedEnd
from tunnelkit.interfaces import IStreamEnd, Outcome
from tunnelkit.relay.portable.muxed import MuxedEnd
from tunnelkit.relay.streams.join import IDLE, Join
from tunnelkit.wire.codes import ResetCode


class Muxed(MuxedEnd):
    """
    A stream.

    @ivar said: what was said to the other side.
    @ivar passed: bytes that have gone on.
    @ivar most: how many bytes ever waited.
    """

    def __init__(self, blocked: bool = False) -> None:
        super().__init__("a client", blocked)
        self.said: list[object] = []
        self.passed = 0
        self.most = 0

    def _send(self, data: bytes) -> None:
        self.said.append(data)

    def _close(self) -> None:
        self.said.append("close")

    def _fail(self, code: ResetCode, reason: str) -> None:
        self.said.append((code, reason))

    def _passed(self, count: int) -> None:
        self.passed += count

    def _held(self) -> None:
        self.most = max(self.most, self.waiting)


class EndTests(SynchronousTestCase):
    """
    What the join hears of a stream, and the other side of the join.
    """

    def setUp(self) -> None:
        """
        Make a stream, and who hears of it.
        """
        self.end = Muxed()
        self.heard = Heard()

    def test_contract(self) -> None:
        """
        A tunnel can have it for a visitor.
        """
        verifyObject(IStreamEnd, self.end)
        self.assertEqual((self.end.begin(), self.end.peer), (1, "a client"))

    def test_early(self) -> None:
        """
        What comes before the join can read waits, in its order, and the end behind it.
        """
        self.end.received(b"one ")
        self.end.attach(self.heard)
        self.end.received(b"two")
        self.end.ended()
        self.assertEqual((self.end.waiting, self.end.passed), (7, 0))
        self.end.resumeReading()
        self.assertEqual(self.heard.told, [b"one two", "finished"])
        self.assertEqual((self.end.waiting, self.end.passed, self.end.most), (0, 7, 7))

    def test_paused(self) -> None:
        """
        While the visitor takes nothing the bytes wait, and are counted as waiting.
        """
        self.end.attach(self.heard)
        self.end.resumeReading()
        self.end.received(b"now")
        self.end.pauseReading()
        self.end.received(b"later")
        self.end.ended()
        self.assertEqual(self.heard.told, [b"now"])
        self.assertEqual(self.end.waiting, 5)
        self.end.resumeReading()
        self.assertEqual(self.heard.told, [b"nowlater", "finished"])

    def test_pausedAmidst(self) -> None:
        """
        Who pauses at the first of what waited is not given the second.
        """
        end = self.end

        class Pausing(Heard):
            def received(self, data: bytes) -> None:
                super().received(data)
                end.pauseReading()

        heard = Pausing()
        end.attach(heard)
        one, two = b"1" * 1024, b"2" * 1024
        end.received(one)
        end.received(two)
        end.ended()
        end.resumeReading()
        self.assertEqual(heard.told, [one])
        end.resumeReading()
        self.assertEqual(heard.told, [one + two])
        end.resumeReading()
        self.assertEqual(heard.told, [one + two, "finished"])

    def test_small(self) -> None:
        """
        Small pieces wait together, and empty ones are none: they would be kept without
        a bound, as their bytes are what is counted.
        """
        for _ in range(5000):
            self.end.received(b"12")
            self.end.received(b"")
        self.assertEqual(self.end.waiting, 10000)
        self.assertLess(len(self.end._early), 20)
        self.end.attach(self.heard)
        self.end.resumeReading()
        self.assertEqual(self.heard.told, [b"12" * 5000])
        self.end.received(b"")
        self.assertEqual(self.heard.told, [b"12" * 5000])

    def test_lost(self) -> None:
        """
        A failure is told at once, and what waited is of no use any more.
        """
        self.end.attach(self.heard)
        self.end.received(b"cut")
        self.end.lost(ResetCode.LOST, "gone")
        self.end.lost(ResetCode.PEER, "again")
        self.assertEqual(self.heard.told, [(ResetCode.LOST, "gone")])
        self.assertEqual((self.end.waiting, self.end.passed), (0, 3))
        self.end.write(b"x")
        self.end.release()
        self.assertEqual(self.end.said, [])

    def test_lostBefore(self) -> None:
        """
        One that failed before the join says so when it is read from.
        """
        self.end.lost(ResetCode.LOST, "gone")
        self.end.attach(self.heard)
        self.end.resumeReading()
        self.assertEqual(self.heard.told, [(ResetCode.LOST, "gone")])

    def test_blocked(self) -> None:
        """
        While the connection takes no more, nobody is read who speaks to it.
        """
        end = Muxed(blocked=True)
        end.attach(self.heard)
        end.unblock()
        end.block()
        self.assertEqual(self.heard.told, ["blocked", "ready", "blocked"])

    def test_refused(self) -> None:
        """
        A stream that cannot be joined fails once.
        """
        self.end.refuse(ResetCode.REFUSED, "nobody is there")
        self.end.abort()
        self.end.received(b"late")
        self.assertEqual(self.end.said, [(ResetCode.REFUSED, "nobody is there")])
        self.assertEqual(self.end.passed, 4)


class JoinTests(SynchronousTestCase):
    """
    A stream and a visitor, joined.
    """

    def setUp(self) -> None:
        """
        Join.
        """
        self.clock = Clock()
        self.visitor, self.end = ScriptedEnd(), Muxed()
        self.join = Join(self.clock)
        self.outcomes: list[Outcome] = []
        self.join.ended.addCallback(self.outcomes.append)
        self.join.start(self.visitor, self.end, b"opening ")

    def test_question(self) -> None:
        """
        The end of a visitor's question is kept from the other side, which would take
        it for the end of all; its answer and its end reach the visitor.
        """
        self.visitor.hears.received(b"question")
        self.visitor.hears.finished()
        self.assertEqual(self.end.said, [b"opening ", b"question"])
        self.end.received(b"answer")
        self.end.ended()
        self.assertIn(b"answer", self.visitor.did)
        self.visitor.hears.delivered()
        self.assertEqual(self.outcomes, [Outcome()])
        self.assertEqual(self.end.said[2:], ["close"])

    def test_idle(self) -> None:
        """
        It does not wait for ever for that.
        """
        self.visitor.hears.finished()
        self.clock.advance(IDLE)
        self.clock.advance(IDLE)
        (outcome,) = self.outcomes
        self.assertIs(outcome.code, ResetCode.IDLE)
        self.assertEqual(self.end.said[-1], (ResetCode.IDLE, outcome.reason))

    def test_reset(self) -> None:
        """
        A failure of either side is one of the other's.
        """
        self.visitor.hears.failed(ResetCode.PEER, "reset")
        self.assertEqual(self.end.said[-1], (ResetCode.PEER, "reset"))
