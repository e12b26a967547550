"""
Tests for L{tests.bench.visitors}.
"""

from __future__ import annotations

import resource

from twisted.trial.unittest import SynchronousTestCase

from tests.bench import visitors
from tests.bench.stage import Broken
from tests.bench.visitors import Waiting, come, exchange, filesFor, quantile, roundTrips
from tests.stage.crowd import Echo


class QuantileTests(SynchronousTestCase):
    """
    The middle, and the slow end.
    """

    def test_quantile(self) -> None:
        """
        One in a hundred takes longer than p99.
        """
        ordered = [*map(float, range(1000))]
        self.assertEqual(quantile(ordered, 0.5), 500)
        self.assertEqual(quantile(ordered, 0.99), 990)
        self.assertEqual(quantile([7.0], 0.99), 7)
        self.assertEqual(quantile([1.0, 2.0], 1.0), 2)


class VisitorsTests(SynchronousTestCase):
    """
    Visitors of an echo.
    """

    def setUp(self) -> None:
        """
        Start it.
        """
        self.echo = Echo()
        self.addCleanup(self.echo.stop)
        self.port = self.echo.address[1]

    def test_roundTrips(self) -> None:
        """
        They are in order, and take some time each.
        """
        taken = roundTrips(self.port, 0.02)
        self.assertTrue(taken)
        self.assertEqual(taken, sorted(taken))
        self.assertGreater(taken[0], 0)

    def test_waiting(self) -> None:
        """
        As many as were asked for are there at the same time, and gone behind it.
        """
        with Waiting(self.port, 20):
            self.assertEqual(self.echo.most, 20)

    def test_gone(self) -> None:
        """
        An answer that does not come is an error in words.
        """
        with come(self.port) as connection:
            exchange(connection, b"hello")
            self.echo.stop()
            self.assertRaises((Broken, OSError), exchange, connection, b"hello")


class FilesTests(SynchronousTestCase):
    """
    Each visitor is two open files in each process, and HAProxy takes half as many more
    for pipes.
    """

    def limited(self, soft: int, hard: int) -> list[tuple[int, int]]:
        """
        Have a limit.

        @return: those that are set.
        """
        limits = list[tuple[int, int]]()
        self.patch(resource, "getrlimit", lambda which: (soft, hard))
        self.patch(resource, "setrlimit", lambda which, both: limits.append(both))
        return limits

    def test_raised(self) -> None:
        """
        Nobody must run C{ulimit} where it may be done without.
        """
        limits = self.limited(1024, 20_000)
        self.assertEqual(filesFor(2000), 20_000)
        self.assertEqual(limits, [(20_000, 20_000)])

    def test_unlimited(self) -> None:
        """
        Where there is no limit, one is taken that is enough.
        """
        self.limited(1024, resource.RLIM_INFINITY)
        self.assertGreater(filesFor(2000), 5000)

    def test_tooFew(self) -> None:
        """
        Who may not have so many is told how many visitors would do.
        """
        self.limited(1024, 4096)
        error = self.assertRaises(Broken, filesFor, 10_000)
        self.assertIn("the limit is 4096", str(error))
        self.assertIn("--visitors 1536", str(error))
        self.assertEqual(visitors.filesFor(1536), 4096)
