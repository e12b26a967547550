# -*- test-case-name: tests.test_client -*-
"""
Client: logs in to a server, keeps its tunnels open, and brings visitors to the local
services; when the server is away it waits for it to come back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from tunnelkit.carrier.dock import Dock, Landing
from tunnelkit.carrier.route import Reached, Route, Unreached
from tunnelkit.control.comeback import Comeback
from tunnelkit.control.session import Refusal
from tunnelkit.dialects.native.caller import Caller
from tunnelkit.dialects.native.calling import CallingChannel
from tunnelkit.dialects.native.line import Line
from tunnelkit.dialects.way import hostOf, wayTo
from tunnelkit.interfaces import ICarrier, IRelay, IWorkEnd, IWorkOwner
from tunnelkit.relay.best import relayFor
from tunnelkit.relay.endpoints import IPortableReactor
from tunnelkit.relay.secure import ClientTLS
from tunnelkit.settings import ClientSettings
from tunnelkit.tunnels.local import LocalTCP
from tunnelkit.tunnels.localudp import LocalUDP
from tunnelkit.tunnels.publisher import Publisher
from tunnelkit.tunnels.spec import TunnelSpec
from tunnelkit.wire.codes import LOST, ResetCode
from tunnelkit.wire.native.messages import DIAL, Closed, Flow, Start
from tunnelkit.wire.sniff import OPENING

if TYPE_CHECKING:
    from tunnelkit.tunnels.private.doors import Doors

_UNKNOWN: Final = "the client does not publish that"
_UNALLOWED: Final = "the client lets nothing be dialled: start it with --allow"


class Client(Publisher):
    """
    One reconnecting connection to a server, and the tunnels over it.

    @ivar doors: from where private tunnels of others are reached; None from nowhere.
    """

    doors: Doors | None = None

    _log = Logger()

    def __init__(
        self,
        route: Route,
        caller: Caller,
        specs: tuple[TunnelSpec, ...],
        relay: IRelay,
        clock: IReactorTime,
        random: Callable[[], float],
        failed: Callable[[str], None],
        changed: Callable[[], None] = lambda: None,
        lease: bool = True,
        patient: bool = False,
    ) -> None:
        """
        @param random: gives numbers from 0 to below 1.
        @param failed: told, in one sentence, of a failure that no waiting can mend.
        @param changed: told when a tunnel was opened, refused or lost.
        @param lease: whether ports stay this user's afterwards.
        @param patient: whether all is tried again and again, even what no waiting can
            be expected to mend.
        """
        super().__init__(specs, relay, clock, random, failed, changed, lease, patient)
        self._route = route
        self._caller = caller
        self._comeback = Comeback(
            route.open, self._reached, clock, random, failed, patient
        )
        self._line: Line | None = None

    def allow(self, dials: LocalTCP) -> None:
        """
        Let the server dial.
        """
        self._locals[""] = dials  # what is dialled is no tunnel's, and has no name

    def dial(
        self, tunnel: str, kind: str = "private", sealed: bool = False
    ) -> Deferred[Any]:
        """
        Ask for a stream to a private tunnel that another client publishes, or, of
        C{private-udp}, for a flow.

        @param sealed: whether what is said there is encrypted from end to end.
        @return: the L{IStreamEnd} of that stream, from which nothing is read before it
            is joined, or the flow's announcement and its carrier; fails with
            L{Refusal}.
        """
        if self._line is None or not self._line.welcome:
            away = f"{self._route.server} is away"
            return fail(Refusal(LOST, away, retry=True))
        return self._line.dial(tunnel, kind, sealed)

    @property
    def streams(self) -> int:
        """
        How many visitors are with the local services, or at tunnels of others.
        """
        return super().streams + (0 if self.doors is None else self.doors.streams)

    def _begin(self) -> None:
        if self.doors is not None:
            self.doors.open()
        self._comeback.start()

    def _withdraw(self) -> None:
        if self.doors is not None:
            self.doors.close()
        if self._line is not None:
            self._line.withdraw(self.tunnels)

    def _retired(self) -> bool:
        return self._line is None or self._line.retired()

    def _leave(self) -> Deferred[None] | None:
        self._comeback.stop()
        if self.doors is not None:
            self.doors.close()
            self.doors.cut("the client is stopping")
        if self._line is None:
            return None
        return self._line.leave("the client is stopping")

    def _reached(self, reached: Reached) -> None:
        self._line = line = Line(self, reached)
        line.channel = CallingChannel(
            self._caller, self._route.server, reached.seen, line, self._clock
        )
        reached.connection.hold(line.channel)

    def _answered(self) -> None:
        if self.doors is None:
            super()._answered()
        else:  # there is something to do, whatever becomes of the tunnels
            self._changed()

    # What a line does.

    def loggedIn(self, line: Line) -> None:
        """
        The server has let us in: ask for the tunnels.
        """
        self._comeback.good()
        self._log.info(
            "logged in to {server} as {user}",
            server=self._route.server,
            user=self._caller.token.user,
        )
        for tunnel in () if self._draining else self.tunnels:
            tunnel.ask(line.channel)

    def away(self, reason: str, lasting: bool, wait: float = 0.0) -> None:
        """
        The server is not there any more, or not for us.
        """
        self._line = None
        self._lost(self.tunnels)
        if not self._draining:
            self._comeback.lost(reason, lasting, wait)

    def started(self, work: IWorkEnd, start: Start) -> None:
        """
        A visitor came.  Only what was configured is dialled, whatever a server asks.
        """
        local = self._locals.get(start.tunnel)
        if local is None or start.kind != local.spec.kind:
            work.refuse(
                ResetCode.DENIED, _UNALLOWED if start.kind == DIAL else _UNKNOWN
            )
        else:
            local.started(work, start)

    def dock(self) -> Dock | None:
        """
        Make what holds datagram carriers, where there is anything behind them.
        """
        landings: dict[str, Landing] = {
            name: local
            for name, local in self._locals.items()
            if isinstance(local, LocalUDP)
        }
        if self.doors is None:
            visits: Landing | None = None
        else:
            visits = self.doors.landings(self._flowDialled)
        if not landings and visits is None:
            return None

        def landing(flow: Flow) -> Landing | None:
            return visits if flow.dial else landings.get(flow.tunnel)

        return Dock(self._relay, self._clock, landing)

    def _flowDialled(self, flow: Flow, carrier: ICarrier) -> bool:
        line = self._line
        if line is None:
            return False
        return line.channel.requests.answered(flow.dial, Flow, (flow, carrier))

    def openWork(self, line: Line, owner: IWorkOwner) -> Deferred[IWorkEnd]:
        """
        Open a work connection.
        """
        return self._route.open().addCallback(self._lend, line, owner)

    def closed(self, closed: Closed) -> None:
        """
        The server has withdrawn a tunnel.
        """
        for tunnel in self.tunnels:
            if tunnel.spec.name == closed.tunnel:
                tunnel.closed(closed)

    def _lend(self, reached: Reached, line: Line, owner: IWorkOwner) -> IWorkEnd:
        connection = reached.connection
        try:
            opening = line.workOpening(reached, self._route)
        except Unreached:
            connection.transport.abortConnection()
            raise
        opening = OPENING + opening
        return self._relay.borrow(connection, b"", owner, client=True, opening=opening)


def makeClient(
    settings: ClientSettings,
    reactor: IPortableReactor,
    random: Callable[[int], bytes],
    failed: Callable[[str], None],
    changed: Callable[[], None] = lambda: None,
    lease: bool = True,
    patient: bool = False,
    kind: type[Client] | None = None,
) -> Client:
    """
    Put a client together.

    @param random: gives so many random bytes, such as C{os.urandom}.
    @param failed: told, in one sentence, of a failure that no waiting can mend.
    @param patient: whether it goes on trying at those, too, and tells nobody.
    @param kind: what it is to be, where that is more.
    """
    relay = relayFor(reactor)
    caller = Caller(
        token=settings.token,
        host=hostOf(settings.server),
        client=settings.name,
        instance=random(16).hex(),
        verified=settings.verify,
        nonce=lambda: random(16).hex(),
    )
    client = (kind or Client)(
        makeRoute(settings, reactor, relay),
        caller,
        settings.tunnels,
        relay,
        reactor,
        lambda: int.from_bytes(random(4), "big") / 2**32,
        failed,
        changed,
        lease,
        patient,
    )
    _furnish(client, settings, relay, reactor, random)
    return client


def _furnish(
    client: Client,
    settings: ClientSettings,
    relay: IRelay,
    reactor: IPortableReactor,
    random: Callable[[int], bytes],
) -> None:
    """
    Give a client what most have none of, and that is loaded for those who have it.
    """
    if settings.allow:
        from tunnelkit.dialects.native.dials import LocalDials

        client.allow(LocalDials(settings.allow, relay, reactor))
    if settings.visits or settings.socks:
        from tunnelkit.tunnels.private.doors import makeDoors

        client.doors = makeDoors(
            settings.visits,
            settings.socks,
            dict(settings.keys),
            relay,
            reactor,
            client.dial,
            random,
        )


def makeRoute(
    settings: ClientSettings, reactor: IPortableReactor, relay: IRelay
) -> Route:
    """
    Put the way to a server together.
    """
    tls = None
    if not settings.insecure:
        tls = ClientTLS(hostOf(settings.server), settings.verify)
    return wayTo(settings.server, reactor, relay, tls, settings.fingerprint)
