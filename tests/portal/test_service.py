"""
Tests for L{tunnelkit.portal.service}, and of what the log and the documentation say.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from twisted.internet.error import CannotListenError, ConnectionRefusedError
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure

from tests.logs import Log
from tests.portal.net import Machine, NetCase, Talker, at
from tunnelkit.failures import StartFailed
from tunnelkit.portal.far import FarPortal
from tunnelkit.portal.near import NearPortal
from tunnelkit.portal.portals import REPORTED
from tunnelkit.portal.service import HTTP, PortalService, makePortal
from tunnelkit.portal.via import Via
from tunnelkit.settings import ClientSettings
from tunnelkit.wire.token import Token

TOP = Path(__file__).parent.parent.parent
VIA = ClientSettings(
    server=at("192.0.2.9", 8910),
    token=Token("default", "a2" * 16),
    name="laptop",
    tunnels=(),
)


class ServiceTests(NetCase):
    """
    A portal is what its settings say.
    """

    def setUp(self) -> None:
        """
        Make a machine.
        """
        super().setUp()
        self.machine = Machine(self.net, "192.0.2.1")
        self.reactor = MemoryReactorClock()

    def made(self, **given: Any) -> PortalService:
        """
        Make a service.
        """
        around = self.net.around(self.machine, http=None)
        return makePortal(self.settings(**given), around, self.reactor)

    def test_parts(self) -> None:
        """
        It is far or near, with what belongs to that, or a rendezvous alone, or both.
        """
        lead = (at("127.0.0.1", 4001), "home")
        url = "http://r.example/"
        for given, kinds in (
            ({"serve": at("127.0.0.1", 1)}, [FarPortal]),
            ({"serve": at("127.0.0.1", 1), "rendezvous": url}, [FarPortal]),
            ({"serve": at("127.0.0.1", 1), "via": VIA}, [FarPortal, Via]),
            ({"leads": (lead,), "rendezvous": url}, [NearPortal]),
            ({"control": "tcp:1"}, [NearPortal, HTTP]),
            ({"rendezvousAt": "tcp:1", "serve": at("h", 1)}, [HTTP, FarPortal]),
            ({"rendezvousAt": "tcp:1"}, [HTTP]),
        ):
            self.assertEqual([type(part) for part in self.made(**given)], kinds)

    def test_listens(self) -> None:
        """
        A rendezvous listens, and says so; where it cannot it says that.
        """
        log = Log(self)
        service = self.made(rendezvousAt="tcp:8900")
        service.privilegedStartService()
        self.running(service)
        self.assertEqual([each[0] for each in self.reactor.tcpServers], [8900])
        self.assertEqual(log.lines("info"), ["the rendezvous listens on tcp:8900"])

        def listenTCP(*args: Any, **options: Any) -> Any:
            raise CannotListenError("", 8900, OSError(98, "Address already in use"))

        self.reactor.listenTCP = listenTCP  # type: ignore[method-assign]
        service = self.made(rendezvousAt="tcp:8900")
        error = self.assertRaises(StartFailed, service.startService)
        self.assertIn("the rendezvous cannot listen on tcp:8900", str(error))

    def test_via(self) -> None:
        """
        A far portal logs in to the server of its tunnel, goes on when that is not to be
        had, and leaves nothing behind.
        """
        log = Log(self)
        service = self.running(self.made(serve=at("127.0.0.1", 1), via=VIA))
        self.reactor.advance(0)
        ((host, port, factory, _, _),) = self.reactor.tcpClients
        self.assertEqual((host, port), ("192.0.2.9", 8910))
        connector = self.reactor.connectors[0]
        factory.clientConnectionFailed(connector, Failure(ConnectionRefusedError()))
        (line,) = log.lines("warn")
        self.assertIn("; trying again", line)
        self.reactor.advance(1)
        self.assertEqual(len(self.reactor.tcpClients), 2)
        self.assertTrue(all(part.running for part in service))

    def test_drain(self) -> None:
        """
        A portal ends at once when it is told to.
        """
        self.assertRaises(StopIteration, self.made().drain(10.0).send, None)

    def test_counts(self) -> None:
        """
        What was dropped is said every ten minutes, where anything was, and at the end.
        """
        log = Log(self)
        portal = self.made(serve=at("192.0.2.1", 9999), bind=at("", 7000))
        portal.startService()
        stranger = Talker(self.machine)
        log.clear()
        for _ in range(1000):
            stranger.say(b"x", ("192.0.2.1", 7000))
            self.net.run(0.02)
        self.net.run(REPORTED)
        first, second = log.lines("info")
        self.assertIn("strangers send packets, which are dropped and counted", first)
        self.assertEqual(second, "counted of late: 1000 of strangers")
        self.net.run(REPORTED)
        stranger.say(b"", ("192.0.2.1", 7000))
        self.net.run(1)
        portal.stopService()
        self.assertEqual(log.lines("info")[2:], ["counted of late: 1 punches"])

    def test_documented(self) -> None:
        """
        Whoever reads such a line finds each count in docs/troubleshooting.rst.
        """
        page = (TOP / "docs" / "troubleshooting.rst").read_text(encoding="utf-8")
        page = " ".join(page.split())
        found: set[str] = set()
        for module in (TOP / "tunnelkit" / "portal").rglob("*.py"):
            found |= set(re.findall(r'counts\["([^"]+)"\]', module.read_text()))
        self.assertGreater(len(found), 10)
        self.assertEqual({count for count in found if count not in page}, set())
