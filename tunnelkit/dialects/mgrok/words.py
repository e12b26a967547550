# -*- test-case-name: tests.commands.test_mgrok -*-
"""
Words: what mgrok's configuration files say, in ours.

Each key has the effect that it should have there, also those that the program reads and
does not heed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from twisted.internet.endpoints import quoteStringArgument

from tunnelkit.dialects.foreign import ClientWords, ServerWords
from tunnelkit.tunnels.spec import TunnelSpec, isTunnelName
from tunnelkit.wire.address import HostPort
from tunnelkit.wire.mgrok.files import ProxyEntry, ServerFile, readClient, readServer

_PORT: Final = 8910
"""Where clients connect if a file has an address alone."""
_EVERYWHERE: Final = ("", "0.0.0.0", "::")
"""What stands for all interfaces in such a file: the program listens on all in any
case."""


def serverWords(data: bytes, source: str) -> ServerWords:
    """
    Read a server's file.

    @param source: its name, for the errors.
    @raise ValueError: something in it cannot be used; the text says what.
    """
    read = readServer(data, source)
    if not read.token:
        raise ValueError(
            f"{source}: the key 'auth_token' is missing: without the secret nobody"
            " could log in"
        )
    options = {"token": read.token}
    if read.tls:
        options["tls"] = "required"
    # Without TLS the program reads these, and does not look for the files.
    paths = (read.certificate, read.key) if read.tls else ()
    return ServerWords(
        options,
        listen=_listen(read, source),
        pair=tuple(_path(each, source) for each in paths),
        picked=read.ports,
    )


def clientWords(data: bytes, source: str) -> ClientWords:
    """
    Read a client's file.

    @param source: its name, for the errors.
    @raise ValueError: something in it cannot be used; the text says what.
    """
    read = readClient(data, source)
    return ClientWords(read.server, read.token, tuple(_tunnels(read.proxies)))


def _tunnels(entries: Iterable[ProxyEntry]) -> Iterable[TunnelSpec]:
    for entry in entries:
        # Any name will do: the server repeats the one that it is told.
        name = entry.name
        if not isTunnelName(name):
            name = f"{entry.kind}-{entry.remotePort or entry.localPort}"
        yield TunnelSpec(
            kind=entry.kind,
            # That is where the program dials.
            local=HostPort("localhost", entry.localPort),
            port=entry.remotePort,
            name=name,
        )


def _path(text: str, source: str) -> Path:
    return Path(source).absolute().parent / os.path.expanduser(text)


def _listen(read: ServerFile, source: str) -> str:
    """
    Give the place where the server is to listen, or nothing for the usual one.
    """
    if read.bindAddress in _EVERYWHERE:
        return str(read.bindPort or "")
    try:
        address = ip_address(read.bindAddress)
    except ValueError:
        raise ValueError(
            f"{source}: the key 'bind_addr' takes an IP address of this machine"
        ) from None
    kind = "tcp6" if address.version == 6 else "tcp"
    interface = quoteStringArgument(str(address))
    return f"{kind}:{read.bindPort or _PORT}:interface={interface}"
