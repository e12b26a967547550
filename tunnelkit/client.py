# -*- test-case-name: tests.test_client -*-
"""
Client: logs in to a server, keeps its tunnels open, and brings visitors to the local
services; when the server is away it waits for it to come back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import clientFromString
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from tunnelkit.carrier.dock import Dock, Landing
from tunnelkit.carrier.route import PATIENCE, Reached, Route, Unreached
from tunnelkit.control.backoff import Backoff
from tunnelkit.control.names import legible
from tunnelkit.dialects.native.caller import Caller
from tunnelkit.dialects.native.calling import CallingChannel
from tunnelkit.dialects.native.line import Line
from tunnelkit.interfaces import IRelay, IWorkEnd, IWorkOwner
from tunnelkit.relay.best import relayFor
from tunnelkit.relay.endpoints import IPortableReactor, endpointOf
from tunnelkit.relay.secure import ClientTLS
from tunnelkit.settings import ClientSettings
from tunnelkit.tunnels.kinds import LOCAL
from tunnelkit.tunnels.local import LocalTCP
from tunnelkit.tunnels.localudp import LocalUDP
from tunnelkit.tunnels.spec import TunnelSpec, splitDescription
from tunnelkit.tunnels.wanted import Wanted
from tunnelkit.wire.address import HostPort
from tunnelkit.wire.codes import ResetCode
from tunnelkit.wire.messages import Closed, Start
from tunnelkit.wire.sniff import OPENING

BRIEF: Final = 1.0
"""Seconds that a login must last so that the next one is tried at once: a server that
lets us in only to throw us out is not to be asked again and again."""
_LONGEST: Final = 500
"""How much of a reason is logged, in characters; the server may have written it."""
_LOOK: Final = 0.1
"""Seconds between two looks at whether all streams have ended."""


class Client(Service):
    """
    One reconnecting connection to a server, and the tunnels over it.

    @ivar tunnels: what is asked for, and what became of it.
    """

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
        self._route = route
        self._caller = caller
        self._relay = relay
        self._clock = clock
        self._failed = failed
        self._changed = changed
        self._locals: dict[str, LocalTCP | LocalUDP] = {
            spec.name: LOCAL[spec.kind](spec, relay, clock) for spec in specs
        }
        self.tunnels = tuple(
            Wanted(spec, clock, random, self._answered, lease, patient)
            for spec in specs
        )
        self._backoff = Backoff(random)
        self._connecting: Deferred[Reached] | None = None
        self._waiting: IDelayedCall | None = None
        self._line: Line | None = None
        self._draining = False
        self._known = patient
        self._since: float | None = None
        self._said = ""

    def startService(self) -> None:
        """
        Connect, and stay connected.
        """
        super().startService()
        self._draining = False
        self._backoff.reset()
        self._later(self._backoff.delay())

    def stopService(self) -> Deferred[None] | None:
        """
        Reset what is under way, and leave.

        @return: fires when the server has been told, where there is one.
        """
        super().stopService()
        if self._waiting is not None and self._waiting.active():
            self._waiting.cancel()
        if self._connecting is not None:
            self._connecting.cancel()
        for local in self._locals.values():
            local.cut("the client is stopping")
        if self._line is None:
            return None
        return self._line.leave("the client is stopping")

    async def drain(self, grace: float) -> None:
        """
        Withdraw the tunnels, and give the streams under way time to end.

        @param grace: seconds at most.
        """
        self._draining = True
        if self._line is not None:
            self._line.withdraw(self.tunnels)
        until = self._clock.seconds() + grace
        # Not before the first pause: a visitor may be on his way here.
        over = False
        while self.running and not over and self._clock.seconds() < until:
            pause: Deferred[None] = Deferred()
            self._clock.callLater(_LOOK, pause.callback, None)
            await pause
            over = not self.streams and (self._line is None or self._line.retired())

    @property
    def streams(self) -> int:
        """
        How many visitors are with the local services, or on their way.
        """
        return sum(local.streams for local in self._locals.values())

    # Connecting.

    def _later(self, seconds: float) -> None:
        self._waiting = self._clock.callLater(seconds, self._connect)

    def _connect(self) -> None:
        self._connecting = connecting = self._route.open()
        connecting.addCallback(self._reached).addErrback(self._ebReach)

    def _reached(self, reached: Reached) -> None:
        self._connecting = None
        self._line = line = Line(self, reached)
        line.channel = CallingChannel(
            self._caller, self._route.server, reached.seen, line, self._clock
        )
        reached.connection.hold(line.channel)

    def _ebReach(self, failure: Failure) -> None:
        self._connecting = None
        error = failure.value
        if isinstance(error, Unreached):
            self.away(str(error), error.lasting)
        elif self.running:
            self._log.failure("a bug at connecting", failure)
            self.away("this client has a bug: see its log", False)

    def away(self, reason: str, lasting: bool, wait: float = 0.0) -> None:
        """
        The server is not there, or not for us: try again later, or give up.

        @param lasting: whether trying again cannot be expected to help.  After a
            good login it is tried all the same: it was mended once.
        @param wait: seconds to wait at least.
        """
        self._line = None
        since, self._since = self._since, None
        lost = any(tunnel.address for tunnel in self.tunnels)
        for tunnel in self.tunnels:
            tunnel.forget()
        if lost:
            self._changed()
        if not self.running or self._draining:
            return
        # Whoever answers there may have written it.
        reason = legible(reason, _LONGEST)
        if lasting and not self._known:
            self._failed(reason)
            return
        if reason != self._said:
            self._said = reason
            self._log.warn("{reason}; trying again", reason=reason)
        if since is not None and self._clock.seconds() - since < BRIEF:
            self._backoff.delay()  # which is that of the first try: none
        self._later(max(wait, self._backoff.delay(lasting)))

    # What a line does.

    def loggedIn(self, line: Line) -> None:
        """
        The server has let us in: ask for the tunnels.
        """
        self._known = True
        self._since = self._clock.seconds()
        self._said = ""
        self._backoff.reset()
        self._log.info(
            "logged in to {server} as {user}",
            server=self._route.server,
            user=self._caller.token.user,
        )
        for tunnel in () if self._draining else self.tunnels:
            tunnel.ask(line.channel)

    def started(self, work: IWorkEnd, start: Start) -> None:
        """
        A visitor came.  Only what was configured is dialled, whatever a server asks.
        """
        local = self._locals.get(start.tunnel)
        if local is None or start.kind != local.spec.kind:
            work.refuse(ResetCode.DENIED, "the client does not publish that")
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
        return Dock(self._relay, self._clock, landings.get) if landings else None

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

    def _answered(self) -> None:
        self._changed()
        if all(tunnel.refused for tunnel in self.tunnels):
            reasons = dict.fromkeys(tunnel.refused for tunnel in self.tunnels)
            self._failed(f"the server refuses every tunnel: {'; '.join(reasons)}")


def makeClient(
    settings: ClientSettings,
    reactor: IPortableReactor,
    random: Callable[[int], bytes],
    failed: Callable[[str], None],
    changed: Callable[[], None] = lambda: None,
    lease: bool = True,
    patient: bool = False,
) -> Client:
    """
    Put a client together.

    @param random: gives so many random bytes, such as C{os.urandom}.
    @param failed: told, in one sentence, of a failure that no waiting can mend.
    @param patient: whether it goes on trying at those, too, and tells nobody.
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
    return Client(
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


def makeRoute(
    settings: ClientSettings, reactor: IPortableReactor, relay: IRelay
) -> Route:
    """
    Put the way to a server together.
    """
    server = settings.server
    if isinstance(server, HostPort):
        endpoint = endpointOf(reactor, server, PATIENCE)
    else:
        endpoint = clientFromString(reactor, server)
    tls = None
    if not settings.insecure:
        tls = ClientTLS(hostOf(server), settings.verify)
    return Route(str(server), endpoint, relay, tls, reactor, settings.fingerprint)


def hostOf(server: HostPort | str) -> str:
    """
    Give the host of a server's address or endpoint description.
    """
    if isinstance(server, HostPort):
        return server.host
    kind, positional, named = splitDescription(server)
    host = named.get("host") or (positional[0] if positional else "")
    return "localhost" if kind == "unix" or not host else host
