# -*- test-case-name: tests.dialects.mgrok.test_streams -*-
"""
Line: a connection that carries the streams of smux, either side of it.

smux 1 has no flow control of a stream's own.  What a visitor does not take waits here,
and where nearly all waits that may, the connection is not read for a moment: all its
streams go at the pace of those who take least.  But not for long: who takes nothing
while others have to wait is ended, and they go on.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from tunnelkit.control.rounds import Round
from tunnelkit.dialects.mgrok.contract import Owner, Taker
from tunnelkit.relay.connection import Connection, Gauge, Holder, peerOf
from tunnelkit.relay.portable.muxed import MuxedEnd
from tunnelkit.relay.portable.turns import Turns
from tunnelkit.wire.codes import FULL, INTERNAL, PROTOCOL, SILENT, ResetCode
from tunnelkit.wire.native.frames import WireError
from tunnelkit.wire.smux.session import (
    KEEPALIVE,
    SILENCE,
    STRANGER,
    Answered,
    Bounds,
    Declined,
    Event,
    Finished,
    NoStream,
    Odd,
    Opened,
    Overrun,
    Received,
    Session,
)

BUDGET: Final = 1 << 22
"""How many bytes of all streams may wait, and of one of them: one alone is not to be
ended because its visitor is slower than its client."""
NEARLY: Final = BUDGET - (1 << 20)
"""So many that wait are enough for now: what was read ahead still comes."""
AGAIN: Final = NEARLY - (1 << 16)
"""So few that more may come.  Not far below, as all streams wait for that."""
CROWDED: Final = BUDGET >> 1
"""So many that wait are a crowd, once it was more than enough."""
STALLED: Final = 10.0
"""Seconds in which, of each that waits in a crowd, something must be taken; half of it
where the crowd is older than that.  Kernels tell of large steps only.  Where of none
enough was taken for more to come, the one of which most waits is ended."""
TICK: Final = 1.0
"""Seconds between two looks at a crowd."""


class Line(Holder):
    """
    A connection.

    @ivar clock: tells the time.
    @ivar smux: what its bytes mean.
    @ivar streams: who has which stream.
    @ivar blocked: whether it takes no more for now.
    @ivar paused: whether it is not read, as too much waits.
    """

    _log = Logger()

    def __init__(
        self, owner: Owner, clock: IReactorTime, client: bool, bounds: Bounds = STRANGER
    ) -> None:
        """
        @param client: whether this side has opened the connection.
        """
        self.smux = Session(client, self._write, bounds)
        self.streams: dict[int, Taker] = {}
        self.blocked = self.paused = False
        self._owner = owner
        self.clock = clock
        self._over = False
        self._heard = True
        self._quiet = 0
        self._crowd: IDelayedCall | None = None
        self._since: dict[int, float] = {}  # who waits, and when he last took something
        self._crowded = self._thinned = -STALLED  # when it began, when it was looked at
        self._resting = 0.0  # since when it is not read
        self._rounds = Round(KEEPALIVE, self._beat, clock)
        self._turns = Turns(clock, self._ends, self._goOn, self._writable)

    def held(self, connection: Connection) -> None:
        """
        Listen to what comes.
        """
        super().held(connection)
        gauge = Gauge(self._block, self._unblock)
        connection.transport.registerProducer(gauge, True)
        self._owner.begun()

    def start(self, streams: int) -> None:
        """
        Say every few seconds that this side lives, and expect the same.

        @param streams: how many there may be.
        """
        self.smux.bounds = Bounds(streams, BUDGET, BUDGET)
        self._rounds.start()

    def close(self, code: ResetCode, reason: str) -> None:
        """
        Hear nothing more, and send nothing; the connection is its owner's.
        """
        if not self._over:
            self._leave()
            self.connection.transport.unregisterProducer()
            # What it says last is to be read, so that the close is heard.
            self._readOn()
            self._lose(code, reason)

    # What those do who have streams.

    def open(self, taker: Taker) -> int:
        """
        Open a stream.

        @return: its number.
        @raise NoStream: there are too many.
        """
        smux = self.smux
        try:
            stream = smux.open()
        except NoStream as e:
            if len(smux.streams) < smux.bounds.streams:
                # There will never be another on this connection.
                self._owner.broken(FULL, str(e))
            raise
        self.streams[stream] = taker
        return stream

    def send(self, stream: int, data: bytes) -> None:
        """
        Send bytes of a stream.
        """
        self.smux.send(stream, data)

    def finish(self, stream: int) -> None:
        """
        Close a stream.
        """
        self.streams.pop(stream, None)
        self._since.pop(stream, None)
        self.smux.finish(stream)
        self._look()

    def consumed(self, stream: int, count: int) -> None:
        """
        Bytes of a stream have gone on.
        """
        self.smux.consumed(stream, count)
        if self._since.pop(stream, None) is not None and self.smux.waiting(stream):
            self._since[stream] = self.clock.seconds()
        if self.paused:
            self._look()

    def waits(self, stream: int) -> None:
        """
        Bytes of a stream may wait.
        """
        if stream not in self._since and self.smux.waiting(stream):
            self._since[stream] = self.clock.seconds()
        self._look()

    # What the connection says.

    def dataReceived(self, data: bytes) -> None:
        """
        Bytes came.
        """
        if self._over:
            return
        self._heard = True
        try:
            for event in self.smux.receive(data):
                self._happened(event)
                if self._over:
                    return
        except WireError as e:
            self._owner.broken(PROTOCOL, str(e))
        except Exception:
            peer = peerOf(self.connection.transport)
            self._log.failure("a bug at the streams of {peer}", peer=peer)
            self._owner.broken(INTERNAL, "there is a bug: see the log above")

    def connectionLost(self, reason: Failure) -> None:
        """
        The connection is gone, and all streams with it.
        """
        self._leave()
        self._owner.gone()
        self._lose(ResetCode.LOST, "the connection is gone")

    def _happened(self, event: Event) -> None:
        stream = event.stream
        match event:
            case Received(_, data):
                taker = self.streams.get(stream)
                if taker is not None:
                    taker.received(data)
                else:
                    self.consumed(stream, len(data))
            case Finished():
                taker = self.streams.get(stream)
                if taker is not None:
                    taker.ended()
                else:
                    self.finish(stream)
            case Opened():
                self._opened(stream)
            case Answered():
                self._owner.answered()
            case Declined():
                self._unwanted(stream)
            case Overrun():
                self._overrun(stream)
            case Odd(_, what):
                self._debug(f"{what}, which is passed over")

    def _opened(self, stream: int) -> None:
        taker = self._owner.opened(stream)
        if taker is not None:
            self.streams[stream] = taker
        elif not self._over:
            self.finish(stream)
            self._unwanted(stream)

    def _unwanted(self, stream: int) -> None:
        """
        The other side was told that a stream of its own is closed.  One that takes no
        answers is not to have more of them.
        """
        self._debug(f"stream {stream} is not wanted: it is closed")
        if self.blocked:
            raise WireError("it opens streams, and takes no answers")

    def _overrun(self, stream: int) -> None:
        taker = self.streams.pop(stream, None)
        self._since.pop(stream, None)
        if taker is not None:
            reason = "more came than its other side takes"
            taker.lost(ResetCode.BUSY, reason)

    def _look(self) -> None:
        """
        See whether too much waits.
        """
        unread = self.smux.unread
        if self._over:
            return
        if self.paused and unread <= AGAIN:
            self._readOn()
        elif not self.paused and unread >= NEARLY:
            self.paused = True
            self._resting = self.clock.seconds()
            self.connection.transport.pauseProducing()
            if self._crowd is None:
                if self._resting - self._thinned >= STALLED:
                    self._crowded = self._resting
                self._thin()

    def _thin(self) -> None:
        """
        End those who took nothing for too long.
        """
        smux, now = self.smux, self.clock.seconds()
        self._thinned = now
        old = now - self._crowded >= STALLED
        until = now - (STALLED / 2 if old else STALLED)
        self._crowd = None
        stalled = [stream for stream, since in self._since.items() if since <= until]
        if not stalled and self.paused and self._resting <= until:
            stalled = [max(smux.streams, key=smux.waiting)]
        for stream in stalled:
            smux.finish(stream)
            self._overrun(stream)
        if not self._over and (self.paused or smux.unread > CROWDED):
            self._crowd = self.clock.callLater(TICK, self._thin)
        self._look()

    def _readOn(self) -> None:
        if self.paused:
            self.paused = False
            self.connection.transport.resumeProducing()

    def _beat(self) -> None:
        # Whom nobody reads is not silent.
        self._quiet = 0 if self._heard or self.paused else self._quiet + 1
        self._heard = False
        if self._quiet * KEEPALIVE >= SILENCE:
            self._owner.broken(SILENT, "nothing was heard from the other side")
        elif not self.blocked:
            self.smux.nop()

    def _write(self, data: bytes) -> None:
        if not self._over:
            self.connection.transport.write(data)

    def _block(self) -> None:
        self.blocked = True
        self._turns.filled()
        for taker in [*self.streams.values()]:
            taker.block()

    def _unblock(self) -> None:
        self.blocked = False
        self._turns.drained()

    def _goOn(self, ends: Iterable[MuxedEnd]) -> None:
        for end in ends:
            if self.blocked or self._over:
                return
            end.unblock()

    def _writable(self) -> None:
        if not self.blocked and not self._over:
            self._owner.writable()

    def _ends(self) -> list[MuxedEnd]:
        return [each for each in self.streams.values() if isinstance(each, MuxedEnd)]

    def _leave(self) -> None:
        self._over = True
        self._rounds.stop()
        self._turns.stop()
        if self._crowd is not None:
            self._crowd.cancel()
            self._crowd = None

    def _lose(self, code: ResetCode, reason: str) -> None:
        streams, self.streams = self.streams, {}
        for taker in streams.values():
            taker.lost(code, reason)

    def _debug(self, what: str) -> None:
        peer = peerOf(self.connection.transport)
        self._log.debug("{peer}: {what}", peer=peer, what=what)
