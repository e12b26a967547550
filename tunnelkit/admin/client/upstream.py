# -*- test-case-name: tests.admin.client.test_clients -*-
"""
Upstream: one request of HTTP to a server elsewhere, and its answer, both as they come.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Protocol, TypeAlias

import h11
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from twisted.internet.protocol import Protocol as Speaker
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

Headers: TypeAlias = list[tuple[bytes, bytes]]

CLOSING: Final = 5.0
"""Seconds that a close may take before it becomes a reset: TLS waits for the server to
close, too."""

_LONGEST_HEAD: Final = 64 * 1024
"""How long the head of an answer may be, in bytes."""


class Downstream(Protocol):
    """
    Who has asked.
    """

    def head(self, status: int, headers: Headers) -> None:
        """
        The answer begins.
        """

    def piece(self, data: bytes) -> None:
        """
        It goes on.
        """

    def whole(self) -> None:
        """
        It is whole.
        """

    def failed(self, reason: str) -> None:
        """
        It will not be.
        """

    def hold(self) -> None:
        """
        Send no more of the request's body.
        """

    def goOn(self) -> None:
        """
        Send on.
        """


@implementer(IPushProducer)
class Upstream(Speaker):
    """
    The connection to the server.
    """

    transport: Any

    def __init__(
        self,
        downstream: Downstream,
        clock: IReactorTime,
        method: bytes,
        target: bytes,
        headers: Headers,
    ) -> None:
        """
        @param clock: tells the time.
        @raise ValueError: such a request cannot be made.
        """
        self._downstream = downstream
        self._clock = clock
        self._closing: IDelayedCall | None = None
        self._wire = h11.Connection(h11.CLIENT, _LONGEST_HEAD)
        try:
            request = h11.Request(method=method, target=target, headers=headers)
            self._head = self._wire.send(request) or b""
        except h11.LocalProtocolError as e:
            raise ValueError(str(e)) from None
        self._over = self._gone = False

    def connectionMade(self) -> None:
        """
        Ask.
        """
        self.transport.registerProducer(self, True)
        self.transport.write(self._head)

    # What who has asked says.

    def send(self, data: bytes) -> None:
        """
        Send some of the request's body.
        """
        self._write(h11.Data(data=data))

    def end(self) -> None:
        """
        The request's body is whole.
        """
        self._write(h11.EndOfMessage())

    def pause(self) -> None:
        """
        Read no more of the answer.
        """
        self.transport.pauseProducing()

    def resume(self) -> None:
        """
        Read on.
        """
        self.transport.resumeProducing()

    def leave(self) -> None:
        """
        Nobody waits for the answer any more.
        """
        if not self._over:
            self._over = True
            if self.transport is not None:
                self.transport.abortConnection()

    # What the transport says, of which this is the producer.

    def pauseProducing(self) -> None:
        """
        It takes no more.
        """
        self._downstream.hold()

    def resumeProducing(self) -> None:
        """
        It takes more.
        """
        self._downstream.goOn()

    def stopProducing(self) -> None:
        """
        It is gone, which is told in L{connectionLost}.
        """

    # What the server says.

    def dataReceived(self, data: bytes) -> None:
        """
        Read the answer.
        """
        if not self._over:
            self._read(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The connection is gone; an answer of no stated length is whole with it.
        """
        self._gone = True
        if self._closing is not None and self._closing.active():
            self._closing.cancel()
        if self._over:
            return
        if reason.check(ConnectionDone):
            self._read(b"")
        self._fail(_why(reason))

    def _read(self, data: bytes) -> None:
        try:
            self._wire.receive_data(data)
            while not self._over:
                event = self._wire.next_event()
                if event in (h11.NEED_DATA, h11.PAUSED):
                    return
                self._happened(event)
        except h11.RemoteProtocolError as e:
            self._fail(f"it does not speak HTTP: {e}")

    def _happened(self, event: Any) -> None:
        match event:
            case h11.Response(status_code=status, headers=headers):
                self._downstream.head(status, _raw(headers))
            case h11.Data(data=data):
                self._downstream.piece(bytes(data))
            case h11.EndOfMessage():
                self._over = True
                self._close()
                self._downstream.whole()
            case h11.ConnectionClosed():
                self._fail("it closed the connection without an answer")

    def _close(self) -> None:
        if not self._gone:
            self.transport.unregisterProducer()
            self.transport.loseConnection()
            self._closing = self._clock.callLater(
                CLOSING, self.transport.abortConnection
            )

    def _write(self, event: Any) -> None:
        if self._over:
            return
        try:
            said = self._wire.send(event)
        except h11.LocalProtocolError as e:
            self._fail(f"the request's body is not what its head says: {e}")
            return
        if said:
            self.transport.write(said)

    def _fail(self, reason: str) -> None:
        if not self._over:
            self.leave()
            self._downstream.failed(reason)


def _raw(headers: Iterable[Any]) -> Headers:
    return [(bytes(name), bytes(value)) for name, value in headers]


def _why(reason: Failure) -> str:
    args = reason.value.args if reason.value is not None else ()
    return (
        str(args[0] if args else "")
        or "it closed the connection in the midst of its answer"
    )
