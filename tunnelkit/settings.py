"""
Settings: what a server and a client are told to do, checked and complete.

C{commands/} makes these from flags, files and the environment; a program that
embeds tunnelkit makes them by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tunnelkit.dialects.spec import DialectSpec
from tunnelkit.tunnels.private.spec import VisitSpec
from tunnelkit.tunnels.spec import TunnelSpec
from tunnelkit.wire.address import HostPort
from tunnelkit.wire.endkey import EndKey
from tunnelkit.wire.ports import PortSet
from tunnelkit.wire.token import Token

if TYPE_CHECKING:
    from tunnelkit.dialects.allowed import Pattern


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """
    @ivar ports: where clients connect: strports descriptions.
    @ivar state: the state folder.
    @ivar certificate: a PEM file to show in place of the state folder's own.
    @ivar key: the PEM file of its key.
    @ivar bind: the address of public ports; empty for all interfaces.
    @ivar bindUDP: the address of those for UDP, where that is another.
    @ivar allowed: the public ports that clients may ask for.
    @ivar picked: those of them from which the server picks where a client leaves it the
        choice; None for the usual ones.
    @ivar hostname: the host in public addresses; empty for the one that the client
        dialled.
    @ivar insecure: whether plain TCP is accepted beside TLS.
    @ivar behindTLS: whether something in front of the server ends the TLS.
    @ivar token: the token of the user C{default} in place of the one in the state
        folder.
    @ivar admin: where the admin rooms are: a strports description, or None.
    @ivar grace: how long streams may go on when the server stops, in seconds.
    @ivar dialects: what is spoken on the ports beside our own protocol.
    @ivar given: what the operator wrote, by the description that was made of it.
    """

    ports: tuple[str, ...]
    state: Path
    certificate: Path | None = None
    key: Path | None = None
    bind: str = ""
    bindUDP: str = ""
    allowed: PortSet
    picked: PortSet | None = None
    hostname: str = ""
    insecure: bool = False
    behindTLS: bool = False
    token: Token | None = None
    admin: str | None = None
    grace: float = 10.0
    dialects: tuple[DialectSpec, ...] = ()
    given: Mapping[str, str] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """
    @ivar server: the server's address, or a client endpoint description.
    @ivar name: this client's name.
    @ivar fingerprint: SHA-256 of the DER of the one certificate that is accepted;
        None for any.
    @ivar verify: whether the certificate must verify for the server's name.
    @ivar insecure: whether plain TCP is spoken.
    @ivar grace: how long streams may go on when the client stops, in seconds.
    @ivar visits: which private tunnels of others it brings visitors to.
    @ivar allow: what the server may have it dial.
    @ivar socks: where programs that know SOCKS come to, for all of them.
    @ivar keys: by which those say what they say, for each tunnel that has one.
    """

    server: HostPort | str
    token: Token
    name: str
    tunnels: tuple[TunnelSpec, ...]
    fingerprint: bytes | None = None
    verify: bool = False
    insecure: bool = False
    grace: float = 10.0
    visits: tuple[VisitSpec, ...] = ()
    allow: tuple[Pattern, ...] = ()
    socks: tuple[HostPort, ...] = ()
    keys: tuple[tuple[str, EndKey], ...] = ()
