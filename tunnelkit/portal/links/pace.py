# -*- test-case-name: tests.portal.links.test_link -*-
"""
Pace: how long a path may be silent.

A NAT forgets a path that is not used, after a time that nobody tells.  So silences get
longer until one was too long, and from then on stay below that.
"""

from __future__ import annotations

from typing import Final

FIRST: Final = 15.0
"""Seconds of silence that nearly every NAT allows."""
LEAST: Final = 8.0
"""Seconds below which no silence goes, whatever a NAT does."""
LONGEST: Final = 110.0
"""Seconds that are enough: RFC 4787 wants NATs to remember for at least 120."""
_GROWTH: Final = 1.5
_CAUTION: Final = 0.8


class Pace:
    """
    @ivar silence: for how many seconds nothing need be sent.
    """

    def __init__(self) -> None:
        self.silence = FIRST
        self._ceiling = LONGEST

    def held(self) -> None:
        """
        The path has outlived a silence.
        """
        self.silence = min(self._ceiling, self.silence * _GROWTH)

    def broke(self) -> None:
        """
        The path has not.
        """
        self._ceiling = max(LEAST, self.silence / _GROWTH * _CAUTION)
        self.silence = self._ceiling


class Haste:
    """
    How long to wait between two tries to reach a portal: both sides open their NATs in
    the first seconds, later it is a matter of patience.
    """

    _FIRST: Final = 0.1
    _USUAL: Final = 1.0
    _USUALLY: Final = 15
    _LONGEST: Final = 8.0

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """
        Begin anew.
        """
        self._tries = 0
        self._wait = self._FIRST

    def delay(self) -> float:
        """
        Say how many seconds to wait before the next try.
        """
        wait = self._wait
        self._tries += 1
        limit = self._USUAL if self._tries < self._USUALLY else self._LONGEST
        self._wait = min(limit, wait * 2)
        return wait
