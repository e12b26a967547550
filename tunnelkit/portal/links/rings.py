# -*- test-case-name: tests.portal.links.test_link -*-
"""
Rings of keys: which packets are for whom, and the keys of one peer, old and new.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from tunnelkit.portal.addresses.sockets import Address
from tunnelkit.wire.native.frames import WireError
from tunnelkit.wire.portal.sealed import DATA, EXHAUSTED, Random, Sealer, indexOf

RENEWED: Final = 120.0
"""Keys are changed after so many seconds."""
WORN: Final = 180.0
"""Keys that could not be changed are used no longer after so many seconds."""
KEPT: Final = 15.0
"""For so many seconds after a change the old keys still open what is under way."""
OFFERED: Final = 64
"""Keys that a peer was offered and has not used yet."""

Taking: TypeAlias = Callable[[bytes, Address], None]
"""Takes a packet and where it came from; raises L{WireError} where it is not right."""


class Indexes:
    """
    Who takes packets with which index.
    """

    def __init__(self, random: Random) -> None:
        """
        @param random: gives so many random bytes.
        """
        self._random = random
        self._takers: dict[int, Taking] = {}

    def claim(self, take: Taking) -> int:
        """
        Give an index to somebody.
        """
        while True:
            index = int.from_bytes(self._random(4), "big")
            if index not in self._takers:
                self._takers[index] = take
                return index

    def assign(self, index: int, take: Taking) -> None:
        """
        Give a claimed index to somebody else.
        """
        self._takers[index] = take

    def release(self, index: int) -> None:
        """
        Give an index back.
        """
        self._takers.pop(index, None)

    def take(self, packet: bytes, source: Address) -> None:
        """
        Give a packet to whom it is for.

        @raise WireError: there is nobody, or it is not right.
        """
        taker = self._takers.get(indexOf(packet))
        if taker is None:
            raise WireError("a packet has an index that nobody has")
        taker(packet, source)


@dataclass(slots=True, eq=False)
class Keys:
    """
    @ivar index: what stands in packets to us.
    @ivar since: when they were agreed on.
    """

    sealer: Sealer
    index: int
    since: float


class Ring:
    """
    The keys of a peer: those that seal, those before them, and those that were offered
    and seal when the peer has shown that it has them.
    """

    def __init__(
        self,
        clock: IReactorTime,
        indexes: Indexes,
        take: Callable[[int, bytes, Address, bool], None],
    ) -> None:
        """
        @param take: told flow, datagram, source of each authentic packet, and whether
            it is the newest.
        """
        self._clock = clock
        self._indexes = indexes
        self._take = take
        self._current: Keys | None = None
        self._before: dict[int, IDelayedCall] = {}  # by index: when it is over
        self._offered: OrderedDict[int, Keys] = OrderedDict()

    @property
    def age(self) -> float:
        """
        For how long these have been in use, in seconds.
        """
        assert self._current is not None
        return self._clock.seconds() - self._current.since

    @property
    def due(self) -> bool:
        """
        Whether it is time for other ones.
        """
        assert self._current is not None
        return self.age >= RENEWED or self._current.sealer.sent >= EXHAUSTED

    def seal(self, flow: int, datagram: bytes) -> bytes | None:
        """
        Give the packet of a datagram; None where there are no keys, or worn ones.
        """
        if self._current is None or self.age >= WORN:
            return None
        return self._current.sealer.seal(flow, datagram)

    def offer(self, sealer: Sealer, index: int) -> None:
        """
        Take keys that the peer may not have got.
        """
        keys = self._made(sealer, index)
        self._offered[index] = keys
        while len(self._offered) > OFFERED:
            self._indexes.release(self._offered.popitem(last=False)[0])

    def adopt(self, sealer: Sealer, index: int) -> None:
        """
        Take keys that the peer has.
        """
        self._use(self._made(sealer, index))

    def clear(self) -> None:
        """
        Forget all keys.
        """
        for over in self._before.values():
            over.cancel()
        current = [] if self._current is None else [self._current.index]
        for index in (*current, *self._before, *self._offered):
            self._indexes.release(index)
        self._current = None
        self._before.clear()
        self._offered.clear()

    def _made(self, sealer: Sealer, index: int) -> Keys:
        keys = Keys(sealer, index, self._clock.seconds())
        self._indexes.assign(
            index, lambda packet, source: self._open(keys, packet, source)
        )
        return keys

    def _open(self, keys: Keys, packet: bytes, source: Address) -> None:
        if packet[0] != DATA:
            raise WireError("keys were agreed on already")
        if self._clock.seconds() - keys.since >= WORN + KEPT:
            raise WireError("a packet is sealed by worn keys")
        flow, datagram, newest = keys.sealer.unseal(packet)
        if keys.index in self._offered:
            del self._offered[keys.index]
            self._use(keys)
        self._take(flow, datagram, source, newest and keys is self._current)

    def _use(self, keys: Keys) -> None:
        before, self._current = self._current, keys
        if before is not None:
            index = before.index
            self._before[index] = self._clock.callLater(KEPT, self._drop, index)

    def _drop(self, index: int) -> None:
        del self._before[index]
        self._indexes.release(index)
