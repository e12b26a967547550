# -*- test-case-name: tests.dialects.pipe.abroad.test_client -*-
"""
Bringing: the connections that a server of pipe's asks a client of ours for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from tunnelkit.carrier.route import Reached, Unreached
from tunnelkit.dialects.abroad import Means
from tunnelkit.dialects.pipe.abroad.landing import Landing
from tunnelkit.dialects.pipe.abroad.ways import Ways
from tunnelkit.relay.connection import Connection, Holder
from tunnelkit.tunnels.bursts import Bursts
from tunnelkit.tunnels.local import LocalTCP
from tunnelkit.tunnels.localudp import LocalUDP
from tunnelkit.tunnels.spec import TunnelSpec
from tunnelkit.wire.native.messages import Start
from tunnelkit.wire.pipe.packets import Exchange

AGAIN: Final = 5.0
"""Seconds that a server has to ask again for the connection of the datagrams."""
MOST: Final = 1024
"""Connections on their way at a time; a server gives each up after ten seconds."""


class Bringing:
    """
    Brings them, for one forward.
    """

    _log = Logger()

    def __init__(
        self,
        spec: TunnelSpec,
        local: LocalTCP | LocalUDP,
        ways: Ways,
        means: Means,
        unserved: Callable[[str], None],
    ) -> None:
        """
        @param unserved: told, in words, that the server has to be asked anew.
        """
        self._spec = spec
        self._local = local
        self._ways = ways
        self._relay = means.relay
        self._bursts = Bursts(self._say, means.reactor)
        self._opening: set[Deferred[Reached]] = set()
        self._count = 0
        self._landing: Landing | None = None
        self._spare = _Spare(self._carry)
        self._clock = means.reactor
        self._unserved = unserved
        self._waiting: IDelayedCall | None = None

    def bring(self, exchange: Exchange) -> None:
        """
        Open a connection for a visitor, or for all datagrams.
        """
        if len(self._opening) >= MOST:
            self._bursts.note(f"{MOST} connections are on their way already")
            return
        opening = self._ways.open()
        self._opening.add(opening)
        opening.addBoth(self._opened, opening)
        opening.addCallback(self._reached, exchange).addErrback(self._ebOpen)

    def close(self) -> None:
        """
        Bring no more of those that are on their way.
        """
        for opening in [*self._opening]:
            opening.cancel()
        self._bursts.stop()
        self._wait()
        self._spare.close()
        if self._landing is not None:
            self._landing.close()

    def _opened(
        self, result: Reached | Failure, opening: Deferred[Reached]
    ) -> Reached | Failure:
        self._opening.discard(opening)
        return result

    def _reached(self, reached: Reached, exchange: Exchange) -> None:
        spec, local = self._spec, self._local
        said = self._ways.opening(Exchange(exchange.id, spec.kind))
        if isinstance(local, LocalUDP):
            reached.connection.transport.write(said)
            self._land(local, reached.connection)
        else:
            # Of its end a stock server makes nothing, and ours passes it on.
            end = self._relay.adopt(reached.connection, b"", opening=said)
            self._count += 1
            local.started(end, Start(self._count, spec.name, spec.kind, "", ""))

    def _land(self, local: LocalUDP, connection: Connection) -> None:
        if self._landing is None:
            self._landing = Landing(self._spec.name, local, self._clock)
        if self._landing.carries:
            # A server of ours asks for one, too, to see whether we live.
            self._spare.replace(connection)
        else:
            self._carry(connection, b"")

    def _carry(self, connection: Connection, rest: bytes) -> None:
        assert self._landing is not None, "it is made with the first connection"
        self._wait()
        self._landing.carry(connection, rest, self._lost)

    def _lost(self) -> None:
        """
        The connection of the datagrams is gone.  A server of ours asks for another; a
        stock one does not.
        """
        spare = self._spare.take()
        if spare is not None:
            self._carry(spare, b"")
            return
        self._wait()
        self._waiting = self._clock.callLater(
            AGAIN,
            self._unserved,
            "the connection for datagrams is lost, and the server asks for no other",
        )

    def _wait(self) -> None:
        if self._waiting is not None and self._waiting.active():
            self._waiting.cancel()
        self._waiting = None

    def _ebOpen(self, failure: Failure) -> None:
        if isinstance(failure.value, Unreached):
            self._bursts.note(str(failure.value))
        elif not failure.check(CancelledError, ConnectingCancelledError):
            self._log.failure("a bug at {name}", failure, name=self._spec.name)

    def _say(self, sentence: str) -> None:
        self._log.warn(
            "visitors of {name} are not served: {sentence}",
            name=self._spec.name,
            sentence=sentence,
        )


class _Spare(Holder):
    """
    A second connection for datagrams: the first is left for it when something comes
    there, or when that is gone.
    """

    def __init__(self, spoke: Callable[[Connection, bytes], None]) -> None:
        """
        @param spoke: told of the connection when something comes there.
        """
        self._spoke = spoke
        self._there: Connection | None = None

    def replace(self, connection: Connection) -> None:
        """
        Have another one.
        """
        self.close()
        self._there = connection
        connection.hold(self)

    def take(self) -> Connection | None:
        """
        Give it away, where there is one.
        """
        there, self._there = self._there, None
        return there

    def close(self) -> None:
        """
        Close it.
        """
        there = self.take()
        if there is not None:
            there.hold(Holder())
            there.transport.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        """
        It is the one that counts.
        """
        there = self.take()
        if there is not None:
            self._spoke(there, data)

    def connectionLost(self, reason: Failure) -> None:
        """
        It is gone, as is one that was to show that we live.
        """
        self._there = None
