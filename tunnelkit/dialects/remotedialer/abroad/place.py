# -*- test-case-name: tests.dialects.remotedialer.abroad.test_client -*-
"""
Place: where a server is, by the address of its WebSocket.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import SplitResult, urlsplit

from tunnelkit.dialects.abroad import Place
from tunnelkit.dialects.way import hostOf
from tunnelkit.wire.address import HostPort, parseHostPort
from tunnelkit.wire.remotedialer.login import PATH

PORTS: Final = {"ws": 80, "wss": 443}
"""The port of a server where its address has none."""


def parsePlace(text: str) -> Place:
    """
    Read C{ws[s]://HOST[:PORT][/PATH]}, or C{HOST[:PORT]} for C{wss://}.

    @raise ValueError: it is neither; the text is for the user.
    """
    if "://" not in text:
        return Place(parseHostPort(text, PORTS["wss"]), True, PATH)
    found = urlsplit(text)
    if found.scheme not in PORTS:
        raise ValueError(
            f"{text!r} is no address of a WebSocket: write wss://HOST/connect, or ws://"
            " where there is no TLS"
        )
    if "@" in found.netloc or found.fragment:
        raise ValueError(f"{text!r} has more than host, port, path and query")
    server = parseHostPort(found.netloc, PORTS[found.scheme])
    return Place(server, found.scheme == "wss", _target(found))


def _target(found: SplitResult) -> str:
    path = found.path if found.path not in ("", "/") else PATH
    target = f"{path}?{found.query}" if found.query else path
    if not target.isascii() or not target.isprintable() or " " in target:
        raise ValueError(f"{target!r} cannot stand in a request: write it with %")
    return target


def hostHeader(place: Place) -> str:
    """
    Give what stands in the header Host of a request there.
    """
    server = place.server
    if not isinstance(server, HostPort):
        return hostOf(server)
    if server.port == PORTS["wss" if place.tls else "ws"]:
        return str(HostPort(server.host, 0)).removesuffix(":0")
    return str(server)
