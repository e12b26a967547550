# -*- test-case-name: tests.test_client -*-
"""
Way: how a server is found by what the user said of it.
"""

from __future__ import annotations

from twisted.internet.endpoints import clientFromString

from tunnelkit.carrier.route import PATIENCE, Route
from tunnelkit.interfaces import IRelay
from tunnelkit.relay.endpoints import IPortableReactor, endpointOf
from tunnelkit.relay.secure import ClientTLS
from tunnelkit.tunnels.spec import splitDescription
from tunnelkit.wire.address import HostPort


def wayTo(
    server: HostPort | str,
    reactor: IPortableReactor,
    relay: IRelay,
    tls: ClientTLS | None,
    fingerprint: bytes | None = None,
    bound: bool = True,
) -> Route:
    """
    Put the way to a server together.

    @param server: its address, or a client endpoint description.
    @param tls: this side of the TLS; None for plain TCP.
    @param fingerprint: SHA-256 of the one certificate that is accepted.
    @param bound: whether the login there is bound to the certificate.
    """
    if isinstance(server, HostPort):
        endpoint = endpointOf(reactor, server, PATIENCE)
    else:
        endpoint = clientFromString(reactor, server)
    return Route(str(server), endpoint, relay, tls, reactor, fingerprint, bound)


def hostOf(server: HostPort | str) -> str:
    """
    Give the host of a server's address or endpoint description.
    """
    if isinstance(server, HostPort):
        return server.host
    kind, positional, named = splitDescription(server)
    host = named.get("host") or (positional[0] if positional else "")
    return "localhost" if kind == "unix" or not host else host
