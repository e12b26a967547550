# -*- test-case-name: tests.bench.test_sharing -*-
"""
Clients that ask a question, wait for the answer, and ask the next at once; a program of
its own, so that it takes nothing from who measures::

    python -m tests.bench.asking PROTOCOL PORT CLIENTS SECONDS

It prints a line of JSON: answers, seconds, and the time of an answer in microseconds,
that of the middle one (p50) and of the one that one of a hundred takes longer than
(p99).
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Final

QUESTIONS: Final = {
    "echo": b"hello\n",
    "http1": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
}
ANSWER: Final = b"hello\n"
"""With what each answer ends, whatever is asked, and nothing else in it."""

_PIECE: Final = 65536
_LIMIT: Final = 10.0
WARMING: Final = 0.3
"""Seconds in which nothing is counted: connections are made, and targets are found to
keep theirs."""


class Clients:
    """
    Clients with a connection each, in one loop.
    """

    def __init__(self, port: int, count: int, question: bytes) -> None:
        """
        Connect.
        """
        self._question = question
        self._poll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        self._asked: dict[int, float] = {}
        self._heard: dict[int, bytes] = {}
        self.times: list[float] = []
        for _ in range(count):
            client = socket.create_connection(("127.0.0.1", port), _LIMIT)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets[client.fileno()] = client
            self._poll.register(client, select.EPOLLIN)

    def run(self, seconds: float) -> float:
        """
        Ask for so long.

        @return: how long it was that answers were counted for.
        @raise EOFError: one got no answer.
        """
        for number in self._sockets:
            self._ask(number)
        begun = time.perf_counter() + WARMING
        while (now := time.perf_counter()) < begun + seconds:
            found = self._poll.poll(_LIMIT)
            if not found:
                raise EOFError("no answer comes")
            for number, _ in found:
                self._hear(number, begun)
        return now - begun

    def close(self) -> None:
        """
        Leave.
        """
        self._poll.close()
        for client in self._sockets.values():
            client.close()

    def _ask(self, number: int) -> None:
        self._heard[number] = b""
        self._asked[number] = time.perf_counter()
        self._sockets[number].sendall(self._question)

    def _hear(self, number: int, begun: float) -> None:
        piece = self._sockets[number].recv(_PIECE)
        if not piece:
            raise EOFError("a connection ended")
        heard = self._heard[number] = self._heard[number] + piece
        if heard.endswith(ANSWER):
            now = time.perf_counter()
            if now >= begun:
                self.times.append(now - self._asked[number])
            self._ask(number)


def figures(times: Sequence[float], lasted: float) -> Mapping[str, float]:
    """
    Give what is printed.

    @raise EOFError: nothing was answered.
    """
    if not times:
        raise EOFError("nothing was answered")
    ordered = sorted(times)
    return {
        "answers": len(ordered),
        "seconds": lasted,
        "p50": ordered[len(ordered) // 2] * 1e6,
        "p99": ordered[len(ordered) * 99 // 100] * 1e6,
    }


def main(arguments: Sequence[str]) -> None:
    """
    Do it.
    """
    protocol, port, count, seconds = arguments
    clients = Clients(int(port), int(count), QUESTIONS[protocol])
    lasted = clients.run(float(seconds))
    print(json.dumps(figures(clients.times, lasted)))


if __name__ == "__main__":
    main(sys.argv[1:])
