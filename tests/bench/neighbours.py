# -*- test-case-name: tests.bench.test_neighbours -*-
"""
Neighbours: what else the machine did during a run, which no order of rounds makes up
for where it is much.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from tests.bench.procfs import secondsBeside

LOUD: Final = 0.05
"""The part of the processors' time from which on others spoil figures."""


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


def readStolen(text: str) -> int:
    """
    Read in C{/proc/stat} what the host of a virtual machine kept.

    @return: the kernel's ticks.
    """
    return int(text.partition("\n")[0].split()[8])


class Listening:
    """
    Listens to the neighbours from now on.
    """

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._before = _now()

    def heard(self) -> Noise:
        """
        Say what they did.  What this process has started must have ended.
        """
        available = (time.monotonic() - self._begun) * (os.cpu_count() or 1)
        others, host = (
            (after - before) / available
            for before, after in zip(self._before, _now(), strict=True)
        )
        return Noise(max(0.0, others), host)


def _now() -> tuple[float, float]:
    stolen = readStolen(Path("/proc/stat").read_text()) / os.sysconf("SC_CLK_TCK")
    return secondsBeside(os.getpid()), stolen
