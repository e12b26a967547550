# -*- test-case-name: tests.dialects.remotedialer.test_room -*-
"""
Asking: a line whose WebSocket this side asks for, as a client or as a peer does.
"""

from __future__ import annotations

from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from tunnelkit import __version__
from tunnelkit.control.names import legible
from tunnelkit.dialects.remotedialer.line import Announced, Answer, Line
from tunnelkit.wire.remotedialer.websocket import (
    NORMAL,
    Accepted,
    Event,
    Headers,
    Rejected,
    WebSocket,
)

PATIENCE: Final = 10.0
"""Seconds that the answer to the request may take."""
_WHO: Final = (b"User-Agent", b"tunnelkit/" + __version__.encode())


class NotOpened(Exception):
    """
    There is no WebSocket.  The text says why, in words for the user.

    @ivar status: of HTTP, where that was the answer; else 0.
    """

    def __init__(self, reason: str, status: int = 0) -> None:
        super().__init__(reason)
        self.status = status


class AskingLine(Line):
    """
    A line from before its WebSocket is open.
    """

    def __init__(
        self,
        clock: IReactorTime,
        number: int,
        answer: Answer | None = None,
        announced: Announced | None = None,
    ) -> None:
        """
        @param number: of its first message: any will do.
        @param answer: takes what the other side dials; None where it may not.
        """
        super().__init__(clock, "client", 0, number, answer, announced, opener=True)
        self._opened: Deferred[None] | None = None
        self._deadline: IDelayedCall | None = None

    def ask(self, host: str, target: str, headers: Headers = ()) -> Deferred[None]:
        """
        Ask for the WebSocket, once the line holds a connection.

        @param host: with its port, for the header Host.
        @param target: path and query.
        @return: fires when it is open, or fails with L{NotOpened}.
        """
        opened: Deferred[None] = Deferred(lambda _: self.end("given up"))
        self._opened = opened
        try:
            self._socket = WebSocket.client(self.write, host, target, [*headers, _WHO])
        except ValueError as e:
            self.end(f"such a request cannot be made: {e}")
            return opened
        why = f"no answer in {PATIENCE:.0f} seconds"
        self._deadline = self.clock.callLater(PATIENCE, self.end, why)
        return opened

    def end(self, reason: str, code: int = NORMAL) -> None:
        """
        End it.
        """
        super().end(reason, code)
        self._fail(NotOpened(reason))

    def _happened(self, event: Event) -> None:
        match event:
            case Accepted():
                self._settle()
                self.live()
                opened, self._opened = self._opened, None
                if opened is not None:
                    opened.callback(None)
            case Rejected(status, text):
                said = legible(text.strip())
                self._fail(NotOpened(f"the answer is {status}: {said}", status))
                self.end(said)
            case _:
                super()._happened(event)

    def _fail(self, why: NotOpened) -> None:
        self._settle()
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.errback(why)

    def _settle(self) -> None:
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
