# -*- test-case-name: tests.portal.links.test_link -*-
"""
Peers: the near portals that a far one knows, each by what its program is called and not
by its address, which may change.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final

from twisted.internet.interfaces import IReactorTime

from tunnelkit.portal.addresses.sockets import Address
from tunnelkit.portal.flows.table import Flows
from tunnelkit.portal.links.rings import Indexes, Ring
from tunnelkit.wire.native.frames import WireError
from tunnelkit.wire.portal.noise import Noise
from tunnelkit.wire.portal.sealed import (
    Note,
    Opened,
    Random,
    Sealer,
    answer,
    readOpening,
)

MOST: Final = 256
"""Near portals; with more, that one leaves which was silent for longest."""
SILENT: Final = 240.0
"""A near portal is forgotten after so many seconds without a packet."""
REMEMBERED: Final = 1024
"""Programs of which the time of the last opening is kept, against replays."""


class Peer:
    """
    A near portal.

    @ivar address: where it is; None before it has shown that it has keys.
    """

    def __init__(self, peers: Peers) -> None:
        self.address: Address | None = None
        self.ring = Ring(peers.clock, peers.indexes, self._took)
        self._peers = peers

    def send(self, flow: int, datagram: bytes) -> bool:
        """
        Send it a datagram.
        """
        packet = self.ring.seal(flow, datagram)
        if packet is None or self.address is None:
            return False
        return self._peers.send(packet, self.address)

    def _took(self, flow: int, datagram: bytes, source: Address, newest: bool) -> None:
        if newest or self.address is None:
            self.address = source
        self._peers.heard(self)
        if flow:
            self._peers.arrived(self, flow, datagram)
        elif datagram[:1] == bytes([Note.PING]):
            host, port = source
            seen = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            self.send(0, bytes([Note.PONG]) + seen.encode())


class Peers:
    """
    All of them.
    """

    def __init__(
        self,
        noises: Sequence[Noise],
        clock: IReactorTime,
        random: Random,
        send: Callable[[bytes, Address], bool],
        indexes: Indexes,
        arrived: Callable[[Peer, int, bytes], object],
        gone: Callable[[Peer], object],
        most: int = MOST,
    ) -> None:
        """
        @param noises: what may be agreed on with those who call this portal by its
            name, and by its address.
        @param send: sends a packet.
        @param arrived: told peer, flow and datagram.
        @param gone: told a peer that is forgotten.
        """
        self.clock = clock
        self.send = send
        self.indexes = indexes
        self.arrived = arrived
        self._noises = noises
        self._random = random
        self._gone = gone
        self._peers: Flows[bytes, Peer] = Flows(clock, self._ended, most, SILENT)
        self._names: dict[Peer, bytes] = {}
        self._times: OrderedDict[bytes, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._peers)

    def opening(self, packet: bytes, source: Address) -> None:
        """
        Answer an opening.

        @raise WireError: it is not right, or has come before.
        """
        for noise in self._noises:
            try:
                opened, responder = readOpening(noise, packet)
            except WireError:
                continue
            break
        else:
            raise WireError("an opening is not authentic")
        self._checkNew(opened)
        peer = self._peers.use(opened.instance) or self._begin(opened.instance)
        index = self.indexes.claim(_notYet)
        try:
            answered, keys = answer(responder, self._random, opened.index, index)
        except WireError:
            self.indexes.release(index)
            raise
        peer.ring.offer(Sealer(keys, opened.index), index)
        self.send(answered, source)

    def heard(self, peer: Peer) -> None:
        """
        A packet of a peer came.
        """
        self._peers.use(self._names[peer])

    def clear(self) -> None:
        """
        Forget all.
        """
        self._peers.clear()

    def _checkNew(self, opened: Opened) -> None:
        if opened.time <= self._times.get(opened.instance, 0):
            raise WireError("an opening has come before")
        self._times[opened.instance] = opened.time
        self._times.move_to_end(opened.instance)
        while len(self._times) > REMEMBERED:
            self._times.popitem(last=False)

    def _begin(self, instance: bytes) -> Peer:
        peer = Peer(self)
        self._names[peer] = instance
        self._peers.add(instance, peer)
        return peer

    def _ended(self, instance: bytes, peer: Peer, used: float) -> None:
        del self._names[peer]
        peer.ring.clear()
        self._gone(peer)


def _notYet(packet: bytes, source: Address) -> None:
    raise WireError("keys are being agreed on")
