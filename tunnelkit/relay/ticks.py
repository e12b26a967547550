# -*- test-case-name: tests.relay.test_ticks -*-
"""
Ticks: a clock for deadlines that are hardly ever reached.  They may come three seconds
late, and cost next to nothing where they are called off: each visitor has some.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

TICK: Final = 1.0
"""Seconds between two looks at what is due."""


@implementer(IDelayedCall)
class Late:
    """
    A deadline.
    """

    __slots__ = ("_bucket", "_ticks", "arguments", "call", "time")

    def __init__(
        self,
        call: Callable[..., object],
        arguments: tuple[Any, ...],
        time: float,
        bucket: dict[Late, None],
        ticks: Ticks,
    ) -> None:
        self.call = call
        self.arguments = arguments
        self.time = time
        self._bucket = bucket
        self._ticks = ticks

    def getTime(self) -> float:
        """
        Say when it is due, on the clock, or up to a tick later.
        """
        return self.time

    def active(self) -> bool:
        """
        Say whether it may still come.
        """
        return self in self._bucket

    def cancel(self) -> None:
        """
        Call it off; nothing happens where it has come.
        """
        if self._bucket.pop(self, self) is None:
            self._ticks.oneLess()

    def delay(self, secondsLater: float) -> None:
        """
        Never do that.
        """
        raise NotImplementedError("a deadline is called off, and another one made")

    def reset(self, secondsFromNow: float) -> None:
        """
        Never do that.
        """
        raise NotImplementedError("a deadline is called off, and another one made")


@implementer(IReactorTime)
class Ticks:
    """
    Deadlines, sorted by the tick at which they are due.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        # By the seconds after the beginning at which they are due.
        self._buckets: dict[int, dict[Late, None]] = {}
        self._ticking: IDelayedCall | None = None
        self._count = 0
        self._begun = 0.0
        self._next = 0.0  # when it will tick, counted likewise: no look at the clock

    def seconds(self) -> float:
        """
        Tell the time.
        """
        return self._clock.seconds()

    def callLater(
        self, delay: float, callable: Callable[..., object], *args: Any, **kw: Any
    ) -> IDelayedCall:
        """
        Call something not before C{delay} seconds, and three ticks later at most.
        """
        if self._ticking is None:
            self._begun = self._clock.seconds()
            self._goOn(0.0)
        self._count += 1
        due = self._next + delay
        number = -int(-due // TICK)
        bucket = self._buckets.get(number)
        if bucket is None:
            bucket = self._buckets[number] = {}
        call = partial(callable, **kw) if kw else callable
        late = Late(call, args, self._begun + due, bucket, self)
        bucket[late] = None
        return late

    def getDelayedCalls(self) -> list[IDelayedCall]:
        """
        Give all deadlines.
        """
        return [late for bucket in self._buckets.values() for late in bucket]

    def oneLess(self) -> None:
        """
        A deadline came or was called off: the last one leaves nothing behind.
        """
        self._count -= 1
        if not self._count and self._ticking is not None:
            self._ticking.cancel()
            self._ticking = None
            self._buckets.clear()

    def _goOn(self, now: float) -> None:
        self._next = now + TICK
        self._ticking = self._clock.callLater(TICK, self._tick)

    def _tick(self) -> None:
        now = self._clock.seconds() - self._begun
        # First of all, as what comes may set new deadlines.
        self._goOn(now)
        for at in [at for at in self._buckets if at * TICK <= now]:
            self._come(self._buckets.pop(at))

    def _come(self, bucket: dict[Late, None]) -> None:
        while bucket:
            late, _ = bucket.popitem()
            self.oneLess()
            try:
                late.call(*late.arguments)
            except Exception:
                self._log.failure("a bug at a deadline")
