# -*- test-case-name: tests.portal.links.test_link -*-
"""
Links: how a near portal keeps up a way to a far portal of ours.

It asks for keys at every address that the far portal may have.  The first answer says
which way works.  From then on the link is kept open by few packets, changes its keys
and follows the far portal where that goes.  Where no direct way works in time, it takes
the one through a tunnel server, and goes on trying the others.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from tunnelkit.portal.addresses.sockets import Address
from tunnelkit.portal.links.pace import Haste, Pace
from tunnelkit.portal.links.rings import WORN, Indexes, Ring
from tunnelkit.wire.native.frames import WireError
from tunnelkit.wire.portal.noise import Initiator, Noise
from tunnelkit.wire.portal.sealed import (
    ANSWER,
    INSTANCE,
    Note,
    Opened,
    Random,
    Sealer,
    opening,
    readAnswer,
)

PUNCHING: Final = 10.0
"""After so many seconds without a direct way the other one is taken, unless told."""
ASKED: Final = 64
"""Openings that may still be answered; of more the oldest are given up.  A far portal
may have some twenty addresses, and may be half a second away."""
HELD: Final = 16
"""Datagrams that wait for a link that is not there yet."""
HELD_FOR: Final = 2.0
"""Seconds that they wait at most: who sent them has sent others by then."""
SUSPECT: Final = 10.0
"""After so many seconds of sending without an answer the far portal is asked."""
ANSWERING: Final = 1.0
"""Seconds after which it is asked again."""
ASKINGS: Final = 4
"""How often it is asked before it is given up."""
RETRY: Final = 30.0
"""Between two tries of a direct way while the other one is in use, in seconds."""
GUESSED: Final = 8
"""Addresses of a far portal that are learnt from packets that prove nothing."""


@dataclass(slots=True)
class Tie:
    """
    What a link needs of its portal.

    @ivar now: gives the time of day, in seconds since 1970.
    @ivar send: sends a packet.
    """

    clock: IReactorTime
    now: Callable[[], float]
    random: Random
    send: Callable[[bytes, Address], bool]
    indexes: Indexes
    counts: Counter[str]
    punching: float = PUNCHING


class Link:
    """
    A way to one far portal.

    @ivar path: the far portal's address, None while it is not reached.
    @ivar heard: when it was heard last, None for never.
    @ivar seen: this portal's own address, as the far one sees it; empty while that is
        not known.
    @ivar changed: told when the far portal was reached, or lost.
    """

    def __init__(
        self, tie: Tie, noise: Noise, received: Callable[[int, bytes], object]
    ) -> None:
        """
        @param received: told flow and datagram.
        """
        self.path: Address | None = None
        self.heard: float | None = None
        self.seen = ""
        self._seenAt: Address | None = None
        self.changed: Callable[[], object] = lambda: None
        self._tie = tie
        self._clock = tie.clock
        self._noise = noise
        self._received = received
        self._ring = Ring(tie.clock, tie.indexes, self._took)
        self._instance = tie.random(INSTANCE)
        self._time = 0
        self._direct: tuple[Address, ...] = ()
        self._relays: tuple[Address, ...] = ()
        self._guessed: list[Address] = []
        self._asked: OrderedDict[int, Initiator] = OrderedDict()
        self._held: deque[tuple[float, int, bytes]] = deque(maxlen=HELD)
        self._pace = Pace()
        self._haste = Haste()
        self._sent = self._since = self._pinged = 0.0
        self._pings = 0
        self._silent = False
        self._tries: IDelayedCall | None = None
        self._tick: IDelayedCall | None = None

    # For the portal.

    @property
    def seeking(self) -> bool:
        """
        Whether it looks for the far portal, or for a direct way to it.
        """
        return self._tries is not None

    @property
    def relayed(self) -> bool:
        """
        Whether the way leads through a tunnel server.
        """
        return self.path in self._relays

    def lead(self, direct: Iterable[Address], relays: Iterable[Address] = ()) -> None:
        """
        Say where the far portal may be.

        @param direct: its own addresses.
        @param relays: addresses of tunnels to it.
        """
        before, self._direct = self._direct, tuple(direct)
        # One that is in use is none of the direct ways, though it be withdrawn.
        used = [self.path] if self.relayed and self.path is not None else []
        self._relays = tuple(dict.fromkeys([*relays, *used]))
        if self._direct != before and self._tries is not None:
            # The time for a direct way begins when it is known where that might lead.
            self._seek()

    def start(self) -> None:
        """
        Reach the far portal, and keep it in reach.
        """
        self._seek()
        self._tick = self._clock.callLater(1.0, self._tend)

    def stop(self) -> None:
        """
        Let it go.
        """
        for call in (self._tries, self._tick):
            if call is not None:
                call.cancel()
        self._tries = self._tick = None
        self._forget()
        self._ring.clear()
        self.path = None

    def send(self, flow: int, datagram: bytes) -> bool:
        """
        Send a datagram, or hold it for a moment while the link comes up.
        """
        if self.path is None:
            room = len(self._held) < HELD
            self._held.append((self._clock.seconds(), flow, datagram))
            return room  # Where there was none, the oldest is gone.
        packet = self._ring.seal(flow, datagram)
        if packet is None:
            return False
        self._sent = self._clock.seconds()
        return self._tie.send(packet, self.path)

    def punched(self, source: Address) -> None:
        """
        A packet that proves nothing came, such as the far portal sends to open its NAT.
        Where its port is another than the far portal's, as of some NATs, it is tried;
        only while that portal is sought, and only where the host is the same.
        """
        known = source in self._direct or source in self._guessed
        host = any(source[0] == each[0] for each in self._direct)
        if self._tries is None or known or not host or len(self._guessed) >= GUESSED:
            return
        self._guessed.append(source)
        self._ask(source)

    # Reaching it.

    def _seek(self) -> None:
        self._haste.reset()
        self._guessed.clear()
        self._since = self._clock.seconds()
        if self._tries is not None:
            self._tries.cancel()
        self._tries = self._clock.callLater(0, self._try)

    def _try(self) -> None:
        targets = [*self._direct, *self._guessed]
        long = self._clock.seconds() - self._since >= self._tie.punching
        if long and self.path is not None:
            # The other way is in use: it is not for ever that this one is tried.
            self._tries = None
            self._forget()
            return
        if self.path is None and (long or not targets):
            targets.extend(self._relays)
        for target in targets:
            self._ask(target)
        self._tries = self._clock.callLater(self._haste.delay(), self._try)

    def _ask(self, target: Address) -> None:
        """
        Ask for keys at an address.
        """
        self._time = max(self._time + 1, int(self._tie.now() * 1e6))
        index = self._tie.indexes.claim(
            lambda packet, source: self._answered(index, packet, source)
        )
        opened = Opened(self._instance, self._time, index)
        packet, initiator = opening(self._noise, self._tie.random, opened)
        self._asked[index] = initiator
        while len(self._asked) > ASKED:
            self._tie.indexes.release(self._asked.popitem(last=False)[0])
        self._tie.send(packet, target)

    def _answered(self, index: int, packet: bytes, source: Address) -> None:
        if packet[0] != ANSWER:
            raise WireError("a packet comes before its keys")
        theirs, keys = readAnswer(self._asked[index], packet)
        del self._asked[index]
        if self.path is not None and source in self._relays and not self.relayed:
            self._tie.indexes.release(index)  # The direct way was quicker after all.
            return
        self._ring.adopt(Sealer(keys, theirs), index)
        self._pings = 0
        self._follow(source)
        self._forget()
        self._ping()
        self._flush()

    def _forget(self) -> None:
        for index in self._asked:
            self._tie.indexes.release(index)
        self._asked.clear()

    def _flush(self) -> None:
        held, oldest = list(self._held), self._clock.seconds() - HELD_FOR
        self._held.clear()
        for since, flow, datagram in held:
            if since < oldest or not self.send(flow, datagram):
                self._tie.counts["not sent"] += 1

    def _follow(self, source: Address) -> None:
        """
        The far portal is at this address now.
        """
        moved, self.path = self.path != source, source
        self.heard = self._clock.seconds()
        if not self.relayed and self._tries is not None:
            self._tries.cancel()
            self._tries = None
        if moved:
            self.changed()

    # Keeping it.

    def _took(self, flow: int, datagram: bytes, source: Address, newest: bool) -> None:
        self.heard = self._clock.seconds()
        self._pings = 0
        if (
            newest
            and source != self.path
            and not (source in self._relays and not self.relayed)
        ):
            self._follow(source)
        if flow:
            self._received(flow, datagram)
        elif datagram[:1] == bytes([Note.PONG]):
            self._ponged(datagram[1:].decode("ascii", "replace"))

    def _tend(self) -> None:
        self._tick = self._clock.callLater(1.0, self._tend)
        if self.path is None:
            return
        now = self._clock.seconds()
        heard = self.heard or 0.0
        if self._pings:
            self._pingAgain()
        elif now - self._sent >= self._pace.silence:
            self._silent = now - heard >= self._pace.silence
            self._ping()
        elif self._sent > heard and now - heard >= SUSPECT:
            self._ping()
        if self.path is not None:
            self._renew(now)

    def _renew(self, now: float) -> None:
        if self._ring.age >= WORN:
            self._lost()
        elif self._ring.due and self.path is not None:
            self._ask(self.path)
        if self.relayed and self._tries is None and now - self._since >= RETRY:
            self._seek()

    def _ping(self) -> None:
        self._pings += 1
        self._pinged = self._clock.seconds()
        self.send(0, bytes([Note.PING]))

    def _pingAgain(self) -> None:
        if self._clock.seconds() - self._pinged < ANSWERING:
            return
        if self._pings >= ASKINGS:
            self._lost()
        else:
            self._ping()

    def _ponged(self, seen: str) -> None:
        if self._seenAt == self.path and seen != self.seen:
            self._pace.broke()
        elif self._silent:
            self._pace.held()
        self._silent = False
        self.seen, self._seenAt = seen, self.path

    def _lost(self) -> None:
        """
        The far portal is silent: it may be elsewhere, or this side's NAT has forgotten.
        """
        self.path = None
        self._pings = 0
        self._silent = False
        self._ring.clear()
        self._seek()
        self.changed()
