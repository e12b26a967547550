"""
Foreign: what the configuration files of other systems say, in our words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from tunnelkit.tunnels.spec import TunnelSpec


@dataclass(frozen=True, slots=True)
class ServerWords:
    """
    What a server's file says.

    @ivar options: those of the dialect's description, C{token} among them.
    @ivar port: where clients connect; None where it does not say.
    @ivar admin: the port of the admin rooms, 0 for none; None where it does not say.
    @ivar listen: where clients connect, as C{--port} would say it; empty where it does
        not say.
    @ivar pair: the files of the certificate and of its key; none where it does not say.
    @ivar picked: from and to which port the server picks where a client leaves it the
        choice; None where it does not say.
    """

    options: Mapping[str, str] = field(repr=False)
    port: int | None = None
    admin: int | None = None
    listen: str = ""
    pair: tuple[Path, ...] = ()
    picked: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class ClientWords:
    """
    What a client's file says.

    @ivar server: as C{--server} would; empty where it does not say.
    @ivar token: the shared secret; empty where it does not say.
    @ivar tunnels: what is to be published.
    @ivar insecure: whether it says that there is to be no TLS.
    """

    server: str = ""
    token: str = field(default="", repr=False)
    tunnels: tuple[TunnelSpec, ...] = ()
    insecure: bool = False


ReadServer: TypeAlias = Callable[[bytes, str], ServerWords]
"""Reads a server's file, given its bytes and its name; its ValueError says what is
wrong."""
ReadClient: TypeAlias = Callable[[bytes, str], ClientWords]
"""The same of a client's."""
