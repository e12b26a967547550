# -*- test-case-name: tests.relay.flows.test_names -*-
"""
Names: the addresses of hosts that local services are published by, looked up once for
many flows.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import Any, Final

from twisted.internet.interfaces import (
    IAddress,
    IHostResolution,
    IReactorPluggableNameResolver,
    IReactorTime,
    IResolutionReceiver,
)
from zope.interface import implementer

LASTING: Final = 30.0
"""Seconds for which an answer is good."""


class Names:
    """
    What names mean, for a while.
    """

    def __init__(self, reactor: Any) -> None:
        """
        @param reactor: an C{IReactorPluggableNameResolver} and C{IReactorTime}.
        """
        self._resolver: IReactorPluggableNameResolver = reactor
        self._clock: IReactorTime = reactor
        self._known: dict[str, tuple[str, float]] = {}
        self._asking: dict[str, list[Callable[[str], None]]] = {}

    def find(self, host: str, found: Callable[[str], None]) -> None:
        """
        Tell the address of a host: now, where it is one itself or is known.

        @param found: told the address, or nothing where there is none.
        """
        if isAddress(host):
            found(host)
            return
        address, until = self._known.get(host, ("", 0.0))
        if address and self._clock.seconds() < until:
            found(address)
        elif host in self._asking:
            self._asking[host].append(found)
        else:
            self._asking[host] = [found]
            receiver = _Receiver(lambda address: self._found(host, address))
            self._resolver.nameResolver.resolveHostName(
                receiver, host, transportSemantics="UDP"
            )

    def _found(self, host: str, address: str) -> None:
        self._known.pop(host, None)
        if address:
            self._known[host] = address, self._clock.seconds() + LASTING
        for found in self._asking.pop(host):
            found(address)


@implementer(IResolutionReceiver)
class _Receiver:
    """
    Takes the first of the addresses that a host has.
    """

    def __init__(self, found: Callable[[str], None]) -> None:
        self._found = found
        self._first = ""

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        """
        It is being asked.
        """

    def addressResolved(self, address: IAddress) -> None:
        """
        One address.
        """
        self._first = self._first or getattr(address, "host", "")

    def resolutionComplete(self) -> None:
        """
        That was all.
        """
        self._found(self._first)


def isAddress(host: str) -> bool:
    """
    Tell whether a host is an address itself.
    """
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
