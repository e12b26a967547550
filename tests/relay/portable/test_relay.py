"""
Tests for L{tunnelkit.relay.portable.relay}.
"""

from __future__ import annotations

import os
import socket
import struct
from typing import Any, Final, cast

from twisted.internet import reactor
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.error import CannotListenError, ConnectError, ConnectionDone
from twisted.internet.interfaces import (
    IHostnameResolver,
    IReactorPluggableNameResolver,
    IResolutionReceiver,
)
from twisted.internet.testing import MemoryReactorClock
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from tests.relay.memory import START, Heard, MemoryTransport, Owner
from tests.relay.tunnel import portOf
from tests.stage.sockets import Ending, connected, listener, receive
from tunnelkit.interfaces import IEnd, IRelay, Undialled
from tunnelkit.relay.connection import Connection, Holder
from tunnelkit.relay.endpoints import (
    BACKLOG,
    IPortableReactor,
    One,
    endpointOf,
    everywhere,
)
from tunnelkit.relay.portable.raw import RawEnd
from tunnelkit.relay.portable.relay import PortableRelay
from tunnelkit.relay.streams.stream import Attachable
from tunnelkit.wire.address import HostPort, SocketPath
from tunnelkit.wire.codes import ResetCode
from tunnelkit.wire.native.codec import said
from tunnelkit.wire.native.frames import Data, encode

LOOPBACK: Final = "127.0.0.1"
NOBODY: Final[Any] = None
SERVICE: Final = HostPort("192.0.2.9", 8000)


@implementer(IReactorPluggableNameResolver, IHostnameResolver)
class Resolving(MemoryReactorClock):
    """
    A reactor in memory that answers for names when the test says so.
    """

    def __init__(self) -> None:
        super().__init__()
        self.nameResolver = self
        self.asked: list[tuple[str, IResolutionReceiver]] = []

    def resolveHostName(  # type: ignore[override]
        self, receiver: IResolutionReceiver, hostName: str, *_: Any, **__: Any
    ) -> None:
        """
        Note who asks.
        """
        self.asked.append((hostName, receiver))

    def answer(self, *addresses: str) -> None:
        """
        Give the last name these addresses.
        """
        _, receiver = self.asked[-1]
        receiver.resolutionBegan(None)  # type: ignore[arg-type]
        for address in addresses:
            receiver.addressResolved(IPv4Address("TCP", address, 8000))
        receiver.resolutionComplete()


