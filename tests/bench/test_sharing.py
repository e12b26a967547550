"""
Tests for L{tests.bench.sharing} and L{tests.bench.asking}.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.bench.asking import Clients, figures
from tests.bench.sharing import Run, Way, cell, main, table
from tests.stage.services import LOOPBACK, Service, echo, saying

WAYS = [
    Way("echo", "direct", "direct", 0, 50, "direct"),
    Way("echo", "share", "shared", 0, 50, "direct"),
]


class AskingTests(SynchronousTestCase):
    """
    Clients who ask and wait.
    """

    def test_answers(self) -> None:
        """
        Each asks again when it is answered, and all answers are counted.
        """
        service = Service(echo, LOOPBACK)
        self.addCleanup(service.stop)
        clients = Clients(service.port, 3, b"hello\n")
        self.addCleanup(clients.close)
        self.assertGreater(clients.run(0.1), 0.09)
        self.assertGreater(len(clients.times), 3)
        self.assertEqual(service.visitors, 3)

    def test_ended(self) -> None:
        """
        No figure is made of a target that ends.
        """
        service = Service(saying(b"", lambda connection: None), LOOPBACK)
        self.addCleanup(service.stop)
        clients = Clients(service.port, 1, b"hello\n")
        self.addCleanup(clients.close)
        self.assertRaises((EOFError, ConnectionError), clients.run, 5.0)
        self.assertRaises(EOFError, figures, [], 1.0)

    def test_figures(self) -> None:
        """
        The middle, and what one of a hundred takes longer than, in microseconds.
        """
        made = figures([each / 1e6 for each in range(1000, 0, -1)], 2.0)
        told = {key: round(value, 3) for key, value in made.items()}
        expected = {"answers": 1000, "seconds": 2.0, "p50": 501, "p99": 991}
        self.assertEqual(told, expected)


class TableTests(SynchronousTestCase):
    """
    The table says what a share costs.
    """

    def test_beside(self) -> None:
        """
        Each figure stands beside its multiple of the direct way's, and a time beside
        what was added to that; it is the median of the rounds.
        """
        run = Run(1.0)
        for way, key, rounds in (
            ("direct", "rate", [900.0, 1000.0, 5000.0]),
            ("share", "rate", [100.0, 250.0, 300.0]),
            ("direct", "p50", [20.0]),
            ("share", "p50", [150.0]),
            ("share", "spent", [80.0]),
        ):
            run.made["echo", way, key] = rounds
        cells = [
            [cell(run, way, key) for way in WAYS]
            for key in ("rate", "p50", "added-p50", "spent", "p99")
        ]
        expected = [["1 000", "250 (0.25 x)"], ["20", "150 (7.50 x)"]]
        self.assertEqual(cells, [*expected, ["-", "130"], ["-", "80"], ["-", "-"]])
        self.assertIn("250 (0.25 x)", table(run, WAYS))


class MainTests(SynchronousTestCase):
    """
    The command.
    """

    def test_echo(self) -> None:
        """
        It measures real shares, and writes what each round made.
        """
        folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, folder)
        path = folder / "figures" / "sharing.json"
        said: list[str] = []
        words = [
            "--rounds",
            "1",
            "--seconds",
            "0.1",
            "--clients",
            "3",
            "--only",
            "echo",
            "--json",
        ]
        self.assertEqual(main([*words, str(path)], said.append), 0)
        (shown,) = said
        self.assertRegex(shown, r"(?m)^requests, /s +\d.*\(\d")
        made = json.loads(path.read_text())["made"]
        for key in ("echo direct rate", "echo share p99", "echo one-share spent"):
            self.assertEqual(len(made[key]), 1)
