# -*- test-case-name: tests.relay.streams.test_join -*-
"""
Join: two ends relayed into each other.

What comes from one end is written to the other.  Backpressure is not reading: while
one end is blocked the other is not read from.  Each direction ends by itself; the
join is over when both have, and the kernel has every byte, or when one end failed.

Two ends of the fast path pass bytes to each other by themselves, and tell the join
only what happens besides.

A reactor of Twisted's sees nothing of a connection that is neither read from nor
written to: a reset or a loss there shows when its other side can take bytes again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from tunnelkit.interfaces import IJoin, Outcome
from tunnelkit.relay.bucket import Bucket
from tunnelkit.relay.streams.stream import Attachable, Stream
from tunnelkit.wire.codes import ResetCode

IDLE: Final = 300.0
"""Seconds that a half-open stream, or last bytes unread, may show no life."""


_WELL: Final = Outcome()


class _Side:
    """
    One end of a join: hears what happens there, and does the other end's part.

    @ivar count: bytes that came from here.
    @ivar over: whether this end's own direction has ended.
    @ivar settled: whether all that was written to this end is with the kernel.
    @ivar full: whether this end takes no more for now.
    """

    __slots__ = ("_join", "count", "far", "full", "over", "settled", "stream")

    stream: Stream
    far: _Side

    def __init__(self, join: Join) -> None:
        self._join = join
        self.count = 0
        self.over = False
        self.settled = False
        self.full = False

    def received(self, data: bytes) -> None:
        self.count += len(data)
        self.far.stream.write(data)

    def finished(self) -> None:
        self.over = True
        join, far = self._join, self.far
        if not join.running:
            return
        if far.over and self.settled and far.stream.releaseEnds and not far.full:
            # This is the last that is waited for, and the far stream's release says
            # it: a work connection then needs one frame, not two.
            join.end(_WELL)
            return
        far.settled = far.stream.finish()
        join.settle()
        if far.full:
            # Nothing more will be written there: read on, as a reset may follow.
            far.ready()

    def left(self) -> None:
        # As the kernel does with a socket that is closed.
        self.settled = self.far.over = True
        if self.over:
            self._join.settle()

    def delivered(self) -> None:
        self.settled = True
        self._join.settle()

    def failed(self, code: ResetCode, reason: str) -> None:
        self._join.abort(code, reason)

    def blocked(self) -> None:
        self.full = True
        if self._join.running:
            self.far.stream.pauseReading()

    def ready(self) -> None:
        self.full = False
        if self._join.running:
            self.far.goOn()

    @property
    def passed(self) -> int:
        """
        How many bytes of this end's were passed on.
        """
        return self.count

    def goOn(self) -> None:
        """
        What comes from here can be written again.
        """
        self.stream.resumeReading()

    def leave(self) -> None:
        """
        The join is over.
        """


class _PacedSide(_Side):
    """
    One end of a join, from which bytes come no faster than a bucket allows.  What has
    come and may not pass yet is held, which is no more than was read at once.
    """

    __slots__ = ("_bucket", "_finishing", "_held", "_waits")

    def __init__(self, join: Join, bucket: Bucket) -> None:
        super().__init__(join)
        self._bucket = bucket
        self._held = b""
        self._waits = self._finishing = False

    def received(self, data: bytes) -> None:
        self.count += len(data)
        self._held += data
        if not self._waits:
            self._pass()

    @property
    def passed(self) -> int:
        return self.count - len(self._held)

    def finished(self) -> None:
        if self._held:
            self._finishing = True
        else:
            super().finished()

    def goOn(self) -> None:
        if not self._held:
            super().goOn()
        elif not self._waits:
            self._pass()

    def leave(self) -> None:
        self.count -= len(self._held)  # that went nowhere
        self._held = b""
        self._bucket.leave(self._come)

    def _come(self) -> None:
        self._waits = False
        if self._held and not self.far.full:
            self._pass()

    def _pass(self) -> None:
        """
        Write what may pass, and wait with the rest.
        """
        data, count = self._held, self._bucket.take(len(self._held))
        self._held = data[count:]
        if self._held:
            self.stream.pauseReading()
            self._waits = True
            self._bucket.wait(self._come)
        if count:
            self.far.stream.write(data[:count] if self._held else data)
        if not self._held:
            self._passed()

    def _passed(self) -> None:
        if self._finishing:
            self._finishing = False
            super().finished()
        elif not self.far.full and self._join.running:
            self.stream.resumeReading()


@implementer(IJoin)
class Join:
    """
    Two ends, and what becomes of them.

    @ivar running: whether both ends are there, and it is not over.
    """

    __slots__ = (
        "__weakref__",
        "_clock",
        "_ended",
        "_idle",
        "_life",
        "_outcome",
        "_paced",
        "_told",
        "_watch",
        "one",
        "other",
        "running",
    )

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        idle: float = IDLE,
        forth: Bucket | None = None,
        back: Bucket | None = None,
    ) -> None:
        """
        @param forth: how fast bytes may go from the first end to the second.
        @param back: how fast they may go from the second end to the first.
        """
        self._ended: Deferred[Outcome] | None = None
        self._told: Callable[[IJoin, Outcome], None] | None = None
        self._outcome: Outcome | None = None
        self._clock = clock
        self._idle = idle
        self.running = False
        self._watch: IDelayedCall | None = None
        self._paced = forth is not None or back is not None
        self.one = _Side(self) if forth is None else _PacedSide(self, forth)
        self.other = _Side(self) if back is None else _PacedSide(self, back)
        self.one.far, self.other.far = self.other, self.one

    @property
    def ended(self) -> Deferred[Outcome]:
        """
        Fires with how the join ended.
        """
        if self._ended is None:
            self._ended = Deferred()
            if self._outcome is not None:
                self._ended.callback(self._outcome)
        return self._ended

    def tell(self, ended: Callable[[IJoin, Outcome], None]) -> None:
        """
        Have one function told how the join ended.
        """
        if self._outcome is None:
            self._told = ended
        else:
            ended(self, self._outcome)

    @property
    def forth(self) -> int:
        """
        Bytes that went from the first end to the second.
        """
        return self.one.passed

    @property
    def back(self) -> int:
        """
        Bytes that went from the second end to the first.
        """
        return self.other.passed

    def start(self, one: Attachable, other: Attachable, opening: bytes) -> None:
        """
        Begin to relay.
        """
        self.begin(one.attach(self.one), other.attach(self.other), opening)

    def begin(self, one: Stream, other: Stream, opening: bytes) -> None:
        """
        Begin to relay what is attached to L{one} and L{other} already.
        """
        self.one.stream, self.other.stream = one, other
        self.running = True
        if opening:
            other.announce(opening)
        if not self.other.full:
            one.resumeReading()
        if not self.one.full:
            other.resumeReading()

    def abort(self, code: ResetCode, reason: str) -> None:
        """
        Reset both ends' streams; nothing happens where the join has ended.
        """
        if not self.running:
            return
        # From here on: what is reset may say at once that it has failed.
        self.running = False
        for side in (self.one, self.other):
            side.stream.reset(code, reason)
        self.end(Outcome(code, reason))

    def settle(self) -> None:
        """
        End the join if both directions have ended and all is delivered.
        """
        if not self.running:
            return
        one, other = self.one, self.other
        if one.over and other.over and one.settled and other.settled:
            self.end(_WELL)
        elif self._watch is None:
            # What the kernel holds is not asked for here: hardly any stream is
            # half-open for long.
            self._life = one.passed, other.passed, 0, 0
            self._watch = self._clock.callLater(self._idle, self._look)

    def end(self, outcome: Outcome) -> None:
        """
        Let go of both ends, and tell how it ended.
        """
        self.running = False
        if self._watch is not None:
            self._watch.cancel()
        one, other = self.one, self.other
        if self._paced:
            one.leave()
            other.leave()
        one.stream.release()
        other.stream.release()
        self._outcome = outcome
        told, self._told = self._told, None
        if told is not None:
            try:
                told(self, outcome)
            except Exception:
                self._log.failure("a bug at the end of a stream")
        if self._ended is not None:
            self._ended.callback(outcome)

    def _signs(self) -> tuple[int, int, int, int]:
        one, other = self.one, self.other
        sent = one.stream.unsent(), other.stream.unsent()
        # What waits for a limit lives, too.
        return one.passed, other.passed, *sent

    def _look(self) -> None:
        """
        Cut a half-open stream that showed no life since the last look, or, at the
        first, has nothing under way that could.
        """
        self._watch = None
        signs = self._signs()
        if signs == self._life:
            self.abort(
                ResetCode.IDLE, f"half-open and idle for {self._idle:.0f} seconds"
            )
            return
        self._life = signs
        self._watch = self._clock.callLater(self._idle, self._look)