class DialTests(SynchronousTestCase):
    """
    Dialling a local service, on a network in memory.
    """

    def setUp(self) -> None:
        """
        Make the network.
        """
        self.reactor = Resolving()
        self.relay = PortableRelay(cast(IPortableReactor, self.reactor))

    def assertUndialled(
        self, dialled: Deferred[IEnd], code: ResetCode, reason: str
    ) -> None:
        """
        It failed so, and nothing is left over.
        """
        failure = self.failureResultOf(dialled, Undialled)
        undialled: Any = failure.value
        self.assertEqual((undialled.code, undialled.reason), (code, reason))
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_contract(self) -> None:
        """
        What publishes and dials finds all that it needs.
        """
        verifyObject(IRelay, self.relay)

    def test_dialled(self) -> None:
        """
        A service that answers is ready to be joined.
        """
        dialled = self.relay.dial(SERVICE, 10)
        host, port, factory, timeout, _ = self.reactor.tcpClients[0]
        self.assertEqual((host, port, timeout), ("192.0.2.9", 8000, 10))
        transport = MemoryTransport(factory.buildProtocol(None))
        end = self.successResultOf(dialled)
        self.assertEqual(end.peer, "192.0.2.7:5000")
        self.assertFalse(transport.reading)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_literalAddresses(self) -> None:
        """
        No resolver is asked about an address.
        """
        for host in ("192.0.2.9", "2001:db8::9", "fe80::9%eth0"):
            self.relay.dial(HostPort(host, 8000), 10)
            self.assertEqual(self.reactor.tcpClients[-1][:2], (host, 8000))
        self.assertEqual(self.reactor.asked, [])

    def test_noAnswer(self) -> None:
        """
        A service that does not answer fails the visitor in time, and the reason says
        which service and how long.
        """
        dialled = self.relay.dial(SERVICE, 10)
        self.reactor.advance(9)
        self.assertNoResult(dialled)
        self.reactor.advance(1)
        reason = "the local service 192.0.2.9:8000 did not answer within 10 seconds"
        self.assertUndialled(dialled, ResetCode.TIMEOUT, reason)

    def test_noAnswerFromAnyAddress(self) -> None:
        """
        The same for a name, however many addresses it has.
        """
        dialled = self.relay.dial(HostPort("app.example", 8000), 10)
        self.assertEqual(self.reactor.asked[0][0], "app.example")
        self.reactor.answer(*[f"192.0.2.{n}" for n in range(1, 100)])
        self.reactor.pump([0.3] * 34)
        self.assertGreater(len(self.reactor.tcpClients), 10)
        reason = "the local service app.example:8000 did not answer within 10 seconds"
        self.assertUndialled(dialled, ResetCode.TIMEOUT, reason)

    def test_noAnswerFromTheResolver(self) -> None:
        """
        The same where the name itself cannot be looked up in time; an answer that
        comes later does nothing.
        """
        dialled = self.relay.dial(HostPort("app.example", 8000), 10)
        self.reactor.advance(10)
        reason = "the local service app.example:8000 did not answer within 10 seconds"
        self.assertUndialled(dialled, ResetCode.TIMEOUT, reason)
        self.reactor.answer("192.0.2.9")
        self.assertEqual(self.reactor.tcpClients, [])

    def test_unknownName(self) -> None:
        """
        A name that nobody knows is called so.
        """
        dialled = self.relay.dial(HostPort("app.example", 8000), 10)
        self.reactor.answer()
        reason = "the local service app.example:8000 has a name that is not known"
        self.assertUndialled(dialled, ResetCode.UNREACHABLE, reason)

    def test_badName(self) -> None:
        """
        A name that cannot be one fails each visitor, and is no bug.
        """
        for host in ("a..b", "x" * 64 + ".example"):
            dialled = self.relay.dial(HostPort(host, 8000), 10)
            reason = f"the local service {host}:8000 has a name that is not valid"
            self.assertUndialled(dialled, ResetCode.UNREACHABLE, reason)

    def test_unreachable(self) -> None:
        """
        A network that is down is called so, in the system's words.
        """
        dialled = self.relay.dial(SERVICE, 10)
        factory = self.reactor.tcpClients[0][2]
        error = ConnectError(101, "Network is unreachable")
        factory.clientConnectionFailed(NOBODY, Failure(error))
        failure = self.failureResultOf(dialled, Undialled)
        undialled: Any = failure.value
        self.assertEqual(undialled.code, ResetCode.UNREACHABLE)
        self.assertIn("192.0.2.9:8000 cannot be reached: ", undialled.reason)
        self.assertIn("Network is unreachable", undialled.reason)

    def test_cancelled(self) -> None:
        """
        Who gives up dialling is not told that the service is down.
        """
        dialled = self.relay.dial(SERVICE, 10)
        dialled.cancel()
        failure = self.failureResultOf(dialled)
        self.assertIsNone(failure.check(Undialled))
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_bug(self) -> None:
        """
        What is nobody's fault but ours is not blamed on the service.
        """
        dialled = self.relay.dial(SERVICE, 10)
        factory = self.reactor.tcpClients[0][2]
        factory.clientConnectionFailed(NOBODY, Failure(ZeroDivisionError()))
        self.failureResultOf(dialled, ZeroDivisionError)


class EndpointTests(SynchronousTestCase):
    """
    The way to an address.
    """

    def test_byKind(self) -> None:
        """
        A name is looked up for both versions of IP.
        """
        relay = cast(IPortableReactor, Resolving())
        endpoint = endpointOf(relay, HostPort("example.org", 80), 5)
        self.assertIsInstance(endpoint, HostnameEndpoint)

    def test_one(self) -> None:
        """
        A protocol that was made already is the one that is connected, and the log
        does not tell of its factory.
        """
        protocol = RawEnd()
        self.assertIs(One(protocol).buildProtocol(None), protocol)
        self.assertFalse(One.noisy)


