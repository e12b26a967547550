# -*- test-case-name: tests.control.test_backoff -*-
"""
Backoff: how long a client waits before it connects again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

QUICK: Final = (0.1, 0.4)
"""Seconds between two tries at first, from and to."""
PATIENT: Final = 5.0
"""Seconds for which tries are quick."""
LONGEST: Final = 15.0
"""Seconds between two tries at most."""


class Backoff:
    """
    At once, then quickly for some seconds, then ever more slowly, with jitter so that
    a fleet of clients does not come back in step.
    """

    def __init__(self, random: Callable[[], float]) -> None:
        """
        @param random: gives numbers from 0 to below 1.
        """
        self._random = random
        self.reset()

    def reset(self) -> None:
        """
        Begin anew, after a good login.
        """
        self._tries = 0
        self._waited = 0.0
        self._ceiling = 1.0

    def delay(self, lasting: bool = False) -> float:
        """
        Say how many seconds to wait before the next try.

        @param lasting: whether trying again can hardly help: then not quickly.
        """
        if lasting:
            self._tries = max(1, self._tries)
            self._waited = max(PATIENT, self._waited)
        self._tries += 1
        if self._tries == 1:
            return 0.0
        # Tenths do not add up exactly.
        if self._waited < PATIENT - 1e-6:
            low, high = QUICK
            wait = low + (high - low) * self._random()
        else:
            self._ceiling = min(LONGEST, self._ceiling * 2)
            wait = self._ceiling * (0.5 + self._random() / 2)
        self._waited += wait
        return wait
