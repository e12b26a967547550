# -*- test-case-name: tests.dialects.pipe.abroad.test_client -*-
"""
Ways: how a client of pipe's gets connections to its server, each of which begins with a
login.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.error import ConnectingCancelledError
from twisted.python.failure import Failure

from tunnelkit.carrier.route import Reached, Route, Unreached
from tunnelkit.dialects.abroad import Means
from tunnelkit.dialects.house import PROGRAM
from tunnelkit.relay.connection import Holder
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
        parting = _Parting(self.opening(cancel))
        leaving = self.open().addCallback(parting.begin)
        leaving.addTimeout(CLOSING, self._means.reactor)
        return leaving.addErrback(parting.give)


class _Parting(Holder):
    """
    A connection on which one thing is said, and that the other side closes then.
    """

    def __init__(self, said: bytes) -> None:
        self._said = said
        self._reached: Reached | None = None
        self._closed: Deferred[None] = Deferred()

    def begin(self, reached: Reached) -> Deferred[None]:
        """
        Say it.

        @return: fires when the connection is closed.
        """
        self._reached = reached
        reached.connection.hold(self)
        reached.connection.transport.write(self._said)
        return self._closed

    def give(self, failure: Failure) -> None:
        """
        Give up.
        """
        failure.trap(Unreached, TimeoutError, CancelledError, ConnectingCancelledError)
        if self._reached is not None:
            self._reached.connection.transport.abortConnection()

    def connectionLost(self, reason: Failure) -> None:
        """
        It is closed.
        """
        self._closed.callback(None)
