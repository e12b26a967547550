# -*- test-case-name: tests.relay.fast.test_work -*-
"""
Framed: what is read from a work connection of the loop's.

Stream bytes go by without becoming values: the header of a DATA frame is its length.
The frames that begin and end a stream need no decoder either where they come whole.
All others go through the decoder, and all through the rules of
L{tunnelkit.relay.streams.work}.
"""

from __future__ import annotations

from typing import Final

from twisted.internet.interfaces import IReactorTime

from tunnelkit.interfaces import IWorkOwner
from tunnelkit.relay.connection import ENDING, RESETTING, linger
from tunnelkit.relay.fast.buffer import BUFFER, HEAD, PLACE, SMALL, VIEW
from tunnelkit.relay.fast.end import SPLICE, FastEnd, Passing, Sink, Socket, splice
from tunnelkit.relay.fast.loop import IN, Loop
from tunnelkit.relay.fast.pipes import Pipe
from tunnelkit.relay.streams.join import IDLE
from tunnelkit.relay.streams.stream import Receiver
from tunnelkit.relay.streams.work import Work
from tunnelkit.relay.streams.workstream import WorkStream
from tunnelkit.wire.native.codec import startIn
from tunnelkit.wire.native.frames import (
    HEADER,
    LONGEST,
    Done,
    End,
    Message,
    Reset,
    encode,
)
from tunnelkit.wire.native.messages import UDP

_ENDED: Final = End()
_DONE_HEADER: Final = HEADER.unpack_from(encode(Done(0)))[0]
_MESSAGE: Final = encode(Message({}))[0]
_FEW: Final = 8
"""How many frames of one read are taken without the decoder."""

_HEADER: Final = HEADER.size
_PAYLOAD: Final = HEAD + HEADER.size

_unpack: Final = HEADER.unpack_from


