"""
Stream: what the two ends of a join are to the join, and it to them.

Each end gives the join one L{Stream} to write to, and tells what comes from outside
to one L{Receiver}.  The join in the middle knows neither sockets nor frames.
"""

from __future__ import annotations

from typing import Protocol

from tunnelkit.wire.codes import ResetCode


class Receiver(Protocol):
    """
    Who hears what happens at one end.

    @ivar count: bytes that came from there.  L{received} counts; an end that passes
        bytes on by itself does it here.
    """

    count: int

    def received(self, data: bytes) -> None:
        """
        Bytes came.
        """

    def finished(self) -> None:
        """
        No more bytes will come: the other side ended its direction well.
        """

    def left(self) -> None:
        """
        Who is at this end takes no more, either: what still comes for it is in vain.
        """

    def delivered(self) -> None:
        """
        After a L{Stream.finish} that could not say so: the kernel has every byte and
        the end behind them.
        """

    def failed(self, code: ResetCode, reason: str) -> None:
        """
        The other side was reset or lost.
        """

    def blocked(self) -> None:
        """
        No more should be written before L{ready}.
        """

    def ready(self) -> None:
        """
        Writing may go on.
        """


class Stream(Protocol):
    """
    One end, as the join sees it.  Nothing here raises, and everything may be said
    after the end is gone.
    """

    @property
    def releaseEnds(self) -> bool:
        """
        Whether L{release} ends this direction as well, where that is still open and
        nothing waits to be written.
        """

    def announce(self, opening: bytes) -> None:
        """
        Write bytes as they are, before the stream's own.
        """

    def write(self, data: bytes) -> None:
        """
        Send bytes of the stream.
        """

    def finish(self) -> bool:
        """
        End this direction; the other may go on.

        @return: whether all is delivered, as far as that is known here; if not,
            L{Receiver.delivered} follows.
        """

    def reset(self, code: ResetCode, reason: str) -> None:
        """
        Fail the stream towards the other side.
        """

    def release(self) -> None:
        """
        The join is over: close the end, or make it ready for the next stream.
        """

    def pauseReading(self) -> None:
        """
        Take no more bytes from the other side.
        """

    def resumeReading(self) -> None:
        """
        Take bytes from the other side.
        """

    def unsent(self) -> int:
        """
        How many bytes the kernel still holds for the other side, as far as it can
        be known: that it changes is a sign of life.
        """


class Attachable(Protocol):
    """
    An end that a join can hold.
    """

    def attach(self, receiver: Receiver) -> Stream:
        """
        Tell C{receiver} what happens at this end, and give what to write to.
        """


class Lone:
    """
    What an end has besides that carries one stream and no other.
    """

    __slots__ = ()

    def begin(self) -> int:
        """
        Count: it carries one stream.
        """
        return 1

    def refuse(self, code: ResetCode, reason: str) -> None:
        """
        Reset the connection.
        """
        self.abort()

    def abort(self) -> None:
        """
        Reset the connection.
        """
        raise NotImplementedError
