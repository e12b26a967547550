"""
Services and visitors: what stands at the two ends of a tunnel.

Both are plain blocking sockets in threads.  A service has a thread for each
connection, which runs what the service is: L{echo}, L{sink}, L{source} ...  A
visitor's calls run in a thread of the reactor's pool and give Deferreds; every call
begins at once, so that a test can do something else while it lasts, and has a time
limit.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Final, TypeAlias, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from tests.stage.programs import LIMIT, Unfulfilled
from tests.stage.sockets import (
    PIECE,
    Address,
    Ending,
    Meter,
    Received,
    connected,
    flood,
    listener,
    receive,
    receiveExactly,
    reset,
    sendAll,
)

T = TypeVar("T")

Talk: TypeAlias = Callable[[socket.socket], object]
"""
What a service does with one connection, in a thread of its own: what it returns is its
outcome.  The connection is closed behind it.
"""

LOOPBACK: Final[Address] = "127.0.0.1", 0


# What services do.


def echo(connection: socket.socket) -> int:
    """
    Send back what comes, then the end.

    @return: how many bytes that was.
    """
    count = 0
    while piece := connection.recv(PIECE):
        connection.sendall(piece)
        count += len(piece)
    return count


def sink(connection: socket.socket) -> Received:
    """
    Take all that comes; where it ends well, answer with its SHA-256.
    """
    received = receive(connection)
    if received.ending is Ending.END:
        connection.sendall(received.digest.encode())
    return received


def acknowledging(least: int) -> Talk:
    """
    Make a L{sink} that sends one byte when C{least} bytes are there, so that a test
    knows that an upload is under way.
    """

    def take(connection: socket.socket) -> Received:
        receiveExactly(connection, least)
        connection.sendall(b"!")
        return receive(connection)

    return take


def source(connection: socket.socket) -> Ending:
    """
    Send without end, and never close: whoever sees a clean end was lied to.
    """
    return flood(connection)


def saying(data: bytes, then: Talk = receive) -> Talk:
    """
    Make a service that speaks first, as ssh does.

    @param data: what it says.
    @param then: what it does afterwards.
    """

    def say(connection: socket.socket) -> object:
        connection.sendall(data)
        return then(connection)

    return say


def halving(data: bytes) -> Talk:
    """
    Make a service that says something, ends its own direction, and then listens to
    the visitor's end.
    """

    def halve(connection: socket.socket) -> Received:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        return receive(connection)

    return halve


def metered(data: bytes, meter: Meter) -> Talk:
    """
    Make a service that says something, lets the test see how far it is, and ends.
    """

    def say(connection: socket.socket) -> Received:
        sendAll(connection, data, meter)
        connection.shutdown(socket.SHUT_WR)
        return receive(connection)

    return say


def gated(first: bytes, gate: threading.Event, last: bytes) -> Talk:
    """
    Make a service that says one thing, waits for the test to open the gate, says the
    other, and ends.
    """

    def wait(connection: socket.socket) -> Received:
        connection.sendall(first)
        if not gate.wait(LIMIT):
            raise TimeoutError("the gate stayed shut")
        connection.sendall(last)
        connection.shutdown(socket.SHUT_WR)
        return receive(connection)

    return wait


def resetting(connection: socket.socket) -> Ending:
    """
    Wait for the first bytes, and reset the connection.
    """
    connection.recv(PIECE)
    reset(connection)
    return Ending.RESET


def deaf(gate: threading.Event) -> Talk:
    """
    Make a service that reads nothing before the test opens the gate, and then all.
    """

    def ignore(connection: socket.socket) -> Received:
        if not gate.wait(LIMIT):
            raise TimeoutError("the gate stayed shut")
        return receive(connection)

    return ignore


def hesitating(gate: threading.Event, data: bytes = b"") -> Talk:
    """
    Make a service that says something and ends its own direction at once, and reads
    nothing before the test opens the gate, and then all.
    """

    def hesitate(connection: socket.socket) -> Received:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        if not gate.wait(LIMIT):
            raise TimeoutError("the gate stayed shut")
        return receive(connection)

    return hesitate


class Service:
    """
    A local service.

    @ivar address: where it listens.
    @ivar visitors: how many connections it has had.
    """

    def __init__(
        self, talk: Talk = echo, address: Address = LOOPBACK, buffer: int = 0
    ) -> None:
        """
        @param address: where to listen; port 0 is any.
        @param buffer: how much the kernel may keep for each connection, in bytes; 0
            is for the kernel to say.
        """
        self.visitors = 0
        self._talk = talk
        self._listening = listener(address, buffer=buffer)
        self._connections: set[socket.socket] = set()
        self._outcomes: SimpleQueue[object] = SimpleQueue()
        name = self._listening.getsockname()
        self.address: Address = name if isinstance(name, str) else name[:2]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        """
        The port, where it has one.
        """
        assert not isinstance(self.address, str), "a UNIX socket has no port"
        return self.address[1]

    @property
    def tunnel(self) -> str:
        """
        What C{--tunnel} calls it.
        """
        match self.address:
            case (host, port) if ":" in host:
                return f"tcp:[{host}]:{port}"
            case (host, port):
                return f"tcp:{host}:{port}"
        return f"tcp:unix={self.address}"

    def outcome(self, limit: float = LIMIT) -> Deferred[object]:
        """
        Wait for the end of a connection, in the order in which they end, each once.

        @return: what its talk gave; L{Ending.RESET} where a reset broke that off.
            Fails with what else broke it off.
        """
        return deferToThread(self._nextOutcome, limit)

    def stop(self) -> None:
        """
        Listen no more, and close all connections.
        """
        with contextlib.suppress(OSError):
            # Closing it would not wake the thread that accepts.
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for connection in [*self._connections]:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _nextOutcome(self, limit: float) -> object:
        try:
            outcome = self._outcomes.get(timeout=limit)
        except Empty:
            raise Unfulfilled(
                f"no connection of {self.tunnel} ended in {limit:.0f} s, of "
                f"{self.visitors} in all"
            ) from None
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                self.visitors += 1
                self._connections.add(connection)
                threading.Thread(
                    target=self._serve, args=(connection,), daemon=True
                ).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(LIMIT)
        outcome: object
        try:
            with connection:
                outcome = self._talk(connection)
        except (ConnectionResetError, BrokenPipeError):
            outcome = Ending.RESET
        except Exception as e:
            outcome = e
        self._connections.discard(connection)
        self._outcomes.put(outcome)


class Visitor:
    """
    A visitor's connection.  All calls begin at once and give a Deferred; they fail
    with C{ConnectionResetError} at a reset and with C{TimeoutError} where nothing
    happens.

    @ivar socket: the connection itself.
    @ivar sent: how far L{send} is.
    """

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.sent = Meter()

    @classmethod
    def come(cls, address: Address, buffer: int = 0) -> Deferred[Visitor]:
        """
        Connect.

        @param buffer: how much the kernel may keep for this visitor, in bytes; 0 is
            for the kernel to say.
        """
        return deferToThread(lambda: cls(connected(address, buffer)))

    def send(self, data: bytes) -> Deferred[None]:
        """
        Send all of this.
        """
        return deferToThread(sendAll, self.socket, data, self.sent)

    def finish(self) -> None:
        """
        End this direction; the other goes on.
        """
        self.socket.shutdown(socket.SHUT_WR)

    def read(self, count: int) -> Deferred[bytes]:
        """
        Read so many bytes; fails with C{EOFError} at a clean end.
        """
        return deferToThread(receiveExactly, self.socket, count)

    def rest(self) -> Deferred[Received]:
        """
        Read to the end, which may be a reset.
        """
        return deferToThread(receive, self.socket)

    def flood(self) -> Deferred[Ending]:
        """
        Send without end, until a reset.
        """
        return deferToThread(flood, self.socket)

    def reset(self) -> None:
        """
        Close so that the other side sees a reset.
        """
        reset(self.socket)

    def close(self) -> None:
        """
        Close; calls under way are broken off.
        """
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


def visit(address: Address, data: bytes) -> Deferred[Received]:
    """
    Be a visitor: connect, send something and the end behind it, read to the end.
    """

    def go() -> Received:
        with connected(address) as connection:
            # What is wrong shows when it is read from, as a visitor would.
            with contextlib.suppress(OSError):
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
            return receive(connection)

    return deferToThread(go)
