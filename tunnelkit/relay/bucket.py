# -*- test-case-name: tests.relay.test_bucket -*-
"""
Bucket: how fast bytes may pass, as tokens that come at a rate, one for a byte.

The streams of one direction of one tunnel share a bucket.  Who finds it empty waits in
line, and is told when there are tokens again; nobody looks for them in between.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime

BURST: Final = 0.1
"""How many seconds' tokens a bucket holds where nothing else is said.  Over ten seconds
that is one part in a hundred."""
STEP: Final = 0.01
"""Seconds' tokens that are waited for, at least: what is late by a little is made up
by the next."""
PIECE: Final = 512
"""Bytes that who is told may take at least, where there are tokens for so many: of a
byte or two each sending would cost more than it carries."""
_LEAP: Final = 1.0
"""The longest time between two looks that counts, in seconds: the clock may be set."""


class Bucket:
    """
    Tokens.
    """

    def __init__(
        self, clock: IReactorTime, rate: float, burst: float | None = None
    ) -> None:
        """
        @param rate: bytes a second.
        @param burst: bytes that may pass at once, after a rest.
        """
        self._clock = clock
        self._rate = rate
        self._burst = max(1.0, rate * BURST if burst is None else burst)
        self._step = min(self._burst, max(1.0, rate * STEP))
        self._tokens = self._burst
        self._seen = clock.seconds()
        self._waiting: deque[Callable[[], None]] = deque()
        self._timer: IDelayedCall | None = None
        self._share = 0  # what is for the one who is told at the moment
        self._telling = False

    def take(self, wanted: int) -> int:
        """
        Take tokens.

        @return: for how many bytes, which may be none.
        """
        self._fill()
        most, self._share = self._share, 0
        if not most and not self._waiting:
            most = int(self._tokens)
        # Where others wait it is theirs, and who is told takes once.
        taken = min(wanted, most)
        self._tokens -= taken
        return taken

    @property
    def room(self) -> int:
        """
        For how many bytes there are tokens that nobody waits for.
        """
        self._fill()
        return 0 if self._waiting else int(self._tokens)

    def takeAll(self, wanted: int) -> bool:
        """
        Take tokens for all of something that cannot be divided.  What is larger than
        the bucket passes when that is full, and leaves it in debt.

        @return: whether there were enough.
        """
        self._fill()
        if self._tokens < min(wanted, self._burst):
            return False
        self._tokens -= wanted
        return True

    def wait(self, ready: Callable[[], None]) -> None:
        """
        Have a function called when there are tokens.
        """
        self._waiting.append(ready)
        self._arm()

    def leave(self, ready: Callable[[], None]) -> None:
        """
        Wait no longer; nothing happens where nobody does.
        """
        if ready in self._waiting:
            self._waiting.remove(ready)
        if not self._waiting and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fill(self) -> None:
        now = self._clock.seconds()
        elapsed = min(max(0.0, now - self._seen), _LEAP)
        self._seen = now
        self._tokens = min(self._burst, self._tokens + elapsed * self._rate)

    def _arm(self) -> None:
        # Not while some are told, who may take what there is.
        if self._timer is None and self._waiting and not self._telling:
            lacking = max(0.0, self._step - self._tokens)
            self._timer = self._clock.callLater(lacking / self._rate, self._come)

    def _come(self) -> None:
        self._timer = None
        self._fill()
        self._telling = True
        try:
            self._tell()
        finally:
            self._telling = False
            self._share = 0
            self._arm()

    def _tell(self) -> None:
        # Each once: who still lacks some goes to the end of the line.  Where there is
        # not enough for all, the rest of the line is first the next time.
        for left in range(len(self._waiting), 0, -1):
            there = int(self._tokens)
            self._share = max(there // left, min(there, PIECE))
            if not self._share or not self._waiting:
                break
            self._waiting.popleft()()
