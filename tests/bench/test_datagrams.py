"""
Tests for L{tests.bench.datagrams}.
"""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.bench.datagrams import AIMS, Run, Way, built, carried, cell, table
from tests.bench.stage import Broken, Stage
from tests.stage.ports import freePort

WAYS = [Way(key, key, 0) for key in ("direct", "forwarders", "plain", "tls")]


class ProgramTests(SynchronousTestCase):
    """
    The program in C does what its first lines say.
    """

    def test_trips(self) -> None:
        """
        Datagrams go round through a forwarder, and none is lost.
        """
        with Stage() as stage:
            try:
                program = built(stage)
            except Broken as e:
                raise SkipTest(str(e)) from e
            service, port = freePort(), freePort()
            for words in (("echo", service), ("forward", port, service)):
                process = stage.start(words[0], program, *map(str, words))
                process.until(lambda p=process: "ready" in p.output, "ready")  # type: ignore[misc]
            run = Run(program, 0.2)
            trips, lost, lasted, middle, late = run._run("load", port, 4, 2, 64)
            self.assertGreater(trips, 0)
            self.assertEqual(lost, 0)
            self.assertGreaterEqual(lasted, 0.2)
            self.assertTrue(0 < middle <= late)
            sent, answered, _ = run._run("rate", port, 200, 1000, 64)
            self.assertEqual((sent, answered), (200, 200))


class TableTests(SynchronousTestCase):
    """
    The table says what was reached.
    """

    def test_verdicts(self) -> None:
        """
        Each figure stands beside its ratio and its target, as far as it has any.
        """
        run = Run(Path("nowhere"), 1.0)
        aims = {aim.key: aim for aim in AIMS}
        for way, key, values in (
            ("forwarders", "trips-64", [90.0, 100.0, 300.0]),
            ("plain", "trips-64", [80.0]),
            ("tls", "trips-64", [64.0]),
            ("forwarders", "alone", [50.0]),
            ("tls", "alone", [100.0]),
            ("tls", "lost", [1.0]),
            ("tls", "flow-server", [0.5]),
        ):
            run.made[way, key] = values
        cases: list[tuple[int, str, str]] = [
            (1, "trips-64", "100 (1.00 x)"),
            (2, "trips-64", "80 (0.80 x); \N{GREATER-THAN OR EQUAL TO} 0.8: yes"),
            (3, "trips-64", "64 (0.64 x); \N{GREATER-THAN OR EQUAL TO} 0.65: NO"),
            (3, "alone", "100 (2.00 x); \N{LESS-THAN OR EQUAL TO} 2.2: yes"),
            (3, "lost", "1; \N{LESS-THAN OR EQUAL TO} 0: NO"),
            (3, "flow-server", "0.5"),
            (0, "wire", "-"),
        ]
        for at, key, expected in cases:
            self.assertEqual(cell(run, aims[key], WAYS[at]), expected)
        self.assertEqual(len(table(run, WAYS).splitlines()), len(AIMS) + 1)

    def test_carried(self) -> None:
        """
        Nothing is carried where there is no carrier.
        """
        self.assertEqual(carried(0), 0)
        self.assertEqual(carried(freePort()), 0)
