# -*- test-case-name: tests.wire.test_address -*-
"""
Addresses: where a server or a local service is, as people write it.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final, TypeAlias

HIGHEST: Final = 65535
"""The highest port of TCP and UDP; the lowest is 1."""

LONGEST_PATH: Final = 107 if sys.platform == "linux" else 103
"""The longest path of a UNIX socket that the system takes, in bytes."""

_NAME: Final = re.compile(r"(?!-)[\w.-]{1,253}")
_NUMBERS: Final = re.compile(r"[0-9.]+")
_MAPPED: Final = re.compile(r"::ffff:[0-9]{1,3}(\.[0-9]{1,3}){3}", re.ASCII)
_PORT: Final = re.compile(r"[0-9]{1,5}", re.ASCII)


@dataclass(frozen=True, slots=True)
class HostPort:
    """
    A host and a port, as text C{HOST:PORT} with IPv6 in brackets.

    @ivar host: a name, or an IPv4 or IPv6 address without brackets.
    """

    host: str
    port: int

    def __str__(self) -> str:
        return f"{_bracketed(self.host)}:{self.port}"


@dataclass(frozen=True, slots=True)
class SocketPath:
    """
    A UNIX socket, as text C{unix:PATH}.
    """

    path: str

    def __str__(self) -> str:
        return f"unix:{self.path}"


LocalAddress: TypeAlias = HostPort | SocketPath
"""Where a local service listens."""


def parsePort(text: str) -> int:
    """
    Read a port.

    @raise ValueError: it is not a number from 1 to 65535; the text says so.
    """
    if not _PORT.fullmatch(text) or not 1 <= int(text) <= HIGHEST:
        raise ValueError(f"{text!r} is not a port: give a number from 1 to {HIGHEST}")
    return int(text)


def parseHostPort(text: str, port: int | None = None) -> HostPort:
    """
    Read C{HOST[:PORT]}.  An IPv6 address stands in brackets, or bare where it can
    be read in one way only.

    @param port: the port where the text has none; None where it must have one.
    @raise ValueError: the text is no such address; what it says is for the user.
    """
    if text.startswith("["):
        host, bracket, after = text[1:].partition("]")
        if not bracket or not _isIPv6(host) or after[:1] not in ("", ":"):
            raise ValueError(f"{text!r} is not an IPv6 address in brackets")
        given = after[1:] if after else None
    elif text.count(":") > 1:
        host, given = _bareIPv6(text)
    else:
        host, colon, after = text.partition(":")
        _checkHost(host, text)
        given = after if colon else None
    if given is not None:
        return HostPort(host, parsePort(given))
    if port is None:
        raise ValueError(f"{text!r} has no port: write {_bracketed(host)}:PORT")
    return HostPort(host, port)


def isAddress(text: str) -> bool:
    """
    Tell whether a host is an IP address and not a name.
    """
    return _isIPv4(text) or _isIPv6(text)


def unmapped(host: str) -> str:
    """
    Give the IPv4 address that a dual-stack socket shows as C{::ffff:192.0.2.1};
    everything else comes back as it is, scope ids included.
    """
    if ":" not in host or "%" in host:
        return host
    if _MAPPED.fullmatch(host):
        return host[7:]  # as the kernel writes it; what follows takes its time
    try:
        mapped = IPv6Address(host).ipv4_mapped
    except ValueError:
        return host
    return host if mapped is None else str(mapped)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _bareIPv6(text: str) -> tuple[str, str | None]:
    head, _, tail = text.rpartition(":")
    readings: list[tuple[str, str | None]] = []
    if _isIPv6(text):
        readings.append((text, None))
    if _isIPv6(head) and _PORT.fullmatch(tail):
        readings.append((head, tail))
    if len(readings) != 1:
        raise ValueError(
            f"{text!r} has several colons: "
            "write an IPv6 address in brackets, such as [2001:db8::1]:8910"
        )
    return readings[0]


def _checkHost(host: str, text: str) -> None:
    if not host:
        raise ValueError(f"{text!r} names no host: write HOST:PORT")
    if not _NAME.fullmatch(host):
        raise ValueError(f"{host!r} is not a host: give a name or an address")
    if _NUMBERS.fullmatch(host) and not _isIPv4(host):
        raise ValueError(
            f"{host!r} is neither a host's name nor an IPv4 address: write HOST:PORT"
        )


def _isIPv4(text: str) -> bool:
    try:
        IPv4Address(text)
    except ValueError:
        return False
    return True


def _isIPv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except ValueError:
        return False
    # A zone may have one, and would not end where the brackets around it do.
    return not {"[", "]"} & {*text}
