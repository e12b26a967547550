# -*- test-case-name: tests.control.test_sessions -*-
"""
Sessions: who is logged in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from tunnelkit.carrier.contract import DatagramFleet, StreamCarrier
from tunnelkit.control.chatter import Chatter
from tunnelkit.control.names import legible
from tunnelkit.control.session import Channel, Identity, Refusal, Session
from tunnelkit.wire.codes import DISPLACED, DRAINING, FULL, REVOKED

MOST: Final = 10_000
"""Sessions at most."""


class Watcher(Protocol):
    """
    Who is told of sessions that come and go.
    """

    def came(self, session: Session) -> None:
        """
        A client has logged in.
        """

    def went(self, session: Session, reason: str) -> None:
        """
        Its session is over.

        @param reason: why, in words; the client may have written them.
        """


class Sessions:
    """
    The sessions of a server, found by id or by user.

    @ivar watchers: who else is told of them.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        now: Callable[[], float],
        random: Callable[[int], bytes],
        allowed: Callable[[str], bool],
        most: int = MOST,
        watchers: Sequence[Watcher] = (),
    ) -> None:
        """
        @param now: gives the time, seconds since 1970.
        @param random: gives so many random bytes.
        @param allowed: says whether a user may do anything at this moment.
        @param watchers: who outlives these sessions, and is told of them; there may be
            more of them later.
        """
        self._clock = clock
        self._now = now
        self._random = random
        self._allowed = allowed
        self._most = most
        self.watchers: list[Watcher] = []
        self._lasting = watchers
        self._closed = False
        self._chatter = Chatter(self._sum, clock)
        self._byId: dict[str, Session] = {}
        self._byInstance: dict[tuple[str, str], Session] = {}

    def __iter__(self) -> Iterator[Session]:
        return iter([*self._byId.values()])

    def __len__(self) -> int:
        return len(self._byId)

    def find(self, id: str) -> Session | None:
        """
        Give the session with an id.
        """
        return self._byId.get(id)

    def admit(
        self,
        identity: Identity,
        channel: Channel,
        carrier: StreamCarrier | None = None,
        fleet: DatagramFleet | None = None,
    ) -> Session:
        """
        Make a session of a good login.  One that the same running client had before
        is over: it has come back.

        @param carrier: how streams get to the client; None for work connections.
        @param fleet: how datagrams do; None for some of these.
        @raise Refusal: there are too many, or the server is stopping.
        """
        if self._closed:
            raise Refusal(DRAINING, "the server is stopping", retry=True)
        key = identity.user, identity.instance
        before = self._byInstance.get(key)
        if before is not None:
            before.end(DISPLACED, "this client has logged in anew")
        if len(self._byId) >= self._most:
            raise Refusal(FULL, "the server has too many clients", retry=True)
        session = Session(
            identity,
            channel,
            self._clock,
            self._now(),
            self._random,
            self._allowed,
            self._ended,
            self._chatter.room,
            carrier,
            fleet,
        )
        self._byId[session.id] = session
        self._byInstance[key] = session
        self._tell(lambda watcher: watcher.came(session))
        if session.mention():
            self._log.info(
                "{client} of {user} logged in from {peer}, session {session}",
                client=legible(identity.client),
                user=identity.user,
                peer=identity.peer,
                session=session.shown,
            )
        return session

    def close(self) -> None:
        """
        Admit nobody any more.
        """
        self._closed = True

    def stop(self) -> None:
        """
        Say what was left out of the log; called when all sessions have ended.
        """
        self._chatter.stop()

    def revoke(self, user: str) -> None:
        """
        End all sessions of a user.
        """
        for session in self:
            if session.identity.user == user:
                session.end(REVOKED, "the token was revoked", retry=False)

    def sweep(self) -> None:
        """
        Let each session put its work connections in order; called every few seconds.
        """
        for session in self:
            session.pool.sweep()

    def _ended(self, session: Session, reason: str) -> None:
        del self._byId[session.id]
        del self._byInstance[session.identity.user, session.identity.instance]
        self._tell(lambda watcher: watcher.went(session, reason))
        if session.mention():
            self._log.info(
                "session {session} has ended: {reason}",
                session=session.shown,
                reason=legible(reason),
            )

    def _tell(self, tell: Callable[[Watcher], None]) -> None:
        for watcher in [*self.watchers, *self._lasting]:
            try:
                tell(watcher)
            except Exception:
                self._log.failure("a bug at who watches sessions")

    def _sum(self, user: str, count: int) -> None:
        self._log.info(
            "{count} more lines about user {user} are left out", user=user, count=count
        )
