"""
Tests for L{tunnelkit.checking}, through a real server on loopback.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import cast

from twisted.internet import reactor as globalReactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IProtocolFactory, IReactorTime
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource
from twisted.web.server import Site

from tests.stage.ports import freePort
from tunnelkit.checking import runCheck
from tunnelkit.relay.endpoints import IPortableReactor
from tunnelkit.server import IServerReactor, Server
from tunnelkit.settings import ClientSettings, ServerSettings
from tunnelkit.status import IStatusSource
from tunnelkit.wire.address import HostPort
from tunnelkit.wire.ports import PortSet
from tunnelkit.wire.token import Token

reactor = cast(IServerReactor, globalReactor)


def noRooms(source: IStatusSource, token: str, clock: IReactorTime) -> IProtocolFactory:
    """
    Make an admin site with nothing in it.
    """
    return Site(Resource())


class CheckTests(TestCase):
    """
    Somebody who sets a client up learns what works, and what does not, and why.
    """

    timeout = 60

    def setUp(self) -> None:
        """
        Start a server.
        """
        self.port = freePort()
        self.state = Path(self.mktemp())
        self.server = Server(
            ServerSettings(
                ports=(f"tcp:{self.port}:interface=127.0.0.1",),
                state=self.state,
                bind="127.0.0.1",
                allowed=PortSet.parse("20000-29999"),
            ),
            reactor,
            os.urandom,
            noRooms,
        )
        self.server.startService()

    def tearDown(self) -> Deferred[object] | None:  # type: ignore[override]
        """
        Stop it.
        """
        return self.server.stopService()

    def settings(self, token: Token | None = None, port: int = 0) -> ClientSettings:
        """
        Give a client's settings, by default those that work.
        """
        text = (self.state / "default.token").read_text()
        return ClientSettings(
            server=HostPort("127.0.0.1", port or self.port),
            token=token or Token.parse(text),
            name="checker",
            tunnels=(),
        )

    async def test_good(self) -> None:
        """
        Where all works, each step says so, with its time.
        """
        report = await runCheck(self.settings(), reactor, os.urandom)
        self.assertTrue(report.good, report)
        names = [step.name for step in report.steps]
        self.assertEqual(names, ["server", "tunnel", "visitor", "round trip", "1 MiB"])
        self.assertIn("sha256:", report.steps[0].words)
        self.assertIn("tcp://127.0.0.1:2", report.steps[1].words)

    async def test_leavesNothing(self) -> None:
        """
        After a check no port is kept for it, and nothing is published.
        """
        await runCheck(self.settings(), reactor, os.urandom)
        self.assertEqual(self.server.status().tunnels, ())
        await maybeDeferred(self.server.stopService)
        with sqlite3.connect(self.state / "leases.sqlite") as leases:
            rows = leases.execute("SELECT * FROM lease").fetchall()
        self.assertEqual(rows, [])

    async def test_names(self) -> None:
        """
        Two checks at the same time are not in each other's way: no name is used twice.
        """
        checks = [runCheck(self.settings(), reactor, os.urandom) for _ in range(2)]
        for check in checks:
            self.assertTrue((await check).good)

    async def test_noServer(self) -> None:
        """
        Where nothing listens, that is said, and nothing else is tried.
        """
        report = await runCheck(self.settings(port=freePort()), reactor, os.urandom)
        self.assertFalse(report.good)
        (step,) = report.steps
        self.assertEqual((step.name, step.seconds), ("server", None))
        self.assertIn("cannot be reached", step.words)

    async def test_wrongToken(self) -> None:
        """
        A token that is not accepted is told from a server that is not there.
        """
        token = Token.new("default", os.urandom)
        report = await runCheck(self.settings(token), reactor, os.urandom)
        self.assertEqual([step.name for step in report.steps], ["server", "tunnel"])
        self.assertIsNone(report.steps[1].seconds)
        self.assertIn("does not accept this token", report.steps[1].words)

    async def test_visitorsKeptOut(self) -> None:
        """
        Where the public port cannot be connected to, a firewall is thought of.
        """
        real = reactor.connectTCP

        def firewall(host: str, port: int, *args: object, **named: object) -> object:
            aside = port if port == self.port else freePort()
            return real(host, aside, *args, **named)  # type: ignore[arg-type]

        self.patch(reactor, "connectTCP", firewall)
        report = await runCheck(
            self.settings(), cast(IPortableReactor, reactor), os.urandom
        )
        self.assertEqual(report.steps[-1].name, "visitor")
        self.assertIn("firewall", report.steps[-1].words)
