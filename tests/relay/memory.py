"""
Connections in memory, for tests of what is joined: they behave as Twisted's TCP
transports do, and move on by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from tunnelkit.interfaces import ICarrier, IWorkEnd, IWorkLink, IWorkOwner
from tunnelkit.relay.connection import Connection, Holder
from tunnelkit.relay.portable.raw import RawEnd
from tunnelkit.relay.portable.work import WorkEnd
from tunnelkit.relay.streams.stream import Receiver
from tunnelkit.wire.codes import ResetCode
from tunnelkit.wire.native.frames import Frame, FrameDecoder
from tunnelkit.wire.native.messages import Start

START = Start(1, "web", "tcp", "192.0.2.7:5000", "198.51.100.1:80")


@implementer(IPushProducer)
class MemoryTransport:
    """
    One side of a connection: this side's transport, and what its peer does and sees.

    @ivar room: how many bytes the kernel still takes for the peer, or None where the
        peer reads all at once.
    @ivar sent: what the kernel took.
    @ivar reading: whether this side reads.
    @ivar ended: whether the peer saw this side's end.
    @ivar wasReset: whether the peer saw a reset.
    @ivar cut: where set, one read comes in pieces of so many bytes, all of them even
        where the first makes this side pause, as with TLS.
    """

    disconnecting = False

    def __init__(self, protocol: Any, port: int = 5000) -> None:
        self.protocol = protocol
        self.bufferSize = 65536
        self.room: int | None = None
        self.sent = bytearray()
        self.reading = True
        self.ended = False
        self.wasReset = False
        self.cut: int | None = None
        self.lost = False
        self._port = port
        self._waiting = bytearray()
        self._producer: Any = None
        self._paused = False
        self._halfClosing = False
        self._aborting = False
        self._incoming = bytearray()
        self._peerEnded = False
        self._peerReset = False
        self._writing = False
        protocol.makeConnection(self)

    # What the peer does.

    def peerSends(self, data: bytes) -> None:
        """
        The peer wrote.
        """
        self._incoming += data

    def peerEnds(self) -> None:
        """
        The peer ended its direction.
        """
        self._peerEnded = True

    def peerResets(self) -> None:
        """
        The peer reset the connection.
        """
        self._peerReset = True

    def take(self) -> bytes:
        """
        Give what was sent, and forget it.
        """
        taken = bytes(self.sent)
        self.sent.clear()
        return taken

    # What the reactor does.

    def turn(self) -> bool:
        """
        Do what a turn of the reactor does.

        @return: whether anything happened.
        """
        if self._aborting and not self.lost:
            self._lose(ConnectionAborted())
            return True
        return self._read() | self._write()

    def settle(self) -> None:
        """
        Turn until nothing happens any more.
        """
        while self.turn():
            pass

    def _read(self) -> bool:
        if self.lost or not self.reading or self.disconnecting:
            return False
        if not (self._incoming or self._peerEnded or self._peerReset):
            return False
        why = self.doRead()
        if isinstance(why, ConnectionDone) and IHalfCloseableProtocol.providedBy(
            self.protocol
        ):
            self.reading = False
            self.protocol.readConnectionLost()
        elif why is not None:
            self._lose(why)
        return True

    def doRead(self) -> Exception | None:
        """
        Read what is there, as C{IReadDescriptor} says.
        """
        data = bytes(self._incoming[: self.bufferSize])
        del self._incoming[: len(data)]
        if not data:
            told, self._peerReset = self._peerReset, False
            if told:
                self._peerEnded = True  # the kernel tells a reset once
                return ConnectionLost()
            return ConnectionDone() if self._peerEnded else None
        step = self.cut or len(data)
        for at in range(0, len(data), step):
            if not self._aborting and not self.lost:
                self.protocol.dataReceived(data[at : at + step])
        return None

    def _write(self) -> bool:
        if self.lost or self._aborting or not self._writing:
            return False
        if self._peerReset:
            self._lose(ConnectionLost())
            return True
        room = len(self._waiting) if self.room is None else self.room
        moved = bytes(self._waiting[:room])
        del self._waiting[:room]
        self.sent += moved
        if self.room is not None:
            self.room -= len(moved)
        if self._waiting:
            return bool(moved)
        self._writing = False
        self._drained()
        return True

    def _drained(self) -> None:
        if self._producer is not None and self._paused:
            self._paused = False
            self._producer.resumeProducing()
        elif self.disconnecting:
            self._lose(ConnectionDone())
        elif self._halfClosing and not self.ended:
            self.ended = True
            if IHalfCloseableProtocol.providedBy(self.protocol):
                self.protocol.writeConnectionLost()

    def _lose(self, why: Exception) -> None:
        self.lost = True
        self.reading = False
        self.wasReset = isinstance(why, ConnectionAborted)
        self.ended = self.ended or isinstance(why, ConnectionDone)
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.stopProducing()
        self.protocol.connectionLost(Failure(why))

    # The transport.

    def write(self, data: bytes) -> None:
        """
        Keep bytes until the kernel takes them.
        """
        if self.lost or self.ended:
            return
        self._waiting += data
        self._writing = True
        if self._producer is not None and len(self._waiting) > self.bufferSize:
            self._paused = True
            self._producer.pauseProducing()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """
        Keep bytes, likewise.
        """
        self.write(b"".join(data))

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """
        Tell C{producer} when the buffer is full.
        """
        if self._producer is not None:
            raise RuntimeError("a producer is registered already")
        if self.lost:
            producer.stopProducing()
        else:
            self._producer = producer

    def unregisterProducer(self) -> None:
        """
        Tell it no more.
        """
        self._producer = None
        self._writing = self._writing or self.disconnecting

    def pauseProducing(self) -> None:
        """
        Read no more.
        """
        self.reading = False

    def resumeProducing(self) -> None:
        """
        Read.
        """
        if not self.lost and not self.disconnecting:
            self.reading = True

    def stopProducing(self) -> None:
        """
        Close.
        """
        self.loseConnection()

    def loseWriteConnection(self) -> None:
        """
        End this direction, after what waits.
        """
        self._halfClosing = True
        self._writing = True

    def loseConnection(self) -> None:
        """
        Close, after what waits.
        """
        if self.lost or self.disconnecting:
            return
        if self.ended:
            self._lose(ConnectionDone())
        else:
            self.reading = False
            self.disconnecting = True
            self._writing = True

    def abortConnection(self) -> None:
        """
        Reset, in the next turn.
        """
        if not self.lost:
            self.reading = False
            self._aborting = True

    def setTcpNoDelay(self, enabled: bool) -> None:
        """
        Do nothing: writes go when they go.
        """

    def getHandle(self) -> None:
        """
        Give no socket: there is none.
        """

    def getPeer(self) -> IPv4Address:
        """
        Give the peer's address.
        """
        return IPv4Address("TCP", "192.0.2.7", self._port)

    def getHost(self) -> IPv4Address:
        """
        Give this side's address.
        """
        return IPv4Address("TCP", "198.51.100.1", 80)


def rawEnd(
    arrived: Callable[[RawEnd], None] | None = None,
) -> tuple[RawEnd, MemoryTransport]:
    """
    Make a visitor's or a service's connection.
    """
    end = RawEnd(arrived)
    return end, MemoryTransport(end)


@implementer(IWorkOwner)
class Owner:
    """
    Remembers what became of work connections.
    """

    def __init__(self) -> None:
        self.starts: list[Start] = []
        self.idles = 0
        self.losses: list[str] = []

    def started(self, work: IWorkEnd, start: Start) -> None:
        """
        A stream was started.
        """
        self.starts.append(start)

    def idle(self, work: IWorkEnd) -> None:
        """
        A stream is over.
        """
        self.idles += 1

    def given(self, work: IWorkEnd, carrier: ICarrier) -> None:
        """
        A work connection is a datagram carrier now.
        """
        raise AssertionError("nobody asked for that")

    def lost(self, work: IWorkLink, reason: str) -> None:
        """
        The connection is gone.
        """
        self.losses.append(reason)


def workEnd(
    client: bool, clock: Clock | None = None, idle: float = 300.0
) -> tuple[WorkEnd, MemoryTransport, Owner]:
    """
    Make a work connection.
    """
    connection = Connection(Holder())
    transport = MemoryTransport(connection, 6000)
    owner = Owner()
    work = WorkEnd(connection, owner, client, clock or Clock(), idle)
    return work, transport, owner


def framesIn(stream: bytes) -> list[Frame]:
    """
    Read what a side wrote.
    """
    return list(FrameDecoder().feed(stream))


class Heard:
    """
    A join's side that remembers what it heard from one end.

    @ivar told: what happened, in order; bytes of one stretch are one.
    """

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.count = 0

    def received(self, data: bytes) -> None:
        """
        Bytes came.
        """
        if self.told and isinstance(self.told[-1], bytes):
            self.told[-1] += data
        else:
            self.told.append(data)

    def finished(self) -> None:
        """
        The end came.
        """
        self.told.append("finished")

    def delivered(self) -> None:
        """
        All is with the kernel.
        """
        self.told.append("delivered")

    def left(self) -> None:
        """
        Nobody is there.
        """
        self.told.append("left")

    def failed(self, code: ResetCode, reason: str) -> None:
        """
        It failed.
        """
        self.told.append((code, reason))

    def blocked(self) -> None:
        """
        It is full.
        """
        self.told.append("blocked")

    def ready(self) -> None:
        """
        It is not.
        """
        self.told.append("ready")


class ScriptedEnd:
    """
    An end of which a test says what happens, and that remembers what the join did.

    @ivar did: that, in order.
    @ivar alive: what L{unsent} gives.
    @ivar releaseEnds: whether to release it is enough.
    """

    peer = "a test"
    local = "here"

    def __init__(self, delivers: bool = True, blocked: bool = False) -> None:
        """
        @param delivers: whether L{finish} is followed by the test's word.
        """
        self.releaseEnds = not delivers
        self.did: list[object] = []
        self.alive = 0
        self._blocked = blocked
        self.hears: Receiver = Heard()

    def attach(self, receiver: Receiver) -> ScriptedEnd:
        """
        Begin.
        """
        self.hears = receiver
        if self._blocked:
            receiver.blocked()
        return self

    def abort(self) -> None:
        """
        Never asked by a join.
        """
        raise AssertionError("a join resets its streams")

    def announce(self, opening: bytes) -> None:
        """
        Remember.
        """
        self.did.append(("announce", opening))

    def write(self, data: bytes) -> None:
        """
        Remember.
        """
        self.did.append(data)

    def finish(self) -> bool:
        """
        Remember.
        """
        self.did.append("finish")
        return self.releaseEnds

    def reset(self, code: ResetCode, reason: str) -> None:
        """
        Remember.
        """
        self.did.append((code, reason))

    def release(self) -> None:
        """
        Remember.
        """
        self.did.append("release")

    def pauseReading(self) -> None:
        """
        Remember.
        """
        self.did.append("pause")

    def resumeReading(self) -> None:
        """
        Remember.
        """
        self.did.append("resume")

    def unsent(self) -> int:
        """
        Give what the test says.
        """
        return self.alive
