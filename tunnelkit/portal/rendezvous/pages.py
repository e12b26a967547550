# -*- test-case-name: tests.portal.rendezvous.test_pages -*-
"""
The rendezvous over HTTP, as udptun's programs expect it: what they send is answered as
they know it, and what would end theirs gets 400 and a reason.

::

    GET /                    the names and where they are
    POST / name,addresses    enter a name; the answer is the list
    DELETE / name[,addresses]    remove one, where it is still there
    GET /name                take those away who wait there
    POST /name addresses     wait there
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Final

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.web.http import (
    BAD_REQUEST,
    CONFLICT,
    FORBIDDEN,
    NOT_FOUND,
    OK,
    SERVICE_UNAVAILABLE,
)
from twisted.web.iweb import IRequest
from twisted.web.resource import Resource

from tunnelkit.portal.rendezvous.rates import Rates
from tunnelkit.portal.rendezvous.registry import Foreign, Full, Registry
from tunnelkit.portal.web import JSON, TEXT, answer, bearer, body, words
from tunnelkit.wire.address import unmapped

# What udptun's own says where a name, or a line, is unknown.  Its programs may look at
# the whole body, so these words are part of the interface.
_NO_NAME: Final = "_, ok = root[peer]\n"
_NO_LINE: Final = "if arr, ok := peer[p]; ok {\n"

_TOO_MANY: Final = 429

_Answering = Callable[[IRequest, str, str], int]


class RendezvousResource(Resource):
    """
    The whole of it.
    """

    isLeaf = True

    def __init__(self, registry: Registry, rates: Rates) -> None:
        super().__init__()
        self._registry = registry
        self._rates = rates
        self._atRoot: Mapping[bytes, _Answering] = {
            b"GET": self._list,
            b"POST": self._register,
            b"DELETE": self._remove,
        }
        self._atName: Mapping[bytes, _Answering] = {
            b"GET": self._waiting,
            b"POST": self._wait,
        }

    def render(self, request: IRequest) -> int:
        """
        Answer a request.
        """
        peer = request.getClientAddress()
        host = peer.host if isinstance(peer, IPv4Address | IPv6Address) else ""
        if not self._rates.allows(unmapped(host)):
            return words(request, _TOO_MANY, "too many requests: wait a second")
        parts = request.postpath or [b""]
        if len(parts) > 1:
            return words(request, NOT_FOUND, "404 page not found")
        try:
            name = parts[0].decode()
            answering = (self._atName if name else self._atRoot).get(request.method)
            # Other methods get an empty answer, as udptun's own gives it.
            return (answering or _nothing)(request, name, body(request))
        except Foreign as e:
            foreign = CONFLICT if not parts[0] else FORBIDDEN
            return words(request, foreign, str(e))
        except Full as e:
            return words(request, SERVICE_UNAVAILABLE, str(e))
        except ValueError as e:
            return words(request, BAD_REQUEST, f"bad request: {e}")

    def _list(self, request: IRequest, name: str, body: str) -> int:
        listed = self._registry.listed(bearer(request))
        return answer(request, OK, _asJSON(listed), JSON)

    def _register(self, request: IRequest, name: str, body: str) -> int:
        parts = body.split(",")
        if len(parts) != 2:
            raise ValueError("the body is a name, one comma and an address")
        if all(parts):
            self._registry.register(parts[0], parts[1], bearer(request))
        listed = self._registry.listed(bearer(request))
        return answer(request, OK, _asJSON(listed) + b"\n", JSON)

    def _remove(self, request: IRequest, name: str, body: str) -> int:
        gone, _, where = body.partition(",")
        self._registry.remove(gone, bearer(request), where)
        return answer(request, OK)

    def _waiting(self, request: IRequest, name: str, body: str) -> int:
        known, found = self._registry.waiting(name, bearer(request))
        text = "" if known else _NO_NAME
        text += _NO_LINE if found is None else _asJSON(found).decode() + "\n"
        good = known and found is not None
        code, kind = (OK, JSON) if good else (NOT_FOUND, TEXT)
        return answer(request, code, text.encode(), kind)

    def _wait(self, request: IRequest, name: str, body: str) -> int:
        if self._registry.wait(name, body, bearer(request)):
            return answer(request, OK)
        return answer(request, NOT_FOUND, _NO_NAME.encode(), TEXT)


def _nothing(request: IRequest, name: str, body: str) -> int:
    return answer(request, OK)


def _asJSON(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
