# -*- test-case-name: tests.bench.test_machine -*-
"""
The machine: what figures hold for.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography.hazmat.backends.openssl import backend

_LIMIT: Final = 10.0


@dataclass(frozen=True, slots=True)
class Machine:
    """
    A machine with its programs.

    @ivar cpu: the model.
    @ivar cores: how many of it this process may use.
    @ivar load: how many processes ran in the minute before, which were not ours.
    """

    date: str
    cpu: str
    cores: int
    memory: str
    kernel: str
    python: str
    openssl: str
    haproxy: str
    load: float

    def told(self) -> str:
        """
        Give it as a sentence.
        """
        return (
            f"Measured on {self.date} on {self.cores} cores of {self.cpu}, "
            f"{self.memory}, Linux {self.kernel}, Python {self.python}, "
            f"{self.openssl}, HAProxy {self.haproxy}."
        )

    def values(self) -> Mapping[str, object]:
        """
        Give it as what JSON can hold.
        """
        return asdict(self)


def cpuModel(cpuinfo: str) -> str:
    """
    Find the CPU's model in what stands in C{/proc/cpuinfo}.
    """
    # On ARM it has no name there.
    found = re.search(r"(?m)^(?:model name|Model|CPU part)\s*: (.+)$", cpuinfo)
    return found[1].strip() if found else "an unknown model"


def totalMemory(meminfo: str) -> str:
    """
    Find how much memory there is in what stands in C{/proc/meminfo}.
    """
    found = re.search(r"(?m)^MemTotal:\s*(\d+) kB$", meminfo)
    return f"{int(found[1]) / 2**20:.1f} GiB" if found else "unknown memory"


def haproxyVersion(said: str) -> str:
    """
    Find the version in what C{haproxy -v} says.
    """
    found = re.search(r"version (\d[\w.]*)", said)
    return found[1] if found else "of an unknown version"


def thisMachine(haproxy: str, now: datetime) -> Machine:
    """
    Look at this machine.

    @param haproxy: the program.
    """
    said = subprocess.run(
        [haproxy, "-v"], capture_output=True, text=True, timeout=_LIMIT, check=False
    )
    return Machine(
        date=now.date().isoformat(),
        cpu=cpuModel(Path("/proc/cpuinfo").read_text()),
        cores=len(os.sched_getaffinity(0)),
        memory=totalMemory(Path("/proc/meminfo").read_text()),
        kernel=platform.release(),
        python=platform.python_version(),
        openssl=_openssl(),
        haproxy=haproxyVersion(said.stdout),
        load=os.getloadavg()[0],
    )


def _openssl() -> str:
    import ssl

    ours, other = ssl.OPENSSL_VERSION, backend.openssl_version_text()
    parts = [" ".join(each.split()[:2]) for each in (ours, other)]
    return (
        parts[0]
        if parts[0] == parts[1]
        else f"{parts[0]} (ssl), {parts[1]} (pyOpenSSL)"
    )
