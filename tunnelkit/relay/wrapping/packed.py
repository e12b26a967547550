# -*- test-case-name: tests.relay.wrapping.test_packed -*-
"""
Packed: the end of a work connection whose streams are compressed.

Each direction is packed by itself and flushed at each write.  What is unpacked is
passed on in pieces: the next one is not made before there is room for it, and others
have their turn in between, so that no few bytes from outside can fill the memory or
keep the loop.
"""

from __future__ import annotations

from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from tunnelkit.interfaces import IEnd
from tunnelkit.relay.connection import BUFFER
from tunnelkit.relay.streams.stream import Receiver
from tunnelkit.relay.wrapping.wrapped import Wrapped
from tunnelkit.wire.codes import ResetCode
from tunnelkit.wire.native.frames import WireError
from tunnelkit.wire.packing import PACKERS, UNPACKERS, Packer, Unpacker

PIECE: Final = BUFFER
"""How much is unpacked at once, in bytes."""
AT_ONCE: Final = 2 * PIECE
"""How much of one stream is unpacked before others have their turn, in bytes: what is
read at once where nothing is compressed."""


class Packing:
    """
    How the streams of one tunnel are compressed, and what came of it.

    @ivar kind: C{deflate} or C{zstd}.
    @ivar written: bytes that went into work connections, live.
    @ivar read: bytes that came from them, live.
    """

    def __init__(self, kind: str, peer: str, clock: IReactorTime) -> None:
        """
        @param peer: who is at the other side of work connections, for people on both
            sides: C{the client} or C{the server}.
        """
        self.kind = kind
        self.peer = peer
        self.clock = clock
        self.written = 0
        self.read = 0

    def end(self, work: IEnd) -> Packed:
        """
        Give the end to join in place of a work connection.
        """
        return Packed(work, self)


class Packed(Wrapped):
    """
    A work connection whose streams are compressed.
    """

    __slots__ = (
        "_ended",
        "_later",
        "_open",
        "_packer",
        "_packing",
        "_paused",
        "_unpacker",
        "_unpacks",
    )

    def __init__(self, work: IEnd, packing: Packing) -> None:
        super().__init__(work)
        self._packing = packing
        self._packer: Packer | None = None
        self._unpacker: Unpacker | None = None
        self._open = True
        self._ended = False
        self._paused = True
        self._unpacks = False
        self._later: IDelayedCall | None = None

    # What the join does.

    def write(self, data: bytes) -> None:
        """
        Send bytes, so that the other side has all of them.
        """
        if self._open:
            self._send(self._packed().pack(data))

    def finish(self) -> bool:
        """
        End this direction.
        """
        self._finishPacking()
        return self._stream.finish()

    def release(self) -> None:
        """
        The join is over.
        """
        # It may leave it to the work connection to end this direction.
        self._finishPacking()
        super().release()

    def pauseReading(self) -> None:
        """
        Take no more bytes.
        """
        self._paused = True
        self._stream.pauseReading()

    def resumeReading(self) -> None:
        """
        Take bytes, those first that wait here.
        """
        self._paused = False
        self._goOn()

    # What the work connection says.

    def received(self, data: bytes) -> None:
        """
        Packed bytes came.
        """
        self.count += len(data)
        self._packing.read += len(data)
        if self._receiver is not None:
            if self._unpacker is None:
                self._unpacker = UNPACKERS[self._packing.kind]()
            self._unpacker.feed(data)
            self._unpack()

    def finished(self) -> None:
        """
        No more will come.
        """
        self._ended = True
        self._unpack()

    # Packing.

    def _packed(self) -> Packer:
        # Not before the first byte: it takes much memory, and many say nothing.
        if self._packer is None:
            self._packer = PACKERS[self._packing.kind]()
        return self._packer

    def _send(self, packed: bytes) -> None:
        self._packing.written += len(packed)
        self._stream.write(packed)

    def _finishPacking(self) -> None:
        if self._open:
            self._open = False
            self._send(self._packed().end())
            self._packer = None

    def _forget(self) -> None:
        super()._forget()
        self._open = False
        self._packer = self._unpacker = None
        if self._later is not None:
            self._later.cancel()
            self._later = None

    # Unpacking.

    def _unpack(self) -> None:
        """
        Pass on what can be, if that is not being done already.
        """
        if self._unpacks or self._later is not None:
            return
        self._unpacks = True
        try:
            self._passOn()
        except WireError as e:
            self._fail(str(e))
        finally:
            self._unpacks = False

    def _passOn(self) -> None:
        """
        Pass on what can be.

        @raise WireError: it was not packed as it should be.
        """
        left = AT_ONCE
        while (receiver := self._receiver) is not None and not self._paused:
            if left <= 0:
                self._later = self._packing.clock.callLater(0, self._comeBack)
                self._stream.pauseReading()
                return
            piece = b"" if self._unpacker is None else self._unpacker.read(PIECE)
            if not piece:
                if self._ended:
                    self._end(receiver)
                return
            left -= len(piece)
            receiver.received(piece)

    def _end(self, receiver: Receiver) -> None:
        if self._unpacker is None or not self._unpacker.complete:
            kind = self._packing.kind
            raise WireError(f"an end in the midst of its {kind}: some of it is lost")
        self._ended = False
        self._unpacker = None
        receiver.finished()

    def _comeBack(self) -> None:
        self._later = None
        self._goOn()

    def _goOn(self) -> None:
        self._unpack()
        rests = self._paused or self._later is not None
        if self._receiver is not None and not rests:
            self._stream.resumeReading()

    def _fail(self, what: str) -> None:
        if self._receiver is not None:
            reason = f"{self._packing.peer} sent {what}"
            self._receiver.failed(ResetCode.CORRUPT, reason)
