# -*- test-case-name: tests.tunnels.test_tcp -*-
"""
TCP on the server: a public port whose visitors reach the client's local service.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Final

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IListeningPort, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from tunnelkit.control.session import STREAMS, Session
from tunnelkit.interfaces import IEnd, IJoin, IRelay, IStreamEnd, Outcome
from tunnelkit.relay.wrapping.packed import Packing
from tunnelkit.state.lease import Lease
from tunnelkit.status import TunnelStatus
from tunnelkit.tunnels import detail
from tunnelkit.tunnels.bursts import Bursts
from tunnelkit.wire.address import HostPort
from tunnelkit.wire.codes import ResetCode

WAITING: Final = 4096
"""Visitors of one tunnel that may wait for a work connection."""

# A lookup of an enumeration's member is not for nothing.
_ENDED: Final = ResetCode.ENDED


class PublicTCP:
    """
    A published TCP service.

    @cvar kind: what this kind of tunnel is called.
    @cvar space: which ports it has.
    @ivar address: its full public address.
    @ivar session: whose it is.
    """

    kind: ClassVar[str] = "tcp"
    space: ClassVar[str] = "tcp"
    _log = Logger()

    def __init__(
        self,
        session: Session,
        name: str,
        lease: Lease,
        address: str,
        relay: IRelay,
        clock: IReactorTime,
        withdrawn: Callable[[PublicTCP, Deferred[object]], None],
        compress: str = "",
    ) -> None:
        """
        @param withdrawn: told once that the tunnel takes no more visitors, and when
            its port will be free.
        @param compress: how visitors' bytes are compressed, or empty.
        """
        self.name = name
        self.address = address
        self.lease = lease
        self.session = session
        self._relay = relay
        self._withdrawn = withdrawn
        self._port: IListeningPort | None = None
        self._joins: dict[IJoin, detail.Visit | None] = {}
        self._waiting = 0
        self._visitors = self._failed = 0
        self._received = self._sent = 0
        self._start = session.pool.opening(name, self.kind, lease.port, compress)
        self._packing: Packing | None = None
        if compress:
            self._packing = Packing(compress, "the client", clock)
        self._bursts = Bursts(self._say, clock)

    def listen(self, bind: str) -> None:
        """
        Take visitors from now on.

        @param bind: the address to listen on, or empty for all interfaces.
        @raise CannotListenError: the port cannot be had.
        """
        self._port = self._relay.listen(HostPort(bind, self.lease.port), self._arrived)

    def withdraw(self) -> None:
        """
        Take no more visitors; streams under way go on.
        """
        port, self._port = self._port, None
        if port is not None:
            self._withdrawn(self, maybeDeferred(port.stopListening))
            self._leave()

    def cut(self, reason: str) -> None:
        """
        Reset all streams under way.
        """
        for join in [*self._joins]:
            join.abort(ResetCode.WITHDRAWN, reason)
        self._bursts.stop()

    @property
    def compress(self) -> str:
        """
        How visitors' bytes are compressed, or empty.
        """
        return "" if self._packing is None else self._packing.kind

    @property
    def streams(self) -> int:
        """
        How many visitors are served, or wait.
        """
        return len(self._joins) + self._waiting

    def status(self) -> TunnelStatus:
        """
        Give a picture of this moment, bytes of streams under way included.
        """
        identity, packing = self.session.identity, self._packing
        received = self._received + sum(join.forth for join in self._joins)
        sent = self._sent + sum(join.back for join in self._joins)
        return TunnelStatus(
            name=self.name,
            kind=self.kind,
            address=self.address,
            user=identity.user,
            client=identity.client,
            session=self.session.shown,
            streams=self.streams,
            visitors=self._visitors,
            failed=self._failed,
            received=received,
            sent=sent,
            withdrawn=self._port is None,
            compress=self.compress,
            receivedPacked=received if packing is None else packing.written,
            sentPacked=sent if packing is None else packing.read,
        )

    def _arrived(self, visitor: IEnd) -> None:
        session = self.session
        self._visitors += 1
        if not session.allowed():
            self._turnedAway(visitor, "the token was revoked, or has expired")
            return
        if session.streams >= STREAMS or self._waiting >= WAITING:
            self._turnedAway(visitor, "too many visitors at once")
            return
        session.streams += 1
        work = session.pool.takeNow()
        if work is not None:
            self._join(work, visitor)
            return
        self._waiting += 1
        taken = session.pool.take()
        taken.addBoth(self._served)
        taken.addCallbacks(
            self._join, self._ebTake, callbackArgs=(visitor,), errbackArgs=(visitor,)
        )

    def _served(self, result: IStreamEnd | Failure) -> IStreamEnd | Failure:
        self._waiting -= 1
        return result

    def _join(self, work: IStreamEnd, visitor: IEnd) -> None:
        try:
            number, peer = work.begin(), visitor.peer
            start = self._start(number, peer, visitor.local)
            end = work if self._packing is None else self._packing.end(work)
            join = self._relay.join(visitor, end, start)
        except Exception:
            self._log.failure("a bug at {name}", name=self.name)
            work.abort()
            self._unserved(visitor, "the server has a bug: see the log above")
            return
        visit = None
        if detail.shown:
            visit = detail.Visit(number, peer, self.name)
            detail.begins(self._log, visit)
        self._joins[join] = visit
        join.tell(self._ended)

    def _ended(self, join: IJoin, outcome: Outcome) -> None:
        self.session.streams -= 1
        visit = self._joins.pop(join)
        self._received += join.forth
        self._sent += join.back
        if visit is not None:
            detail.ends(self._log, visit, outcome.reason, join.forth, join.back)
        if outcome.code is not _ENDED:
            self._fail(outcome)
        if self._port is None:
            self._leave()

    def _fail(self, outcome: Outcome) -> None:
        self._failed += 1
        # What the visitor or the service did by itself is no trouble of the tunnel's.
        if outcome.code is not ResetCode.PEER:
            self._note(outcome.reason)

    def _ebTake(self, failure: Failure, visitor: IEnd) -> None:
        self._unserved(visitor, failure.getErrorMessage())

    def _unserved(self, visitor: IEnd, reason: str) -> None:
        self.session.streams -= 1
        self._turnedAway(visitor, reason)
        if self._port is None:
            self._leave()

    def _leave(self) -> None:
        """
        Where the last visitor of a tunnel that was withdrawn has gone nothing more
        will happen to it.
        """
        if not self.streams:
            self._bursts.stop()
            self.session.left(self)

    def _turnedAway(self, visitor: IEnd, reason: str) -> None:
        self._failed += 1
        visitor.abort()
        self._note(reason)

    def _note(self, reason: str) -> None:
        # The end of a session is said once, not once for each of its tunnels.
        if not self.session.over:
            self._bursts.note(reason)

    def _say(self, sentence: str) -> None:
        if self.session.mention():
            self._log.info(
                "visitors of {name} are reset: {sentence}",
                name=self.name,
                sentence=sentence,
            )
