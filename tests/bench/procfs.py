# -*- test-case-name: tests.bench.test_procfs -*-
"""
What Linux says of processes in C{/proc}: processor time, memory, children.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")


@dataclass(frozen=True, slots=True)
class Stat:
    """
    What stands in C{/proc/PID/stat}, as far as we care.

    @ivar parent: the parent's process id.
    @ivar ticks: processor time, the process's and the kernel's for it.
    """

    parent: int
    ticks: int


def readStat(text: str) -> Stat:
    """
    Read C{/proc/PID/stat}.
    """
    # The name stands in brackets, and may have blanks and brackets of its own.
    fields = text.rpartition(")")[2].split()
    return Stat(parent=int(fields[1]), ticks=int(fields[11]) + int(fields[12]))


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


def _families(pids: Iterable[int]) -> set[int]:
    parents = []
    for entry in _PROC.iterdir():
        if entry.name.isdecimal():
            pid = int(entry.name)
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                parents.append((pid, readStat(_read(pid, "stat")).parent))
    return family(parents, pids)


def _read(pid: int, name: str) -> str:
    return (_PROC / str(pid) / name).read_text(errors="replace")
