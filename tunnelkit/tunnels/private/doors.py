# -*- test-case-name: tests.tunnels.private.test_visit -*-
"""
Doors: all places on the client's side from which private tunnels are reached.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from twisted.internet.defer import Deferred

from tunnelkit.interfaces import ICarrier, IRelay
from tunnelkit.relay.endpoints import IPortableReactor
from tunnelkit.tunnels.private.socks import SocksDoor
from tunnelkit.tunnels.private.spec import VisitSpec
from tunnelkit.tunnels.private.udp import Landings, UDPVisit
from tunnelkit.tunnels.private.visit import Visit
from tunnelkit.wire.address import HostPort
from tunnelkit.wire.endkey import EndKey
from tunnelkit.wire.native.messages import Flow as Announced


class Door(Protocol):
    """
    One such place.
    """

    @property
    def streams(self) -> int:
        """
        How many visitors are at tunnels, or on their way.
        """

    def start(self) -> None:
        """
        Take visitors from now on.

        @raise StartFailed: that cannot be.
        """

    def stop(self) -> Deferred[object] | None:
        """
        Take no more.
        """

    def cut(self, reason: str) -> None:
        """
        Reset all streams under way, and those to be.
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
        return sum(door.streams for door in self._doors)

    def landings(self, answered: Callable[[Announced, ICarrier], bool]) -> Landings:
        """
        Give where flows go to that answer dials.

        @param answered: gives a flow to who dialled; says whether somebody did.
        """
        visits = (door for door in self._doors if isinstance(door, UDPVisit))
        return Landings(visits, answered)

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
            door.cut(reason)


def makeDoors(
    visits: Sequence[VisitSpec],
    socks: Iterable[HostPort],
    keys: Mapping[str, EndKey],
    relay: IRelay,
    reactor: IPortableReactor,
    dial: Callable[[str, str, bool], Deferred[Any]],
    random: Callable[[int], bytes],
) -> Doors:
    """
    Make those that a client's user asked for.

    @param socks: where programs that know SOCKS come to.
    @param dial: asks for a stream, or for a flow: of a tunnel's name, its kind, and
        whether it is encrypted from end to end.
    @param random: gives so many random bytes.
    @param keys: by which what they say is encrypted from end to end, by tunnel.
    """
    # What is behind a name is for the client to say that publishes it: both are there.
    doors: list[Door] = [Visit(spec, relay, reactor, dial) for spec in visits]
    doors += [
        UDPVisit(spec, relay, reactor, dial, random)
        for spec in visits
        if isinstance(spec.at, HostPort)
    ]
    doors += [SocksDoor(at, keys, relay, reactor, dial) for at in socks]
    return Doors(doors)
