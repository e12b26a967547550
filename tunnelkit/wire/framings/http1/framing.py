# -*- test-case-name: tests.wire.framings.http1.test_framing -*-
"""
HTTP/1.1 as a framing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tunnelkit.wire.framings.contract import Local, Request, Trouble
from tunnelkit.wire.framings.given import number, only
from tunnelkit.wire.framings.http1.answers import excuse, unasked
from tunnelkit.wire.framings.http1.limits import Limits
from tunnelkit.wire.framings.http1.replies import HTTPReplies
from tunnelkit.wire.framings.http1.requests import HTTPRequests
from tunnelkit.wire.framings.http1.targets import isHost


class HTTP1:
    """
    HTTP/1.1, each request on its own.

    Where a client has a connection for itself it may log that in (NTLM, Negotiate),
    which is why such a one is not given to another.
    """

    stateful = True
    ordered = True

    def __init__(self, limits: Limits, host: bytes) -> None:
        """
        @param host: the Host of requests of HTTP/1.0 that have none.
        """
        self.limits = limits
        self.host = host

    def requests(self, sticky: bool) -> HTTPRequests:
        """
        Make the decoder for a client's connection.
        """
        return HTTPRequests(self.limits, self.host, sticky)

    def replies(self, sticky: bool) -> HTTPReplies:
        """
        Make the decoder for a connection to the target.
        """
        return HTTPReplies(self.limits, sticky)

    def trouble(self, trouble: Trouble, request: Request | None) -> Local:
        """
        Answer in place of the target, and close.
        """
        if request is None:
            return Local(unasked(trouble), close=True)
        return Local(excuse(trouble, request.label.head), close=True)


RANGES: Final[Mapping[str, tuple[int, int]]] = {
    "collect": (0, 64 * 1024 * 1024),
    "head": (256, 1024 * 1024),
    "target": (1, 1024 * 1024),
    "fields": (1, 10000),
}
"""Which of L{Limits} may be set, and between which bounds."""


def makeHTTP1(arguments: list[str], options: dict[str, str]) -> HTTP1:
    """
    Make C{http1[:host=NAME][:collect=N][:head=N][:target=N][:fields=N]}.

    @raise ValueError: that cannot be.
    """
    only(arguments, 0, options, ("host", *RANGES))
    host = options.get("host", "localhost")
    if not host or not isHost(host.encode()):
        raise ValueError(f"host={host}: give a name or an address, and maybe a port")
    usual = Limits()
    given = {
        name: number(name, options.get(name), getattr(usual, name), *bounds)
        for name, bounds in RANGES.items()
    }
    return HTTP1(Limits(**given), host.encode())
