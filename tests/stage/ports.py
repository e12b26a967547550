# -*- test-case-name: tests.test_ports -*-
"""
Ports: those that tests choose before anything listens there.

Each process that runs tests has a share of them for itself, for as long as it lives.
"""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.stage.sockets import listener

_FIRST: Final = 10_000
"""Servers of ours pick from 20000 on, and systems, for what goes out, still higher."""
_SHARE: Final = 500
_SHARES: Final = 20


def freePort() -> int:
    """
    Give a port of 127.0.0.1, for TCP and UDP, that nothing listens on.  It is given to
    no other test that runs now, in whichever process, nor soon again: it stays free
    until it is used, also while a program that listens there is started again.
    """
    return next(filter(_isFree, _PORTS))


def _isFree(port: int) -> bool:
    address = ("127.0.0.1", port)
    try:
        listener(address).close()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiving:
            receiving.bind(address)
    except OSError:
        return False
    return True


def _ports() -> Iterator[int]:
    share = next(filter(_take, range(_SHARES)))
    at = random.SystemRandom().randrange(_SHARE)
    while True:
        yield _FIRST + share * _SHARE + at % _SHARE
        at += 1


def _take(share: int) -> bool:
    path = Path(tempfile.gettempdir(), f"tunnelkit-ports-{share}")
    try:
        file = os.open(path, os.O_RDONLY | os.O_CREAT)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        return False
    # Left open: the lock ends with the process.
    return True


_PORTS: Final = _ports()
