# -*- test-case-name: tests.tunnels.test_bursts -*-
"""
Bursts: what happens to many visitors at once is said once, with a count.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.internet.interfaces import IReactorTime

QUIET: Final = 10.0
"""Seconds without the same trouble after which it is news again."""
KEPT: Final = 100
"""Different troubles that are told apart."""


class Bursts:
    """
    Says a trouble when it begins, and how often it came when it is over or has gone
    on for a while.
    """

    def __init__(self, say: Callable[[str], None], clock: IReactorTime) -> None:
        """
        @param say: told a sentence for the log.
        """
        self._say = say
        self._clock = clock
        self._seen: dict[str, int] = {}

    def note(self, sentence: str) -> None:
        """
        A trouble came.
        """
        if sentence in self._seen:
            self._seen[sentence] += 1
        elif len(self._seen) < KEPT:
            self._seen[sentence] = 0
            self._say(sentence)
            self._clock.callLater(QUIET, self._review, sentence)

    def _review(self, sentence: str) -> None:
        again = self._seen.pop(sentence)
        if again:
            self._seen[sentence] = 0
            self._say(f"{sentence} ({again} times more in {QUIET:.0f} s)")
            self._clock.callLater(QUIET, self._review, sentence)
