# -*- test-case-name: tests.relay.fast.test_raw -*-
"""
End: a socket of the loop's, whose bytes go to another end and come from it.

The moves are these.  A read goes into the one L{buffer<tunnelkit.relay.fast.buffer>},
and from there at once to the far end (C{put}).  What that cannot send it
keeps, at most once what was read, and the end that it came from is not read before
that has left: backpressure is not reading.  Who fills a whole buffer has more to say,
and goes through a kernel pipe next time (C{putPipe}).

Pausing costs nothing: only an event that comes all the same has the loop watch for
less.
"""

from __future__ import annotations

import os
import socket
from typing import ClassVar, Final, Protocol

from tunnelkit.relay.bucket import Bucket
from tunnelkit.relay.fast.buffer import VIEW
from tunnelkit.relay.fast.loop import BITE, ERROR, HANGUP, IN, LAST, OUT, Loop
from tunnelkit.relay.fast.pipes import Pipe
from tunnelkit.relay.streams.stream import Receiver

Socket = socket.SocketType
"""A socket without what Python adds to it, which costs at each step."""

SPLICE: Final = os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK
splice: Final = os.splice

UNWATCHED: Final = -1
"""In place of events, where the loop does not know of an end."""


class Sink(Protocol):
    """
    What takes the bytes that an end reads.

    @ivar takesPipes: whether L{putPipe} may be called.
    @ivar most: with how many bytes it may be now.
    """

    takesPipes: ClassVar[bool]

    @property
    def most(self) -> int:
        """
        See above.
        """

    def put(self, start: int, stop: int) -> None:
        """
        Take this part of the buffer, before which there is room for a header.
        """

    def putPipe(self, pipe: Pipe, count: int) -> None:
        """
        Take a pipe with so many bytes in it, and give it back to the loop's when
        they have left.
        """

    def cork(self) -> None:
        """
        Wait for more with what is put, until L{flush}.
        """

    def flush(self) -> None:
        """
        Wait no longer.
        """


