# -*- test-case-name: tests.relay.portable.test_turns -*-
"""
Turns: who may go on first where many share a connection that takes less than they have
to say.

When it takes more, all who wait could go on at once; but whoever is read from first has
filled it again before the others were looked at, and it would be the same ones each
time.  So those who were left with nothing go first, by themselves, and the others when
these have had a round of the reactor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, Generic, Protocol, TypeVar

from twisted.internet.interfaces import IDelayedCall, IReactorTime

REST: Final = 0.1
"""Seconds for which who had nothing to say when it was his turn is not asked again."""


class Turn:
    """
    What is known of one of them.

    @ivar sent: whether he has sent something since the connection took more.
    @ivar starved: whether he could not, though perhaps he would have: he goes first.
    @ivar held: whether he is to wait for those.
    @ivar idle: when he had nothing to say last.
    """

    __slots__ = ("held", "idle", "sent", "starved")

    def __init__(self) -> None:
        self.sent = self.starved = self.held = False
        self.idle = -REST


class Sharer(Protocol):
    """
    One of them.
    """

    turn: Turn


S = TypeVar("S", bound=Sharer)


class Turns(Generic[S]):
    """
    The turns of those who share one connection.
    """

    def __init__(
        self,
        clock: IReactorTime,
        sharers: Callable[[], Iterable[S]],
        go: Callable[[list[S]], object],
        done: Callable[[], object] = lambda: None,
    ) -> None:
        """
        @param sharers: gives all of them.
        @param go: told who may go on.
        @param done: told when there is nobody who may not.
        """
        self._clock = clock
        self._sharers = sharers
        self._go = go
        self._done = done
        self._round = False  # whether those who were left with nothing have their turn
        self._later: IDelayedCall | None = None

    def filled(self) -> None:
        """
        The connection takes no more.
        """
        self.stop()
        lately = self._clock.seconds() - REST
        for turn in (each.turn for each in self._sharers()):
            # Who comes new meanwhile is not to go before those who wait.
            left = turn.starved if self._round else turn.idle <= lately
            turn.starved = left and not turn.sent
            turn.held = turn.sent = False

    def drained(self) -> None:
        """
        The connection takes more.
        """
        self.stop()
        every = [*self._sharers()]
        first = [each for each in every if each.turn.starved]
        self._round = bool(first)
        for each in every:
            each.turn.held = self._round and not each.turn.starved
        if first:
            # What is read in the reactor's next round comes behind this.  It may be
            # full again before that: then there is nothing to wait for.
            self._later = self._clock.callLater(0, self._wait)
            self._go(first)
        else:
            self._go(every)
            self._done()

    def stop(self) -> None:
        """
        Tell nobody that he may go on.
        """
        if self._later is not None and self._later.active():
            self._later.cancel()
        self._later = None

    def _wait(self) -> None:
        self._later = self._clock.callLater(0, self._end)

    def _end(self) -> None:
        """
        Those who went first have had their turn.
        """
        self._later, self._round = None, False
        others = []
        for each in self._sharers():
            turn = each.turn
            if turn.starved and not turn.sent:
                turn.idle = self._clock.seconds()
            if turn.held:
                others.append(each)
            turn.starved = turn.held = False
        self._go(others)
        self._done()
