# -*- test-case-name: tests.relay.fast.test_pipes -*-
"""
Pipes: kernel pipes through which bulk goes from socket to socket uncopied.

An unprivileged user may have 64 MiB of pipes (C{pipe-user-pages-soft}), which is 64
of the size that we like; beyond that the kernel makes smaller ones, and then pipes
of a page or two, which are worth nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import Final, NamedTuple

SIZE: Final = 1 << 20
"""What a pipe holds where the kernel allows, in bytes."""
LEAST: Final = 65536
"""What it must hold to be of use."""
KEPT: Final = 64
"""Empty pipes that wait to be used again, at most."""
RESPITE: Final = 100
"""How often nobody asks the kernel after it refused one."""

_SET_SIZE: Final = getattr(fcntl, "F_SETPIPE_SZ", 1031)
_GET_SIZE: Final = getattr(fcntl, "F_GETPIPE_SZ", 1032)


class Pipe(NamedTuple):
    """
    Two descriptors; what is spliced into the one comes out of the other.
    """

    out: int
    into: int


class Pipes:
    """
    Pipes that are used again and again.

    @ivar open: how many there are, in use or not.
    """

    def __init__(self, size: int = SIZE, kept: int = KEPT) -> None:
        """
        @param size: what a pipe is to hold, in bytes.
        @param kept: how many empty ones wait, at most.
        """
        self.open = 0
        self._size = size
        self._kept = kept
        self._free: list[Pipe] = []
        self._refused = 0

    def take(self) -> Pipe | None:
        """
        Give an empty pipe, or None where the kernel gives none that is of use.
        """
        if self._free:
            return self._free.pop()
        if self._refused:
            self._refused -= 1
            return None
        try:
            pipe = Pipe(*os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC))
        except OSError:
            self._refused = RESPITE
            return None
        self.open += 1
        with contextlib.suppress(OSError):
            fcntl.fcntl(pipe.into, _SET_SIZE, self._size)
        if fcntl.fcntl(pipe.into, _GET_SIZE) < LEAST:
            self.drop(pipe)
            self._refused = RESPITE
            return None
        return pipe

    def give(self, pipe: Pipe) -> None:
        """
        Take an empty pipe back.
        """
        if len(self._free) < self._kept:
            self._free.append(pipe)
        else:
            self.drop(pipe)

    def drop(self, pipe: Pipe) -> None:
        """
        Close a pipe that is not empty.
        """
        os.close(pipe.out)
        os.close(pipe.into)
        self.open -= 1

    def close(self) -> None:
        """
        Close those that are not in use.
        """
        while self._free:
            self.drop(self._free.pop())
