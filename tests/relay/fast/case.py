"""
What the tests of the fast path share: a reactor that turns when a test says so, real
sockets on loopback, and a peer that speaks TLS by the standard library.

Nothing here sleeps: L{LoopCase.until} waits in the kernel for the next event.
"""

from __future__ import annotations

import os
import select
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, ClassVar, Final

from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.fakes import pairOf
from tests.relay.memory import Owner
from tunnelkit.interfaces import IJoin, IWorkOwner, Outcome
from tunnelkit.relay.connection import RESETTING, linger
from tunnelkit.relay.streams.stream import Receiver
from tunnelkit.wire.codes import ResetCode

LOOPBACK: Final = "127.0.0.1"
LIMIT: Final = 10.0
"""Seconds that anything may take; on a busy machine, too."""
PAIR: Final = pairOf("localhost", LOOPBACK)
MiB: Final = 1 << 20

ABLE: Final = hasattr(select, "epoll") and hasattr(os, "splice")
UNABLE: Final = None if ABLE else "the fast path needs epoll and splice"

if ABLE:
    from tunnelkit.relay.fast.buffer import VIEW
    from tunnelkit.relay.fast.pipes import Pipe
    from tunnelkit.relay.fast.raw import RawSocket
    from tunnelkit.relay.fast.relay import FastRelay
    from tunnelkit.relay.fast.secure.tls import TLS, clientContext, serverContext
    from tunnelkit.relay.fast.secure.work import SecureWorkSocket
    from tunnelkit.relay.fast.work import WorkSocket


class HandReactor(Clock):
    """
    A reactor with a clock and descriptors, of which each turn is the test's.

    @ivar readers: who waits for bytes.
    @ivar writers: who waits for room.
    """

    def __init__(self) -> None:
        super().__init__()
        self.readers: dict[Any, None] = {}
        self.writers: dict[Any, None] = {}

    def addReader(self, reader: Any) -> None:
        """
        Wait for bytes.
        """
        self.readers[reader] = None

    def addWriter(self, writer: Any) -> None:
        """
        Wait for room.
        """
        self.writers[writer] = None

    def removeReader(self, reader: Any) -> None:
        """
        Wait no more.
        """
        self.readers.pop(reader, None)

    def removeWriter(self, writer: Any) -> None:
        """
        Wait no more.
        """
        self.writers.pop(writer, None)

    def turn(self, timeout: float = 0.0) -> bool:
        """
        Turn once.

        @param timeout: seconds to wait for the first event.
        @return: whether anything happened.
        """
        self.advance(0)
        reads = {reader.fileno(): reader for reader in self.readers}
        writes = {writer.fileno(): writer for writer in self.writers}
        polling = select.poll()
        for fd in reads.keys() | writes.keys():
            asked = (select.POLLIN if fd in reads else 0) | (
                select.POLLOUT if fd in writes else 0
            )
            polling.register(fd, asked)
        events = polling.poll(timeout * 1000)
        for fd, event in events:
            self._happened(reads.get(fd), writes.get(fd), event)
        self.advance(0)
        return bool(events)

    def _happened(self, reader: Any, writer: Any, event: int) -> None:
        if reader in self.readers and event & ~select.POLLOUT:
            self._did(reader, reader.doRead(), True)
        if writer in self.writers and event & ~select.POLLIN:
            self._did(writer, writer.doWrite(), False)

    def _did(self, selectable: Any, why: Any, read: bool) -> None:
        # As twisted.internet.posixbase does.
        if why is None:
            return
        self.removeReader(selectable)
        if read and isinstance(why, ConnectionDone):
            selectable.readConnectionLost(Failure(why))
        else:
            self.removeWriter(selectable)
            selectable.connectionLost(Failure(why))


