# -*- test-case-name: tests.relay.test_occupant -*-
"""
Occupant: which program listens on a port that we wanted.  Linux tells; elsewhere
nothing is known.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from twisted.internet.error import CannotListenError

try:
    from pwd import getpwuid
except ImportError:  # Windows
    getpwuid = None  # type: ignore[assignment]

_PROC: Final = Path("/proc")
_LISTENING: Final = "0A"


def inUse(error: CannotListenError) -> bool:
    """
    Tell whether a port cannot be had because another program has it.
    """
    return getattr(error.socketError, "errno", None) == errno.EADDRINUSE


def whyNot(error: CannotListenError, port: int, proc: Path = _PROC) -> str:
    """
    Say why a port cannot be had, and who has it if that is known.
    """
    reason = getattr(error.socketError, "strerror", None) or str(error.socketError)
    who = occupant(port, proc) if inUse(error) else ""
    return f"{reason}, by {who}" if who else reason


def whatThen(error: CannotListenError) -> str:
    """
    Say why a port, or a UNIX socket, cannot be had, and what to do.
    """
    if not isinstance(error.port, int):
        return f"{whyNot(error, 0)}: {_atPath(error)}"
    if inUse(error):
        todo = "stop the program that has it, or give another port"
    elif getattr(error.socketError, "errno", None) == errno.EACCES:
        todo = (
            "give one above 1023, or the right to use it, as systemd does with "
            "AmbientCapabilities=CAP_NET_BIND_SERVICE or a socket unit"
        )
    else:
        todo = "give an address and a port of this machine"
    return f"{whyNot(error, error.port)}: {todo}"


def _atPath(error: CannotListenError) -> str:
    path = os.fsdecode(error.port)
    if inUse(error):
        return f"stop the program that has it; where none has, take {path} away"
    if not isinstance(error.socketError, OSError):  # Twisted's own words
        return f"stop the program that has it; where none has, take {path}.lock away"
    return "name a path in a folder that is there and may be written"


def occupant(port: int, proc: Path = _PROC) -> str:
    """
    Say who listens on a TCP port: C{nginx (process 812)}, or only C{a program of user
    www-data}; empty where that cannot be known.

    It reads what C{/proc} has of all processes, which takes some milliseconds.
    """
    owners = dict(_listeners(port, proc))
    sockets = {f"socket:[{inode}]" for inode in owners}
    for process in proc.glob("[0-9]*") if sockets else ():
        if any(link in sockets for link in _links(process)):
            return f"{_name(process)} (process {process.name})"
    return _ofUser(owners)


def _listeners(port: int, proc: Path) -> Iterator[tuple[str, str]]:
    """
    Give inode and user of each socket that listens on a port.
    """
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in (proc / "net" / table).read_text().splitlines()[1:]:
                local, _, state, *rest = line.split()[1:]
                if state == _LISTENING and local.endswith(f":{port:04X}"):
                    yield rest[5], rest[3]


def _links(process: Path) -> Iterator[str]:
    # Of other users' processes nothing can be read, and any may end meanwhile.
    with contextlib.suppress(OSError):
        for descriptor in (process / "fd").iterdir():
            with contextlib.suppress(OSError):
                yield str(descriptor.readlink())


def _name(process: Path) -> str:
    with contextlib.suppress(OSError):
        name = (process / "comm").read_text(errors="replace")
        return "".join(filter(str.isprintable, name))
    return "a program"


def _ofUser(owners: Mapping[str, str]) -> str:
    for uid in owners.values():
        if getpwuid is not None and uid.isdigit():
            with contextlib.suppress(KeyError):
                return f"a program of user {getpwuid(int(uid)).pw_name}"
    return ""
