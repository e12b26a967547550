"""
Tests for L{tunnelkit.control.heartbeat}.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from tests.fakes import TimedCase
from tunnelkit.control.heartbeat import INTERVAL, SILENCE, Heartbeat


class HeartbeatCase(TimedCase):
    """
    A heartbeat that has begun.
    """

    def setUp(self) -> None:
        """
        Begin at some time, as no clock begins at 0.
        """
        super().setUp()
        self.clock.advance(1000.5)
        self.pings: list[int] = []
        self.silent = 0
        self.heartbeat = Heartbeat(self.clock, self.pings.append, self.noteSilent)
        self.addCleanup(self.heartbeat.stop)
        self.heartbeat.start()

    def noteSilent(self) -> None:
        """
        Count.
        """
        self.silent += 1

    def pass_(self, seconds: float) -> None:
        """
        Let time pass by tenths.
        """
        for _ in range(round(seconds * 10)):
            self.clock.advance(0.1)


class HeartbeatTests(HeartbeatCase):
    """
    It is known whether the other side lives.
    """

    def test_pings(self) -> None:
        """
        A ping goes out at once, and then every five seconds.
        """
        self.assertEqual(self.pings, [1000_500_000])
        for _ in range(3):
            self.heartbeat.heard()
            self.pass_(INTERVAL)
        self.assertEqual(len(self.pings), 4)

    def test_silence(self) -> None:
        """
        Twelve seconds without a byte, and the other side is given up, once.
        """
        self.pass_(SILENCE - 0.2)
        self.assertEqual(self.silent, 0)
        self.pass_(0.4)
        self.assertEqual(self.silent, 1)
        self.pass_(60)
        self.assertEqual(self.silent, 1)
        self.assertQuiet()

    def test_anyByte(self) -> None:
        """
        Any byte is a sign of life, an answer to a ping or not.
        """
        self.pass_(11)
        self.heartbeat.heard()
        self.pass_(11.5)
        self.assertEqual(self.silent, 0)
        self.pass_(1)
        self.assertEqual(self.silent, 1)

    def test_startsFresh(self) -> None:
        """
        Time before the start is no silence.
        """
        late = Heartbeat(self.clock, self.pings.append, self.noteSilent)
        self.addCleanup(late.stop)
        self.heartbeat.stop()
        self.pass_(100)
        late.start()
        self.pass_(1)
        self.assertEqual(self.silent, 0)

    def test_stop(self) -> None:
        """
        A heartbeat that was stopped says nothing any more, also where it was never
        begun or is stopped by what it tells.
        """
        self.heartbeat.stop()
        self.heartbeat.stop()
        self.pass_(30)
        self.assertEqual((len(self.pings), self.silent), (1, 0))
        other = Heartbeat(self.clock, lambda at: other.stop(), self.noteSilent)
        other.start()
        self.assertQuiet()

    def test_standing(self) -> None:
        """
        Where it pings only when it is asked to, the first round trip may be known from
        elsewhere.
        """
        clock = Clock()
        heartbeat = Heartbeat(clock, lambda at: None, lambda: None)
        heartbeat.stand(0.2)
        self.assertEqual(heartbeat.roundTrip, 0.2)
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_roundTrip(self) -> None:
        """
        An answer tells how far the other side is; before the first that is unknown.
        """
        self.assertIsNone(self.heartbeat.roundTrip)
        self.clock.advance(0.25)
        self.heartbeat.answered(self.pings[0])
        self.assertAlmostEqual(self.heartbeat.roundTrip or 0, 0.25)

    def test_answerFromTheFuture(self) -> None:
        """
        An answer to a ping that was never sent tells nothing: a client cannot write
        what it likes into the metrics.
        """
        for at in (0, 2**62):
            self.heartbeat.answered(at)
            self.assertIsNone(self.heartbeat.roundTrip)


class LateTests(HeartbeatCase):
    """
    Where it was this side that could not hear, the other is not given up for it: the
    clock of the machine was set, or this process stood still.
    """

    def test_asksOnce(self) -> None:
        """
        After a minute that was not there the other side is asked, and as it answers
        nothing happens.
        """
        self.pass_(7)
        self.heartbeat.heard()
        pings = len(self.pings)
        self.clock.advance(60)
        self.assertEqual((len(self.pings), self.silent), (pings + 1, 0))
        self.pass_(0.2)
        self.heartbeat.heard()
        self.pass_(SILENCE - 0.2)
        self.assertEqual(self.silent, 0)

    def test_noAnswer(self) -> None:
        """
        If it does not answer that, it is given up an interval later: a laptop that
        wakes up need not wait for long.
        """
        self.pass_(7)
        self.heartbeat.heard()
        self.clock.advance(60)
        self.pass_(INTERVAL - 0.2)
        self.assertEqual(self.silent, 0)
        self.pass_(0.4)
        self.assertEqual(self.silent, 1)
        self.assertQuiet()

    def test_littleLate(self) -> None:
        """
        A reactor that was busy for some seconds is no reason to wait longer.
        """
        self.pass_(10.1)
        self.clock.advance(4.9)
        self.assertEqual(self.silent, 1)

    def test_lastMoment(self) -> None:
        """
        Nor is the other side given up in the moment in which it would have been,
        had this one not stood still: what came meanwhile is not read yet.
        """
        self.pass_(10.1)
        self.clock.advance(20)
        self.assertEqual(self.silent, 0)
        self.pass_(INTERVAL + 0.1)
        self.assertEqual(self.silent, 1)

    def test_longInterval(self) -> None:
        """
        Whatever pace the server has given, an answer has its time.
        """
        self.heartbeat.stop()
        self.heartbeat.pace(60, 2)
        self.heartbeat.start()
        self.clock.advance(100)
        self.pass_(1.9)
        self.assertEqual(self.silent, 0)
        self.pass_(0.2)
        self.assertEqual(self.silent, 1)


class PaceTests(HeartbeatCase):
    """
    The server says how often to ping.
    """

    def test_pace(self) -> None:
        """
        Its word is taken.
        """
        self.heartbeat.stop()
        self.heartbeat.pace(2, 4)
        self.heartbeat.start()
        self.pass_(3.9)
        self.assertEqual((len(self.pings), self.silent), (3, 0))
        self.pass_(0.3)
        self.assertEqual(self.silent, 1)

    def test_withinReason(self) -> None:
        """
        But not where it would have us ping without end, or never notice that it is
        gone.
        """
        self.heartbeat.stop()
        self.heartbeat.pace(0, 0)
        self.assertEqual(self.heartbeat.silence, 2)
        self.heartbeat.pace(2**62, 2**62)
        self.assertEqual(self.heartbeat.silence, 300)
        self.heartbeat.start()
        self.pass_(61)
        self.assertEqual(len(self.pings), 3)


class ProbeTests(HeartbeatCase):
    """
    Whether the other side lives can be asked at once.
    """

    def test_answered(self) -> None:
        """
        It does where it answers in time.
        """
        probe = self.heartbeat.probe(0.4)
        self.clock.advance(0.3)
        self.assertNoResult(probe)
        self.heartbeat.answered(self.pings[-1])
        self.assertTrue(self.successResultOf(probe))

    def test_late(self) -> None:
        """
        It does not where the answer is late; when that comes, nothing happens.
        """
        probe = self.heartbeat.probe(0.4)
        self.clock.advance(0.4)
        self.assertFalse(self.successResultOf(probe))
        self.heartbeat.answered(self.pings[-1])

    def test_answerToAnEarlierPing(self) -> None:
        """
        An answer that may have been under way before is no sign that it lives now.
        """
        self.clock.advance(0.1)
        probe = self.heartbeat.probe(0.4)
        self.heartbeat.answered(self.pings[0])
        self.assertNoResult(probe)
        self.heartbeat.answered(self.pings[1])
        self.assertTrue(self.successResultOf(probe))

    def test_two(self) -> None:
        """
        Two who ask at the same time both hear the answer, though the first stops it
        all.
        """
        one, other = self.heartbeat.probe(1), self.heartbeat.probe(1)
        heard: list[bool] = []

        def hear(lives: bool) -> None:
            heard.append(lives)
            self.heartbeat.stop()

        for probe in (one, other):
            probe.addCallback(hear)
        self.heartbeat.answered(self.pings[-1])
        self.assertEqual(len(heard), 2)
        self.assertTrue(heard[0])

    def test_stop(self) -> None:
        """
        Who asks is told no when the heartbeat stops, and at once where it has
        stopped or not begun; no timer is left.
        """
        unborn = Heartbeat(self.clock, self.pings.append, self.noteSilent)
        self.assertFalse(self.successResultOf(unborn.probe(1)))
        probe: Deferred[bool] = self.heartbeat.probe(1)
        self.heartbeat.stop()
        self.assertFalse(self.successResultOf(probe))
        self.assertFalse(self.successResultOf(self.heartbeat.probe(1)))
        self.assertEqual(len(self.pings), 2)
        self.assertQuiet()
