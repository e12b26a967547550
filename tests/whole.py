"""
A server and its clients, whole, in a network in memory.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from twisted.internet.protocol import Factory
from twisted.trial.unittest import SynchronousTestCase

from tests.fakes import random
from tests.logs import Log
from tests.network import Network, Plain, Speaker, accepting
from tunnelkit.client import Client, makeClient
from tunnelkit.dialects.abroad import AbroadSettings, ClientDialect, Means, Place
from tunnelkit.relay.best import relayFor
from tunnelkit.server import Server
from tunnelkit.settings import ClientSettings, ServerSettings
from tunnelkit.tunnels.kinds import PARSERS
from tunnelkit.tunnels.private.spec import parseSocks, parseVisit
from tunnelkit.tunnels.publisher import Publisher
from tunnelkit.tunnels.spec import parseTunnel
from tunnelkit.wire.address import HostPort
from tunnelkit.wire.ports import PortSet
from tunnelkit.wire.token import Token

PORT: Final = 8910
ADMIN: Final = 8911
SERVICE: Final = 8000
PUBLIC: Final = 9000
ADDRESS: Final = HostPort("127.0.0.1", PORT)
NOW: Final = 1_800_000_000.0


class Site(Factory):
    """
    The admin rooms, which here let nobody in.

    @ivar token: who may come in.
    """

    noisy = False
    protocol = Plain

    def __init__(self, source: Any, token: str, clock: Any) -> None:
        self.source = source
        self.token = token


class WholeCase(SynchronousTestCase):
    """
    A server that has started, and a service to publish.

    @ivar services: those who came to the service.
    """

    server: Server

    def setUp(self) -> None:
        """
        Start.
        """
        self.log = Log(self)
        self.network = Network()
        self.state = Path(self.mktemp())
        self.settings = ServerSettings(
            ports=(f"tcp:{PORT}:interface=127.0.0.1",),
            state=self.state,
            allowed=PortSet.parse("9000-9019"),
            bind="127.0.0.1",
            hostname="vps.example.org",
            admin=f"tcp:{ADMIN}:interface=127.0.0.1",
        )
        self.failures: list[str] = []
        self.clients: list[Publisher] = []
        self.servers: list[Server] = []
        self.services = accepting(self.network, SERVICE)
        self.addCleanup(self.assertNothingLeft)

    def assertNothingLeft(self) -> None:
        """
        When both sides have stopped, nothing is left: no connection, no port but the
        service's, nothing that waits.
        """
        for wire in self.network.wires:
            wire.frozen = False
        for half in (*self.clients, *self.servers):
            if half.running:
                half.stopService()
        # That long a drain looks away.
        self.network.elapse(0.2)
        for service in self.services:
            service.wire.loseConnection()
        self.network.settle()
        self.assertEqual(list(map(str, self.network.getDelayedCalls())), [])
        self.assertEqual({*self.network.ports} - {SERVICE}, set())

    # The server.

    def serve(self, http: Any = lambda: None, **changes: Any) -> Server:
        """
        Start a server.
        """
        reactor: Any = self.network
        self.server = Server(
            replace(self.settings, **changes),
            reactor,
            random,
            Site,
            now=lambda: NOW + self.network.seconds(),
            http=http,
        )
        self.servers.append(self.server)
        self.server.startService()
        self.network.settle()
        return self.server

    def stop(self, half: Server | Publisher) -> None:
        """
        Stop a server or a client, and wait until it has.
        """
        stopped = half.stopService()
        self.network.settle()
        if stopped is not None:
            self.successResultOf(stopped)

    @property
    def token(self) -> Token:
        """
        The token that the server has made.
        """
        return Token.parse((self.state / "default.token").read_text())

    # A client.

    def client(
        self, *tunnels: str, changed: Any = lambda: None, **changes: Any
    ) -> Client:
        """
        Make a client of these tunnels, by default of one to the service, unless it
        has visits.
        """
        visits = {"visits", "socks"} & {*changes}
        own = "" if visits else f"tcp:{SERVICE}:port={PUBLIC}:name=web"
        specs = tunnels or (own,)
        settings = ClientSettings(
            server=changes.pop("server", ADDRESS),
            token=changes.pop("token", None) or self.token,
            name=changes.pop("name", "laptop"),
            tunnels=tuple(parseTunnel(text, PARSERS) for text in specs if text),
            visits=tuple(map(parseVisit, changes.pop("visits", ()))),
            socks=tuple(map(parseSocks, changes.pop("socks", ()))),
            **changes,
        )
        client = makeClient(
            settings, self.network, random, self.failures.append, changed
        )
        self.clients.append(client)
        return client

    def abroad(self, dialect: ClientDialect, *tunnels: str, **changes: Any) -> Any:
        """
        Make a client that speaks a dialect, of these tunnels, by default of one to the
        service.
        """
        specs = tunnels or (f"tcp:{SERVICE}:port={PUBLIC}:name=web",)
        settings = AbroadSettings(
            dialect=dialect,
            place=changes.pop("place", Place(ADDRESS, dialect.tls)),
            tunnels=tuple(parseTunnel(text, PARSERS) for text in specs),
            **changes,
        )
        reactor: Any = self.network
        client: Any = dialect.make(
            settings,
            Means(
                reactor=reactor,
                relay=relayFor(reactor),
                random=random,
                now=lambda: NOW + self.network.seconds(),
                failed=self.failures.append,
            ),
        )
        self.clients.append(client)
        return client

    def publish(self, *tunnels: str, **changes: Any) -> Client:
        """
        Start a client, and wait until its tunnels are open.
        """
        client = self.client(*tunnels, **changes)
        client.startService()
        self.network.settle()
        for tunnel in client.tunnels:
            self.assertTrue(tunnel.address, "it is not open")
        return client

    # A visitor.

    def visit(self, port: int = PUBLIC) -> Speaker:
        """
        Come to a public port.
        """
        visitor = Speaker()
        self.network.connect(port, visitor)
        self.network.settle()
        return visitor

    def assertServed(self, port: int = PUBLIC) -> None:
        """
        A visitor comes, is answered, and goes.
        """
        visitor = self.visit(port)
        visitor.say(b"hello?")
        self.network.settle()
        service = self.services[-1]
        self.assertEqual(service.heard, b"hello?")
        service.say(b"hello!")
        self.network.settle()
        self.assertEqual(visitor.heard, b"hello!")
        visitor.wire.loseWriteConnection()
        service.wire.loseWriteConnection()
        self.network.settle()
        self.assertEqual((visitor.ended, service.ended), ("end", "end"))
        visitor.wire.loseConnection()
        service.wire.loseConnection()
        self.network.settle()

    def assertUnserved(self, port: int = PUBLIC) -> None:
        """
        A visitor comes, and is reset.
        """
        visitor = self.visit(port)
        self.assertEqual((visitor.heard, visitor.ended), (b"", "reset"))
