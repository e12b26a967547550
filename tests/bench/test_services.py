"""
Tests for L{tests.bench.services}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.bench import services
from tests.bench.services import Ports


class MissingTests(SynchronousTestCase):
    """
    Programs that are not there.
    """

    def lacking(self, *names: str) -> str:
        """
        Say what is said where some programs are not there.
        """
        self.patch(services, "found", lambda name: None if name in names else name)
        return services.missing()

    def test_none(self) -> None:
        """
        Where all are there, nothing is said.
        """
        self.assertEqual(self.lacking(), "")

    def test_some(self) -> None:
        """
        All that are missing are named at once, with one command that installs them.
        """
        self.assertEqual(
            self.lacking("wrk", "haproxy"),
            "haproxy and wrk are missing (Debian, Ubuntu: apt-get install haproxy wrk)",
        )
        self.assertIn("nginx is missing", self.lacking("nginx"))


class PortsTests(SynchronousTestCase):
    """
    Where services are.
    """

    def test_free(self) -> None:
        """
        Each service has a port of its own.
        """
        ports = Ports.free()
        self.assertEqual(len({ports.web, ports.bulk, ports.echo, ports.source}), 4)

    def test_pairs(self) -> None:
        """
        A way leads from each port to that of the same service.
        """
        self.assertEqual(
            Ports(1, 2, 3, 4).pairs(Ports(5, 6, 7, 8)),
            [("web", 1, 5), ("bulk", 2, 6), ("echo", 3, 7), ("source", 4, 8)],
        )
