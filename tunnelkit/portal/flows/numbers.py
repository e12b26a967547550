# -*- test-case-name: tests.portal.flows.test_table -*-
"""
Numbers of flows, as the near side chooses them: tags in the compatible mode, in the
native one what comes next.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Protocol

from tunnelkit.portal.addresses.sockets import Address
from tunnelkit.wire.portal.sealed import FLOWS
from tunnelkit.wire.portal.tags import TAGS

REST: Final = 120.0
"""For so many seconds after its last use a tag goes to no other sender: a far side
that is not ours keeps its record for up to 100, and late answers would reach the wrong
one."""


class Numbers(Protocol):
    """
    Gives flows their numbers.
    """

    def take(self, sender: Address) -> int | None:
        """
        Give a number that no other flow has; None where there is none left.
        """

    def free(self, number: int, sender: Address, used: float) -> None:
        """
        Take a number back.

        @param used: when it was used last.
        """


class Serials:
    """
    Numbers that are not used again for four billion flows.
    """

    def __init__(self) -> None:
        self._last = 0
        self._taken: set[int] = set()

    def take(self, sender: Address) -> int | None:
        """
        Give the next number.
        """
        while True:
            self._last = self._last % (FLOWS - 1) + 1
            if self._last not in self._taken:
                self._taken.add(self._last)
                return self._last

    def free(self, number: int, sender: Address, used: float) -> None:
        """
        Take a number back.
        """
        self._taken.discard(number)


class Tags:
    """
    The sender's own port, as udptun has it, or another tag where somebody else has that
    or had it of late.  To the far side it is all one.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        """
        @param now: gives the time in seconds.
        """
        self._now = now
        self._taken: set[int] = set()
        # Who had it and when, the longest ago first.
        self._resting: OrderedDict[int, tuple[Address, float]] = OrderedDict()
        self._next = 0

    def take(self, sender: Address) -> int | None:
        """
        Give a tag.
        """
        self._wake()
        for tag in self._candidates(sender):
            if tag not in self._taken and self._may(tag, sender):
                self._resting.pop(tag, None)
                self._taken.add(tag)
                return tag
        return None

    def free(self, number: int, sender: Address, used: float) -> None:
        """
        Take a tag back, and let it rest.
        """
        self._taken.discard(number)
        self._resting[number] = sender, used

    def _candidates(self, sender: Address) -> list[int]:
        port = sender[1]
        free = TAGS - len(self._taken) - len(self._resting)
        if (port not in self._taken and self._may(port, sender)) or free <= 0:
            return [port]
        # Some tag is free, so this ends.
        while self._next in self._taken or self._next in self._resting:
            self._next = (self._next + 1) % TAGS
        return [port, self._next]

    def _may(self, tag: int, sender: Address) -> bool:
        return tag not in self._resting or self._resting[tag][0] == sender

    def _wake(self) -> None:
        limit = self._now() - REST
        for tag, (_, used) in list(self._resting.items()):
            if used > limit:
                break
            del self._resting[tag]
