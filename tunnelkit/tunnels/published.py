# -*- test-case-name: tests.tunnels.test_published -*-
"""
Published: the tunnels of all sessions, and who gets a port that two ask for.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, cast

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from tunnelkit.control.leases.claims import Contested, Denied
from tunnelkit.control.leases.ports import Leases
from tunnelkit.control.names import legible
from tunnelkit.control.session import TUNNELS, Refusal, Session
from tunnelkit.interfaces import IRelay
from tunnelkit.relay.occupant import inUse, whyNot
from tunnelkit.state.lease import Lease
from tunnelkit.status import TunnelStatus
from tunnelkit.tunnels.spec import isTunnelName
from tunnelkit.tunnels.tcp import PublicTCP
from tunnelkit.tunnels.udp import PublicUDP
from tunnelkit.wire.address import HostPort
from tunnelkit.wire.codes import (
    COMPRESS,
    DRAINING,
    FULL,
    KIND,
    NAME,
    NAME_LIVE,
    PORT_LIVE,
    PORT_TAKEN,
    WITHDRAWN,
)
from tunnelkit.wire.native.messages import Dial, Open
from tunnelkit.wire.packing import PACKERS, isAble

if TYPE_CHECKING:
    from tunnelkit.control.leases.names import NameLeases
    from tunnelkit.tunnels.private.published import PrivateTCP

PROBE: Final = (0.4, 2.0)
"""Seconds that a session whose port another client asks for has to answer: at least,
and at most."""
_PICKS: Final = 16
"""Ports that are tried where the server picks one."""

PRIVATE: Final = "private"
"""The space of tunnels that have a name in place of a port."""

PublicTunnel: TypeAlias = PublicTCP | PublicUDP
Visitors: TypeAlias = Callable[[str], Collection[str] | None]


class PublicKind(Protocol):
    """
    Makes tunnels of a kind.
    """

    @property
    def space(self) -> str:
        """
        Which ports they have.
        """

    def __call__(
        self,
        session: Session,
        name: str,
        lease: Lease,
        address: str,
        relay: IRelay,
        clock: IReactorTime,
        withdrawn: Callable[[Any, Deferred[object]], None],
        compress: str = "",
    ) -> PublicTunnel:
        """
        Make one.
        """


class Published:
    """
    What is published, by whom, and on which port.
    """

    _log = Logger()

    def __init__(
        self,
        leases: Mapping[str, Leases],
        relay: IRelay,
        clock: IReactorTime,
        kinds: Mapping[str, PublicKind],
        bind: str = "",
        hostname: str = "",
        bindUDP: str = "",
        visitors: Visitors = lambda name: None,
    ) -> None:
        """
        @param leases: by space.
        @param kinds: makes a tunnel, by its kind.
        @param bind: the address of public ports, or empty for all interfaces.
        @param bindUDP: that of those for UDP, or empty for the same.
        @param hostname: the host in public addresses, or empty for the one that the
            client dialled.
        @param visitors: gives those who the operator lets visit a private tunnel, by
            its name; None where that is for the client to say that publishes it.
        """
        self._visitors = visitors
        self._leases = leases
        self._relay = relay
        self._clock = clock
        self._kinds = kinds
        self._binds = {"tcp": bind, "udp": bindUDP or bind, PRIVATE: ""}
        self._hostname = hostname
        self._closing: set[Deferred[object]] = set()
        self._taken: set[tuple[str, int]] = set()
        self._closed = False

    def close(self) -> None:
        """
        Publish nothing more: the server is stopping.
        """
        self._closed = True

    async def open(self, session: Session, request: Open) -> PublicTunnel:
        """
        Publish a tunnel.

        @raise Refusal: it cannot be; the words are for the client's user.
        """
        kind = self._checked(session, request)
        # Two requests of one session for the same name are told apart at once.
        session.opening[request.tunnel] = True
        try:
            tunnel = await self._listening(session, request, kind)
        finally:
            wanted = session.opening.pop(request.tunnel)
        if not wanted:
            tunnel.withdraw()
            raise Refusal(WITHDRAWN, "it was closed before it was open")
        session.tunnels[request.tunnel] = tunnel
        if session.mention():
            self._log.info(
                "{address} is {client}'s {tunnel}",
                address=tunnel.address,
                client=legible(session.identity.client),
                tunnel=request.tunnel,
            )
        return tunnel

    def dial(self, session: Session, request: Dial) -> Deferred[None]:
        """
        Bring a client to a private tunnel of another one.

        @return: fires when it is there.
        @raise Refusal: it cannot be; the words are for the client's user.
        """
        if self._closed:
            raise _stopping()
        # Most servers never need it.
        from tunnelkit.tunnels.private.published import called

        names = cast("NameLeases", self._leases[PRIVATE])
        admitted = self._visitors(request.tunnel)
        return called(names.holder(request.tunnel), session, request, admitted)

    def status(self, sessions: list[Session]) -> tuple[TunnelStatus, ...]:
        """
        Give a picture of all tunnels, those included that were withdrawn and still
        have visitors.
        """
        return tuple(
            tunnel.status()
            for session in sessions
            for tunnel in (*session.tunnels.values(), *session.leaving)
        )

    def _checked(self, session: Session, request: Open) -> PublicKind:
        if self._closed:
            raise _stopping()
        kind = self._kinds.get(request.kind)
        if kind is None:
            known = ", ".join(sorted(self._kinds))
            raise Refusal(
                KIND, f"this server publishes no {request.kind[:40]!r}, only {known}"
            )
        name = request.tunnel
        if not isTunnelName(name):
            raise Refusal(
                NAME, "a tunnel's name has 1 to 200 printable characters, no spaces"
            )
        if name in session.tunnels or name in session.opening:
            reason = f"this client has a tunnel {name!r} already"
            raise Refusal(NAME, reason, retry=True)
        if len(session.tunnels) + len(session.opening) >= TUNNELS:
            raise Refusal(FULL, f"a client has {TUNNELS} tunnels at most")
        if request.compress and not isAble(request.compress):
            raise _unable(request.compress)
        return kind

    async def _listening(
        self, session: Session, request: Open, kind: PublicKind
    ) -> PublicTunnel:
        avoid: set[int] = set()
        while True:
            lease = await self._lease(session, request, kind.space, avoid)
            try:
                return self._listen(session, request, kind, lease)
            except BaseException as e:
                # Whatever it was: nobody holds a port on which nobody listens.
                self._leases[lease.space].cancel(lease, session)
                if not isinstance(e, CannotListenError):
                    raise
                if request.port or len(avoid) >= _PICKS:
                    self._tell(lease, e)
                    raise _taken(lease, e) from e
                avoid.add(lease.port)

    def _listen(
        self, session: Session, request: Open, kind: PublicKind, lease: Lease
    ) -> PublicTunnel:
        tunnel = kind(
            session,
            request.tunnel,
            lease,
            self._address(session, request, kind, lease.port),
            self._relay,
            self._clock,
            self._withdrawn,
            request.compress,
        )
        if kind.space == PRIVATE:
            cast("PrivateTCP", tunnel).restrict(request)
        bind = self._binds[kind.space]
        try:
            tunnel.listen(bind)
        except OSError as e:
            raise CannotListenError(bind, lease.port, e) from e
        self._taken.discard((lease.space, lease.port))
        return tunnel

    async def _lease(
        self, session: Session, request: Open, space: str, avoid: set[int]
    ) -> Lease:
        """
        Claim a port, from another session of the same user if that is dead.

        @return: the lease of a port that none of our own tunnels listens on.
        """
        identity = session.identity
        while True:
            # A port of ours that is being closed is free in a moment.
            await DeferredList(self._closing)
            if session.over:
                raise Refusal(WITHDRAWN, "the session has ended", retry=True)
            if self._closed:
                raise _stopping()
            try:
                return self._leases[space].claim(
                    identity.user,
                    identity.client,
                    request.tunnel,
                    request.port,
                    session,
                    lasting=request.lease,
                    avoid=avoid,
                )
            except Denied as e:
                raise Refusal(e.code, e.reason, retry=e.retry) from e
            except Contested as e:
                await self._contest(session, e)

    async def _contest(self, session: Session, contested: Contested) -> None:
        """
        Ask the session that holds a port whether it lives; if not, displace it.

        @raise Refusal: it does.
        """
        holder: Session = contested.holder
        if holder.over:
            # By a bug of ours it has left this behind.  Should that be so again at
            # the next look, the reactor has had time for others.
            self._leases[contested.lease.space].release(contested.lease, holder)
            await deferLater(self._clock, PROBE[0])
            return
        asker = session.identity.instance
        known = asker in holder.contenders
        lives = known or await holder.heartbeat.probe(_patience(holder))
        if holder.over:
            return  # it has left meanwhile
        if lives:
            if len(holder.contenders) < TUNNELS:
                holder.contenders.add(asker)
            raise _live(contested.lease, holder)
        client = legible(session.identity.client)
        if session.mention():
            self._log.warn(
                "session {session} does not answer: {client} takes over",
                session=holder.shown,
                client=client,
            )
        holder.displace(contested.lease.tunnel, client)

    def _address(
        self, session: Session, request: Open, kind: PublicKind, port: int
    ) -> str:
        if kind.space == PRIVATE:
            return f"{request.kind}://{request.tunnel}"
        at = HostPort(self._hostname or session.identity.host, port)
        return f"{request.kind}://{at}"

    def _tell(self, lease: Lease, error: CannotListenError) -> None:
        """
        Say once for each port who has it.  That is for the log of this machine, not
        for clients.
        """
        if (lease.space, lease.port) not in self._taken:
            self._taken.add((lease.space, lease.port))
            self._log.warn(
                "cannot listen on public port {port}: {reason}",
                port=lease.port,
                reason=whyNot(error, lease.port),
            )

    def _withdrawn(self, tunnel: PublicTunnel, free: Deferred[object]) -> None:
        self._leases[tunnel.lease.space].release(tunnel.lease, tunnel.session)
        self._closing.add(free)
        free.addErrback(
            lambda failure: self._log.failure("a port did not close", failure)
        )
        free.addBoth(lambda _: self._closing.discard(free))


def _patience(holder: Session) -> float:
    low, high = PROBE
    return min(high, max(low, 4 * (holder.heartbeat.roundTrip or 0.0)))


def _stopping() -> Refusal:
    return Refusal(DRAINING, "the server is stopping", retry=True)


def _unable(compress: str) -> Refusal:
    if compress not in PACKERS:
        known = " or ".join(sorted(PACKERS))
        reason = f"this server does not compress by {compress[:40]!r}, only by {known}"
    else:
        reason = (
            f"this server has no library for {compress}: install tunnelkit[{compress}]"
            " there, or ask for compress=deflate"
        )
    return Refusal(COMPRESS, reason)


def _live(lease: Lease, holder: Session) -> Refusal:
    identity = holder.identity
    if lease.space == PRIVATE:
        return Refusal(
            NAME_LIVE,
            f"the name {lease.tunnel} is published by {legible(identity.client)} from"
            f" {identity.peer}, which is alive: stop that client, or give this tunnel"
            " another name with name=NAME",
            retry=True,
        )
    return Refusal(
        PORT_LIVE,
        f"port {lease.port} is published by {legible(identity.client)} from"
        f" {identity.peer}, which is alive: stop that client, or give this one another"
        " port, or another name where it asks for none",
        retry=True,
    )


def _taken(lease: Lease, error: CannotListenError) -> Refusal:
    if inUse(error):
        reason = (
            f"port {lease.port} is in use by another program on the server's machine:"
            " stop that, or ask for another port"
        )
    else:
        reason = (
            f"the server cannot listen on port {lease.port} ({error.socketError}): ask"
            " for another port, or have that mended there"
        )
    return Refusal(PORT_TAKEN, reason, retry=True)
