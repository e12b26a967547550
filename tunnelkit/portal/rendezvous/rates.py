# -*- test-case-name: tests.portal.rendezvous.test_pages -*-
"""
Rates: how often one address may ask.  In IPv6 everybody has a whole network of
addresses, which counts as one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Network
from typing import Final

EACH: Final = 20.0
"""Requests a second of one address.  A portal makes one or two."""
BURST: Final = 100.0
"""Requests at once, after a rest."""
REMEMBERED: Final = 4096
"""Addresses that are told apart; one that is forgotten has rested."""


class Rates:
    """
    Counts requests.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        """
        @param now: gives the time in seconds.
        """
        self._now = now
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allows(self, host: str) -> bool:
        """
        Count a request, and tell whether it may be.
        """
        now = self._now()
        host = _network(host)
        left, since = self._left.pop(host, (BURST, now))
        left = min(BURST, left + (now - since) * EACH)
        allowed = left >= 1
        self._left[host] = left - allowed, now
        while len(self._left) > REMEMBERED:
            self._left.popitem(last=False)
        return allowed


def _network(host: str) -> str:
    if ":" not in host:
        return host
    try:
        return str(IPv6Network((host.partition("%")[0], 64), strict=False))
    except ValueError:
        return host
