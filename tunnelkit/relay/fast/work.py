# -*- test-case-name: tests.relay.fast.test_work -*-
"""
Work: a work connection in plain, as a socket of the loop's.

L{tunnelkit.relay.fast.framed} has what is read from it, and this module what is
written to it.
"""

from __future__ import annotations

import socket
from typing import ClassVar, Final

from twisted.internet.interfaces import IReactorTime

from tunnelkit.interfaces import IWorkOwner
from tunnelkit.relay.fast.buffer import BUFFER, VIEW
from tunnelkit.relay.fast.end import Socket
from tunnelkit.relay.fast.framed import FramedEnd
from tunnelkit.relay.fast.loop import IN, LAST, Loop
from tunnelkit.relay.fast.pipes import Pipe
from tunnelkit.relay.streams.join import IDLE
from tunnelkit.wire.native.frames import HEADER

_HEADER: Final = HEADER.size
_RESTING: Final = IN | LAST

_pack: Final = HEADER.pack_into


class WorkSocket(FramedEnd):
    """
    A work connection.
    """

    __slots__ = ("_corked", "_held", "_holds")

    takesPipes: ClassVar[bool] = True

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
        super().__init__(loop, sock, peer, owner, client, clock, idle)
        self._held = b""  # what leaves with the next frames
        self._holds = self._corked = False
        self.resume()

    # What Work asks.

    def write(self, frames: bytes) -> None:
        """
        Send frames.
        """
        if not self._gone:
            if self._holds:
                frames, self._held = self._held + frames, b""
                self._holds = self._corked = False
            if self.full:
                self.putBytes(frames)
            else:
                self._sendNow(frames)

    def announce(self, opening: bytes) -> None:
        """
        Send a frame with the stream's first bytes, or when it is clear that none are
        there.
        """
        self._held += opening
        self._holds = True

    def cork(self) -> None:
        """
        Hold the next bytes back, for the frame behind them.
        """
        self._holds = self._corked = True

    def flush(self) -> None:
        """
        Send what is held.
        """
        if self._holds:
            self.write(b"")

    def pause(self) -> None:
        """
        Take no more bytes from the peer.
        """
        self.reading = False

    def resume(self) -> None:
        """
        Take bytes from the peer.
        """
        if not self._gone:
            if self._holds:
                self.write(b"")
            self.reading = True
            if self._events != _RESTING or self.full:
                self._watch()

    def _finish(self) -> None:
        if self.full:
            return  # when it is empty
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError as e:
            self._broken(e)

    def _reset(self) -> None:
        self._drop()

    # What a far end puts here.

    def put(self, start: int, stop: int) -> None:
        """
        Send a part of the buffer as a DATA frame.
        """
        if self._holds:
            self._putHeld(start, stop)
            return
        _pack(BUFFER, start - _HEADER, stop - start)
        start -= _HEADER
        try:
            sent = self.sock.send(VIEW[start:stop])
        except BlockingIOError:
            sent = 0
        except OSError as e:
            self._broken(e)
            return
        if sent != stop - start:
            self._keep(bytes(VIEW[start + sent : stop]))

    def _putHeld(self, start: int, stop: int) -> None:
        """
        Put a DATA frame behind what is held.
        """
        frame = HEADER.pack(stop - start) + VIEW[start:stop]
        if self._corked:
            self._held += frame
        else:
            self.write(frame)

    def putPipe(self, pipe: Pipe, count: int) -> None:
        """
        Send what is in a pipe as a DATA frame.
        """
        header = HEADER.pack(count)
        if self._holds:
            header, self._held = self._held + header, b""
            self._holds = self._corked = False
        try:
            sent = self.sock.send(header, socket.MSG_MORE)
        except BlockingIOError:
            sent = 0
        except OSError as e:
            self._loop.pipes.drop(pipe)
            self._broken(e)
            return
        if sent != len(header):
            self._pipe, self._pending = pipe, count
            self._keep(header[sent:])
            return
        try:
            self._sendPipe(pipe, count)
        except OSError as e:
            self._broken(e)
