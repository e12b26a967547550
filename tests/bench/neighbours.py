# -*- test-case-name: tests.bench.test_neighbours -*-
"""
Neighbours: what else the machine did during a run, which no order of rounds makes up
for where it is much.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

LOUD: Final = 0.05
"""The part of the processors' time from which on others spoil figures."""


@dataclass(frozen=True, slots=True)
class Times:
    """
    Seconds of all processors together.

    @ivar busy: they ran programs, or the kernel for them.
    @ivar stolen: the host of a virtual machine kept them.
    """

    busy: float
    stolen: float


@dataclass(frozen=True, slots=True)
class Noise:
    """
    The part of the processors' time that was not ours to use.

    @ivar others: other programs had it.
    @ivar host: the host of the virtual machine kept it.
    """

    others: float
    host: float

    def told(self) -> str:
        """
        Give it as a sentence.
        """
        loud = self.others + self.host > LOUD
        verdict = " That is too much: measure again." if loud else ""
        return (
            f"During the run other programs had {self.others:.0%} of the processors' "
            f"time, and the host {self.host:.0%}.{verdict}"
        )

    def values(self) -> Mapping[str, float]:
        """
        Give it as what JSON can hold.
        """
        return asdict(self)


def readTimes(text: str, ticks: int) -> Times:
    """
    Read C{/proc/stat}.

    @param ticks: how many of its units are a second.
    """
    fields = text.partition("\n")[0].split()
    user, nice, system, _, _, hard, soft, stolen = map(int, fields[1:9])
    busy = user + nice + system + hard + soft
    return Times(busy / ticks, stolen / ticks)


def noise(before: Times, after: Times, ours: float, available: float) -> Noise:
    """
    Say how much was not ours.

    @param ours: seconds that this process and its children had.
    @param available: seconds that there were, of all processors together.
    """
    busy = after.busy - before.busy
    return Noise(
        others=max(0.0, busy - ours) / available,
        host=(after.stolen - before.stolen) / available,
    )


class Listening:
    """
    Listens to the neighbours from now on.
    """

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._before = _now()
        self._ours = _ours()

    def heard(self) -> Noise:
        """
        Say what they did.  What this process has started must have ended.
        """
        available = (time.monotonic() - self._begun) * (os.cpu_count() or 1)
        return noise(self._before, _now(), _ours() - self._ours, available)


def _now() -> Times:
    return readTimes(Path("/proc/stat").read_text(), os.sysconf("SC_CLK_TCK"))


def _ours() -> float:
    both = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(used.ru_utime + used.ru_stime for used in both)
