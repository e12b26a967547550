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
from typing import Any, Final, Protocol

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, gatherResults, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocolFactory,
    IReactorThreads,
    IReactorTime,
)
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from tunnelkit.control.certificates import CertificateWatch, readPair
from tunnelkit.control.leases import Leases
from tunnelkit.control.sessions import Sessions
from tunnelkit.control.state import StateError, StateFolder
from tunnelkit.control.store import SQLiteStore, inThread
from tunnelkit.control.users import Users, UsersError
from tunnelkit.dialects.doorway import Doorway
from tunnelkit.dialects.native.greeting import Greeting
from tunnelkit.dialects.native.house import PROGRAM, House
from tunnelkit.failures import StartFailed
from tunnelkit.interfaces import IRelay, IStatusSource, ServerStatus
from tunnelkit.relay.portable import IPortableReactor, PortableRelay
from tunnelkit.relay.secure import ServerTLS
from tunnelkit.settings import ServerSettings
from tunnelkit.tunnels.kinds import PUBLIC
from tunnelkit.tunnels.published import Published
from tunnelkit.wire import codes
from tunnelkit.wire.certificate import CertificateError, CertificatePair
from tunnelkit.wire.messages import Drain

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


class Rooms(Protocol):
    """
    Makes the admin site.
    """

    def __call__(
        self, source: IStatusSource, token: str, clock: IReactorTime
    ) -> IProtocolFactory: ...


