# -*- test-case-name: tests.dialects.test_descriptions -*-
"""
Where to listen and where to connect: endpoint descriptions as options give them.

Twisted takes a description apart only when a service starts, and says what is wrong
with it by one of many exceptions.  Here they are checked while options are, and what
is wrong is a sentence.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from twisted.internet.endpoints import clientFromString, serverFromString
from twisted.internet.interfaces import IStreamClientEndpointStringParserWithReactor
from twisted.plugin import getPlugins

from tunnelkit.relay.endpoints import everywhere
from tunnelkit.tunnels.spec import splitDescription
from tunnelkit.wire.address import HIGHEST, HostPort, parseHostPort, parsePort

BACKLOG: Final = 4096
"""How many connections the kernel holds that are not accepted yet.  With Twisted's 50,
a thousand visitors at once wait for many seconds."""

DEFAULT_PORT: Final = 8910
"""The port on which a server listens, and to which a client connects."""

# Where the parts of a description stand that may be given without their name.
_PORT_PLACES: Final = {"tcp": 0, "tcp6": 0, "ssl": 0, "tls": 1}
_PATH_PLACES: Final = {"tls": 0}
_SOCKET_PLACES: Final = {"unix": 0}
_BACKLOG_PLACES: Final = {"tcp": 2, "tcp6": 1}
_CLIENT_PORT_PLACES: Final = {"tcp": 1, "ssl": 1, "tls": 1}

_CLIENT_PREFIXES: Final = ("tcp", "ssl", "unix")
"""What Twisted knows by itself; all others are plugins."""

_TYPE: Final = re.compile(r"[a-zA-Z]\w*")
"""What stands before the first colon of a description."""
_GROUP: Final = re.compile(r"[0-9a-fA-F]{1,4}")
"""What stands before the first colon of an IPv6 address."""


def hasIPv6() -> bool:
    """
    Find out whether this machine can listen on IPv6.
    """
    return everywhere() == "::"


def listening(text: str, ipv6: bool, interface: str = "") -> str:
    """
    Make a strports description of what an option says.

    @param text: a port number or a description.
    @param ipv6: whether this machine has IPv6: then a bare number is one socket for
        both versions.
    @param interface: the address at which a bare number listens; empty for all.
    @raise ValueError: it is neither; the text is for the user.
    """
    if text.isdecimal():
        return f"{_ofPort(parsePort(text), ipv6, interface)}:backlog={BACKLOG}"
    if ":" not in text:
        raise ValueError(
            f"{text!r} is neither a port number nor a description such as"
            " tcp:8910:interface=127.0.0.1 or unix:/run/tunnelkit.sock"
        )
    _checkPort(text, _portOf(text))
    _checkSocket(text, "address")
    _checkFolder(text)
    _check(text, serverFromString)
    return f"{text}:backlog={BACKLOG}" if _lacksBacklog(text) else text


def portsOf(descriptions: Iterable[str]) -> frozenset[int]:
    """
    Give the ports on which descriptions listen, as far as they tell.
    """
    found = map(_portOf, descriptions)
    return frozenset(int(port) for port in found if port.isdecimal())


def serverAddress(text: str, usual: int = DEFAULT_PORT) -> HostPort | str:
    """
    Read where a server is: C{HOST[:PORT]}, or a client endpoint description.

    @param usual: the port where none is named.
    @return: an address, or the description as it is.
    @raise ValueError: it is neither; the text is for the user.
    """
    prefix, colon, rest = text.partition(":")
    if not colon or prefix.lower() not in _clientPrefixes():
        _checkType(prefix, rest)
        return parseHostPort(text, usual)
    _checkSocket(text, "path")
    if rest.isdecimal() and prefix.lower() != "unix":
        raise ValueError(
            f"{text!r} names no host: write HOST:{rest}, or {prefix}:HOST:{rest}"
        )
    _checkPort(text, _part(text, "port", _CLIENT_PORT_PLACES))
    _check(text, clientFromString)
    return text


def _ofPort(port: int, ipv6: bool, interface: str) -> str:
    if interface:
        return f"tcp:{port}:interface={interface}"
    return f"tcp6:{port}" if ipv6 else f"tcp:{port}"


def _lacksBacklog(text: str) -> bool:
    prefix = text.partition(":")[0].lower()
    return prefix in _BACKLOG_PLACES and not _part(text, "backlog", _BACKLOG_PLACES)


def _clientPrefixes() -> set[str]:
    plugins = getPlugins(IStreamClientEndpointStringParserWithReactor)
    return {*_CLIENT_PREFIXES, *(plugin.prefix.lower() for plugin in plugins)}


def _check(text: str, parse: Callable[[Any, str], object]) -> None:
    # Only where there is a description: this import takes 40 ms.
    from twisted.internet.testing import MemoryReactor

    try:
        parse(MemoryReactor(), text)
    except Exception as e:
        # Parsers, of which plugins may bring more, raise what they like.
        raise ValueError(
            f"{text!r} is not an endpoint description that can be used: {_reason(e)}"
        ) from e


def _reason(error: Exception) -> str:
    words = str(error) or type(error).__name__
    match error:
        case OSError(filename=str(name), strerror=str(strerror)):
            return f"{name}: {strerror}"
        case TypeError():
            return "a part is missing, or one too many, or one has an unknown name"
        case IndexError() | KeyError():
            return f"there is no such socket, file or name ({words})"
        case ValueError() if "invalid literal" in words:
            return f"{words.rpartition(': ')[2]} is not a number"
    return words


def _checkType(prefix: str, rest: str) -> None:
    # With one colon it is a host with a port, unless it is the address of a page.
    if _TYPE.fullmatch(prefix) and (
        rest.startswith("//") or (":" in rest and not _GROUP.fullmatch(prefix))
    ):
        raise ValueError(
            f"there is no endpoint type {prefix!r}: write HOST[:PORT], or a description"
            " such as tcp:HOST:PORT, tls:HOST:PORT or unix:PATH"
        )


def _checkSocket(text: str, name: str) -> None:
    # With an empty path Linux makes up a socket that nobody can find.
    unix = text.partition(":")[0].lower() == "unix"
    if unix and not _part(text, name, _SOCKET_PLACES):
        raise ValueError(f"{text!r} names no socket: write unix:PATH")


def _checkPort(text: str, port: str) -> None:
    if port.isdecimal() and int(port) > HIGHEST:
        raise ValueError(f"{text!r}: {port} is not a port, the highest is {HIGHEST}")


def _checkFolder(text: str) -> None:
    # Twisted listens with a folder that is not there, and then fails every handshake.
    folder = _part(text, "path", _PATH_PLACES)
    if folder and not Path(folder).is_dir():
        raise ValueError(f"{text!r}: {folder} is not a folder of certificates")
    address = _part(text, "address", _SOCKET_PLACES)
    if address and not Path(address).absolute().parent.is_dir():
        raise ValueError(f"{text!r}: there is no folder for the socket {address}")


def _portOf(description: str) -> str:
    prefix, _, rest = description.partition(":")
    if prefix.lower() == "haproxy":
        return _portOf(rest)
    port = _part(description, "port", _PORT_PLACES)
    return port or ("443" if prefix.lower() == "tls" else "")


def _part(description: str, name: str, places: Mapping[str, int]) -> str:
    """
    Give the part of a description that has this name, or that may lack the name at
    this place; empty where there is none.
    """
    prefix, arguments, options = splitDescription(description)
    place = places.get(prefix.lower(), len(arguments))
    return (arguments[place : place + 1] or [options.get(name, "")])[0]
