# -*- test-case-name: tests.dialects.test_abroad -*-
"""
Abroad: our clients at servers of other systems, which speak a dialect and know nothing
of ours.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from tunnelkit.carrier.route import Route
from tunnelkit.dialects.foreign import ReadClient
from tunnelkit.dialects.way import hostOf, wayTo
from tunnelkit.interfaces import IRelay
from tunnelkit.relay.endpoints import IPortableReactor
from tunnelkit.relay.secure import ClientTLS
from tunnelkit.tunnels.publisher import Publisher
from tunnelkit.tunnels.spec import TunnelSpec
from tunnelkit.wire.address import HostPort


class AbroadClient(Protocol):
    """
    A client, as its process sees it.
    """

    def setServiceParent(self, parent: Any) -> Any:
        """
        Start and stop with another service.
        """

    def drain(self, grace: float) -> Awaitable[None]:
        """
        Take nothing new, and give what is under way C{grace} seconds to end.
        """


@dataclass(frozen=True, slots=True)
class Place:
    """
    Where a server is.

    @ivar server: its address, or a client endpoint description.
    @ivar tls: whether it is spoken to inside TLS.
    @ivar path: which page of it, where it has pages.
    """

    server: HostPort | str
    tls: bool
    path: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AbroadSettings:
    """
    What such a client is told, checked and complete.

    @ivar dialect: what it speaks.
    @ivar token: the shared secret as it stands; empty where there is none.
    @ivar name: its name.
    @ivar allow: what it may dial, where that is not said by tunnels.
    @ivar fingerprint: SHA-256 of the DER of the one certificate that is accepted.
    @ivar authority: PEM of who vouches for the server's certificate; empty for whom the
        system trusts.
    @ivar grace: how long streams may go on when the client stops, in seconds.
    """

    dialect: ClientDialect
    place: Place
    token: str = field(default="", repr=False)
    name: str = ""
    tunnels: tuple[TunnelSpec, ...] = ()
    allow: tuple[str, ...] = ()
    fingerprint: bytes | None = None
    authority: str = ""
    grace: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """
    What such a client works with.

    @ivar random: gives so many random bytes, such as C{os.urandom}.
    @ivar now: gives the time, seconds since 1970.
    @ivar failed: told, in one sentence, of a failure that no waiting can mend.
    @ivar changed: told when a tunnel was opened, refused or lost.
    """

    reactor: IPortableReactor
    relay: IRelay
    random: Callable[[int], bytes]
    now: Callable[[], float]
    failed: Callable[[str], None]
    changed: Callable[[], None] = lambda: None

    def chance(self) -> float:
        """
        Give a number from 0 to below 1.
        """
        return int.from_bytes(self.random(4), "big") / 2**32


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientDialect:
    """
    A dialect, as a client speaks it.

    @ivar name: what it is called.
    @ivar takes: the options that mean something to it, such as C{tunnel}; C{token} is
        for C{token-file}, too.
    @ivar needs: those of them that must be given, for want of any use without.
    @ivar tls: whether it is spoken inside TLS, unless the user says C{--insecure}.
    @ivar warning: what the user should know, in a sentence, said once at the start;
        empty for nothing.
    @ivar port: a server's, where the user names none.
    @ivar check: raises ValueError for settings that no server could grant; the text
        names the option.
    @ivar make: makes a client.
    @ivar place: reads C{--server} where that is neither C{HOST[:PORT]} nor a client
        endpoint description; its ValueError says what is wrong.
    @ivar words: reads the file that the system's own client is configured with, which
        is given with C{--NAME-config}; None where there is none.
    """

    name: str
    takes: frozenset[str]
    needs: frozenset[str]
    tls: bool
    warning: str
    port: int
    check: Callable[[AbroadSettings], None]
    make: Callable[[AbroadSettings, Means], AbroadClient]
    place: Callable[[str], Place] | None = None
    words: ReadClient | None = None


class AbroadPublisher(Publisher):
    """
    Such a client where it publishes tunnels.
    """

    def __init__(self, settings: AbroadSettings, means: Means) -> None:
        super().__init__(
            settings.tunnels,
            means.relay,
            means.reactor,
            means.chance,
            means.failed,
            means.changed,
        )


def routeTo(settings: AbroadSettings, means: Means) -> Route:
    """
    Put the way to a server together: as nothing binds a login there to its certificate,
    that must verify, or be the one that the user names.
    """
    tls = None
    place, fingerprint = settings.place, settings.fingerprint
    if place.tls:
        verify = fingerprint is None or bool(settings.authority)
        tls = ClientTLS(hostOf(place.server), verify, settings.authority)
    return wayTo(
        place.server, means.reactor, means.relay, tls, fingerprint, bound=False
    )
