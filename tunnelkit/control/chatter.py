# -*- test-case-name: tests.control.test_chatter -*-
"""
Chatter: how much the log says of each user.

Whoever has a token can log in, open and close as often as the wire carries it, and
each time is a line.  The first are all to be read; of too many, how many they were.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime

LINES: Final = 1000
"""Lines about a user at once."""
EACH: Final = 1.0
"""Seconds after which there is room for one more."""
SUM: Final = 10.0
"""Seconds between two lines that say how many were left out."""


class Chatter:
    """
    Room in the log, for each user.

    There are as many users as the operator has made; what is kept of each is three
    numbers.
    """

    def __init__(self, say: Callable[[str, int], None], clock: IReactorTime) -> None:
        """
        @param say: told how many lines about a user were left out.
        """
        self._say = say
        self._clock = clock
        # How many lines there were lately, at some time: each is forgotten after
        # C{EACH} seconds.
        self._lately: dict[str, tuple[float, float]] = {}
        self._leftOut: dict[str, int] = {}
        self._sums: IDelayedCall | None = None

    def room(self, user: str) -> bool:
        """
        Take room for one line about a user.

        @return: whether there is some; if not, leave the line out.
        """
        now = self._clock.seconds()
        lines, at = self._lately.get(user, (0.0, now))
        lines = max(0.0, lines - max(0.0, now - at) / EACH)
        there = lines + 1 <= LINES
        self._lately[user] = lines + there, now
        if not there:
            self._leftOut[user] = self._leftOut.get(user, 0) + 1
            if self._sums is None:
                self._sums = self._clock.callLater(SUM, self._sum)
        return there

    def stop(self) -> None:
        """
        Say what has not been said yet: no more lines will come.
        """
        if self._sums is not None:
            self._sums.cancel()
            self._sum()

    def _sum(self) -> None:
        self._sums = None
        leftOut, self._leftOut = self._leftOut, {}
        for user, count in leftOut.items():
            self._say(user, count)
