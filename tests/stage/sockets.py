"""
Sockets: what a plain blocking connection sends and receives, to its end.

A reset is told from a clean end everywhere: that difference is what half of the tests
are about.
"""

from __future__ import annotations

import hashlib
import random
import socket
import struct
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeAlias

from tests.stage.programs import LIMIT

Address: TypeAlias = tuple[str, int] | str
"""Host and port, or the path of a UNIX socket."""

PIECE: Final = 65536
"""How much is sent or received at once, in bytes."""
KEPT: Final = 65536
"""How much of what came is kept, in bytes; all of it is counted and hashed."""

_BACKLOG: Final = 1024
_RESETTING: Final = struct.pack("ii", 1, 0)


class Ending(Enum):
    """
    How a connection ended.
    """

    END = "a clean end"
    RESET = "a reset"


@dataclass(frozen=True, slots=True)
class Received:
    """
    What came over a connection up to its end.

    @ivar ending: how it ended.
    @ivar count: bytes.
    @ivar digest: SHA-256 of them, hexadecimal.
    @ivar first: the first of them, at most L{KEPT}.
    """

    ending: Ending
    count: int
    digest: str
    first: bytes


class Dialled(socket.socket):
    """
    A connection to somebody who may send a word and reset it before it is known here to
    be made: that reset is told to who reads, behind the word, as a later one would be.

    @ivar wasReset: whether it has been, and the kernel has told.
    """

    wasReset = False

    def connect(self, address: Address) -> None:  # type: ignore[override]
        """
        Connect.
        """
        try:
            super().connect(address)
        except ConnectionResetError:
            # The kernel tells this once, and gives an end after it.
            self.wasReset = True

    def recv(self, count: int, flags: int = 0) -> bytes:
        """
        Receive.

        @raise ConnectionResetError: a reset comes next.
        """
        data = super().recv(count, flags)
        if self.wasReset and not data:
            raise ConnectionResetError("in the moment in which it was made")
        return data


def connected(address: Address, buffer: int = 0) -> socket.socket:
    """
    Connect, with a time limit for that and all that follows.

    @param buffer: how much the kernel may keep of what comes, in bytes; 0 is for the
        kernel to say.
    """
    connection = Dialled(_family(address))
    try:
        connection.settimeout(LIMIT)
        if buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        connection.connect(address)
    except OSError:
        connection.close()
        raise
    return connection


def listener(address: Address, buffer: int = 0) -> socket.socket:
    """
    Listen.

    @param buffer: how much the kernel may keep of what comes on each connection, in
        bytes; 0 is for the kernel to say.
    """
    listening = socket.socket(_family(address))
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        if buffer:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        listening.bind(address)
        listening.listen(_BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening


def _family(address: Address) -> socket.AddressFamily:
    if isinstance(address, str):
        return socket.AF_UNIX
    return socket.AF_INET6 if ":" in address[0] else socket.AF_INET


def receive(connection: socket.socket) -> Received:
    """
    Read up to the end.

    @raise TimeoutError: neither a byte nor an end came in time.
    """
    digest, count, first = hashlib.sha256(), 0, bytearray()
    ending = Ending.END
    while True:
        try:
            piece = connection.recv(PIECE)
        except (ConnectionResetError, BrokenPipeError):
            ending = Ending.RESET
            break
        if not piece:
            break
        digest.update(piece)
        count += len(piece)
        first += piece[: KEPT - len(first)]
    return Received(ending, count, digest.hexdigest(), bytes(first))


def receiveExactly(connection: socket.socket, count: int) -> bytes:
    """
    Read so many bytes.

    @raise ConnectionResetError: a reset came before.
    @raise EOFError: a clean end came before.
    """
    data = bytearray()
    while len(data) < count:
        piece = connection.recv(min(PIECE, count - len(data)))
        if not piece:
            raise EOFError(f"a clean end after {len(data)} of {count} bytes")
        data += piece
    return bytes(data)


def flood(connection: socket.socket) -> Ending:
    """
    Send without end, until the connection is reset: to send says no more of an end,
    and to read would not tell of that reset again.

    @raise TimeoutError: the kernel took nothing for a while.
    """
    piece = noise(PIECE)
    try:
        while True:
            connection.sendall(piece)
    except (ConnectionResetError, BrokenPipeError):
        return Ending.RESET


class Meter:
    """
    @ivar count: how many bytes the kernel took so far.
    """

    def __init__(self) -> None:
        self.count = 0


def sendAll(connection: socket.socket, data: bytes, meter: Meter) -> None:
    """
    Send all of this, and let others see how far it is.
    """
    with memoryview(data) as view:
        at = 0
        while at < len(view):
            sent = connection.send(view[at : at + PIECE])
            at += sent
            meter.count += sent


def reset(connection: socket.socket) -> None:
    """
    Close a connection so that its peer sees a reset.
    """
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESETTING)
    connection.close()


def noise(count: int, seed: int = 9) -> bytes:
    """
    Give bytes that do not repeat, the same for the same seed.
    """
    return random.Random(seed).randbytes(count)


def sha256(data: bytes) -> str:
    """
    Give the SHA-256 of bytes, hexadecimal.
    """
    return hashlib.sha256(data).hexdigest()
