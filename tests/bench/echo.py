"""
A service for round trips, and one that sends without end; a program of its own, so
that it takes nothing from who measures::

    python -m tests.bench.echo ECHO SOURCE

The two arguments are ports of 127.0.0.1.  It ends when it is told to, by a signal.
"""

from __future__ import annotations

import select
import socket
import sys
from collections.abc import Callable
from typing import Final

_PIECE: Final = 65536
_BACKLOG: Final = 4096
_ENDLESS: Final = bytes(_PIECE)


class Services:
    """
    Both services, with plain sockets in one loop.
    """

    def __init__(self, echo: int, source: int) -> None:
        """
        @param echo: the port that sends back what comes; little at a time.
        @param source: the port that sends without end.
        """
        self._poll = select.epoll()
        self._calls: dict[int, Callable[[int], None]] = {}
        self._sockets: dict[int, socket.socket] = {}
        self._listen(echo, select.EPOLLIN, self._echo)
        self._listen(source, select.EPOLLOUT, self._send)

    def run(self) -> None:
        """
        Serve for ever.
        """
        calls, poll = self._calls, self._poll.poll
        while True:
            for descriptor, _ in poll():
                calls[descriptor](descriptor)

    def _listen(self, port: int, event: int, call: Callable[[int], None]) -> None:
        listening = socket.create_server(("127.0.0.1", port), backlog=_BACKLOG)
        listening.setblocking(False)

        def accept(_: int) -> None:
            try:
                connection, _ = listening.accept()
            except OSError:
                # Who came is gone again, or there are too many.
                return
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._add(connection, event, call)

        self._add(listening, select.EPOLLIN, accept)

    def _add(
        self, connection: socket.socket, event: int, call: Callable[[int], None]
    ) -> None:
        number = connection.fileno()
        self._sockets[number], self._calls[number] = connection, call
        self._poll.register(number, event)

    def _echo(self, number: int) -> None:
        connection = self._sockets[number]
        try:
            data = connection.recv(_PIECE)
            if data and connection.send(data) == len(data):
                return
        except OSError:
            pass
        self._close(number)

    def _send(self, number: int) -> None:
        try:
            self._sockets[number].send(_ENDLESS)
        except BlockingIOError:
            pass
        except OSError:
            self._close(number)

    def _close(self, number: int) -> None:
        self._poll.unregister(number)
        del self._calls[number]
        self._sockets.pop(number).close()


if __name__ == "__main__":
    Services(int(sys.argv[1]), int(sys.argv[2])).run()
