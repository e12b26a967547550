# -*- test-case-name: tests.sharing.test_doors -*-
"""
Doors: where a share or a forwarder is reached, by an endpoint of any kind.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IStreamServerEndpoint
from twisted.python.failure import Failure

from tunnelkit.failures import StartFailed
from tunnelkit.relay.occupant import whatThen


class Door:
    """
    Such an endpoint.  Most listen at once; a tunnel does so when its server is there.
    """

    def __init__(self, place: str, failed: Callable[[str], None]) -> None:
        """
        @param place: what says where it is, and where, as in C{--listen tcp:80}.
        @param failed: told, in one sentence, where it turns out later that there is no
            listening.
        """
        self._place = place
        self._failed = failed
        self._listening: Deferred[Any] | None = None
        self._port: IListeningPort | None = None
        self._failure: Failure | None = None
        self._starting = False

    def open(self, endpoint: IStreamServerEndpoint, factory: Any) -> None:
        """
        Listen, now or as soon as that can be.

        @raise StartFailed: it cannot.
        """
        self._starting = True
        self._listening = endpoint.listen(factory)
        self._listening.addCallbacks(self._cbListening, self._ebListening)
        self._starting = False
        failure, self._failure = self._failure, None
        if failure is not None:
            failure.trap(CannotListenError, OSError)
            raise StartFailed(self._why(failure)) from failure.value

    def close(self) -> Deferred[Any]:
        """
        Listen no more.
        """
        listening, self._listening = self._listening, None
        if listening is not None:
            listening.cancel()
        port, self._port = self._port, None
        return maybeDeferred(lambda: None if port is None else port.stopListening())

    def _cbListening(self, port: IListeningPort) -> None:
        self._port = port

    def _ebListening(self, failure: Failure) -> None:
        if self._starting:
            self._failure = failure
        elif not failure.check(CancelledError):
            self._failed(self._why(failure))

    def _why(self, failure: Failure) -> str:
        error, reason = failure.value, failure.getErrorMessage()
        if type(error) is CannotListenError:
            reason = whatThen(error)
        elif isinstance(error, OSError) and error.strerror:  # of a socket's lock
            reason = (
                f"{error.strerror}: name a path in a folder that is there and may be"
                " written"
            )
        return f"cannot listen on {self._place}: {reason}"
