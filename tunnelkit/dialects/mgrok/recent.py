# -*- test-case-name: tests.dialects.mgrok.test_datagrams -*-
"""
Recent: streams that nobody says are over, in the order of their last use.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime

TICK: Final = 1.0
"""Seconds between two looks at who is idle."""


class Recent:
    """
    Such streams.  One is over when it was not used for a while, or when another needs
    its place: then it is the one that was used longest ago.
    """

    def __init__(
        self, clock: IReactorTime, over: Callable[[int], None], most: int, idle: float
    ) -> None:
        """
        @param over: told of each stream that is over, and is no more among these.
        @param most: how many there may be.
        @param idle: seconds without use after which one is over.
        """
        self._clock = clock
        self._over = over
        self._most = most
        self._idle = idle
        self._used: OrderedDict[int, float] = OrderedDict()
        self._looking: IDelayedCall | None = None

    def __len__(self) -> int:
        return len(self._used)

    def __iter__(self) -> Iterator[int]:
        return iter([*self._used])

    def use(self, stream: int) -> None:
        """
        A stream is used, perhaps for the first time.
        """
        if stream not in self._used and len(self._used) >= self._most:
            self._end(next(iter(self._used)))
        self._used[stream] = self._clock.seconds()
        self._used.move_to_end(stream)
        if self._looking is None:
            self._looking = self._clock.callLater(TICK, self._look)

    def forget(self, stream: int) -> None:
        """
        A stream is over, as its user knows.
        """
        self._used.pop(stream, None)

    def clear(self) -> None:
        """
        All are over, as their user knows.
        """
        self._used.clear()
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None

    def _end(self, stream: int) -> None:
        del self._used[stream]
        self._over(stream)

    def _look(self) -> None:
        self._looking = None
        until = self._clock.seconds() - self._idle
        while self._used:
            stream, used = next(iter(self._used.items()))
            if used > until:
                self._looking = self._clock.callLater(TICK, self._look)
                return
            self._end(stream)
