# -*- test-case-name: tests.relay.portable.test_sockets -*-
"""
Sockets: listening at the path of a UNIX socket, also where a dead program left one.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from contextlib import suppress
from typing import Any

from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IReactorUNIX
from twisted.internet.protocol import Factory

from tunnelkit.relay.endpoints import BACKLOG


def listenAt(reactor: IReactorUNIX, path: str, factory: Factory[Any]) -> IListeningPort:
    """
    Listen at a path, for this user alone.

    Beside the socket is a lock with the number of the process that listens.  Where that
    does not run any more, Twisted replaces both.  Numbers come again, in a container at
    each start: so where it runs, the socket is asked whether anybody listens.

    @raise CannotListenError: that cannot be.
    """
    lock = f"{path}.lock"
    locked = os.path.islink(lock)
    try:
        return _listen(reactor, path, factory)
    except CannotListenError as e:
        if not locked:
            raise
        if not _isLeft(path):
            taken = OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
            raise CannotListenError(None, path, taken) from e
    for each in (path, lock):
        with suppress(FileNotFoundError):
            os.unlink(each)
    return _listen(reactor, path, factory)


def _listen(reactor: IReactorUNIX, path: str, factory: Factory[Any]) -> IListeningPort:
    return reactor.listenUNIX(path, factory, BACKLOG, mode=0o600, wantPID=True)


def _isLeft(path: str) -> bool:
    """
    Tell whether nobody listens at a path, and nothing but a socket is there.
    """
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return False
        with socket.socket(socket.AF_UNIX) as trial:
            trial.setblocking(False)
            trial.connect(path)
    except (ConnectionRefusedError, FileNotFoundError):
        return True
    except OSError:  # it is busy, or another user's
        return False
    return False
