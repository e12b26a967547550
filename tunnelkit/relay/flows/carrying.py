# -*- test-case-name: tests.relay.flows.test_carrying -*-
"""
Carrying: a work connection on which the datagrams of many flows cross.

All that is put here in one round of the loop leaves in one write.  Where the kernel
takes no more, whole frames wait, and the oldest of them leave first; only a frame of
which a part has left is finished in any case.  That is decided before anything is
encrypted, and before the kernel has it: what it has taken nobody can drop.
"""

from __future__ import annotations

import contextlib
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, Final, TypeAlias

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from tunnelkit.interfaces import ICarrier, ICarrierOwner
from tunnelkit.relay.flows.flow import Flow
from tunnelkit.relay.flows.queue import Entry, FrameQueue
from tunnelkit.relay.flows.tally import LATE, QUEUE
from tunnelkit.relay.streams.work import Work
from tunnelkit.wire.native.codec import fromClient, fromServer, said
from tunnelkit.wire.native.datagrams import DatagramDecoder, flowOf
from tunnelkit.wire.native.frames import (
    HEADER,
    LONGEST,
    FrameDecoder,
    Message,
    Reset,
    WireError,
)
from tunnelkit.wire.native.messages import Flow as Announced
from tunnelkit.wire.native.messages import FlowEnd

STALLED: Final = 1.0
"""Seconds for which a carrier may take nothing before its flows move."""
ROUND: Final = 128
"""Frames after which a carrier does not wait for the end of the round."""
PIECE: Final = 32768
"""How much is sent at once of what waited, in bytes; also how much is encrypted before
the kernel takes it."""
CLOSING: Final = 5.0
"""Seconds that a close may take before it becomes a reset."""
UNSENT: Final = 16384
"""How much the kernel is to hold that it has not sent, in bytes (TCP_NOTSENT_LOWAT):
else it takes 4 MB, which nobody can drop."""

_NOTSENT_LOWAT: Final = getattr(socket, "TCP_NOTSENT_LOWAT", None)
_MESSAGE: Final = HEADER.unpack_from(said(FlowEnd(0)))[0] >> 24
_U32: Final = 1 << 32

Salvaged: TypeAlias = tuple[Flow, bytes]
"""A flow, and a frame of it."""


