# -*- test-case-name: tests.sharing.test_habits -*-
"""
Habit: what the target does with a connection behind a reply, as far as is seen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime

BRIEF: Final = 2
"""After so many connections in a row that the target ended after one reply each, it is
taken to do that always."""
_MOMENT: Final = 1e-6
"""What the sums of times are out by at most, in seconds."""


class Line(Protocol):
    """
    A connection to the target.
    """

    @property
    def answered(self) -> int:
        """
        How many requests were.
        """

    @property
    def last(self) -> float:
        """
        When the last of those was, on the clock.
        """

    @property
    def flying(self) -> object:
        """
        Requests that it has.
        """


class Habit:
    """
    @ivar single: whether the target has ended a connection after one reply, announced
        or not, and none was seen since that had more: then only one request is to be
        under way on each, as those behind it would be lost.
    """

    def __init__(
        self, clock: IReactorTime, caution: float, pump: Callable[[], None]
    ) -> None:
        """
        @param caution: for how many seconds after its first reply a connection is
            watched.
        @param pump: called when that time is over.
        """
        self.single = False
        self._clock = clock
        self._caution = caution
        self._pump = pump
        self._brief = 0
        self._stays = False
        self._look: IDelayedCall | None = None

    @property
    def closes(self) -> bool:
        """
        Whether it ends each connection after one reply, without a word.
        """
        return self._brief >= BRIEF

    def kept(self) -> None:
        """
        It has kept a connection behind a reply.
        """
        self.single = False
        self._brief = 0
        self._stays = True

    def ended(self, brief: bool) -> None:
        """
        It has ended one after one reply.

        @param brief: whether soon, and without a word.
        """
        self.single = True
        if brief:
            self._brief += 1
            self._stays = False

    def sure(self, line: Line) -> bool:
        """
        Tell whether what must not be sent twice may be sent on a connection.  As long
        as it is not known that the target keeps one open after a reply, it waits for a
        moment.
        """
        if self._stays:
            return True
        if line.flying or not line.answered:
            # If it has a request, the reply to that will tell.
            return not line.flying
        left = line.last + self._caution - self._clock.seconds()
        if left < _MOMENT:
            self._stays = True
        elif self._look is None:
            self._look = self._clock.callLater(left, self._looked)
        return self._stays

    def _looked(self) -> None:
        self._look = None
        self._pump()

    def stop(self) -> None:
        """
        Look no more.
        """
        look, self._look = self._look, None
        if look is not None:
            look.cancel()