class BorrowTests(SynchronousTestCase):
    """
    Taking over a work connection.
    """

    def setUp(self) -> None:
        """
        Make a connection.
        """
        self.clock = MemoryReactorClock()
        self.relay = PortableRelay(cast(IPortableReactor, self.clock), idle=7.0)
        self.connection = Connection(Holder())
        self.transport = MemoryTransport(self.connection)
        self.owner = Owner()

    def test_readAhead(self) -> None:
        """
        A visitor that came in one packet with the login is served, once the owner
        knows the connection.
        """
        rest = said(START) + encode(Data(b"question"))
        work = self.relay.borrow(self.connection, rest, self.owner, client=True)
        self.assertEqual(self.owner.starts, [])
        self.clock.advance(0)
        self.assertEqual(self.owner.starts, [START])
        heard = Heard()
        cast(Attachable, work).attach(heard).resumeReading()
        self.assertEqual(heard.told, [b"question"])
        work.abort()

    def test_lostAfterItIsKnown(self) -> None:
        """
        A client that breaks the protocol in its first packet has its connection
        thrown away, also by who keeps it.
        """
        rest = encode(Data(b"too early"))
        self.relay.borrow(self.connection, rest, self.owner, client=False)
        self.assertEqual(self.owner.losses, [])
        self.clock.advance(0)
        self.assertEqual(len(self.owner.losses), 1)

    def test_lostBeforeIt(self) -> None:
        """
        The same where the connection is lost at once.
        """
        rest = said(START)
        self.relay.borrow(self.connection, rest, self.owner, client=True)
        self.connection.connectionLost(Failure(ConnectionDone()))
        self.clock.advance(0)
        self.assertEqual((self.owner.starts, self.owner.losses), ([], ["closed"]))

    def test_idleLimit(self) -> None:
        """
        The idle limit that the relay was given holds for work connections.
        """
        work = self.relay.borrow(self.connection, b"", self.owner, client=False)
        work.begin()
        work.refuse(ResetCode.BUSY, "")
        self.clock.advance(7)
        self.assertEqual(self.owner.losses, ["stream 1 was not done in time"])


