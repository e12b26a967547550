# -*- test-case-name: tests.relay.test_ticks -*-
"""
Ticks: a clock for deadlines that are hardly ever reached.  They may come a second
late, and cost next to nothing where they are called off.
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

    __slots__ = ("_bucket", "_ticks", "call", "time")

    def __init__(
        self,
        call: Callable[[], object],
        time: float,
        bucket: dict[Late, None],
        ticks: Ticks,
    ) -> None:
        self.call = call
        self.time = time
        self._bucket = bucket
        self._ticks = ticks

    def getTime(self) -> float:
        """
        Say when it is due, on the clock.
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
        if self in self._bucket:
            del self._bucket[self]
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
        self._buckets: dict[int, dict[Late, None]] = {}
        self._ticking: IDelayedCall | None = None
        self._count = 0

    def seconds(self) -> float:
        """
        Tell the time.
        """
        return self._clock.seconds()

    def callLater(
        self, delay: float, callable: Callable[..., object], *args: Any, **kw: Any
    ) -> IDelayedCall:
        """
        Call something not before C{delay} seconds, and about a tick later at most.
        """
        due = self._clock.seconds() + delay
        number = int(due / TICK) + 1
        bucket = self._buckets.get(number)
        if bucket is None:
            bucket = self._buckets[number] = {}
        late = Late(partial(callable, *args, **kw), due, bucket, self)
        bucket[late] = None
        self._count += 1
        if self._ticking is None:
            self._ticking = self._clock.callLater(TICK, self._tick)
        return late

    def getDelayedCalls(self) -> list[IDelayedCall]:
        """
        Give all deadlines.
        """
        return [late for bucket in self._buckets.values() for late in bucket]

    def oneLess(self) -> None:
        """
        A deadline was called off: the last one leaves nothing behind.
        """
        self._count -= 1
        if not self._count and self._ticking is not None:
            self._ticking.cancel()
            self._ticking = None
            self._buckets.clear()

    def _tick(self) -> None:
        self._ticking = None
        now = self._clock.seconds() / TICK
        for number in [number for number in self._buckets if number <= now]:
            bucket = self._buckets.pop(number)
            while bucket:
                late, _ = bucket.popitem()
                self._count -= 1
                try:
                    late.call()
                except Exception:
                    self._log.failure("a bug at a deadline")
        if self._count and self._ticking is None:
            self._ticking = self._clock.callLater(TICK, self._tick)
