# -*- test-case-name: tests.control.test_session -*-
"""
Session: a logged-in client on the server, with its tunnels and work connections.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from tunnelkit.carrier.contract import DatagramFleet, StreamCarrier
from tunnelkit.carrier.fleet import Fleet
from tunnelkit.carrier.pool import WorkPool
from tunnelkit.control.heartbeat import Heartbeat
from tunnelkit.interfaces import IRelay
from tunnelkit.status import SessionStatus, TunnelStatus
from tunnelkit.wire.codes import DISPLACED, SILENT

TUNNELS: Final = 100
"""Tunnels of one session at most."""
STREAMS: Final = 65536
"""Streams of one session at most."""
_WINDOW: Final = 4096
"""How far serials of work connections may overtake each other."""
_SHOWN: Final = 8
"""How many digits of a session's id are shown to people."""


class Refusal(Exception):
    """
    We decline, and tell the peer why.

    @ivar code: why, from L{tunnelkit.wire.codes}.
    @ivar reason: why and what to do, in words.
    @ivar retry: whether asking again later may succeed.
    """

    def __init__(self, code: str, reason: str, retry: bool = False) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.retry = retry


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """
    Who has logged in.

    @ivar user: whose secret it was.
    @ivar client: the client's name.
    @ivar instance: random, the same for all logins of one running client.
    @ivar program: the client's program and version.
    @ivar peer: the client's address.
    @ivar host: the host that the client dialled.
    @ivar bound: whether the login was bound to the server's certificate.
    @ivar shared: whether clients who have nothing to do with each other may log in
        as this one.
    """

    user: str
    client: str
    instance: str
    program: str
    peer: str
    host: str
    bound: bool
    shared: bool = False


class Channel(Protocol):
    """
    The control channel, as its session sees it.
    """

    def want(self, count: int) -> None:
        """
        Ask the client for work connections.
        """

    def ping(self, at: int) -> None:
        """
        Ask whether the client lives; its session's heartbeat is told of the answer.

        @param at: the time in microseconds, for that.
        """

    def drain(self, seconds: float) -> None:
        """
        Tell the client that the server stops in so many seconds.
        """

    def leave(self, code: str, reason: str, retry: bool) -> None:
        """
        Say good-bye, and close.
        """

    def vouch(self, hashes: tuple[str, ...]) -> Deferred[None]:
        """
        Tell the client which certificates its work connections may show.
        """


class PublishedTunnel(Protocol):
    """
    A tunnel, as its session sees it.
    """

    def status(self) -> TunnelStatus:
        """
        Give a picture of this moment.
        """

    def withdraw(self) -> None:
        """
        Take no more visitors; streams under way go on, and the session is told when
        the last has L{left <Session.left>}.
        """

    def cut(self, reason: str) -> None:
        """
        Reset all streams under way.
        """


