"""
Tests of L{tunnelkit.sharing.service}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from tests.logs import Log
from tests.sharing.toy import Toy
from tunnelkit.failures import StartFailed
from tunnelkit.sharing.pool import Pool
from tunnelkit.sharing.service import ShareService, makeShare
from tunnelkit.sharing.settings import ShareSettings
from tunnelkit.wire.address import HostPort

WHERE = "tcp:8000:interface=127.0.0.1"


class ServiceTests(SynchronousTestCase):
    """
    A share as a service.
    """

    def setUp(self) -> None:
        """
        Have a network in memory.
        """
        self.reactor: Any = MemoryReactorClock()
        self.sites: list[tuple[Pool, str]] = []
        self.failures: list[str] = []

    def make(self, **given: Any) -> ShareService:
        """
        Make a share.
        """

        def site(pool: Pool, token: str) -> Any:
            self.sites.append((pool, token))
            return object()

        target = HostPort("127.0.0.1", 1234)
        told: dict[str, Any] = {
            "listen": WHERE,
            "target": target,
            "framing": Toy(),
        } | given
        service = makeShare(
            ShareSettings(**told), self.reactor, lambda: 0.5, site, self.failures.append
        )
        self.addCleanup(self.end, service)
        return service

    def end(self, service: ShareService) -> None:
        """
        Stop it; nothing is left behind.
        """
        if service.running:
            service.stopService()
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_starts(self) -> None:
        """
        It listens where it is told, and connects to the target before any client is
        there.
        """
        log = Log(self)
        self.make().startService()
        ((port, _, _, interface),) = self.reactor.tcpServers
        self.assertEqual((port, interface), (8000, "127.0.0.1"))
        ((host, port, *_),) = self.reactor.tcpClients
        self.assertEqual((host, port), ("127.0.0.1", 1234))
        self.assertEqual(
            log.lines("info"),
            [f"sharing 127.0.0.1:1234 on {WHERE}", "creating target connection"],
        )

    def test_described(self) -> None:
        """
        The target may be a description.
        """
        self.make(target="unix:/run/target.sock").startService()
        ((path, *_),) = self.reactor.unixClients
        self.assertEqual(path, "/run/target.sock")

    def test_admin(self) -> None:
        """
        Its numbers are where it is told, locked with the token.
        """
        service = self.make(admin="tcp:8001:interface=127.0.0.1", adminToken="t")
        service.startService()
        ports = [each[0] for each in self.reactor.tcpServers]
        self.assertEqual(ports, [8000, 8001])
        self.assertEqual([token for _, token in self.sites], ["t"])

    def test_taken(self) -> None:
        """
        Where the port is taken, one sentence says so, and what to do; it names the
        option and not what was made of it.
        """
        service = self.make()

        def listenTCP(*arguments: object, **given: object) -> object:
            raise CannotListenError("127.0.0.1", 8000, OSError(98, "in use"))

        self.reactor.listenTCP = listenTCP
        error = self.assertRaises(StartFailed, service.startService)
        self.assertEqual(
            str(error),
            "cannot listen on --listen tcp:8000:interface=127.0.0.1: in use: stop the"
            " program that has it, or give another port",
        )
        # What listened before it failed is taken back by the process.
        service.running = 0

    def test_drains(self) -> None:
        """
        With nobody there it stops at once.
        """
        service = self.make()
        service.startService()
        drained = Deferred.fromCoroutine(service.drain(10))
        self.successResultOf(drained)

    def test_grace(self) -> None:
        """
        A client that is not answered has so long, and is told then.
        """
        service = self.make()
        service.startService()
        factory = self.reactor.tcpServers[0][1]
        client = factory.buildProtocol(None)
        transport = HalfTransport()
        client.makeConnection(transport)
        client.dataReceived(b"one\n")
        drained = Deferred.fromCoroutine(service.drain(10))
        self.reactor.advance(9)
        self.assertEqual(transport.said, b"")
        self.reactor.advance(2)
        self.assertEqual(transport.said, b"STOPPING\n")
        self.assertNoResult(drained)
        client.connectionLost(None)
        self.successResultOf(drained)


class HalfTransport:
    """
    As little of a transport as a client needs.
    """

    def __init__(self) -> None:
        self.said = b""

    def write(self, data: bytes) -> None:
        """
        Keep what is said.
        """
        self.said += data

    def __getattr__(self, name: str) -> Any:
        """
        Do nothing.
        """
        return lambda *arguments: None
