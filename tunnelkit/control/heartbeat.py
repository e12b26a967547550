# -*- test-case-name: tests.control.test_heartbeat -*-
"""
Heartbeat: whether the other side of a control channel still lives, and how far it is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime

INTERVAL: Final = 5
"""Seconds between two pings."""
SILENCE: Final = 12
"""Seconds without a byte after which the other side is given up."""

_INTERVALS: Final = (1.0, 60.0)
_SILENCES: Final = (2.0, 300.0)
"""From and to which seconds the other side may set these."""
_REMEMBERED: Final = 16
"""Pings whose answer counts."""


class Heartbeat:
    """
    Pings, and gives the other side up when it is silent.

    A reactor's clock may be set while it runs.  Where a beat comes far too late, for
    that or because this process stood still, the other side is asked once more.

    @ivar roundTrip: the last round trip in seconds, or None before the first.
    @ivar silence: seconds without a byte after which the other side is given up.
    """

    def __init__(
        self,
        clock: IReactorTime,
        ping: Callable[[int], None],
        silent: Callable[[], None],
        interval: float = INTERVAL,
        silence: float = SILENCE,
    ) -> None:
        """
        @param ping: sends a ping with this time in microseconds, which the other
            side repeats.
        @param silent: nothing was heard for C{silence} seconds.
        """
        self.roundTrip: float | None = None
        self.silence = silence
        self._clock = clock
        self._ping = ping
        self._sent: deque[int] = deque(maxlen=_REMEMBERED)
        self._silent = silent
        self._interval = interval
        self._heard = self._due = clock.seconds()
        self._next: IDelayedCall | None = None
        self._running = False
        # Each with the time of its ping.
        self._probes: dict[Deferred[bool], int] = {}

    def pace(self, interval: float, silence: float) -> None:
        """
        Take the server's word for how often to ping and how long to wait, within
        reason.
        """
        self._interval = _within(interval, _INTERVALS)
        self.silence = _within(silence, _SILENCES)

    def start(self) -> None:
        """
        Begin to ping.
        """
        self._running = True
        self._heard = self._due = self._clock.seconds()
        self._beat()

    def stand(self, roundTrip: float | None = None) -> None:
        """
        Ping only where it is asked whether the other side lives: that it is gone shows
        by other means.

        @param roundTrip: in seconds, where it is known otherwise, for the first time
            that this is asked.
        """
        self._running = True
        self.roundTrip = roundTrip

    def stop(self) -> None:
        """
        Ping no more; a probe under way is answered by no.
        """
        self._running = False
        if self._next is not None and self._next.active():
            self._next.cancel()
        self._next = None
        self._answer(self._probes, False)

    def heard(self) -> None:
        """
        Bytes came from the other side.
        """
        self._heard = self._clock.seconds()

    def answered(self, at: int) -> None:
        """
        A ping was answered.

        @param at: the time that it carried.
        """
        if at not in self._sent:
            return  # that was not ours
        self.roundTrip = max(0.0, self._clock.seconds() - at / 1e6)
        # An answer to an earlier ping may be older than the probe.
        asked = [probe for probe, since in self._probes.items() if since <= at]
        self._answer(asked, True)

    def probe(self, patience: float) -> Deferred[bool]:
        """
        Ask whether the other side lives.

        @param patience: seconds to wait for an answer.
        @return: whether one came; no at once where pings have stopped.
        """
        if not self._running:
            return succeed(False)
        probe: Deferred[bool] = Deferred()
        late = self._clock.callLater(patience, self._answer, (probe,), False)
        probe.addBoth(_cancelled, late)
        self._probes[probe] = self._now()
        self._send(self._probes[probe])
        return probe

    def _answer(self, probes: Iterable[Deferred[bool]], lives: bool) -> None:
        for probe in [*probes]:
            # Whoever hears the first may have stopped this.
            if self._probes.pop(probe, None) is not None:
                probe.callback(lives)

    def _send(self, at: int) -> None:
        self._sent.append(at)
        self._ping(at)

    def _now(self) -> int:
        return int(self._clock.seconds() * 1e6)

    def _beat(self) -> None:
        now = self._clock.seconds()
        if now - self._due > self._interval:
            # The clock was set, or this process stood still: nothing could have been
            # heard.  An answer to the next ping can.
            quiet = max(0.0, self.silence - self._interval)
            self._heard = max(self._heard, now - quiet)
        quiet = now - self._heard
        if quiet >= self.silence:
            self._next = None
            self._silent()
            return
        wait = min(self._interval, self.silence - quiet)
        self._due = now + wait
        self._next = self._clock.callLater(wait, self._beat)
        self._send(self._now())


def _within(value: float, bounds: tuple[float, float]) -> float:
    low, high = bounds
    return min(high, max(low, value))


def _cancelled(result: bool, late: IDelayedCall) -> bool:
    if late.active():
        late.cancel()
    return result
