# -*- test-case-name: tests.dialects.pipe.abroad.test_client -*-
"""
Asking: the control connection of a forward, from the client's side.
"""

from __future__ import annotations

from typing import Final, Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from tunnelkit.control.heartbeat import SILENCE
from tunnelkit.relay.connection import Connection, Holder
from tunnelkit.wire.native.frames import WireError
from tunnelkit.wire.pipe.codec import FROM_SERVER, PacketDecoder
from tunnelkit.wire.pipe.packets import (
    Datagram,
    Exchange,
    Forwarded,
    FromServer,
    Heartbeat,
)

CLOSING: Final = 2.0
"""Seconds that a close may take before it becomes a reset."""


class Hearing(Protocol):
    """
    The forward, as its control connection sees it.
    """

    def answered(self, answer: Forwarded) -> None:
        """
        The server has said whether the port is open.
        """

    def exchange(self, exchange: Exchange) -> None:
        """
        The server asks for a connection.
        """

    def lost(self, reason: str) -> None:
        """
        The connection is gone.
        """


class Asking(Holder):
    """
    The control connection.  The server is heard every second, or is taken for dead.
    """

    _log = Logger()

    def __init__(self, forward: Hearing, server: str, clock: IReactorTime) -> None:
        """
        @param server: where it is, for people.
        """
        self._forward: Hearing | None = forward
        self._server = server
        self._clock = clock
        self._decoder = PacketDecoder(FROM_SERVER)
        self._answered = False
        self._deadline: IDelayedCall | None = None

    def held(self, connection: Connection) -> None:
        """
        Wait for the answer.
        """
        super().held(connection)
        self._wait()

    def dataReceived(self, data: bytes) -> None:
        """
        The server lives, and says something.
        """
        if self._forward is None:
            return
        self._wait()
        try:
            for packet in self._decoder.feed(data):
                self._received(packet)
                if self._forward is None:
                    return
        except WireError as e:
            self.fail(f"{self._server} broke pipe's protocol: {e}")
        except Exception:
            self._log.failure("a bug at the control connection to {s}", s=self._server)
            self.fail("this client has a bug: see its log")

    def connectionLost(self, reason: Failure) -> None:
        """
        It is gone.
        """
        self._cancel()
        if self._answered:
            self._tell(f"the connection to {self._server} is lost")
        else:
            self._tell(
                f"{self._server} closed the connection in place of an answer: the token"
                " is another one there, or the clocks differ, or it does not speak pipe"
            )

    def fail(self, reason: str) -> None:
        """
        Give the connection up.
        """
        self._cancel()
        self.connection.transport.abortConnection()
        self._tell(reason)

    def close(self) -> None:
        """
        Close it: nobody wants to hear of it any more.
        """
        self._forward = None
        self._cancel()
        self.connection.transport.loseConnection()
        abort = self.connection.transport.abortConnection
        self._deadline = self._clock.callLater(CLOSING, abort)

    def _received(self, packet: FromServer) -> None:
        assert self._forward is not None, "looked at before"
        match packet:
            case Heartbeat():
                pass
            case Forwarded():
                self._answered = True
                self._forward.answered(packet)
            case Exchange():
                self._forward.exchange(packet)
            case Datagram():
                raise WireError("a datagram on a control connection")

    def _wait(self) -> None:
        self._cancel()
        self._deadline = self._clock.callLater(SILENCE, self._silent)

    def _silent(self) -> None:
        self.fail(f"{self._server} said nothing for {SILENCE:.0f} seconds")

    def _cancel(self) -> None:
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self._deadline = None

    def _tell(self, reason: str) -> None:
        forward, self._forward = self._forward, None
        if forward is not None:
            forward.lost(reason)
