"""
Kinds: what can be published.  A kind is one module a side, entered here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tunnelkit.tunnels.local import LocalTCP
from tunnelkit.tunnels.published import PublicKind
from tunnelkit.tunnels.spec import KindParser, parseTCP
from tunnelkit.tunnels.tcp import PublicTCP

PARSERS: Final[Mapping[str, KindParser]] = {"tcp": parseTCP}
"""Reads what C{--tunnel} says."""

LOCAL: Final[Mapping[str, type[LocalTCP]]] = {"tcp": LocalTCP}
"""The client's side: what is behind a tunnel."""

PUBLIC: Final[Mapping[str, PublicKind]] = {"tcp": PublicTCP}
"""The server's side: what is before a tunnel."""
