# -*- test-case-name: tests.test_server -*-
"""
Server: listens for clients, publishes what they ask for, and remembers who had which
port.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocolFactory,
    IReactorThreads,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from tunnelkit.control.leases.spaces import Spaces
from tunnelkit.control.rotation import Rotation
from tunnelkit.control.rounds import Round
from tunnelkit.control.sessions import Sessions, Watcher
from tunnelkit.dialects.doorway import Doorway
from tunnelkit.dialects.house import PROGRAM, House
from tunnelkit.dialects.native.greeting import Greeting
from tunnelkit.failures import StartFailed
from tunnelkit.interfaces import IRelay
from tunnelkit.notice import facts, firstStart, warnings, whyDeaf, whyNoStart
from tunnelkit.relay.best import relayFor
from tunnelkit.relay.connection import named
from tunnelkit.relay.endpoints import IPortableReactor
from tunnelkit.relay.secure import ServerTLS
from tunnelkit.settings import ServerSettings
from tunnelkit.state.certificates import CertificateWatch, readPair
from tunnelkit.state.folder import StateError, StateFolder
from tunnelkit.state.store import SQLiteStore, inThread
from tunnelkit.state.users import Users, UsersError
from tunnelkit.status import IStatusSource, Rooms, ServerStatus
from tunnelkit.tunnels.bursts import Bursts
from tunnelkit.tunnels.kinds import PUBLIC
from tunnelkit.tunnels.published import Published
from tunnelkit.wire import codes
from tunnelkit.wire.address import HostPort
from tunnelkit.wire.certificate import CertificateError

SWEEP: Final = 5.0
"""Seconds between two looks at all work connections."""
TOUCH: Final = 60.0
"""Seconds between two notes of which leases are live."""
_LOOK: Final = 0.1
"""Seconds between two looks at whether all streams have ended."""


class IServerReactor(IPortableReactor, IReactorThreads):
    """
    What a server needs of a reactor.
    """


@implementer(IStatusSource)
class Server(Service):
    """
    A server, from its state folder to its ports.

    @ivar watchers: those who are told of sessions that come and go.
    """

    _log = Logger()

    def __init__(
        self,
        settings: ServerSettings,
        reactor: IServerReactor,
        random: Callable[[int], bytes],
        rooms: Rooms,
        now: Callable[[], float] = time.time,
        relay: IRelay | None = None,
        http: Callable[[], Any] = lambda: None,
    ) -> None:
        """
        Touch nothing yet: twistd may fork between this and the start.

        @param random: gives so many random bytes, such as C{os.urandom}.
        @param rooms: makes the admin site.
        @param now: gives the time, seconds since 1970.
        @param http: makes what makes HTTP requests, as C{treq} does.
        """
        self._settings = settings
        self._http = http
        self._reactor = reactor
        self._random = random
        self._rooms = rooms
        self._now = now
        self._relay = relay or relayFor(reactor)
        self._folder = StateFolder(settings.state)
        self._inThread = inThread(reactor)
        self._doors: list[IListeningPort] = []
        self._closings: list[Callable[[], object]] = []
        self._draining = self._settled = False
        self._adminAt = ""
        self.watchers: list[Watcher] = []

    # Starting.

    def startService(self) -> None:
        """
        Open the state folder, and listen.

        @raise StartFailed: that cannot be; what was opened is closed again.
        """
        self._started = self._now()
        self._draining = self._settled = False
        try:
            first = self._openFolder()
            self._furnish()
            self._openPorts()
        except (StateError, UsersError, CertificateError, OSError) as e:
            self._close()
            raise StartFailed(whyNoStart(self._settings, e)) from e
        except BaseException:
            self._close()
            raise
        self._every(SWEEP, self._sessions.sweep)
        self._every(TOUCH, self._leases.touch)
        self._begin(self._watch.start, self._watch.stop)
        self._begin(lambda: self._users.start(self._reactor), self._users.stop)
        self._introduce(first)
        self._settled = True
        super().startService()

    def _openFolder(self) -> bool:
        """
        @return: whether this is the first start.
        """
        settings, folder = self._settings, self._folder
        own = settings.hostname or socket.gethostname()
        names = dict.fromkeys((own, "localhost", "127.0.0.1", "::1"))
        self._begin(folder.lock, folder.unlock)
        prepared = folder.prepare(
            self._random,
            datetime.fromtimestamp(self._now(), UTC),
            names,
            user=settings.token is None,
        )
        certificate = settings.certificate or folder.certificateFile
        key = settings.key or folder.keyFile
        pair = readPair(certificate, key)
        self._tls = ServerTLS(pair)
        self._rotation = Rotation(self._tls, lambda: self._sessions)
        self._watch = CertificateWatch(
            certificate, key, self._rotation.changed, pair, self._reactor
        )
        speakers = {user for spec in settings.dialects for user in spec.users}
        self._users = Users(
            folder.usersFile, self._now, settings.token, self._random, speakers
        )
        self._sessions = Sessions(
            self._reactor,
            self._now,
            self._random,
            self._users.allowed,
            watchers=self.watchers,
        )
        self._closings.append(self._sessions.stop)
        self._leases = Spaces(
            SQLiteStore(folder.leasesFile, self._apart),
            settings.allowed,
            clock=self._reactor,
            now=self._now,
            choose=self._choose,
            picked=settings.picked,
        )
        self._begin(self._leases.load, self._leases.close)
        return prepared.user

    def _furnish(self) -> None:
        """
        Put together what a connection meets on its way in.
        """
        settings = self._settings
        self._users.onRevoked(self._sessions.revoke)
        self._published = Published(
            self._leases.bySpace,
            self._relay,
            self._reactor,
            PUBLIC,
            settings.bind,
            settings.hostname,
            settings.bindUDP,
            self._users.visitors,
        )
        troubles = Bursts(
            lambda sentence: self._log.warn("{sentence}", sentence=sentence),
            self._reactor,
        )
        self._closings.append(troubles.stop)
        self._house = House(
            clock=self._reactor,
            relay=self._relay,
            sessions=self._sessions,
            published=self._published,
            lookup=self._users.lookup,
            decoyKey=self._folder.decoyKey(),
            nonce=lambda: self._random(16).hex(),
            shown=self._rotation.hashes,
            troubles=troubles,
            now=self._now,
            http=self._http,
            atEnd=self._closings.append,
        )
        self.dialers = self._house.switchboard
        self._doorway = Doorway(
            self._reactor,
            self._relay,
            self._tls,
            lambda guest: Greeting(self._house, guest),
            settings.insecure or settings.behindTLS,
            dialects=[spec.make(self._house) for spec in settings.dialects],
        )

    def _openPorts(self) -> None:
        self._closings.append(self._doorway.close)
        self._tryBind("--bind", self._settings.bind)
        self._tryBind("--bind-udp", self._settings.bindUDP)
        self._doors.clear()
        for description in self._settings.ports:
            self._doors.append(self._listen("--port", description, self._doorway))
        if self._settings.admin is not None:
            site = self._rooms(self, self._folder.adminToken(), self._reactor)
            admin = self._listen("--admin", self._settings.admin, site)
            self._adminAt = named(admin.getHost())

    def _tryBind(self, option: str, bind: str) -> None:
        """
        Find out now, not at the first tunnel, whether public ports can be had.
        """
        try:
            trial = self._relay.listen(HostPort(bind, 0), lambda one: one.abort())
        except CannotListenError as e:
            raise StartFailed(whyDeaf(option, bind, e)) from e
        maybeDeferred(trial.stopListening)

    def _listen(
        self, option: str, description: str, factory: IProtocolFactory
    ) -> IListeningPort:
        listening: list[IListeningPort] = []
        failures: list[Failure] = []
        try:
            endpoint = serverFromString(self._reactor, description)
            endpoint.listen(factory).addCallbacks(listening.append, failures.append)
        except Exception:
            # Twisted's parsers raise what they like.
            failures.append(Failure())
        if failures:
            given = self._settings.given.get(description, description)
            raise StartFailed(whyDeaf(option, given, failures[0].value))
        (port,) = listening
        self._closings.append(port.stopListening)
        return port

    def _introduce(self, first: bool) -> None:
        """
        Say what a person needs to know.
        """
        settings = self._settings
        for warning in warnings(settings):
            self._log.warn("{sentence}", sentence=warning)
        for door in self._doors:
            self._log.info("listening on {where}", where=named(door.getHost()))
        for fact in facts(settings, self._tls.pair.fingerprint, self._adminAt):
            self._log.info("{sentence}", sentence=fact)
        if first:
            host = settings.hostname or socket.gethostname()
            command = firstStart(settings, host, self._port(), self._folder.tokenFile)
            self._log.info("{sentence}", sentence=command)

    def _port(self) -> int | None:
        ports = (getattr(door.getHost(), "port", None) for door in self._doors)
        return next(filter(None, ports), None)

    def _every(self, seconds: float, call: Callable[[], None]) -> None:
        one = Round(seconds, call, self._reactor)
        self._begin(one.start, one.stop)

    def _choose(self, below: int) -> int:
        return int.from_bytes(self._random(8), "big") % below

    def _apart(self, call: Callable[[], None]) -> Deferred[None]:
        """
        Run what may block in a thread; before all has started there is none, and
        nobody who would have to wait.
        """
        return self._inThread(call) if self._settled else maybeDeferred(call)

    # Stopping.

    async def drain(self, grace: float) -> None:
        """
        Take no more clients and visitors, and give the streams under way time to end.

        The ports for clients stay open: visitors who wait need work connections.

        @param grace: seconds at most.
        """
        self._draining = True
        # What is live now stays leased, however its tunnel ends.
        self._leases.close()
        self._sessions.close()
        self._published.close()
        for session in self._sessions:
            session.channel.drain(grace)
            for tunnel in session.tunnels.values():
                tunnel.withdraw()
        until = self._reactor.seconds() + grace
        while self._underWay() and self._reactor.seconds() < until:
            pause: Deferred[None] = Deferred()
            self._reactor.callLater(_LOOK, pause.callback, None)
            await pause

    def stopService(self) -> Deferred[Any] | None:
        """
        End all sessions, and close what was opened.
        """
        if not self.running:
            return None
        super().stopService()
        self._sessions.close()
        # Before the sessions end: what is live now stays leased.
        self._leases.close()
        for session in self._sessions:
            session.end(codes.DRAINING, "the server is stopping")
        return self._close()

    def _begin(self, begin: Callable[[], object], close: Callable[[], object]) -> None:
        """
        Open something, and remember how it is closed.
        """
        begin()
        self._closings.append(close)

    def _close(self) -> Deferred[Any]:
        """
        Close what was opened, the last first, and each when the one before is closed.
        """
        return Deferred.fromCoroutine(self._closeAll())

    async def _closeAll(self) -> None:
        while self._closings:
            try:
                await maybeDeferred(self._closings.pop())
            except Exception:
                self._log.failure("a bug at closing")

    def _underWay(self) -> bool:
        # Busy: not all of a stream is with the local service yet, as far as we know.
        return any(each.streams or each.pool.counts[1] for each in self._sessions)

    # While it runs.

    def reload(self) -> None:
        """
        Look at the certificate and at the users now.
        """
        self._watch.check()
        self._users.reload()

    def troubles(self) -> tuple[str, ...]:
        """
        Say what is wrong, a sentence each.
        """
        stopping = "the server is stopping" if self._draining else None
        return tuple(filter(None, (self._leases.trouble, stopping)))

    def status(self) -> ServerStatus:
        """
        Give a picture of this moment.
        """
        sessions = [*self._sessions]
        return ServerStatus(
            program=PROGRAM,
            started=self._started,
            draining=self._draining,
            troubles=self.troubles(),
            counts=(*self._doorway.counts.items(), *self._house.counts.items()),
            openings=self._doorway.guests,
            sessions=tuple(session.status() for session in sessions),
            tunnels=self._published.status(sessions),
        )
