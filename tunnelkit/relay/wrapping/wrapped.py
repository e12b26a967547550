"""
Wrapped: a work connection whose bytes are others than those of the join.

It stands between a join and the work connection, whatever that is, and passes on what
they say to each other, until it forgets the join.
"""

from __future__ import annotations

from typing import cast

from zope.interface import implementer

from tunnelkit.interfaces import IEnd
from tunnelkit.relay.streams.stream import Attachable, Receiver, Stream
from tunnelkit.wire.codes import ResetCode


@implementer(IEnd)
class Wrapped:
    """
    A work connection, as a join sees it, and its join, as the work connection does.
    What is done with the bytes is for who inherits from this.

    @ivar count: bytes that came, as they came.
    """

    __slots__ = ("_receiver", "_stream", "_work", "count")

    _stream: Stream

    def __init__(self, work: IEnd) -> None:
        self.count = 0
        self._work = work
        self._receiver: Receiver | None = None

    @property
    def peer(self) -> str:
        """
        Who is at the other side.
        """
        return self._work.peer

    @property
    def local(self) -> str:
        """
        The address that the other side came to.
        """
        return self._work.local

    def abort(self) -> None:
        """
        Reset the connection.
        """
        self._work.abort()

    def attach(self, receiver: Receiver) -> Stream:
        """
        Tell C{receiver} what happens here.
        """
        self._receiver = receiver
        self._stream = cast(Attachable, self._work).attach(self)
        return self

    # What the join does.

    @property
    def releaseEnds(self) -> bool:
        """
        Whether to release it is enough, which is for the work connection to say.
        """
        return self._stream.releaseEnds

    def announce(self, opening: bytes) -> None:
        """
        Write what is a frame already.
        """
        self._stream.announce(opening)

    def write(self, data: bytes) -> None:
        """
        Send bytes.
        """
        raise NotImplementedError

    def finish(self) -> bool:
        """
        End this direction.
        """
        raise NotImplementedError

    def reset(self, code: ResetCode, reason: str) -> None:
        """
        Fail the stream towards the other side.
        """
        self._forget()
        self._stream.reset(code, reason)

    def release(self) -> None:
        """
        The join is over.
        """
        self._forget()
        self._stream.release()

    def pauseReading(self) -> None:
        """
        Take no more bytes.
        """
        self._stream.pauseReading()

    def resumeReading(self) -> None:
        """
        Take bytes.
        """
        self._stream.resumeReading()

    def unsent(self) -> int:
        """
        What the work connection knows of it.
        """
        return self._stream.unsent()

    # What the work connection says.

    def received(self, data: bytes) -> None:
        """
        Bytes came.
        """
        raise NotImplementedError

    def finished(self) -> None:
        """
        No more will come.
        """
        raise NotImplementedError

    def left(self) -> None:
        """
        Pass that on.
        """
        if self._receiver is not None:
            self._receiver.left()

    def delivered(self) -> None:
        """
        Pass that on.
        """
        if self._receiver is not None:
            self._receiver.delivered()

    def failed(self, code: ResetCode, reason: str) -> None:
        """
        Pass that on: nobody needs what waits.
        """
        if self._receiver is not None:
            self._receiver.failed(code, reason)

    def blocked(self) -> None:
        """
        Pass that on.
        """
        if self._receiver is not None:
            self._receiver.blocked()

    def ready(self) -> None:
        """
        Pass that on.
        """
        if self._receiver is not None:
            self._receiver.ready()

    def _forget(self) -> None:
        """
        The join hears nothing more.
        """
        self._receiver = None
