"""
Doubles of what the parts of a server and of a client work with, which remember what
they were asked for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from itertools import count
from typing import Any, Final, cast

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocol, IReactorTime
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from tunnelkit.carrier.pool import WorkPool
from tunnelkit.control.session import Identity, Session
from tunnelkit.interfaces import (
    ICarrier,
    ICarrierOwner,
    IEnd,
    IFlowPort,
    IJoin,
    IRelay,
    IStreamEnd,
    IWorkEnd,
    IWorkOwner,
    Outcome,
)
from tunnelkit.relay.bucket import Bucket
from tunnelkit.relay.connection import Connection, Holder, peerOf
from tunnelkit.relay.flows.carrying import Waiting
from tunnelkit.relay.flows.ends import Arrived
from tunnelkit.relay.flows.table import FlowTable
from tunnelkit.relay.secure import ClientTLS, ServerTLS
from tunnelkit.status import TunnelStatus
from tunnelkit.wire.address import HostPort, LocalAddress
from tunnelkit.wire.certificate import CertificatePair, selfSigned
from tunnelkit.wire.codes import ResetCode
from tunnelkit.wire.native.frames import FrameDecoder, Message
from tunnelkit.wire.native.messages import Drain, FromServer, Ping, Want

IDENTITY: Final = Identity(
    user="ann",
    client="laptop",
    instance="instance1",
    program="tunnelkit/1",
    peer="192.0.2.7:5000",
    host="vps.example.org",
    bound=True,
)


class TimedCase(SynchronousTestCase):
    """
    A test with a clock of its own, at the end of which nothing waits for it.
    """

    clock: Clock

    def setUp(self) -> None:
        """
        Make the clock.
        """
        self.clock = Clock()
        self.addCleanup(self.assertQuiet)

    def assertQuiet(self) -> None:
        """
        Nothing is left that would keep a reactor busy.
        """
        self.assertEqual(list(map(str, self.clock.getDelayedCalls())), [])


@implementer(IEnd)
class FakeEnd:
    """
    A visitor's or a local service's connection.
    """

    def __init__(
        self, peer: str = "192.0.2.9:6000", local: str = "198.51.100.1:9000"
    ) -> None:
        self.peer = peer
        self.local = local
        self.aborted = False

    def abort(self) -> None:
        """
        Remember that.
        """
        self.aborted = True


@implementer(IWorkEnd)
class FakeWork(FakeEnd):
    """
    A work connection.

    @ivar number: how many streams were begun.
    @ivar refused: codes and reasons.
    """

    def __init__(self, peer: str = "192.0.2.9:6000") -> None:
        super().__init__(peer)
        self.number = 0
        self.closed = False
        self.announced = b""
        self.refused: list[tuple[ResetCode, str]] = []

    def begin(self) -> int:
        """
        Count.
        """
        self.number += 1
        return self.number

    def refuse(self, code: ResetCode, reason: str) -> None:
        """
        Remember that.
        """
        self.refused.append((code, reason))

    def announce(self, opening: bytes) -> None:
        """
        Remember that.
        """
        self.announced += opening

    def close(self) -> None:
        """
        Remember that.
        """
        self.closed = True


@implementer(IJoin)
class FakeJoin:
    """
    A join, which a test ends.

    @ivar outcome: how it ended.
    @ivar buckets: how fast bytes may go, forth and back.
    """

    def __init__(self, one: IEnd, other: IEnd, opening: bytes) -> None:
        self.one = one
        self.other = other
        self.opening = opening
        self.buckets: tuple[Bucket | None, Bucket | None] = None, None
        self.ended: Deferred[Outcome] = Deferred()
        self.outcome: Outcome | None = None
        self.forth = 0
        self.back = 0

    def tell(self, ended: Callable[[IJoin, Outcome], None]) -> None:
        """
        Tell how it ended.
        """
        self.ended.addCallback(lambda outcome: ended(self, outcome))

    def abort(self, code: ResetCode, reason: str) -> None:
        """
        End it.
        """
        self.end(Outcome(code, reason))

    def end(self, outcome: Outcome = Outcome()) -> None:  # noqa: B008
        """
        End it, well or not.
        """
        if self.outcome is None:
            self.outcome = outcome
            self.ended.callback(outcome)


@implementer(IListeningPort)
class FakePort:
    """
    A public port.

    @ivar stopping: fires, by a test, when it is free.
    """

    def __init__(
        self,
        relay: FakeRelay,
        address: HostPort,
        arrived: Callable[[IEnd], None],
    ) -> None:
        self.address = address
        self.arrived = arrived
        self.stopping: Deferred[None] | None = None
        self._relay = relay

    def startListening(self) -> None:
        """
        Do nothing: it does already.
        """

    def stopListening(self) -> Deferred[None]:
        """
        Be free at once, or when the test says so.
        """
        stopped = Deferred() if self._relay.slow else succeed(None)
        self.stopping = stopped
        stopped.addCallback(lambda _: self._relay.ports.pop(self.address.port))
        return stopped

    def getHost(self) -> Any:
        """
        Give nothing: nobody asks.
        """


@implementer(IRelay)
class FakeRelay:
    """
    A relay.

    @ivar ports: those that are listened on.
    @ivar taken: why ports cannot be had.
    @ivar bugs: what comes of listening on a port that should not.
    @ivar slow: whether ports are free only when the test says so.
    @ivar dials: addresses, and what becomes of each.
    @ivar joins: all that were made.
    @ivar bug: what C{join} raises.
    @ivar clock: what carriers wait by.
    @ivar flowPorts: ports for datagrams.
    @ivar flowDials: flows to local services: where to, which, and who is told.
    @ivar carriers: all that were made.
    @ivar adopted: connections that were taken over, and how.
    """

    def __init__(self) -> None:
        self.ports: dict[int, FakePort] = {}
        self.taken: dict[int, OSError] = {}
        self.bugs: dict[int, Exception] = {}
        self.slow = False
        self.dials: list[tuple[LocalAddress, Deferred[IEnd]]] = []
        self.joins: list[FakeJoin] = []
        self.clock: IReactorTime = Clock()
        self.flowPorts: dict[int, FakeFlowPort] = {}
        self.flowDials: list[tuple[HostPort, int, Callable[[str], None]]] = []
        self.carriers: list[FakeCarrier] = []
        self.bug: Exception | None = None
        self.adopted: list[tuple[Connection, bytes, bool]] = []

    def listen(
        self, address: LocalAddress, arrived: Callable[[IEnd], None]
    ) -> FakePort:
        """
        Listen, if the port can be had.
        """
        assert isinstance(address, HostPort), "no port"
        if address.port in self.bugs:
            raise self.bugs[address.port]
        if address.port in self.taken:
            why = self.taken[address.port]
            raise CannotListenError(address.host, address.port, why)
        assert address.port not in self.ports, "our own tunnel has that port"
        self.ports[address.port] = port = FakePort(self, address, arrived)
        return port

    def dial(self, address: LocalAddress, timeout: float) -> Deferred[IEnd]:
        """
        Have the test say what becomes of it.
        """
        dialled: Deferred[IEnd] = Deferred()
        self.dials.append((address, dialled))
        return dialled

    def secure(
        self,
        connection: Connection,
        rest: bytes,
        side: ClientTLS | ServerTLS,
        protocol: IProtocol,
    ) -> None:
        """
        Never do that.
        """
        raise NotImplementedError

    def borrow(
        self,
        connection: Connection,
        rest: bytes,
        owner: IWorkOwner,
        client: bool,
        opening: bytes = b"",
    ) -> IWorkEnd:
        """
        Never do that.
        """
        raise NotImplementedError

    def adopt(
        self,
        connection: Connection,
        rest: bytes,
        withhold: bool = False,
        opening: bytes = b"",
    ) -> IStreamEnd:
        """
        Make an end of it.
        """
        connection.transport.write(opening)
        end = FakeWork(peerOf(connection.transport))
        self.adopted.append((connection, rest, withhold))
        connection.hold(Holder())
        return end

    def join(
        self,
        one: IEnd,
        other: IEnd,
        opening: bytes,
        forth: Bucket | None = None,
        back: Bucket | None = None,
    ) -> FakeJoin:
        """
        Join.
        """
        if self.bug is not None:
            raise self.bug
        self.joins.append(FakeJoin(one, other, opening))
        self.joins[-1].buckets = forth, back
        return self.joins[-1]

    def listenDatagrams(
        self, address: HostPort, flows: FlowTable, arrived: Arrived
    ) -> FakeFlowPort:
        """
        Listen for datagrams, if the port can be had.
        """
        if address.port in self.taken:
            why = self.taken[address.port]
            raise CannotListenError(address.host, address.port, why)
        self.flowPorts[address.port] = port = FakeFlowPort(self, address)
        port.flows, port.asked = flows, arrived
        return port

    def dialDatagrams(
        self,
        address: HostPort,
        number: int,
        flows: FlowTable,
        carrier: ICarrier,
        failed: Callable[[str], None],
    ) -> None:
        """
        Remember that.
        """
        self.flowDials.append((address, number, failed))

    def carry(
        self, work: IWorkEnd, owner: ICarrierOwner, opening: bytes
    ) -> ICarrier | None:
        """
        Make a carrier.
        """
        if cast(FakeWork, work).aborted:
            return None
        self.carriers.append(FakeCarrier(self.clock, owner, opening))
        return self.carriers[-1]


@implementer(IFlowPort)
class FakeFlowPort(FakePort):
    """
    A public port for datagrams.
    """

    flows: FlowTable
    asked: Arrived

    def __init__(self, relay: FakeRelay, address: HostPort) -> None:
        super().__init__(relay, address, lambda end: None)
        self.looked = 0

    def stopListening(self) -> Deferred[None]:
        """
        Be free at once.
        """
        self._relay.flowPorts.pop(self.address.port)
        return succeed(None)

    def look(self) -> None:
        """
        Count.
        """
        self.looked += 1


@implementer(ICarrier)
class FakeCarrier(Waiting):
    """
    A datagram carrier.

    @ivar opening: what was sent first.
    @ivar frames: what was put here while it was not blocked.
    @ivar ended: how it ended: C{closed} or C{aborted}.
    """

    peer = "203.0.113.5:40000"
    local = ""

    def __init__(
        self, clock: IReactorTime, owner: ICarrierOwner, opening: bytes
    ) -> None:
        super().__init__(clock)
        self.blocked = False
        self.owner = owner
        self.opening = opening
        self.frames: list[bytes] = []
        self.ended = ""
        self.strays = 0

    def put(self, frame: bytes) -> None:
        """
        Remember a frame, or have it wait.
        """
        if self.blocked:
            super().put(frame)
        else:
            self.frames.append(frame)

    def close(self) -> None:
        """
        End.
        """
        self.lose("closed")

    def abort(self) -> None:
        """
        End.
        """
        self.lose("aborted")

    def lose(self, why: str = "lost") -> None:
        """
        Be gone.
        """
        if not self.ended:
            self.ended = why
            self.owner.lost(self, why)


class FakeChannel:
    """
    A control channel, as a session has it.

    @ivar messages: what was said.
    @ivar left: with which words it was closed.
    @ivar vouched: which certificates were announced, and who waits for the answer.
    """

    def __init__(self) -> None:
        self.messages: list[FromServer] = []
        self.left: list[tuple[str, str, bool]] = []
        self.vouched: list[tuple[tuple[str, ...], Deferred[None]]] = []

    def want(self, count: int) -> None:
        """
        Remember that.
        """
        self.messages.append(Want(count))

    def ping(self, at: int) -> None:
        """
        Remember that.
        """
        self.messages.append(Ping(at))

    def drain(self, seconds: float) -> None:
        """
        Remember that.
        """
        self.messages.append(Drain(round(seconds)))

    def leave(self, code: str, reason: str, retry: bool) -> None:
        """
        Remember that.
        """
        self.left.append((code, reason, retry))

    def vouch(self, hashes: tuple[str, ...]) -> Deferred[None]:
        """
        Have the test answer.
        """
        self.vouched.append((hashes, Deferred()))
        return self.vouched[-1][1]


@dataclass(eq=False)
class FakeTunnel:
    """
    A tunnel, as a session has it.

    @ivar said: what was asked of it, in order.
    """

    said: list[str] = field(default_factory=list)

    def status(self) -> TunnelStatus:
        """
        Never asked.
        """
        raise NotImplementedError

    def withdraw(self) -> None:
        """
        Remember that.
        """
        self.said.append("withdraw")

    def cut(self, reason: str) -> None:
        """
        Remember that.
        """
        self.said.append(f"cut: {reason}")


_NUMBERS: Final = count(1)


def random(size: int) -> bytes:
    """
    Give bytes that look random, and are the same in each run of the tests.
    """
    return hashlib.shake_256(b"%d" % next(_NUMBERS)).digest(size)


def session(
    clock: IReactorTime,
    ended: Callable[[Session, str], None] = lambda session, reason: None,
    allowed: Callable[[str], bool] = lambda user: True,
    room: Callable[[str], bool] = lambda user: True,
    **who: Any,
) -> tuple[Session, FakeChannel]:
    """
    Log somebody in.

    @param who: in what they differ from L{IDENTITY}.
    """
    channel = FakeChannel()
    identity = replace(IDENTITY, **who)
    return Session(
        identity, channel, clock, 1000.0, random, allowed, ended, room
    ), channel


def worksOf(session: Session) -> WorkPool:
    """
    Give a session's pool of work connections.
    """
    assert session.works is not None, "it has another way"
    return session.works


@cache
def pairOf(*names: str) -> CertificatePair:
    """
    Make a certificate, the same for the same names.
    """
    return selfSigned(names, datetime.now(UTC))


def messages(data: bytes) -> Iterable[dict[str, Any]]:
    """
    Read the messages in what a side wrote.
    """
    for frame in FrameDecoder().feed(data):
        assert isinstance(frame, Message), f"{frame} is no message"
        yield dict(frame.body)
