# -*- test-case-name: tests.sharing.test_metrics -*-
"""
ShareTally: what is counted.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Final

STEPS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05)
STEPS_ON: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
BUCKETS: Final = (*STEPS, *STEPS_ON)
"""Up to how many seconds something takes that is counted in each bucket."""


class Times:
    """
    How long something took, each time.

    @ivar counts: for each of L{BUCKETS}, and for longer ones, how often.
    @ivar total: seconds in all.
    """

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        self.total = 0.0

    def add(self, seconds: float) -> None:
        """
        Count one.
        """
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.total += seconds


@dataclass(slots=True)
class ShareTally:
    """
    Since the start.

    @ivar clients: clients that came.
    @ivar turnedAway: clients that were closed because there were too many.
    @ivar requests: whole requests that clients made.
    @ivar local: answers that needed no target.
    @ivar refused: clients whose bytes were no requests that can be served.
    @ivar retries: requests that were sent once more.
    @ivar connects: connections to the target.
    @ivar failedConnects: attempts at one that failed.
    @ivar waitTimeouts: requests that waited too long.
    @ivar replyTimeouts: requests that the target did not answer in time.
    @ivar full: requests that were refused because too many waited.
    @ivar broken: requests whose connection to the target ended under them.
    @ivar strays: replies that nobody waited for and that did no harm.
    @ivar unsolicited: connections dropped as the target was out of step.
    @ivar thrownAway: replies whose client had gone.
    @ivar stalled: clients that were cut because they did not read.
    @ivar wait: how long requests waited for their turn.
    @ivar service: how long the target took, from a request to the end of its reply.
    """

    clients: int = 0
    turnedAway: int = 0
    requests: int = 0
    local: int = 0
    refused: int = 0
    retries: int = 0
    connects: int = 0
    failedConnects: int = 0
    waitTimeouts: int = 0
    replyTimeouts: int = 0
    full: int = 0
    broken: int = 0
    strays: int = 0
    unsolicited: int = 0
    thrownAway: int = 0
    stalled: int = 0
    wait: Times = field(default_factory=Times)
    service: Times = field(default_factory=Times)
