# -*- test-case-name: tests.bench.test_procfs -*-
"""
What Linux says of processes in C{/proc}: processor time, memory, children.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_KERNEL: Final = 2
"""The process from which all threads of the kernel descend."""


@dataclass(frozen=True, slots=True)
class Stat:
    """
    What stands in C{/proc/PID/stat}, as far as we care.

    @ivar parent: the parent's process id.
    @ivar ticks: processor time, the process's and the kernel's for it.
    @ivar inherited: the same of children that have ended.
    """

    parent: int
    ticks: int
    inherited: int


def readStat(text: str) -> Stat:
    """
    Read C{/proc/PID/stat}.
    """
    # The name stands in brackets, and may have blanks and brackets of its own.
    fields = text.rpartition(")")[2].split()
    own, other, children, others = map(int, fields[11:15])
    return Stat(int(fields[1]), own + other, children + others)


def readRollup(text: str) -> int:
    """
    Read C{/proc/PID/smaps_rollup}, which is exact; C{statm} may be off by 256 KiB for
    each core.

    @return: the resident size in bytes.
    @raise ValueError: it does not say.
    """
    found = re.search(r"(?m)^Rss:\s*(\d+) kB$", text)
    if found is None:
        raise ValueError(f"no resident size in {text!r}")
    return int(found[1]) * 1024


def family(parents: Iterable[tuple[int, int]], roots: Iterable[int]) -> set[int]:
    """
    Give processes with all that descend from them.

    @param parents: of each process its id and its parent's.
    @param roots: ids.
    """
    children: dict[int, list[int]] = {}
    for pid, parent in parents:
        children.setdefault(parent, []).append(pid)
    found, left = set[int](), [*roots]
    while left:
        pid = left.pop()
        if pid not in found:
            found.add(pid)
            left += children.get(pid, [])
    return found


def seconds(pids: Iterable[int]) -> float:
    """
    Give the processor time that processes and their descendants have had.
    """
    total = 0
    for pid in _families(pids):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            total += readStat(_read(pid, "stat")).ticks
    return total / os.sysconf("SC_CLK_TCK")


def resident(pids: Iterable[int]) -> int:
    """
    Give the bytes that processes and their descendants have in memory.
    """
    total = 0
    for pid in _families(pids):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            total += readRollup(_read(pid, "smaps_rollup"))
    return total


def secondsBeside(pid: int) -> float:
    """
    Give the processor time that all other programs have had, those included that have
    ended: it only grows.
    """
    return ticksBeside(_all(), pid) / os.sysconf("SC_CLK_TCK")


def ticksBeside(processes: Mapping[int, Stat], pid: int) -> int:
    """
    Count the same in some processes.  A process that ends leaves its time to its
    parent.

    @param processes: by their ids.
    """
    return sum(
        each.ticks + each.inherited
        for number, each in processes.items()
        # The kernel's own work is often done for us.
        if number not in (pid, _KERNEL) and each.parent != _KERNEL
    )


def _families(pids: Iterable[int]) -> set[int]:
    return family(((pid, each.parent) for pid, each in _all().items()), pids)


def _all() -> Mapping[int, Stat]:
    found = {}
    for entry in _PROC.iterdir():
        if entry.name.isdecimal():
            pid = int(entry.name)
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                found[pid] = readStat(_read(pid, "stat"))
    return found


def _read(pid: int, name: str) -> str:
    return (_PROC / str(pid) / name).read_text(errors="replace")
