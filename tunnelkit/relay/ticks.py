# -*- test-case-name: tests.relay.test_ticks -*-
"""
Ticks: a clock for deadlines that are hardly ever reached.  They may come three seconds
late, and cost next to nothing where they are called off: each visitor has some.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from functools import partial
from itertools import takewhile
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

    __slots__ = ("_queue", "_ticks", "arguments", "call", "time")

    def __init__(
        self,
        call: Callable[..., object],
        arguments: tuple[Any, ...],
        time: float,
        queue: dict[Late, None],
        ticks: Ticks,
    ) -> None:
        self.call = call
        self.arguments = arguments
        self.time = time
        self._queue = queue
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
        return self in self._queue

    def cancel(self) -> None:
        """
        Call it off; nothing happens where it has come.
        """
        if self._queue.pop(self, self) is None:
            ticks = self._ticks
            ticks.count -= 1
            if not ticks.count:
                ticks.rest()

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
    Deadlines, in one queue for all that wait equally long: there they come in the
    order in which they were set.

    @ivar count: how many there are.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        self.count = 0
        self._clock = clock
        self._queues: dict[float, dict[Late, None]] = defaultdict(dict)
        self._ticking: IDelayedCall | None = None
        self._next = 0.0  # when it will tick, for which no clock is looked at

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
            self._goOn(self._clock.seconds())
        self.count += 1
        queue = self._queues[delay]
        call = partial(callable, **kw) if kw else callable
        late = Late(call, args, self._next + delay, queue, self)
        queue[late] = None
        return late

    def getDelayedCalls(self) -> list[IDelayedCall]:
        """
        Give all deadlines.
        """
        return [late for queue in self._queues.values() for late in queue]

    def rest(self) -> None:
        """
        The last deadline came or was called off: leave nothing behind.
        """
        if self._ticking is not None:
            self._ticking.cancel()
            self._ticking = None
        self._queues.clear()

    def _goOn(self, now: float) -> None:
        self._next = now + TICK
        self._ticking = self._clock.callLater(TICK, self._tick)

    def _tick(self) -> None:
        now = self._clock.seconds()
        # First of all, as what comes may set new deadlines.
        self._goOn(now)
        for queue in [*self._queues.values()]:
            for late in [*takewhile(lambda late: late.time <= now, queue)]:
                self._come(late)

    def _come(self, late: Late) -> None:
        if not late.active():
            return  # the one before it has called it off
        late.cancel()
        try:
            late.call(*late.arguments)
        except Exception:
            self._log.failure("a bug at a deadline")