class LoopCase(SynchronousTestCase):
    """
    A test with a fast relay, at the end of which no descriptor is left over.

    @ivar relay: the relay.
    """

    skip = UNABLE

    def setUp(self) -> None:
        """
        Make the relay.
        """
        before = descriptors()
        # What an earlier test left to the garbage collector may go meanwhile.
        self.addCleanup(lambda: self.assertLessEqual(descriptors(), before, "a leak"))
        self.reactor = HandReactor()
        self.relay = FastRelay(self.reactor)  # type: ignore[arg-type]
        self.loop = self.relay.loop

    def turn(self) -> None:
        """
        Turn until nothing happens.
        """
        while self.reactor.turn():
            pass

    def until(self, condition: Callable[..., object]) -> None:
        """
        Turn until a condition has come true.
        """
        last = time.monotonic() + LIMIT
        while not condition():
            if time.monotonic() > last:
                raise self.failureException("that did not come")
            self.reactor.turn(0.02)

    def pair(self, buffer: int = 0) -> tuple[socket.socket, socket.socket]:
        """
        Connect two sockets.

        @param buffer: how much the kernel keeps, about, of what is sent from ours, in
            bytes; 0 is for the kernel to say.
        @return: ours, which does not block and belongs to whom it is given, and the
            peer's.
        """
        with socket.create_server((LOOPBACK, 0)) as listening:
            theirs = socket.socket()
            self.addCleanup(theirs.close)
            if buffer:
                theirs.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
            theirs.connect(listening.getsockname())
            ours, _ = listening.accept()
        self.addCleanup(ours.close)
        for each in (ours, theirs):
            each.setblocking(False)
        if buffer:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
        for each in (ours, theirs):
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return ours, theirs

    def raw(self, buffer: int = 0, first: bool = False) -> tuple[RawSocket, Peer]:
        """
        Let a visitor come, or a local service answer.

        @param first: whether he may have spoken by now.
        """
        ours, theirs = self.pair(buffer)
        linger(ours, RESETTING)
        end = RawSocket(self.loop, ours, "192.0.2.7:5000", first)
        self.addCleanup(end.abort)
        return end, Peer(self, theirs)

    def work(
        self,
        client: bool = False,
        buffer: int = 0,
        secure: bool = False,
        most: int = 0,
        owner: IWorkOwner | None = None,
    ) -> tuple[WorkSocket, Peer, Owner]:
        """
        Make a work connection.

        @param most: where set, how many bytes the kernel takes at once.
        @return: its peer beside, and its owner where none was given.
        """
        ours: Any
        ours, theirs = self.pair(buffer)
        remembering = Owner()
        peer: Peer
        made: WorkSocket
        rules: Any = "192.0.2.7:5000", owner or remembering, client, self.reactor
        if secure:
            tls, peer = shaken(self, ours, theirs)
            tls.sock = Stingy(tls.sock, most) if most else tls.sock  # type: ignore[assignment]
            made = SecureWorkSocket(self.loop, tls, *rules)
        else:
            peer = Peer(self, theirs)
            ours = Stingy(ours, most) if most else ours
            made = WorkSocket(self.loop, ours, *rules)
        self.addCleanup(made.abort)
        return made, peer, remembering

    def joined(self, one: Any, other: Any, opening: bytes = b"") -> Joined:
        """
        Join two ends.
        """
        return Joined(self.relay.join(one, other, opening))


class Stingy:
    """
    A socket of which the kernel takes little at once, and then nothing for a moment.
    """

    def __init__(self, sock: socket.socket, most: int) -> None:
        self._sock = sock
        self._most = most
        self._taken = False

    def send(self, data: Any, flags: int = 0) -> int:
        """
        Take a little, and nothing the next time.
        """
        self._taken = not self._taken
        if not self._taken:
            raise BlockingIOError
        return self._sock.send(memoryview(data)[: self._most], flags)

    def sendmsg(self, pieces: list[bytes]) -> int:
        """
        Take a little of several pieces, likewise.
        """
        return self.send(b"".join(pieces))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class Joined:
    """
    A join, and how it ended.
    """

    def __init__(self, join: IJoin) -> None:
        self.join = join
        self.outcome: Outcome | None = None
        join.tell(self._told)

    @property
    def code(self) -> ResetCode | None:
        """
        Why it ended, where it has.
        """
        return None if self.outcome is None else self.outcome.code

    def _told(self, join: IJoin, outcome: Outcome) -> None:
        self.outcome = outcome


