"""
Tests of L{tunnelkit.sharing.forward}, without a network.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import ISSLTransport
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import directlyProvides

from tests.logs import Log
from tunnelkit.failures import StartFailed
from tunnelkit.interfaces import Outcome, Undialled
from tunnelkit.relay.connection import Connection
from tunnelkit.sharing.forward import HANDSHAKE, Arrivals, Forward
from tunnelkit.wire.address import HostPort
from tunnelkit.wire.codes import ResetCode


class End:
    """
    One side.
    """

    aborted = False

    def abort(self) -> None:
        """
        It is reset.
        """
        self.aborted = True


class Join:
    """
    Two of them.
    """

    forth = back = 7
    cut = ""

    def tell(self, ended: Callable[[Any, Outcome], None]) -> None:
        """
        Keep who is told.
        """
        self.ended = ended

    def abort(self, code: ResetCode, reason: str) -> None:
        """
        Both are reset.
        """
        self.cut = reason
        self.end()

    def end(self) -> None:
        """
        It is over.
        """
        self.ended(self, Outcome(ResetCode.ENDED, ""))


class Relay:
    """
    A relay that moves nothing.
    """

    def __init__(self) -> None:
        self.arrived: Any = None
        self.dials: list[Deferred[End]] = []
        self.joined: list[tuple[Any, Any, Join]] = []
        self.adopted: list[Connection] = []
        self.taken = False

    def listen(self, address: HostPort, arrived: Any) -> Any:
        """
        Listen.
        """
        if self.taken:
            raise CannotListenError(address.host, address.port, OSError(98, "in use"))
        self.arrived = arrived
        return self

    def stopListening(self) -> Deferred[None]:
        """
        Stop.
        """
        self.arrived = None
        return succeed(None)

    def dial(self, address: object, timeout: float) -> Deferred[End]:
        """
        Dial.
        """
        self.dials.append(Deferred())
        return self.dials[-1]

    def join(self, one: Any, other: Any, opening: bytes) -> Join:
        """
        Join.
        """
        join = Join()
        self.joined.append((one, other, join))
        return join

    def adopt(self, connection: Connection, rest: bytes) -> Any:
        """
        Take a connection over.
        """
        self.adopted.append(connection)
        return End()


class ForwardTests(SynchronousTestCase):
    """
    A forward with a relay that is played.
    """

    def setUp(self) -> None:
        """
        Play one.
        """
        self.reactor: Any = MemoryReactorClock()
        self.relay = Relay()
        self.log = Log(self)

    def forward(self, most: int = 2) -> Forward:
        """
        Start a forward.
        """
        relay: Any = self.relay
        target = HostPort("192.0.2.1", 80)
        here = HostPort("127.0.0.1", 8000)
        forward = Forward(here, target, self.reactor, relay, most)
        self.addCleanup(self.end, forward)
        return forward

    def end(self, forward: Forward) -> None:
        """
        Stop it; nothing is left.
        """
        if forward.running:
            self.successResultOf(forward.stopService())
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_joins(self) -> None:
        """
        Who comes is joined with a fresh connection to the target.
        """
        forward = self.forward()
        forward.startService()
        one, other = End(), End()
        self.relay.arrived(one)
        self.assertEqual(forward.streams, 1)
        self.relay.dials[0].callback(other)
        ((first, second, join),) = self.relay.joined
        self.assertEqual((first, second), (one, other))
        self.assertEqual(forward.streams, 1)
        join.end()
        self.assertEqual(forward.streams, 0)

    def test_refused(self) -> None:
        """
        Where the target is not there, who comes is reset, and the log says why.
        """
        self.forward().startService()
        one = End()
        self.relay.arrived(one)
        reason = "the service 192.0.2.1:80 is down"
        self.relay.dials[0].errback(Undialled(ResetCode.UNREACHABLE, reason))
        self.assertTrue(one.aborted)
        self.assertEqual(self.log.lines("warn"), [f"clients are reset: {reason}"])

    def test_most(self) -> None:
        """
        When there are too many, who comes is reset.
        """
        self.forward(most=2).startService()
        ends = [End() for _ in range(3)]
        for end in ends:
            self.relay.arrived(end)
        self.assertEqual([end.aborted for end in ends], [False, False, True])
        self.assertEqual(len(self.relay.dials), 2)

    def test_taken(self) -> None:
        """
        Where the port is taken, a sentence says so, and what to do.
        """
        forward = self.forward()
        self.relay.taken = True
        error = self.assertRaises(StartFailed, forward.startService)
        self.assertEqual(
            str(error),
            "cannot listen on LISTEN 127.0.0.1:8000: in use: stop the program that has"
            " it, or give another port",
        )

    def test_drains(self) -> None:
        """
        What is under way has so long, and nobody else comes; then it is cut.
        """
        forward = self.forward()
        forward.startService()
        for _ in range(2):
            self.relay.arrived(End())
        for dial in self.relay.dials:
            dial.callback(End())
        drained = Deferred.fromCoroutine(forward.drain(10))
        self.assertIs(self.relay.arrived, None)
        self.relay.joined[0][2].end()
        self.reactor.advance(9)
        self.assertNoResult(drained)
        self.reactor.advance(1)
        self.successResultOf(drained)
        forward.stopService()
        self.assertEqual(self.relay.joined[1][2].cut, "we are stopping")

    def test_drained(self) -> None:
        """
        When all have ended there is nothing to wait for.
        """
        forward = self.forward()
        forward.startService()
        self.relay.arrived(End())
        self.relay.dials[0].callback(End())
        drained = Deferred.fromCoroutine(forward.drain(10))
        self.relay.joined[0][2].end()
        self.successResultOf(drained)

    def test_stopsDialling(self) -> None:
        """
        Who waits for the target when it stops is reset.
        """
        forward = self.forward()
        forward.startService()
        one = End()
        self.relay.arrived(one)
        forward.stopService()
        self.assertTrue(one.aborted)
        self.assertEqual(self.log.lines("warn", "critical"), [])


class ArrivalsTests(SynchronousTestCase):
    """
    Who comes through an endpoint of Twisted's.
    """

    def setUp(self) -> None:
        """
        Play a relay.
        """
        self.clock: Any = MemoryReactorClock()
        self.relay: Any = Relay()
        self.ends: list[Any] = []

    def arrive(self, tls: bool) -> tuple[Any, StringTransport]:
        """
        Have somebody come.
        """
        arrivals = Arrivals(self.relay, self.clock, self.ends.append)
        connection: Any = arrivals.buildProtocol(None)
        transport = StringTransport()
        if tls:
            directlyProvides(transport, ISSLTransport)
        connection.makeConnection(transport)
        return connection, transport

    def test_plain(self) -> None:
        """
        A plain connection can be joined at once.
        """
        self.arrive(False)
        self.assertEqual(len(self.ends), 1)

    def test_secure(self) -> None:
        """
        One with TLS when that is up.
        """
        connection, _ = self.arrive(True)
        self.assertEqual(self.ends, [])
        connection.handshakeCompleted()
        self.assertEqual(len(self.ends), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_late(self) -> None:
        """
        Who never begins with that is cut, and takes nothing of the target's.
        """
        _, transport = self.arrive(True)
        self.clock.advance(HANDSHAKE)
        self.assertTrue(transport.disconnected)
        self.assertEqual(self.ends, [])

    def test_gone(self) -> None:
        """
        Who goes before is forgotten.
        """
        connection, _ = self.arrive(True)
        connection.connectionLost(None)
        self.assertEqual(self.clock.getDelayedCalls(), [])
