"""
Kinds: what can be published.  A kind is one module a side, entered here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

from tunnelkit.tunnels.local import LocalTCP
from tunnelkit.tunnels.localudp import LocalUDP
from tunnelkit.tunnels.private.local import LocalPrivate, LocalPrivateUDP
from tunnelkit.tunnels.published import PRIVATE, PublicKind
from tunnelkit.tunnels.spec import (
    KindParser,
    parsePrivate,
    parsePrivateUDP,
    parseTCP,
    parseUDP,
)
from tunnelkit.tunnels.tcp import PublicTCP
from tunnelkit.tunnels.udp import PublicUDP


@dataclass(frozen=True, slots=True)
class Late:
    """
    A kind that few servers have, imported when a tunnel of it is opened.

    @ivar space: which ports its tunnels have.
    @ivar module: where it is.
    @ivar name: what it is called there.
    """

    space: str
    module: str
    name: str

    def __call__(self, *args: Any, **named: Any) -> Any:
        """
        Make a tunnel.
        """
        return getattr(import_module(self.module), self.name)(*args, **named)


PARSERS: Final[Mapping[str, KindParser]] = {
    "tcp": parseTCP,
    "udp": parseUDP,
    "private": parsePrivate,
    "private-udp": parsePrivateUDP,
}
"""Reads what C{--tunnel} says."""

LOCAL: Final[Mapping[str, type[LocalTCP] | type[LocalUDP]]] = {
    "tcp": LocalTCP,
    "udp": LocalUDP,
    "private": LocalPrivate,
    "private-udp": LocalPrivateUDP,
}
"""The client's side: what is behind a tunnel."""

PUBLIC: Final[Mapping[str, PublicKind]] = {
    "tcp": PublicTCP,
    "udp": PublicUDP,
    "private": Late(PRIVATE, "tunnelkit.tunnels.private.published", "PrivateTCP"),
    "private-udp": Late(PRIVATE, "tunnelkit.tunnels.private.published", "PrivateUDP"),
}
"""The server's side: what is before a tunnel."""