class FramedEnd(FastEnd, Work):
    """
    A work connection, from which frames are read.
    """

    __slots__ = (*Work.ATTRIBUTES, "_left", "_receiver", "_slow")

    def __init__(
        self,
        loop: Loop,
        sock: Socket,
        peer: str,
        owner: IWorkOwner,
        client: bool,
        clock: IReactorTime,
        idle: float = IDLE,
    ) -> None:
        """
        @param sock: it does not block, and nobody else has it.
        """
        Work.__init__(self, peer, owner, client, clock, idle)
        self._own(loop, sock)
        linger(sock, RESETTING)
        self._left = 0  # bytes to come of a DATA frame
        self._receiver: Receiver | None = None
        self._slow = False  # whether the decoder is in the midst of a frame

    # What the join does: WorkStream does the rest.

    def attach(self, receiver: Receiver, far: Sink | None = None) -> WorkStream:
        """
        Give a join the stream that was begun or started.

        @param far: where to put what is read, if that is not to be told as well.
        """
        stream = self._stream
        assert stream is not None, "joined without a stream"
        self._receiver = receiver
        if stream.attach(receiver) and not self._gone:
            self._far = far or Passing(receiver)
        return stream

    def _detach(self) -> None:
        self._far = None
        if not self.reading:
            self.resume()

    def _endReceived(self, frame: End) -> None:
        self._far = None
        stream = self._stream
        if stream is None:
            super()._endReceived(frame)  # which says what is wrong
        else:
            stream.endReceived(frame)

    def _resetReceived(self, frame: Reset) -> None:
        self._far = None
        super()._resetReceived(frame)

    # What the loop says.

    def happened(self, event: int) -> None:
        """
        Bytes came, or something else happened.
        """
        if event != IN or not self.reading or self._left:
            self._unusual(event)
            return
        # What follows is _read and _take, written out for most of what comes: one
        # frame, whole.
        try:
            count = self.sock.recv_into(PLACE)
        except BlockingIOError:
            return
        except OSError as e:
            self._broken(e)
            return
        size = count - _HEADER
        far = None if self._slow else self._far
        if far is not None and size > 0 and _unpack(BUFFER, HEAD)[0] == size:
            self._receiver.count += size  # type: ignore[union-attr]
            far.put(_PAYLOAD, HEAD + count)
        elif count:
            self._take(HEAD + count)
        else:
            self._ended()

    def failed(self) -> None:
        """
        A bug came up here.
        """
        self._abort("a bug: see the log")

    def _read(self) -> None:
        far = self._far
        if self._left >= SMALL and far is not None and far.takesPipes:
            much = min(self._loop.bite, self._left, far.most)
            pipe = self._loop.pipes.take() if much >= SMALL else None
            if pipe is not None:
                self._readMuch(pipe, much)
                return
        try:
            count = self.sock.recv_into(PLACE)
        except BlockingIOError:
            return
        except OSError as e:
            self._broken(e)
            return
        if count:
            self._take(HEAD + count)
        else:
            self._ended()

    def takeEarly(self, rest: bytes) -> None:
        """
        Take what was read before this was made.
        """
        if rest and not self._gone:
            self._takeSlowly(rest)

    def _take(self, stop: int) -> None:
        """
        Pass on what was read.
        """
        at = HEAD
        few = 0 if self._slow else _FEW
        while few:
            few -= 1
            if self._left:
                header = self._left
            elif stop - at >= _HEADER:
                header = _unpack(BUFFER, at)[0]
            else:
                break
            if not 0 < header <= LONGEST:
                end = self._takeFrame(header, at, stop)
            elif self._far is not None:
                end = self._takeData(header, at, stop)
            else:
                break
            if end == stop or self._gone:
                return
            if not end:
                break
            at = end
        if at != stop:
            self._takeSlowly(bytes(VIEW[at:stop]))

    def _takeData(self, left: int, at: int, stop: int) -> int:
        """
        Pass on the bytes of DATA frames, put together.

        @param left: how many there are in the first, or are to come of it.
        @return: where the next other frame begins, or one that is not whole.
        """
        if not self._left:
            at += _HEADER
        first = at
        end = at + left
        if end > stop:
            end = stop
        left -= end - first
        at = end
        while not left and stop - at >= _HEADER:
            left = _unpack(BUFFER, at)[0]
            if not 0 < left <= LONGEST:
                left = 0
                break
            at += _HEADER
            size = min(left, stop - at)
            VIEW[end : end + size] = VIEW[at : at + size]
            end += size
            at += size
            left -= size
        self._left = left
        if end > first:
            far = self._far
            self._receiver.count += end - first  # type: ignore[union-attr]
            if at == stop or isinstance(far, FastEnd):
                far.put(first, end)  # type: ignore[union-attr]
            else:
                # Who is told may read, and so write over what follows.
                rest = bytes(VIEW[at:stop])
                far.put(first, end)  # type: ignore[union-attr]
                VIEW[at:stop] = rest
        return at

    def _takeFrame(self, header: int, at: int, stop: int) -> int:
        """
        Take a frame that begins or ends a stream, as each stream has them: they need
        no decoder.

        @return: where it ends; 0 where it is another one, or not whole.
        """
        end = at + _HEADER + (header & LONGEST)
        if end > stop:
            return 0
        # Who hears of it may read, and so write over what follows.
        rest = bytes(VIEW[end:stop]) if end != stop else b""
        try:
            if not header:
                self._endReceived(_ENDED)
            elif header == _DONE_HEADER:
                self._doneReceived(_unpack(BUFFER, at + _HEADER)[0])
            elif header >> 24 == _MESSAGE and self.client:
                start = startIn(str(VIEW[at + _HEADER : end], "latin-1"))
                if start is None or start.kind == UDP:
                    return 0  # a carrier takes what is behind it from the decoder
                self._startReceived(start)
            else:
                return 0
        except Exception as e:
            self._wrong(e)
        if rest:
            VIEW[end:stop] = rest
        return end

    def _takeSlowly(self, data: bytes) -> None:
        """
        Have the decoder read bytes, of which the first may belong to a DATA frame
        that is being passed on.
        """
        decoder = self._decoding()
        if self._left:
            decoder.resume(self._left)
            self._left = 0
        self.dataReceived(data)
        left = decoder.rested()
        self._slow = left is None
        self._left = left or 0

    def _readMuch(self, pipe: Pipe, much: int) -> None:
        """
        Read a piece of a long DATA frame through a pipe.
        """
        try:
            loop = self._loop
            loop.bulky.add(self.fd)
            count = splice(self.fd, pipe.into, much, flags=SPLICE)
        except BlockingIOError:
            self._loop.pipes.give(pipe)
            return
        except OSError as e:
            self._loop.pipes.give(pipe)
            self._broken(e)
            return
        if not count:
            self._loop.pipes.give(pipe)
            self._ended()
            return
        self._left -= count
        self._receiver.count += count  # type: ignore[union-attr]
        self._far.putPipe(pipe, count)  # type: ignore[union-attr]

    def _ended(self) -> None:
        """
        The peer ended its direction of the connection: that is the whole of it.
        """
        linger(self.sock, ENDING)
        self._end("closed")

    def _broken(self, error: OSError) -> None:
        self._end(error.strerror or str(error))

    def _end(self, reason: str) -> None:
        if not self._gone:
            self._drop()
        super()._end(reason)

    def _filled(self) -> None:
        self._block()

    def _emptied(self) -> None:
        self._unblock()
        if self._closing:
            self._finish()
