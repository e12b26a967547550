# -*- test-case-name: tests.wire.portal.test_replay -*-
"""
Replays: which packets of a numbered sequence have been taken already, where some are
late and some are lost.
"""

from __future__ import annotations

from typing import Final

WINDOW: Final = 2048
"""By how many packets one may be late."""

_ALL: Final = (1 << WINDOW) - 1


class ReplayWindow:
    """
    Takes each number once, and none that is long past.

    @ivar newest: the greatest number taken; -1 before the first.
    """

    def __init__(self) -> None:
        self.newest = -1
        self._taken = 0  # bit n: whether newest - n was

    def takes(self, number: int) -> bool:
        """
        Tell whether a number would be taken.  That is asked before a packet is known to
        be authentic, so it changes nothing.
        """
        late = self.newest - number
        if late < 0:
            return True
        return late < WINDOW and not self._taken >> late & 1

    def take(self, number: int) -> bool:
        """
        Take a number, of an authentic packet.

        @return: whether it is the greatest so far.
        """
        late = self.newest - number
        if late >= 0:
            self._taken |= 1 << late
            return False
        # A long leap shifts all bits out; by so many none need be moved.
        shifted = self._taken << -late if -late < WINDOW else 0
        self._taken = shifted & _ALL | 1
        self.newest = number
        return True
