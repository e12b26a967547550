# -*- test-case-name: tests.relay.test_best -*-
"""
Best: which relay a reactor gets.

The fast one needs Linux and the reactor that is the default there; all others are
served by the portable one.
"""

from __future__ import annotations

import os
import select
from typing import Any

from tunnelkit.interfaces import IRelay
from tunnelkit.relay.portable.relay import PortableRelay
from tunnelkit.relay.streams.join import IDLE

try:
    from twisted.internet.epollreactor import EPollReactor
except ImportError:  # pragma: no cover - on Linux it is there
    EPollReactor = None  # type: ignore[assignment,misc]


def isFast(reactor: object) -> bool:
    """
    Tell whether the fast relay can run on a reactor of this system.
    """
    able = hasattr(select, "epoll") and hasattr(os, "splice")
    return able and EPollReactor is not None and isinstance(reactor, EPollReactor)


def relayFor(reactor: Any, idle: float = IDLE) -> IRelay:
    """
    Give the best relay for a reactor.

    @param idle: seconds that a half-open stream may show no life.
    """
    if not isFast(reactor):
        return PortableRelay(reactor, idle)
    # Elsewhere it could not even be imported.
    from tunnelkit.relay.fast.relay import FastRelay

    return FastRelay(reactor, idle)
