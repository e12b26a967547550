# -*- test-case-name: tests.relay.test_work -*-
"""
Work stream: one visitor's stream on a work connection, while that carries it.

Each side ends its own direction exactly once, by END or RESET.  Who receives RESET
with its own direction still open answers RESET; who has sent one discards what comes
until the other's END or RESET.  The client's DONE, which says that all is delivered,
implies its END.
"""

from __future__ import annotations

from typing import Final, Protocol

from tunnelkit.relay.stream import Receiver
from tunnelkit.wire.codes import ResetCode
from tunnelkit.wire.frames import (
    HEADER,
    LONGEST,
    Data,
    End,
    Frame,
    Reset,
    WireError,
    encode,
)

_END: Final = encode(End())


class Carrier(Protocol):
    """
    The work connection, as its stream sees it.

    @ivar client: whether this side is the client.
    @ivar blocked: whether no more should be written.
    """

    client: bool
    blocked: bool

    def write(self, frames: bytes) -> None:
        """
        Send frames.
        """

    def pause(self) -> None:
        """
        Take no more bytes from the peer.
        """

    def resume(self) -> None:
        """
        Take bytes from the peer.
        """

    def settle(self, stream: WorkStream) -> None:
        """
        See whether a stream that the join has let go of is over.
        """


class WorkStream:
    """
    One stream; when it is over its methods do nothing.

    @ivar number: the stream's number.
    """

    delivers: Final = False

    def __init__(self, work: Carrier, number: int) -> None:
        self.number = number
        self._work = work
        self._receiver: Receiver | None = None
        self._early: list[Frame] = []
        self._open = True
        self._peerOpen = True
        self._failed = False
        self._released = False
        self._over = False
        self._lost = ""

    @property
    def ended(self) -> bool:
        """
        Whether both directions have ended.
        """
        return not self._open and not self._peerOpen

    # What the join does.

    def attach(self, receiver: Receiver) -> None:
        """
        Tell C{receiver} what happens to this stream, once it is read from.
        """
        self._receiver = receiver
        if self._work.blocked:
            receiver.blocked()

    def announce(self, opening: bytes) -> None:
        """
        Write what is a frame already.
        """
        self._work.write(opening)

    def write(self, data: bytes) -> None:
        """
        Send bytes of the stream.
        """
        if not self._open or self._over:
            return
        if len(data) <= LONGEST:
            self._work.write(HEADER.pack(len(data)) + data)
            return
        for at in range(0, len(data), LONGEST):
            self.write(data[at : at + LONGEST])

    def finish(self) -> None:
        """
        End this direction.
        """
        if self._open and not self._over:
            self._open = False
            self._work.write(_END)

    def reset(self, code: ResetCode, reason: str) -> None:
        """
        Fail the stream towards the peer; where it failed already, the peer knows.
        """
        if self._failed or self._released or self._over:
            return
        self._failed = True
        self._open = False
        self._work.write(encode(Reset(self.number, code, reason)))

    def release(self) -> None:
        """
        The join is over, or there will be none.
        """
        if self._released or self._over:
            return
        self._released = True
        self._receiver = None
        if self._work.client and not self._peerOpen:
            self._open = False  # DONE says so
        self.finish()
        self._replay()
        self._work.settle(self)

    def pauseReading(self) -> None:
        """
        Take no more bytes.
        """
        if not self._over:
            self._work.pause()

    def resumeReading(self) -> None:
        """
        Take bytes, those first that came before the join.
        """
        if not self._over:
            self._work.resume()
            self._replay()
        elif self._lost and self._receiver is not None and not self._failed:
            self.lost(self._lost)

    def unsent(self) -> int:
        """
        Give no sign of life: the bytes of one stream are not told from another's.
        """
        return 0

    # What the work connection says.

    def blocked(self) -> None:
        """
        No more should be written.
        """
        if self._receiver is not None:
            self._receiver.blocked()

    def ready(self) -> None:
        """
        Writing may go on.
        """
        if self._receiver is not None:
            self._receiver.ready()

    def frameReceived(self, frame: Frame) -> None:
        """
        One frame of this stream came.

        @raise WireError: it cannot come now.
        """
        if self._receiver is None and not self._released:
            self._early.append(frame)
            return
        match frame:
            case Reset():
                self._resetReceived(frame)
            case _ if not self._peerOpen:
                raise WireError("stream bytes behind the end of their stream")
            case Data(payload):
                if self._receiver is not None and not self._failed:
                    self._receiver.received(payload)
            case _:
                self._endReceived()
        if self._released and self.ended:
            self._work.settle(self)

    def doneReceived(self) -> None:
        """
        The client says that all of this stream is delivered.

        @raise WireError: our own direction has not ended.
        """
        if self._open:
            raise WireError("DONE of a stream that has not ended")
        if self._peerOpen:
            self._endReceived()
        self._over = True

    def lost(self, reason: str) -> None:
        """
        The work connection is gone, and the stream with it.
        """
        self._over = True
        self._lost = reason
        receiver, self._receiver = self._receiver, None
        if receiver is not None and not self._failed:
            receiver.failed(ResetCode.LOST, reason)

    def _endReceived(self) -> None:
        self._peerOpen = False
        if self._receiver is not None and not self._failed:
            self._receiver.finished()

    def _resetReceived(self, frame: Reset) -> None:
        self._peerOpen = False
        if self._open:
            self._open = False
            self._work.write(
                encode(Reset(self.number, ResetCode.PEER, "answer to a reset"))
            )
        if self._receiver is not None and not self._failed:
            self._failed = True
            self._receiver.failed(_code(frame.code), frame.reason)

    def _replay(self) -> None:
        early, self._early = self._early, []
        for frame in early:
            self.frameReceived(frame)


def _code(code: int) -> ResetCode:
    """
    Read a code; one that a later version made is a failure like any other.
    """
    try:
        return ResetCode(code)
    except ValueError:
        return ResetCode.PEER
