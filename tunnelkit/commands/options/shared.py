# -*- test-case-name: tests.commands.test_share -*-
"""
Values of the options of C{tunnelshare} and C{tunnelkit forward}.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.internet.interfaces import IStreamServerEndpointStringParser
from twisted.plugin import getPlugins

from tunnelkit.commands.options.endpoints import listening, serverAddress
from tunnelkit.wire.address import (
    HostPort,
    LocalAddress,
    SocketPath,
    parseHostPort,
    parsePort,
)

LOOPBACK: Final = "127.0.0.1"
_PREFIXES: Final = ("tcp", "ssl", "unix")
"""What Twisted listens on by itself; all others are plugins."""


def listened(text: str, ipv6: bool) -> str:
    """
    Read where to listen: a port on loopback, C{HOST:PORT}, or a description.

    @return: a strports description.
    @raise ValueError: it is none; the text is for the user.
    """
    if text.isdecimal() or _isDescription(text):
        return listening(text, ipv6, LOOPBACK)
    found = parseHostPort(text)
    host = found.host.replace(":", r"\:")
    return listening(f"tcp:{found.port}:interface={host}", ipv6)


def _isDescription(text: str) -> bool:
    plugins = getPlugins(IStreamServerEndpointStringParser)
    known = {*_PREFIXES, *(plugin.prefix.lower() for plugin in plugins)}
    return text.partition(":")[0].lower() in known


def targeted(text: str, usual: int) -> HostPort | str:
    """
    Read where a target is: a port on loopback, C{HOST[:PORT]}, or a description.

    @param usual: the port where none is named.
    @raise ValueError: it is none; the text is for the user.
    """
    if text.isdecimal():
        return HostPort(LOOPBACK, parsePort(text))
    return serverAddress(text, usual)


def count(least: int, most: int) -> Callable[[str], int]:
    """
    Make what reads a number.

    @return: its C{ValueError} says what the number may be.
    """

    def read(text: str) -> int:
        digits = text.isascii() and text.isdecimal()
        if not digits or not least <= int(text) <= most:
            raise ValueError(f"{text!r} is not a number from {least} to {most}")
        return int(text)

    return read


def plain(text: str, ipv6: bool) -> HostPort | str:
    """
    Read where to listen, as L{listened} does.

    @return: an address for plain TCP, which is the fast way, or a strports description.
    @raise ValueError: it is none; the text is for the user.
    """
    if text.isdecimal():
        return HostPort(LOOPBACK, parsePort(text))
    description = listened(text, ipv6)
    return description if _isDescription(text) else parseHostPort(text)


def forwarded(text: str) -> LocalAddress | str:
    """
    Read where to forward to, as L{targeted} does; a port has to be named.

    @raise ValueError: it is none; the text is for the user.
    """
    if text.isdecimal():
        return HostPort(LOOPBACK, parsePort(text))
    found = serverAddress(text, 0)
    if isinstance(found, str):
        path = found.removeprefix("unix:")
        return SocketPath(path) if path != found and ":" not in path else found
    return parseHostPort(text)
