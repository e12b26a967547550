# -*- test-case-name: tests.relay.streams.test_work -*-
"""
Work: a work connection as an end of one join after the other.

The rules of docs/protocol.rst, section Work connections, are here and in
L{tunnelkit.relay.streams.workstream}: this module has the connection, that one the
stream which it carries at the moment.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from tunnelkit.interfaces import ICarrier, IWorkEnd, IWorkOwner
from tunnelkit.relay.streams.join import IDLE
from tunnelkit.relay.streams.stream import Receiver
from tunnelkit.relay.streams.workstream import WorkStream
from tunnelkit.wire.codes import ResetCode
from tunnelkit.wire.native.codec import fromServer
from tunnelkit.wire.native.frames import (
    Data,
    Done,
    End,
    Frame,
    FrameDecoder,
    Message,
    Reset,
    WireError,
    encodedDone,
)
from tunnelkit.wire.native.messages import Start

CLOSING: Final = IDLE
"""Seconds that a close may take before it becomes a reset: the peer may have a slow
visitor's last bytes to deliver."""

_U32: Final = 1 << 32


@implementer(IWorkEnd)
class Work(ABC):
    """
    A work connection, whatever its bytes go through.

    @ivar peer: who is at the other side.
    @ivar local: the address that this side has.
    """

    if not TYPE_CHECKING:  # for which nothing could be assigned then
        __slots__ = ()
    ATTRIBUTES: ClassVar = (
        "_clock",
        "_closing",
        "_deadline",
        "_decoder",
        "_gone",
        "_idle",
        "_number",
        "_owner",
        "_parting",
        "_stream",
        "blocked",
        "client",
        "peer",
    )
    """For the C{__slots__} of a subclass whose instances are to be small."""

    _log = Logger()
    local: ClassVar[str] = ""

    def __init__(
        self,
        peer: str,
        owner: IWorkOwner,
        client: bool,
        clock: IReactorTime,
        idle: float = IDLE,
    ) -> None:
        self.peer = peer
        self.client = client
        self.blocked = False
        self._owner = owner
        self._clock = clock
        self._idle = idle
        self._decoder: FrameDecoder | None = None
        self._stream: WorkStream | None = None
        self._number = 0
        self._gone = ""
        self._closing = self._parting = False
        self._deadline: IDelayedCall | None = None

    # What the owner asks.

    def begin(self) -> int:
        """
        Count one stream further; the server's call, before it joins.
        """
        assert self._stream is None or self._gone, "begun before the last was done"
        self._number = self._number % (_U32 - 1) + 1
        self._stream = WorkStream(self, self._number)
        if self._gone:
            self._lose(self._stream)
        return self._number

    def refuse(self, code: ResetCode, reason: str) -> None:
        """
        Reset the stream that was started, in place of joining it.
        """
        if self._stream is not None:
            self._stream.reset(code, reason)
            self._stream.release()

    def close(self) -> None:
        """
        Close the connection, with a deadline; it is reported lost when the peer has
        read all that was sent and closes it, too.  A stream of which the join has let
        go, and which is not done, comes first: it has a deadline of its own.
        """
        if self._stream is not None and self._deadline is not None:
            self._parting = True
        elif not self._gone and not self._closing:
            self._closing = True
            self.resume()
            self._finish()
            if self._deadline is not None:
                self._deadline.cancel()
            late = "it did not close in time"
            self._deadline = self._clock.callLater(CLOSING, self._abort, late)

    def abort(self) -> None:
        """
        Reset the connection.
        """
        self._abort("aborted here")

    def give(self, carrier: ICarrier) -> tuple[IWorkOwner, bytes]:
        """
        Let a datagram carrier have the connection, for good.

        @return: its owner, and what was read ahead.
        """
        self._gone, self._stream = "a carrier now", None
        if self._deadline is not None:
            self._deadline.cancel()
        self._owner.given(self, carrier)
        return self._owner, self._decoding().rest()

    @property
    def gone(self) -> bool:
        """
        Whether the connection is lost, or given away.
        """
        return bool(self._gone)

    def attach(self, receiver: Receiver) -> WorkStream:
        """
        Give a join the stream that was begun or started.
        """
        stream = self._stream
        assert stream is not None, "joined without a stream"
        stream.attach(receiver)
        return stream

    # What its stream asks.

    @abstractmethod
    def write(self, frames: bytes) -> None:
        """
        Send frames; nothing happens where the connection is gone.
        """

    def announce(self, opening: bytes) -> None:
        """
        Send a frame, with the stream's first bytes if they come at once.
        """
        self.write(opening)

    @abstractmethod
    def pause(self) -> None:
        """
        Take no more bytes from the peer.
        """

    @abstractmethod
    def resume(self) -> None:
        """
        Take bytes from the peer.
        """

    @abstractmethod
    def _finish(self) -> None:
        """
        End this side's direction of the connection.
        """

    @abstractmethod
    def _reset(self) -> None:
        """
        Reset the connection.
        """

    def settle(self, stream: WorkStream, ended: bool) -> None:
        """
        The join has let go of a stream: it is over when both sides are through.
        """
        if self._gone or stream is not self._stream:
            return
        if self.client and ended:
            self.write(encodedDone(stream.number))
            self._over()
            return
        if self._deadline is None:
            clock = self._clock
            self._deadline = clock.callLater(self._idle, self._undone, stream)
        self._detach()

    def _detach(self) -> None:
        """
        No join has this any more: hear all that the peer says.
        """
        self.resume()

    def _over(self) -> None:
        if self._gone:
            return
        self._stream = None
        self._detach()
        if self._closing:
            return
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if self._parting:
            self.close()
        else:
            self._owner.idle(self)

    # What the connection says.

    def dataReceived(self, data: bytes) -> None:
        """
        Bytes of the peer's came: frames, or its mistake.
        """
        if not self._gone:
            self.framesReceived(self._decoding().feed(data))

    def _decoding(self) -> FrameDecoder:
        """
        Give the decoder, which not every connection needs.
        """
        if self._decoder is None:
            self._decoder = FrameDecoder()
        return self._decoder

    def framesReceived(self, frames: Iterable[Frame]) -> None:
        """
        Frames of the peer's came.
        """
        try:
            for frame in frames:
                self._frameReceived(frame)
                if self._gone:
                    return
        except Exception as e:
            self._wrong(e)

    def _wrong(self, error: Exception) -> None:
        """
        What the peer said was its mistake, or led to a bug of ours.
        """
        if isinstance(error, WireError):
            e = str(error)
            self._log.info("work connection of {peer}: {e}", peer=self.peer, e=e)
            self._abort(f"{self.peer} broke the protocol: {e}")
        else:
            self._log.failure("a bug at the work connection of {peer}", peer=self.peer)
            self._abort("a bug")

    def _abort(self, reason: str) -> None:
        if not self._gone:
            self._reset()
            self._end(reason)

    def _end(self, reason: str) -> None:
        if self._gone:
            return
        self._gone = reason
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        # The stream stays: a join that comes too late hears from it.
        if self._stream is not None:
            self._lose(self._stream)
        self._owner.lost(self, reason)

    def _lose(self, stream: WorkStream) -> None:
        stream.lost(f"the work connection was lost: {self._gone}")

    def _undone(self, stream: WorkStream) -> None:
        self._abort(f"stream {stream.number} was not done in time")

    def _block(self) -> None:
        self.blocked = True
        if self._stream is not None:
            self._stream.blocked()

    def _unblock(self) -> None:
        self.blocked = False
        if self._stream is not None:
            self._stream.ready()

    # What the peer says.

    def _frameReceived(self, frame: Frame) -> None:
        match frame:
            case Data():
                self._streaming().dataReceived(frame)
            case End():
                self._endReceived(frame)
            case Reset():
                self._resetReceived(frame)
            case Done(number):
                self._doneReceived(number)
            case Message():
                self._messageReceived(frame)
            case _:
                raise WireError("a DATAGRAM where a stream was expected")

    def _streaming(self) -> WorkStream:
        if self._stream is None:
            raise WireError("stream bytes on an idle work connection")
        return self._stream

    def _endReceived(self, frame: End) -> None:
        self._streaming().endReceived(frame)

    def _resetReceived(self, frame: Reset) -> None:
        stream = self._stream
        # One that crossed the end of its stream is late, not wrong.
        if stream is not None and stream.number == frame.stream:
            stream.resetReceived(frame)

    def _doneReceived(self, number: int) -> None:
        if self.client:
            raise WireError("DONE from the server")
        if self._stream is not None and self._stream.number == number:
            self._stream.doneReceived()
            self._over()

    def _messageReceived(self, frame: Message) -> None:
        if not self.client:
            raise WireError("a message on a work connection")
        start = fromServer(frame)
        if not isinstance(start, Start):
            raise WireError(f"a {start.name} message on a work connection")
        self._startReceived(start)

    def _startReceived(self, start: Start) -> None:
        if self._stream is not None:
            raise WireError("a stream was started before the last one was done")
        if self.blocked:
            # What was said last waits here still, however much a peer asks for.
            raise WireError("a stream was started by who has not read of the last one")
        if not 0 < start.stream < _U32:
            raise WireError(f"{start.stream} is no stream number")
        if self._closing:
            return  # too late: it sees the end of this connection
        self._stream = WorkStream(self, start.stream)
        # The local service is dialled first: nothing is gathered meanwhile.
        self.pause()
        self._owner.started(self, start)
