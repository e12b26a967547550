# -*- test-case-name: tests.tunnels.private.test_published -*-
"""
Private on the server: a tunnel without a public port, whose visitors are other clients
of this server.

Both of its ends are work connections: one of the client that publishes it, and one of
the client that dials it.  Who may is looked at each time.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import ClassVar, Final, cast

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from tunnelkit.carrier.pool import WorkPool
from tunnelkit.control.names import legible
from tunnelkit.control.session import Refusal, Session
from tunnelkit.interfaces import IEnd, IFlowPort, IStreamEnd, IWorkEnd
from tunnelkit.relay.flows.flow import Flow
from tunnelkit.tunnels.private.flows import FarFlow, Visiting
from tunnelkit.tunnels.tcp import WAITING, PublicTCP
from tunnelkit.tunnels.udp import PublicUDP
from tunnelkit.wire import codes
from tunnelkit.wire.native.codec import said
from tunnelkit.wire.native.messages import Dial, Open, Start
from tunnelkit.wire.token import isUserName

_log: Final = Logger()


def called(
    holder: Session | None,
    session: Session,
    request: Dial,
    admitted: Collection[str] | None = None,
) -> Deferred[None]:
    """
    Bring a client to a private tunnel.

    @param holder: the session that publishes it, or None.
    @param admitted: the users who the operator lets visit it; None where that is for
        the client to say that publishes it.
    @return: fires when the client is there, and fails with L{Refusal}.
    @raise Refusal: it may not be there.
    """
    tunnel = None if holder is None else holder.tunnels.get(request.tunnel)
    kinds = PrivateTCP, PrivateUDP
    if not isinstance(tunnel, kinds) or tunnel.kind != request.kind:
        raise _denied(session, request)
    if not tunnel.admits(session.identity.user, admitted):
        if session.mention():
            _log.info(
                "{client} of {user} is refused at {tunnel}: it is none of its visitors",
                client=legible(session.identity.client),
                user=session.identity.user,
                tunnel=request.tunnel,
            )
        raise _denied(session, request)
    if tunnel.sealed != request.sealed:
        raise _unlike(tunnel.sealed, request.tunnel)
    return tunnel.call(session, request)


class Private:
    """
    What private tunnels of all kinds have.

    @ivar session: whose it is.
    @ivar sealed: whether the two clients encrypt between them.
    """

    session: Session
    sealed = False
    _chosen: frozenset[str] = frozenset()

    def restrict(self, request: Open) -> None:
        """
        Note who may visit it.

        @raise Refusal: no user is called so.
        """
        for user in request.visitors:
            if not isUserName(user):
                raise Refusal(
                    codes.NAME,
                    f"{legible(user, 64)!r} in visitors= is no user's name: users are"
                    " told from each other by what stands in the middle of their token",
                )
        self._chosen = frozenset(request.visitors)
        self.sealed = request.sealed

    def admits(self, user: str, admitted: Collection[str] | None = None) -> bool:
        """
        Say whether a user may visit it.

        @param admitted: who may by the operator's word, None where there is none.
        """
        if admitted is not None and user not in admitted:
            return False
        if self._chosen:
            return user in self._chosen
        return admitted is not None or user == self.session.identity.user


class PrivateTCP(Private, PublicTCP):
    """
    A service that other clients can dial.
    """

    kind: ClassVar[str] = "private"
    space: ClassVar[str] = "private"

    def listen(self, bind: str) -> None:
        """
        Take visitors from now on; there is no port for them.
        """
        self._port = cast(IListeningPort, _NoPort())

    def call(self, session: Session, request: Dial) -> Deferred[None]:
        """
        Bring a client here.

        @return: fires when it is, and fails with L{Refusal}.
        @raise Refusal: too many wait.
        """
        caller = Caller(session, request)
        caller.call(self)
        return caller.answered

    def arrived(self, caller: Caller) -> None:
        """
        A visitor is there.
        """
        if self._port is None:
            caller.refuse(codes.WITHDRAWN, "the tunnel was withdrawn")
        else:
            self._arrived(caller)

    def _join(self, work: IStreamEnd, visitor: IEnd) -> None:
        own = cast(Caller, visitor).begin(self.kind)
        if own is None:
            self._back(work)
            self._unserved(visitor, "the client that dialled has gone")
        else:
            super()._join(work, own)

    def _back(self, work: IStreamEnd) -> None:
        cast(WorkPool, self.session.pool).idle(cast(IWorkEnd, work))

    def _turnedAway(self, visitor: IEnd, reason: str) -> None:
        if isinstance(visitor, Caller):
            visitor.refuse(codes.BUSY, reason)
        super()._turnedAway(visitor, reason)


@implementer(IEnd)
class Caller:
    """
    A client that dials a private tunnel, until it is joined.

    @ivar answered: fires when it is there, and fails with L{Refusal}.
    """

    local = ""

    def __init__(self, session: Session, request: Dial) -> None:
        self.answered: Deferred[None] = Deferred()
        self.peer = session.identity.peer
        self._request = request
        assert session.works is not None, "a client without work connections"
        self._works = session.works
        self._work: IWorkEnd | None = None

    def call(self, tunnel: PrivateTCP) -> None:
        """
        Get a work connection, first of the client that dials: one that brings none
        keeps nobody else waiting.

        @raise Refusal: too many wait for one already.
        """
        if self._works.counts[2] >= WAITING:
            raise Refusal(codes.BUSY, "too many visits at once", retry=True)
        self._works.take().addCallbacks(
            self._taken, self._ebTake, callbackArgs=(tunnel,)
        )

    def begin(self, kind: str) -> IWorkEnd | None:
        """
        Begin the stream on that work connection.

        @return: None where it is gone.
        """
        work, self._work = self._work, None
        if work is None or not self._works.lends(work):
            return None
        number, request = work.begin(), self._request
        start = Start(number, request.tunnel, kind, "", "", dial=request.id)
        work.announce(said(start))
        self._answer(None)
        return work

    def refuse(self, code: str, reason: str) -> None:
        """
        Tell the client why not.
        """
        work, self._work = self._work, None
        if work is not None and self._works.lends(work):
            self._works.idle(work)
        self._answer(Failure(Refusal(code, reason, retry=True)))

    def abort(self) -> None:
        """
        Do that without a reason.
        """
        self.refuse(codes.BUSY, "the visit could not be brought to the tunnel")

    def _taken(self, work: IWorkEnd, tunnel: PrivateTCP) -> None:
        self._work = work
        tunnel.arrived(self)

    def _ebTake(self, failure: Failure) -> None:
        self.refuse(codes.BUSY, failure.getErrorMessage())

    def _answer(self, answer: Failure | None) -> None:
        if not self.answered.called:
            self.answered.callback(answer)


class PrivateUDP(Private, PublicUDP):
    """
    A service for datagrams that other clients can dial.
    """

    kind: ClassVar[str] = "private-udp"
    space: ClassVar[str] = "private"

    def listen(self, bind: str) -> None:
        """
        Take flows from now on; there is no port for them.
        """
        self._visits: dict[Session, Visiting] = {}
        self._port = cast(IFlowPort, _NoPort())
        self._fleet.enter(self)

    def call(self, session: Session, request: Dial) -> Deferred[None]:
        """
        Begin a flow of a client.

        @raise Refusal: it may not be.
        """
        if self._port is None:
            raise Refusal(codes.WITHDRAWN, "the tunnel was withdrawn", retry=True)
        visiting = self._visits.get(session)
        if visiting is None:
            visiting = Visiting(session, self._relay, self._flows, self._clock)
            visiting.over = lambda: self._visits.pop(session, None)
            self._visits[session] = visiting
        if not visiting.begin(request, self._arrived):
            raise Refusal(codes.BUSY, "too many visitors at once", retry=True)
        return succeed(None)

    def _left(self, flow: Flow) -> None:
        super()._left(flow)
        cast(FarFlow, flow).part()


class _NoPort:
    """
    What a private tunnel has in place of a port.
    """

    def stopListening(self) -> Deferred[None]:
        return succeed(None)

    def look(self) -> None:
        """
        Nothing is dropped there.
        """


def _denied(session: Session, request: Dial) -> Refusal:
    user, name = session.identity.user, legible(request.tunnel)
    return Refusal(
        codes.DENIED,
        f"there is no {request.kind} tunnel {name!r} that user {user} may visit: check"
        " the name, whether the client that publishes it is there, its visitors=, and"
        " those of [private] in the server's users.toml",
        retry=True,
    )


def _unlike(sealed: bool, name: str) -> Refusal:
    if sealed:
        reason = f"tunnel {name} is encrypted from end to end: give its keyFile=FILE"
    else:
        reason = (
            f"tunnel {name} is not encrypted from end to end: leave keyFile= out, or"
            " have the client that publishes it given the same one"
        )
    return Refusal(codes.SEALED, reason)