@implementer(IStatusSource)
class Server(Service):
    """
    A server, from its state folder to its ports.
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
    ) -> None:
        """
        Touch nothing yet: twistd may fork between this and the start.

        @param random: gives so many random bytes, such as C{os.urandom}.
        @param rooms: makes the admin site.
        @param now: gives the time, seconds since 1970.
        """
        self._settings = settings
        self._reactor = reactor
        self._random = random
        self._rooms = rooms
        self._now = now
        self._relay = relay or PortableRelay(reactor)
        self._folder = StateFolder(settings.state)
        self._ports: list[IListeningPort] = []
        self._loops: list[LoopingCall] = []
        self._draining = False

    # Starting.

    def startService(self) -> None:
        """
        Open the state folder, and listen.

        @raise StartFailed: that cannot be; what was opened is closed again.
        """
        self._started = self._now()
        try:
            first = self._openFolder()
            self._furnish()
            self._openPorts()
        except (StateError, UsersError, CertificateError, OSError) as e:
            self._letGo()
            raise StartFailed(str(e)) from e
        except StartFailed:
            self._letGo()
            raise
        self._every(SWEEP, self._sessions.sweep)
        self._every(TOUCH, self._leases.touch)
        self._users.start(self._reactor)
        self._watch.start()
        self._introduce(first)
        super().startService()

    def _openFolder(self) -> bool:
        """
        @return: whether this is the first start.
        """
        settings, folder = self._settings, self._folder
        now = datetime.fromtimestamp(self._now(), UTC)
        names = dict.fromkeys(
            (settings.hostname or socket.gethostname(), "localhost", "127.0.0.1", "::1")
        )
        prepared = folder.prepare(self._random, now, names, user=settings.token is None)
        certificate = settings.certificate or folder.certificateFile
        key = settings.key or folder.keyFile
        pair = readPair(certificate, key)
        self._tls = ServerTLS(pair)
        self._newest = pair
        self._watch = CertificateWatch(
            certificate, key, self._certificateChanged, pair, self._reactor
        )
        self._users = Users(folder.usersFile, self._now, settings.token, self._random)
        self._leases = Leases(
            SQLiteStore(folder.leasesFile, inThread(self._reactor)),
            settings.allowed,
            clock=self._reactor,
            now=self._now,
            choose=self._choose,
        )
        self._leases.load()
        return prepared.user

    def _furnish(self) -> None:
        """
        Put together what a connection meets on its way in.
        """
        settings = self._settings
        self._sessions = Sessions(self._reactor, self._now, self._random)
        self._users.onRevoked(self._sessions.revoke)
        self._published = Published(
            self._leases,
            self._relay,
            self._reactor,
            PUBLIC,
            settings.bind,
            settings.hostname,
        )
        self._house = House(
            clock=self._reactor,
            relay=self._relay,
            sessions=self._sessions,
            published=self._published,
            lookup=self._users.lookup,
            decoyKey=self._folder.decoyKey(),
            nonce=lambda: self._random(16).hex(),
        )
        self._doorway = Doorway(
            self._reactor,
            self._relay,
            self._tls,
            lambda guest: Greeting(self._house, guest),
            settings.insecure or settings.behindTLS,
        )

    def _openPorts(self) -> None:
        for description in self._settings.ports:
            self._listen("--port", description, self._doorway)
        if self._settings.admin is not None:
            site = self._rooms(self, self._folder.adminToken(), self._reactor)
            self._listen("--admin", self._settings.admin, site)

    def _listen(self, option: str, description: str, factory: IProtocolFactory) -> None:
        failures: list[Failure] = []
        listening = serverFromString(self._reactor, description).listen(factory)
        listening.addCallbacks(self._ports.append, failures.append)
        if failures:
            raise StartFailed(
                f"cannot listen on {option} {description}: {_why(failures[0])}"
            )

    def _introduce(self, first: bool) -> None:
        """
        Say what a person needs to know.
        """
        settings = self._settings
        host = settings.hostname or socket.gethostname()
        for port in self._ports:
            self._log.info("listening on {where}", where=str(port.getHost()))
        self._log.info(
            "certificate's fingerprint: sha256:{fingerprint}",
            fingerprint=self._tls.pair.fingerprint,
        )
        if settings.insecure or settings.behindTLS:
            self._log.warn(
                "plain TCP is accepted: whoever can read the wire between client "
                "and server can read all that visitors send, and take sessions over"
            )
        if first:
            self._log.info(
                "first start: copy {token} to the machine that has the service, and "
                "run there: twistd -n tunnelclient --server {host}:{port} "
                "--token-file default.token --tunnel tcp:8000",
                token=str(self._folder.tokenFile),
                host=host,
                port=self._firstPort(),
            )

    def _firstPort(self) -> int:
        hosts = (port.getHost() for port in self._ports)
        return next((getattr(host, "port", 0) for host in hosts), 0)

    def _every(self, seconds: float, call: Callable[[], None]) -> None:
        loop = LoopingCall(call)
        loop.clock = self._reactor
        loop.start(seconds, now=False).addErrback(
            lambda failure: self._log.failure("a bug in a loop", failure)
        )
        self._loops.append(loop)

    def _choose(self, below: int) -> int:
        return int.from_bytes(self._random(8), "big") % below

    # Stopping.

    async def drain(self, grace: float) -> None:
        """
        Take no more clients and visitors, and give the streams under way time to end.

        @param grace: seconds at most.
        """
        self._draining = True
        self._closePorts()
        for session in self._sessions:
            session.channel.send(Drain(round(grace)))
            for tunnel in session.tunnels.values():
                tunnel.withdraw()
        until = self._reactor.seconds() + grace
        while self._streams() and self._reactor.seconds() < until:
            pause: Deferred[None] = Deferred()
            self._reactor.callLater(_LOOK, pause.callback, None)
            await pause

    def stopService(self) -> Deferred[Any]:
        """
        End all sessions, and close what was opened.
        """
        super().stopService()
        # Before the sessions end: what is live now stays leased.
        written = self._leases.close()
        for session in self._sessions:
            session.end(codes.DRAINING, "the server is stopping")
        closed = self._closePorts()
        self._letGo()
        return gatherResults([written, closed])

    def _closePorts(self) -> Deferred[Any]:
        ports, self._ports = self._ports, []
        return gatherResults([maybeDeferred(port.stopListening) for port in ports])

    def _letGo(self) -> None:
        for loop in self._loops:
            if loop.running:
                loop.stop()
        self._loops.clear()
        if hasattr(self, "_watch"):
            self._watch.stop()
        if hasattr(self, "_users"):
            self._users.stop()
        self._folder.unlock()

    def _streams(self) -> int:
        return sum(session.streams for session in self._sessions)

    # While it runs.

    def reload(self) -> None:
        """
        Look at the certificate and at the users now.
        """
        self._watch.check()
        self._users.reload()

    def _certificateChanged(self, pair: CertificatePair) -> None:
        """
        Show a new certificate, once the clients that are there know it: their work
        connections may then show the one or the other.
        """
        self._newest = pair
        hashes = (self._tls.pair.fingerprint, pair.fingerprint)
        told = [session.channel.vouch(hashes) for session in self._sessions]
        DeferredList(told).addCallback(lambda _: self._show(pair))

    def _show(self, pair: CertificatePair) -> None:
        if pair is self._newest:
            self._tls.show(pair)

    def status(self) -> ServerStatus:
        """
        Give a picture of this moment.
        """
        sessions = [*self._sessions]
        trouble = self._leases.trouble
        return ServerStatus(
            program=PROGRAM,
            started=self._started,
            draining=self._draining,
            troubles=(trouble,) if trouble else (),
            counts=(*self._doorway.counts.items(), *self._house.counts.items()),
            openings=self._doorway.guests,
            sessions=tuple(session.status() for session in sessions),
            tunnels=self._published.status(sessions),
        )


def _why(failure: Failure) -> str:
    """
    Say why a port cannot be had, and what to do.
    """
    error = failure.value
    if isinstance(error, CannotListenError):
        return (
            f"{error.socketError}: stop the program that has it, or give another port"
        )
    return failure.getErrorMessage()
