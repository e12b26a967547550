# -*- test-case-name: tests.portal.flows.test_table -*-
"""
Flows: who has sent something of late.  UDP knows no end, so a flow ends by silence, or
when others need its place.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from typing import Final, Generic, TypeVar

from twisted.internet.interfaces import IDelayedCall, IReactorTime

IDLE: Final = 90.0
"""After so many seconds without a datagram, in either direction, a flow is gone."""
MOST: Final = 16384
"""Flows of a portal.  With more, that one leaves which was silent for longest."""

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Flows(Generic[K, V]):
    """
    A table that forgets.
    """

    def __init__(
        self,
        clock: IReactorTime,
        ended: Callable[[K, V, float], None],
        most: int = MOST,
        idle: float = IDLE,
    ) -> None:
        """
        @param ended: told each flow that is gone, and when it was used last.
        """
        self._clock = clock
        self._ended = ended
        self._most = most
        self._idle = idle
        # The one that was silent for longest comes first.
        self._flows: OrderedDict[K, V] = OrderedDict()
        self._used: dict[K, float] = {}
        self._review: IDelayedCall | None = None

    def __len__(self) -> int:
        return len(self._flows)

    def inOrder(self) -> list[K]:
        """
        Give the keys of all, that one first which was silent for longest.
        """
        return list(self._flows)

    def items(self) -> Iterable[tuple[K, V]]:
        """
        Give all.
        """
        return self._flows.items()

    def get(self, key: K) -> V | None:
        """
        Give a flow, if there is one, which is no use of it.
        """
        return self._flows.get(key)

    def __contains__(self, key: K) -> bool:
        return key in self._flows

    def use(self, key: K) -> V | None:
        """
        Give a flow that is used now, if there is one.
        """
        value = self._flows.get(key)
        if value is not None:
            self._used[key] = self._clock.seconds()
            self._flows.move_to_end(key)
        return value

    def add(self, key: K, value: V) -> None:
        """
        Enter a flow.  The least recently used leaves where it is too many.
        """
        while len(self._flows) >= self._most:
            self.end(next(iter(self._flows)))
        self._flows[key] = value
        self._used[key] = self._clock.seconds()
        if self._review is None:
            self._arm()

    def end(self, key: K) -> None:
        """
        End a flow, if there is one.
        """
        if key in self._flows:
            value, used = self._flows.pop(key), self._used.pop(key)
            self._ended(key, value, used)

    def clear(self) -> None:
        """
        End all.
        """
        for key in list(self._flows):
            self.end(key)
        if self._review is not None:
            self._review.cancel()
            self._review = None

    def _arm(self) -> None:
        oldest = self._used[next(iter(self._flows))]
        wait = max(0.0, oldest + self._idle - self._clock.seconds())
        self._review = self._clock.callLater(wait, self._look)

    def _look(self) -> None:
        self._review = None
        # Sums of fractions of seconds are not exact.
        limit = self._clock.seconds() - self._idle + 1e-6
        while self._flows and self._used[next(iter(self._flows))] <= limit:
            self.end(next(iter(self._flows)))
        if self._flows:
            self._arm()
