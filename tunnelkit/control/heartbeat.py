# -*- test-case-name: tests.control.test_heartbeat -*-
"""
Heartbeat: whether the other side of a control channel still lives, and how far it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

INTERVAL: Final = 5
"""Seconds between two pings."""
SILENCE: Final = 12
"""Seconds without a byte after which the other side is given up."""


class Heartbeat:
    """
    Pings, and gives the other side up when it is silent.

    @ivar roundTrip: the last round trip in seconds, or None before the first.
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
        self._clock = clock
        self._ping = ping
        self._silent = silent
        self._interval = interval
        self._silence = silence
        self._heard = clock.seconds()
        self._next: IDelayedCall | None = None
        self._probes: dict[Deferred[bool], None] = {}

    def pace(self, interval: float, silence: float) -> None:
        """
        Take the server's word for how often to ping, and how long to wait.
        """
        self._interval = max(1.0, interval)
        self._silence = max(2.0, silence)

    def start(self) -> None:
        """
        Begin to ping.
        """
        self._heard = self._clock.seconds()
        self._beat()

    def stop(self) -> None:
        """
        Ping no more; a probe under way is answered by no.
        """
        if self._next is not None and self._next.active():
            self._next.cancel()
        self._next = None
        self._answer(False)

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
        now = self._clock.seconds()
        self.roundTrip = max(0.0, now - at / 1e6)
        self._answer(True)

    def probe(self, patience: float) -> Deferred[bool]:
        """
        Ask whether the other side lives.

        @param patience: seconds to wait for an answer.
        @return: whether one came.
        """
        probe: Deferred[bool] = Deferred()
        self._probes[probe] = None
        late = self._clock.callLater(patience, self._late, probe)
        probe.addBoth(_cancelled, late)
        self._send()
        return probe

    def _late(self, probe: Deferred[bool]) -> None:
        del self._probes[probe]
        probe.callback(False)

    def _answer(self, lives: bool) -> None:
        probes, self._probes = self._probes, {}
        for probe in probes:
            probe.callback(lives)

    def _send(self) -> None:
        self._ping(int(self._clock.seconds() * 1e6))

    def _beat(self) -> None:
        quiet = self._clock.seconds() - self._heard
        if quiet >= self._silence:
            self._next = None
            self._silent()
            return
        self._send()
        wait = min(self._interval, self._silence - quiet)
        self._next = self._clock.callLater(wait, self._beat)


def _cancelled(result: bool, late: IDelayedCall) -> bool:
    if late.active():
        late.cancel()
    return result
