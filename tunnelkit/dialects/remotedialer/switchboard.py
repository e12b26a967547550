# -*- test-case-name: tests.dialects.remotedialer.test_switchboard -*-
"""
Switchboard: which clients are there, and how to dial through them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol, TypeAlias

from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.logger import Logger
from zope.interface import implementer

from tunnelkit.dialects.native.dialled import ClientName, NativeClient, Natives
from tunnelkit.dialects.native.dialling import NativeEndpoint
from tunnelkit.dialects.remotedialer.dialling import (
    DialledEndpoint,
    NotDialled,
    dialledBy,
)
from tunnelkit.dialects.remotedialer.ends import LineEnd
from tunnelkit.dialects.remotedialer.line import Line
from tunnelkit.status import IDialers
from tunnelkit.wire.native.frames import WireError
from tunnelkit.wire.remotedialer.messages import AddClient, RemoveClient

MOST_REMOTE: Final = 65536
"""Sessions of clients that one session of a peer's may announce."""
MOST_OF_ONE: Final = 64
"""Sessions of one of them at most."""


Key: TypeAlias = str | ClientName
"""How a client is called: remotedialer's by an id, which is text, and those of our own
protocol by a name that is none, so that neither can be taken for the other."""


class Listener(Protocol):
    """
    Who is told of sessions that come and go.
    """

    def added(self, line: Line | NativeClient) -> None:
        """
        A client has come; it may have others of its sessions here.
        """

    def removed(self, line: Line | NativeClient) -> None:
        """
        One of its sessions is over.
        """


@implementer(IDialers)
class Switchboard:
    """
    The clients of a server, by the key that each is dialled by.
    """

    _log = Logger()

    def __init__(self, natives: Natives | None = None) -> None:
        """
        @param natives: the clients of our own protocol.
        """
        self._natives = natives
        if natives is not None:
            natives.listener = self
        self._lines: dict[str, list[Line]] = {}
        self._listeners: list[Listener] = []
        # What peers announced: by the client's key, the peer of each of its sessions.
        self._remotes: dict[str, dict[tuple[Line, int], None]] = {}
        self._counts: dict[Line, int] = {}  # how many each peer has there

    # Who is there.

    def add(self, line: Line) -> None:
        """
        A client is there, until its line ends.
        """
        self._lines.setdefault(line.key, []).append(line)
        line.onEnd(lambda reason: self._gone(line))
        self._tell(lambda listener: listener.added(line))

    def hasSession(self, key: Key) -> bool:
        """
        Tell whether a client can be dialled, here or through a peer.
        """
        if isinstance(key, ClientName):
            return self._natives is not None and self._natives.find(key) is not None
        return key in self._lines or key in self._remotes

    def listClients(self) -> list[Key]:
        """
        Give the keys of the clients that are here.
        """
        natives = [] if self._natives is None else self._natives.names()
        return [*self._lines, *natives]

    def sessions(self, key: str = "") -> list[Line]:
        """
        Give the sessions of a client, the newest last; of all, where no key is given.
        """
        if key:
            return [*self._lines.get(key, ())]
        return [line for lines in self._lines.values() for line in lines]

    def listen(self, listener: Listener) -> None:
        """
        Have somebody told of sessions that come and go, and now of those that are here.
        """
        self._listeners.append(listener)
        natives = [] if self._natives is None else self._natives.clients()
        for line in self.sessions():
            listener.added(line)
        for client in natives:
            listener.added(client)

    def forget(self, listener: Listener) -> None:
        """
        Tell somebody no more.
        """
        if listener in self._listeners:
            self._listeners.remove(listener)

    # What the clients of our own protocol do.

    def added(self, client: NativeClient) -> None:
        """
        One has come.
        """
        self._tell(lambda listener: listener.added(client))

    def removed(self, client: NativeClient) -> None:
        """
        One has gone.
        """
        self._tell(lambda listener: listener.removed(client))

    # Dialling.

    def dialer(
        self, key: Key, target: str, grace: float | None = None
    ) -> IStreamClientEndpoint:
        """
        Give the endpoint that connects through a client.

        @param target: what it is to dial: C{tcp/HOST:PORT}, or C{unix/PATH}.
        @param grace: how long to wait for a refusal before a connection is taken for
            open, in seconds; None for what suits the client's distance.
        """
        if isinstance(key, ClientName):
            return NativeEndpoint(self._natives, key, target, grace)
        return DialledEndpoint(lambda: self.dial(key, target), grace)

    def dial(self, key: str, target: str) -> LineEnd:
        """
        Dial through a client, here or at a peer.

        @return: the connection, of which it is not known yet whether it is open.
        @raise NotDialled: that cannot be tried.
        """
        if key not in self._lines and key in self._remotes:
            line, _ = next(reversed(self._remotes[key]))
            return dialledBy(line, target, key)
        return self.dialHere(key, target)

    def dialHere(self, key: str, target: str) -> LineEnd:
        """
        Dial through a client that is here, by the newest of its sessions: an older one
        may be dead, and nobody knows yet.

        @raise NotDialled: that cannot be tried.
        """
        lines = self._lines.get(key)
        if not lines:
            raise NotDialled("no client with this key is connected")
        return dialledBy(lines[-1], target)

    # Peers.

    def announced(self, peer: Line, message: AddClient | RemoveClient) -> None:
        """
        A peer has a client, or has it no more.

        @raise WireError: it has too many.
        """
        key, session = message.key, (peer, message.session)
        self._withdraw(key, session)
        if isinstance(message, RemoveClient):
            return
        count = self._counts.get(peer, 0)
        if count >= MOST_REMOTE:
            raise WireError("too many clients at a peer")
        self._counts[peer] = count + 1
        sessions = self._remotes.setdefault(key, {})
        sessions[session] = None
        if len(sessions) > MOST_OF_ONE:
            self._withdraw(key, next(iter(sessions)))

    def left(self, peer: Line) -> None:
        """
        A peer is gone, and its clients with it.
        """
        for key, sessions in [*self._remotes.items()]:
            for session in [*sessions]:
                if session[0] is peer:
                    self._withdraw(key, session)
        self._counts.pop(peer, None)

    def _withdraw(self, key: str, session: tuple[Line, int]) -> None:
        sessions = self._remotes.get(key, {})
        if session in sessions:
            del sessions[session]
            self._counts[session[0]] -= 1
            if not sessions:
                del self._remotes[key]

    def _gone(self, line: Line) -> None:
        lines = self._lines[line.key]
        lines.remove(line)
        if not lines:
            del self._lines[line.key]
        self._tell(lambda listener: listener.removed(line))

    def _tell(self, tell: Callable[[Listener], None]) -> None:
        for listener in [*self._listeners]:
            try:
                tell(listener)
            except Exception:
                self._log.failure("a bug at who listens for clients")
