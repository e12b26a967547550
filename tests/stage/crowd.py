"""
Crowd: very many visitors, and what serves them.
"""

from __future__ import annotations

import contextlib
import hashlib
import selectors
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar, Final

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from tests.stage.services import LOOPBACK
from tests.stage.sockets import (
    PIECE,
    Address,
    Received,
    listener,
    noise,
    receive,
)
from tests.stage.watch import MARK

AT_ONCE: Final = 32
"""How many visitors of a queue are there at the same time."""
BACKLOG: Final = 4096
"""How many visitors may wait before a service."""


def queue(
    count: int, each: Callable[[int], object], atOnce: int = AT_ONCE
) -> Deferred[None]:
    """
    Have many visitors come, some at a time.

    @param each: is one visitor, in a thread, given its number.
    @return: fails with what the first visitor failed with that did.
    """

    def run() -> None:
        with ThreadPoolExecutor(atOnce) as pool:
            try:
                for _ in pool.map(each, range(count)):
                    pass
            finally:
                # Where one fails the others need not take their time limits.
                pool.shutdown(wait=False, cancel_futures=True)

    return deferToThread(run)


class Served:
    """
    A local service for very many visitors, in one thread.

    @cvar event: what each of its connections is watched for.
    @ivar address: where it listens.
    @ivar most: how many visitors it had at the same time, at most.
    @ivar visitors: how many it had.
    """

    event: ClassVar[int] = selectors.EVENT_READ

    def __init__(self, address: Address = LOOPBACK) -> None:
        self.most = self.visitors = 0
        self._listening = listener(address, BACKLOG)
        self._listening.setblocking(False)
        self._stopped, self._stop = socket.socketpair()
        self._connections: set[socket.socket] = set()
        self.address: tuple[str, int] = self._listening.getsockname()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def tunnel(self) -> str:
        """
        What C{--tunnel} calls it.
        """
        host, port = self.address
        return f"tcp:{host}:{port}"

    def stop(self) -> None:
        """
        Listen no more, and close all connections.
        """
        self._stop.close()
        self._thread.join()

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector, self._stopped, self._listening:
            self._selector = selector
            selector.register(self._stopped, selectors.EVENT_READ, None)
            selector.register(self._listening, selectors.EVENT_READ, self._accept)
            while True:
                for key, _ in selector.select():
                    if key.data is None:
                        for connection in [*self._connections]:
                            connection.close()
                        return
                    key.data()

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                connection, _ = self._listening.accept()
                self.visitors += 1
                self._connections.add(connection)
                self.most = max(self.most, len(self._connections))
                self._selector.register(connection, self.event, self._met(connection))

    def _met(self, connection: socket.socket) -> Callable[[], None]:
        """
        Take up a connection.

        @return: what is to be done at each event of it.
        """
        raise NotImplementedError

    def _leave(self, connection: socket.socket) -> None:
        self._selector.unregister(connection)
        self._connections.discard(connection)
        connection.close()


class Echo(Served):
    """
    Sends back what comes, and the end: each visitor may have only little under way.
    """

    def _met(self, connection: socket.socket) -> Callable[[], None]:
        def read() -> None:
            data = b""
            # A reset may come between the two.
            with contextlib.suppress(ConnectionError):
                received = connection.recv(PIECE)
                connection.sendall(received)
                data = received
            if not data:
                self._leave(connection)

        return read


class Source(Served):
    """
    Says the same again and again, without end and as fast as it is taken.

    @ivar sent: how many bytes the kernel took, of all connections together.
    @ivar words: what it says again and again.
    """

    event = selectors.EVENT_WRITE

    def __init__(self, address: Address = LOOPBACK, buffer: int = PIECE) -> None:
        """
        @param buffer: how much the kernel may keep for each visitor, in bytes.
        """
        self.sent = 0
        self.words = MARK + noise(PIECE - len(MARK))
        self._buffer = buffer
        super().__init__(address)

    def said(self, since: int, count: int) -> bytes:
        """
        Give what a visitor hears.

        @param since: how many bytes he has heard already.
        """
        at = since % PIECE
        return (self.words * (count // PIECE + 2))[at : at + count]

    def _met(self, connection: socket.socket) -> Callable[[], None]:
        connection.setblocking(False)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._buffer)
        at = 0

        def write() -> None:
            nonlocal at
            try:
                count = connection.send(memoryview(self.words)[at:])
            except BlockingIOError:
                return
            except ConnectionError:
                self._leave(connection)
                return
            at = (at + count) % PIECE
            self.sent += count

        return write


class Stream:
    """
    Bytes that do not repeat and do not end, hashed as they leave: a piece that is
    missing, doubled or at another place is found by the hash.

    @ivar sent: how many of them were sent.
    """

    def __init__(self, seed: int = 1) -> None:
        self.sent = 0
        self._digest = hashlib.sha256()
        self._noise = MARK + noise(PIECE - 8 - len(MARK), seed)

    @property
    def digest(self) -> str:
        """
        SHA-256 of all that was sent, hexadecimal.
        """
        return self._digest.hexdigest()

    def send(self, connection: socket.socket) -> None:
        """
        Send one more piece, of L{PIECE} bytes.
        """
        piece = self.sent.to_bytes(8, "big") + self._noise
        connection.sendall(piece)
        self._digest.update(piece)
        self.sent += len(piece)


class Exchange:
    """
    Streams in both directions of one connection, at the same time: what one of its
    ends does.  A service of it is C{lambda connection: Exchange(more).run(connection)}.
    """

    def __init__(self, more: Callable[[int], bool], seed: int = 1) -> None:
        """
        @param more: asked before each piece, given the bytes that were sent; it may
            take its time.
        """
        self._more = more
        self.stream = Stream(seed)

    def run(self, connection: socket.socket) -> tuple[str, Received]:
        """
        Send and receive, each to the end.

        @return: the hash of what was sent, and what was received.
        """
        with ThreadPoolExecutor(1) as pool:
            sending = pool.submit(self._send, connection)
            received = receive(connection)
            return sending.result(), received

    def _send(self, connection: socket.socket) -> str:
        while self._more(self.stream.sent):
            self.stream.send(connection)
        connection.shutdown(socket.SHUT_WR)
        return self.stream.digest