class Waiting:
    """
    A carrier that never sends: where flows live for which there is none.

    @ivar blocked: whether it takes no more for now.
    @ivar flows: who lives here, by number.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self.blocked = True
        self.flows: dict[int, Flow] = {}
        self._clock = clock
        self._queue = FrameQueue(self._dropped)

    def adopt(self, flow: Flow, opening: bytes = b"") -> None:
        """
        Have a flow live here from now on.

        @param opening: what announces it, and goes ahead of its next frame.
        """
        flow.carrier.forget(flow)
        self.flows[flow.id] = flow
        flow.carrier = self
        flow.opening = opening

    def forget(self, flow: Flow) -> None:
        """
        A flow is over, or lives elsewhere.
        """
        self.flows.pop(flow.id, None)

    def put(self, frame: bytes) -> None:
        """
        Send a frame when that can be, unless it is dropped before.
        """
        self._queue.put((frame,), self._clock.seconds())

    def tell(self, message: Announced | FlowEnd) -> None:
        """
        Say something about a flow.
        """
        self.put(said(message))

    def salvaged(self, only: Flow | None = None) -> list[Salvaged]:
        """
        Take back the datagrams that wait here, without what announced their flows
        here: they are to go another way.

        @param only: whose alone.
        """
        found: list[Salvaged] = []
        others: list[Entry] = []
        queue = self._queue
        for entry in queue.take(queue.size, self._clock.seconds()):
            frame = entry[1]
            datagram = frame[len(_message(frame)) :]
            flow = self.flows.get(flowOf(datagram)) if datagram else None
            if only is not None and flow is not only:
                others.append(entry)
            elif flow is not None:
                found.append((flow, datagram))
        queue.putBack(others)
        return found

    def _dropped(self, frame: bytes, late: bool) -> None:
        message = _message(frame)
        datagram = frame[len(message) :]
        flow = self.flows.get(flowOf(datagram) if datagram else _announced(message))
        if flow is None:
            return
        if message:
            flow.opening = message  # it is to be said again
        if datagram:
            flow.tally.drop(LATE if late else QUEUE)


@implementer(ICarrier)
class Carrier(Waiting, ABC):
    """
    A datagram carrier, whatever its bytes go through.

    @ivar peer: who is at the other side.
    """

    _log = Logger()
    local: ClassVar[str] = ""

    def __init__(
        self,
        work: Work,
        owner: ICarrierOwner,
        clock: IReactorTime,
    ) -> None:
        """
        @param work: gives its connection to this.
        """
        super().__init__(clock)
        self.peer = work.peer
        self.blocked = False
        self._client = work.client
        self._owner = owner
        self._works, rest = work.give(self)
        self._decoder = DatagramDecoder(self.flows, self._told, rest)
        self._frames: list[bytes] = []
        self._tail = b""  # of a frame that has been begun
        self._gone = self._closing = False
        self._since = 0.0
        self._stalling: IDelayedCall | None = None
        self._deadline: IDelayedCall | None = None

    @property
    def gone(self) -> bool:
        """
        Whether the connection is lost.
        """
        return self._gone

    @property
    def strays(self) -> int:
        """
        How many datagrams came of flows that do not live here.
        """
        return self._decoder.strays

    # What goes out.

    def put(self, frame: bytes) -> None:
        """
        Send a frame at the end of this round.
        """
        frames = self._frames
        if not frames:
            self._later(self.flush)
        frames.append(frame)
        if len(frames) >= ROUND:
            self.flush()

    def flush(self) -> None:
        """
        Send what was put here, in one write.
        """
        frames, self._frames = self._frames, []
        if self._gone or not frames:
            return
        if self.blocked:
            self._queue.put(frames, self._clock.seconds())
            return
        left = self._write(frames)
        if left:
            self._queue.put(left, self._clock.seconds())

    def _write(self, frames: list[bytes]) -> list[bytes]:
        """
        Send frames.

        @return: those that have not been begun.
        """
        data = frames[0] if len(frames) == 1 else b"".join(frames)
        sent = self._send(data)
        if sent == len(data):
            return []
        for index, frame in enumerate(frames):
            if sent <= 0:
                return frames[index:]
            if sent < len(frame):
                self._tail = frame[sent:]
            sent -= len(frame)
        return []

    def _drain(self) -> None:
        """
        The kernel takes more: send what waits.
        """
        self.blocked = self._gone
        while not self.blocked:
            if self._tail:
                self._tail = self._tail[self._send(self._tail) :]
                continue
            entries = self._queue.take(PIECE, self._clock.seconds())
            if not entries:
                break
            left = self._write([frame for _, frame in entries])
            if left:
                self._queue.putBack(entries[-len(left) :])
        if self._closing and not self.blocked:
            self._finish()

    def _block(self) -> None:
        """
        The kernel takes no more.
        """
        if self.blocked or self._gone:
            return
        self.blocked = True
        self._since = self._clock.seconds()
        if self._stalling is None:
            self._stalling = self._clock.callLater(STALLED, self._look)

    def _look(self) -> None:
        self._stalling = None
        if not self.blocked:
            return
        left = self._since + STALLED - self._clock.seconds()
        if left <= 0:
            self._owner.stalled(self)
        else:
            self._stalling = self._clock.callLater(left, self._look)

    # What a connection does.

    @abstractmethod
    def _send(self, data: bytes) -> int:
        """
        Send bytes; where not all of them can leave at once, L{_block}.

        @return: how many were taken.
        """

    @abstractmethod
    def _later(self, call: Callable[[], None]) -> None:
        """
        Call something at the end of this round.
        """

    @abstractmethod
    def _finish(self) -> None:
        """
        End this side's direction of the connection.
        """

    @abstractmethod
    def _reset(self) -> None:
        """
        Reset the connection.
        """

    # How it ends.

    def close(self) -> None:
        """
        Close the connection, with a deadline, when all is sent that is put here; it
        is reported lost when the peer closes it, too.
        """
        if self._gone or self._closing:
            return
        self.flush()
        self._closing = True
        self._deadline = self._clock.callLater(CLOSING, self._abort, "not closed")
        if not self.blocked and not self._gone:
            self._finish()

    def abort(self) -> None:
        """
        Reset the connection; the owner is told.
        """
        self._abort("aborted here")

    def _abort(self, reason: str) -> None:
        if not self._gone:
            self._reset()
            self._end(reason)

    def _end(self, reason: str) -> None:
        """
        The connection is gone.
        """
        if self._gone:
            return
        self._queue.put(self._frames, self._clock.seconds())
        self._gone = self.blocked = True
        self._frames = []
        self._decoder.stop()
        for call in (self._stalling, self._deadline):
            if call is not None and call.active():
                call.cancel()
        self._works.lost(self, reason)
        self._owner.lost(self, reason)

    # What comes in.

    def _receive(self, place: memoryview, stop: int) -> None:
        """
        Have the decoder read; what is wrong with what the peer sent ends the
        connection.
        """
        try:
            self._decoder.read(place, stop)
        except WireError as e:
            self._log.info("datagram carrier of {peer}: {e}", peer=self.peer, e=str(e))
            self._abort(f"{self.peer} broke the protocol: {e}")
        except Exception:
            self._log.failure("a bug at the datagram carrier of {peer}", peer=self.peer)
            self._abort("a bug")

    def _told(self, frame: Message | Reset) -> None:
        if isinstance(frame, Reset):
            self._abort(f"{self.peer} reset it: {frame.reason}")
            return
        message = fromServer(frame) if self._client else fromClient(frame)
        if isinstance(message, Announced) and 0 < message.id < _U32:
            self._owner.announced(self, message)
        elif isinstance(message, FlowEnd):
            self._owner.ended(self, message)
        else:
            raise WireError(f"such a {message.name} message on a datagram carrier")


def sendsSoon(sock: socket.SocketType | None) -> None:
    """
    Have the kernel take little that it cannot send at once.
    """
    if sock is not None and _NOTSENT_LOWAT is not None:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, _NOTSENT_LOWAT, UNSENT)


def _message(frame: bytes) -> bytes:
    """
    Give the message at the beginning of what was put as one frame, if one is there.
    """
    (header,) = HEADER.unpack_from(frame)
    if header >> 24 != _MESSAGE:
        return b""
    return frame[: HEADER.size + (header & LONGEST)]


def _announced(message: bytes) -> int:
    """
    Give the number of the flow that a message announces, or 0.
    """
    for frame in FrameDecoder().feed(message):
        if isinstance(frame, Message) and frame.body["type"] == Announced.name:
            return int(frame.body["id"])
    return 0
