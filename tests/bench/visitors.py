# -*- test-case-name: tests.bench.test_visitors -*-
"""
Visitors of ours: one who measures round trips, many who wait, one who never reads.

Plain sockets that block, with the kernel's time limit: Python's own costs a system
call more at each read.
"""

from __future__ import annotations

import resource
import socket
import struct
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Final

from tests.bench.stage import Broken

SIZE: Final = 64
"""The bytes of a round trip."""

_LIMIT: Final = 10
_WARMING: Final = 200
_FILES: Final = 256
_NARROW: Final = 65536


def come(port: int, buffer: int = 0) -> socket.socket:
    """
    Connect to a port of this machine.

    @param buffer: how much the kernel may keep of what comes; 0 is for it to say.
    """
    connection = socket.socket()
    try:
        limit = struct.pack("ll", _LIMIT, 0)
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            connection.setsockopt(socket.SOL_SOCKET, option, limit)
        if buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.connect(("127.0.0.1", port))
    except OSError:
        connection.close()
        raise
    return connection


def exchange(connection: socket.socket, data: bytes) -> None:
    """
    Send something, and wait until it is all back.

    @raise Broken: something else comes back, or nothing.
    """
    left = len(data)
    try:
        connection.sendall(data)
        while left:
            piece = connection.recv(left)
            if not piece:
                raise Broken("a visitor's connection ended")
            left -= len(piece)
    except BlockingIOError:
        raise Broken(f"a visitor got no answer in {_LIMIT} s") from None


def roundTrips(port: int, seconds: float) -> list[float]:
    """
    Measure round trips on one connection.

    @param port: of the echo.
    @return: microseconds each took, the shortest first.
    """
    data, taken = bytes(SIZE), list[float]()
    clock = time.perf_counter
    with come(port) as connection:
        for _ in range(_WARMING):
            exchange(connection, data)
        now = clock()
        until = now + seconds
        while now < until:
            begun = now
            exchange(connection, data)
            now = clock()
            taken.append((now - begun) * 1e6)
    return sorted(taken)


def quantile(ordered: Sequence[float], part: float) -> float:
    """
    Give the value below which a part of others lies.

    @param ordered: the values, at least one, the least first.
    """
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


class Waiting:
    """
    Visitors who got one byte back, and then do nothing.
    """

    def __init__(self, port: int, count: int) -> None:
        """
        Have them come, one after the other.

        @param port: of the echo.
        """
        self._connections: list[socket.socket] = []
        try:
            for _ in range(count):
                connection = come(port)
                self._connections.append(connection)
                exchange(connection, b"?")
        except BaseException:
            self.leave()
            raise

    def leave(self) -> None:
        """
        Close all connections.
        """
        for connection in self._connections:
            connection.close()

    def __enter__(self) -> Waiting:
        """
        They are there.
        """
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """
        They leave.
        """
        self.leave()


def stalled(port: int) -> socket.socket:
    """
    Have a visitor come who never reads.

    @param port: of the source.
    """
    return come(port, _NARROW)


def filesFor(visitors: int) -> int:
    """
    Allow this process, and those that it starts, the open files for so many visitors.

    @return: how many each may open now.
    @raise Broken: it may not have so many.
    """
    needed = visitors * 5 // 2 + _FILES
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < needed:
        raise Broken(
            f"{visitors} visitors need {needed} open files, and the limit is {most}: "
            f"take fewer (--visitors {max(0, most - _FILES) * 2 // 5}), or raise it "
            f"(ulimit -Hn {needed})"
        )
    soft = needed if most == resource.RLIM_INFINITY else most
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, most))
    return soft
