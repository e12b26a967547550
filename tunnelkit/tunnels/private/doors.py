# -*- test-case-name: tests.tunnels.private.test_visit -*-
"""
Doors: all places on the client's side from which private tunnels are reached.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from tunnelkit.interfaces import IRelay
from tunnelkit.tunnels.private.spec import VisitSpec
from tunnelkit.tunnels.private.visit import Dial, Visit, Visits


class Door(Protocol):
    """
    One such place.

    @ivar visits: who came there.
    """

    visits: Visits

    def start(self) -> None:
        """
        Take visitors from now on.

        @raise StartFailed: that cannot be.
        """

    def stop(self) -> Deferred[object] | None:
        """
        Take no more.
        """


class Doors:
    """
    All of a client.
    """

    def __init__(self, doors: Iterable[Door]) -> None:
        self._doors = tuple(doors)

    @property
    def streams(self) -> int:
        """
        How many visitors are at tunnels, or on their way.
        """
        return sum(door.visits.streams for door in self._doors)

    def open(self) -> None:
        """
        Take visitors from now on.

        @raise StartFailed: one of them cannot be had; none is open then.
        """
        try:
            for door in self._doors:
                door.start()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """
        Take no more visitors; streams under way go on.
        """
        for door in self._doors:
            door.stop()

    def cut(self, reason: str) -> None:
        """
        Reset all streams under way, and those to be.
        """
        for door in self._doors:
            door.visits.cut(reason)


def makeDoors(
    visits: Iterable[VisitSpec], relay: IRelay, clock: IReactorTime, dial: Dial
) -> Doors:
    """
    Make those that a client's user asked for.
    """
    return Doors(Visit(spec, relay, clock, dial) for spec in visits)
