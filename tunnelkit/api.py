# -*- test-case-name: tests.test_api -*-
"""
What a program needs that has tunnels of its own: a server in the program, endpoints to
listen and to connect through one, and what becomes of them.

docs/embedding.rst has an example for each name.  Nothing here imports a reactor.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from twisted.internet.interfaces import IProtocolFactory, IReactorTime

from tunnelkit.control.session import Session
from tunnelkit.dialects.native.dialled import ClientName
from tunnelkit.dialects.remotedialer.dialling import NotDialled
from tunnelkit.endpoints.dialling import (
    PATIENCE,
    NotReached,
    TunnelClientEndpoint,
)
from tunnelkit.endpoints.listening import (
    Event,
    Lost,
    NotPublished,
    Opened,
    Refused,
    TunnelServerEndpoint,
)
from tunnelkit.endpoints.login import login
from tunnelkit.endpoints.program import here
from tunnelkit.settings import ClientSettings, ServerSettings
from tunnelkit.status import IStatusSource
from tunnelkit.tunnels.spec import TunnelSpec, isTunnelName
from tunnelkit.wire.ports import PortSet
from tunnelkit.wire.token import Token, isUserName

if TYPE_CHECKING:
    from tunnelkit.server import Server

__all__ = [
    "Came",
    "ClientName",
    "Event",
    "Lost",
    "NotDialled",
    "NotPublished",
    "NotReached",
    "Opened",
    "Refused",
    "SessionEvent",
    "Token",
    "Went",
    "dialling",
    "listening",
    "login",
    "makeServer",
]

_PORTS: Final = "1024-65535"


@dataclass(frozen=True, slots=True)
class Came:
    """
    A client has logged in.

    @ivar user: whose token it was.
    @ivar client: what it calls itself.
    @ivar peer: its address.
    """

    user: str
    client: str
    peer: str


@dataclass(frozen=True, slots=True)
class Went:
    """
    A client's session is over.

    @ivar user: whose token it was.
    @ivar client: what it calls itself.
    @ivar peer: its address.
    @ivar reason: why it is over, in words; the client may have written them.
    """

    user: str
    client: str
    peer: str
    reason: str


SessionEvent: TypeAlias = Came | Went
"""What becomes of a server's clients."""


def makeServer(
    reactor: Any,
    state: str | PathLike[str],
    listen: Iterable[str] = ("tcp:8910",),
    *,
    ports: str = _PORTS,
    bind: str = "",
    hostname: str = "",
    admin: str | None = None,
    insecure: bool = False,
    token: Token | None = None,
    watch: Callable[[SessionEvent], object] | None = None,
) -> Server:
    """
    Make a server of tunnels, which is a service of Twisted's: start it, or give it a
    parent.  Its C{dialers()} dial through its clients.

    @param state: its folder, which is made at the first start, with a certificate and,
        where C{token} is not given, the token C{default.token} for a client.
    @param listen: where clients connect: strports descriptions.
    @param ports: which public ports clients may have.
    @param bind: the address of those; empty for all.
    @param hostname: the host in public addresses; empty for the one that a client
        dialled.
    @param admin: where the admin rooms are: a strports description, or None.
    @param insecure: whether plain TCP is accepted beside TLS.
    @param token: of the user C{default}, in place of the one in the folder.
    @param watch: told of clients that come and go.
    @raise ValueError: C{ports} are none.
    """
    # Who only listens or dials through tunnels has no use for it.
    from tunnelkit.server import Server

    settings = ServerSettings(
        ports=(listen,) if isinstance(listen, str) else tuple(listen),
        state=Path(state),
        allowed=PortSet.parse(ports),
        bind=bind,
        hostname=hostname,
        admin=admin,
        insecure=insecure,
        token=token,
    )
    server = Server(settings, reactor, os.urandom, _rooms, http=lambda: _http(reactor))
    if watch is not None:
        server.watchers.append(_Watcher(watch))
    return server


def listening(
    reactor: Any,
    login: ClientSettings,
    name: str,
    port: int = 0,
    *,
    kind: str = "tcp",
    visitors: Iterable[str] = (),
    wait: float | None = None,
    watch: Callable[[Event], object] = lambda event: None,
) -> TunnelServerEndpoint:
    """
    Give an endpoint that listens at a server.

    @param login: which server, and as who: L{login<tunnelkit.endpoints.login.login>}.
    @param name: the tunnel's name, for which the server keeps its port.
    @param port: the public port; 0 has the server pick one.
    @param kind: C{tcp}; or C{private}, which other clients dial by its name.
    @param visitors: with C{private}: the users who may dial it; none for one's own.
    @param wait: seconds after which C{listen} fails while the tunnel is not open; None
        for never.
    @param watch: told of what becomes of the tunnel.
    @raise ValueError: there can be no such tunnel; the text says why.
    """
    if kind not in ("tcp", "private"):
        raise ValueError(f"{kind!r}: a program can be behind tcp or private")
    users = _users(visitors)
    if kind == "private" and port:
        raise ValueError("port goes with kind tcp: a private tunnel has only a name")
    if kind == "tcp" and users:
        raise ValueError("visitors go with kind private: anybody may visit a port")
    spec = TunnelSpec(kind=kind, local=here(None), port=port, name=name, visitors=users)
    return TunnelServerEndpoint(reactor, login, spec, wait, watch)


def dialling(
    reactor: Any, login: ClientSettings, name: str, *, timeout: float = PATIENCE
) -> TunnelClientEndpoint:
    """
    Give an endpoint that connects to a private tunnel of another client.

    @param login: which server, and as who: L{login<tunnelkit.endpoints.login.login>}.
    @param name: the tunnel's name.
    @param timeout: seconds to get through, the login included.
    @raise ValueError: no tunnel can be called that.
    """
    if not isTunnelName(name):
        raise ValueError(f"{name!r}: no tunnel can be called that")
    return TunnelClientEndpoint(reactor, login, name, timeout)


def _users(names: Iterable[str]) -> tuple[str, ...]:
    # A text would be taken for its letters, each of which may be a user.
    users = (names,) if isinstance(names, str) else tuple(names)
    for user in users:
        if not isUserName(user):
            raise ValueError(f"visitors: {user!r} is no user's name")
    return users


class _Watcher:
    """
    Makes events of what happens to sessions.
    """

    def __init__(self, watch: Callable[[SessionEvent], object]) -> None:
        self._watch = watch

    def came(self, session: Session) -> None:
        who = session.identity
        self._watch(Came(who.user, who.client, who.peer))

    def went(self, session: Session, reason: str) -> None:
        who = session.identity
        self._watch(Went(who.user, who.client, who.peer, reason))


def _rooms(source: IStatusSource, token: str, clock: IReactorTime) -> IProtocolFactory:
    # Only where there are admin rooms.
    from tunnelkit.admin.rooms import makeRoot
    from tunnelkit.admin.site import makeSite

    root = makeRoot(source, token)
    return makeSite(root, clock, streams=root.streams)


def _http(reactor: Any) -> Any:
    # Only where something asks for it: this import takes a while.
    from treq.client import HTTPClient
    from twisted.web.client import Agent

    return HTTPClient(Agent(reactor, connectTimeout=10))
