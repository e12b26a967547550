# -*- test-case-name: tests.endpoints.test_listening -*-
"""
Listening through a tunnel: an endpoint whose port is a server's, far away.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from twisted.internet.defer import Deferred, fail
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import (
    IDelayedCall,
    IListeningPort,
    IProtocolFactory,
    IStreamServerEndpoint,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from tunnelkit.endpoints.addresses import NOBODY, Address, addressOf
from tunnelkit.endpoints.program import LocalProgram, here
from tunnelkit.endpoints.shared import SharedClient, sharedBy
from tunnelkit.settings import ClientSettings
from tunnelkit.tunnels.spec import TunnelSpec
from tunnelkit.tunnels.wanted import Wanted


@dataclass(frozen=True, slots=True)
class Opened:
    """
    A tunnel is open.

    @ivar name: its name.
    @ivar address: where visitors find it, such as C{tcp://vps.example.org:9000}.
    """

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class Refused:
    """
    The server refuses a tunnel; it is asked again.

    @ivar name: the tunnel's name.
    @ivar reason: why, in words.
    """

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Lost:
    """
    A tunnel that was open is not, or the server of one that is to be is not there.  It
    comes back by itself.

    @ivar name: the tunnel's name.
    @ivar reason: why, in words.
    """

    name: str
    reason: str


Event: TypeAlias = Opened | Refused | Lost
"""What becomes of a tunnel."""
Watch: TypeAlias = Callable[[Event], object]
"""Is told of that."""


class NotPublished(CannotListenError):
    """
    A tunnel could not be had.  The text says why.
    """

    def __init__(self, reason: str) -> None:
        super().__init__("", 0, Exception(reason))
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


@implementer(IStreamServerEndpoint)
class TunnelServerEndpoint:
    """
    A public port of a server's, or a private tunnel there.
    """

    def __init__(
        self,
        reactor: Any,
        settings: ClientSettings,
        spec: TunnelSpec,
        wait: float | None = None,
        watch: Watch = lambda event: None,
    ) -> None:
        """
        @param settings: which server, and as who.
        @param spec: the tunnel; where its service is does not matter.
        @param wait: seconds after which C{listen} fails while the server is not there,
            or refuses; None for never.
        @param watch: told of what becomes of the tunnel.
        """
        self._reactor = reactor
        self._settings = settings
        self._spec = spec
        self._wait = wait
        self._watch = watch

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """
        Publish a factory.

        @return: fires when the tunnel is open for the first time, until when the log
            says why it is not; can be cancelled; fails with L{NotPublished}.
        """
        port = TunnelPort(
            self._reactor, self._settings, self._spec, protocolFactory, self._watch
        )
        return port.open(self._wait)


@implementer(IListeningPort)
class TunnelPort:
    """
    A port of a server's that leads here.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        settings: ClientSettings,
        spec: TunnelSpec,
        factory: IProtocolFactory,
        watch: Watch,
    ) -> None:
        self._reactor = reactor
        self._settings = settings
        self._spec = replace(spec, local=here(factory))
        self._factory = factory
        self._watch = watch
        self._address: Address = NOBODY
        self._shared: SharedClient | None = None
        self._wanted: Wanted | None = None
        self._opening: Deferred[IListeningPort] | None = None
        self._withdrawing = False
        self._waiting: list[Deferred[None]] = []
        self._late: IDelayedCall | None = None
        self._last: Event | None = None

    def open(self, wait: float | None) -> Deferred[IListeningPort]:
        """
        Ask for the tunnel.

        @param wait: seconds to wait at most, or None.
        """
        try:
            self.startListening()
        except Exception:  # of the factory's as well
            return fail()
        opening: Deferred[IListeningPort] = Deferred(self._cancelled)
        self._opening = opening
        if wait is not None:
            self._late = self._reactor.callLater(wait, self._tooLate, wait)
        return opening

    def startListening(self) -> None:
        """
        Ask for the tunnel, again where it was withdrawn.

        @raise CannotListenError: the program has one of that name already.
        """
        if self._wanted is not None:
            return
        self._factory.doStart()
        shared = sharedBy(self._reactor, self._settings)
        local = LocalProgram(
            self._spec, shared.relay, self._reactor, self._factory, shared.left
        )
        try:
            wanted = shared.publish(self._spec, local, self._changed)
        except ValueError as e:
            self._factory.doStop()
            raise NotPublished(str(e)) from None
        self._shared, self._wanted = shared, wanted

    def stopListening(self) -> Deferred[None]:
        """
        Withdraw the tunnel; who came goes on.

        @return: fires when it is withdrawn.
        """
        if self._opening is not None:
            self._opening.cancel()
        return self._withdraw()

    def getHost(self) -> Address:
        """
        Give the public address, the last one where there is none at the moment.  Its
        host may be a name.
        """
        return self._address

    def _withdraw(self) -> Deferred[None]:
        wanted, self._wanted = self._wanted, None
        if wanted is not None and self._shared is not None:
            self._over()
            self._withdrawing = True
            self._shared.withdraw(wanted).addBoth(self._withdrawn)
        done: Deferred[None] = Deferred()
        if self._withdrawing:
            self._waiting.append(done)
        else:
            done.callback(None)
        return done

    def _withdrawn(self, result: Failure | None) -> None:
        self._withdrawing = False
        self._factory.doStop()
        waiting, self._waiting = self._waiting, []
        for done in waiting:
            done.callback(None)
        if isinstance(result, Failure):
            self._log.failure("a bug at withdrawing a tunnel", result)

    def _over(self) -> None:
        if self._late is not None and self._late.active():
            self._late.cancel()

    def _changed(self) -> None:
        wanted, shared = self._wanted, self._shared
        if wanted is None or shared is None:
            return
        event: Event | None = None
        if wanted.address:
            self._address = addressOf(wanted.address)
            event = Opened(wanted.spec.name, wanted.address)
        elif shared.trouble:
            event = Lost(wanted.spec.name, shared.trouble)
        elif wanted.reason:
            event = Refused(wanted.spec.name, wanted.reason)
        if event is not None and event != self._last:
            self._last = event
            self._tell(event)
        if wanted.address and self._opening is not None:
            self._over()
            opening, self._opening = self._opening, None
            opening.callback(self)

    def _tell(self, event: Event) -> None:
        try:
            self._watch(event)
        except Exception:
            # Others share the connection, which is to come back whoever fails.
            self._log.failure("a bug at who watches {name}", name=self._spec.name)

    def _cancelled(self, opening: Deferred[IListeningPort]) -> None:
        self._opening = None
        self._withdraw()

    def _tooLate(self, wait: float) -> None:
        opening, self._opening = self._opening, None
        trouble = "" if self._shared is None else self._shared.trouble
        refusal = "" if self._wanted is None else self._wanted.reason
        why = trouble or refusal or "the server did not answer"
        self._withdraw()
        if opening is not None:
            name = self._spec.name
            reason = f"tunnel {name} was not open within {wait:g} seconds: {why}"
            opening.errback(NotPublished(reason))
