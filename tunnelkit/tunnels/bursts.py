# -*- test-case-name: tests.tunnels.test_bursts -*-
"""
Bursts: what happens to many visitors at once is said once, with a count.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from tunnelkit.control.names import legible

QUIET: Final = 10.0
"""Seconds without the same trouble after which it is news again."""
KEPT: Final = 100
"""Different troubles that are told apart."""
_LONGEST: Final = 300
"""The longest sentence, in characters; the other side may have written it."""


@dataclass(slots=True)
class _Burst:
    """
    @ivar again: how often a trouble came since it was last said.
    @ivar review: when that is looked at.
    """

    review: IDelayedCall
    again: int = 0


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
        self._seen: dict[str, _Burst] = {}

    def note(self, sentence: str) -> None:
        """
        A trouble came.
        """
        sentence = legible(sentence, _LONGEST)
        if sentence in self._seen:
            self._seen[sentence].again += 1
        elif len(self._seen) < KEPT:
            self._begin(sentence)
            self._say(sentence)

    def stop(self) -> None:
        """
        Say what has not been said yet: nothing more will come.
        """
        seen, self._seen = self._seen, {}
        for sentence, burst in seen.items():
            burst.review.cancel()
            if burst.again:
                self._say(f"{sentence} ({_more(burst.again)})")

    def _begin(self, sentence: str) -> None:
        review = self._clock.callLater(QUIET, self._review, sentence)
        self._seen[sentence] = _Burst(review)

    def _review(self, sentence: str) -> None:
        again = self._seen.pop(sentence).again
        if again:
            self._begin(sentence)
            self._say(f"{sentence} ({_more(again)} in {QUIET:.0f} s)")


def _more(times: int) -> str:
    return "once more" if times == 1 else f"{times} times more"
