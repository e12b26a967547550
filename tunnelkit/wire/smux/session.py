# -*- test-case-name: tests.wire.smux.test_session -*-
"""
Session: one side of an smux connection, without the connection: bytes in, what happened
to streams out.

smux 1 has no flow control of a stream's own: who does not read a stream would have to
stop the whole connection.  So bytes are handed on as they come, what has not been
consumed is counted, and a stream that keeps too much waiting is ended, not the session.
It has no half-close and no reset either: a FIN ends both ways.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from tunnelkit.wire.native.frames import WireError
from tunnelkit.wire.smux.frames import (
    HIGHEST,
    Command,
    Frame,
    FrameDecoder,
    encode,
)

PIECE: Final = 32768
"""The longest PSH that is sent, in bytes; the program cuts there too."""
KEEPALIVE: Final = 10
"""How often each side says that it lives, in seconds."""
SILENCE: Final = 30
"""After how many seconds without a frame the program closes a session, looked at as
often: so after 30 to 60."""


class NoStream(Exception):
    """
    No stream can be opened: the session has as many as it may, or all numbers are used
    up.  The text says which.
    """


@dataclass(frozen=True, slots=True)
class Bounds:
    """
    What the peer can make grow.

    @ivar streams: how many may be open at a time; one that is opened beyond that is
        closed at once.
    @ivar window: the most bytes of one stream that wait to be consumed.
    @ivar budget: the most of all streams; the program's is as large, but for what one
        frame may add.
    """

    streams: int = 1024
    window: int = 1 << 20
    budget: int = 1 << 22


STRANGER: Final = Bounds(streams=1, window=65535, budget=65535)
"""For one who has not logged in: the control stream, and one frame there."""


@dataclass(frozen=True, slots=True)
class Opened:
    """
    The peer opened a stream.
    """

    stream: int


@dataclass(frozen=True, slots=True)
class Received:
    """
    The peer sent bytes: one PSH.  Call L{Session.consumed} when they are delivered.
    """

    stream: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Finished:
    """
    The peer closed a stream: it takes nothing more.  What came before may still be
    delivered; then call L{Session.finish}.
    """

    stream: int


@dataclass(frozen=True, slots=True)
class Answered:
    """
    The peer has answered a L{Session.probe}.
    """

    stream: int


@dataclass(frozen=True, slots=True)
class Declined:
    """
    The peer opened a stream beyond the bound; it is closed already.
    """

    stream: int


@dataclass(frozen=True, slots=True)
class Overrun:
    """
    More bytes of a stream waited than may; it is closed already, and what waits is not
    the peer's any more: drop it.
    """

    stream: int


@dataclass(frozen=True, slots=True)
class Odd:
    """
    The peer did what it must not, and what could be passed over.

    @ivar what: a sentence for a log.
    """

    stream: int
    what: str


Event: TypeAlias = Opened | Received | Finished | Answered | Declined | Overrun | Odd


@dataclass(slots=True)
class _Stream:
    unread: int = 0
    finished: bool = False  # by the peer


class Session:
    """
    Streams over one connection, either side of it.

    @ivar bounds: what the peer may make grow; may be changed at any time, as after a
        login.
    @ivar unread: how many bytes of all streams wait to be consumed.
    """

    __slots__ = (
        "_client",
        "_decoder",
        "_last",
        "_probed",
        "_streams",
        "_write",
        "bounds",
        "unread",
    )

    def __init__(
        self,
        client: bool,
        write: Callable[[bytes], object],
        bounds: Bounds | None = None,
    ) -> None:
        """
        @param client: whether this is the side that opened the connection.
        @param write: sends bytes to the peer.
        """
        self.bounds = bounds or Bounds()
        self.unread = 0
        self._client = client
        self._write = write
        self._decoder = FrameDecoder()
        self._streams: dict[int, _Stream] = {}
        self._last = 1 if client else 0
        self._probed = 0

    @property
    def streams(self) -> tuple[int, ...]:
        """
        The streams that are open, oldest first; one that the peer alone has finished
        counts too.
        """
        return tuple(self._streams)

    def receive(self, data: bytes) -> Iterator[Event]:
        """
        Take the next bytes of the connection.

        @return: what they mean, made as it is asked for.  Ask for all of it, or close
            the connection.
        @raise WireError: the bytes are not smux 1, or open a stream that is not the
            peer's to open.
        """
        frames = self._decoder.feed(data)
        return (event for frame in frames for event in self._events(frame))

    def open(self) -> int:
        """
        Open a stream.  That is never answered: bytes may follow at once.

        @raise NoStream: there are as many as there may be.
        """
        if len(self._streams) >= self.bounds.streams:
            raise NoStream(f"there are {len(self._streams)} streams already")
        stream = self._next()
        self._streams[stream] = _Stream()
        self._send(Command.SYN, stream)
        return stream

    def send(self, stream: int, data: bytes) -> None:
        """
        Send bytes of a stream: one PSH, or as many as it takes.  Nothing is sent where
        either side has closed it, as the peer would throw it away.
        """
        known = self._streams.get(stream)
        if known is None or known.finished:
            return
        for at in range(0, len(data), PIECE):
            self._send(Command.PSH, stream, data[at : at + PIECE])

    def finish(self, stream: int) -> None:
        """
        Close a stream, both ways; what of it was not consumed counts no more.  Does
        nothing where that was done before.
        """
        known = self._streams.pop(stream, None)
        if known is not None:
            self.unread -= known.unread
            self._send(Command.FIN, stream)

    def consumed(self, stream: int, count: int) -> None:
        """
        Take note that bytes of a L{Received} were delivered.
        """
        known = self._streams.get(stream)
        if known is not None:
            known.unread -= count
            self.unread -= count

    def waiting(self, stream: int) -> int:
        """
        Say how many bytes of a stream wait to be consumed.
        """
        known = self._streams.get(stream)
        return known.unread if known else 0

    def probe(self) -> int:
        """
        Ask whether the peer's program lives: by a stream that is opened and closed, as
        it answers that with a FIN.  The answer comes as L{Answered}, to the last probe
        alone.

        @raise NoStream: all numbers are used up.
        """
        stream = self._probed = self._next()
        self._send(Command.SYN, stream)
        self._send(Command.FIN, stream)
        return stream

    def nop(self) -> None:
        """
        Tell the peer that this side lives.
        """
        self._send(Command.NOP, 0)

    def _next(self) -> int:
        if self._last + 2 > HIGHEST:
            raise NoStream("all numbers of streams are used up: connect anew")
        self._last += 2
        return self._last

    def _send(self, command: Command, stream: int, payload: bytes = b"") -> None:
        self._write(encode(Frame(command, stream, payload)))

    def _events(self, frame: Frame) -> Iterator[Event]:
        stream = frame.stream
        if frame.command == Command.PSH:
            yield from self._pushed(stream, frame.payload)
            return
        if frame.payload:
            # The program would take these bytes for frames, and be lost.
            what = f"a {frame.command.name} with {len(frame.payload)} bytes"
            yield Odd(stream, what)
        if frame.command == Command.SYN:
            yield from self._synchronised(stream)
        elif frame.command == Command.FIN:
            yield from self._finished(stream)

    def _synchronised(self, stream: int) -> Iterator[Event]:
        if stream in self._streams:
            yield Odd(stream, f"stream {stream} is opened again")
        elif stream == 0 or stream % 2 == self._client:
            raise WireError(f"stream {stream} is not the other side's to open")
        elif len(self._streams) >= self.bounds.streams:
            self._send(Command.FIN, stream)
            yield Declined(stream)
        else:
            self._streams[stream] = _Stream()
            yield Opened(stream)

    def _pushed(self, stream: int, data: bytes) -> Iterator[Event]:
        known = self._streams.get(stream)
        # The peer may not have heard yet that the stream is closed.
        if known is None or known.finished:
            return
        known.unread += len(data)
        self.unread += len(data)
        yield Received(stream, data)
        if known.unread > self.bounds.window:
            yield from self._overrun(stream)
        while self.unread > self.bounds.budget:
            fullest = max(self._streams, key=lambda each: self._streams[each].unread)
            yield from self._overrun(fullest)

    def _overrun(self, stream: int) -> Iterator[Event]:
        if stream in self._streams:
            self.finish(stream)
            yield Overrun(stream)

    def _finished(self, stream: int) -> Iterator[Event]:
        if stream == self._probed:
            self._probed = 0
            yield Answered(stream)
        known = self._streams.get(stream)
        if known is not None and not known.finished:
            known.finished = True
            yield Finished(stream)
