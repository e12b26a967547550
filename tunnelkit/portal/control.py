# -*- test-case-name: tests.portal.test_control -*-
"""
The near portal's HTTP interface, by which programs open and close ways at run time, as
udptun has it.

::

    GET /                                        what the rendezvous lists
    POST / {"local": ..., "destination": ...}    a way to an address
    POST /name local                             a way to a portal by its name
    GET /name                                    how it is
    DELETE /name                                 close it

A way to an address is called by that, as in C{GET /192.0.2.1:7000}.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import CannotListenError
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import (
    BAD_GATEWAY,
    BAD_REQUEST,
    CONFLICT,
    FORBIDDEN,
    INTERNAL_SERVER_ERROR,
    NOT_FOUND,
    OK,
    UNAUTHORIZED,
)
from twisted.web.iweb import IRequest
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from tunnelkit.portal.addresses.candidates import shown
from tunnelkit.portal.calling import CallFailed, Rendezvous, Unknown
from tunnelkit.portal.near import NearPortal, Route
from tunnelkit.portal.settings import Target
from tunnelkit.portal.web import TEXT, answer, bearer, body, words
from tunnelkit.wire.address import HostPort, isAddress, parseHostPort

_UNKNOWN: Final = "not found peer"
_Answering = Callable[[IRequest, str], int]


class ControlResource(Resource):
    """
    The whole of it.
    """

    isLeaf = True
    _log = Logger()

    def __init__(
        self, portal: NearPortal, rendezvous: Rendezvous | None, token: str
    ) -> None:
        """
        @param token: what a request must show; empty for nothing.
        """
        super().__init__()
        self._portal = portal
        self._rendezvous = rendezvous
        self._token = token.encode()
        self._atRoot: Mapping[bytes, _Answering] = {
            b"GET": self._list,
            b"POST": self._openAddress,
        }
        self._atName: Mapping[bytes, _Answering] = {
            b"GET": self._show,
            b"POST": self._openName,
            b"DELETE": self._close,
        }

    def render(self, request: IRequest) -> int:
        """
        Answer a request.
        """
        if self._token and not hmac.compare_digest(bearer(request) or b"", self._token):
            return words(request, UNAUTHORIZED, "send 'Authorization: Bearer TOKEN'")
        if request.getHeader(b"origin"):
            # A stranger's page, open in a browser of this machine, is no program.
            return words(request, FORBIDDEN, "web pages may not use this interface")
        parts = request.postpath or [b""]
        if len(parts) > 1:
            return words(request, NOT_FOUND, "404 page not found")
        try:
            name = parts[0].decode()
            answering = (self._atName if name else self._atRoot).get(request.method)
            return (answering or _nothing)(request, name)
        except CannotListenError as e:
            return words(request, CONFLICT, f"cannot listen there: {e.socketError}")
        except ValueError as e:
            return words(request, BAD_REQUEST, f"bad request, {e}")

    # What is answered at once.

    def _show(self, request: IRequest, name: str) -> int:
        route = self._portal.route(_target(name))
        if route is None:
            return words(request, NOT_FOUND, _UNKNOWN)
        now = self._portal.around.clock.seconds()
        return answer(request, OK, _asJSON(described(route, now)), TEXT)

    def _openAddress(self, request: IRequest, name: str) -> int:
        try:
            given = json.loads(body(request))
        except (ValueError, RecursionError):
            raise ValueError("the body is no JSON") from None
        fields = given if isinstance(given, dict) else {}
        for field in ("local", "destination"):
            if not isinstance(fields.get(field), str) or not fields[field]:
                raise ValueError(f"no {field} field")
        target = parseHostPort(fields["destination"])
        self._portal.enter(local(fields["local"]), target)
        return answer(request, OK)

    def _close(self, request: IRequest, name: str) -> int:
        route = self._portal.route(_target(name))
        for entrance in list(route.entrances) if route else ():
            self._portal.shut(entrance)
        return answer(request, OK)

    # What asks the rendezvous.

    def _list(self, request: IRequest, name: str) -> int:
        return self._later(request, self._listed(request))

    def _openName(self, request: IRequest, name: str) -> int:
        return self._later(request, self._opened(request, name, local(body(request))))

    async def _listed(self, request: IRequest) -> None:
        try:
            found = await self._needed().listed("") if self._rendezvous else None
        except CallFailed:
            found = None
        answer(request, OK, _asJSON(found), TEXT)

    async def _opened(self, request: IRequest, name: str, at: HostPort) -> None:
        try:
            found = await self._needed().find(name)
            self._portal.enter(at, name, found)
            answer(request, OK)
        except Unknown:
            words(request, NOT_FOUND, _UNKNOWN)
        except CallFailed as e:
            words(request, BAD_GATEWAY, str(e))
        except CannotListenError as e:
            words(request, CONFLICT, f"cannot listen there: {e.socketError}")

    def _needed(self) -> Rendezvous:
        if self._rendezvous is None:
            raise CallFailed("this portal has no rendezvous to ask")
        return self._rendezvous

    def _later(self, request: Any, answering: Any) -> int:
        done = Deferred.fromCoroutine(answering)
        gone = request.notifyFinish()
        # Who does not wait for the answer gets none, and nothing goes on for them.
        gone.addErrback(lambda _: done.cancel())
        done.addErrback(self._failed, request)
        return NOT_DONE_YET

    def _failed(self, failure: Failure, request: IRequest) -> None:
        if failure.check(CancelledError):
            return
        if failure.check(ValueError):
            words(request, BAD_REQUEST, f"bad request, {failure.getErrorMessage()}")
            return
        self._log.failure("a bug at the control interface", failure)
        words(request, INTERNAL_SERVER_ERROR, "this failed; the log has more")


def local(text: str) -> HostPort:
    """
    Read a local address to listen on.

    @raise ValueError: it is none.
    """
    found = parseHostPort(text.strip())
    host = "127.0.0.1" if found.host == "localhost" else found.host
    if not isAddress(host):
        raise ValueError(f"{found.host!r} is not an IP address of this machine")
    return HostPort(host, found.port)


def described(route: Route, now: float) -> dict[str, object]:
    """
    Describe a way.
    """
    way = route.way
    return {
        "listening": [entrance.at for entrance in route.entrances],
        "path": "" if way.path is None else shown(way.path),
        "relayed": way.relayed,
        "heard": None if way.heard is None else round(now - way.heard, 1),
        "flows": len(route.passage),
    }


def _target(name: str) -> Target:
    return parseHostPort(name) if ":" in name else name


def _nothing(request: IRequest, name: str) -> int:
    return answer(request, OK)


def _asJSON(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"
