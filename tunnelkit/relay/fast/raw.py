# -*- test-case-name: tests.relay.fast.test_raw -*-
"""
Raw: the connection of a visitor or of a local service, as a socket of the loop's.

While its stream runs it has SO_LINGER 0, so that whatever kills this process shows
as a reset and never as a clean end; it loses that when the stream has ended well.
"""

from __future__ import annotations

import fcntl
import socket
import termios
from typing import ClassVar, Final

from zope.interface import implementer

from tunnelkit.interfaces import IEnd
from tunnelkit.relay.connection import ENDING, linger, namedAddress
from tunnelkit.relay.fast.buffer import HEAD, PLACE, PLENTY, SMALL, VIEW
from tunnelkit.relay.fast.end import (
    SPLICE,
    FastEnd,
    Passing,
    Sink,
    Socket,
    splice,
)
from tunnelkit.relay.fast.loop import IN, Loop
from tunnelkit.relay.fast.pipes import LEAST, Pipe
from tunnelkit.relay.streams.stream import Receiver
from tunnelkit.wire.codes import ResetCode

_WELL: Final = ResetCode.ENDED, ""


@implementer(IEnd)
class RawSocket(FastEnd):
    """
    A visitor's or a local service's connection.  Nothing is read before the join.

    @ivar peer: who is at the other side.
    """

    __slots__ = (
        "_finishing",
        "_gone",
        "_local",
        "_receiver",
        "_speaksFirst",
        "_theirs",
        "peer",
    )

    releaseEnds: ClassVar[bool] = True
    takesPipes: ClassVar[bool] = True

    def __init__(
        self,
        loop: Loop,
        sock: Socket,
        peer: str = "nobody",
        speaksFirst: bool = False,
        local: str = "",
    ) -> None:
        """
        @param sock: it does not block, and has SO_LINGER 0 already.
        @param speaksFirst: whether the other side may have said something by the time
            of the join: then that leaves in one write with the opening.
        @param local: the address that the other side came to, where that is known.
        """
        self._speaksFirst = speaksFirst
        self._own(loop, sock)
        self.peer = peer
        self._local = local
        self._receiver: Receiver | None = None
        self._gone: tuple[ResetCode, str] | None = None
        self._theirs = True  # their direction is open
        self._finishing = False

    @property
    def local(self) -> str:
        """
        The address that they came to.
        """
        if self._local:
            return self._local
        try:
            return namedAddress(self.sock.getsockname())
        except OSError:
            return ""

    def attach(self, receiver: Receiver, far: Sink | None = None) -> RawSocket:
        """
        Tell C{receiver} what happens here from now on.

        @param far: where to put what is read, if that is not to be told as well.
        """
        self._receiver = receiver
        self._far = far or Passing(receiver)
        return self

    def abort(self) -> None:
        """
        Reset the connection.
        """
        if self._gone is None:
            self._gone = ResetCode.PEER, f"{self.peer} is gone"
            self._drop()

    # What the loop says.

    def happened(self, event: int) -> None:
        """
        Bytes came, or something else happened.
        """
        if event != IN or not self.reading or self._much:
            self._unusual(event)
            return
        try:
            count = self.sock.recv_into(PLACE)
        except BlockingIOError:
            return
        except OSError as e:
            self._broken(e)
            return
        if not count:
            self._end()
            return
        if count == SMALL:
            self._much = True
        self._receiver.count += count  # type: ignore[union-attr]
        self._far.put(HEAD, HEAD + count)  # type: ignore[union-attr]

    def failed(self) -> None:
        """
        A bug came up here.
        """
        self._fail(ResetCode.INTERNAL, "a bug in the relay: see the log")

    def _read(self) -> None:
        if self._much:
            self._readMuch()
        else:
            self.happened(IN)

    def _readLast(self) -> None:
        far = self._far
        assert far is not None, "reading without a join"
        # The end leaves with the last bytes.
        far.cork()
        self._read()
        if self.reading and not self._much:
            self._read()
        far.flush()

    def _readMuch(self) -> None:
        """
        Read what fills more than a small buffer, if there is so much, through a pipe.
        """
        far, receiver = self._far, self._receiver
        assert far is not None and receiver is not None, "reading without a join"
        loop = self._loop
        loop.bulky.add(self.fd)
        much = min(loop.bite, far.most)
        pipe = loop.pipes.take() if far.takesPipes and much >= LEAST else None
        try:
            if pipe is None:
                # What is kept where nothing can go on is for each of very many.
                count = self.sock.recv_into(PLACE if far.takesPipes else PLENTY)
            else:
                count = splice(self.fd, pipe.into, much, flags=SPLICE)
        except BlockingIOError:
            count = -1
        except OSError as e:
            if pipe is not None:
                # Not behind the end, which may be that of the loop and of its pipes.
                loop.pipes.give(pipe)
            self._broken(e)
            return
        if count < SMALL:
            self._much = False
        if count <= 0 and pipe is not None:
            loop.pipes.give(pipe)
        if count > 0:
            receiver.count += count
            if pipe is None:
                far.put(HEAD, HEAD + count)
            else:
                far.putPipe(pipe, count)
        elif count == 0:
            self._end()

    def _end(self) -> None:
        """
        Their direction has ended.
        """
        self._theirs = self.reading = False
        if self._receiver is not None:
            self._receiver.finished()
        if self._gone is None and not self.full:
            # It would be said again and again.
            self._unwatch()

    def _broken(self, error: OSError) -> None:
        self._fail(ResetCode.PEER, f"{self.peer} reset the connection")

    def _fail(self, code: ResetCode, reason: str) -> None:
        if self._gone is None:
            self._gone = code, reason
            self._drop()
            if self._receiver is not None:
                self._receiver.failed(code, reason)

    def _filled(self) -> None:
        if self._receiver is not None:
            self._receiver.blocked()

    def _emptied(self) -> None:
        receiver = self._receiver
        if receiver is None:
            pass
        elif not self._finishing:
            receiver.ready()
        elif self._shut():
            receiver.delivered()

    # What a far end puts here.

    def put(self, start: int, stop: int) -> None:
        """
        Send a part of the buffer.
        """
        try:
            sent = self.sock.send(VIEW[start:stop])
        except BlockingIOError:
            sent = 0
        except OSError as e:
            self._broken(e)
            return
        if sent != stop - start:
            self._keep(bytes(VIEW[start + sent : stop]))

    def cork(self) -> None:
        """
        An end is no bytes here: there is nothing to wait for.
        """

    def flush(self) -> None:
        """
        So that is nothing to do.
        """

    def putPipe(self, pipe: Pipe, count: int) -> None:
        """
        Send what is in a pipe.
        """
        try:
            self._sendPipe(pipe, count)
        except OSError as e:
            self._broken(e)

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
        if self._gone is None:
            self.putBytes(data)

    def finish(self) -> bool:
        """
        End this direction.
        """
        if self._gone is not None:
            return False
        self._finishing = True
        return not self.full and self._shut()

    def _shut(self) -> bool:
        if self._theirs:
            try:
                self.sock.shutdown(socket.SHUT_WR)
            except OSError as e:
                self._broken(e)
                return False
        # Else it is closed at once, which says the same.
        return True

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
        if self._gone is None:
            linger(self.sock, ENDING)
            self._gone = _WELL
            self._drop()

    def pauseReading(self) -> None:
        """
        Take no more bytes.
        """
        self.reading = False

    def resumeReading(self) -> None:
        """
        Take bytes; an end that was lost while nobody listened says so now.
        """
        if self._gone is not None:
            if self._receiver is not None:
                self._receiver.failed(*self._gone)
        elif self._theirs:
            self.reading = True
            if self._speaksFirst:
                self._speaksFirst = False
                # It leaves in one write with the opening.
                self.happened(IN)
            if self._gone is None and self.reading:
                self._watch()

    def unsent(self) -> int:
        """
        Bytes that the kernel holds for the other side.
        """
        if self._gone is not None:
            return 0
        answer = fcntl.ioctl(self.fd, termios.TIOCOUTQ, bytes(4))
        return int.from_bytes(answer, "little")
