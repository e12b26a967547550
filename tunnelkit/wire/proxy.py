# -*- test-case-name: tests.wire.test_proxy -*-
"""
PROXY header: how a local service learns who the visitor is.

It is HAProxy's PROXY protocol, versions 1 (text) and 2 (binary), as written before a
connection's first byte; Twisted itself only reads it.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address
from struct import Struct
from typing import Final, TypeAlias

from tunnelkit.wire.address import HostPort, unmapped

_Address: TypeAlias = IPv4Address | IPv6Address

_SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"
_HEAD: Final = Struct("!12sBBH")
_PORTS: Final = Struct("!HH")

_LOCAL: Final = 0x20
"""Version 2, command LOCAL: the header says nothing of the visitor."""
_PROXY: Final = 0x21
_STREAM: Final = {4: 0x11, 6: 0x21}
"""Family and transport: TCP over IPv4, over IPv6."""

_READINGS: Final[tuple[Callable[[str], str], ...]] = (unmapped, str)
"""How an address is read: as what it stands for, else as it is written."""


def proxyHeader(
    version: int, source: HostPort | None, destination: HostPort | None
) -> bytes:
    """
    Give the bytes that go before the visitor's first.

    Where an address is not known, is no IP address, or one is IPv4 and the other
    IPv6, the header says that it does not tell.

    @param version: 1 or 2.
    @param source: the visitor's address.
    @param destination: the address that the visitor came to.
    @raise ValueError: there is no such version.
    """
    if version not in (1, 2):
        raise ValueError(f"there is no version {version} of the PROXY header: 1 or 2")
    if source is None or destination is None:
        return _unknown(version)
    pair = _sameFamily(source.host, destination.host)
    if pair is None:
        return _unknown(version)
    write = _text if version == 1 else _binary
    return write(*pair, source.port, destination.port)


def _unknown(version: int) -> bytes:
    if version == 1:
        return b"PROXY UNKNOWN\r\n"
    return _HEAD.pack(_SIGNATURE, _LOCAL, 0, 0)


def _sameFamily(source: str, destination: str) -> tuple[_Address, _Address] | None:
    for read in _READINGS:
        try:
            one, other = ip_address(read(source)), ip_address(read(destination))
        except ValueError:
            return None
        if one.version == other.version:
            return one, other
    return None


def _text(one: _Address, other: _Address, port: int, otherPort: int) -> bytes:
    # A scope id means something on this machine only, and is no part of the form.
    source, destination = (str(each).partition("%")[0] for each in (one, other))
    line = f"PROXY TCP{one.version} {source} {destination} {port} {otherPort}\r\n"
    return line.encode("ascii")


def _binary(one: _Address, other: _Address, port: int, otherPort: int) -> bytes:
    body = one.packed + other.packed + _PORTS.pack(port, otherPort)
    return _HEAD.pack(_SIGNATURE, _PROXY, _STREAM[one.version], len(body)) + body
