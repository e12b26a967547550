# -*- test-case-name: tests.endpoints.test_addresses -*-
"""
Addresses, as a tunnel names them, as addresses of Twisted's.
"""

from __future__ import annotations

from typing import TypeAlias

from twisted.internet.address import IPv4Address, IPv6Address

from tunnelkit.wire.address import HostPort, parseHostPort, unmapped

Address: TypeAlias = IPv4Address | IPv6Address
"""What programs read C{host} and C{port} of."""

NOBODY = IPv4Address("TCP", "0.0.0.0", 0)
"""The address of who has none: the visitor of a private tunnel."""


def addressOf(text: str) -> Address:
    """
    Read C{HOST:PORT}, or C{KIND://HOST:PORT}.  A host that is a name stays one; what
    is a name alone has the port 0.
    """
    text = text.rpartition("://")[2]
    try:
        found = parseHostPort(text)
    except ValueError:
        found = HostPort(text, 0) if text else HostPort(NOBODY.host, NOBODY.port)
    host = unmapped(found.host)
    kind = IPv6Address if ":" in host else IPv4Address
    return kind("TCP", host, found.port)
