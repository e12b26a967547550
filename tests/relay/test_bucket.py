"""
Tests for L{tunnelkit.relay.bucket}.
"""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.relay.bucket import BURST, PIECE, STEP, Bucket


class Drinker:
    """
    A stream that always has more to send.

    @ivar passed: how many bytes it sent.
    """

    def __init__(self, bucket: Bucket, piece: int) -> None:
        self.passed = 0
        self._bucket = bucket
        self._piece = piece

    def go(self) -> None:
        """
        Send what may pass, and wait for more.
        """
        while taken := self._bucket.take(self._piece):
            self.passed += taken
        self._bucket.wait(self.go)


class PatientClock(Clock):
    """
    A clock that is not asked without end.

    @ivar asked: how often it was.
    """

    asked = 0

    def callLater(
        self, delay: float, callable: Callable[..., object], *args: object, **kw: object
    ) -> IDelayedCall:
        """
        Count, and call later.
        """
        self.asked += 1
        assert self.asked < 20_000, "it looks without end"
        return super().callLater(delay, callable, *args, **kw)


class BucketTests(SynchronousTestCase):
    """
    Bytes pass at a rate.
    """

    def setUp(self) -> None:
        """
        Make the clock.
        """
        self.clock = Clock()

    def elapse(self, seconds: float, step: float = 0.001) -> None:
        """
        Let time go by.
        """
        for _ in range(round(seconds / step)):
            self.clock.advance(step)

    @given(
        rate=st.sampled_from((1000, 8192, 10**6, 10**9)),
        piece=st.sampled_from((1, 100, 16384, 65536)),
    )
    def test_rate(self, rate: int, piece: int) -> None:
        """
        In a second there pass as many bytes as the limit says, and no more than the
        burst beyond, whatever the size of the pieces.
        """
        if rate // piece > 10**5:
            piece = 65536
        self.clock = clock = Clock()
        drinker = Drinker(Bucket(clock, rate), piece)
        drinker.go()
        self.assertTrue(drinker.passed <= rate * BURST + 1)
        before = drinker.passed
        self.elapse(1)
        self.assertTrue(abs(drinker.passed - before - rate) <= rate * STEP * 2 + 2)

    def test_few(self) -> None:
        """
        Who waits is told some hundred times a second at most.
        """
        bucket = Bucket(self.clock, 10**9)
        told: list[float] = []

        def again() -> None:
            bucket.take(10**9)
            told.append(self.clock.seconds())
            bucket.wait(again)

        again()
        self.elapse(1)
        self.assertTrue(90 <= len(told) <= 110, len(told))

    def test_burst(self) -> None:
        """
        After a rest so many bytes pass at once as was said, and no more.
        """
        bucket = Bucket(self.clock, 1000, burst=500)
        self.assertEqual(bucket.take(10_000), 500)
        self.clock.advance(100)
        self.assertEqual(bucket.take(10_000), 500)
        self.assertEqual(bucket.take(10_000), 0)

    def test_fair(self) -> None:
        """
        Streams that share a limit get as much as each other, where each has enough to
        say.
        """
        bucket = Bucket(self.clock, 10**6)
        drinkers = [Drinker(bucket, piece) for piece in (4096, 16384, 65536)]
        for drinker in drinkers:
            drinker.go()
        self.elapse(3)
        passed = [drinker.passed for drinker in drinkers]
        self.assertTrue(abs(sum(passed) - 3.1 * 10**6) < 0.05 * 10**6)
        self.assertTrue(max(passed) < 1.5 * min(passed), passed)

    def test_crowd(self) -> None:
        """
        Streams of which there are more than the bucket holds bytes pass as many as
        the limit says, in turns, and nobody looks for tokens without end.
        """
        for rate, many in ((1000, 150), (8192, 1000), (10**6, 4000)):
            self.clock = clock = PatientClock()
            bucket = Bucket(clock, rate)
            drinkers = [Drinker(bucket, 16384) for _ in range(many)]
            for drinker in drinkers:
                drinker.go()
            clock.asked = 0
            burst = sum(drinker.passed for drinker in drinkers)
            self.elapse(4)
            passed = sum(drinker.passed for drinker in drinkers) - burst
            self.assertTrue(abs(passed - 4 * rate) <= 0.03 * 4 * rate, passed)
            self.assertTrue(clock.asked <= 500, clock.asked)
            most = max(drinker.passed for drinker in drinkers[1:])
            self.assertTrue(most <= passed / many + 2 * PIECE, most)

    def test_leave(self) -> None:
        """
        Who leaves is not told any more, and nothing is left when all have.
        """
        bucket = Bucket(self.clock, 1000)
        told: list[str] = []
        waiting: list[Callable[[], None]] = [
            lambda: told.append("a"),
            lambda: told.append("b"),
        ]
        bucket.take(1000)
        for each in waiting:
            bucket.wait(each)
        bucket.leave(waiting[0])
        bucket.leave(waiting[0])
        self.elapse(0.1)
        self.assertEqual(told, ["b"])
        bucket.wait(waiting[0])
        bucket.leave(waiting[0])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_clockIsSet(self) -> None:
        """
        A clock that is set gives nobody an hour's bytes, and takes none away.
        """
        bucket = Bucket(self.clock, 1000, burst=10_000)
        bucket.take(10_000)
        self.clock.rightNow += 3600
        self.assertEqual(bucket.take(10_000), 1000)
        self.clock.rightNow -= 7200
        self.assertEqual(bucket.take(10_000), 0)
        self.clock.advance(0.5)
        self.assertEqual(bucket.take(10_000), 500)
