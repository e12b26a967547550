# -*- test-case-name: tests.portal.test_portals -*-
"""
The far portal: takes flows out of the one UDP path, to the service.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Protocol

from twisted.internet.defer import Deferred

from tunnelkit.portal.addresses.places import Place
from tunnelkit.portal.addresses.sockets import Address
from tunnelkit.portal.flows.exits import Exits
from tunnelkit.portal.links.peers import Peer, Peers
from tunnelkit.portal.links.rings import Indexes
from tunnelkit.portal.portals import Portal
from tunnelkit.portal.settings import PortalSettings, Surroundings
from tunnelkit.wire.address import HostPort
from tunnelkit.wire.native.frames import WireError
from tunnelkit.wire.portal.sealed import DATA, OPENING, makeNoise
from tunnelkit.wire.portal.tags import tagged, untagged

PUNCH: Final = b""
"""What opens a NAT: a packet that says nothing."""
ROUNDS: Final = 90
"""So many seconds a near portal is punched to, after it asked for it."""
PUNCHED: Final = 256
"""Addresses that are punched to."""


class Announcing(Protocol):
    """
    What a far portal does at the rendezvous.
    """

    def second(self) -> None:
        """
        Do what is to be done each second.
        """

    def hurry(self) -> None:
        """
        Register anew: the address is another.
        """

    def stop(self) -> Deferred[None]:
        """
        Do nothing more, but say that the portal is gone.
        """


class Taking(Protocol):
    """
    What is different in the two modes: how packets of near portals are read.
    """

    def take(self, packet: bytes, source: Address) -> None:
        """
        Take one.

        @raise WireError: it is not right.
        """

    def stop(self) -> None:
        """
        Forget who is there.
        """

    def __len__(self) -> int:
        """
        Give how many near portals are known.
        """


class FarPortal(Portal):
    """
    A far portal.

    @ivar exits: its flows.
    @ivar announcing: what it does at the rendezvous, None where there is none.
    """

    def __init__(self, settings: PortalSettings, around: Surroundings) -> None:
        super().__init__(settings, around)
        assert settings.serve is not None
        self.service = self.place(settings.serve)
        self.exits = Exits(around.clock, around.listen, self.service, self.counts)
        self.announcing: Announcing | None = None
        self.own.changed = self.moved
        self._punched: dict[Address, int] = {}
        self._tunnel: Place | None = None
        self._told: tuple[Address, ...] = ()
        self._peers: Taking = (
            _Tagged(self) if settings.secret is None else _Sealed(self, settings.secret)
        )

    @property
    def peers(self) -> int:
        """
        How many near portals are known.
        """
        return len(self._peers)

    def startService(self) -> None:
        """
        Begin.
        """
        self.service.refresh()
        super().startService()
        self._log.info(
            "the far portal{name} is at UDP {at} and leads to {service}",
            name=f" {self.settings.name}" if self.settings.name else "",
            at=self.socket.at,
            service=self.settings.serve,
        )

    def stopService(self) -> Deferred[None] | None:
        """
        End all flows.

        @return: fires when the rendezvous knows, or has had its time.
        """
        super().stopService()
        self.service.stop()
        self._peers.stop()
        self.exits.clear()
        return None if self.announcing is None else self.announcing.stop()

    def taken(self, packet: bytes, source: Address) -> None:
        """
        Take a packet of a near portal.
        """
        if packet == PUNCH:
            self.counts["punches"] += 1
        else:
            self._peers.take(packet, source)

    def punch(self, addresses: Iterable[Address]) -> None:
        """
        Open the NAT here for near portals that wait.
        """
        for address in addresses:
            if address in self._punched or len(self._punched) < PUNCHED:
                self._punched[address] = ROUNDS
                self.socket.write(PUNCH, address)

    def tunnelled(self, at: HostPort | None) -> None:
        """
        A tunnel of a server leads to this portal.

        @param at: its public address; None where there is no such tunnel any more.
        """
        before, self._tunnel = self._tunnel, None
        if before is not None:
            before.stop()
            self.relays.remove(before)
        if at is not None:
            self._tunnel = self.place(at)
            self.relays.append(self._tunnel)
            self._sayTunnel(at)
        elif before is not None:
            self._log.warn(
                "the tunnel at UDP {at} is gone: near portals that come through it wait"
                " until it is back",
                at=before.target,
            )
        self._tellRelays()

    def _sayTunnel(self, at: HostPort) -> None:
        if self.announcing is not None:
            self._log.info(
                "near portals that find no direct path come through the tunnel at UDP"
                " {at}",
                at=at,
            )
        else:
            self._log.info("near portals get here with --connect {at}", at=at)

    def _tellRelays(self) -> None:
        """
        Have the rendezvous know where the relays are, which may have been looked up.
        """
        before, self._told = self._told, self.relayAddresses
        if self._told != before:
            self.moved()

    def moved(self) -> None:
        """
        The world sees this portal at another address.
        """
        if self.announcing is not None:
            self.announcing.hurry()
            self.announcing.second()

    def second(self) -> None:
        """
        Punch, and see who waits.
        """
        self._tellRelays()
        if self.announcing is not None:
            self.announcing.second()
        for address, left in list(self._punched.items()):
            self.socket.write(PUNCH, address)
            self._punched[address] = left - 1
            if left <= 1:
                del self._punched[address]

    def fits(self, datagram: bytes) -> bool:
        """
        Tell whether a datagram of the service may go on; count it where it may not.
        """
        fits = len(datagram) <= self.settings.longest
        if not fits:
            self.counts["too long"] += 1
        return fits


class _Tagged:
    """
    The compatible mode: whoever comes gets a flow, by address and tag.
    """

    def __init__(self, portal: FarPortal) -> None:
        self._portal = portal

    def __len__(self) -> int:
        return self._portal.exits.peers

    def take(self, packet: bytes, source: Address) -> None:
        """
        Take a packet.
        """
        portal = self._portal
        tag, datagram = untagged(packet)

        def reply(tag: int, datagram: bytes) -> None:
            if portal.fits(datagram):
                portal.socket.write(tagged(tag, datagram), source)

        portal.exits.leave(source, tag, datagram, reply)

    def stop(self) -> None:
        """
        Nobody is known beside their flows.
        """


class _Sealed:
    """
    The native mode: who does not know the secret gets nothing.
    """

    def __init__(self, portal: FarPortal, secret: bytes) -> None:
        self._portal = portal
        around, name = portal.around, portal.settings.name
        names = dict.fromkeys((name, ""))
        self._indexes = Indexes(around.random)
        self._peers = Peers(
            [makeNoise(secret, name) for name in names],
            around.clock,
            around.random,
            portal.socket.write,
            self._indexes,
            self._arrived,
            portal.exits.forget,
        )

    def __len__(self) -> int:
        return len(self._peers)

    def take(self, packet: bytes, source: Address) -> None:
        """
        Take a packet.
        """
        if packet[0] == OPENING:
            self._peers.opening(packet, source)
        elif packet[0] == DATA:
            self._indexes.take(packet, source)
        else:
            raise WireError("a packet is of no kind that there is")

    def stop(self) -> None:
        """
        Forget all.
        """
        self._peers.clear()

    def _arrived(self, peer: Peer, flow: int, datagram: bytes) -> None:
        portal = self._portal

        def reply(flow: int, datagram: bytes) -> None:
            if portal.fits(datagram) and not peer.send(flow, datagram):
                portal.counts["not sent"] += 1

        portal.exits.leave(peer, flow, datagram, reply)
