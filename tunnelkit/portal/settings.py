"""
Settings: what a portal is told to do, checked and complete, and what it gets from the
program that runs it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from twisted.internet.interfaces import IReactorTime

from tunnelkit.portal.addresses.places import Resolve
from tunnelkit.portal.addresses.sockets import ListenUDP
from tunnelkit.portal.links.link import PUNCHING
from tunnelkit.settings import ClientSettings
from tunnelkit.wire.address import HostPort
from tunnelkit.wire.portal.sealed import LONGEST, Random

Target: TypeAlias = HostPort | str
"""A far portal: its address, or its name at the rendezvous."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalSettings:
    """
    @ivar serve: the far side's service; None for a near side.
    @ivar name: the name of the far side, at the rendezvous; empty for none.
    @ivar leads: of a near side, where it listens and to which far portal that leads.
    @ivar bind: where the portal's own socket is; the host is empty for all addresses,
        the port 0 for any.
    @ivar secret: what all portals know that may speak to each other; None for the
        compatible mode.
    @ivar rendezvous: the URL of the rendezvous; empty for none.
    @ivar stun: servers that say where this portal is.
    @ivar relay: the public address of a UDP tunnel to the far side's own socket.
    @ivar via: how to log in to the server through which the far side makes such a
        tunnel by itself; None for none.
    @ivar viaPort: the public port of that tunnel, or 0: the server picks one.
    @ivar longest: the longest datagram, in bytes.
    @ivar punching: after so many seconds without a direct way the relay is taken.
    @ivar control: where the near side's HTTP API is: a strports description, or None.
    @ivar controlToken: what who uses that must know; empty for nothing.
    @ivar rendezvousAt: where this is the rendezvous: a strports description, or None.
    """

    serve: HostPort | None = None
    name: str = ""
    leads: tuple[tuple[HostPort, Target], ...] = ()
    bind: HostPort = field(default_factory=lambda: HostPort("", 0))
    secret: bytes | None = field(default=None, repr=False)
    rendezvous: str = ""
    stun: tuple[HostPort, ...] = ()
    relay: HostPort | None = None
    via: ClientSettings | None = None
    viaPort: int = 0
    longest: int = LONGEST
    punching: float = PUNCHING
    control: str | None = None
    controlToken: str = field(default="", repr=False)
    rendezvousAt: str | None = None

    @property
    def far(self) -> bool:
        """
        Whether this is the far side.
        """
        return self.serve is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """
    What a portal works with.

    @ivar now: gives the time of day, in seconds since 1970.
    @ivar random: gives so many random bytes.
    @ivar listen: binds a UDP socket.
    @ivar resolve: looks names up.
    @ivar outbound: gives the addresses of this machine by which packets leave it.
    @ivar everywhere: the address that means all: C{::}, or C{0.0.0.0} where there is no
        IPv6.
    @ivar http: makes HTTP requests, as C{treq} itself does; None where nothing needs
        that.
    """

    clock: IReactorTime
    now: Callable[[], float]
    random: Random
    listen: ListenUDP
    resolve: Resolve
    outbound: Callable[[], Sequence[str]] = field(default=lambda: ())
    everywhere: str = "::"
    http: Any = None
