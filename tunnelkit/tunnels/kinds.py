"""
Kinds: what can be published.  A kind is one module a side, entered here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tunnelkit.tunnels.local import LocalTCP
from tunnelkit.tunnels.localudp import LocalUDP
from tunnelkit.tunnels.published import PublicKind
from tunnelkit.tunnels.spec import KindParser, parseTCP, parseUDP
from tunnelkit.tunnels.tcp import PublicTCP
from tunnelkit.tunnels.udp import PublicUDP

PARSERS: Final[Mapping[str, KindParser]] = {"tcp": parseTCP, "udp": parseUDP}
"""Reads what C{--tunnel} says."""

LOCAL: Final[Mapping[str, type[LocalTCP] | type[LocalUDP]]] = {
    "tcp": LocalTCP,
    "udp": LocalUDP,
}
"""The client's side: what is behind a tunnel."""

PUBLIC: Final[Mapping[str, PublicKind]] = {"tcp": PublicTCP, "udp": PublicUDP}
"""The server's side: what is before a tunnel."""
