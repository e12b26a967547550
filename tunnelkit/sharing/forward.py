# -*- test-case-name: tests.sharing.test_forward -*-
"""
Forward: two endpoints joined over the relay, each connection of the one with a fresh
one of the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.endpoints import clientFromString, serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IListeningPort,
    IProtocol,
    IReactorTime,
)
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure

from tunnelkit.failures import StartFailed
from tunnelkit.interfaces import IEnd, IJoin, IRelay, Outcome, Undialled
from tunnelkit.relay.connection import Connection, Holder, isTLS
from tunnelkit.relay.endpoints import One
from tunnelkit.relay.occupant import whatThen
from tunnelkit.sharing.doors import Door
from tunnelkit.tunnels import detail
from tunnelkit.tunnels.bursts import Bursts
from tunnelkit.wire.address import HostPort, LocalAddress
from tunnelkit.wire.codes import ResetCode

DIALLING: Final = 10.0
"""How long connecting to the target may take, in seconds."""
HANDSHAKE: Final = 10.0
"""How long the TLS of who comes may take."""
CLIENTS: Final = 10_000
"""Connections at a time, where it is not told."""

Arrived: TypeAlias = Callable[[IEnd], None]


class Arriving(Holder):
    """
    Holds a connection until it can be joined: at once, or when its TLS is up.
    """

    def __init__(
        self,
        relay: IRelay,
        clock: IReactorTime,
        arrived: Arrived,
        gone: Callable[[Failure], None] = lambda reason: None,
    ) -> None:
        """
        @param arrived: gets its end.
        @param gone: told, in place of that, that it went before.
        """
        self._relay = relay
        self._clock = clock
        self._arrived = arrived
        self._gone = gone
        self._limit: IDelayedCall | None = None

    def held(self, connection: Connection) -> None:
        """
        A connection is there.
        """
        super().held(connection)
        if isTLS(connection.transport):
            cut = connection.transport.abortConnection
            self._limit = self._clock.callLater(HANDSHAKE, cut)
        else:
            self._arrived(self._relay.adopt(connection, b""))

    def handshakeCompleted(self) -> None:
        """
        Its TLS is up.
        """
        self._done()
        self._arrived(self._relay.adopt(self.connection, b""))

    def connectionLost(self, reason: Failure) -> None:
        """
        It went before.
        """
        if self._limit is not None:
            self._done()
            self._gone(reason)

    def _done(self) -> None:
        limit, self._limit = self._limit, None
        if limit is not None and limit.active():
            limit.cancel()


class Arrivals(Factory):
    """
    Who comes through an endpoint of Twisted's.
    """

    noisy = False

    def __init__(self, relay: IRelay, clock: IReactorTime, arrived: Arrived) -> None:
        self._made = lambda: Connection(Arriving(relay, clock, arrived))

    def buildProtocol(self, address: IAddress | None) -> IProtocol:  # type: ignore[override]
        """
        Make one.
        """
        return self._made()


class Forward(Service):
    """
    What C{tunnelkit forward} runs.
    """

    _log = Logger()

    def __init__(
        self,
        listen: HostPort | str,
        target: LocalAddress | str,
        reactor: Any,
        relay: IRelay,
        most: int = CLIENTS,
        failed: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        """
        @param listen: an address for plain TCP, or a server endpoint description.
        @param target: an address, or a client endpoint description.
        @param most: connections at a time; further ones are reset.
        @param failed: told, in one sentence, of a failure when it has started.
        """
        self._listen = listen
        self._target = target
        self._reactor = reactor
        self._relay = relay
        self._most = most
        self._port: IListeningPort | None = None
        self._door = Door(f"LISTEN {listen}", failed)
        self._joins: set[IJoin] = set()
        self._dialling: set[Deferred[IEnd]] = set()
        self._gone: Deferred[None] | None = None
        self._bursts = Bursts(self._say, reactor)

    def startService(self) -> None:
        """
        Listen.

        @raise StartFailed: that cannot be.
        """
        if isinstance(self._listen, HostPort):
            self._listenAt(self._listen)
        else:
            endpoint = serverFromString(self._reactor, self._listen)
            arrivals = Arrivals(self._relay, self._reactor, self._arrived)
            self._door.open(endpoint, arrivals)
        super().startService()
        self._log.info(
            "forwarding {listen} to {target}", listen=self._listen, target=self._target
        )

    def _listenAt(self, address: HostPort) -> None:
        try:
            self._port = self._relay.listen(address, self._arrived)
        except CannotListenError as e:
            raise StartFailed(
                f"cannot listen on LISTEN {address}: {whatThen(e)}"
            ) from e

    @property
    def streams(self) -> int:
        """
        How many connections there are, or are on their way.
        """
        return len(self._joins) + len(self._dialling)

    def _arrived(self, end: IEnd) -> None:
        if self.streams >= self._most or not self.running:
            self._bursts.note(f"{self._most} connections are here")
            end.abort()
            return
        dialled = self._dial()
        if not isinstance(dialled, Deferred):
            self._join(dialled, end)
            return
        self._dialling.add(dialled)
        dialled.addBoth(self._dialled, dialled)
        dialled.addCallbacks(
            self._join, self._ebDial, callbackArgs=(end,), errbackArgs=(end,)
        )

    def _dial(self) -> IEnd | Deferred[IEnd]:
        if not isinstance(self._target, str):
            return self._relay.dial(self._target, DIALLING)
        end: Deferred[IEnd] = Deferred(lambda _: connected.cancel())
        arriving = Arriving(self._relay, self._reactor, end.callback, end.errback)
        endpoint = clientFromString(self._reactor, self._target)
        connected = endpoint.connect(One(Connection(arriving)))
        connected.addTimeout(DIALLING, self._reactor)
        connected.addErrback(end.errback)
        return end

    def _dialled(self, result: Any, dialled: Deferred[IEnd]) -> Any:
        self._dialling.discard(dialled)
        return result

    def _join(self, target: IEnd, end: IEnd) -> None:
        if not self.running:
            target.abort()
            end.abort()
            return
        join = self._relay.join(end, target, b"")
        self._joins.add(join)
        join.tell(self._ended)

    def _ended(self, join: IJoin, outcome: Outcome) -> None:
        self._joins.discard(join)
        if detail.shown:
            self._log.debug(
                "a connection is over: {forth} bytes there, {back} back; {reason}",
                forth=join.forth,
                back=join.back,
                reason=outcome.reason or "both sides ended",
            )
        self._check()

    def _ebDial(self, failure: Failure, end: IEnd) -> None:
        end.abort()
        error = failure.value
        if isinstance(error, Undialled):
            self._bursts.note(error.reason)
        elif not failure.check(CancelledError):
            reason = failure.getErrorMessage() or type(error).__name__
            self._bursts.note(f"{self._target} cannot be reached: {reason}")
        self._check()

    def _say(self, sentence: str) -> None:
        self._log.warn("clients are reset: {sentence}", sentence=sentence)

    async def drain(self, grace: float) -> None:
        """
        Take no more connections, and give those that are here C{grace} seconds to end.
        """
        await self._close()
        if not self.streams:
            return
        self._gone = Deferred()
        late = self._reactor.callLater(grace, self._gone.callback, None)
        await self._gone
        if late.active():
            late.cancel()

    def _check(self) -> None:
        gone = self._gone
        if gone is not None and not gone.called and not self.streams:
            gone.callback(None)

    async def _close(self) -> None:
        port, self._port = self._port, None
        if port is not None:
            await maybeDeferred(port.stopListening)
        await self._door.close()

    def stopService(self) -> Deferred[None]:
        """
        Reset all that is left.
        """
        super().stopService()
        for dialled in [*self._dialling]:
            dialled.cancel()
        for join in [*self._joins]:
            join.abort(ResetCode.STOPPING, "we are stopping")
        self._bursts.stop()
        return Deferred.fromCoroutine(self._close())
