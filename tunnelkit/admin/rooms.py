# -*- test-case-name: tests.admin.test_rooms -*-
"""
The plan of the admin site: which rooms there are, and which are locked.

A further room is a module with a C{makeRoom}, and a line in L{DOORS}.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from twisted.web.iweb import IRequest
from twisted.web.resource import IResource, Resource

from tunnelkit.admin import healthz, metrics, status, tunnels
from tunnelkit.admin.lock import LOCKED, Lock
from tunnelkit.admin.page import page
from tunnelkit.admin.room import Corridor, Late, TurnedAway
from tunnelkit.status import IStatusSource


@dataclass(frozen=True, slots=True)
class Door:
    """
    Where a room is.

    @ivar path: the way to it, without the first slash.
    @ivar make: makes the room.
    @ivar streams: whether it takes bodies as they come.
    @ivar locked: whether it takes the token to enter.  Where it does not, that holds
        for this path alone and for nothing below it.
    """

    path: str
    make: Callable[[IStatusSource], IResource]
    locked: bool = True
    streams: bool = False


def _clients(source: IStatusSource) -> IResource:
    """
    Make the room C{/client}, which is loaded when somebody comes in first: it takes
    more than all others together.
    """

    def make() -> IResource:
        from tunnelkit.admin.client.clients import makeRoom

        return makeRoom(source)

    return Late(make)


DOORS: Final = (
    Door("", page.makeRoom),
    Door("page.css", page.fileRoom("page.css", b"text/css; charset=utf-8")),
    Door("page.js", page.fileRoom("page.js", b"text/javascript; charset=utf-8")),
    Door("page.svg", page.fileRoom("page.svg", b"image/svg+xml")),
    Door("healthz", healthz.makeRoom, locked=False),
    Door("api/v1/status", status.makeRoom),
    Door("api/v1/tunnels", tunnels.makeRoom),
    Door("metrics", metrics.makeRoom),
    Door("client", _clients, streams=True),
)
"""The rooms there are."""


def makeRoot(
    source: IStatusSource, token: str, doors: Iterable[Door] = DOORS
) -> Entrance:
    """
    Make the tree of all rooms.

    @param source: whose status they show.
    @param token: what opens the locked ones.
    @raise ValueError: the token is empty.
    """
    root, doors = Corridor(), tuple(doors)
    unlocked = set()
    streaming = tuple(b"/%s/" % door.path.encode() for door in doors if door.streams)
    for door in doors:
        *way, name = door.path.encode().split(b"/")
        _walk(root, way).putChild(name, door.make(source))
        if not door.locked:
            unlocked.add(b"/" + door.path.encode())
    return Entrance(root, Lock(token), frozenset(unlocked), streaming)


def _walk(root: Resource, way: Iterable[bytes]) -> Resource:
    place = root
    for name in way:
        following = place.getStaticEntity(name)
        if following is None:
            following = Corridor()
            place.putChild(name, following)
        place = following
    return place


class Entrance(Resource):
    """
    Where every request comes in.  Who has no token does not even learn which rooms
    there are.
    """

    def __init__(
        self,
        root: Resource,
        lock: Lock,
        unlocked: frozenset[bytes],
        streaming: tuple[bytes, ...],
    ) -> None:
        super().__init__()
        self._streaming = streaming
        self._root = root
        self._lock = lock
        self._unlocked = unlocked

    def streams(self, path: bytes, authorization: bytes | None) -> bool:
        """
        Tell whether a request is for a room that takes bodies as they come, and may
        enter.
        """
        return path.startswith(self._streaming) and self._lock.opens(authorization)

    def getChildWithDefault(self, path: bytes, request: IRequest) -> IResource:
        """
        Let the request through to the rooms, or not.
        """
        if request.path in self._unlocked or self._lock.opens(
            request.getHeader(b"authorization")
        ):
            place: IResource = self._root.getChildWithDefault(path, request)
            return place
        return TurnedAway(LOCKED)
