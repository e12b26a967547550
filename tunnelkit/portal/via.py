# -*- test-case-name: tests.portal.test_via -*-
"""
Via: a tunnel of a server that leads to a far portal's own socket, for near portals that
find no direct way.  What goes through it is sealed as ever.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import Final, Protocol, TypeAlias

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from tunnelkit.control.names import legible
from tunnelkit.portal.far import FarPortal
from tunnelkit.tunnels.spec import TunnelSpec
from tunnelkit.wire.address import HostPort, parseHostPort

_SCHEME: Final = "udp://"
_LONGEST_NAME: Final = 200
_LONGEST: Final = 500
"""How much of a reason is logged, in characters; the server may have written it."""


class Published(Protocol):
    """
    A tunnel.
    """

    @property
    def address(self) -> str:
        """
        Its public address, empty while it has none.
        """


class Publishing(Protocol):
    """
    What asks a server for tunnels, and goes on asking: L{tunnelkit.client.Client}.
    """

    @property
    def tunnels(self) -> Sequence[Published]:
        """
        What it asks for.
        """

    def startService(self) -> object:
        """
        Begin.
        """

    def stopService(self) -> Deferred[None] | None:
        """
        Withdraw all.
        """


Making: TypeAlias = Callable[[TunnelSpec, Callable[[], None]], Publishing]
"""Makes what publishes one tunnel, and tells when that has changed."""


class Via(Service):
    """
    That tunnel: its public address is a relay of the portal's as long as it is open.
    """

    _log = Logger()

    def __init__(self, portal: FarPortal, make: Making) -> None:
        self._portal = portal
        self._make = make
        self._client: Publishing | None = None
        self._address = ""

    def startService(self) -> None:
        """
        Ask for it; the portal has its socket by now.
        """
        super().startService()
        self._client = self._make(tunnelOf(self._portal), self._changed)
        self._client.startService()

    def stopService(self) -> Deferred[None] | None:
        """
        Withdraw it.
        """
        super().stopService()
        client, self._client = self._client, None
        return None if client is None else client.stopService()

    def _changed(self) -> None:
        if self._client is None:
            return  # The portal is ending, and tells nobody anything any more.
        (tunnel,) = self._client.tunnels
        if tunnel.address == self._address:
            return
        self._address = tunnel.address
        self._portal.tunnelled(self._public(tunnel.address))

    def _public(self, address: str) -> HostPort | None:
        if not address:
            return None
        try:
            return parseHostPort(address.removeprefix(_SCHEME))
        except ValueError as e:
            self._log.warn(
                "the tunnel's public address cannot be used: {error}",
                error=legible(str(e), _LONGEST),
            )
            return None


def tunnelOf(portal: FarPortal) -> TunnelSpec:
    """
    Describe the tunnel.  Its name is the same at each start, so that the server keeps
    its port, and another one for each far portal of a machine.
    """
    settings = portal.settings
    name = f"portal-{settings.name or settings.serve}"[:_LONGEST_NAME]
    local = inner(portal.socket.at)
    return TunnelSpec(kind="udp", local=local, port=settings.viaPort, name=name)


def inner(at: HostPort) -> HostPort:
    """
    Give where a socket is reached on its own machine.
    """
    host = ip_address(at.host)
    if not host.is_unspecified:
        return at
    # One of IPv6 for all addresses is for IPv4, too.
    return HostPort("127.0.0.1", at.port)
