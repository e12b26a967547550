# -*- test-case-name: tests.dialects.pipe.test_client -*-
"""
Ways: how a client of pipe's gets connections to its server, each of which begins with a
login.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from tunnelkit.carrier.route import Reached, Route, Unreached
from tunnelkit.dialects.abroad import Means
from tunnelkit.dialects.house import PROGRAM
from tunnelkit.relay.connection import Connection, Holder
from tunnelkit.wire.pipe.codec import encode
from tunnelkit.wire.pipe.login import login
from tunnelkit.wire.pipe.packets import Cancel, Exchange, Forward

CLOSING: Final = 2.0
"""Seconds that a server has to take a forward back."""


class Ways:
    """
    Such ways, for all forwards of a client.

    @ivar server: where they lead, for people.
    @ivar host: the same without the port.
    """

    def __init__(self, route: Route, token: str, means: Means, host: str) -> None:
        """
        @param token: the shared secret.
        """
        self.server = route.server
        self.host = host
        self._route = route
        self._token = token
        self._means = means

    def open(self) -> Deferred[Reached]:
        """
        Connect to the server.

        @return: fails with C{Unreached}; can be cancelled.
        """
        return self._route.open()

    def opening(self, packet: Forward | Exchange | Cancel) -> bytes:
        """
        Make what is said first on a connection: the login, and what it is for.
        """
        said = login(self._token, self._means.now())
        return encode(replace(said, version=PROGRAM)) + encode(packet)

    def cancel(self, cancel: Cancel) -> Deferred[None]:
        """
        Take a forward back, as far as the server is there.

        @return: fires when it has closed the connection, which is its answer, or has
            not for too long.
        """
        leaving = self.open().addCallback(self._cancel, cancel)
        return leaving.addErrback(_unreached)

    def _cancel(self, reached: Reached, cancel: Cancel) -> Deferred[None]:
        closing = _Closing(self._means.reactor)
        reached.connection.hold(closing)
        reached.connection.transport.write(self.opening(cancel))
        return closing.closed


def _unreached(failure: Failure) -> None:
    failure.trap(Unreached, CancelledError, ConnectingCancelledError)


class _Closing(Holder):
    """
    A connection that the other side is to close.

    @ivar closed: fires when it is.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self.closed: Deferred[None] = Deferred()
        self._clock = clock
        self._deadline: IDelayedCall | None = None

    def held(self, connection: Connection) -> None:
        """
        Wait for that, and not for ever.
        """
        super().held(connection)
        abort = connection.transport.abortConnection
        self._deadline = self._clock.callLater(CLOSING, abort)

    def connectionLost(self, reason: Failure) -> None:
        """
        It is closed.
        """
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self.closed.callback(None)