class Peer:
    """
    Who is at the other side of a socket, in plain.

    @ivar sock: the socket, which does not block.
    @ivar got: all that came.
    @ivar ending: C{end} or C{reset} once that came, else empty.
    """

    def __init__(self, case: LoopCase, sock: socket.socket) -> None:
        self.sock = sock
        self.got = b""
        self.ending = ""
        self._case = case

    def send(self, data: bytes, cut: int = 0) -> None:
        """
        Send, and let our side take it.

        @param cut: where set, so many bytes at a time.
        """
        ready = self.encrypted(data)
        for at in range(0, len(ready), cut or max(1, len(ready))):
            self.pour(ready[at : at + (cut or len(ready))])
            self._case.turn()

    def pour(self, data: bytes, sink: Peer | None = None) -> None:
        """
        Send bytes as they are.

        @param sink: who reads meanwhile.
        """
        view = memoryview(data)

        def poured() -> bool:
            nonlocal view
            with _passing(BlockingIOError):
                view = view[self.sock.send(view) :]
            if sink is not None:
                sink.take()
            return not view

        self._case.until(poured)

    def fill(self, piece: bytes) -> int:
        """
        Send the same again and again, until nobody takes more.

        @return: how many bytes that were.
        """
        sent, still = 0, 0
        while still < 20:
            try:
                sent += self.sock.send(piece[sent % len(piece) :])
                still = 0
            except BlockingIOError:
                still += 1
            self._case.turn()
        return sent

    def encrypted(self, data: bytes) -> bytes:
        """
        Give what goes over the wire for that.
        """
        return data

    def decrypted(self, data: bytes) -> bytes:
        """
        Give what came over the wire as.
        """
        return data

    def end(self) -> None:
        """
        End this direction.
        """
        self.sock.shutdown(socket.SHUT_WR)
        self._case.turn()

    def reset(self) -> None:
        """
        Reset the connection.
        """
        linger(self.sock, RESETTING)
        self.sock.close()
        self._case.turn()

    def take(self) -> bytes:
        """
        Read what is there now.

        @return: that.
        """
        taken = b""
        while not self.ending:
            try:
                piece = self.sock.recv(1 << 16)
            except BlockingIOError:
                break
            except (ConnectionResetError, BrokenPipeError):
                self.ending = "reset"
                break
            if not piece:
                self.ending = "end"
            taken += self.decrypted(piece)
        self.got += taken
        return taken

    def reads(self, count: int) -> bytes:
        """
        Read until so many bytes came in all.
        """
        self.sees(lambda: len(self.got) >= count)
        return self.got

    def sees(self, condition: Callable[..., object]) -> None:
        """
        Read until a condition has come true.
        """

        def seen() -> object:
            self.take()
            return condition()

        self._case.until(seen)

    def ends(self) -> str:
        """
        Read up to the end.

        @return: which end that is.
        """
        self.sees(lambda: self.ending)
        return self.ending


