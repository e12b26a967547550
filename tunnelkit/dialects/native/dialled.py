# -*- test-case-name: tests.dialects.native.test_dialled -*-
"""
Dialled: what the server dials through clients of our own protocol, as far as their
C{--allow} goes.

A client is called by its user's name and its own, which is L{ClientName}: no id of
another dialect, which is text, can ever be taken for one.  It says only that it has
not dialled.  So a connection is taken for open at its first bytes, or when no refusal
came for a moment.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from tunnelkit.control.session import STREAMS, Session
from tunnelkit.interfaces import IEnd, IRelay, IWorkEnd
from tunnelkit.relay.streams.stream import Attachable, Receiver, Stream
from tunnelkit.tunnels.tcp import WAITING
from tunnelkit.wire.codes import ResetCode
from tunnelkit.wire.native.codec import said
from tunnelkit.wire.native.messages import DIAL, Start

if TYPE_CHECKING:
    from tunnelkit.control.sessions import Sessions


@dataclass(frozen=True, slots=True, order=True)
class ClientName:
    """
    A client of our own protocol.

    @ivar user: whose token it logged in with.
    @ivar client: what it calls itself.
    """

    user: str
    client: str

    def __str__(self) -> str:
        return f"{self.user}/{self.client}"


@dataclass(frozen=True, slots=True)
class NativeClient:
    """
    One of its sessions.

    @ivar key: by which it is dialled.
    @ivar session: the session's id.
    """

    key: ClientName
    session: str


class Listener(Protocol):
    """
    Who is told of such sessions.
    """

    def added(self, client: NativeClient) -> None:
        """
        A client has come.
        """

    def removed(self, client: NativeClient) -> None:
        """
        One of its sessions is over.
        """


class Natives:
    """
    The clients of our own protocol.

    @ivar listener: told of those that come and go.
    """

    def __init__(self, sessions: Sessions, relay: IRelay, clock: IReactorTime) -> None:
        self.relay = relay
        self.clock = clock
        self.listener: Listener | None = None
        self._sessions: dict[ClientName, dict[Session, NativeClient]] = {}
        for session in sessions:
            self.came(session)
        sessions.watchers.append(self)

    def names(self) -> list[ClientName]:
        """
        Give who is there.
        """
        return [*self._sessions]

    def clients(self) -> list[NativeClient]:
        """
        Give their sessions.
        """
        return [one for some in self._sessions.values() for one in some.values()]

    def find(self, name: ClientName) -> Session | None:
        """
        Give a client's newest session: an older one may be dead, and nobody knows yet.
        """
        found = self._sessions.get(name)
        return None if not found else next(reversed(found))

    # What sessions say.

    def came(self, session: Session) -> None:
        """
        A client has logged in.
        """
        if session.works is None:
            return  # it speaks another dialect
        client = NativeClient(_nameOf(session), session.id)
        self._sessions.setdefault(client.key, {})[session] = client
        if self.listener is not None:
            self.listener.added(client)

    def went(self, session: Session, reason: str) -> None:
        """
        Its session is over.
        """
        name = _nameOf(session)
        found = self._sessions.get(name, {})
        client = found.pop(session, None)
        if not found:
            self._sessions.pop(name, None)
        if client is not None and self.listener is not None:
            self.listener.removed(client)


@implementer(IEnd)
class Asked:
    """
    A stream that a client was asked for, between its work connection and a join.  What
    the client says before the join is kept, which is no more than it says at once.

    @ivar peer: what it was asked to dial.
    @ivar failure: why that failed; empty where it did not.
    @ivar stirred: told when the client has said something.
    """

    local = ""

    def __init__(self, session: Session, work: IWorkEnd, target: str) -> None:
        self.count = 0
        self.peer = target
        self.failure = ""
        self.stirred: Callable[[], None] = _nobody
        self._session = session
        self._early: deque[bytes] = deque()
        self._ended = self._full = self._over = False
        self._receiver: Receiver | None = None
        session.streams += 1
        start = Start(work.begin(), "", DIAL, "", target)
        self._stream = cast(Attachable, work).attach(self)
        self._stream.announce(said(start))
        self._stream.resumeReading()

    # What a join, and who waits, does.

    def attach(self, receiver: Receiver) -> Stream:
        """
        Tell C{receiver} what the client says.
        """
        self._receiver = receiver
        if self._full:
            receiver.blocked()
        return self

    @property
    def releaseEnds(self) -> bool:
        """
        Whether to release it is enough, which is for the work connection to say.
        """
        return self._stream.releaseEnds

    def announce(self, opening: bytes) -> None:
        """
        Write bytes before the stream's own.
        """
        self._stream.write(opening)

    def write(self, data: bytes) -> None:
        """
        Send bytes.
        """
        self._stream.write(data)

    def finish(self) -> bool:
        """
        End this direction.
        """
        return self._stream.finish()

    def reset(self, code: ResetCode, reason: str) -> None:
        """
        Fail it towards the client.
        """
        self._stream.reset(code, reason)

    def release(self) -> None:
        """
        It is over.
        """
        self._receiver = None
        if not self._over:
            self._over = True
            self._session.streams -= 1
            self._stream.release()

    def abort(self) -> None:
        """
        Fail it, in place of joining it.
        """
        self.giveUp(ResetCode.PEER, "aborted")

    def giveUp(self, code: ResetCode, reason: str) -> None:
        """
        The same, with a reason for the client.
        """
        self.reset(code, reason)
        self.release()

    def pauseReading(self) -> None:
        """
        Take no more.
        """
        self._stream.pauseReading()

    def resumeReading(self) -> None:
        """
        Take what the client says, that first which came before.
        """
        receiver = self._receiver
        while self._early and receiver is not None:
            receiver.received(self._early.popleft())
        if receiver is None:
            return
        if self.failure:
            receiver.failed(ResetCode.PEER, self.failure)
        elif self._ended:
            self._ended = False
            receiver.finished()
        else:
            self._stream.resumeReading()

    def unsent(self) -> int:
        """
        What the work connection knows of it.
        """
        return self._stream.unsent()

    # What the work connection says.

    def received(self, data: bytes) -> None:
        """
        Bytes came.
        """
        self.count += len(data)
        if self._receiver is not None:
            self._receiver.received(data)
        else:
            self._early.append(data)
            self._stream.pauseReading()
            self.stirred()

    def finished(self) -> None:
        """
        No more will come.
        """
        if self._receiver is not None:
            self._receiver.finished()
        else:
            self._ended = True
            self.stirred()

    def left(self) -> None:
        """
        Never said by a work connection.
        """

    def delivered(self) -> None:
        """
        Pass that on.
        """
        if self._receiver is not None:
            self._receiver.delivered()

    def failed(self, code: ResetCode, reason: str) -> None:
        """
        The client has not dialled, or the connection is lost.
        """
        self.failure = reason or code.name.lower()
        if self._receiver is not None:
            self._receiver.failed(code, reason)
        else:
            self.stirred()

    def blocked(self) -> None:
        """
        It takes no more.
        """
        self._full = True
        if self._receiver is not None:
            self._receiver.blocked()

    def ready(self) -> None:
        """
        It takes more.
        """
        self._full = False
        if self._receiver is not None:
            self._receiver.ready()


def isBusy(session: Session) -> bool:
    """
    Tell whether a client has all the streams that it may have.
    """
    assert session.works is not None, "no client of ours"
    return session.streams >= STREAMS or session.works.counts[2] >= WAITING


def _nameOf(session: Session) -> ClientName:
    return ClientName(session.identity.user, session.identity.client)


def _nobody() -> None:
    """
    Do nothing.
    """
