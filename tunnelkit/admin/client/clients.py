# -*- test-case-name: tests.admin.client.test_clients -*-
"""
The room C{/client/ID/SCHEME/HOST/PATH}: web servers behind a client, as if they were
here.

Who has the admin token may have the client dial whatever that allows.  A browser that
was given the token sends it by itself, so what changes things takes a program, which
says C{Bearer}; and no other site's page gets an answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from twisted.internet.endpoints import wrapClientTLS
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.ssl import optionsForClientTLS
from twisted.web.http import BAD_REQUEST, FORBIDDEN, NOT_IMPLEMENTED
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET

from tunnelkit.admin.client.passing import Passing, asked
from tunnelkit.admin.client.streaming import Body
from tunnelkit.admin.client.upstream import Upstream
from tunnelkit.admin.room import Answer, refusal
from tunnelkit.status import IDialers, IStatusSource
from tunnelkit.wire.address import HostPort, parseHostPort

_PIECE: Final = 65536
_PORTS: Final = {"http": 80, "https": 443}
_SAFE: Final = (b"GET", b"HEAD")
_OURS: Final = (None, b"none", b"same-origin")
_FOREIGN: Final = refusal(
    FORBIDDEN,
    "a page of another site asked for this: only a program, which sends 'Authorization:"
    " Bearer TOKEN', or a person may",
)
_BEARER: Final = refusal(
    FORBIDDEN,
    "what may change something takes 'Authorization: Bearer TOKEN', which no browser"
    " sends by itself",
)


_NO_TUNNEL: Final = refusal(
    NOT_IMPLEMENTED, "only requests are passed on here, and CONNECT asks for a tunnel"
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """
    What is asked for.

    @ivar key: what the client is dialled by.
    @ivar secure: whether it is HTTPS.
    @ivar server: which server, as the client sees it.
    @ivar host: the same for the header Host.
    @ivar target: path and query there.
    """

    key: str
    secure: bool
    server: HostPort
    host: bytes
    target: bytes


def parseWanted(uri: bytes) -> Wanted:
    """
    Read C{/client/ID/SCHEME/HOST[:PORT][/PATH]}.

    @raise ValueError: it is none; the text is for the user.
    """
    path, mark, query = uri.partition(b"?")
    way = path.split(b"/", 5)
    if len(way) < 5 or not way[2] or not way[4]:
        raise ValueError("write /client/ID/http/HOST:PORT/PATH, or https for http")
    key, scheme, host = (unquote_to_bytes(each).decode("utf-8") for each in way[2:5])
    if scheme not in _PORTS:
        raise ValueError(
            f"there is no scheme {scheme[:20]!r} here, only http and https"
        )
    server = parseHostPort(host, _PORTS[scheme])
    target = b"/" + (way[5] if len(way) > 5 else b"") + mark + query
    return Wanted(key, scheme == "https", server, host.encode(), target)


class ClientsRoom(Resource):
    """
    The room.
    """

    isLeaf = True

    def __init__(self, dialers: IDialers) -> None:
        super().__init__()
        self._dialers = dialers

    def render(self, request: IRequest) -> int:
        """
        Pass a request on.
        """
        given: Any = request
        streamed = given if hasattr(given, "take") else _Gathered(given)
        passing = Passing(streamed, given.channel.site.reactor)
        refused = _flaw(request)
        if refused is not None:
            passing.refuse(refused)
            return NOT_DONE_YET
        try:
            wanted = parseWanted(given.uri)
            upstream = _upstream(passing, given, streamed.length, wanted)
            endpoint = self._endpoint(wanted)
        except ValueError as e:
            passing.refuse(refusal(BAD_REQUEST, str(e)))
        else:
            passing.begin(endpoint, upstream)
        return NOT_DONE_YET

    def _endpoint(self, wanted: Wanted) -> IStreamClientEndpoint:
        # An answer is waited for anyway: no need to wait for a refusal before.
        dialled = self._dialers.dialer(wanted.key, f"tcp/{wanted.server}", 0.0)
        if not wanted.secure:
            return dialled
        host = wanted.server.host
        try:
            tls = optionsForClientTLS(host)
        except ValueError as e:
            raise ValueError(f"no certificate can be for {host!r}: {e}") from None
        endpoint: IStreamClientEndpoint = wrapClientTLS(tls, dialled)
        return endpoint


def _upstream(
    passing: Passing, request: Any, length: int | None, wanted: Wanted
) -> Upstream:
    found = request.requestHeaders.getAllRawHeaders()
    headers = [(name, value) for name, values in found for value in values]
    return Upstream(
        passing,
        request.channel.site.reactor,
        request.method,
        wanted.target,
        asked(headers, wanted.host, length),
    )


def _flaw(request: IRequest) -> Answer | None:
    if request.method == b"CONNECT":
        return _NO_TUNNEL
    said = request.getHeader(b"authorization") or b""
    if said.lower().startswith(b"bearer "):
        return None
    if request.method not in _SAFE:
        return _BEARER
    return None if request.getHeader(b"sec-fetch-site") in _OURS else _FOREIGN


class _Gathered:
    """
    A request on a site that gathers bodies, as one that streams them.

    @ivar length: of the body.
    """

    def __init__(self, request: Any) -> None:
        self._request = request
        content = request.content
        content.seek(0, 2)
        self.length: int | None = content.tell()
        content.seek(0)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._request, name)

    def take(self, body: Body) -> None:
        """
        Give the body.
        """
        while piece := self._request.content.read(_PIECE):
            body.came(piece)
        body.ended()

    def hold(self) -> None:
        """
        Do nothing: all of it is here.
        """

    def goOn(self) -> None:
        """
        Do nothing.
        """

    def abort(self) -> None:
        """
        Cut the connection, so that no answer looks whole that is not.
        """
        self._request.transport.abortConnection()


def makeRoom(source: IStatusSource) -> IResource:
    """
    Make the room.
    """
    return ClientsRoom(source.dialers())
