# -*- test-case-name: tests.portal.test_portals -*-
"""
Portals: what a near one and a far one have in common, which is one UDP socket, who is
known there and who is not, and a look around each second.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from tunnelkit.failures import StartFailed
from tunnelkit.portal.addresses.candidates import Candidates, unique
from tunnelkit.portal.addresses.own import OwnAddress
from tunnelkit.portal.addresses.places import Place
from tunnelkit.portal.addresses.sockets import Address, Socket
from tunnelkit.portal.settings import PortalSettings, Surroundings
from tunnelkit.relay.asked import Source
from tunnelkit.wire.address import HostPort
from tunnelkit.wire.native.frames import WireError

STRANGERS: Final = "of strangers"
REPORTED: Final = 600.0
"""Seconds between two lines of the log about what was dropped, if anything was."""


class Portal(Service):
    """
    Either of the two.

    @ivar counts: what was dropped, and why.
    @ivar relays: public addresses of tunnels to this portal.
    @ivar socket: its own socket.
    """

    _log = Logger()

    def __init__(self, settings: PortalSettings, around: Surroundings) -> None:
        self.settings = settings
        self.around = around
        self.counts: Counter[str] = Counter()
        self.socket = Socket(self._received)
        servers = [self.place(server) for server in settings.stun]
        self.own = OwnAddress(
            servers, around.clock, around.random, self.socket.write, self.counts
        )
        self.relays = [self.place(settings.relay)] if settings.relay else []
        self._seconds = LoopingCall(self._second)
        self._seconds.clock = around.clock
        self._warned = False
        self._reported: Counter[str] = Counter()
        self._reporting = 0.0

    def place(self, target: HostPort) -> Place:
        """
        Make a place of an address.
        """
        return Place(target, self.around.resolve, self.around.clock)

    @property
    def candidates(self) -> Candidates:
        """
        Where this portal may be found.
        """
        port = self.socket.at.port
        bound = self.settings.bind.host
        hosts = [bound] if bound else self.around.outbound()
        local = tuple((host, port) for host in hosts)
        if self.settings.secret is None:
            # A program that is not ours reads one address, so it must be the right one.
            return Candidates((self.own.addresses if self.settings.stun else local)[:1])
        return Candidates(unique([*self.own.addresses, *local]), self.relayAddresses)

    @property
    def relayAddresses(self) -> tuple[Address, ...]:
        """
        Where it may be found through tunnels, as far as that is known.
        """
        # Whether a near portal has IPv4, IPv6 or both is not known here.
        return unique(each for relay in self.relays for each in relay.ofEachFamily())

    def startService(self) -> None:
        """
        Bind the socket, and begin.

        @raise StartFailed: it cannot be.
        """
        bind = self.settings.bind
        try:
            host = bind.host or self.around.everywhere
            self.socket.open(self.around.listen, host, bind.port)
        except CannotListenError as e:
            raise StartFailed(
                f"--bind: UDP {bind.host or '*'}:{bind.port} cannot be had: "
                f"{e.socketError}"
            ) from e
        self.own.start()
        super().startService()
        self._seconds.start(1.0).addErrback(
            lambda failure: self._log.failure("a bug: the portal stands still", failure)
        )

    def stopService(self) -> Deferred[None] | None:
        """
        End all.
        """
        super().stopService()
        if self._seconds.running:
            self._seconds.stop()
        self.own.stop()
        for relay in self.relays:
            relay.stop()
        self.socket.close()
        self._report()
        return None

    def taken(self, packet: bytes, source: Address) -> None:
        """
        Take a packet of another portal's.

        @raise WireError: it is none.
        """
        raise NotImplementedError

    def second(self) -> None:
        """
        Do what is to be done each second.
        """

    def _second(self) -> None:
        try:
            self.second()
        except Exception:
            self._log.failure("a bug in a portal's second")
        now = self.around.clock.seconds()
        if now - self._reporting >= REPORTED:
            self._reporting = now
            self._report()

    def _report(self) -> None:
        """
        Say what was dropped since this was last said.
        """
        new = self.counts - self._reported
        self._reported = self.counts.copy()
        if new:
            parts = (f"{count} {what}" for what, count in sorted(new.items()))
            self._log.info("counted of late: {counts}", counts=", ".join(parts))

    def _received(self, packet: bytes, source: Address, asked: Source) -> None:
        if self.own.takes(packet, source):
            return
        try:
            self.taken(packet, source)
        except WireError as e:
            self._stranger(str(e), source)

    def _stranger(self, reason: str, source: Address) -> None:
        """
        Count a packet that is not right.  The log has the first, and no more of them:
        anybody can send as many as they like.
        """
        self.counts[STRANGERS] += 1
        if not self._warned:
            self._warned = True
            self._log.info(
                "strangers send packets, which are dropped and counted: the first from"
                " {host}: {reason}",
                host=source[0],
                reason=reason,
            )
