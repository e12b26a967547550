# -*- test-case-name: tests.admin.test_site -*-
"""
The admin rooms as a web site.
"""

from __future__ import annotations

from typing import Final

from twisted.internet.interfaces import IReactorTime
from twisted.web.resource import IResource
from twisted.web.server import Site

from tunnelkit.admin.client.streaming import StreamingSite, Streams
from tunnelkit.site import Bounds

_LONGEST_BODY: Final = 64 * 1024
"""What is read of a request's body, in bytes.  No room looks at it."""


def makeSite(
    root: IResource,
    clock: IReactorTime,
    patience: float = 30.0,
    most: int = 100,
    streams: Streams = lambda path, authorization: False,
) -> Site:
    """
    Make the site.

    @param root: its rooms.
    @param patience: how long a whole request may take to come, and how long a
        connection stays open without one, in seconds.
    @param most: the most connections at a time; further ones are cut.
    @param streams: which requests are served before their body is here.
    """
    bounds = Bounds(most=most, patience=patience, longest=_LONGEST_BODY, kept=False)
    return StreamingSite(root, clock, bounds, streams)
