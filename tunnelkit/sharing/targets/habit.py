# -*- test-case-name: tests.sharing.test_habits -*-
"""
Habit: what the target does with its connections, as far as is seen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime

BRIEF: Final = 2
"""After so many connections in a row that the target ended after one reply each, it is
taken to do that always."""
SOON: Final = 1.0
"""A target that ends within so many seconds of a reply does so because of it; one that
does not within so many seconds keeps its connection."""
_MOMENT: Final = 1e-6
"""What the sums of times are out by at most, in seconds."""


class Life:
    """
    What is seen of one connection to the target.

    @ivar answered: how many requests were.
    @ivar last: when the last of those was, on the clock.
    @ivar asked: whether it had any.
    @ivar heard: whether the target has said something that is of use.
    @ivar excused: whether it ends through no fault of the target's.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self.answered = 0
        self.last = 0.0
        self.asked = self.heard = self.excused = False
        self._clock = clock
        self._since = clock.seconds()

    def answer(self) -> None:
        """
        A request is answered.
        """
        self.answered += 1
        self.last = self._clock.seconds()
        self.heard = True

    @property
    def afresh(self) -> bool:
        """
        Whether a reply was a moment ago.
        """
        return self._clock.seconds() - self.last < SOON

    @property
    def lasting(self) -> bool:
        """
        Whether it is there for more than a moment.
        """
        return self._clock.seconds() - self._since >= SOON

    @property
    def vain(self) -> bool:
        """
        Whether the target has made it of no use: it was asked and is silent, or has
        left at once.
        """
        useless = self.asked or not self.lasting
        return useless and not (self.heard or self.excused)


class Habit:
    """
    What the target does with a connection behind a reply.

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
        self._tried = 0.0
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
            if self._brief == BRIEF:
                self._tried = self._clock.seconds()

    def tries(self, rest: float) -> bool:
        """
        Tell whether one that is known to end each connection is to be tried with one
        again.  Where requests always wait, nothing else would tell that it has changed.

        @param rest: for how many seconds it is not.
        """
        now = self._clock.seconds()
        if now - self._tried < rest:
            return False
        self._tried = now
        return True

    def sure(self, life: Life, busy: bool) -> bool:
        """
        Tell whether what must not be sent twice may be sent on a connection.  As long
        as it is not known that the target keeps one open after a reply, it waits for a
        moment.

        @param busy: whether it has a request.
        """
        if self._stays:
            return True
        if busy or not life.answered:
            # If it has a request, the reply to that will tell.
            return not busy
        left = life.last + self._caution - self._clock.seconds()
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