class SecurePeer(Peer):
    """
    The same under TLS.

    @ivar closed: whether our side's close_notify came.
    """

    def __init__(self, case: LoopCase, sock: socket.socket, server: bool) -> None:
        super().__init__(case, sock)
        self.into, self.out = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = serverContext(PAIR) if server else clientContext(False)
        name = None if server else "localhost"
        self.tls = context.wrap_bio(self.into, self.out, server, name)
        self.closed = False

    def shake(self) -> bool:
        """
        Go on with the handshake.

        @return: whether it is complete on this side.
        """
        with _passing(BlockingIOError):
            self.into.write(self.sock.recv(1 << 16))
        done = False
        with _passing(ssl.SSLWantReadError):
            self.tls.do_handshake()
            done = True
        self.sock.sendall(self.out.read())
        return done

    def encrypted(self, data: bytes) -> bytes:
        """
        Encrypt.
        """
        for at in range(0, len(data), 16384):
            self.tls.write(data[at : at + 16384])
        return self.out.read()

    def decrypted(self, data: bytes) -> bytes:
        """
        Decrypt.
        """
        clear = b""
        if self.closed or not data:
            return clear
        self.into.write(data)
        with _passing(ssl.SSLWantReadError):
            while piece := self.tls.read(1 << 16):
                clear += piece
            self.closed = True
        return clear

    def notify(self) -> None:
        """
        Say that this side ends.
        """
        with _passing(ssl.SSLError):
            self.tls.unwrap()
        self.sock.sendall(self.out.read())
        self._case.turn()


@contextmanager
def _passing(kind: type[Exception]) -> Iterator[None]:
    with suppress(kind):
        yield


def shaken(
    case: LoopCase, ours: socket.socket, theirs: socket.socket
) -> tuple[TLS, SecurePeer]:
    """
    Put a connection under TLS; ours is the server's side.
    """
    peer = SecurePeer(case, theirs, False)
    tls = TLS(ours, SERVER_CONTEXT, certificate=PAIR.der)
    done = theirs_done = False
    while not (done and theirs_done):
        theirs_done = peer.shake()
        with _passing(BlockingIOError):
            tls.fetch(0)
        done = tls.shake()
    return tls, peer


if ABLE:
    SERVER_CONTEXT: Final = serverContext(PAIR)


class Gathering:
    """
    An end that takes all that a fast end puts to it, as a fast end does.

    @ivar did: what the join did here, in order; bytes of one stretch are one.
    @ivar hears: the join's side.
    """

    takesPipes: ClassVar[bool] = False
    most: ClassVar[int] = MiB
    releaseEnds: Final = True
    peer = "a test"
    local = "here"

    def __init__(self) -> None:
        self.did: list[Any] = []
        self.hears: Receiver

    def attach(self, receiver: Receiver) -> Gathering:
        """
        Begin.
        """
        self.hears = receiver
        return self

    def put(self, start: int, stop: int) -> None:
        """
        Take a part of the buffer.
        """
        self.write(bytes(VIEW[start:stop]))

    def putPipe(self, pipe: Pipe, count: int) -> None:
        """
        Take a pipe.
        """
        raise AssertionError("a pipe for who takes none")

    def write(self, data: bytes) -> None:
        """
        Take bytes.
        """
        if self.did and isinstance(self.did[-1], bytes):
            self.did[-1] += data
        else:
            self.did.append(data)

    announce = write

    def cork(self) -> None:
        """
        Nothing is sent from here.
        """

    flush = pauseReading = resumeReading = abort = cork

    def finish(self) -> bool:
        """
        Remember.
        """
        self.did.append("finish")
        return True

    def release(self) -> None:
        """
        Remember.
        """
        self.did.append("release")

    def reset(self, code: ResetCode, reason: str) -> None:
        """
        Remember.
        """
        self.did.append((code, reason))

    def unsent(self) -> int:
        """
        Nothing is held here.
        """
        return 0


class GatheringPipes(Gathering):
    """
    The same, which takes pipes, too.
    """

    takesPipes = True

    def __init__(self, pipes: Any) -> None:
        super().__init__()
        self._pipes = pipes

    def putPipe(self, pipe: Pipe, count: int) -> None:
        """
        Empty the pipe, and give it back.
        """
        while count:
            data = os.read(pipe.out, count)
            count -= len(data)
            self.write(data)
        self._pipes.give(pipe)


def descriptors() -> int:
    """
    Count the descriptors of this process.
    """
    return len(os.listdir("/proc/self/fd"))
