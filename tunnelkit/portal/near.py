# -*- test-case-name: tests.portal.test_portals -*-
"""
The near portal: takes what local senders send to far portals, all over one UDP socket.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

from twisted.internet.error import CannotListenError

from tunnelkit.failures import StartFailed
from tunnelkit.portal.addresses.candidates import Candidates, shown
from tunnelkit.portal.addresses.places import Place
from tunnelkit.portal.addresses.sockets import Address
from tunnelkit.portal.flows.entrances import Entrance, Passage
from tunnelkit.portal.flows.numbers import Serials, Tags
from tunnelkit.portal.flows.tagged import TaggedWay
from tunnelkit.portal.links.link import Link, Tie
from tunnelkit.portal.links.rings import Indexes
from tunnelkit.portal.portals import Portal
from tunnelkit.portal.settings import PortalSettings, Surroundings, Target
from tunnelkit.wire.address import HostPort
from tunnelkit.wire.native.frames import WireError
from tunnelkit.wire.portal.sealed import ANSWER, DATA, makeNoise
from tunnelkit.wire.portal.tags import untagged

ROUTES: Final = 256
"""Far portals that a near one leads to."""


class Way(Protocol):
    """
    What is different in the two modes: L{Link} and L{TaggedWay} are ways.

    @ivar path: the far portal's address, None while it is not reached.
    @ivar heard: when it was heard last, None for never.
    @ivar changed: told when it was reached, or lost.
    """

    path: Address | None
    heard: float | None
    changed: Callable[[], object]

    @property
    def seeking(self) -> bool:
        """
        Whether it should be found out where the far portal is.
        """

    @property
    def relayed(self) -> bool:
        """
        Whether the way leads through a tunnel.
        """

    def lead(self, direct: Iterable[Address], relays: Iterable[Address] = ...) -> None:
        """
        Say where the far portal may be.
        """

    def start(self) -> None:
        """
        Reach it, and keep it in reach.
        """

    def stop(self) -> None:
        """
        Let it go.
        """

    def send(self, flow: int, datagram: bytes) -> bool:
        """
        Send a datagram of a flow, and tell whether that could be.
        """

    def punched(self, source: Address) -> None:
        """
        A packet came that proves nothing.
        """


class Finding(Protocol):
    """
    How it is found out where a far portal is.
    """

    def look(self, found: Callable[[Candidates], object]) -> None:
        """
        Look, in the background, as often as is good.
        """

    def hurry(self) -> None:
        """
        Look soon: this portal's own address is another.
        """

    def stop(self) -> None:
        """
        Look no longer.
        """


@dataclass(slots=True, eq=False)
class Route:
    """
    What leads to one far portal.
    """

    target: Target
    way: Way
    passage: Passage
    finding: Finding
    entrances: list[Entrance] = field(default_factory=list)


class NearPortal(Portal):
    """
    A near portal.

    @ivar finder: gives how a far portal is found by its name.
    """

    def __init__(self, settings: PortalSettings, around: Surroundings) -> None:
        super().__init__(settings, around)
        self.finder: Callable[[str], Finding] | None = None
        self._routes: dict[Target, Route] = {}
        self._indexes = Indexes(around.random)
        self._tags = Tags(around.clock.seconds)
        self.own.changed = self._moved

    def startService(self) -> None:
        """
        Begin.
        """
        super().startService()
        for at, target in self.settings.leads:
            try:
                self.enter(at, target)
            except CannotListenError as e:
                raise StartFailed(
                    f"--listen: UDP {at} cannot be had: {e.socketError}"
                ) from e

    def stopService(self) -> None:
        """
        End all flows.
        """
        super().stopService()
        for route in list(self._routes.values()):
            for entrance in list(route.entrances):
                self.shut(entrance)

    def enter(
        self, at: HostPort, target: Target, known: Candidates | None = None
    ) -> Entrance:
        """
        Listen for local senders, and lead them to a far portal.

        @param known: where that is, as far as it is known already.
        @raise CannotListenError: the local address is taken, or not ours.
        @raise ValueError: there is no rendezvous to ask for a name, or there are too
            many far portals; the text is for the user.
        """
        route = self._routes.get(target) or self._made(target)
        entrance = Entrance(route.passage)
        entrance.open(self.around.listen, at.host, at.port)
        route.entrances.append(entrance)
        if target not in self._routes:
            self._routes[target] = route
            route.way.start()
            self._look(route)
        if known is not None:
            self._found(route, known)
        self._log.info("UDP {at} leads to {target}", at=entrance.at, target=target)
        return entrance

    def shut(self, entrance: Entrance) -> None:
        """
        Listen there no longer.
        """
        entrance.close()
        for target, route in list(self._routes.items()):
            if entrance in route.entrances:
                route.entrances.remove(entrance)
                if not route.entrances:
                    del self._routes[target]
                    route.finding.stop()
                    route.passage.clear()
                    route.way.stop()

    def routes(self) -> Iterator[Route]:
        """
        Give where it leads.
        """
        yield from self._routes.values()

    def route(self, target: Target) -> Route | None:
        """
        Give what leads to one far portal, if anything does.
        """
        return self._routes.get(target)

    def second(self) -> None:
        """
        Look for the far portals that are not there.
        """
        for route in list(self._routes.values()):
            if route.way.seeking:
                self._look(route)

    def taken(self, packet: bytes, source: Address) -> None:
        """
        Take a packet of a far portal.
        """
        if not packet:
            self.counts["punches"] += 1
            for route in self._routes.values():
                route.way.punched(source)
        elif self.settings.secret is None:
            self._takeTagged(packet, source)
        elif packet[0] in (ANSWER, DATA):
            self._indexes.take(packet, source)
        else:
            raise WireError("a packet is of no kind that there is")

    def _takeTagged(self, packet: bytes, source: Address) -> None:
        tag, datagram = untagged(packet)
        routes = [each for each in self._routes.values() if each.way.path == source]
        if not routes:
            raise WireError("a packet is of no portal that is known")
        for route in routes:
            route.way.heard = self.around.clock.seconds()
        # Tags are one portal's, whichever way they go, so no two routes have the same.
        route = next((each for each in routes if tag in each.passage), routes[0])
        route.passage.leave(tag, datagram)

    def _made(self, target: Target) -> Route:
        if len(self._routes) >= ROUTES:
            raise ValueError(f"this portal leads to {ROUTES} others, and to no more")
        finding = self._finding(target)
        secret = self.settings.secret
        way: TaggedWay | Link
        if secret is None:
            way = TaggedWay(self.around.clock, self.socket.write)
            passage = self._passage(way, self._tags)
            passage.came = way.came
        else:
            name = target if isinstance(target, str) else ""
            noise = makeNoise(secret, name)
            way = Link(self._tie(), noise, lambda flow, data: passage.leave(flow, data))
            passage = self._passage(way, Serials())
        route = Route(target, way, passage, finding)
        way.changed = lambda: self._changed(route)
        return route

    def _passage(self, way: Way, numbers: Serials | Tags) -> Passage:
        return Passage(
            self.around.clock, numbers, way.send, self.settings.longest, self.counts
        )

    def _tie(self) -> Tie:
        return Tie(
            clock=self.around.clock,
            now=self.around.now,
            random=self.around.random,
            send=self.socket.write,
            indexes=self._indexes,
            counts=self.counts,
            punching=self.settings.punching,
        )

    def _finding(self, target: Target) -> Finding:
        if isinstance(target, HostPort):
            return ByAddress(self.place(target))
        if self.finder is None:
            raise ValueError(
                f"{target!r} is a name, and there is no rendezvous to ask for it"
            )
        return self.finder(target)

    def _moved(self) -> None:
        for route in list(self._routes.values()):
            route.finding.hurry()
            if route.way.seeking:
                self._look(route)

    def _look(self, route: Route) -> None:
        route.finding.look(lambda found: self._found(route, found))

    def _found(self, route: Route, found: Candidates) -> None:
        route.way.lead(found.direct, found.relays)

    def _changed(self, route: Route) -> None:
        if route.way.path is None:
            self._log.info(
                "{target} is not heard any more and is looked for", target=route.target
            )
            return
        self._log.info(
            "{target} is reached {how} at {at}",
            target=route.target,
            how="through a tunnel" if route.way.relayed else "directly",
            at=shown(route.way.path),
        )


class ByAddress:
    """
    A far portal whose address is known.
    """

    def __init__(self, place: Place) -> None:
        self._place = place

    def look(self, found: Callable[[Candidates], object]) -> None:
        """
        Look its host up.
        """
        self._place.refresh()
        if self._place.addresses:
            found(Candidates(self._place.addresses))

    def hurry(self) -> None:
        """
        It is no matter here where this portal is.
        """

    def stop(self) -> None:
        """
        Look no longer.
        """
        self._place.stop()
