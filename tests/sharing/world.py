"""
Clients, a share and a target in memory, for tests of sharing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import (
    ConnectionAborted,
    ConnectionDone,
    ConnectionLost,
    ConnectionRefusedError,
)
from twisted.internet.interfaces import IProtocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.sharing.toy import Toy
from tunnelkit.sharing.bounds import Bounds
from tunnelkit.sharing.pool import Pool
from tunnelkit.wire.framings.contract import Framing

PLENTY = 64 * 1024
"""What a peer may leave unread before its connection is full."""


class Wire:
    """
    A connection between a protocol of ours and a peer that is played.

    @ivar got: what the peer was told and has not looked at.
    @ivar over: how the connection was ended by us: C{closed}, C{reset} or empty.
    @ivar ended: whether we have ended our half.
    @ivar paused: whether we do not read.
    @ivar reads: whether the peer reads.
    """

    def __init__(self, later: list[Callable[[], object]], ours: int, peer: int) -> None:
        self.got = b""
        self.over = ""
        self.ended = self.paused = self.lost = False
        self.reads = True
        self.protocol: Any = None
        self.producer: Any = None
        self._unread = 0
        self._held: list[Callable[[], object]] = []
        self._later = later
        self._ours, self._peer = ours, peer

    # What the protocol sees.

    def getHost(self) -> IPv4Address:
        """
        Say where we are.
        """
        return IPv4Address("TCP", "127.0.0.1", self._ours)

    def getPeer(self) -> IPv4Address:
        """
        Say where the peer is.
        """
        return IPv4Address("TCP", "127.0.0.1", self._peer)

    def write(self, data: bytes) -> None:
        """
        Tell the peer.
        """
        if self.over or self.ended or self.lost:
            return
        self.got += data
        if not self.reads:
            self._unread += len(data)
            if self._unread > PLENTY and self.producer is not None:
                self.producer.pauseProducing()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """
        Have a producer pause while the peer has too much.
        """
        assert self.producer is None and streaming
        self.producer = producer

    def unregisterProducer(self) -> None:
        """
        Do so no longer.
        """
        self.producer = None

    def pauseProducing(self) -> None:
        """
        Read no more.
        """
        self.paused = True

    def resumeProducing(self) -> None:
        """
        Read on.
        """
        self.paused = False
        held, self._held = self._held, []
        self._later.extend(held)

    def loseWriteConnection(self) -> None:
        """
        End our half.
        """
        assert self.producer is None, "it would never end"
        self.ended = True
        if self.reads:
            self._later.append(self.protocol.writeConnectionLost)

    def loseConnection(self) -> None:
        """
        Close.
        """
        assert self.producer is None, "it would never close"
        if not self.over:
            self.over = "closed"
            if not self._unread:
                self._later.append(lambda: self._lose(ConnectionDone()))

    def abortConnection(self) -> None:
        """
        Reset.
        """
        if self.over != "reset":
            self.over = "reset"
            self._later.append(lambda: self._lose(ConnectionAborted()))

    def _lose(self, error: Exception) -> None:
        if not self.lost:
            self.lost = True
            self.protocol.connectionLost(Failure(error))

    # What the peer does.

    def arrive(self, what: Callable[[], object]) -> None:
        """
        Have something come to us, when we read.
        """
        if self.paused:
            self._held.append(what)
        elif not self.lost:
            what()

    def take(self) -> bytes:
        """
        Give what the peer was told.
        """
        got, self.got = self.got, b""
        return got

    def readAll(self) -> None:
        """
        The peer reads again.
        """
        self.reads, self._unread = True, 0
        if self.ended:
            self._later.append(self.protocol.writeConnectionLost)
        if self.producer is not None:
            self.producer.resumeProducing()


class Peer:
    """
    A client, or the target's side of a connection.
    """

    def __init__(self, world: World, wire: Wire) -> None:
        self.wire = wire
        self._world = world

    def say(self, data: bytes) -> None:
        """
        Send bytes.
        """
        self.wire.arrive(lambda: self.wire.protocol.dataReceived(data))
        self._world.settle()

    def end(self) -> None:
        """
        Say nothing more.
        """
        protocol = self.wire.protocol
        if hasattr(protocol, "readConnectionLost"):
            self.wire.arrive(protocol.readConnectionLost)
        else:
            self.wire.arrive(self.leave)
        self._world.settle()

    def unsend(self, count: int) -> None:
        """
        Have so many bytes, the last ones, be written and not sent.
        """
        wire: Any = self.wire
        wire.dataBuffer, wire.offset, wire._tempDataLen = b"", 0, count

    def leave(self) -> None:
        """
        Close.
        """
        self.wire._lose(ConnectionDone())
        self._world.settle()

    def breakOff(self) -> None:
        """
        Be lost: a reset, or a network that is gone.
        """
        self.wire._lose(ConnectionLost())
        self._world.settle()

    @property
    def got(self) -> bytes:
        """
        What it was told since this was asked last.
        """
        return self.wire.take()


class World:
    """
    A share with a clock that stands.

    @ivar dials: connections to the target that are asked for and not there.
    """

    def __init__(self, framing: Framing | None = None, **bounds: Any) -> None:
        self.clock = Clock()
        self.dials: list[tuple[IProtocol, Deferred[IProtocol]]] = []
        self.pool = Pool(
            self._connect,
            framing or Toy(),
            Bounds(**bounds),
            self.clock,
            lambda: 0.5,
        )
        self._later: list[Callable[[], object]] = []
        self._ports = 40000

    def _connect(self, protocol: IProtocol) -> Deferred[IProtocol]:
        # One that is given up does not connect later.
        dialled: Deferred[IProtocol] = Deferred(lambda _: self.dials.remove(dial))
        dial = protocol, dialled
        self.dials.append(dial)
        return dialled

    def settle(self) -> None:
        """
        Have happen what is about to.
        """
        while self._later:
            self._later.pop(0)()

    def advance(self, seconds: float) -> None:
        """
        Have time pass.
        """
        self.clock.advance(seconds)
        self.settle()

    def _wire(self, protocol: Any, ours: int, peer: int) -> Peer:
        wire = Wire(self._later, ours, peer)
        wire.protocol = protocol
        protocol.makeConnection(wire)
        return Peer(self, wire)

    def client(self, *lines: bytes) -> Peer:
        """
        Have a client come.

        @param lines: what it says at once.
        """
        self._ports += 1
        client = self._wire(self.pool.client(), 8000, self._ports)
        self.settle()
        for line in lines:
            client.say(line)
        return client

    def target(self) -> Peer:
        """
        Have the target accept the connection that is asked for.
        """
        if not self.dials:
            self.advance(0)
        protocol, dialled = self.dials.pop(0)
        self._ports += 1
        target = self._wire(protocol, self._ports, 1234)
        dialled.callback(protocol)
        self.settle()
        return target

    def refuse(self) -> None:
        """
        Have the target refuse it.
        """
        if not self.dials:
            self.advance(0)
        _, dialled = self.dials.pop(0)
        dialled.errback(ConnectionRefusedError())
        self.settle()


class SharingCase(SynchronousTestCase):
    """
    A test of sharing.  When it ends, and the share is stopped, no deadline is left.
    """

    def world(self, framing: Framing | None = None, **bounds: Any) -> World:
        """
        Make a share.
        """
        world = World(framing, **bounds)
        self.addCleanup(self._end, world)
        return world

    def _end(self, world: World) -> None:
        world.pool.stop()
        world.settle()
        for client in [*world.pool.clients]:
            client.transport.abortConnection()
        world.settle()
        self.assertEqual(world.clock.getDelayedCalls(), [])
        self.assertEqual(world.pool.clients, {})
        self.assertEqual(world.pool.lines, {})
        waiting = world.pool.waiting
        self.assertEqual((waiting.count, waiting.size, world.pool.partial), (0, 0, 0))
