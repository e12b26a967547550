"""
Tests for L{tests.bench.rounds}.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.bench import rounds
from tests.bench.figures import HAPROXY, PLAIN
from tests.bench.measures import Load, Made, Measure
from tests.bench.results import Results
from tests.bench.rounds import Run, order
from tests.bench.services import Ports
from tests.bench.stage import Broken
from tests.bench.ways import Open, Way
from tests.stage.crowd import Echo


class OrderTests(SynchronousTestCase):
    """
    No way is always the first, or always behind the same other one.
    """

    def test_rotates(self) -> None:
        """
        Each round begins with the next way.
        """
        self.assertEqual(
            ["".join(order("abc", turn)) for turn in range(4)],
            ["abc", "bca", "cab", "abc"],
        )

    def test_none(self) -> None:
        """
        A run without ways is over at once.
        """
        self.assertEqual(order([], 1), [])


class Renewing:
    """
    Services that do nothing.

    @ivar count: how often they were started anew.
    """

    def __init__(self) -> None:
        self.count = 0

    def renew(self) -> None:
        """
        Count it.
        """
        self.count += 1


class RunTests(SynchronousTestCase):
    """
    A run, with ways and measures that there are not.
    """

    def setUp(self) -> None:
        """
        Start an echo, which ways are tried with, and rest for no time.
        """
        self.patch(rounds, "REST", 0.0)
        echo = Echo()
        self.addCleanup(echo.stop)
        self.ports = Ports(0, 0, echo.address[1], 0)
        self.services: Any = Renewing()
        self.said: list[str] = []
        self.taken: list[tuple[str, str]] = []

    def way(self, key: str, fault: Exception | None = None) -> Way:
        """
        Make a way.

        @param fault: why it cannot be started.
        """

        def start(stage: Any, services: Ports) -> Open:
            if fault is not None:
                raise fault
            opened = Open(stage, self.ports)
            opened.starts[key] = 0.0
            return opened

        return Way(key, key, start)

    def measure(
        self, figure: str, made: Callable[[str], float], more: str = "cpu"
    ) -> Measure:
        """
        Make a measure.

        @param made: gives the figure, by the key of the way.
        @param more: a figure that it gives besides.
        """

        def take(load: Load, opened: Open) -> Made:
            (key,) = opened.starts
            self.taken.append((figure, key))
            return {figure: made(key), more: 1.0}

        return Measure((figure, more), take)

    def run_(self, ways: list[Way], *measures: Measure, wanted: str) -> Results:
        """
        Do a run of two rounds.
        """
        load: Any = Load(None, self.ports, 1, 100)  # type: ignore[arg-type]
        services, say = self.services, self.said.append
        return Run(ways, 2, wanted.split(), load, services, say, measures).go()

    def test_interleaved(self) -> None:
        """
        Each measure is taken of all ways before the next one is taken of any.
        """
        ways = [self.way(HAPROXY), self.way(PLAIN)]
        one = self.measure("requests", lambda key: 1.0)
        two = self.measure("connections", lambda key: 2.0)
        self.run_(ways, one, two, wanted="requests connections")
        self.assertEqual(
            self.taken,
            [
                ("requests", HAPROXY),
                ("requests", PLAIN),
                ("connections", HAPROXY),
                ("connections", PLAIN),
                ("requests", PLAIN),
                ("requests", HAPROXY),
                ("connections", PLAIN),
                ("connections", HAPROXY),
            ],
        )

    def test_wanted(self) -> None:
        """
        What nobody asked for is neither measured nor shown.
        """
        one = self.measure("requests", lambda key: 1.0)
        two = self.measure("connections", lambda key: 2.0, more="bulk-8")
        results = self.run_([self.way(PLAIN)], one, two, wanted="requests")
        self.assertEqual({figure for figure, _ in self.taken}, {"requests"})
        self.assertEqual([figure.key for figure in results.shown()], ["requests"])
        self.assertEqual(results.made("requests", PLAIN), [1.0, 1.0])

    def test_broken(self) -> None:
        """
        A measure that goes wrong costs its own figure alone, and is told.
        """

        def made(key: str) -> float:
            if key == PLAIN:
                raise Broken("no answer")
            return 3.0

        ways = [self.way(PLAIN), self.way(HAPROXY)]
        one = self.measure("requests", made)
        results = self.run_(ways, one, wanted="requests")
        self.assertEqual(results.value("requests", HAPROXY), 3.0)
        self.assertIsNone(results.value("requests", PLAIN))
        self.assertEqual(
            results.faults, ["plain, round 1: no answer", "plain, round 2: no answer"]
        )
        self.assertEqual(self.services.count, 2)
        self.assertIn("plain, round 1: no answer", self.said)

    def test_notStarted(self) -> None:
        """
        So does a way that cannot be started.
        """
        ways = [self.way("bore", Broken("its port is taken")), self.way(PLAIN)]
        one = self.measure("requests", lambda key: 1.0)
        results = self.run_(ways, one, wanted="requests")
        self.assertEqual(results.faults, ["bore: its port is taken"])
        self.assertEqual(results.value("requests", PLAIN), 1.0)
