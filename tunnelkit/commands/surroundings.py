# -*- test-case-name: tests.functional.test_portals -*-
"""
What a portal works with in a real process: sockets, names, time and chance.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from treq.client import HTTPClient
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.web.client import Agent, HTTPConnectionPool

from tunnelkit.portal.addresses.sockets import Address
from tunnelkit.portal.calling import PATIENCE
from tunnelkit.portal.settings import Surroundings
from tunnelkit.relay.endpoints import everywhere
from tunnelkit.relay.portable.udp import listenUDP

_ELSEWHERE: Final = (
    (socket.AF_INET, "192.0.2.1"),
    (socket.AF_INET6, "2001:db8::1"),
)
"""Addresses that nobody has, one of each family: they show which way leads out."""


def surroundings(
    reactor: Any, random: Callable[[int], bytes], now: Callable[[], float]
) -> Surroundings:
    """
    Give what a portal works with.
    """

    def resolve(host: str, port: int) -> Deferred[Sequence[Address]]:
        return deferToThreadPool(reactor, reactor.getThreadPool(), resolved, host, port)

    return Surroundings(
        clock=reactor,
        now=now,
        random=random,
        listen=partial(listenUDP, reactor),
        resolve=resolve,
        outbound=outbound,
        everywhere=everywhere(),
        http=http(reactor),
    )


def http(reactor: Any) -> HTTPClient:
    """
    Make what makes HTTP requests.
    """
    pool = HTTPConnectionPool(reactor)
    return HTTPClient(Agent(reactor, connectTimeout=PATIENCE, pool=pool))


def resolved(host: str, port: int) -> list[Address]:
    """
    Look a name up, and wait for it.

    @raise OSError: it is not found.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    return [(str(each[4][0]), int(each[4][1])) for each in found]


def outbound() -> list[str]:
    """
    Give the addresses of this machine by which packets leave it, without sending one.
    """
    hosts = []
    for family, elsewhere in _ELSEWHERE:
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((elsewhere, 9))
                hosts.append(probe.getsockname()[0])
        except OSError:
            continue  # There is no way out of that family.
    return hosts
