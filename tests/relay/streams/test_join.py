"""
Tests for L{tunnelkit.relay.streams.join}.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.relay.memory import MemoryTransport, ScriptedEnd, rawEnd
from tunnelkit.interfaces import IJoin, Outcome
from tunnelkit.relay.bucket import Bucket
from tunnelkit.relay.connection import BUFFER
from tunnelkit.relay.streams.join import IDLE, Join
from tunnelkit.wire.codes import ResetCode

WELL = Outcome()


class JoinCase(SynchronousTestCase):
    """
    A join between two ends, and a clock on which nothing is left behind.
    """

    def setUp(self) -> None:
        """
        Make them.
        """
        self.clock = Clock()
        self.join = Join(self.clock)
        self.outcomes: list[Outcome] = []
        self.join.ended.addCallback(self.outcomes.append)
        self.addCleanup(
            lambda: self.assertEqual(self.clock.getDelayedCalls(), [], "left over")
        )


class ScriptedCase(JoinCase):
    """
    A join between two ends that the test speaks for.
    """

    def setUp(self) -> None:
        """
        Make the ends.
        """
        super().setUp()
        self.one, self.other = ScriptedEnd(), ScriptedEnd()

    def start(self, opening: bytes = b"") -> None:
        """
        Join them, and forget how that went.
        """
        self.join.start(self.one, self.other, opening)
        self.one.did.clear()
        self.other.did.clear()

    def end(self) -> None:
        """
        End both directions.
        """
        for end in (self.one, self.other):
            end.hears.finished()
        for end in (self.one, self.other):
            end.hears.delivered()


class PortableJoinTests(ScriptedCase):
    """
    What the join does, whatever its ends are.
    """

    def test_contract(self) -> None:
        """
        What shows a stream's bytes and cuts it finds what it needs.
        """
        self.start()
        verifyObject(IJoin, self.join)
        self.join.abort(ResetCode.STOPPING, "")

    def test_openingFirst(self) -> None:
        """
        A local service reads who the visitor is before what the visitor says.
        """
        self.join.start(self.one, self.other, b"PROXY")
        self.one.hears.received(b"hello")
        self.assertEqual(self.other.did, [("announce", b"PROXY"), "resume", b"hello"])
        self.assertEqual(self.one.did, ["resume"])
        self.end()

    def test_noOpening(self) -> None:
        """
        Where nothing is to be said first, nothing is written.
        """
        self.join.start(self.one, self.other, b"")
        self.assertEqual(self.other.did, ["resume"])
        self.end()

    def test_counts(self) -> None:
        """
        The admin page shows the bytes of a stream while they flow.
        """
        self.start()
        self.one.hears.received(b"12345")
        self.assertEqual((self.join.forth, self.join.back), (5, 0))
        self.other.hears.received(b"123")
        self.assertEqual((self.join.forth, self.join.back), (5, 3))
        self.end()
        self.assertEqual((self.join.forth, self.join.back), (5, 3))

    def test_visitorEndsFirst(self) -> None:
        """
        Who has said all that it has to say gets the whole answer.
        """
        self.start()
        self.one.hears.finished()
        self.assertEqual(self.other.did, ["finish"])
        self.other.hears.delivered()
        self.other.hears.received(b"answer")
        self.assertEqual(self.one.did[-1], b"answer")
        self.assertEqual(self.outcomes, [])
        self.other.hears.finished()
        self.assertEqual(self.one.did[-1], "finish")
        self.assertEqual(self.outcomes, [])
        self.one.hears.delivered()
        self.assertEqual(self.outcomes, [WELL])
        self.assertEqual((self.one.did[-1], self.other.did[-1]), ("release", "release"))

    def test_serviceEndsFirst(self) -> None:
        """
        A service that has said all may go on listening.
        """
        self.start()
        self.other.hears.finished()
        self.one.hears.delivered()
        self.assertEqual(self.one.did, ["finish"])
        self.one.hears.received(b"more")
        self.assertEqual(self.other.did[-1], b"more")
        self.one.hears.finished()
        self.other.hears.delivered()
        self.assertEqual(self.outcomes, [WELL])

    def test_notBeforeAllIsDelivered(self) -> None:
        """
        A stream is not called well ended while bytes of it may yet be lost.
        """
        for name, last in (("one", "other"), ("other", "one")):
            self.setUp()
            self.start()
            self.one.hears.finished()
            self.other.hears.finished()
            getattr(self, name).hears.delivered()
            self.assertEqual(self.outcomes, [], f"{last} is not delivered")
            getattr(self, last).hears.delivered()
            self.assertEqual(self.outcomes, [WELL])

    def test_lastEndIsTheRelease(self) -> None:
        """
        Where the far end's release ends its direction, it is not ended twice: one
        frame less for each visitor.
        """
        self.other = ScriptedEnd(delivers=False)
        self.start()
        self.other.hears.finished()
        self.one.hears.delivered()
        self.one.hears.finished()
        self.assertEqual(self.other.did, ["release"])
        self.assertEqual(self.outcomes, [WELL])

    def test_backpressure(self) -> None:
        """
        Who does not read makes the other side wait, and nobody else.
        """
        self.start()
        self.other.hears.blocked()
        self.assertEqual((self.one.did, self.other.did), (["pause"], []))
        self.other.hears.ready()
        self.assertEqual((self.one.did, self.other.did), (["pause", "resume"], []))
        self.one.hears.blocked()
        self.one.hears.ready()
        self.assertEqual(self.other.did, ["pause", "resume"])
        self.end()
        self.assertEqual(self.one.did.count("resume"), 1)

    def test_blockedFromTheBeginning(self) -> None:
        """
        A visitor is not read from while the connection for it is still full.
        """
        self.other = ScriptedEnd(blocked=True)
        self.join.start(self.one, self.other, b"")
        self.assertEqual((self.one.did, self.other.did), ([], ["resume"]))
        self.other.hears.ready()
        self.assertEqual(self.one.did, ["resume"])
        self.end()

    def test_resetIsSeenBehindTheEnd(self) -> None:
        """
        A download that is broken off ends at the service too, also where the
        visitor's last bytes were not all taken before its end came.
        """
        self.start()
        self.other.hears.blocked()
        self.one.hears.finished()
        self.assertEqual(self.one.did, ["pause", "resume"])
        self.one.hears.failed(ResetCode.PEER, "gone")
        self.assertIn((ResetCode.PEER, "gone"), self.other.did)

    def test_failure(self) -> None:
        """
        Where one end fails the other is reset, never ended as if all were well.
        """
        for name in ("one", "other"):
            self.setUp()
            self.start()
            getattr(self, name).hears.failed(ResetCode.REFUSED, "no service")
            reset = (ResetCode.REFUSED, "no service")
            self.assertEqual(self.one.did, [reset, "release"])
            self.assertEqual(self.other.did, [reset, "release"])
            self.assertEqual(self.outcomes, [Outcome(*reset)])

    def test_failureWhileHalfOpen(self) -> None:
        """
        An answer that breaks off is no whole answer, however the question ended.
        """
        self.start()
        self.one.hears.finished()
        self.other.hears.delivered()
        self.other.hears.failed(ResetCode.LOST, "lost")
        self.assertEqual(self.outcomes, [Outcome(ResetCode.LOST, "lost")])
        self.assertNotIn("finish", self.one.did)

    def test_abort(self) -> None:
        """
        Who is revoked, or stops, cuts its streams: both sides see a reset.
        """
        self.start()
        self.join.abort(ResetCode.STOPPING, "bye")
        reset = (ResetCode.STOPPING, "bye")
        self.assertEqual(self.one.did, [reset, "release"])
        self.assertEqual(self.other.did, [reset, "release"])
        self.assertEqual(self.outcomes, [Outcome(*reset)])

    def test_endedOnce(self) -> None:
        """
        However a stream ends, and whatever comes late, it is told once.
        """
        self.start()
        self.join.abort(ResetCode.STOPPING, "bye")
        self.join.abort(ResetCode.IDLE, "again")
        self.one.hears.failed(ResetCode.PEER, "late")
        self.end()
        self.assertEqual(self.outcomes, [Outcome(ResetCode.STOPPING, "bye")])
        self.assertEqual(self.one.did.count("release"), 1)

    def test_abortAfterTheEnd(self) -> None:
        """
        A stream that ended well stays so.
        """
        self.start()
        self.end()
        self.join.abort(ResetCode.STOPPING, "bye")
        self.assertEqual(self.outcomes, [WELL])
        self.assertNotIn((ResetCode.STOPPING, "bye"), self.one.did)

    def test_bugInACallback(self) -> None:
        """
        A bug in who counts streams keeps no connection open.
        """
        self.join.ended.addCallback(lambda _: 1 / 0)
        self.start()
        self.join.abort(ResetCode.STOPPING, "bye")
        self.assertEqual((self.one.did[-1], self.other.did[-1]), ("release", "release"))
        self.failureResultOf(self.join.ended, ZeroDivisionError)


class PacedTests(JoinCase):
    """
    A join through which bytes go at a rate: 1000 a second forth, 100 at once.
    """

    def setUp(self) -> None:
        """
        Begin.
        """
        super().setUp()
        self.bucket = Bucket(self.clock, 1000, burst=100)
        self.join = Join(self.clock, forth=self.bucket)
        self.join.ended.addCallback(self.outcomes.append)
        self.one, self.other = ScriptedEnd(), ScriptedEnd()
        self.join.start(self.one, self.other, b"")
        self.one.did.clear()
        self.other.did.clear()

    def written(self) -> bytes:
        """
        Give what the far end got.
        """
        return b"".join(did for did in self.other.did if isinstance(did, bytes))

    def test_paced(self) -> None:
        """
        What is over the limit waits, its source is not read meanwhile, and all comes
        in order; the other direction does not wait.
        """
        data = bytes(range(250))
        self.one.hears.received(data)
        self.other.hears.received(b"back")
        self.assertEqual(self.written(), data[:100])
        self.assertEqual(self.one.did, ["pause", b"back"])
        self.assertEqual((self.join.forth, self.join.back), (100, 4))
        self.clock.pump([0.01] * 10)
        self.assertTrue(len(self.written()) <= 200)
        self.clock.pump([0.01] * 10)
        self.assertEqual(self.written(), data)
        self.assertEqual(self.one.did[-1], "resume")
        self.assertEqual((self.join.forth, self.join.back), (250, 4))
        self.join.abort(ResetCode.STOPPING, "")

    def test_endWaits(self) -> None:
        """
        The end comes behind the last byte.
        """
        self.one.hears.received(bytes(150))
        self.one.hears.finished()
        self.assertNotIn("finish", self.other.did)
        self.clock.pump([0.01] * 10)
        self.assertEqual((len(self.written()), self.other.did[-1]), (150, "finish"))
        self.join.abort(ResetCode.STOPPING, "")

    def test_resetWaitsNot(self) -> None:
        """
        A reset does not wait, and leaves nobody in line.
        """
        self.one.hears.received(bytes(150))
        self.one.hears.failed(ResetCode.PEER, "reset")
        self.assertEqual([o.code for o in self.outcomes], [ResetCode.PEER])
        self.clock.pump([0.01] * 10)
        self.assertEqual((len(self.written()), self.join.forth), (100, 100))

    def test_blocked(self) -> None:
        """
        A far end that takes no more is given no more, whatever the limit allows; when
        it does again, what was held goes on.
        """
        self.one.hears.received(bytes(150))
        self.other.hears.blocked()
        self.clock.pump([0.01] * 20)
        self.assertEqual(len(self.written()), 100)
        self.other.hears.ready()
        self.assertEqual(len(self.written()), 150)
        self.assertEqual(self.one.did[-1], "resume")
        self.join.abort(ResetCode.STOPPING, "")

    def test_passingIsLife(self) -> None:
        """
        An answer that a limit holds back for longer than a half-open stream may show
        no life is not cut while it goes on.
        """
        self.clock = Clock()
        bucket = Bucket(self.clock, 10, burst=10)
        self.join = Join(self.clock, back=bucket)
        self.join.ended.addCallback(self.outcomes.append)
        self.join.start(self.one, self.other, b"")
        self.other.hears.received(bytes(7000))
        self.one.hears.finished()
        self.clock.pump([1.0] * 600)
        self.assertEqual(self.outcomes, [])
        self.join.abort(ResetCode.STOPPING, "")


class IdleTests(ScriptedCase):
    """
    A half-open stream that shows no life is cut; one that is open, or lives, is not.
    """

    def test_halfOpen(self) -> None:
        """
        A visitor who left without a word does not hold a connection for ever.
        """
        self.start()
        self.one.hears.received(b"some")
        self.other.hears.received(b"bytes")
        self.one.hears.finished()
        self.clock.advance(IDLE - 1)
        self.assertEqual(self.outcomes, [])
        self.clock.advance(1)
        (outcome,) = self.outcomes
        self.assertEqual(outcome.code, ResetCode.IDLE)
        self.assertIn("300 seconds", outcome.reason)

    def test_open(self) -> None:
        """
        A terminal left open over night is there in the morning.
        """
        self.start()
        self.clock.advance(100 * IDLE)
        self.assertEqual(self.outcomes, [])
        self.end()

    def test_bytesAreLife(self) -> None:
        """
        A long answer to a question that has ended is not cut.
        """
        self.start()
        self.one.hears.finished()
        for _ in range(5):
            self.clock.advance(IDLE - 1)
            self.other.hears.received(b"more")
        self.assertEqual(self.outcomes, [])
        self.clock.pump([IDLE, IDLE])
        self.assertEqual(len(self.outcomes), 1)

    def test_readingIsLife(self) -> None:
        """
        Who reads the last bytes slowly gets them all.
        """
        self.start()
        self.one.alive = 100
        self.one.hears.finished()
        self.other.hears.finished()
        self.other.hears.delivered()
        for unsent in (80, 60, 40):
            self.one.alive = unsent
            self.clock.advance(IDLE)
        self.assertEqual(self.outcomes, [])
        self.clock.pump([IDLE, IDLE])
        self.assertEqual([o.code for o in self.outcomes], [ResetCode.IDLE])

    def test_otherLimit(self) -> None:
        """
        The limit is the one that was given.
        """
        self.join = Join(self.clock, 5.0)
        self.start()
        self.other.hears.finished()
        self.clock.advance(5)
        outcome = self.successResultOf(self.join.ended)
        self.assertEqual(outcome.reason, "half-open and idle for 5 seconds")


class RawJoinTests(JoinCase):
    """
    A join between two connections, as they really behave.
    """

    def setUp(self) -> None:
        """
        Join two connections in memory.
        """
        super().setUp()
        one, self.visitor = rawEnd()
        other, self.service = rawEnd()
        self.ends = one, other

    def start(self, opening: bytes = b"") -> None:
        """
        Join them.
        """
        self.join.start(*self.ends, opening)

    def turn(self) -> None:
        """
        Let everything happen that can.
        """
        while self.visitor.turn() | self.service.turn():
            pass

    def test_oneWrite(self) -> None:
        """
        What a visitor said before it was joined leaves together with the opening:
        one packet, one TLS record.
        """
        self.visitor.peerSends(b"GET /")
        self.start(b"start ")
        self.service.turn()
        self.assertEqual(self.service.take(), b"start GET /")
        self.join.abort(ResetCode.STOPPING, "")

    def test_resetIsToldOnce(self) -> None:
        """
        A visitor that reset its connection before it was joined is no visitor that
        ended well.
        """
        self.visitor.peerResets()
        self.start(b"start ")
        self.turn()
        self.assertEqual([o.code for o in self.outcomes], [ResetCode.PEER])
        self.assertTrue(self.service.wasReset)

    def test_lostBeforeTheJoin(self) -> None:
        """
        A connection that is lost while its visitor waits is not joined to a service
        that would wait for it for ever.
        """
        for lost, other in (("visitor", "service"), ("service", "visitor")):
            self.setUp()
            self.ends[lost == "service"].abort()
            getattr(self, lost).settle()
            self.start(b"start")
            self.turn()
            self.assertEqual([o.code for o in self.outcomes], [ResetCode.PEER])
            self.assertTrue(getattr(self, other).wasReset)

    def test_endBeforeTheJoin(self) -> None:
        """
        A visitor that said everything at once, end included, gets its answer.
        """
        self.visitor.peerSends(b"question")
        self.visitor.peerEnds()
        self.start()
        self.turn()
        self.assertEqual(self.service.take(), b"question")
        self.assertTrue(self.service.ended)
        self.service.peerSends(b"answer")
        self.service.peerEnds()
        self.turn()
        self.assertEqual(self.visitor.take(), b"answer")
        self.assertEqual(self.outcomes, [WELL])
        self.assertTrue(self.visitor.lost)
        self.assertFalse(self.visitor.wasReset)

    def test_whoNeverReads(self) -> None:
        """
        A visitor that never reads costs a few buffers, not the whole download.
        """
        self.visitor.room = 0
        self.start()
        self.service.peerSends(bytes(100 * BUFFER))
        self.turn()
        self.assertLessEqual(self.join.back, 3 * BUFFER)
        self.assertFalse(self.service.reading)
        self.visitor.room = None
        self.turn()
        self.assertEqual(self.join.back, 100 * BUFFER)
        self.assertEqual(self.visitor.take(), bytes(100 * BUFFER))
        self.join.abort(ResetCode.STOPPING, "")

    def test_endBehindBackpressure(self) -> None:
        """
        Nothing is lost where the last bytes and the end come while the other side
        is full.
        """
        self.visitor.room = 10
        self.start()
        data = bytes(range(256)) * (BUFFER // 128)
        self.service.peerSends(data)
        self.service.peerEnds()
        self.turn()
        self.assertFalse(self.visitor.ended)
        self.visitor.peerEnds()
        self.turn()
        self.visitor.room = None
        self.turn()
        self.assertEqual(self.visitor.take(), data)
        self.assertTrue(self.visitor.ended)
        self.assertEqual(self.outcomes, [WELL])

    def test_abortUnderBackpressure(self) -> None:
        """
        A connection that is full closes at once when its stream is cut.
        """
        self.visitor.room = 0
        self.start()
        self.service.peerSends(bytes(100 * BUFFER))
        self.turn()
        self.service.peerResets()
        self.join.abort(ResetCode.STOPPING, "")
        self.turn()
        self.assertTrue(self.visitor.wasReset)
        self.assertTrue(self.service.wasReset)

    def test_eitherSideResets(self) -> None:
        """
        A reset shows as a reset on the other side.
        """
        for one, other in (("visitor", "service"), ("service", "visitor")):
            self.setUp()
            self.start()
            getattr(self, one).peerResets()
            self.turn()
            far: MemoryTransport = getattr(self, other)
            self.assertTrue(far.wasReset, f"{one} reset")
            self.assertEqual([o.code for o in self.outcomes], [ResetCode.PEER])
