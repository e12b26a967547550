# -*- test-case-name: tests.admin.test_metrics -*-
"""
C{/metrics}: the server's numbers for Prometheus, of L{tunnelkit.admin.collector}.

What that needs takes most of a MiB, and some 15 ms to load: it is loaded when somebody
asks first.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

from twisted.web.resource import IResource

from tunnelkit.admin.room import Answer, Room
from tunnelkit.status import IStatusSource

if TYPE_CHECKING:
    from collections.abc import Callable

_KIND: Final = b"text/plain; version=0.0.4; charset=utf-8"


def makeRoom(source: IStatusSource) -> IResource:
    """
    Make the room.
    """

    @cache
    def exposition() -> Callable[[], bytes]:
        from tunnelkit.admin.collector import makeExposition

        return makeExposition(source)

    return Room(lambda: Answer(exposition()(), _KIND))