class Session:
    """
    A logged-in client.

    @ivar id: names the session on the wire.
    @ivar allowed: says whether its user may still serve visitors, asked at each.
    @ivar key: the secret that its work connections prove to know.
    @ivar tunnels: what it publishes, by name.
    @ivar leaving: what it has withdrawn and still has visitors.
    @ivar works: its work connections, or None where it has another way.
    @ivar pool: how streams get to the client: by those, most often.
    @ivar fleet: how datagrams do, once it has a tunnel for them.
    @ivar parting: what is called when it ends, by what it is for.
    @ivar over: whether it has ended.
    @ivar streams: how many visitors it serves, or lets wait, now.
    """

    def __init__(
        self,
        identity: Identity,
        channel: Channel,
        clock: IReactorTime,
        since: float,
        random: Callable[[int], bytes],
        allowed: Callable[[str], bool],
        ended: Callable[[Session, str], None],
        room: Callable[[str], bool] = lambda user: True,
        carrier: StreamCarrier | None = None,
        fleet: DatagramFleet | None = None,
    ) -> None:
        """
        @param allowed: says whether a user may do anything at this moment.
        @param since: the time of the login, seconds since 1970.
        @param ended: told once that the session has ended, and why.
        @param room: takes room for a line of the log about a user, if there is some.
        @param carrier: how streams get to the client; None for work connections.
        @param fleet: how datagrams do; None for some of these.
        """
        self.identity = identity
        self.channel = channel
        self.allowed = partial(allowed, identity.user)
        self.id = random(16).hex()
        self.key = random(32)
        self.tunnels: dict[str, PublishedTunnel] = {}
        self.leaving: dict[PublishedTunnel, None] = {}
        self.opening: dict[str, bool] = {}
        """Names of tunnels that are being opened."""
        self.parting: dict[object, Callable[[], None]] = {}
        self.over = False
        self.streams = 0
        self.contenders: set[str] = set()
        """Who has been refused for this session's sake, after it answered a probe."""
        self.works = WorkPool(channel.want, clock) if carrier is None else None
        self.pool: StreamCarrier = carrier or cast(StreamCarrier, self.works)
        self.fleet = fleet
        self.heartbeat = Heartbeat(clock, channel.ping, self._silent)
        self._clock = clock
        self._since = since
        self._serials: set[int] = set()
        self._highest = 0
        self._ended = ended
        self._room = room

    @property
    def shown(self) -> str:
        """
        The session's id as people may see it.
        """
        return self.id[:_SHOWN]

    def mention(self) -> bool:
        """
        Take room for one line of the log about this client.

        @return: whether there is some; if not, leave the line out: it is counted.
        """
        return self._room(self.identity.user)

    def takes(self, serial: int) -> bool:
        """
        Say whether a work connection's serial is new, and remember it.
        """
        if serial in self._serials or serial <= self._highest - _WINDOW:
            return False
        self._serials.add(serial)
        if serial > self._highest:
            self._highest = serial
            if len(self._serials) > 2 * _WINDOW:
                oldest = serial - _WINDOW
                self._serials = {n for n in self._serials if n > oldest}
        return True

    def embark(self, relay: IRelay) -> DatagramFleet:
        """
        Give what datagrams of a tunnel go by.
        """
        if self.fleet is None:
            assert self.works is not None, "a carrier of streams without a fleet"
            self.fleet = Fleet(self.works, relay, self._clock)
        return self.fleet

    def withdraw(self, name: str) -> bool:
        """
        Withdraw a tunnel.

        @return: whether there was one.
        """
        tunnel = self.tunnels.pop(name, None)
        if tunnel is None:
            return False
        self.leaving[tunnel] = None
        tunnel.withdraw()
        return True

    def left(self, tunnel: PublishedTunnel) -> None:
        """
        The last visitor of a tunnel that was withdrawn has gone.
        """
        self.leaving.pop(tunnel, None)

    def displace(self, name: str, by: str) -> None:
        """
        It does not answer while another client asks for the port of a tunnel.

        @param by: who.
        """
        tunnel = self.tunnels.get(name)
        if not self.identity.shared:
            self.end(DISPLACED, f"{by} has taken over its tunnels")
        elif tunnel is not None:
            self.withdraw(name)
            tunnel.cut(f"{by} has taken it over")

    def end(self, code: str, reason: str, retry: bool = True) -> None:
        """
        End the session: withdraw its tunnels, reset its streams, say good-bye.
        """
        if self.over:
            return
        self.over = True
        self._ended(self, reason)
        tunnels = [*self.tunnels.values(), *self.leaving]
        self.tunnels, self.leaving = {}, {}
        for tunnel in tunnels:
            tunnel.withdraw()
            tunnel.cut(reason)
        for part in [*self.parting.values()]:
            part()
        self.pool.close()
        # Whoever waits for its answer finds the ports free.
        self.heartbeat.stop()
        self.channel.leave(code, reason, retry)

    def status(self) -> SessionStatus:
        """
        Give a picture of this moment.
        """
        idle, busy, waiting = self.pool.counts
        return SessionStatus(
            session=self.shown,
            user=self.identity.user,
            client=self.identity.client,
            peer=self.identity.peer,
            program=self.identity.program,
            since=self._since,
            roundTrip=self.heartbeat.roundTrip,
            idle=idle,
            busy=busy,
            waiting=waiting,
            strays=0 if self.fleet is None else self.fleet.strays,
        )

    def _silent(self) -> None:
        self.end(SILENT, "nothing was heard from the client")
