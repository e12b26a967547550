# -*- test-case-name: tests.relay.streams.test_work -*-
"""
Work stream: one visitor's stream on a work connection, while that carries it.

Each side ends its own direction exactly once, by END or RESET.  Who receives RESET
with its own direction still open answers RESET; who has sent one discards what comes
until the other's END or RESET.  The client's DONE, which says that all is delivered,
implies its END.
"""

from __future__ import annotations

from typing import Final, Protocol

from tunnelkit.relay.streams.stream import Receiver
from tunnelkit.wire.codes import ResetCode
from tunnelkit.wire.native.frames import (
    HEADER,
    LONGEST,
    Data,
    End,
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

    def announce(self, opening: bytes) -> None:
        """
        Send a frame, with the stream's first bytes if they come at once.
        """

    def pause(self) -> None:
        """
        Take no more bytes from the peer.
        """

    def resume(self) -> None:
        """
        Take bytes from the peer.
        """

    def settle(self, stream: WorkStream, ended: bool) -> None:
        """
        See whether a stream that the join has let go of is over.

        @param ended: whether both directions have ended.
        """


class WorkStream:
    """
    One stream; when it is over its methods do nothing.

    What comes is checked and counts at once; the join hears of it once it reads.

    @ivar number: the stream's number.
    """

    __slots__ = (
        "_early",
        "_failed",
        "_open",
        "_over",
        "_peerOpen",
        "_receiver",
        "_released",
        "_work",
        "number",
    )

    releaseEnds: Final = True

    def __init__(self, work: Carrier, number: int) -> None:
        self.number = number
        self._work = work
        self._receiver: Receiver | None = None
        self._early: list[Data | End | Reset] | None = []
        self._open = True
        self._peerOpen = True
        self._failed = False
        self._released = False
        self._over = False

    # What the join does.

    def attach(self, receiver: Receiver) -> bool:
        """
        Tell C{receiver} what happens to this stream, once it is read from.

        @return: whether bytes that come from now on are for it, and nothing more is
            to be said of them.
        """
        self._receiver = receiver
        if self._work.blocked:
            receiver.blocked()
        return self._peerOpen and not self._released

    def announce(self, opening: bytes) -> None:
        """
        Write what is a frame already.
        """
        self._work.announce(opening)

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

    def finish(self) -> bool:
        """
        End this direction.  What becomes of it is for DONE to say.
        """
        if self._open and not self._over:
            self._open = False
            self._work.write(_END)
        return True

    def reset(self, code: ResetCode, reason: str) -> None:
        """
        Fail the stream towards the peer; where it failed already, the peer knows.
        """
        if not self._failed and not self._over:
            self._fail(code, reason)

    def release(self) -> None:
        """
        The join is over, or there will be none.
        """
        self._receiver = self._early = None
        if self._released or self._over:
            return
        self._released = True
        work = self._work
        if self._open:
            self._open = False
            if self._peerOpen or not work.client:  # else DONE says so
                work.write(_END)
        work.settle(self, not self._peerOpen)

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
        early, self._early = self._early, None
        for frame in early or ():
            self._pass(frame)

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

    def dataReceived(self, frame: Data) -> None:
        """
        Bytes of this stream came.

        @raise WireError: they cannot come now.
        """
        self._check()
        self._pass(frame)

    def endReceived(self, frame: End) -> None:
        """
        The peer's direction has ended.

        @raise WireError: it had before.
        """
        if not self._peerOpen:
            self._check()
        self._peerOpen = False
        receiver = self._receiver
        if self._released:
            self._settle()
        elif self._early is None and receiver is not None:
            receiver.finished()
        else:
            self._pass(frame)

    def resetReceived(self, frame: Reset) -> None:
        """
        The stream failed at the peer's side.
        """
        self._peerOpen = False
        if self._open:
            self._fail(ResetCode.PEER, "answer to a reset")
        self._failed = True
        self._pass(frame)
        self._settle()

    def _check(self) -> None:
        if not self._peerOpen:
            raise WireError("stream bytes behind the end of their stream")

    def _settle(self) -> None:
        if self._released and not self._open and not self._peerOpen:
            self._work.settle(self, True)

    def doneReceived(self) -> None:
        """
        The client says that all of this stream is delivered.

        @raise WireError: our own direction has not ended.
        """
        if self._open:
            raise WireError("DONE of a stream that has not ended")
        self._over = True
        if self._peerOpen:
            self._pass(End())

    def lost(self, reason: str) -> None:
        """
        The work connection is gone, and the stream with it.
        """
        if not self._over:
            self._over = True
            self._pass(Reset(self.number, ResetCode.LOST, reason))

    def _fail(self, code: ResetCode, reason: str) -> None:
        self._failed = True
        self._open = False
        self._work.write(encode(Reset(self.number, code, reason)))

    def _pass(self, frame: Data | End | Reset) -> None:
        """
        Tell the join, now or when it reads.
        """
        receiver = self._receiver
        if self._early is not None:
            if isinstance(frame, Reset):
                self._early.clear()  # nobody needs what came before
            self._early.append(frame)
        elif receiver is None:
            pass
        elif isinstance(frame, Data):
            receiver.received(frame.payload)
        elif isinstance(frame, End):
            receiver.finished()
        else:
            receiver.failed(_code(frame.code), frame.reason)


def _code(code: int) -> ResetCode:
    """
    Read a code; one that a later version made is a failure like any other.
    """
    try:
        return ResetCode(code)
    except ValueError:
        return ResetCode.PEER