class FastEnd:
    """
    A socket of the loop's.

    @ivar fd: its descriptor.
    @ivar full: whether it takes no more for now.
    @ivar reading: whether it may read.
    @ivar sock: the socket.
    """

    __slots__ = (
        "_after",
        "_events",
        "_far",
        "_loop",
        "_much",
        "_pending",
        "_pipe",
        "_tail",
        "fd",
        "full",
        "reading",
        "sock",
    )

    most: ClassVar[int] = BITE
    fd: int
    full: bool
    reading: bool
    _after: bytes  # what follows that which is in the pipe
    _events: int  # what the loop watches for
    _far: Sink | None  # where bytes go that are read
    _loop: Loop
    _much: bool  # whether the last read filled the buffer
    _pending: int  # bytes in the pipe
    _pipe: Pipe | None  # what waits to be written, behind the tail
    sock: Socket
    _tail: bytes  # what waits to be written, before all else

    def _own(self, loop: Loop, sock: Socket) -> None:
        """
        Begin: the socket is this end's alone, and does not block.
        """
        self._loop = loop
        self.sock = sock
        self.fd = sock.fileno()
        self.full = self.reading = self._much = False
        self._tail = self._after = b""
        self._pending = 0
        self._events = UNWATCHED
        self._far = self._pipe = None

    def part(self) -> tuple[Socket, bytes]:
        """
        Let somebody else have the socket, for good.

        @return: the socket, and what was not sent yet.
        """
        unsent, self._tail = self._tail, b""
        if self._pipe is not None:
            # Of a stream that its peer called done, and so has no use for the rest.
            self._loop.pipes.drop(self._pipe)
            self._pipe = None
        self._unwatch()
        self.reading = False
        return self.sock, unsent

    # What subclasses do.

    def _read(self) -> None:
        """
        Read once, and pass on what came.
        """
        raise NotImplementedError

    def _readLast(self) -> None:
        """
        Read; behind what is there nothing will come.
        """
        self._read()

    def _broken(self, error: OSError) -> None:
        """
        The connection was reset or lost.
        """
        raise NotImplementedError

    def _filled(self) -> None:
        """
        No more should be put here.
        """
        raise NotImplementedError

    def _emptied(self) -> None:
        """
        More may be put here: the kernel has all.
        """
        raise NotImplementedError

    # What the loop says.

    def _unusual(self, event: int) -> None:
        """
        Something else happened than that bytes came for which this end waits.
        """
        if event & OUT and self.full:
            self._flush()
        if self._events == UNWATCHED:
            return
        if self.reading:
            if event & LAST:
                self._readLast()
            elif event & (IN | ERROR | HANGUP):
                self._read()
        elif event & ERROR and (error := self._error()):
            self._broken(error)
        elif event & HANGUP:
            self._unwatch()  # it would be said again and again
        else:
            self._watch()

    def _error(self) -> OSError | None:
        number = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        return OSError(number, os.strerror(number)) if number else None

    # Watching.

    def _watch(self) -> None:
        events = (IN | LAST if self.reading else 0) | (OUT if self.full else 0)
        if events == self._events:
            return
        if self._events == UNWATCHED:
            self._loop.watch(self.fd, self, events)  # type: ignore[arg-type]
        else:
            self._loop.change(self.fd, events)
        self._events = events

    def _unwatch(self) -> None:
        if self._events != UNWATCHED:
            self._events = UNWATCHED
            self._loop.forget(self.fd)

    def _drop(self) -> None:
        """
        Close the socket, and let go of everything.
        """
        if self._events != UNWATCHED:
            self._events = UNWATCHED
            self._loop.closing(self.fd)
        self.reading = False
        self._far = None
        if self._pipe is not None:
            self._loop.pipes.drop(self._pipe)
            self._pipe = None
        self._tail = self._after = b""
        self._pending = 0
        self.sock.close()

    # Writing.

    def putBytes(self, data: bytes) -> None:
        """
        Send bytes, behind those that wait.
        """
        if self._pending:
            self._after += data
        elif self.full:
            self._tail += data
        else:
            self._sendNow(data)

    def _sendNow(self, data: bytes | memoryview) -> None:
        try:
            sent = self.sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError as e:
            self._broken(e)
            return
        if sent != len(data):
            self._keep(bytes(data[sent:]))

    def _keep(self, rest: bytes) -> None:
        """
        Send these bytes when the kernel takes more.
        """
        self._tail = rest
        self.full = True
        self._watch()
        self._filled()

    def _sendPipe(self, pipe: Pipe, count: int) -> None:
        """
        Send what is in a pipe, behind the tail where there is one.
        """
        self._loop.bulky.add(self.fd)
        self._pipe = pipe
        self._pending = count
        if self.full:
            return
        if not self._drain():
            self._keep(b"")

    def _drain(self) -> bool:
        """
        Send what is in the pipe.

        @return: whether that is done.
        @raise OSError: the connection is lost.
        """
        pipe = self._pipe
        if pipe is None:
            return True
        try:
            while self._pending:
                self._pending -= splice(pipe.out, self.fd, self._pending, flags=SPLICE)
        except BlockingIOError:
            return False
        self._pipe = None
        self._loop.pipes.give(pipe)
        return True

    def _flush(self) -> None:
        """
        Send what waits.
        """
        try:
            while self._tail or self._pending:
                if self._tail:
                    self._tail = self._tail[self.sock.send(self._tail) :]
                elif self._drain():
                    self._tail, self._after = self._after, b""
                else:
                    return
        except BlockingIOError:
            return
        except OSError as e:
            self._broken(e)
            return
        self.full = False
        self._watch()
        self._emptied()


class Passing:
    """
    Gives what a fast end reads to a receiver, where the far end is not a fast one.
    """

    __slots__ = ("_receiver",)
    takesPipes: ClassVar[bool] = False

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver

    @property
    def most(self) -> int:
        """
        Give none: there are no pipes.
        """
        return 0

    def put(self, start: int, stop: int) -> None:
        """
        Pass that on.  The end that read has counted it already.
        """
        self._receiver.count -= stop - start
        self._receiver.received(bytes(VIEW[start:stop]))

    def cork(self) -> None:
        """
        Twisted's transports wait for the end of the reactor's turn by themselves.
        """

    def flush(self) -> None:
        """
        So that is nothing to do.
        """

    def putPipe(self, pipe: Pipe, count: int) -> None:
        """
        Never do that.
        """
        raise AssertionError("a pipe for who takes none")


class Metered(Passing):
    """
    The same where the far end is a fast one, and a bucket says how fast bytes may go
    there: as long as it says much, they go through pipes.
    """

    __slots__ = ("_bucket", "_far")
    takesPipes: ClassVar[bool] = True

    def __init__(self, receiver: Receiver, far: Sink, bucket: Bucket) -> None:
        super().__init__(receiver)
        self._far = far
        self._bucket = bucket

    @property
    def most(self) -> int:
        """
        What the bucket says.
        """
        return self._bucket.room

    def putPipe(self, pipe: Pipe, count: int) -> None:
        """
        Pass that on; there were tokens for it.
        """
        self._bucket.take(count)
        self._far.putPipe(pipe, count)
