# -*- test-case-name: tests.relay.portable.test_relay -*-
"""
Endpoints: how an address is connected to, and which are listened on.
"""

from __future__ import annotations

import socket
from ipaddress import ip_address
from typing import Final

from twisted.internet.endpoints import (
    HostnameEndpoint,
    TCP4ClientEndpoint,
    TCP6ClientEndpoint,
    UNIXClientEndpoint,
)
from twisted.internet.interfaces import (
    IAddress,
    IProtocol,
    IReactorTCP,
    IReactorTime,
    IReactorUDP,
    IReactorUNIX,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory

from tunnelkit.wire.address import LocalAddress, SocketPath

BACKLOG: Final = 4096
"""Visitors that may wait to be accepted; with Twisted's 50, a thousand at once
waited for 14 s."""


class IPortableReactor(IReactorTCP, IReactorTime, IReactorUDP, IReactorUNIX):
    """
    What the portable relay needs of a reactor.
    """


class One(Factory):
    """
    Makes the one protocol that it was given, and no noise.
    """

    noisy = False

    def __init__(self, only: IProtocol) -> None:
        self._only = only

    def buildProtocol(self, address: IAddress | None) -> IProtocol:  # type: ignore[override]
        return self._only


def endpointOf(
    reactor: IPortableReactor, address: LocalAddress, timeout: float
) -> IStreamClientEndpoint:
    """
    Give the endpoint that connects to an address.

    @param timeout: seconds that each address of a name has.
    """
    if isinstance(address, SocketPath):
        return UNIXClientEndpoint(reactor, address.path, timeout)
    try:
        version = ip_address(address.host.partition("%")[0]).version
    except ValueError:
        return HostnameEndpoint(reactor, address.host, address.port, timeout)
    # A literal address needs no resolver, which costs as much as the rest.
    endpoint = TCP4ClientEndpoint if version == 4 else TCP6ClientEndpoint
    return endpoint(reactor, address.host, address.port, timeout)


def everywhere() -> str:
    """
    Give the address of all interfaces: that of IPv6, which takes IPv4 as well, or
    that of IPv4 where there is no IPv6.
    """
    try:
        with socket.socket(socket.AF_INET6) as trial:
            trial.bind(("::1", 0))
    except OSError:
        return "0.0.0.0"
    return "::"
