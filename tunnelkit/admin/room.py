# -*- test-case-name: tests.admin.test_room -*-
"""
A room of the admin site, and what every answer from there has in common.

A room shows something and changes nothing, so it serves GET and HEAD alone: a page of
a stranger's, open in the operator's browser, has nothing to trick it into.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from twisted.logger import Logger
from twisted.web.http import INTERNAL_SERVER_ERROR, NOT_ALLOWED, NOT_FOUND, OK
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET

JSON: Final = b"application/json; charset=utf-8"

_ALWAYS: Final[Mapping[bytes, bytes]] = {
    b"server": b"tunnelkit",
    b"cache-control": b"no-store",
    b"content-security-policy": (
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        b"connect-src 'self'; base-uri 'none'; form-action 'none'; "
        b"frame-ancestors 'none'"
    ),
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"referrer-policy": b"no-referrer",
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
}
"""Headers of every answer.  The policy lets a page load files of this site and nothing
else; no script or style stands in the page itself, so none that got in would run."""


@dataclass(frozen=True, slots=True)
class Answer:
    """
    What a room answers.

    @ivar body: what is shown.
    @ivar kind: its content type.
    @ivar code: the HTTP status.
    @ivar headers: names and values beside those of every answer.
    """

    body: bytes
    kind: bytes = JSON
    code: int = OK
    headers: tuple[tuple[bytes, bytes], ...] = ()


def asJSON(value: object, code: int = OK) -> Answer:
    """
    Answer with a value in JSON.
    """
    body = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return Answer(body.encode() + b"\n", JSON, code)


def refusal(
    code: int, words: str, headers: tuple[tuple[bytes, bytes], ...] = ()
) -> Answer:
    """
    Answer with an error, in JSON.

    @param code: the HTTP status.
    @param words: what is wrong and what to do.
    """
    return Answer(asJSON({"error": words}).body, JSON, code, headers)


def send(answer: Answer, request: IRequest) -> int:
    """
    Write an answer and finish the request.

    @return: C{NOT_DONE_YET}: what a resource gives that has seen to it.
    """
    request.setResponseCode(answer.code)
    headers = request.responseHeaders
    for name, value in _ALWAYS.items():
        headers.setRawHeaders(name, [value])
    headers.setRawHeaders(b"content-type", [answer.kind])
    headers.setRawHeaders(b"content-length", [b"%d" % len(answer.body)])
    for name, value in answer.headers:
        headers.addRawHeader(name, value)
    request.write(answer.body)
    request.finish()
    return NOT_DONE_YET


class TurnedAway(Resource):
    """
    Where a request is turned away: the same answer to everything.
    """

    isLeaf = True

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self._answer = answer

    def render(self, request: IRequest) -> int:
        """
        Send the answer.
        """
        return send(self._answer, request)


_NOWHERE: Final = refusal(
    NOT_FOUND, "there is no room of this name here; / links to those there are"
)
_READ_ONLY: Final = refusal(
    NOT_ALLOWED, "this room serves GET and HEAD alone", ((b"allow", b"GET, HEAD"),)
)
_FAILED: Final = refusal(
    INTERNAL_SERVER_ERROR, "this room failed; the server's log has more"
)


class Late(Resource):
    """
    A room that is made when somebody comes in first, and serves all that is below it.
    """

    isLeaf = True

    def __init__(self, make: Callable[[], IResource]) -> None:
        super().__init__()
        self._make = make
        self._room: IResource | None = None

    def render(self, request: IRequest) -> bytes | int:
        """
        Have the room answer.
        """
        if self._room is None:
            self._room = self._make()
        answered: bytes | int = self._room.render(request)
        return answered


class Corridor(Resource):
    """
    A place that leads to rooms and shows nothing itself.
    """

    def getChild(self, path: bytes, request: IRequest) -> IResource:
        """
        Say that there is no such room.
        """
        return TurnedAway(_NOWHERE)

    def render(self, request: IRequest) -> int:
        """
        Say that this is no room.
        """
        return send(_NOWHERE, request)


class Room(Corridor):
    """
    A place that shows something.  Where that fails, the peer learns that it did and
    the log learns why.
    """

    _log = Logger()

    def __init__(self, show: Callable[[], Answer]) -> None:
        """
        @param show: makes the answer to a request.
        """
        super().__init__()
        self._show = show

    def render(self, request: IRequest) -> int:
        """
        Send what the room shows.
        """
        if request.method not in (b"GET", b"HEAD"):
            return send(_READ_ONLY, request)
        try:
            answer = self._show()
        except Exception:
            path = request.path.decode("ascii", "replace")
            self._log.failure("the admin room {path} failed", path=path)
            answer = _FAILED
        return send(answer, request)
