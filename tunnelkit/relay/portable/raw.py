# -*- test-case-name: tests.relay.portable.test_raw -*-
"""
Raw: the connection of a visitor or of a local service, as an end of a join.

While its stream runs it has SO_LINGER 0, so that whatever kills this process shows
as a reset and never as a clean end; it loses that when the stream has ended well.
"""

from __future__ import annotations

import contextlib
import errno
import select
import socket
from collections.abc import Callable
from typing import ClassVar

from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Protocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from tunnelkit.interfaces import IEnd
from tunnelkit.relay.connection import (
    BUFFER,
    ENDING,
    RESETTING,
    Gauge,
    IRelayTransport,
    linger,
    named,
    socketOf,
    tuned,
)
from tunnelkit.relay.streams.stream import Receiver, Stream
from tunnelkit.wire.codes import ResetCode

try:
    import fcntl
    import termios
except ImportError:  # pragma: no cover - not on Windows
    fcntl = None  # type: ignore[assignment]


@implementer(IEnd, IHalfCloseableProtocol)
class RawEnd(Protocol):
    """
    A visitor's or a local service's connection.  Nothing is read before the join.

    @ivar peer: who is at the other side.
    @ivar local: the address that they came to.
    """

    _log = Logger()
    transport: IRelayTransport
    # What Twisted holds would be lost with the process.
    releaseEnds: ClassVar[bool] = False
    peer: str = "nobody"
    local: str = ""

    def __init__(self, arrived: Callable[[RawEnd], None] | None = None) -> None:
        self._arrived = arrived
        self._receiver: Receiver | None = None
        self._gone: tuple[ResetCode, str] | None = None
        self._read = False
        self._begun = False

    def connectionMade(self) -> None:
        """
        Make the socket behave, and say that the end is there.
        """
        self.transport.pauseProducing()
        self.transport.bufferSize = BUFFER
        linger(socketOf(self.transport), RESETTING)
        tuned(self.transport)
        self.peer = named(self.transport.getPeer())
        self.local = named(self.transport.getHost())
        if self._arrived is not None:
            self._arrive(self._arrived)

    def _arrive(self, arrived: Callable[[RawEnd], None]) -> None:
        try:
            arrived(self)
        except Exception:
            self._log.failure("a bug at the arrival of {peer}", peer=self.peer)
            self.abort()

    def attach(self, receiver: Receiver) -> Stream:
        """
        Tell C{receiver} what happens here from now on.
        """
        self._receiver = receiver
        if self._gone is None:
            self.transport.registerProducer(
                Gauge(receiver.blocked, receiver.ready), True
            )
        return self

    def abort(self) -> None:
        """
        Reset the connection.
        """
        if self._gone is None:
            self.transport.abortConnection()

    # What comes from outside.

    def dataReceived(self, data: bytes) -> None:
        """
        Bytes came.
        """
        if self._receiver is not None:
            self._receiver.received(data)

    def readConnectionLost(self) -> None:
        """
        The other side ended its direction, or so it seems.
        """
        self._read = True
        if _wasReset(socketOf(self.transport)):
            self.abort()
        elif self._receiver is not None:
            self._receiver.finished()

    def writeConnectionLost(self) -> None:
        """
        The kernel has all that was written and the end behind it.
        """
        if self._receiver is not None:
            self._receiver.delivered()

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """
        The connection is gone.
        """
        self._gone = ResetCode.PEER, f"{self.peer} reset the connection"
        if self._receiver is not None:
            self._receiver.failed(*self._gone)

    # What the join does.

    def announce(self, opening: bytes) -> None:
        """
        Write bytes before the stream's own.
        """
        self.write(opening)

    def write(self, data: bytes) -> None:
        """
        Send bytes.
        """
        self.transport.write(data)

    def finish(self) -> bool:
        """
        End this direction.
        """
        if self._gone is not None:
            return False
        # With a paused producer registered the end would never be sent.
        self.transport.unregisterProducer()
        if self._receiver is not None and _hungUp(socketOf(self.transport)):
            # Twisted would fail to end it, and what it said last would be lost.
            return True
        self.transport.loseWriteConnection()
        return False

    def reset(self, code: ResetCode, reason: str) -> None:
        """
        Reset the connection.
        """
        self._receiver = None
        self.abort()

    def release(self) -> None:
        """
        Close a connection both directions of which have ended.
        """
        if self._receiver is None:
            return
        self._receiver = None
        linger(socketOf(self.transport), ENDING)
        self.transport.loseConnection()

    def pauseReading(self) -> None:
        """
        Take no more bytes.
        """
        if self._gone is None:
            self.transport.pauseProducing()

    def resumeReading(self) -> None:
        """
        Take bytes; an end that was lost while nobody listened says so now.
        """
        if self._gone is None:
            # To read on behind an end would only bring the same end again.
            if not self._read:
                self.transport.resumeProducing()
                if not self._begun:
                    self._begun = True
                    self._readNow()
        elif self._receiver is not None:
            self._receiver.failed(*self._gone)

    def _readNow(self) -> None:
        """
        Read what is there already: it leaves in one write with the opening.
        """
        read = getattr(self.transport, "doRead", None)
        if read is not None and isinstance(read(), ConnectionLost):
            # The kernel tells a reset once; after that it would look like an end.
            self.transport.abortConnection()

    def unsent(self) -> int:
        """
        Bytes that the kernel holds for the other side.
        """
        handle = socketOf(self.transport)
        if handle is None or fcntl is None:
            return 0
        with contextlib.suppress(OSError, ValueError):
            answer = fcntl.ioctl(handle.fileno(), termios.TIOCOUTQ, bytes(4))
            return int.from_bytes(answer, "little")
        return 0


def _wasReset(handle: socket.socket | None) -> bool:
    """
    Tell whether what was taken for an end is a reset.  A kernel that is just at work
    on one may tell of the hang-up before it tells that there is something to read,
    and a reactor that polls calls that an end.  The reset is already to be seen.
    """
    with contextlib.suppress(OSError):
        # One that follows a true end is a broken pipe.
        return handle is not None and handle.getsockopt(
            socket.SOL_SOCKET, socket.SO_ERROR
        ) not in (0, errno.EPIPE)
    return False


def _hungUp(handle: socket.socket | None) -> bool:
    """
    Tell whether the program behind a UNIX socket has closed it, having read all that
    was sent: it is in no need of an end.  A TCP peer that closes may be told one.
    """
    if handle is None or handle.family != getattr(socket, "AF_UNIX", None):
        return False
    poll = select.poll()
    poll.register(handle, 0)
    return [event for _, event in poll.poll(0)] == [select.POLLHUP]
