# -*- test-case-name: tests.admin.test_healthz -*-
"""
C{/healthz}: whether the server does its work, for whatever watches over it.  The one
room without a lock: a load balancer or a container's supervisor has no token.
"""

from __future__ import annotations

from twisted.web.http import SERVICE_UNAVAILABLE
from twisted.web.resource import IResource

from tunnelkit.admin.room import Answer, Room, asJSON
from tunnelkit.status import IStatusSource


def makeRoom(source: IStatusSource) -> IResource:
    """
    Make the room.
    """
    return Room(lambda: _answer(source.troubles()))


def _answer(troubles: tuple[str, ...]) -> Answer:
    if not troubles:
        return asJSON({"healthy": True})
    return asJSON({"healthy": False, "troubles": troubles}, SERVICE_UNAVAILABLE)
