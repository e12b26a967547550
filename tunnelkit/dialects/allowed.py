# -*- test-case-name: tests.dialects.test_allowed -*-
"""
Allowed: what the other side may have us dial: C{tcp/127.0.0.1:*}, C{unix/run/app.sock}.

A name is compared as it was asked for, and not looked up: C{localhost} and C{127.0.0.1}
are two.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from tunnelkit.wire.address import (
    HIGHEST,
    LONGEST_PATH,
    HostPort,
    LocalAddress,
    SocketPath,
    parseHostPort,
    parsePort,
)

TCP: Final = ("tcp", "tcp4", "tcp6")
"""Go's names for TCP."""
UNIX: Final = "unix"
"""Go's name for a UNIX socket."""

_HOW: Final = (
    "write tcp/HOST:PORT, where HOST and PORT may be * and PORT may be a range, or"
    " unix/PATH, where PATH may end in /*"
)


@dataclass(frozen=True, slots=True)
class TCPPattern:
    """
    Some ports of some hosts.

    @ivar host: in small letters; C{*} for any, C{*.NAME} for all names below one.
    """

    host: str
    low: int
    high: int

    def covers(self, address: LocalAddress) -> bool:
        """
        Tell whether an address is one of them.
        """
        if not isinstance(address, HostPort):
            return False
        return self._names(address.host.lower()) and (
            self.low <= address.port <= self.high
        )

    def _names(self, host: str) -> bool:
        if self.host.startswith("*"):
            return host.endswith(self.host[1:])
        return host == self.host


@dataclass(frozen=True, slots=True)
class UNIXPattern:
    """
    A UNIX socket, or all of a folder.

    @ivar path: of the socket, or of the folder with a slash behind it.
    """

    path: str

    def covers(self, address: LocalAddress) -> bool:
        """
        Tell whether an address is one of them.
        """
        if not isinstance(address, SocketPath):
            return False
        if not self.path.endswith("/"):
            return address.path == self.path
        rest = address.path.removeprefix(self.path)
        return rest != address.path and bool(rest) and "/" not in rest


Pattern = TCPPattern | UNIXPattern


def parseAllow(text: str) -> Pattern:
    """
    Read a pattern.

    @raise ValueError: it is none; the text is for the user.
    """
    network, slash, rest = text.partition("/")
    if not slash or not rest:
        raise ValueError(f"{text!r} does not say what may be dialled: {_HOW}")
    if network == UNIX:
        path = "/" + rest.lstrip("/")
        _checkPath(path)
        if path.endswith("/"):
            raise ValueError(f"{text!r} is a folder: write {UNIX}{path}* for all in it")
        return UNIXPattern(path.removesuffix("*"))
    if network != TCP[0]:
        raise ValueError(f"{text!r}: there is no network {network!r} here: {_HOW}")
    host, colon, ports = rest.rpartition(":")
    if not colon or not host:
        raise ValueError(f"{text!r} has no port: {_HOW}")
    return TCPPattern(_host(host), *_ports(ports))


def parseTarget(network: str, text: str) -> LocalAddress:
    """
    Read what is to be dialled, by Go's names.

    @raise ValueError: that is not carried here, or is no address.
    """
    if network == UNIX:
        path = "/" + text.lstrip("/")
        _checkPath(path)
        _checkLength(path)
        return SocketPath(path)
    if network not in TCP:
        raise ValueError(f"{network[:20]} is not carried here, only tcp and unix")
    # In Go no host is this one.
    return parseHostPort(f"127.0.0.1{text}" if text.startswith(":") else text)


def allows(patterns: Iterable[Pattern], address: LocalAddress) -> bool:
    """
    Tell whether one of the patterns covers an address.
    """
    return any(pattern.covers(address) for pattern in patterns)


def _host(text: str) -> str:
    if text == "*":
        return text
    if text.startswith("*."):
        parseHostPort(text[2:], 0)
        return text.lower()
    return parseHostPort(text, 0).host.lower()


def _ports(text: str) -> tuple[int, int]:
    if text == "*":
        return 1, HIGHEST
    low, dash, high = text.partition("-")
    first = parsePort(low)
    last = parsePort(high) if dash else first
    if last < first:
        raise ValueError(f"{text!r} is no range of ports: the first is the higher one")
    return first, last


def _checkLength(path: str) -> None:
    try:
        length = len(path.encode())
    except UnicodeEncodeError:
        raise ValueError("a path that is no UTF-8 cannot be asked for") from None
    if length > LONGEST_PATH:
        raise ValueError(
            f"a socket's path has {LONGEST_PATH} bytes at most, this one {length}"
        )


def _checkPath(path: str) -> None:
    if ".." in path.split("/") or "\0" in path:
        raise ValueError(f"{path!r} is no plain path")
    if "*" in path and (path.count("*") > 1 or not path.endswith("/*")):
        raise ValueError(f"{path!r}: a * stands alone at the end, behind a slash")
