"""
Tests for L{tests.bench.ways}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.bench.services import Ports
from tests.bench.ways import DESCRIPTION, haproxyFile, tunnels, ways
from tunnelkit.tunnels.kinds import PARSERS
from tunnelkit.tunnels.spec import parseTunnel


class WaysTests(SynchronousTestCase):
    """
    What is compared.
    """

    def test_shown(self) -> None:
        """
        First nothing at all and HAProxy, then tunnelkit as it was asked for.
        """
        for paths, description, names in (
            (["plain", "tls"], "", ["tunnelkit plain", "tunnelkit TLS"]),
            (["tls"], DESCRIPTION, ["tunnelkit TLS", "tunnelkit (tls:)"]),
            ([], "ssl:{port}", ["tunnelkit (ssl:)"]),
        ):
            found = [way.name for way in ways(paths, description)]
            self.assertEqual(found, ["direct", "HAProxy", *names])

    def test_haproxy(self) -> None:
        """
        HAProxy has one thread, and no log that would cost it time.
        """
        text = haproxyFile([("web", 1, 2), ("echo", 3, 4)], 99, ["splice-auto"])
        for line in (
            "nbthread 1",
            "maxconn 99",
            "mode tcp",
            "option splice-auto",
            "bind 127.0.0.1:1 backlog 4096",
            "server web 127.0.0.1:2",
            "server echo 127.0.0.1:4",
        ):
            self.assertIn(f"    {line}\n", text)
        self.assertNotIn("log", text.replace("backlog", ""))

    def test_haproxyTLS(self) -> None:
        """
        What is asked of HAProxy's ports, and of where they lead, stands behind these.
        """
        pairs = [("web", 1, 2)]
        text = haproxyFile(pairs, 9, bind=" ssl crt a.pem", server=" ssl verify none")
        self.assertIn("bind 127.0.0.1:1 backlog 4096 ssl crt a.pem\n", text)
        self.assertIn("server web 127.0.0.1:2 ssl verify none\n", text)

    def test_tunnels(self) -> None:
        """
        The client publishes all services, on ports that are known before.
        """
        given = tunnels(Ports(1001, 1002, 1003, 1004), Ports(5, 6, 7, 8))
        self.assertEqual(len(given), 4)
        spec = parseTunnel(given[0].removeprefix("--tunnel="), PARSERS)
        self.assertEqual((spec.name, spec.port), ("web", 1001))