class SocketTests(TestCase):
    """
    Listening and dialling on this machine.
    """

    def setUp(self) -> None:
        """
        Make the relay.
        """
        self.relay = PortableRelay(reactor)  # type: ignore[arg-type]
        self.ends: list[IEnd] = []
        self.arrived: Deferred[IEnd] = Deferred()

    def listen(self, host: str) -> int:
        """
        Take visitors.
        """
        port = self.relay.listen(HostPort(host, 0), self._arrived)
        self.addCleanup(port.stopListening)
        return portOf(port)

    def _arrived(self, end: IEnd) -> None:
        self.addCleanup(end.abort)
        arrived, self.arrived = self.arrived, Deferred()
        arrived.callback(end)

    async def test_everywhere(self) -> None:
        """
        Visitors of IPv4 and IPv6 come to one port, and each is shown by the address
        that it has.
        """
        port = self.listen("")
        for host in (LOOPBACK, "::1"):
            if host == "::1" and everywhere() != "::":
                continue
            arrived = self.arrived
            with connected((host, port)) as visitor:
                end = await arrived
                shown = str(HostPort(host, visitor.getsockname()[1]))
                self.assertEqual(end.peer, shown)
                self.assertEqual(end.local, str(HostPort(host, port)))

    async def test_oneAddress(self) -> None:
        """
        Where an address is given nobody comes by another.
        """
        port = self.listen(LOOPBACK)
        with connected((LOOPBACK, port)):
            await self.arrived
        self.assertRaises(ConnectionRefusedError, connected, ("127.0.0.2", port))

    def test_everywhereIsAnAddress(self) -> None:
        """
        It is an address of this system: of IPv6 where that is there.
        """
        address = everywhere()
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family) as trial:
            trial.bind((address, 0))

    def test_withoutIPv6(self) -> None:
        """
        Where there is no IPv6 all of IPv4 is listened on.
        """

        def none(*_: object) -> socket.socket:
            raise OSError("Address family not supported by protocol")

        self.patch(socket, "socket", none)
        self.assertEqual(everywhere(), "0.0.0.0")

    def test_taken(self) -> None:
        """
        A port that another program has is refused.
        """
        with listener((LOOPBACK, 0)) as taken:
            address = HostPort(LOOPBACK, taken.getsockname()[1])
            self.assertRaises(
                CannotListenError, self.relay.listen, address, self.ends.append
            )

    def test_backlog(self) -> None:
        """
        A thousand visitors at once are not made to wait.
        """
        reactor = MemoryReactorClock()
        relay = PortableRelay(cast(IPortableReactor, reactor))
        relay.listen(HostPort(LOOPBACK, 80), self.ends.append)
        port, factory, backlog, interface = reactor.tcpServers[0]
        self.assertEqual((port, backlog, interface), (80, BACKLOG, LOOPBACK))
        self.assertFalse(getattr(factory, "noisy", True))

    async def test_lingering(self) -> None:
        """
        A visitor sees a reset also where this process is killed in the moment in which
        it arrives.
        """
        port = self.relay.listen(HostPort(LOOPBACK, 0), self._arrived)
        self.addCleanup(port.stopListening)
        handle: socket.socket = port.socket  # type: ignore[attr-defined]
        option = handle.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8)
        self.assertEqual(option, struct.pack("ii", 1, 0))

    async def test_turnedAway(self) -> None:
        """
        A visitor that is turned away sees a reset, before it said anything.
        """
        port = self.listen(LOOPBACK)
        arrived = self.arrived
        with connected((LOOPBACK, port)) as visitor:
            end = await arrived
            end.abort()
            received = await deferToThread(receive, visitor)
        self.assertEqual((received.ending, received.count), (Ending.RESET, 0))

    async def assertUndialled(
        self, dialled: Deferred[IEnd], code: ResetCode, words: str
    ) -> None:
        """
        It failed so.
        """
        try:
            await dialled
        except Undialled as e:
            self.assertEqual(e.code, code)
            self.assertIn(words, e.reason)
        else:
            self.fail("it was reached")

    async def test_refused(self) -> None:
        """
        A service that is not there is called so, by address or name.
        """
        with listener((LOOPBACK, 0)) as free:
            port = free.getsockname()[1]
        for host in (LOOPBACK, "localhost"):
            await self.assertUndialled(
                self.relay.dial(HostPort(host, port), 5),
                ResetCode.REFUSED,
                f"{host}:{port} refused the connection",
            )

    async def test_name(self) -> None:
        """
        A service can be given by name.
        """
        with listener((LOOPBACK, 0)) as service:
            port = service.getsockname()[1]
            end = await self.relay.dial(HostPort("localhost", port), 5)
            self.addCleanup(end.abort)
            self.assertEqual(end.peer, f"{LOOPBACK}:{port}")

    async def test_unixSockets(self) -> None:
        """
        A service on a UNIX socket that is not there, has too long a path or does not
        listen any more fails its visitors, and says which it is.
        """
        folder = self.mktemp()[-60:]
        os.makedirs(folder)
        gone = os.path.join(folder, "gone")
        listener(gone).close()
        for path, code, words in (
            (os.path.join(folder, "none"), ResetCode.UNREACHABLE, "No such file"),
            (gone, ResetCode.REFUSED, "refused"),
            ("x" * 200, ResetCode.UNREACHABLE, "too long"),
        ):
            dialled = self.relay.dial(SocketPath(path), 5)
            await self.assertUndialled(dialled, code, f"unix:{path}")
            dialled = self.relay.dial(SocketPath(path), 5)
            await self.assertUndialled(dialled, code, words)

    async def test_lostAfterDialling(self) -> None:
        """
        A service that breaks off before it is joined is found out at the join.
        """
        with listener((LOOPBACK, 0)) as service:
            port = service.getsockname()[1]
            one = await self.relay.dial(HostPort(LOOPBACK, port), 5)
            other = await self.relay.dial(HostPort(LOOPBACK, port), 5)
            service.accept()[0].close()
            far, _ = service.accept()
            join = self.relay.join(one, other, b"")
            one.abort()
            self.assertEqual((await join.ended).code, ResetCode.PEER)
            with far:
                far.settimeout(5)
                received = await deferToThread(receive, far)
            self.assertEqual(received.ending, Ending.RESET)
